"""A second route to the same account at a crypto venue: it carries what provably was not sent; the ledger judges."""

import asyncio
import base64
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal as D
from typing import Any

import pytest

from connectors.brokers.crypto import CryptoBroker
from connectors.errors import Ambiguous, ConnectorError, Unavailable
from tests.connectors.brokers.fix.line import Line
from tests.connectors.brokers.orders import ask, buy, cancel, limit
from tests.venue.faults import Kind
from tests.venue.process import COIN_OF_TEAPOTS, Venue, venue
from tests.venue.stage import NOWHERE, crypto_at

pytest.importorskip("ccxt", reason="the extra `crypto` is not installed")
pytestmark = [pytest.mark.servers, pytest.mark.faults]
_numbers = itertools.count(1)
EXCHANGES = ("binance", "kraken")


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    with venue(tmp_path_factory.mktemp("venue"), assets=[COIN_OF_TEAPOTS], prices={"TPT/USD": "100"}) as running:
        yield running


@pytest.fixture(params=EXCHANGES)
def opened(at: Venue, request: pytest.FixtureRequest) -> Iterator[tuple[str, dict[str, str]]]:
    """Which venue it is taken for, and an account of this test's own."""
    number = next(_numbers)
    secret = base64.b64encode(f"s3cret-{number}".encode()).decode()
    account = {"number": f"CR{number}", "key": f"key-of-route-{number}", "secret": secret, "cash": "100000"}
    at.open_account(account["number"], account["key"], account["secret"], D(100_000))
    yield request.param, account
    at.behave()


@asynccontextmanager
async def broker_of(at: Venue, opened: tuple[str, dict[str, str]], **more: Any) -> AsyncIterator[CryptoBroker]:
    broker = crypto_at(at, opened[0], opened[1], **more)
    try:
        yield broker
    finally:
        await broker.close()


def play(act: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(act(), 120)

    asyncio.run(bounded())


def names(at: Venue, opened: tuple[str, dict[str, str]]) -> list[str]:
    with at.judge() as ledger:
        return ledger.names(opened[1]["number"])


async def error_of(call: Awaitable[object]) -> ConnectorError:
    try:
        answer = await call
    except ConnectorError as error:
        return error
    raise AssertionError(f"no error but {answer}")


def test_with_the_first_route_down_an_order_arrives_once_by_the_second(
    at: Venue, opened: tuple[str, dict[str, str]]
) -> None:
    async def act() -> None:
        async with broker_of(at, opened, endpoint=NOWHERE.http_url, second=at.url) as broker:
            await broker.submit(buy("a", **limit("90")))
            assert (await broker.query(ask(buy("a")))) is not None
            assert [order.client_order_id for order in await broker.open_orders("alice")] == ["a"]
            await broker.cancel(cancel("c", buy("a")))
            used = broker.routes_used()
            assert used[1] == 0
            assert used[2] > 0

    play(act)
    assert names(at, opened) == ["a"]


def test_a_first_route_that_is_lost_later_carries_nothing_more_and_the_second_all(
    at: Venue, opened: tuple[str, dict[str, str]]
) -> None:
    async def act() -> None:
        async with Line(int(at.url.rsplit(":", 1)[1])) as line:
            first = f"http://127.0.0.1:{line.port}"
            async with broker_of(at, opened, endpoint=first, second=at.url) as broker:
                await broker.submit(buy("a", **limit("90")))
                assert broker.routes_used()[2] == 0
                line.leave()
                assert (await broker.query(ask(buy("a")))) is not None
                await broker.submit(buy("b", **limit("90")))
                assert broker.routes_used()[2] > 0

    play(act)
    assert sorted(names(at, opened)) == ["a", "b"]


@pytest.mark.parametrize("after", [False, True])
def test_an_order_in_doubt_by_the_first_route_is_ambiguous_and_the_second_is_never_asked(
    at: Venue, opened: tuple[str, dict[str, str]], after: bool
) -> None:
    name = f"doubt-{opened[0]}-{after}"[:18]

    async def act() -> None:
        async with broker_of(at, opened, second=f"{at.url}/") as broker:
            await broker.query(ask(buy("warm-up")))
            at.fault(Kind.SERVER_ERROR, "submit", left=1, status=500, after=after)
            assert isinstance(await error_of(broker.submit(buy(name, **limit("90")))), Ambiguous)

    play(act)
    assert len(names(at, opened)) == int(after)


def test_a_question_that_the_first_route_does_not_answer_goes_by_the_second(
    at: Venue, opened: tuple[str, dict[str, str]]
) -> None:
    async def act() -> None:
        async with broker_of(at, opened, second=f"{at.url}/") as broker:
            await broker.submit(buy("a", **limit("90")))
            at.fault(Kind.SERVER_ERROR, left=1, status=500)
            assert len(await broker.open_orders("alice")) == 1
            assert broker.routes_used()[2] == 1

    play(act)


def test_both_routes_down_is_not_sent_and_says_what_each_said(at: Venue, opened: tuple[str, dict[str, str]]) -> None:
    async def act() -> None:
        async with broker_of(at, opened, endpoint=NOWHERE.http_url, second=f"{NOWHERE.http_url}/") as broker:
            error = await error_of(broker.submit(buy("a", **limit("90"))))
            assert isinstance(error, Unavailable)
            assert "by another route" in str(error)

    play(act)
    assert names(at, opened) == []
