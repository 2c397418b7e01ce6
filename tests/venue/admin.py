"""The director's paths: faults, prices, and what happens without anybody's order."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.venue.direction import Direction
from tests.venue.exchange import Exchange
from tests.venue.faults import Faults
from tests.venue.ledger import Account
from tests.venue.orders import Json, Order
from tests.venue.rules import Refusal


class Door(Protocol):
    """A way out for events."""

    def disconnect(self) -> None: ...
    def flush(self) -> None: ...
    def listeners(self) -> int: ...


class Admin:
    """The paths under `/admin`; bodies and answers are JSON, numbers are text."""

    def __init__(self, exchange: Exchange, doors: Sequence[Door], direction: Direction, faults: Faults):
        self._exchange = exchange
        self._doors = doors
        self._direction = direction
        self._faults = faults

    def routes(self) -> list[Route]:
        deeds = ("price", "trade", "bust", "correct", "expire", "reject", "order", "position", "account", "direct")
        return [
            Route("/admin/ready", self.ready),
            Route("/admin/faults", self.faults, methods=["GET", "POST", "DELETE"]),
            Route("/admin/disconnect", self.disconnect, methods=["POST"]),
            Route("/admin/flush", self.flush, methods=["POST"]),
            *(Route(f"/admin/{deed}", getattr(self, deed), methods=["POST"]) for deed in deeds),
        ]

    async def ready(self, _: Request) -> Response:
        return JSONResponse(
            {"listeners": sum(door.listeners() for door in self._doors), "working": len(self._exchange.working)}
        )

    async def faults(self, request: Request) -> Response:
        if request.method == "POST":
            self._faults.add(await request.json())
        elif request.method == "DELETE":
            self._faults.clear()
        return JSONResponse([fault.json() for fault in self._faults.on])

    async def disconnect(self, _: Request) -> Response:
        for door in self._doors:
            door.disconnect()
        return JSONResponse({})

    async def flush(self, _: Request) -> Response:
        for door in self._doors:
            door.flush()
        return JSONResponse({})

    async def price(self, request: Request) -> Response:
        told = await request.json()
        volume = told.get("volume")
        price = Decimal(told["price"])
        self._exchange.price(told["symbol"], price, None if volume is None else Decimal(volume))
        return JSONResponse({})

    async def trade(self, request: Request) -> Response:
        told = await request.json()
        order = self._named(told)
        done = self._exchange.trade(order, Decimal(told["quantity"]), Decimal(told["price"]))
        return JSONResponse({"execution_id": done.execution_id})

    async def bust(self, request: Request) -> Response:
        told = await request.json()
        return JSONResponse({"execution_id": self._exchange.bust(told["execution_id"]).execution_id})

    async def correct(self, request: Request) -> Response:
        told = await request.json()
        done = self._exchange.correct(told["execution_id"], Decimal(told["quantity"]), Decimal(told["price"]))
        return JSONResponse({"execution_id": done.execution_id})

    async def expire(self, request: Request) -> Response:
        self._exchange.expire(self._named(await request.json()))
        return JSONResponse({})

    async def reject(self, request: Request) -> Response:
        self._exchange.reject(self._named(await request.json()))
        return JSONResponse({})

    async def order(self, request: Request) -> Response:
        """An order that the client never sent."""
        told = await request.json()
        taken = self._exchange.submit(told.pop("account"), told, external=True)
        if isinstance(taken, Refusal):
            return JSONResponse(taken.json(), status_code=422)
        return JSONResponse(self._exchange.json(taken))

    async def position(self, request: Request) -> Response:
        """A position that came from nowhere."""
        told = await request.json()
        quantity, price = Decimal(told["quantity"]), Decimal(told["price"])
        self._exchange.ledger.move(told["account"], told["symbol"], quantity, price)
        return JSONResponse({})

    async def account(self, request: Request) -> Response:
        told = await request.json()
        self._exchange.open_account(Account(told["number"], told["key"], told["secret"], Decimal(told["cash"])))
        return JSONResponse({})

    async def direct(self, request: Request) -> Response:
        for name, value in (await request.json()).items():
            if name not in Direction.__dataclass_fields__:
                return JSONResponse({"no such direction": name}, status_code=422)
            setattr(self._direction, name, value)
        return JSONResponse({})

    def _named(self, told: Json) -> Order:
        order = self._exchange.ledger.order_named(told["account"], told["client_order_id"])
        assert order is not None, f"no order {told}"
        return self._exchange.find(order.order_id) or order
