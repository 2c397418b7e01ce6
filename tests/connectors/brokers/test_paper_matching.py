"""When, at what price and how much a paper order fills."""

from decimal import Decimal
from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.brokers.paper import FREE, PaperRules, PaperVenue
from schemas.execution import ExecutionReport, Liquidity
from schemas.market import Bar, BarKind
from schemas.order import ExecType, OrderStatus, SubmitOrder, TimeInForce
from tests.connectors.brokers.orders import (
    bar,
    buy,
    change,
    day,
    fees,
    limit,
    oil,
    order,
    sell,
    stop,
    stop_limit,
    teapots,
    trailing,
)


def played(command: SubmitOrder, *bars: Bar, venue: PaperVenue | None = None) -> list[ExecutionReport]:
    """What a frictionless venue says after its acknowledgement, bar by bar."""
    venue = venue or PaperVenue([teapots(), oil()], rules=FREE)
    answer = venue.submit(command)
    assert answer.exec_type is ExecType.NEW, answer.text
    return [execution for each in bars for execution in venue.on_bar(each)]


def price_of(command: SubmitOrder, *bars: Bar) -> Decimal | None:
    """The price of the only fill, or None."""
    fills = [execution for execution in played(command, *bars) if execution.exec_type is ExecType.TRADE]
    assert len(fills) <= 1
    return fills[0].last_price if fills else None


def test_an_order_never_fills_on_the_bar_on_which_it_was_decided() -> None:
    assert played(buy("a", at=1), bar(1, "100")) == []


def test_an_order_fills_at_the_first_price_after_it() -> None:
    assert price_of(buy("a", at=1), bar(1, "100"), bar(2, "101 105 99 104")) == 101


def test_of_a_bar_that_began_before_the_order_only_the_close_may_fill_it() -> None:
    assert price_of(buy("a", at=1.5), bar(2, "101 105 99 104")) == 104
    assert price_of(buy("b", at=1.5, **limit("100")), bar(2, "101 105 99 104")) is None


def test_a_bar_that_follows_the_last_one_of_its_kind_began_where_that_ended() -> None:
    short_day = bar(1.95, "101 105 99 104")
    venue = PaperVenue([teapots()], rules=FREE)
    venue.on_bar(bar(1, "100"))
    assert [e.last_price for e in played(buy("a", at=1), short_day, venue=venue)] == [101]


def test_of_a_first_volume_bar_only_the_close_counts() -> None:
    volume_bar = Bar(
        event_time_us=day(2),
        instrument_id="TEAPOT",
        interval_us=0,
        kind=BarKind.VOLUME,
        open=Decimal(1),
        high=Decimal(9),
        low=Decimal(1),
        close=Decimal(5),
    )
    assert price_of(buy("a", at=1), volume_bar) == 5


@pytest.mark.parametrize(
    ("command", "prices", "price"),
    [
        (buy("a", **limit("100")), "101 102 100 101", None),
        (buy("a", **limit("100")), "101 102 99.99 101", 100),
        (buy("a", **limit("100")), "98 102 97 101", 98),
        (sell("a", **limit("100")), "99 100 98 99", None),
        (sell("a", **limit("100")), "99 100.01 98 99", 100),
        (sell("a", **limit("100")), "103 104 102 103", 103),
        (buy("a", **stop("100")), "98 99.99 97 98", None),
        (buy("a", **stop("100")), "98 100 97 98", 100),
        (buy("a", **stop("100")), "102 103 101 102", 102),
        (sell("a", **stop("100")), "102 103 100.01 102", None),
        (sell("a", **stop("100")), "102 103 100 102", 100),
        (sell("a", **stop("100")), "98 99 97 98", 98),
        (buy("a", **stop_limit("100", "101")), "98 99 97 98", None),
        (buy("a", **stop_limit("100", "101")), "98 103 97 102", 100),
        (buy("a", **stop_limit("100", "101")), "103 104 102 103", None),
        (buy("a", **stop_limit("100", "101")), "103 104 100.5 103", 101),
        (buy("a", **stop_limit("100", "99")), "98 103 97 102", None),
        (buy("a", **stop_limit("100", "99")), "98 103 97 98.5", 99),
        (sell("a", **trailing("5")), "100 104 99.01 99.5", None),
        (sell("a", **trailing("5")), "100 104 95 99.5", 95),
        (sell("a", **trailing("5")), "100 104 98 99", 99),
        (sell("a", **trailing("5", stop_price="97")), "96 104 96 99", 96),
        (buy("a", **trailing("5")), "100 105 96 102", 105),
        (buy("a", **trailing("5")), "100 104 96 101", 101),
    ],
)
def test_where_an_order_fills_on_its_first_bar(command: SubmitOrder, prices: str, price: float | None) -> None:
    assert price_of(command, bar(2, prices)) == (None if price is None else Decimal(str(price)))


def test_a_resting_limit_fills_at_its_limit_and_never_better() -> None:
    fills = played(buy("a", **limit("100")), bar(2, "101"), bar(3, "95 96 94 95"))
    assert [(fill.last_price, fill.liquidity) for fill in fills] == [(D(100), Liquidity.ADDED)]


def test_a_touch_fills_where_the_rules_say_so() -> None:
    venue = PaperVenue([teapots()], rules=PaperRules(fills_on_touch=True))
    assert len(played(buy("a", **limit("100")), bar(2, "101 102 100 101"), venue=venue)) == 1


def test_a_trailing_stop_follows_the_best_price_and_never_goes_back() -> None:
    venue = PaperVenue([teapots()], rules=FREE)
    rising = bar(2, "100 110 99 108"), bar(3, "107 108 105.5 106"), bar(4, "106 106 105 105")
    fills = played(sell("a", **trailing("5", stop_price="90")), *rising, venue=venue)
    assert [(fill.event_time_us, fill.last_price) for fill in fills] == [(day(4), D(105))]


def test_a_triggered_stop_limit_rests_as_a_limit() -> None:
    bars = bar(2, "103 104 102 103"), bar(3, "102 103 101 102"), bar(4, "102 103 100.99 102")
    fills = played(buy("a", **stop_limit("100", "101")), *bars)
    assert [(fill.event_time_us, fill.last_price) for fill in fills] == [(day(4), D(101))]


def test_spread_and_slippage_go_against_the_taker_and_to_the_tick() -> None:
    rules = PaperRules(half_spread_rate=Decimal("0.001"), slippage_rate=Decimal(0))
    for command, price in ((buy("a"), "100.11"), (sell("b"), "99.9")):
        venue = PaperVenue([teapots()], rules=rules)
        (fill,) = played(command, bar(2, "100.005"), venue=venue)
        assert fill.last_price == Decimal(price)
        assert fill.liquidity is Liquidity.REMOVED


def test_a_taker_never_pays_more_than_its_limit() -> None:
    rules = PaperRules(half_spread_rate=Decimal("0.001"), slippage_rate=Decimal("0.05"), seed=3)
    venue = PaperVenue([teapots()], rules=rules)
    (fill,) = played(buy("a", **limit("100.2")), bar(2, "100"), venue=venue)
    assert fill.last_price is not None
    assert Decimal("100.1") <= fill.last_price <= Decimal("100.2")


def test_costs_go_against_the_taker_at_negative_prices_too() -> None:
    rules = PaperRules(half_spread_rate=Decimal("0.001"), slippage_rate=Decimal(0))
    for command, price in ((buy("a", instrument_id="OIL"), "-36.94"), (sell("b", instrument_id="OIL"), "-37.02")):
        venue = PaperVenue([oil()], rules=rules)
        (fill,) = played(command, bar(2, "-36.98", instrument="OIL"), venue=venue)
        assert fill.last_price == Decimal(price)


def test_a_price_that_may_not_be_negative_stops_at_one_tick() -> None:
    rules = PaperRules(half_spread_rate=Decimal(0), half_spread_ticks=Decimal(5), slippage_rate=Decimal(0))
    (fill,) = played(sell("a"), bar(2, "0.02"), venue=PaperVenue([teapots()], rules=rules))
    assert fill.last_price == Decimal("0.01")


def test_the_same_seed_fills_alike_and_another_one_does_not() -> None:
    def price(seed: int) -> Decimal | None:
        venue = PaperVenue([teapots()], rules=PaperRules(slippage_rate=Decimal("0.05"), seed=seed))
        return played(buy("a"), bar(2, "100"), venue=venue)[0].last_price

    assert price(1) == price(1)
    assert price(1) != price(2)


def test_all_orders_together_take_at_most_the_share_of_the_volume_in_order_of_acceptance() -> None:
    venue = PaperVenue([teapots(has_volume=True)], rules=PaperRules(participation=Decimal("0.1")))
    for name in ("first", "second"):
        venue.submit(buy(name, 80))
    takes = [(e.client_order_id, e.last_quantity, e.order_status) for e in venue.on_bar(bar(2, "100", volume="1099"))]
    assert takes == [("first", D(80), OrderStatus.FILLED), ("second", D(29), OrderStatus.PARTIALLY_FILLED)]
    rest = venue.on_bar(bar(3, "100", volume="1000"))
    assert [(e.client_order_id, e.last_quantity, e.cumulative_quantity) for e in rest] == [("second", D(51), D(80))]


@pytest.mark.parametrize("volume", [None, "0", "9"])
def test_where_volume_is_published_a_bar_without_enough_of_it_fills_nothing(volume: str | None) -> None:
    venue = PaperVenue([teapots(has_volume=True)], rules=PaperRules(participation=Decimal("0.1")))
    assert played(buy("a"), bar(2, "100", volume=volume), venue=venue) == []


def test_where_no_volume_is_published_an_order_fills_whole() -> None:
    (fill,) = played(buy("a", 1_000_000), bar(2, "100"))
    assert fill.last_quantity == 1_000_000


def test_immediate_or_cancel_takes_what_there_is_and_cancels_the_rest() -> None:
    venue = PaperVenue([teapots(has_volume=True)], rules=FREE)
    said = played(buy("a", 10, time_in_force=TimeInForce.IOC), bar(2, "100", volume="4"), venue=venue)
    assert [(e.exec_type, e.cumulative_quantity, e.leaves_quantity) for e in said] == [
        (ExecType.TRADE, D(4), D(6)),
        (ExecType.CANCELED, D(4), D(0)),
    ]


def test_fill_or_kill_takes_all_or_nothing() -> None:
    for volume, expected in (("9", ExecType.CANCELED), ("10", ExecType.TRADE)):
        venue = PaperVenue([teapots(has_volume=True)], rules=FREE)
        (said,) = played(buy("a", 10, time_in_force=TimeInForce.FOK), bar(2, "100", volume=volume), venue=venue)
        assert said.exec_type is expected


def test_a_day_order_ends_with_the_day_of_its_first_bar() -> None:
    command = buy("a", at=1, time_in_force=TimeInForce.DAY, **limit("90"))
    bars = [bar(n, "100", interval=0.25) for n in (1.25, 1.5, 1.75, 2.0, 2.25)]
    (said,) = played(command, *bars)
    assert (said.exec_type, said.event_time_us) == (ExecType.EXPIRED, day(2.25))


def test_a_good_till_date_order_is_not_tried_on_a_bar_that_ends_after_its_date() -> None:
    good_till: dict[str, Any] = {"time_in_force": TimeInForce.GTD, "expire_at_us": day(3)}
    assert price_of(buy("a", **limit("100"), **good_till), bar(2, "105"), bar(3, "99 99 99 99")) == 100
    (said,) = played(buy("b", **limit("100"), **good_till), bar(2, "105"), bar(3.1, "99"))
    assert said.exec_type is ExecType.EXPIRED


def test_a_fee_is_share_plus_amount_a_unit_and_at_least_the_minimum_of_the_order() -> None:
    venue = PaperVenue([teapots(has_volume=True)], [fees("0.001", "0.01", "1.50")], rules=FREE)
    said = played(buy("a", 20), bar(2, "100", volume="10"), bar(3, "100", volume="10"), venue=venue)
    assert [(e.fee, e.fee_currency) for e in said] == [(Decimal("1.50"), "USD"), (Decimal("1.10"), "USD")]


def test_a_reduce_only_order_never_trades_more_than_is_held() -> None:
    venue = PaperVenue([teapots()], rules=FREE)
    played(buy("in", 5), bar(2, "100"), venue=venue)
    venue.submit(sell("out", 8, at=2, reduce_only=True))
    traded = venue.on_bar(bar(3, "100"))
    ended = venue.on_bar(bar(4, "100"))
    assert [(e.exec_type, e.last_quantity) for e in traded + ended] == [
        (ExecType.TRADE, D(5)),
        (ExecType.CANCELED, D(0)),
    ]
    assert venue.positions("alice") == []


PRICES = st.integers(-400, 400)
ORDERS = st.sampled_from(["market", "limit", "stop", "stop_limit", "trailing"])


def wish(kind: str, level: int, beyond: int) -> dict[str, Any]:
    match kind:
        case "market":
            return {}
        case "limit":
            return limit(str(level))
        case "stop":
            return stop(str(level))
        case "stop_limit":
            return stop_limit(str(level), str(beyond))
        case _:
            return trailing(str(abs(beyond) + 1))


@given(
    side=st.sampled_from([buy, sell]),
    kind=ORDERS,
    level=PRICES,
    beyond=PRICES,
    walk=st.lists(st.tuples(PRICES, st.integers(0, 9), st.integers(0, 9), st.floats(0, 1)), min_size=1, max_size=6),
)
def test_without_friction_every_fill_is_within_its_limit_and_at_a_price_of_its_bar_or_the_limit(
    side: Any, kind: str, level: int, beyond: int, walk: list[tuple[int, int, int, float]]
) -> None:
    bars = []
    for number, (opened, up, down, share) in enumerate(walk, start=2):
        close = round(opened - down + share * (up + down))
        bars.append(bar(number, f"{opened} {opened + up} {opened - down} {close}", instrument="OIL"))
    command = side("a", instrument_id="OIL", **wish(kind, level, beyond))
    for fill in played(command, *bars):
        its_bar = next(each for each in bars if each.event_time_us == fill.event_time_us)
        assert fill.last_price is not None
        if command.limit_price is not None:
            assert fill.last_price <= command.limit_price if side is buy else fill.last_price >= command.limit_price
        assert fill.last_price == command.limit_price or its_bar.low <= fill.last_price <= its_bar.high


def test_an_order_in_an_instrument_that_the_venue_does_not_know_is_rejected() -> None:
    answer = PaperVenue().submit(order("a"))
    assert (answer.exec_type, answer.code) == (ExecType.REJECTED, "UNKNOWN_INSTRUMENT")


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (buy("a", 0), "QUANTITY"),
        (buy("a", "1.5"), "QUANTITY"),
        (buy("a", 1_001), "QUANTITY"),
        (buy("a", **limit("100.001")), "PRICE"),
        (buy("a", **limit("-1")), "PRICE"),
        (buy("a", order_type=limit("1")["order_type"]), "PRICE"),
        (sell("a", **trailing("0")), "PRICE"),
        (buy("a", time_in_force=TimeInForce.GTD), "TIME_IN_FORCE"),
        (buy("a", time_in_force=TimeInForce.FOK, **stop("100")), "TIME_IN_FORCE"),
        (sell("a", reduce_only=True), "REDUCE_ONLY"),
        (sell("a"), "NOT_SHORTABLE"),
        (buy("a", post_only=True, **limit("100")), "POST_ONLY"),
    ],
)
def test_what_the_venue_refuses(command: SubmitOrder, code: str) -> None:
    venue = PaperVenue([teapots(shortable=False, quantity_max=Decimal(1_000))], rules=FREE)
    venue.on_bar(bar(1, "100"))
    answer = venue.submit(command)
    assert (answer.exec_type, answer.code) == (ExecType.REJECTED, code)
    assert venue.on_bar(bar(2, "100")) == []


def test_an_order_that_must_not_take_is_not_changed_so_that_it_would() -> None:
    venue = PaperVenue([teapots()], rules=FREE)
    venue.on_bar(bar(1, "100"))
    resting = buy("a", post_only=True, **limit("99"))
    assert venue.submit(resting).exec_type is ExecType.NEW
    refused = venue.replace(change("b", resting, 10, limit_price="101"))
    assert (refused.exec_type, refused.code) == (ExecType.REPLACE_REJECTED, "POST_ONLY")
    assert venue.replace(change("c", resting, 10, limit_price="98")).exec_type is ExecType.REPLACED
