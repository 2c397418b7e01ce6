"""Clients: what the runtime asks of confluent-kafka, answered by the simulated broker.

Only what the runtime calls is here, with the promises and pitfalls of librdkafka: a rebalance is told inside `poll`;
the member's generation changes behind the application's back; records are sent by `flush`, some at a time; a call may
time out while what it asked for happens.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException

from streams.runtime.clients import LATEST
from streams.runtime.keys import partition_of
from tests.simulation.broker import Broker, Log, Outcome, Record, Stored, failure
from tests.simulation.groups import Metadata

Callback = Callable[[Any, list[Any]], None]


UNHEARD = 0.05
"""How often a commit that nobody waits for is lost on its way, and not said again by the client."""


class Told:
    """A message that is none: an event of the consumer."""

    __slots__ = ("_error", "_offset", "_place")

    def __init__(self, code: int, place: tuple[str, int] = ("", 0), offset: int = 0):
        self._error = _ERRORS.setdefault(code, KafkaError(code))
        self._place = place
        self._offset = offset

    def error(self) -> KafkaError:
        return self._error

    def topic(self) -> str:
        return self._place[0]

    def partition(self) -> int:
        return self._place[1]

    def offset(self) -> int:
        return self._offset


_ERRORS: dict[int, KafkaError] = {}


class SimConsumer:
    """A consumer, with or without a group."""

    def __init__(
        self,
        broker: Broker,
        group: str = "",
        instance: str | None = None,
        on_commit: Callable[[KafkaError | None, list[Any]], None] | None = None,
        *,
        committed: bool = True,
    ):
        self.broker = broker
        self.world = broker.world
        self.process = broker.world.me().process
        self.member = ""
        self.generation = -1
        self.held: set[int] = set()
        """What the group knows that we hold."""
        self._group_name = group
        self._instance = instance
        self._on_commit = on_commit
        self._acknowledged: deque[tuple[KafkaError | None, list[Any]]] = deque()
        self._committed = committed
        self._topic = ""
        self._logs: dict[tuple[str, int], Log] = {}
        self._positions: dict[tuple[str, int], int] = {}
        self._paused: set[tuple[str, int]] = set()
        self._ended: dict[tuple[str, int], int] = {}
        self._told: deque[tuple[str, set[int]]] = deque()
        self._rejoin = False
        self._joining = False
        self._fatal = False
        self._closed = False
        self._sleeper: Any = None
        self._turn = 0
        self.process.on_end.append(self._gone)

    def subscribe(self, topics: list[str], on_assign: Callback, on_revoke: Callback, on_lost: Callback) -> None:
        (self._topic,) = topics
        self._callbacks = {"assign": on_assign, "revoke": on_revoke, "lost": on_lost}
        self._group = self.broker.group(self._group_name, self._topic)
        self.process.on_pause.append(lambda: self._group.silent(self.member))
        self.process.on_resume.append(self._next_heartbeat)
        self.world.at(self.world.latency(), self._join, self.process)

    def _join(self) -> None:
        if self._closed or self._fatal:
            return
        self._joining = True
        name, claims = self.member, set(self.held)
        # The request arrives even if we do not live to see it.
        self.world.at(self.world.latency(), lambda: self._group.join(self, name, self._instance, claims))

    def hear_rebalance(self) -> None:
        """A heartbeat's answer says that the group rebalances. Whoever is busy with the last one joins after it."""
        if self._told or self._joining:
            self._rejoin = True
        else:
            self._join()

    def synced(self, member: str, generation: int, given: set[int]) -> None:
        """The group's answer: what is ours now."""
        if member != self.member or generation < self.generation or self._fatal or self._closed:
            return
        self._joining = False
        self.generation = generation
        revoked, added = self.held - given, given - self.held
        if revoked:
            self._told.append(("revoke", revoked))
            self._rejoin = True
        if added or not revoked:
            self._told.append(("assign", added))
        self._wake()

    def refused(self, replaced: bool) -> Callable[[], None]:
        """The group does not know us: somebody has our place, or our session ended. What to do when it is heard."""
        member = self.member

        def hear() -> None:
            if member != self.member or self._closed:
                return
            if replaced:
                self._fatal = True
            else:
                self._lose()
            self._wake()

        return hear

    def _next_heartbeat(self) -> None:
        self.world.at(self.world.chance() * self._group.heartbeat_s, self.hear_expiry, self.process)

    def hear_expiry(self) -> None:
        """After a pause, the next heartbeat says whether we are still a member."""
        if self.member and self.member not in self._group.members and not self._closed and not self._fatal:
            others = self._group.members.values()
            self.refused(self._instance is not None and any(m.instance == self._instance for m in others))()

    def _lose(self) -> None:
        self._told.clear()
        self._joining = False
        self.member, self.generation = "", -1
        self._told.append(("lost", set(self.held)))
        self._rejoin = True

    def consumer_group_metadata(self) -> Metadata:
        return Metadata(self._group_name, self.generation, self.member, self._instance)

    def close(self) -> None:
        self._serve()
        if self._topic and not self._closed:
            if self.held:
                self._callbacks["revoke"](self, self._places(self.held))
            if self._instance is None:
                name = self.member
                self.world.at(self.world.latency(), lambda: self._group.leave(name))
            else:
                self._group.silent(self.member)
        self._closed = True
        self._let_go()

    def _gone(self) -> None:
        """The process died: the broker hears nothing any more."""
        if self._topic and self.member and not self._closed:
            self._group.silent(self.member)
        self._let_go()

    def _let_go(self) -> None:
        for log in self._logs.values():
            log.followers.remove(self._wake)
        self._logs.clear()

    def _serve(self) -> bool:
        """Tell the application what changed, in its own thread."""
        while self._acknowledged and self._on_commit is not None:
            self._on_commit(*self._acknowledged.popleft())
        if not self._told:
            return False
        while self._told:
            what, partitions = self._told[0]
            self.world.point(what)
            if what == "assign":
                self.held |= partitions
                self._callbacks[what](self, self._places(partitions))
            else:
                self._callbacks[what](self, self._places(partitions))
                self.incremental_unassign(self._places(partitions))
                if what == "lost":
                    self.held.clear()
                else:
                    self.held -= partitions
            # While the application was busy the group may have forgotten us.
            if self._told and self._told[0][0] == what and self._told[0][1] is partitions:
                self._told.popleft()
        if self._rejoin:
            self._rejoin = False
            self._join()
        return True

    def _places(self, partitions: Iterable[int]) -> list[Any]:
        return [SimpleNamespace(topic=self._topic, partition=p) for p in sorted(partitions)]

    def incremental_assign(self, places: list[Any]) -> None:
        for place in places:
            at = place.topic, place.partition
            log = self._logs[at] = self.broker.logs[at]
            log.followers.append(self._wake)
            self._positions[at] = 0 if place.offset == OFFSET_BEGINNING else place.offset

    def incremental_unassign(self, places: list[Any]) -> None:
        for place in places:
            at = place.topic, place.partition
            log = self._logs.pop(at, None)
            if log is not None:
                log.followers.remove(self._wake)
                self._positions.pop(at)
                self._paused.discard(at)
                self._ended.pop(at, None)

    def pause(self, places: list[Any]) -> None:
        self._paused.update((place.topic, place.partition) for place in places)

    def resume(self, places: list[Any]) -> None:
        self._paused.difference_update((place.topic, place.partition) for place in places)

    def seek(self, place: Any) -> None:
        at = place.topic, place.partition
        if at not in self._logs or self.world.chance() < 0.05:
            raise failure(KafkaError._STATE, "not assigned yet")
        self._positions[at] = place.offset
        self._ended.pop(at, None)

    def commit(self, offsets: list[Any], asynchronous: bool) -> None:
        """Commit offsets with their notes; refused for who is no member of the group as it is now."""
        proof, group = self.consumer_group_metadata(), self._group

        def act() -> None:
            refusal = group.refusal(proof)
            if refusal is not None:
                self.broker.refused[KafkaError(refusal).name()] += 1
                raise failure(refusal)
            for place in offsets:
                group.committed[place.partition] = place.offset
                group.notes[place.partition] = place.metadata or ""

        def tried() -> None:
            refusal: KafkaError | None = None
            try:
                if self.world.chance() < UNHEARD:
                    raise failure(KafkaError.REQUEST_TIMED_OUT)
                act()
            except KafkaException as error:
                refusal = error.args[0]
            self.world.at(self.world.latency(), lambda: self._acknowledged.append((refusal, offsets)), self.process)

        if asynchronous:
            self.world.hit("commit_offsets:sent", self.process)
            self.world.at(self.world.latency(), tried)
        else:
            self.world.call("commit_offsets", act)

    def get_watermark_offsets(self, place: Any, cached: bool) -> tuple[int, int] | None:
        """The ends as the last fetch told."""
        log = self._logs.get((place.topic, place.partition))
        return None if log is None else (0, log.stable)

    def poll(self, timeout: float) -> Any:
        world = self.world
        end = world.now + timeout
        while True:
            if self._fatal:
                self._fatal, self._closed = False, True
                return Told(KafkaError._FATAL)
            if self._serve() and world.chance() < 0.5:
                return None
            found = self._next()
            if found is not None or world.now >= end:
                return found
            self._sleeper = world.me()
            world.wait(end - world.now)
            self._sleeper = None

    def consume(self, count: int, _timeout: float) -> list[Any]:
        found: list[Any] = []
        self._serve()
        if self._logs and self.world.chance() < 0.1:
            count = self.world.random.randrange(count + 1)
        while len(found) < count:
            one = self._next()
            if one is None:
                break
            found.append(one)
        return found

    def _next(self) -> Any:
        logs = self._logs
        if not logs:
            return None
        places = list(logs)
        self._turn += 1
        committed = self._committed
        for at in range(len(places)):
            place = places[(at + self._turn) % len(places)]
            if place in self._paused:
                continue
            log, position = logs[place], self._positions[place]
            limit = log.stable if committed else log.end
            if position < limit:
                stored, self._positions[place] = log.read(position, committed)
                if stored is not None:
                    return stored
                position = self._positions[place]
            if self._ended.get(place) != position:
                self._ended[place] = position
                return Told(KafkaError._PARTITION_EOF, place, position)
        return None

    def _wake(self) -> None:
        if self._sleeper is not None:
            self.world.wake(self._sleeper, self.world.chance() * self.world.latency_s)
            self._sleeper = None


class SimPlainProducer:
    """An idempotent producer: records arrive in their order, and each is acknowledged, in `poll`."""

    def __init__(self, broker: Broker):
        self._broker = broker
        self._world = broker.world
        self._process = broker.world.me().process
        self._acknowledged: deque[Callable[[], None]] = deque()
        self._arrives = 0.0
        self._broken = False
        self._poller: Any = None

    def produce(
        self, topic: str, value: bytes | None, key: bytes | None, partition: int, headers: Any, on_delivery: Any
    ) -> None:
        if partition < 0:
            assert key is not None
            partition = partition_of(key, self._broker.partitions[topic])
        record = Record((topic, partition), key, value, headers)
        world = self._world
        world.hit("outcome:sent", self._process)
        self._arrives = max(self._arrives, world.now + world.latency())
        world.at(self._arrives - world.now, lambda: self._arrive(record, on_delivery))

    def _arrive(self, record: Record, report: Any) -> None:
        # What a dead process had in its queue: some of it was on the wire.
        self._broken = self._broken or (not self._process.alive and self._world.chance() < 0.5)
        if self._broken:
            return
        stored = self._broker.append(record)
        self._world.hit("outcome:done", self._process)
        self._world.at(self._world.latency(), lambda: self._acknowledge(partial(report, None, stored)), self._process)

    def _acknowledge(self, report: Callable[[], None]) -> None:
        self._acknowledged.append(report)
        if self._poller is not None:
            self._world.wake(self._poller)

    def poll(self, timeout: float = 0) -> int:
        world = self._world
        if not self._acknowledged and timeout > 0:
            self._poller = world.me()
            world.wait(timeout)
            self._poller = None
        count = len(self._acknowledged)
        for _ in range(count):
            self._acknowledged.popleft()()
        return count


class SimProducer:
    """A transactional producer."""

    def __init__(self, broker: Broker, name: str, call_s: float, mishap: Callable[[str], str | None]):
        self._broker = broker
        self._world = broker.world
        self._name = name
        self._call_s = call_s
        self._mishap = mishap
        self._epoch = -1
        self._queue: list[Record] = []
        self._reports: list[Callable[[Any, Any], None]] = []
        self._error: KafkaException | None = None
        self._begun = False

    def init_transactions(self, _timeout: float = 0) -> None:
        self._epoch = self._insist("init", lambda: self._broker.init(self._name))

    def begin_transaction(self) -> None:
        self._check()
        assert not self._begun, "a transaction was begun in a transaction"
        self._begun = True

    def produce(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        partition: int = -1,
        headers: Any = None,
        on_delivery: Any = None,
    ) -> None:
        assert self._begun, "a record outside of a transaction"
        if partition < 0:
            assert key is not None
            partition = partition_of(key, self._broker.partitions[topic])
        self._queue.append(Record((topic, partition), key, value, headers))

    def poll(self, _timeout: float = 0) -> int:
        return 0

    def flush(self, _timeout: float = 0) -> int:
        """Send what is queued, some records at a time. What goes wrong is told by the next call."""
        world = self._world
        while self._queue and self._error is None:
            size = len(self._queue)
            count = size if world.chance() < 0.5 else world.random.randrange(1, size + 1)
            chunk, self._queue = self._queue[:count], self._queue[count:]
            try:
                self._insist("produce", lambda chunk=chunk: self._broker.produce(self._name, self._epoch, chunk))  # type: ignore[misc]  # bound early
            except KafkaException as error:
                self._error = error
        self._queue.clear()
        return 0

    def send_offsets_to_transaction(self, places: Sequence[Any], metadata: Any, _timeout: float = 0) -> None:
        """Add the offsets, while records are under way: they arrive before, or with the commit."""
        if self._world.chance() < 0.5:
            self.flush()
        self._check()
        offsets = {place.partition: place.offset for place in places}
        topic = places[0].topic
        self._insist("add_group", lambda: self._broker.add_group(self._name, self._epoch, metadata.group))
        self._world.call(
            "add_offsets",
            self._mishaps(
                "add_offsets", lambda: self._broker.add_offsets(self._name, self._epoch, metadata, topic, offsets)
            ),
        )

    def commit_transaction(self, _timeout: float = 0) -> None:
        self.flush()
        self._check()
        self._finish("commit", Outcome.COMMIT)

    def abort_transaction(self, _timeout: float = 0) -> None:
        self._queue.clear()
        error = self._error
        if error is not None and error.args[0].fatal():
            raise error
        if error is not None and error.args[0].code() == KafkaError.INVALID_PRODUCER_EPOCH:
            old = self._epoch
            self._epoch = self._insist("reinit", lambda: self._broker.init(self._name, old))
            self._begun = False
        else:
            self._finish("abort", Outcome.ABORT)
        self._error = None

    def _finish(self, label: str, outcome: Outcome) -> None:
        act = self._mishaps(label, lambda: self._broker.finish(self._name, self._epoch, outcome))
        self._world.call(label, act)
        self._begun = False

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _insist(self, label: str, act: Callable[[], Any]) -> Any:
        """Ask until the transaction before is over, as librdkafka does by itself."""
        give_up = self._world.now + self._call_s
        act = self._mishaps(label, act)
        wait = 0.002
        while True:
            answer = self._world.call(label, act)
            if answer is not None and answer is not False:
                return answer
            if self._world.now > give_up:
                raise failure(KafkaError._TIMED_OUT, label, retriable=True)
            self._world.sleep(wait)
            wait = min(2 * wait, 0.05)

    def _mishaps(self, label: str, act: Callable[[], Any]) -> Callable[[], Any]:
        """The call, or what is drawn to go wrong with it: it times out, done or not done."""
        mishap = self._mishap(label)
        if mishap is None or label == "produce":
            return act

        def timed_out() -> Any:
            if mishap == "answer lost":
                act()
            raise failure(KafkaError._TIMED_OUT, f"{label}: {mishap}", retriable=True)

        return timed_out


class SimAsker:
    """What recovery asks of a client that knows a group and does not join it."""

    def __init__(self, broker: Broker, group: str):
        self._broker = broker
        self._group = group

    def committed(self, places: Sequence[Any], _timeout: float) -> list[Any]:
        def answer() -> list[Any]:
            group, withheld = self._broker.group(self._group, places[0].topic), self._broker.laws.withholds_unstable
            return [
                SimpleNamespace(
                    partition=place.partition,
                    offset=group.committed.get(place.partition, -1001),
                    metadata=group.notes.get(place.partition, ""),
                    error=_UNSTABLE if withheld and group.unstable(place.partition) else None,
                )
                for place in places
            ]

        found: list[Any] = self._broker.world.call("ask_committed", answer)
        return found

    def close(self) -> None:
        """Nothing was joined."""


class SimAdmin:
    """What recovery asks of an administrator."""

    def __init__(self, broker: Broker):
        self._broker = broker
        self._world = broker.world

    def list_offsets(
        self, wanted: Mapping[Any, Any], isolation_level: Any, request_timeout: float
    ) -> Mapping[Any, Any]:
        def answer() -> Mapping[Any, Any]:
            logs, to_end = self._broker.logs, self._broker.laws.recovers_to_end
            ends = {place: logs[place.topic, place.partition] for place, spec in wanted.items() if spec is LATEST}
            return {
                place: _Done(SimpleNamespace(offset=(log.end if to_end else log.stable) if log else 0))
                for place in wanted
                for log in (ends.get(place),)
            }

        return self._world.call("ask_ends", answer)


_UNSTABLE = KafkaError(KafkaError.UNSTABLE_OFFSET_COMMIT)


class _Done:
    """A future that has its result."""

    __slots__ = ("_value",)

    def __init__(self, value: Any):
        self._value = value

    def result(self, _timeout: float | None = None) -> Any:
        return self._value


__all__ = ["SimAdmin", "SimAsker", "SimConsumer", "SimProducer", "Stored", "Told"]
