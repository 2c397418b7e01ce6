"""Recovery on real Kafka: what a former owner has left undecided is waited for, and neither lost nor believed early."""

import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from connectors.embedded.kafka import KafkaServer
from connectors.kafka.provision import desired
from streams.runtime.clients import Cluster, room_producer
from streams.runtime.door import Door
from streams.runtime.keys import partition_of
from streams.runtime.provisioning import changelog, provision
from streams.runtime.reader import read_topic
from streams.runtime.recovery import Job, Ready, Recovery
from streams.runtime.source import Source
from streams.runtime.tables import Birth, Table
from tests.streams.runtime.sums import SUMS_INBOX, SUMS_MAP, SumsRoom, payment, sums_codec

pytestmark = pytest.mark.servers

CODEC = sums_codec()
ANN = partition_of(b"ann", SUMS_INBOX.partitions)
UNDECIDED_S = 1.0


class Former:
    """A former owner of ann's partition that has folded two payments and not committed yet."""

    def __init__(self, cluster: Cluster, environment: str):
        self.source = f"{environment}.sums.inbox"
        self.changelog = f"{environment}-sums-changelog"
        self.group = f"{environment}.sums"
        self._cluster = cluster
        provision(cluster, [*desired(environment, 1, SUMS_MAP), changelog(self.changelog, SUMS_INBOX, 1)])
        source = Source(cluster, CODEC, environment, "payers", topic_map=SUMS_MAP)
        for n in (1, 2):
            source.write(payment("ann", n, f"p{n}"))
        source.close()
        door = Door(SumsRoom(), CODEC, environment, self.changelog, SUMS_MAP)
        table: Table[Any, Any] = Table(SumsRoom(), Birth("sums", self.source, SUMS_INBOX.partitions))
        self._work = door.fold(door.read(read_topic(cluster, self.source)), {ANN: table})[ANN]

    def write(self, *, with_offsets: bool) -> Producer:
        """Its transaction, as far as it came."""
        producer = room_producer(self._cluster, f"{self.group}.w0", ignored)
        producer.init_transactions(30)
        producer.begin_transaction()
        for write in self._work.writes:
            producer.produce(write.topic, write.value, write.key, write.partition, headers=write.headers)
        assert not producer.flush(30)
        if with_offsets:
            member = Consumer({"bootstrap.servers": self._cluster.bootstrap_servers, "group.id": self.group})
            assert self._work.next_offset is not None
            place = TopicPartition(self.source, ANN, self._work.next_offset)
            producer.send_offsets_to_transaction([place], member.consumer_group_metadata(), 30)
            member.close()
        return producer


def ignored(_: KafkaError) -> None:
    """Errors of this client come out of its calls."""


@contextmanager
def recovering(cluster: Cluster, former: Former) -> Iterator["queue.Queue[Ready]"]:
    """The recovery of ann's partition, under way."""
    ready: queue.Queue[Ready] = queue.Queue()
    recovery = Recovery(cluster)
    recovery.start()
    recovery.request(
        [
            Job(
                room=SumsRoom().bind(), group=former.group, source=former.source, changelog=former.changelog,
                partition=ANN, epoch=1, wanted=lambda: True, done=ready.put,
            )
        ]
    )  # fmt: skip
    try:
        yield ready
    finally:
        recovery.stop()


@pytest.mark.parametrize(
    ("with_offsets", "decided", "start", "total"),
    [(True, "commit", 2, 3), (True, "abort", 0, None), (False, "abort", 0, None)],
)
def test_recovery_waits_until_the_transaction_of_a_former_owner_is_decided(
    kafka: KafkaServer, topic_prefix: str, with_offsets: bool, decided: str, start: int, total: int | None
) -> None:
    cluster = Cluster(kafka.bootstrap_servers, transaction_ms=60_000)
    former = Former(cluster, topic_prefix.rstrip("."))
    producer = former.write(with_offsets=with_offsets)
    with recovering(cluster, former) as ready:
        time.sleep(UNDECIDED_S)
        assert ready.empty(), "nobody knows yet what is true"
        if decided == "commit":
            producer.commit_transaction(30)
        else:
            producer.abort_transaction(30)
        found = ready.get(timeout=30)
    assert found.start == start
    assert found.table is not None
    states = found.table.partition.states
    assert (states["ann"].total if "ann" in states else None) == total
