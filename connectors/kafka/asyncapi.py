"""The topic map as an AsyncAPI 3 document: channels, messages with Avro schemas, and who sends and receives them."""

from collections.abc import Iterable
from typing import Any

from schemas.avro_schema import avro_schema
from schemas.record import NAMESPACE, Record, record_name, summary
from schemas.topics import TOPICS, Topic

Document = dict[str, Any]

ASYNCAPI = "3.0.0"
AVRO = "application/vnd.apache.avro;version=1.9.0"
"""AsyncAPI's name for Avro payloads; our schemas use nothing younger."""
BINDING = "0.5.0"
"""Version of AsyncAPI's Kafka binding."""

_HEADERS: Document = {
    "type": "object",
    "properties": {
        "event_id": {"type": "string", "description": "hash of what caused the record: the same fact, the same id"},
        "event_time": {"type": "string", "description": "when it became true, microseconds of UTC as decimal text"},
        "cause": {"type": "string", "description": "topic, partition and offset of the record that caused it"},
        "traceparent": {"type": "string", "description": "W3C trace context; absent where tracing is off"},
    },
    "required": ["event_id"],
}


def asyncapi(environment: str, version: str, bootstrap_servers: str, topics: Iterable[Topic] = TOPICS) -> Document:
    """The document, ready for JSON. `version` is that of the engine."""
    topics = tuple(topics)
    travelling = dict.fromkeys(record for topic in topics for record in topic.records)
    return {
        "asyncapi": ASYNCAPI,
        "info": {
            "title": "Quantum Leap",
            "version": version,
            "description": (
                "An automated trading engine on Kafka. Keys are text; a key's partition is murmur2(key) mod partitions "
                "(librdkafka: partitioner=murmur2_random). Values are Avro in the Confluent wire format, subjects are "
                "record names. Records marked as broadcast go to every partition, without a key."
            ),
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/vnd.apache.avro",
        "servers": {
            environment: {
                "host": bootstrap_servers,
                "protocol": "kafka",
                "description": f"Kafka of the environment {environment}",
            }
        },
        "channels": {topic.name: _channel(topic, environment) for topic in topics},
        "operations": _operations(topics),
        "components": {"messages": {record.__name__: _message(record) for record in travelling}},
    }


def _channel(topic: Topic, environment: str) -> Document:
    broadcast = sorted(record.__name__ for record in topic.broadcast)
    return {
        "address": topic.full_name(environment),
        "title": topic.name,
        "description": f"Keyed by {topic.key}." + (f" Broadcast: {', '.join(broadcast)}." if broadcast else ""),
        "messages": {record.__name__: {"$ref": f"#/components/messages/{record.__name__}"} for record in topic.records},
        "bindings": {
            "kafka": {
                "topic": topic.full_name(environment),
                "partitions": topic.partitions,
                "replicas": topic.replication,
                "topicConfiguration": {
                    "cleanup.policy": [topic.cleanup.value],
                    "retention.ms": topic.retention_ms,
                    "max.message.bytes": topic.batch_bytes_max,
                },
                "bindingVersion": BINDING,
            }
        },
    }


def _operations(topics: Iterable[Topic]) -> Document:
    """What the engine's roles do: an operation for each role and topic."""
    found = {}
    for topic in topics:
        for action, roles in (("send", topic.writers), ("receive", topic.readers)):
            for role in roles:
                name = role.replace(" ", "_")
                found[f"{name}.{action}.{topic.name}"] = {
                    "action": action,
                    "channel": {"$ref": f"#/channels/{topic.name}"},
                    "summary": f"{role} {'writes' if action == 'send' else 'reads'} {topic.name}",
                }
    return found


def _message(record: type[Record]) -> Document:
    return {
        "name": record_name(record),
        "title": record.__name__,
        "summary": summary(record),
        "contentType": "application/vnd.apache.avro",
        "headers": _HEADERS,
        "payload": {"schemaFormat": AVRO, "schema": avro_schema(record)},
        "bindings": {
            "kafka": {
                "schemaIdLocation": "payload",
                "schemaIdPayloadEncoding": "confluent",
                "schemaLookupStrategy": "RecordNameStrategy",
                "bindingVersion": BINDING,
            }
        },
        "tags": [{"name": NAMESPACE}],
    }
