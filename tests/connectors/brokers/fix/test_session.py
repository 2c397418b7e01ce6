"""A FIX session through thick and thin, with a real acceptor in another process; the venue's ledger is the judge."""

import asyncio
import itertools
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal as D
from pathlib import Path

import pytest

from connectors.brokers.fix import FixBroker
from connectors.embedded.ports import choose_free
from connectors.errors import Ambiguous, Refused, Unavailable
from schemas.execution import ExecutionReport
from schemas.order import ExecType, OrderStatus
from tests.connectors.brokers.fix.line import Line
from tests.connectors.brokers.orders import ask, buy, cancel, change, limit
from tests.paths import ROOT
from tests.venue.faults import Kind
from tests.venue.process import Venue, venue
from tests.venue.stage import fix_at

pytest.importorskip("quickfix", reason="the extra `fix` is not installed")
pytestmark = [pytest.mark.servers, pytest.mark.faults]
_numbers = itertools.count(1)


class Heard(list[ExecutionReport]):
    """What was told so far."""

    async def all(self, broker: FixBroker) -> None:
        """Hear the broker out."""
        async with aclosing(broker.reports()) as reports:
            async for report in reports:
                self.append(report)

    def trades(self) -> list[str]:
        return [report.exec_id for report in self if report.exec_type is ExecType.TRADE]

    def first(self, exec_type: ExecType) -> ExecutionReport | None:
        return next((report for report in self if report.exec_type is exec_type), None)


@dataclass(slots=True)
class Scene:
    """A venue with a FIX door, and alice's account there. Her broker's folder goes on from test to test."""

    at: Venue
    port: int
    folder: Path
    number: str

    def broker(self, *, port: int = 0, since: str = "", **more: object) -> FixBroker:
        return fix_at(port or self.port, self.folder, {"number": self.number}, since=since, **more)

    def play(self, act: Callable[[FixBroker], Awaitable[None]], **more: object) -> None:
        async def scene() -> None:
            broker = self.broker(**more)  # type: ignore[arg-type]  # the settings of the broker
            try:
                await asyncio.wait_for(act(broker), 60)
            finally:
                await broker.close()

        asyncio.run(scene())

    def names(self) -> list[str]:
        with self.at.judge() as judge:
            return judge.names(self.number)

    def fills(self) -> list[str]:
        with self.at.judge() as judge:
            return [one.execution_id for one in judge.executions(self.number) if one.kind == "fill"]

    def fill(self, *quantities: str, of: str) -> None:
        for quantity in quantities:
            self.at.trade(of, quantity, "90", self.number)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Venue, int, Path]]:
    port = choose_free()
    with venue(tmp_path_factory.mktemp("venue"), fix_port=port, prices={"TPT": "100"}) as running:
        yield running, port, tmp_path_factory.mktemp("fix")


@pytest.fixture
def scene(shared: tuple[Venue, int, Path]) -> Iterator[Scene]:
    at, port, folder = shared
    number = f"FX{next(_numbers)}"
    at.open_account(number, f"key-{number}", f"secret-{number}", D(100_000))
    yield Scene(at, port, folder, number)
    at.behave()
    at.flush()
    at.direct(settle_s=0.0)


@asynccontextmanager
async def listening(broker: FixBroker) -> AsyncIterator[Heard]:
    heard = Heard()
    listener = asyncio.create_task(heard.all(broker))
    await until(lambda: broker.logged_on or listener.done())
    try:
        yield heard
        if listener.done():
            listener.result()
    finally:
        listener.cancel()
        await asyncio.gather(listener, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.02)


def name(scene: Scene, letter: str) -> str:
    """A name that no other test gives."""
    return f"{letter}-{scene.number}"


def test_what_happens_while_the_line_is_broken_is_told_once_when_it_is_back(scene: Scene) -> None:
    a = name(scene, "a")

    async def act(broker: FixBroker) -> None:
        async with listening(broker) as heard:
            await broker.submit(buy(a, 10, **limit("90")))
            for quantity in ("1", "2", "3"):
                scene.at.disconnect()
                scene.fill(quantity, of=a)
            await until(lambda: len(heard.trades()) == 3)
            scene.fill("4", of=a)
            await until(lambda: heard.trades() == scene.fills())
            page = await broker.fills("alice")
            assert [fill.exec_id for fill in page.fills] == scene.fills()
            assert (await broker.fills("alice", page.cursor)).fills == ()

    scene.play(act)


def test_a_venue_that_was_killed_tells_the_rest_when_it_is_back(scene: Scene) -> None:
    a = name(scene, "a")

    async def act(broker: FixBroker) -> None:
        async with listening(broker) as heard:
            await broker.submit(buy(a, 10, **limit("90")))
            scene.fill("1", of=a)
            await until(lambda: len(heard.trades()) == 1)
            scene.at.kill()
            await until(lambda: not broker.logged_on)
            with pytest.raises(Unavailable):
                await broker.submit(buy(name(scene, "b")))
            scene.at.restart()
            scene.fill("2", of=a)
            await until(lambda: heard.trades() == scene.fills())

    scene.play(act)
    assert scene.names() == [a]


_CLIENT = textwrap.dedent(
    """
    import asyncio, sys
    from pathlib import Path
    from tests.connectors.brokers.orders import buy, limit
    from tests.venue.stage import fix_at

    async def live(port, folder, number, name):
        broker = fix_at(port, Path(folder), {"number": number})
        await broker.submit(buy(name, 10, **limit("90")))
        print("placed", flush=True)
        async for report in broker.reports():
            print(report.exec_id, flush=True)

    asyncio.run(live(int(sys.argv[1]), *sys.argv[2:]))
    """
)


def test_a_broker_that_was_killed_hears_the_rest_in_its_next_life(scene: Scene) -> None:
    a = name(scene, "a")
    command = [sys.executable, "-c", _CLIENT, str(scene.port), str(scene.folder), scene.number, a]
    client = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert client.stdout is not None
    assert client.stdout.readline() == "placed\n"
    scene.fill("1", of=a)
    first = client.stdout.readline().strip()
    client.kill()
    client.wait()
    client.stdout.close()
    scene.fill("2", "3", of=a)

    async def act(broker: FixBroker) -> None:
        async with listening(broker) as heard:
            await until(lambda: len(heard.trades()) == 2)
            assert [first, *heard.trades()] == scene.fills()
            told = (await broker.fills("alice")).fills
            assert [fill.exec_id for fill in told] == scene.fills()
            assert {fill.client_order_id for fill in told} == {a}
            answer = await broker.cancel(cancel(name(scene, "c"), buy(a)))
            assert answer.order_status is OrderStatus.CANCELED

    scene.play(act)


def test_a_venue_without_heartbeats_is_left_and_taken_up_again(scene: Scene) -> None:
    a = name(scene, "a")

    async def act(broker: FixBroker) -> None:
        async with listening(broker) as heard:
            await broker.submit(buy(a, 10, **limit("90")))
            os.kill(scene.at.pid, signal.SIGSTOP)
            try:
                await until(lambda: not broker.logged_on)
                with pytest.raises(Unavailable):
                    await broker.fills("alice")
            finally:
                os.kill(scene.at.pid, signal.SIGCONT)
            await until(lambda: broker.logged_on)
            scene.fill("10", of=a)
            await until(lambda: heard.trades() == scene.fills())

    scene.play(act)


def test_an_order_lost_on_the_line_is_in_doubt_and_is_never_sent_again(scene: Scene) -> None:
    a, b = name(scene, "a"), name(scene, "b")

    async def whole() -> None:
        async with Line(scene.port) as line:
            broker = scene.broker(port=line.port)
            await broker.submit(buy(a, **limit("90")))
            line.swallow()
            with pytest.raises(Ambiguous):
                await broker.submit(buy(b, **limit("90")))
            line.cut()
            await until(lambda: not broker.logged_on)
            await until(lambda: broker.logged_on)
            assert await broker.query(ask(buy(b))) is None
            await broker.submit(buy(name(scene, "c"), **limit("90")))
            await broker.close()

    asyncio.run(asyncio.wait_for(whole(), 60))
    assert scene.names() == [a, name(scene, "c")]


def test_an_order_that_cannot_be_sent_now_is_not_sent_later(scene: Scene) -> None:
    a = name(scene, "a")

    async def whole() -> None:
        async with Line(scene.port) as line:
            broker = scene.broker(port=line.port)
            await broker.cash("alice")
            line.close_door()
            line.cut()
            await until(lambda: not broker.logged_on)
            with pytest.raises(Unavailable):
                await broker.submit(buy(a, **limit("90")))
            line.open_door()
            await until(lambda: broker.logged_on)
            assert await broker.open_orders("alice") == []
            await broker.close()

    asyncio.run(asyncio.wait_for(whole(), 60))
    assert scene.names() == []


@pytest.mark.parametrize("kind", [Kind.IGNORE, Kind.LOSE_ANSWER])
def test_an_order_without_an_answer_is_in_doubt_and_found_if_it_was_accepted(scene: Scene, kind: Kind) -> None:
    a = name(scene, "a")

    async def act(broker: FixBroker) -> None:
        async with listening(broker) as heard:
            scene.at.fault(kind, "submit", left=1)
            scene.at.fault(Kind.REORDER, "new", left=1)
            with pytest.raises(Ambiguous):
                await broker.submit(buy(a, **limit("90")))
            found = await broker.query(ask(buy(a)))
            assert (found is None) == (kind is Kind.IGNORE)
            scene.at.flush()
            if found is not None:
                await until(lambda: heard.first(ExecType.NEW) is not None)

    scene.play(act, answer_s=0.5)
    assert scene.names() == ([] if kind is Kind.IGNORE else [a])


def test_an_answer_that_cannot_be_read_leaves_the_order_in_doubt(scene: Scene) -> None:
    a = name(scene, "a")

    async def act(broker: FixBroker) -> None:
        scene.at.fault(Kind.MALFORMED, "order", left=1)
        await broker.submit(buy(a, **limit("90")))
        with pytest.raises(Unavailable):
            await broker.query(ask(buy(a)))
        assert await broker.query(ask(buy(a))) is not None

    scene.play(act, answer_s=1.0)


def test_a_report_told_thrice_under_one_exec_id_is_told_once(scene: Scene) -> None:
    a = name(scene, "a")

    async def act(broker: FixBroker) -> None:
        async with listening(broker) as heard:
            await broker.submit(buy(a, 10, **limit("90")))
            scene.at.fault(Kind.DUPLICATE, times_told=3)
            scene.fill("4", "6", of=a)
            await until(lambda: len(heard.trades()) == 2)
            await broker.cash("alice")
            assert heard.trades() == scene.fills()

    scene.play(act)


def test_a_fill_that_comes_after_the_cancel_is_told(scene: Scene) -> None:
    a = name(scene, "a")

    async def act(broker: FixBroker) -> None:
        async with listening(broker) as heard:
            await broker.submit(buy(a, 10, **limit("90")))
            scene.at.fault(Kind.LATE_FILL, "cancel", left=1)
            answer = await broker.cancel(cancel(name(scene, "c"), buy(a)))
            assert answer.exec_type is ExecType.CANCELED
            await until(lambda: heard.trades() == scene.fills() != [])

    scene.play(act)


@pytest.mark.parametrize("what", ["cancel", "replace"])
def test_a_request_that_races_a_fill_loses_and_says_so(scene: Scene, what: str) -> None:
    a, c = name(scene, "a"), name(scene, "c")

    async def act(broker: FixBroker) -> None:
        await broker.submit(buy(a, 10, **limit("90")))
        scene.at.fault(Kind.CANCEL_RACE, what, left=1)
        if what == "cancel":
            answer = await broker.cancel(cancel(c, buy(a)))
        else:
            answer = await broker.replace(change(c, buy(a), 20))
        rejected = ExecType.CANCEL_REJECTED if what == "cancel" else ExecType.REPLACE_REJECTED
        assert (answer.exec_type, answer.client_order_id, answer.original_client_order_id) == (rejected, c, a)

    scene.play(act)
    assert len(scene.fills()) == 1


def test_a_bust_and_a_correction_name_the_fill_that_they_are_about(scene: Scene) -> None:
    a = name(scene, "a")

    async def act(broker: FixBroker) -> None:
        async with listening(broker) as heard:
            await broker.submit(buy(a, 10, **limit("90")))
            scene.fill("4", "5", of=a)
            first, second = scene.fills()
            scene.at.bust(first)
            scene.at.correct(second, "3", "89")
            await until(lambda: heard.first(ExecType.TRADE_CORRECT) is not None)
            bust, correction = heard.first(ExecType.TRADE_CANCEL), heard.first(ExecType.TRADE_CORRECT)
            assert bust is not None
            assert correction is not None
            assert (bust.reference_exec_id, bust.last_quantity, bust.cumulative_quantity) == (first, D(4), D(5))
            assert (correction.reference_exec_id, correction.last_quantity) == (second, D(3))
            assert (correction.last_price, correction.cumulative_quantity) == (D(89), D(3))

    scene.play(act)


def test_an_order_replaced_twice_is_cancelled_under_the_name_of_the_first(scene: Scene) -> None:
    a = name(scene, "a")

    async def act(broker: FixBroker) -> None:
        await broker.submit(buy(a, 10, **limit("90")))
        await broker.replace(change(name(scene, "r1"), buy(a), 11))
        await broker.replace(change(name(scene, "r2"), buy(a), 12, limit_price="91"))
        answer = await broker.cancel(cancel(name(scene, "c"), buy(a)))
        assert (answer.exec_type, answer.order_quantity, answer.limit_price) == (ExecType.CANCELED, D(12), D(91))

    scene.play(act)


def test_an_order_of_somebody_else_is_cancelled_by_the_terms_that_the_venue_tells(scene: Scene) -> None:
    theirs = name(scene, "x")
    scene.at.external_order(scene.number, symbol="TPT", qty="3", side="sell", type="limit", limit_price="120",
                            time_in_force="gtc", client_order_id=theirs)  # fmt: skip

    async def act(broker: FixBroker) -> None:
        (working,) = await broker.open_orders("alice")
        assert (working.client_order_id, working.order_quantity) == (theirs, D(3))
        answer = await broker.cancel(cancel(name(scene, "c"), buy(theirs)))
        assert answer.exec_type is ExecType.CANCELED

    scene.play(act)


def test_a_cancel_of_an_order_that_nobody_placed_is_refused(scene: Scene) -> None:
    async def act(broker: FixBroker) -> None:
        with pytest.raises(Refused) as refused:
            await broker.cancel(cancel(name(scene, "c"), buy(name(scene, "never"))))
        assert refused.value.code == "NOT_FOUND"

    scene.play(act)


def test_a_session_that_the_venue_does_not_know_is_unavailable_and_says_why(scene: Scene) -> None:
    async def whole() -> None:
        broker = scene.broker(sender="NOBODY", logon_s=2.0)
        with pytest.raises(Unavailable, match="log us on"):
            await broker.submit(buy(name(scene, "a")))
        await broker.close()

    asyncio.run(asyncio.wait_for(whole(), 60))


def test_a_broker_that_lost_its_folder_is_told_everything_again(tmp_path: Path) -> None:
    """It begins at number 1, the venue is further on: they come together, and the rest is asked for by number."""
    port = choose_free()

    async def life(folder: Path, *names: str) -> list[str]:
        broker = fix_at(port, folder, logon_s=30.0)
        for one in names:
            await broker.submit(buy(one, 1))
        at.price("TPT", "90")
        await until(lambda: len(fills(at)) == len(names) or not names)
        wanted = fills(at)
        told: list[str] = []
        async with asyncio.timeout(30):
            while told != wanted:
                await asyncio.sleep(0.05)
                told = [fill.exec_id for fill in (await broker.fills("alice")).fills]
        await broker.close()
        return told

    with venue(tmp_path / "venue", fix_port=port) as at:
        first = asyncio.run(life(tmp_path / "one", "a", "b"))
        assert len(first) == 2
        assert asyncio.run(life(tmp_path / "two")) == first


def fills(at: Venue) -> list[str]:
    with at.judge() as judge:
        return [one.execution_id for one in judge.executions()]


def test_an_account_that_the_venue_does_not_give_us_gets_no_order(scene: Scene) -> None:
    async def whole() -> None:
        broker = fix_at(scene.port, scene.folder, {"number": "SOMEBODY-ELSES"})
        with pytest.raises(Refused) as refused:
            await broker.submit(buy(name(scene, "a")))
        assert refused.value.code == "WRONG_ACCOUNT"
        with pytest.raises(Refused):
            await broker.positions("alice")
        await broker.close()

    asyncio.run(asyncio.wait_for(whole(), 60))
    assert not scene.names()
    with scene.at.judge() as judge:
        assert not judge.orders("SOMEBODY-ELSES")


def test_a_session_whose_first_address_is_gone_goes_on_at_the_second_and_loses_nothing(scene: Scene) -> None:
    a, b = name(scene, "a"), name(scene, "b")

    async def whole() -> None:
        async with Line(scene.port) as line:
            broker = scene.broker(port=line.port, second_host="127.0.0.1", second_port=scene.port)
            try:
                async with listening(broker) as heard:
                    await broker.submit(buy(a, 10, **limit("90")))
                    line.leave()
                    scene.fill("1", of=a)
                    await until(lambda: heard.trades() == scene.fills())
                    await broker.submit(buy(b, 10, **limit("90")))
            finally:
                await broker.close()

    asyncio.run(asyncio.wait_for(whole(), 120))
    assert scene.names() == [a, b]


def test_a_session_begins_at_the_second_address_where_nobody_is_at_the_first(scene: Scene) -> None:
    a = name(scene, "a")

    async def act(broker: FixBroker) -> None:
        await broker.submit(buy(a, 10, **limit("90")))

    scene.play(act, port=choose_free(), second_host="127.0.0.1", second_port=scene.port)
    assert scene.names() == [a]
