"""Judge: what the simulated topics say, held to the fold by those who judge real topics, and by simpler checkers."""

from collections import defaultdict
from typing import Any

from schemas.record import Record
from schemas.topics import Topic
from streams.runtime.door import Door
from streams.runtime.headers import CAUSE, EVENT_ID, first
from streams.runtime.keys import partition_of
from streams.runtime.partition import Partition
from streams.runtime.room import Room, Routes
from streams.runtime.verify import Verdict, judge
from tests.simulation.broker import Broker, Stored
from tests.simulation.persons import skipped
from tests.simulation.plan import Scene
from tests.simulation.worker import ENVIRONMENT, changelog_of


def verdict_of(broker: Broker, scene: Scene, room: Room[Any, Any]) -> Verdict:
    """What `quantumleap verify` would say of a room."""
    source = room.reads.full_name(ENVIRONMENT)
    written = [topic for topic in scene.topics if room.name in topic.writers]
    return judge(
        Door(room, scene.codec, ENVIRONMENT, changelog_of(room), scene.topics),
        broker.messages(source),
        [message for topic in written for message in broker.messages(topic.full_name(ENVIRONMENT))],
        broker.messages(changelog_of(room)),
        broker.group(f"{ENVIRONMENT}.{room.name}", source).committed,
        skipped(broker, scene.codec, ENVIRONMENT, source),
    )


def ambiguous(broker: Broker, scene: Scene) -> list[str]:
    """Ids that stand for two different records."""
    values: dict[bytes, bytes | None] = {}
    found = []
    for topic in scene.topics:
        for message in broker.messages(topic.full_name(ENVIRONMENT)):
            event_id = first(message.headers(), EVENT_ID)
            if event_id is None or _is_garbage(message):
                continue
            if values.setdefault(event_id, message.value()) != message.value():
                found.append(f"{event_id.decode()} is the id of different records, one in {message!r}")
    return found


def differences(broker: Broker, scene: Scene, room: Room[Any, Any]) -> list[str]:
    """What the records say against what a bare fold of the inbox says: without door, ids, bytes or tables.

    Compared in order for each partition of the inbox and each key of what is said.
    """
    routes = Routes(room.name, scene.topics)
    should: dict[tuple[str, str | None, int], list[Record]] = defaultdict(list)
    partitions: dict[int, Partition[Any, Any]] = {}
    source = room.reads.full_name(ENVIRONMENT)
    skips = skipped(broker, scene.codec, ENVIRONMENT, source)
    for message in broker.messages(source):
        if (message.partition(), message.offset()) in skips:
            continue
        record = _readable(message, scene, room.reads)
        if record is not None:
            number = message.partition()
            partition = partitions.setdefault(number, Partition(room))
            for output in partition.fold(room.reads.key_of(record), record, number):
                for topic in routes[type(output)]:
                    should[topic.name, topic.key_of(output), number].append(output)
    does: dict[tuple[str, str | None, int], list[Record]] = defaultdict(list)
    for topic in scene.topics:
        if room.name in topic.writers and topic.name != "dead.letters":
            for message in broker.messages(topic.full_name(ENVIRONMENT)):
                cause = (first(message.headers(), CAUSE) or b"").decode()
                if cause.startswith(f"{source}/"):
                    output = scene.codec.decode(message.value())
                    does[topic.name, topic.key_of(output), int(cause.split("/")[1])].append(output)
    return [
        f"{place}: should be {should.get(place)}, is {does.get(place)}"
        for place in sorted(should.keys() | does.keys(), key=str)
        if should.get(place) != does.get(place)
    ]


def _readable(message: Stored, scene: Scene, topic: Topic) -> Record | None:
    """The record, if a reader with plain eyes would let it in."""
    if _is_garbage(message):
        return None
    record = scene.codec.decode(message.value())
    wanted = topic.key_of(record)
    if wanted is None:
        return record
    home = partition_of(wanted.encode(), topic.partitions)
    return record if message.key() == wanted.encode() and message.partition() == home else None


def _is_garbage(message: Stored) -> bool:
    value = message.value()
    return value is None or not value.startswith(b"\x00")
