"""Alpaca's trading API, version 2, answered honestly."""

import asyncio
from datetime import datetime
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.venue import rules
from tests.venue.direction import Direction, Market
from tests.venue.exchange import Exchange
from tests.venue.faults import Faults, Kind
from tests.venue.ledger import Account
from tests.venue.orders import Json, Order, activity_id, activity_json, new_id, text_of
from tests.venue.rules import Refusal


class Api:
    """The paths of the trading API."""

    def __init__(self, exchange: Exchange, market: Market, direction: Direction, faults: Faults):
        self._exchange = exchange
        self._market = market
        self._direction = direction
        self._faults = faults

    def routes(self) -> list[Route]:
        return [
            Route("/v2/account", self.account),
            Route("/v2/account/activities/FILL", self.fills),
            Route("/v2/assets/{symbol:path}", self.asset),
            Route("/v2/positions", self.positions),
            Route("/v2/orders:by_client_order_id", self.order_named),
            Route("/v2/orders", self.orders),
            Route("/v2/orders", self.submit, methods=["POST"]),
            Route("/v2/orders/{order_id}", self.order),
            Route("/v2/orders/{order_id}", self.cancel, methods=["DELETE"]),
            Route("/v2/orders/{order_id}", self.replace, methods=["PATCH"]),
        ]

    def who(self, request: Request) -> Account | None:
        """The account whose keys the request carries."""
        key, secret = request.headers.get("apca-api-key-id"), request.headers.get("apca-api-secret-key")
        for account in self._exchange.accounts.values():
            if (account.key, account.secret) == (key, secret):
                return account
        return None

    async def account(self, request: Request) -> Response:
        account = self.who(request)
        if account is None:
            return refused(rules.UNAUTHORIZED)
        cash = self._exchange.cash(account.number)
        worth = sum(
            (quantity * self._exchange.prices.get(symbol, Decimal(0)) for symbol, quantity, _ in self._held(account)),
            cash,
        )
        return JSONResponse({
            "id": new_id(sum(account.number.encode())),
            "account_number": account.number,
            "status": "ACTIVE",
            "crypto_status": "ACTIVE",
            "currency": "USD",
            "cash": text_of(cash),
            "buying_power": text_of(cash * 4),
            "equity": text_of(worth),
            "portfolio_value": text_of(worth),
            "multiplier": "4",
            "trading_blocked": False,
            "transfers_blocked": False,
            "account_blocked": False,
            "trade_suspended_by_user": False,
            "shorting_enabled": True,
            "created_at": "2020-01-02T03:04:05.678901Z",
        })  # fmt: skip

    async def asset(self, request: Request) -> Response:
        asset = self._exchange.asset(request.path_params["symbol"])
        if asset is None:
            return refused(Refusal(404, 40410000, f"asset not found for {request.path_params['symbol']}"))
        return JSONResponse({
            "id": new_id(sum(asset.symbol.encode())),
            "class": asset.asset_class,
            "exchange": "CRYPTO" if asset.crypto else "NASDAQ",
            "symbol": asset.symbol,
            "status": "active",
            "tradable": asset.tradable,
            "shortable": asset.shortable and not asset.crypto,
            "fractionable": asset.fractionable,
            "min_order_size": text_of(asset.quantity_min),
            "min_trade_increment": text_of(asset.increment),
        })  # fmt: skip

    async def positions(self, request: Request) -> Response:
        account = self.who(request)
        if account is None:
            return refused(rules.UNAUTHORIZED)
        return JSONResponse([
            self._position(symbol, quantity, cost) for symbol, quantity, cost in self._held(account)
        ])  # fmt: skip

    def _held(self, account: Account) -> list[tuple[str, Decimal, Decimal]]:
        return self._exchange.ledger.positions(account.number)

    def _position(self, symbol: str, quantity: Decimal, cost: Decimal) -> Json:
        asset = self._exchange.asset(symbol)
        return {
            "asset_id": new_id(sum(symbol.encode())),
            "symbol": asset.position_symbol if asset else symbol,
            "exchange": "NASDAQ",
            "asset_class": asset.asset_class if asset else "us_equity",
            "qty": text_of(quantity),
            "side": "long" if quantity > 0 else "short",
            "avg_entry_price": text_of(abs(cost / quantity)),
            "cost_basis": text_of(cost),
            "qty_available": text_of(quantity),
        }

    async def submit(self, request: Request) -> Response:
        account = self.who(request)
        if account is None:
            return refused(rules.UNAUTHORIZED)
        body = await body_of(request)
        taken = body if isinstance(body, Refusal) else self._exchange.submit(account.number, body)
        if isinstance(taken, Refusal):
            return refused(taken)
        answer = self._exchange.json(taken, "pending_new")
        early = self._faults.strike(Kind.FILL_BEFORE_ACK, "submit")
        if early is not None:
            self._exchange.trade(taken, taken.leaves, self._market.price_of(taken))
            await asyncio.sleep(early.seconds)
        self._market.see(taken)
        return JSONResponse(answer)

    async def cancel(self, request: Request) -> Response:
        order = self._ours(request)
        if isinstance(order, Refusal):
            return refused(order)
        refusal = self._exchange.ask_cancel(order)
        if refusal is not None:
            return refused(refusal)
        if self._faults.strike(Kind.CANCEL_RACE, "cancel"):
            self._exchange.trade(order, order.leaves, self._market.price_of(order))
        await self._settle(self._cancelled(order))
        return Response(status_code=204)

    async def _cancelled(self, order: Order) -> None:
        self._exchange.cancel(order)
        late = self._faults.strike(Kind.LATE_FILL, "cancel") if order.status == "canceled" else None
        if late is not None:
            self._market.later(self._late(order, late.seconds))

    async def _late(self, order: Order, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._exchange.trade(order, min(order.leaves, Decimal(1)), self._market.price_of(order))

    async def replace(self, request: Request) -> Response:
        order = self._ours(request)
        if isinstance(order, Refusal):
            return refused(order)
        body = await body_of(request)
        fresh = body if isinstance(body, Refusal) else self._exchange.ask_replace(order.account, order, body)
        if isinstance(fresh, Refusal):
            return refused(fresh)
        answer = self._exchange.json(fresh)
        if self._faults.strike(Kind.CANCEL_RACE, "replace"):
            self._exchange.trade(order, order.leaves, self._market.price_of(order))
        await self._settle(self._replaced(order, fresh))
        return JSONResponse(answer)

    async def _replaced(self, order: Order, fresh: Order) -> None:
        self._exchange.replace(order, fresh)
        self._market.see(fresh)

    async def _settle(self, deed: Any) -> None:
        if self._direction.settle_s <= 0:
            await deed
            return

        async def after_a_while() -> None:
            await asyncio.sleep(self._direction.settle_s)
            await deed

        self._market.later(after_a_while())

    async def order(self, request: Request) -> Response:
        order = self._ours(request)
        return refused(order) if isinstance(order, Refusal) else JSONResponse(self._exchange.json(order))

    async def order_named(self, request: Request) -> Response:
        account = self.who(request)
        if account is None:
            return refused(rules.UNAUTHORIZED)
        name = request.query_params.get("client_order_id", "")
        order = self._exchange.ledger.order_named(account.number, name)
        return refused(rules.not_found(name)) if order is None else JSONResponse(self._exchange.json(order))

    def _ours(self, request: Request) -> Order | Refusal:
        account = self.who(request)
        if account is None:
            return rules.UNAUTHORIZED
        order = self._exchange.find(request.path_params["order_id"])
        if order is None or order.account != account.number:
            return rules.not_found(request.path_params["order_id"])
        return order

    async def orders(self, request: Request) -> Response:
        account = self.who(request)
        if account is None:
            return refused(rules.UNAUTHORIZED)
        asked = request.query_params
        status, after = asked.get("status", "open"), micros(asked.get("after"))
        until = micros(asked.get("until"))
        found = [
            order
            for order in self._exchange.ledger.orders(account.number)
            if (status == "all" or order.working == (status == "open"))
            and (after is None or order.submitted_us > after)
            and (until is None or order.submitted_us < until)
        ]
        if asked.get("direction", "desc") == "desc":
            found.reverse()
        return JSONResponse([self._exchange.json(order) for order in found[: int(asked.get("limit", "50"))]])

    async def fills(self, request: Request) -> Response:
        account = self.who(request)
        if account is None:
            return refused(rules.UNAUTHORIZED)
        asked, ledger = request.query_params, self._exchange.ledger
        after = micros(asked.get("after")) or 0
        rows = [one for one in ledger.executions(account.number, after) if one.kind == "fill"]
        # As there: in milliseconds, and within one in no order that means anything.
        rows.sort(key=lambda one: (one.time_us // 1000, one.execution_id))
        if asked.get("direction", "desc") == "desc":
            rows.reverse()
        token = asked.get("page_token")
        if token:
            ids = [activity_id(one) for one in rows]
            if token not in ids:
                return refused(rules.invalid("invalid page_token"))
            rows = rows[ids.index(token) + 1 :]
        page = rows[: min(int(asked.get("page_size", "100")), 100)]
        owners = {one.order_id: self._exchange.find(one.order_id) for one in page}
        return JSONResponse([activity_json(one, order) for one in page if (order := owners[one.order_id])])


def refused(refusal: Refusal) -> Response:
    return JSONResponse(refusal.json(), status_code=refusal.status)


async def body_of(request: Request) -> Json | Refusal:
    try:
        body = await request.json()
    except ValueError:
        return Refusal(400, 40010000, "request body format is invalid")
    return body if isinstance(body, dict) else Refusal(400, 40010000, "request body format is invalid")


def micros(text: str | None) -> int | None:
    """A time of a query parameter, in microseconds of UTC."""
    if not text:
        return None
    when = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return int(when.timestamp()) * 1_000_000 + when.microsecond
