"""KafkaRoom: a room with its door, its tables and its carrier, as a service of the Faust app.

The carrier's thread fetches and reads; the Faust agent takes each batch and awaits `apply`; the room's own thread folds
it and commits. The event loop never folds: a long fold does not silence the process.
"""

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from mode import Service

from streams.runtime.carrier import BATCH_MAX, Batch, Carrier, Owned, Standing
from streams.runtime.door import Door, Parked, Work
from streams.runtime.fail_stop import fail_stop
from streams.runtime.host import Host, RoomTable
from streams.runtime.metrics import RoomMetrics
from streams.runtime.recovery import Job, Ready
from streams.runtime.room import Room
from streams.runtime.slots import occupant
from streams.runtime.transactions import Stage, Transactions
from streams.runtime.turns import Turns

STOP_S = 20.0


class KafkaRoom(Service):
    """One room in one slot of the process.

    turns: whether the room waits to be let in (`open`, `drained`, `close`), as replays do.
    """

    def __init__(
        self,
        app: Host,
        room: Room[Any, Any],
        *,
        slot: str,
        fixed_membership: bool = True,
        turns: bool = False,
        batch_max: int = BATCH_MAX,
        stage: Stage = lambda _: None,
    ):
        super().__init__(beacon=app.beacon)
        self.room = room.bind()
        self.name = room.name
        self.slot = slot
        self.app = app
        self.source = room.reads.full_name(app.environment)
        self.group = f"{app.environment}.{room.name}"
        self.inbox = app.topic(self.source, partitions=room.reads.partitions, value_type=bytes)
        self.table = cast(RoomTable, app.Table(room.name, partitions=room.reads.partitions))
        self.metrics = RoomMetrics(app.exporter, room.name, room.reads.name, self._topics_of)
        self.door = Door(room, app.codec, app.environment, self.changelog, app.map)
        self.door.traced = app.spans is not None
        slot_name = f"{self.group}.{slot}"
        self.instance = slot_name if fixed_membership else None
        self.partition_count = room.reads.partitions
        self._transactions = Transactions(app.cluster, slot_name, self.source, app.progress, stage)
        self.carrier = self.table.carrier = Carrier(
            app.cluster,
            topic=self.source,
            group=self.group,
            instance=self.instance,
            process=occupant(slot),
            read=self.door.read,
            recover=self._recover,
            hand_over=self._hand_over,
            leave=lambda *_: stage("leaving"),
            turns=turns,
            batch_max=batch_max,
            # Who is let in by turns is waited for by all others.
            gather_s=0.0 if turns else room.gather_s,
        )
        self.gate = Turns(self.carrier, app.progress, self.source, self.name, turns)
        self._hands = ThreadPoolExecutor(1, f"fold {room.name}")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connected: asyncio.Future[None] | None = None

    @property
    def changelog(self) -> str:
        """The changelog's name, as Faust names it."""
        return self.table.changelog_topic_name

    @property
    def label(self) -> str:
        """How Faust names the service in its logs."""
        return f"Room: {self.name}"

    def connect(self) -> asyncio.Future[None]:
        """Begin to connect the writer, in the room's own thread; twice is once."""
        if self._connected is None:
            loop = asyncio.get_running_loop()
            self._connected = loop.run_in_executor(self._hands, self._transactions.start)
        return self._connected

    async def on_start(self) -> None:
        """Faust calls it when the agents run."""
        self._loop = asyncio.get_running_loop()
        assert self.source in self.app.flows, f"no agent reads {self.source}: declare one with @app.agent(room.inbox)"
        await self.connect()
        self.carrier.start()

    async def on_stop(self) -> None:
        """Finish the batch in hand, then leave."""
        if self._loop is None:
            return
        await self._loop.run_in_executor(None, self.carrier.stop, STOP_S)
        self._hands.shutdown()

    async def apply(self, batch: Batch) -> None:
        """Fold a batch and make it durable: states, outputs and offsets in one transaction."""
        assert self._loop is not None
        await asyncio.shield(self._loop.run_in_executor(self._hands, self._carry, batch))

    def open(self) -> None:
        """Let the room take batches; only with `turns`."""
        self.gate.open()

    def close(self) -> None:
        """Let the room take no further batch; only with `turns`."""
        self.gate.close()

    async def drained(self) -> None:
        """Wait until all that is known to be written to the inbox is folded and committed."""
        await self.gate.drained()

    async def drain(self) -> int:
        """Take one turn: fold all that was written so far, and nothing else; return the records taken."""
        before = self.metrics.taken
        await self.gate.turn()
        return self.metrics.taken - before

    @property
    def has_lag(self) -> bool:
        """Whether there may be records that this room has not folded; also while it catches up after a start."""
        owned = self.carrier.owned
        live = all(o.standing is Standing.LIVE and o.caught_up and o.at_end for o in owned.values())
        return not owned or not live or self.carrier.pending > 0 or self.gate.lag > 0

    @property
    def is_ready(self) -> bool:
        """Whether partitions are ours and all of them flow and have caught up."""
        owned = self.carrier.owned
        return bool(owned) and all(o.standing is Standing.LIVE and o.caught_up for o in owned.values())

    @property
    def aborts(self) -> Mapping[str, int]:
        """Transactions that did not commit, by cause."""
        return self._transactions.aborts.copy()

    def partitions(self) -> Mapping[int, Owned]:
        """Where each partition that is ours stands."""
        return dict(self.carrier.owned)

    def _topics_of(self, record: str) -> tuple[str, ...]:
        return tuple(
            topic.name
            for topic in self.app.map
            if self.name in topic.writers and record in (kind.__name__ for kind in topic.records)
        )

    def _recover(self, epochs: Mapping[int, int]) -> None:
        self.app.recovery.request([self._job(partition, epoch) for partition, epoch in epochs.items()])

    def _job(self, partition: int, epoch: int) -> Job:
        return Job(
            room=self.room,
            group=self.group,
            source=self.source,
            changelog=self.changelog,
            partition=partition,
            epoch=epoch,
            wanted=lambda: self.carrier.is_ours(partition, epoch),
            done=self._recovered,
        )

    def _recovered(self, ready: Ready) -> None:
        owned = dict(self.carrier.owned).values()
        self.metrics.recovered(ready.seconds, first=all(one.table is None for one in owned))
        self.gate.folded(ready.partition, ready.start)
        self.carrier.ready(ready)

    def _hand_over(self, batch: Batch) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self.app.flows[self.source].put_nowait, batch)

    def _carry(self, batch: Batch) -> None:
        """In the room's own thread: fold, commit, settle."""
        try:
            began = time.monotonic()
            work = self.door.fold(batch.entries, self.carrier.tables(batch))
            folded = time.monotonic()
            self.carrier.pace.folded(len(batch.entries), folded - began)
            done = self._transactions.commit(work, batch.metadata, self._still_ours(batch), self.carrier.fresh_metadata)
            oldest_ms = batch.entries[0].appended_ms
            self.metrics.took(len(batch.entries), oldest_ms, folded - began, time.monotonic() - folded)
            self._settle(batch, done)
        except BaseException as error:  # noqa: BLE001 - a batch neither folded nor refused would be lost
            fail_stop(f"{self.group}: a batch could not be carried", error)

    def _still_ours(self, batch: Batch) -> Any:
        return lambda partition: self.carrier.is_ours(partition, batch.epochs.get(partition))

    def _settle(self, batch: Batch, done: Work) -> None:
        next_offsets = {}
        for partition, part in done.items():
            if part.next_offset is not None:
                part.table.settle()
                next_offsets[partition] = part.next_offset
                if part.hops and self.app.spans is not None:
                    self.app.spans.tell(part.hops, time.time_ns())
            self.metrics.count(part)
            if part.parked is not None:
                self._park(part.parked)
        self.carrier.finished(batch, next_offsets)
        for partition, next_offset in next_offsets.items():
            self.gate.folded(partition, next_offset)

    def _park(self, parked: Parked) -> None:
        self.log.error(
            "%s: partition %d is parked at offset %d (%s, key %s): %s\n%s",
            self.group,
            parked.partition,
            parked.offset,
            parked.record_type,
            parked.key,
            parked.error,
            parked.trace,
        )
        self.carrier.park(parked)
        self.app.skips.wait_for(self.source, parked.partition, parked.offset, self.door.skips, self.carrier)
