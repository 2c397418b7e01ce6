"""Reconciliation: our books against the broker's, at start and for as long as an account is ours.

Fills come by cursor, so that none is missed that no stream told. Positions, cash and working orders are told only where
no fill and no report came while they were asked for: then all that they hold has been told before them, and a
difference is one. A broker that does not answer says nothing; least of all that we are flat.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol, cast

from connectors.errors import ConnectorError
from connectors.protocols import FillPage
from schemas.execution import BrokerCash, BrokerPositions, ExecutionReport, HeldCash, HeldPosition
from schemas.ids import short_id
from schemas.record import Record

Write = Callable[[list[Record]], Awaitable[None]]
"""Writes records to `accounts.inbox` in this order, and returns when they are durable."""

TOLD_MAX = 20_000
LOOKS_MAX = 5
"""So often positions are asked for until nothing moves meanwhile; then the next round tries again."""
CATCH_UP_S = 5.0
FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = 10.0


class Side(Protocol):
    """What of a broker reconciliation asks."""

    async def open_orders(self, account_id: str) -> list[ExecutionReport]: ...
    async def positions(self, account_id: str) -> list[HeldPosition]: ...
    async def cash(self, account_id: str) -> list[HeldCash]: ...
    async def fills(self, account_id: str, cursor: str = "") -> FillPage: ...
    def reports(self) -> AsyncIterator[ExecutionReport]: ...


@dataclass(slots=True)
class Counts:
    """What one account's reconciliation did: rounds that ended, that found no quiet moment, that failed."""

    rounds: int = 0
    unquiet: int = 0
    failures: int = 0
    last_failure: str = ""


class Books:
    """One account at one venue.

    reconciled: set when both sides were compared once.
    cursor: where reading fills goes on.
    """

    def __init__(
        self,
        account_id: str,
        venue: str,
        broker: Side,
        write: Write,
        cursor: str = "",
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ):
        self.account_id = account_id
        self.venue = venue
        self.cursor = cursor
        self.reconciled = asyncio.Event()
        self.counts = Counts()
        self._broker = broker
        self._write = write
        self._now_us = now_us
        self._told: OrderedDict[str, None] = OrderedDict()
        self._heard = 0
        self._reading = asyncio.Lock()

    async def run(self, every_s: float) -> None:
        """Reconcile now, and then every so many seconds; after a failure sooner."""
        wait_s = FIRST_WAIT_S
        while True:
            try:
                settled = await self.reconcile()
            except Exception as error:  # noqa: BLE001 - a broker that breaks its promise says nothing either
                settled = False
                self.counts.failures += 1
                self.counts.last_failure = str(error) or type(error).__name__
            wait_s = FIRST_WAIT_S if settled else min(2 * wait_s, LONGEST_WAIT_S, every_s)
            await asyncio.sleep(every_s if settled else wait_s)

    async def reconcile(self) -> bool:
        """Compare once; false where both sides kept moving. Raises ConnectorError where the broker does not answer."""
        for _ in range(LOOKS_MAX):
            await self._recover()
            heard = self._heard
            working = await self._broker.open_orders(self.account_id)
            positions = await self._broker.positions(self.account_id)
            cash = await self._broker.cash(self.account_id)
            if not await self._recover() and heard == self._heard:
                await self._tell(
                    [*(one for one in working if one.exec_id not in self._told), *self._sums(positions, cash)]
                )
                self.counts.rounds += 1
                self.reconciled.set()
                return True
        self.counts.unquiet += 1
        return False

    async def heard(self, report: ExecutionReport) -> None:
        """The broker's stream told of this account; told on, durably, unless it was told before."""
        if report.exec_id not in self._told:
            self._heard += 1
            await self._tell([report])

    async def catch_up(self) -> None:
        """Tell the fills there are by now: what an answer counts lies before it then, as in a quiet moment.

        Where they cannot be had in time, the answer is told without them, and is a difference until they come.
        """
        try:
            async with asyncio.timeout(CATCH_UP_S):
                self._heard += await self._recover()
        except (ConnectorError, TimeoutError) as error:
            self.counts.failures += 1
            self.counts.last_failure = str(error) or type(error).__name__

    async def _recover(self) -> int:
        """Tell the fills after the cursor; how many of them nobody had told."""
        async with self._reading:
            return await self._recovered()

    async def _recovered(self) -> int:
        fresh = 0
        while True:
            page = await self._broker.fills(self.account_id, self.cursor)
            new = [fill for fill in page.fills if fill.exec_id not in self._told]
            fresh += len(new)
            await self._tell(new)
            moved = page.cursor != self.cursor
            self.cursor = page.cursor
            if not page.fills or not moved:
                return fresh

    def _sums(self, positions: list[HeldPosition], cash: list[HeldCash]) -> list[Record]:
        now_us = self._now_us()
        asked: dict[str, Any] = {"event_time_us": now_us, "account_id": self.account_id, "venue": self.venue}

        def question(what: str) -> str:
            return short_id(what, self.venue, self.account_id, str(now_us))

        held: list[Record] = [
            BrokerPositions(**asked, request_id=question("positions"), positions=positions, fills_cursor=self.cursor)
        ]
        return [*held, BrokerCash(**asked, request_id=question("cash"), cash=cash)] if cash else held

    async def _tell(self, records: list[Any]) -> None:
        """Write, and only then remember as told."""
        if not records:
            return
        await self._write(records)
        for record in records:
            if isinstance(record, ExecutionReport):
                self._told[record.exec_id] = None
        while len(self._told) > TOLD_MAX:
            self._told.popitem(last=False)


async def listen(broker: Side, books: Mapping[str, Books], note: Callable[[str], None]) -> None:
    """Tell on what the broker's stream tells of these accounts, for ever; a lost stream is opened again."""
    wait_s = FIRST_WAIT_S
    while True:
        try:
            async with aclosing(cast("Any", broker.reports())) as telling:
                async for report in telling:
                    wait_s = FIRST_WAIT_S
                    one = books.get(report.account_id)
                    if one is not None:
                        await one.heard(report)
        except Exception as error:  # noqa: BLE001 - a broker that breaks its promise is listened to again
            note(str(error) or type(error).__name__)
        await asyncio.sleep(wait_s)
        wait_s = min(2 * wait_s, LONGEST_WAIT_S)
