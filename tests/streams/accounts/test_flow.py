"""What an account remembers of the last minutes: exact to the microsecond, bounded, and written in small pieces."""

from bisect import bisect_right
from typing import Any

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.control import Scope
from schemas.intent import TradeIntent
from schemas.record import Record
from schemas.topics import ACCOUNTS_INBOX
from streams.accounts.account import Account
from streams.accounts.risk.earlier import EarlierFlow
from streams.accounts.risk.flow import printed, printed_at
from streams.accounts.risk.recent import (
    BUCKET_MAX,
    MINUTE_US,
    PAGE,
    Bucket,
    Flow,
    count,
    kept,
    noted,
    time_of,
)
from streams.accounts.room import Accounts
from streams.accounts.shared import Shared
from streams.runtime.tables import STATE_BYTES_MAX, Birth, Recovered, StateWrite, Table
from tests.builders import NOON, SECOND, tick, wish
from tests.streams.accounts.desk import Desk, desk, only, setting
from tests.streams.accounts.test_checks import buy
from tests.streams.accounts.test_sizing import bounds

RICH = 10**8


@example([1] * 100, 200, 0)
@given(st.lists(st.integers(0, MINUTE_US // 20), max_size=300), st.integers(1, 200), st.integers(-1, MINUTE_US + 1))
def test_as_many_of_the_last_minute_are_counted_as_a_limit_can_tell_apart(
    gaps: list[int], newest: int, later_us: int
) -> None:
    times: dict[str, Any] = {}
    now_us, all_of_them = NOON, []
    for gap in gaps:
        now_us += gap
        times = noted(times, "s", now_us, newest)
        all_of_them.append(now_us)
        since = now_us + later_us - MINUTE_US
        right = len(all_of_them) - bisect_right(all_of_them, since)
        assert min(count(times["s"], since), newest) == min(right, newest)
        assert sum(len(page.times) for page in times["s"]) < newest + PAGE
        assert [len(page.times) for page in times["s"][:-1]] == [PAGE] * (len(times["s"]) - 1)
        numbers = [page.number for page in times["s"]]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_what_no_limit_counts_is_not_kept_and_each_limit_keeps_its_own_scope() -> None:
    it = setting(desk(cash=RICH, without=("messages_per_minute_max",)), only("orders_per_minute_max", 100))
    it.tell(wish("a"))
    assert sorted(it.account.flow.times) == ["orders|ACCOUNT|"]
    setting(it, only("messages_per_minute_max", 5, scope=Scope.STRATEGY, scope_id="trend"))
    it.fill(it.order, it.order.quantity, 50)
    it.tell(wish("b", direction=-1.0))
    assert sorted(it.account.flow.times) == ["messages|STRATEGY|trend", "orders|ACCOUNT|"]
    it.check_codec()


def test_a_minute_without_a_message_leaves_no_times() -> None:
    it = desk(cash=RICH)
    it.tell(wish("a"), tick(NOON + 60 * SECOND - 1))
    assert it.account.flow.times
    it.tell(tick(NOON + 60 * SECOND))
    assert it.account.flow.times == {}


def test_no_part_nears_the_largest_size_at_the_highest_rate_that_a_limit_can_allow() -> None:
    times: dict[str, Any] = {}
    for number in range(62_000):
        times = noted(times, "s", NOON + number * 100, 60_001)
    sizes = [len(encoded(page)) for page in times["s"]]
    assert len(sizes) * PAGE <= 60_001 + PAGE
    assert max(sizes) < 500
    longest = f"{'x' * 100}{{}}".format
    bucket = Bucket({longest(number): NOON for number in range(BUCKET_MAX)})
    assert len(encoded(bucket)) < STATE_BYTES_MAX


def test_a_name_is_looked_for_where_states_that_were_written_have_it() -> None:
    buckets: dict[str, Bucket] = {}
    for name in ("one more", "i1", "ql-1"):
        buckets = kept(buckets, "intents", name, NOON, 0)
    assert list(buckets) == ["intents:0b", "intents:2b", "intents:34"]


def test_a_full_bucket_forgets_what_would_be_forgotten_first() -> None:
    (name,) = kept({}, "intents", "one more", NOON, 0)
    full = {name: Bucket({f"n{number}": NOON - number for number in range(BUCKET_MAX)})}
    buckets = kept(full, "intents", "one more", NOON, 0)
    assert len(buckets[name].times) == BUCKET_MAX
    assert time_of(buckets, "intents", "one more") == NOON
    assert full[name].times.keys() - buckets[name].times.keys() == {f"n{BUCKET_MAX - 1}"}


def test_a_bucket_forgets_nothing_before_it_is_full() -> None:
    (name,) = kept({}, "intents", "one more", NOON, 0)
    nearly = {name: Bucket({f"n{number}": NOON - number for number in range(BUCKET_MAX - 1)})}
    assert len(kept(nearly, "intents", "one more", NOON, 0)[name].times) == BUCKET_MAX


def test_orders_are_remembered_for_the_duplicate_window_and_not_longer() -> None:
    window, flow = bounds(duplicate_window=10), Flow()
    for quantity in range(1, 101):
        flow = printed(flow, window, buy(quantity), NOON)
    for quantity in range(101, 1001):
        flow = printed(flow, window, buy(quantity), NOON + 10 * SECOND)
    assert {printed_at(flow, buy(quantity)) for quantity in range(1, 101)} == {NOON}
    for quantity in range(1001, 2001):
        flow = printed(flow, window, buy(quantity), NOON + 10 * SECOND + 1)
    assert {printed_at(flow, buy(quantity)) for quantity in range(1, 101)} == {None}
    assert {printed_at(flow, buy(quantity)) for quantity in range(101, 1001)} == {NOON + 10 * SECOND}


def test_an_order_writes_as_much_after_hundreds_of_orders_as_after_ten() -> None:
    few, many = written_by_an_order(10), written_by_an_order(500)
    assert many < few * 2
    assert many < 5_000


def written_by_an_order(before: int) -> int:
    """Bytes that an order writes, of an account that sent so many in the last minute."""
    it = setting(
        desk(cash=RICH), orders_per_minute_max=60_000, messages_per_minute_max=60_000, duplicate_window="0.000001"
    )
    for number in range(before):
        send(it, number)
    table: Table[Any, Any] = Table(it.room, Birth("accounts", "inbox", 1))
    table.partition.states["A"] = it.account
    table.partition.shared = it.shared
    table.partition.changed.add("A")
    table.writes(0)
    table.settle()
    it.tell(wish("the one", direction=1.0 if before % 2 else -1.0, at_us=NOON + before))
    assert it.verdict.approved, it.verdict.code
    table.partition.states["A"] = it.account
    table.partition.changed.add("A")
    return sum(len(key) + len(value or b"") for key, value in table.writes(1))


def send(it: Desk, number: int) -> None:
    """One more order, filled at once."""
    it.tell(wish(f"i{number}", direction=1.0 if number % 2 else -1.0, at_us=NOON + number))
    assert it.verdict.approved, it.verdict.code
    it.fill(it.order, it.order.quantity, 50)


def test_a_state_of_an_earlier_version_keeps_its_wishes_rates_and_latches_and_is_written_anew() -> None:
    it = setting(desk(cash=RICH), orders_per_minute_max=2, messages_per_minute_max=10, duplicate_window=3600)
    it.tell(wish("a"))
    flow = it.account.flow
    earlier = EarlierFlow(
        intents=members(flow.intents), prints=members(flow.prints), rejects={"other": 3},
        orders={"ACCOUNT|": (NOON - SECOND, NOON), "VENUE|paper": (NOON,)}, messages={"ACCOUNT|": (NOON,)},
        executions={"trend/WTI": tuple(range(NOON - 40, NOON))},
    )  # fmt: skip
    parts = it.room.parts(replace(it.account, flow=Flow()))
    recovered = Recovered(it.room)
    for name, part in {**parts, "flow": earlier}.items():
        recovered.take(b"A\0" + name.encode(), msgspec.msgpack.encode((2, 7, msgspec.Raw(encoded(part)))))
    for name, part in it.room.shared_parts(it.shared).items():
        recovered.take(b"\0" + name.encode(), msgspec.msgpack.encode((2, 7, msgspec.Raw(encoded(part)))))
    table: Table[Account, Shared] = Table(it.room, Birth("accounts", "inbox", 1), recovered.decode())
    account = table.partition.states["A"]
    assert (account.flow.intents, account.flow.prints) == (flow.intents, flow.prints)
    assert account.flow.rejects.counts == {"other": 3}
    assert count(account.flow.times["executions|trend/WTI"], NOON - 11) == 10
    assert fold(table, wish("a")) == []
    assert [one.code for one in fold(table, wish("b", direction=-1.0)) if hasattr(one, "code")] == ["ORDER_RATE"]
    written = dict(table.writes(8))
    assert written[b"A\0flow"] is None
    assert {b"A\0rejects", b"A\0times:orders|ACCOUNT|:0", b"A\0times:executions|trend/WTI:1"} <= written.keys()
    table.settle()
    assert read_again(it.room, table, written).flow == table.partition.states["A"].flow


def members(buckets: dict[str, Bucket]) -> dict[str, int]:
    """The names of all buckets with their times."""
    return {name: at for bucket in buckets.values() for name, at in bucket.times.items()}


def encoded(part: Any) -> bytes:
    return msgspec.msgpack.encode(part)


def fold(table: Table[Account, Shared], record: TradeIntent) -> list[Record]:
    return table.partition.fold(ACCOUNTS_INBOX.key_of(record), record)


def read_again(room: Accounts, table: Table[Account, Shared], written: dict[bytes, bytes | None]) -> Account:
    """The account as the next worker finds it, where all that was written is all there is."""
    recovered = Recovered(room)
    profile = StateWrite(b"A\0profile", msgspec.msgpack.encode((3, 8, table.partition.states["A"].profile)))
    for name, value in {profile.key: profile.value, **written}.items():
        recovered.take(name, value)
    return room.assemble("A", recovered.decode().parts["A"])


def test_a_wish_that_can_no_longer_come_is_judged_anew_and_not_approved() -> None:
    it = desk(cash=RICH)
    it.tell(wish("a"), tick(NOON + 3600 * SECOND))
    assert it.tell(wish("a")) == []
    it.tell(tick(NOON + 3601 * SECOND))
    it.tell(wish("a", at_us=NOON, valid_until_us=NOON + 3600 * SECOND))
    assert it.verdict.approved is False
    assert len(it.account.orders) == 1
