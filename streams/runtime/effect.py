"""KafkaEffect: the door to the outside. Reads committed commands, awaits what becomes of them, and records the outcome.

A command's offset is released when its outcome lies durably in the inbox that decides on it. Commands are begun in
their order and run concurrently; offsets are released in order. So after a crash a command may be begun twice: whoever
calls the outside is told (`Context.redelivered`), and asks before it sends.

Whether a former owner may have begun a command is written into the committed offset: `busy` before the first command is
begun, `clean` when everything begun is released. After `clean`, nothing is redelivered.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as Place
from mode import Service

from schemas import metrics
from schemas.record import Record
from schemas.topics import Topic
from streams.runtime.carrier import Batch, Carrier
from streams.runtime.door import Parked
from streams.runtime.fail_stop import fail_stop
from streams.runtime.headers import root_id
from streams.runtime.host import Host
from streams.runtime.intake import Arrival, Entry, Intake, Refusal
from streams.runtime.ledger import BUSY, CLEAN, Ledger
from streams.runtime.metrics import Sample, since_s
from streams.runtime.observers import Counted
from streams.runtime.offsets import Offsets
from streams.runtime.recovery import Ready
from streams.runtime.slots import occupant
from streams.runtime.source import DeliveryFailed, Source
from streams.runtime.traces import Hop, hop_of
from streams.runtime.turns import Turns

RUNNING_MAX = 1_000
"""Commands begun and not yet recorded; beyond it none is begun."""
COMMIT_EVERY_S = 0.1
LEASE = 0.8
"""Share of the session after which a silent consumer thread is no longer believed to own anything."""


class Ownership:
    """Whether a partition is still ours. Asked before the socket; remembers if it ever said no.

    A consumer thread that has been silent for long is no longer believed: another worker may own the partition.
    """

    def __init__(self, carrier: Carrier, partition: int, epoch: int, lease_s: float):
        self._carrier = carrier
        self._partition = partition
        self._epoch = epoch
        self._lease_s = lease_s
        self.denied = False

    def __call__(self) -> bool:
        ours = self._carrier.is_ours(self._partition, self._epoch) and self._carrier.silent_s < self._lease_s
        self.denied = self.denied or not ours
        return ours


@dataclass(frozen=True, slots=True)
class Context:
    """What is known of one command beside itself.

    redelivered: a former owner may have begun it.
    cause: topic, partition and offset.
    still_owner: asked before the socket; false as soon as the partition may be another's. Whoever hears false sends
        nothing and raises: the command is left to the new owner.
    signal_us: event time of the signal behind it, where there is one.
    """

    event_id: str
    cause: str
    redelivered: bool
    trace: bytes | None
    still_owner: Ownership
    signal_us: int | None = None


Outcome = Sequence[Record]
Effect = Callable[[Record, Context], Awaitable[Outcome]]


class KafkaEffect(Service):
    """One effect in one slot of the process.

    perform: called for each command, concurrently; returns the records that tell the outcome. It must not raise: what
        went wrong outside is an outcome. If it raises, the partition is parked and nothing more of it is begun.
    order_by: commands with one such key are performed one after the other; without it `perform` keeps its own order.
    """

    def __init__(
        self,
        app: Host,
        role: str,
        topic: Topic,
        perform: Effect,
        *,
        slot: str,
        order_by: Callable[[Record], str] | None = None,
        fixed_membership: bool = True,
        turns: bool = False,
    ):
        super().__init__(beacon=app.beacon)
        self.app = app
        self.name = role
        self.slot = slot
        self.topic = topic
        self.source = topic.full_name(app.environment)
        self.group = f"{app.environment}.{role}"
        self.instance = f"{self.group}.{slot}" if fixed_membership else None
        self.partition_count = topic.partitions
        self.inbox = app.topic(self.source, partitions=topic.partitions, value_type=bytes)
        self.skipped: set[tuple[int, int]] = set()
        """(partition, offset) that a person has ordered to skip."""
        self.taken = 0
        self.letters = 0
        self._counted: Counter[Counted] = Counter()
        self._outcomes: Source | None = None
        app.exporter.ask(self._samples)
        self._hop = app.exporter.of(metrics.HOP_SECONDS, role, room=role)
        self.more_told: Callable[[], Mapping[str, object]] = dict
        """What the effect itself tells people, beside the counts."""
        self._perform = perform
        self._order_by = order_by
        self._lanes: dict[str, asyncio.Task[None]] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._room_left = asyncio.Semaphore(RUNNING_MAX)
        self._ledgers: dict[tuple[int, int], Ledger] = {}
        """By partition and epoch of its ownership."""
        self._asking = ThreadPoolExecutor(1, f"ask {role}")
        self._intake = Intake(role, topic, app.codec, app.environment)
        self.carrier = Carrier(
            app.cluster,
            topic=self.source,
            group=self.group,
            instance=self.instance,
            process=occupant(slot),
            read=self._intake.read,
            recover=self._recover,
            hand_over=self._hand_over,
            leave=self._leave,
            on_commit=self._on_commit,
            turns=turns,
        )
        self.gate = Turns(self.carrier, app.progress, self.source, role, turns)
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def label(self) -> str:
        """How Faust names the service in its logs."""
        return f"Effect: {self.name}"

    async def on_start(self) -> None:
        """Faust calls it when the agents run."""
        self._loop = asyncio.get_running_loop()
        assert self.source in self.app.flows, f"no agent reads {self.source}: declare one with @app.agent(effect.inbox)"
        self._outcomes = self.app.source(self.name)
        self.carrier.start()
        self.add_future(self._commit_now_and_then())

    async def on_stop(self) -> None:
        """Let what is running finish within the bound, then leave."""
        if self._loop is None:
            return
        await self._loop.run_in_executor(None, self.carrier.stop, 4 * self.app.cluster.revoke_bound_s)
        if self._outcomes is not None:
            await self._loop.run_in_executor(None, self._outcomes.close)

    async def apply(self, batch: Batch) -> None:
        """Begin the commands of a batch, in order; returns when all are begun, not when they are done."""
        for entry in batch.entries:
            ledger = self._ledgers.get((entry.partition, batch.epochs[entry.partition]))
            if ledger is None or ledger.stopped:
                continue
            await self._room_left.acquire()
            ledger.begin(entry.offset)
            self._begin(entry, ledger)
        self.carrier.finished(batch, {})

    async def drain(self) -> int:
        """Take one turn: perform all that was written so far; return the commands taken."""
        before = self.taken
        await self.gate.turn()
        return self.taken - before

    @property
    def has_lag(self) -> bool:
        """Whether there may be commands whose outcome is not recorded."""
        owned = self.carrier.owned
        caught_up = bool(owned) and all(one.caught_up and one.at_end for one in owned.values())
        return not caught_up or self.carrier.pending > 0 or bool(self._running) or self.gate.lag > 0

    @property
    def outstanding(self) -> int:
        """Commands begun whose outcome is not recorded."""
        return len(self._running)

    def told(self) -> dict[str, object]:
        """The counts, and what the effect tells, for people."""
        counts = {"taken": self.taken, "outstanding": self.outstanding, "dead_letters": self.letters}
        return {**counts, **self.more_told()}

    def _begin(self, entry: Entry, ledger: Ledger) -> None:
        assert self._loop is not None
        before = None
        lane = ""
        if self._order_by is not None and isinstance(entry, Arrival):
            lane = self._order_by(entry.record)
            before = self._lanes.get(lane)
        task = self._loop.create_task(self._carry(entry, ledger, before))
        self._running.add(task)
        if lane:
            self._lanes[lane] = task
        task.add_done_callback(lambda done: self._ended(done, lane))

    def _ended(self, task: asyncio.Task[None], lane: str) -> None:
        self._running.discard(task)
        if lane and self._lanes.get(lane) is task:
            del self._lanes[lane]
        self._room_left.release()

    async def _carry(self, entry: Entry, ledger: Ledger, before: asyncio.Task[None] | None) -> None:
        """Perform one command and record what became of it."""
        if before is not None:
            await asyncio.wait([before])
        if ledger.stopped:
            return
        context = self._context(entry, ledger) if isinstance(entry, Arrival) else None
        hop: Hop | None = None
        try:
            if (entry.partition, entry.offset) in self.skipped:
                outcome: Outcome = ()
            elif isinstance(entry, Refusal) or context is None:
                assert isinstance(entry, Refusal)
                self.letters += 1
                self._counted[Counted(metrics.DEAD_LETTERS, (self.topic.name, entry.letter.reason))] += 1
                outcome = (entry.letter,)
            else:
                outcome = await self._perform(entry.record, context)
                hop = self._hop_of(entry, context, outcome)
        except Exception as error:  # noqa: BLE001 - whatever was not foreseen: nobody knows what was sent
            if context is not None and context.still_owner.denied:
                self._leave_to_another(entry, ledger)
            else:
                self._park(entry, ledger, error)
            return
        assert self._outcomes is not None, "it starts before it performs"
        try:
            await self._outcomes.deliver(
                outcome,
                answering=None if context is None else context.event_id,
                cause=self._cause(entry),
                trace=entry.trace if hop is None else hop.header,
            )
        except DeliveryFailed as error:
            fail_stop(f"{self.group}: the outcome of {self._cause(entry)} could not be recorded", error)
        self._recorded(entry, hop)
        ledger.record(entry.offset)
        self.gate.folded(entry.partition, ledger.released)

    def _hop_of(self, arrival: Arrival, context: Context, outcome: Outcome) -> Hop | None:
        if self.app.spans is None:
            return None
        return hop_of(self.name, arrival.record, context.event_id, arrival.trace, outcome, arrival.appended_ms)

    def _recorded(self, entry: Entry, hop: Hop | None) -> None:
        """Count what is durable."""
        self.taken += 1
        if isinstance(entry, Arrival):
            self._counted[Counted(metrics.RECORDS_READ, (self.topic.name, type(entry.record).__name__))] += 1
        self._hop.observe(since_s(entry.appended_ms))
        if hop is not None and self.app.spans is not None:
            self.app.spans.tell((hop,), time.time_ns())

    def _samples(self) -> Iterator[Sample]:
        for (metric, labels), count in self._counted.copy().items():
            yield Sample(metric, self.name, labels, count)
        if self._outcomes is not None:
            yield from self._outcomes.samples()

    def _context(self, arrival: Arrival, ledger: Ledger) -> Context:
        event_id = arrival.event_id or root_id(arrival.record)
        assert event_id is not None, "the intake lets no record without identity in"
        lease_s = self.app.cluster.session_ms / 1000 * LEASE
        return Context(
            event_id=event_id,
            cause=self._cause(arrival),
            redelivered=arrival.offset < ledger.doubtful_before,
            trace=arrival.trace,
            still_owner=Ownership(self.carrier, arrival.partition, ledger.epoch, lease_s),
            signal_us=int(arrival.signal_time) if arrival.signal_time and arrival.signal_time.isdigit() else None,
        )

    def _leave_to_another(self, entry: Entry, ledger: Ledger) -> None:
        """Nothing was sent. If the partition is ours after all, begin it again from what is released."""
        ledger.stopped = True
        if self.carrier.is_ours(entry.partition, ledger.epoch):
            self.carrier.park(Parked(entry.partition, entry.offset, entry.key, "command", "ownership was in doubt", ""))
            self.carrier.release(entry.partition)

    def _cause(self, entry: Entry) -> str:
        return f"{self.source}/{entry.partition}/{entry.offset}"

    def _park(self, entry: Entry, ledger: Ledger, error: Exception) -> None:
        ledger.stopped = True
        named = type(entry.record).__name__ if isinstance(entry, Arrival) else "unreadable record"
        parked = Parked(entry.partition, entry.offset, entry.key, named, f"{type(error).__name__}: {error}", "")
        self.log.exception("%s: partition %d is parked at offset %d", self.group, entry.partition, entry.offset)
        self.carrier.park(parked)
        self.app.skips.wait_for(self.source, entry.partition, entry.offset, self.skipped, self.carrier)

    def _recover(self, epochs: Mapping[int, int]) -> None:
        self._asking.submit(self._ask, dict(epochs))

    def _ask(self, epochs: dict[int, int]) -> None:
        """In a thread of its own: where to begin, and what a former owner may have begun."""
        try:
            offsets, partitions = Offsets(self.app.cluster), list(epochs)
            committed = offsets.committed(self.group, self.source, partitions)
            lows, ends = offsets.lows(self.source, partitions), offsets.ends(self.source, partitions)
            for partition, epoch in epochs.items():
                known = committed[partition]
                start = lows[partition] if known.offset is None else known.offset
                clean = known.offset is None or known.note == CLEAN
                ledger = Ledger(epoch, start, start if clean else ends[partition])
                self.carrier.order(partial(self._flow, partition=partition, ledger=ledger, end=ends[partition]))
        except BaseException as error:  # noqa: BLE001 - commands would wait for ever
            fail_stop(f"{self.group}: cannot tell where to begin", error)

    def _flow(self, consumer: Consumer, partition: int, ledger: Ledger, end: int) -> None:
        """In the consumer thread: say that commands are being begun, durably; then let them in."""
        if not self.carrier.is_ours(partition, ledger.epoch):
            return
        try:
            consumer.commit(offsets=[Place(self.source, partition, ledger.released, BUSY)], asynchronous=False)
        except KafkaException as error:
            if not error.args[0].retriable():
                self.log.warning("%s: %s; waiting for the group to settle", self.group, error.args[0].str())
            time.sleep(0.05)
            self.carrier.order(partial(self._flow, partition=partition, ledger=ledger, end=end))
            return
        self._ledgers[partition, ledger.epoch] = ledger
        self.gate.folded(partition, ledger.released)
        self.carrier.ready(Ready(partition, ledger.epoch, None, ledger.released, end, 0.0, 0, 0))

    def _hand_over(self, batch: Batch) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self.app.flows[self.source].put_nowait, batch)

    async def _commit_now_and_then(self) -> None:
        while not self.should_stop:
            await self.sleep(COMMIT_EVERY_S)
            self.carrier.order(lambda consumer: self._commit(consumer, list(self._ledgers), wait=False))

    def _leave(self, consumer: Consumer, partitions: set[int]) -> None:
        """In the consumer thread: wait a bounded time for what is running, and commit before letting go."""
        leaving = [place for place in list(self._ledgers) if place[0] in partitions]
        give_up = time.monotonic() + self.app.cluster.revoke_bound_s
        while any(self._ledgers[place].running for place in leaving) and time.monotonic() < give_up:
            self.carrier.beat = time.monotonic()
            time.sleep(0.01)
        self._commit(consumer, leaving, wait=True)
        for place in leaving:
            del self._ledgers[place]

    def _commit(self, consumer: Consumer, which: list[tuple[int, int]], *, wait: bool) -> None:
        """In the consumer thread: commit what is released."""
        due = []
        for partition, epoch in which:
            ledger = self._ledgers[partition, epoch]
            if not self.carrier.is_ours(partition, epoch):
                if not wait:
                    del self._ledgers[partition, epoch]
            elif wait or (ledger.released != ledger.committed and not ledger.asking):
                # Between commits more may be begun, so only a last word can be `clean`.
                owned = self.carrier.owned.get(partition)
                note = ledger.note(owned is not None and owned.caught_up) if wait else BUSY
                ledger.asking = not wait
                due.append(Place(self.source, partition, ledger.released, note))
        if not due:
            return
        try:
            if wait:
                consumer.commit(offsets=due, asynchronous=False)
            else:
                consumer.commit(offsets=due, asynchronous=True)
        except KafkaException as error:
            self._on_commit(error.args[0], due)

    def _on_commit(self, error: KafkaError | None, places: list[Place]) -> None:
        """In the consumer thread: what became of a commit; what was refused is said again by the next one."""
        for place in places:
            problem = error or place.error
            for (partition, _), ledger in self._ledgers.items():
                if partition != place.partition:
                    continue
                ledger.asking = False
                if problem is None:
                    ledger.committed = max(ledger.committed, place.offset)
        problem = error or next((place.error for place in places if place.error), None)
        if problem is not None:
            # A rebalance is under way, or the coordinator moved; redelivery is harmless.
            self.log.warning("%s: offsets were not committed: %s", self.group, problem.str())
