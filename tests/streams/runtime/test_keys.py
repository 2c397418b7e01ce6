"""A key lives where Kafka's own clients put it."""

import pytest
from confluent_kafka import KafkaError, Message, Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # exported, not marked so

from connectors.embedded.kafka import KafkaServer
from streams.runtime.keys import partition_of

pytestmark = pytest.mark.servers

PARTITIONS = 7
KEYS = [f"{'instrument' * (number % 4)}-{number}"[: number % 60 + 1].encode() for number in range(500)]
KEYS += [b"\x80\xff\xfe", "Öl".encode(), b"\x00"]


@pytest.fixture(scope="module")
def topic(kafka: KafkaServer) -> str:
    admin = AdminClient(kafka.client_config())
    for answer in admin.create_topics([NewTopic("keys", PARTITIONS, 1)], operation_timeout=30).values():
        answer.result(30)
    return "keys"


def homes(kafka: KafkaServer, topic: str, **settings: str) -> dict[bytes, int]:
    """The partition that a real producer gave each key."""
    found: dict[bytes, int] = {}

    def delivered(error: KafkaError | None, message: Message) -> None:
        assert error is None
        key, partition = message.key(), message.partition()
        assert key is not None
        assert partition is not None
        found[bytes(key)] = partition

    producer = Producer({**kafka.client_config(), **settings})
    for key in KEYS:
        producer.produce(topic, key=key, on_delivery=delivered)
    assert producer.flush(30) == 0
    return found


def test_a_key_lives_where_a_producer_with_murmur2_puts_it(kafka: KafkaServer, topic: str) -> None:
    assert homes(kafka, topic, partitioner="murmur2_random") == {key: partition_of(key, PARTITIONS) for key in KEYS}


def test_a_stock_producer_that_keeps_its_default_partitioner_puts_keys_elsewhere(
    kafka: KafkaServer, topic: str
) -> None:
    elsewhere = [key for key, partition in homes(kafka, topic).items() if partition != partition_of(key, PARTITIONS)]
    assert len(elsewhere) > len(KEYS) / 2
