"""Quotes and trades in columns: findings by rule, one mark a batch, and bars by time and volume."""

from decimal import Decimal

import msgspec
import pytest

from schemas.market import Bar, BarKind, Heartbeat, Mark, MarketCondition, QualityAction, QualityCode, QualityFinding
from schemas.scalars import SECOND_US
from tests.connectors.feeds.shared_sets import instrument
from tests.streams.market_data.market import MINUTE_US, MONDAY_US, Exchange, codes, only, quotes, trades

MINUTES = 40


def minutes_of_quotes(count: int = MINUTES) -> Exchange:
    """An exchange that has seen quiet minutes around 10.00, a quote every ten seconds."""
    exchange = Exchange(instrument())
    rows = [(10.0 * i, 999 + (i // 6) % 3, 1001 + (i // 6) % 3) for i in range(count * 6)]
    exchange.tell(quotes(*rows))
    return exchange


def alive(seconds: float, feed_id: str = "feed") -> Heartbeat:
    return Heartbeat(event_time_us=MONDAY_US + round(seconds * SECOND_US), feed_id=feed_id)


def test_a_batch_of_quotes_becomes_one_mark_of_the_middle_with_its_extremes() -> None:
    said = Exchange(instrument()).tell(quotes((1, 998, 1000), (2, 1001, 1004), (3, 996, 998)))
    assert only(said, Mark) == [
        Mark(
            event_time_us=MONDAY_US + 3 * SECOND_US,
            instrument_id="WTI",
            last=Decimal("9.97"),
            low=Decimal("9.97"),
            high=Decimal("10.025"),
        )
    ]


def test_a_batch_of_trades_becomes_one_mark_with_its_volume() -> None:
    mark = only(Exchange(instrument()).tell(trades((1, 1000, 5), (2, 990, 7))), Mark)[0]
    assert (mark.last, mark.low, mark.high, mark.volume) == (Decimal("9.9"), Decimal("9.9"), Decimal(10), Decimal(12))


@pytest.mark.parametrize(
    ("row", "code", "action"),
    [
        ((1, 1001, 1000), "CROSSED", "REFUSED"),
        ((1, 1000, 1000), "LOCKED", "FLAGGED"),
        ((1, 0, 1000), "ZERO_PRICE", "REFUSED"),
        ((1, -5, 1000), "NEGATIVE_PRICE", "REFUSED"),
    ],
)
def test_a_quote_is_refused_or_flagged_by_its_prices(row: tuple[int, int, int], code: str, action: str) -> None:
    said = Exchange(instrument()).tell(quotes((0.5, 999, 1000), row, (2, 999, 1000)))
    assert [(found.code, found.action, found.count, found.sequence) for found in only(said, QualityFinding)] == [
        (code, action, 1, 2)
    ]
    assert len(only(said, Mark)) == 1


def test_negative_quotes_are_flagged_where_they_are_legal() -> None:
    said = Exchange(instrument(price_may_be_negative=True)).tell(quotes((1, -3700, -3696)))
    assert [(found.code, found.action) for found in only(said, QualityFinding)] == [("NEGATIVE_PRICE", "FLAGGED")]
    assert only(said, Mark)[0].last == Decimal("-36.98")


def test_there_is_one_finding_for_each_rule_however_many_rows_break_it() -> None:
    said = Exchange(instrument()).tell(quotes(*[(second, 1001, 1000) for second in range(1, 501)]))
    assert [(found.code, found.count, found.value) for found in only(said, QualityFinding)] == [
        ("CROSSED", 500, "10.01/10.00")
    ]
    assert not only(said, Mark)


def test_a_quote_older_than_the_newest_is_refused_as_out_of_order() -> None:
    exchange = Exchange(instrument())
    said = exchange.tell(quotes((5, 999, 1000), (4, 990, 991), (6, 999, 1000)))
    assert codes(said) == {"OUT_OF_ORDER": 1}
    assert only(said, Mark)[0].low == Decimal("9.995")
    assert codes(exchange.tell(quotes((3, 999, 1000), sequence=4))) == {"OUT_OF_ORDER": 1}


def test_two_quotes_of_one_time_are_flagged_and_the_later_one_holds() -> None:
    said = Exchange(instrument()).tell(quotes((1, 999, 1000), (1, 1001, 1002)))
    assert codes(said) == {"DUPLICATE": 1}
    assert only(said, QualityFinding)[0].action is QualityAction.FLAGGED
    assert only(said, Mark)[0].last == Decimal("10.015")


def test_trades_of_one_time_are_ordinary() -> None:
    assert codes(Exchange(instrument()).tell(trades((1, 1000, 1), (1, 1000, 1)))) == {}


def test_quotes_told_twice_are_one() -> None:
    exchange = Exchange(instrument())
    exchange.tell(quotes((1, 999, 1000), (2, 999, 1000)))
    state = exchange.partition.states["WTI"]
    again = exchange.tell(quotes((1, 999, 1000), (2, 999, 1000)))
    assert [(type(record), getattr(record, "count", 0)) for record in again] == [(QualityFinding, 2)]
    assert exchange.partition.states["WTI"] is state


def test_a_size_below_zero_is_malformed() -> None:
    said = Exchange(instrument()).tell(trades((1, 1000, 5), (2, 1000, -5)))
    assert codes(said) == {"MALFORMED": 1}
    assert only(said, Mark)[0].volume == 5


def test_prices_beyond_64_bits_are_malformed_and_raise_nothing() -> None:
    exchange = Exchange(instrument())
    assert codes(exchange.tell(quotes((1, 2**70, 2**70)))) == {"MALFORMED": 1}
    assert codes(exchange.tell(quotes((1, 2**62, 2**62)))) == {"MALFORMED": 1}


def test_a_lone_wild_print_is_refused_and_the_market_goes_on() -> None:
    exchange = minutes_of_quotes()
    said = exchange.tell(quotes((2401, 1000, 1002), (2402, 1500, 1502), (2403, 1000, 1002), sequence=241))
    assert [(found.code, found.action, found.sequence) for found in only(said, QualityFinding)] == [
        (QualityCode.OUTLIER, QualityAction.REFUSED, 242)
    ]
    assert only(said, Mark)[0].high == Decimal("10.01")


def test_a_jump_that_the_next_price_confirms_is_followed() -> None:
    exchange = minutes_of_quotes()
    said = exchange.tell(quotes((2401, 1500, 1502), (2402, 1501, 1503), sequence=241))
    assert [(found.action, found.sequence) for found in only(said, QualityFinding)] == [
        (QualityAction.REFUSED, 241),
        (QualityAction.FLAGGED, 242),
    ]
    assert only(said, Mark)[0].last == Decimal("15.02")


def test_a_jump_is_confirmed_across_batches_too() -> None:
    exchange = minutes_of_quotes()
    assert not only(exchange.tell(quotes((2401, 1500, 1502), sequence=241)), Mark)
    assert only(exchange.tell(quotes((2402, 1501, 1503), sequence=242)), Mark)[0].last == Decimal("15.02")


def test_no_more_than_two_prices_are_refused_in_a_row() -> None:
    said = minutes_of_quotes().tell(
        quotes((2401, 1500, 1502), (2402, 2000, 2002), (2403, 2500, 2502), (2404, 2500, 2502), sequence=241)
    )
    assert only(said, Mark)[0].last == Decimal("25.01")
    assert codes(said) == {"OUTLIER": 3}


def test_ticks_make_a_bar_that_the_first_tick_after_its_end_closes() -> None:
    exchange = Exchange(instrument(has_volume=True))
    assert not only(exchange.tell(trades((1, 1000, 5), (30, 1020, 1), (59.999999, 990, 2))), Bar)
    assert only(exchange.tell(trades((60, 1005, 9), sequence=4)), Bar) == [
        Bar(
            event_time_us=MONDAY_US + MINUTE_US,
            instrument_id="WTI",
            interval_us=MINUTE_US,
            kind=BarKind.TIME,
            open=Decimal(10),
            high=Decimal("10.20"),
            low=Decimal("9.90"),
            close=Decimal("9.90"),
            volume=Decimal(8),
            count=3,
        )
    ]


def test_a_heartbeat_closes_the_bar_whose_end_has_come_and_no_other() -> None:
    exchange = Exchange(instrument())
    exchange.tell(trades((1, 1000, 5)))
    assert not only(exchange.tell(alive(59)), Bar)
    assert len(only(exchange.tell(alive(60)), Bar)) == 1
    assert not only(exchange.tell(alive(61)), Bar)


def test_a_tick_too_late_for_its_bar_is_refused() -> None:
    exchange = Exchange(instrument())
    exchange.tell(trades((1, 1000, 5)), alive(60))
    assert codes(exchange.tell(trades((30, 1000, 5), sequence=2))) == {"OUT_OF_ORDER": 1}


def test_bars_do_not_depend_on_how_ticks_are_cut_into_batches() -> None:
    rows = [(7.0 * i, 1000 + (i * 37) % 23, i % 5) for i in range(100)]
    volume = instrument(has_volume=True, tick_bar_volume=Decimal(30))
    whole, pieces = Exchange(volume), Exchange(volume)
    whole.tell(trades(*rows))
    for at in range(0, 100, 7):
        pieces.tell(trades(*rows[at : at + 7], sequence=at + 1))
    assert whole.all(Bar)
    key = lambda bar: (bar.kind, bar.event_time_us)  # noqa: E731
    assert sorted(whole.all(Bar), key=key) == sorted(pieces.all(Bar), key=key)


def test_a_volume_bar_is_closed_by_the_trade_that_fills_it() -> None:
    exchange = Exchange(instrument(has_volume=True, tick_bar_us=0, tick_bar_volume=Decimal(10)))
    said = only(exchange.tell(trades((1, 1000, 4), (2, 1010, 5), (3, 990, 3), (4, 1000, 10), (5, 1000, 9))), Bar)
    assert [(bar.kind, bar.volume, bar.count, bar.close) for bar in said] == [
        (BarKind.VOLUME, Decimal(12), 3, Decimal("9.90")),
        (BarKind.VOLUME, Decimal(10), 1, Decimal(10)),
    ]


def test_batches_of_different_scale_make_one_bar() -> None:
    exchange = Exchange(instrument())
    exchange.tell(trades((1, 1000, 1)))
    exchange.tell(msgspec.structs.replace(trades((2, 10_050, 1), sequence=2), price_exponent=-3))
    bar = only(exchange.tell(alive(60)), Bar)[0]
    assert (bar.open, bar.high, bar.low, bar.close) == (
        Decimal(10),
        Decimal("10.05"),
        Decimal(10),
        Decimal("10.05"),
    )


def test_extremes_of_a_repeated_time_wait_for_the_next_mark() -> None:
    exchange = Exchange(instrument())
    exchange.tell(trades((1, 1000, 1)))
    assert not only(exchange.tell(trades((1, 1005, 1), sequence=2)), Mark)
    assert only(exchange.tell(trades((2, 1001, 1), sequence=3)), Mark)[0].high == Decimal("10.05")


def test_while_trades_are_told_marks_are_made_of_them_and_quotes_are_only_judged() -> None:
    exchange = Exchange(instrument())
    exchange.tell(trades((1, 1000, 1)))
    assert not only(exchange.tell(quotes((2, 900, 902))), Mark)
    assert codes(exchange.tell(quotes((3, 902, 900), sequence=2))) == {"CROSSED": 1}


def test_when_trades_fall_silent_it_is_said_once_and_quotes_make_the_marks() -> None:
    exchange = Exchange(instrument())
    exchange.tell(trades((1, 1000, 1)), quotes((2, 998, 1000)))
    stale = only(exchange.tell(quotes((302, 998, 1000), sequence=2)), QualityFinding)
    assert [(found.code, found.value, found.detail.split()[0]) for found in stale] == [("STALE", "301 s", "trades")]
    assert only(exchange.tell(quotes((303, 998, 1000), sequence=3)), Mark)
    assert exchange.codes()["STALE"] == 1


def test_a_feed_alive_without_data_makes_the_market_stale_and_new_data_opens_it() -> None:
    exchange = Exchange(instrument())
    exchange.tell(trades((1, 1000, 1)))
    assert "STALE" not in codes(exchange.tell(alive(301)))
    said = exchange.tell(alive(302))
    assert codes(said) == {"STALE": 1}
    assert only(said, MarketCondition)[-1].status == "STALE"
    assert exchange.tell(alive(303)) == []
    exchange.tell(trades((304, 1000, 1), sequence=2))
    assert only(exchange.tell(alive(305)), MarketCondition)[-1].status == "OPEN"


def test_silence_while_the_market_is_shut_is_no_fault() -> None:
    exchange = Exchange(instrument(calendar="24/5"))
    saturday = 5 * 86_400
    exchange.tell(trades((saturday - 10, 1000, 1)))
    said = exchange.tell(alive(saturday + 3600))
    assert codes(said) == {"FLAT_BAR": 1}
    assert only(said, MarketCondition)[-1].status == "CLOSED"
    assert only(exchange.tell(alive(saturday + 2 * 86_400)), MarketCondition)[-1].status == "OPEN"


def test_a_heartbeat_of_another_feed_says_nothing_of_this_one() -> None:
    exchange = Exchange(instrument())
    exchange.tell(trades((1, 1000, 1)))
    assert exchange.tell(alive(1000, "other")) == []


def test_state_with_a_forming_bar_survives_encoding() -> None:
    exchange = Exchange(instrument(has_volume=True, tick_bar_volume=Decimal(100)))
    exchange.tell(trades((1, 1000, 5)))
    room, state = exchange.partition._room, exchange.partition.states["WTI"]
    parts = {
        name: msgspec.msgpack.decode(msgspec.msgpack.encode(part), type=room.part_types[name.partition(":")[0]])
        for name, part in room.parts(state).items()
    }
    assert set(state.forming) == {"time", "volume"}
    assert room.assemble("WTI", parts) == state
