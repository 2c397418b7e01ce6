"""The verdict finds what it is for: each kind of wrong, and nothing in a log that is right."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from confluent_kafka import Message as KafkaMessage

from schemas.dead_letter import DeadLetter, DeadLetterReason
from schemas.record import Record
from streams.runtime.door import ANY_PARTITION, Door
from streams.runtime.headers import CAUSE, EVENT_ID, headers_of, root_id
from streams.runtime.keys import partition_of
from streams.runtime.tables import Birth, Table
from streams.runtime.verify import Verdict, judge, ordered_skips
from tests.streams.runtime.sums import SUMS_MAP, SumsRoom, limit, payment, sums_codec

CODEC = sums_codec()
RECORDS = (payment("ann", 5, "p1"), payment("bob", 7, "p2"), payment("ann", 5, "p3"), limit(9))


class Log:
    """A log as a faultless worker leaves it, one record a transaction; tests then damage it."""

    def __init__(self, room: type[SumsRoom] = SumsRoom, records: Sequence[Record] = RECORDS) -> None:
        self.room = room
        self.inbox: list[Any] = []
        self.said: list[Any] = []
        self.changelog: list[Any] = []
        self.committed: dict[int, int] = {}
        self.door = Door(room(), CODEC, "t", "t-sums-changelog", SUMS_MAP)
        tables: dict[int, Table[Any, Any]] = {}
        birth = Birth("sums", "t.sums.inbox", 4)
        for record in records:
            key = None if record == limit(9) else str(getattr(record, "account_id", "")).encode()
            partition = partition_of(key or b"ann", 4)
            offset = self.committed.get(partition, 0)
            message = made("t.sums.inbox", partition, offset, key, CODEC.encode(record), headers_of("x", 1))
            self.inbox.append(message)
            table = tables.setdefault(partition, Table(room(), birth))
            for part in self.door.fold(self.door.read([message]), tables).values():
                for write in part.writes:
                    at = partition_of(write.key or b"", 4) if write.partition == ANY_PARTITION else write.partition
                    target = self.changelog if write.headers is None else self.said
                    target.append(made(write.topic, at, len(target), write.key, write.value, write.headers or []))
            table.settle()
            self.committed[partition] = offset + 1

    def judged(self) -> Verdict:
        door = Door(self.room(), CODEC, "t", "t-sums-changelog", SUMS_MAP)
        return judge(door, self.inbox, self.said, self.changelog, self.committed)


def made(topic: str, partition: int, offset: int, key: Any, value: Any, headers: Any) -> Any:
    return KafkaMessage(
        topic=topic, partition=partition, offset=offset, key=key, value=value, headers=headers, timestamp=(1, 1)
    )


def again(message: Any, **changes: Any) -> Any:
    kept = {
        name: getattr(message, name)() for name in ("topic", "partition", "offset", "key", "value", "headers")
    } | changes
    return made(**kept)


def test_a_faultless_log_is_right() -> None:
    verdict = Log().judged()
    assert verdict.ok
    assert (verdict.inputs, verdict.outputs, verdict.unfolded) == (4, 3, 0)
    assert verdict.lines() == ["sums: OK: 4 inputs, 3 outputs, 0 dead letters, 0 not folded yet"]


class Tired(SumsRoom):
    """Says the same words to the same payment, however often it comes."""

    def fold(self, state: Any, shared: Any, record: Any) -> Any:
        return super().fold(self.begin("ann"), shared, record)


def test_what_a_fold_says_twice_lies_there_twice() -> None:
    log = Log(Tired, [payment("ann", 5, "p1")] * 2)
    assert log.judged().ok
    del log.said[0]
    assert log.judged().missing
    log.said *= 3
    assert log.judged().twice


def lose(log: Log) -> None:
    del log.said[0]


def double(log: Log) -> None:
    log.said.append(log.said[0])


def falsify(log: Log) -> None:
    log.said[0] = again(log.said[0], value=b"other")


def invent(log: Log) -> None:
    log.said.append(again(log.said[0], headers=[(EVENT_ID, b"new"), (CAUSE, b"t.sums.inbox/0/0")]))


def swap(log: Log) -> None:
    first, _, third = log.said
    log.said[0], log.said[2] = third, first


def forget_a_state(log: Log) -> None:
    log.changelog = [one for one in log.changelog if one.key() != b"bob\x00state"]


def keep_an_old_state(log: Log) -> None:
    states = [one for one in log.changelog if one.key() == b"ann\x00state"]
    log.changelog.append(states[0])


def forget_the_shared_state(log: Log) -> None:
    log.changelog = [one for one in log.changelog if not one.key().startswith(b"\x00")]


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (lose, "missing"),
        (double, "twice"),
        (falsify, "wrong"),
        (invent, "unknown"),
        (swap, "disordered"),
        (forget_a_state, "states"),
        (keep_an_old_state, "states"),
        (forget_the_shared_state, "states"),
    ],
)
def test_every_kind_of_damage_is_found_and_named(damage: Callable[[Log], None], found: str) -> None:
    log = Log()
    damage(log)
    verdict = log.judged()
    assert not verdict.right
    kinds = ("missing", "twice", "wrong", "unknown", "disordered", "states")
    assert [name for name in kinds if getattr(verdict, name)] == [found]
    assert any(line.startswith(f"  {found}: ") for line in verdict.lines())


def test_a_record_behind_the_committed_offset_is_not_folded_yet_and_nothing_is_wrong() -> None:
    log = Log()
    last = payment("ann", 1, "p9")
    partition = partition_of(b"ann", 4)
    at = log.committed[partition]
    log.inbox.append(made("t.sums.inbox", partition, at, b"ann", CODEC.encode(last), headers_of("x", 1)))
    verdict = log.judged()
    assert verdict.right
    assert not verdict.ok
    assert verdict.unfolded == 1
    assert "right so far" in verdict.lines()[0]


def test_an_inbox_that_has_lost_its_beginning_cannot_be_judged() -> None:
    log = Log()
    door = Door(SumsRoom(), CODEC, "t", "t-sums-changelog", SUMS_MAP)
    verdict = judge(door, log.inbox, log.said, log.changelog, log.committed, truncated=[2])
    assert not verdict.right
    assert verdict.lines()[-1] == "  truncated: 1, such as 2"


def test_records_of_other_writers_on_the_same_topic_are_not_judged() -> None:
    log = Log()
    log.said.append(again(log.said[0], headers=[(EVENT_ID, b"theirs"), (CAUSE, b"t.other.inbox/0/0")]))
    log.said.append(again(log.said[0], headers=[(EVENT_ID, b"theirs")]))
    assert log.judged().ok


def test_orders_to_skip_are_found_among_the_dead_letters() -> None:
    def letter(reason: DeadLetterReason, topic: str) -> Any:
        record = DeadLetter(
            event_time_us=1, source_topic=topic, source_partition=2, source_offset=7, room="sums", reason=reason,
            detail="", key=None, value=None,
        )  # fmt: skip
        return made("t.dead.letters", 0, 0, b"k", CODEC.encode(record), headers_of(root_id(record) or "", 1))

    found = ordered_skips(
        [
            letter(DeadLetterReason.SKIPPED, "t.sums.inbox"),
            letter(DeadLetterReason.TRUNCATED, "t.sums.inbox"),
            letter(DeadLetterReason.SKIPPED, "t.other.inbox"),
        ],
        CODEC,
        "t.sums.inbox",
    )
    assert found == {(2, 7)}
