"""The embedded Kafka when it is killed or paused, or given a folder that it cannot use."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from connectors.embedded.errors import DiskFull, FolderCorrupt, FolderUnwritable, NotRunning, ServerExited, ServerSilent
from connectors.embedded.kafka import KafkaServer
from tests.connectors.embedded.kafka_records import Writer, answering_cluster, make_topic, read, send
from tests.servers import KAFKA_DIR

pytestmark = [pytest.mark.servers, pytest.mark.faults]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with two megabytes."""
    disk = tmp_path / "small"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("this user may not mount a small file system")
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.mark.slow
def test_kill_9_amid_writes_keeps_every_acknowledged_record_once_and_in_order(tmp_path: Path) -> None:
    with KafkaServer.start(tmp_path, port=0, kafka_dir=KAFKA_DIR) as server:
        make_topic(server.client_config(), "ticks")
        with Writer(server.client_config(), "ticks") as writer:
            for _ in range(2):
                writer.wait_for_more(500)
                server.kill()
                assert not server.is_running
                server.restart()
            writer.wait_for_more(500)
        found = read(server.client_config(), "ticks", len(writer.acknowledged))
        assert found == writer.acknowledged
        assert found == [str(number) for number in range(len(found))]


def test_a_stale_record_of_a_killed_server_whose_process_id_another_has_now_is_not_believed(tmp_path: Path) -> None:
    server = KafkaServer.start(tmp_path, port=0, kafka_dir=KAFKA_DIR)
    stale = json.loads((tmp_path / "server.json").read_text())
    server.kill()
    (tmp_path / "server.json").write_text(json.dumps({**stale, "pid": os.getpid()}))
    with pytest.raises(NotRunning):
        KafkaServer.attach(tmp_path)
    with KafkaServer.start(tmp_path, kafka_dir=KAFKA_DIR) as again:
        assert again.port == server.port
        assert again.pid not in (None, os.getpid())


def test_a_paused_server_is_silent_and_answers_again_when_resumed(tmp_path: Path) -> None:
    with KafkaServer.start(tmp_path, port=0, kafka_dir=KAFKA_DIR) as server:
        server.pause()
        assert server.is_running
        with pytest.raises(KafkaException):
            answering_cluster(server.client_config(), timeout_s=1)
        with pytest.raises(ServerSilent, match="was silent for 1 s"):
            KafkaServer.start(tmp_path, kafka_dir=KAFKA_DIR, timeout_s=1)
        server.resume()
        assert answering_cluster(server.client_config()) == server.cluster_id


def test_a_paused_server_can_be_stopped(tmp_path: Path) -> None:
    server = KafkaServer.start(tmp_path, port=0, kafka_dir=KAFKA_DIR)
    server.pause()
    assert server.stop()
    assert not server.is_running


def test_a_start_that_takes_too_long_leaves_no_process_behind(tmp_path: Path) -> None:
    with pytest.raises(ServerSilent, match="was silent for 0 s"):
        KafkaServer.start(tmp_path, port=0, kafka_dir=KAFKA_DIR, timeout_s=0)
    with pytest.raises(NotRunning):
        KafkaServer.attach(tmp_path)


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "kafka").write_text("I was here first")
    with pytest.raises(FolderUnwritable, match=r"kafka cannot be written: .*; name a folder of your own"):
        KafkaServer.start(tmp_path / "kafka", port=0, kafka_dir=KAFKA_DIR)
    assert (tmp_path / "kafka").read_text() == "I was here first"


def test_a_full_disk_is_named_before_anything_is_written(small_disk: Path) -> None:
    with pytest.raises(DiskFull, match=r"has no room: . MB are free and 100 MB are needed; free some space"):
        KafkaServer.start(small_disk / "kafka", port=0, kafka_dir=KAFKA_DIR)
    assert list((small_disk / "kafka").iterdir()) == []


def test_a_corrupt_folder_ends_the_start_at_once_with_kafkas_last_words(tmp_path: Path) -> None:
    KafkaServer.start(tmp_path, port=0, kafka_dir=KAFKA_DIR).stop()
    (tmp_path / "data" / "meta.properties").write_bytes(b"\xff" * 100)
    with pytest.raises(FolderCorrupt, match=r"ERROR .*: node ID not found in .*; see .*kafka\.log; restore the folder"):
        KafkaServer.start(tmp_path, kafka_dir=KAFKA_DIR)
    assert (tmp_path / "data" / "meta.properties").read_bytes() == b"\xff" * 100
    with pytest.raises(NotRunning):
        KafkaServer.attach(tmp_path)


@pytest.mark.parametrize("damaged_from", [0.0, 0.5])
def test_a_server_that_forgot_its_topics_is_no_server_and_their_records_are_kept(
    tmp_path: Path, damaged_from: float
) -> None:
    server = KafkaServer.start(tmp_path, port=0, kafka_dir=KAFKA_DIR)
    make_topic(server.client_config(), "ticks")
    assert send(server.client_config(), "ticks", ["1"]) == [None]
    server.stop()
    topics = tmp_path / "data" / "__cluster_metadata-0" / "00000000000000000000.log"
    whole = topics.read_bytes()
    keep = int(len(whole) * damaged_from)
    topics.write_bytes(whole[:keep] + b"\xff" * (len(whole) - keep))
    for _ in range(2):
        with pytest.raises(
            FolderCorrupt, match=r"its list of topics was damaged and lacks .*ticks; their records are in"
        ):
            KafkaServer.start(tmp_path, kafka_dir=KAFKA_DIR)
        assert not server.is_running
    (kept,) = (tmp_path / "data").glob("ticks-0.*-stray/00000000000000000000.log")
    assert kept.stat().st_size > 0


def test_a_topic_deleted_right_before_kill_9_is_gone_and_nothing_is_wrong(tmp_path: Path) -> None:
    with KafkaServer.start(tmp_path, port=0, kafka_dir=KAFKA_DIR) as server:
        make_topic(server.client_config(), "ticks")
        admin = AdminClient(server.client_config())
        for future in admin.delete_topics(["ticks"], operation_timeout=30).values():
            future.result(60)
        server.kill()
        server.restart()
        assert "ticks" not in AdminClient(server.client_config()).list_topics(timeout=10).topics


def test_a_folder_that_another_kafka_holds_is_not_called_corrupt(tmp_path: Path) -> None:
    with KafkaServer.start(tmp_path, port=0, kafka_dir=KAFKA_DIR) as holder:
        pid = holder.pid
        record = (tmp_path / "server.json").read_text()
        (tmp_path / "server.json").unlink()
        with pytest.raises(ServerExited, match="another Kafka uses this folder"):
            KafkaServer.start(tmp_path, port=0, kafka_dir=KAFKA_DIR)
        (tmp_path / "server.json").write_text(record)
        assert holder.pid == pid
