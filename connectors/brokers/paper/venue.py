"""The paper venue: orders against the instrument's own later prices, over a ledger that does not forget.

An order of time t fills only on prices later than t; what "later" and "touched" mean is said in `matching`. Within a
bar, orders are tried in the order of acceptance. Where the instrument has volume, all of them together take at most the
participation of the bar's volume, in whole lots, and the rest goes on working; a bar without volume then fills nothing.
Where the instrument publishes no volume there is no cap and an order fills whole.

Time in force: IOC and FOK are tried on the first bar and what is left is cancelled, FOK unless all of it trades; DAY
ends when a bar of a later day than its first one comes; GTD when a bar ends after its expiry. An ended order is not
tried on the bar that ends it.
"""

from collections.abc import Iterable
from decimal import Decimal, localcontext

from msgspec.structs import replace

from connectors.brokers.paper.holdings import FLAT
from connectors.brokers.paper.ledger import Book, Change, LastBar, Ledger, MemoryLedger, Numbered
from connectors.brokers.paper.orders import PaperOrder, accepted, exec_id, fault, report, report_of_unknown
from connectors.brokers.paper.rules import EXACT, PaperRules, fee_currency
from connectors.brokers.paper.trading import Trading, began_us
from schemas.execution import ExecutionReport, HeldCash, HeldPosition
from schemas.market import Bar
from schemas.order import (
    CancelOrder,
    ExecType,
    OrderStatus,
    OrderType,
    QueryOrder,
    ReplaceOrder,
    Side,
    SubmitOrder,
)
from schemas.reference import FeeSchedule, Instrument
from schemas.scalars import ZERO


class PaperVenue:
    """A venue that trades with us on paper. Everything it does is a function of its ledger, its rules and its seed."""

    def __init__(
        self,
        instruments: Iterable[Instrument] = (),
        fees: Iterable[FeeSchedule] = (),
        *,
        name: str = "PAPER",
        rules: PaperRules | None = None,
        ledger: Ledger | None = None,
    ):
        self.name = name
        self._rules = rules or PaperRules()
        self._ledger: Ledger = ledger or MemoryLedger()
        self._instruments: dict[str, Instrument] = {}
        self._fees: FeeSchedule | None = None
        self._book: Book = self._ledger.load()
        self._at: dict[str, dict[str, PaperOrder]] = {}
        for order in self._book.working.values():
            self._at.setdefault(order.instrument_id, {})[order.root_id] = order
        for instrument in instruments:
            self.learn(instrument)
        for schedule in fees:
            self.learn(schedule)

    def learn(self, reference: Instrument | FeeSchedule) -> None:
        """Take the rules of an instrument, or what the venue charges; the higher version holds."""
        if isinstance(reference, FeeSchedule):
            if reference.venue == self.name and (self._fees is None or reference.version > self._fees.version):
                self._fees = reference
            return
        known = self._instruments.get(reference.instrument_id)
        if known is None or reference.version > known.version:
            self._instruments[reference.instrument_id] = reference

    def fund(self, account_id: str, movement_id: str, currency: str, amount: Decimal) -> None:
        """Money comes in or goes out; the same movement twice is one."""
        if self._ledger.moved(movement_id):
            return
        key = (account_id, currency)
        self._commit(Change(cash={key: self._book.cash.get(key, ZERO) + amount}, movements=[movement_id]))

    def submit(self, order: SubmitOrder) -> ExecutionReport:
        """Take the order, or reject it; the same client_order_id twice is one order with one answer."""
        known = self._ledger.answer(order.client_order_id)
        if known is not None:
            return known
        self._book.sequence += 1
        entry = accepted(order, self._time(order.instrument_id, order.event_time_us), self._book.sequence)
        with localcontext(EXACT):
            refusal = self._refusal(order, entry)
        if refusal is None:
            answer = self._acknowledge(entry, ExecType.NEW)
        else:
            entry = replace(entry, status=OrderStatus.REJECTED)
            answer = self._acknowledge(entry, ExecType.REJECTED, *refusal)
        return self._answered(order.client_order_id, answer, entry)

    def cancel(self, request: CancelOrder) -> ExecutionReport:
        """Cancel what is left, or say why not; the same request twice is one."""
        known = self._ledger.answer(request.request_id)
        if known is not None:
            return known
        order = self._ledger.order(request.client_order_id)
        if order is None or not order.working:
            return self._not_working(request, order, ExecType.CANCEL_REJECTED)
        order = replace(order, status=OrderStatus.CANCELED)
        answer = report(
            order,
            self.name,
            ExecType.CANCELED,
            self._time(order.instrument_id, request.event_time_us),
            exec_id(request.request_id, "CANCELED"),
            client_order_id=request.request_id,
            original_client_order_id=request.client_order_id,
        )
        return self._answered(request.request_id, answer, order)

    def replace(self, request: ReplaceOrder) -> ExecutionReport:
        """Change a working order, or say why not. The order goes on under the request's id."""
        known = self._ledger.answer(request.request_id)
        if known is not None:
            return known
        order = self._ledger.order(request.client_order_id)
        if order is None or not order.working:
            return self._not_working(request, order, ExecType.REPLACE_REJECTED)
        time_us = self._time(order.instrument_id, request.event_time_us)
        changed = replace(
            order,
            client_order_id=request.request_id,
            original_client_order_id=order.client_order_id,
            quantity=request.quantity,
            limit_price=order.limit_price if request.limit_price is None else request.limit_price,
            stop_price=order.stop_price if request.stop_price is None else request.stop_price,
            accepted_us=time_us,
            fresh=True,
            status=OrderStatus.FILLED if request.quantity == order.cumulative else order.status,
        )
        with localcontext(EXACT):
            refusal = self._replace_refusal(changed)
        if refusal is not None:
            return self._no(request, order, ExecType.REPLACE_REJECTED, refusal)
        answer = report(changed, self.name, ExecType.REPLACED, time_us, exec_id(request.request_id, "REPLACED"))
        return self._answered(request.request_id, answer, changed)

    def query(self, request: QueryOrder) -> ExecutionReport | None:
        """The order as it is now, or None where the venue has never seen it."""
        order = self._ledger.order(request.client_order_id)
        if order is None:
            return None
        return report(
            order,
            self.name,
            ExecType.ORDER_STATUS,
            self._time(order.instrument_id, request.event_time_us),
            exec_id(request.request_id, "STATUS"),
        )

    def on_bar(self, bar: Bar) -> list[ExecutionReport]:
        """Try the working orders against the bar; what happened is in the ledger before this returns.

        A bar that is not newer than the instrument's last one does nothing.
        """
        last = self._book.bars.get(bar.instrument_id)
        if last is not None and bar.event_time_us <= last.time_us:
            return []
        newest = LastBar(time_us=bar.event_time_us, kind=bar.kind, interval_us=bar.interval_us, close=bar.close)
        self._book.bars[bar.instrument_id] = newest
        waiting = self._at.get(bar.instrument_id)
        instrument = self._instruments.get(bar.instrument_id)
        if not waiting or instrument is None:
            return []
        trading = Trading(
            venue=self.name,
            instrument=instrument,
            fees=self._fees,
            rules=self._rules,
            bar=bar,
            began_us=began_us(bar, last),
            positions=self._book.positions,
            cash=self._book.cash,
        )
        with localcontext(EXACT):
            change = trading.run(waiting.values())
        if change.orders:
            change.bars[bar.instrument_id] = newest
            self._commit(change)
        return change.executions

    def unpublished(self) -> list[Numbered]:
        """Executions of bars that nobody confirmed as published, with their numbers, oldest first."""
        return self._ledger.unpublished()

    def published(self, through: int) -> None:
        """Executions up to this number have reached the log."""
        self._ledger.published(through)

    def executions(self, after: int) -> list[Numbered]:
        """Executions of bars with a higher number, oldest first."""
        return self._ledger.executions(after)

    def working(self, account_id: str) -> list[PaperOrder]:
        """The account's working orders, oldest first."""
        return [order for order in self._book.working.values() if order.account_id == account_id]

    def positions(self, account_id: str) -> list[HeldPosition]:
        """What the account holds, in instrument order."""
        held = sorted(
            (i, h) for (account, i), h in self._book.positions.items() if account == account_id and h.quantity
        )
        return [HeldPosition(instrument_id=i, quantity=h.quantity, average_price=h.average) for i, h in held]

    def cash(self, account_id: str) -> list[HeldCash]:
        """The account's money, in currency order."""
        held = sorted((c, amount) for (account, c), amount in self._book.cash.items() if account == account_id)
        return [HeldCash(currency=currency, amount=amount) for currency, amount in held]

    def _time(self, instrument_id: str, event_time_us: int) -> int:
        """When a request reaches the venue: never before the newest prices that it has seen."""
        last = self._book.bars.get(instrument_id)
        return event_time_us if last is None else max(event_time_us, last.time_us)

    def _refusal(self, order: SubmitOrder, entry: PaperOrder) -> tuple[str, str] | None:
        instrument = self._instruments.get(order.instrument_id)
        if instrument is None:
            return "UNKNOWN_INSTRUMENT", f"{self.name} does not know {order.instrument_id}"
        if self._fees is not None and fee_currency(self._fees, instrument) is None:
            return "FEE_CURRENCY", f"fees in {self._fees.currency} cannot be added to {instrument.settlement_currency}"
        wrong = fault(instrument, entry)
        if wrong is not None:
            return wrong
        held = self._book.positions.get((order.account_id, order.instrument_id), FLAT).quantity
        if order.reduce_only and (held >= ZERO if order.side is Side.BUY else held <= ZERO):
            return "REDUCE_ONLY", f"holding {held}, {order.side} would not reduce"
        if order.side is not Side.BUY and not instrument.shortable and order.quantity > held:
            return "NOT_SHORTABLE", f"holding {held}, {order.quantity} cannot be sold"
        return self._taking(entry, instrument)

    def _taking(self, order: PaperOrder, instrument: Instrument) -> tuple[str, str] | None:
        """Why an order that must not take liquidity is refused; None where it would not, or may."""
        if order.post_only and self._would_take(order, instrument):
            return "POST_ONLY", f"{order.side} at {order.limit_price} would take liquidity"
        return None

    def _would_take(self, order: PaperOrder, instrument: Instrument) -> bool:
        """Judged by the newest close; without one nothing is known, and unknown means that it would."""
        last = self._book.bars.get(order.instrument_id)
        if last is None or order.limit_price is None or order.order_type is not OrderType.LIMIT:
            return True
        rules = self._rules
        half = max(rules.half_spread_rate * abs(last.close), rules.half_spread_ticks * instrument.tick_size)
        if order.side is Side.BUY:
            return order.limit_price >= last.close + half
        return order.limit_price <= last.close - half

    def _replace_refusal(self, changed: PaperOrder) -> tuple[str, str] | None:
        instrument = self._instruments.get(changed.instrument_id)
        if instrument is None:
            return "UNKNOWN_INSTRUMENT", f"{self.name} does not know {changed.instrument_id}"
        if changed.quantity < changed.cumulative:
            return "QUANTITY", f"{changed.cumulative} are filled already"
        return fault(instrument, changed) or self._taking(changed, instrument)

    def _acknowledge(self, order: PaperOrder, exec_type: ExecType, code: str = "", text: str = "") -> ExecutionReport:
        return report(
            order,
            self.name,
            exec_type,
            order.accepted_us,
            exec_id(order.client_order_id, exec_type),
            code=code,
            text=text,
        )

    def _not_working(
        self, request: CancelOrder | ReplaceOrder, order: PaperOrder | None, exec_type: ExecType
    ) -> ExecutionReport:
        if order is None:
            return self._no(request, None, exec_type, ("UNKNOWN_ORDER", f"{self.name} knows no such order"))
        return self._no(request, order, exec_type, ("TOO_LATE", f"the order is {order.status}"))

    def _no(
        self,
        request: CancelOrder | ReplaceOrder,
        order: PaperOrder | None,
        exec_type: ExecType,
        refusal: tuple[str, str],
    ) -> ExecutionReport:
        time_us = self._time(request.instrument_id, request.event_time_us)
        if order is None:
            answer = report_of_unknown(request, self.name, exec_type, time_us, refusal)
        else:
            answer = report(
                order,
                self.name,
                exec_type,
                time_us,
                exec_id(request.request_id, exec_type),
                client_order_id=request.request_id,
                original_client_order_id=request.client_order_id,
                code=refusal[0],
                text=refusal[1],
            )
        return self._answered(request.request_id, answer, None)

    def _answered(self, request_id: str, answer: ExecutionReport, order: PaperOrder | None) -> ExecutionReport:
        change = Change(answers={request_id: answer})
        if order is not None:
            change.orders.append(order)
            change.ids[order.client_order_id] = order.root_id
        self._commit(change)
        return answer

    def _commit(self, change: Change) -> None:
        book = self._book
        for instrument in {order.instrument_id for order in change.orders}:
            if instrument not in change.bars and instrument in book.bars:
                change.bars[instrument] = book.bars[instrument]
        self._ledger.commit(change)
        book.positions.update(change.positions)
        book.cash.update(change.cash)
        for order in change.orders:
            at = self._at.setdefault(order.instrument_id, {})
            if order.working:
                book.working[order.root_id] = at[order.root_id] = order
            else:
                book.working.pop(order.root_id, None)
                at.pop(order.root_id, None)
