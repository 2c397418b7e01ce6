"""How commands reach a running environment: addresses, codec, mode and time; and how they check what people typed."""

import getpass
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar

import typer

from streams.commands.outcome import Exit, Stop, say

if TYPE_CHECKING:
    from connectors.registry.client import ConfluentRegistry
    from schemas.codec import Codec
    from schemas.control import Mode
    from schemas.record import Record
    from schemas.topics import Topic
    from streams.runtime.clients import Cluster
    from streams.runtime.reader import Received
    from streams.settings import Settings

AuthorOption = Annotated[str | None, typer.Option("--author", help="Who asks.  [default: the user of this machine]")]
RequestOption = Annotated[
    str | None, typer.Option("--request-id", help="The same id twice is one request.  [default: a new one]")
]
REGISTRY_S = 1.0
"""An emergency does not wait longer for each answer of the registry."""
TAIL = 2_000
"""Offsets looked back for the newest tick of a replay."""

_Record = TypeVar("_Record", bound="Record")


class Connection(NamedTuple):
    """An environment on Kafka."""

    settings: "Settings"
    cluster: "Cluster"
    codec: "Codec"

    @property
    def environment(self) -> str:
        """Its name."""
        return self.settings.environment


def connect(chosen: "Settings") -> Connection:
    """The environment, for which Kafka and the registry must answer. Raises Stop, or as `require_mode`."""
    from connectors.kafka.environment import require_mode  # noqa: PLC0415 - help must be quick
    from connectors.registry.client import ConfluentRegistry  # noqa: PLC0415
    from connectors.registry.publish import fetch_from  # noqa: PLC0415
    from schemas.codec import Codec  # noqa: PLC0415
    from schemas.topics import records  # noqa: PLC0415
    from streams.commands.topic_tools import kafka_address, registry_address  # noqa: PLC0415

    address = kafka_address(chosen)
    registry = ConfluentRegistry(registry_address(chosen))
    known = list(records())
    codec = Codec(_ids(chosen, registry, known), fetch_from(registry))
    require_mode({"bootstrap.servers": address}, codec, chosen.environment, chosen.mode)
    return Connection(chosen, _cluster(chosen, address), codec)


def connect_without_registry(chosen: "Settings") -> Connection:
    """The environment, for which Kafka alone must answer: schema ids are those remembered where the registry is away.

    The mode is not compared: whoever stops must not be stopped by a setting.
    """
    from connectors.registry.client import ConfluentRegistry  # noqa: PLC0415 - help must be quick
    from connectors.registry.errors import RegistryError  # noqa: PLC0415
    from connectors.registry.remembered import recall  # noqa: PLC0415
    from schemas.codec import Codec  # noqa: PLC0415
    from schemas.control import KillSwitch  # noqa: PLC0415
    from streams.commands.topic_tools import kafka_address, registry_address  # noqa: PLC0415
    from streams.preparation import ids_file  # noqa: PLC0415

    address = kafka_address(chosen)
    try:
        ids = _ids(chosen, ConfluentRegistry(registry_address(chosen), timeout_s=REGISTRY_S), [KillSwitch])
    except (RegistryError, Stop) as error:
        ids = recall(ids_file(chosen))
        if KillSwitch not in ids:
            raise Stop(
                "the schema registry does not answer, and no schema ids are remembered here",
                why=str(error),
                next_step=f"copy {ids_file(chosen).name} from a machine that ran `quantumleap setup`, or start the "
                "registry",
                code=Exit.UNREACHABLE,
            ) from error
        say("! the schema registry does not answer; its ids are those remembered here")
    return Connection(chosen, _cluster(chosen, address), Codec(ids))


def _ids(
    chosen: "Settings", registry: "ConfluentRegistry", needed: "Sequence[type[Record]]"
) -> "Mapping[type[Record], int]":
    """Schema ids: those remembered where all that is needed is among them and the registry has not changed since.

    Asking for each would take seconds; a registry that was made anew differs in the first or in the last.
    """
    from connectors.registry.errors import UnknownSchema  # noqa: PLC0415 - help must be quick
    from connectors.registry.publish import resolve_ids  # noqa: PLC0415
    from connectors.registry.remembered import recall, remember  # noqa: PLC0415
    from schemas.avro_schema import avro_text  # noqa: PLC0415
    from schemas.record import record_name  # noqa: PLC0415
    from streams.preparation import ids_file  # noqa: PLC0415

    ids = recall(ids_file(chosen))
    try:
        if all(cls in ids for cls in needed) and all(
            registry.lookup(record_name(cls), avro_text(cls)) == ids[cls] for cls in {needed[0], needed[-1]}
        ):
            return ids
    except UnknownSchema:
        say("! the schema registry is not the one that was met here before")
    ids = resolve_ids(registry)
    try:
        remember(ids, ids_file(chosen))
    except OSError as error:
        say(f"! schema ids cannot be remembered: {error}")
    return ids


def _cluster(chosen: "Settings", address: str) -> "Cluster":
    from streams.runtime.clients import Cluster, GroupProtocol  # noqa: PLC0415 - help must be quick

    return Cluster(address, protocol=GroupProtocol(chosen.group_protocol), session_ms=chosen.session_ms)


def mode_of(found: Connection) -> "Mode | None":
    """The mode for which the environment was made; None where nobody made it."""
    from schemas.control import Environment  # noqa: PLC0415 - help must be quick
    from schemas.topics import CONTROL_ENVIRONMENT  # noqa: PLC0415

    mode = None
    for record in records_of(found, CONTROL_ENVIRONMENT):
        if isinstance(record, Environment) and record.name == found.environment:
            mode = record.mode
    return mode


def now_of(found: Connection, mode: "Mode | None") -> int:
    """The time of the environment, microseconds of UTC: wall time, and in a replay that of its newest tick."""
    from schemas.control import ClockTick, Mode  # noqa: PLC0415 - help must be quick
    from schemas.topics import ACCOUNTS_INBOX  # noqa: PLC0415
    from streams.runtime.offsets import Offsets  # noqa: PLC0415

    wall_us = time.time_ns() // 1000
    if mode is not Mode.REPLAY:
        return wall_us
    offsets, topic = Offsets(found.cluster), ACCOUNTS_INBOX.full_name(found.environment)
    low, end = offsets.lows(topic, [0])[0], offsets.ends(topic, [0])[0]
    tail = records_of(found, ACCOUNTS_INBOX, {0: max(low, end - TAIL)})
    ticks = [record.event_time_us for record in tail if isinstance(record, ClockTick)]
    return max(ticks, default=wall_us)


def records_of(found: Connection, topic: "Topic", start: Mapping[int, int] | None = None) -> "list[Record]":
    """All readable records of a topic up to its end, from these offsets on."""
    return [received.record for received in received_of(found, topic, start) if received.record is not None]


def received_of(found: Connection, topic: "Topic", start: Mapping[int, int] | None = None) -> "list[Received]":
    """The same with where and when each was written, and also those that cannot be read."""
    from streams.runtime.reader import Reader, Start  # noqa: PLC0415 - help must be quick

    reader = Reader(found.cluster, found.codec, topic, found.environment, start or Start.BEGINNING)
    try:
        return list(reader.to_end())
    finally:
        reader.close()


def checked(cls: type[_Record], fields: Mapping[str, Any]) -> _Record:
    """The record that these fields say. Raises Stop with every field that is wrong."""
    from schemas.edge import InvalidRecord, parse  # noqa: PLC0415 - help must be quick

    try:
        return parse(cls, {name: value for name, value in fields.items() if value is not None})
    except InvalidRecord as error:
        raise Stop(
            "what was asked cannot be sent",
            why="; ".join(str(problem) for problem in error.problems),
            next_step="correct it; nothing was sent",
            code=Exit.USAGE,
        ) from error


def author_of(given: str | None) -> str:
    """Who asks: as given, or the user of this machine."""
    if given:
        return given
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise Stop("nobody knows who asks", next_step="say it with --author", code=Exit.USAGE) from None


def request_of(given: str | None) -> str:
    """The request's id: as given, or a new one."""
    import uuid  # noqa: PLC0415 - help must be quick

    return given or uuid.uuid4().hex
