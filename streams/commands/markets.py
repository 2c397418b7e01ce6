"""`market`: tell the engine what venues and issuers say of an instrument, where no feed tells it."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.connections import checked, connect, mode_of, now_of
from streams.commands.groups import group
from streams.commands.outcome import AsJson, Exit, Stop, say, show_json, show_table

if TYPE_CHECKING:
    from schemas.record import Record
    from streams.commands.actions_file import Plan
    from streams.commands.connections import Connection

market = group("Markets: say that a venue halted an instrument or goes on, and what an issuer splits, pays or renames.")

InstrumentArgument = Annotated[str, typer.Argument(help="Our id of the instrument.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="The venue's words.")]
NoticeOption = Annotated[str, typer.Option("--reason", help="The issuer's words.")]
VersionOption = Annotated[
    int | None,
    typer.Option("--version", min=1, help="Number of the action, rising; the same again is one.  [default: the time]"),
]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(market, name="market")


@market.command()
def halt(instrument: InstrumentArgument, reason: ReasonOption, as_json: AsJson = False) -> None:
    """The venue halted the instrument: every order in it is denied with MARKET_HALTED, and strategies are told."""
    _told(instrument, True, reason, as_json)


@market.command()
def resume(instrument: InstrumentArgument, reason: ReasonOption = "", as_json: AsJson = False) -> None:
    """Trading in the instrument goes on at the venue. This does not lift a stop of our own."""
    _told(instrument, False, reason, as_json)


@market.command()
def split(
    instrument: InstrumentArgument,
    ratio: Annotated[str, typer.Argument(help="New units for one old unit; below 1 for a reverse split.")],
    reason: NoticeOption = "",
    version: VersionOption = None,
    as_json: AsJson = False,
) -> None:
    """The issuer split its units: say it before the first price without it. Positions keep what they cost.

    Units are multiplied; average costs, marks and guards divided. Orders at work stay as the venue says.
    """
    _acted(instrument, "SPLIT", {"ratio": ratio}, reason, version, as_json)


@market.command()
def dividend(
    instrument: InstrumentArgument,
    amount: Annotated[str, typer.Argument(help="Cash for one unit, in the settlement currency.")],
    reason: NoticeOption = "",
    version: VersionOption = None,
    as_json: AsJson = False,
) -> None:
    """The issuer pays cash for each unit held now; who is short owes it."""
    _acted(instrument, "DIVIDEND", {"amount": amount}, reason, version, as_json)


@market.command()
def actions(
    file: Annotated[Path, typer.Argument(help="CSV of splits, dividends and changes of symbols; see docs/data.md.")],
    since: Annotated[
        str, typer.Option(help="Leave out what was effective before, a day of UTC.  [default: the environment's day]")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be said.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what issuers did by a file, taken whole or not at all: what is due and not known yet, in one transaction.

    A file may be imported every day: what is known already, was before, or comes later is left alone.
    """
    from streams.commands.account_state import shared_of  # noqa: PLC0415 - help must be quick
    from streams.commands.actions_file import ActionsRefused, planned, read_actions  # noqa: PLC0415

    found, now_us = _environment()
    shared = shared_of(found)
    try:
        rows = read_actions(file, shared.instruments)
    except OSError as error:
        raise Stop(
            f"{file} cannot be read", why=str(error), next_step="name a CSV file", code=Exit.NOT_FOUND
        ) from error
    except ActionsRefused as refused:
        raise Stop(
            f"{file} is refused", why=str(refused), next_step="mend the rows; nothing was sent", code=Exit.USAGE
        ) from refused
    plan = planned(rows, shared.instruments, shared.actions, since_us=_day_of(since, now_us), now_us=now_us)
    if plan.records and not dry_run:
        _write_together(found, plan.records)
    _show_plan(plan, dry_run, as_json)


def _day_of(since: str, now_us: int) -> int:
    """The beginning of the day asked for, or of the environment's own."""
    from schemas.scalars import DAY_US  # noqa: PLC0415 - help must be quick

    if not since:
        return now_us // DAY_US * DAY_US
    try:
        return int(datetime.strptime(since, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()) * 1_000_000
    except ValueError as error:
        raise Stop(f"--since {since} is no day", next_step="say it as 2020-01-31", code=Exit.USAGE) from error


def _show_plan(plan: "Plan", dry_run: bool, as_json: bool) -> None:
    """What became of each row."""
    from schemas.scalars import iso_of  # noqa: PLC0415 - help must be quick

    columns = ("row", "effective", "instrument", "kind", "what became of it")
    rows = [(row.number, iso_of(row.effective_us), row.instrument_id, row.kind, str(s)) for row, s in plan.rows]
    if as_json:
        show_json([dict(zip(columns, row, strict=True)) for row in rows])
        return
    show_table("", columns, rows)
    count = len(plan.records)
    say(f"{count} records would be written" if dry_run else f"✓ {count} records written" + " together" * (count > 1))


def _told(instrument: str, halted: bool, reason: str, as_json: bool) -> None:
    """The venue's word for market data and every account; the time of saying it is its version."""
    from schemas.reference import TradingStatus  # noqa: PLC0415 - help must be quick

    found, now_us = _environment()
    fields: dict[str, Any] = {"event_time_us": now_us, "version": time.time_ns() // 1000}
    status = checked(TradingStatus, {**fields, "instrument_id": instrument, "halted": halted, "reason": reason})
    _say_together(found, status, f"{'halted' if halted else 'resumed'}    {instrument}", as_json)


def _acted(instrument: str, kind: str, what: dict[str, str], reason: str, version: int | None, as_json: bool) -> None:
    """The issuer's word for every account. Raises Stop where it lacks what its kind needs."""
    from schemas.reference import CorporateAction  # noqa: PLC0415 - help must be quick

    found, now_us = _environment()
    fields: dict[str, Any] = {"event_time_us": now_us, "version": version or time.time_ns() // 1000, "kind": kind}
    action = checked(CorporateAction, {**fields, "instrument_id": instrument, "reason": reason, **what})
    ((name, number),) = what.items()
    if not action.sound:
        raise Stop(
            f"a {kind.lower()} needs {name} above zero, and {number} is not",
            next_step="correct it; nothing was sent",
            code=Exit.USAGE,
        )
    _say_together(found, action, f"{kind.lower():<11} {instrument} {name} {number}", as_json)


def _environment() -> "tuple[Connection, int]":
    """The environment that trades, and its time. Raises Stop where it was never made."""
    from streams.commands.settings_of import settings  # noqa: PLC0415 - help must be quick

    found = connect(settings())
    mode = mode_of(found)
    if mode is None:
        raise Stop(
            f"the environment {found.environment} was never made",
            next_step="name the one that trades in QL_ENVIRONMENT",
            code=Exit.CONFIG,
        )
    return found, now_of(found, mode)


def _say_together(found: "Connection", record: "Record", what: str, as_json: bool) -> None:
    """Write the record to all of its topics in one transaction."""
    from schemas.edge import to_jsonable  # noqa: PLC0415 - help must be quick
    from schemas.topics import destinations  # noqa: PLC0415

    _write_together(found, (record,))
    topics = " and ".join(topic.name for topic in destinations("reference", type(record)))
    say(f"✓ {what}: in {topics}, in one transaction")
    if as_json:
        show_json(to_jsonable(record))


def _write_together(found: "Connection", records: "Sequence[Record]") -> None:
    from streams.runtime.source import Source  # noqa: PLC0415 - help must be quick

    source = Source(found.cluster, found.codec, found.environment, "reference", atomic_slot="status")
    try:
        with source.together():
            for record in records:
                source.write(record)
    finally:
        source.close()
