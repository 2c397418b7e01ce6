"""Topics on a real Kafka: made as the map says, mended where they differ, refused where mending would lose state."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # exported, not marked so

from connectors.embedded.kafka import KafkaServer
from connectors.embedded.ports import choose_free
from connectors.kafka.errors import KafkaUnreachable, PartitionsDiffer, ReplicationDiffers
from connectors.kafka.provision import DesiredTopic, Difference, Provisioner, TopicDifference, desired
from schemas.topics import ACCOUNTS_INBOX, CONTROL_KILL, FILLS, MARKET_TICKS, TOPICS

FEW = (FILLS, CONTROL_KILL)
FENCED = KafkaError(
    KafkaError.INVALID_REPLICATION_FACTOR,
    "Unable to replicate the partition 1 time(s): All brokers are currently fenced.",
)
"""What a controller says whose only broker has stood still for longer than its session."""


class Fenced:
    """An administrator whose way to make topics is another; all else is the real one's."""

    def __init__(self, admin: AdminClient, create_topics: Callable[..., Any]) -> None:
        self._admin = admin
        self.create_topics = create_topics

    def __getattr__(self, name: str) -> Any:
        return getattr(self._admin, name)


def made(kafka: KafkaServer, topics: Sequence[DesiredTopic]) -> Provisioner:
    provisioner = Provisioner(kafka.client_config())
    provisioner.apply(topics)
    return provisioner


def few(prefix: str) -> list[DesiredTopic]:
    return desired(prefix.rstrip("."), 1, FEW)


def test_every_topic_of_the_map_is_desired_once() -> None:
    names = [topic.name for topic in desired("shop")]
    assert names == [f"shop.{topic.name}" for topic in TOPICS]
    assert len(set(names)) == len(names)


def test_money_is_kept_for_ever_and_in_two_of_three_copies() -> None:
    (inbox,) = desired("shop", topics=[ACCOUNTS_INBOX])
    assert inbox.replication == 3
    assert dict(inbox.settings) == {
        "cleanup.policy": "delete",
        "retention.ms": "-1",
        "min.insync.replicas": "2",
        "max.message.bytes": "1048588",
    }


def test_one_broker_asks_for_one_copy() -> None:
    (ticks,) = desired("shop", 1, [MARKET_TICKS])
    assert (ticks.replication, ticks.settings["min.insync.replicas"]) == (1, "1")


@pytest.mark.servers
def test_a_topic_of_which_the_broker_that_is_asked_has_not_heard_is_waited_for(
    kafka: KafkaServer, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = few(topic_prefix)
    provisioner = Provisioner(kafka.client_config())
    with monkeypatch.context() as patched:
        another_brokers_topics = {topic.name: (topic.partitions, topic.replication) for topic in wanted}
        patched.setattr(provisioner, "_existing", lambda: another_brokers_topics)
        assert [one.difference for one in provisioner.diff(wanted)] == [Difference.CREATE] * len(wanted)
    provisioner.apply(wanted)
    assert provisioner.diff(wanted) == []


@pytest.mark.servers
def test_applying_twice_changes_nothing(kafka: KafkaServer, topic_prefix: str) -> None:
    wanted = desired(topic_prefix.rstrip("."), 1)
    provisioner = Provisioner(kafka.client_config())
    first = provisioner.apply(wanted)
    assert [one.difference for one in first] == [Difference.CREATE] * len(TOPICS)
    assert provisioner.diff(wanted) == []
    assert provisioner.apply(wanted) == []


@pytest.mark.servers
def test_a_setting_that_somebody_changed_is_named_and_set_back(kafka: KafkaServer, topic_prefix: str) -> None:
    wanted = few(topic_prefix)
    changed = [replace(wanted[0], settings={**wanted[0].settings, "retention.ms": "1000"}), wanted[1]]
    provisioner = made(kafka, changed)
    difference = TopicDifference(wanted[0].name, Difference.SET, "1000", "-1", "retention.ms")
    assert provisioner.diff(wanted) == [difference]
    assert provisioner.apply(wanted) == [difference]
    assert provisioner.diff(wanted) == []


@pytest.mark.servers
def test_settings_of_others_are_left_alone(kafka: KafkaServer, topic_prefix: str) -> None:
    wanted = few(topic_prefix)
    theirs = [replace(topic, settings={**topic.settings, "segment.bytes": "2097152"}) for topic in wanted]
    provisioner = made(kafka, theirs)
    assert provisioner.diff(wanted) == []
    provisioner.apply([replace(wanted[0], settings={**wanted[0].settings, "retention.ms": "5000"})])
    assert provisioner.diff([replace(theirs[0], settings={"segment.bytes": "2097152"})]) == []


@pytest.mark.servers
def test_a_partition_count_is_never_changed_and_nothing_else_is_either(kafka: KafkaServer, topic_prefix: str) -> None:
    wanted = few(topic_prefix)
    admin = AdminClient(kafka.client_config())
    for answer in admin.create_topics([NewTopic(wanted[0].name, 2, 1)], operation_timeout=30).values():
        answer.result(30)
    provisioner = Provisioner(kafka.client_config())
    with pytest.raises(PartitionsDiffer, match=r"has 2 partitions, the map says 4.*set the map back to 2"):
        provisioner.apply(wanted)
    assert wanted[1].name not in admin.list_topics(timeout=30).topics
    assert len(admin.list_topics(timeout=30).topics[wanted[0].name].partitions) == 2


@pytest.mark.servers
def test_another_number_of_copies_is_told_not_mended(kafka: KafkaServer, topic_prefix: str) -> None:
    provisioner = made(kafka, few(topic_prefix))
    with pytest.raises(ReplicationDiffers, match="has 1 copies, 3 are wanted"):
        provisioner.apply(desired(topic_prefix.rstrip("."), 3, FEW))


@pytest.mark.servers
def test_more_copies_than_brokers_are_refused_with_the_next_step(kafka: KafkaServer, topic_prefix: str) -> None:
    with pytest.raises(ReplicationDiffers, match="as many copies as there are brokers"):
        Provisioner(kafka.client_config()).apply(desired(topic_prefix.rstrip("."), 3, FEW))


@pytest.mark.servers
def test_two_that_apply_at_once_both_succeed(kafka: KafkaServer, topic_prefix: str) -> None:
    wanted = few(topic_prefix)
    provisioner = made(kafka, wanted)
    provisioner._create(wanted)  # what the slower of two does after both saw the topics missing
    assert provisioner.diff(wanted) == []


@pytest.mark.servers
def test_topics_are_asked_for_again_while_every_broker_is_fenced(
    kafka: KafkaServer, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = few(topic_prefix)
    provisioner = Provisioner(kafka.client_config())
    create, asked = provisioner._admin.create_topics, []

    def fenced_at_first(topics: list[NewTopic], **options: Any) -> dict[str, Future[Any]]:
        asked.append([topic.topic for topic in topics])
        if len(asked) > 1:
            return create(topics, **options)
        answer: Future[Any] = Future()
        answer.set_exception(KafkaException(FENCED))
        return {topics[0].topic: answer, **create(topics[1:], **options)}

    monkeypatch.setattr(provisioner, "_admin", Fenced(provisioner._admin, fenced_at_first))
    provisioner.apply(wanted)
    assert asked == [[topic.name for topic in wanted], [wanted[0].name]]
    assert provisioner.diff(wanted) == []


def test_a_kafka_that_does_not_answer_is_named() -> None:
    provisioner = Provisioner({"bootstrap.servers": f"127.0.0.1:{choose_free()}", "log_level": 0}, answer_s=0.5)
    with pytest.raises(KafkaUnreachable, match=r"Kafka at 127\.0\.0\.1"):
        provisioner.diff(desired("shop"))
