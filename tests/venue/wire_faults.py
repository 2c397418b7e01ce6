"""Misbehaviour on the wire: what stands between the honest answer and the client."""

import asyncio
import json
import socket
import struct
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from tests.venue import rules
from tests.venue.direction import Direction
from tests.venue.faults import ON_REQUESTS, Fault, Faults, Kind
from tests.venue.ledger import Ledger
from tests.venue.orders import Json

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_CHANGES = frozenset({"submit", "cancel", "replace"})
_HUGE = "9" * 400


class Answer:
    """An answer that is not sent yet."""

    def __init__(self, status: int = 200, body: bytes = b"", content_type: str = "application/json"):
        self.status = status
        self.body = body
        self.headers = [(b"content-type", content_type.encode())]

    async def take(self, message: "Message") -> None:
        """Be the `send` of an app."""
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message.get("headers", []))
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")

    async def give(self, send: "Send", clock_us: int) -> None:
        kept = [(name, value) for name, value in self.headers if name not in (b"content-length", b"date")]
        length = [] if self.status == 204 else [(b"content-length", str(len(self.body)).encode())]
        date = (b"date", formatdate(clock_us / 1e6, usegmt=True).encode())
        await send({"type": "http.response.start", "status": self.status, "headers": [*kept, *length, date]})
        await send({"type": "http.response.body", "body": self.body})


class Misbehaving:
    """Wraps the honest app. Requests of the director (`/admin`) are never misbehaved to."""

    def __init__(self, app: "ASGIApp", faults: Faults, ledger: Ledger, direction: Direction):
        self._app = app
        self._faults = faults
        self._ledger = ledger
        self._direction = direction

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] != "http" or scope["path"].startswith("/admin"):
            await self._app(scope, receive, send)
            return
        body = await _whole_body(receive)
        what = kind_of_request(scope["method"], scope["path"])
        fault = self._faults.strike(ON_REQUESTS, what)
        answer = await self._answered(scope, body, fault)
        if what in _CHANGES:
            name = _name_in(body) or scope["path"].rsplit("/", 1)[-1]
            status = 0 if fault is not None and fault.kind in _SILENT else answer.status if answer else 0
            self._ledger.note(self._direction.now_us(), _key_of(scope), what, name, status, fault.kind if fault else "")
        if fault is not None and fault.kind in _SILENT:
            await _break_off(send, fault, answer, self._direction.now_us())
        elif answer is not None:
            await answer.give(send, self._direction.now_us())

    async def _answered(self, scope: "Scope", body: bytes, fault: Fault | None) -> Answer | None:
        """The honest answer, or the dishonest one; None where nothing was done and nothing will be said."""
        if fault is None:
            return await self._honest(scope, body)
        match fault.kind:
            case Kind.SLOW:
                await asyncio.sleep(fault.seconds)
                return await self._honest(scope, body)
            case Kind.TOO_MANY:
                answer = _refusal(rules.TOO_MANY)
                if fault.seconds:
                    answer.headers.append((b"retry-after", f"{fault.seconds:g}".encode()))
                return answer
            case Kind.EXPIRED:
                return _refusal(rules.UNAUTHORIZED)
            case Kind.REFUSE:
                return _refusal(rules.Refusal(422, 42210000, fault.text or "refused by the script"))
            case Kind.SERVER_ERROR:
                if fault.after:
                    await self._honest(scope, body)
                return Answer(fault.status, b"<html><h1>Server error</h1></html>", "text/html")
            case Kind.MALFORMED:
                return malformed(await self._honest(scope, body), fault.shape)
            case Kind.LOSE_ANSWER:
                return await self._honest(scope, body)
            case Kind.RESET if fault.after:
                return await self._honest(scope, body)
        return None

    async def _honest(self, scope: "Scope", body: bytes) -> Answer:
        answer = Answer()

        async def receive() -> "Message":
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, receive, answer.take)
        return answer


_SILENT = frozenset({Kind.RESET, Kind.LOSE_ANSWER, Kind.IGNORE})


_CRYPTO_WORDS = {
    "AddOrder": "submit", "CancelOrder": "cancel", "QueryOrders": "order", "OpenOrders": "orders",
    "ClosedOrders": "order", "BalanceEx": "account", "TradesHistory": "fills", "sendorder": "submit",
    "cancelorder": "cancel", "status": "order", "openorders": "orders", "openpositions": "positions",
    "accounts": "account", "fills": "fills", "openOrders": "orders", "account": "account", "balance": "account",
    "positionRisk": "positions", "myTrades": "fills", "userTrades": "fills",
}  # fmt: skip
_ORDER_WORDS = {"POST": "submit", "DELETE": "cancel", "GET": "order"}


def kind_of_request(method: str, path: str) -> str:
    """The word for a request, as faults name it."""
    last = path.rsplit("/", 1)[-1]
    if not path.startswith("/v2"):
        return _ORDER_WORDS.get(method, "") if last == "order" else _CRYPTO_WORDS.get(last, "market")
    if path.startswith("/v2/orders"):
        if method == "POST":
            return "submit"
        if method == "DELETE":
            return "cancel"
        if method == "PATCH":
            return "replace"
        return "orders" if path == "/v2/orders" else "order"
    if path.endswith("/FILL"):
        return "fills"
    return path.split("/")[2]


def malformed(answer: Answer, shape: str) -> Answer:
    """The answer, spoilt in this way."""
    if shape == "html":
        return Answer(answer.status, b"<!DOCTYPE html><html><body>Welcome!</body></html>", "text/html")
    if shape == "empty":
        return Answer(answer.status, b"")
    if shape == "hollow":
        # What it says of itself stays, what it is about is gone.
        told = json.loads(answer.body)
        kept: Json = {"error": []} if isinstance(told, dict) and isinstance(told.get("error"), list) else {}
        return Answer(answer.status, json.dumps(kept).encode())
    if shape == "cut":
        return Answer(answer.status, answer.body[: len(answer.body) // 2])
    told = json.loads(answer.body or b"{}")
    rows = told if isinstance(told, list) else [told]
    for row in rows:
        _spoil(row, shape)
    return Answer(answer.status, json.dumps(told).encode())


def _spoil(row: Json, shape: str) -> None:
    match shape:
        case "missing":
            for name in ("id", "qty", "filled_qty", "status", "cash", "symbol", "price"):
                row.pop(name, None)
        case "numbers":
            for name in ("qty", "filled_qty", "limit_price", "cash", "price", "cum_qty", "leaves_qty"):
                if row.get(name) is not None:
                    row[name] = json.loads(row[name])
        case "words":
            for name in ("qty", "filled_qty", "cash", "price", "cum_qty"):
                if name in row:
                    row[name] = "a few"
        case "huge":
            for name in ("qty", "filled_qty", "cash", "price", "cum_qty"):
                if name in row:
                    row[name] = _HUGE
        case _:
            raise ValueError(f"no shape {shape}")


async def _break_off(send: "Send", fault: Fault, answer: Answer | None, clock_us: int) -> None:
    """Say nothing, or half of it, and end the connection: by a reset where the script says so."""
    # uvicorn's `send` is a method of its request cycle, which holds the connection.
    transport: asyncio.Transport = send.__self__.transport  # type: ignore[attr-defined]  # no public way to the socket
    if fault.kind is not Kind.RESET:
        await asyncio.sleep(fault.seconds)
        transport.abort()
        return
    if answer is not None:
        start: dict[str, Any] = {"type": "http.response.start", "status": answer.status, "headers": answer.headers}
        length = [(b"content-length", str(len(answer.body) + 1).encode())]
        start["headers"] = [pair for pair in answer.headers if pair[0] != b"content-length"] + length
        await send(start)
        await send({"type": "http.response.body", "body": answer.body[: len(answer.body) // 2], "more_body": True})
    sock: socket.socket = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _refusal(refusal: rules.Refusal) -> Answer:
    return Answer(refusal.status, json.dumps(refusal.json()).encode())


async def _whole_body(receive: "Receive") -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body


def _name_in(body: bytes) -> str:
    try:
        told = json.loads(body or b"{}")
    except ValueError:
        return ""
    return str(told.get("client_order_id", "")) if isinstance(told, dict) else ""


def _key_of(scope: "Scope") -> str:
    return next((value.decode() for name, value in scope["headers"] if name == b"apca-api-key-id"), "")
