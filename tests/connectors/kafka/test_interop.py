"""Records go through a real Kafka and a real registry between our codec and the stock confluent-kafka serializers."""

import warnings
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # exported, not marked so

from connectors.embedded.kafka import KafkaServer
from connectors.embedded.registry import RegistryServer
from connectors.registry.client import ConfluentRegistry
from connectors.registry.publish import codec_of, register
from schemas.avro_schema import avro_text, shapes
from schemas.codec import HEADER, Codec
from schemas.market import Bar
from schemas.record import Part, Record, record_name
from schemas.scalars import datetime_of
from tests.schemas.examples import example
from tests.schemas.strategies import RECORDS

# The stock client's import prints a warning about the inside of a library of its, which nobody here can act on.
with warnings.catch_warnings(record=True):
    from confluent_kafka.schema_registry import SchemaRegistryClient, record_subject_name_strategy
    from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

pytestmark = pytest.mark.servers

ALL = [example(cls) for cls in RECORDS]


@pytest.fixture(scope="module")
def registry_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry that holds our schemas."""
    server = RegistryServer.start(tmp_path_factory.mktemp("registry"), port=0)
    registry = ConfluentRegistry(server.url)
    register(registry)
    registry.close()
    yield server.url
    server.stop()


@pytest.fixture(scope="module")
def codec(registry_url: str) -> Codec:
    return codec_of(ConfluentRegistry(registry_url))


def as_stock_sees(part: Part) -> dict[str, Any]:
    """The record as a stock producer gives it, and a stock consumer gets it: a dict of plain Python values."""
    return {name: _plain(getattr(part, name), shape.time) for name, shape in shapes(type(part)).items()}


def _plain(value: Any, time: bool) -> Any:
    if isinstance(value, list):
        return [_plain(item, time) for item in value]
    if isinstance(value, Part):
        return as_stock_sees(value)
    if isinstance(value, StrEnum):
        return str(value)
    return datetime_of(value) if time and value is not None else value


def through_kafka(kafka: KafkaServer, topic: str, values: list[bytes]) -> list[bytes]:
    """The values as a consumer reads them back."""
    admin = AdminClient(kafka.client_config())
    for answer in admin.create_topics([NewTopic(topic, 1, 1)], operation_timeout=30).values():
        answer.result(30)
    failed: list[KafkaError] = []
    producer = Producer(kafka.client_config())
    for value in values:
        producer.produce(topic, value=value, on_delivery=lambda error, _: failed.append(error) if error else None)
    assert producer.flush(30) == 0
    assert failed == []
    consumer = Consumer({**kafka.client_config(), "group.id": topic})
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    with closing(consumer):
        return [bytes(message.value() or b"") for message in consumer.consume(len(values), timeout=30)]


def test_what_stock_clients_publish_is_read_by_us(
    kafka: KafkaServer, registry_url: str, codec: Codec, topic_prefix: str
) -> None:
    stock = SchemaRegistryClient({"url": registry_url})
    values = []
    for record in ALL:
        serializer = AvroSerializer(
            stock,
            stock.get_latest_version(record_name(type(record))).schema.schema_str,
            conf={"auto.register.schemas": False, "subject.name.strategy": record_subject_name_strategy},
        )
        value = serializer(as_stock_sees(record), SerializationContext("any", MessageField.VALUE))
        assert value is not None
        values.append(value)
    assert [codec.decode(value) for value in through_kafka(kafka, f"{topic_prefix}theirs", values)] == ALL


def test_what_we_publish_is_read_by_stock_clients(
    kafka: KafkaServer, registry_url: str, codec: Codec, topic_prefix: str
) -> None:
    deserializer = AvroDeserializer(SchemaRegistryClient({"url": registry_url}))
    read = [
        deserializer(value, SerializationContext("any", MessageField.VALUE))
        for value in through_kafka(kafka, f"{topic_prefix}ours", [codec.encode(record) for record in ALL])
    ]
    assert read == [as_stock_sees(record) for record in ALL]
    oil = read[RECORDS.index(Bar)]
    assert isinstance(oil["low"], Decimal)
    assert isinstance(oil["event_time_us"], datetime)


def test_a_stock_client_with_a_schema_of_its_own_is_read_through_the_registry(registry_url: str, codec: Codec) -> None:
    theirs = avro_text(Bar).replace("Prices of one instrument", "Candles, as we call them,")
    serializer = AvroSerializer(
        SchemaRegistryClient({"url": registry_url}),
        theirs,
        conf={"subject.name.strategy": record_subject_name_strategy},
    )
    record: Record = example(Bar)
    value = serializer(as_stock_sees(record), SerializationContext("any", MessageField.VALUE))
    assert value is not None
    assert HEADER.unpack_from(value) != HEADER.unpack_from(codec.encode(record))
    assert codec.decode(value) == record
