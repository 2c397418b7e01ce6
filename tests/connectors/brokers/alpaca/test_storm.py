"""Everything at once, by seeded dice: in the end the venue's ledger and what we were told are the same story."""

import asyncio
import random
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from connectors.brokers.alpaca import AlpacaBroker
from connectors.errors import Ambiguous, Refused, Unavailable
from schemas.execution import ExecutionReport
from schemas.order import ExecType, Side, SubmitOrder
from tests.connectors.brokers.orders import ask, cancel, limit, order
from tests.venue.faults import Kind
from tests.venue.process import ALICE, Venue, venue
from tests.venue.stage import alpaca_at

ORDERS = 400
FAULTS: tuple[tuple[Kind, str, float, dict[str, Any]], ...] = (
    (Kind.RESET, "submit", 0.05, {}),
    (Kind.RESET, "submit", 0.05, {"after": True}),
    (Kind.LOSE_ANSWER, "submit", 0.05, {"seconds": 0.02}),
    (Kind.SERVER_ERROR, "submit", 0.05, {"after": True}),
    (Kind.SERVER_ERROR, "submit", 0.05, {}),
    (Kind.TOO_MANY, "", 0.02, {"seconds": 0.01}),
    (Kind.MALFORMED, "submit", 0.02, {"shape": "html"}),
    (Kind.SLOW, "", 0.05, {"seconds": 0.05}),
    (Kind.RESET, "order", 0.05, {}),
    (Kind.SERVER_ERROR, "fills", 0.1, {}),
    (Kind.MALFORMED, "fills", 0.05, {"shape": "missing"}),
    (Kind.FILL_BEFORE_ACK, "submit", 0.05, {"seconds": 0.02}),
    (Kind.CANCEL_RACE, "cancel", 0.2, {}),
    (Kind.LATE_FILL, "cancel", 0.2, {"seconds": 0.05}),
    (Kind.DUPLICATE, "", 0.05, {"times_told": 3}),
    (Kind.REORDER, "", 0.05, {}),
    (Kind.GAP, "", 0.05, {}),
    (Kind.GARBLE, "", 0.02, {}),
    (Kind.DISCONNECT, "", 0.01, {}),
)


async def placed(broker: AlpacaBroker, command: SubmitOrder) -> None:
    """Place the order as execution would: repeat what was not done, ask what is in doubt, never repeat blindly."""
    for attempt in range(100):
        try:
            await broker.submit(command)
            return
        except Unavailable:
            await asyncio.sleep(0.01)
        except Ambiguous:
            if await found(broker, command, attempt):
                return
    raise AssertionError(f"{command.client_order_id} could not be placed")


async def found(broker: AlpacaBroker, command: SubmitOrder, attempt: int) -> bool:
    for again in range(100):
        try:
            answer = await broker.query(ask(command, name=f"q-{command.client_order_id}-{attempt}-{again}"))
        except Unavailable:
            await asyncio.sleep(0.01)
        else:
            return answer is not None
    raise AssertionError("the venue does not answer")


async def cancelled(broker: AlpacaBroker, command: SubmitOrder) -> None:
    for _ in range(100):
        try:
            await broker.cancel(cancel(f"c-{command.client_order_id}", command))
            return
        except (Unavailable, Ambiguous):
            await asyncio.sleep(0.01)
        except Refused:
            return


async def storm(broker: AlpacaBroker, at: Venue, seed: int, told: list[ExecutionReport]) -> None:
    dice = random.Random(seed)

    async def trade(number: int) -> None:
        side = dice.choice([Side.BUY, Side.SELL])
        command = order(f"o{number}", dice.randint(1, 20), side=side, **limit("100"))
        await asyncio.sleep(dice.random() * 2)
        await placed(broker, command)
        if dice.random() < 0.3:
            await cancelled(broker, command)

    async def listen() -> None:
        async with aclosing(broker.reports()) as reports:
            async for report in reports:
                told.append(report)

    listener = asyncio.create_task(listen())
    await asyncio.gather(*(trade(number) for number in range(ORDERS)))
    at.behave()
    at.flush()
    async with asyncio.timeout(60):
        while not listener.done() and missing(at, told):
            await asyncio.sleep(0.1)
    if listener.done():
        listener.result()
    listener.cancel()
    await asyncio.gather(listener, return_exceptions=True)


def missing(at: Venue, told: list[ExecutionReport]) -> set[str]:
    with at.judge() as judge:
        there = {one.execution_id for one in judge.executions()}
    return there - {report.exec_id for report in told}


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.servers
@pytest.mark.parametrize("seed", [1, 2])
def test_in_a_storm_of_faults_every_order_is_one_order_and_every_fill_is_told_once(tmp_path: Path, seed: int) -> None:
    told: list[ExecutionReport] = []
    account = {**ALICE, "cash": "100000000"}
    with venue(tmp_path / "venue", seed=seed, accounts=[account], fill_chance=0.7, fill_seconds=0.3) as at:

        async def act() -> None:
            broker = alpaca_at(at)
            await broker.cash("alice")
            for kind, on, chance, more in FAULTS:
                at.fault(kind, on, chance=chance, **more)
            await storm(broker, at, seed, told)
            await broker.close()

        asyncio.run(act())
        trades = [report for report in told if report.exec_type is ExecType.TRADE]
        with at.judge() as judge:
            assert sorted(judge.names()) == sorted(f"o{number}" for number in range(ORDERS))
            assert sorted(one.exec_id for one in trades) == sorted(one.execution_id for one in judge.executions())
            net = sum((one.last_quantity if one.side is Side.BUY else -one.last_quantity) for one in trades)
            assert net == judge.positions(ALICE["number"]).get("TPT", 0)
            assert len(judge.faults()) > 5
