"""One account at Alpaca: asks and is answered."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TypeVar

from connectors.brokers.alpaca import translate, wire
from connectors.brokers.alpaca.calls import Answer, Calls, Effect, RoutedCalls, unreadable
from connectors.brokers.alpaca.cursor import Cursor
from connectors.brokers.alpaca.endpoints import AlpacaAccount, Manners, Route
from connectors.brokers.alpaca.translate import Speaker, Symbols
from connectors.brokers.alpaca.wire import WireFill, WireOrder
from connectors.brokers.routes import none_left
from connectors.errors import Ambiguous, Refused, Unavailable
from connectors.protocols import FillPage
from schemas.execution import ExecutionReport, HeldCash, HeldPosition
from schemas.order import CancelOrder, ExecType, QueryOrder, ReplaceOrder, SubmitOrder
from schemas.scalars import iso_of

T = TypeVar("T")
_NOT_FOUND = "ALPACA_40410000"
_WRONG_ACCOUNT = "WRONG_ACCOUNT"
_NOT_UNIQUE = "must be unique"
_ORDERS_PAGE = 500
_FILLS_PAGE = 100
_FILL_PAGES_MAX = 20
_NAMES_MAX = 20_000
_CHAIN_MAX = 20
_SINGLY_MAX = 3


class Account:
    """The REST side of one account. Raises what `Broker` allows.

    The first call of all asks by every route whose account it is: where the number is not the one that was configured,
    or trading is blocked, every call is Refused.
    """

    def __init__(self, account: AlpacaAccount, routes: Sequence[Route], venue: str, symbols: Symbols, manners: Manners):
        self.account_id = account.account_id
        self._who = f"{venue} account {account.account_id}"
        self.calls = RoutedCalls(self._who, [Calls(self._who, route, manners) for route in routes], self._admit)
        self.say = Speaker(account.account_id, venue, symbols)
        self.began_us = 0
        self._number = account.account_number
        self._manners = manners
        self._orders: OrderedDict[str, WireOrder] = OrderedDict()
        self._met_us = 0

    async def verify(self) -> None:
        """Ask once whose account it is. Raises Refused, or Unavailable where no route tells now.

        One route to another account is enough to be refused: found now, and not in the hour of need.
        """
        if self.began_us:
            return
        errors = await self.calls.routes.meet()
        for error in errors:
            if isinstance(error, Refused) and error.code == _WRONG_ACCOUNT:
                raise error
        if len(errors) == len(self.calls.routes.all):
            raise none_left(errors)
        self.began_us = self.began_us or self._met_us

    async def _admit(self, calls: Calls) -> None:
        """Ask by one route whose account it opens. Raises Refused or Unavailable."""
        answer = await calls.read("/v2/account")
        told = self._read(answer, wire.account_in)
        if told.account_number != self._number:
            why = "is not the one configured; correct the keys or the account number"
            raise Refused(f"{self._who}: the account that these keys open {why}", code=_WRONG_ACCOUNT)
        if told.status != "ACTIVE" or told.account_blocked:
            raise Refused(f"{self._who} is {told.status} or blocked; ask Alpaca", code="ACCOUNT_BLOCKED")
        # The venue's time, so that its clock and ours need not agree; where it does not tell, from the beginning.
        self._met_us = answer.time_us or 1

    async def submit(self, order: SubmitOrder) -> ExecutionReport:
        await self.verify()
        try:
            answer = await self.calls.change("POST", "/v2/orders", translate.order_body(order))
        except Refused as refused:
            if _NOT_UNIQUE not in str(refused):
                raise
            return self.say.acknowledgement(await self._had(order))
        taken = self._changed(answer, order.client_order_id)
        return self.say.acknowledgement(taken)

    async def _had(self, order: SubmitOrder) -> WireOrder:
        """The order that has this id already."""
        try:
            found = await self._named(order.client_order_id)
        except Unavailable as error:
            raise Ambiguous(
                f"{self._who} has had order {order.client_order_id} before; ask what became of it"
            ) from error
        if found is None:
            raise Ambiguous(f"{self._who} has had order {order.client_order_id} and does not find it; ask again")
        if not translate.same_order(order, found):
            raise Refused(f"{self._who} has another order named {order.client_order_id}", code="ID_TAKEN")
        return found

    async def cancel(self, request: CancelOrder) -> ExecutionReport:
        await self.verify()
        order_id = request.broker_order_id or (await self._meant(request)).id
        for _ in range(_CHAIN_MAX):
            try:
                await self.calls.change("DELETE", f"/v2/orders/{order_id}")
            except Refused as refused:
                order = await self._after_refusal(order_id, refused)
                if order.status == "replaced" and order.replaced_by:
                    order_id = order.replaced_by
                    continue
                if order.status not in translate.DONE and order.status != "pending_cancel":
                    raise
            return await self._cancelled(request, order_id)
        raise Refused(f"{self._who}: order {request.client_order_id} was replaced without end", code="TOO_LATE")

    async def _cancelled(self, request: CancelOrder, order_id: str) -> ExecutionReport:
        """What became of a cancel that was taken: cancelled, too late, or still under way."""
        named = translate.names(request)
        for wait_s in (0.0, *self._manners.confirm_s):
            await asyncio.sleep(wait_s)
            order = await self._confirmed(order_id)
            if order.status == "canceled":
                return self.say.once(order, ExecType.CANCELED, **named)
            if order.status in translate.DONE:
                text = f"the order is {order.status}"
                return self.say.once(order, ExecType.CANCEL_REJECTED, **named, code="TOO_LATE", text=text)
        return self.say.once(order, ExecType.PENDING_CANCEL, **named)

    async def replace(self, request: ReplaceOrder) -> ExecutionReport:
        await self.verify()
        order_id = request.broker_order_id or (await self._meant(request)).id
        body = translate.replace_body(request)
        for _ in range(_CHAIN_MAX):
            try:
                answer = await self.calls.change("PATCH", f"/v2/orders/{order_id}", body)
            except Refused as refused:
                if _NOT_UNIQUE in str(refused):
                    return await self._had_replace(request)
                order = await self._after_refusal(order_id, refused)
                if order.status != "replaced" or not order.replaced_by:
                    raise
                order_id = order.replaced_by
                continue
            return await self._replaced(request, self._changed(answer, request.request_id), order_id)
        raise Refused(f"{self._who}: order {request.client_order_id} was replaced without end", code="TOO_LATE")

    async def _had_replace(self, request: ReplaceOrder) -> ExecutionReport:
        """A replace of this name was taken before: what became of it."""
        try:
            fresh = await self._named(request.request_id)
        except Unavailable as error:
            raise Ambiguous(f"{self._who} has had replace {request.request_id}; ask what became of it") from error
        if fresh is None or not fresh.replaces:
            raise Refused(f"{self._who} has another order named {request.request_id}", code="ID_TAKEN")
        return await self._replaced(request, fresh, fresh.replaces)

    async def _replaced(self, request: ReplaceOrder, fresh: WireOrder, old_id: str) -> ExecutionReport:
        """What became of a replace that was taken: done, too late, or still under way."""
        named = translate.names(request)
        for wait_s in (0.0, *self._manners.confirm_s):
            await asyncio.sleep(wait_s)
            fresh = await self._confirmed(fresh.id)
            if fresh.status == "rejected":
                return self.say.once(fresh, ExecType.REPLACE_REJECTED, **named, code="TOO_LATE")
            if fresh.status in translate.ROUTED or (await self._confirmed(old_id)).status == "replaced":
                return self.say.once(fresh, ExecType.REPLACED, **named)
        return self.say.once(fresh, ExecType.PENDING_REPLACE, **named)

    async def query(self, request: QueryOrder) -> ExecutionReport | None:
        await self.verify()
        order = await self._newest(request.broker_order_id, request.client_order_id)
        if order is None:
            return None
        original = "" if order.client_order_id == request.client_order_id else request.client_order_id
        exec_id = f"{request.request_id}:STATUS"
        return self.say.order(order, ExecType.ORDER_STATUS, exec_id, original_client_order_id=original)

    async def open_orders(self) -> list[ExecutionReport]:
        await self.verify()
        return [
            self.say.order(order, ExecType.ORDER_STATUS, f"{order.id}:OPEN:{order.status}:{order.filled_qty}")
            for order in await self._open()
        ]

    async def _open(self) -> list[WireOrder]:
        """Working orders, oldest first, through all pages."""
        found: OrderedDict[str, WireOrder] = OrderedDict()
        after: dict[str, str] = {}
        while True:
            page = await self.orders(status="open", direction="asc", **after)
            fresh = [order for order in page if order.id not in found]
            found.update((order.id, order) for order in fresh)
            if len(page) < _ORDERS_PAGE or not fresh:
                return list(found.values())
            # The bound is exclusive, and orders of one moment may lie on both sides of it.
            last = max(order.submitted_at for order in page)
            after = {"after": last.isoformat(timespec="milliseconds").replace("+00:00", "Z")}

    async def orders(self, **asked: str) -> list[WireOrder]:
        """At most one page of orders."""
        answer = await self.calls.read("/v2/orders", limit=str(_ORDERS_PAGE), nested="false", **asked)
        orders = self._read(answer, wire.orders_in)
        for order in orders:
            self.note(order)
        return orders

    async def positions(self) -> list[HeldPosition]:
        await self.verify()
        told = self._read(await self.calls.read("/v2/positions"), wire.positions_in)
        held = (self.say.position(position) for position in told if position.qty)
        return sorted(held, key=lambda position: position.instrument_id)

    async def cash(self) -> list[HeldCash]:
        await self.verify()
        told = self._read(await self.calls.read("/v2/account"), wire.account_in)
        return [HeldCash(currency=told.currency, amount=told.cash)]

    async def fills(self, cursor: str) -> FillPage:
        """Fills after the cursor; the first ones where there are very many."""
        await self.verify()
        since = Cursor.parse(cursor)
        asked = {"direction": "asc", "page_size": str(_FILLS_PAGE)} | ({"after": since.after} if since.after else {})
        read: list[WireFill] = []
        for _ in range(_FILL_PAGES_MAX):
            page = self._read(await self.calls.read("/v2/account/activities/FILL", **asked), wire.fills_in)
            read += page
            if len(page) < _FILLS_PAGE:
                break
            asked["page_token"] = page[-1].id
        fresh = sorted((one for one in read if since.is_new(one)), key=lambda one: (one.time_us, one.cum_qty))
        owners = await self._owners({fill.order_id for fill in fresh})
        reports = tuple(self.say.fill(fill, owners[fill.order_id]) for fill in fresh)
        return FillPage(reports, str(since.moved(read)))

    async def _owners(self, order_ids: set[str]) -> dict[str, WireOrder]:
        """The orders behind fills. Raises Unavailable where one is not had: a fill is never told without its name."""
        if len(order_ids - self._orders.keys()) > _SINGLY_MAX:
            await self.orders(status="all", direction="desc")
        owners = {}
        for order_id in sorted(order_ids):
            order = self._orders.get(order_id) or await self.order(order_id)
            if order is None:
                raise Unavailable(f"{self._who} tells of fills of order {order_id} and does not find it; ask again")
            owners[order_id] = order
        return owners

    async def order(self, order_id: str) -> WireOrder | None:
        """The order by the venue's id; None where it knows none. Raises Unavailable or Refused."""
        return await self._found(f"/v2/orders/{order_id}")

    async def _named(self, client_order_id: str) -> WireOrder | None:
        return await self._found("/v2/orders:by_client_order_id", client_order_id=client_order_id)

    async def _found(self, path: str, **asked: str) -> WireOrder | None:
        try:
            answer = await self.calls.read(path, **asked)
        except Refused as refused:
            if refused.code == _NOT_FOUND:
                return None
            raise
        return self.note(self._read(answer, wire.order_in))

    async def _newest(self, order_id: str, client_order_id: str) -> WireOrder | None:
        """The order, or what it was replaced by."""
        order = await self.order(order_id) if order_id else await self._named(client_order_id)
        for _ in range(_CHAIN_MAX):
            if order is None or order.status != "replaced" or not order.replaced_by:
                break
            order = await self.order(order.replaced_by)
        return order

    async def _meant(self, request: CancelOrder | ReplaceOrder) -> WireOrder:
        order = await self._newest("", request.client_order_id)
        if order is None:
            raise Refused(f"{self._who} knows no order {request.client_order_id}", code="NOT_FOUND")
        return order

    async def _after_refusal(self, order_id: str, refused: Refused) -> WireOrder:
        """The order that could not be changed. Where it cannot be had, the refusal stands."""
        try:
            order = await self.order(order_id)
        except Unavailable:
            raise refused from None
        if order is None:
            raise refused
        return order

    async def _confirmed(self, order_id: str) -> WireOrder:
        """The order after a change that was taken. Where it cannot be had, what became of the change is in doubt."""
        try:
            order = await self.order(order_id)
        except (Unavailable, Refused) as error:
            raise Ambiguous(f"{self._who} took a change of order {order_id}; ask what became of it") from error
        if order is None:
            raise Ambiguous(f"{self._who} took a change of order {order_id} and does not find it; ask again")
        return order

    def _changed(self, answer: Answer, client_order_id: str) -> WireOrder:
        """The order in the answer to a change, which must be the one that was asked for."""
        try:
            order = wire.order_in(answer.body)
            if order.client_order_id != client_order_id:
                raise wire.Unreadable(f"it is about {order.client_order_id}, not {client_order_id}")
        except wire.Unreadable as error:
            raise unreadable(Effect.CHANGES, f"{self._who}: {client_order_id}", error) from error
        return self.note(order)

    def _read(self, answer: Answer, decode: Callable[[bytes], T]) -> T:
        try:
            return decode(answer.body)
        except wire.Unreadable as error:
            raise unreadable(Effect.READS, f"{self._who} at {iso_of(answer.time_us)}", error) from error

    def note(self, order: WireOrder) -> WireOrder:
        """Remember whose name an order id has."""
        self._orders[order.id] = order
        if len(self._orders) > _NAMES_MAX:
            self._orders.popitem(last=False)
        return order

    def known(self, order_id: str) -> WireOrder | None:
        """The order as it was seen last, without asking."""
        return self._orders.get(order_id)
