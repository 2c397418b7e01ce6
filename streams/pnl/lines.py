"""Lines: what one member did in one instrument, by average cost, and its round trips from flat to flat. Pure.

A strategy's or provider's line is made of its own fills alone. The account nets them all, so what is realised and what
is unrealised differs between the two views, but their sum does not: fills and mark decide it.
"""

from decimal import Decimal
from typing import NamedTuple

from msgspec.structs import replace

from schemas.execution import Fill
from schemas.order import Side
from schemas.record import Part
from schemas.reference import ContractKind
from schemas.scalars import ZERO, rounded

ONE = Decimal(1)


class Line(Part, frozen=True):
    """One member in one instrument.

    quantity: signed units
    average: price of what is open; meaningless when flat
    multiplier, contract, currency: of the instrument, as the newest fill said
    unrealised: of what is open, at the newest mark; None where it cannot be priced
    trip: result of the present round trip so far, after fees
    last_fill: id of the newest fill folded
    """

    quantity: Decimal = ZERO
    average: Decimal = ZERO
    multiplier: Decimal = ONE
    contract: ContractKind = ContractKind.LINEAR
    currency: str = ""
    unrealised: Decimal | None = ZERO
    trip: Decimal = ZERO
    last_fill: str = ""


class Effect(NamedTuple):
    """What one fill did to a line: amounts in the line's currency; `trips` closed, of which `wins` after fees."""

    line: Line
    realised: Decimal
    trips: int
    wins: int


def signed(fill: Fill) -> Decimal:
    """Units of the fill, negative for a sale."""
    return fill.quantity if fill.side is Side.BUY else -fill.quantity


def notional(fill: Fill) -> Decimal:
    """Absolute value of the fill in its currency; an inverse contract at price zero has none."""
    units = fill.quantity * (fill.multiplier or ONE)
    if fill.contract is ContractKind.INVERSE:
        return rounded(abs(units / fill.price)) if fill.price else ZERO
    return rounded(abs(units * fill.price))


def profit(line: Line, quantity: Decimal, price: Decimal) -> Decimal | None:
    """Result of `quantity` signed units opened at the line's average and closed at the price, before fees, rounded.

    None where there is none: an inverse contract at a price of zero.
    """
    if line.contract is ContractKind.LINEAR:
        return rounded((price - line.average) * quantity * line.multiplier)
    if not price or not line.average:
        return None
    return rounded((ONE / line.average - ONE / price) * quantity * line.multiplier)


def marked(line: Line, mark: Decimal | None) -> Line:
    """The line valued at the mark."""
    if not line.quantity:
        value: Decimal | None = ZERO
    else:
        value = None if mark is None else profit(line, line.quantity, mark)
    return line if value == line.unrealised else replace(line, unrealised=value)


def adjusted(line: Line, ratio: Decimal, amount: Decimal) -> Effect:
    """Fold a corporate action: `ratio` new units for each old one, and `amount` for each unit as a result."""
    income = rounded(line.quantity * amount)
    after = replace(
        line, quantity=rounded(line.quantity * ratio), average=line.average / ratio, trip=line.trip + income
    )
    return Effect(after, income, 0, 0)


def fold(line: Line, fill: Fill, fee: Decimal) -> Effect:
    """Fold one fill; `fee` is its cost in the line's currency. The line is valued at the fill until the next mark."""
    quantity, held = signed(fill), line.quantity
    line = replace(
        line,
        multiplier=fill.multiplier or ONE,
        contract=fill.contract,
        currency=fill.currency,
        last_fill=fill.fill_id,
    )
    if not held or (held > 0) == (quantity > 0):
        average = (line.average * held + fill.price * quantity) / (held + quantity)
        after = replace(line, quantity=held + quantity, average=average, trip=(line.trip if held else ZERO) - fee)
        return Effect(marked(after, fill.price), ZERO, 0, 0)
    closed = min(abs(quantity), abs(held))
    closing_fee = rounded(fee * closed / abs(quantity))
    realised = profit(line, closed if held > 0 else -closed, fill.price) or ZERO
    trip = line.trip + realised - closing_fee
    left = held + quantity
    if left and (left > 0) == (held > 0):
        after = replace(line, quantity=left, trip=trip)
        return Effect(marked(after, fill.price), realised, 0, 0)
    after = replace(line, quantity=left, average=fill.price if left else line.average, trip=closing_fee - fee)
    return Effect(marked(after, fill.price), realised, 1, 1 if trip > 0 else 0)
