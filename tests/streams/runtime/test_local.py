"""The in-process runner folds as the door does: keyed records by key, broadcast records by interest."""

from itertools import permutations

import pytest

from schemas.market import Heartbeat
from schemas.position import AccountSnapshot
from schemas.record import Record
from schemas.topics import ACCOUNTS_INBOX, ACCOUNTS_SNAPSHOTS, DEAD_LETTERS, Topic, read_by, written_by
from streams.runtime.local import LocalLog, LocalRoom, LocalSource
from streams.runtime.partition import Partition
from streams.runtime.room import Routes, UndeclaredOutput
from streams.runtime.schedule import AT_ONCE, ORDER, RestlessStep, in_order, settle
from tests.streams.runtime.tally import Tally, TallyRoom, cash, tick


def said(*records: Record) -> list[tuple[str, bytes]]:
    """What the tally room says to these records."""
    log = LocalLog()
    heard: list[tuple[str, bytes]] = []

    def hear(topic: Topic, record: Record) -> None:
        if topic is ACCOUNTS_SNAPSHOTS:
            assert isinstance(record, AccountSnapshot)
            heard.append((record.account_id, record.state))

    log.tap(hear)
    room = LocalRoom(TallyRoom(), log)
    for record in records:
        log.write(ACCOUNTS_INBOX, record)
    assert room.drain() == len(records)
    return heard


def test_a_broadcast_record_reaches_the_keys_it_touches_in_key_order() -> None:
    assert said(cash("zoe", 5), cash("ann", 7), cash("bob", 0), tick(9)) == [("ann", b"7"), ("zoe", b"5")]


def test_a_key_that_loses_its_interest_is_no_longer_touched() -> None:
    assert said(cash("ann", 7), tick(9), cash("ann", -7), tick(10)) == [("ann", b"7")]


def test_a_broadcast_record_touches_no_key_that_was_never_seen() -> None:
    assert said(tick(9)) == []


def test_a_fold_that_changes_nothing_marks_nothing_as_changed() -> None:
    partition = Partition(TallyRoom())
    partition.fold("ann", cash("ann", 7))
    partition.fold(None, tick(5))
    assert partition.changed == {"ann"}
    assert partition.shared_changed
    partition.settle()
    partition.fold(None, tick(4))
    assert partition.changed == set()
    assert not partition.shared_changed


def test_a_partition_rebuilt_from_its_states_keeps_its_interests() -> None:
    partition = Partition(TallyRoom(), states={"ann": Tally("ann", cash("ann", 3).amount), "bob": Tally("bob")})
    assert [type(output) for output in partition.fold(None, tick(1))] == [AccountSnapshot]


def test_a_source_writes_only_what_the_map_lets_it() -> None:
    with pytest.raises(UndeclaredOutput, match="feeds write ClockTick"):
        LocalSource("feeds", LocalLog()).write(tick(1))


def test_an_output_that_the_map_does_not_know_is_refused() -> None:
    with pytest.raises(UndeclaredOutput, match="pnl write Heartbeat"):
        Routes("pnl")[Heartbeat]


class Echo:
    """An actor that has something to do for a number of turns."""

    def __init__(self, turns: int):
        self.name = "accounts"
        self.turns = turns

    def drain(self) -> int:
        self.turns -= 1
        return 1 if self.turns >= 0 else 0


def test_actors_take_turns_until_nobody_has_anything_to_do() -> None:
    assert settle([Echo(3), Echo(1)]) == 4


def test_rooms_that_keep_answering_each_other_are_an_error() -> None:
    with pytest.raises(RestlessStep):
        settle([Echo(1000)])


def test_actors_are_put_into_the_order_of_the_walk() -> None:
    names = ["pnl", "market_data", "accounts"]
    assert [names[i] for i in in_order(names)] == ["market_data", "accounts", "pnl"]
    assert ORDER.index("paper_venue") < ORDER.index("strategies"), "a bar fills older orders before new ones are made"


def test_on_servers_all_take_their_turns_in_the_same_order_but_pnl_which_nobody_waits_for() -> None:
    named = [name for line in AT_ONCE for chain in line for name in chain]
    assert [named[i] for i in in_order(named)] == [name for name in ORDER if name != "pnl"]
    for line in AT_ONCE:
        for chain in line:
            assert [chain[i] for i in in_order(chain)] == list(chain)
    assert max(len(topic.writers) for topic in read_by("pnl")) == 1
    assert not {topic for name in ORDER for topic in read_by(name)} & set(written_by("pnl"))


def test_who_takes_turns_at_once_writes_nothing_that_the_other_reads_or_writes() -> None:
    for line in AT_ONCE:
        for chain, other in permutations(line, 2):
            assert not written(chain) & (written(other) | {topic for name in other for topic in read_by(name)})


def written(chain: tuple[str, ...]) -> set[Topic]:
    """All that a chain writes beside dead letters; the paper venue's executions are execution's."""
    roles = ["execution" if name == "paper_venue" else name for name in chain]
    return {topic for role in roles for topic in written_by(role)} - {DEAD_LETTERS}
