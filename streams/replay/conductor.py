"""The conductor of `run`: prepares the servers, starts engine and sink as processes of their own, and watches them.

What the engine is, the mode says: rooms that take turns (`engine`), or a worker in wall time (`paper`).

An engine that ends itself is started again, as a supervisor does in production. What came of the run is read from the
topics, so that it is the same whether the engine lived through or died in between.
"""

import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from connectors.clickhouse.client import ClickHouse, database_of
from connectors.errors import Refused, Unavailable
from schemas.control import Mode
from schemas.scalars import SECOND_US, iso_of
from schemas.topics import Topic
from streams.preparation import prepare
from streams.replay.child import STOP_WAIT_S, Child
from streams.replay.hops import hops_ms, records_since
from streams.replay.lookout import Lookout
from streams.replay.order import WHEN_TOLD, Order
from streams.replay.result import WATCHED, Result
from streams.runtime.clients import Cluster
from streams.runtime.reader import Reader, Received, Start
from streams.settings import Settings

RESTARTS_MAX = 5
"""Ends in a row without a step in between; an engine that gets on may be ended as often as one likes."""
SINK_WAIT_S = 60.0
PAPER_STOP_WAIT_S = 90.0
"""What was published is folded first, then the worker finishes."""
LOOKS = 3
"""The sink looks twice a second; what was committed before the first of these looks has reached it by the last."""
FAIL_STOPPED = 70
KAFKA = "Kafka"


class EngineFailed(RuntimeError):
    """The engine's process ended again and again without a step in between; `log` is what it said."""

    def __init__(self, ended: int | None, log: Path):
        said = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
        super().__init__(
            f"the engine ended with {ended} {RESTARTS_MAX} times in a row: {said[-1] if said else 'silently'}"
        )
        self.log = log


def folder_of(settings: Settings) -> Path:
    """Where a replay keeps its order and its logs."""
    return settings.folder / "replay"


def engine_of(settings: Settings) -> Child:
    """An engine that gets ready while the servers start, and begins when it is told."""
    folder, on_paper = folder_of(settings), settings.mode is Mode.PAPER
    module = "streams.replay.paper" if on_paper else "streams.replay.engine"
    words = ["-m", module, str(folder / "order.json"), WHEN_TOLD]
    return Child("engine", words, folder / "engine.log", PAPER_STOP_WAIT_S if on_paper else STOP_WAIT_S)


class Conductor:
    """One `run`, from prepared servers to the summary.

    engine: one that waits to be told to begin, if there is one already.
    """

    def __init__(self, order: Order, settings: Settings, say: Callable[[str], None], engine: Child | None = None):
        self._order = order
        self._settings = settings
        self._say = say
        self._folder = folder_of(settings)
        self._first_engine = engine
        self._cluster = Cluster(order.bootstrap_servers)
        self._begun = time.monotonic()
        self._restarts = 0
        self._last_step = -1
        self._stopping = False
        self.result = Result()
        self._readers: list[Reader] = []
        self._new_readers: Callable[[], list[Reader]] = list
        self._records = 0
        self._told: tuple[float, int] | None = None

    def run(self) -> tuple[dict[str, Any], float]:
        """What came of the replay, and how many seconds it took. Ctrl-C ends it early, in order."""
        self._prepare()
        before = {number: signal.signal(number, self._interrupted) for number in (signal.SIGINT, signal.SIGTERM)}
        self._sink = self._new_sink()
        self._lookout = Lookout(self._servers(), self._say)
        try:
            last_news = self._drive()
            self._read_rest()
            on_the_way = self._on_the_way() if self._wait_for_sink() else {"latency_ms": {}}
        finally:
            self._lookout.close()
            for number, handler in before.items():
                signal.signal(number, handler)
            self._sink.stop()
            for reader in self._readers:
                reader.close()
        return {**self.result.as_json(), **last_news, **on_the_way}, time.monotonic() - self._begun

    def _servers(self) -> dict[str, str]:
        order = self._order
        return {
            KAFKA: order.bootstrap_servers,
            "schema registry": order.registry_url,
            "ClickHouse": order.clickhouse_url,
        }

    def _prepare(self) -> None:
        order = self._order
        codec = prepare(
            self._settings,
            bootstrap_servers=order.bootstrap_servers,
            registry_url=order.registry_url,
            clickhouse_url=order.clickhouse_url,
            author="quantumleap run",
            step=self._step,
        )
        # Not before: a folder belongs to a replay only once its servers have taken it.
        half = self._folder / ".order.json"
        half.parent.mkdir(parents=True, exist_ok=True)
        half.write_bytes(msgspec.json.encode(order))
        half.replace(self._folder / "order.json")
        self._new_readers = lambda: [
            Reader(self._cluster, codec, topic, order.environment, Start.BEGINNING) for topic in WATCHED
        ]
        self._readers = self._new_readers()

    def _drive(self) -> dict[str, Any]:
        """Let the engine run to its end, starting it again where it ends itself; return its last news."""
        begun = time.monotonic()
        engine = self._engine()
        try:
            told = 0.0
            while engine.ended is None or self._goes_on(engine):
                if engine.ended is not None:
                    engine.stop()
                    if self._is_waiting():
                        continue
                    engine = self._engine()
                if self._stopping:
                    engine.stop()
                    break
                self._read()
                self._keep_sink()
                if engine.news and time.monotonic() - told >= 1:
                    if not told:
                        self._step("engine", "all rooms fold", begun)
                    told = time.monotonic()
                    self._status(engine)
                time.sleep(0.1)
        finally:
            engine.stop()
        if engine.ended != 0 and not self._stopping:
            raise EngineFailed(engine.ended, self._log("engine"))
        return {"forecasts": engine.news.get("forecasts", {})}

    def _goes_on(self, engine: Child) -> bool:
        """Whether an engine that ended is started again."""
        steps = int(engine.news.get("steps", -1))
        if steps > self._last_step:
            self._last_step, self._restarts = steps, 0
        if engine.ended == 0 or self._stopping:
            return False
        if self._lookout.away:
            return True
        if self._restarts >= RESTARTS_MAX:
            return False
        self._restarts += 1
        how = "ended itself (fail-stop)" if engine.ended == FAIL_STOPPED else f"was ended ({engine.ended})"
        self._say(f"! the engine {how}; starting it again")
        return True

    def _is_waiting(self) -> bool:
        """Whether a server is away that whoever starts now would miss; waits for a moment if so."""
        if not self._lookout.away:
            return False
        time.sleep(0.1)
        return True

    def _engine(self) -> Child:
        engine, self._first_engine = self._first_engine or engine_of(self._settings), None
        engine.begin()
        return engine

    def _keep_sink(self) -> None:
        """A sink that ended goes on where ClickHouse is."""
        if self._sink.ended is not None and not self._lookout.away:
            self._say(f"! the sink was ended ({self._sink.ended}); starting it again")
            self._sink.stop()
            self._sink = self._new_sink()

    def _new_sink(self) -> Child:
        return Child("sink", ["-m", "streams.replay.sink", str(self._folder / "order.json")], self._log("sink"))

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def _read(self) -> None:
        """Take in all that was committed since the last time."""
        for topic, reader in zip(WATCHED, self._readers, strict=True):
            while received := reader.poll(0.0 if reader.at_end else 0.02):
                self._take(topic, received)

    def _read_rest(self) -> None:
        """As `_read`, once nobody writes any more.

        A reader that lost Kafka on the way may not have noticed yet that there is more; then all is read anew.
        """
        if KAFKA in self._lookout.lost:
            for reader in self._readers:
                reader.close()
            self.result, self._readers = Result(), self._new_readers()
            for topic, reader in zip(WATCHED, self._readers, strict=True):
                self._take(topic, reader.to_end())
        self._read()

    def _take(self, topic: Topic, received: Iterable[Received]) -> None:
        for one in received:
            self._records += 1
            assert one.record is not None, one.unreadable
            self.result.take(topic, one.record)

    def _status(self, engine: Child) -> None:
        """One line: where the replay is and what came of it so far.

        speed: recorded seconds a second, since the line before. lag: age of the oldest record not yet in ClickHouse.
        """
        now, at_us = time.monotonic(), int(engine.news.get("time_us", 0))
        found, seconds = self.result, now - self._begun
        (before_s, before_us), self._told = self._told or (now, at_us), (now, at_us)
        # An engine that was started again begins behind where the one before was.
        speed = max(0, at_us - before_us) / SECOND_US / (now - before_s) if now > before_s else 0.0
        drawdown = f"{float(found.max_drawdown):.1%}"
        line = (
            f"{iso_of(at_us)[:10]}  speed {speed:,.0f}  {self._records / seconds:,.0f} records/s  "
            f"signals {found.accepted + sum(found.refused.values())}  orders {found.orders}  fills {found.fills}  "
            f"denied {sum(found.denied.values())}  equity {found.equity:,.0f}  drawdown {drawdown}  "
            f"lag {self._sink.news.get('lag_s', 0.0):.1f} s  ClickHouse {self._sink.news.get('records', 0)} records"
        )
        if self._sink.news.get("away"):
            line += f"  ! ClickHouse is away: {self._sink.news['away']}"
        self._say(line)

    def _wait_for_sink(self) -> bool:
        """Wait until the sink has seen the end of every topic after the engine's end; whether it has."""
        begun = time.monotonic()
        since = int(self._sink.news.get("looks", 0))
        while time.monotonic() - begun < SINK_WAIT_S and self._sink.ended is None:
            news = self._sink.news
            if int(news.get("looks", 0)) >= since + LOOKS and news.get("caught_up"):
                self._step("clickhouse", f"{news['records']} new records are in ClickHouse", begun)
                return True
            time.sleep(0.1)
        self._say(f"! ClickHouse has not taken in everything yet; see {self._log('sink')}")
        return False

    def _on_the_way(self) -> dict[str, Any]:
        """How long hops took, and how many records there were a second; what is not known is left out."""
        order, settings = self._order, self._settings
        server = ClickHouse(
            order.clickhouse_url,
            database_of(order.environment),
            user=settings.clickhouse_user,
            password=settings.clickhouse_password.get_secret_value(),
        )
        try:
            seconds = time.monotonic() - self._begun
            records = records_since(server, round((time.time() - seconds) * 1000))
            return {"latency_ms": hops_ms(server, order.environment), "records_per_s": round(records / seconds, 1)}
        except (Unavailable, Refused) as error:
            self._say(f"! ClickHouse does not tell how long hops took: {error}")
            return {"latency_ms": {}}
        finally:
            server.close()

    def _interrupted(self, _number: int, _frame: Any) -> None:
        if self._stopping:
            os._exit(130)
        self._stopping = True
        self._say("\nstopping: the step in hand is finished, then the summary follows; Ctrl-C again ends at once")

    def _step(self, name: str, text: str, begun: float) -> None:
        self._say(f"✓ {name:<11} {text}  {time.monotonic() - begun:.1f} s")
