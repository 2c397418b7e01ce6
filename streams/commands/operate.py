"""`stop` and `resume`: the kill switch, written to Kafka directly, with nothing else needed."""

import random
import time
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.connections import (
    AuthorOption,
    RequestOption,
    author_of,
    checked,
    connect_without_registry,
    mode_of,
    now_of,
    request_of,
)
from streams.commands.outcome import AsJson, Exit, Stop, say, show_json

if TYPE_CHECKING:
    from schemas.control import KillSwitch, Mode
    from streams.commands.connections import Connection
    from streams.runtime.reader import Reader


class StopVerb(StrEnum):
    PAUSE = "pause"
    HALT = "halt"
    FLATTEN = "flatten"


class ScopeWord(StrEnum):
    GLOBAL = "global"
    ACCOUNT = "account"
    STRATEGY = "strategy"
    INSTRUMENT = "instrument"
    PROVIDER = "provider"
    VENUE = "venue"


ScopeOption = Annotated[ScopeWord, typer.Option("--scope", help="What it covers.")]
IdOption = Annotated[str, typer.Option("--id", help="Which account, strategy instance, instrument, provider or venue.")]
DirectOption = Annotated[
    bool, typer.Option("--direct", help="Straight to Kafka, as this command always does; nothing else is asked.")
]
WaitOption = Annotated[float, typer.Option("--wait", min=0, help="Seconds to listen for what accounts answer.")]

CHECKLIST = ("reconciled", "data-fresh", "limits-ok")
"""What a person says to have looked at before trading goes on."""
TRIES = 20
"""How often a switch is said again where others write switches of the same scope at the same time."""
EMERGENCY = "emergency stop"
RESUME = "resume"


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(stop)
    app.command()(resume)


def stop(
    verb: Annotated[
        StopVerb,
        typer.Argument(help="pause: no new risk; halt: also cancel what works; flatten: also close positions."),
    ] = StopVerb.HALT,
    scope: ScopeOption = ScopeWord.GLOBAL,
    scope_id: IdOption = "",
    reason: Annotated[str, typer.Option(help="Why.")] = EMERGENCY,
    author: AuthorOption = None,
    request_id: RequestOption = None,
    wait: WaitOption = 3.0,
    direct: DirectOption = False,
    as_json: AsJson = False,
) -> None:
    """Stop trading at once: one person, one command, one transaction. Only Kafka must answer."""
    del direct
    _switched(verb, scope, scope_id, reason, author, request_id, wait, as_json)


def resume(
    reason: Annotated[str, typer.Option(help="Why trading may go on.")],
    confirm: Annotated[str, typer.Option(help=f"What you have looked at: {','.join(CHECKLIST)}.")] = "",
    scope: ScopeOption = ScopeWord.GLOBAL,
    scope_id: IdOption = "",
    author: AuthorOption = None,
    request_id: RequestOption = None,
    wait: WaitOption = 3.0,
    direct: DirectOption = False,
    as_json: AsJson = False,
) -> None:
    """Allow trading again where it was stopped, once a person has looked at everything on the checklist."""
    del direct
    said = {word.strip() for word in confirm.split(",") if word.strip()}
    lacking = [word for word in CHECKLIST if word not in said]
    strange = sorted(said - set(CHECKLIST))
    if lacking or strange:
        raise Stop(
            f"the checklist lacks {', '.join(lacking)}" if lacking else f"{', '.join(strange)} is not on the checklist",
            why="trading goes on only when a person has looked at all of it",
            next_step=f"look, then say --confirm {','.join(CHECKLIST)}",
            code=Exit.USAGE,
        )
    if not reason.strip():
        raise Stop("the reason is empty", next_step="say --reason why trading may go on", code=Exit.USAGE)
    _switched(RESUME, scope, scope_id, f"{reason} [{', '.join(CHECKLIST)}]", author, request_id, wait, as_json)


def _switched(
    verb: str,
    scope: ScopeWord,
    scope_id: str,
    reason: str,
    author: str | None,
    request_id: str | None,
    wait_s: float,
    as_json: bool,
) -> None:
    """Write one switch, listen for what comes of it, and tell both."""
    if (scope is ScopeWord.GLOBAL) == bool(scope_id):
        wrong = "covers everything, and --id names a part" if scope_id else f"needs --id: which {scope}"
        raise Stop(f"--scope {scope} {wrong}", next_step="correct one of them", code=Exit.USAGE)
    from streams.commands.settings_of import settings  # noqa: PLC0415 - help must be quick

    begun = time.monotonic()
    found = connect_without_registry(settings())
    mode = mode_of(found)
    _compare_modes(found, mode, verb)
    asked = {
        "event_time_us": now_of(found, mode),
        "request_id": request_of(request_id),
        "scope": scope.upper(),
        "scope_id": scope_id,
        "verb": verb.upper(),
        "author": author_of(author),
        "reason": reason,
    }
    listening = _listen(found) if wait_s else None
    try:
        switch, written = _written(found, asked)
        phases = [_durable(switch, written, time.monotonic() - begun)]
        say(phases[0])
        answers: dict[str, Any] = {"accounts": [], "cancels": 0, "orders": 0}
        if listening is not None and written:
            answers = _answers(found, listening, switch, wait_s)
            phases.append(_answered(answers, wait_s))
            say(phases[1])
    finally:
        if listening is not None:
            for reader in listening:
                reader.close()
    if as_json:
        from schemas.edge import to_jsonable  # noqa: PLC0415 - only here

        show_json({"command": "stop", **to_jsonable(switch), "written": written, "phases": phases, **answers})


def _compare_modes(found: "Connection", mode: "Mode | None", verb: str) -> None:
    if mode is None:
        raise Stop(
            f"the environment {found.environment} was never made",
            next_step="name the one that trades in QL_ENVIRONMENT",
            code=Exit.CONFIG,
        )
    if mode is found.settings.mode:
        return
    if verb == RESUME:
        raise Stop(
            f"the environment {found.environment} is {mode}, and the settings say {found.settings.mode}",
            why="who resumes must know what begins to trade",
            next_step=f"set QL_MODE={mode.lower()}",
            code=Exit.CONFIG,
        )
    say(
        f"! the environment {found.environment} is {mode}, the settings say {found.settings.mode}: stopped all the same"
    )


def _written(found: "Connection", asked: dict[str, Any]) -> "tuple[KillSwitch, bool]":
    """The switch, and whether it was written now; the same request twice is written once.

    Of several who ask at once each opens the slot of the scope, which ends what another left open there, and says it
    again where another did so meanwhile: all are written, in some order.
    """
    from streams.runtime.source import Fenced  # noqa: PLC0415 - help must be quick

    for _ in range(TRIES):
        try:
            return _written_once(found, asked)
        except Fenced:
            # By chance, or two who ask at once would end each other's writing again and again.
            time.sleep(random.uniform(0.1, 1.0))  # noqa: S311 - no secret
    raise Stop(
        f"{TRIES} times another request for the same scope came between: nothing is written",
        next_step="see which switches are in force, and say it again",
        code=Exit.FAILURE,
    )


def _written_once(found: "Connection", asked: dict[str, Any]) -> "tuple[KillSwitch, bool]":
    """Open the slot of the scope, and only then read the newest version: what is written follows on it."""
    from schemas.control import KillSwitch  # noqa: PLC0415 - help must be quick
    from schemas.ids import short_id  # noqa: PLC0415
    from streams.runtime.reader import KillSwitchReader  # noqa: PLC0415
    from streams.runtime.source import Source  # noqa: PLC0415

    first = checked(KillSwitch, {**asked, "version": 1})
    slot = f"kill.{short_id(first.scope_key)}"
    source = Source(found.cluster, found.codec, found.environment, "control", atomic_slot=slot)
    reader = KillSwitchReader(found.cluster, found.codec, found.environment)
    try:
        reader.wait_until_ready()
        newest = reader.switches().get(first.scope_key)
        if newest is not None and newest.request_id == first.request_id:
            return newest, False
        switch = checked(KillSwitch, {**asked, "version": newest.version + 1 if newest is not None else 1})
        with source.together():
            source.write(switch)
        return switch, True
    finally:
        reader.close()
        source.close()


def _durable(switch: "KillSwitch", written: bool, seconds: float) -> str:
    from schemas.topics import destinations  # noqa: PLC0415 - help must be quick

    topics = " and ".join(topic.name for topic in destinations("control", type(switch)))
    what = f"{switch.verb} {switch.scope_key.rstrip('/')} version {switch.version}, request {switch.request_id}"
    if not written:
        return f"✓ in force    {what}: it was written before, nothing is written twice"
    return f"✓ in force    {what}: in {topics}, in one transaction  {seconds:.1f} s"


def _listen(found: "Connection") -> "list[Reader]":
    """Readers of what the accounts room says from now on."""
    from schemas.topics import ACCOUNTS_EVENTS, ORDERS_COMMANDS  # noqa: PLC0415 - help must be quick
    from streams.runtime.reader import Reader, Start  # noqa: PLC0415

    return [
        Reader(found.cluster, found.codec, topic, found.environment, Start.END)
        for topic in (ACCOUNTS_EVENTS, ORDERS_COMMANDS)
    ]


def _answers(found: "Connection", listening: "list[Reader]", switch: "KillSwitch", wait_s: float) -> dict[str, Any]:
    """Accounts that carried the switch out, and the cancels and closing orders that they sent."""
    from schemas.order import CancelOrder, SubmitOrder  # noqa: PLC0415 - help must be quick
    from schemas.risk import RiskEvent  # noqa: PLC0415

    accounts: set[str] = set()
    cancels = orders = 0
    until = time.monotonic() + wait_s
    while time.monotonic() < until:
        for reader in listening:
            for received in reader.poll(0.05):
                match received.record:
                    case RiskEvent(verb=switch.verb, scope=switch.scope, scope_id=switch.scope_id) as event:
                        accounts.add(event.account_id)
                    case CancelOrder():
                        cancels += 1
                    case SubmitOrder(reduce_only=True):
                        orders += 1
    return {"accounts": sorted(accounts), "cancels": cancels, "orders": orders}


def _answered(answers: dict[str, Any], wait_s: float) -> str:
    if not answers["accounts"]:
        return (
            f"! accounts    nobody answered within {wait_s:g} s: is a worker with the accounts room up? "
            "Execution obeys the switch all the same"
        )
    names = ", ".join(answers["accounts"])
    return f"✓ accounts    {names}; {answers['cancels']} cancels and {answers['orders']} closing orders sent"
