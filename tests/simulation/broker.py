"""Broker: a small and honest model of Kafka, as far as delivery depends on it.

Partitions hold records, records of undecided and aborted transactions, and markers, all of which use offsets up. A
transaction is decided first; its markers reach each partition, and the group's offsets, one by one and later. What
lies behind the first undecided record of a partition is hidden from committed readers. A request is answered at once
where it arrives; the wire is `World.call`'s business.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException

from tests.simulation.groups import Group
from tests.simulation.world import World

MARKER_S_MAX = 0.3
"""However slow: a decision reaches its partitions within this."""

Place = tuple[str, int]
Headers = list[tuple[str, Any]] | None


class Record(NamedTuple):
    """What a writer asks to append; the partition is decided."""

    place: Place
    key: bytes | None
    value: bytes | None
    headers: Headers


class Outcome(Enum):
    """What has been decided of a transaction."""

    OPEN = "open"
    COMMIT = "commit"
    ABORT = "abort"


@dataclass(slots=True, eq=False)
class Txn:
    """One transaction. `pending`: places whose marker has not been written."""

    writer: "Writer"
    epoch: int
    outcome: Outcome = Outcome.OPEN
    pending: set[Place] = field(default_factory=set)
    offsets: dict[str, dict[int, int]] = field(default_factory=dict)


@dataclass(slots=True)
class Writer:
    """What the coordinator knows of one transactional id."""

    name: str
    epoch: int = -1
    reinit: int = -1
    txn: Txn | None = None
    last: Txn | None = None


class Stored:
    """One place in a partition: a record, or a marker. Looks like librdkafka's message."""

    __slots__ = ("_headers", "_key", "_offset", "_place", "_timestamp", "_value", "marker", "txn")

    def __init__(self, record: Record, offset: int, timestamp_ms: int, txn: Txn | None, *, marker: bool = False):
        self._place = record.place
        self._key = record.key
        self._value = record.value
        self._headers = record.headers
        self._offset = offset
        self._timestamp = timestamp_ms
        self.txn = txn
        self.marker = marker

    def topic(self) -> str:
        return self._place[0]

    def partition(self) -> int:
        return self._place[1]

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes | None:
        return self._key

    def value(self) -> bytes | None:
        return self._value

    def headers(self) -> Headers:
        return self._headers

    def timestamp(self) -> tuple[int, int]:
        return (1, self._timestamp)

    def error(self) -> None:
        return None

    @property
    def committed(self) -> bool:
        """A record, and not one of an aborted or undecided transaction."""
        return not self.marker and (self.txn is None or self.txn.outcome is Outcome.COMMIT)

    def __repr__(self) -> str:
        kind = "marker" if self.marker else self.txn.outcome.value if self.txn else "plain"
        return f"{self._place[0]}/{self._place[1]}@{self._offset} {kind} {self._key!r}"


class Log:
    """One partition. Offsets of `entries` rise; compaction leaves holes."""

    __slots__ = ("compacts", "end", "entries", "followers", "offsets", "open", "place", "tombstones")

    def __init__(self, place: Place, compacts: bool):
        self.place = place
        self.compacts = compacts
        self.entries: list[Stored] = []
        self.offsets: list[int] = []
        self.end = 0
        self.open: dict[Txn, int] = {}
        self.followers: list[Callable[[], None]] = []
        self.tombstones: set[int] = set()

    @property
    def stable(self) -> int:
        """The last stable offset: what lies behind it is hidden from committed readers."""
        return min(self.open.values(), default=self.end)

    def append(self, stored: Stored) -> None:
        self.entries.append(stored)
        self.offsets.append(stored.offset())
        self.end += 1

    def read(self, position: int, committed: bool) -> tuple[Stored | None, int]:
        """The first record from here on that the reader may see, and where to go on."""
        end = self.stable if committed else self.end
        entries = self.entries
        at = position if len(entries) == self.end else bisect_left(self.offsets, position)
        for index in range(at, len(entries)):
            stored = entries[index]
            offset = stored.offset()
            if offset >= end:
                break
            if stored.committed or (not committed and not stored.marker):
                return stored, offset + 1
        return None, max(position, end)

    def compact(self) -> None:
        """Keep the last record of each key, as far as all is decided; a tombstone goes the second time."""
        end = self.stable
        newest = {s.key(): s.offset() for s in self.entries if s.offset() < end and s.committed}
        kept = []
        for stored in self.entries:
            offset = stored.offset()
            if offset < end and not stored.marker:
                if not stored.committed or newest[stored.key()] != offset or offset in self.tombstones:
                    continue
                if stored.value() is None:
                    self.tombstones.add(offset)
            kept.append(stored)
        self.entries = kept
        self.offsets = [stored.offset() for stored in kept]


def failure(
    code: int, text: str = "", *, fatal: bool = False, retriable: bool = False, abort: bool = False
) -> KafkaException:
    """An error as librdkafka raises it."""
    return KafkaException(KafkaError(code, text or None, fatal, retriable, abort))


def fenced(text: str) -> KafkaException:
    """The writer is not the last one of its name."""
    return failure(KafkaError._FENCED, text, fatal=True)


@dataclass(slots=True)
class Laws:
    """What the broker, and who asks it, keeps to. A mutation breaks one of them.

    fences_writers: only the last writer of a transactional id is heard.
    fences_members: offsets are taken only from members of the group as it is now.
    withholds_unstable: offsets of an undecided transaction are not told to recovery.
    recovers_committed: recovery reads committed states only.
    recovers_to_end: recovery reads up to the end that includes undecided records.
    """

    fences_writers: bool = True
    fences_members: bool = True
    withholds_unstable: bool = True
    recovers_committed: bool = True
    recovers_to_end: bool = True


class Broker:
    """Topics, transactions and groups."""

    def __init__(self, world: World, *, transaction_s: float, session_s: float, marker_slow: float, laws: Laws | None):
        self.world = world
        self.transaction_s = transaction_s
        self.session_s = session_s
        self.marker_slow = marker_slow
        self.laws = laws or Laws()
        self.logs: dict[Place, Log] = {}
        self.partitions: dict[str, int] = {}
        self.groups: dict[str, Group] = {}
        self.writers: dict[str, Writer] = {}
        self.refused: Counter[str] = Counter()

    def create(self, topic: str, partitions: int, compacts: bool = False) -> None:
        """Make a topic."""
        self.partitions[topic] = partitions
        for partition in range(partitions):
            self.logs[topic, partition] = Log((topic, partition), compacts)

    def group(self, name: str, topic: str) -> Group:
        """The group of this name; it reads one topic."""
        found = self.groups.get(name)
        if found is None:
            found = self.groups[name] = Group(self.world, name, self.partitions[topic], self.session_s)
            found.checks = self.laws.fences_members
        return found

    def messages(self, topic: str) -> list[Stored]:
        """All that a committed reader sees of a topic now, by partition and offset."""
        return [
            stored
            for partition in range(self.partitions[topic])
            for log in (self.logs[topic, partition],)
            for end in (log.stable,)
            for stored in log.entries
            if stored.committed and stored.offset() < end
        ]

    def append(self, record: Record, txn: Txn | None = None, marker: bool = False) -> Stored:
        """Append to the end of a partition."""
        log = self.logs[record.place]
        stored = Stored(record, log.end, int(self.world.now * 1000), txn, marker=marker)
        log.append(stored)
        if txn is None:
            self._tell(log)
        return stored

    def _tell(self, log: Log) -> None:
        for follower in log.followers:
            follower()

    def init(self, name: str, reinit: int | None = None) -> int | None:
        """Begin a new epoch of a transactional id; None while an older transaction is not over.

        reinit: the epoch that asks for a new one, after an error of its own; it is refused once another has begun.
        """
        writer = self.writers.setdefault(name, Writer(name))
        if reinit is not None and self.laws.fences_writers and reinit not in (writer.epoch, writer.reinit):
            raise fenced(f"{name} has another writer")
        txn = writer.txn
        if txn is not None:
            if txn.outcome is Outcome.OPEN:
                writer.epoch += 1
                self._decide(writer, Outcome.ABORT)
            return None
        writer.epoch += 1
        writer.reinit = -1
        return writer.epoch

    def produce(self, name: str, epoch: int, records: Iterable[Record]) -> bool:
        """Append in the writer's transaction, and begin one if there is none; False while the last is not over."""
        writer = self.writers[name]
        for record in records:
            txn = writer.txn
            if txn is not None and txn.epoch == epoch and txn.outcome is not Outcome.OPEN:
                if epoch == writer.epoch:
                    return False
                # A fenced writer: where the marker has not come yet, the partition still takes its record in.
                if record.place in txn.pending:
                    self.append(record, txn)
                    continue
            self._check(writer, epoch, abortable=True)
            txn = writer.txn
            if txn is not None and txn.outcome is not Outcome.OPEN:
                return False
            txn = txn or self._begin(writer)
            log = self.logs[record.place]
            if record.place not in txn.pending:
                txn.pending.add(record.place)
                log.open[txn] = log.end
            self.append(record, txn)
        return True

    def add_group(self, name: str, epoch: int, group: str) -> bool:
        """Make the group's offsets part of the transaction; False while the last is not over."""
        writer = self.writers[name]
        self._check(writer, epoch)
        if writer.txn is not None and writer.txn.outcome is not Outcome.OPEN:
            return False
        txn = writer.txn or self._begin(writer)
        txn.pending.add((group, -1))
        return True

    def add_offsets(self, name: str, epoch: int, metadata: Any, topic: str, offsets: dict[int, int]) -> None:
        """Offsets that will hold if the transaction commits. Refused for who is no member of the group as it is now."""
        writer = self.writers[name]
        self._check(writer, epoch)
        txn = writer.txn
        if txn is None or txn.outcome is not Outcome.OPEN:
            raise fenced(f"{name} has no transaction")
        group = self.group(metadata.group, topic)
        refusal = group.refusal(metadata)
        if refusal is not None:
            self.refused[KafkaError(refusal).name()] += 1
            raise failure(refusal, "not a member as the group is now", abort=True)
        txn.offsets.setdefault(metadata.group, {}).update(offsets)
        group.pending.setdefault(id(txn), (txn, set()))[1].update(offsets)

    def finish(self, name: str, epoch: int, outcome: Outcome) -> None:
        """Commit or abort. Asked again about what it decided, it says so again."""
        writer = self.writers[name]
        txn = writer.txn
        done = txn if txn is not None and txn.outcome is not Outcome.OPEN else writer.last
        same = done is not None and done.epoch == epoch and done.outcome is outcome and (txn is None or txn is done)
        if same and epoch == writer.epoch:
            return
        self._check(writer, epoch)
        if txn is not None and txn.outcome is Outcome.OPEN:
            self._decide(writer, outcome)

    def expire(self, name: str) -> None:
        """The writer's open transaction takes too long."""
        writer = self.writers[name]
        if writer.txn is not None and writer.txn.outcome is Outcome.OPEN:
            self.refused["a transaction timed out"] += 1
            self.world.tell(f"transaction of {name} timed out")
            writer.reinit = writer.epoch
            writer.epoch += 1
            self._decide(writer, Outcome.ABORT)

    def _check(self, writer: Writer, epoch: int, abortable: bool = False) -> None:
        if epoch == writer.epoch or not self.laws.fences_writers:
            return
        if abortable and epoch == writer.reinit:
            raise failure(KafkaError.INVALID_PRODUCER_EPOCH, "the transaction timed out", abort=True)
        self.refused["a fenced writer"] += 1
        raise fenced(f"{writer.name} has another writer")

    def _begin(self, writer: Writer) -> Txn:
        txn = writer.txn = Txn(writer, writer.epoch)
        self.world.at(
            self.transaction_s * (1 + 0.2 * self.world.chance()),
            lambda: self.expire(writer.name) if writer.txn is txn else None,
        )
        return txn

    def _decide(self, writer: Writer, outcome: Outcome) -> None:
        txn = writer.txn
        assert txn is not None
        txn.outcome = outcome
        self.world.hit(f"decided {outcome.value}", None)
        if not txn.pending:
            self._over(txn)
            return
        world = self.world
        for place in sorted(txn.pending):
            wait = min(MARKER_S_MAX, world.latency() * self.marker_slow)
            world.at(wait, lambda place=place: self._mark(txn, place))  # type: ignore[misc]  # bound early

    def _mark(self, txn: Txn, place: Place) -> None:
        txn.pending.discard(place)
        if place[1] < 0:
            self._mark_group(txn, place[0])
        else:
            log = self.logs[place]
            del log.open[txn]
            self.append(Record(place, None, None, None), txn, marker=True)
            self._tell(log)
        if not txn.pending:
            self._over(txn)

    def _mark_group(self, txn: Txn, name: str) -> None:
        group = self.groups.get(name)
        if group is None:
            return
        group.pending.pop(id(txn), None)
        if txn.outcome is Outcome.COMMIT:
            group.committed.update(txn.offsets.get(name, {}))

    def _over(self, txn: Txn) -> None:
        writer = txn.writer
        if writer.txn is txn:
            writer.last, writer.txn = txn, None

    def open_transactions(self) -> list[str]:
        """Names of writers with an undecided transaction."""
        return [name for name, writer in self.writers.items() if writer.txn is not None]
