"""A worker that cannot go on although Kafka answers says why and ends, so that it is started again: it never idles."""

import time
from pathlib import Path

import pytest
from confluent_kafka import Producer

from connectors.embedded.kafka import KafkaServer
from streams.runtime.fail_stop import AWAY, IN_DOUBT
from tests.faults.harness import Harness
from tests.servers import KAFKA_DIR

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.faults]

ENDS_S = 240.0
SLOW = 20
"""Payments a second that leave the client at the end of each partition most of the time."""
COORDINATORS = 4
"""Partitions of __consumer_offsets, as connectors/embedded has them."""
UNREADABLE = (b"\x00\x02\x00\x01g", b"\x7f\xff")
"""Key and value of a group of a version that no Kafka knows: what is behind it is not loaded."""


@pytest.mark.parametrize(
    ("fixed", "said", "code"), [(True, "NOT_COORDINATOR", AWAY), (False, "but the coordinator of group", IN_DOUBT)]
)
def test_a_worker_whose_groups_coordinator_does_not_load_says_so_and_ends(
    tmp_path: Path, fixed: bool, said: str, code: int
) -> None:
    with (
        KafkaServer.start(tmp_path / "kafka", port=0, kafka_dir=KAFKA_DIR) as server,
        Harness(server.bootstrap_servers, tmp_path, fixed=fixed, session_s=3.0) as harness,
    ):
        harness.start("w0")
        harness.wait_for_flow()
        # Kafka lets nobody but its own tools write there, which it knows by this name.
        spoiler = Producer({**server.client_config(), "client.id": "__admin_client"})
        key, value = UNREADABLE
        for partition in range(COORDINATORS):
            spoiler.produce("__consumer_offsets", value, key, partition)
        assert not spoiler.flush(10)
        server.kill()
        server.restart()
        log = harness.workers["w0"].log
        give_up = time.monotonic() + ENDS_S
        while said not in (told := log.read_text(errors="replace")) or ("w0", code) not in harness.ended:
            assert time.monotonic() < give_up, told[-2000:]
            harness.wait(0.5)
        assert "Failed to load metadata" in (tmp_path / "kafka" / "kafka.log").read_text()
        assert harness.payer.is_paying


def test_a_worker_whose_client_fetches_no_more_ends_itself_and_records_flow_again(
    kafka: KafkaServer, tmp_path: Path
) -> None:
    with Harness(kafka.bootstrap_servers, tmp_path, rate=SLOW) as harness:
        harness.start("w0")
        harness.wait_for_flow()
        harness.ask_to_stop_itself_at("w0", "deaf")
        harness.wait(5)
        harness.wait_for_flow(ENDS_S)
        assert harness.ended == [("w0", IN_DOUBT)]
        assert "has records up to" in (tmp_path / f"{harness.environment}-w0.log").read_text(errors="replace")
        harness.drain()
        assert harness.verdict().ok
