"""`topics` and `schemas`: the map on Kafka, and the Avro files with the registry that serves them."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.groups import group
from streams.commands.outcome import AsJson, Exit, Stop, say, show_json, show_table

if TYPE_CHECKING:
    from connectors.kafka.provision import DesiredTopic, Provisioner

schemas = group("Avro schemas of the records: write, compare, register.")
topics = group("The topic map: look at it, make it so on Kafka, compare.")
BootstrapOption = Annotated[
    str | None, typer.Option("--bootstrap-servers", help="Kafka.  [default: the embedded broker]")
]

LISTENING_S = 2.0


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(topics, name="topics")
    app.add_typer(schemas, name="schemas")


@topics.command("list")
def list_topics(as_json: AsJson = False) -> None:
    """Every topic of the map, in the order in which a record walks."""
    from schemas.topics import FOREVER, TOPICS  # noqa: PLC0415 - help must be quick

    rows = [
        (
            topic.name,
            topic.key,
            " ".join(topic.writers),
            " ".join(topic.readers),
            topic.partitions,
            "for ever" if topic.retention_ms == FOREVER else f"{topic.retention_ms // 86_400_000} days",
            topic.cleanup,
            " ".join(record.__name__ + ("*" if record in topic.broadcast else "") for record in topic.records),
        )
        for topic in TOPICS
    ]
    columns = ("topic", "key", "written by", "read by", "partitions", "kept", "cleanup", "records")
    if as_json:
        show_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        show_table("", columns, rows)
        say("* broadcast: to every partition")


@topics.command()
def apply(bootstrap_servers: BootstrapOption = None, as_json: AsJson = False) -> None:
    """Make every topic of this environment; a second time changes nothing. A partition count is never changed."""
    provisioner, wanted = _provisioner(bootstrap_servers)
    _tell(provisioner.apply(wanted), as_json, "all topics were as the map says")


@topics.command()
def diff(bootstrap_servers: BootstrapOption = None, as_json: AsJson = False) -> None:
    """What `topics apply` would do, and what only a person can mend; exit code 7 where there is any."""
    provisioner, wanted = _provisioner(bootstrap_servers)
    found = provisioner.diff(wanted)
    _tell(found, as_json, "all topics are as the map says")
    if found:
        raise Stop(
            f"{len(found)} differences from the map", next_step="run `quantumleap topics apply`", code=Exit.DEGRADED
        )


@topics.command()
def acl(
    user: Annotated[str, typer.Option(help="Name of the role's user; {role} stands for the role.")] = "{role}",
    as_json: AsJson = False,
) -> None:
    """What every role may do on Kafka, as `kafka-acls` grants it."""
    from connectors.kafka.permissions import permissions  # noqa: PLC0415 - help must be quick
    from streams.commands.settings_of import settings  # noqa: PLC0415

    found = permissions(settings().environment)
    if as_json:
        show_json([{name: getattr(one, name) for name in one.__slots__} for one in found])
    else:
        for one in found:
            print(one.command(user.replace("{role}", one.role)))


@topics.command()
def asyncapi() -> None:
    """The map as an AsyncAPI 3 document, as JSON."""
    from importlib.metadata import version  # noqa: PLC0415 - help must be quick

    from connectors.kafka.asyncapi import asyncapi as document  # noqa: PLC0415
    from streams.commands.settings_of import settings  # noqa: PLC0415

    chosen = settings()
    show_json(document(chosen.environment, version("quantumleap"), chosen.bootstrap_servers or "localhost:19092"))


def _provisioner(bootstrap_servers: str | None) -> "tuple[Provisioner, list[DesiredTopic]]":
    from connectors.kafka.provision import Provisioner, desired  # noqa: PLC0415 - help must be quick
    from streams.commands.settings_of import settings  # noqa: PLC0415

    chosen = settings(bootstrap_servers=bootstrap_servers)
    address = {"bootstrap.servers": kafka_address(chosen)}
    return Provisioner(address), desired(chosen.environment, chosen.replication)


def _tell(found: Any, as_json: bool, otherwise: str) -> None:
    if as_json:
        show_json([str(difference) for difference in found])
        return
    for difference in found:
        print(difference)
    if not found:
        say(otherwise)


def kafka_address(settings: Any) -> str:
    """The address given, or that of the embedded broker. Raises Stop where none runs."""
    if settings.bootstrap_servers:
        return _listening(str(settings.bootstrap_servers))
    from connectors.embedded.errors import NotRunning  # noqa: PLC0415 - not installed everywhere
    from connectors.embedded.kafka import KafkaServer  # noqa: PLC0415

    try:
        return KafkaServer.attach(settings.folder / "kafka").bootstrap_servers
    except NotRunning as error:
        raise Stop(
            f"no Kafka runs on {settings.folder}",
            why="neither QL_BOOTSTRAP_SERVERS nor an embedded broker is there",
            next_step="start the servers with `quantumleap up`",
            code=Exit.UNREACHABLE,
        ) from error


def _listening(bootstrap_servers: str) -> str:
    """The address, unless every broker in it refuses at once: the client would ask on for a quarter of a minute."""
    import socket  # noqa: PLC0415 - help must be quick
    from urllib.parse import urlsplit  # noqa: PLC0415

    refusals = []
    for server in bootstrap_servers.split(","):
        try:
            parts = urlsplit(f"//{server.strip().rpartition('://')[2]}")
            socket.create_connection((parts.hostname or "", parts.port or 9092), timeout=LISTENING_S).close()
        except TimeoutError:  # slow is not away
            break
        except (OSError, ValueError) as error:
            refusals.append(f"{server.strip()}: {error}")
        else:
            break
    else:
        raise Stop(
            f"Kafka at {bootstrap_servers} does not answer",
            why="; ".join(refusals),
            next_step="start it, or correct the address (QL_BOOTSTRAP_SERVERS); `quantumleap up` starts one here",
            code=Exit.UNREACHABLE,
        )
    return bootstrap_servers


@schemas.command()
def generate() -> None:
    """Write the Avro files that the records ask for; a published version is never edited."""
    from schemas.versions import generate as write  # noqa: PLC0415 - help must be quick

    for difference in write():
        print(f"{difference.change.lower()}  {difference.path.parent.name}/{difference.path.name}")


@schemas.command()
def check() -> None:
    """Compare the Avro files with the records; exit code 1 where they differ."""
    from schemas.versions import differences  # noqa: PLC0415 - help must be quick

    found = differences()
    for difference in found:
        print(f"{difference.change.lower()}  {difference.path.parent.name}/{difference.path.name}")
    if found:
        raise Stop(
            f"{len(found)} Avro files are not what the records say", next_step="run `quantumleap schemas generate`"
        )
    say("all Avro files are what the records say")


@schemas.command()
def publish(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be published.")] = False,
) -> None:
    """Fix every Avro file as it is, for ever: from now on a change of its record is a new version."""
    from connectors.registry.publish import incompatible  # noqa: PLC0415 - help must be quick
    from schemas.record import record_name  # noqa: PLC0415
    from schemas.topics import records  # noqa: PLC0415
    from schemas.versions import differences, unpublished, versions  # noqa: PLC0415
    from schemas.versions import publish as fix  # noqa: PLC0415

    lagging = [str(difference) for difference in differences()]
    subjects = [record_name(cls) for cls in records()]
    breaking = [] if lagging else [f"{name} {why}" for name in subjects for why in incompatible(versions(name))]
    if lagging or breaking:
        raise Stop(
            "nothing was published",
            why="; ".join(lagging or breaking),
            next_step="run `quantumleap schemas generate`" if lagging else "change the record until both read both",
        )
    named = unpublished() if dry_run else fix()
    for name in named:
        print(name)
    say(f"{len(named)} versions {'would be' if dry_run else 'are now'} published" if named else "all are published")


@schemas.command()
def register(
    registry_url: Annotated[str | None, typer.Option(help="Registry.  [default: the embedded one]")] = None,
) -> None:
    """Register every schema, FULL_TRANSITIVE, and print the ids."""
    from connectors.registry.client import ConfluentRegistry  # noqa: PLC0415 - help must be quick
    from connectors.registry.publish import register as send  # noqa: PLC0415
    from streams.commands.settings_of import settings  # noqa: PLC0415

    registry = ConfluentRegistry(registry_address(settings(registry_url=registry_url)))
    for record, number in send(registry).items():
        print(f"{number:>5}  {record.__name__}")


def registry_address(settings: Any) -> str:
    """The address given, or that of the embedded registry. Raises Stop where none runs."""
    if settings.registry_url:
        return str(settings.registry_url)
    from connectors.embedded.errors import NotRunning  # noqa: PLC0415 - not installed everywhere
    from connectors.embedded.registry import RegistryServer  # noqa: PLC0415

    try:
        return RegistryServer.attach(settings.folder / "registry").url
    except NotRunning as error:
        raise Stop(
            f"no schema registry runs on {settings.folder}",
            why="neither QL_REGISTRY_URL nor an embedded registry is there",
            next_step="start the servers with `quantumleap up`",
            code=Exit.UNREACHABLE,
        ) from error
