"""Watchdog: ends a process that stands still. What is durable is right, and the next start goes on from it.

It looks once a second, from a thread of its own, at what must move: consumer threads, batches in hand, recoveries,
partitions with records to fold, and groups that must tell us our share. A broker that is away is not our standstill.
"""

import json
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from confluent_kafka import KafkaException

from streams.runtime.carrier import Carrier, Standing
from streams.runtime.clients import Cluster
from streams.runtime.door import Door
from streams.runtime.fail_stop import REFUSED, fail_stop
from streams.runtime.intake import Arrival
from streams.runtime.offsets import Offsets, TopicGone
from streams.runtime.orphans import Orphans
from streams.runtime.recovery import Recovery

LOOK_EVERY_S = 1.0
BATCH_S = 30.0
"""A batch may be folded and tried again for so long."""
LAG_S = 30.0
"""Records may lie unread in a partition of ours for so long, or twice so long where the client says that none do."""
UNOWNED_S = 30.0
"""A room that owns nothing for so long asks whether its group has a coordinator that answers."""
COORDINATOR_S = 10.0
RECOVERY_S = 60.0
CALM_S = 10.0
"""For so long no client may have met an error before groups are asked about.

librdkafka's administrator can end the process by an assertion of its own when the coordinator that it asks goes away
(librdkafka issue 4605).
"""
RUNNING = "running"
"""The attribute by which a room tells whose code it is calling."""


@dataclass(frozen=True, slots=True)
class LastWords:
    """What a process leaves for its supervisor when the watchdog ends it over a fold that does not return.

    suspect: whose code the room was calling, if it tells.
    """

    room: str
    partition: int
    offset: int
    key: str | None
    record: str
    suspect: str
    seconds: float


class Watched(Protocol):
    """What the watchdog looks at: a room or an effect."""

    name: str
    source: str
    group: str
    carrier: Carrier


class Watchdog:
    """The thread that looks.

    last_words: file for the supervisor.
    """

    def __init__(self, cluster: Cluster, recovery: Recovery, last_words: Path, batch_s: float = BATCH_S):
        self._cluster = cluster
        self._recovery = recovery
        self._last_words = last_words
        self._batch_s = batch_s
        self._watched: list[tuple[Watched, Door | None]] = []
        self.orphans = Orphans(cluster)
        self._owned_at: dict[str, float] = {}
        self._asked_at: dict[str, float] = {}
        self._ends: dict[tuple[str, int], int] = {}
        self._client_errors = 0
        self._calm_since = time.monotonic()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def watch(self, watched: Watched, door: Door | None = None) -> None:
        """Look at this one too."""
        self._watched.append((watched, door))

    def start(self) -> None:
        """Begin to look."""
        self._last_words.unlink(missing_ok=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_EVERY_S):
            try:
                self._look()
            except TopicGone as error:
                fail_stop(str(error), code=REFUSED)
            except (KafkaException, TimeoutError) as error:
                # Kafka does not answer: that is not our standstill.
                self.orphans.forget()
                if isinstance(error, KafkaException) and error.args[0].fatal():
                    fail_stop("the watchdog's client failed for good", error)

    def _look(self) -> None:
        now = time.monotonic()
        moved = self._recovery.moved_at
        if moved is not None and now - moved > RECOVERY_S:
            fail_stop(f"recovery has stood still for {now - moved:.0f} s")
        for watched, door in self._watched:
            carrier = watched.carrier
            bound = self._cluster.session_ms / 1000 + 2 * self._cluster.revoke_bound_s
            if carrier.silent_s > bound:
                fail_stop(f"{watched.name}: the consumer thread has stood still for {carrier.silent_s:.0f} s")
            since = carrier.in_hand_since
            if since is not None and now - since > self._batch_s:
                self._end_fold(watched, door, now - since)
            self._look_at_lag(watched, now)
            self._look_at_coordinator(watched, now)
        if self._is_calm(now):
            self.orphans.look()

    def _is_calm(self, now: float) -> bool:
        """Whether no client has met an error of late."""
        errors = sum(watched.carrier.counts.client_errors for watched, _ in self._watched)
        if errors != self._client_errors:
            self._client_errors, self._calm_since = errors, now
            self.orphans.forget()
        return now - self._calm_since > CALM_S

    def _end_fold(self, watched: Watched, door: Door | None, seconds: float) -> None:
        entry = door.at if door is not None else None
        if entry is None:
            fail_stop(f"{watched.name}: a batch has been in hand for {seconds:.0f} s")
        words = LastWords(
            room=watched.name,
            partition=entry.partition,
            offset=entry.offset,
            key=entry.key,
            record=type(entry.record).__name__ if isinstance(entry, Arrival) else "unreadable record",
            suspect=str(getattr(door.room, RUNNING, "")) if door is not None else "",
            seconds=seconds,
        )
        self._last_words.write_text(json.dumps(asdict(words)))
        fail_stop(f"{watched.name}: a fold does not return: {words}")

    def _look_at_lag(self, watched: Watched, now: float) -> None:
        """End a process whose consumer does not fetch what is there.

        The client may say that a partition has no more although it has: what was known to be there the last time that
        we asked, and is not read yet, tells.
        """
        carrier = watched.carrier
        still = [
            partition
            for partition, owned in list(carrier.owned.items())
            if owned.standing is Standing.LIVE and now - owned.moved_at > LAG_S
        ]
        if not still or not carrier.is_open or carrier.pending or now - self._asked_at.get(watched.name, 0) < LAG_S:
            return
        self._asked_at[watched.name] = now
        ends = Offsets(self._cluster, give_up_s=0).committed_ends(watched.source, still)
        for partition, end in ends.items():
            known = self._ends.pop((watched.name, partition), 0)
            owned = carrier.owned.get(partition)
            if owned is None or owned.standing is not Standing.LIVE or now - owned.moved_at <= LAG_S:
                continue
            if max(known, 0 if owned.at_end else end) > owned.seen:
                fail_stop(
                    f"{watched.name}: partition {partition} has records up to {end}, stands at {owned.seen} and "
                    f"has not moved for {now - owned.moved_at:.0f} s"
                )
            self._ends[watched.name, partition] = end

    def _look_at_coordinator(self, watched: Watched, now: float) -> None:
        """End a process whose group has no coordinator that answers although Kafka does: nobody else would tell of it.

        Kafka does not try again to load what a coordinator could not load; a client is sent to it for ever.
        """
        if watched.carrier.owned:
            self._owned_at[watched.name] = now
            return
        if now - self._owned_at.setdefault(watched.name, now) < UNOWNED_S:
            return
        self._owned_at[watched.name] = now
        offsets = Offsets(self._cluster, give_up_s=COORDINATOR_S)
        offsets.ends(watched.source, [0])
        try:
            offsets.committed(watched.group, watched.source, [0])
        except (KafkaException, TimeoutError) as error:
            fail_stop(
                f"{watched.name}: Kafka answers, but the coordinator of group {watched.group} does not. If a "
                f"broker's log says that it failed to load __consumer_offsets, restart that broker",
                error,
            )
