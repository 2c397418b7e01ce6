"""The venue as Kraken: spot under /0, perpetuals under /derivatives."""

import base64
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.venue.crypto import STEP, CryptoDoor, answer, asked, market_id_of, plain
from tests.venue.ledger import Account
from tests.venue.orders import ZERO, Execution, Json, Order
from tests.venue.rules import Refusal

_PAGE = 50
_STATUSES = {
    "new": "open",
    "partially_filled": "open",
    "filled": "closed",
    "canceled": "canceled",
    "expired": "expired",
    "rejected": "canceled",
    "pending_cancel": "open",
}


class Kraken:
    """Kraken's paths. Every answer is 200, and says in `error` what it refuses."""

    def __init__(self, door: CryptoDoor):
        self._door = door

    def routes(self) -> list[Route]:
        private: dict[str, Callable[[Account, dict[str, str]], Awaitable[Json] | Json]] = {
            "AddOrder": self.submit,
            "CancelOrder": self.cancel,
            "QueryOrders": self.orders,
            "OpenOrders": self.open_orders,
            "ClosedOrders": self.closed_orders,
            "BalanceEx": self.balance,
            "Balance": self.balance,
            "TradesHistory": self.trades,
        }
        return [
            Route("/0/public/AssetPairs", self.markets),
            Route("/0/public/Assets", self.coins),
            *(Route(f"/0/private/{name}", self._signed(deed), methods=["POST"]) for name, deed in private.items()),
        ]

    async def markets(self, _: Request) -> Response:
        told = {}
        for asset in self._door.assets(perpetual=False):
            base, _slash, quote = asset.symbol.partition("/")
            told[market_id_of(asset)] = {
                "altname": market_id_of(asset), "wsname": asset.symbol, "aclass_base": "currency", "base": base,
                "aclass_quote": "currency", "quote": quote, "pair_decimals": 2, "lot_decimals": 4,
                "cost_decimals": 5, "lot_multiplier": 1, "leverage_buy": [], "leverage_sell": [],
                "fees": [[0, 0.26]], "fees_maker": [[0, 0.16]], "fee_volume_currency": "ZUSD", "margin_call": 80,
                "margin_stop": 40, "ordermin": plain(STEP), "costmin": "0.5", "tick_size": "0.01",
                "status": "online",
            }  # fmt: skip
        return answer({"error": [], "result": told})

    async def coins(self, _: Request) -> Response:
        return answer({"error": [], "result": {}})

    def _signed(
        self, deed: Callable[[Account, dict[str, str]], Awaitable[Json] | Json]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def checked(request: Request) -> Response:
            account = self._door.account_of(request.headers.get("api-key", ""))
            if account is None:
                return answer({"error": ["EAPI:Invalid key"]})
            body = (await request.body()).decode()
            nonce = parse_qs(body).get("nonce", [json.loads(body)["nonce"] if body.startswith("{") else ""])[0]
            digest = hashlib.sha256(f"{nonce}{body}".encode()).digest()
            mac = hmac.new(base64.b64decode(account.secret), request.url.path.encode() + digest, hashlib.sha512)
            if base64.b64encode(mac.digest()).decode() != request.headers.get("api-sign"):
                return answer({"error": ["EAPI:Invalid signature"]})
            told = deed(account, await asked(request))
            return answer(told if isinstance(told, dict) else await told)

        return checked

    def submit(self, account: Account, fields: dict[str, str]) -> Json:
        asset = self._door.asset_of(fields.get("pair", ""), perpetual=False)
        if asset is None:
            return {"error": ["EQuery:Unknown asset pair"]}
        name = fields.get("cl_ord_id", "")
        known = self._door.exchange.ledger.order_named(account.number, name)
        if known is not None and known.working:
            return {"error": ["EOrder:Duplicate cl_ord_id"]}
        body = {
            "symbol": asset.symbol, "qty": fields.get("volume"), "side": fields.get("type"),
            "type": fields.get("ordertype"), "client_order_id": name, "limit_price": fields.get("price"),
            "time_in_force": fields.get("timeinforce", "GTC").lower(),
        }  # fmt: skip
        taken = self._door.place(account, body)
        if isinstance(taken, Refusal):
            words = (
                "EOrder:Insufficient funds" if taken.status == 403 else f"EGeneral:Invalid arguments:{taken.message}"
            )
            return {"error": [words]}
        return {"error": [], "result": {"descr": {"order": _words(taken)}, "txid": [taken.order_id]}}

    def cancel(self, account: Account, fields: dict[str, str]) -> Json:
        order = self._mine(account, fields.get("txid", ""))
        if order is None or self._door.cancel(order) is not None:
            return {"error": ["EOrder:Unknown order"]}
        return {"error": [], "result": {"count": 1}}

    def _mine(self, account: Account, order_id: str) -> Order | None:
        order = self._door.exchange.find(order_id)
        return order if order is not None and order.account == account.number else None

    def orders(self, account: Account, fields: dict[str, str]) -> Json:
        found = [self._mine(account, order_id) for order_id in fields.get("txid", "").split(",")]
        if None in found:
            return {"error": ["EOrder:Unknown order"]}
        return {"error": [], "result": {order.order_id: _order(order) for order in found if order is not None}}

    def open_orders(self, account: Account, fields: dict[str, str]) -> Json:
        return {"error": [], "result": {"open": _listed(self._door.working(account), fields)}}

    def closed_orders(self, account: Account, fields: dict[str, str]) -> Json:
        done = [one for one in self._door.exchange.ledger.orders(account.number) if not one.working]
        return {"error": [], "result": {"closed": _listed(done, fields), "count": len(done)}}

    def balance(self, account: Account, _: dict[str, str]) -> Json:
        coins = self._door.balances(account).items()
        return {"error": [], "result": {coin: {"balance": plain(amount), "hold_trade": "0"} for coin, amount in coins}}

    def trades(self, account: Account, fields: dict[str, str]) -> Json:
        """Newest first, fifty at a time."""
        start = float(fields.get("start", "0"))
        rows = [pair for pair in self._door.fills(account) if pair[0].time_us / 1e6 > start]
        rows.reverse()
        page = rows[int(fields.get("ofs", "0")) :][:_PAGE]
        told = {one.execution_id: _trade(one, order) for one, order in page}
        return {"error": [], "result": {"trades": told, "count": len(rows)}}


def _words(order: Order) -> str:
    price = f" {plain(order.limit_price)}" if order.limit_price is not None else ""
    return f"{order.side} {plain(order.quantity)} {order.symbol.replace('/', '')} @ {order.kind}{price}"


def _listed(orders: list[Order], fields: dict[str, str]) -> Json:
    name = fields.get("cl_ord_id")
    return {one.order_id: _order(one) for one in orders if not name or one.client_order_id == name}


def _order(order: Order) -> Json:
    return {
        "refid": None, "userref": None, "cl_ord_id": order.client_order_id, "status": _STATUSES[order.status],
        "opentm": order.submitted_us / 1e6, "starttm": 0, "expiretm": 0, "closetm": order.ended_us / 1e6,
        "descr": {"pair": order.symbol.replace("/", ""), "type": order.side, "ordertype": order.kind,
                  "price": plain(order.limit_price), "price2": "0", "leverage": "none", "order": "", "close": ""},
        "vol": plain(order.quantity), "vol_exec": plain(order.filled), "cost": plain(order.paid), "fee": "0",
        "price": plain(order.average or ZERO), "stopprice": "0", "limitprice": "0", "misc": "", "oflags": "fciq",
        "timeinforce": order.time_in_force.upper(), "trades": [],
    }  # fmt: skip


def _trade(execution: Execution, order: Order) -> Json:
    return {
        "ordertxid": order.order_id, "postxid": "", "pair": order.symbol.replace("/", ""),
        "time": execution.time_us / 1e6, "type": order.side, "ordertype": order.kind,
        "price": plain(execution.price), "cost": plain(execution.price * execution.quantity), "fee": "0",
        "vol": plain(execution.quantity), "margin": "0", "misc": "", "maker": False,
    }  # fmt: skip


class KrakenFutures:
    """Kraken's derivatives. Answers are 200 with `result`; an order's fate is in its status."""

    def __init__(self, door: CryptoDoor):
        self._door = door

    def routes(self) -> list[Route]:
        root = "/derivatives/api/v3"
        return [
            Route(f"{root}/instruments", self.markets),
            Route(f"{root}/sendorder", self.submit, methods=["POST"]),
            Route(f"{root}/cancelorder", self.cancel, methods=["POST"]),
            Route(f"{root}/orders/status", self.status, methods=["GET", "POST"]),
            Route(f"{root}/openorders", self.open_orders),
            Route(f"{root}/fills", self.fills),
            Route(f"{root}/openpositions", self.positions),
            Route(f"{root}/accounts", self.accounts),
            Route("/api/history/{version}/orders", self.history),
        ]

    async def markets(self, _: Request) -> Response:
        told = [
            {
                "symbol": f"PF_{market_id_of(asset)}", "type": "flexible_futures", "tradeable": True,
                "base": asset.symbol.partition("/")[0], "quote": "USD",
                "pair": asset.symbol.partition(":")[0].replace("/", ":"),
                "tickSize": 0.01, "contractSize": 1, "contractValueTradePrecision": 4, "impactMidSize": 1,
                "maxPositionSize": 1000000, "openingDate": "2022-01-01T00:00:00.000Z", "marginLevels": [],
                "fundingRateCoefficient": 8, "maxRelativeFundingRate": 0.001, "isin": "", "postOnly": False,
                "feeScheduleUid": "", "category": "", "tags": [], "mtf": False,
            }
            for asset in self._door.assets(perpetual=True)
        ]  # fmt: skip
        return answer({"result": "success", "instruments": told, "serverTime": self._now()})

    def _now(self) -> str:
        return _iso(self._door.direction.now_us())

    async def _who(self, request: Request) -> Account | Response:
        account = self._door.account_of(request.headers.get("apikey", ""))
        if account is None:
            return answer({"result": "error", "error": "authenticationError", "serverTime": self._now()})
        return account

    async def submit(self, request: Request) -> Response:
        account = await self._who(request)
        if isinstance(account, Response):
            return account
        fields = await asked(request)
        asset = self._door.asset_of(fields.get("symbol", "").upper().removeprefix("PF_"), perpetual=True)
        if asset is None:
            return answer({"result": "error", "error": "contractNotFound", "serverTime": self._now()})
        name = fields.get("cliOrdId", "")
        known = self._door.exchange.ledger.order_named(account.number, name)
        if known is not None and known.working:
            return self._sent({"status": "clientOrderIdAlreadyExist"})
        kind = fields.get("orderType", "")
        body = {
            "symbol": asset.symbol, "qty": fields.get("size"), "side": fields.get("side"),
            "type": "market" if kind == "mkt" else "limit", "client_order_id": name,
            "limit_price": fields.get("limitPrice"), "time_in_force": "ioc" if kind == "ioc" else "gtc",
        }  # fmt: skip
        taken = self._door.place(account, body)
        if isinstance(taken, Refusal):
            return self._sent({"status": "insufficientAvailableFunds" if taken.status == 403 else "invalidSize"})
        event = {"type": "PLACE", "order": _future(taken), "reducedQuantity": None}
        sent = {"order_id": taken.order_id, "cliOrdId": name, "status": "placed", "orderEvents": [event]}
        return self._sent({**sent, "receivedTime": _iso(taken.submitted_us)})

    def _sent(self, status: Json) -> Response:
        return answer({"result": "success", "sendStatus": status, "serverTime": self._now()})

    async def cancel(self, request: Request) -> Response:
        account = await self._who(request)
        if isinstance(account, Response):
            return account
        order = self._door.exchange.find((await asked(request)).get("order_id", ""))
        if order is None or order.account != account.number or self._door.cancel(order) is not None:
            return answer({"result": "success", "cancelStatus": {"status": "notFound"}, "serverTime": self._now()})
        event = {"type": "CANCEL", "uid": order.order_id, "order": _future(order)}
        told = {"status": "cancelled", "order_id": order.order_id, "cliOrdId": order.client_order_id,
                "orderEvents": [event], "receivedTime": self._now()}  # fmt: skip
        return answer({"result": "success", "cancelStatus": told, "serverTime": self._now()})

    async def status(self, request: Request) -> Response:
        account = await self._who(request)
        if isinstance(account, Response):
            return account
        raw = parse_qs(request.url.query + "&" + (await request.body()).decode())
        ids = {one for name in ("orderIds", "orderIds[]", "orderIds[0]") for one in raw.get(name, [])}
        names = {one for name in ("cliOrdIds", "cliOrdIds[]", "cliOrdIds[0]") for one in raw.get(name, [])}
        found = [
            one
            for one in self._door.exchange.ledger.orders(account.number)
            if one.order_id in ids or one.client_order_id in names
        ]
        # As there: what ended more than five seconds ago is not told here.
        young_us = self._door.direction.now_us() - 5_000_000
        found = [one for one in found if one.working or (one.updated_us or one.submitted_us) > young_us]
        words = {"filled": "FULLY_EXECUTED", "canceled": "CANCELLED", "rejected": "REJECTED", "expired": "CANCELLED"}
        told = [{"order": _future(one), "status": words.get(one.status, "ENTERED_BOOK")} for one in found]
        return answer({"result": "success", "orders": told, "serverTime": self._now()})

    async def history(self, request: Request) -> Response:
        """Events of orders, newest first."""
        account = await self._who(request)
        if isinstance(account, Response):
            return account
        told = []
        for order in reversed(self._door.exchange.ledger.orders(account.number)):
            inner = {
                "uid": order.order_id, "clientId": order.client_order_id, "tradeable": f"PF_{_plain_market(order)}",
                "direction": order.side.capitalize(), "quantity": plain(order.quantity), "filled": plain(order.filled),
                "limitPrice": plain(order.limit_price), "timestamp": order.submitted_us // 1000,
                "lastUpdateTimestamp": (order.updated_us or order.submitted_us) // 1000, "orderType": "Limit",
            }  # fmt: skip
            event: Json = {"OrderPlaced": {"order": {**inner, "filled": "0"}}}
            if order.status in ("canceled", "expired"):
                event = {"OrderCancelled": {"order": inner, "reason": "cancelled_by_user"}}
            elif order.status == "rejected":
                event = {"OrderRejected": {"order": inner, "reason": ""}}
            elif order.filled:
                reason = "full_fill" if order.status == "filled" else "partial_fill"
                event = {"OrderUpdated": {"newOrder": inner, "reason": reason}}
            told.append({"uid": order.order_id, "timestamp": order.submitted_us // 1000, "event": event})
        return answer({"elements": told, "len": len(told)})

    async def open_orders(self, request: Request) -> Response:
        account = await self._who(request)
        if isinstance(account, Response):
            return account
        told = [
            {
                "order_id": one.order_id, "cliOrdId": one.client_order_id, "symbol": f"PF_{_plain_market(one)}",
                "side": one.side, "orderType": "lmt" if one.limit_price else "mkt",
                "limitPrice": float(one.limit_price or 0), "unfilledSize": float(one.leaves),
                "filledSize": float(one.filled), "status": "partiallyFilled" if one.filled else "untouched",
                "receivedTime": _iso(one.submitted_us), "lastUpdateTime": _iso(one.updated_us or one.submitted_us),
                "reduceOnly": False,
            }
            for one in self._door.working(account)
        ]  # fmt: skip
        return answer({"result": "success", "openOrders": told, "serverTime": self._now()})

    async def fills(self, request: Request) -> Response:
        """The hundred before `lastFillTime`, newest first."""
        account = await self._who(request)
        if isinstance(account, Response):
            return account
        before = (await asked(request)).get("lastFillTime")
        rows = self._door.fills(account)
        if before:
            rows = [pair for pair in rows if _iso(pair[0].time_us) < before]
        told = [
            {
                "fillTime": _iso(one.time_us), "order_id": order.order_id, "fill_id": one.execution_id,
                "cliOrdId": order.client_order_id, "symbol": f"PF_{_plain_market(order)}", "side": order.side,
                "size": float(one.quantity), "price": float(one.price), "fillType": "taker",
            }
            for one, order in reversed(rows[-100:])
        ]  # fmt: skip
        return answer({"result": "success", "fills": told, "serverTime": self._now()})

    async def positions(self, request: Request) -> Response:
        account = await self._who(request)
        if isinstance(account, Response):
            return account
        told = []
        for symbol, quantity, cost in self._door.exchange.ledger.positions(account.number):
            asset = self._door.exchange.asset(symbol)
            if asset is not None and asset.asset_class == "perp":
                side = "long" if quantity > 0 else "short"
                told.append({"side": side, "symbol": f"PF_{market_id_of(asset)}", "size": float(abs(quantity)),
                             "price": float(abs(cost / quantity)), "fillTime": self._now()})  # fmt: skip
        return answer({"result": "success", "openPositions": told, "serverTime": self._now()})

    async def accounts(self, request: Request) -> Response:
        account = await self._who(request)
        if isinstance(account, Response):
            return account
        cash = float(self._door.exchange.cash(account.number))
        flex = {"type": "multiCollateralMarginAccount", "currencies": {"USD": {"quantity": cash, "available": cash}},
                "balanceValue": cash, "portfolioValue": cash, "availableMargin": cash, "initialMargin": 0}  # fmt: skip
        return answer({"result": "success", "accounts": {"flex": flex}, "serverTime": self._now()})


def _plain_market(order: Order) -> str:
    return order.symbol.partition(":")[0].replace("/", "")


def _future(order: Order) -> Json:
    return {
        "type": "ORDER", "orderId": order.order_id, "cliOrdId": order.client_order_id, "reduceOnly": False,
        "orderType": "lmt" if order.limit_price else "mkt", "symbol": f"PF_{_plain_market(order)}", "side": order.side,
        "quantity": float(order.quantity), "filled": float(order.filled), "limitPrice": float(order.limit_price or 0),
        "timestamp": _iso(order.submitted_us), "lastUpdateTimestamp": _iso(order.updated_us or order.submitted_us),
    }  # fmt: skip


def _iso(micros: int) -> str:
    when = datetime.fromtimestamp(micros // 1_000_000, tz=UTC)
    return f"{when:%Y-%m-%dT%H:%M:%S}.{micros // 1000 % 1000:03d}Z"
