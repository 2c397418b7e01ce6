"""Sizing: from a wish to a signed target in units, by four methods, always inside the limits and rounded to lots.

    FIXED_FRACTION     a fraction of equity in notional
    FIXED_RISK         a fraction of equity lost between entry and stop, commissions of both ways taken off before
    VOLATILITY_TARGET  notional whose annualised volatility is the target
    KELLY              a share of the Kelly fraction p - (1 - p) / b, with b what is won for one lost

A target weight is taken as it is. Every target is clipped by `sizing_weight_max` and by what one position may be, and
rounded toward zero to whole lots. What a method needs and does not have is a refusal, never a guess.
"""

from decimal import ROUND_DOWN, Decimal
from typing import NamedTuple

from schemas.control import MarginRegime, SizingMethod
from schemas.intent import IntentKind, TradeIntent
from schemas.reference import FeeSchedule, Instrument
from streams.accounts.positions.contract import value
from streams.accounts.risk.bounds import Bounds

ZERO = Decimal(0)
ONE = Decimal(1)

UNITS_MAX = Decimal(10) ** 18
"""More units than anybody trades; a price near zero asks for more."""


class Money(NamedTuple):
    """What sizing knows of the account and the market.

    equity: in the base currency; price: the mark; rate: base currency for one unit of the settlement currency
    """

    equity: Decimal | None
    price: Decimal | None
    rate: Decimal | None
    fees: FeeSchedule | None
    margin: MarginRegime
    method: SizingMethod
    volatility: float | None = None


class Sized(NamedTuple):
    """A signed target in units, or why there is none. note: how it came about, for the verdict."""

    target: Decimal
    code: str = ""
    note: str = ""


def size(intent: TradeIntent, instrument: Instrument, money: Money, bounds: Bounds) -> Sized:
    """The position that the wish asks for, in units."""
    if intent.kind is IntentKind.EXIT or (intent.kind is IntentKind.DIRECTION and not intent.direction):
        return Sized(ZERO, note="flat")
    if money.equity is None or money.rate is None or money.price is None:
        return Sized(ZERO, "SIZING_UNPRICED", "equity, mark or conversion is unknown")
    if money.equity <= 0:
        return Sized(ZERO, "EQUITY_NOT_POSITIVE", f"equity={money.equity}")
    direction = _direction(intent)
    if direction is None:
        return Sized(ZERO, "SIZING_WISH_INVALID", f"direction={intent.direction} weight={intent.target_weight}")
    if direction < 0 and (money.margin is MarginRegime.CASH or not instrument.shortable):
        return Sized(ZERO, note="flat: this account cannot be short here")
    wished = _wished(intent, instrument, money, bounds, abs(direction))
    if wished.code:
        return wished
    clipped = _clip(wished.target, instrument, money, bounds)
    target = rounded_to_lot(clipped, instrument.lot_size)
    sign = -1 if direction < 0 else 1
    note = wished.note if clipped == wished.target else f"{wished.note} clipped={clipped:f}"
    return Sized(sign * target, note=note)


def rounded_to_lot(quantity: Decimal, lot: Decimal) -> Decimal:
    """The quantity in whole lots, toward zero."""
    return (quantity / lot).to_integral_value(ROUND_DOWN) * lot if lot > 0 else quantity


def _direction(intent: TradeIntent) -> Decimal | None:
    """The wish as a signed share; None where it is not a finite number within its range."""
    if intent.kind is IntentKind.TARGET_WEIGHT:
        weight = intent.target_weight
        return None if weight is None or not -100 <= weight <= 100 else Decimal(repr(weight))
    return Decimal(repr(intent.direction)) if -1 <= intent.direction <= 1 else None


def _wished(intent: TradeIntent, instrument: Instrument, money: Money, bounds: Bounds, share: Decimal) -> Sized:
    if intent.kind is IntentKind.TARGET_WEIGHT:
        return _by_notional(share, f"weight={share}", instrument, money)
    match money.method:
        case SizingMethod.FIXED_FRACTION:
            fraction = bounds.value("sizing_fraction")
            if fraction is None:
                return Sized(ZERO, "LIMIT_MISSING", "sizing_fraction")
            return _by_notional(share * fraction, f"fraction={fraction} share={share}", instrument, money)
        case SizingMethod.FIXED_RISK:
            return _by_risk(intent, instrument, money, bounds, share)
        case SizingMethod.VOLATILITY_TARGET:
            return _by_volatility(intent, instrument, money, bounds, share)
        case SizingMethod.KELLY:
            return _by_kelly(intent, instrument, money, bounds, share)


def _by_notional(fraction: Decimal, note: str, instrument: Instrument, money: Money) -> Sized:
    assert money.equity is not None, "sizing without equity is refused before"
    unit = _unit_value(instrument, money)
    if unit is None:
        return Sized(ZERO, "SIZING_PRICE_NOT_POSITIVE", f"price={money.price}")
    return Sized(fraction * money.equity / unit, note=note)


def _by_risk(intent: TradeIntent, instrument: Instrument, money: Money, bounds: Bounds, share: Decimal) -> Sized:
    """Units such that a move from entry to stop loses the fraction of equity that may be lost."""
    risk = bounds.value("sizing_risk")
    if risk is None:
        return Sized(ZERO, "LIMIT_MISSING", "sizing_risk")
    if intent.stop_price is None:
        return Sized(ZERO, "SIZING_NO_STOP", "a wish sized by risk needs a stop price")
    assert money.equity is not None, "sizing without equity is refused before"
    assert money.rate is not None, "sizing without a rate is refused before"
    entry = intent.limit_price if intent.limit_price is not None else intent.reference_price
    amount = risk * share * money.equity
    rate = money.fees.rate if money.fees is not None else ZERO
    return Sized(
        units_at_risk(amount, entry, intent.stop_price, instrument, money.rate, rate),
        note=f"risk={risk} entry={entry} stop={intent.stop_price}",
    )


def units_at_risk(
    amount: Decimal, entry: Decimal, stop: Decimal, instrument: Instrument, rate: Decimal, fee_rate: Decimal = ZERO
) -> Decimal:
    """Units that lose `amount` of base currency between entry and stop; 0 where entry and stop are one.

    Commissions of both ways, as a share of the amount at risk, are taken off it first.
    """
    if instrument.tick_size <= 0 or rate <= 0:
        return ZERO
    ticks = abs(entry - stop) / instrument.tick_size
    if not ticks:
        return ZERO
    left = amount - 2 * fee_rate * amount
    return left / rate / ticks / instrument.tick_size / instrument.multiplier


def _by_volatility(intent: TradeIntent, instrument: Instrument, money: Money, bounds: Bounds, share: Decimal) -> Sized:
    aim = bounds.value("sizing_volatility")
    if aim is None:
        return Sized(ZERO, "LIMIT_MISSING", "sizing_volatility")
    seen = intent.volatility if intent.volatility is not None else money.volatility
    if seen is None or not 0 < seen < 1000:
        return Sized(ZERO, "SIZING_NO_VOLATILITY", f"volatility={seen}")
    volatility = Decimal(repr(seen))
    return _by_notional(share * aim / volatility, f"target={aim} volatility={seen}", instrument, money)


def _by_kelly(intent: TradeIntent, instrument: Instrument, money: Money, bounds: Bounds, share: Decimal) -> Sized:
    cap = bounds.value("sizing_kelly")
    if cap is None:
        return Sized(ZERO, "LIMIT_MISSING", "sizing_kelly")
    if intent.probability is None or not 0 <= intent.probability <= 1:
        return Sized(ZERO, "SIZING_NO_PROBABILITY", f"probability={intent.probability}")
    probability = Decimal(repr(intent.probability))
    payoff = _payoff(intent)
    kelly = max(ZERO, probability - (ONE - probability) / payoff)
    return _by_notional(
        share * cap * kelly, f"kelly={kelly:.6f} cap={cap} probability={intent.probability}", instrument, money
    )


def _payoff(intent: TradeIntent) -> Decimal:
    """Won for one lost, by the wish's own stop and target; 1 where it names none."""
    if intent.stop_price is None or intent.take_profit_price is None:
        return ONE
    lost = abs(intent.reference_price - intent.stop_price)
    won = abs(intent.take_profit_price - intent.reference_price)
    return won / lost if lost and won else ONE


def _unit_value(instrument: Instrument, money: Money) -> Decimal | None:
    """One unit in the base currency; None where the price is not above zero, for then a fraction means nothing."""
    assert money.price is not None, "sizing without a price is refused before"
    assert money.rate is not None, "sizing without a rate is refused before"
    if money.price <= 0:
        return None
    return value(instrument.contract, money.price, ONE, instrument.multiplier) * money.rate


def _clip(quantity: Decimal, instrument: Instrument, money: Money, bounds: Bounds) -> Decimal:
    """The quantity inside what one position may be, by value and by units."""
    assert money.equity is not None, "sizing without equity is refused before"
    unit = _unit_value(instrument, money)
    caps = [quantity, UNITS_MAX]
    units = bounds.value("position_quantity_max")
    if units is not None:
        caps.append(units)
    if unit is not None:
        for name in ("sizing_weight_max", "concentration_max", "leverage_max"):
            share = bounds.value(name)
            if share is not None:
                caps.append(share * money.equity / unit)
        for name in ("position_value_max", "gross_exposure_max"):
            worth = bounds.value(name)
            if worth is not None:
                caps.append(worth / unit)
    return max(ZERO, min(caps))
