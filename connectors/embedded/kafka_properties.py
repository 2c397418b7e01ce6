"""What a laptop's Kafka is told: broker properties, log properties, Java options."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from connectors.embedded.ports import LOOPBACK

JAVA_OPTIONS = (
    "-Xmx256m",
    "-Xms64m",
    "-Xss512k",
    "-XX:+UseSerialGC",
    # The first compiler is enough here and half the start-up time.
    "-XX:TieredStopAtLevel=1",
    # Better no server than one that goes on after it lost a thread to want of memory.
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
)

LOG_PROPERTIES = """\
status = error
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = ${sys:kafka.log.file}
appender.file.filePattern = ${sys:kafka.log.file}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{ISO8601}{UTC} %p %c{1}: %m%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 8MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 2
rootLogger.level = warn
rootLogger.appenderRef.file.ref = file
"""


@dataclass(frozen=True, slots=True)
class ScramUser:
    """A user of a Kafka that demands passwords. Letters, digits and . _ - only: Kafka's files quote nothing."""

    name: str
    password: str = field(repr=False)

    def __post_init__(self) -> None:
        if not all(re.fullmatch(r"[\w.-]+", text, re.ASCII) for text in (self.name, self.password)):
            raise ValueError("a Kafka user's name and password may have letters, digits and . _ - only")


@dataclass(frozen=True, slots=True)
class Node:
    """One Kafka process that is broker and controller: its id, its ports, and those it votes with.

    `voters` maps every controller's node id, this one's too, to its controller port. With an `admin`, clients need a
    password (SCRAM-SHA-512) and a permission; the administrator may do everything and gives both to others.
    """

    id: int
    port: int
    controller_port: int
    voters: Mapping[int, int]
    admin: ScramUser | None = None

    @property
    def replicas(self) -> int:
        """How many copies Kafka's internal topics have."""
        return min(3, len(self.voters))


def broker_properties(node: Node, data: Path) -> str:
    """The text of server.properties for this node, with its records under `data`."""
    lines = {**_identity(node, data), **_sizes(node), **_pace(node), **(_security(node.admin) if node.admin else {})}
    return "".join(f"{key}={_escaped(str(value))}\n" for key, value in lines.items())


def _escaped(value: str) -> str:
    """As Java reads properties back: a backslash is doubled, and what is not ASCII is told by its code units."""
    units = value.replace("\\", "\\\\").encode("utf-16-be").hex(" ", 2).split()
    return "".join(chr(int(unit, 16)) if int(unit, 16) < 128 else f"\\u{unit}" for unit in units)


def _identity(node: Node, data: Path) -> dict[str, object]:
    return {
        "process.roles": "broker,controller",
        "node.id": node.id,
        "controller.quorum.voters": ",".join(f"{id_}@{LOOPBACK}:{port}" for id_, port in sorted(node.voters.items())),
        "listeners": f"CLIENTS://{LOOPBACK}:{node.port},CONTROLLER://{LOOPBACK}:{node.controller_port}",
        "advertised.listeners": f"CLIENTS://{LOOPBACK}:{node.port}",
        "listener.security.protocol.map": "CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "CLIENTS",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": data,
        # A topic that nobody declared is a mistake, not a topic.
        "auto.create.topics.enable": "false",
    }


def _sizes(node: Node) -> dict[str, object]:
    """Copies, partitions and buffers of a laptop's measure."""
    return {
        "default.replication.factor": node.replicas,
        "min.insync.replicas": max(1, node.replicas - 1),
        "offsets.topic.replication.factor": node.replicas,
        "offsets.topic.num.partitions": 4,
        "offsets.topic.segment.bytes": 2**20,
        "transaction.state.log.replication.factor": node.replicas,
        "transaction.state.log.min.isr": max(1, node.replicas - 1),
        "transaction.state.log.num.partitions": 4,
        "transaction.state.log.segment.bytes": 2**20,
        "share.coordinator.state.topic.replication.factor": node.replicas,
        "share.coordinator.state.topic.min.isr": max(1, node.replicas - 1),
        "share.coordinator.state.topic.num.partitions": 1,
        "log.segment.bytes": 16 * 2**20,
        "log.index.size.max.bytes": 256 * 2**10,
        "log.cleaner.dedupe.buffer.size": 4 * 2**20,
        "log.cleaner.threads": 1,
        "num.network.threads": 1,
        "num.io.threads": 2,
    }


def _pace(node: Node) -> dict[str, object]:
    """How soon silence counts as death, and how soon the broker tidies up."""
    alone = len(node.voters) == 1
    return {
        # Also how long a node waits for its own ghost after kill -9. Several nodes on one machine starve each
        # other at times, and must not take that for death.
        "broker.session.timeout.ms": 1000 if alone else 3000,
        "broker.heartbeat.interval.ms": 300 if alone else 500,
        # A controller that votes alone need not wait for others to speak up after a restart.
        "controller.quorum.election.timeout.ms": 100 if alone else 1000,
        "controller.quorum.election.backoff.max.ms": 100 if alone else 1000,
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 500,
        "group.consumer.min.session.timeout.ms": 500,
        "group.consumer.session.timeout.ms": 6000,
        "group.consumer.min.heartbeat.interval.ms": 100,
        "group.consumer.heartbeat.interval.ms": 1000,
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": 500,
        "log.cleaner.backoff.ms": 2000,
    }


def _security(admin: ScramUser) -> dict[str, object]:
    login = f'required username="{admin.name}" password="{admin.password}"'
    plain = "org.apache.kafka.common.security.plain.PlainLoginModule"
    return {
        # Controllers know no users yet when they start: PLAIN between them, SCRAM for everybody else.
        "listener.security.protocol.map": "CLIENTS:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
        "listener.name.clients.scram-sha-512.sasl.jaas.config": (
            f"org.apache.kafka.common.security.scram.ScramLoginModule {login};"
        ),
        "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
        "sasl.mechanism.controller.protocol": "PLAIN",
        "listener.name.controller.plain.sasl.jaas.config": (f'{plain} {login} user_{admin.name}="{admin.password}";'),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "false",
        "super.users": f"User:{admin.name}",
    }
