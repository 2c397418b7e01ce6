"""`discrepancy`: where our books and a broker's differ, until a rule or a person settles it."""

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.connections import (
    AuthorOption,
    Connection,
    RequestOption,
    author_of,
    checked,
    connect,
    now_of,
    records_of,
    request_of,
)
from streams.commands.groups import group
from streams.commands.outcome import AsJson, Exit, Stop, say, show_json, show_table

if TYPE_CHECKING:
    from schemas.risk import Discrepancy

discrepancy = group("Where our books and a broker's differ.")
COLUMNS = ("id", "account", "kind", "instrument", "ours", "theirs", "age_s", "open", "reason")


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(discrepancy, name="discrepancy")


@discrepancy.command("list")
def list_open(
    account: Annotated[str, typer.Option(help="Of one account only.")] = "",
    settled: Annotated[bool, typer.Option("--settled", help="Those that are settled, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Open discrepancies with both sides and their age, the oldest first; exit code 7 where there is one."""
    found = _connection()
    now_us = now_of(found, found.settings.mode)
    known = [one for one in _newest(found).values() if account in ("", one.account_id) and (one.open or settled)]
    rows = [
        (
            one.discrepancy_id, one.account_id, one.kind, one.instrument_id, one.ours, one.theirs,
            round(max(0, now_us - one.since_us) / 1e6), one.open, f"{one.author} {one.reason}".strip(),
        )
        for one in sorted(known, key=lambda one: (one.since_us, one.discrepancy_id))
    ]  # fmt: skip
    if as_json:
        show_json([dict(zip(COLUMNS, row, strict=True)) for row in rows])
    else:
        show_table("", COLUMNS, rows)
    if any(one.open for one in known):
        raise Stop(
            f"{sum(one.open for one in known)} open: new orders in these instruments are denied",
            next_step="look at the broker; `quantumleap discrepancy resolve ID --reason ...` settles one by hand",
            code=Exit.DEGRADED,
        )


@discrepancy.command()
def resolve(
    discrepancy_id: Annotated[str, typer.Argument(metavar="ID", help="As listed.")],
    reason: Annotated[str, typer.Option(help="Why it is settled.")],
    adopt_theirs: Annotated[
        bool, typer.Option("--adopt-theirs", help="Take the broker's side into our books; else only close it.")
    ] = False,
    author: AuthorOption = None,
    request_id: RequestOption = None,
    wait: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for the answer.")] = 10.0,
    as_json: AsJson = False,
) -> None:
    """Settle one by hand, under your name. If both sides still differ, the next comparison opens it again."""
    from schemas.risk import DiscrepancyResolved  # noqa: PLC0415 - help must be quick
    from streams.runtime.source import Source  # noqa: PLC0415

    found = _connection()
    known = _newest(found).get(discrepancy_id)
    if known is None:
        raise Stop(
            f"there is no discrepancy {discrepancy_id}", next_step="see `quantumleap discrepancy list`",
            code=Exit.NOT_FOUND,
        )  # fmt: skip
    asked = checked(
        DiscrepancyResolved,
        {
            "event_time_us": now_of(found, found.settings.mode),
            "account_id": known.account_id,
            "request_id": request_of(request_id),
            "discrepancy_id": discrepancy_id,
            "adopt_theirs": adopt_theirs,
            "author": author_of(author),
            "reason": reason,
        },
    )
    source = Source(found.cluster, found.codec, found.environment, "control")
    source.write(asked)
    source.close()
    settled = _until_settled(found, discrepancy_id, wait)
    if as_json:
        show_json({"request_id": asked.request_id, "discrepancy_id": discrepancy_id, "open": not settled})
    if not settled:
        raise Stop(
            f"nobody answered within {wait:g} s, or both sides differ again",
            next_step=f"ask again with --request-id {asked.request_id}: the same request is carried out once",
            code=Exit.DEGRADED,
        )
    say(f"{discrepancy_id} is settled")


def _until_settled(found: Connection, discrepancy_id: str, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while True:
        if not _newest(found)[discrepancy_id].open:
            return True
        if time.monotonic() >= until:
            return False
        time.sleep(0.5)


def _newest(found: Connection) -> "dict[str, Discrepancy]":
    """The newest word on each discrepancy."""
    from schemas.risk import Discrepancy  # noqa: PLC0415 - help must be quick
    from schemas.topics import ACCOUNTS_EVENTS  # noqa: PLC0415

    told: list[Any] = records_of(found, ACCOUNTS_EVENTS)
    return {one.discrepancy_id: one for one in told if isinstance(one, Discrepancy)}


def _connection() -> Connection:
    from streams.commands.settings_of import settings  # noqa: PLC0415 - help must be quick

    return connect(settings())
