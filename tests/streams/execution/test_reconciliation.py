"""Our books against the broker's: what is told, in which order, and when nothing is."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec.structs import replace

from connectors.errors import Unavailable
from connectors.protocols import FillPage
from schemas.control import Mode
from schemas.execution import BrokerCash, BrokerPositions, ExecutionReport, HeldCash, HeldPosition
from schemas.order import ExecType, OrderStatus, Side
from schemas.record import Record
from streams.execution.duty import Duty
from streams.execution.handler import Execution
from streams.execution.knowledge import Following
from streams.execution.outcomes import counts_fills
from streams.execution.reconciliation import LOOKS_MAX, Books
from streams.runtime.source import Source
from tests.connectors.brokers.orders import ask, bar, buy
from tests.connectors.brokers.scripted import ScriptedBroker
from tests.streams.execution.test_execution import Delivered

USD = HeldCash(currency="USD", amount=Decimal(1000))


def fill(exec_id: str) -> ExecutionReport:
    return ExecutionReport(
        event_time_us=1, account_id="alice", exec_id=exec_id, client_order_id="a", venue="PAPER", instrument_id="TPT",
        side=Side.BUY, exec_type=ExecType.TRADE, order_status=OrderStatus.FILLED, order_quantity=Decimal(1),
        cumulative_quantity=Decimal(1), leaves_quantity=Decimal(0), last_quantity=Decimal(1), last_price=Decimal(5),
    )  # fmt: skip


class Told:
    """A broker whose books are lists; what happens while positions are asked for is scripted."""

    def __init__(self, *fills: ExecutionReport, down: str = ""):
        self.list = list(fills)
        self.working: list[ExecutionReport] = []
        self.held = [HeldPosition(instrument_id="TPT", quantity=Decimal(1))]
        self.down = down
        self.meanwhile: deque[Callable[[], Awaitable[None]]] = deque()

    def _up(self, what: str) -> None:
        if what == self.down:
            raise Unavailable(f"{what} cannot be had")

    async def fills(self, _account_id: str, cursor: str = "") -> FillPage:
        self._up("fills")
        return FillPage(tuple(self.list[int(cursor or 0) :]), str(len(self.list)))

    async def open_orders(self, _account_id: str) -> list[ExecutionReport]:
        self._up("open_orders")
        return self.working

    async def positions(self, _account_id: str) -> list[HeldPosition]:
        self._up("positions")
        if self.meanwhile:
            await self.meanwhile.popleft()()
        return self.held

    async def cash(self, _account_id: str) -> list[HeldCash]:
        self._up("cash")
        return [USD]

    def reports(self) -> AsyncIterator[ExecutionReport]:
        raise AssertionError("nobody listens here")


def compared(broker: Told, cursor: str = "") -> tuple[list[Any], Books, bool]:
    """What one comparison writes."""
    written: list[Record] = []

    async def write(records: list[Record]) -> None:
        written.extend(records)

    async def act() -> tuple[Books, bool]:
        books = Books("alice", "PAPER", broker, write, cursor, now_us=lambda: 7)
        return books, await books.reconcile()

    books, settled = asyncio.run(act())
    return written, books, settled


def test_fills_are_told_before_the_positions_that_hold_them_and_the_cursor_travels_with_these() -> None:
    written, books, settled = compared(Told(fill("x1"), fill("x2")))
    assert settled
    assert books.reconciled.is_set()
    assert [type(one) for one in written] == [ExecutionReport, ExecutionReport, BrokerPositions, BrokerCash]
    assert written[2].fills_cursor == "2"
    # The accounts room folds a request once: two with one id would be one.
    assert written[2].request_id != written[3].request_id


def test_reading_fills_goes_on_at_the_cursor() -> None:
    written, _, _ = compared(Told(fill("x1"), fill("x2")), cursor="1")
    assert [one.exec_id for one in written if isinstance(one, ExecutionReport)] == ["x2"]


def test_a_fill_that_comes_while_positions_are_asked_for_is_told_first_and_positions_are_asked_for_again() -> None:
    broker = Told(fill("x1"))

    async def trade() -> None:
        broker.list.append(fill("x2"))

    broker.meanwhile.append(trade)
    written, _, settled = compared(broker)
    assert settled
    assert [type(one) for one in written] == [ExecutionReport, ExecutionReport, BrokerPositions, BrokerCash]


def test_where_something_always_moves_no_positions_are_told() -> None:
    broker = Told()

    async def trade() -> None:
        broker.list.append(fill(f"x{len(broker.list)}"))

    broker.meanwhile.extend([trade] * LOOKS_MAX)
    written, books, settled = compared(broker)
    assert not settled
    assert not books.reconciled.is_set()
    assert not any(isinstance(one, BrokerPositions) for one in written)


@pytest.mark.parametrize("down", ["fills", "open_orders", "positions", "cash"])
def test_a_question_that_fails_never_means_flat(down: str) -> None:
    broker = Told(fill("x1"), down=down)
    written: list[Record] = []

    async def write(records: list[Record]) -> None:
        written.extend(records)

    async def act() -> Books:
        books = Books("alice", "PAPER", broker, write)
        with pytest.raises(Unavailable):
            await books.reconcile()
        return books

    books = asyncio.run(act())
    assert not books.reconciled.is_set()
    assert not any(isinstance(one, BrokerPositions | BrokerCash) for one in written)


def test_what_the_stream_told_is_not_told_again_by_the_cursor() -> None:
    broker = Told(fill("x1"))
    written: list[Record] = []

    async def write(records: list[Record]) -> None:
        written.extend(records)

    async def act() -> None:
        books = Books("alice", "PAPER", broker, write)
        await books.heard(fill("x1"))
        await books.heard(fill("x1"))
        await books.reconcile()

    asyncio.run(act())
    assert [one.exec_id for one in written if isinstance(one, ExecutionReport)] == ["x1"]


def test_what_an_answer_counts_is_told_before_it_and_once() -> None:
    broker = Told(fill("x1"), fill("x2"))
    written: list[Record] = []

    async def write(records: list[Record]) -> None:
        written.extend(records)

    async def act() -> None:
        books = Books("alice", "PAPER", broker, write)
        await books.heard(fill("x1"))
        await asyncio.gather(books.catch_up(), books.catch_up())
        await books.reconcile()

    asyncio.run(act())
    assert [one.exec_id for one in written if isinstance(one, ExecutionReport)] == ["x1", "x2"]


def test_an_answer_is_told_also_where_fills_cannot_be_had() -> None:
    async def write(records: list[Record]) -> None:
        raise AssertionError(f"nothing is known, and {records} are told")

    async def act() -> Books:
        books = Books("alice", "PAPER", Told(fill("x1"), down="fills"), write)
        await books.catch_up()
        return books

    assert asyncio.run(act()).counts.failures == 1


@pytest.mark.parametrize(
    ("exec_type", "cumulative", "counts"),
    [
        (ExecType.ORDER_STATUS, 1, True),
        (ExecType.ORDER_STATUS, 0, False),
        (ExecType.TRADE, 1, False),
        (ExecType.NEW, 1, False),
    ],
)
def test_only_an_answer_how_an_order_stands_waits_for_the_fills_that_it_counts(
    exec_type: ExecType, cumulative: int, counts: bool
) -> None:
    said = replace(fill("x1"), exec_type=exec_type, cumulative_quantity=Decimal(cumulative))
    assert counts_fills(said) is counts


def test_working_orders_are_told_once_as_they_stand() -> None:
    broker = Told()
    broker.working = [replace(fill("open-1"), exec_type=ExecType.ORDER_STATUS)]
    written: list[Record] = []

    async def write(records: list[Record]) -> None:
        written.extend(records)

    async def act() -> None:
        books = Books("alice", "PAPER", broker, write)
        await books.reconcile()
        await books.reconcile()

    asyncio.run(act())
    assert [one.exec_id for one in written if isinstance(one, ExecutionReport)] == ["open-1"]


def test_a_broker_that_breaks_its_promise_is_asked_again_and_nothing_is_told() -> None:
    broker = Told(fill("x1"))
    broken = [KeyError("qty")]
    honest = broker.positions

    async def positions(account_id: str) -> list[HeldPosition]:
        if broken:
            raise broken.pop()
        return await honest(account_id)

    broker.positions = positions  # type: ignore[method-assign, assignment]  # broken for one call
    written: list[Record] = []

    async def write(records: list[Record]) -> None:
        written.extend(records)

    async def act() -> Books:
        books = Books("alice", "PAPER", broker, write)
        running = asyncio.create_task(books.run(3600))
        await asyncio.wait_for(books.reconciled.wait(), 30)
        running.cancel()
        return books

    books = asyncio.run(act())
    assert (books.counts.failures, books.counts.rounds) == (1, 1)
    assert [one.exec_id for one in written if isinstance(one, ExecutionReport)] == ["x1"]


class Heard:
    """A source that keeps what is delivered."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    async def deliver(self, records: list[Record]) -> None:
        self.records += records


@pytest.mark.parametrize("down", ["", "fills"])
def test_a_fill_that_nobody_told_is_written_before_the_answer_that_counts_it_is_handed_back(down: str) -> None:
    """In the stream's place nobody listens: the question overtook it."""
    command = buy("a")
    broker = ScriptedBroker()
    broker.venue.submit(command)
    broker.venue.on_bar(bar(2, "100"))
    heard, execution = Heard(), Execution({"PAPER": broker}, Mode.REPLAY)
    duty = Duty(execution, {}, Mode.REPLAY, cast(Source, heard), ours=tuple, every_s=1.0)
    duty._following = cast(Following, SimpleNamespace(ready=asyncio.Event()))
    side = broker if not down else Told(down=down)
    duty.books["alice"] = Books("alice", "PAPER", side, duty._write)

    async def act() -> list[Record]:
        assert duty._following is not None
        duty._following.ready.set()
        return await duty.perform(ask(command), Delivered())

    (said,) = asyncio.run(act())
    assert isinstance(said, ExecutionReport)
    assert (said.exec_type, said.cumulative_quantity) == (ExecType.ORDER_STATUS, command.quantity)
    told = [one for one in heard.records if isinstance(one, ExecutionReport)]
    expected = [] if down else [(ExecType.TRADE, "a", command.quantity)]
    assert [(one.exec_type, one.client_order_id, one.last_quantity) for one in told] == expected
