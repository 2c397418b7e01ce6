"""The engine's process of a paper run: a recorded market played in wall time to the roles of production.

    python -m streams.replay.paper ORDER.json [--when-told]

The worker is a process of its own; here are the sources that production has as processes too: the clock, the marks
relay, a feed, and the learner as a provider of signals. Nobody takes turns: what comes first depends on the machine, as
in production, and whether every decision was right is asked of the record afterwards (`quantumleap replay inbox`).

It may be killed at any point and started again: the feed goes on behind the last recorded row that the log holds, and
the learner learns again from the bars in the log, and says nothing of those that are past.
"""

import asyncio
import json
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import msgspec

from connectors.ai.kafka_signals import KafkaSignals
from connectors.ai.learner import Learner
from connectors.embedded.ports import choose_free
from connectors.feeds.data_sets import DataSet
from connectors.kafka.environment import require_mode
from connectors.registry.client import ConfluentRegistry
from connectors.registry.publish import codec_of
from schemas.control import Mode
from schemas.market import Bar, Heartbeat
from schemas.risk import Limit
from schemas.scalars import DAY_US, SECOND_US
from schemas.topics import MARKET_BARS, MARKET_TICKS
from streams.accounts.risk.limits import standard_limits
from streams.replay.backtest import publisher_of
from streams.replay.child import Child
from streams.replay.once import Log, OnceSource
from streams.replay.order import WHEN_TOLD, Order
from streams.replay.parent import end_with_parent
from streams.replay.plan import opening
from streams.replay.wall import Beat, Played, beats, moved
from streams.runtime.clients import Cluster
from streams.runtime.progress import Progress
from streams.runtime.reader import Reader, Start
from streams.runtime.source import Source
from streams.sources.clock import Clock, wall_us
from streams.sources.relay import MarksRelay

LOOK_EVERY_S = 0.2
TELL_EVERY_S = 0.5
READY_S = 300.0
DRAIN_S = 20.0
QUIET_LOOKS = 3
"""Nobody has anything left when so many looks in a row find nothing: what one wrote may not have reached the next."""
SIGNALS_PER_MINUTE = 6_000
"""The learner speaks as often as somebody plays."""
DAILY_LOSS_MAX = "daily_loss_max"


class WorkerEnded(RuntimeError):
    """The worker ended and its supervisor did not start it again."""


class Paper:
    """All that a paper run needs beside the servers and the sink, until the market is played or it is stopped."""

    def __init__(self, order: Order, path: Path):
        plan = order.plan()
        assert isinstance(plan.data_set, DataSet), "an order names a data set"
        self.plan = replace(plan, signals_per_minute=SIGNALS_PER_MINUTE, limits=tuple(limits(plan.cash)))
        self.learner = Learner(plan.provider_id)
        self.stopping = asyncio.Event()
        self.steps = 0
        """Recorded times that were told, those told by an engine before this one included."""
        self.time_us = 0
        self._order = order
        self._path = path
        self._step_us = plan.data_set.description.step_us
        self._span_us = round(SECOND_US / order.speed)
        self._cluster = Cluster(order.bootstrap_servers)
        self._registry = ConfluentRegistry(order.registry_url)
        self._codec = codec_of(self._registry)
        require_mode({"bootstrap.servers": order.bootstrap_servers}, self._codec, order.environment, Mode.PAPER)
        self._ending = threading.Event()
        self._threads = ThreadPoolExecutor(4, "source")
        self._duties: list[asyncio.Future[Any]] = []
        self._told_s = 0.0

    async def run(self) -> bool:
        """Play the market; false where it was stopped before its end."""
        port = choose_free()
        log = self._path.parent / "worker.log"
        worker = Child("worker", ["-m", "streams.replay.worker", str(self._path), str(port)], log)
        try:
            await self._begin()
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as asking:
                done = await self._until_ready(asking, worker) and await self._play(worker)
                await self._drained(asking, worker)
            return done
        finally:
            await self._end(worker)

    async def _begin(self) -> None:
        """Tell who may trade what, and let the sources begin, at once with the worker."""
        loop, order = asyncio.get_running_loop(), self._order
        log = await loop.run_in_executor(self._threads, Log, self._cluster, self._codec, order.environment)
        progress = Progress()
        self._once = {
            role: OnceSource(self._cluster, self._codec, order.environment, role, progress, log)
            for role in ("reference", "control", "feeds")
        }
        self._log = log
        self._plain = {role: Source(self._cluster, self._codec, order.environment, role) for role in ("clock", "relay")}
        self._relay = MarksRelay(self._cluster, self._codec, order.environment, self._plain["relay"], remark)
        clock = Clock(self._plain["clock"], remark)
        self._bars = Reader(self._cluster, self._codec, MARKET_BARS, order.environment, Start.BEGINNING)
        self._signals = KafkaSignals(order.bootstrap_servers, self._registry, environment=order.environment)
        self._duties = [
            loop.run_in_executor(self._threads, clock.run, self._ending),
            loop.run_in_executor(self._threads, self._relay.run, self._ending),
            asyncio.ensure_future(self._publish(wall_us())),
        ]
        now_us = wall_us()
        opened = replace(self.plan, data_set=Played(self.plan.data_set), from_us=now_us, until_us=now_us + DAY_US)
        for role, record in opening(opened):
            self._once[role].write(record)
        for source in self._once.values():
            await source.flushed()

    async def _publish(self, began_us: int) -> None:
        """Learn from every bar, and say what there is to say of those that are not past."""
        publisher = publisher_of(self._signals, self.learner)
        while not self._ending.is_set():
            for one in await self._bars.read(LOOK_EVERY_S):
                if not isinstance(one.record, Bar):
                    continue
                for said in self.learner.on_bar(one.record):
                    if one.record.event_time_us >= began_us:
                        await publisher.publish_async(said)

    async def _until_ready(self, asking: httpx.AsyncClient, worker: Child) -> bool:
        """Wait until every room folds and execution has compared the account with the venue; false where stopped."""
        give_up = time.monotonic() + READY_S
        reasons = "it does not answer"
        while not self.stopping.is_set():
            try:
                answer = await asking.get("/ready")
                if answer.is_success:
                    return True
                reasons = answer.text
            except httpx.HTTPError:
                pass
            if time.monotonic() > give_up:
                raise TimeoutError(f"the worker is not ready after {READY_S:g} s: {reasons}")
            await self._pause(LOOK_EVERY_S, worker)
        return False

    async def _play(self, worker: Child) -> bool:
        """Tell one recorded time after the other, each as if it were now."""
        told_us, due_s = 0, time.monotonic()
        for beat in beats(self.plan.data_set.steps(self.plan.from_us, self.plan.until_us)):
            new = [record for record in beat.records if not self._log.holds(MARKET_TICKS, record)]
            if not all(isinstance(record, Heartbeat) for record in new):
                await self._pause(due_s - time.monotonic(), worker)
                if self.stopping.is_set():
                    return False
                told_us = max(wall_us(), told_us + self._span_us)
                due_s = max(due_s, time.monotonic() - self._span_us / SECOND_US) + self._span_us / SECOND_US
                await self._tell_market(Beat(beat.time_us, new), told_us)
            self.steps += 1
            self.time_us = beat.time_us
            self._tell()
        return True

    async def _tell_market(self, beat: Beat, now_us: int) -> None:
        feeds = self._once["feeds"]
        for record in beat.records:
            feeds.write(moved(record, beat.time_us, now_us, self._step_us, self._span_us))
        await feeds.flushed()

    async def _pause(self, seconds: float, worker: Child | None = None) -> None:
        """Wait for so long, or until somebody asks to stop. Raises what ended a source, and WorkerEnded."""
        if seconds > 0:
            asked: asyncio.Future[Any] = asyncio.ensure_future(self.stopping.wait())
            await asyncio.wait({asked, *self._duties}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            asked.cancel()
        for duty in self._duties:
            if duty.done():
                duty.result()
                raise RuntimeError("a source ended by itself")
        if worker is not None and worker.ended is not None:
            raise WorkerEnded(f"the worker ended with {worker.ended}; its log says why")

    async def _drained(self, asking: httpx.AsyncClient, worker: Child) -> None:
        """Wait a bounded time until all that was told is folded, relayed and answered."""
        give_up, quiet = time.monotonic() + DRAIN_S, 0
        while quiet < QUIET_LOOKS and time.monotonic() < give_up and worker.ended is None:
            quiet = quiet + 1 if await self._is_quiet(asking) else 0
            await asyncio.sleep(LOOK_EVERY_S)

    async def _is_quiet(self, asking: httpx.AsyncClient) -> bool:
        try:
            told = (await asking.get("/progress")).json()
        except (httpx.HTTPError, ValueError):
            return False
        lag = sum(one["lag_records"] for room in told.values() for one in room["partitions"].values())
        return not lag and not sum(one.records for one in self._relay.waiting()) and self._bars.at_end

    def _tell(self) -> None:
        if time.monotonic() - self._told_s >= TELL_EVERY_S:
            self._told_s = time.monotonic()
            tell({"steps": self.steps, "time_us": self.time_us})

    async def _end(self, worker: Child) -> None:
        """Let the sources and the worker finish, and close what was opened."""
        loop = asyncio.get_running_loop()
        self._ending.set()
        ended = await asyncio.gather(
            *self._duties, loop.run_in_executor(self._threads, worker.stop), return_exceptions=True
        )
        for error in ended:
            if isinstance(error, BaseException):
                remark(f"! {type(error).__name__}: {error}")
        if self._duties:
            self._bars.close()
            self._signals.close()
            for once in self._once.values():
                once.close()
            for source in self._plain.values():
                source.close()
        self._threads.shutdown()


def limits(capital: Decimal) -> list[Limit]:
    """The standard limits, but a day may lose what the whole run may: many recorded days pass within one."""
    standard = {one.name: one for one in standard_limits(capital)}
    whole = Limit(name=DAILY_LOSS_MAX, value=standard["drawdown_max"].value)
    return [*(standard | {DAILY_LOSS_MAX: whole}).values()]


def tell(news: dict[str, Any]) -> None:
    """One line of JSON to whoever started this process."""
    print(json.dumps(news), flush=True)


def remark(text: str) -> None:
    """A line for the log."""
    print(text, file=sys.stderr, flush=True)


async def _main(order: Order, path: Path) -> int:
    engine = Paper(order, path)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, engine.stopping.set)
    done = await engine.run()
    tell({"forecasts": dict(engine.learner.score().rows())})
    tell({"done": done, "steps": engine.steps, "time_us": engine.time_us})
    return 0


def main() -> None:
    """Read the order from the file named on the command line, and carry it out."""
    end_with_parent()
    if WHEN_TOLD in sys.argv and not sys.stdin.readline():
        return
    path = Path(sys.argv[1])
    order = msgspec.json.decode(path.read_bytes(), type=Order)
    sys.exit(asyncio.run(_main(order, path)))


if __name__ == "__main__":
    main()
