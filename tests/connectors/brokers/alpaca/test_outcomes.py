"""Whatever the venue does to a request, the broker says what is proven; the venue's ledger is the judge."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal as D

import pytest

from connectors.brokers.alpaca import AlpacaBroker, Endpoint
from connectors.errors import Ambiguous, ConnectorError, Refused, Unavailable
from schemas.control import Mode
from schemas.execution import ExecutionReport
from schemas.order import ExecType, OrderStatus, OrderType, TimeInForce
from tests.connectors.brokers.alpaca.conftest import Scene
from tests.connectors.brokers.orders import ask, buy, cancel, change, limit, sell
from tests.venue.faults import Kind
from tests.venue.stage import HASTY, account_of

pytestmark = pytest.mark.servers

BEFORE = [
    pytest.param(Kind.RESET, {}, id="reset before it is accepted"),
    pytest.param(Kind.IGNORE, {"seconds": 0.05}, id="silence before it is accepted"),
    pytest.param(Kind.SERVER_ERROR, {"status": 503}, id="503 before it is accepted"),
    pytest.param(Kind.SERVER_ERROR, {"status": 500}, id="500 before it is accepted"),
    pytest.param(Kind.IGNORE, {"seconds": 30}, id="no answer within our patience, not accepted"),
]
AFTER = [
    pytest.param(Kind.RESET, {"after": True}, id="reset in mid-answer"),
    pytest.param(Kind.LOSE_ANSWER, {"seconds": 0.05}, id="answer lost"),
    pytest.param(Kind.LOSE_ANSWER, {"seconds": 30}, id="no answer within our patience, accepted"),
    pytest.param(Kind.SLOW, {"seconds": 30}, id="accepted after our patience has ended"),
    pytest.param(Kind.SERVER_ERROR, {"after": True, "status": 502}, id="502 after it was accepted"),
    *(
        pytest.param(Kind.MALFORMED, {"shape": shape}, id=f"answer malformed: {shape}")
        for shape in ("html", "missing", "words", "huge", "cut", "empty")
    ),
]


async def verified(broker: AlpacaBroker) -> None:
    """Let the broker make sure whose account it is, before a script is switched on."""
    await broker.cash("alice")


async def error_of(call: Awaitable[object]) -> ConnectorError:
    try:
        answer = await call
    except ConnectorError as error:
        return error
    raise AssertionError(f"no error but {answer}")


@pytest.mark.faults
@pytest.mark.parametrize(("kind", "more"), BEFORE)
def test_a_submit_in_doubt_that_was_not_accepted_is_ambiguous_and_not_found(
    scene: Scene, kind: Kind, more: dict[str, object]
) -> None:
    async def act(broker: AlpacaBroker) -> None:
        await verified(broker)
        scene.at.fault(kind, "submit", left=1, **more)
        assert isinstance(await error_of(broker.submit(buy("a"))), Ambiguous)
        assert await broker.query(ask(buy("a"))) is None

    scene.play(act)
    assert scene.names() == []


@pytest.mark.faults
@pytest.mark.parametrize(("kind", "more"), AFTER)
def test_a_submit_in_doubt_that_was_accepted_is_ambiguous_and_found_by_its_name(
    scene: Scene, kind: Kind, more: dict[str, object]
) -> None:
    async def act(broker: AlpacaBroker) -> None:
        await verified(broker)
        scene.at.fault(kind, "submit", left=1, **more)
        late = kind is Kind.SLOW
        if late:
            scene.at.behave()
            scene.at.fault(kind, "submit", left=1, seconds=HASTY.answer_s + 0.2)
        assert isinstance(await error_of(broker.submit(buy("a"))), Ambiguous)
        if late:
            await asyncio.sleep(0.6)
        found = await broker.query(ask(buy("a")))
        assert found is not None
        assert found.order_status is OrderStatus.NEW

    scene.play(act)
    assert scene.names() == ["a"]


@pytest.mark.faults
def test_a_submit_in_doubt_repeated_is_still_one_order(scene: Scene) -> None:
    async def act(broker: AlpacaBroker) -> None:
        await verified(broker)
        scene.at.fault(Kind.RESET, "submit", left=1, after=True)
        await error_of(broker.submit(buy("a")))
        answer = await broker.submit(buy("a"))
        assert (answer.client_order_id, answer.exec_type) == ("a", ExecType.NEW)

    scene.play(act)
    assert scene.names() == ["a"]
    with scene.judge() as judge:
        assert judge.attempts(key=scene.account["key"])["a"] == 2


@pytest.mark.faults
def test_numbers_in_place_of_texts_are_read_exactly(scene: Scene) -> None:
    async def act(broker: AlpacaBroker) -> None:
        scene.at.fault(Kind.MALFORMED, "submit", shape="numbers")
        answer = await broker.submit(buy("a", 10, **limit("90.07")))
        assert (answer.order_quantity, answer.limit_price) == (D(10), D("90.07"))

    scene.play(act)


@pytest.mark.faults
@pytest.mark.parametrize(("seconds", "wait_s"), [(0.0, None), (3.0, 3.0), (0.25, 0.25), (1e9, 600.0)])
def test_too_many_requests_may_be_repeated_after_the_wait_that_was_asked_for(
    scene: Scene, seconds: float, wait_s: float | None
) -> None:
    async def act(broker: AlpacaBroker) -> None:
        await verified(broker)
        scene.at.fault(Kind.TOO_MANY, "submit", left=1, seconds=seconds)
        error = await error_of(broker.submit(buy("a")))
        assert isinstance(error, Unavailable)
        assert error.retry_after_s == wait_s
        await broker.submit(buy("a"))

    scene.play(act)
    assert scene.names() == ["a"]


@pytest.mark.faults
def test_expired_credentials_are_refused_whatever_is_asked(scene: Scene) -> None:
    async def act(broker: AlpacaBroker) -> None:
        await broker.submit(buy("a", **limit("90")))
        scene.at.fault(Kind.EXPIRED)
        calls: list[Awaitable[object]] = [
            broker.submit(buy("b")),
            broker.cancel(cancel("c", buy("a"))),
            broker.replace(change("r", buy("a"), 5)),
            broker.query(ask(buy("a"))),
            broker.open_orders("alice"),
            broker.positions("alice"),
            broker.cash("alice"),
            broker.fills("alice"),
        ]
        for call in calls:
            error = await error_of(call)
            assert isinstance(error, Refused)
            assert error.code == "ALPACA_40110000"

    scene.play(act)
    assert scene.names() == ["a"]


@pytest.mark.faults
@pytest.mark.parametrize(
    ("kind", "more"),
    [
        (Kind.RESET, {}),
        (Kind.RESET, {"after": True}),
        (Kind.IGNORE, {"seconds": 30}),
        (Kind.SERVER_ERROR, {}),
        (Kind.TOO_MANY, {"seconds": 1}),
        (Kind.MALFORMED, {"shape": "html"}),
        (Kind.MALFORMED, {"shape": "huge"}),
        (Kind.MALFORMED, {"shape": "missing"}),
        (Kind.MALFORMED, {"shape": "cut"}),
    ],
)
def test_a_question_that_is_not_answered_is_unavailable_and_never_means_flat(
    scene: Scene, kind: Kind, more: dict[str, object]
) -> None:
    async def act(broker: AlpacaBroker) -> None:
        await broker.submit(buy("a", 10, **limit("200")))
        scene.at.trade("a", "4", "100", scene.number)
        questions: dict[str, Callable[[], Awaitable[object]]] = {
            "order": lambda: broker.query(ask(buy("a"))),
            "orders": lambda: broker.open_orders("alice"),
            "positions": lambda: broker.positions("alice"),
            "account": lambda: broker.cash("alice"),
            "fills": lambda: broker.fills("alice"),
        }
        for what, question in questions.items():
            scene.at.behave()
            scene.at.fault(kind, what, left=1, **more)
            assert isinstance(await error_of(question()), Unavailable), what

    scene.play(act, manners=replace(HASTY, answer_s=0.5))


def test_a_venue_that_is_not_there_was_provably_not_asked(scene: Scene) -> None:
    nowhere = Endpoint("http://127.0.0.1:9", "ws://127.0.0.1:9/stream", frozenset({Mode.REPLAY}))

    async def act(_: AlpacaBroker) -> None:
        broker = AlpacaBroker(nowhere, [account_of(scene.account)], manners=HASTY)
        assert isinstance(await error_of(broker.submit(buy("a"))), Unavailable)

    scene.play(act)


def test_a_venue_killed_and_started_again_has_what_it_accepted(scene: Scene) -> None:
    async def act(broker: AlpacaBroker) -> None:
        await broker.submit(buy("a", **limit("90")))
        scene.at.kill()
        assert isinstance(await error_of(broker.submit(buy("b"))), Ambiguous | Unavailable)
        scene.at.restart()
        assert [one.client_order_id for one in await broker.open_orders("alice")] == ["a"]
        await broker.submit(buy("b"))

    scene.play(act)
    assert scene.names() == ["a", "b"]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (buy("a", symbol="NONE"), "ALPACA_42210000"),
        (buy("a", 0), "ALPACA_40010001"),
        (buy("a", "0.5"), "ALPACA_42210000"),
        (buy("a", **limit("90.001")), "ALPACA_42210000"),
        (buy("a", 10_000_000), "ALPACA_40310000"),
        (buy("a", order_type=OrderType.LIMIT), "ALPACA_40010001"),
        (buy("a", "0.00001", symbol="BTC/USD", **limit("20000")), "ALPACA_40310000"),
        (sell("a", "1", symbol="BTC/USD", **limit("20000")), "ALPACA_40310000"),
        (buy("a", "1", symbol="BTC/USD", time_in_force=TimeInForce.DAY), "UNSUPPORTED"),
        (buy("a", "1", symbol="BTC/USD", order_type=OrderType.STOP, stop_price="1"), "UNSUPPORTED"),
        (buy("a", time_in_force=TimeInForce.GTD), "UNSUPPORTED"),
        (buy("a", post_only=True, **limit("90")), "UNSUPPORTED"),
        (buy("a" * 129), "UNSUPPORTED"),
        (buy("a", mode=Mode.LIVE), "MODE"),
        (buy("a", account_id="bob"), "NO_ACCOUNT"),
    ],
)
def test_what_the_venue_or_the_broker_does_not_take_is_refused_with_a_code(
    scene: Scene, command: ExecutionReport, code: str
) -> None:
    async def act(broker: AlpacaBroker) -> None:
        error = await error_of(broker.submit(command))  # type: ignore[arg-type]  # the cases are orders
        assert isinstance(error, Refused)
        assert error.code == code

    scene.play(act)
    assert scene.names() == []


def test_another_order_under_a_name_that_is_taken_is_refused(scene: Scene) -> None:
    async def act(broker: AlpacaBroker) -> None:
        await broker.submit(buy("a", 10))
        error = await error_of(broker.submit(buy("a", 11)))
        assert isinstance(error, Refused)
        assert error.code == "ID_TAKEN"

    scene.play(act)
    assert scene.names() == ["a"]


@pytest.mark.faults
def test_a_name_that_is_taken_by_an_order_that_cannot_be_seen_is_in_doubt(scene: Scene) -> None:
    async def act(broker: AlpacaBroker) -> None:
        await broker.submit(buy("a", 10))
        scene.at.fault(Kind.SERVER_ERROR, "order")
        assert isinstance(await error_of(broker.submit(buy("a", 10))), Ambiguous)

    scene.play(act)


def test_crypto_trades_in_fractions_and_is_held_under_our_name_of_it(scene: Scene) -> None:
    async def act(broker: AlpacaBroker) -> None:
        terms = limit("20000.123456789")
        await broker.submit(buy("a", "0.0123", symbol="BTC/USD", instrument_id="BITCOIN", **terms))
        scene.at.price("BTC/USD", "20000.1")
        (held,) = await broker.positions("alice")
        assert (held.instrument_id, held.quantity, held.average_price) == ("BITCOIN", D("0.0123"), D("20000.1"))

    scene.play(act)


def test_a_short_position_is_negative(scene: Scene) -> None:
    async def act(broker: AlpacaBroker) -> None:
        await broker.submit(sell("a", 5))
        scene.at.price("TPT", "100")
        assert [position.quantity for position in await broker.positions("alice")] == [D(-5)]

    scene.play(act)


@pytest.mark.faults
def test_a_cancel_in_doubt_that_was_carried_out_is_ambiguous_and_told_when_asked_again(scene: Scene) -> None:
    async def act(broker: AlpacaBroker) -> None:
        command = buy("a", **limit("90"))
        await broker.submit(command)
        scene.at.fault(Kind.LOSE_ANSWER, "cancel", left=1, seconds=0.05)
        assert isinstance(await error_of(broker.cancel(cancel("c", command))), Ambiguous)
        found = await broker.query(ask(command))
        again = await broker.cancel(cancel("c", command))
        assert found is not None
        assert found.order_status is OrderStatus.CANCELED
        assert (again.exec_type, again.client_order_id) == (ExecType.CANCELED, "c")

    scene.play(act)


@pytest.mark.faults
def test_a_cancel_that_races_a_fill_loses_and_says_so(scene: Scene) -> None:
    async def act(broker: AlpacaBroker) -> None:
        command = buy("a", 10, **limit("90"))
        await broker.submit(command)
        scene.at.fault(Kind.CANCEL_RACE, "cancel", left=1)
        answer = await broker.cancel(cancel("c", command))
        assert (answer.exec_type, answer.order_status) == (ExecType.CANCEL_REJECTED, OrderStatus.FILLED)
        assert (answer.code, answer.cumulative_quantity) == ("TOO_LATE", D(10))

    scene.play(act)
    assert scene.held() == {"TPT": D(10)}


def test_a_cancel_that_takes_its_time_is_told_as_pending_and_then_as_done(scene: Scene) -> None:
    async def act(broker: AlpacaBroker) -> None:
        command = buy("a", **limit("90"))
        await broker.submit(command)
        scene.at.direct(settle_s=2)
        pending = await broker.cancel(cancel("c", command))
        assert (pending.exec_type, pending.order_status) == (ExecType.PENDING_CANCEL, OrderStatus.PENDING_CANCEL)
        again = await broker.cancel(cancel("c", command))
        assert again.exec_id == pending.exec_id or again.exec_type is ExecType.CANCELED
        async for report in broker.reports():
            if report.exec_type is ExecType.CANCELED:
                assert report.client_order_id == "a"
                return

    scene.play(act)


def test_a_cancel_of_an_order_that_nobody_placed_is_refused(scene: Scene) -> None:
    async def act(broker: AlpacaBroker) -> None:
        error = await error_of(broker.cancel(cancel("c", buy("never"))))
        assert isinstance(error, Refused)
        assert error.code == "NOT_FOUND"

    scene.play(act)


@pytest.mark.faults
def test_a_replace_in_doubt_that_was_carried_out_is_found_when_asked_again(scene: Scene) -> None:
    async def act(broker: AlpacaBroker) -> None:
        command = buy("a", 10, **limit("90"))
        await broker.submit(command)
        scene.at.fault(Kind.LOSE_ANSWER, "replace", left=1, seconds=0.05)
        request = change("r", command, 7, limit_price="91")
        assert isinstance(await error_of(broker.replace(request)), Ambiguous)
        found = await broker.query(ask(command))
        assert found is not None
        assert (found.client_order_id, found.original_client_order_id) == ("r", "a")
        assert (found.order_quantity, found.limit_price) == (D(7), D(91))
        again = await broker.replace(request)
        assert (again.exec_type, again.original_client_order_id) == (ExecType.REPLACED, "a")

    scene.play(act)
    assert scene.names() == ["a", "r"]


@pytest.mark.faults
def test_a_replace_that_races_a_fill_loses_and_says_so(scene: Scene) -> None:
    async def act(broker: AlpacaBroker) -> None:
        command = buy("a", 10, **limit("90"))
        await broker.submit(command)
        scene.at.fault(Kind.CANCEL_RACE, "replace", left=1)
        answer = await broker.replace(change("r", command, 20))
        assert (answer.exec_type, answer.client_order_id) == (ExecType.REPLACE_REJECTED, "r")

    scene.play(act)
    assert scene.held() == {"TPT": D(10)}


def test_a_replaced_order_is_cancelled_and_replaced_under_the_name_of_the_first(scene: Scene) -> None:
    async def act(broker: AlpacaBroker) -> None:
        command = buy("a", 10, **limit("90"))
        await broker.submit(command)
        await broker.replace(change("r1", command, 11))
        await broker.replace(change("r2", command, 12))
        answer = await broker.cancel(cancel("c", command))
        assert (answer.exec_type, answer.order_quantity) == (ExecType.CANCELED, D(12))

    scene.play(act)
    with scene.judge() as judge:
        assert [one.status for one in judge.orders(scene.number)] == ["replaced", "replaced", "canceled"]


def test_a_replace_keeps_what_was_filled(scene: Scene) -> None:
    async def act(broker: AlpacaBroker) -> None:
        command = buy("a", 10, **limit("90"))
        await broker.submit(command)
        scene.at.trade("a", "4", "90", scene.number)
        answer = await broker.replace(change("r", command, 12))
        assert (answer.cumulative_quantity, answer.leaves_quantity) == (D(4), D(8))

    scene.play(act)


def test_orders_and_positions_that_we_never_had_are_told_under_their_own_names(scene: Scene) -> None:
    async def act(broker: AlpacaBroker) -> None:
        scene.at.external_order(scene.number, symbol="TPT", qty="3", side="buy", type="limit", limit_price="90",
                                time_in_force="day", client_order_id="not-ours")  # fmt: skip
        scene.at.external_position("XYZ", "-2", "10", scene.number)
        (working,) = await broker.open_orders("alice")
        (held,) = await broker.positions("alice")
        assert (working.client_order_id, working.instrument_id) == ("not-ours", "TEAPOT")
        assert (held.instrument_id, held.quantity) == ("XYZ", D(-2))

    scene.play(act)


def test_a_thousand_and_more_working_orders_are_listed_once_each_and_oldest_first(scene: Scene) -> None:
    async def act(broker: AlpacaBroker) -> None:
        wanted = [f"o{number}" for number in range(1_100)]
        for start in range(0, len(wanted), 50):
            await asyncio.gather(*(broker.submit(buy(name, 1, **limit("90"))) for name in wanted[start : start + 50]))
        listed = [one.client_order_id for one in await broker.open_orders("alice")]
        assert sorted(listed) == sorted(wanted)

    scene.play(act)
    assert scene.names() != []


def test_the_clock_of_the_venue_may_be_wrong_without_harm(scene: Scene) -> None:
    async def act(broker: AlpacaBroker) -> None:
        scene.at.direct(skew_us=3_600_000_000)
        await broker.submit(buy("a", 10))
        assert 3590 < broker.skew_s("alice") < 3610
        scene.at.trade("a", "4", "100", scene.number)
        page = await broker.fills("alice")
        scene.at.trade("a", "6", "100", scene.number)
        rest = await broker.fills("alice", page.cursor)
        assert [fill.last_quantity for fill in (*page.fills, *rest.fills)] == [D(4), D(6)]

    scene.play(act)
