"""Provisioning: topics and changelogs as the map wants them, made where they are missing, refused where they differ.

Partition counts are for life: a key's state lives by them. Nothing that exists is changed here; a difference is told
with what mends it, and the process does not start.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # exported, not marked so
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from schemas.dead_letter import DeadLetter
from schemas.topics import FOREVER, Cleanup, Topic
from streams.runtime.clients import LETTER_BYTES_MAX, Cluster, administrator

ANSWER_S = 30.0
DAY_MS = 86_400_000


class WrongTopics(RuntimeError):
    """What exists is not what the map says; each line says what, and how to mend it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A topic as it should be on Kafka.

    settings: those of the broker that must be so; others may be as they are.
    """

    name: str
    partitions: int
    replication: int
    settings: dict[str, str] = field(default_factory=dict)


def topic_plan(topic: Topic, environment: str, replication: int | None = None) -> Plan:
    """A topic of the map. `replication` overrides the map where there are fewer brokers."""
    settings = {"cleanup.policy": topic.cleanup.value, "retention.ms": str(topic.retention_ms)}
    copies = replication or topic.replication
    settings["min.insync.replicas"] = str(min(topic.min_insync, copies))
    if topic.cleanup is Cleanup.COMPACT:
        settings["retention.ms"] = str(FOREVER)
    if DeadLetter in topic.records:
        settings["max.message.bytes"] = str(LETTER_BYTES_MAX)
    return Plan(topic.full_name(environment), topic.partitions, copies, settings)


def changelog_plan(name: str, inbox: Topic, replication: int | None = None) -> Plan:
    """The changelog of a room that reads this inbox: partition by partition beside it, compacted."""
    copies = replication or inbox.replication
    return Plan(
        name,
        inbox.partitions,
        copies,
        {
            "cleanup.policy": "compact",
            "min.insync.replicas": str(min(inbox.min_insync, copies)),
            # A state is written again and again: compact early, or recovery reads history.
            "min.cleanable.dirty.ratio": "0.2",
            "segment.ms": str(DAY_MS // 24),
            "segment.bytes": str(64 * 2**20),
        },
    )


def provision(cluster: Cluster, plans: Iterable[Plan]) -> list[str]:
    """Make what is missing and return its names. Raises WrongTopics where something exists and differs."""
    wanted = {plan.name: plan for plan in plans}
    admin = administrator(cluster)
    existing = admin.list_topics(timeout=ANSWER_S).topics
    missing = [plan for name, plan in wanted.items() if name not in existing]
    made = _make(admin, missing)
    check(admin, [plan for name, plan in wanted.items() if name not in made])
    return made


def _make(admin: AdminClient, plans: list[Plan]) -> list[str]:
    if not plans:
        return []
    topics = [
        NewTopic(plan.name, num_partitions=plan.partitions, replication_factor=plan.replication, config=plan.settings)
        for plan in plans
    ]
    made = []
    for name, future in admin.create_topics(topics, operation_timeout=ANSWER_S).items():
        try:
            future.result()
            made.append(name)
        except KafkaException as error:
            # Another process made it a moment ago: it is checked with the others.
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise WrongTopics(f"{name} cannot be made: {error.args[0].str()}") from error
    return made


def check(admin: AdminClient, plans: list[Plan]) -> None:
    """Raise WrongTopics unless every topic exists with the partitions and settings of its plan."""
    if not plans:
        return
    existing = admin.list_topics(timeout=ANSWER_S).topics
    problems = []
    for plan in plans:
        found = existing.get(plan.name)
        if found is None:
            problems.append(f"{plan.name} does not exist; start once with the right to make topics")
        elif len(found.partitions) != plan.partitions:
            problems.append(
                f"{plan.name} has {len(found.partitions)} partitions, the map says {plan.partitions}: keys would lose "
                f"their states. Restore the count in the map, or begin a new environment"
            )
    resources = [ConfigResource(ResourceType.TOPIC, plan.name) for plan in plans if plan.name in existing]
    described = admin.describe_configs(resources, request_timeout=ANSWER_S) if resources else {}
    settings = {resource.name: future.result(ANSWER_S) for resource, future in described.items()}
    for plan in plans:
        for name, value in plan.settings.items():
            if plan.name in settings and (is_so := settings[plan.name][name].value) != value:
                problems.append(
                    f"{plan.name} has {name}={is_so}, the map says {value}: set it with "
                    f"`kafka-configs --alter --topic {plan.name} --add-config {name}={value}`"
                )
    if problems:
        raise WrongTopics("\n".join(problems))
