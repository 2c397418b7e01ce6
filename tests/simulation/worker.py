"""Worker: a process with rooms, whose carrier, transactions, recovery, door and tables are the runtime's own.

What the runtime takes from `threading`, `time` and confluent-kafka is replaced for the time of a run; and what ends a
process ends the simulated one. Of `KafkaRoom` only the part that belongs to the event loop is not used.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any, NoReturn

from confluent_kafka import KafkaException

from schemas.codec import Codec
from schemas.topics import Topic
from streams.runtime.carrier import Batch
from streams.runtime.clients import Cluster
from streams.runtime.door import Door, Work
from streams.runtime.fail_stop import IN_DOUBT
from streams.runtime.kafka_room import KafkaRoom
from streams.runtime.progress import Progress
from streams.runtime.recovery import Recovery
from streams.runtime.room import Room
from streams.runtime.source import Source
from streams.runtime.traces import Spans
from tests.simulation.broker import Broker
from tests.simulation.clients import SimAdmin, SimAsker, SimConsumer, SimPlainProducer, SimProducer
from tests.simulation.persons import Persons, skipped
from tests.simulation.threads import Clock, Hands, Threads
from tests.simulation.world import Killed, Process, Task, World

ENVIRONMENT = "s"
SESSION_S = 0.4
TRANSACTION_S = 0.2
CALL_S = 0.3
"""A run lives faster than Kafka: the order of these times to each other is as in `clients.Cluster`."""

CLUSTER = Cluster(
    "simulated",
    session_ms=int(SESSION_S * 1000),
    transaction_ms=int(TRANSACTION_S * 1000),
    revoke_bound_s=0.35,
    outage_bound_s=2.0,
)

RUNTIME = [
    import_module(f"streams.runtime.{name}")
    for name in ("carrier", "transactions", "recovery", "kafka_room", "effect", "source", "offsets")
    if find_spec(f"streams.runtime.{name}")
]
"""Modules of the runtime that wait, start threads or talk to Kafka."""

Mishap = Callable[[str], str | None]


@dataclass(slots=True)
class Ended:
    """A process that ended itself."""

    slot: str
    reason: str
    code: int
    error: BaseException | None


@dataclass
class Site:
    """What the workers of a run share.

    pending_max: how much a room reads ahead.
    gather_s: from one batch of a room to its next, at least; 0 lets each room say so itself.
    spans: where steps of traces go.
    """

    world: World
    broker: Broker
    rooms: Sequence[Room[Any, Any]]
    codec: Codec
    topics: tuple[Topic, ...]
    fixed: bool
    batch_max: int
    mishap: Mishap
    pending_max: int = 100
    gather_s: float = 0.0
    spans: Spans | None = None
    ended: list[Ended] = field(default_factory=list)
    on_ended: Callable[[Process], None] = lambda _: None

    def fail_stop(self, reason: str, error: BaseException | None = None, code: int = IN_DOUBT) -> NoReturn:
        """End the process that says so, as `os._exit` does."""
        world = self.world
        process = world.me().process
        if process.alive and not isinstance(error, Killed):
            self.ended.append(Ended(process.slot, reason, code, error))
            world.tell(f"ends itself ({code}): {reason} {error or ''}", process)

            def end() -> None:
                if process.alive:
                    world.kill(process, "is no more")
                    self.on_ended(process)

            world.at(0.0, end)
            while True:
                world.wait(0.0)
        raise Killed


def changelog_name(room_name: str) -> str:
    """The changelog of a room, named as Faust does."""
    return f"{ENVIRONMENT}-{room_name}-changelog"


def changelog_of(room: Room[Any, Any]) -> str:
    """The changelog of a room."""
    return changelog_name(room.name)


class SimDoor(Door):
    """The door, with a place for faults before and after the fold."""

    world: World

    def fold(self, entries: Any, tables: Mapping[int, Any]) -> Work:
        self.world.point("fold")
        work = super().fold(entries, tables)
        self.world.point("folded")
        return work


class Deaf:
    """Takes whatever it is told, and has whatever is asked of it."""

    def __getattr__(self, _: str) -> "Deaf":
        return self

    def __call__(self, *_: Any, **__: Any) -> "Deaf":
        return self


class App(Deaf):
    """What rooms and effects ask of the Faust app; of what only matters outside of a simulation it is deaf."""

    def __init__(self, site: Site):
        self.beacon = None
        self.environment = ENVIRONMENT
        self.cluster = CLUSTER
        self.codec = site.codec
        self.map = site.topics
        self.progress = Progress()
        self.recovery = Recovery(CLUSTER)
        self.spans = site.spans
        self.flows: dict[str, asyncio.Queue[Any]] = {}
        inboxes = {room.reads.full_name(ENVIRONMENT) for room in site.rooms}
        self.skips = Persons(site.broker, site.codec, ENVIRONMENT, inboxes)

    def Table(self, name: str, **_: Any) -> Any:
        """All that is asked of Faust's table is its changelog's name."""
        return SimpleNamespace(changelog_topic_name=changelog_name(name))

    def source(self, role: str) -> Source:
        """As the host's own."""
        return Source(self.cluster, self.codec, self.environment, role, progress=self.progress, topic_map=self.map)


class StagedRoom(KafkaRoom):
    """A room with places for faults around its fold and its settling."""

    def __init__(self, app: App, room: Room[Any, Any], site: Site, slot: str):
        self._world = site.world
        super().__init__(
            app,  # type: ignore[arg-type]  # all that is asked of the app
            room,
            slot=slot,
            fixed_membership=site.fixed,
            batch_max=site.batch_max,
            stage=site.world.point,
        )
        self.carrier.gather_s = site.gather_s or room.gather_s
        self.door = SimDoor(room, site.codec, ENVIRONMENT, self.changelog, site.topics)
        self.door.world = site.world
        self.door.skips |= skipped(site.broker, site.codec, ENVIRONMENT, self.source)
        self.door.traced = site.spans is not None

    def _settle(self, batch: Batch, done: Work) -> None:
        self._world.point("settle")
        super()._settle(batch, done)
        self._world.point("settled")


class SimRoom(StagedRoom):
    """A room without event loop: batches go straight to the room's own thread."""

    def __init__(self, app: App, room: Room[Any, Any], site: Site, slot: str):
        super().__init__(app, room, site, slot)
        self._batches: deque[Batch] = deque()
        self._waiting: Task | None = None

    def run(self) -> None:
        """The room's own thread."""
        self._transactions.start()
        self.carrier.start()
        while True:
            while not self._batches:
                self._waiting = self._world.me()
                self._world.wait()
            self._carry(self._batches.popleft())

    def _hand_over(self, batch: Batch) -> None:
        self._batches.append(batch)
        if self._waiting is not None:
            self._world.wake(self._waiting, self._world.latency() / 10)


class SimWorker:
    """One incarnation of a worker."""

    def __init__(self, site: Site, process: Process):
        self._site = site
        self.process = process
        self.rooms: list[SimRoom] = []
        site.world.spawn(process, self._start, "start")

    def _start(self) -> None:
        app = App(self._site)
        app.recovery.start()
        self.rooms = [SimRoom(app, room, self._site, self.process.slot) for room in self._site.rooms]
        for room in self.rooms:
            self._site.world.spawn(self.process, room.run, room.name)

    def stop(self) -> None:
        """SIGTERM."""
        self._site.world.spawn(self.process, self._stop, "stop")

    def _stop(self) -> None:
        world = self._site.world
        for room in self.rooms:
            if room.carrier._thread.is_alive():
                room.carrier.stop(5.0)
        world.at(0.0, lambda: world.kill(self.process, "stopped"))


@contextmanager
def simulated(site: Site) -> Iterator[None]:
    """Let the runtime live in this world."""
    world, broker = site.world, site.broker
    threads, clock = Threads(world), Clock(world)
    replaced: dict[str, Any] = {
        "threading": threads,
        "time": clock,
        "fail_stop": site.fail_stop,
        "ThreadPoolExecutor": lambda _count, name: Hands(world, name),
        "administrator": lambda _: SimAdmin(broker),
        "asker": lambda _, group: SimAsker(broker, group),
        "room_consumer": lambda _cluster, group, instance, _on_error, _process, on_commit: SimConsumer(
            broker, group, instance, on_commit
        ),
        "recovery_reader": lambda _: SimConsumer(broker, committed=broker.laws.recovers_committed),
        "room_producer": lambda _, name, *_settings: SimProducer(broker, name, CALL_S, site.mishap),
        "plain_producer": lambda *_settings: SimPlainProducer(broker),
        "occupant": lambda slot: slot,
        "PENDING_MAX": site.pending_max,
        "WAIT_FOR_SERVER_S": 5.0,
    }
    kept = [(module, name, getattr(module, name)) for module in RUNTIME for name in replaced if hasattr(module, name)]
    try:
        for module, name, _ in kept:
            setattr(module, name, replaced[name])
        yield
    finally:
        for module, name, value in kept:
            setattr(module, name, value)


def surprising(ended: Ended) -> bool:
    """Whether a process ended for a reason that no fault explains."""
    return ended.code != IN_DOUBT or not (ended.error is None or isinstance(ended.error, KafkaException | TimeoutError))


__all__ = ["CLUSTER", "ENVIRONMENT", "Ended", "SimWorker", "Site", "changelog_of", "simulated", "surprising"]
