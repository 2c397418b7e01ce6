"""A broker that misbehaves by script, over an honest paper venue that stays the judge of what was done."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar

from connectors.brokers.paper import FREE, PaperBroker, PaperVenue
from connectors.errors import Ambiguous, Refused, Unavailable
from connectors.protocols import Capabilities, FillPage
from schemas.execution import ExecutionReport, HeldCash, HeldPosition
from schemas.order import CancelOrder, QueryOrder, ReplaceOrder, SubmitOrder
from tests.connectors.brokers.orders import teapots

_Answer = TypeVar("_Answer")


class ScriptedBroker:
    """Each call takes the next word of the script; without one it behaves.

    down: Unavailable, nothing done          busy: Unavailable, wait 10 ms
    no: Refused                              lost: done, and the answer lost (Ambiguous)
    unsure: nothing done, Ambiguous          hang: done, and no answer, ever
    bug: done, and an error that no broker may raise
    """

    def __init__(self, *script: str, venue: PaperVenue | None = None, **capabilities: Any):
        self.venue = venue or PaperVenue([teapots()], rules=FREE)
        self.calls: list[str] = []
        self._broker = PaperBroker(self.venue)
        self._script = deque(script)
        self._capabilities = replace(self._broker.capabilities, **{"repeats_answer": False, **capabilities})

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    async def _do(self, what: str, act: Callable[[], Awaitable[_Answer]]) -> _Answer:
        self.calls.append(what)
        match self._script.popleft() if self._script else "":
            case "down":
                raise Unavailable("the venue is down; the same call may be repeated")
            case "busy":
                raise Unavailable("the venue is busy", retry_after_s=0.01)
            case "no":
                raise Refused("the venue does not want it", code="NOT_WANTED")
            case "unsure":
                raise Ambiguous("the connection was reset; ask what became of it")
            case "lost":
                await act()
                raise Ambiguous("the answer could not be read; ask what became of it")
            case "hang":
                await act()
                await asyncio.Event().wait()
            case "bug":
                await act()
                raise KeyError("ordStatus")
        return await act()

    async def submit(self, order: SubmitOrder) -> ExecutionReport:
        return await self._do(f"submit {order.client_order_id}", lambda: self._broker.submit(order))

    async def cancel(self, request: CancelOrder) -> ExecutionReport:
        return await self._do(f"cancel {request.client_order_id}", lambda: self._broker.cancel(request))

    async def replace(self, request: ReplaceOrder) -> ExecutionReport:
        return await self._do(f"replace {request.client_order_id}", lambda: self._broker.replace(request))

    async def query(self, request: QueryOrder) -> ExecutionReport | None:
        return await self._do(f"query {request.client_order_id}", lambda: self._broker.query(request))

    async def open_orders(self, account_id: str) -> list[ExecutionReport]:
        return await self._broker.open_orders(account_id)

    async def positions(self, account_id: str) -> list[HeldPosition]:
        return await self._broker.positions(account_id)

    async def cash(self, account_id: str) -> list[HeldCash]:
        return await self._broker.cash(account_id)

    async def fills(self, account_id: str, cursor: str = "") -> FillPage:
        return await self._broker.fills(account_id, cursor)

    def reports(self) -> AsyncIterator[ExecutionReport]:
        return self._broker.reports()
