"""`setup`, and the roles that are no rooms: `sink`, `clock` and `relay`. Each runs until SIGTERM or Ctrl-C."""

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.outcome import AsJson, Exit, Stop, say, show_json
from streams.commands.servers import step

if TYPE_CHECKING:
    from connectors.clickhouse.sink import Sink
    from streams.settings import Settings

FolderOption = Annotated[Path | None, typer.Option("--folder", help="Local state.  [default: .quantumleap]")]
KafkaOption = Annotated[str | None, typer.Option("--bootstrap-servers", help="Kafka.  [default: embedded]")]
RegistryOption = Annotated[str | None, typer.Option("--registry-url", help="Schema registry.  [default: embedded]")]
ClickHouseOption = Annotated[str | None, typer.Option("--clickhouse-url", help="ClickHouse.  [default: embedded]")]
HealthOption = Annotated[
    int | None, typer.Option("--health-port", help="Where it answers; a free port where it is taken.  [default: 18080]")
]
LOOK_EVERY_S = 0.5
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(setup)
    app.command()(sink)
    app.command()(clock)
    app.command()(relay)


def setup(
    folder: FolderOption = None,
    bootstrap_servers: KafkaOption = None,
    registry_url: RegistryOption = None,
    clickhouse_url: ClickHouseOption = None,
    as_json: AsJson = False,
) -> None:
    """Make topics, schemas, tables and the environment with its mode; a second time changes nothing."""
    from streams.commands.data import clickhouse_url as clickhouse_address  # noqa: PLC0415 - help must be quick
    from streams.commands.settings_of import settings  # noqa: PLC0415
    from streams.commands.topic_tools import kafka_address, registry_address  # noqa: PLC0415
    from streams.preparation import prepare  # noqa: PLC0415

    chosen = settings(
        folder=folder, bootstrap_servers=bootstrap_servers, registry_url=registry_url, clickhouse_url=clickhouse_url
    )
    steps: list[dict[str, Any]] = []

    def told(name: str, text: str, begun: float) -> None:
        steps.append({"step": name, "found": text, "seconds": round(time.monotonic() - begun, 3)})
        step(name, text, begun)

    prepare(
        chosen,
        bootstrap_servers=kafka_address(chosen),
        registry_url=registry_address(chosen),
        clickhouse_url=clickhouse_address(chosen),
        author="quantumleap setup",
        step=told,
    )
    if as_json:
        show_json({"command": "setup", "environment": chosen.environment, "mode": chosen.mode, "steps": steps})


def sink(
    member: Annotated[
        str | None, typer.Option(help="Name that survives a restart: its partitions wait for it.  [default: the slot]")
    ] = None,
    folder: FolderOption = None,
    bootstrap_servers: KafkaOption = None,
    registry_url: RegistryOption = None,
    clickhouse_url: ClickHouseOption = None,
    health_port: HealthOption = None,
) -> None:
    """Carry every topic into ClickHouse until stopped; while ClickHouse is away, only the lag grows."""
    from connectors.clickhouse.sink import Sink  # noqa: PLC0415 - help must be quick
    from connectors.registry.client import ConfluentRegistry  # noqa: PLC0415
    from streams.commands.connections import connect  # noqa: PLC0415
    from streams.commands.data import clickhouse_url as clickhouse_address  # noqa: PLC0415
    from streams.commands.endpoint import serving, watch_sink  # noqa: PLC0415
    from streams.commands.settings_of import settings  # noqa: PLC0415
    from streams.commands.topic_tools import registry_address  # noqa: PLC0415
    from streams.preparation import clickhouse_of  # noqa: PLC0415

    chosen = settings(
        folder=folder,
        bootstrap_servers=bootstrap_servers,
        registry_url=registry_url,
        clickhouse_url=clickhouse_url,
        health_port=health_port,
    )
    found = connect(chosen)
    server = clickhouse_of(chosen, clickhouse_address(chosen))
    registry = ConfluentRegistry(registry_address(chosen))
    sinking = Sink(
        found.cluster.bootstrap_servers, chosen.environment, server, registry.schema, member=member or chosen.slot
    )
    _until_stopped(sinking.stop)
    ended = threading.Event()
    watching = threading.Thread(target=_watch, args=(sinking, ended), name="watch", daemon=True)
    say(f"✓ sink        {chosen.environment} into {server.database} at {server.url}")
    watching.start()
    try:
        with serving(chosen.environment, "sink", chosen.health_port) as exporter:
            watch_sink(sinking, server, exporter)
            progress = sinking.run()
    finally:
        ended.set()
        watching.join()
    say(f"stopped: {progress.records} records, {progress.rows} rows, {progress.problems} problems")


def _watch(sinking: "Sink", ended: threading.Event) -> None:
    """Say when ClickHouse goes away, when it is back, and when all that was written so far is in it."""
    failures, away, caught_up = 0, False, False
    while not ended.wait(LOOK_EVERY_S):
        progress = sinking.progress
        if progress.failures > failures and not away:
            say(f"! ClickHouse or the registry is away: {progress.last_failure}; the lag grows, nothing is lost")
        elif away and progress.failures == failures:
            say("ClickHouse is back")
        away, failures = progress.failures > failures, progress.failures
        if sinking.caught_up and not caught_up:
            say(f"caught up: {progress.records} records so far")
        caught_up = sinking.caught_up


def clock(
    folder: FolderOption = None,
    bootstrap_servers: KafkaOption = None,
    registry_url: RegistryOption = None,
    health_port: HealthOption = None,
) -> None:
    """Tell every inbox the time, each second, until stopped. In a replay the time is the feed's."""
    from streams.commands.settings_of import settings  # noqa: PLC0415 - help must be quick

    chosen = settings(
        folder=folder, bootstrap_servers=bootstrap_servers, registry_url=registry_url, health_port=health_port
    )
    _refuse_replay(chosen, "clock", "the time of a replay is that of its records")
    from streams.commands.connections import connect  # noqa: PLC0415
    from streams.commands.endpoint import clock_samples, serving  # noqa: PLC0415
    from streams.runtime.source import Source  # noqa: PLC0415
    from streams.sources.clock import Clock  # noqa: PLC0415

    found = connect(chosen)
    source = Source(found.cluster, found.codec, found.environment, "clock")
    ticking = Clock(source, say)
    stopping = _until_stopped()
    say(f"✓ clock       ticks each second for {found.environment}")
    try:
        with serving(chosen.environment, "clock", chosen.health_port) as exporter:
            exporter.ask(source.samples)
            exporter.ask(lambda: clock_samples(ticking))
            ticking.run(stopping)
    finally:
        source.close()
    say(f"stopped: {ticking.ticks} ticks")


def relay(
    folder: FolderOption = None,
    bootstrap_servers: KafkaOption = None,
    registry_url: RegistryOption = None,
    health_port: HealthOption = None,
) -> None:
    """Carry marks of instruments to every account, conflated each tenth of a second, until stopped."""
    from streams.commands.settings_of import settings  # noqa: PLC0415 - help must be quick

    chosen = settings(
        folder=folder, bootstrap_servers=bootstrap_servers, registry_url=registry_url, health_port=health_port
    )
    _refuse_replay(chosen, "relay", "a replay relays its marks step by step, in its own turns")
    from streams.commands.connections import connect  # noqa: PLC0415
    from streams.commands.endpoint import relay_samples, serving  # noqa: PLC0415
    from streams.runtime.source import Source  # noqa: PLC0415
    from streams.sources.relay import MarksRelay  # noqa: PLC0415

    found = connect(chosen)
    source = Source(found.cluster, found.codec, found.environment, "relay")
    relaying = MarksRelay(found.cluster, found.codec, found.environment, source, say)
    stopping = _until_stopped()
    say(f"✓ relay       marks of {found.environment} to every account")
    try:
        with serving(chosen.environment, "relay", chosen.health_port) as exporter:
            exporter.ask(source.samples)
            exporter.ask(lambda: relay_samples(relaying))
            relaying.run(stopping)
    finally:
        source.close()
    say(f"stopped: {relaying.marks} marks in {relaying.sent} batches, {relaying.unreadable} unreadable")


def _refuse_replay(chosen: "Settings", role: str, why: str) -> None:
    from schemas.control import Mode  # noqa: PLC0415 - help must be quick

    if chosen.mode is Mode.REPLAY:
        raise Stop(
            f"the {role} does not run in a replay environment",
            why=why,
            next_step="set QL_MODE=paper and name an environment that was made for it (QL_ENVIRONMENT)",
            code=Exit.CONFIG,
        )


def _until_stopped(act: Callable[[], None] | None = None) -> threading.Event:
    """An event that the first SIGTERM or Ctrl-C sets, after calling `act`; a second one ends the process."""
    stopping = threading.Event()

    def stop(number: int, _frame: Any) -> None:
        signal.signal(number, signal.SIG_DFL)
        # From another thread: this one may hold the event's lock at this very moment.
        threading.Thread(target=_all_of, args=(stopping.set, act), name="stop").start()

    for number in STOP_SIGNALS:
        signal.signal(number, stop)
    return stopping


def _all_of(first: Callable[[], None], second: Callable[[], None] | None) -> None:
    first()
    if second is not None:
        second()
