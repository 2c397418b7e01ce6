"""Topics on Kafka as the map wants them: what differs, and making it so. Applied twice it is applied once.

A partition count is never changed: a key's partition is a function of it, and state lives with its key.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from enum import StrEnum
from time import monotonic, sleep
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # exported, not marked so
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from connectors.kafka.errors import KafkaUnreachable, PartitionsDiffer, ReplicationDiffers, explained
from schemas.topics import FOREVER, TOPICS, Cleanup, Topic

Settings = Mapping[str, Any]
"""Settings of librdkafka that every client shares: addresses and security."""

ANSWER_S = 15.0
_LOOK_AGAIN_S = 0.05
_FENCED = "currently fenced"


@dataclass(frozen=True, slots=True)
class DesiredTopic:
    """A topic as it should be.

    name: on Kafka, with its environment
    partitions: for life
    replication: copies of each partition
    settings: the broker's settings of the topic that must be so; all others may be as they are
    """

    name: str
    partitions: int
    replication: int
    settings: Mapping[str, str]


class Difference(StrEnum):
    """What is to be done: create and set are done by `apply`, the others only by a person."""

    CREATE = "CREATE"
    SET = "SET"
    PARTITIONS = "PARTITIONS"
    REPLICATION = "REPLICATION"


@dataclass(frozen=True, slots=True)
class TopicDifference:
    """One way in which a topic is not as it should be.

    setting: the setting that differs, for SET
    is_now, should_be: as text; `is_now` is empty for a topic that is missing
    """

    topic: str
    difference: Difference
    is_now: str
    should_be: str
    setting: str = ""

    def __str__(self) -> str:
        match self.difference:
            case Difference.CREATE:
                return f"{self.topic} is missing; it will have {self.should_be}"
            case Difference.SET:
                return f"{self.topic} has {self.setting}={self.is_now}, the map says {self.should_be}"
            case Difference.PARTITIONS:
                return (
                    f"{self.topic} has {self.is_now} partitions, the map says {self.should_be}; a partition count is "
                    f"for life, because keys and their states live by it: set the map back to {self.is_now}, or "
                    f"begin a new environment and replay into it"
                )
            case Difference.REPLICATION:
                return (
                    f"{self.topic} has {self.is_now} copies, {self.should_be} are wanted; move them with "
                    f"kafka-reassign-partitions, or ask for {self.is_now}"
                )


def desired(environment: str, replication: int | None = None, topics: Iterable[Topic] = TOPICS) -> list[DesiredTopic]:
    """Every topic of the map in this environment; `replication` overrides the map where there are fewer brokers."""
    return [_desired(topic, environment, replication or topic.replication) for topic in topics]


def _desired(topic: Topic, environment: str, copies: int) -> DesiredTopic:
    return DesiredTopic(
        topic.full_name(environment),
        topic.partitions,
        copies,
        {
            "cleanup.policy": topic.cleanup.value,
            "retention.ms": str(FOREVER if topic.cleanup is Cleanup.COMPACT else topic.retention_ms),
            "min.insync.replicas": str(min(topic.min_insync, copies)),
            "max.message.bytes": str(topic.batch_bytes_max),
        },
    )


def _new(topic: DesiredTopic) -> NewTopic:
    return NewTopic(
        topic.name,
        num_partitions=topic.partitions,
        replication_factor=topic.replication,
        config=dict(topic.settings),
    )


def _refuse(found: Sequence[TopicDifference]) -> None:
    """Raise for differences that only a person may mend."""
    for refusal, difference in (
        (PartitionsDiffer, Difference.PARTITIONS),
        (ReplicationDiffers, Difference.REPLICATION),
    ):
        lines = [str(one) for one in found if one.difference is difference]
        if lines:
            raise refusal("\n".join(lines))


class Provisioner:
    """Compares and mends topics through one administrator.

    Every call may raise KafkaUnreachable, NotPermitted, or Refused with the broker's own code.
    """

    def __init__(self, settings: Settings, answer_s: float = ANSWER_S) -> None:
        self._admin = AdminClient({**settings, "log_level": 2})
        self._answer_s = answer_s
        self._servers = str(settings.get("bootstrap.servers", ""))

    def diff(self, wanted: Sequence[DesiredTopic]) -> list[TopicDifference]:
        """Every way in which these topics are not as they should be, in their order; empty when all is well."""
        existing = self._existing()
        described = self._described([topic.name for topic in wanted if topic.name in existing])
        found: list[TopicDifference] = []
        for topic in wanted:
            if topic.name not in described:
                found.append(TopicDifference(topic.name, Difference.CREATE, "", f"{topic.partitions} partitions"))
                continue
            partitions, copies = existing[topic.name]
            if partitions != topic.partitions:
                found.append(TopicDifference(topic.name, Difference.PARTITIONS, str(partitions), str(topic.partitions)))
            if copies != topic.replication:
                found.append(TopicDifference(topic.name, Difference.REPLICATION, str(copies), str(topic.replication)))
            for setting, value in topic.settings.items():
                if (is_now := described[topic.name][setting]) != value:
                    found.append(TopicDifference(topic.name, Difference.SET, is_now, value, setting))
        return found

    def apply(self, wanted: Sequence[DesiredTopic]) -> list[TopicDifference]:
        """Make missing topics, set what differs, and say what was done.

        Raises PartitionsDiffer or ReplicationDiffers before anything is changed.
        """
        found = self.diff(wanted)
        _refuse(found)
        missing = {one.topic for one in found if one.difference is Difference.CREATE}
        self._create([topic for topic in wanted if topic.name in missing])
        self._set([one for one in found if one.difference is Difference.SET])
        if found:
            self._settle(wanted)
        return found

    def _settle(self, wanted: Sequence[DesiredTopic]) -> None:
        """Wait until brokers show what the controller decided; what another made meanwhile is refused if it differs."""
        until = monotonic() + self._answer_s
        while left := self.diff(wanted):
            _refuse(left)
            if monotonic() > until:
                break
            sleep(_LOOK_AGAIN_S)
        else:
            return
        raise KafkaUnreachable(f"Kafka at {self._servers} does not show after {self._answer_s:g} s: {left[0]}")

    def _existing(self) -> dict[str, tuple[int, int]]:
        """Partitions and copies of every topic by name."""
        try:
            topics = self._admin.list_topics(timeout=self._answer_s).topics
        except KafkaException as error:
            raise explained("listing topics", self._servers, error) from error
        return {
            name: (len(topic.partitions), min((len(one.replicas) for one in topic.partitions.values()), default=0))
            for name, topic in topics.items()
        }

    def _described(self, names: list[str]) -> dict[str, dict[str, str]]:
        """Settings by topic; without those of which the broker that is asked has not heard, though another has."""
        if not names:
            return {}
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        answers = self._admin.describe_configs(resources, request_timeout=self._answer_s)
        told = {
            resource.name: self._answer("reading settings", answer, unless=KafkaError.UNKNOWN_TOPIC_OR_PART)
            for resource, answer in answers.items()
        }
        return {
            topic: {name: str(entry.value) for name, entry in settings.items()}
            for topic, settings in told.items()
            if settings is not None
        }

    def _create(self, topics: list[DesiredTopic]) -> None:
        """Make topics; asks again while every broker is fenced, as after a machine that stood still for a second."""
        until = monotonic() + self._answer_s
        while topics:
            made = self._admin.create_topics([_new(topic) for topic in topics], operation_timeout=self._answer_s)
            may_ask_again = monotonic() < until
            fenced = {name for name, answer in made.items() if may_ask_again and self._is_fenced(answer)}
            for name in made.keys() - fenced:
                # Two that begin at once both make it: what the other made is compared afterwards.
                self._answer(f"making {name}", made[name], unless=KafkaError.TOPIC_ALREADY_EXISTS)
            topics = [topic for topic in topics if topic.name in fenced]
            if topics:
                sleep(_LOOK_AGAIN_S)

    def _is_fenced(self, answer: "Future[Any]") -> bool:
        """Whether no broker could take a topic now; Kafka has no code of its own for it."""
        try:
            error = answer.exception(self._answer_s)
        except TimeoutError:
            return False
        return (
            isinstance(error, KafkaException)
            and error.args[0].code() == KafkaError.INVALID_REPLICATION_FACTOR
            and _FENCED in error.args[0].str()
        )

    def _set(self, differences: list[TopicDifference]) -> None:
        by_topic: dict[str, list[ConfigEntry]] = {}
        for one in differences:
            entry = ConfigEntry(one.setting, one.should_be, incremental_operation=AlterConfigOpType.SET)
            by_topic.setdefault(one.topic, []).append(entry)
        if not by_topic:
            return
        resources = [
            ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries) for name, entries in by_topic.items()
        ]
        answers = self._admin.incremental_alter_configs(resources, request_timeout=self._answer_s)
        for resource, answer in answers.items():
            self._answer(f"setting {resource.name}", answer)

    def _answer(self, what: str, answer: "Future[Any]", unless: int | None = None) -> Any:
        try:
            return answer.result(self._answer_s)
        except KafkaException as error:
            if error.args[0].code() == unless:
                return None
            raise explained(what, self._servers, error) from error
        except TimeoutError as error:
            raise KafkaUnreachable(f"{what}: {self._servers} did not answer within {self._answer_s:g} s") from error
