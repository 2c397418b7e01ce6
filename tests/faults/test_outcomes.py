"""Writers, names, records and states that do not fit, on real Kafka: each has the outcome that docs/delivery.md states.

`pytest -s` prints how long a writer that stopped in mid-transaction held others back.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, Message, Producer

from connectors.embedded.kafka import KafkaServer
from schemas.dead_letter import DeadLetter, DeadLetterReason
from schemas.record import Record
from streams.runtime.app import RoomApp
from streams.runtime.carrier import Standing
from streams.runtime.clients import PARTITIONER, RECORD_BYTES_MAX
from streams.runtime.dead_letters import letters, skip
from streams.runtime.fail_stop import IN_DOUBT, REFUSED
from streams.runtime.kafka_room import KafkaRoom
from streams.runtime.keys import partition_of
from streams.runtime.reader import read_topic
from streams.runtime.room import Room
from streams.runtime.verify import verify
from tests.faults.harness import Harness
from tests.paths import ROOT
from tests.streams.runtime.loops import in_a_loop
from tests.streams.runtime.sums import SUMS_INBOX, SUMS_MAP, Payment, SumsRoom, limit, payment, sums_codec
from tests.streams.runtime.test_door import Unfit

pytestmark = pytest.mark.servers

CODEC = sums_codec()
ANN = partition_of(b"ann", SUMS_INBOX.partitions)
STOPPED_S = 20.0


@pytest.mark.slow
@pytest.mark.faults
def test_a_second_worker_of_one_slot_refuses_to_start_and_the_first_goes_on(kafka: KafkaServer, tmp_path: Path) -> None:
    with Harness(kafka.bootstrap_servers, tmp_path) as harness:
        harness.start("w0")
        harness.wait_for_flow()
        first = harness.workers["w0"].process
        double = harness.spawned("w0", tmp_path / "double.log")
        assert double.process.wait(60) == REFUSED
        assert "slot w0 of" in double.log.read_text()
        assert "Give this one another slot (QL_SLOT), or end the other" in double.log.read_text()
        harness.wait_for_flow()
        assert harness.workers["w0"].process is first
        harness.drain()
        assert harness.verdict().ok


@pytest.mark.slow
@pytest.mark.faults
def test_a_worker_whose_fixed_name_another_client_takes_ends_itself_and_is_started_again(
    kafka: KafkaServer, tmp_path: Path
) -> None:
    with Harness(kafka.bootstrap_servers, tmp_path) as harness:
        harness.start("w0")
        harness.wait_for_flow()
        thief = Consumer(
            {
                "bootstrap.servers": kafka.bootstrap_servers,
                "group.id": f"{harness.environment}.sums",
                "group.instance.id": f"{harness.environment}.sums.w0",
                "partition.assignment.strategy": "cooperative-sticky",
                "session.timeout.ms": 6000,
                "enable.auto.commit": False,
            }
        )
        thief.subscribe([f"{harness.environment}.sums.inbox"])
        worker = harness.workers["w0"]
        give_up = time.monotonic() + 60
        while worker.process.poll() is None and time.monotonic() < give_up:
            thief.poll(0.1)
        thief.close()
        assert worker.process.poll() == IN_DOUBT, harness.tail("w0")
        assert "failed for good" in worker.log.read_text()
        harness.wait_for_flow()
        harness.drain()
        assert harness.verdict().ok


@asynccontextmanager
async def running(
    kafka: KafkaServer, folder: Path, topic_prefix: str, kind: type[Room[Any, Any]] = SumsRoom
) -> AsyncIterator[KafkaRoom]:
    """One room whose partitions all flow."""
    environment = topic_prefix.rstrip(".")
    app = RoomApp(environment, kafka.bootstrap_servers, CODEC, folder, topic_map=SUMS_MAP, replication=1)
    room = app.room(kind())
    app.carry(room)
    await app.start()
    try:
        await until(lambda: room.is_ready)
        yield room
    finally:
        await app.stop()


async def until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(0.01)


def stock_producer(kafka: KafkaServer, **settings: Any) -> Producer:
    """A producer as somebody else would make it."""
    return Producer({"bootstrap.servers": kafka.bootstrap_servers, **settings})


@contextmanager
def stopped_writer(kafka: KafkaServer, environment: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that stands still in the middle of its transaction, with a record of it in the inbox."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.stopping_writer"],
        env=os.environ | {"SUMS_ENVIRONMENT": environment, "SUMS_BOOTSTRAP": kafka.bootstrap_servers},
        cwd=ROOT, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()


@pytest.mark.faults
@in_a_loop
async def test_a_writer_stopped_in_mid_transaction_holds_others_back_until_its_timeout_and_its_record_is_never_folded(
    kafka: KafkaServer, tmp_path: Path, topic_prefix: str
) -> None:
    async with running(kafka, tmp_path, topic_prefix) as room:
        with stopped_writer(kafka, room.app.environment) as stopped:
            source = room.app.source("payers")
            source.write(payment("ann", 2, "after"))
            source.close()
            since = time.monotonic()
            await until(lambda: room.metrics.folded == 1)
            print(f"another writer's record was folded after {time.monotonic() - since:.2f} s")
            assert room.table["ann"].total == 2
            stopped.send_signal(signal.SIGCONT)
            code = await asyncio.get_running_loop().run_in_executor(None, stopped.wait, STOPPED_S)
            assert code != 0, "its commit is refused"
        await until(lambda: not room.has_lag)
    assert paid(room) == ["after"]
    assert verify(SumsRoom(), CODEC, room.app.cluster, room.app.environment, SUMS_MAP).ok


@pytest.mark.faults
@in_a_loop
async def test_a_writer_that_starts_again_ends_what_it_left_open_at_once(
    kafka: KafkaServer, tmp_path: Path, topic_prefix: str
) -> None:
    async with running(kafka, tmp_path, topic_prefix) as room:
        with stopped_writer(kafka, room.app.environment) as stopped:
            stopped.kill()
            since = time.monotonic()
            with stopped_writer(kafka, room.app.environment) as second:
                second.send_signal(signal.SIGCONT)
                code = await asyncio.get_running_loop().run_in_executor(None, second.wait, STOPPED_S)
            assert code == 0
            await until(lambda: room.metrics.folded == 1)
            print(f"its record was folded {time.monotonic() - since:.2f} s after the kill")
        await until(lambda: not room.has_lag)
    assert paid(room) == ["undecided"]


def paid(room: KafkaRoom) -> list[str]:
    """Payments that a committed reader finds in the inbox."""
    records = [CODEC.decode(message.value()) for message in read_topic(room.app.cluster, room.source)]
    return [record.payment_id for record in records if isinstance(record, Payment)]


@in_a_loop
async def test_a_record_over_1_mb_is_a_dead_letter_and_one_that_the_broker_refuses_never_comes(
    kafka: KafkaServer, tmp_path: Path, topic_prefix: str
) -> None:
    refused: list[KafkaError | None] = []
    async with running(kafka, tmp_path, topic_prefix) as room:
        producer = stock_producer(kafka, **{"partitioner": PARTITIONER, "message.max.bytes": 8 * 2**20})

        def write(size: int) -> None:
            value = sized(lambda name: payment("ann", 1, name), size)
            producer.produce(room.source, value, b"ann", on_delivery=report)

        def report(error: KafkaError | None, _: Message) -> None:
            refused.append(error)

        producer.produce(room.source, sized(lambda name: limit(10**9, name), RECORD_BYTES_MAX), partition=ANN)
        write(RECORD_BYTES_MAX + 1)
        write(2 * 2**20)
        producer.produce(room.source, CODEC.encode(payment("ann", 5, "p1")), b"ann")
        assert not producer.flush(30)
        await until(lambda: room.metrics.folded == 2)
    assert [None if error is None else error.name() for error in refused] == [None, "MSG_SIZE_TOO_LARGE"]
    (letter,) = dead(room)
    assert (letter.reason, letter.source_offset) == (DeadLetterReason.TOO_LARGE, 1)
    assert len(letter.value or b"") == RECORD_BYTES_MAX
    verdict = verify(SumsRoom(), CODEC, room.app.cluster, room.app.environment, SUMS_MAP)
    assert verdict.ok, verdict.lines()


def sized(record: Callable[[str], Record], size: int) -> bytes:
    """The record in exactly so many bytes, by the length of its name."""
    spare = size - len(CODEC.encode(record("x" * size)))
    value = CODEC.encode(record("x" * (size + spare)))
    assert len(value) == size
    return value


def dead(room: KafkaRoom) -> list[DeadLetter]:
    return [one.record for one in letters(room.app.cluster, CODEC, room.app.environment, SUMS_MAP)]


@in_a_loop
async def test_what_a_stock_producer_puts_on_another_partition_is_a_dead_letter_and_no_key_has_two_states(
    kafka: KafkaServer, tmp_path: Path, topic_prefix: str
) -> None:
    accounts = [f"a{n}" for n in range(40)]
    placed: dict[str, int] = {}

    def note(_: KafkaError | None, message: Message) -> None:
        placed[(message.key() or b"").decode()] = message.partition() or 0

    async with running(kafka, tmp_path, topic_prefix) as room:
        theirs = stock_producer(kafka)
        for account in accounts:
            theirs.produce(room.source, CODEC.encode(payment(account, 1, account)), account.encode(), on_delivery=note)
        assert not theirs.flush(30)
        ours = room.app.source("payers")
        for account in accounts:
            ours.write(payment(account, 2, f"{account} again"))
        ours.close()
        await until(lambda: room.metrics.folded + room.metrics.letters == 2 * len(accounts))
        homes = {account: partition_of(account.encode(), SUMS_INBOX.partitions) for account in accounts}
        lost = {account for account in accounts if placed[account] != homes[account]}
        assert {account: room.table[account].total for account in accounts} == {
            account: 2 if account in lost else 3 for account in accounts
        }
        kept = Counter(
            key for owned in room.partitions().values() if owned.table for key in owned.table.partition.states
        )
        assert set(kept.values()) == {1}
    assert lost
    assert {(letter.reason, (letter.key or b"").decode()) for letter in dead(room)} == {
        (DeadLetterReason.WRONG_PARTITION, account) for account in lost
    }
    verdict = verify(SumsRoom(), CODEC, room.app.cluster, room.app.environment, SUMS_MAP)
    assert verdict.ok, verdict.lines()


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("swell", "StateTooLarge"),
        ("huge", "OutputTooLarge"),
        ("undeclared", "does not let sums write LimitSet"),
    ],
)
@in_a_loop
async def test_what_a_fold_may_not_keep_or_say_parks_its_partition_until_a_person_skips_the_record(
    kafka: KafkaServer, tmp_path: Path, topic_prefix: str, fault: str, why: str
) -> None:
    bob = next(name for name in ("bob", "cid", "dan") if partition_of(name.encode(), SUMS_INBOX.partitions) != ANN)
    async with running(kafka, tmp_path, topic_prefix, Unfit) as room:
        source = room.app.source("payers")
        for record in (payment("ann", 1, "p1"), payment("ann", 1, f"{fault}:"), payment("ann", 3, "p3")):
            source.write(record)
        source.write(payment(bob, 7, "q1"))
        source.close()
        await until(lambda: room.partitions()[ANN].standing is Standing.PARKED and room.metrics.folded == 2)
        parked = room.partitions()[ANN].parked
        assert parked is not None
        assert (parked.offset, parked.key) == (1, "ann")
        assert why in parked.error
        assert room.table[bob].total == 7
        order = (room.app.cluster, CODEC, room.app.environment, "sums", SUMS_INBOX, (ANN, 1), "eve", "a bug", SUMS_MAP)
        await asyncio.get_running_loop().run_in_executor(None, skip, *order)
        await until(lambda: room.metrics.folded == 3)
        assert room.table["ann"].total == 4
    verdict = verify(Unfit(), CODEC, room.app.cluster, room.app.environment, SUMS_MAP)
    assert verdict.ok, verdict.lines()
