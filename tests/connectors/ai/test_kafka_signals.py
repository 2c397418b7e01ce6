"""The quick start as it is written, against a real Kafka; and what is on the wire when it is done."""

import re
from typing import Any

import pytest
from confluent_kafka import Consumer, Message, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # exported, not marked so

from connectors.ai.kafka_signals import KafkaSignals
from connectors.ai.publisher import NotAcknowledged, SignalPublisher
from connectors.embedded.kafka import KafkaServer
from connectors.registry.errors import RegistryError
from connectors.registry.memory import InMemoryRegistry
from connectors.registry.publish import codec_of, register
from schemas.ids import short_id
from schemas.signal import Signal
from schemas.topics import SIGNALS_INBOX
from streams.runtime.keys import partition_of
from tests.connectors.ai.test_publisher import TERMS, code_of
from tests.streams.signals.desk import signal


def registered() -> InMemoryRegistry:
    registry = InMemoryRegistry()
    register(registry)
    return registry


def inbox(kafka: KafkaServer, environment: str) -> str:
    """A fresh `signals.inbox` of an environment."""
    name = SIGNALS_INBOX.full_name(environment)
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    admin.create_topics([NewTopic(name, num_partitions=4)])[name].result(20)
    return name


def read_at(kafka: KafkaServer, topic: str, partition: int, offset: int) -> Message:
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap_servers, "group.id": "test", "enable.auto.commit": False})
    try:
        consumer.assign([TopicPartition(topic, partition, offset)])
        message = consumer.poll(20)
        assert message is not None
        assert message.error() is None
        return message
    finally:
        consumer.close()


@pytest.mark.servers
def test_the_quick_start_runs_as_it_is_written(
    kafka: KafkaServer, topic_prefix: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = topic_prefix.rstrip(".")
    topic, registry = inbox(kafka, environment), registered()
    code = code_of("publish-signals.md")[0].replace("localhost:9092", kafka.bootstrap_servers)
    code = code.replace('"http://localhost:8081"', "registry").replace('"local"', repr(environment))
    exec(compile(code, "publish-signals.md", "exec"), {"registry": registry})
    place = re.search(r"topic='(.+?)', partition=(\d), offset=(\d+)", capsys.readouterr().out)
    assert place is not None
    assert place[1] == topic
    message = read_at(kafka, topic, int(place[2]), int(place[3]))
    written = codec_of(registry).decode(message.value() or b"")
    assert isinstance(written, Signal)
    assert (written.instrument_id, written.strength, written.provider_id) == ("WTI", 0.8, "oracle")


@pytest.mark.servers
def test_a_signal_lies_where_every_other_client_would_put_it_and_carries_its_id(
    kafka: KafkaServer, topic_prefix: str
) -> None:
    environment = topic_prefix.rstrip(".")
    topic = inbox(kafka, environment)
    with KafkaSignals(kafka.bootstrap_servers, registered(), environment=environment) as writer:
        ack = writer.send(signal()).result(20)
        again = writer.send(signal()).result(20)
    assert (ack.topic, ack.partition, ack.offset) == (topic, partition_of(b"WTI", 4), 0)
    assert again.offset == 1, "a repetition is a record of its own, with the same id"
    message = read_at(kafka, topic, ack.partition, ack.offset)
    headers: dict[str, Any] = dict(message.headers() or [])
    assert message.key() == b"WTI"
    assert headers["event_id"] == short_id("Signal/oracle/s-1").encode()


@pytest.mark.servers
def test_a_topic_that_is_not_there_is_an_error_and_not_silence(kafka: KafkaServer, topic_prefix: str) -> None:
    with KafkaSignals(
        kafka.bootstrap_servers,
        registered(),
        environment=topic_prefix.rstrip("."),
        settings={"topic.metadata.propagation.max.ms": "500"},
    ) as writer:
        oracle = SignalPublisher(writer, provider_id="oracle", model_name="delphi", model_version="1")
        with pytest.raises(NotAcknowledged, match="publishing it again is harmless"):
            oracle.publish("WTI", strength=1.0, **TERMS)


def test_a_registry_without_our_schemas_is_told_at_the_start() -> None:
    with pytest.raises(RegistryError, match="Signal"):
        KafkaSignals("localhost:1", InMemoryRegistry())
