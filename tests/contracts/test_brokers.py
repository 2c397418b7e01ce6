"""What every broker promises, asked of each of them alike.

A broker joins by an entry in `STAGES`: an async context that yields a `Stage`, a broker together with the means to move
its market and to fund the account `alice`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from decimal import Decimal as D
from functools import partial

import pytest

from connectors.brokers.alpaca import Endpoint
from connectors.brokers.paper import FREE, PaperBroker, PaperVenue
from connectors.errors import Refused
from connectors.protocols import Broker, ClientIdUnique
from schemas.execution import ExecutionReport
from schemas.order import ExecType, OrderStatus
from streams.accounts.wishes import order_id
from tests.connectors.brokers.orders import ask, bar, buy, cancel, change, limit, sell, teapots
from tests.venue.stage import NOWHERE, alpaca_on_stage, crypto_on_stage, fix_on_stage


@dataclass(frozen=True, slots=True)
class Stage:
    """A broker, and `trades_at`, which makes its market trade teapots at a price at the end of a numbered day."""

    broker: Broker
    trades_at: Callable[[int, str], Awaitable[None]]


@asynccontextmanager
async def paper() -> AsyncIterator[Stage]:
    venue = PaperVenue([teapots()], rules=FREE)
    venue.fund("alice", "deposit", "USD", Decimal(100_000))
    broker = PaperBroker(venue)

    async def trades_at(number: int, price: str) -> None:
        broker.on_bar(bar(number, price))

    yield Stage(broker, trades_at)


@asynccontextmanager
async def alpaca(first: Endpoint | None = None) -> AsyncIterator[Stage]:
    async with alpaca_on_stage(first) as (broker, trades_at):
        yield Stage(broker, trades_at)


@asynccontextmanager
async def fix() -> AsyncIterator[Stage]:
    pytest.importorskip("quickfix", reason="the extra `fix` is not installed")
    async with fix_on_stage() as (broker, trades_at):
        yield Stage(broker, trades_at)


@asynccontextmanager
async def crypto(exchange: str) -> AsyncIterator[Stage]:
    pytest.importorskip("ccxt", reason="the extra `crypto` is not installed")
    async with crypto_on_stage(exchange) as (broker, trades_at):
        yield Stage(broker, trades_at)


STAGES: dict[str, Callable[[], AbstractAsyncContextManager[Stage]]] = {
    "alpaca": alpaca,
    "alpaca by its second route": partial(alpaca, NOWHERE),
    "binance": partial(crypto, "binance"),
    "fix": fix,
    "kraken": partial(crypto, "kraken"),
    "paper": paper,
}
SERVED = frozenset(STAGES) - {"paper"}
"""Brokers whose venue is a server of its own."""


@pytest.fixture(
    params=[pytest.param(name, marks=[pytest.mark.servers] if name in SERVED else []) for name in sorted(STAGES)]
)
def stage(request: pytest.FixtureRequest) -> Callable[[], AbstractAsyncContextManager[Stage]]:
    return STAGES[request.param]


Acted = Callable[[Stage], Awaitable[None]]


def on(stage: Callable[[], AbstractAsyncContextManager[Stage]], act: Acted) -> None:
    async def scene() -> None:
        async with stage() as ready:
            await asyncio.wait_for(act(ready), 30)

    asyncio.run(scene())


Make = Callable[[], AbstractAsyncContextManager[Stage]]


async def told(broker: Broker, count: int) -> list[ExecutionReport]:
    """The next reports of the stream."""
    said: list[ExecutionReport] = []
    async for report in broker.reports():
        said.append(report)
        if len(said) == count:
            break
    return said


async def refusal(call: Awaitable[ExecutionReport], exec_type: ExecType) -> str:
    """The code of a refusal, which may come as an error or as a report of this type."""
    try:
        answer = await call
    except Refused as refused:
        return refused.code
    assert answer.exec_type is exec_type
    return answer.code


def test_a_submitted_order_is_acknowledged_before_it_trades(stage: Make) -> None:
    async def act(at: Stage) -> None:
        ack = await at.broker.submit(buy("a", 10))
        assert (ack.exec_type, ack.order_status) == (ExecType.NEW, OrderStatus.NEW)
        assert (ack.client_order_id, ack.order_quantity, ack.leaves_quantity) == ("a", D(10), D(10))
        assert ack.exec_id
        assert ack.broker_order_id

    on(stage, act)


def test_an_id_as_we_make_them_is_carried_and_comes_back(stage: Make) -> None:
    name = order_id("alice", "a cause")

    async def act(at: Stage) -> None:
        assert (await at.broker.submit(buy(name, 10, **limit("90")))).client_order_id == name
        assert [order.client_order_id for order in await at.broker.open_orders("alice")] == [name]

    on(stage, act)


def test_an_order_submitted_twice_is_one_order(stage: Make) -> None:
    async def act(at: Stage) -> None:
        if at.broker.capabilities.client_id_unique is not ClientIdUnique.ALWAYS:
            pytest.skip("this broker does not promise it")
        first = await at.broker.submit(buy("a", 10))
        second = await at.broker.submit(buy("a", 10))
        assert second.broker_order_id == first.broker_order_id
        assert second.exec_id == first.exec_id or not at.broker.capabilities.repeats_answer
        await at.trades_at(2, "100")
        held = await at.broker.positions("alice")
        assert [(position.instrument_id, position.quantity) for position in held] == [("TEAPOT", Decimal(10))]

    on(stage, act)


def test_a_fill_is_told_in_the_stream_and_found_by_cursor_with_the_same_id(stage: Make) -> None:
    async def act(at: Stage) -> None:
        await at.broker.submit(buy("a", 10))
        before = (await at.broker.fills("alice")).cursor
        await at.trades_at(2, "100")
        (told_now,) = await told(at.broker, 1)
        page = await at.broker.fills("alice", before)
        assert told_now.exec_type is ExecType.TRADE
        assert (told_now.last_quantity, told_now.last_price) == (D(10), D(100))
        assert (told_now.cumulative_quantity, told_now.leaves_quantity) == (D(10), D(0))
        assert [fill.exec_id for fill in page.fills] == [told_now.exec_id]
        assert (await at.broker.fills("alice", page.cursor)).fills == ()

    on(stage, act)


def test_a_cancelled_order_never_trades(stage: Make) -> None:
    async def act(at: Stage) -> None:
        command = buy("a", 10, **limit("90"))
        await at.broker.submit(command)
        answer = await at.broker.cancel(cancel("c", command))
        assert (answer.exec_type, answer.order_status) == (ExecType.CANCELED, OrderStatus.CANCELED)
        assert (answer.client_order_id, answer.original_client_order_id) == ("c", "a")
        await at.trades_at(2, "80")
        assert await at.broker.positions("alice") == []
        assert await at.broker.open_orders("alice") == []

    on(stage, act)


def test_a_cancel_that_comes_too_late_is_rejected(stage: Make) -> None:
    async def act(at: Stage) -> None:
        command = buy("a", 10)
        await at.broker.submit(command)
        await at.trades_at(2, "100")
        assert await refusal(at.broker.cancel(cancel("c", command, at=2)), ExecType.CANCEL_REJECTED)

    on(stage, act)


def test_a_replaced_order_trades_at_its_new_terms(stage: Make) -> None:
    async def act(at: Stage) -> None:
        if not at.broker.capabilities.replace:
            pytest.skip("this broker does not replace")
        command = buy("a", 10, **limit("90"))
        await at.broker.submit(command)
        answer = await at.broker.replace(change("r", command, 7, limit_price="95"))
        assert answer.exec_type is ExecType.REPLACED
        assert (answer.client_order_id, answer.original_client_order_id) == ("r", "a")
        assert (answer.order_quantity, answer.limit_price) == (D(7), D(95))
        await at.trades_at(2, "94")
        assert [position.quantity for position in await at.broker.positions("alice")] == [7]

    on(stage, act)


def test_a_query_tells_how_the_order_stands(stage: Make) -> None:
    async def act(at: Stage) -> None:
        command = buy("a", 10)
        await at.broker.submit(command)
        working = await at.broker.query(ask(command))
        await at.trades_at(2, "100")
        filled = await at.broker.query(ask(command, name="q2", at=2))
        assert working is not None
        assert filled is not None
        assert (working.exec_type, working.order_status) == (ExecType.ORDER_STATUS, OrderStatus.NEW)
        assert (filled.order_status, filled.cumulative_quantity) == (OrderStatus.FILLED, D(10))

    on(stage, act)


def test_an_order_that_the_broker_never_saw_is_not_found_and_not_an_error(stage: Make) -> None:
    async def act(at: Stage) -> None:
        assert await at.broker.query(ask(buy("never-sent"))) is None

    on(stage, act)


def test_a_rejected_order_says_why(stage: Make) -> None:
    async def act(at: Stage) -> None:
        unheard_of = buy("a", instrument_id="UNHEARD-OF", symbol="UNHEARD-OF")
        assert await refusal(at.broker.submit(unheard_of), ExecType.REJECTED)

    on(stage, act)


def test_working_orders_are_listed_oldest_first(stage: Make) -> None:
    async def act(at: Stage) -> None:
        await at.broker.submit(buy("a", 1, **limit("90")))
        await at.broker.submit(buy("b", 2, **limit("91")))
        listed = [order.client_order_id for order in await at.broker.open_orders("alice")]
        assert listed == ["a", "b"]

    on(stage, act)


def test_cash_and_positions_follow_what_traded(stage: Make) -> None:
    async def act(at: Stage) -> None:
        (before,) = await at.broker.cash("alice")
        await at.broker.submit(buy("a", 10))
        await at.trades_at(2, "100")
        await at.broker.submit(sell("b", 4, at=2))
        await at.trades_at(3, "110")
        (after,) = await at.broker.cash("alice")
        assert after.currency == "USD"
        assert after.amount - before.amount == -560
        assert [position.quantity for position in await at.broker.positions("alice")] == [6]

    on(stage, act)
