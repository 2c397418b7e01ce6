"""What an account holds at the venue, and what a fill does to it and to the account's money. Pure."""

from decimal import Decimal
from typing import NamedTuple

from connectors.brokers.paper.rules import wire
from schemas.reference import ContractKind, Instrument, InstrumentClass
from schemas.scalars import ZERO

_BY_DIFFERENCE = frozenset({InstrumentClass.FUTURE, InstrumentClass.CRYPTO_PERPETUAL})
_ONE = Decimal(1)


class Held(NamedTuple):
    """One net position.

    quantity: signed units
    average: price of what is open, by average cost; of what was open last when flat
    """

    quantity: Decimal = ZERO
    average: Decimal = ZERO


FLAT = Held()


def traded(held: Held, instrument: Instrument, quantity: Decimal, price: Decimal) -> tuple[Held, Decimal]:
    """The position after `quantity` signed units at the price, and what the account is paid in settlement currency.

    What is owned is paid for in full. Futures, perpetuals and inverse contracts pay the difference when they are
    closed. An inverse contract closed at a price of zero pays nothing: there is no such amount.
    """
    if held.quantity * quantity >= ZERO:
        total = held.quantity + quantity
        after = Held(total, wire((held.average * held.quantity + price * quantity) / total))
        closed = ZERO
    else:
        total = held.quantity + quantity
        closed = min(abs(quantity), abs(held.quantity)).copy_sign(held.quantity)
        after = Held(total, price if total * quantity > ZERO else held.average)
    if instrument.contract is ContractKind.INVERSE:
        return after, _inverse(held.average, price, closed * instrument.multiplier)
    if instrument.instrument_class in _BY_DIFFERENCE:
        return after, wire((price - held.average) * closed * instrument.multiplier)
    return after, wire(-quantity * price * instrument.multiplier)


def _inverse(opened: Decimal, closed: Decimal, units: Decimal) -> Decimal:
    return wire((_ONE / opened - _ONE / closed) * units) if opened and closed else ZERO
