"""What durability costs when something ends: failover, recovery, memory, bytes in the changelog."""

import statistics
import sys
import threading
import time
from pathlib import Path
from typing import Any, ClassVar

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition

from benchmarks._arena import GIVE_UP_S, PARTITIONS, Arena
from benchmarks.gate import NOON_US, SECOND_US, busy_account, filled, marks, wish
from schemas.order import SubmitOrder
from schemas.record import Part, Record
from streams.accounts.room import Accounts
from streams.runtime.clients import administrator, plain_producer
from streams.runtime.recovery import Job, Ready, Recovery
from streams.runtime.tables import Birth, StateWrite, Table
from tests.faults.harness import Harness
from tests.streams.runtime.sums import SUMS_INBOX, Account, SumsRoom

KILLS = 3
STATE_BYTES = 1_000
MEGABYTE = 1_000_000


def failover(bootstrap: str, folder: Path) -> dict[str, Any]:
    """Seconds from kill -9 of one of two workers, started again at once, to results from every partition."""
    found = {}
    for name, fixed in (("fixed_membership", True), ("without", False)):
        with Harness(bootstrap, folder, fixed=fixed) as harness:
            harness.start("w0", "w1")
            harness.wait_for_flow()
            taken = []
            for number in range(KILLS):
                # Both have their share again.
                time.sleep(3.0)
                harness.wait_for_flow()
                harness.kill(f"w{number % 2}")
                taken.append(harness.wait_for_flow())
        found[name] = {
            "kills": KILLS,
            "median_s": round(statistics.median(taken), 2),
            "max_s": round(max(taken), 2),
        }
    return {**found, "session_s": 6.0}


class Ballast(Part, frozen=True):
    """A state of a known size."""

    text: str


class BallastRoom(SumsRoom):
    """The worked room with heavier states."""

    part_types: ClassVar = {"state": Account, "ballast": Ballast}

    def parts(self, state: Any) -> Any:
        return {"ballast": state}

    def assemble(self, key: str, parts: Any) -> Any:
        return parts["ballast"]


def recovery(bootstrap: str, folder: Path, megabytes: list[int]) -> dict[str, Any]:
    """Seconds from asking for all partitions of a room to the last one being ready, by size of its states."""
    return {f"{size}_mb": _recovered(bootstrap, size) for size in megabytes}


def _recovered(bootstrap: str, megabytes: int) -> dict[str, float]:
    arena, room = Arena(bootstrap), BallastRoom()
    group = f"{arena.environment}.sums"
    states = megabytes * MEGABYTE // STATE_BYTES // PARTITIONS
    producer = plain_producer(arena.cluster, lambda _: None)
    for partition in range(PARTITIONS):
        for key, value in _writes(room, arena.inbox, states):
            while True:
                try:
                    producer.produce(arena.kept, value, key, partition)
                    break
                except BufferError:
                    producer.poll(0.1)
    assert producer.flush(GIVE_UP_S) == 0
    places = [TopicPartition(arena.inbox, partition, states) for partition in range(PARTITIONS)]
    request = [ConsumerGroupTopicPartitions(group, places)]
    # Kept until the answer is here: a client that is gone answers nobody.
    admin = administrator(arena.cluster)
    admin.alter_consumer_group_offsets(request)[group].result(30)
    ready: list[Ready] = []
    done = threading.Event()

    def one(partition: Ready) -> None:
        ready.append(partition)
        if len(ready) == PARTITIONS:
            done.set()

    recovery_thread = Recovery(arena.cluster)
    recovery_thread.start()
    began, cpu = time.perf_counter(), time.process_time()
    recovery_thread.request(
        [
            Job(room=room, group=group, source=arena.inbox, changelog=arena.kept, partition=partition, epoch=1,
                wanted=lambda: True, done=one)
            for partition in range(PARTITIONS)
        ]
    )  # fmt: skip
    assert done.wait(GIVE_UP_S * 5), "the states were not recovered"
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    recovery_thread.stop()
    size = sum(each.bytes for each in ready)
    return {
        "seconds": round(seconds, 2),
        "cpu_s": round(cpu, 2),
        "states": sum(each.records for each in ready),
        "mb": round(size / MEGABYTE, 1),
        "mb_per_s": round(size / MEGABYTE / seconds, 1),
    }


def _writes(room: BallastRoom, source: str, states: int) -> list[StateWrite]:
    """The changelog of one partition, as its table writes it."""
    table: Table[Any, Any] = Table(room, Birth(room.name, source, SUMS_INBOX.partitions))
    for number in range(states):
        key = f"a{number}"
        table.partition.states[key] = Ballast("x" * STATE_BYTES)
        table.partition.changed.add(key)
    return table.writes(states - 1)


def changelog_bytes() -> dict[str, Any]:
    """Bytes and records written to the changelog of accounts, and beside it the whole state once."""
    room = Accounts()
    account, shared = busy_account(room)
    table: Table[Any, Any] = Table(room, Birth(room.name, "bench", room.reads.partitions))
    table.partition.states["A"] = account
    table.partition.shared = shared
    table.partition.changed.add("A")
    table.partition.shared_changed = True
    table.partition._index("A", room.interests(account))
    whole = _size(table.writes(0))
    table.settle()
    offset = 0

    def fold(key: str | None, record: Record) -> tuple[dict[str, int], list[Record]]:
        nonlocal offset
        offset += 1
        said = table.partition.fold(key, record)
        size = _size(table.writes(offset))
        table.settle()
        return size, said

    at_us = NOON_US + SECOND_US // 10
    found: dict[str, Any] = {"positions": 200, "working_orders": 100, "whole_state": whole}
    found["mark_of_one_held_instrument"], _ = fold(None, marks(at_us, [0], "50.01"))
    found["next_mark_within_the_second"], _ = fold(None, marks(at_us + 1, [1], "50.01"))
    found["marks_of_all_200_at_once"], _ = fold(None, marks(at_us + 2, range(200), "50.02"))
    found["order_decided_and_sent"], said = fold("A", wish(0, 1.0, "bytes"))
    order = next(one for one in said if isinstance(one, SubmitOrder))
    found["its_fill"], _ = fold("A", filled(order))
    return found


def _size(writes: list[StateWrite]) -> dict[str, int]:
    return {"bytes": sum(len(one.key) + len(one.value or b"") for one in writes), "records": len(writes)}


if __name__ == "__main__":
    print(changelog_bytes(), file=sys.stderr)
