"""Real servers for tests: one Kafka for the session, three brokers for a module, fresh topic names for each test."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.embedded.kafka import KafkaCluster, KafkaServer

# Where tests find a Kafka on machines without internet, as the settings name it.
KAFKA_DIR = Path(os.environ["QL_KAFKA_DIR"]) if "QL_KAFKA_DIR" in os.environ else None


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """One Kafka server that every test of the session shares. Leave it running and use `topic_prefix` for names."""
    with KafkaServer.start(tmp_path_factory.mktemp("kafka"), port=0, kafka_dir=KAFKA_DIR) as server:
        yield server


@pytest.fixture(scope="module")
def kafka_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    """Three Kafka servers for one module, whose tests may kill, pause and restart them one by one."""
    with KafkaCluster.start(tmp_path_factory.mktemp("kafka-cluster"), kafka_dir=KAFKA_DIR) as cluster:
        yield cluster


@pytest.fixture
def topic_prefix() -> str:
    """A prefix for topics, groups and transactional ids that no other test has."""
    return f"t{uuid.uuid4().hex[:12]}."
