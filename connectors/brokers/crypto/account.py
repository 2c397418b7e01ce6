"""One account at one crypto venue, asked through ccxt."""

import asyncio
import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from connectors.brokers.crypto import shapes, words
from connectors.brokers.crypto.calls import LOG, ccxt, change, read
from connectors.brokers.crypto.dialects import Fills, Find, UnfitId
from connectors.brokers.crypto.settings import CryptoAccount, CryptoSettings
from connectors.brokers.crypto.throttle import Throttle
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
        self._settings = settings
        self._account = account
        self._instruments = instruments
        self._who = f"{settings.venue} account {account.account_id}"
        self._exchange: Any = None
        self._orders: OrderedDict[str, Structure] = OrderedDict()
        self._door = asyncio.Lock()

    async def exchange(self) -> Any:
        """ccxt's exchange with its markets, and the account that it should be. Raises Unavailable or Refused."""
        async with self._door:
            if self._exchange is None:
                exchange = self._new()
                try:
                    await read(f"{self._who}: its markets", exchange.load_markets)
                    await self._verify(exchange)
                except BaseException:
                    await exchange.close()
                    raise
                self._exchange = exchange
        return self._exchange

    async def _verify(self, exchange: Any) -> None:
        if self.dialect.tells_account and self._account.fingerprint:
            told = await read(f"{self._who}: whose it is", exchange.fetch_balance)
            if str((told.get("info") or {}).get("uid", "")) != self._account.fingerprint:
                why = "is not the one configured; correct the keys or the fingerprint"
                raise Refused(f"{self._who}: the account that these keys open {why}", code="WRONG_ACCOUNT")

    def _new(self) -> Any:
        library, settings = ccxt(), self._settings
        exchange = getattr(library, settings.exchange)({
            "apiKey": self._account.key,
            "secret": self._account.secret,
            "timeout": int(settings.answer_s * 1000),
            "enableRateLimit": settings.throttle,
            "options": dict(self.dialect.options),
        })  # fmt: skip
        # Exact texts instead of floats.
        exchange.number = str
        exchange.has["fetchCurrencies"] = False
        exchange.logger = LOG
        exchange.on_rest_response = shapes.checked(library.BadResponse)
        exchange.throttler = Throttle(
            1000 / exchange.rateLimit,
            self.dialect.burst,
            settings.answer_s / 2,
            lambda: library.RateLimitExceeded("its turn did not come in time; nothing was sent"),
        )
        if settings.endpoint:
            there = urlsplit(settings.endpoint)
            api: dict[str, str] = exchange.urls["api"]
            exchange.urls["api"] = {
                name: urlsplit(url)._replace(scheme=there.scheme, netloc=there.netloc).geturl()
                for name, url in api.items()
            }
        return exchange

    async def close(self) -> None:
        if self._exchange is not None:
            await self._exchange.close()
            self._exchange = None

    async def place(self, order: SubmitOrder, symbol: str) -> Structure:
        """Place the order; what the venue says of it, which may be little."""
        exchange = await self.exchange()
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
        what = f"{self._who}: submit {order.client_order_id}"
        answer = await change(what, lambda: exchange.create_order(symbol, kind, side, amount, price, more))
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
        exchange = await self.exchange()
        what = f"{self._who}: cancel {order.get('id')}"
        await change(what, lambda: exchange.cancel_order(text(order.get("id"), "order id"), order.get("symbol")))

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
        exchange = await self.exchange()
        what = f"{self._who}: order {name}"
        if order_id:
            return dict(await read(what, lambda: exchange.fetch_order(order_id, symbol)))
        if self.dialect.find is Find.BY_NAME:
            more = {"origClientOrderId": name}
            return dict(await read(what, lambda: exchange.fetch_order("", symbol, more)))
        if self.dialect.find is Find.BY_STATUS:
            listed = await read(what, lambda: exchange.fetch_orders(None, None, None, {"cliOrdIds": name}))
            # Orders that ended more than some seconds ago are in the history only.
            listed = listed or await self._history(exchange, name)
        else:
            more = {"clientOrderId": name}
            listed = await read(what, lambda: exchange.fetch_open_orders(None, None, None, more))
            listed = listed or await read(what, lambda: exchange.fetch_closed_orders(None, None, None, more))
        mine = [one for one in listed if one.get("clientOrderId") == name]
        return dict(mine[0]) if mine else None

    async def _history(self, exchange: Any, name: str) -> list[Structure]:
        told = await read(f"{self._who}: history", lambda: exchange.historyGetOrders({"count": _HISTORY}))
        found = words.from_history(told.get("elements") or [], name)
        if found is None:
            return []
        market = exchange.safe_market(str(found["symbol"]).upper())
        return [{**found, "symbol": market["symbol"]}]

    async def open_orders(self) -> list[Structure]:
        """Working orders, oldest first."""
        exchange = await self.exchange()
        listed = await read(f"{self._who}: open orders", exchange.fetch_open_orders)
        return sorted((self.note(one) for one in listed), key=time_us)

    async def positions(self) -> list[HeldPosition]:
        exchange = await self.exchange()
        if not self.dialect.perpetual:
            return (await self._balance())[0]
        told = await read(f"{self._who}: positions", exchange.fetch_positions)
        held = [self._spoken(self.say.position, one) for one in told]
        return sorted((one for one in held if one.quantity), key=lambda one: one.instrument_id)

    async def cash(self) -> list[HeldCash]:
        return (await self._balance())[1]

    async def _balance(self) -> tuple[list[HeldPosition], list[HeldCash]]:
        exchange = await self.exchange()
        told = await read(f"{self._who}: balance", exchange.fetch_balance)
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
            page = await self._trades(await self.exchange(), None, None, None, {})
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
        exchange = await self.exchange()
        trades: list[Structure] = []
        for symbol in sorted(self._instruments):
            if symbol not in exchange.markets:
                continue
            for _ in range(_PAGES_MAX):
                more = {"fromId": str(int(where.get(symbol, "-1")) + 1)}
                page = await self._trades(exchange, symbol, None, self.dialect.page, more)
                if page:
                    where[symbol] = str(max(int(text(trade.get("id"), "trade id")) for trade in page))
                trades += page
                if len(page) < self.dialect.page:
                    break
        return trades, where

    async def _fills_by_time(self, where: dict[str, Any]) -> tuple[list[Structure], dict[str, Any]]:
        """Of all instruments, from a few seconds before the last one, less those that are known."""
        exchange = await self.exchange()
        last_ms, known = int(where.get("ms", 0)), set(where.get("known", ()))
        since = max(last_ms - _OVERLAP_MS, 0) or None
        listed: OrderedDict[str, Structure] = OrderedDict()
        more: dict[str, Any] = {}
        for _ in range(_PAGES_MAX):
            page = await self._trades(exchange, None, since, None, more)
            fresh = [trade for trade in page if trade.get("id") not in listed]
            listed.update((text(trade.get("id"), "trade id"), trade) for trade in fresh)
            oldest = min(map(_time_ms, page), default=0)
            if not fresh or len(page) < self.dialect.page or oldest < (since or 0):
                break
            if self.dialect.fills is Fills.BACKWARDS:
                more = {"lastFillTime": exchange.iso8601(oldest)}
            else:
                more = {"ofs": len(listed)}
        trades = [trade for name, trade in listed.items() if name not in known and _time_ms(trade) >= (since or 0)]
        return trades, _place_after(listed, last_ms)

    async def _trades(
        self, exchange: Any, symbol: str | None, since: int | None, limit: int | None, more: dict[str, Any]
    ) -> list[Structure]:
        what = f"{self._who}: fills"
        return [dict(one) for one in await read(what, lambda: exchange.fetch_my_trades(symbol, since, limit, more))]

    async def _owner(self, order_id: str, symbol: Any) -> Structure:
        """The order behind a trade, as it stands now. Raises Unavailable: a fill is never told without its name."""
        exchange = await self.exchange()
        try:
            found = await read(f"{self._who}: order {order_id}", lambda: exchange.fetch_order(order_id, symbol))
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
