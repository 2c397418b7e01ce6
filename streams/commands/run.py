"""`run`: recorded markets through the whole engine on real servers, with everything in ClickHouse at the end."""

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.outcome import AsJson, Exit, Stop, say, show_json
from streams.commands.replay import (
    FIRST,
    LAST,
    CashOption,
    DataOption,
    FromOption,
    StrategyOption,
    ToOption,
    plan_of,
    show_summary,
)

if TYPE_CHECKING:
    from streams.replay.child import Child
    from streams.replay.order import Order
    from streams.settings import Settings

REPLAY, PAPER = "replay", "paper"
MAX = "max"
PAPER_SPEED_MAX = 50
"""Recorded times a second; a worker on a laptop folds more, but then hops take longer than the times between."""


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(run)


def run(
    data: DataOption = "oil",
    first: FromOption = FIRST,
    last: ToOption = LAST,
    strategy: StrategyOption = None,
    cash: CashOption = "1000000",
    speed: Annotated[
        str | None,
        typer.Option(
            help="Replay: simulated seconds a second, or `max`. Paper: recorded times a second.  "
            "[default: max; on paper 1]",
            show_default=False,
        ),
    ] = None,
    mode: Annotated[
        str,
        typer.Option(help="replay: rooms take turns in recorded time. paper: all goes on in wall time. Never live."),
    ] = REPLAY,
    folder: Annotated[Path | None, typer.Option(help="Where all data is kept.  [default: .quantumleap]")] = None,
    bootstrap_servers: Annotated[str | None, typer.Option(help="Kafka.  [default: embedded]")] = None,
    registry_url: Annotated[str | None, typer.Option(help="Schema registry.  [default: embedded]")] = None,
    clickhouse_url: Annotated[str | None, typer.Option(help="ClickHouse.  [default: embedded]")] = None,
    ephemeral: Annotated[bool, typer.Option("--ephemeral", help="Keep nothing; servers end with the run.")] = False,
    as_json: AsJson = False,
) -> None:
    """Recorded markets through the whole engine on real servers. A second time it goes on where it was."""
    from streams.commands.servers import start_all, stop_all  # noqa: PLC0415 - help must be quick
    from streams.commands.settings_of import settings  # noqa: PLC0415

    mode = mode.lower()
    _refuse(mode)
    plan_of(data, first, last, strategy, cash)
    pace = _speed(speed, mode)
    kept = Path(tempfile.mkdtemp(prefix="quantumleap-")) if ephemeral else folder
    ports = {"kafka_port": 0, "registry_port": 0, "clickhouse_port": 0} if ephemeral else {}
    chosen = settings(
        folder=kept,
        mode=mode,
        bootstrap_servers=bootstrap_servers,
        registry_url=registry_url,
        clickhouse_url=clickhouse_url,
        **ports,
    )
    engine = _engine(chosen)
    try:
        addresses = start_all(chosen)
        order = _order(chosen, addresses, (data, first, last, strategy, cash, pace))
        if mode == PAPER:
            _say_what_paper_means(pace)
        found, seconds = _conducted(order, chosen, engine)
    finally:
        if engine is not None:
            engine.stop()
        if ephemeral:
            stop_all(chosen)
            _forget(chosen.folder)
    if as_json:
        show_json({"command": "run", "mode": mode, **found, "seconds": round(seconds, 3)})
        return
    show_summary(found, seconds)
    if ephemeral:
        say("nothing was kept; next: quantumleap run · quantumleap backtest · quantumleap data list")
        return
    say(f"data is kept in {chosen.folder}; the servers stay up until `quantumleap down`")
    say(f"any ClickHouse client: {addresses.clickhouse_url} database {_database(chosen)}")
    if mode == PAPER:
        say("next, with QL_MODE=paper: quantumleap replay inbox · quantumleap verify · quantumleap run --mode paper")
        return
    say('next: quantumleap report · quantumleap sql "select * from fills limit 5" · quantumleap down')


def _say_what_paper_means(pace: float) -> None:
    say(f"paper: what was recorded for one time is told as if it happened now, {pace:g} a second, by the wall clock;")
    say("       a bar of a day stays one, but minutes, days and the limits on them are those of the wall")


def _refuse(mode: str) -> None:
    if mode.lower() == "live":
        raise Stop(
            "`run` never trades live",
            why="live trading needs a mode, a typed venue, limits and a matching account",
            next_step="see `quantumleap worker --help`",
            code=Exit.CONFIG,
        )
    if mode.lower() not in (REPLAY, PAPER):
        raise Stop(f"--mode {mode} is not a mode of `run`", next_step="use replay or paper", code=Exit.USAGE)


def _speed(text: str | None, mode: str) -> float:
    """What was asked for, or what the mode does by itself; 0 is as fast as it goes."""
    if text is None:
        text = "1" if mode == PAPER else MAX
    try:
        speed = 0.0 if text == MAX else float(text)
    except ValueError:
        speed = -1.0
    if not 0 <= speed < float("inf") or (text != MAX and speed == 0):
        raise Stop(f"--speed {text} is not a speed", next_step="give a number above 0, or max", code=Exit.USAGE)
    if mode == PAPER and not 0 < speed <= PAPER_SPEED_MAX:
        raise Stop(
            f"--speed {text} is too fast for wall time",
            why="paper trading waits for nobody: what comes faster than it is folded is refused as late",
            next_step=f"give recorded times a second, at most {PAPER_SPEED_MAX}",
            code=Exit.USAGE,
        )
    return speed


def _order(chosen: "Settings", addresses: Any, asked: tuple[Any, ...]) -> "Order":
    """The order for the engine's process, if this folder may carry it out."""
    import msgspec  # noqa: PLC0415 - help must be quick

    from streams.commands.data import imported_folder  # noqa: PLC0415
    from streams.replay.order import Order  # noqa: PLC0415

    data, first, last, strategy, cash, speed = asked
    plan = plan_of(data, first, last, strategy, cash)
    order = Order(
        data=data,
        imported=str(imported_folder().absolute()),
        from_us=plan.from_us,
        until_us=plan.until_us,
        strategies=[(one.strategy_name, list(one.parameters)) for one in plan.deployments],
        cash=cash,
        environment=chosen.environment,
        bootstrap_servers=addresses.bootstrap_servers,
        registry_url=addresses.registry_url,
        clickhouse_url=addresses.clickhouse_url,
        replication=chosen.replication,
        speed=speed,
        mode=chosen.mode,
    )
    kept = chosen.folder / REPLAY / "order.json"
    if kept.exists():
        try:
            earlier = msgspec.json.decode(kept.read_bytes(), type=Order)
        except msgspec.MsgspecError as error:
            raise Stop(
                f"{kept} cannot be read, so nobody knows what {chosen.folder} holds",
                why=str(error),
                next_step="name another --folder, or run `quantumleap down` and remove this one",
            ) from error
        if not order.continues(earlier):
            raise Stop(
                f"{chosen.folder} holds another run, a {earlier.mode.lower()} of {earlier.data}",
                why="a folder holds one: the same mode, data, first day, strategies and cash; only its last day may "
                "grow",
                next_step="name another --folder, use --ephemeral, or run `quantumleap down` and remove the folder",
                code=Exit.CONFIG,
            )
    return order


def _engine(chosen: "Settings") -> "Child | None":
    """An engine's process that loads while the servers start; None where the folder cannot be written, as they say."""
    from streams.replay.conductor import engine_of  # noqa: PLC0415 - help must be quick

    with suppress(OSError):
        return engine_of(chosen)
    return None


def _conducted(order: "Order", chosen: "Settings", engine: "Child | None") -> tuple[dict[str, Any], float]:
    from streams.replay.conductor import Conductor  # noqa: PLC0415 - help must be quick

    return Conductor(order, chosen, say, engine).run()


def _database(chosen: "Settings") -> str:
    from connectors.clickhouse.client import database_of  # noqa: PLC0415 - help must be quick

    return database_of(chosen.environment)


def _forget(folder: Path) -> None:
    import shutil  # noqa: PLC0415 - help must be quick

    shutil.rmtree(folder, ignore_errors=True)
