"""Bars of feeds: what is refused, what is flagged, and what is said of the rest."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from schemas.market import (
    Bar,
    BarKind,
    Mark,
    MarketCondition,
    MarketStatus,
    QualityAction,
    QualityCode,
    QualityFinding,
)
from schemas.reference import Instrument, InstrumentClass
from schemas.scalars import DAY_US
from tests.connectors.feeds.shared_sets import instrument
from tests.streams.market_data.market import MONDAY_US, Exchange, bars, codes, only

QUIET = [(1000 + (day % 3),) for day in range(40)]


def test_a_bar_becomes_a_condition_a_bar_and_a_mark_in_this_order() -> None:
    said = Exchange(instrument()).tell(bars((1000, 1010, 990, 1005)))
    assert [type(record) for record in said] == [MarketCondition, Bar, Mark]
    assert said[1] == Bar(
        event_time_us=MONDAY_US + DAY_US // 2,
        instrument_id="WTI",
        interval_us=DAY_US,
        kind=BarKind.TIME,
        open=Decimal("10.00"),
        high=Decimal("10.10"),
        low=Decimal("9.90"),
        close=Decimal("10.05"),
        count=1,
    )
    assert said[2] == Mark(
        event_time_us=MONDAY_US + DAY_US // 2,
        instrument_id="WTI",
        last=Decimal("10.05"),
        low=Decimal("9.90"),
        high=Decimal("10.10"),
    )


def test_a_volume_is_kept_where_the_instrument_has_one_and_absent_where_it_has_not() -> None:
    batch = bars((1000,), volumes=[7], size_exponent=1)
    assert only(Exchange(instrument(has_volume=True)).tell(batch), Bar)[0].volume == 70
    assert only(Exchange(instrument()).tell(batch), Bar)[0].volume is None


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ((1000, 999, 990, 995), QualityCode.BAR_RANGE),
        ((1000, 1010, 1001, 1005), QualityCode.BAR_RANGE),
        ((1000, 1010, 990, 989), QualityCode.BAR_RANGE),
        ((0, 10, 0, 5), QualityCode.ZERO_PRICE),
        ((5, 10, -1, 5), QualityCode.NEGATIVE_PRICE),
    ],
)
def test_a_bar_that_cannot_be_is_refused_and_goes_no_further(row: tuple[int, ...], code: QualityCode) -> None:
    said = Exchange(instrument()).tell(bars(row))
    assert [(type(record), getattr(record, "code", None)) for record in said] == [(QualityFinding, code)]
    assert only(said, QualityFinding)[0].action is QualityAction.REFUSED


def test_a_bar_on_the_edge_of_its_range_is_not_refused() -> None:
    assert codes(Exchange(instrument()).tell(bars((990, 1010, 990, 1010)))) == {}


def test_a_negative_price_is_flagged_and_goes_on_where_it_is_legal() -> None:
    said = Exchange(instrument(price_may_be_negative=True)).tell(bars((-3698, -3698, -3698, -3698)))
    flagged = only(said, QualityFinding)
    assert {found.action for found in flagged} == {QualityAction.FLAGGED}
    assert (flagged[0].code, flagged[0].value) == (QualityCode.NEGATIVE_PRICE, "-36.98")
    assert only(said, Mark)[0].last == Decimal("-36.98")


def test_a_batch_told_twice_is_one_and_only_the_repetition_is_said() -> None:
    exchange = Exchange(instrument())
    first = exchange.tell(bars((1000,), (1001,)))
    state = exchange.partition.states["WTI"]
    again = exchange.tell(bars((1000,), (1001,)))
    assert len(only(first, Bar)) == 2
    assert codes(again) == {"DUPLICATE": 2}
    assert len(again) == 1
    assert exchange.partition.states["WTI"] is state


def test_of_a_batch_that_overlaps_only_the_new_rows_are_folded() -> None:
    exchange = Exchange(instrument())
    exchange.tell(bars((1000,), (1001,)))
    said = exchange.tell(bars((1001,), (1002,), sequence=2, first=1))
    assert [bar.close for bar in only(said, Bar)] == [Decimal("10.02")]
    assert codes(said) == {"DUPLICATE": 1}


def test_rows_that_a_feed_lost_are_a_gap_with_their_number() -> None:
    exchange = Exchange(instrument())
    exchange.tell(bars((1000,)))
    said = exchange.tell(bars((1001,), sequence=5, first=1))
    assert only(said, QualityFinding)[0].detail == "3 rows lost"
    assert len(only(said, Bar)) == 1


@pytest.mark.parametrize(("day", "code"), [(1, QualityCode.DUPLICATE), (0, QualityCode.OUT_OF_ORDER)])
def test_a_bar_that_does_not_end_after_the_one_before_is_refused(day: int, code: QualityCode) -> None:
    exchange = Exchange(instrument())
    exchange.tell(bars((1000,), first=1))
    said = exchange.tell(bars((1001,), sequence=2, first=day))
    assert codes(said) == {code: 1}
    assert not only(said, Bar)


def test_the_same_bars_of_a_second_feed_are_duplicates_and_no_second_bars() -> None:
    exchange = Exchange(instrument())
    for day in (0, 1):
        exchange.tell(bars((1000,), sequence=day + 1, first=day))
        said = exchange.tell(bars((1000,), sequence=day + 1, first=day, feed_id="other"))
        assert codes(said) == {"DUPLICATE": 1}
    assert len(exchange.all(Bar)) == 2


@pytest.mark.parametrize(
    ("calendar", "days", "missing"),
    [
        ("24/7", (4, 5, 6, 7), None),
        ("24/7", (4, 7), "2"),
        ("24/5", (4, 7), None),  # Friday, Monday
        ("24/5", (4, 8), "1"),  # Friday, Tuesday
        ("24/5", (0, 14), "9"),
        ("XXXX", (0, 14), None),  # never told: nothing is expected
    ],
)
def test_a_gap_is_what_the_calendar_expects_and_nothing_else(
    calendar: str, days: tuple[int, ...], missing: str | None
) -> None:
    exchange = Exchange(instrument(calendar=calendar))
    said = exchange.tell(bars(*[(1000,)] * len(days), days=days))
    gaps = [found.value for found in only(said, QualityFinding) if found.code is QualityCode.GAP]
    assert gaps == ([missing] if missing else [])
    statuses = [condition.status for condition in only(said, MarketCondition)]
    assert statuses[-1] is (MarketStatus.GAP if missing else MarketStatus.OPEN)


def test_after_a_gap_the_market_is_open_again_with_the_next_bar() -> None:
    said = Exchange(instrument()).tell(bars((1000,), (1001,), (1002,), days=(0, 5, 6)))
    assert [condition.status for condition in only(said, MarketCondition)] == ["OPEN", "GAP", "OPEN"]


def outliers(last: int, **changes: Any) -> list[QualityFinding]:
    """Findings on a bar that closes at this price after quiet days around 10.00."""
    exchange = Exchange(instrument(**changes))
    exchange.tell(bars(*QUIET))
    said = exchange.tell(bars((last,), sequence=41, first=40))
    assert len(only(said, Bar)) == 1
    return [found for found in only(said, QualityFinding) if found.code is QualityCode.OUTLIER]


def test_a_move_beyond_the_limit_is_flagged_and_goes_on_and_one_below_is_quiet() -> None:
    # moves are 1 or 2 cents: one robust deviation is a little more than 1 cent, eight of them are nearly 9
    assert outliers(1007) == []
    flagged = outliers(1030)
    assert [(found.action, found.limit) for found in flagged] == [(QualityAction.FLAGGED, "8")]
    assert float(flagged[0].value) > 8


def test_the_outlier_limit_depends_on_the_class_of_instrument() -> None:
    assert outliers(1009)
    assert not outliers(1009, instrument_class=InstrumentClass.FX)


def test_a_price_difference_is_judged_where_a_return_is_undefined() -> None:
    assert outliers(-3698, price_may_be_negative=True)
    assert not outliers(1007, price_may_be_negative=True)


def test_without_history_nothing_is_an_outlier() -> None:
    exchange = Exchange(instrument())
    exchange.tell(bars(*QUIET[:10]))
    assert codes(exchange.tell(bars((5000,), sequence=11, first=10))) == {}


def test_an_outlier_in_the_range_is_found_though_the_close_is_quiet() -> None:
    exchange = Exchange(instrument())
    exchange.tell(bars(*QUIET))
    assert codes(exchange.tell(bars((1000, 1001, 100, 1000), sequence=41, first=40))) == {"OUTLIER": 1}


def shares(price: int, volume: int, **changes: Any) -> list[QualityFinding]:
    """Findings on a share that closes at this price and volume after days around 10.00 and 1,000 shares."""
    share: Instrument = instrument(instrument_class=InstrumentClass.EQUITY, has_volume=True, **changes)
    exchange = Exchange(share)
    exchange.tell(bars(*QUIET, volumes=[1000] * 40))
    return only(exchange.tell(bars((price,), volumes=[volume], sequence=41, first=40)), QualityFinding)


@pytest.mark.parametrize(("price", "volume", "ratio"), [(500, 2000, "2"), (143, 7000, "7"), (2000, 500, "0.5")])
def test_a_split_is_suspected_where_the_price_jumps_and_the_turnover_does_not(
    price: int, volume: int, ratio: str
) -> None:
    assert [(found.code, found.value) for found in shares(price, volume)] == [(QualityCode.SPLIT_SUSPECTED, ratio)]


def test_a_crash_to_half_on_thirteen_times_the_turnover_is_no_split() -> None:
    assert [found.code for found in shares(500, 26_000)] == [QualityCode.OUTLIER]


def test_a_move_to_a_ratio_that_is_not_simple_is_no_split() -> None:
    assert [found.code for found in shares(560, 2000)] == [QualityCode.OUTLIER]


def test_a_run_of_flat_bars_is_said_when_it_begins_and_how_long_it_was_when_it_ends() -> None:
    flat = (1000, 1000, 1000, 1000)
    exchange = Exchange(instrument())
    assert codes(exchange.tell(bars(flat, flat, flat))) == {"FLAT_BAR": 1}
    ended = only(exchange.tell(bars((1000,), sequence=4, first=3)), QualityFinding)
    assert [(found.code, found.value) for found in ended] == [(QualityCode.FLAT_BAR, "3")]
    assert codes(exchange.tell(bars((1000,), sequence=5, first=4))) == {}


def test_a_price_off_the_tick_is_flagged() -> None:
    said = Exchange(instrument(tick_size=Decimal("0.05"))).tell(bars((1000, 1005, 995, 1001)))
    assert codes(said) == {"PRECISION": 1}
    assert len(only(said, Bar)) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"closes": [1]},
        {"closes": []},
        {"times_us": [], "opens": [], "highs": [], "lows": [], "closes": []},
        {"volumes": [1]},
        {"interval_us": 0},
        {"price_exponent": -400},
        {"size_exponent": 99},
        {"sequence": 0},
        {"times_us": [1, 10**18]},
        {"times_us": [-5, 5]},
    ],
)
def test_a_malformed_batch_is_refused_as_a_whole_and_changes_nothing(changes: dict[str, Any]) -> None:
    exchange = Exchange(instrument())
    said = exchange.tell(msgspec.structs.replace(bars((1000,), (1001,)), **changes))
    assert [found.code for found in only(said, QualityFinding)] == [QualityCode.MALFORMED]
    assert len(said) == 1
    assert exchange.partition.states["WTI"].series == {}


def test_an_unknown_instrument_is_refused() -> None:
    said = Exchange(None).tell(bars((1000,), (1001,)))
    assert [(found.code, found.count) for found in only(said, QualityFinding)] == [("UNKNOWN_INSTRUMENT", 2)]


def test_the_newest_definition_of_an_instrument_holds() -> None:
    exchange = Exchange(instrument(version=2, price_may_be_negative=True), instrument(version=1))
    assert only(exchange.tell(bars((-1,))), Mark)


def test_state_survives_encoding_part_by_part_and_folds_on_the_same() -> None:
    exchange, other = Exchange(instrument()), Exchange(instrument())
    exchange.tell(bars(*QUIET))
    room, state = exchange.partition._room, exchange.partition.states["WTI"]
    parts = {
        name: msgspec.msgpack.decode(msgspec.msgpack.encode(part), type=room.part_types[name.partition(":")[0]])
        for name, part in room.parts(state).items()
    }
    restored = room.assemble("WTI", parts)
    assert restored == state
    shared = msgspec.msgpack.decode(msgspec.msgpack.encode(exchange.partition.shared), type=room.shared_type)
    assert shared == exchange.partition.shared
    other.partition.states["WTI"] = restored
    new = bars((2000,), sequence=41, first=40)
    assert other.tell(new) == exchange.tell(new)


def test_state_is_bounded_however_long_the_market_lives() -> None:
    exchange = Exchange(instrument())
    exchange.tell(bars(*[(1000 + day % 7,) for day in range(400)]))
    room = exchange.partition._room
    before = sum(len(msgspec.msgpack.encode(part)) for part in room.parts(exchange.partition.states["WTI"]).values())
    exchange.tell(bars(*[(1000 + day % 7,) for day in range(1200)], sequence=401, first=400))
    after = sum(len(msgspec.msgpack.encode(part)) for part in room.parts(exchange.partition.states["WTI"]).values())
    assert after <= before * 1.02
