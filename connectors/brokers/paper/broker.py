"""The paper venue as a broker: the same promises as any other, kept without a network."""

import asyncio
from collections.abc import AsyncIterator, Mapping

from connectors.brokers.paper.orders import exec_id, report
from connectors.brokers.paper.venue import PaperVenue
from connectors.protocols import Capabilities, ClientIdUnique, FillPage
from schemas.control import CashMovement
from schemas.execution import ExecutionReport, HeldCash, HeldPosition
from schemas.market import Bar
from schemas.order import CancelOrder, ExecType, OrderType, QueryOrder, ReplaceOrder, SubmitOrder, TimeInForce
from schemas.reference import FeeSchedule, Instrument


class PaperBroker:
    """A broker over a `PaperVenue`. It answers at once and is never unavailable.

    Its stream starts after the executions of before its making; those are in `fills`.
    """

    def __init__(self, venue: PaperVenue):
        self._venue = venue
        self._news = asyncio.Event()
        self._told = max((number for number, _ in venue.executions(0)), default=0)
        self._capabilities = Capabilities(
            venue=venue.name,
            client_id_unique=ClientIdUnique.ALWAYS,
            order_types=frozenset(OrderType),
            times_in_force=frozenset(TimeInForce),
            repeats_answer=True,
            reduce_only=True,
            post_only=True,
        )

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    def learn(self, reference: Instrument | FeeSchedule) -> None:
        """Take an instrument or the fees, if they are of this venue."""
        self._venue.learn(reference)

    def fund(self, movement: CashMovement) -> None:
        """Take money in or give it out; the same movement twice is one."""
        self._venue.fund(movement.account_id, movement.movement_id, movement.currency, movement.amount)

    def routes_used(self) -> Mapping[int, int]:
        """None: the venue is here."""
        return {}

    async def close(self) -> None:
        """Nothing is open."""

    async def submit(self, order: SubmitOrder) -> ExecutionReport:
        return self._venue.submit(order)

    async def cancel(self, request: CancelOrder) -> ExecutionReport:
        return self._venue.cancel(request)

    async def replace(self, request: ReplaceOrder) -> ExecutionReport:
        return self._venue.replace(request)

    async def query(self, request: QueryOrder) -> ExecutionReport | None:
        return self._venue.query(request)

    async def open_orders(self, account_id: str) -> list[ExecutionReport]:
        return [
            report(
                order,
                self._venue.name,
                ExecType.ORDER_STATUS,
                order.accepted_us,
                exec_id(order.client_order_id, "OPEN", 0, int(order.cumulative.scaleb(12))),
            )
            for order in self._venue.working(account_id)
        ]

    async def positions(self, account_id: str) -> list[HeldPosition]:
        return self._venue.positions(account_id)

    async def cash(self, account_id: str) -> list[HeldCash]:
        return self._venue.cash(account_id)

    async def fills(self, account_id: str, cursor: str = "") -> FillPage:
        pairs = self._venue.executions(int(cursor or 0))
        mine = (r for _, r in pairs if r.account_id == account_id and r.exec_type is ExecType.TRADE)
        return FillPage(tuple(mine), str(pairs[-1][0]) if pairs else cursor)

    def on_bar(self, bar: Bar) -> list[ExecutionReport]:
        """Let the venue see a bar; what it does to our orders is returned, and told in `reports`."""
        executions = self._venue.on_bar(bar)
        if executions:
            self._news.set()
        return executions

    async def reports(self) -> AsyncIterator[ExecutionReport]:
        while True:
            for number, execution in self._venue.executions(self._told):
                self._told = number
                yield execution
            self._news.clear()
            await self._news.wait()
