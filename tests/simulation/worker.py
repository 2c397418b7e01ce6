"""Worker: a process with rooms, whose carrier, transactions, recovery, door and tables are the runtime's own.

What the runtime takes from `threading`, `time` and confluent-kafka is replaced for the time of a run; and what ends a
process ends the simulated one. Of `KafkaRoom` only the part that belongs to the event loop is not used.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, NoReturn

from confluent_kafka import KafkaException

from schemas.codec import Codec
from schemas.topics import Topic
from streams.runtime import carrier, kafka_room, recovery, transactions
from streams.runtime.carrier import Batch, Carrier
from streams.runtime.clients import Cluster
from streams.runtime.door import Door, Work
from streams.runtime.fail_stop import IN_DOUBT
from streams.runtime.kafka_room import KafkaRoom
from streams.runtime.progress import Progress
from streams.runtime.recovery import Recovery
from streams.runtime.room import Room
from streams.runtime.transactions import Transactions
from tests.simulation.broker import Broker
from tests.simulation.clients import SimAdmin, SimConsumer, SimProducer
from tests.simulation.threads import Clock, Threads
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


def changelog_of(room: Room[Any, Any]) -> str:
    """The changelog of a room, named as Faust does."""
    return f"{ENVIRONMENT}-{room.name}-changelog"


class SimDoor(Door):
    """The door, with a place for faults before and after the fold."""

    world: World

    def fold(self, entries: Any, tables: Mapping[int, Any]) -> Work:
        self.world.point("fold")
        work = super().fold(entries, tables)
        self.world.point("folded")
        return work


class _Deaf:
    """Takes whatever it is told."""

    def __getattr__(self, _: str) -> Callable[..., None]:
        return lambda *_args, **_kwargs: None


class SimRoom(KafkaRoom):
    """A room of a worker: `KafkaRoom` without app and event loop."""

    def __init__(self, site: Site, room: Room[Any, Any], slot: str, shared_recovery: Recovery):
        self.room = room
        self.name = room.name
        self.slot = slot
        self.app = SimpleNamespace(recovery=shared_recovery)  # type: ignore[assignment]  # all that is asked of it
        self.source = room.reads.full_name(ENVIRONMENT)
        self.group = f"{ENVIRONMENT}.{room.name}"
        self.metrics = _Deaf()  # type: ignore[assignment]  # nobody looks at them
        self._world = site.world
        # Nobody takes turns here: the schedule does.
        self.gate = _Deaf()  # type: ignore[assignment]  # a gate that is always open
        self.door = SimDoor(room, site.codec, ENVIRONMENT, self.changelog, site.topics)
        self.door.world = site.world
        self._door = self.door
        name = f"{self.group}.{slot}"
        self._transactions = Transactions(CLUSTER, name, self.source, Progress(), self._stage)
        self.carrier = Carrier(
            CLUSTER,
            topic=self.source,
            group=self.group,
            instance=name if site.fixed else None,
            read=self.door.read,
            recover=self._recover,
            hand_over=self._hand_over,
            batch_max=site.batch_max,
        )
        self._batches: deque[Batch] = deque()
        self._waiting: Task | None = None

    @property
    def changelog(self) -> str:
        return changelog_of(self.room)

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

    def _stage(self, stage: str) -> None:
        self._world.point(stage)

    def _settle(self, batch: Batch, done: Work) -> None:
        self._world.point("settle")
        super()._settle(batch, done)
        self._world.point("settled")

    def _park(self, parked: Any) -> None:
        self._world.tell(f"parked: {parked.error}", self._world.me().process)
        self.carrier.park(parked)


class SimWorker:
    """One incarnation of a worker."""

    def __init__(self, site: Site, process: Process):
        self._site = site
        self.process = process
        self.rooms: list[SimRoom] = []
        site.world.spawn(process, self._start, "start")

    def _start(self) -> None:
        shared = Recovery(CLUSTER)
        shared.start()
        self._recovery = shared
        self.rooms = [SimRoom(self._site, room, self.process.slot, shared) for room in self._site.rooms]
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

    def consumer(_cluster: Cluster, group: str, instance: str | None, _on_error: Any) -> SimConsumer:
        return SimConsumer(broker, group, instance)

    def producer(_cluster: Cluster, name: str, _on_error: Any) -> SimProducer:
        return SimProducer(broker, name, CALL_S, site.mishap)

    replaced: dict[Any, dict[str, Any]] = {
        carrier: {
            "threading": threads,
            "time": clock,
            "fail_stop": site.fail_stop,
            "room_consumer": consumer,
            "PENDING_MAX": site.pending_max,
        },
        transactions: {
            "time": clock,
            "fail_stop": site.fail_stop,
            "room_producer": producer,
            "WAIT_FOR_SERVER_S": 5.0,
        },
        recovery: {
            "threading": threads,
            "time": clock,
            "fail_stop": site.fail_stop,
            "administrator": lambda _: SimAdmin(broker),
            "recovery_reader": lambda _: SimConsumer(broker, committed=broker.laws.recovers_committed),
        },
        kafka_room: {"time": clock, "fail_stop": site.fail_stop},
    }
    kept = [(module, name, getattr(module, name)) for module, values in replaced.items() for name in values]
    try:
        for module, values in replaced.items():
            for name, value in values.items():
                setattr(module, name, value)
        yield
    finally:
        for module, name, value in kept:
            setattr(module, name, value)


def surprising(ended: Ended) -> bool:
    """Whether a process ended for a reason that no fault explains."""
    return ended.code != IN_DOUBT or not (ended.error is None or isinstance(ended.error, KafkaException | TimeoutError))


__all__ = ["CLUSTER", "ENVIRONMENT", "Ended", "SimWorker", "Site", "changelog_of", "simulated", "surprising"]
