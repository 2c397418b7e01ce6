"""One account at one crypto venue, asked through ccxt."""

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from connectors.brokers.crypto import words
from connectors.brokers.crypto.calls import ccxt
from connectors.brokers.crypto.dialects import Fills, Find, UnfitId
from connectors.brokers.crypto.exchanges import Exchanges
from connectors.brokers.crypto.settings import CryptoAccount, CryptoSettings
from connectors.brokers.crypto.words import Speaker, Structure, Unreadable, number, split, text, time_us
from connectors.errors import Refused, Unavailable
from schemas.execution import ExecutionReport, HeldCash, HeldPosition
from schemas.order import OrderType, Side, SubmitOrder
from schemas.scalars import ZERO

_PAGES_MAX = 40
_NAMES_MAX = 20_000
_OVERLAP_MS = 5_000
_HISTORY = 500


@dataclass(frozen=True, slots=True)
class Page:
    """Trades with the orders behind them, and where the next reading begins."""

    trades: tuple[tuple[Structure, Structure], ...]
    cursor: str


class Account:
    """Asks, and is answered. Raises what `Broker` allows. Bound to the event loop that asks first."""

    def __init__(self, settings: CryptoSettings, account: CryptoAccount, instruments: Mapping[str, str]):
        self.account_id = account.account_id
        self.dialect = settings.dialect
        self.say = Speaker(settings.venue, account.account_id, settings.dialect, instruments)
        self._instruments = instruments
        self._who = f"{settings.venue} account {account.account_id}"
        self.exchanges = Exchanges(settings, account, self._who)
        self._orders: OrderedDict[str, Structure] = OrderedDict()

    async def close(self) -> None:
        await self.exchanges.close()

    async def place(self, order: SubmitOrder, symbol: str) -> Structure:
        """Place the order; what the venue says of it, which may be little."""
        exchange = await self.exchanges.one()
        name = self._encoded(order.client_order_id)
        kind = "market" if order.order_type is OrderType.MARKET else "limit"
        side = "buy" if order.side is Side.BUY else "sell"
        amount = self._exact(exchange.amount_to_precision, symbol, f"{order.quantity:f}", "quantity")
        price = None
        if order.limit_price is not None and kind == "limit":
            price = self._exact(exchange.price_to_precision, symbol, f"{order.limit_price:f}", "price")
        more: dict[str, Any] = {"clientOrderId": name}
        if kind == "limit" and not order.post_only:
            more["timeInForce"] = str(order.time_in_force)
        if order.post_only:
            more["postOnly"] = True
        if order.reduce_only and self.dialect.perpetual:
            more["reduceOnly"] = True
        what = f"submit {order.client_order_id}"
        answer = await self.exchanges.change(
            what, lambda exchange: exchange.create_order(symbol, kind, side, amount, price, more)
        )
        return self.note({**answer, "clientOrderId": name})

    def _exact(self, to_precision: Any, symbol: str, number: str, what: str) -> str:
        """The number as the market writes it. ccxt would cut off what is too precise; that is refused here."""
        try:
            written = str(to_precision(symbol, number))
        except Exception as error:
            raise Refused(f"{self._who}: {what} {number} of {symbol}: {error}", code="PRECISION") from error
        if _plain(written) != _plain(number):
            raise Refused(f"{self._who}: {what} {number} of {symbol} is finer than {written}", code="PRECISION")
        return written

    async def cancel(self, order: Structure) -> None:
        """Cancel by the venue's id."""
        order_id = text(order.get("id"), "order id")
        symbol = order.get("symbol")
        await self.exchanges.change(f"cancel {order_id}", lambda exchange: exchange.cancel_order(order_id, symbol))

    async def find(self, client_order_id: str, broker_order_id: str, symbol: str) -> Structure | None:
        """The order by the venue's id or our name; None where the venue knows none. Raises Unavailable or Refused."""
        library = ccxt()
        try:
            name = self._encoded(client_order_id)
            found = await self._look_up(name, broker_order_id, symbol)
        except Refused as refused:
            if isinstance(refused.__cause__, library.OrderNotFound) or refused.code == "UNFIT_ID":
                return None
            raise
        return None if found is None else self.note(found)

    async def _look_up(self, name: str, order_id: str, symbol: str) -> Structure | None:
        what, ask = f"order {name}", self.exchanges.read
        if order_id:
            return dict(await ask(what, lambda exchange: exchange.fetch_order(order_id, symbol)))
        if self.dialect.find is Find.BY_NAME:
            more = {"origClientOrderId": name}
            return dict(await ask(what, lambda exchange: exchange.fetch_order("", symbol, more)))
        if self.dialect.find is Find.BY_STATUS:
            named = {"cliOrdIds": name}
            listed = await ask(what, lambda exchange: exchange.fetch_orders(None, None, None, named))
            # Orders that ended more than some seconds ago are in the history only.
            listed = listed or await self._history(name)
        else:
            more = {"clientOrderId": name}
            listed = await ask(what, lambda exchange: exchange.fetch_open_orders(None, None, None, more))
            listed = listed or await ask(what, lambda exchange: exchange.fetch_closed_orders(None, None, None, more))
        mine = [one for one in listed if one.get("clientOrderId") == name]
        return dict(mine[0]) if mine else None

    async def _history(self, name: str) -> list[Structure]:
        told = await self.exchanges.read("history", lambda exchange: exchange.historyGetOrders({"count": _HISTORY}))
        found = words.from_history(told.get("elements") or [], name)
        if found is None:
            return []
        market = (await self.exchanges.one()).safe_market(str(found["symbol"]).upper())
        return [{**found, "symbol": market["symbol"]}]

    async def open_orders(self) -> list[Structure]:
        """Working orders, oldest first."""
        listed = await self.exchanges.read("open orders", lambda exchange: exchange.fetch_open_orders())
        return sorted((self.note(one) for one in listed), key=time_us)

    async def positions(self) -> list[HeldPosition]:
        if not self.dialect.perpetual:
            return (await self._balance())[0]
        told = await self.exchanges.read("positions", lambda exchange: exchange.fetch_positions())
        held = [self._spoken(self.say.position, one) for one in told]
        return sorted((one for one in held if one.quantity), key=lambda one: one.instrument_id)

    async def cash(self) -> list[HeldCash]:
        return (await self._balance())[1]

    async def _balance(self) -> tuple[list[HeldPosition], list[HeldCash]]:
        told = await self.exchanges.read("balance", lambda exchange: exchange.fetch_balance())
        known = {} if self.dialect.perpetual else self._instruments
        try:
            return split(told, known)
        except Unreadable as error:
            raise Unavailable(f"{self._who} tells a balance that cannot be read ({error})") from error

    async def fills(self, cursor: str) -> Page:
        """Trades after the cursor, oldest first, each with its order."""
        where = _parsed(cursor)
        if self.dialect.fills is Fills.BY_SYMBOL_AND_ID:
            trades, where = await self._fills_by_id(where)
        else:
            trades, where = await self._fills_by_time(where)
        trades.sort(key=lambda trade: (time_us(trade), str(trade.get("id"))))
        pairs = await self._with_orders(trades)
        return Page(tuple(pairs), _written(where))

    async def newest(self) -> str:
        """The cursor after all fills there are. Of most venues the newest page says it."""
        if self.dialect.fills is Fills.BY_SYMBOL_AND_ID:
            where = (await self._fills_by_id({}))[1]
        else:
            page = await self._trades(None, None, None, {})
            where = _place_after({text(trade.get("id"), "trade id"): trade for trade in page}, 0)
        return _written(where)

    async def _with_orders(self, trades: list[Structure]) -> list[tuple[Structure, Structure]]:
        """Each trade with its order as it stood after it, reckoned back from how the order stands now."""
        owners: dict[str, Structure] = {}
        filled: dict[str, Decimal] = {}
        pairs: list[tuple[Structure, Structure]] = []
        for trade in reversed(trades):
            order_id = self._spoken(lambda one: text(one.get("order"), "order of a trade"), trade)
            if order_id not in owners:
                owners[order_id] = await self._owner(order_id, trade.get("symbol"))
                filled[order_id] = self._spoken(lambda one: number(one.get("filled"), "filled"), owners[order_id])
            now = filled[order_id]
            amount = self._spoken(lambda one: number(one.get("amount"), "amount"), owners[order_id])
            status = "closed" if now >= amount else "open"
            pairs.append((trade, {**owners[order_id], "filled": f"{now:f}", "status": status}))
            filled[order_id] = max(now - self._spoken(lambda one: number(one.get("amount"), "amount"), trade), ZERO)
        pairs.reverse()
        return pairs

    async def _fills_by_id(self, where: dict[str, Any]) -> tuple[list[Structure], dict[str, Any]]:
        """Of each instrument that we trade, by the number after the last one."""
        markets = (await self.exchanges.one()).markets
        trades: list[Structure] = []
        for symbol in sorted(self._instruments):
            if symbol not in markets:
                continue
            for _ in range(_PAGES_MAX):
                more = {"fromId": str(int(where.get(symbol, "-1")) + 1)}
                page = await self._trades(symbol, None, self.dialect.page, more)
                if page:
                    where[symbol] = str(max(int(text(trade.get("id"), "trade id")) for trade in page))
                trades += page
                if len(page) < self.dialect.page:
                    break
        return trades, where

    async def _fills_by_time(self, where: dict[str, Any]) -> tuple[list[Structure], dict[str, Any]]:
        """Of all instruments, from a few seconds before the last one, less those that are known."""
        last_ms, known = int(where.get("ms", 0)), set(where.get("known", ()))
        since = max(last_ms - _OVERLAP_MS, 0) or None
        listed: OrderedDict[str, Structure] = OrderedDict()
        more: dict[str, Any] = {}
        for _ in range(_PAGES_MAX):
            page = await self._trades(None, since, None, more)
            fresh = [trade for trade in page if trade.get("id") not in listed]
            listed.update((text(trade.get("id"), "trade id"), trade) for trade in fresh)
            oldest = min(map(_time_ms, page), default=0)
            if not fresh or len(page) < self.dialect.page or oldest < (since or 0):
                break
            if self.dialect.fills is Fills.BACKWARDS:
                more = {"lastFillTime": (await self.exchanges.one()).iso8601(oldest)}
            else:
                more = {"ofs": len(listed)}
        trades = [trade for name, trade in listed.items() if name not in known and _time_ms(trade) >= (since or 0)]
        return trades, _place_after(listed, last_ms)

    async def _trades(
        self, symbol: str | None, since: int | None, limit: int | None, more: dict[str, Any]
    ) -> list[Structure]:
        told = await self.exchanges.read("fills", lambda exchange: exchange.fetch_my_trades(symbol, since, limit, more))
        return [dict(one) for one in told]

    async def _owner(self, order_id: str, symbol: Any) -> Structure:
        """The order behind a trade, as it stands now. Raises Unavailable: a fill is never told without its name."""
        what = f"order {order_id}"
        try:
            found = await self.exchanges.read(what, lambda exchange: exchange.fetch_order(order_id, symbol))
        except Refused as refused:
            known = self._orders.get(order_id)
            if known is None:
                raise Unavailable(f"{self._who} tells of fills of order {order_id} and not of it") from refused
            return known
        return self.note(dict(found))

    def note(self, order: Structure) -> Structure:
        """Remember an order, if enough was told to know it again."""
        if order.get("id") and order.get("amount") is not None and order.get("symbol"):
            self._orders[str(order["id"])] = order
            if len(self._orders) > _NAMES_MAX:
                self._orders.popitem(last=False)
        return order

    def _spoken(self, say: Any, told: Structure) -> Any:
        try:
            return say(told)
        except Unreadable as error:
            raise Unavailable(f"{self._who} answered what cannot be read ({error}); it may be repeated") from error

    def report_of_trade(self, trade: Structure, order: Structure) -> ExecutionReport:
        """Raises Unavailable where it cannot be read."""
        report: ExecutionReport = self._spoken(lambda one: self.say.fill(one, order), trade)
        return report

    def _encoded(self, client_order_id: str) -> str:
        try:
            return self.dialect.encode(client_order_id)
        except UnfitId as error:
            raise Refused(f"{self._who} cannot carry the id: {error}", code="UNFIT_ID") from error


def _plain(number: str) -> str:
    return number.rstrip("0").rstrip(".") if "." in number else number


def _time_ms(trade: Structure) -> int:
    return int(trade.get("timestamp") or 0)


def _place_after(listed: Mapping[str, Structure], last_ms: int) -> dict[str, Any]:
    """Where reading by time goes on after these trades: from the newest one, less what is known of its last seconds."""
    last_ms = max(last_ms, *map(_time_ms, listed.values())) if listed else last_ms
    recent = [name for name, trade in listed.items() if _time_ms(trade) >= last_ms - _OVERLAP_MS]
    return {"ms": last_ms, "known": sorted(recent)} if last_ms else {}


def _written(where: dict[str, Any]) -> str:
    return json.dumps(where, sort_keys=True) if where else ""


def _parsed(cursor: str) -> dict[str, Any]:
    """A cursor that cannot be read is the beginning: reading twice does no harm."""
    try:
        where = json.loads(cursor or "{}")
    except ValueError:
        return {}
    return where if isinstance(where, dict) else {}
