"""The venue as Binance: spot under /api/v3, perpetuals under /fapi."""

import hashlib
import hmac
from decimal import Decimal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.venue.crypto import STEP, CryptoDoor, answer, asked, market_id_of, plain
from tests.venue.ledger import Account
from tests.venue.orders import ZERO, Execution, Json, Order
from tests.venue.rules import NOT_UNIQUE, Refusal

_STATUSES = {
    "new": "NEW",
    "partially_filled": "PARTIALLY_FILLED",
    "filled": "FILLED",
    "canceled": "CANCELED",
    "expired": "EXPIRED",
    "rejected": "REJECTED",
    "pending_cancel": "PENDING_CANCEL",
}
_KINDS = {"MARKET": "market", "LIMIT": "limit", "LIMIT_MAKER": "limit"}
_UNKNOWN = (-2013, "Order does not exist.")


class Binance:
    """Binance's paths. Requests are signed, and older than their window they are not carried out."""

    def __init__(self, door: CryptoDoor):
        self._door = door

    def routes(self) -> list[Route]:
        return [route for prefix in ("/api/v3", "/fapi/v1") for route in self._orders(prefix)] + [
            Route("/api/v3/account", self.account),
            Route("/api/v3/myTrades", self.trades),
            Route("/fapi/v1/userTrades", self.trades),
            Route("/fapi/v2/account", self.account),
            Route("/fapi/v3/account", self.account),
            Route("/fapi/v2/balance", self.balance),
            Route("/fapi/v3/balance", self.balance),
            Route("/fapi/v2/positionRisk", self.positions),
            Route("/fapi/v3/positionRisk", self.positions),
            Route("/fapi/v1/leverageBracket", self.brackets),
        ]

    def _orders(self, prefix: str) -> list[Route]:
        return [
            Route(f"{prefix}/exchangeInfo", self.markets),
            Route(f"{prefix}/order", self.order),
            Route(f"{prefix}/order", self.submit, methods=["POST"]),
            Route(f"{prefix}/order", self.cancel, methods=["DELETE"]),
            Route(f"{prefix}/openOrders", self.open_orders),
        ]

    async def markets(self, request: Request) -> Response:
        perpetual = _perpetual(request)
        told = []
        for asset in self._door.assets(perpetual=perpetual):
            base, _, quote = asset.symbol.partition(":")[0].partition("/")
            filters = [
                {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01"},
                {"filterType": "LOT_SIZE", "minQty": plain(STEP), "maxQty": "9000000", "stepSize": plain(STEP)},
                {"filterType": "MARKET_LOT_SIZE", "minQty": "0", "maxQty": "9000000", "stepSize": "0"},
                {"filterType": "MIN_NOTIONAL", "notional": "0", "minNotional": "0"},
            ]
            market: Json = {
                "symbol": market_id_of(asset), "status": "TRADING", "baseAsset": base, "quoteAsset": quote,
                "isSpotTradingAllowed": True, "baseAssetPrecision": 8, "quotePrecision": 8, "filters": filters,
                "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"], "permissions": ["SPOT"],
            }  # fmt: skip
            if perpetual:
                market |= {
                    "pair": market_id_of(asset), "marginAsset": quote, "contractType": "PERPETUAL",
                    "pricePrecision": 2, "quantityPrecision": 4, "deliveryDate": 4133404800000,
                }  # fmt: skip
            told.append(market)
        return answer({"timezone": "UTC", "serverTime": 0, "symbols": told, "rateLimits": []})

    async def who(self, request: Request) -> Account | Response:
        """The account that signed, or why not."""
        account = self._door.account_of(request.headers.get("x-mbx-apikey", ""))
        if account is None:
            return error((-2014, "API-key format invalid."), 401)
        raw = request.url.query + (await request.body()).decode()
        signed, _, signature = raw.rpartition("&signature=")
        wanted = hmac.new(account.secret.encode(), signed.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(signature, wanted):
            return error((-1022, "Signature for this request is not valid."))
        fields = await asked(request)
        now_ms = self._door.direction.now_us() // 1000
        age_ms = now_ms - int(fields.get("timestamp", "0"))
        if age_ms > int(fields.get("recvWindow", "5000")) or age_ms < -1000:
            return error((-1021, "Timestamp for this request is outside of the recvWindow."))
        return account

    async def submit(self, request: Request) -> Response:
        account = await self.who(request)
        if isinstance(account, Response):
            return account
        fields = await asked(request)
        asset = self._door.asset_of(fields.get("symbol", ""), perpetual=_perpetual(request))
        if asset is None:
            return error((-1121, "Invalid symbol."))
        quantity = Decimal(fields.get("quantity", "0"))
        if quantity % STEP or quantity <= 0:
            return error((-1013, "Filter failure: LOT_SIZE"))
        # Names are unique among working orders only.
        name = fields.get("newClientOrderId", "")
        known = self._door.exchange.ledger.order_named(account.number, name)
        if known is not None and known.working:
            return error(
                (-4116, "ClientOrderId is duplicated.") if _perpetual(request) else (-2010, "Duplicate order sent.")
            )
        body = {
            "symbol": asset.symbol, "qty": fields.get("quantity"), "side": fields.get("side", "").lower(),
            "type": _KINDS.get(fields.get("type", ""), ""), "client_order_id": name,
            "time_in_force": fields.get("timeInForce", "GTC").lower(), "limit_price": fields.get("price"),
        }  # fmt: skip
        taken = self._door.place(account, body)
        if isinstance(taken, Refusal):
            words = "Account has insufficient balance for requested action." if taken.status == 403 else taken.message
            return error((-2010, "Duplicate order sent." if taken is NOT_UNIQUE else words))
        return answer(_order(taken))

    async def _mine(self, request: Request) -> Order | Response:
        account = await self.who(request)
        if isinstance(account, Response):
            return account
        fields = await asked(request)
        ledger = self._door.exchange.ledger
        if "origClientOrderId" in fields:
            found = ledger.order_named(account.number, fields["origClientOrderId"])
        else:
            found = ledger.order_numbered(int(fields.get("orderId") or 0))
        if found is None or found.account != account.number:
            return error(_UNKNOWN)
        return self._door.exchange.find(found.order_id) or found

    async def order(self, request: Request) -> Response:
        found = await self._mine(request)
        return found if isinstance(found, Response) else answer(_order(found))

    async def cancel(self, request: Request) -> Response:
        found = await self._mine(request)
        if isinstance(found, Response):
            return found
        refusal = self._door.cancel(found)
        return error((-2011, "Unknown order sent.")) if refusal is not None else answer(_order(found))

    async def open_orders(self, request: Request) -> Response:
        account = await self.who(request)
        if isinstance(account, Response):
            return account
        return answer([_order(one) for one in self._door.working(account)])

    async def account(self, request: Request) -> Response:
        account = await self.who(request)
        if isinstance(account, Response):
            return account
        if _perpetual(request):
            wallet = plain(self._door.exchange.cash(account.number))
            asset = {"asset": "USD", "walletBalance": wallet, "marginBalance": wallet, "availableBalance": wallet,
                     "initialMargin": "0", "maintMargin": "0"}  # fmt: skip
            return answer({"assets": [asset], "positions": [], "updateTime": 0})
        balances = [
            {"asset": coin, "free": plain(amount), "locked": "0"}
            for coin, amount in self._door.balances(account).items()
        ]
        return answer({"uid": account.number, "balances": balances, "accountType": "SPOT", "updateTime": 0})

    async def balance(self, request: Request) -> Response:
        account = await self.who(request)
        if isinstance(account, Response):
            return account
        wallet = plain(self._door.exchange.cash(account.number))
        return answer([{"asset": "USD", "balance": wallet, "availableBalance": wallet, "crossWalletBalance": wallet}])

    async def positions(self, request: Request) -> Response:
        account = await self.who(request)
        if isinstance(account, Response):
            return account
        told = []
        for symbol, quantity, cost in self._door.exchange.ledger.positions(account.number):
            asset = self._door.exchange.asset(symbol)
            if asset is None or asset.asset_class != "perp":
                continue
            told.append({
                "symbol": market_id_of(asset), "positionSide": "BOTH", "positionAmt": plain(quantity),
                "entryPrice": plain(abs(cost / quantity)), "markPrice": "100", "unRealizedProfit": "0",
                "liquidationPrice": "0", "isolatedMargin": "0", "notional": plain(cost), "marginAsset": "USD",
                "initialMargin": "0", "maintMargin": "0", "updateTime": 0, "leverage": "1", "marginType": "cross",
                "isolatedWallet": "0", "isolated": False, "positionInitialMargin": "0", "breakEvenPrice": "0",
                "adl": 1,
            })  # fmt: skip
        return answer(told)

    async def brackets(self, _: Request) -> Response:
        bracket = {"bracket": 1, "initialLeverage": 20, "notionalCap": 1e9, "notionalFloor": 0, "cum": 0,
                   "maintMarginRatio": 0.01}  # fmt: skip
        told = [{"symbol": market_id_of(one), "brackets": [bracket]} for one in self._door.assets(perpetual=True)]
        return answer(told)

    async def trades(self, request: Request) -> Response:
        account = await self.who(request)
        if isinstance(account, Response):
            return account
        fields = await asked(request)
        asset = self._door.asset_of(fields.get("symbol", ""), perpetual=_perpetual(request))
        first, limit = int(fields.get("fromId", "0")), int(fields.get("limit", "500"))
        rows = [
            _trade(one, order)
            for one, order in self._door.fills(account)
            if asset is not None and order.symbol == asset.symbol and one.sequence >= first
        ]
        return answer(rows[:limit])


def error(words: tuple[int, str], status: int = 400) -> Response:
    return answer({"code": words[0], "msg": words[1]}, status)


def _perpetual(request: Request) -> bool:
    return request.url.path.startswith("/fapi")


def _market(symbol: str) -> str:
    return symbol.partition(":")[0].replace("/", "")


def _order(order: Order) -> Json:
    return {
        "symbol": _market(order.symbol), "orderId": order.sequence, "clientOrderId": order.client_order_id,
        "transactTime": order.submitted_us // 1000, "time": order.submitted_us // 1000,
        "updateTime": (order.updated_us or order.submitted_us) // 1000, "price": plain(order.limit_price),
        "origQty": plain(order.quantity), "executedQty": plain(order.filled), "avgPrice": plain(order.average or ZERO),
        "cummulativeQuoteQty": plain(order.paid), "cumQuote": plain(order.paid), "status": _STATUSES[order.status],
        "timeInForce": order.time_in_force.upper(), "type": order.kind.upper(), "origType": order.kind.upper(),
        "side": order.side.upper(), "reduceOnly": False, "positionSide": "BOTH",
    }  # fmt: skip


def _trade(execution: Execution, order: Order) -> Json:
    return {
        "symbol": _market(order.symbol), "id": execution.sequence, "orderId": order.sequence,
        "price": plain(execution.price), "qty": plain(execution.quantity), "commission": "0", "commissionAsset": "USD",
        "quoteQty": plain(execution.quantity * execution.price), "time": execution.time_us // 1000,
        "isBuyer": order.sign > 0, "buyer": order.sign > 0, "isMaker": False, "maker": False,
        "side": order.side.upper(), "positionSide": "BOTH", "realizedPnl": "0",
    }  # fmt: skip
