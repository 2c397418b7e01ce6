"""First-in-first-out and last-in-first-out views of the same fills, for tax and for people who think in lots.

The ledger by average cost decides; these views only tell which lots would have been closed.
"""

from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from streams.accounts.positions.contract import ZERO, profit
from streams.accounts.positions.ledger import Terms


class Matching(StrEnum):
    FIFO = "FIFO"
    LIFO = "LIFO"


class Lot(NamedTuple):
    """Signed units still open at one price."""

    quantity: Decimal
    price: Decimal


class LotView(NamedTuple):
    """What is open, oldest first, and the result of what was closed, before fees."""

    lots: tuple[Lot, ...]
    realised: Decimal


def view(
    fills: Iterable[tuple[Decimal, Decimal]], terms: Terms, matching: Matching, opened: Iterable[Lot] = ()
) -> LotView:
    """Fold (signed quantity, price) pairs in order, onto lots that are open already, as after a split."""
    lots: list[Lot] = list(opened)
    realised = ZERO
    for quantity, price in fills:
        left = quantity
        while left and lots and (lots[0].quantity > 0) != (left > 0):
            at = 0 if matching is Matching.FIFO else -1
            lot = lots[at]
            size = min(abs(left), abs(lot.quantity))
            closed = size if lot.quantity > 0 else -size
            realised += profit(terms.kind, lot.price, price, closed, terms.multiplier)
            left += closed
            rest = lot.quantity - closed
            if rest:
                lots[at] = Lot(rest, lot.price)
            else:
                lots.pop(at)
        if left:
            lots.append(Lot(left, price))
    return LotView(tuple(lots), realised)
