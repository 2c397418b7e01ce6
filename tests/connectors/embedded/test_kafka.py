"""The embedded Kafka in ordinary life: start, use, stop, start again."""

import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from connectors.embedded.errors import FolderUnwritable, NotRunning, PortTaken
from connectors.embedded.kafka import DEFAULT_PORT, KafkaServer
from connectors.embedded.ports import LOOPBACK
from tests.connectors.embedded.kafka_records import answering_cluster, make_topic, read, send, text
from tests.paths import ROOT
from tests.servers import KAFKA_DIR

pytestmark = pytest.mark.servers

HUNDRED = [str(number) for number in range(100)]


def occupied(port: int) -> socket.socket:
    """A socket that listens on the port, unless somebody else does already."""
    listener = socket.socket()
    with suppress(OSError):
        listener.bind((LOOPBACK, port))
        listener.listen()
    return listener


def test_what_is_sent_is_read_back(kafka: KafkaServer, topic_prefix: str) -> None:
    make_topic(kafka.client_config(), topic_prefix + "ticks")
    assert send(kafka.client_config(), topic_prefix + "ticks", HUNDRED) == [None] * 100
    assert read(kafka.client_config(), topic_prefix + "ticks", 100) == HUNDRED


def test_a_topic_that_nobody_made_is_refused(kafka: KafkaServer, topic_prefix: str) -> None:
    unknown = topic_prefix + "nobody"
    asked = AdminClient(kafka.client_config()).list_topics(unknown, timeout=10)
    assert asked.topics[unknown].error == KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)
    assert unknown not in AdminClient(kafka.client_config()).list_topics(timeout=10).topics


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_both_group_protocols_hand_out_partitions(kafka: KafkaServer, topic_prefix: str, protocol: str) -> None:
    make_topic(kafka.client_config(), topic_prefix + "ticks")
    send(kafka.client_config(), topic_prefix + "ticks", ["one"])
    consumer = Consumer(
        {
            **kafka.client_config(),
            "group.id": topic_prefix + "readers",
            "group.protocol": protocol,
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([topic_prefix + "ticks"])
    with closing(consumer):
        assert [text(message) for message in consumer.consume(1, timeout=30)] == ["one"]


def test_sessions_of_half_a_second_are_admitted(kafka: KafkaServer, topic_prefix: str) -> None:
    make_topic(kafka.client_config(), topic_prefix + "ticks")
    send(kafka.client_config(), topic_prefix + "ticks", ["one"])
    consumer = Consumer(
        {
            **kafka.client_config(),
            "group.id": topic_prefix + "readers",
            "session.timeout.ms": 500,
            "heartbeat.interval.ms": 100,
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([topic_prefix + "ticks"])
    with closing(consumer):
        assert [text(message) for message in consumer.consume(1, timeout=30)] == ["one"]


def test_stop_and_start_keep_records_committed_offsets_cluster_and_port(tmp_path: Path) -> None:
    first = KafkaServer.start(tmp_path, port=0, kafka_dir=KAFKA_DIR)
    make_topic(first.client_config(), "ticks")
    send(first.client_config(), "ticks", HUNDRED)
    with closing(Consumer({**first.client_config(), "group.id": "readers"})) as consumer:
        consumer.commit(offsets=[TopicPartition("ticks", 0, 42)], asynchronous=False)
    assert first.stop()
    assert not first.is_running

    with KafkaServer.start(tmp_path, kafka_dir=KAFKA_DIR) as second:
        assert (second.cluster_id, second.port) == (first.cluster_id, first.port)
        assert read(second.client_config(), "ticks", 100) == HUNDRED
        with closing(Consumer({**second.client_config(), "group.id": "readers"})) as consumer:
            assert [each.offset for each in consumer.committed([TopicPartition("ticks", 0)], timeout=30)] == [42]


def test_starting_twice_on_one_folder_reports_the_server_that_runs(tmp_path: Path) -> None:
    said: list[str] = []
    with KafkaServer.start(tmp_path, port=0, kafka_dir=KAFKA_DIR) as first:
        second = KafkaServer.start(tmp_path, kafka_dir=KAFKA_DIR, say=said.append)
        assert (second.pid, second.bootstrap_servers) == (first.pid, first.bootstrap_servers)
        assert said == [f"Kafka already runs on {tmp_path}: {first.bootstrap_servers}, process {first.pid}"]


def test_two_who_start_at_once_on_one_folder_get_one_server(tmp_path: Path) -> None:
    def start(_: int) -> KafkaServer:
        return KafkaServer.start(tmp_path, port=0, kafka_dir=KAFKA_DIR)

    with ThreadPoolExecutor(2) as pool:
        servers = list(pool.map(start, range(2)))
    with servers[0], servers[1]:
        assert servers[0].pid is not None
        assert (servers[0].pid, servers[0].port) == (servers[1].pid, servers[1].port)


def test_a_folder_reached_by_a_link_is_the_same_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with KafkaServer.start(tmp_path / "link", port=0, kafka_dir=KAFKA_DIR) as server:
        assert KafkaServer.attach(tmp_path / "real").pid == server.pid


def test_a_server_outlives_the_process_that_started_it_and_is_found_again(tmp_path: Path) -> None:
    starter = (
        "from pathlib import Path; from connectors.embedded.kafka import KafkaServer; import sys\n"
        "KafkaServer.start(Path(sys.argv[1]), port=0, kafka_dir=Path(sys.argv[2]) if sys.argv[2] else None)"
    )
    subprocess.run([sys.executable, "-c", starter, tmp_path, str(KAFKA_DIR or "")], cwd=ROOT, check=True)

    found = KafkaServer.attach(tmp_path)
    pid = found.pid
    assert pid is not None
    assert answering_cluster(found.client_config()) == found.cluster_id
    assert found.stop()
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    with pytest.raises(NotRunning, match="start one with"):
        KafkaServer.attach(tmp_path)


def test_the_usual_port_taken_is_named_and_another_chosen(tmp_path: Path) -> None:
    said: list[str] = []
    with (
        occupied(DEFAULT_PORT),
        KafkaServer.start(tmp_path, kafka_dir=KAFKA_DIR, say=said.append) as server,
    ):
        assert server.port != DEFAULT_PORT
        assert answering_cluster(server.client_config()) == server.cluster_id
    assert len(said) == 1
    assert said[0].startswith(f"Port {DEFAULT_PORT} is taken (process ")
    assert said[0].endswith(f"Kafka listens on {server.port} instead")


def test_a_port_that_was_demanded_and_is_taken_is_an_error_that_leaves_nothing_behind(tmp_path: Path) -> None:
    with occupied(0) as listener:
        taken = listener.getsockname()[1]
        with pytest.raises(PortTaken, match=f"port {taken} is taken: process .* listens there; end that process"):
            KafkaServer.start(tmp_path / "kafka", port=taken, kafka_dir=KAFKA_DIR)
    assert [path.name for path in (tmp_path / "kafka").iterdir()] == [".lock"]


def test_a_folder_may_have_spaces_and_letters_of_any_language(tmp_path: Path) -> None:
    folder = tmp_path / "Jürgens Börse 株 📈"
    with KafkaServer.start(folder, port=0, kafka_dir=KAFKA_DIR) as server:
        make_topic(server.client_config(), "ticks")
        assert send(server.client_config(), "ticks", ["1"]) == [None]
        assert (folder / "data" / "ticks-0").is_dir()
        server.stop()
        server.restart()
        assert read(server.client_config(), "ticks", 1) == ["1"]


def test_a_folder_with_a_comma_is_refused_because_kafka_would_take_it_for_two(tmp_path: Path) -> None:
    with pytest.raises(FolderUnwritable, match="comma"):
        KafkaServer.start(tmp_path / "a,b", port=0, kafka_dir=KAFKA_DIR)
    assert not (tmp_path / "a,b").exists()


def test_no_answer_is_no_server() -> None:
    """The check by which other tests see that a server is down can fail."""
    with pytest.raises(KafkaException):
        answering_cluster({"bootstrap.servers": f"{LOOPBACK}:1"}, timeout_s=1)
