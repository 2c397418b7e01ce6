"""A second route to the same account: it carries what provably was not sent, and nothing else; the ledger judges."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from decimal import Decimal

import pytest

from connectors.brokers.alpaca import AlpacaBroker, Endpoint
from connectors.errors import Refused
from schemas.control import Mode
from schemas.execution import ExecutionReport, NotSent, NotSentReason
from schemas.order import ExecType, OrderStatus, SubmitOrder
from schemas.record import Record
from streams.execution.calls import Policy
from streams.execution.handler import Execution
from tests.connectors.brokers.alpaca.conftest import Scene
from tests.connectors.brokers.fix.line import Line
from tests.connectors.brokers.orders import ask, buy, cancel, limit, teapots
from tests.venue.faults import Kind
from tests.venue.process import ALICE
from tests.venue.stage import HASTY, MODES, NOWHERE, account_of, alpaca_at, endpoint_of

QUICK = Policy(call_timeout_s=30, attempts=2, budget_s=60, first_wait_s=0.001, longest_wait_s=0.002, jitter_s=0)
PATIENT = replace(HASTY, connect_s=10, answer_s=5)
UNRESOLVED = Endpoint("http://venue.invalid", "ws://venue.invalid/stream", MODES)


class Sent:
    redelivered = False

    def still_owner(self) -> bool:
        return True


async def outcome(broker: AlpacaBroker, command: SubmitOrder) -> Record:
    """What execution records about an order."""
    execution = Execution({"ALPACA": broker}, Mode.REPLAY, policy=QUICK)
    (said,) = await execution.on_command(command, Sent())
    return said


@asynccontextmanager
async def by_a_line(scene: Scene) -> AsyncIterator[tuple[AlpacaBroker, Line]]:
    """A broker whose first route is a line to the venue, and whose second is the venue itself."""
    async with Line(int(scene.at.url.rsplit(":", 1)[1])) as line:
        first = Endpoint(f"http://127.0.0.1:{line.port}", f"ws://127.0.0.1:{line.port}/stream", MODES)
        broker = alpaca_at(scene.at, scene.account, first=first, manners=PATIENT)
        try:
            yield broker, line
        finally:
            await broker.close()


def play(act: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(act(), 120)

    asyncio.run(bounded())


def attempts(scene: Scene) -> dict[str, int]:
    """How often the venue was asked for each order, by whatever route."""
    with scene.judge() as judge:
        return dict(judge.attempts(key=scene.account["key"]))


@pytest.mark.servers
@pytest.mark.parametrize("first", [NOWHERE, UNRESOLVED], ids=["connection refused", "name not resolved"])
def test_with_the_first_route_down_an_order_arrives_once_by_the_second(scene: Scene, first: Endpoint) -> None:
    async def act() -> None:
        broker = alpaca_at(scene.at, scene.account, first=first, manners=PATIENT)
        said = await outcome(broker, buy("a", venue="ALPACA"))
        assert isinstance(said, ExecutionReport)
        assert (said.exec_type, said.client_order_id) == (ExecType.NEW, "a")
        await broker.close()

    play(act)
    assert scene.names() == ["a"]
    assert attempts(scene) == {"a": 1}


@pytest.mark.servers
@pytest.mark.faults
@pytest.mark.parametrize(
    ("kind", "more", "arrived"),
    [
        pytest.param(Kind.LOSE_ANSWER, {"seconds": 0.05}, ["a"], id="accepted, answer lost"),
        pytest.param(Kind.LOSE_ANSWER, {"seconds": 60}, ["a"], id="accepted, no answer in time"),
        pytest.param(Kind.RESET, {}, [], id="reset before it is accepted"),
        pytest.param(Kind.RESET, {"after": True}, ["a"], id="reset in mid-answer"),
        pytest.param(Kind.IGNORE, {"seconds": 60}, [], id="silence, not accepted"),
        pytest.param(Kind.SERVER_ERROR, {"status": 503}, [], id="503, not accepted"),
        pytest.param(Kind.SERVER_ERROR, {"status": 502, "after": True}, ["a"], id="502, accepted"),
        pytest.param(Kind.MALFORMED, {"shape": "html"}, ["a"], id="answer is a web page"),
        pytest.param(Kind.MALFORMED, {"shape": "cut"}, ["a"], id="answer is cut"),
    ],
)
def test_an_order_in_doubt_by_the_first_route_is_unknown_and_the_second_is_never_asked(
    scene: Scene, kind: Kind, more: dict[str, object], arrived: list[str]
) -> None:
    async def act() -> None:
        async with by_a_line(scene) as (broker, _):
            await broker.cash("alice")
            scene.at.fault(kind, "submit", left=1, **more)
            said = await outcome(broker, buy("a", venue="ALPACA"))
            assert isinstance(said, ExecutionReport)
            assert (said.exec_type, said.order_status) == (ExecType.UNKNOWN, OrderStatus.UNKNOWN)
            found = await broker.query(ask(buy("a")))
            assert (found is not None) == bool(arrived)

    play(act)
    assert scene.names() == arrived
    assert attempts(scene) == {"a": 1}


@pytest.mark.servers
@pytest.mark.faults
def test_a_first_route_that_takes_connections_and_resets_them_leaves_an_order_unknown(scene: Scene) -> None:
    async def act() -> None:
        async with by_a_line(scene) as (broker, line):
            await broker.cash("alice")
            line.break_off()
            said = await outcome(broker, buy("a", venue="ALPACA"))
            assert isinstance(said, ExecutionReport)
            assert said.exec_type is ExecType.UNKNOWN

    play(act)
    assert attempts(scene) == {}


@pytest.mark.servers
@pytest.mark.faults
def test_after_three_orders_in_doubt_the_next_one_goes_by_the_second_route_and_none_of_the_three_does(
    scene: Scene,
) -> None:
    async def act() -> None:
        async with by_a_line(scene) as (broker, line):
            await broker.cash("alice")
            line.break_off()
            execution = Execution({"ALPACA": broker}, Mode.REPLAY, policy=QUICK)
            told = [(await execution.on_command(buy(name, venue="ALPACA"), Sent()))[0] for name in "abcdefgh"]
            types = [said.exec_type for said in told if isinstance(said, ExecutionReport)]
            assert types == [ExecType.UNKNOWN] * 3 + [ExecType.NEW] * 5

    play(act)
    assert attempts(scene) == dict.fromkeys("defgh", 1)


def test_both_routes_down_is_not_sent_and_says_why() -> None:
    async def act() -> None:
        elsewhere = Endpoint("http://127.0.0.1:7", "ws://127.0.0.1:7/stream", MODES)
        broker = AlpacaBroker(NOWHERE, [account_of()], [teapots(venue="ALPACA")], second=elsewhere, manners=PATIENT)
        said = await outcome(broker, buy("a", venue="ALPACA"))
        assert isinstance(said, NotSent)
        assert said.reason is NotSentReason.UNAVAILABLE
        assert said.value.count("was not sent") == 2
        assert str(ALICE["secret"]) not in said.value
        await broker.close()

    play(act)


@pytest.mark.servers
def test_questions_cancels_and_the_stream_go_by_the_route_that_lives(scene: Scene) -> None:
    async def act() -> None:
        async with by_a_line(scene) as (broker, line):
            resting, market = buy("a", **limit("90")), buy("b", 3)
            await broker.submit(resting)
            line.break_off()
            found = await broker.query(ask(resting))
            assert found is not None
            assert found.order_status is OrderStatus.NEW
            for _ in range(3):  # in doubt, and so repeated, as execution does
                await asyncio.gather(broker.cancel(cancel("c", resting)), return_exceptions=True)
            assert (await broker.cancel(cancel("c", resting))).exec_type is ExecType.CANCELED
            await broker.submit(market)
            scene.at.price("TPT", "100")
            async with aclosing(broker.reports()) as telling:
                async for report in telling:
                    if report.exec_type is ExecType.TRADE:
                        assert (report.client_order_id, report.last_quantity) == ("b", Decimal(3))
                        break

    play(act)
    assert scene.names() == ["a", "b"]


@pytest.mark.servers
def test_a_stream_that_is_lost_is_gone_on_with_by_the_second_route_and_tells_each_fill_once(scene: Scene) -> None:
    async def act() -> None:
        async with by_a_line(scene) as (broker, line), aclosing(broker.reports()) as telling:
            told: list[str] = []
            for name in ("a", "b"):
                await broker.submit(buy(name, 2))
                scene.at.price("TPT", "100")
                async for report in telling:
                    if report.exec_type is ExecType.TRADE:
                        told.append(report.client_order_id)
                        break
                line.break_off()
                for _ in range(3 if name == "a" else 0):
                    await asyncio.gather(broker.cancel(cancel("c", buy(name))), return_exceptions=True)
            assert told == ["a", "b"]

    play(act)


@pytest.mark.servers
def test_a_second_route_that_opens_another_account_is_refused_before_anything_is_traded(scene: Scene) -> None:
    scene.at.open_account("PA-BOB", "AKBOB", "s3cret-of-bob", Decimal(1))
    bobs = account_of({"number": "PA-BOB", "key": "AKBOB", "secret": "s3cret-of-bob"}).credentials

    async def act() -> None:
        account = replace(account_of(scene.account), second_credentials=bobs)
        at = endpoint_of(scene.at)
        broker = AlpacaBroker(at, [account], second=at, manners=PATIENT)
        for _ in range(2):
            with pytest.raises(Refused) as refused:
                await broker.submit(buy("a"))
            assert refused.value.code == "WRONG_ACCOUNT"
        await broker.close()

    play(act)
    assert scene.names() == []
