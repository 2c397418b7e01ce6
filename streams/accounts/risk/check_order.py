"""Checks of the order itself: instrument, market, price, quantity, and what it says it is."""

from bisect import bisect_right
from decimal import Decimal

from schemas.control import MarginRegime, Scope
from schemas.order import OrderType, Side, TimeInForce
from schemas.reference import Instrument, TradingSession
from schemas.scalars import SCALE, SECOND_US
from streams.accounts.orders.order import EXIT, Order
from streams.accounts.positions.contract import value
from streams.accounts.risk.reading import PASSED, Reading, denied, passed, text, within
from streams.accounts.risk.view import View
from streams.accounts.valuation import conversion_age_us

ZERO = Decimal(0)

PRICED = {
    OrderType.MARKET: (False, False),
    OrderType.LIMIT: (True, False),
    OrderType.STOP: (False, True),
    OrderType.STOP_LIMIT: (True, True),
    OrderType.TRAILING_STOP: (False, None),
}
"""Whether an order type has a limit price and a stop price; None where it may."""

AT_ONCE = frozenset({TimeInForce.IOC, TimeInForce.FOK})
"""Orders that never rest."""


def instrument_known(view: View) -> Reading:
    instrument = view.instrument
    if instrument is None:
        return denied("INSTRUMENT_UNKNOWN", view.proposal.instrument_id)
    if not is_sound(instrument):
        return denied("INSTRUMENT_INVALID", f"tick={instrument.tick_size} lot={instrument.lot_size}")
    return passed(instrument.symbol)


def is_sound(instrument: Instrument) -> bool:
    """Whether prices, quantities and values of the instrument can be computed at all."""
    return all(
        one.is_finite() and one > 0 for one in (instrument.multiplier, instrument.tick_size, instrument.lot_size)
    )


def instrument_permitted(view: View) -> Reading:
    instrument = view.instrument
    if instrument is None:
        return denied("INSTRUMENT_NOT_PERMITTED", view.proposal.instrument_id)
    if not instrument.tradable:
        return denied("INSTRUMENT_NOT_TRADABLE", instrument.instrument_id)
    if view.bounds.anywhere("permitted", Scope.INSTRUMENT) and not view.bounds.is_on("permitted"):
        return denied("INSTRUMENT_NOT_PERMITTED", instrument.instrument_id)
    return PASSED


def restricted(view: View) -> Reading:
    if view.bounds.is_on("restricted"):
        return denied("INSTRUMENT_RESTRICTED", view.proposal.instrument_id)
    return PASSED


def session(view: View) -> Reading:
    """The venue has not halted the instrument, and its calendar is in session or will be before long."""
    instrument = view.instrument
    if instrument is None:
        return denied("SESSION_UNKNOWN")
    status = view.shared.statuses.get(instrument.instrument_id)
    if status is not None and status.halted:
        return denied("MARKET_HALTED", status.reason or "halted")
    if instrument.calendar == "24/7":
        return passed("24/7")
    calendar = view.shared.calendars.get(instrument.calendar)
    if calendar is None:
        return denied("SESSION_UNKNOWN", instrument.calendar)
    if view.now_us > calendar.covers_until_us:
        return denied("SESSION_UNKNOWN", instrument.calendar, calendar.covers_until_us)
    opens_in = _opens_in_us(calendar, view.now_us)
    if opens_in == 0:
        return passed("open")
    wait = view.bounds.value("session_wait_max") or ZERO
    if opens_in is not None and opens_in <= wait * SECOND_US:
        return passed(f"opens in {opens_in // SECOND_US} s", wait)
    return denied("MARKET_CLOSED", "" if opens_in is None else opens_in // SECOND_US, wait)


def _opens_in_us(calendar: TradingSession, now_us: int) -> int | None:
    """Time to the next session: 0 inside one, its ends included; None where none is known."""
    at = bisect_right(calendar.sessions, now_us, key=lambda one: one.opens_us)
    if at and now_us <= calendar.sessions[at - 1].closes_us:
        return 0
    return calendar.sessions[at].opens_us - now_us if at < len(calendar.sessions) else None


def mark_fresh(view: View) -> Reading:
    if view.mark is None:
        return denied("MARK_UNKNOWN", view.proposal.instrument_id)
    age = Decimal(max(0, view.now_us - view.mark.at_us)) / SECOND_US
    return within(view, "mark_age_max", age, "MARK_STALE", f"mark={text(view.mark.last)}")


def conversion_fresh(view: View) -> Reading:
    instrument = view.instrument
    if instrument is None or view.rate is None:
        return denied("CONVERSION_UNKNOWN", "" if instrument is None else instrument.settlement_currency)
    base = view.account.profile.base_currency
    at_us = conversion_age_us(view.shared, instrument.settlement_currency, base)
    if at_us == 0:
        return passed(view.rate)
    age = Decimal(max(0, view.now_us - at_us)) / SECOND_US if at_us is not None else None
    return within(view, "mark_age_max", age, "CONVERSION_STALE", f"rate={text(view.rate)}")


def price_valid(view: View) -> Reading:
    instrument, proposal = view.instrument, view.proposal
    if instrument is None or not is_sound(instrument):
        return denied("PRICE_UNKNOWN")
    has_limit, has_stop = PRICED[proposal.order_type]
    if (proposal.limit_price is not None) is not has_limit:
        return denied("PRICE_MISSING" if has_limit else "PRICE_NOT_WANTED", text(proposal.limit_price))
    if has_stop is not None and (proposal.stop_price is not None) is not has_stop:
        return denied("PRICE_MISSING" if has_stop else "PRICE_NOT_WANTED", text(proposal.stop_price))
    if proposal.order_type is OrderType.TRAILING_STOP and not _positive(proposal.trail_offset):
        return denied("TRAIL_INVALID", text(proposal.trail_offset))
    for price in (proposal.limit_price, proposal.stop_price):
        if price is None:
            continue
        if not price.is_finite():
            return denied("PRICE_NOT_A_NUMBER", text(price))
        if price <= 0 and not instrument.price_may_be_negative:
            return denied("PRICE_NOT_POSITIVE", price, 0)
        if price % instrument.tick_size:
            return denied("PRICE_OFF_TICK", price, instrument.tick_size)
        if -_exponent(price) > instrument.price_decimals:
            return denied("PRICE_PRECISION", price, instrument.price_decimals)
    return passed("" if view.price is None else view.price, instrument.tick_size)


def _positive(number: Decimal | None) -> bool:
    return number is not None and number.is_finite() and number > 0


def _exponent(number: Decimal) -> int:
    exponent = number.normalize().as_tuple().exponent
    return exponent if isinstance(exponent, int) else -SCALE


def quantity_valid(view: View) -> Reading:
    instrument, quantity = view.instrument, view.proposal.quantity
    if not quantity.is_finite():
        return denied("QUANTITY_NOT_A_NUMBER", text(quantity))
    if quantity <= 0 or view.quantity <= 0:
        return denied("QUANTITY_NOT_POSITIVE", quantity, 0)
    if instrument is None or not is_sound(instrument):
        return denied("QUANTITY_UNKNOWN", quantity)
    if quantity % instrument.lot_size:
        return denied("QUANTITY_OFF_LOT", quantity, instrument.lot_size)
    if -_exponent(quantity) > instrument.quantity_decimals:
        return denied("QUANTITY_PRECISION", quantity, instrument.quantity_decimals)
    if instrument.quantity_min is not None and quantity < instrument.quantity_min and not view.emergency:
        return denied("QUANTITY_BELOW_MIN", quantity, instrument.quantity_min)
    if instrument.quantity_max is not None and quantity > instrument.quantity_max:
        return denied("QUANTITY_ABOVE_MAX", quantity, instrument.quantity_max)
    return passed(quantity, instrument.lot_size)


def notional_bounds(view: View) -> Reading:
    instrument = view.instrument
    if instrument is None or view.price is None:
        return denied("NOTIONAL_UNKNOWN")
    if instrument.notional_min is None and instrument.notional_max is None:
        return PASSED
    if view.price <= 0 and instrument.contract.value == "INVERSE":
        return denied("NOTIONAL_UNKNOWN", view.price)
    notional = abs(value(instrument.contract, view.price, view.quantity, instrument.multiplier))
    if instrument.notional_min is not None and notional < instrument.notional_min and not view.reducing:
        return denied("NOTIONAL_BELOW_MIN", notional, instrument.notional_min)
    if instrument.notional_max is not None and notional > instrument.notional_max:
        return denied("NOTIONAL_ABOVE_MAX", notional, instrument.notional_max)
    return passed(notional)


def price_collar(view: View) -> Reading:
    """Distance of the order's own price from the mark, on the side that would cost: a buy above, a sell below."""
    if view.mark is None:
        return denied("PRICE_COLLAR_UNKNOWN")
    if view.own_price is None:
        return passed("market order")
    last = view.mark.last
    distance = view.own_price - last if view.buying else last - view.own_price
    share = None if not last else max(ZERO, distance) / abs(last)
    return within(view, "price_collar", share, "PRICE_COLLAR", f"price={text(view.own_price)} mark={text(last)}")


def price_collar_window(view: View) -> Reading:
    """Distance of the price, the mark for a market order, from the range of the last five to ten minutes."""
    mark = view.mark
    if mark is None:
        return denied("PRICE_COLLAR_WINDOW_UNKNOWN")
    low = mark.window_low if mark.before_low is None else min(mark.window_low, mark.before_low)
    high = mark.window_high if mark.before_high is None else max(mark.window_high, mark.before_high)
    price = view.own_price if view.own_price is not None else mark.last
    distance = price - high if view.buying else low - price
    edge = abs(high if view.buying else low)
    share = None if not edge else max(ZERO, distance) / edge
    return within(view, "price_collar_window", share, "PRICE_COLLAR_WINDOW", f"low={text(low)} high={text(high)}")


def order_value(view: View) -> Reading:
    return within(view, "order_value_max", view.value, "ORDER_VALUE", f"worst_price={text(view.worst_price)}")


def order_quantity(view: View) -> Reading:
    return within(view, "order_quantity_max", view.proposal.quantity, "ORDER_QUANTITY")


def order_volume_share(view: View) -> Reading:
    mean = None if view.mark is None else view.mark.mean_volume
    share = None if not mean or mean <= 0 else view.quantity / Decimal(repr(mean))
    return within(view, "order_volume_share_max", share, "ORDER_VOLUME_SHARE", f"mean_volume={text(mean)}")


def order_lives(view: View) -> Reading:
    """An order good till a date needs one in the future, no other has one; one that must not take can rest."""
    proposal = view.proposal
    if (proposal.expire_at_us is not None) is not (proposal.time_in_force is TimeInForce.GTD):
        return denied("EXPIRY_MISSING" if proposal.expire_at_us is None else "EXPIRY_NOT_WANTED")
    if proposal.expire_at_us is not None and proposal.expire_at_us <= view.now_us:
        return denied("EXPIRY_PAST", proposal.expire_at_us, view.now_us)
    if proposal.post_only and (proposal.order_type is not OrderType.LIMIT or proposal.time_in_force in AT_ONCE):
        return denied("POST_ONLY", f"{proposal.order_type} {proposal.time_in_force}", OrderType.LIMIT)
    return PASSED


def reduce_only(view: View) -> Reading:
    """An order that may only shrink the position must not be larger than it, other such orders counted."""
    if not view.proposal.reduce_only:
        return PASSED
    if not view.reducing:
        inputs = f"held={text(view.held)} buys={text(view.buys)} sells={text(view.sells)}"
        return denied("REDUCE_ONLY", view.signed, -view.held, inputs)
    return passed(view.signed, -view.held)


def short_permitted(view: View) -> Reading:
    """Selling short needs an instrument that may be shorted and an account that may borrow."""
    short = _short(view)
    if short <= 0:
        return PASSED
    if view.instrument is None or not view.instrument.shortable:
        return denied("SHORT_NOT_PERMITTED", short, 0, "instrument")
    if view.account.profile.margin is MarginRegime.CASH:
        return denied("SHORT_NOT_PERMITTED", short, 0, "cash account")
    return passed(short)


def short_locate(view: View) -> Reading:
    short = _short(view)
    if short <= 0 or not view.bounds.is_on("short_locate_required"):
        return PASSED
    located = view.bounds.value("short_locate")
    if located is None:
        return denied("SHORT_LOCATE_UNKNOWN", short)
    return passed(short, located) if short <= located else denied("SHORT_LOCATE", short, located)


def short_price_test(view: View) -> Reading:
    """While the price test holds, a short sale must be a limit order above the mark."""
    if _short(view) <= 0 or not view.bounds.is_on("short_price_test"):
        return PASSED
    if view.mark is None:
        return denied("SHORT_PRICE_TEST_UNKNOWN")
    limit = view.proposal.limit_price
    if limit is None or limit <= view.mark.last:
        return denied("SHORT_PRICE_TEST", "market" if limit is None else limit, view.mark.last)
    return passed(limit, view.mark.last)


def _short(view: View) -> Decimal:
    """Units that would be held short if this sale and all that works fill; zero for a buy."""
    return ZERO if view.buying else max(ZERO, view.sells + view.quantity - view.held)


def self_match(view: View) -> Reading:
    """An own working order on the other side, at a price that this one would meet; of several the first by id."""
    mine = view.proposal.limit_price
    met: Order | None = None
    for order in view.orders_here:
        if (order.side is Side.BUY) is view.buying or not order.open_quantity:
            continue
        if order.purpose == EXIT and order.order_type is OrderType.STOP:
            continue  # it rests outside the book until the price is there, and then only closes
        theirs = order.limit_price
        meets = mine is None or theirs is None or (mine >= theirs if view.buying else mine <= theirs)
        if meets and (met is None or order.client_order_id < met.client_order_id):
            met = order
    if met is None:
        return PASSED
    theirs = met.limit_price
    return denied(
        "SELF_MATCH", "market" if mine is None else mine, "market" if theirs is None else theirs,
        f"order={met.client_order_id}",
    )  # fmt: skip
