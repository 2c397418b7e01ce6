"""`strategy`: what is installed, what a rehearsal says of it, and requests to instances while they run."""

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.connections import (
    AuthorOption,
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
from streams.commands.replay import FIRST, LAST, DataOption, FromOption, ToOption, plan_of

if TYPE_CHECKING:
    from schemas.control import Parameter, StrategyControl
    from schemas.strategy import StrategyEvent
    from streams.strategies.plugin import Strategy
    from streams.strategies.rehearsal import Report, Told

strategy = group("Strategies: rehearse, deploy, pause, resume, change and stop instances of them.")

NameArgument = Annotated[str, typer.Argument(help="The strategy, as `strategy list` calls it.")]
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The instance's strategy_id.")]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="parameter=value; may be repeated.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why.")]
WaitOption = Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for the answer.")]
InstrumentOption = Annotated[str | None, typer.Option("--instrument", help="Our id of one.  [default: all of the set]")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(strategy, name="strategy")


@strategy.command("list")
def list_installed(as_json: AsJson = False) -> None:
    """Every strategy that can be deployed, with its parameters."""
    from streams.strategies.catalogue import installed  # noqa: PLC0415 - help must be quick
    from streams.strategies.plugin import COMMON  # noqa: PLC0415

    rows = [
        (name, one.name, one.default, _bounds(one.low, one.high, one.choices), one.meaning)
        for name, plugin in sorted(installed().items())
        for one in (*plugin.declares, *COMMON)
    ]
    columns = ("strategy", "parameter", "default", "bounds", "meaning")
    if as_json:
        show_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        show_table("", columns, rows)


def _bounds(low: float, high: float, choices: tuple[str, ...]) -> str:
    return " ".join(choices) if choices else "" if low == -high else f"{low:g} to {high:g}"


@strategy.command()
def validate(
    name: NameArgument,
    parameters: SetOption = None,
    instrument: InstrumentOption = None,
    data: DataOption = "oil",
    first: FromOption = FIRST,
    last: ToOption = LAST,
    as_json: AsJson = False,
) -> None:
    """Rehearse a strategy on recorded markets; exit code 1 where it must not be deployed."""
    plugin, given = _plugin(name), _parameters(parameters)
    reports = _rehearsed(plugin, given, instrument, data, first, last)
    if as_json:
        rows = [(about, report._asdict() | {"passed": report.passed}) for about, report in reports.items()]
        show_json([{"instrument": about, **row} for about, row in rows])
    else:
        columns = ("instrument", "records", "intents", "test", "finding")
        show_table("", columns, [row for about, report in reports.items() for row in _rows(about, report)])
    _refuse_failed(name, reports)


@strategy.command()
def deploy(
    name: NameArgument,
    instrument: Annotated[str, typer.Option("--instrument", help="Our id of the instrument.")],
    account: Annotated[str, typer.Option("--account", help="Who trades.")],
    strategy_id: Annotated[
        str | None, typer.Option("--id", help="Of the new instance.  [default: strategy.instrument.account]")
    ] = None,
    parameters: SetOption = None,
    data: DataOption = "oil",
    first: FromOption = FIRST,
    last: ToOption = LAST,
    reason: ReasonOption = "",
    author: AuthorOption = None,
    request_id: RequestOption = None,
    wait: WaitOption = 5.0,
    as_json: AsJson = False,
) -> None:
    """Rehearse a strategy on recorded markets, and deploy it where it passed."""
    plugin, given = _plugin(name), _parameters(parameters)
    reports = _rehearsed(plugin, given, None, data, first, last)
    _refuse_failed(name, reports)
    say(f"✓ rehearsed   {name} on {sum(report.records for report in reports.values())} records of {data}")
    fields = {
        "verb": "DEPLOY",
        "strategy_id": strategy_id or f"{name}.{instrument}.{account}".lower().replace("_", "-"),
        "strategy_name": name,
        "instrument_id": instrument,
        "account_id": account,
        "parameters": _plain(given),
    }
    _ask(fields, reason, author, request_id, wait, as_json)


@strategy.command()
def pause(
    strategy_id: IdArgument,
    reason: ReasonOption = "",
    author: AuthorOption = None,
    request_id: RequestOption = None,
    wait: WaitOption = 5.0,
    as_json: AsJson = False,
) -> None:
    """Ask an instance nothing until it is resumed; what it holds stays."""
    _ask({"verb": "PAUSE", "strategy_id": strategy_id}, reason, author, request_id, wait, as_json)


@strategy.command()
def resume(
    strategy_id: IdArgument,
    reason: ReasonOption = "",
    author: AuthorOption = None,
    request_id: RequestOption = None,
    wait: WaitOption = 5.0,
    as_json: AsJson = False,
) -> None:
    """Let a paused instance, or one at fault, go on."""
    _ask({"verb": "RESUME", "strategy_id": strategy_id}, reason, author, request_id, wait, as_json)


@strategy.command()
def stop(
    strategy_id: IdArgument,
    reason: ReasonOption = "",
    author: AuthorOption = None,
    request_id: RequestOption = None,
    wait: WaitOption = 5.0,
    as_json: AsJson = False,
) -> None:
    """End an instance for good; its memory goes, and its id may be deployed anew."""
    _ask({"verb": "STOP", "strategy_id": strategy_id}, reason, author, request_id, wait, as_json)


@strategy.command()
def change(
    strategy_id: IdArgument,
    parameters: SetOption = None,
    reason: ReasonOption = "",
    author: AuthorOption = None,
    request_id: RequestOption = None,
    wait: WaitOption = 5.0,
    as_json: AsJson = False,
) -> None:
    """Give an instance other parameters while it runs; those not named keep their values."""
    given = _parameters(parameters)
    if not given:
        raise Stop("nothing is to be changed", next_step="say --set parameter=value", code=Exit.USAGE)
    fields = {"verb": "CHANGE", "strategy_id": strategy_id, "parameters": _plain(given)}
    _ask(fields, reason, author, request_id, wait, as_json)


def _plugin(name: str) -> "Strategy[Any]":
    from streams.strategies.catalogue import installed  # noqa: PLC0415 - help must be quick

    known = installed()
    if name not in known:
        raise Stop(
            f"there is no strategy {name!r}",
            why=f"installed are {', '.join(sorted(known))}",
            next_step="name one of them, or install a package with the entry point quantumleap.strategies",
            code=Exit.NOT_FOUND,
        )
    return known[name]


def _parameters(words: list[str] | None) -> "list[Parameter]":
    from schemas.control import Parameter  # noqa: PLC0415 - help must be quick

    found = []
    for word in words or ():
        name, separator, value = word.partition("=")
        if not (name and separator):
            raise Stop(f"--set {word} cannot be read", next_step="write --set parameter=value", code=Exit.USAGE)
        found.append(Parameter(name=name, value=value))
    return found


def _plain(given: "list[Parameter]") -> list[dict[str, str]]:
    return [{"name": one.name, "value": one.value} for one in given]


def _rehearsed(
    plugin: "Strategy[Any]", given: "list[Parameter]", instrument: str | None, data: str, first: str, last: str
) -> "dict[str, Report]":
    """What a rehearsal says of the strategy on each instrument of the set, or on one."""
    from streams.strategies.rehearsal import validate as rehearse  # noqa: PLC0415 - help must be quick

    tapes = _tapes(data, first, last)
    if instrument is not None and instrument not in tapes:
        raise Stop(
            f"{data} has no records of {instrument} from {first} to {last}",
            why=f"there are {', '.join(tapes) or 'none'}",
            next_step="name one of them, or another --data",
            code=Exit.NOT_FOUND,
        )
    return {name: rehearse(plugin, tapes[name], given) for name in tapes if instrument in (None, name)}


def _tapes(data: str, first: str, last: str) -> "dict[str, list[Told]]":
    """What strategies are told of each instrument in a replay of the set in which nobody trades."""
    from dataclasses import replace  # noqa: PLC0415 - help must be quick

    from schemas.market import Bar, MarketCondition  # noqa: PLC0415
    from schemas.signal import AcceptedSignal  # noqa: PLC0415
    from schemas.topics import STRATEGIES_INBOX  # noqa: PLC0415
    from streams.replay.backtest import Backtest  # noqa: PLC0415

    tapes: dict[str, list[Told]] = {}

    def take(_topic: Any, record: Any) -> None:
        if isinstance(record, Bar | MarketCondition | AcceptedSignal):
            tapes.setdefault(record.instrument_id, []).append(record)

    replay = Backtest(replace(plan_of(data, first, last, None, "1000000"), deployments=()))
    replay.log.topic(STRATEGIES_INBOX).tap(take)
    replay.run()
    return dict(sorted(tapes.items()))


def _rows(about: str, report: "Report") -> list[tuple[Any, ...]]:
    if report.passed:
        return [(about, report.records, report.intents, "all", "passed")]
    return [(about, report.records, report.intents, one.test, one.detail) for one in report.findings]


def _refuse_failed(name: str, reports: "dict[str, Report]") -> None:
    failed = {about: report for about, report in reports.items() if not report.passed}
    if failed or not reports:
        said = [f"{about}: {one.test}: {one.detail}" for about, report in failed.items() for one in report.findings]
        raise Stop(
            f"{name} did not pass its rehearsal",
            why="; ".join(said) or "there was nothing to rehearse on",
            next_step="mend it, or its parameters; nothing was deployed",
        )


def _ask(
    fields: dict[str, Any], reason: str, author: str | None, request_id: str | None, wait_s: float, as_json: bool
) -> None:
    """Write the request, wait for what becomes of it, and tell."""
    from schemas.control import Mode, StrategyControl  # noqa: PLC0415 - help must be quick
    from schemas.topics import STRATEGIES_EVENTS  # noqa: PLC0415
    from streams.commands.settings_of import settings  # noqa: PLC0415
    from streams.runtime.reader import Reader, Start  # noqa: PLC0415
    from streams.runtime.source import Source  # noqa: PLC0415

    found = connect(settings())
    if found.settings.mode is Mode.REPLAY:
        raise Stop(
            f"the environment {found.environment} is a replay",
            why="its strategies are those that it was begun with, or its result could not be had again",
            next_step="see `--strategy` of `quantumleap run`; or name a paper environment in QL_ENVIRONMENT",
            code=Exit.CONFIG,
        )
    # Named, so that the instrument answers at once.
    unsaid = {"strategy_name": "", "instrument_id": _instrument_of(found, fields["strategy_id"]), "account_id": ""}
    control = checked(
        StrategyControl,
        {
            **unsaid,
            **fields,
            "event_time_us": now_of(found, found.settings.mode),
            "request_id": request_of(request_id),
            "author": author_of(author),
            "reason": reason,
        },
    )
    # A request asked before was answered before.
    start = Start.BEGINNING if request_id else Start.END
    reader = Reader(found.cluster, found.codec, STRATEGIES_EVENTS, found.environment, start)
    source = Source(found.cluster, found.codec, found.environment, "control")
    try:
        say(f"asking: request {control.request_id}")
        source.write(control)
        source.flush()
        answer = _answer(reader, control, wait_s)
    finally:
        source.close()
        reader.close()
    _tell(control, answer, wait_s, as_json)


def _instrument_of(found: Any, strategy_id: str) -> str:
    """Where the instance was last said to be; empty where nobody has told of it yet."""
    from schemas.strategy import StrategyEvent  # noqa: PLC0415 - help must be quick
    from schemas.topics import STRATEGIES_EVENTS  # noqa: PLC0415

    events = [one for one in records_of(found, STRATEGIES_EVENTS) if isinstance(one, StrategyEvent)]
    return next((one.instrument_id for one in reversed(events) if one.strategy_id == strategy_id), "")


def _answer(reader: Any, control: "StrategyControl", wait_s: float) -> "StrategyEvent | None":
    """What the strategies room said of the request, if it did within the time."""
    from schemas.strategy import StrategyEvent  # noqa: PLC0415 - help must be quick

    until = time.monotonic() + wait_s
    while time.monotonic() < until:
        for received in reader.poll(0.1):
            if isinstance(received.record, StrategyEvent) and received.record.request_id == control.request_id:
                return received.record
    return None


def _tell(control: "StrategyControl", answer: "StrategyEvent | None", wait_s: float, as_json: bool) -> None:
    from schemas.edge import to_jsonable  # noqa: PLC0415 - help must be quick
    from schemas.strategy import StrategyChange, StrategyCode  # noqa: PLC0415

    if as_json:
        show_json({"request": to_jsonable(control), "answer": None if answer is None else to_jsonable(answer)})
    elif answer is not None and answer.change is not StrategyChange.REFUSED:
        held = " ".join(f"{one.name}={one.value}" for one in answer.parameters)
        print(f"{answer.strategy_id} {answer.change} {held}".rstrip())
    if answer is None:
        raise Stop(
            f"nobody answered within {wait_s:g} s; the request is written and not lost",
            why="no worker has the strategies room, or its instrument answers with the next record that it is told",
            next_step=f"look at `quantumleap status`; the same again is --request-id {control.request_id}",
            code=Exit.PARTIAL,
        )
    if answer.change is StrategyChange.REFUSED:
        unknown = answer.code is StrategyCode.UNKNOWN_INSTANCE
        raise Stop(
            f"refused: {answer.code}",
            why=answer.detail,
            next_step="correct the request; nothing was changed",
            code=Exit.NOT_FOUND if unknown else Exit.FAILURE,
        )
