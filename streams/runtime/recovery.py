"""Recovery: reads changelogs to their end, for all rooms of a process, with one consumer and one administrator.

The order of questions matters. First the group's stable committed offset: Kafka withholds it while a transaction of a
former owner is undecided. Then the changelog's end as an uncommitted reader sees it. Then everything committed up to
that end: an open transaction that never sent its offsets holds us back until it is aborted, as it must.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
)
from confluent_kafka import TopicPartition as Place

from streams.runtime.clients import Cluster, recovery_reader
from streams.runtime.fail_stop import REFUSED, fail_stop
from streams.runtime.offsets import Offsets, TopicGone
from streams.runtime.room import Room
from streams.runtime.tables import Birth, Recovered, Table, UnreadableState

READ_AT_ONCE = 5_000
GIVE_UP_S = 45.0
"""Kafka may be away for so long while a partition is being recovered; then the process ends itself, and is started
again until Kafka answers."""


class CannotRecover(RuntimeError):
    """The changelog and the group's offsets contradict each other; a person must decide."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A partition may flow.

    table: None where no state is kept
    start: offset of the first record to fold
    end: end of the inbox as it was found; who has folded up to it has caught up
    """

    partition: int
    epoch: int
    table: Table[Any, Any] | None
    start: int
    end: int
    seconds: float
    records: int
    bytes: int


@dataclass(slots=True, eq=False)
class Job:
    """One partition of one room to be recovered.

    wanted: false once the partition is owned no longer; the job is then dropped.
    done: called in the recovery thread.
    """

    room: Room[Any, Any]
    group: str
    source: str
    changelog: str
    partition: int
    epoch: int
    wanted: Callable[[], bool]
    done: Callable[[Ready], None]
    began: float = 0.0
    committed: int | None = None
    source_low: int = 0
    source_end: int = 0
    end: int = 0
    read: Recovered | None = None


class Recovery:
    """The recovery thread of a process."""

    def __init__(self, cluster: Cluster):
        self._cluster = cluster
        self._jobs: deque[Job] = deque()
        self._wake = threading.Event()
        self._reading: dict[tuple[str, int], Job] = {}
        self._stopping = False
        self._thread: threading.Thread | None = None
        self.moved_at: float | None = None
        """When a recovery under way last got a record or an answer, monotonic seconds; None where none is under way."""

    def start(self) -> None:
        """Start the thread; twice is once."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="recovery", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread; jobs under way are dropped."""
        self._stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(10)

    def request(self, jobs: Sequence[Job]) -> None:
        """Recover these partitions; each calls `done` when it is ready."""
        for job in jobs:
            job.began = time.monotonic()
        self._jobs.extend(jobs)
        self._wake.set()

    def _run(self) -> None:
        try:
            self._offsets = Offsets(self._cluster, GIVE_UP_S, self._still_waiting)
            reader = recovery_reader(self._cluster)
            while not self._stopping:
                self._wake.wait(None if not self._reading else 0)
                self._wake.clear()
                self._take_jobs(reader)
                if self._reading:
                    self._read(reader)
                if not self._reading and not self._jobs:
                    self.moved_at = None
            reader.close()
        except (CannotRecover, TopicGone, UnreadableState) as error:
            fail_stop(str(error), code=REFUSED)
        except BaseException as error:  # noqa: BLE001 - no partition may wait for ever on a dead thread
            fail_stop("recovery", error)

    def _still_waiting(self) -> None:
        self.moved_at = time.monotonic()

    def _take_jobs(self, reader: Consumer) -> None:
        if self._jobs:
            self.moved_at = time.monotonic()
        taken = [job for job in (self._jobs.popleft() for _ in range(len(self._jobs))) if job.wanted()]
        by_group: dict[tuple[str, str], list[Job]] = {}
        for job in taken:
            by_group.setdefault((job.group, job.source), []).append(job)
        for (group, source), jobs in by_group.items():
            self._prepare(group, source, jobs)
            for job in jobs:
                self._begin(reader, job)

    def _prepare(self, group: str, source: str, jobs: list[Job]) -> None:
        """Ask for offsets, in the order that makes the answers safe."""
        partitions = [job.partition for job in jobs]
        committed = self._offsets.committed(group, source, partitions)
        ends = self._offsets.ends(jobs[0].changelog, partitions)
        source_ends = self._offsets.ends(source, partitions)
        source_lows = self._offsets.lows(source, partitions)
        for job in jobs:
            job.committed = committed[job.partition].offset
            job.end = ends[job.partition]
            job.source_low = source_lows[job.partition]
            job.source_end = source_ends[job.partition]

    def _begin(self, reader: Consumer, job: Job) -> None:
        job.read = Recovered(job.room)
        if job.end == 0:
            self._finish(job)
            return
        self._reading[job.changelog, job.partition] = job
        reader.incremental_assign([Place(job.changelog, job.partition, OFFSET_BEGINNING)])

    def _read(self, reader: Consumer) -> None:
        one = reader.poll(0.05)
        # `consume` would wait its whole time for the last record; after `poll` it takes what is already here.
        for message in [one, *reader.consume(READ_AT_ONCE, 0)] if one is not None else ():
            job = self._reading.get((message.topic() or "", message.partition() or 0))
            if job is None:
                continue
            error = message.error()
            if error is None:
                self.moved_at = time.monotonic()
                assert job.read is not None
                job.read.take(message.key() or b"", message.value())
            elif error.code() == KafkaError._PARTITION_EOF:
                if (message.offset() or 0) >= job.end:
                    self._leave(reader, job)
                    self._finish(job)
            elif error.fatal() or not error.retriable():
                raise KafkaException(error)
        for job in [job for job in self._reading.values() if not job.wanted()]:
            self._leave(reader, job)

    def _leave(self, reader: Consumer, job: Job) -> None:
        del self._reading[job.changelog, job.partition]
        reader.incremental_unassign([Place(job.changelog, job.partition)])

    def _finish(self, job: Job) -> None:
        assert job.read is not None
        read = job.read.decode()
        birth = Birth(job.room.name, job.source, job.room.reads.partitions)
        try:
            start = checked_start(job, read, birth)
        except CannotRecover:
            if self._is_old_story(job):
                return
            raise
        table: Table[Any, Any] = Table(job.room, birth, read)
        seconds = time.monotonic() - job.began
        job.done(Ready(job.partition, job.epoch, table, start, job.source_end, seconds, read.records, read.bytes))

    def _is_old_story(self, job: Job) -> bool:
        """Whether another owner went on after we had asked; what was read is then begun anew, if it is still wanted."""
        if not job.wanted():
            return True
        if self._offsets.committed(job.group, job.source, [job.partition])[job.partition].offset == job.committed:
            return False
        self._jobs.append(job)
        self._wake.set()
        return True


def checked_start(job: Job, read: Recovered, birth: Birth) -> int:
    """Where to go on. Raises CannotRecover where changelog, offsets and inbox do not belong together."""
    who = f"{job.source}/{job.partition} of {job.room.name}"
    if job.committed is None:
        if read.birth is not None:
            raise CannotRecover(
                f"{who} has states up to offset {read.applied} but group {job.group} has no committed offset: "
                f"restore it (at least {read.applied + 1}), or delete {job.changelog} to fold from the beginning"
            )
        return job.source_low
    if read.birth is None:
        raise CannotRecover(
            f"{who} has committed offset {job.committed} but its changelog {job.changelog} is empty: it was deleted. "
            f"Restore it, or delete the group's offsets to fold the inbox from the beginning"
        )
    if read.birth != birth:
        raise CannotRecover(f"{who}: the changelog {job.changelog} belongs to {read.birth}, not to {birth}")
    if read.applied >= job.committed:
        raise CannotRecover(
            f"{who} has states up to offset {read.applied} but the committed offset is {job.committed}: "
            f"somebody moved it back. Set it to {read.applied + 1} or later, or delete {job.changelog} as well"
        )
    if job.committed < job.source_low:
        raise CannotRecover(
            f"{who}: records {job.committed} to {job.source_low - 1} were deleted before they were folded; "
            f"what they said is lost. Set the offset to {job.source_low} if that is acceptable"
        )
    return job.committed
