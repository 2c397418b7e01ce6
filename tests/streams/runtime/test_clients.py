"""Settings and calls of librdkafka's clients that cost dearly where they are otherwise."""

import statistics
import time
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from connectors.embedded.kafka import KafkaServer
from connectors.kafka.provision import DesiredTopic
from streams.runtime import clients, transactions
from streams.runtime.clients import Cluster
from streams.runtime.door import PartitionWork, Write
from streams.runtime.progress import Progress
from streams.runtime.provisioning import provision
from streams.runtime.tables import Birth, Table
from streams.runtime.transactions import Transactions
from tests.streams.runtime.sums import SumsRoom

LIBRDKAFKA_QUEUE_BACKOFF_MS = 1_000
SMALL_QUEUE = {"queued.min.messages": 1_000}
"""Full after every fetch, so that the pause comes each time."""
RECORDS = 50_000
BODY = bytes(100)
PAIRS = 3


def ignored(*_: object) -> None:
    """What nobody asks about here."""


class Noting:
    """A producer that notes the order in which it is called."""

    def __init__(self, producer: Producer, calls: list[str]):
        self._producer = producer
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        self._calls.append(name)
        return getattr(self._producer, name)


@pytest.mark.servers
def test_nothing_waits_between_the_records_of_a_transaction_and_its_commit_which_knows_where_all_of_them_lie(
    kafka: KafkaServer, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(transactions, "room_producer", lambda *args: Noting(clients.room_producer(*args), calls))
    cluster, inbox, results = Cluster(kafka.bootstrap_servers), f"{topic_prefix}inbox", f"{topic_prefix}results"
    provision(cluster, [DesiredTopic(inbox, 1, 1, {}), DesiredTopic(results, 1, 1, {})])
    table: Table[Any, Any] = Table(SumsRoom(), Birth("sums", inbox, 1))
    work = PartitionWork(table, next_offset=1, writes=[Write(results, b"ann", b"1", 0, None)] * 3)
    progress = Progress()
    progress.follow(results)
    writer = Transactions(cluster, f"{topic_prefix}w0", inbox, progress)
    writer.start()
    calls.clear()
    metadata = clients.asker(cluster, f"{topic_prefix}sums").consumer_group_metadata()
    writer.commit({0: work}, metadata, lambda _: True, lambda: metadata)
    assert calls == [
        "begin_transaction",
        *3 * ["produce"],
        "send_offsets_to_transaction",
        "commit_transaction",
    ]
    assert progress.lag(results, "whoever reads") == 3


def test_a_transaction_that_is_put_off_asks_again_within_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """librdkafka's own pause of 100 ms was paid by every transaction that followed another at once."""
    given: dict[str, Any] = {}
    monkeypatch.setattr(clients, "Producer", given.update)
    clients.room_producer(Cluster("nowhere:1"), "w0", ignored)
    assert given["retry.backoff.ms"] <= 5
    assert given["retry.backoff.max.ms"] <= 50


@pytest.mark.servers
def test_a_full_queue_does_not_stop_the_fetching_for_a_second(
    kafka: KafkaServer, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster, topic = Cluster(kafka.bootstrap_servers), f"{topic_prefix}busy"
    provision(cluster, [DesiredTopic(topic, 1, 1, {})])
    producer = clients.plain_producer(cluster, ignored)
    for _ in range(RECORDS):
        producer.produce(topic, BODY, b"ann", 0)
    assert not producer.flush(120)
    ours, theirs = [], []
    for _ in range(PAIRS):
        ours.append(seconds_to_read(monkeypatch, cluster, topic, {}))
        default = {"fetch.queue.backoff.ms": LIBRDKAFKA_QUEUE_BACKOFF_MS}
        theirs.append(seconds_to_read(monkeypatch, cluster, topic, default))
    assert statistics.median(ours) < statistics.median(theirs)


def seconds_to_read(patch: pytest.MonkeyPatch, cluster: Cluster, topic: str, changed: dict[str, Any]) -> float:
    """How long a room's consumer with a small queue and such settings takes for all records, from its first one on."""
    with patch.context() as patched:
        patched.setattr(clients, "Consumer", lambda settings: Consumer({**settings, **SMALL_QUEUE, **changed}))
        consumer = clients.room_consumer(cluster, "nobody", None, ignored)
    consumer.assign([TopicPartition(topic, 0, 0)])
    began, read = 0.0, 0
    while read < RECORDS:
        one = consumer.poll(0.1)
        if one is None:
            continue
        began = began or time.perf_counter()
        read += len([message for message in (one, *consumer.consume(499, 0)) if message.error() is None])
    seconds = time.perf_counter() - began
    consumer.close()
    return seconds
