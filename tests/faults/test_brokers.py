"""One of three brokers killed, the only one gone for a minute, its disk full: nothing is lost, nothing is twice.

`pytest -s` prints how long it took until records flowed again.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from connectors.embedded import ports
from connectors.embedded.errors import DiskFull
from connectors.embedded.kafka import KafkaCluster, KafkaServer
from streams.runtime.fail_stop import AWAY
from tests.faults.harness import Harness
from tests.servers import KAFKA_DIR

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.faults]

AWAY_S = 60.0
DISK_MIB = 192
LEFT_BYTES = 3 * 2**20


def judge(harness: Harness) -> None:
    """Drain, and hold the topics to the law."""
    harness.drain()
    verdict = harness.verdict()
    for line in [*harness.notes(), *verdict.lines()]:
        print(line)
    assert verdict.ok, verdict.lines()
    assert verdict.outputs >= harness.payer.accepted > 0


def test_one_of_three_brokers_killed_under_load_loses_and_doubles_nothing(
    kafka_cluster: KafkaCluster, tmp_path: Path
) -> None:
    with Harness(kafka_cluster.bootstrap_servers, tmp_path, replication=3) as harness:
        harness.start("w0", "w1")
        harness.wait_for_flow()
        # Each in turn leads some partitions, coordinates some group, and keeps some transactions.
        for broker in kafka_cluster.servers:
            broker.kill()
            harness.note("one of three brokers killed", harness.wait_for_flow())
            broker.restart()
            kafka_cluster.wait_until_in_sync()
        judge(harness)


@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_kafka_gone_for_a_minute_loses_and_doubles_nothing(how: str, tmp_path: Path) -> None:
    with (
        KafkaServer.start(tmp_path / "kafka", port=0, kafka_dir=KAFKA_DIR) as broker,
        Harness(broker.bootstrap_servers, tmp_path) as harness,
    ):
        harness.start("w0", "w1")
        harness.wait_for_flow()
        if how == "killed":
            broker.kill()
        else:
            broker.pause()
        harness.wait(AWAY_S)
        if how == "killed":
            broker.restart()
        else:
            broker.resume()
        harness.note(f"Kafka {how} for a minute", harness.wait_for_flow())
        judge(harness)


def test_a_worker_that_starts_while_kafka_is_away_ends_so_that_it_is_started_again(tmp_path: Path) -> None:
    harness = Harness(f"127.0.0.1:{ports.choose_free()}", tmp_path)
    worker = harness.spawned("w0", tmp_path / "w0.log")
    assert worker.process.wait(60) == AWAY
    assert "Kafka does not answer" in worker.log.read_text()


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of its own, of memory; skips where this user may not mount one."""
    folder.mkdir()
    asked = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(asked, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path, left_bytes: int) -> Path:
    """Somebody else's file, which leaves only so much room."""
    ballast = disk / "ballast"
    with ballast.open("ab") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(disk).free - left_bytes)
    return ballast


def top_up(ballast: Path) -> None:
    """Take what room is left, too."""
    with ballast.open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(65536))


def test_a_broker_whose_disk_is_full_says_so_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "disk") as disk,
        KafkaServer.start(disk / "kafka", port=0, kafka_dir=KAFKA_DIR) as broker,
        Harness(broker.bootstrap_servers, tmp_path) as harness,
    ):
        harness.start("w0", "w1")
        harness.wait_for_flow()
        ballast = fill(disk, LEFT_BYTES)
        while broker.is_running:
            harness.wait(0.2)
        top_up(ballast)
        with pytest.raises(DiskFull, match="free some space"):
            broker.restart()
        ballast.unlink()
        broker.restart()
        harness.note("disk full, then room", harness.wait_for_flow())
        judge(harness)
