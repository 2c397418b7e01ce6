"""Send records to a Kafka and read them back, as the Kafka tests need it."""

import threading
import time
from collections.abc import Sequence

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from connectors.embedded.kafka_process import ClientConfig

READ_TIMEOUT_S = 60


def make_topic(config: ClientConfig, topic: str, *, copies: int = 1) -> None:
    """Make a topic of one partition and return when it is there."""
    admin = AdminClient(config)
    for future in admin.create_topics([NewTopic(topic, 1, copies)], operation_timeout=30).values():
        future.result(60)


def send(config: ClientConfig, topic: str, values: Sequence[str]) -> list[KafkaError | None]:
    """Send the values and return what became of each: None, or the error of its delivery."""
    outcomes: list[KafkaError | None] = []
    producer = Producer({**config, "log_level": 0, "acks": "all", "delivery.timeout.ms": 20_000})
    for value in values:
        producer.produce(topic, value=value, on_delivery=lambda error, _: outcomes.append(error))
    producer.flush(60)
    assert len(outcomes) == len(values)
    return outcomes


def read(config: ClientConfig, topic: str, count: int) -> list[str]:
    """The first `count` values of the topic's only partition, and those that arrive with the last of them."""
    consumer = Consumer({**config, "log_level": 0, "group.id": f"{topic}.reader", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    values: list[str] = []
    deadline = time.monotonic() + READ_TIMEOUT_S
    while len(values) < count and time.monotonic() < deadline:
        values += [text(message) for message in consumer.consume(1000, timeout=0.5) if message.error() is None]
    values += [text(message) for message in consumer.consume(1000, timeout=0.5) if message.error() is None]
    consumer.close()
    return values


def answering_cluster(config: ClientConfig, timeout_s: float = 10) -> str:
    """The id of the cluster that answers a metadata request; KafkaException where none does in time."""
    # The client's own annotations say that the id is always None.
    return str(AdminClient({**config, "log_level": 0}).list_topics(timeout=timeout_s).cluster_id)


def text(message: Message) -> str:
    """The value of a record as text."""
    value = message.value()
    assert value is not None
    return value.decode()


class Writer:
    """Sends numbered records, one thread, until told to end; remembers which were acknowledged."""

    def __init__(self, config: ClientConfig, topic: str) -> None:
        self.acknowledged: list[str] = []
        self._topic = topic
        self._producer = Producer(
            {**config, "log_level": 0, "acks": "all", "enable.idempotence": True, "linger.ms": 5,
             "delivery.timeout.ms": 60_000, "reconnect.backoff.max.ms": 500}
        )  # fmt: skip
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Writer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()
        assert self._producer.flush(60) == 0

    def wait_for_more(self, count: int) -> None:
        """Return when that many further records were acknowledged."""
        wanted = len(self.acknowledged) + count
        deadline = time.monotonic() + READ_TIMEOUT_S
        while len(self.acknowledged) < wanted:
            assert time.monotonic() < deadline, f"{len(self.acknowledged)} of {wanted} records were acknowledged"
            time.sleep(0.01)

    def _run(self) -> None:
        number = 0
        while not self._ending.is_set():
            self._producer.produce(self._topic, value=str(number), on_delivery=self._note)
            number += 1
            self._producer.poll(0)
            time.sleep(0.0005)

    def _note(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self.acknowledged.append(text(message))
