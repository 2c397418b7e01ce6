"""Whatever becomes of the stream, every execution of the venue's ledger is told, and under one id."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from decimal import Decimal as D

import pytest

from connectors.brokers.alpaca import AlpacaBroker
from connectors.errors import Refused, Unavailable
from schemas.execution import ExecutionReport
from schemas.order import ExecType, OrderStatus
from tests.connectors.brokers.alpaca.conftest import Scene
from tests.connectors.brokers.orders import buy, cancel, change, limit
from tests.venue.faults import Kind
from tests.venue.stage import HASTY

pytestmark = pytest.mark.servers

PATIENT = replace(HASTY, audit_s=60)
"""So slow to audit that in a test only the stream, and what it leaves a gap in, is heard."""


class Heard(list[ExecutionReport]):
    """What was told so far."""

    async def all(self, broker: AlpacaBroker) -> None:
        """Hear the broker out."""
        async with aclosing(broker.reports()) as reports:
            async for report in reports:
                self.append(report)

    def trades(self) -> list[str]:
        return [report.exec_id for report in self if report.exec_type is ExecType.TRADE]

    def kinds(self) -> list[ExecType]:
        return [report.exec_type for report in self if report.exec_type is not ExecType.NEW]

    def first(self, exec_type: ExecType) -> ExecutionReport:
        return next(report for report in self if report.exec_type is exec_type)


@asynccontextmanager
async def listening(scene: Scene, broker: AlpacaBroker) -> AsyncIterator[Heard]:
    """Listen while the block runs; it begins when the venue has us on its list."""
    heard, before = Heard(), scene.at.listeners()

    listener = asyncio.create_task(heard.all(broker))
    await until(lambda: scene.at.listeners() > before or listener.done())
    try:
        yield heard
        if listener.done():
            listener.result()
    finally:
        listener.cancel()
        await asyncio.gather(listener, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what must come. Raises TimeoutError when it does not."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


def ledger_ids(scene: Scene) -> list[str]:
    """Ids of all fills of alice, in the venue's order."""
    with scene.judge() as judge:
        return [one.execution_id for one in judge.executions(scene.number) if one.kind == "fill"]


def fill(scene: Scene, *quantities: str, of: str = "a") -> list[str]:
    return [scene.at.trade(of, quantity, "90", scene.number) for quantity in quantities]


Act = Callable[[AlpacaBroker, Heard], Awaitable[None]]


def listen_and(scene: Scene, act: Act, **options: object) -> None:
    """Place order `a` for 10, listen, and act."""

    async def whole(broker: AlpacaBroker) -> None:
        async with listening(scene, broker) as heard:
            await broker.submit(buy("a", 10, **limit("90")))
            await act(broker, heard)

    scene.play(whole, **options)  # type: ignore[arg-type]  # the options of play


def test_the_life_of_an_order_is_told_in_order(scene: Scene) -> None:
    async def act(broker: AlpacaBroker, heard: Heard) -> None:
        fill(scene, "4", "6")
        await until(lambda: len(heard.trades()) == 2)
        # On a slow machine fills may be read by cursor before the stream tells that the order is new.
        trades = [report for report in heard if report.exec_type is ExecType.TRADE]
        sums = [(report.last_quantity, report.cumulative_quantity, report.leaves_quantity) for report in trades]
        assert sums == [(D(4), D(4), D(6)), (D(6), D(10), D(0))]
        assert [report.order_status for report in trades] == [OrderStatus.PARTIALLY_FILLED, OrderStatus.FILLED]
        assert heard.trades() == ledger_ids(scene)

    listen_and(scene, act, manners=PATIENT)


def test_the_acknowledgement_has_one_id_in_the_answer_and_in_the_stream(scene: Scene) -> None:
    async def whole(broker: AlpacaBroker) -> None:
        async with listening(scene, broker) as heard:
            answer = await broker.submit(buy("a", 10, **limit("90")))
            await until(lambda: len(heard) > 0)
            assert heard[0].exec_id == answer.exec_id

    scene.play(whole, manners=PATIENT)


@pytest.mark.faults
def test_a_fill_told_thrice_by_the_venue_is_told_once(scene: Scene) -> None:
    async def act(broker: AlpacaBroker, heard: Heard) -> None:
        scene.at.fault(Kind.DUPLICATE, times_told=3)
        fill(scene, "4", "6")
        await until(lambda: len(heard.trades()) == 2)
        await asyncio.sleep(HASTY.audit_s * 2)
        assert heard.trades() == ledger_ids(scene)

    listen_and(scene, act)


@pytest.mark.faults
def test_fills_told_in_the_wrong_order_are_all_told(scene: Scene) -> None:
    async def act(broker: AlpacaBroker, heard: Heard) -> None:
        scene.at.fault(Kind.REORDER, "partial_fill", left=1)
        fill(scene, "4", "6")
        await until(lambda: len(heard.trades()) == 2)
        assert sorted(heard.trades()) == sorted(ledger_ids(scene))

    listen_and(scene, act, manners=PATIENT)


@pytest.mark.faults
def test_a_fill_that_comes_before_the_acknowledgement_is_told(scene: Scene) -> None:
    async def whole(broker: AlpacaBroker) -> None:
        async with listening(scene, broker) as heard:
            scene.at.fault(Kind.FILL_BEFORE_ACK, "submit", left=1, seconds=0.3)
            scene.at.fault(Kind.REORDER, "new", left=1)
            answer = await broker.submit(buy("a", 10, **limit("90")))
            await until(lambda: heard.trades() == ledger_ids(scene))
            assert heard[0].exec_type is ExecType.TRADE
            assert answer.exec_type is ExecType.NEW

    scene.play(whole, manners=PATIENT)


@pytest.mark.faults
def test_a_fill_that_comes_after_the_cancel_is_told(scene: Scene) -> None:
    async def act(broker: AlpacaBroker, heard: Heard) -> None:
        scene.at.fault(Kind.LATE_FILL, "cancel", left=1, seconds=0.1)
        answer = await broker.cancel(cancel("c", buy("a")))
        await until(lambda: len(heard.trades()) == 1)
        assert heard.first(ExecType.CANCELED).exec_id == answer.exec_id
        assert heard.trades() == ledger_ids(scene)
        assert heard.kinds()[-1] is ExecType.TRADE

    listen_and(scene, act, manners=PATIENT)


def test_a_bust_names_the_fill_that_it_undoes(scene: Scene) -> None:
    async def act(broker: AlpacaBroker, heard: Heard) -> None:
        (filled,) = fill(scene, "4")
        busted = scene.at.bust(filled)
        await until(lambda: ExecType.TRADE_CANCEL in heard.kinds())
        report = heard.first(ExecType.TRADE_CANCEL)
        assert (report.exec_id, report.reference_exec_id) == (busted, filled)
        assert (report.last_quantity, report.cumulative_quantity) == (D(4), D(0))

    listen_and(scene, act, manners=PATIENT)
    assert scene.held() == {}


def test_a_correction_names_the_fill_that_it_changes(scene: Scene) -> None:
    async def act(broker: AlpacaBroker, heard: Heard) -> None:
        (filled,) = fill(scene, "4")
        corrected = scene.at.correct(filled, "3", "89.5")
        await until(lambda: ExecType.TRADE_CORRECT in heard.kinds())
        report = heard.first(ExecType.TRADE_CORRECT)
        assert (report.exec_id, report.reference_exec_id) == (corrected, filled)
        assert (report.last_quantity, report.last_price, report.cumulative_quantity) == (D(3), D("89.5"), D(3))

    listen_and(scene, act, manners=PATIENT)
    assert scene.held() == {"TPT": D(3)}


@pytest.mark.faults
def test_a_fill_that_the_stream_leaves_out_is_told_when_the_next_one_does_not_join_on(scene: Scene) -> None:
    async def act(broker: AlpacaBroker, heard: Heard) -> None:
        scene.at.fault(Kind.GAP, "partial_fill", left=1)
        fill(scene, "3", "4", "3")
        await until(lambda: len(heard.trades()) == 3)
        assert sorted(heard.trades()) == sorted(ledger_ids(scene))

    listen_and(scene, act, manners=PATIENT)


@pytest.mark.faults
def test_an_event_that_cannot_be_read_is_asked_for(scene: Scene) -> None:
    async def act(broker: AlpacaBroker, heard: Heard) -> None:
        scene.at.fault(Kind.GARBLE, "fill")
        fill(scene, "10")
        await until(lambda: heard.trades() == ledger_ids(scene))

    listen_and(scene, act, manners=PATIENT)


@pytest.mark.faults
@pytest.mark.parametrize("kind", [Kind.GAP, Kind.FREEZE])
def test_fills_are_told_while_the_stream_says_nothing_and_its_pings_go_on(scene: Scene, kind: Kind) -> None:
    async def act(broker: AlpacaBroker, heard: Heard) -> None:
        scene.at.fault(kind)
        for quantity in ("1", "2", "3"):
            fill(scene, quantity)
            await until(lambda: heard.trades() == ledger_ids(scene))
        scene.at.behave()
        fill(scene, "4")
        await until(lambda: heard.trades() == ledger_ids(scene))

    listen_and(scene, act)


@pytest.mark.faults
def test_a_stream_that_is_silent_about_fills_is_opened_anew(scene: Scene) -> None:
    async def act(broker: AlpacaBroker, heard: Heard) -> None:
        with scene.judge() as judge:
            assert judge.names(scene.number) == ["a"]
        scene.at.fault(Kind.FREEZE)
        fill(scene, "1")
        await until(lambda: scene.at.listeners() == 0)
        scene.at.behave()
        await until(lambda: scene.at.listeners() == 1)
        fill(scene, "2")
        await until(lambda: heard.trades() == ledger_ids(scene))

    listen_and(scene, act)


@pytest.mark.faults
def test_what_happens_while_the_stream_is_away_is_told_once_when_it_is_back(scene: Scene) -> None:
    async def act(broker: AlpacaBroker, heard: Heard) -> None:
        for quantity in ("1", "2", "3", "4"):
            scene.at.disconnect()
            fill(scene, quantity)
        await until(lambda: len(heard.trades()) == 4)
        await asyncio.sleep(HASTY.audit_s * 2)
        assert heard.trades() == ledger_ids(scene)

    listen_and(scene, act)


@pytest.mark.faults
def test_a_venue_that_was_killed_is_listened_to_again(scene: Scene) -> None:
    async def act(broker: AlpacaBroker, heard: Heard) -> None:
        fill(scene, "1")
        scene.at.kill()
        scene.at.restart()
        fill(scene, "2")
        await until(lambda: heard.trades() == ledger_ids(scene))
        await until(lambda: scene.at.listeners() == 1)
        fill(scene, "3")
        await until(lambda: heard.trades() == ledger_ids(scene))

    listen_and(scene, act)


@pytest.mark.faults
@pytest.mark.parametrize(("deed", "exec_type"), [("expire", ExecType.EXPIRED), ("reject", ExecType.REJECTED)])
def test_an_end_that_the_stream_leaves_out_is_told(scene: Scene, deed: str, exec_type: ExecType) -> None:
    async def act(broker: AlpacaBroker, heard: Heard) -> None:
        scene.at.fault(Kind.FREEZE)
        scene.at.end(deed, "a", scene.number)
        await until(lambda: exec_type in heard.kinds())
        assert heard.first(exec_type).client_order_id == "a"

    listen_and(scene, act)


@pytest.mark.faults
@pytest.mark.parametrize("frozen", [False, True])
def test_a_replacement_is_told_under_its_own_name_and_that_of_the_order(scene: Scene, frozen: bool) -> None:
    async def act(broker: AlpacaBroker, heard: Heard) -> None:
        if frozen:
            scene.at.fault(Kind.FREEZE)
        answer = await broker.replace(change("r", buy("a"), 7, limit_price="91"))
        await until(lambda: ExecType.REPLACED in heard.kinds())
        report = heard.first(ExecType.REPLACED)
        assert (report.client_order_id, report.original_client_order_id) == ("r", "a")
        assert (report.exec_id, report.order_quantity) == (answer.exec_id, D(7))
        scene.at.price("TPT", "91")
        await until(lambda: heard.trades() == ledger_ids(scene))
        assert heard[-1].client_order_id == "r"

    listen_and(scene, act)


def test_a_replacement_that_came_too_late_is_told_as_rejected(scene: Scene) -> None:
    async def act(broker: AlpacaBroker, heard: Heard) -> None:
        scene.at.direct(settle_s=1.5)
        answer = await broker.replace(change("r", buy("a"), 20))
        assert answer.exec_type is ExecType.PENDING_REPLACE
        fill(scene, "10")
        await until(lambda: ExecType.REPLACE_REJECTED in heard.kinds())
        report = heard.first(ExecType.REPLACE_REJECTED)
        assert (report.client_order_id, report.original_client_order_id) == ("r", "a")

    listen_and(scene, act, manners=PATIENT)


@pytest.mark.faults
def test_a_bust_that_the_stream_leaves_out_shows_as_a_smaller_sum(scene: Scene) -> None:
    async def act(broker: AlpacaBroker, heard: Heard) -> None:
        (filled,) = fill(scene, "4")
        await until(lambda: len(heard.trades()) == 1)
        scene.at.fault(Kind.FREEZE)
        scene.at.bust(filled)
        await until(lambda: ExecType.ORDER_STATUS in heard.kinds())
        assert heard.first(ExecType.ORDER_STATUS).cumulative_quantity == 0

    listen_and(scene, act)


@pytest.mark.faults
def test_an_order_whose_answer_was_lost_is_listened_for_like_any_other(scene: Scene) -> None:
    async def act(broker: AlpacaBroker, heard: Heard) -> None:
        scene.at.fault(Kind.LOSE_ANSWER, "submit", left=1, seconds=0.05)
        scene.at.fault(Kind.FREEZE)
        with pytest.raises(Exception, match="not answered"):
            await broker.submit(buy("b", 10, **limit("90")))
        fill(scene, "10", of="b")
        await until(lambda: heard.trades() == ledger_ids(scene))
        assert heard.first(ExecType.TRADE).client_order_id == "b"

    listen_and(scene, act)


@pytest.mark.faults
def test_a_stream_that_stays_lost_ends_as_unavailable_and_tells_all_when_asked_again(scene: Scene) -> None:
    hasty = replace(HASTY, reconnects_max=2, reconnect_s_max=0.05)

    async def act(broker: AlpacaBroker) -> None:
        heard = Heard()
        await broker.submit(buy("a", 10, **limit("90")))
        scene.at.fault(Kind.SERVER_ERROR, "fills")
        fill(scene, "4")
        with pytest.raises(Unavailable):
            await heard.all(broker)
        scene.at.behave()
        async with listening(scene, broker) as again:
            fill(scene, "6")
            await until(lambda: [*heard.trades(), *again.trades()] == ledger_ids(scene))

    scene.play(act, manners=hasty)


@pytest.mark.faults
def test_a_stream_that_does_not_know_our_keys_is_refused(scene: Scene) -> None:
    async def act(broker: AlpacaBroker) -> None:
        await broker.cash("alice")
        scene.at.fault(Kind.EXPIRED, "stream")
        with pytest.raises(Refused):
            await anext(aiter(broker.reports()))

    scene.play(act)


def test_a_report_whose_reader_left_is_told_again(scene: Scene) -> None:
    async def act(broker: AlpacaBroker) -> None:
        await broker.submit(buy("a", 10, **limit("90")))
        fill(scene, "4")
        async with aclosing(broker.reports()) as reports:
            left_with = await anext(reports)
        async with aclosing(broker.reports()) as reports:
            assert (await anext(reports)).exec_id == left_with.exec_id

    scene.play(act)


def test_a_broker_that_starts_at_a_cursor_tells_what_came_after_it(scene: Scene) -> None:
    cursors: list[str] = []

    async def before(broker: AlpacaBroker) -> None:
        await broker.submit(buy("a", 10, **limit("90")))
        fill(scene, "4")
        cursors.append((await broker.fills("alice")).cursor)

    scene.play(before)
    fill(scene, "6")

    async def after() -> None:
        broker = scene.broker(since=cursors[0])
        async with aclosing(broker.reports()) as reports:
            report = await anext(reports)
        await broker.close()
        assert (report.exec_id, report.client_order_id) == (ledger_ids(scene)[1], "a")

    asyncio.run(asyncio.wait_for(after(), 30))


def test_fills_of_one_moment_are_read_once_each_through_all_pages(scene: Scene) -> None:
    async def act(broker: AlpacaBroker) -> None:
        await broker.submit(buy("a", 250, **limit("90")))
        told: list[str] = []
        cursor = ""
        for _ in range(3):
            fill(scene, *["1"] * 80)
            page = await broker.fills("alice", cursor)
            told += [one.exec_id for one in page.fills]
            cursor = page.cursor
        assert sorted(told) == sorted(ledger_ids(scene))

    scene.play(act)


def test_neither_logs_nor_messages_hold_a_secret(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def act(broker: AlpacaBroker, heard: Heard) -> None:
        fill(scene, "10")
        await until(lambda: len(heard.trades()) == 1)

    listen_and(scene, act, manners=PATIENT)
    assert caplog.text
    assert scene.account["secret"] not in caplog.text
    assert scene.account["key"] not in caplog.text
