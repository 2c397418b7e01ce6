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
    from streams.replay.conductor import Child
    from streams.replay.order import Order
    from streams.settings import Settings

REPLAY = "replay"


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(run)


def run(
    data: DataOption = "oil",
    first: FromOption = FIRST,
    last: ToOption = LAST,
    strategy: StrategyOption = None,
    cash: CashOption = "1000000",
    speed: Annotated[str, typer.Option(help="Simulated seconds a second, or `max`.")] = "max",
    mode: Annotated[str, typer.Option(help="replay; live trading never starts from here.")] = "replay",
    folder: Annotated[Path | None, typer.Option(help="Where all data is kept.  [default: .quantumleap]")] = None,
    bootstrap_servers: Annotated[str | None, typer.Option(help="Kafka.  [default: embedded]")] = None,
    registry_url: Annotated[str | None, typer.Option(help="Schema registry.  [default: embedded]")] = None,
    clickhouse_url: Annotated[str | None, typer.Option(help="ClickHouse.  [default: embedded]")] = None,
    ephemeral: Annotated[bool, typer.Option("--ephemeral", help="Keep nothing; servers end with the run.")] = False,
    as_json: AsJson = False,
) -> None:
    """Replay recorded markets through the whole engine on real servers. A second time it goes on where it was."""
    from streams.commands.servers import start_all, stop_all  # noqa: PLC0415 - help must be quick
    from streams.commands.settings_of import settings  # noqa: PLC0415

    _refuse(mode)
    plan_of(data, first, last, strategy, cash)
    simulated = _speed(speed)
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
        order = _order(chosen, addresses, (data, first, last, strategy, cash, simulated))
        found, seconds = _replayed(order, chosen, engine)
    finally:
        if engine is not None:
            engine.stop()
        if ephemeral:
            stop_all(chosen)
            _forget(chosen.folder)
    if as_json:
        show_json({"command": "run", **found, "seconds": round(seconds, 3)})
        return
    show_summary(found, seconds)
    if ephemeral:
        say("nothing was kept; next: quantumleap run · quantumleap backtest · quantumleap data list")
        return
    say(f"data is kept in {chosen.folder}; the servers stay up until `quantumleap down`")
    say(f"any ClickHouse client: {addresses.clickhouse_url} database {_database(chosen)}")
    say('next: quantumleap report · quantumleap sql "select * from fills limit 5" · quantumleap down')


def _refuse(mode: str) -> None:
    if mode.lower() == "live":
        raise Stop(
            "`run` never trades live",
            why="live trading needs a mode, a typed venue, limits and a matching account",
            next_step="see `quantumleap worker --help`",
            code=Exit.CONFIG,
        )
    if mode.lower() == "paper":
        raise Stop(
            "`run` replays recorded markets, and a replay is not paper trading",
            why="paper trading lives in wall time, by the ticks of a feed that goes on for days; what is recorded has "
            "its own time, and an order of it would be late at once",
            next_step="with QL_MODE=paper and an environment of its own: quantumleap setup, then sink, clock, relay "
            "and worker; a feed of yours writes to market.ticks",
            code=Exit.USAGE,
        )
    if mode.lower() != "replay":
        raise Stop(f"--mode {mode} is not a mode of `run`", next_step="use --mode replay", code=Exit.USAGE)


def _speed(text: str) -> float:
    try:
        speed = 0.0 if text == "max" else float(text)
    except ValueError:
        speed = -1.0
    if not 0 <= speed < float("inf") or (text != "max" and speed == 0):
        raise Stop(f"--speed {text} is not a speed", next_step="give a number above 0, or max", code=Exit.USAGE)
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
                f"{chosen.folder} holds another replay",
                why="a folder holds one: the same data, first day, strategies and cash; only its last day may grow",
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


def _replayed(order: "Order", chosen: "Settings", engine: "Child | None") -> tuple[dict[str, Any], float]:
    from streams.replay.conductor import Conductor  # noqa: PLC0415 - help must be quick

    return Conductor(order, chosen, say, engine).run()


def _database(chosen: "Settings") -> str:
    from connectors.clickhouse.client import database_of  # noqa: PLC0415 - help must be quick

    return database_of(chosen.environment)


def _forget(folder: Path) -> None:
    import shutil  # noqa: PLC0415 - help must be quick

    shutil.rmtree(folder, ignore_errors=True)
