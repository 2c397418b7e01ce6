"""The matching rules: one order against the prices of one bar. Pure, and the same for a buy and a sell.

A bar's prices count only as far as they are surely later than the order. A bar that began at or after acceptance counts
whole; of one that began before, only the close does.

    market          fills at the first price.
    limit           on its first bar, if the first price with the half spread is within the limit: there, as a taker,
                    never beyond the limit. Otherwise, and on later bars, when the bar trades through the limit (or
                    touches it, where the rules say so): at the limit, never better, as a maker.
    stop            triggers when touched: at the stop, or at the first price where that is already beyond it.
    stop-limit      triggers as a stop, then is a limit. Triggered inside a bar, only the close is surely later than
                    the trigger, so it fills at once if the stop with the half spread is within the limit, else when
                    the close is through the limit, else it rests.
    trailing stop   the stop of before the bar is tested first; then the bar's best price moves it, and the close is
                    tested against the moved stop. Without a stop price it starts from the first price.

A taker pays half spread, slippage and impact beyond the price named, rounded against it to the tick. A price that may
not be negative never fills below one tick.
"""

from collections.abc import Callable
from decimal import ROUND_CEILING, Decimal
from typing import NamedTuple

from msgspec.structs import replace

from connectors.brokers.paper.orders import PaperOrder
from connectors.brokers.paper.rules import MAKER, TAKER, PaperRules
from schemas.execution import Liquidity
from schemas.order import OrderType, Side
from schemas.reference import Instrument
from schemas.scalars import ZERO


class Prices(NamedTuple):
    """Prices of a bar that are later than the order, in the quote currency; `volume` None where none is published."""

    first: Decimal
    high: Decimal
    low: Decimal
    last: Decimal
    volume: Decimal | None
    time_us: int


class Match(NamedTuple):
    """The order as the bar left it, and the price at which it trades, if it does."""

    order: PaperOrder
    price: Decimal | None = None
    liquidity: Liquidity = TAKER


class _View(NamedTuple):
    """The bar as a buyer sees it: for a sell every price has its sign turned, so that dear is up for both."""

    first: Decimal
    high: Decimal
    low: Decimal
    last: Decimal
    half_spread: Callable[[Decimal], Decimal]
    taken_at: Callable[[Decimal], Decimal]
    on_touch: bool


def match(order: PaperOrder, prices: Prices, instrument: Instrument, rules: PaperRules) -> Match:
    """Try the order against the bar. The quantity is not judged here; impact assumes that all of it trades."""
    sign = 1 if order.side is Side.BUY else -1
    view = _view(order, prices, instrument, rules, sign)
    limit = None if order.limit_price is None else order.limit_price * sign
    stop = None if order.stop_price is None else order.stop_price * sign
    at: tuple[Decimal, Liquidity] | None
    match order.order_type:
        case OrderType.MARKET:
            at = view.taken_at(view.first), TAKER
        case OrderType.LIMIT:
            assert limit is not None, "a limit order was accepted without its price"
            at = _limit(view, limit, fresh=order.fresh)
        case OrderType.STOP:
            assert stop is not None, "a stop was accepted without its price"
            at = _stop(view, stop)
        case OrderType.STOP_LIMIT:
            assert stop is not None, "a stop-limit was accepted without its stop"
            assert limit is not None, "a stop-limit was accepted without its limit"
            triggered, at = _stop_limit(view, stop, limit, order.triggered)
            order = replace(order, triggered=triggered)
        case OrderType.TRAILING_STOP:
            assert order.trail_offset is not None, "a trailing stop was accepted without its distance"
            stop, at = _trailing(view, stop, order.trail_offset)
            order = replace(order, stop_price=stop * sign)
    if order.fresh:
        order = replace(order, fresh=False)
    return Match(order) if at is None else Match(order, _legal(at[0] * sign, instrument), at[1])


def _view(order: PaperOrder, prices: Prices, instrument: Instrument, rules: PaperRules, sign: int) -> _View:
    tick = instrument.tick_size

    def half_spread(price: Decimal) -> Decimal:
        return max(rules.half_spread_rate * abs(price), rules.half_spread_ticks * tick)

    def taken_at(price: Decimal) -> Decimal:
        slip = ZERO
        if rules.slippage_rate:
            slip = rules.slippage_rate * rules.chance(order.root_id, prices.time_us)
        if rules.impact_rate and prices.volume:
            slip += rules.impact_rate * min(order.leaves / prices.volume, rules.participation)
        dear = price + half_spread(price) + slip * abs(price)
        return dear if dear == price else (dear / tick).to_integral_value(ROUND_CEILING) * tick

    if sign > 0:
        first, high, low, last = prices.first, prices.high, prices.low, prices.last
    else:
        first, high, low, last = -prices.first, -prices.low, -prices.high, -prices.last
    return _View(first, high, low, last, half_spread, taken_at, rules.fills_on_touch)


def _limit(view: _View, limit: Decimal, *, fresh: bool) -> tuple[Decimal, Liquidity] | None:
    if fresh and view.first + view.half_spread(view.first) <= limit:
        return min(view.taken_at(view.first), limit), TAKER
    if view.low < limit or (view.on_touch and view.low == limit):
        return limit, MAKER
    return None


def _stop(view: _View, stop: Decimal) -> tuple[Decimal, Liquidity] | None:
    if view.first >= stop:
        return view.taken_at(view.first), TAKER
    if view.high >= stop:
        return view.taken_at(stop), TAKER
    return None


def _stop_limit(
    view: _View, stop: Decimal, limit: Decimal, triggered: bool
) -> tuple[bool, tuple[Decimal, Liquidity] | None]:
    if triggered:
        return True, _limit(view, limit, fresh=False)
    if view.first >= stop:
        return True, _limit(view, limit, fresh=True)
    if view.high < stop:
        return False, None
    if stop + view.half_spread(stop) <= limit:
        return True, (min(view.taken_at(stop), limit), TAKER)
    if view.last < limit:
        return True, (limit, MAKER)
    return True, None


def _trailing(view: _View, stop: Decimal | None, offset: Decimal) -> tuple[Decimal, tuple[Decimal, Liquidity] | None]:
    if stop is not None and view.first >= stop:
        return stop, (view.taken_at(view.first), TAKER)
    start = view.first + offset
    stop = start if stop is None else min(stop, start)
    if view.high >= stop:
        return stop, (view.taken_at(stop), TAKER)
    moved = min(stop, view.low + offset)
    if view.last >= moved:
        return moved, (view.taken_at(moved), TAKER)
    return moved, None


def _legal(price: Decimal, instrument: Instrument) -> Decimal:
    if instrument.price_may_be_negative or price >= instrument.tick_size:
        return price
    return instrument.tick_size
