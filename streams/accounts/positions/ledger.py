"""The netting ledger: one net position by average cost, through zero and back.

The average price is the quantity-weighted mean of the fills that opened or increased the position; reducing leaves it.
A fill that passes through zero closes all of the old position and opens the new one with what is left; its fee is
shared by quantity. Results are kept both for all time and for the present cycle from flat to flat.
"""

from decimal import Decimal
from typing import NamedTuple

from schemas.record import Part
from schemas.reference import ContractKind
from schemas.scalars import rounded
from streams.accounts.positions.contract import ZERO, profit, value


class Terms(NamedTuple):
    """What a contract is. multiplier: units of the underlying in one unit of quantity."""

    kind: ContractKind
    multiplier: Decimal


class Net(Part, frozen=True):
    """One net position.

    quantity: signed units
    average_price: of what is open; of what was open last when flat
    realised: of all that was closed, before fees
    fees: of all fills
    cycle_realised, cycle_fees: the same since the position was last flat
    cycle_opened: absolute value of the fills that opened or increased it since then, in the settlement currency
    """

    quantity: Decimal = ZERO
    average_price: Decimal = ZERO
    realised: Decimal = ZERO
    fees: Decimal = ZERO
    cycle_realised: Decimal = ZERO
    cycle_fees: Decimal = ZERO
    cycle_opened: Decimal = ZERO

    @property
    def cycle_result(self) -> Decimal:
        """Result of the present cycle after fees."""
        return self.cycle_realised - self.cycle_fees


FLAT = Net()


class Effect(NamedTuple):
    """What one fill did: the position after it, what it closed (before its fee) and how many units it closed."""

    net: Net
    realised: Decimal
    closed: Decimal


def fold_fill(net: Net, terms: Terms, quantity: Decimal, price: Decimal, fee: Decimal = ZERO) -> Effect:
    """Fold one fill of `quantity` signed units. `fee` is a cost in the settlement currency, negative for a rebate."""
    held = net.quantity
    if not quantity:
        return Effect(net, ZERO, ZERO)
    if not held:
        return Effect(_open(net, terms, quantity, price, fee), ZERO, ZERO)
    if (held > 0) == (quantity > 0):
        return Effect(_increase(net, terms, quantity, price, fee), ZERO, ZERO)
    if abs(quantity) <= abs(held):
        return _reduce(net, terms, quantity, price, fee)
    closing_fee = rounded(fee * -held / quantity)
    closed = _reduce(net, terms, -held, price, closing_fee)
    opened = _open(closed.net, terms, quantity + held, price, fee - closing_fee)
    return Effect(opened, closed.realised, abs(held))


def unrealised(net: Net, terms: Terms, mark: Decimal) -> Decimal:
    """Result of what is open if it were closed at the mark, before fees."""
    if not net.quantity:
        return ZERO
    return profit(terms.kind, net.average_price, mark, net.quantity, terms.multiplier)


class Folded(Part, frozen=True):
    """How a fill was folded, kept so that a bust can take it back.

    quantity: signed units
    price: of the fill
    fee: in the settlement currency
    realised: what it closed, before its fee
    before_quantity, before_average: the position that it met
    """

    quantity: Decimal
    price: Decimal
    fee: Decimal
    realised: Decimal
    before_quantity: Decimal
    before_average: Decimal


def undo_fill(net: Net, terms: Terms, fill: Folded) -> Effect:
    """Take back a fill that the broker busted.

    Exact where the position is what the fill left. Otherwise, where the position stays on its side, what the fill
    closed comes back and what it opened leaves, at the average that leaves the sum of realised and unrealised result
    right; where it does not, or no price is such an average, the fill is closed at its own price, right as well.
    """
    held, quantity = net.quantity, fill.quantity
    met = Net(fill.before_quantity, fill.before_average)
    after = fold_fill(met, terms, quantity, fill.price).net
    left, average = held - quantity, _average_without(net, terms, fill)
    if held == after.quantity and (not held or net.average_price == after.average_price):
        left, average = fill.before_quantity, fill.before_average
    elif average is None or not held or (left > 0) != (held > 0) or bool(fill.realised) is (abs(left) < abs(held)):
        return fold_fill(net, terms, -quantity, fill.price, -fill.fee)
    undone = Net(
        left, average, net.realised - fill.realised, net.fees - fill.fee,
        net.cycle_realised - fill.realised, net.cycle_fees - fill.fee, net.cycle_opened,
    )  # fmt: skip
    return Effect(undone, -fill.realised, ZERO)


def _average_without(net: Net, terms: Terms, fill: Folded) -> Decimal | None:
    """The average of what is left without a fill whose result is taken back too; None where no price is."""
    left = net.quantity - fill.quantity
    if not left:
        return None
    result = fill.realised / terms.multiplier
    if terms.kind is not ContractKind.INVERSE:
        return (net.average_price * net.quantity - fill.price * fill.quantity - result) / left
    if not net.average_price or not fill.price:
        return None
    inverse = (net.quantity / net.average_price - fill.quantity / fill.price + result) / left
    return 1 / inverse if inverse > 0 else None


def _open(net: Net, terms: Terms, quantity: Decimal, price: Decimal, fee: Decimal) -> Net:
    opened = abs(value(terms.kind, price, quantity, terms.multiplier))
    return Net(quantity, price, net.realised, net.fees + fee, ZERO, fee, rounded(opened))


def _increase(net: Net, terms: Terms, quantity: Decimal, price: Decimal, fee: Decimal) -> Net:
    total = net.quantity + quantity
    average = (net.average_price * net.quantity + price * quantity) / total
    opened = net.cycle_opened + rounded(abs(value(terms.kind, price, quantity, terms.multiplier)))
    return Net(total, average, net.realised, net.fees + fee, net.cycle_realised, net.cycle_fees + fee, opened)


def _reduce(net: Net, terms: Terms, quantity: Decimal, price: Decimal, fee: Decimal) -> Effect:
    result = rounded(profit(terms.kind, net.average_price, price, -quantity, terms.multiplier))
    left = net.quantity + quantity
    return Effect(
        Net(
            left, net.average_price, net.realised + result, net.fees + fee,
            net.cycle_realised + result, net.cycle_fees + fee, net.cycle_opened,
        ),
        result,
        abs(quantity),
    )  # fmt: skip
