"""What people do to a running environment: look, skip, put back, supervise; and what a worker refuses to start on."""

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from dataclasses import replace as replaced
from pathlib import Path

import pytest
from confluent_kafka import Producer
from msgspec.structs import replace

from connectors.embedded.kafka import KafkaServer
from connectors.kafka.errors import PartitionsDiffer
from schemas.dead_letter import DeadLetterReason
from schemas.topics import Topic
from streams.runtime.app import RoomApp
from streams.runtime.carrier import Standing
from streams.runtime.clients import administrator
from streams.runtime.dead_letters import CannotReplay, CannotSkip, Letter, letters, replay, skip
from streams.runtime.fail_stop import AWAY, IN_DOUBT, REFUSED
from streams.runtime.kafka_room import KafkaRoom
from streams.runtime.recovery import CannotRecover, Job, checked_start
from streams.runtime.slots import check
from streams.runtime.status import status
from streams.runtime.supervisor import Supervisor
from streams.runtime.tables import Birth, Recovered
from streams.runtime.verify import verify
from streams.runtime.watchdog import LastWords
from tests.streams.runtime.loops import in_a_loop
from tests.streams.runtime.sums import SUMS_INBOX, SUMS_MAP, SumsRoom, payment, sums_codec
from tests.streams.runtime.test_door import Unfit

CODEC = sums_codec()


def app_of(kafka: KafkaServer, folder: Path, topic_prefix: str, topic_map: tuple[Topic, ...] = SUMS_MAP) -> RoomApp:
    return RoomApp(topic_prefix.rstrip("."), kafka.bootstrap_servers, CODEC, folder, topic_map=topic_map, replication=1)


@asynccontextmanager
async def running(app: RoomApp, room: KafkaRoom) -> AsyncIterator[None]:
    app.carry(room)
    await app.start()
    try:
        while len(room.carrier.owned) < 4 or any(o.standing is Standing.RECOVERING for o in room.partitions().values()):
            await asyncio.sleep(0.01)
        yield
    finally:
        await app.stop()


def parked(room: KafkaRoom) -> list[int]:
    return [partition for partition, owned in room.partitions().items() if owned.standing is Standing.PARKED]


async def threaded(call: object, *arguments: object) -> object:
    assert callable(call)
    return await asyncio.get_running_loop().run_in_executor(None, call, *arguments)


@pytest.mark.servers
@in_a_loop
async def test_a_parked_partition_goes_on_behind_a_record_that_a_person_skips(
    kafka: KafkaServer, tmp_path: Path, topic_prefix: str
) -> None:
    app = app_of(kafka, tmp_path, topic_prefix)
    room = app.room(Unfit())
    environment, cluster = app.environment, app.cluster
    async with running(app, room):
        source = app.source("payers")
        for payment_id in ("p1", "raise:", "p3"):
            source.write(payment("ann", 2, payment_id))
        source.close()
        while not parked(room):
            await asyncio.sleep(0.02)
        (partition,) = parked(room)

        def order(offset: int, author: str = "eve") -> None:
            skip(cluster, CODEC, environment, "sums", SUMS_INBOX, (partition, offset), author, "a bug", SUMS_MAP)

        with pytest.raises(CannotSkip, match="has been folded up to 1: 0 lies before it"):
            await threaded(order, 0)
        with pytest.raises(CannotSkip, match="no record at offset 9"):
            await threaded(order, 9)
        with pytest.raises(CannotSkip, match="say who"):
            await threaded(order, 1, "")
        await threaded(order, 1)
        while room.metrics.folded < 2:
            await asyncio.sleep(0.02)
        assert room.table["ann"].total == 4
        assert parked(room) == []
    (letter,) = letters(cluster, CODEC, environment, SUMS_MAP)
    assert (letter.record.author, letter.record.detail) == ("eve", "a bug")
    verdict = verify(Unfit(), CODEC, cluster, environment, SUMS_MAP)
    assert verdict.ok, verdict.lines()


@pytest.mark.servers
@in_a_loop
async def test_a_dead_letter_is_put_back_and_folds_when_its_cause_is_mended(
    kafka: KafkaServer, tmp_path: Path, topic_prefix: str
) -> None:
    app = app_of(kafka, tmp_path, topic_prefix)
    inbox = SUMS_INBOX.full_name(app.environment)
    room = app.room(SumsRoom())
    async with running(app, room):
        producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "partitioner": "murmur2_random"})
        # The code to which its writer was ahead of ours: an id that is not known yet.
        producer.produce(inbox, b"\0\0\0\0\x63" + CODEC.encode(payment("ann", 5, "p1"))[5:], b"ann")
        producer.flush()
        while room.metrics.letters < 1:
            await asyncio.sleep(0.02)
        (letter,) = list(letters(app.cluster, CODEC, app.environment, SUMS_MAP))
        assert letter.record.reason is DeadLetterReason.UNKNOWN_SCHEMA
        replay(app.cluster, letter)
        while room.metrics.letters < 2:
            await asyncio.sleep(0.02)
        with pytest.raises(CannotReplay):
            replay(app.cluster, without_value(letter))


def without_value(letter: Letter) -> Letter:
    return replaced(letter, record=replace(letter.record, value=None))


@pytest.mark.servers
@in_a_loop
async def test_status_counts_the_records_that_are_not_folded_and_not_the_commit_markers(
    kafka: KafkaServer, tmp_path: Path, topic_prefix: str
) -> None:
    app = app_of(kafka, tmp_path, topic_prefix)
    room = app.room(SumsRoom(), turns=True)

    def look() -> tuple[int, bool, list[str]]:
        (found,) = status(app.cluster, app.environment, [("sums", SUMS_INBOX)])
        return found.lag_records, found.lag_s > 0, found.members

    async with running(app, room):
        source = app.source("payers", atomic_slot="c0")
        for n in range(4):
            with source.together():
                source.write(payment("ann", 1, f"p{n}"))
        assert await room.drain() == 4
        assert await threaded(look) == (0, False, [f"{app.environment}.sums.w0"])
        for n in range(3):
            with source.together():
                source.write(payment("ann", 1, f"q{n}"))
        assert await threaded(look) == (3, True, [f"{app.environment}.sums.w0"])
        assert await room.drain() == 3
        source.close()


@pytest.mark.servers
@in_a_loop
async def test_a_partition_count_that_differs_from_the_map_is_refused(
    kafka: KafkaServer, tmp_path: Path, topic_prefix: str
) -> None:
    async with running(app := app_of(kafka, tmp_path, topic_prefix), app.room(SumsRoom())):
        pass
    wider = tuple(replaced(topic, partitions=6) for topic in SUMS_MAP)
    with pytest.raises(PartitionsDiffer, match=r"sums.inbox has 4 partitions, the map says 6"):
        await app_of(kafka, tmp_path, topic_prefix, wider).start()


@pytest.mark.servers
@in_a_loop
async def test_a_slot_that_a_living_process_holds_is_refused(
    kafka: KafkaServer, tmp_path: Path, topic_prefix: str
) -> None:
    app = app_of(kafka, tmp_path, topic_prefix)
    room = app.room(SumsRoom())
    async with running(app, room):
        code = (
            "import sys\n"
            "from streams.runtime.clients import Cluster\n"
            "from streams.runtime.slots import check, SlotTaken\n"
            "try: check(Cluster(sys.argv[1]), sys.argv[2], sys.argv[3], 'w0')\n"
            "except SlotTaken as error: print(error)"
        )
        asked = await threaded(
            lambda: subprocess.run(
                [sys.executable, "-c", code, kafka.bootstrap_servers, room.group, room.instance or ""],
                capture_output=True, text=True, check=True,
            )
        )  # fmt: skip
        assert isinstance(asked, subprocess.CompletedProcess)
        assert "is held by w0@" in asked.stdout
        await threaded(check, app.cluster, room.group, room.instance, "w0")
        await threaded(check, app.cluster, room.group, f"{room.group}.w9", "w9")


@pytest.mark.servers
@pytest.mark.slow
@in_a_loop
async def test_a_changelog_deleted_behind_our_back_is_refused(
    kafka: KafkaServer, tmp_path: Path, topic_prefix: str
) -> None:
    app = app_of(kafka, tmp_path, topic_prefix)
    async with running(app, room := app.room(SumsRoom())):
        source = app.source("payers")
        source.write(payment("ann", 5, "p1"))
        source.close()
        while room.metrics.folded < 1:
            await asyncio.sleep(0.02)
    admin = administrator(app.cluster)
    admin.delete_topics([room.changelog])[room.changelog].result(10)
    code, said = await asyncio.get_running_loop().run_in_executor(
        None, start_a_worker, kafka.bootstrap_servers, app.environment, tmp_path
    )
    assert code == REFUSED, said
    assert "its changelog" in said
    assert "is empty: it was deleted" in said


def start_a_worker(bootstrap_servers: str, environment: str, folder: Path) -> tuple[int, str]:
    """A worker of its own, until it ends."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.faults.sums_worker", "worker", "--without-web"],
        env={
            "PATH": "", "SUMS_ENVIRONMENT": environment, "SUMS_BOOTSTRAP": bootstrap_servers, "SUMS_SLOT": "w0",
            "SUMS_FOLDER": str(folder / "other"),
        },
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    return ended.returncode, ended.stdout + ended.stderr


def job(committed: int | None, low: int = 0) -> Job:
    return Job(
        room=SumsRoom(), group="g", source="t.sums.inbox", changelog="t-sums-changelog", partition=1, epoch=1,
        wanted=lambda: True, done=lambda _: None, committed=committed, source_low=low,
    )  # fmt: skip


def recovered(applied: int = -1, born: bool = True, partitions: int = 4) -> Recovered:
    read = Recovered(SumsRoom())
    read.applied = applied
    read.birth = Birth("sums", "t.sums.inbox", partitions) if born else None
    return read


BIRTH = Birth("sums", "t.sums.inbox", 4)


def test_a_new_partition_begins_at_its_first_record() -> None:
    assert checked_start(job(None, low=7), recovered(born=False), BIRTH) == 7


def test_a_partition_goes_on_at_its_committed_offset() -> None:
    assert checked_start(job(12), recovered(applied=11), BIRTH) == 12


@pytest.mark.parametrize(
    ("committed", "low", "read", "says"),
    [
        (None, 0, recovered(applied=3), "no committed offset"),
        (5, 0, recovered(born=False), "it was deleted"),
        (5, 0, recovered(applied=5), "somebody moved it back"),
        (5, 6, recovered(applied=3), "records 5 to 5 were deleted before they were folded"),
        (5, 0, recovered(applied=3, partitions=8), "belongs to"),
    ],
)
def test_states_and_offsets_that_contradict_each_other_are_refused(
    committed: int | None, low: int, read: Recovered, says: str
) -> None:
    with pytest.raises(CannotRecover, match=says):
        checked_start(job(committed, low), read, BIRTH)


def supervised(folder: Path, script: str, heard: Callable[[LastWords], None] = lambda _: None) -> Supervisor:
    return Supervisor([sys.executable, "-c", script, str(folder)], folder / "last-words.json", heard)


COUNTED = """
import os, sys, pathlib
starts = pathlib.Path(sys.argv[1]) / "starts"
n = int(starts.read_text()) + 1 if starts.exists() else 1
starts.write_text(str(n))
"""


@pytest.mark.parametrize(("code", "starts"), [(IN_DOUBT, 3), (AWAY, 3), (REFUSED, 1), (0, 1), (1, 1)])
def test_only_a_worker_that_ended_in_doubt_or_lacked_a_server_is_started_again(
    tmp_path: Path, code: int, starts: int
) -> None:
    supervisor = supervised(tmp_path, COUNTED + f"os._exit({code} if n < 3 else 0)")
    supervisor.run()
    assert supervisor.starts == starts


def test_a_worker_that_was_killed_is_started_again(tmp_path: Path) -> None:
    supervisor = supervised(tmp_path, COUNTED + "os.kill(os.getpid(), 9) if n < 2 else os._exit(0)")
    assert supervisor.run() == 0
    assert supervisor.starts == 2


def test_the_supervisor_tells_of_a_fold_that_did_not_return_before_it_starts_again(tmp_path: Path) -> None:
    words = LastWords("strategies", 1, 7, "EURUSD", "Bar", "momentum-1", 30.0)
    write = f"(starts.parent / 'last-words.json').write_text({json.dumps(asdict(words))!r}); os._exit({IN_DOUBT})"
    heard: list[LastWords] = []
    supervisor = supervised(tmp_path, COUNTED + f"if n < 2: {write}", heard=heard.append)
    assert supervisor.run() == 0
    assert heard == [words]


def test_a_supervisor_that_is_told_to_end_lets_the_worker_drain(tmp_path: Path) -> None:
    script = (
        "import signal, sys, time, pathlib\n"
        "def drain(*_): pathlib.Path(sys.argv[1], 'drained').touch(); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, drain); pathlib.Path(sys.argv[1], 'up').touch()\n"
        "while True: time.sleep(0.05)"
    )
    supervisor = supervised(tmp_path, script)

    def end() -> None:
        while not (tmp_path / "up").exists():
            time.sleep(0.01)
        signal.raise_signal(signal.SIGTERM) if False else signal.pthread_kill(
            threading.main_thread().ident or 0, signal.SIGTERM
        )

    threading.Thread(target=end, daemon=True).start()
    assert supervisor.run() == 0
    assert (tmp_path / "drained").exists()
    assert supervisor.starts == 1
