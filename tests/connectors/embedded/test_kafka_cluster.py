"""Three Kafka servers of which some fail."""

import pytest
from confluent_kafka import KafkaError
from confluent_kafka.admin import AdminClient

from connectors.embedded.kafka import KafkaCluster
from tests.connectors.embedded.kafka_records import Writer, make_topic, read, send

pytestmark = [pytest.mark.servers, pytest.mark.faults, pytest.mark.slow]


def test_three_servers_survive_one_kill_after_another(kafka_cluster: KafkaCluster, topic_prefix: str) -> None:
    topic = topic_prefix + "ticks"
    make_topic(kafka_cluster.client_config(), topic, copies=3)
    with Writer(kafka_cluster.client_config(), topic) as writer:
        for victim in kafka_cluster.servers[:2]:
            writer.wait_for_more(300)
            victim.kill()
            writer.wait_for_more(300)
            victim.restart()
            kafka_cluster.wait_until_in_sync()
    found = read(kafka_cluster.client_config(), topic, len(writer.acknowledged))
    assert found == writer.acknowledged
    assert found == [str(number) for number in range(len(found))]


def test_with_two_of_three_gone_nothing_is_acknowledged_until_one_is_back(
    kafka_cluster: KafkaCluster, topic_prefix: str
) -> None:
    topic = topic_prefix + "ticks"
    make_topic(kafka_cluster.client_config(), topic, copies=3)
    for server in kafka_cluster.servers[:2]:
        server.kill()
    outcomes = send(kafka_cluster.client_config(), topic, ["lost"])
    assert [error.code() for error in outcomes if error] == [KafkaError._MSG_TIMED_OUT]
    kafka_cluster.restart()
    kafka_cluster.wait_until_in_sync()
    assert send(kafka_cluster.client_config(), topic, ["kept"]) == [None]


def test_all_three_killed_come_back_with_their_records(kafka_cluster: KafkaCluster, topic_prefix: str) -> None:
    topic = topic_prefix + "ticks"
    make_topic(kafka_cluster.client_config(), topic, copies=3)
    assert send(kafka_cluster.client_config(), topic, ["1", "2", "3"]) == [None, None, None]
    kafka_cluster.kill()
    kafka_cluster.restart()
    assert read(kafka_cluster.client_config(), topic, 3) == ["1", "2", "3"]
    assert len(AdminClient(kafka_cluster.client_config()).list_topics(timeout=10).brokers) == 3
