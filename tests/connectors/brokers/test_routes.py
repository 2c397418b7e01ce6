"""Routes to one account: what goes on to the next one, and what never does."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

import pytest

from connectors.brokers.routes import Routes
from connectors.errors import Ambiguous, ConnectorError, Refused, Unavailable

T = TypeVar("T")

UNSENT = Unavailable("nobody listens there", unsent=True)
BUSY = Unavailable("too often", retry_after_s=2.0)
SERVER_ERROR = Unavailable("was answered with 503")
NO = Refused("no funds", code="FUNDS")
IN_DOUBT = Ambiguous("was sent and not answered")
STRANGER = Refused("another account", code="WRONG_ACCOUNT")


@dataclass(eq=False)
class Way:
    """A route that says what it is told to, and keeps count of what it was asked."""

    says: ConnectorError | None = None
    opens: ConnectorError | None = None
    asked: list[str] = field(default_factory=list)
    hangs: bool = False

    async def do(self, what: str) -> str:
        self.asked.append(what)
        if self.hangs:
            await asyncio.Event().wait()
        if self.says is not None:
            raise self.says
        return what


async def admit(way: Way) -> None:
    way.asked.append("whose account?")
    if way.opens is not None:
        raise way.opens


class Scene:
    """Two routes, and a clock."""

    def __init__(self, first: Way, second: Way):
        self.first = first
        self.second = second
        self.now_s = 0.0
        self.routes = Routes("V account alice", [first, second], admit, rest_s=15.0, now_s=lambda: self.now_s)

    async def change(self, what: str = "order") -> str:
        return await self.routes.change(what, lambda way: way.do(what))

    async def read(self, what: str = "positions") -> str:
        return await self.routes.read(what, lambda way: way.do(what))

    def orders(self) -> list[int]:
        """How many orders each route was asked to send."""
        return [len([what for what in way.asked if what == "order"]) for way in (self.first, self.second)]


def run(act: Callable[[], Awaitable[T]]) -> T:
    async def bounded() -> T:
        return await asyncio.wait_for(act(), 60)

    return asyncio.run(bounded())


async def error_of(call: Awaitable[object]) -> ConnectorError:
    try:
        answer = await call
    except ConnectorError as error:
        return error
    raise AssertionError(f"no error but {answer}")


def test_while_the_first_route_carries_the_second_is_asked_nothing() -> None:
    scene = Scene(Way(), Way())
    assert run(scene.change) == "order"
    assert run(scene.read) == "positions"
    assert scene.second.asked == []


def test_an_order_proven_not_sent_goes_by_the_second_route(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene(Way(UNSENT), Way())
    assert run(scene.change) == "order"
    assert scene.orders() == [1, 1]
    assert "order went by route 2: nobody listens there" in caplog.text


@pytest.mark.parametrize("said", [IN_DOUBT, NO, BUSY, SERVER_ERROR], ids=str)
def test_an_order_that_was_sent_never_goes_by_the_second_route(said: ConnectorError) -> None:
    scene = Scene(Way(said), Way())
    assert run(lambda: error_of(scene.change())) is said
    assert scene.orders() == [1, 0]


def test_an_order_whose_answer_is_not_waited_for_never_goes_by_the_second_route() -> None:
    scene = Scene(Way(hangs=True), Way())

    async def act() -> None:
        sending = asyncio.create_task(scene.change())
        while scene.orders() != [1, 0]:
            await asyncio.sleep(0)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending

    run(act)
    assert scene.orders() == [1, 0]


@pytest.mark.parametrize(("said", "by_the_second"), [(UNSENT, 1), (SERVER_ERROR, 1), (BUSY, 0), (NO, 0)])
def test_a_question_goes_on_unless_it_was_answered_or_a_wait_was_named(
    said: ConnectorError, by_the_second: int
) -> None:
    scene = Scene(Way(said), Way())
    told = run(scene.read) if by_the_second else run(lambda: error_of(scene.read()))
    assert told == ("positions" if by_the_second else said)
    assert scene.second.asked.count("positions") == by_the_second


def test_both_routes_down_says_what_each_said_and_that_it_may_be_repeated() -> None:
    scene = Scene(Way(UNSENT), Way(Unavailable("no such host", unsent=True)))
    error = run(lambda: error_of(scene.change()))
    assert isinstance(error, Unavailable)
    assert "nobody listens there" in str(error)
    assert "no such host" in str(error)


@pytest.mark.parametrize("said", [UNSENT, IN_DOUBT, SERVER_ERROR], ids=str)
def test_a_route_that_failed_three_times_in_a_row_is_left_alone_and_then_asked_whose_account_before_an_order(
    said: ConnectorError, caplog: pytest.LogCaptureFixture
) -> None:
    scene = Scene(Way(said), Way())

    async def act() -> None:
        for _ in range(3):
            await asyncio.gather(scene.change(), return_exceptions=True)
        before = scene.orders()
        scene.now_s = 14.9
        await scene.change()
        assert scene.orders() == [3, before[1] + 1]
        assert "order went by route 2: route 1 rests" in caplog.text
        scene.now_s, scene.first.says = 15.0, None
        scene.first.asked.clear()
        await scene.change()
        assert scene.first.asked == ["whose account?", "order"]

    run(act)


def test_two_failures_and_an_answer_between_them_and_the_third_leave_the_first_route_preferred() -> None:
    scene = Scene(Way(), Way())

    async def act() -> None:
        for said in (IN_DOUBT, IN_DOUBT, None, IN_DOUBT, IN_DOUBT):
            scene.first.says = said
            await asyncio.gather(scene.change(), return_exceptions=True)
        scene.first.says = None
        await scene.change()

    run(act)
    assert scene.orders() == [6, 0]


def test_questions_that_are_answered_do_not_send_orders_back_to_a_route_that_swallows_them() -> None:
    scene = Scene(Way(), Way())

    async def act() -> None:
        for _ in range(3):
            scene.first.says = IN_DOUBT
            await error_of(scene.change())
            scene.first.says = None
            await scene.read()
        await scene.change()

    run(act)
    assert scene.orders() == [3, 1]


def test_nothing_goes_by_a_route_to_another_account() -> None:
    scene = Scene(Way(UNSENT), Way(opens=STRANGER))
    error = run(lambda: error_of(scene.change()))
    assert isinstance(error, Unavailable)
    assert "another account" in str(error)
    assert scene.orders() == [1, 0]


def test_a_route_that_cannot_tell_whose_account_it_opens_gets_no_order() -> None:
    scene = Scene(Way(opens=SERVER_ERROR), Way())
    assert run(scene.change) == "order"
    assert scene.orders() == [0, 1]


def test_who_asks_at_the_same_time_shares_one_question_about_the_account() -> None:
    scene = Scene(Way(opens=UNSENT), Way())

    async def act() -> None:
        await asyncio.gather(*(scene.change() for _ in range(20)))

    run(act)
    assert scene.first.asked == ["whose account?"]
    assert scene.orders() == [0, 20]


@pytest.mark.parametrize("said", [UNSENT, BUSY, NO, IN_DOUBT], ids=str)
def test_one_route_alone_says_what_it_says(said: ConnectorError) -> None:
    alone = Routes("V account alice", [Way(said)], admit)
    assert run(lambda: error_of(alone.change("order", lambda way: way.do("order")))) is said
