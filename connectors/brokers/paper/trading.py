"""What one bar does to the working orders of its instrument. Pure: books and bar in, one change of the books out."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from msgspec.structs import replace

from connectors.brokers.paper.holdings import FLAT, Held, traded
from connectors.brokers.paper.ledger import Change, Holding, LastBar
from connectors.brokers.paper.matching import Match, Prices, match
from connectors.brokers.paper.orders import AT_ONCE, PaperOrder, exec_id, report, session_of
from connectors.brokers.paper.rules import PaperRules, fee, fee_currency, wire
from schemas.execution import ExecutionReport
from schemas.market import Bar, BarKind
from schemas.order import ExecType, OrderStatus, Side, TimeInForce
from schemas.reference import FeeSchedule, Instrument
from schemas.scalars import ZERO


@dataclass(slots=True)
class Trading:
    """The bar, what stands around it, and the change as it grows.

    began_us: the bar's prices but its close are from after this, and no earlier time is known.
    """

    venue: str
    instrument: Instrument
    fees: FeeSchedule | None
    rules: PaperRules
    bar: Bar
    began_us: int
    positions: dict[Holding, Held]
    cash: dict[Holding, Decimal]
    change: Change = field(default_factory=Change)
    _left: Decimal | None = None

    def run(self, orders: Iterable[PaperOrder]) -> Change:
        """Try the orders one after the other."""
        self._left = self._available()
        for order in orders:
            if order.accepted_us < self.bar.event_time_us:
                self._try(order)
        return self.change

    def _available(self) -> Decimal | None:
        """Units that all our orders together can take from this bar; None where nothing caps them."""
        if not self.instrument.has_volume:
            return None
        lot = self.instrument.lot_size
        return (self.rules.participation * (self.bar.volume or ZERO)) // lot * lot

    def _try(self, order: PaperOrder) -> None:
        day = session_of(self.bar.event_time_us)
        if order.time_in_force is TimeInForce.DAY and -1 < order.session < day:
            return self._end(order, ExecType.EXPIRED, "DAY_ENDED")
        if order.expire_at_us is not None and self.bar.event_time_us > order.expire_at_us:
            return self._end(order, ExecType.EXPIRED, "TIME_ENDED")
        wanted = self._wanted(order)
        if wanted <= ZERO:
            return self._end(order, ExecType.CANCELED, "REDUCE_ONLY")
        found = match(order, self._prices(order), self.instrument, self.rules)
        after = found.order if order.session >= 0 else replace(found.order, session=day)
        if found.price is not None:
            quantity = wanted if self._left is None else min(wanted, self._left)
            if quantity > ZERO and not (order.time_in_force is TimeInForce.FOK and quantity < order.leaves):
                after = self._fill(after, quantity, found)
        if after.working and order.time_in_force in AT_ONCE:
            return self._end(after, ExecType.CANCELED, "NOTAT_ONCE")
        if after is not order:
            self.change.orders.append(after)
        return None

    def _prices(self, order: PaperOrder) -> Prices:
        bar = self.bar
        if self.began_us >= order.accepted_us:
            return Prices(bar.open, bar.high, bar.low, bar.close, bar.volume, bar.event_time_us)
        return Prices(bar.close, bar.close, bar.close, bar.close, bar.volume, bar.event_time_us)

    def _wanted(self, order: PaperOrder) -> Decimal:
        if not order.reduce_only:
            return order.leaves
        held = self._held(order).quantity
        reducible = max(-held, ZERO) if order.side is Side.BUY else max(held, ZERO)
        return min(order.leaves, reducible)

    def _held(self, order: PaperOrder) -> Held:
        key = (order.account_id, order.instrument_id)
        return self.change.positions.get(key, self.positions.get(key, FLAT))

    def _fill(self, order: PaperOrder, quantity: Decimal, found: Match) -> PaperOrder:
        price = found.price
        assert price is not None, "a fill needs a price"
        cumulative = order.cumulative + quantity
        cost, currency = ZERO, self.instrument.settlement_currency
        if self.fees is not None:
            cost = fee(self.fees, self.instrument, quantity, price, order.fee)
            currency = fee_currency(self.fees, self.instrument) or currency
        after = replace(
            order,
            cumulative=cumulative,
            paid=order.paid + price * quantity,
            fee=order.fee + cost,
            status=OrderStatus.FILLED if cumulative == order.quantity else OrderStatus.PARTIALLY_FILLED,
        )
        if self._left is not None:
            self._left -= quantity
        self._settle(after, quantity, price, cost, currency)
        self._tell(
            report(
                after,
                self.venue,
                ExecType.TRADE,
                self.bar.event_time_us,
                exec_id(order.client_order_id, "TRADE", self.bar.event_time_us),
                last_quantity=quantity,
                last_price=price,
                fee=cost,
                fee_currency=currency,
                liquidity=found.liquidity,
            )
        )
        return after

    def _settle(self, order: PaperOrder, quantity: Decimal, price: Decimal, cost: Decimal, currency: str) -> None:
        signed = quantity if order.side is Side.BUY else -quantity
        held, paid = traded(self._held(order), self.instrument, signed, price)
        self.change.positions[(order.account_id, order.instrument_id)] = held
        self._pay(order.account_id, self.instrument.settlement_currency, paid)
        self._pay(order.account_id, currency, -cost)

    def _pay(self, account_id: str, currency: str, amount: Decimal) -> None:
        key = (account_id, currency)
        self.change.cash[key] = wire(self.change.cash.get(key, self.cash.get(key, ZERO)) + amount)

    def _end(self, order: PaperOrder, exec_type: ExecType, code: str) -> None:
        status = OrderStatus.EXPIRED if exec_type is ExecType.EXPIRED else OrderStatus.CANCELED
        ended = replace(order, status=status)
        self.change.orders.append(ended)
        time_us = self.bar.event_time_us
        self._tell(
            report(ended, self.venue, exec_type, time_us, exec_id(order.client_order_id, exec_type, time_us), code=code)
        )

    def _tell(self, execution: ExecutionReport) -> None:
        self.change.executions.append(execution)


def began_us(bar: Bar, last: LastBar | None) -> int:
    """A time after which all prices of the bar are; as late as can be known.

    A time bar follows the one before of its kind, or covers its interval. Of a volume bar only that is known.
    """
    follows = last is not None and last.kind is bar.kind and last.interval_us == bar.interval_us
    if bar.kind is BarKind.TIME:
        start = bar.event_time_us - bar.interval_us
        return max(start, last.time_us) if follows and last is not None else start
    return last.time_us if follows and last is not None else -1
