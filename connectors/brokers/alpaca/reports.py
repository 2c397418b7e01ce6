"""What happens to an account's orders, as it happens, and nothing left out.

The stream tells what happens while it is connected, and nothing again. So whenever it was away, whenever a fill does
not join on to the one before it, when an event cannot be read, and every few seconds in any case (a stream may fall
silent while its pings go on), the account is asked: fills by cursor, and orders whose end was not told. What both told
has one exec_id and is told once.
"""

import asyncio
import random
from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from decimal import Decimal

from connectors.brokers.alpaca import wire
from connectors.brokers.alpaca.account import Account
from connectors.brokers.alpaca.cursor import Cursor
from connectors.brokers.alpaca.endpoints import Manners, Route
from connectors.brokers.alpaca.stream import StreamLost, TradeUpdates
from connectors.brokers.alpaca.translate import DONE, ENDS
from connectors.brokers.alpaca.wire import WireOrder, WireUpdate
from connectors.errors import Unavailable
from schemas.execution import ExecutionReport
from schemas.order import ExecType
from schemas.scalars import ZERO

_TOLD_MAX = 100_000
_WATCHED_MAX = 5_000
_LOOKS_MAX = 50
_GAP_S = 0.2
_FILLS = frozenset({ExecType.TRADE, ExecType.TRADE_CANCEL, ExecType.TRADE_CORRECT})


class Reports:
    """Tells of one account. What was told is remembered over calls; `cursor` is where its reading of fills has come.

    A stream that does not open is tried by the next route; what was told by one is not told again by another.
    """

    def __init__(self, account: Account, routes: Sequence[Route], manners: Manners, cursor: str):
        self.cursor = cursor
        self._account = account
        self._routes = routes
        self._manners = manners
        self._told: OrderedDict[str, None] = OrderedDict()
        self._filled: OrderedDict[str, Decimal] = OrderedDict()
        self._watched: OrderedDict[str, WireOrder] = OrderedDict()
        self._owed: set[str] = set()

    def watch(self, order: WireOrder | None) -> None:
        """An order of ours works there: its end is to be told."""
        if order is not None and order.status not in DONE:
            self._watched[order.id] = order
            if len(self._watched) > _WATCHED_MAX:
                self._watched.popitem(last=False)

    async def tell(self) -> AsyncGenerator[ExecutionReport]:
        """Reports without end. Raises Unavailable when the stream stays lost, Refused where the keys are no good."""
        await self._account.verify()
        if not self.cursor:
            self.cursor = str(Cursor(self._account.began_us))
        lost = 0
        while True:
            number = max(0, lost - 1) % len(self._routes)
            url, keys = self._routes[number].endpoint.stream_url, self._routes[number].credentials
            try:
                await self._account.calls.routes.admit(number)
                async with TradeUpdates.open(url, keys, self._manners.connect_s) as stream:
                    async with aclosing(self._recovered()) as recovered:
                        async for report in recovered:
                            yield report
                    lost = 0
                    self._owed.clear()
                    async with aclosing(self._listened(stream)) as listened:
                        async for report in listened:
                            yield report
            except (StreamLost, Unavailable) as error:
                lost += 1
                if lost > self._manners.reconnects_max:
                    who = self._account.account_id
                    raise Unavailable(f"the stream of {who} is lost ({error}); ask for it again later") from error
                await asyncio.sleep(_wait_s(lost, self._manners.reconnect_s_max))

    async def _listened(self, stream: TradeUpdates) -> AsyncGenerator[ExecutionReport]:
        """What the stream tells, with what it leaves out. Raises StreamLost."""
        loop = asyncio.get_running_loop()
        audits, audited, gap = 0, loop.time(), False
        while True:
            due = audited + (min(_GAP_S, self._manners.audit_s) if gap else self._manners.audit_s)
            try:
                async with asyncio.timeout_at(due):
                    update = await stream.next()
            except TimeoutError:
                update = None
            except wire.Unreadable:
                update, gap = None, True
            if update is not None:
                gap = gap or not self._joins_on(update)
                for report in await self._understood(update):
                    if self._is_news(report):
                        yield report
                    self._mark(report)
            if loop.time() >= due:
                audits += 1
                owed = set(self._owed)
                async for report in self._recovered(statuses=gap or audits % self._manners.statuses_every == 0):
                    yield report
                if gap:
                    self._owed.clear()
                elif owed & self._owed:
                    raise StreamLost("it is silent about fills that the account has had for a while")
                audited, gap = loop.time(), False

    def _joins_on(self, update: WireUpdate) -> bool:
        """Whether a fill's cumulative quantity is that of the fill before it and its own."""
        if update.event not in ("fill", "partial_fill"):
            return True
        if update.execution_id in self._told:
            return True
        before = self._filled.get(update.order.id, ZERO)
        return update.order.filled_qty == before + (update.qty or ZERO)

    async def _understood(self, update: WireUpdate) -> list[ExecutionReport]:
        """The event as reports; of a replacement, the new order has to be asked for."""
        order = update.order
        self._account.note(order)
        reports = [self._account.say.update(update)]
        if update.event == "replaced" and order.replaced_by:
            fresh = await self._account.order(order.replaced_by)
            reports = [] if fresh is None else [self._replacement(order, fresh)]
        elif update.event == "rejected" and order.replaces:
            old = self._account.known(order.replaces) or await self._account.order(order.replaces)
            named = {"original_client_order_id": old.client_order_id} if old else {}
            named["client_order_id"] = order.client_order_id
            reports = [self._account.say.once(order, ExecType.REPLACE_REJECTED, **named, code="TOO_LATE")]
        elif update.event == "order_replace_rejected":
            # The new order's own rejection says the same, and says which request it answers.
            reports = []
        self.watch(order)
        self._settle(order)
        return reports

    def _replacement(self, old: WireOrder, fresh: WireOrder) -> ExecutionReport:
        self.watch(fresh)
        self._filled.setdefault(fresh.id, self._filled.get(old.id, old.filled_qty))
        return self._account.say.once(
            fresh,
            ExecType.REPLACED,
            client_order_id=fresh.client_order_id,
            original_client_order_id=old.client_order_id,
        )

    async def _recovered(self, *, statuses: bool = True) -> AsyncGenerator[ExecutionReport]:
        """What the account has and we did not tell: fills, and orders that ended or that we count differently."""
        while True:
            page = await self._account.fills(self.cursor)
            for report in page.fills:
                self._owed.add(report.exec_id)
                if self._is_news(report):
                    yield report
                    self._remember(report)
                else:
                    self._owed.discard(report.exec_id)
            self.cursor = page.cursor
            if not page.fills:
                break
        if statuses and self._watched:
            for report in await self._ends():
                if self._is_news(report):
                    yield report
                self._remember(report)

    async def _ends(self) -> list[ExecutionReport]:
        """Of orders that work as far as we told: how they ended, or that their fills are not those we told."""
        listed = {order.id: order for order in await self._account.orders(status="all", direction="desc")}
        reports = [
            self._account.say.order(order, ExecType.ORDER_STATUS, f"{order.id}:COMPARED:{order.filled_qty}")
            for order in listed.values()
            if order.filled_qty != self._filled.get(order.id, order.filled_qty)
        ]
        looks = 0
        for order_id in list(self._watched):
            order = listed.get(order_id)
            if order is None and looks < _LOOKS_MAX:
                looks += 1
                order = await self._account.order(order_id)
            if order is None:
                continue
            if order.status == "replaced" and order.replaced_by:
                fresh = await self._account.order(order.replaced_by)
                reports += [] if fresh is None else [self._replacement(order, fresh)]
            elif order.status in ENDS:
                reports.append(self._account.say.once(order, ENDS[order.status]))
            self._settle(order)
        return reports

    def _settle(self, order: WireOrder) -> None:
        if order.status in DONE:
            self._watched.pop(order.id, None)

    def _is_news(self, report: ExecutionReport) -> bool:
        return report.exec_id not in self._told

    def _mark(self, report: ExecutionReport) -> None:
        """The stream told it."""
        self._remember(report)
        self._owed.discard(report.exec_id)

    def _remember(self, report: ExecutionReport) -> None:
        if report.exec_type in _FILLS and report.exec_id not in self._told:
            before = self._filled.pop(report.broker_order_id, ZERO)
            trade = report.exec_type is ExecType.TRADE
            # A late fill may tell a smaller sum than a later one that was told before it.
            self._filled[report.broker_order_id] = (
                max(before, report.cumulative_quantity) if trade else report.cumulative_quantity
            )
            if len(self._filled) > _WATCHED_MAX:
                self._filled.popitem(last=False)
        self._told[report.exec_id] = None
        if len(self._told) > _TOLD_MAX:
            self._told.popitem(last=False)


def _wait_s(lost: int, longest_s: float) -> float:
    """Exponential, with full jitter; the first time almost at once."""
    return random.uniform(0, min(longest_s, 0.1 * 2**lost))  # noqa: S311 - jitter is no secret
