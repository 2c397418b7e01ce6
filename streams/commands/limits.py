"""`risk limits`: a file of limits put into force for an account, or dealt to several as shares of a firm's."""

import json
import time
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.account_state import state_of
from streams.commands.connections import (
    AuthorOption,
    RequestOption,
    author_of,
    checked,
    connect,
    now_of,
    request_of,
)
from streams.commands.outcome import AsJson, Exit, Stop, say, show_json

if TYPE_CHECKING:
    from schemas.risk import Limit, LimitChange, RiskEvent
    from streams.commands.connections import Connection
    from streams.runtime.reader import Reader

NOTHING_CHANGED = "mend the line; nothing was changed"


def limits(
    file: Annotated[Path, typer.Argument(help="One limit a line: {'name': ..., 'value': ...}, as JSON.")],
    reason: Annotated[str, typer.Option(help="Why they change.")],
    account: Annotated[str, typer.Option(help="Whose limits they are.")] = "",
    deal: Annotated[
        list[str] | None, typer.Option(help="ACCOUNT=WEIGHT, several times: each gets its share of what the file says.")
    ] = None,
    effective_at: Annotated[str, typer.Option(help="Not before this time, ISO 8601 with a zone.  [default: now]")] = "",
    author: AuthorOption = None,
    request_id: RequestOption = None,
    wait: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for each answer.")] = 10.0,
    as_json: AsJson = False,
) -> None:
    """Change limits by a file, taken whole or not at all: a wrong line is named, and nothing is changed."""
    from schemas.risk import LimitChange  # noqa: PLC0415 - help must be quick
    from streams.accounts.risk.limits import objection  # noqa: PLC0415
    from streams.accounts.risk.quotas import NotDealt, dealt  # noqa: PLC0415
    from streams.commands.settings_of import settings  # noqa: PLC0415

    if bool(account) == bool(deal):
        raise Stop("whose limits are they?", next_step="say --account, or --deal for each of several", code=Exit.USAGE)
    read = _limits_in(file)
    try:
        shares = {account: read} if account else dealt(read, _weights(deal or []))
    except NotDealt as error:
        raise Stop(f"{file} cannot be dealt", why=str(error), next_step=NOTHING_CHANGED, code=Exit.USAGE) from error
    found = connect(settings())
    now_us = now_of(found, found.settings.mode)
    asked = {
        "event_time_us": now_us, "author": author_of(author), "reason": reason,
        "effective_at_us": effective_at or now_us,
    }  # fmt: skip
    request = request_of(request_id)
    changes = [
        checked(LimitChange, {**asked, "account_id": name, "limits": [_fields(one) for one in share],
                                  "request_id": f"{request}-{name}" if deal else request})
        for name, share in shares.items()
    ]  # fmt: skip
    for change in changes:
        code, sentence = objection(change, state_of(found, change.account_id)[0].profile.limits)
        if code:
            raise Stop(
                f"{file} is refused for account {change.account_id}: {code}", why=sentence, next_step=NOTHING_CHANGED,
                code=Exit.USAGE,
            )  # fmt: skip
    _carry_out(found, changes, wait, as_json)


def _carry_out(found: "Connection", changes: "list[LimitChange]", wait_s: float, as_json: bool) -> None:
    """Write all changes in one transaction, and tell what each account answers."""
    from schemas.topics import ACCOUNTS_EVENTS  # noqa: PLC0415 - help must be quick
    from streams.runtime.reader import Reader, Start  # noqa: PLC0415
    from streams.runtime.source import Source  # noqa: PLC0415

    reader = Reader(found.cluster, found.codec, ACCOUNTS_EVENTS, found.environment, Start.END)
    source = Source(found.cluster, found.codec, found.environment, "control", atomic_slot="limits")
    try:
        with source.together():
            for change in changes:
                source.write(change)
        answers = _answers(reader, [one for one in changes if one.effective_at_us <= one.event_time_us], wait_s)
    finally:
        source.close()
        reader.close()
    told = {change.account_id: _told(change, answers) for change in changes}
    if as_json:
        show_json({"command": "risk limits", "requests": [one.request_id for one in changes], "accounts": told})
    for change in changes:
        say(f"{change.account_id}: {len(change.limits)} limits {told[change.account_id]}")
    if "refused" in told.values() or "written; nobody answered yet" in told.values():
        raise Stop(
            "not every account took the change",
            next_step="ask again with the same --request-id: the same request is carried out once",
            code=Exit.DEGRADED,
        )


def _answers(reader: "Reader", waited_for: "list[LimitChange]", wait_s: float) -> "dict[str, RiskEvent]":
    """What each account said of its change, by its id."""
    from schemas.risk import RiskEvent, RiskEventKind  # noqa: PLC0415 - help must be quick

    words = {change.account_id: change.reason for change in waited_for}
    found: dict[str, RiskEvent] = {}
    until = time.monotonic() + wait_s
    while len(found) < len(words) and time.monotonic() < until:
        for received in reader.poll(0.1):
            match received.record:
                case RiskEvent(kind=RiskEventKind.LIMIT_CHANGED) as event if (
                    words.get(event.account_id) == event.reason
                ):
                    found[event.account_id] = event
                case RiskEvent(kind=RiskEventKind.LIMIT_REFUSED) as event if event.account_id in words:
                    found[event.account_id] = event
                case _:
                    pass
    return found


def _told(change: "LimitChange", answers: "Mapping[str, RiskEvent]") -> str:
    from schemas.risk import RiskEventKind  # noqa: PLC0415 - help must be quick

    if change.effective_at_us > change.event_time_us:
        return "written; they wait for their time"
    answer = answers.get(change.account_id)
    if answer is None:
        return "written; nobody answered yet"
    return "in force" if answer.kind is RiskEventKind.LIMIT_CHANGED else "refused"


def _limits_in(file: Path) -> "list[Limit]":
    """The limits of a file, one of each line. Raises Stop naming the line that is none."""
    from schemas.edge import InvalidRecord, parse  # noqa: PLC0415 - help must be quick
    from schemas.risk import LimitChange  # noqa: PLC0415

    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        code = Exit.NOT_FOUND if isinstance(error, FileNotFoundError) else Exit.FAILURE
        raise Stop(f"{file} cannot be read", why=str(error), next_step="name a file of NDJSON", code=code) from error
    read: list[Limit] = []
    empty = {
        "event_time_us": 0,
        "account_id": "A",
        "request_id": "r",
        "author": "a",
        "reason": "",
        "effective_at_us": 0,
    }
    for number, line in enumerate(lines, 1):
        try:
            fields = json.loads(line, parse_float=Decimal)
            read += parse(LimitChange, {**empty, "limits": [fields]}).limits
        except InvalidRecord as error:
            why = "; ".join(str(problem).removeprefix("limits.0.") for problem in error.problems)
            raise _wrong(file, number, why) from error
        except (ValueError, ArithmeticError) as error:
            raise _wrong(file, number, f"is not JSON: {error}") from error
    return read


def _wrong(file: Path, number: int, why: str) -> Stop:
    return Stop(f"{file} is refused", why=f"line {number}: {why}", next_step=NOTHING_CHANGED, code=Exit.USAGE)


def _weights(words: list[str]) -> dict[str, Decimal]:
    """ACCOUNT=WEIGHT, as typed."""
    weights: dict[str, Decimal] = {}
    for word in words:
        name, sign, weight = word.partition("=")
        try:
            weights[name] = Decimal(weight)
        except InvalidOperation:
            sign = ""
        if not sign or not name:
            raise Stop(f"--deal {word} is not ACCOUNT=WEIGHT", next_step="say --deal A=2 --deal B=1", code=Exit.USAGE)
    return weights


def _fields(limit: "Limit") -> dict[str, Any]:
    from schemas.edge import to_jsonable  # noqa: PLC0415 - help must be quick

    return {name: value for name, value in to_jsonable(limit).items() if value is not None}
