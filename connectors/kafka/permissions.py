"""What each role may do on Kafka, from the topic map: nothing more, so that a stolen password of a feed sends no order.

Reading and writing imply describing. A role reads in the group of its name and writes transactions under its name.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from confluent_kafka.admin import (  # type: ignore[attr-defined]  # exported, not marked so
    AclBinding,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)

from schemas.topics import CONTROL_ENVIRONMENT, TOPICS, Topic

EVERYONE = "every process"
ADMINISTRATOR = "administrator"
"""Makes and mends topics, and makes the environment; no part of the engine runs as it."""
ROOMS = ("market_data", "signals", "strategies", "accounts", "pnl")
"""Roles that keep state in a changelog and write in transactions."""
GROUPLESS = "none"
"""The group named by readers that join none; librdkafka asks for one."""


class Resource(StrEnum):
    """The words are those of `kafka-acls`."""

    TOPIC = "topic"
    GROUP = "group"
    TRANSACTIONAL_ID = "transactional-id"


class Operation(StrEnum):
    """The words are those of `kafka-acls`."""

    READ = "Read"
    WRITE = "Write"
    CREATE = "Create"
    DESCRIBE = "Describe"
    DESCRIBE_CONFIGS = "DescribeConfigs"
    ALTER_CONFIGS = "AlterConfigs"


@dataclass(frozen=True, slots=True)
class Permission:
    """One thing that a role may do.

    prefixed: the name is the beginning of the names meant.
    """

    role: str
    operation: Operation
    resource: Resource
    name: str
    prefixed: bool = False

    def command(self, user: str) -> str:
        """The arguments of `kafka-acls` that grant it."""
        pattern = " --resource-pattern-type prefixed" if self.prefixed else ""
        return (
            f"kafka-acls --add --allow-principal User:{user} --operation {self.operation} "
            f"--{self.resource} {self.name}{pattern}"
        )

    def binding(self, user: str) -> AclBinding:
        """The permission as an AdminClient grants it."""
        pattern = ResourcePatternType.PREFIXED if self.prefixed else ResourcePatternType.LITERAL
        operation = AclOperation[_SNAKE.get(self.operation, self.operation.upper())]
        kind = _RESOURCE_TYPES[self.resource]
        return AclBinding(kind, self.name, pattern, f"User:{user}", "*", operation, AclPermissionType.ALLOW)


_SNAKE = {Operation.DESCRIBE_CONFIGS: "DESCRIBE_CONFIGS", Operation.ALTER_CONFIGS: "ALTER_CONFIGS"}
_RESOURCE_TYPES = {
    Resource.TOPIC: ResourceType.TOPIC,
    Resource.GROUP: ResourceType.GROUP,
    Resource.TRANSACTIONAL_ID: ResourceType.TRANSACTIONAL_ID,
}


def roles(topics: Iterable[Topic] = TOPICS) -> list[str]:
    """Every role of the map, in the order in which the map names them first."""
    names = (name for topic in topics for name in (*topic.writers, *topic.readers))
    return list(dict.fromkeys(name for name in names if name != EVERYONE))


def permissions(environment: str, topics: Iterable[Topic] = TOPICS) -> list[Permission]:
    """What every role of the map may do in this environment, role by role, and the administrator last."""
    topics = tuple(topics)
    found: list[Permission] = []
    for role in roles(topics):
        found += _of_role(role, environment, topics)
    return found + list(_of_administrator(environment))


def _of_role(role: str, environment: str, topics: tuple[Topic, ...]) -> Iterator[Permission]:
    for topic in topics:
        name = topic.full_name(environment)
        if role in topic.readers or EVERYONE in topic.readers:
            yield Permission(role, Operation.READ, Resource.TOPIC, name)
        if role in topic.writers and topic != CONTROL_ENVIRONMENT:
            yield Permission(role, Operation.WRITE, Resource.TOPIC, name)
    # A process compares the topics with the map before it starts.
    for operation in (Operation.DESCRIBE, Operation.DESCRIBE_CONFIGS):
        yield Permission(role, operation, Resource.TOPIC, f"{environment}.", prefixed=True)
    yield Permission(role, Operation.READ, Resource.GROUP, f"{environment}.{role}", prefixed=True)
    yield Permission(role, Operation.DESCRIBE, Resource.GROUP, GROUPLESS)
    if role in ROOMS:
        changelog = f"{environment}-{role}-changelog"
        for operation in (Operation.READ, Operation.WRITE, Operation.CREATE, Operation.DESCRIBE_CONFIGS):
            yield Permission(role, operation, Resource.TOPIC, changelog)
    # Rooms write their batches so, control writes a kill switch to two topics so.
    yield Permission(role, Operation.WRITE, Resource.TRANSACTIONAL_ID, f"{environment}.{role}.", prefixed=True)


def _of_administrator(environment: str) -> Iterator[Permission]:
    for operation in (*(Operation.CREATE, Operation.DESCRIBE, Operation.DESCRIBE_CONFIGS, Operation.ALTER_CONFIGS),):
        for beginning in (f"{environment}.", f"{environment}-"):
            yield Permission(ADMINISTRATOR, operation, Resource.TOPIC, beginning, prefixed=True)
    for operation in (Operation.READ, Operation.WRITE):
        yield Permission(ADMINISTRATOR, operation, Resource.TOPIC, CONTROL_ENVIRONMENT.full_name(environment))
    yield Permission(ADMINISTRATOR, Operation.DESCRIBE, Resource.GROUP, GROUPLESS)
    yield Permission(ADMINISTRATOR, Operation.WRITE, Resource.TRANSACTIONAL_ID, f"{environment}.control.environment")
