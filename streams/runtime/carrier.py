"""Carrier: the consumer thread of one room. Belongs to the group, fetches, reads at the door, and hands batches over.

While a batch is being folded and committed, the thread goes on fetching and decoding: the next batch is as large as the
backlog has become. One batch is in hand at a time. Whatever librdkafka's consumer is asked, this thread asks it.

    RECOVERING --ready--> LIVE --park--> PARKED --release--> RECOVERING
    and from each of them, by revoke or loss, to nobody's.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, cast

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as Place

from streams.runtime.clients import Cluster, CommitCallback, room_consumer
from streams.runtime.door import Parked
from streams.runtime.fail_stop import REFUSED, fail_stop
from streams.runtime.intake import Entry, Message
from streams.runtime.pace import START, Pace
from streams.runtime.recovery import Ready
from streams.runtime.tables import Table

POLL_S = 0.05
BATCH_MAX = 2_000
PENDING_MAX = 4_000
"""Records read at the door and not yet handed over; beyond it nothing is fetched."""
PAUSE_AFTER_S = 0.2
LOOK_EVERY_S = 1.0
METADATA_S = 10.0


class Standing(StrEnum):
    """Where a partition that is ours stands."""

    RECOVERING = "recovering"
    LIVE = "live"
    PARKED = "parked"


@dataclass(slots=True)
class Owned:
    """One partition that the group has given us.

    epoch: rises with every change of ownership; what was begun in an older one is void.
    folded: next offset to be folded; all before it is durable.
    seen: next offset to be read at the door.
    high: the end of the partition that the client last heard of.
    at_end: whether the consumer stood at the end of the partition when it last looked.
    caught_up: whether it has been folded to the end that existed when it became ours.
    moved_at: monotonic seconds of the last progress.
    """

    epoch: int
    standing: Standing = Standing.RECOVERING
    table: Table[Any, Any] | None = None
    folded: int = 0
    seen: int = 0
    high: int = 0
    at_end: bool = False
    caught_up: bool = False
    moved_at: float = field(default_factory=time.monotonic)
    recovery_s: float = 0.0
    parked: Parked | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Entries to fold, in the order of each partition, and the proof of membership under which they were read."""

    entries: list[Entry]
    metadata: Any
    epochs: Mapping[int, int]


@dataclass(slots=True)
class Counts:
    """What has happened since the start."""

    rebalances: int = 0
    lost: int = 0
    pauses: int = 0
    client_errors: int = 0
    stale: int = 0
    records: int = 0


class Carrier:
    """One room's membership, and the records between Kafka and its fold.

    read: messages to entries, in this thread.
    recover: called with {partition: epoch} for partitions that became ours; `ready` answers it.
    hand_over: called with a batch when the room is free; `finished` answers it.
    leave: called with partitions that are being revoked, when no batch is in hand; they are ours until it returns.
    on_commit: called in the consumer thread with what became of asynchronous commits.
    gather_s: from the beginning of one batch to that of the next, at least, unless a whole batch is there.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        topic: str,
        group: str,
        instance: str | None,
        process: str,
        read: Callable[[Iterable[Message]], list[Entry]],
        recover: Callable[[Mapping[int, int]], None],
        hand_over: Callable[[Batch], None],
        leave: Callable[[Consumer, set[int]], None] = lambda *_: None,
        on_commit: CommitCallback | None = None,
        turns: bool = False,
        batch_max: int = START,
        gather_s: float = 0.0,
    ):
        self._cluster = cluster
        self._topic = topic
        self._group = group
        self._instance = instance
        self._process = process
        self._read = read
        self._recover = recover
        self._hand_over = hand_over
        self._leave = leave
        self._on_commit = on_commit
        self.gather_s = gather_s
        self._at_once = min(batch_max, START)
        self.pace = Pace(batch_max)
        """How many records the next batch may hold; told by the room how long folds take."""
        self._changed = threading.Condition()
        self._open = not turns
        self._quiet = False
        self._pending: deque[Entry] = deque()
        self._in_hand: Batch | None = None
        self._next_at = 0.0
        self._orders: deque[Callable[[], None]] = deque()
        self._epochs = 0
        self._metadata: Any = None
        self._metadata_wanted = False
        self._held = False
        self._given: set[int] = set()
        self._looked_at_ends = 0.0
        self._started = False
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"carry {group}", daemon=True)
        self.owned: dict[int, Owned] = {}
        """Changed under the lock; others read."""
        self.counts = Counts()
        self.beat = time.monotonic()
        """When the consumer thread last went round, monotonic seconds."""
        self.in_hand_since: float | None = None

    def start(self) -> None:
        """Join the group."""
        self._consumer: Consumer = room_consumer(
            self._cluster, self._group, self._instance, self._on_error, self._process, self._on_commit
        )
        self.beat = time.monotonic()
        self._started = True
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Finish the batch in hand, leave, and end the thread. Raises TimeoutError."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            raise TimeoutError(f"{self._group} did not finish its batch within {timeout_s} s")

    @property
    def silent_s(self) -> float:
        """For how long the consumer thread has not gone round; 0 until it is started: its writer may wait for Kafka."""
        return time.monotonic() - self.beat if self._started else 0.0

    @property
    def pending(self) -> int:
        """Records read at the door and not yet durable."""
        batch = self._in_hand
        return len(self._pending) + (len(batch.entries) if batch else 0)

    @property
    def is_open(self) -> bool:
        """Whether batches are let in."""
        return self._open

    @property
    def oldest_ms(self) -> int | None:
        """When the oldest record that was read and is not durable came to the log, wall clock; None without any."""
        with self._changed:
            batch = self._in_hand
            entries = batch.entries if batch is not None else self._pending
            return entries[0].appended_ms if entries else None

    def oldest_by_partition(self) -> dict[int, int]:
        """As `oldest_ms`, of each partition that has such a record."""
        found: dict[int, int] = {}
        with self._changed:
            for entry in (*(self._in_hand.entries if self._in_hand is not None else ()), *self._pending):
                found.setdefault(entry.partition, entry.appended_ms)
        return found

    def lag(self, partition: int) -> int:
        """Records of the partition that were not folded, as far as the client knows: at least those in memory.

        Counts offsets, commit markers included, up to the end that the client last heard of; exactly 0 when the
        consumer stands at the end and nothing is in memory.
        """
        owned = self.owned.get(partition)
        if owned is None or (owned.folded >= owned.seen and owned.at_end):
            return 0
        with self._changed:
            batch = self._in_hand
            entries = [*self._pending, *(batch.entries if batch is not None else ())]
            in_memory = len([entry for entry in entries if entry.partition == partition])
        if owned.at_end:
            return in_memory
        return max(in_memory, owned.high - owned.folded)

    def is_ours(self, partition: int, epoch: int | None) -> bool:
        """Whether the partition has been ours without interruption since that epoch."""
        owned = self.owned.get(partition)
        return owned is not None and owned.epoch == epoch

    def tables(self, batch: Batch) -> dict[int, Table[Any, Any]]:
        """The tables of the batch's partitions that are still ours and live."""
        return {
            partition: owned.table
            for partition, epoch in batch.epochs.items()
            if (owned := self.owned.get(partition)) and owned.epoch == epoch and owned.table is not None
        }

    def order(self, order: Callable[[Consumer], None]) -> None:
        """Let the consumer thread do this with its consumer, soon."""
        self._orders.append(lambda: order(self._consumer))

    def open(self) -> None:
        """Let the room take batches."""
        with self._changed:
            self._open = True
            self._offer()

    def close(self) -> None:
        """Let the room take no further batch."""
        with self._changed:
            self._open = False

    def ready(self, ready: Ready) -> None:
        """A partition has been recovered; it may flow."""
        self._orders.append(lambda: self._begin(ready))

    def park(self, parked: Parked) -> None:
        """Let a partition stand still from now on; its state is dropped, the others go on."""
        with self._changed:
            owned = self.owned.get(parked.partition)
            if owned is None:
                return
            self._forget_pending({parked.partition})
            owned.epoch = self._next_epoch()
            owned.standing, owned.parked, owned.table = Standing.PARKED, parked, None
        self._orders.append(lambda: self._take_from_client(parked.partition))

    def release(self, partition: int) -> None:
        """Try a parked partition again, from its durable state."""
        self._orders.append(lambda: self._release(partition))

    def finished(self, batch: Batch, next_offsets: Mapping[int, int]) -> None:
        """The batch is durable up to these offsets; the room is free."""
        now = time.monotonic()
        with self._changed:
            for partition, epoch in batch.epochs.items():
                owned = self.owned.get(partition)
                if owned is not None and owned.epoch == epoch:
                    # Of an effect nothing is folded yet, but it has moved.
                    owned.folded, owned.moved_at = next_offsets.get(partition, owned.folded), now
            self._in_hand = self.in_hand_since = None
            for partition in batch.epochs:
                if (owned := self.owned.get(partition)) is not None:
                    self._note_caught_up(partition, owned)
            self._offer()
            self._changed.notify_all()

    def fresh_metadata(self) -> Any:
        """The group metadata of now, asked of the consumer thread.

        From another thread librdkafka's call hangs for ever while a rebalance callback runs.
        """
        with self._changed:
            self._metadata_wanted = True
            self._changed.notify_all()
            if not self._changed.wait_for(lambda: not self._metadata_wanted, METADATA_S):
                fail_stop(f"{self._group}: the consumer thread does not answer")
            return self._metadata

    def _run(self) -> None:
        try:
            self._consumer.subscribe(
                [self._topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost
            )
            while not self._stopping:
                self._round()
            if not self._quiesce():
                fail_stop(f"{self._group}: the batch in hand did not finish before the stop")
            self._leave(self._consumer, set(self.owned))
            self._consumer.close()
        except BaseException as error:  # noqa: BLE001 - a room without its thread idles for ever
            fail_stop(f"{self._group}: the consumer thread failed", error)

    def _round(self) -> None:
        """One turn of the thread: obey orders, then fetch, or wait for room."""
        if self.silent_s > self._cluster.session_ms / 1000:
            fail_stop(f"{self._group}: stood still for {self.silent_s:.1f} s; its partitions may be another's")
        self.beat = time.monotonic()
        for _ in range(len(self._orders)):
            # What an order leaves for later waits for the next round: the client must be polled in between.
            self._orders.popleft()()
        if self._metadata_wanted:
            self._serve_metadata()
        if self.beat - self._looked_at_ends > LOOK_EVERY_S:
            self._look_at_ends()
        with self._changed:
            full = not self._changed.wait_for(
                lambda: len(self._pending) < PENDING_MAX or self._metadata_wanted or self._stopping, PAUSE_AFTER_S
            )
        if full or self._metadata_wanted:
            self._hold(full)
            # Membership is kept alive, and losses are heard, while no records are taken.
            self._gather(self._consumer.poll(0), more=0)
            return
        self._hold(False)
        self._gather(self._consumer.poll(self._until_next(POLL_S)), more=self._at_once - 1)

    def _until_next(self, most_s: float) -> float:
        """How long to wait for records: not beyond the moment at which those that gathered may go."""
        if self._in_hand is not None or not self._pending or not self._open:
            return most_s
        return min(most_s, max(0.0, self._next_at - self.beat))

    def _look_at_ends(self) -> None:
        """Note how far each partition goes, as the last fetch told: nobody is asked."""
        self._looked_at_ends = self.beat
        for partition, owned in self.owned.items():
            known = self._consumer.get_watermark_offsets(Place(self._topic, partition), cached=True)
            if known is not None:
                owned.high = max(owned.high, known[1])

    def _hold(self, hold: bool) -> None:
        """Pause or resume the live partitions, where that is a change."""
        if hold == self._held:
            return
        live = [partition for partition, owned in self.owned.items() if owned.standing is Standing.LIVE]
        if hold:
            self._consumer.pause(self._places(live))
            self.counts.pauses += 1
        else:
            self._consumer.resume(self._places(live))
        self._held = hold

    def _gather(self, one: Any, more: int) -> None:
        """Read what has arrived at the door, and hand it over if the room is free.

        `consume` with a timeout would wait for its whole time; after `poll` it takes what is already here. Records of
        partitions that do not flow (a callback took them away) are dropped; whoever gets them begins where they ended.
        """
        if one is None:
            with self._changed:
                self._offer()
            return
        messages = [one, *self._consumer.consume(more, 0)] if more else [one]
        records = [message for message in messages if message.error() is None]
        entries = self._read(cast("list[Message]", records)) if records else []
        self._metadata = self._consumer.consumer_group_metadata()
        with self._changed:
            for entry in entries:
                owned = self.owned.get(entry.partition)
                if owned is None or owned.standing is not Standing.LIVE:
                    continue
                if entry.offset < owned.seen:
                    self.counts.stale += 1
                else:
                    owned.seen, owned.at_end = entry.offset + 1, False
                    self._pending.append(entry)
        self.counts.records += len(entries)
        for message in messages:
            if message.error() is not None:
                self._event(message)
        with self._changed:
            self._offer()

    def _at_end(self, partition: int, offset: int) -> None:
        """The consumer has read to the end; an end that lies before what it has read is an old story."""
        with self._changed:
            owned = self.owned.get(partition)
            if owned is not None and offset >= owned.seen:
                owned.at_end, owned.seen = True, offset
                self._note_caught_up(partition, owned)

    def _note_caught_up(self, partition: int, owned: Owned) -> None:
        if not owned.caught_up and owned.at_end:
            owned.caught_up = not self._holds(partition) and all(e.partition != partition for e in self._pending)

    def _holds(self, partition: int) -> bool:
        batch = self._in_hand
        return batch is not None and partition in batch.epochs

    def _event(self, message: Any) -> None:
        """What a message that is none tells."""
        error: KafkaError = message.error()
        code = error.code()
        if code == KafkaError._PARTITION_EOF:
            self._at_end(message.partition(), message.offset())
            return
        if error.fatal() or code == KafkaError._FATAL:
            # It comes once, from poll, and says of itself that it is not fatal; the error callback is not called.
            fail_stop(f"{self._group}: the consumer failed for good", KafkaException(error))
        if code in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.TOPIC_AUTHORIZATION_FAILED):
            fail_stop(f"{self._group} cannot read {self._topic}: {error.str()}", code=REFUSED)
        if code == KafkaError._AUTO_OFFSET_RESET:
            self._lost_records(message)
        self.counts.client_errors += 1

    def _lost_records(self, message: Any) -> None:
        owned = self.owned.get(message.partition())
        if owned is None or owned.standing is not Standing.LIVE:
            return
        detail = f"records were deleted before they were folded: {message.error().str()}"
        self.park(Parked(message.partition(), owned.seen, None, "deleted record", detail, ""))

    def _offer(self) -> None:
        """Hand the pending records over if the room is free and may, and they have gathered; under the lock."""
        if self._in_hand is not None or not self._pending or not self._open or self._quiet or self._stopping:
            return
        if len(self._pending) < self.pace.bound and time.monotonic() < self._next_at:
            return
        count = min(len(self._pending), self.pace.bound)
        entries = [self._pending.popleft() for _ in range(count)]
        epochs = {entry.partition: self.owned[entry.partition].epoch for entry in entries}
        self._in_hand = Batch(entries, self._metadata, epochs)
        self.in_hand_since = time.monotonic()
        self._next_at = self.in_hand_since + self.gather_s
        self._changed.notify_all()
        self._hand_over(self._in_hand)

    def _assigned(self, consumer: Consumer, places: list[Place]) -> None:
        """Partitions are ours; the client gets each of them when recovery knows where to begin, and not before.

        To give them at once, paused, and to seek later is a race: a seek before the client has really begun is undone
        by its beginning.
        """
        self.counts.rebalances += 1
        consumer.incremental_assign([])
        partitions = [place.partition for place in places]
        if not partitions:
            return
        with self._changed:
            epochs = {partition: self._next_epoch() for partition in partitions}
            self.owned.update({partition: Owned(epoch) for partition, epoch in epochs.items()})
        self._recover(epochs)

    def _revoked(self, consumer: Consumer, places: list[Place]) -> None:
        partitions = {place.partition for place in places}
        with self._changed:
            self._forget_pending(partitions)
        if not self._quiesce():
            fail_stop(f"{self._group}: partitions {sorted(partitions)} are revoked, the batch in hand does not finish")
        self._leave(consumer, partitions)
        self._drop(partitions)
        self._give_back(consumer, partitions)

    def _lost(self, consumer: Consumer, places: list[Place]) -> None:
        """Somebody else may own them already: what is begun is void, and will be refused."""
        self.counts.lost += 1
        partitions = {place.partition for place in places}
        self._drop(partitions)
        if not self._quiesce():
            fail_stop(f"{self._group}: lost its partitions, and the batch in hand does not finish")
        self._give_back(consumer, partitions)

    def _give_back(self, consumer: Consumer, partitions: set[int]) -> None:
        """Take from the client those that it had been given; also the answer that a callback owes to the client."""
        consumer.incremental_unassign(self._places(sorted(partitions & self._given)))
        self._given -= partitions

    def _drop(self, partitions: set[int]) -> None:
        with self._changed:
            self._forget_pending(partitions)
            for partition in partitions:
                self.owned.pop(partition, None)

    def _forget_pending(self, partitions: Collection[int]) -> None:
        if any(entry.partition in partitions for entry in self._pending):
            self._pending = deque(entry for entry in self._pending if entry.partition not in partitions)

    def _quiesce(self) -> bool:
        """Let the batch in hand finish, serving fresh metadata meanwhile; false if it does not within the bound."""
        end = time.monotonic() + self._cluster.revoke_bound_s
        self._quiet = True
        try:
            while True:
                self.beat = time.monotonic()
                with self._changed:
                    self._changed.wait_for(
                        lambda: self._in_hand is None or self._metadata_wanted, max(0.0, end - time.monotonic())
                    )
                    if self._in_hand is None:
                        return True
                if self._metadata_wanted:
                    self._serve_metadata()
                elif time.monotonic() >= end:
                    return False
        finally:
            with self._changed:
                self._quiet = False
                self._offer()

    def _serve_metadata(self) -> None:
        metadata = self._consumer.consumer_group_metadata()
        with self._changed:
            self._metadata, self._metadata_wanted = metadata, False
            self._changed.notify_all()

    def _begin(self, ready: Ready) -> None:
        """Let a recovered partition flow from where its states end."""
        owned = self.owned.get(ready.partition)
        if owned is None or owned.epoch != ready.epoch or owned.standing is not Standing.RECOVERING:
            return
        with self._changed:
            owned.table, owned.standing = ready.table, Standing.LIVE
            owned.folded = owned.seen = ready.start
            owned.high, owned.recovery_s = ready.end, ready.seconds
            owned.caught_up = ready.start >= ready.end
            owned.moved_at = time.monotonic()
        self._consumer.incremental_assign([Place(self._topic, ready.partition, ready.start)])
        self._given.add(ready.partition)
        if self._held:
            self._consumer.pause(self._places([ready.partition]))

    def _take_from_client(self, partition: int) -> None:
        if partition in self._given:
            self._consumer.incremental_unassign(self._places([partition]))
            self._given.discard(partition)

    def _release(self, partition: int) -> None:
        owned = self.owned.get(partition)
        if owned is None or owned.standing is not Standing.PARKED:
            return
        with self._changed:
            owned.standing, owned.parked, owned.epoch = Standing.RECOVERING, None, self._next_epoch()
            owned.moved_at = time.monotonic()
        self._recover({partition: owned.epoch})

    def _next_epoch(self) -> int:
        self._epochs += 1
        return self._epochs

    def _places(self, partitions: Iterable[int]) -> list[Place]:
        return [Place(self._topic, partition) for partition in partitions]

    def _on_error(self, error: KafkaError) -> None:
        self.counts.client_errors += 1
        if error.fatal() or error.code() == KafkaError._FATAL:
            fail_stop(f"{self._group}: the consumer failed for good: {error.str()}")
