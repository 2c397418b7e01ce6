"""What a contract pays: linear in the quote currency, inverse in the base currency.

All results are exact to the precision of the current decimal context; the room folds with 50 digits.
"""

from decimal import Decimal

from schemas.reference import ContractKind, InstrumentClass

ZERO = Decimal(0)
ONE = Decimal(1)

SETTLED_BY_DIFFERENCE = frozenset({InstrumentClass.FUTURE, InstrumentClass.CRYPTO_PERPETUAL})
"""Classes of which nothing is paid on opening: only differences of price become cash."""


def pays_difference(instrument_class: InstrumentClass, kind: ContractKind) -> bool:
    """Whether a fill moves cash only by its result and fee, not by its full value."""
    return kind is ContractKind.INVERSE or instrument_class in SETTLED_BY_DIFFERENCE


def profit(kind: ContractKind, opened: Decimal, closed: Decimal, quantity: Decimal, multiplier: Decimal) -> Decimal:
    """Result of `quantity` signed units opened and closed at these prices, before fees, in the settlement currency.

    An inverse contract has no result at a price of zero: raises ZeroDivisionError (decimal.DivisionByZero).
    """
    if kind is ContractKind.LINEAR:
        return (closed - opened) * quantity * multiplier
    return (ONE / opened - ONE / closed) * quantity * multiplier


def value(kind: ContractKind, price: Decimal, quantity: Decimal, multiplier: Decimal) -> Decimal:
    """Signed worth of `quantity` signed units at a price, in the settlement currency; negative where the price is.

    Raises ZeroDivisionError for an inverse contract at a price of zero.
    """
    if kind is ContractKind.LINEAR:
        return quantity * price * multiplier
    return quantity * multiplier / price
