"""Implementation shortfall: what an order cost against the same order on paper. Pure; exact to the wire's decimals.

On paper all that was ordered is traded at the price of the decision, at once and for nothing. Source: A. F. Perold
(1988), "The implementation shortfall: paper versus reality", Journal of Portfolio Management 14(3); the part until
arrival is told apart as in W. H. Wagner and M. Edwards (1993), "Best execution", Financial Analysts Journal 49(1).
The view `implementation_shortfall` says the same of recorded orders.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext

from schemas.order import Side
from schemas.reference import ContractKind
from schemas.scalars import ZERO, rounded

EXACT = Context(prec=60)
"""Digits that hold products of three wire decimals."""


@dataclass(frozen=True, slots=True)
class Paper:
    """An order as it was decided.

    quantity: units ordered, positive
    decision: price when the decision fell
    multiplier, contract: of the instrument
    """

    side: Side
    quantity: Decimal
    decision: Decimal
    multiplier: Decimal = Decimal(1)
    contract: ContractKind = ContractKind.LINEAR


@dataclass(frozen=True, slots=True)
class Shortfall:
    """Cost in the settlement currency, positive is worse; the four parts add up to `total` to the last digit.

    delay: of what was filled, from decision to arrival
    execution: of what was filled, from arrival to the fills
    opportunity: of what was not filled, from decision to close
    fees: paid
    """

    delay: Decimal
    execution: Decimal
    opportunity: Decimal
    fees: Decimal

    @property
    def total(self) -> Decimal:
        """Result on paper less the real one, both valued at the close."""
        return self.delay + self.execution + self.opportunity + self.fees


def shortfall(
    paper: Paper, fills: Iterable[tuple[Decimal, Decimal]], *, arrival: Decimal, close: Decimal, fees: Decimal = ZERO
) -> Shortfall:
    """Divide the shortfall of an order with these fills (units, price).

    `arrival` is the price when the order reached the broker, `close` the one at which what was not filled is valued,
    `fees` a cost in the settlement currency. What rounding leaves is in `execution`. Raises ZeroDivisionError
    (decimal.DivisionByZero) for an inverse contract at a price of zero.
    """
    with localcontext(EXACT):
        sign = 1 if paper.side is Side.BUY else -1
        decided, arrived, closed = (_worth(paper, price) for price in (paper.decision, arrival, close))
        filled, paid = ZERO, ZERO
        for units, price in fills:
            filled += units
            paid += units * _worth(paper, price)
        delay = rounded(sign * filled * (arrived - decided))
        missed = sign * (paper.quantity - filled) * (closed - decided)
        whole = rounded(sign * (paid - filled * decided) + missed + fees)
        opportunity, charged = rounded(missed), rounded(fees)
        return Shortfall(delay, whole - delay - opportunity - charged, opportunity, charged)


def _worth(paper: Paper, price: Decimal) -> Decimal:
    """What one unit bought at zero is worth at the price, in the settlement currency, less a constant."""
    if paper.contract is ContractKind.LINEAR:
        return price * paper.multiplier
    return -paper.multiplier / price
