"""A crypto venue as a broker."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Collection, Iterable, Mapping
from typing import Any

from connectors.brokers.crypto.account import Account
from connectors.brokers.crypto.settings import CryptoAccount, CryptoSettings
from connectors.brokers.crypto.throttle import leisurely, urgently
from connectors.brokers.crypto.words import ENDS, Structure, Unreadable
from connectors.brokers.routes import summed
from connectors.errors import Ambiguous, Refused, Unavailable
from connectors.protocols import Capabilities, ClientIdUnique, FillPage
from schemas.execution import ExecutionReport, HeldCash, HeldPosition
from schemas.order import CancelOrder, ExecType, OrderStatus, QueryOrder, ReplaceOrder, Side, SubmitOrder
from schemas.reference import Instrument

_TOLD_MAX = 100_000
_LOST_MAX = 30
_LOOKS_FOR_FILLS = 10
"""So often fills are asked for though no order moved: those of orders that nobody saw work."""
_DUPLICATE = ("duplicate", "already exist", "-4116", "-2026", "unique")


class CryptoBroker:
    """Trades for one or more accounts at one venue.

    Symbols are ccxt's unified ones, as the instruments name them. The venue refuses a client_order_id only while an
    order of that name works, so an order in doubt is never sent again. Nothing is replaced: cancel and place anew.
    `reports` asks the account every `poll_s`; `since` is, for each account, the cursor of fills from which it begins.
    """

    def __init__(
        self,
        settings: CryptoSettings,
        accounts: Iterable[CryptoAccount],
        instruments: Iterable[Instrument] = (),
        *,
        since: Mapping[str, str] | None = None,
    ):
        """Raises ValueError where real money is traded without the words and fingerprints that it needs."""
        self._settings = settings
        self._instruments: dict[str, str] = {}
        self._symbols: dict[str, str] = {}
        for instrument in instruments:
            self.learn(instrument)
        self._accounts: dict[str, Account] = {}
        for one in accounts:
            settings.check(one)
            self._accounts[one.account_id] = Account(settings, one, self._instruments)
        dialect = settings.dialect
        self._cursors = {account_id: (since or {}).get(account_id, "") for account_id in self._accounts}
        self._resumed = set(since or {})
        self._told: OrderedDict[str, None] = OrderedDict()
        self._seen: dict[str, tuple[int, Mapping[str, str]]] = {account_id: (1, {}) for account_id in self._accounts}
        self._working: dict[str, dict[str, Structure]] = {account_id: {} for account_id in self._accounts}
        self._capabilities = Capabilities(
            venue=settings.venue,
            client_id_unique=ClientIdUnique.WHILE_OPEN,
            order_types=dialect.order_types,
            times_in_force=dialect.times_in_force,
            client_id_length=dialect.client_id_length,
            replace=False,
            reduce_only=dialect.perpetual,
            post_only=True,
            request_expiry_s=dialect.request_expiry_s,
        )

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    def learn(self, instrument: Instrument) -> None:
        """Take an instrument's symbol, if it is of this venue."""
        if instrument.venue == self._settings.venue:
            self._instruments[instrument.symbol] = instrument.instrument_id
            self._symbols[instrument.instrument_id] = instrument.symbol

    async def submit(self, order: SubmitOrder) -> ExecutionReport:
        lacks = self._capabilities.lacks(order)
        if lacks or (order.side is Side.SELL_SHORT and not self._settings.dialect.perpetual):
            raise Refused(f"{self._settings.venue} does not take {lacks or 'short sales'}", code="UNSUPPORTED")
        with urgently():
            return await self._submitted(order)

    async def _submitted(self, order: SubmitOrder) -> ExecutionReport:
        account = await self._meant(order)
        symbol = self._symbol(order)
        if symbol not in (await account.exchanges.one()).markets:
            raise Refused(f"{self._settings.venue} does not trade {symbol}", code="UNKNOWN_INSTRUMENT")
        try:
            taken = await account.place(order, symbol)
        except Refused as refused:
            if not any(word in str(refused).lower() for word in _DUPLICATE):
                raise
            taken = await self._had(account, order, symbol)
        return self._acknowledgement(account, order, symbol, taken)

    async def _had(self, account: Account, order: SubmitOrder, symbol: str) -> Structure:
        """The order that has this name already."""
        try:
            found = await account.find(order.client_order_id, "", symbol)
        except Unavailable as error:
            raise Ambiguous(f"{order.client_order_id} was had before; ask what became of it") from error
        if found is None:
            raise Ambiguous(f"{order.client_order_id} was had before and is not found; ask again")
        return found

    def _acknowledgement(self, account: Account, order: SubmitOrder, symbol: str, taken: Structure) -> ExecutionReport:
        """What the order is answered. Venues that answer with an id alone mean that they have the order as it is."""
        whole: dict[str, Any] = {
            **taken,
            "symbol": symbol,
            "amount": taken.get("amount") or f"{order.quantity:f}",
            "filled": taken.get("filled") or "0",
            "status": taken.get("status") or "open",
            "side": taken.get("side") or ("buy" if order.side is Side.BUY else "sell"),
            "price": taken.get("price") or (None if order.limit_price is None else f"{order.limit_price:f}"),
            "timestamp": taken.get("timestamp") or time.time_ns() // 1_000_000,
        }
        account.note(whole)
        try:
            status = account.say.status(whole)
            report = account.say.once(whole, ENDS.get(status, ExecType.NEW))
        except Unreadable as error:
            text = f"{self._settings.venue} answered {order.client_order_id}, and it cannot be read ({error})"
            raise Ambiguous(f"{text}; ask by id what became of it") from error
        self._working[account.account_id][report.broker_order_id] = whole
        return report

    async def cancel(self, request: CancelOrder) -> ExecutionReport:
        with urgently():
            return await self._cancel(request)

    async def _cancel(self, request: CancelOrder) -> ExecutionReport:
        account = await self._meant(request)
        symbol = self._symbol(request)
        order = await account.find(request.client_order_id, request.broker_order_id, symbol)
        if order is None:
            raise Refused(f"{self._settings.venue} knows no order {request.client_order_id}", code="NOT_FOUND")
        if order.get("status") == "open":
            try:
                await account.cancel(order)
            except Refused as refused:
                # Most likely it has ended since; what it is now decides.
                order = await self._after(account, request, order)
                if order.get("status") == "open":
                    raise refused from None
            else:
                order = await self._after(account, request, order)
        return self._cancelled(account, request, order)

    async def _after(self, account: Account, request: CancelOrder, order: Structure) -> Structure:
        """The order after a cancel was taken. Where it cannot be had, what became of the cancel is in doubt."""
        try:
            found = await account.find(request.client_order_id, str(order.get("id")), self._symbol(request))
        except Unavailable as error:
            raise Ambiguous(f"cancel {request.request_id} was taken; ask what became of it") from error
        return order if found is None else found

    def _cancelled(self, account: Account, request: CancelOrder, order: Structure) -> ExecutionReport:
        names = {"client_order_id": request.request_id, "original_client_order_id": request.client_order_id}
        try:
            match account.say.status(order):
                case OrderStatus.CANCELED:
                    return account.say.once(order, ExecType.CANCELED, **names)
                case OrderStatus.FILLED | OrderStatus.EXPIRED | OrderStatus.REJECTED:
                    exec_id = f"{order.get('id')}:CANCEL_REJECTED:{request.request_id}"
                    return account.say.order(order, ExecType.CANCEL_REJECTED, exec_id, **names, code="TOO_LATE")
                case _:
                    exec_id = f"{order.get('id')}:PENDING_CANCEL:{request.request_id}"
                    return account.say.order(order, ExecType.PENDING_CANCEL, exec_id, **names)
        except Unreadable as error:
            raise Ambiguous(f"cancel {request.request_id} was answered and cannot be read ({error})") from error

    async def replace(self, request: ReplaceOrder) -> ExecutionReport:
        raise Refused(f"{self._settings.venue} does not replace; cancel and place anew", code="UNSUPPORTED")

    async def query(self, request: QueryOrder) -> ExecutionReport | None:
        with urgently():
            account = await self._meant(request)
            order = await account.find(request.client_order_id, request.broker_order_id, self._symbol(request))
        if order is None:
            return None
        try:
            return account.say.order(order, ExecType.ORDER_STATUS, f"{request.request_id}:STATUS")
        except Unreadable as error:
            raise Unavailable(f"{self._settings.venue} answered what cannot be read ({error})") from error

    async def open_orders(self, account_id: str) -> list[ExecutionReport]:
        account = self._account(account_id)
        reports = []
        for order in await account.open_orders():
            try:
                exec_id = f"{order.get('id')}:OPEN:{order.get('status')}:{order.get('filled')}"
                reports.append(account.say.order(order, ExecType.ORDER_STATUS, exec_id))
            except Unreadable as error:
                raise Unavailable(f"{self._settings.venue} answered what cannot be read ({error})") from error
            self._working[account_id][str(order["id"])] = order
        return reports

    async def positions(self, account_id: str) -> list[HeldPosition]:
        return await self._account(account_id).positions()

    async def cash(self, account_id: str) -> list[HeldCash]:
        return await self._account(account_id).cash()

    async def fills(self, account_id: str, cursor: str = "") -> FillPage:
        account = self._account(account_id)
        page = await account.fills(cursor)
        return FillPage(tuple(account.report_of_trade(*pair) for pair in page.trades), page.cursor)

    async def reports(self) -> AsyncGenerator[ExecutionReport]:
        """What happened, by asking every `poll_s`. Raises Unavailable when the venue stays away, or Refused."""
        lost = 0
        while True:
            try:
                for account_id in self._accounts:
                    await self._begin(account_id)
                    async for report in self._news(account_id):
                        yield report
                        self._remember(report)
                lost = 0
            except Unavailable as error:
                lost += 1
                if lost > _LOST_MAX:
                    raise Unavailable(f"{self._settings.venue} stays away ({error}); ask again later") from error
            await asyncio.sleep(self._settings.poll_s)

    async def _news(self, account_id: str) -> AsyncGenerator[ExecutionReport]:
        """Fills cost most to ask for: they are asked for where an order moved, and now and then."""
        with leisurely():
            working = await self._account(account_id).open_orders()
        there = {str(order.get("id")): str(order.get("filled")) for order in working}
        looks, before = self._seen[account_id]
        if there != before or self._working[account_id].keys() - there.keys() or not looks % _LOOKS_FOR_FILLS:
            with leisurely():
                page = await self.fills(account_id, self._cursors[account_id])
            for report in page.fills:
                if report.exec_id not in self._told:
                    yield report
            self._cursors[account_id] = page.cursor
        self._seen[account_id] = (looks + 1, there)
        with leisurely():
            ended = await self._ended(account_id, there)
        for report in ended:
            if report.exec_id not in self._told:
                yield report

    async def _ended(self, account_id: str, there: Collection[str]) -> list[ExecutionReport]:
        """Orders that worked when we looked last, and are not `there` any more, without having been filled."""
        account, working = self._account(account_id), self._working[account_id]
        reports = []
        for order_id in [one for one in working if one not in there]:
            order = working[order_id]
            found = await account.find(account.say.name(order), order_id, str(order.get("symbol")))
            if found is None:
                continue
            try:
                status = account.say.status(found)
                if status in ENDS:
                    reports.append(account.say.once(found, ENDS[status]))
            except Unreadable as error:
                raise Unavailable(f"{self._settings.venue} answered what cannot be read ({error})") from error
            if status in ENDS or status is OrderStatus.FILLED:
                del working[order_id]
        return reports

    def _remember(self, report: ExecutionReport) -> None:
        self._told[report.exec_id] = None
        if len(self._told) > _TOLD_MAX:
            self._told.popitem(last=False)

    def routes_used(self) -> Mapping[int, int]:
        """Calls that each route carried to an answer, of all accounts."""
        return summed(account.exchanges.routes.carried for account in self._accounts.values())

    async def close(self) -> None:
        """Close the connections."""
        for account in self._accounts.values():
            await account.close()

    def _symbol(self, command: SubmitOrder | CancelOrder | QueryOrder) -> str:
        return self._symbols.get(command.instrument_id, command.symbol)

    def _account(self, account_id: str) -> Account:
        account = self._accounts.get(account_id)
        if account is None:
            raise Refused(f"no account {account_id} is configured for {self._settings.venue}", code="NO_ACCOUNT")
        return account

    async def _meant(self, command: SubmitOrder | CancelOrder | QueryOrder) -> Account:
        """The account of a command, whose mode must be one of this venue's."""
        if command.mode not in self._settings.modes:
            raise Refused(f"{self._settings.venue} does not take {command.mode} orders", code="MODE")
        await self._begin(command.account_id)
        return self._account(command.account_id)

    async def _begin(self, account_id: str) -> None:
        """Note where the account's fills have come to, once: what comes after it is told."""
        account = self._account(account_id)
        if account_id not in self._resumed:
            self._cursors[account_id] = await account.newest()
            self._resumed.add(account_id)
