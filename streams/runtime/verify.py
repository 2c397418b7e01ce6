"""Verify: hold what a room left on Kafka to what its fold says, by reading the topics alone.

The inbox is folded again from its beginning. Then every record that the room should have said must lie in its topic
once, with these bytes and in this order; nothing else of this room may lie there; and the states in the changelog must
be those of the fold. `judge` is pure, and judges a simulated log as well; `verify` reads a cluster.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from schemas.dead_letter import DeadLetter, DeadLetterReason
from schemas.topics import TOPICS, Topic
from streams.runtime.clients import Cluster
from streams.runtime.door import ANY_PARTITION, Door
from streams.runtime.headers import CAUSE, EVENT_ID, first
from streams.runtime.intake import Message, RecordCodec
from streams.runtime.keys import partition_of
from streams.runtime.offsets import Offsets
from streams.runtime.reader import read_topic
from streams.runtime.room import Room
from streams.runtime.tables import Birth, Recovered, Table

SHOWN = 5
"""Examples named for each kind of fault."""


class Said(NamedTuple):
    """One record in a topic that the room writes, and the partition of the inbox that caused it."""

    topic: str
    partition: int
    cause: int
    event_id: str
    value: bytes | None


@dataclass(slots=True)
class Verdict:
    """What was found. `ok` only where nothing is wrong and nothing is left to fold.

    missing: ids that the room should have said, and did not, or not so often
    twice: ids said more often in one partition than the fold says them
    wrong: ids whose bytes are not what the fold says
    unknown: ids that the room should not have said
    disordered: partitions of output topics where the order is another than the fold's
    states: keys whose state in the changelog is not that of the fold
    unfolded: records after the committed offset
    truncated: partitions whose inbox no longer begins at its first record; nothing can be said of them
    """

    room: str
    inputs: int = 0
    outputs: int = 0
    letters: int = 0
    missing: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    unfolded: int = 0
    truncated: list[int] = field(default_factory=list)

    @property
    def right(self) -> bool:
        """Nothing is wrong, though records may be left to fold."""
        return not (
            self.missing or self.twice or self.wrong or self.unknown or self.disordered or self.states or self.truncated
        )

    @property
    def ok(self) -> bool:
        """Nothing is wrong and nothing is left."""
        return self.right and not self.unfolded

    def lines(self) -> list[str]:
        """For people."""
        told = [
            f"{self.room}: {'OK' if self.ok else 'right so far' if self.right else 'WRONG'}: "
            f"{self.inputs} inputs, {self.outputs} outputs, {self.letters} dead letters, {self.unfolded} not folded yet"
        ]
        for name in ("missing", "twice", "wrong", "unknown", "disordered", "states", "truncated"):
            found = getattr(self, name)
            if found:
                told.append(f"  {name}: {len(found)}, such as {', '.join(str(one) for one in found[:SHOWN])}")
        return told


def verify(
    room: Room[Any, Any],
    codec: RecordCodec,
    cluster: Cluster,
    environment: str,
    topic_map: tuple[Topic, ...] = TOPICS,
) -> Verdict:
    """Read all that concerns a room, and judge it. Raises reader.ReadStandsStill."""
    changelog = f"{environment}-{room.name}-changelog"
    source = room.reads.full_name(environment)
    # Offsets first: what is committed now must be in the topics that are read after.
    offsets = Offsets(cluster)
    answers = offsets.committed(f"{environment}.{room.name}", source, range(room.reads.partitions))
    committed = {partition: answer.offset or 0 for partition, answer in answers.items()}
    lows = offsets.lows(source, range(room.reads.partitions))
    written = [topic for topic in topic_map if room.name in topic.writers]
    said = {topic: read_topic(cluster, topic.full_name(environment)) for topic in written}
    letters = [message for topic, messages in said.items() if DeadLetter in topic.records for message in messages]
    skips = ordered_skips(letters, codec, source)
    return judge(
        Door(room, codec, environment, changelog, topic_map),
        read_topic(cluster, source),
        [message for messages in said.values() for message in messages],
        read_topic(cluster, changelog),
        committed,
        skips,
        [partition for partition, low in lows.items() if low > 0],
    )


def judge(
    door: Door,
    inbox: Sequence[Message],
    said: Iterable[Any],
    changelog: Iterable[Any],
    committed: Mapping[int, int],
    skips: Iterable[tuple[int, int]] = (),
    truncated: Iterable[int] = (),
) -> Verdict:
    """Fold the inbox up to the committed offsets and compare.

    inbox, said, changelog: committed messages in the order of their partitions.
    """
    verdict = Verdict(door.room.name, truncated=list(truncated))
    door.skips.update(skips)
    folded = [message for message in inbox if message.offset() < committed.get(message.partition(), 0)]
    verdict.inputs, verdict.unfolded = len(folded), len(inbox) - len(folded)
    expected, tables = _folded(door, folded, verdict)
    _compare_said(expected, [_as_said(message) for message in said if _is_of(message, door.source)], verdict)
    _compare_states(door, tables, changelog, verdict)
    return verdict


def _folded(door: Door, messages: Sequence[Message], verdict: Verdict) -> tuple[list[Said], dict[int, Table[Any, Any]]]:
    """What the room should have said, and the tables that it should have."""
    birth = Birth(door.room.name, door.source, door.room.reads.partitions)
    tables: dict[int, Table[Any, Any]] = {}
    expected: list[Said] = []
    for message in messages:
        table = tables.setdefault(message.partition(), Table(door.room, birth))
        for part in door.fold(door.read([message]), tables).values():
            assert part.parked is None, f"the fold raises at {part.parked}, but its offset is committed"
            verdict.letters += part.letters
            expected += [
                Said(
                    write.topic,
                    _home(door, write.topic, write.key, write.partition),
                    message.partition(),
                    _id(write.headers),
                    write.value,
                )
                for write in part.writes
                if write.headers is not None
            ]
        table.settle()
    return expected, tables


def _compare_said(expected: list[Said], actual: list[Said], verdict: Verdict) -> None:
    verdict.outputs = len(actual)
    should, does = _by_place(expected), _by_place(actual)
    for place in sorted(should.keys() | does.keys()):
        values = {said.event_id: said.value for said in should[place]}
        wanted = Counter(said.event_id for said in should[place])
        counts = Counter(said.event_id for said in does[place])
        where = f"{place[0]}/{place[1]}"
        missing = [f"{event_id} in {where}" for event_id in wanted if counts[event_id] < wanted[event_id]]
        unknown = [f"{event_id} in {where}" for event_id in counts if event_id not in wanted]
        twice = [f"{event_id} in {where}" for event_id in wanted if counts[event_id] > wanted[event_id]]
        verdict.missing += missing
        verdict.unknown += unknown
        verdict.twice += twice
        verdict.wrong += [
            f"{said.event_id} in {where}"
            for said in does[place]
            if said.event_id in values and said.value != values[said.event_id]
        ]
        in_order = [said.event_id for said in should[place]] == [said.event_id for said in does[place]]
        if not (in_order or missing or unknown or twice):
            verdict.disordered.append(where)


def _by_place(said: Iterable[Said]) -> "defaultdict[tuple[str, int, int], list[Said]]":
    """By the partition it lies in and the one that caused it: only there is the order the fold's."""
    found: defaultdict[tuple[str, int, int], list[Said]] = defaultdict(list)
    for one in said:
        found[one.topic, one.partition, one.cause].append(one)
    return found


def _compare_states(
    door: Door, tables: Mapping[int, Table[Any, Any]], changelog: Iterable[Any], verdict: Verdict
) -> None:
    read: dict[int, Recovered] = {}
    for message in changelog:
        read.setdefault(message.partition(), Recovered(door.room)).take(message.key(), message.value())
    for partition in sorted(read.keys() | tables.keys()):
        should = tables.get(partition)
        recovered = read.get(partition, Recovered(door.room)).decode()
        does: Table[Any, Any] = Table(door.room, Birth("", "", 0), recovered)
        wanted = should.partition.states if should else {}
        for key in sorted(wanted.keys() | does.partition.states.keys()):
            if wanted.get(key) != does.partition.states.get(key):
                verdict.states.append(f"{key} in partition {partition}")
        if should is not None and should.partition.shared != does.partition.shared:
            verdict.states.append(f"the shared state of partition {partition}")


def ordered_skips(letters: Iterable[Any], codec: RecordCodec, source: str) -> set[tuple[int, int]]:
    """Places (partition, offset) of the inbox that a person ordered to skip, as the dead letters tell."""
    found = set()
    for message in letters:
        record = codec.decode(message.value())
        if (
            isinstance(record, DeadLetter)
            and record.reason is DeadLetterReason.SKIPPED
            and record.source_topic == source
        ):
            found.add((record.source_partition, record.source_offset))
    return found


def _as_said(message: Any) -> Said:
    headers = message.headers()
    cause = int((first(headers, CAUSE) or b"").decode().split("/")[-2])
    return Said(message.topic(), message.partition(), cause, _id(headers), message.value())


def _is_of(message: Any, source: str) -> bool:
    """Whether the record's cause lies in this inbox; others write to the same topics."""
    cause = first(message.headers(), CAUSE)
    return cause is not None and cause.decode().rsplit("/", 2)[0] == source


def _id(headers: Any) -> str:
    return (first(headers, EVENT_ID) or b"").decode()


def _home(door: Door, topic: str, key: bytes | None, partition: int) -> int:
    if partition != ANY_PARTITION:
        return partition
    assert key is not None, "a record without key is written to every partition"
    return partition_of(key, door.partitions_of(topic))
