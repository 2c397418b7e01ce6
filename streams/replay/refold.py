"""Refold: the recorded inbox of accounts through the same fold, held against what was recorded of it, byte for byte.

Parity of live and paper trading: whoever has the inbox can say what every decision must have been.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from schemas.record import Record
from schemas.topics import TOPICS, written_by
from streams.accounts.room import Accounts
from streams.runtime.clients import Cluster
from streams.runtime.door import Door
from streams.runtime.headers import CAUSE, first
from streams.runtime.intake import Message, RecordCodec
from streams.runtime.offsets import Offsets
from streams.runtime.reader import read_topic
from streams.runtime.tables import Birth, Table
from streams.runtime.verify import ordered_skips

COMPARED = tuple(topic for topic in written_by(Accounts.name) if topic.key == "account_id")
"""Where the room says what it decided."""
LETTERS = next(topic for topic in TOPICS if topic.name == "dead.letters")

SHOWN_MAX = 500
AT_ONCE = 500
"""Records folded before their states settle."""

Place = tuple[str, str]
"""Topic, by its name in the map, and account."""


class Difference(NamedTuple):
    """The first place in one account's sequence where record and refold part.

    at: how many records before it are equal; refolded, recorded: the two sides in words, empty where there is none
    """

    topic: str
    account_id: str
    at: int
    refolded: str
    recorded: str


class Refolded(NamedTuple):
    """What came of it.

    inputs: records folded; waiting: records of the inbox that the room has not committed yet, and that were left out
    compared: records compared, by topic
    accounts: that said anything
    parked: why a fold of now raises where the recorded one did not
    """

    inputs: int
    waiting: int
    compared: dict[str, int]
    accounts: list[str]
    differences: list[Difference]
    parked: list[str]

    @property
    def equal(self) -> bool:
        """Whether every decision is what the inbox says it must be."""
        return not self.differences and not self.parked


def refold(cluster: Cluster, codec: RecordCodec, environment: str, account_id: str = "") -> Refolded:
    """Read the inbox and what came of it, and compare. `account_id` names one account; empty means all.

    Raises reader.ReadStandsStill, offsets.TopicGone.
    """
    room = Accounts().bind()
    source = room.reads.full_name(environment)
    # Offsets first: what is committed now lies in the topics that are read after.
    answers = Offsets(cluster).committed(f"{environment}.{room.name}", source, range(room.reads.partitions))
    committed = {partition: answer.offset or 0 for partition, answer in answers.items()}
    inbox = read_topic(cluster, source)
    folded = [message for message in inbox if message.offset() < committed[message.partition()]]
    door = Door(room, codec, environment, f"{environment}-{room.name}-changelog")
    door.skips.update(ordered_skips(read_topic(cluster, LETTERS.full_name(environment)), codec, source))
    refolded, parked = _refolded(door, folded, environment)
    recorded = _recorded(cluster, environment, source, committed)
    wanted = {place for place in refolded.keys() | recorded.keys() if account_id in ("", place[1])}
    differences = [
        found
        for topic, account in sorted(wanted)
        if (found := _compared(topic, account, refolded[topic, account], recorded[topic, account], codec)) is not None
    ]
    counts = {topic.name: sum(len(recorded[p]) for p in wanted if p[0] == topic.name) for topic in COMPARED}
    accounts = sorted({account for _, account in wanted})
    return Refolded(len(folded), len(inbox) - len(folded), counts, accounts, differences, parked)


def _refolded(
    door: Door, messages: Sequence[Message], environment: str
) -> "tuple[defaultdict[Place, list[bytes]], list[str]]":
    """What each account's sequence must be, and why a partition could not be folded on."""
    birth = Birth(door.room.name, door.source, door.room.reads.partitions)
    names = {topic.full_name(environment): topic.name for topic in COMPARED}
    tables: dict[int, Table[Any, Any]] = {p: Table(door.room, birth) for p in range(door.room.reads.partitions)}
    said: defaultdict[Place, list[bytes]] = defaultdict(list)
    parked: list[str] = []
    for at in range(0, len(messages), AT_ONCE):
        for partition, work in door.fold(door.read(messages[at : at + AT_ONCE]), tables).items():
            for write in work.writes:
                if write.topic in names and write.key is not None and write.value is not None:
                    said[names[write.topic], write.key.decode()].append(write.value)
            if work.parked is not None:
                parked.append(f"partition {partition}, offset {work.parked.offset}: {work.parked.error}")
                # What comes after cannot be judged.
                del tables[partition]
            else:
                tables[partition].settle()
    return said, parked


def _recorded(
    cluster: Cluster, environment: str, source: str, committed: Mapping[int, int]
) -> "defaultdict[Place, list[bytes]]":
    """What lies in the topics; what was caused by records that are not judged here is left out."""
    found: defaultdict[Place, list[bytes]] = defaultdict(list)
    for topic in COMPARED:
        for message in read_topic(cluster, topic.full_name(environment)):
            cause = (first(message.headers(), CAUSE) or b"").decode(errors="replace").rsplit("/", 2)
            if len(cause) == 3 and cause[0] == source and int(cause[2]) >= committed[int(cause[1])]:
                continue
            key: bytes | None = message.key()
            found[topic.name, (key or b"").decode(errors="replace")].append(message.value() or b"")
    return found


def _compared(
    topic: str, account: str, refolded: Sequence[bytes], recorded: Sequence[bytes], codec: RecordCodec
) -> Difference | None:
    for at in range(max(len(refolded), len(recorded))):
        ours = refolded[at] if at < len(refolded) else None
        theirs = recorded[at] if at < len(recorded) else None
        if ours == theirs or (ours is not None and ours == _canonical(theirs, codec)):
            continue
        words = _words(ours, theirs, codec)
        return Difference(topic, account, at, *words)
    return None


def _canonical(value: bytes | None, codec: RecordCodec) -> bytes | None:
    """The record as we would write it today: a schema that got a field since changes bytes and nothing else."""
    try:
        return None if value is None else codec.encode(codec.decode(value))
    except ValueError:
        return value


def _words(ours: bytes | None, theirs: bytes | None, codec: RecordCodec) -> tuple[str, str]:
    """Both sides: of the same type the fields that differ, otherwise the whole records."""
    mine, their = _read(ours, codec), _read(theirs, codec)
    if isinstance(mine, Record) and type(mine) is type(their):
        names = [name for name in type(mine).__struct_fields__ if getattr(mine, name) != getattr(their, name)]
        return (_fields(mine, names), _fields(their, names))
    return (str(mine), str(their))


def _fields(record: Any, names: Iterable[str]) -> str:
    return f"{type(record).__name__} {' '.join(f'{name}={getattr(record, name)}' for name in names)}"


def _read(value: bytes | None, codec: RecordCodec) -> Record | str:
    if value is None:
        return ""
    try:
        return codec.decode(value)
    except ValueError as error:
        return f"unreadable: {error}"


def lines(found: Refolded) -> Iterator[str]:
    """For people."""
    for difference in found.differences:
        yield f"{difference.topic} of {difference.account_id}, after {difference.at} equal records:"
        yield f"  refolded: {_short(difference.refolded)}"
        yield f"  recorded: {_short(difference.recorded)}"
    yield from found.parked


def _short(text: str) -> str:
    if len(text) > SHOWN_MAX:
        return f"{text[:SHOWN_MAX]}..."
    return text or "nothing"
