"""What the paper venue charges and how hard it is to trade there."""

from dataclasses import dataclass
from decimal import Context, Decimal
from hashlib import blake2b

from schemas.execution import Liquidity
from schemas.reference import ContractKind, FeeSchedule, Instrument
from schemas.scalars import SCALE, ZERO

EXACT = Context(prec=60)
"""Holds the product of two wire decimals without rounding."""

_QUANTUM = Decimal(1).scaleb(-SCALE)
_CHANCES = Decimal(2**64)


@dataclass(frozen=True, slots=True)
class PaperRules:
    """The venue's market model; rates are shares of the absolute price, so negative prices cost as positive ones do.

    seed: two venues with the same seed and the same inputs fill alike.
    half_spread_rate, half_spread_ticks: a taker pays the greater of the two beyond the bar's price.
    slippage_rate: a taker pays up to this much more, drawn for each order and bar.
    impact_rate: a taker pays this times the share of the bar's volume that it takes; nothing without volume.
    participation: share of a bar's volume that all our orders together can take, where the instrument has volume.
    fills_on_touch: a resting limit fills when its price is touched, not only when it is traded through.
    """

    seed: int = 0
    half_spread_rate: Decimal = Decimal("0.0001")
    half_spread_ticks: Decimal = ZERO
    slippage_rate: Decimal = Decimal("0.0001")
    impact_rate: Decimal = ZERO
    participation: Decimal = Decimal("0.1")
    fills_on_touch: bool = False

    def chance(self, client_order_id: str, time_us: int) -> Decimal:
        """A number in [0, 1) that depends on the seed, the order and the bar, and on nothing else."""
        text = f"{self.seed}/{client_order_id}/{time_us}".encode()
        return Decimal(int.from_bytes(blake2b(text, digest_size=8).digest())) / _CHANCES


FREE = PaperRules(half_spread_rate=ZERO, slippage_rate=ZERO, participation=Decimal(1))
"""A venue without friction, for comparisons with published results."""


def wire(number: Decimal) -> Decimal:
    """The nearest decimal that a record can carry."""
    return number.quantize(_QUANTUM, context=EXACT)


def notional(instrument: Instrument, quantity: Decimal, price: Decimal) -> Decimal:
    """Absolute value in the settlement currency. An inverse contract at price zero has none."""
    units = quantity * instrument.multiplier
    if instrument.contract is ContractKind.INVERSE:
        return abs(units / price) if price else ZERO
    return abs(units * price)


def fee(schedule: FeeSchedule, instrument: Instrument, quantity: Decimal, price: Decimal, charged: Decimal) -> Decimal:
    """What this fill costs, given what the order was charged before: the minimum is of the order, not of the fill.

    `charged` is the order's fee so far. Exact to the wire's scale.
    """
    due = schedule.rate * notional(instrument, quantity, price) + schedule.per_unit * quantity
    return wire(max(due, schedule.minimum - charged) if due >= ZERO else due)


def fee_currency(schedule: FeeSchedule, instrument: Instrument) -> str | None:
    """Currency of the fee, or None where rate and fixed amounts are in different ones and cannot be added."""
    fixed = schedule.per_unit or schedule.minimum
    if not fixed:
        return instrument.settlement_currency
    if schedule.currency == instrument.settlement_currency or not schedule.rate:
        return schedule.currency
    return None


MAKER, TAKER = Liquidity.ADDED, Liquidity.REMOVED
