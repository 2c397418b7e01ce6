"""Corporate actions on positions: a split keeps the cost and its value, a dividend is income. Pure.

By average cost, and for the views by lots alike. Fractions of units that a split leaves stay until the broker settles
them in cash and reconciliation finds the difference.
"""

from collections.abc import Iterable
from decimal import Decimal

from msgspec.structs import replace

from schemas.scalars import rounded
from streams.accounts.positions.ledger import Net
from streams.accounts.positions.lots import Lot


def split(net: Net, ratio: Decimal) -> Net:
    """The position with `ratio` new units for each old one; what it cost is the same."""
    return replace(net, quantity=rounded(net.quantity * ratio), average_price=net.average_price / ratio)


def dividend(net: Net, amount: Decimal) -> tuple[Net, Decimal]:
    """The position with `amount` for each unit in its results, and the cash that comes; below zero for a short."""
    cash = rounded(net.quantity * amount)
    return replace(net, realised=net.realised + cash, cycle_realised=net.cycle_realised + cash), cash


def split_lots(lots: Iterable[Lot], ratio: Decimal) -> tuple[Lot, ...]:
    """The same of lots, oldest first."""
    return tuple(Lot(rounded(lot.quantity * ratio), lot.price / ratio) for lot in lots)
