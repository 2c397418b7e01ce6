"""Binance and Kraken, spot and perpetual, as far as a local server speaks as they do; its ledger is the judge."""

import asyncio
import base64
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from decimal import Decimal as D

import pytest

from connectors.brokers.crypto import CryptoBroker
from connectors.errors import Ambiguous, ConnectorError, Refused, Unavailable
from schemas.execution import ExecutionReport
from schemas.order import ExecType, OrderStatus, TimeInForce
from streams.accounts.wishes import order_id
from tests.connectors.brokers.orders import ask, buy, cancel, limit, sell
from tests.venue.faults import Kind
from tests.venue.judge import Judge
from tests.venue.orders import Json
from tests.venue.process import COIN_OF_TEAPOTS, PERPETUAL_OF_TEAPOTS, Venue, venue
from tests.venue.stage import crypto_at

pytest.importorskip("ccxt", reason="the extra `crypto` is not installed")
pytestmark = [pytest.mark.servers, pytest.mark.faults]
VENUES = ["binance", "binanceusdm", "kraken", "krakenfutures"]
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Scene:
    """A venue that speaks as this exchange does, and alice's account there."""

    at: Venue
    exchange: str
    account: Json

    @property
    def number(self) -> str:
        return str(self.account["number"])

    @property
    def symbol(self) -> str:
        return "TPT/USD:USD" if self.exchange in ("binanceusdm", "krakenfutures") else "TPT/USD"

    def broker(self, *, since: str = "", **more: object) -> CryptoBroker:
        return crypto_at(self.at, self.exchange, self.account, since=since, **more)

    def play(self, act: Callable[[CryptoBroker], Awaitable[None]], **more: object) -> None:
        async def scene() -> None:
            broker = self.broker(**more)  # type: ignore[arg-type]  # the settings of the broker
            try:
                await broker.cash("alice")
                await asyncio.wait_for(act(broker), 90)
            finally:
                await broker.close()

        asyncio.run(scene())

    def judge(self) -> Judge:
        return self.at.judge()

    def names(self) -> list[str]:
        with self.judge() as judge:
            return judge.names(self.number)

    def fill(self, *quantities: str, of: str = "a") -> None:
        for quantity in quantities:
            self.at.trade(of, quantity, "90", self.number)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    assets = [COIN_OF_TEAPOTS, PERPETUAL_OF_TEAPOTS]
    prices = {"TPT/USD": "100", "TPT/USD:USD": "100"}
    with venue(tmp_path_factory.mktemp("venue"), assets=assets, prices=prices) as running:
        yield running


@pytest.fixture(params=VENUES)
def scene(shared: Venue, request: pytest.FixtureRequest) -> Iterator[Scene]:
    number = next(_numbers)
    secret = base64.b64encode(f"s3cret-{number}".encode()).decode()
    account = {"number": f"CC{number}", "key": f"key-of-{number}", "secret": secret, "cash": "100000"}
    shared.open_account(account["number"], account["key"], account["secret"], D(100_000))
    yield Scene(shared, request.param, account)
    shared.behave()
    shared.direct(skew_us=0)


async def error_of(call: Awaitable[object]) -> ConnectorError:
    try:
        answer = await call
    except ConnectorError as error:
        return error
    raise AssertionError(f"no error but {answer}")


@pytest.mark.parametrize(
    ("kind", "more", "accepted"),
    [
        (Kind.RESET, {}, False),
        (Kind.RESET, {"after": True}, True),
        (Kind.LOSE_ANSWER, {"seconds": 0.05}, True),
        (Kind.SERVER_ERROR, {"status": 502}, False),
        (Kind.SERVER_ERROR, {"status": 500, "after": True}, True),
        (Kind.MALFORMED, {"shape": "html"}, True),
        (Kind.MALFORMED, {"shape": "cut"}, True),
    ],
)
def test_a_submit_in_doubt_is_ambiguous_and_found_exactly_if_it_was_accepted(
    scene: Scene, kind: Kind, more: dict[str, object], accepted: bool
) -> None:
    async def act(broker: CryptoBroker) -> None:
        await broker.query(ask(buy("warm-up")))
        scene.at.fault(kind, "submit", left=1, **more)
        assert isinstance(await error_of(broker.submit(buy("a", **limit("90")))), Ambiguous)
        assert (await broker.query(ask(buy("a"))) is not None) == accepted

    scene.play(act)
    assert scene.names() == (["a"] if accepted else [])


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        (Kind.RESET, ""),
        (Kind.SERVER_ERROR, ""),
        (Kind.MALFORMED, "html"),
        (Kind.MALFORMED, "cut"),
        (Kind.MALFORMED, "empty"),
        (Kind.MALFORMED, "hollow"),
    ],
)
def test_a_question_that_is_not_answered_is_unavailable_and_never_means_flat(
    scene: Scene, kind: Kind, shape: str
) -> None:
    async def act(broker: CryptoBroker) -> None:
        await broker.submit(buy("a", **limit("90")))
        scene.fill("1")
        await broker.positions("alice")
        scene.at.fault(kind, shape=shape)
        for question in (broker.open_orders, broker.positions, broker.cash, broker.fills):
            assert isinstance(await error_of(question("alice")), Unavailable), question
        assert isinstance(await error_of(broker.query(ask(buy("a")))), Unavailable)

    scene.play(act)


def test_too_many_requests_may_be_repeated(scene: Scene) -> None:
    async def act(broker: CryptoBroker) -> None:
        await broker.query(ask(buy("warm-up")))
        scene.at.fault(Kind.TOO_MANY, "submit", left=1)
        assert isinstance(await error_of(broker.submit(buy("a", **limit("90")))), Unavailable)
        await broker.submit(buy("a", **limit("90")))

    scene.play(act)
    assert scene.names() == ["a"]


def test_an_order_does_not_wait_behind_questions_at_a_venue_that_takes_few(shared: Venue) -> None:
    secret = base64.b64encode(b"s3cret-of-who-asks-much").decode()
    account = {"number": "CCMUCH", "key": "key-of-much", "secret": secret, "cash": "100000"}
    shared.open_account(account["number"], account["key"], account["secret"], D(100_000))

    async def whole() -> None:
        broker = crypto_at(shared, "kraken", account, throttle=True)
        try:
            await broker.query(ask(buy("warm-up")))
            questions = [asyncio.create_task(broker.fills("alice")) for _ in range(20)]
            await asyncio.sleep(0)
            await broker.submit(buy("a", **limit("90")))
            assert (await broker.query(ask(buy("a")))) is not None
            assert not all(question.done() for question in questions)
            for question in questions:
                question.cancel()
            await asyncio.gather(*questions, return_exceptions=True)
        finally:
            await broker.close()

    asyncio.run(asyncio.wait_for(whole(), 90))


def test_wrong_keys_are_refused(scene: Scene) -> None:
    async def whole() -> None:
        broker = crypto_at(scene.at, scene.exchange, {**scene.account, "key": "wrong"})
        error = await error_of(broker.submit(buy("a", **limit("90"))))
        await broker.close()
        assert isinstance(error, Refused)
        assert error.code == "UNAUTHORIZED"

    asyncio.run(asyncio.wait_for(whole(), 90))
    assert scene.names() == []


def test_a_clock_that_is_wrong_lets_nothing_be_done_where_the_venue_minds(scene: Scene) -> None:
    async def act(broker: CryptoBroker) -> None:
        await broker.query(ask(buy("warm-up")))
        scene.at.direct(skew_us=60_000_000)
        if scene.exchange.startswith("binance"):
            assert isinstance(await error_of(broker.submit(buy("a", **limit("90")))), Unavailable)
        else:
            await broker.submit(buy("a", **limit("90")))

    scene.play(act)


def test_what_is_finer_than_the_market_takes_is_refused_and_not_cut_off(scene: Scene) -> None:
    async def act(broker: CryptoBroker) -> None:
        for command in (buy("a", "0.00001", **limit("90")), buy("a", "1", **limit("90.001"))):
            error = await error_of(broker.submit(command))
            assert isinstance(error, Refused)
            assert error.code in ("PRECISION", "CCXT_InvalidOrder")

    scene.play(act)
    assert scene.names() == []


@pytest.mark.parametrize(
    "command",
    [
        buy("a", 10_000_000, **limit("90")),
        buy("a", time_in_force=TimeInForce.DAY, **limit("90")),
        buy("a", instrument_id="X", symbol="X/Y"),
        buy("a", account_id="bob", **limit("90")),
    ],
)
def test_what_the_venue_or_the_broker_does_not_take_is_refused(scene: Scene, command: ExecutionReport) -> None:
    async def act(broker: CryptoBroker) -> None:
        assert isinstance(await error_of(broker.submit(command)), Refused)  # type: ignore[arg-type]  # they are orders

    scene.play(act)
    assert scene.names() == []


def test_a_name_that_works_there_is_answered_with_its_order(scene: Scene) -> None:
    async def act(broker: CryptoBroker) -> None:
        first = await broker.submit(buy("a", **limit("90")))
        second = await broker.submit(buy("a", **limit("90")))
        assert (second.broker_order_id, second.exec_id) == (first.broker_order_id, first.exec_id)

    scene.play(act)
    assert scene.names() == ["a"]


def test_our_names_come_back_as_we_gave_them(scene: Scene) -> None:
    name = order_id("an account", "a cause")

    async def act(broker: CryptoBroker) -> None:
        await broker.submit(buy(name, **limit("90")))
        assert [order.client_order_id for order in await broker.open_orders("alice")] == [name]
        found = await broker.query(ask(buy(name)))
        assert found is not None
        assert found.client_order_id == name
        answer = await broker.cancel(cancel("c", buy(name)))
        assert (answer.exec_type, answer.original_client_order_id) == (ExecType.CANCELED, name)

    scene.play(act)


@pytest.mark.parametrize("name", ["0b6f1f0e6a4c4f2e9d3e2f8a7c1b5e90", "0b6f1f0e-6a4c-4f2e-9d3e-2f8a7c1b5e90"])
def test_an_order_that_others_gave_a_uuid_keeps_its_name_and_is_not_taken_for_ours(scene: Scene, name: str) -> None:
    told = {"symbol": scene.symbol, "qty": "1", "side": "buy", "type": "limit", "limit_price": "90"}
    scene.at.external_order(scene.number, **told, time_in_force="gtc", client_order_id=name)

    async def act(broker: CryptoBroker) -> None:
        assert [order.client_order_id for order in await broker.open_orders("alice")] == [name]

    scene.play(act)


def test_every_fill_is_read_once_through_all_pages(scene: Scene) -> None:
    async def act(broker: CryptoBroker) -> None:
        await broker.submit(buy("a", 400, **limit("90")))
        told: list[ExecutionReport] = []
        cursor = ""
        for _ in range(2):
            scene.fill(*["1"] * 120)
            page = await broker.fills("alice", cursor)
            told += page.fills
            cursor = page.cursor
        assert (await broker.fills("alice", cursor)).fills == ()
        assert len(told) == len({one.exec_id for one in told}) == 240
        assert told[-1].cumulative_quantity == 240

    scene.play(act)


def test_fills_and_ends_are_told_by_asking(scene: Scene) -> None:
    async def act(broker: CryptoBroker) -> None:
        await broker.submit(buy("a", 10, **limit("90")))
        await broker.submit(buy("b", 10, **limit("90")))
        scene.fill("4", "6")
        scene.at.end("expire", "b", scene.number)
        told: list[ExecutionReport] = []
        async with aclosing(broker.reports()) as reports:
            async for report in reports:
                told.append(report)
                if len(told) == 3:
                    break
        assert [(one.client_order_id, one.exec_type) for one in told[:2]] == [("a", ExecType.TRADE)] * 2
        assert [one.cumulative_quantity for one in told[:2]] == [D(4), D(10)]
        assert told[2].client_order_id == "b"
        assert told[2].exec_type in (ExecType.EXPIRED, ExecType.CANCELED)

    scene.play(act)


def test_a_cancel_that_races_a_fill_loses_and_says_so(scene: Scene) -> None:
    async def act(broker: CryptoBroker) -> None:
        await broker.submit(buy("a", 10, **limit("90")))
        scene.at.fault(Kind.CANCEL_RACE, "cancel", left=1)
        answer = await broker.cancel(cancel("c", buy("a")))
        assert (answer.exec_type, answer.order_status) == (ExecType.CANCEL_REJECTED, OrderStatus.FILLED)

    scene.play(act)


def test_a_perpetual_position_has_a_side_and_coins_have_none(scene: Scene) -> None:
    async def act(broker: CryptoBroker) -> None:
        if scene.symbol == "TPT/USD":
            assert isinstance(await error_of(broker.submit(sell("a", 5))), Refused)
        else:
            await broker.submit(sell("a", 5))
            scene.at.price(scene.symbol, "100")
            (held,) = await broker.positions("alice")
            assert (held.instrument_id, held.quantity, held.average_price) == ("TEAPOT", D(-5), D(100))

    scene.play(act)


def test_neither_logs_nor_texts_hold_a_key(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def act(broker: CryptoBroker) -> None:
        await broker.submit(buy("a", **limit("90")))
        await broker.cash("alice")

    scene.play(act)
    broker = scene.broker()
    for word in (scene.account["secret"], scene.account["key"]):
        assert word not in caplog.text + repr(broker)
