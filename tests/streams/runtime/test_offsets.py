"""Offsets are told again by whoever asked for them before all brokers were away."""

from pathlib import Path

import pytest
from confluent_kafka import TopicPartition

from connectors.embedded.kafka import KafkaServer
from connectors.kafka.provision import desired
from streams.runtime.clients import Cluster, asker, plain_producer
from streams.runtime.offsets import Committed, Offsets
from streams.runtime.provisioning import provision
from tests.servers import KAFKA_DIR
from tests.streams.runtime.sums import SUMS_INBOX, SUMS_MAP

pytestmark = [pytest.mark.servers, pytest.mark.slow]

TIMES = 2


def test_offsets_are_told_again_when_the_only_broker_was_killed_and_is_back(tmp_path: Path) -> None:
    with KafkaServer.start(tmp_path, port=0, kafka_dir=KAFKA_DIR) as server:
        cluster = Cluster(server.bootstrap_servers)
        provision(cluster, desired("t", 1, SUMS_MAP))
        inbox, partitions = SUMS_INBOX.full_name("t"), range(SUMS_INBOX.partitions)
        producer = plain_producer(cluster, lambda _: None)
        producer.produce(inbox, b"one", partition=0)
        assert not producer.flush(10)
        member = asker(cluster, "t.sums")
        member.commit(offsets=[TopicPartition(inbox, 0, 1, "noted")], asynchronous=False)
        member.close()
        committed = {partition: Committed(None, "") for partition in partitions} | {0: Committed(1, "noted")}
        offsets = Offsets(cluster, give_up_s=15.0)
        ends = {partition: int(partition == 0) for partition in partitions}
        assert offsets.ends(inbox, partitions) == ends
        assert offsets.committed("t.sums", inbox, partitions) == committed
        for _ in range(TIMES):
            server.kill()
            server.restart()
            assert offsets.ends(inbox, partitions) == ends
            assert offsets.committed("t.sums", inbox, partitions) == committed
            assert set(offsets.lows(inbox, partitions).values()) == {0}
