"""The door lets in what may enter, refuses the rest with a reason, and parks a partition whose fold raises."""

from dataclasses import replace as replaced
from decimal import Decimal
from typing import Any, ClassVar, cast

import msgspec
import pytest
from confluent_kafka import Message as KafkaMessage

from schemas.codec import Codec
from schemas.control import CashMovement, ClockTick
from schemas.dead_letter import DeadLetter, DeadLetterReason, UnreadableRecord
from schemas.ids import short_id
from schemas.record import Record
from schemas.topics import TOPICS, Topic
from streams.runtime.clients import RECORD_BYTES_MAX
from streams.runtime.door import ANY_PARTITION, Door, Work, Write
from streams.runtime.headers import EVENT_ID, EVENT_TIME, output_id
from streams.runtime.intake import Message
from streams.runtime.keys import murmur2, partition_of
from streams.runtime.room import Outcome, Room
from streams.runtime.tables import STATE_BYTES_MAX, Birth, Recovered, Table
from tests.streams.runtime.sums import (
    SUMS_INBOX,
    SUMS_MAP,
    Account,
    Limits,
    Payment,
    Summed,
    SumsRoom,
    limit,
    payment,
    sums_codec,
)
from tests.streams.runtime.tally import TallyRoom, cash

CODEC = sums_codec()
CHANGELOG = "t-sums-changelog"
RESULTS = "t.sums.results"
LETTERS = "t.dead.letters"


class Unfit(SumsRoom):
    """A sums room that does not behave: it raises, lies or swells at payments of certain ids."""

    swell: ClassVar[int] = STATE_BYTES_MAX

    def fold(self, state: Account, shared: Limits, record: Record) -> Outcome[Account]:
        if isinstance(record, Payment):
            match record.payment_id.partition(":")[0]:
                case "raise":
                    raise ZeroDivisionError("no such rule")
                case "undeclared":
                    return Outcome(state, (limit(1),))
                case "huge":
                    said = Summed(
                        event_time_us=1, account_id="ann", payment_id="x" * RECORD_BYTES_MAX, total=Decimal(1)
                    )
                    return Outcome(state, (said,))
                case "swell":
                    return Outcome(Account("x" * self.swell))
                case "misspelt":
                    return Outcome(
                        state, (Summed(event_time_us=1, account_id="ann", payment_id="p", total=cast(Any, "?")),)
                    )
        return super().fold(state, shared, record)


class Bench:
    """A door with one table, and what came through it."""

    def __init__(self, room: Room[Any, Any] | None = None, codec: Codec = CODEC, topics: tuple[Topic, ...] = SUMS_MAP):
        self.room = room or SumsRoom()
        self.inbox = self.room.reads
        self.door = Door(self.room, codec, "t", CHANGELOG, topics)
        self.codec = codec
        self.offset = 0
        birth = Birth(self.room.name, self.door.source, self.inbox.partitions)
        self.tables: dict[int, Table[Any, Any]] = {p: Table(self.room, birth) for p in range(self.inbox.partitions)}

    def message(self, record: Record, **changes: Any) -> Message:
        """The record as its writer should have written it, at the next offset, but for the changes."""
        key = self.inbox.key_of(record)
        encoded = None if key is None else key.encode()
        settings: dict[str, Any] = {
            "key": encoded,
            "value": self.codec.encode(record),
            "partition": 0 if encoded is None else partition_of(encoded, self.inbox.partitions),
            "headers": [(EVENT_ID, short_id("made"))],
            "offset": self.offset,
            "timestamp": (1, 7),
        } | changes
        self.offset = settings["offset"] + 1
        return cast(Message, KafkaMessage(topic=self.door.source, **settings))

    def fold(self, *messages: Message) -> Work:
        return self.door.fold(self.door.read(messages), self.tables)

    def settle(self, work: Work) -> Work:
        for part in work.values():
            part.table.settle()
        return work

    def said(self, *records: Record) -> list[Write]:
        """What is produced for these records, changelog aside."""
        return outputs(self.settle(self.fold(*(self.message(record) for record in records))))


def outputs(work: Work) -> list[Write]:
    """What goes to topics other than the changelog."""
    return [write for part in work.values() for write in part.writes if write.topic != CHANGELOG]


def states(work: Work) -> dict[bytes, bytes | None]:
    """What goes to the changelog."""
    return {
        write.key or b"": write.value for part in work.values() for write in part.writes if write.topic == CHANGELOG
    }


def letter(work: Work) -> DeadLetter:
    """The only dead letter."""
    (write,) = [write for write in outputs(work) if write.topic == LETTERS]
    decoded = CODEC.decode(write.value)
    assert isinstance(decoded, DeadLetter)
    return decoded


def header(write: Write, name: str) -> str:
    (value,) = [value for key, value in write.headers or [] if key == name]
    assert isinstance(value, bytes)
    return value.decode()


@pytest.mark.parametrize(
    ("key", "hashed"),
    [(b"21", -973932308), (b"foobar", -790332482), (b"a-little-bit-long-string", -985981536), (b"abc", 479470107)],
)
def test_a_key_hashes_as_in_java(key: bytes, hashed: int) -> None:
    assert murmur2(key) == hashed % 2**32


def test_a_payment_gives_a_sum_and_a_state_and_moves_the_offset() -> None:
    bench = Bench()
    work = bench.fold(bench.message(payment("ann", 5, "p1"), offset=40))
    (part,) = work.values()
    (out,) = outputs(work)
    assert part.next_offset == 41
    assert CODEC.decode(out.value) == Summed(
        event_time_us=1, account_id="ann", payment_id="p1", total=Decimal("5.000000000000")
    )
    assert (out.topic, out.key, out.partition) == (RESULTS, b"ann", ANY_PARTITION)
    assert header(out, "cause") == f"t.sums.inbox/{ANN}/40"
    assert set(states(work)) == {b"birth", b"ann\x00state"}


def test_ids_do_not_depend_on_offsets() -> None:
    records = [payment("ann", 5, "p1"), payment("ann", 6, "p2")]
    near, far = Bench(), Bench()
    far.offset = 1_000
    ids = [[header(write, EVENT_ID) for write in bench.said(*records)] for bench in (near, far)]
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 2


def test_an_input_that_comes_twice_and_is_answered_otherwise_has_two_ids() -> None:
    bench = Bench()
    ids = [header(write, EVENT_ID) for write in bench.said(payment("ann", 5, "p1"), payment("ann", 5, "p1"))]
    assert len(set(ids)) == 2


def test_the_number_that_a_registry_gave_a_schema_is_no_part_of_an_id() -> None:
    said = payment("ann", 5, "p1")
    value = sums_codec().encode(said)
    other = value[:4] + b"\x63" + value[5:]
    assert output_id("sums", "x", 0, said, value) == output_id("sums", "x", 0, said, other)


def test_a_record_named_by_its_source_needs_no_header_and_ignores_a_false_one() -> None:
    said = [
        outputs(bench.fold(bench.message(payment("ann", 5, "p1"), headers=headers)))
        for bench, headers in ((Bench(), None), (Bench(), [(EVENT_ID, b"false")]))
    ]
    assert header(said[0][0], EVENT_ID) == header(said[1][0], EVENT_ID)


def test_the_trace_goes_with_the_record() -> None:
    bench = Bench()
    (write,) = outputs(bench.fold(bench.message(payment("ann", 5, "p1"), headers=[("traceparent", b"00-a-b-01")])))
    assert header(write, "traceparent") == "00-a-b-01"


ANN = partition_of(b"ann", 4)
GOOD = CODEC.encode(payment("ann", 1, "p"))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"value": b"\xff\xfe"}, DeadLetterReason.NOT_OUR_FORMAT),
        ({"value": None}, DeadLetterReason.NOT_OUR_FORMAT),
        ({"value": b"\0\0\0\0\x63rest"}, DeadLetterReason.UNKNOWN_SCHEMA),
        ({"value": GOOD[:-3]}, DeadLetterReason.TRUNCATED),
        ({"value": GOOD + b"more"}, DeadLetterReason.WRONG_TYPE),
        ({"value": CODEC.encode(Summed(event_time_us=1, account_id="ann", payment_id="p", total=Decimal(1)))},
         DeadLetterReason.WRONG_TOPIC),
        ({"key": None}, DeadLetterReason.NULL_KEY),
        ({"key": b""}, DeadLetterReason.NULL_KEY),
        ({"key": b"bob"}, DeadLetterReason.KEY_MISMATCH),
        ({"partition": (ANN + 1) % 4}, DeadLetterReason.WRONG_PARTITION),
        ({"value": b"\0" * (RECORD_BYTES_MAX + 1)}, DeadLetterReason.TOO_LARGE),
    ],
)  # fmt: skip
def test_what_may_not_enter_becomes_a_dead_letter_and_the_offset_moves(
    changes: dict[str, Any], reason: DeadLetterReason
) -> None:
    bench = Bench()
    work = bench.fold(bench.message(payment("ann", 1, "p"), **changes))
    (part,) = work.values()
    assert letter(work).reason is reason
    assert letter(work).source_topic == "t.sums.inbox"
    assert part.next_offset == 1
    assert part.folded == 0
    assert part.letters == 1


def said() -> Summed:
    return Summed(event_time_us=1, account_id="ann", payment_id="p", total=Decimal(1))


def test_a_dead_letter_keeps_the_bytes_key_and_headers() -> None:
    bench = Bench()
    kept = letter(bench.fold(bench.message(payment("ann", 1, "p"), value=b"\xff", headers=[("h", b"v"), ("n", None)])))
    assert (kept.key, kept.value, kept.headers) == (b"ann", b"\xff", [b"h", b"v", b"n", b""])


def test_a_dead_letter_has_the_time_of_the_header_or_else_of_the_log() -> None:
    times = []
    for headers in ([(EVENT_TIME, b"123")], None, [(EVENT_TIME, b"soon")]):
        bench = Bench()
        times.append(letter(bench.fold(bench.message(payment("a", 1, "p"), value=b"", headers=headers))).event_time_us)
    assert times == [123, 7_000, 7_000]


def test_a_record_of_the_largest_size_enters() -> None:
    bench = Bench()
    short = len(CODEC.encode(payment("ann", 1, "")))
    largest = payment("ann", 1, "x" * (RECORD_BYTES_MAX - short - 2))
    assert len(CODEC.encode(largest)) == RECORD_BYTES_MAX
    (entry,) = bench.door.read([bench.message(largest)])
    assert entry.key == "ann"
    assert type(entry).__name__ == "Arrival"


def test_a_record_without_source_and_without_header_has_no_identity() -> None:
    class Named(SumsRoom):
        reads: ClassVar[Topic] = replaced(SUMS_INBOX, records=(Summed,), broadcast=frozenset())

    bench = Bench(Named())
    assert letter(bench.fold(bench.message(said(), headers=[]))).reason is DeadLetterReason.NO_IDENTITY
    (entry,) = bench.door.read([bench.message(said(), headers=[(EVENT_ID, b"e1")])])
    assert entry.trace is None
    assert getattr(entry, "event_id") == "e1"  # noqa: B009 - an entry may be a refusal, and then this must fail


def test_a_broadcast_record_needs_no_key() -> None:
    bench = Bench()
    (entry,) = bench.door.read([bench.message(limit(10), key=b"whatever")])
    assert entry.key is None
    assert type(entry).__name__ == "Arrival"


@pytest.mark.parametrize(
    ("key", "told"),
    [(b"ann", "ann"), (None, ""), (b"\xff", "")],
)
def test_an_account_hears_of_what_could_not_be_read(key: bytes | None, told: str) -> None:
    heard: list[UnreadableRecord] = []

    class Hearing(TallyRoom):
        def fold(self, state: Any, shared: Any, record: Record) -> Outcome[Any]:
            if isinstance(record, UnreadableRecord):
                heard.append(record)
            return super().fold(state, shared, record)

        def fold_shared(self, shared: Any, record: Record) -> Outcome[Any]:
            if isinstance(record, UnreadableRecord):
                heard.append(record)
            return super().fold_shared(shared, record)

    bench = Bench(Hearing(), Codec.local(), TOPICS)
    bench.fold(bench.message(cash("ann", 1), value=b"?", key=key))
    assert [(record.account_id, record.reason) for record in heard] == [(told, DeadLetterReason.NOT_OUR_FORMAT)]


def test_a_misplaced_record_tells_no_account_of_the_wrong_partition() -> None:
    bench = Bench(TallyRoom(), Codec.local(), TOPICS)
    wrong = (partition_of(b"ann", 4) + 1) % 4
    work = bench.fold(bench.message(cash("ann", 1), partition=wrong))
    assert bench.tables[wrong].partition.states == {}
    assert [write.topic for write in outputs(work)] == [LETTERS]


@pytest.mark.parametrize("fault", ["raise", "undeclared", "huge", "swell", "misspelt"])
def test_a_fold_that_fails_parks_its_partition_at_that_record_and_keeps_what_came_before(fault: str) -> None:
    bench = Bench(Unfit())
    ann = ANN
    other = next(name for name in ("bob", "cid", "dan", "eve") if partition_of(name.encode(), 4) != ann)
    records = [
        payment("ann", 5, "p1"),
        payment("ann", 1, f"{fault}:"),
        payment("ann", 7, "p3"),
        payment(other, 3, "q1"),
    ]
    work = bench.settle(bench.fold(*(bench.message(record) for record in records)))
    parked = work[ann].parked
    assert parked is not None
    assert (parked.offset, parked.key, parked.record_type) == (1, "ann", "Payment")
    assert work[ann].next_offset == 1
    assert bench.tables[ann].partition.states["ann"].total == 5
    assert work[partition_of(other.encode(), 4)].parked is None
    assert [write.key for write in outputs(work)] == [b"ann", other.encode()]


def test_a_fold_that_fails_at_the_first_record_moves_no_offset() -> None:
    bench = Bench(Unfit())
    (part,) = bench.fold(bench.message(payment("ann", 5, "raise:"))).values()
    assert part.next_offset is None
    assert part.writes == []
    assert part.parked is not None
    assert "ZeroDivisionError: no such rule" in part.parked.error


def test_a_record_that_a_person_skipped_is_not_folded_and_the_rest_is() -> None:
    bench = Bench(Unfit())
    ann = ANN
    bench.door.skips.add((ann, 1))
    records = [payment("ann", 5, "p1"), payment("ann", 1, "raise:"), payment("ann", 7, "p3")]
    (part,) = bench.fold(*(bench.message(record) for record in records)).values()
    assert part.parked is None
    assert part.next_offset == 3
    assert bench.tables[ann].partition.states["ann"].total == 12


def test_a_state_that_changes_often_in_a_batch_is_written_once() -> None:
    bench = Bench()
    work = bench.fold(*(bench.message(payment("ann", 1, f"p{n}")) for n in range(5)))
    assert len(outputs(work)) == 5
    assert len([write for part in work.values() for write in part.writes if write.key == b"ann\x00state"]) == 1


def test_a_record_folded_before_is_not_folded_again() -> None:
    bench = Bench()
    bench.settle(bench.fold(bench.message(payment("ann", 5, "p1"), offset=9)))
    (part,) = bench.fold(bench.message(payment("ann", 5, "p1"), offset=9)).values()
    assert part.repeated == 1
    assert bench.tables[ANN].partition.states["ann"].total == 5


def test_a_batch_that_was_not_committed_folds_again_to_the_same_bytes() -> None:
    bench = Bench()
    messages = [bench.message(payment("ann", n, f"p{n}")) for n in range(3)]
    first = bench.fold(*messages)
    bench.tables[ANN].rollback()
    again = bench.fold(*messages)
    assert [part.writes for part in first.values()] == [part.writes for part in again.values()]


def test_broadcast_answers_of_two_partitions_have_two_ids() -> None:
    class Loud(SumsRoom):
        def fold_shared(self, shared: Limits, record: Record) -> Outcome[Limits]:
            return Outcome(shared, (said(),))

    bench = Bench(Loud())
    tick = ClockTick(event_time_us=1, clock_id="c")
    ids = [
        header(write, EVENT_ID)
        for partition in (0, 1)
        for write in outputs(bench.fold(bench.message(tick, partition=partition)))
    ]
    assert len(set(ids)) == 2


def test_states_survive_the_changelog() -> None:
    bench = Bench()
    ann = ANN
    records = [payment("ann", 5, "p1"), limit(9), payment("ann", 5, "p2")]
    work = bench.settle(bench.fold(*(bench.message(record, partition=ann) for record in records)))
    read = Recovered(bench.room)
    for key, value in states(work).items():
        read.take(key, value)
    table: Table[Account, Limits] = Table(SumsRoom(), Birth("sums", "t.sums.inbox", 4), read.decode())
    assert table.partition.states == {"ann": Account("ann", Decimal(5))}
    assert table.partition.shared == Limits(Decimal(9))
    assert (table.applied, table.born) == (2, True)


def test_an_old_state_is_read_by_new_code() -> None:
    class Newer(SumsRoom):
        version: ClassVar[int] = 2

        def upgrade(self, kind: str, version: int, raw: bytes) -> bytes:
            assert (kind, version) == ("state", 1)
            return msgspec.msgpack.encode(msgspec.msgpack.decode(raw) | {"total": "100"})

    bench = Bench()
    work = bench.fold(bench.message(payment("ann", 5, "p1")))
    read = Recovered(Newer())
    read.take(b"ann\x00state", states(work)[b"ann\x00state"])
    assert read.decode().parts["ann"]["state"] == Account("ann", Decimal(100))


def test_a_part_that_is_gone_is_erased_and_one_that_stayed_is_not_written() -> None:
    bench = Bench(Parted())
    ann = ANN
    bench.settle(bench.fold(bench.message(payment("ann", 1, "a")), bench.message(payment("ann", 1, "b"))))
    work = bench.fold(bench.message(payment("ann", -1, "a")))
    assert states(work) == {b"ann\x00one:a": None}
    assert list(bench.tables[ann].partition.states["ann"].open) == ["b"]


class Open(Account, frozen=True):
    open: dict[str, Account] = msgspec.field(default_factory=dict)


class Parted(SumsRoom):
    """Keeps each open payment as a part of its own."""

    part_types: ClassVar = {"one": Account}

    def begin(self, key: str) -> Account:
        return Open(key)

    def fold(self, state: Account, shared: Limits, record: Record) -> Outcome[Account]:
        assert isinstance(state, Open)
        assert isinstance(record, Payment)
        rest = {name: kept for name, kept in state.open.items() if name != record.payment_id}
        if record.amount > 0:
            rest[record.payment_id] = Account(record.payment_id)
        return Outcome(Open(state.account_id, open=rest))

    def parts(self, state: Account) -> dict[str, Any]:
        assert isinstance(state, Open)
        return {f"one:{name}": kept for name, kept in state.open.items()}


def test_no_room_may_write_a_record_that_the_map_does_not_let_it_write() -> None:
    bench = Bench(TallyRoom(), Codec.local(), TOPICS)
    with pytest.raises(TypeError, match="does not let accounts write CashMovement"):
        bench.door._routes[CashMovement]


def test_records_folded_before_move_neither_state_nor_offset_back() -> None:
    bench = Bench()
    bench.settle(bench.fold(*(bench.message(payment("ann", 1, f"p{n}")) for n in range(10))))
    (part,) = bench.settle(
        bench.fold(*(bench.message(payment("ann", 1, f"p{n}"), offset=n) for n in range(5)))
    ).values()
    assert part.next_offset is None
    assert part.writes == []
    messages = [bench.message(payment("ann", 1, f"p{n}"), offset=n) for n in range(8, 12)]
    (part,) = bench.settle(bench.fold(*messages)).values()
    assert (part.next_offset, part.repeated, part.folded) == (12, 2, 2)
    assert bench.tables[ANN].partition.states["ann"].total == 12
