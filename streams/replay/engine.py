"""The engine's process of a replay on servers: all rooms, the paper venue and the driver.

    python -m streams.replay.engine ORDER.json [--when-told]

With `--when-told` it gets ready to work and waits for a line on stdin; without one, it ends.

It may be killed at any point and started again: rooms go on from their tables, the venue from its ledger, and the
driver leaves out what the log holds already. JSON lines on stdout say how far it is; the last one says `done`.
"""

import asyncio
import json
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from connectors.ai.kafka_signals import KafkaSignals
from connectors.ai.learner import Learner
from connectors.brokers.paper import PaperBroker, PaperVenue, SqliteLedger
from connectors.kafka.environment import require_mode
from connectors.registry.client import ConfluentRegistry
from connectors.registry.publish import codec_of
from schemas.control import ClockTick, Mode
from schemas.record import Record
from schemas.topics import MARKET_BARS, MARKET_MARKS, ORDERS_COMMANDS
from streams.execution.handler import Execution
from streams.replay.actors import Market, Publishers, Relay
from streams.replay.backtest import CLOCK, inform, publisher_of
from streams.replay.once import ROLES, Log, OnceSource
from streams.replay.order import WHEN_TOLD, Order
from streams.replay.parent import end_with_parent
from streams.replay.plan import Plan, opening
from streams.rooms import all_rooms
from streams.runtime.app import RoomApp
from streams.runtime.carrier import Carrier, Standing
from streams.runtime.clients import Cluster
from streams.runtime.effect import KafkaEffect
from streams.runtime.kafka_room import KafkaRoom
from streams.runtime.reader import Start
from streams.runtime.schedule import AsyncActor, Step, in_order, settle_async

READY_POLL_S = 0.02
TELL_EVERY_S = 0.5
PNL = "pnl"
"""It folds whenever there is something (see `streams.runtime.schedule.AT_ONCE`)."""


class Engine:
    """All actors of one replay, and who drives them."""

    def __init__(self, order: Order, folder: Path):
        self.plan: Plan = order.plan()
        self._speed = order.speed
        cluster = Cluster(order.bootstrap_servers)
        self._registry = ConfluentRegistry(order.registry_url)
        codec = codec_of(self._registry)
        require_mode({"bootstrap.servers": order.bootstrap_servers}, codec, order.environment, Mode.REPLAY)
        self.app = RoomApp(order.environment, cluster, codec, folder, replication=order.replication)
        self._venue = PaperVenue(
            name=self.plan.venue,
            rules=self.plan.rules,
            ledger=SqliteLedger(folder / "paper-venue.sqlite"),
        )
        self._execution = Execution({self.plan.venue: PaperBroker(self._venue)}, Mode.REPLAY)
        self.rooms = [self.app.room(room, turns=True) for room in all_rooms()]
        self._pnl = next(room for room in self.rooms if room.name == PNL)
        self.effect = self.app.effect(
            "execution",
            ORDERS_COMMANDS,
            self._execution.on_command,  # type: ignore[arg-type]  # the map lets no other record into this topic
            order_by=lambda command: str(getattr(command, "account_id")),  # noqa: B009 - every command has one
            turns=True,
        )
        for room in self.rooms:
            self.app.carry(room)
        self.app.carry(self.effect)
        self.learner = Learner(self.plan.provider_id) if self.plan.provider_id else None
        self._signals: KafkaSignals | None = None
        self._sources: dict[str, OnceSource] = {}
        self._actors: list[AsyncActor] = []
        self._told_s = 0.0
        self.steps = 0
        """Steps of the plan that are done, those done before a restart included."""
        self.time_us = 0
        self.stopping = False

    async def run(self) -> bool:
        """Replay the plan; false where it was stopped before its end."""
        # The records of the beginning, sources and readers take as long as the rooms, and need nothing of them.
        loop = asyncio.get_running_loop()
        first = loop.run_in_executor(None, lambda: list(opening(self.plan)))
        actors = loop.run_in_executor(None, self._all_actors)
        await self.app.start()
        try:
            await self._until_owned()
            self._actors = await actors
            await self._catch_up()
            self._pnl.open()
            await self._open(await first)
            return await self._drive()
        finally:
            await asyncio.gather(first, actors, return_exceptions=True)
            await self.app.stop()
            for source in self._sources.values():
                source.close()
            if self._signals is not None:
                self._signals.close()

    def _all_actors(self) -> list[AsyncActor]:
        log = Log(self.app.cluster, self.app.codec, self.app.environment)
        # Publishers write through the SDK that every provider gets.
        for role in set(ROLES) - {"publishers"}:
            self._sources[role] = OnceSource(
                self.app.cluster, self.app.codec, self.app.environment, role, self.app.progress, log
            )
        actors: list[AsyncActor] = [
            *self.rooms,
            self.effect,
            Relay(self.app.reader(MARKET_MARKS, "relay", Start.BEGINNING), self._sources["relay"]),
            Market(
                self._venue,
                self.app.reader(MARKET_BARS, "paper_venue", Start.BEGINNING),
                self.app.source("execution"),
            ),
        ]
        if self.learner is not None:
            self._signals = KafkaSignals(
                self.app.cluster.bootstrap_servers, self._registry, environment=self.app.environment
            )
            actors.append(
                Publishers(
                    self.learner,
                    self.app.reader(MARKET_BARS, "publishers", Start.BEGINNING),
                    publisher_of(self._signals, self.learner),
                    log,
                    self.app.progress,
                )
            )
        return [actors[i] for i in in_order([actor.name for actor in actors])]

    async def _until_owned(self) -> None:
        """Wait until every room and the effect own their partitions and have their tables."""
        carriers = [*(room.carrier for room in self.rooms), self.effect.carrier]
        while not all(_is_live(carrier) for carrier in carriers):
            await asyncio.sleep(READY_POLL_S)

    async def _catch_up(self) -> None:
        """Take one round of turns for what an engine before this one has left, in the order in which it would have.

        Who wrote it is gone, so nobody's progress tells of it: a room's turn ends at the end of its inbox.
        """
        doors: dict[str, KafkaRoom | KafkaEffect] = {room.name: room for room in self.rooms}
        doors[self.effect.name] = self.effect
        for actor in self._actors:
            door = doors.get(actor.name)
            if door is None:
                await actor.drain()
                continue
            door.gate.open()
            while door.has_lag:
                await asyncio.sleep(READY_POLL_S)
            door.gate.close()

    async def _open(self, first: Iterable[tuple[str, Record]]) -> None:
        for role, record in first:
            self._sources[role].write(record)
            inform(self._venue, record)
        await self._flush()
        await settle_async(self._actors)

    async def _drive(self) -> bool:
        done = await self._steps()
        await self._pnl.drained()
        return done

    async def _steps(self) -> bool:
        for step in self.plan.data_set.steps(self.plan.from_us, self.plan.until_us):
            if self.stopping:
                return False
            if self._speed and self.time_us:
                await asyncio.sleep((step.time_us - self.time_us) / 1e6 / self._speed)
            if await self._begin(step):
                await settle_async(self._actors)
            self.steps += 1
            self.time_us = step.time_us
            self._tell()
        return True

    async def _begin(self, step: Step) -> bool:
        """Let clock and feed write; whether anything was new."""
        tick: Record = ClockTick(event_time_us=step.time_us, clock_id=CLOCK)
        ticked = self._sources["clock"].write(tick) if step.time_us > self.time_us else False
        fed = [self._sources["feeds"].write(record) for record in step.records]
        await self._flush()
        return ticked or any(fed)

    async def _flush(self) -> None:
        for source in self._sources.values():
            await source.flushed()

    def _tell(self) -> None:
        if time.monotonic() - self._told_s >= TELL_EVERY_S:
            self._told_s = time.monotonic()
            tell({"steps": self.steps, "time_us": self.time_us})


def _is_live(carrier: Carrier) -> bool:
    """Whether partitions are ours, and all of them have their tables."""
    owned = carrier.owned.values()
    return bool(owned) and all(one.standing is Standing.LIVE for one in owned)


def tell(news: dict[str, Any]) -> None:
    """One line of JSON to whoever started this process."""
    print(json.dumps(news), flush=True)


async def _main(order: Order, folder: Path) -> int:
    engine = Engine(order, folder)
    loop = asyncio.get_running_loop()

    def stop() -> None:
        engine.stopping = True

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    done = await engine.run()
    forecasts = engine.learner.score().rows() if engine.learner is not None else ()
    tell({"forecasts": dict(forecasts)})
    tell({"done": done, "steps": engine.steps, "time_us": engine.time_us})
    return 0


def _told_to_begin() -> bool:
    """Load what is slow to load, which takes longer than servers take to start; then wait for the word."""
    import exchange_calendars  # noqa: F401, PLC0415 - nobody else needs it at once

    return bool(sys.stdin.readline())


def main() -> None:
    """Read the order from the file named on the command line, and carry it out."""
    end_with_parent()
    if WHEN_TOLD in sys.argv and not _told_to_begin():
        return
    path = Path(sys.argv[1])
    order = msgspec.json.decode(path.read_bytes(), type=Order)
    sys.exit(asyncio.run(_main(order, path.parent)))


if __name__ == "__main__":
    main()
