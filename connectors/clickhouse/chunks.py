"""Chunks: bounds said before the rows, so that whoever repeats a chunk repeats it exactly.

A chunk is one range of offsets for each of some partitions. Its rows are a function of the log between those bounds;
inserted again under the same token they are no rows at all. The order is: bounds, rows of each table, positions, done.
Whatever a crash leaves behind is a chunk that is begun and not done, and the next owner of any of its partitions
writes it again before going on behind it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

from connectors.clickhouse.client import UNREADABLE_ROWS, ClickHouse
from connectors.clickhouse.migrate import POSITIONS
from connectors.clickhouse.rows import (
    HEADER_BYTES,
    MAGIC,
    Layout,
    binary,
    container,
    event_place,
    headers_map,
    number,
    place,
    text,
    written,
)
from connectors.clickhouse.tables import CHUNKS, EVENTS
from connectors.errors import Refused

EVENT_ID = "event_id"
"""Header that names the record."""


class Place(NamedTuple):
    """A partition, by the topic's bare name."""

    topic: str
    partition: int


class Range(NamedTuple):
    """Offsets of the first and the last record, both included."""

    first: int
    last: int


class Taken(NamedTuple):
    """One record as it lay in Kafka."""

    offset: int
    written_ms: int
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes | None]] | None


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a chunk covers; `sink` and `sequence` name it."""

    sink: str
    sequence: int
    ranges: Mapping[Place, Range]

    @property
    def token(self) -> str:
        """The same ranges have the same token, whoever writes them."""
        digest = blake2b(digest_size=16)
        for (topic, partition), (first, last) in sorted(self.ranges.items()):
            digest.update(f"{topic}/{partition}/{first}/{last};".encode())
        return digest.hexdigest()


class Ledger:
    """What the sinks of one database have written, and what they were about to write."""

    def __init__(self, server: ClickHouse, sink: str):
        self._server = server
        self._sink = sink
        self._sequence = 0

    def begun(self, ranges: Mapping[Place, Range]) -> Bounds:
        """Say the next chunk's bounds."""
        self._sequence += 1
        bounds = Bounds(self._sink, self._sequence, ranges)
        self._say(bounds, done=False)
        return bounds

    def finished(self, bounds: Bounds) -> None:
        """Say that all rows of the chunk are in their tables."""
        values = ", ".join(
            f"('{topic}', {partition}, {last})" for (topic, partition), (_, last) in sorted(bounds.ranges.items())
        )
        table = f"`{self._server.database}`.`{POSITIONS}`"
        self._server.command(f"INSERT INTO {table} (topic, partition, last) VALUES {values}")  # noqa: S608 - ours
        self._say(bounds, done=True)

    def positions(self) -> dict[Place, int]:
        """The newest offset of each partition whose rows are all in."""
        table = f"`{self._server.database}`.`{POSITIONS}`"
        rows = self._server.rows(
            f"SELECT topic, partition, max(last) FROM {table} GROUP BY topic, partition"  # noqa: S608 - names of ours
        )
        return {Place(topic, partition): last for topic, partition, last in rows}

    def unfinished(self, places: Iterable[Place]) -> list[Bounds]:
        """Chunks that were begun, are not done, and touch one of these partitions; by sink, oldest first."""
        table = f"`{self._server.database}`.`{CHUNKS}`"
        rows = self._server.rows(
            "SELECT sink, number, any(topics), any(partitions), any(firsts), any(lasts) "  # noqa: S608 - names of ours
            f"FROM {table} GROUP BY sink, number HAVING NOT max(done) ORDER BY sink, number"
        )
        wanted = set(places)
        found = []
        for sink, sequence, topics, partitions, firsts, lasts in rows:
            ranges = {
                Place(topic, partition): Range(first, last)
                for topic, partition, first, last in zip(topics, partitions, firsts, lasts, strict=True)
            }
            if wanted & ranges.keys():
                found.append(Bounds(sink, sequence, ranges))
        return found

    def _say(self, bounds: Bounds, *, done: bool) -> None:
        ordered = sorted(bounds.ranges.items())
        topics = ", ".join(f"'{at.topic}'" for at, _ in ordered)
        columns: Sequence[Iterable[int]] = (
            [at.partition for at, _ in ordered],
            [offsets.first for _, offsets in ordered],
            [offsets.last for _, offsets in ordered],
        )
        numbers = ", ".join(f"[{', '.join(map(str, column))}]" for column in columns)
        self._server.command(
            f"INSERT INTO `{self._server.database}`.`{CHUNKS}` "  # noqa: S608 - names and numbers of ours
            "(sink, number, done, topics, partitions, firsts, lasts) "
            f"VALUES ('{bounds.sink}', {bounds.sequence}, {str(done).lower()}, [{topics}], {numbers})"
        )


class Insert(NamedTuple):
    """Rows of one table and one writer's schema. `sources` says where in the chunk each row comes from."""

    table: str
    opening: bytes
    rows: list[bytes]
    sources: list[int]


class _Kind(NamedTuple):
    """What becomes of a value: its record's name in RowBinary, where its row goes, and why it has none."""

    name: bytes
    insert: Insert | None
    problem: str


_NAMELESS = binary(b"")


class Contents:
    """A chunk's records as rows. A pure function of the records, in the order of topics, partitions and offsets."""

    def __init__(self, records: Mapping[Place, Sequence[Taken]], layouts: Mapping[int, Layout | str]):
        """`layouts` holds for each schema id how its values become rows, or why they do not."""
        self.inserts: dict[tuple[str, int], Insert] = {}
        self.problems: dict[int, str] = {}
        self._events: list[tuple[bytes, bytes]] = []
        for at in sorted(records):
            self._add(at, records[at], layouts)

    def _add(self, at: Place, records: Sequence[Taken], layouts: Mapping[int, Layout | str]) -> None:
        middle, topic, partition = place(at.topic, at.partition), binary(at.topic.encode()), at.partition
        events, kinds = self._events, dict[bytes, _Kind]()
        for offset, written_ms, key, value, headers in records:
            event_id = _event_id(headers) or f"{at.topic}/{partition}/{offset}".encode()
            begins = value[:HEADER_BYTES]
            kind = kinds.get(begins)
            if kind is None:
                kind = kinds[begins] = self._kind(at, begins, layouts)
            if kind.insert is not None:
                lay = text(event_id) + middle + number(offset) + written(written_ms)
                kind.insert.rows.append(lay + value[HEADER_BYTES:])
                kind.insert.sources.append(len(events))
            elif kind.problem:
                self.problems[len(events)] = kind.problem
            front = event_place(event_id, topic, partition, offset, written_ms)
            events.append((front + kind.name + binary(key) + headers_map(headers), binary(value)))

    def _kind(self, at: Place, begins: bytes, layouts: Mapping[int, Layout | str]) -> "_Kind":
        """What becomes of values that begin so."""
        schema_id = _schema_id(begins)
        layout = layouts.get(schema_id, "")
        if isinstance(layout, str):
            return _Kind(_NAMELESS, None, layout or _unreadable(begins))
        name = binary(layout.record.encode())
        if layout.topic != at.topic:
            return _Kind(name, None, "")
        insert = self.inserts.get((layout.table, schema_id))
        if insert is None:
            insert = self.inserts[layout.table, schema_id] = Insert(layout.table, layout.opening, [], [])
        return _Kind(name, insert, "")

    def events(self) -> bytes:
        """The raw rows, each with its problem as known by now."""
        problems, fine = self.problems, binary(b"")
        pieces: list[bytes] = []
        for i, (front, value) in enumerate(self._events):
            pieces += (front, binary(problems[i].encode()) if i in problems else fine, value)
        return b"".join(pieces)

    def __len__(self) -> int:
        """How many records."""
        return len(self._events)


def write(server: ClickHouse, contents: Contents, token: str) -> Counter[str]:
    """Insert all rows, those of the types first; return how many by table. What cannot be read becomes a problem.

    Raises Unavailable, and Refused where it is not the rows that are refused.
    """
    count: Counter[str] = Counter()
    for (table, schema_id), insert in sorted(contents.inserts.items(), key=lambda item: item[0]):
        bad = _insert(server, insert, f"{token}/{table}/{schema_id}", 0, len(insert.rows))
        for index, why in bad.items():
            contents.problems[insert.sources[index]] = why
        count[table] += len(insert.rows) - len(bad)
    server.insert_rows(EVENTS, "RowBinary", contents.events(), f"{token}/{EVENTS}")
    count[EVENTS] += len(contents)
    return count


def _insert(server: ClickHouse, insert: Insert, token: str, low: int, high: int) -> dict[int, str]:
    """Insert rows low to high, halving where some are unreadable; return those, with ClickHouse's words."""
    whole = low == 0 and high == len(insert.rows)
    try:
        rows = container(insert.opening, insert.rows if whole else insert.rows[low:high])
        server.insert_rows(insert.table, "Avro", rows, token if whole else f"{token}/{low}-{high}")
    except Refused as error:
        if not blames_rows(error):
            raise
        if high - low == 1:
            return {low: str(error)}
        middle = (low + high) // 2
        return _insert(server, insert, token, low, middle) | _insert(server, insert, token, middle, high)
    return {}


def blames_rows(error: Refused) -> bool:
    """Whether ClickHouse says that the rows themselves are wrong."""
    return int(error.code) in UNREADABLE_ROWS


def _schema_id(value: bytes) -> int:
    return int.from_bytes(value[1:HEADER_BYTES], "big") if len(value) >= HEADER_BYTES and value[0] == MAGIC else -1


def schema_ids(records: Mapping[Place, Sequence[Taken]]) -> set[int]:
    """Schema ids that occur; -1 stands for values that have none."""
    return {_schema_id(taken.value) for takens in records.values() for taken in takens}


def _event_id(headers: list[tuple[str, bytes | None]] | None) -> bytes | None:
    if headers and headers[0][0] == EVENT_ID:
        return headers[0][1]
    for name, value in headers or ():
        if name == EVENT_ID:
            return value
    return None


def _unreadable(value: bytes) -> str:
    return "no value" if not value else f"begins with byte 0x{value[0]:02x}, not with 0x00 and a schema id"
