"""View: one proposed order and all that the checks look at, computed once."""

from collections.abc import Mapping
from decimal import Decimal
from math import sqrt
from typing import Any, NamedTuple

from schemas.control import MarginRegime
from schemas.order import OrderType, Side, TimeInForce
from streams.accounts.account import Account, Holding
from streams.accounts.orders.order import Order
from streams.accounts.positions.contract import pays_difference, value
from streams.accounts.risk.bounds import Bounds
from streams.accounts.risk.curves import Circumstances, scale_of, scales
from streams.accounts.shared import RETURNS_MIN, Shared
from streams.accounts.valuation import conversion, in_base

ZERO = Decimal(0)
ONE = Decimal(1)

EMERGENCY = frozenset({"STOP", "FLATTEN", "CLOSE", "EXIT", "CORRECTION"})
"""Purposes of orders that only ever close: those that risk itself sends, exits that were agreed with the entry, and a
person's order to close."""


class Proposal(NamedTuple):
    """An order as it would go out.

    purpose: WISH, MANUAL, CLOSE, STOP, FLATTEN, EXIT of a bracket, or CORRECTION where both its exits filled
    made_us, valid_until_us: when the wish was made and until when it holds
    replaces: the working order that it changes
    protect_stop, protect_target: prices that guard what it opens
    """

    client_order_id: str
    cause: str
    instrument_id: str
    side: Side
    quantity: Decimal
    made_us: int
    valid_until_us: int
    order_type: OrderType = OrderType.MARKET
    time_in_force: TimeInForce = TimeInForce.DAY
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_offset: Decimal | None = None
    expire_at_us: int | None = None
    reduce_only: bool = False
    post_only: bool = False
    strategy_id: str = ""
    provider_id: str = ""
    signal_id: str = ""
    purpose: str = "WISH"
    reference_price: Decimal | None = None
    replaces: Order | None = None
    protect_stop: Decimal | None = None
    protect_target: Decimal | None = None


class View:
    """What the checks see. Amounts without another unit in their name are in the base currency; None is unknown.

    price: at which the order is judged: its own, or the mark
    worst_price: the most that a buy pays and the least that a sell gets
    held, buys, sells: position and open quantities of other orders, the replaced one left out
    quantity: open units proposed; signed: with the side's sign
    worst_before, worst_after: largest absolute position in units without and with the order
    value: of the order at its worst price; value_before, value_after: of the worst position at the mark
    orders_here: the account's working orders in the instrument
    memo: what several checks need and one computed
    reducing: the order can only shrink the position, whatever else fills
    """

    def __init__(self, account: Account, shared: Shared, proposal: Proposal, now_us: int):
        self.account, self.shared, self.proposal, self.now_us = account, shared, proposal, now_us
        profile = account.profile
        self.bounds = Bounds(
            profile.limits, proposal.strategy_id, proposal.instrument_id, proposal.provider_id, profile.venue
        )
        self.bounds.scales = dynamic_scales(account, shared, self.bounds, proposal.instrument_id, now_us)
        self.instrument = shared.instruments.get(proposal.instrument_id)
        self.mark = shared.marks.get(proposal.instrument_id)
        self.equity = account.totals.equity
        self.holding: Holding = account.holdings.get(proposal.instrument_id) or Holding(
            instrument_id=proposal.instrument_id
        )
        name = proposal.instrument_id
        self.orders_here = [order for order in account.orders.values() if order.instrument_id == name]
        self.memo: dict[str, Any] = {}
        self.emergency = proposal.purpose in EMERGENCY and proposal.reduce_only
        self._quantities()
        self._prices()
        self._values()

    def _quantities(self) -> None:
        proposal, holding = self.proposal, self.holding
        buys, sells = holding.buys, holding.sells
        quantity = proposal.quantity
        replaced = proposal.replaces
        if replaced is not None:
            quantity = max(ZERO, quantity - replaced.cumulative)
            if replaced.side is Side.BUY:
                buys -= replaced.counted
            else:
                sells -= replaced.counted
        self.buying = proposal.side is Side.BUY
        self.quantity = quantity
        self.held, self.buys, self.sells = holding.net.quantity, buys, sells
        held = self.held
        self.worst_before = max(abs(held), abs(held + buys), abs(held - sells))
        if self.buying:
            self.signed = quantity
            self.worst_after = max(abs(held), abs(held + buys + quantity), abs(held - sells))
            self.reducing = held < 0 and buys + quantity <= -held
        else:
            self.signed = -quantity
            self.worst_after = max(abs(held), abs(held + buys), abs(held - sells - quantity))
            self.reducing = held > 0 and sells + quantity <= held

    def _prices(self) -> None:
        proposal = self.proposal
        own = proposal.limit_price if proposal.limit_price is not None else proposal.stop_price
        self.own_price = own
        last = None if self.mark is None else self.mark.last
        self.price = own if own is not None else last
        self.worst_price = self.price
        if proposal.limit_price is None and self.price is not None:
            slippage = (self.bounds.value("slippage_allowance") or ZERO) * abs(self.price)
            self.worst_price = self.price + slippage if self.buying else self.price - slippage

    def _values(self) -> None:
        """Values in the base currency; None where a price or a rate is unknown, or cannot value the contract."""
        self.rate: Decimal | None = None
        self.value: Decimal | None = None
        self.unit_mark: Decimal | None = None
        self.value_before: Decimal | None = None
        self.value_after: Decimal | None = None
        self.unit_cash: Decimal | None = None
        self.fee: Decimal | None = None
        instrument = self.instrument
        if instrument is None:
            return
        base = self.account.profile.base_currency
        self.rate = conversion(self.shared, instrument.settlement_currency, base)
        kind, multiplier = instrument.contract, instrument.multiplier
        if self.rate is None or self.mark is None or self.price is None or self.worst_price is None:
            return
        if not multiplier.is_finite():
            return
        if kind.value == "INVERSE" and min(self.mark.last, self.price, self.worst_price) <= 0:
            return
        self.unit_mark = abs(value(kind, self.mark.last, ONE, multiplier)) * self.rate
        worst_unit = max(
            abs(value(kind, self.worst_price, ONE, multiplier)), abs(value(kind, self.price, ONE, multiplier))
        )
        self.value = worst_unit * self.quantity * self.rate
        self.value_before = self.worst_before * self.unit_mark
        self.value_after = self.worst_after * self.unit_mark
        self.unit_cash = self._unit_cash(worst_unit)
        self.fee = self._fee()

    def _unit_cash(self, worst_unit: Decimal) -> Decimal:
        """Cash or margin that one unit needs, in the settlement currency, before fees."""
        instrument, regime = self.instrument, self.account.profile.margin
        assert instrument is not None, "values are computed for known instruments only"
        assert self.worst_price is not None, "values are computed with a price only"
        if self.reducing:
            return ZERO if not self._pays_to_close() else worst_unit
        if regime is not MarginRegime.CASH:
            return worst_unit * self.margin_rate
        if pays_difference(instrument.instrument_class, instrument.contract):
            return worst_unit
        side = 1 if self.buying else -1
        return max(ZERO, side * self.worst_price * instrument.multiplier)

    def _pays_to_close(self) -> bool:
        """Whether closing costs cash: buying back a short, or selling at a negative price."""
        assert self.instrument is not None, "values are computed for known instruments only"
        assert self.worst_price is not None, "values are computed with a price only"
        if pays_difference(self.instrument.instrument_class, self.instrument.contract):
            return False
        return (self.worst_price > 0) == self.buying and bool(self.worst_price)

    def _fee(self) -> Decimal | None:
        """Estimated fee of the whole order in the settlement currency; None where the venue's fees are unknown."""
        instrument = self.instrument
        schedule = self.shared.fees.get(self.account.profile.venue)
        if instrument is None or schedule is None or self.value is None or not self.rate:
            return None
        notional = self.value / self.rate
        fixed = self.quantity * schedule.per_unit
        rate = conversion(self.shared, schedule.currency, instrument.settlement_currency)
        if rate is None:
            if fixed or schedule.minimum:
                return None
            rate = ZERO
        return max(notional * schedule.rate + fixed * rate, schedule.minimum * rate)

    @property
    def margin_rate(self) -> Decimal:
        """Share of notional that must be covered to open, by the account's regime."""
        return initial_rate(self.account.profile.margin, self.bounds)

    @property
    def unit_reserve(self) -> Decimal | None:
        """What each open unit holds back, in the settlement currency, fees included."""
        if self.unit_cash is None or self.fee is None or not self.quantity:
            return None
        return self.unit_cash + self.fee / self.quantity

    def cash_free(self) -> Decimal | None:
        """Cash not held for other working orders."""
        totals, base = self.account.totals, self.account.profile.base_currency
        cash = in_base(self.shared, totals.cash, base)
        reserved = in_base(self.shared, totals.reserved, base)
        if cash is None or reserved is None:
            return None
        replaced = self.proposal.replaces
        if replaced is not None and self.rate is not None:
            reserved -= replaced.counted * replaced.unit_reserve * self.rate
        return cash - reserved

    def worst_total(self) -> Decimal | None:
        """Absolute value of all positions if all that works fills at its worst, this order too."""
        before = in_base(self.shared, self.account.totals.worst, self.account.profile.base_currency)
        if before is None or self.value_after is None or self.rate is None:
            return None
        return before - self.holding.worst * self.rate + self.value_after

    def net_total(self) -> Decimal | None:
        """Long less short, if this order fills."""
        before = in_base(self.shared, self.account.totals.net, self.account.profile.base_currency)
        if before is None or self.unit_mark is None or self.mark is None:
            return None
        sign = 1 if self.mark.last >= 0 else -1
        return before + sign * self.signed * self.unit_mark


def dynamic_scales(
    account: Account, shared: Shared, bounds: Bounds, instrument_id: str, now_us: int
) -> Mapping[str, Decimal]:
    """Scales of the limits that move, by the declared curves; none where the account does not ask for them."""
    if not bounds.is_on("dynamic_limits"):
        return {}
    mark, totals = shared.marks.get(instrument_id), account.totals
    ratio = None
    if mark is not None and mark.returns >= RETURNS_MIN and mark.slow > 0:
        ratio = Decimal(repr(sqrt(mark.fast / mark.slow)))
    bound = bounds.limit("drawdown_max")
    used = None
    if bound is not None and bound.value > 0 and totals.equity is not None and totals.peak > 0:
        used = max(ZERO, (totals.peak - totals.equity) / totals.peak) / bound.value
    instrument = shared.instruments.get(instrument_id)
    calendar = "" if instrument is None else instrument.calendar
    seen = Circumstances(ratio, used, shared.calendars.get(calendar), calendar == "24/7", now_us)
    return scales(scale_of(seen))


INITIAL_RATES = {
    MarginRegime.CASH: ONE,
    MarginRegime.REG_T: Decimal("0.5"),
    MarginRegime.INTRADAY: Decimal("0.25"),
}
"""Share of notional to be covered when opening: paid in full, Regulation T, the least of FINRA 4210 in the day."""

MAINTENANCE_RATES = {
    MarginRegime.CASH: ZERO,
    MarginRegime.REG_T: Decimal("0.25"),
    MarginRegime.INTRADAY: Decimal("0.25"),
}
"""Share of notional to be covered while holding."""


def initial_rate(regime: MarginRegime, bounds: Bounds) -> Decimal:
    """Share of notional that must be covered to open."""
    if regime is MarginRegime.CRYPTO_ISOLATED:
        return ONE / (bounds.value("isolated_leverage") or ONE)
    return INITIAL_RATES[regime]


def maintenance_rate(regime: MarginRegime, bounds: Bounds) -> Decimal:
    """Share of notional that must be covered to hold; for isolated positions half of the initial one."""
    if regime is MarginRegime.CRYPTO_ISOLATED:
        return initial_rate(regime, bounds) / 2
    return MAINTENANCE_RATES[regime]
