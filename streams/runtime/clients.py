"""Every librdkafka setting, in one place, each with its reason.

room_consumer      reads an inbox in a consumer group; its thread hands batches to the room, or to the effect
room_producer      writes states, outputs and source offsets of a batch in one transaction
plain_producer     writes for sources and effects: idempotent, acks=all
asker              asks what a group has committed, and does not join it
reader             reads committed records without a group
recovery_reader    reads changelogs, for all rooms of a process
administrator      asks where partitions end and who is in a group, makes topics
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]  # exported, not marked so

from schemas.topics import DEAD_LETTERS

Settings = dict[str, Any]
ErrorCallback = Callable[[KafkaError], None]
CommitCallback = Callable[[KafkaError | None, list[TopicPartition]], None]

PARTITIONER = "murmur2_random"
"""As Java's default does; librdkafka's own default differs, and a key would have two homes."""
RECORD_BYTES_MAX = 1_000_000
"""The largest body that a door lets in or out: what Kafka's default of 1 MiB for a batch leaves for key and headers."""


LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # its module has no types
EARLIEST: OffsetSpec = OffsetSpec.earliest()  # type: ignore[no-untyped-call]  # its module has no types


class GroupProtocol(StrEnum):
    """How members of a group share partitions. CLASSIC is cooperative-sticky; CONSUMER is KIP-848."""

    CLASSIC = "classic"
    CONSUMER = "consumer"


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where Kafka is, and the times by which the runtime lives.

    bootstrap_servers: host:port, comma separated.
    security: further settings of librdkafka for every client (SASL, TLS).
    protocol: how groups share partitions.
    session_ms: a member silent for so long loses its partitions. With CONSUMER the broker's setting decides.
    transaction_ms: an open transaction of a dead writer holds back every reader of its partitions for so long.
    revoke_bound_s: how long the batch in hand may take when its partition is being taken away.
    outage_bound_s: how long a batch is tried again while Kafka does not answer, before the process ends itself.
    """

    bootstrap_servers: str
    security: Mapping[str, str] = field(default_factory=dict)
    protocol: GroupProtocol = GroupProtocol.CLASSIC
    session_ms: int = 6_000
    transaction_ms: int = 3_000
    revoke_bound_s: float = 5.0
    outage_bound_s: float = 30.0

    def settings(self) -> Settings:
        """What every client needs."""
        return {
            **self.security,
            "bootstrap.servers": self.bootstrap_servers,
            # After an outage the broker is found within a second, not within the default ten.
            "reconnect.backoff.max.ms": 1_000,
            # A record waits for the acknowledgement of the one before it under Nagle's algorithm.
            "socket.nagle.disable": True,
            # librdkafka writes its own lines to descriptor 2; errors reach us by callbacks.
            "log_level": 2,
        }


def room_consumer(
    cluster: Cluster,
    group: str,
    instance: str | None,
    on_error: ErrorCallback,
    process: str = "",
    on_commit: CommitCallback | None = None,
) -> Consumer:
    """A member of a room's group. `instance` is the slot's name for fixed membership, or None for none.

    process: who is behind it, for whoever looks at the group.
    on_commit: told in `poll` what became of asynchronous commits.
    """
    settings: Settings = {
        **cluster.settings(),
        **_membership(cluster, group, instance),
        **_fetching(),
        "isolation.level": "read_committed",
        # A record that retention took before it was folded must be noticed, not skipped.
        "auto.offset.reset": "error",
        # The end of a partition is told, so that lag is exact although commit markers use offsets up.
        "enable.partition.eof": True,
        "error_cb": on_error,
    }
    if process:
        settings["client.id"] = process
    if on_commit is not None:
        settings["on_commit"] = on_commit
    return Consumer(settings)


def nudger(cluster: Cluster, group: str) -> Consumer:
    """A member that joins a group only to leave it again; what it may be given, it neither folds nor commits."""
    return Consumer({**cluster.settings(), **_membership(cluster, group, None), "auto.offset.reset": "latest"})


def asker(cluster: Cluster, group: str) -> Consumer:
    """Tells what a group has committed, once no open transaction may change it; it does not join.

    Not the administrator: one that knew the group's coordinator before its brokers were away waits for that for ever,
    or ends the process (librdkafka 2.16, issues 5511 and 4605). A consumer looks for its coordinator again.
    """
    return Consumer({**cluster.settings(), **_groupless(), "group.id": group, "isolation.level": "read_committed"})


def room_producer(cluster: Cluster, transactional_id: str, on_error: ErrorCallback) -> Producer:
    """A transactional writer. Its id is a stable slot name: the next start of the slot ends what it left open."""
    settings: Settings = {
        **cluster.settings(),
        **_writing(),
        "transactional.id": transactional_id,
        "transaction.timeout.ms": cluster.transaction_ms,
        # Must not exceed the transaction; what is not delivered by then aborts it.
        "delivery.timeout.ms": cluster.transaction_ms,
        # The default of 100 ms is paid by every back-to-back transaction (CONCURRENT_TRANSACTIONS).
        "retry.backoff.ms": 2,
        "retry.backoff.max.ms": 50,
        # A failed delivery fails the transaction; the others need no report.
        "delivery.report.only.error": False,
        "linger.ms": 0,
        "error_cb": on_error,
    }
    return Producer(settings)


def plain_producer(cluster: Cluster, on_error: ErrorCallback) -> Producer:
    """An idempotent writer for sources and effects."""
    settings: Settings = {
        **cluster.settings(),
        **_writing(),
        "delivery.timeout.ms": 30_000,
        # A lone record goes at once; those of a busy source find company while the one before is under way.
        "linger.ms": 0,
        "error_cb": on_error,
    }
    return Producer(settings)


def reader(cluster: Cluster) -> Consumer:
    """A reader of committed records that belongs to no group; partitions and offsets are given by hand."""
    settings: Settings = {
        **cluster.settings(),
        **_fetching(),
        **_groupless(),
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",
        "enable.partition.eof": True,
    }
    return Consumer(settings)


def recovery_reader(cluster: Cluster) -> Consumer:
    """As `reader`, for changelogs: it may hold more, and belongs to all rooms of the process."""
    settings: Settings = {
        **cluster.settings(),
        **_groupless(),
        "isolation.level": "read_committed",
        "auto.offset.reset": "error",
        "enable.partition.eof": True,
        "fetch.wait.max.ms": 20,
        "fetch.queue.backoff.ms": 10,
        "queued.min.messages": 100_000,
        "queued.max.messages.kbytes": 32_768,
        "check.crcs": False,
    }
    return Consumer(settings)


def administrator(cluster: Cluster) -> AdminClient:
    """Makes topics, tells where partitions end and who is in a group; for short use (see `asker`)."""
    return AdminClient(cluster.settings())


def _membership(cluster: Cluster, group: str, instance: str | None) -> Settings:
    settings: Settings = {
        "group.id": group,
        # Offsets are part of the transaction, or committed when the outcome is durable: never by a timer.
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        # A consumer thread that does not poll for so long has left; the watchdog is faster.
        "max.poll.interval.ms": max(30_000, 2 * cluster.session_ms),
        "topic.metadata.refresh.interval.ms": 30_000,
    }
    if cluster.protocol is GroupProtocol.CONSUMER:
        settings["group.protocol"] = "consumer"
    else:
        settings |= {
            # Only partitions that move stop.
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": cluster.session_ms,
            "heartbeat.interval.ms": max(300, cluster.session_ms // 4),
        }
    if instance is not None:
        settings["group.instance.id"] = instance
    return settings


def _groupless() -> Settings:
    # librdkafka asks for a group even where none is joined and nothing is committed.
    return {"group.id": "none", "enable.auto.commit": False, "enable.auto.offset.store": False}


def _fetching() -> Settings:
    return {
        "fetch.min.bytes": 1,
        "fetch.wait.max.ms": 50,
        # 1 s by default: with a small queue it caps a busy partition at 45,000 records/s.
        "fetch.queue.backoff.ms": 10,
        "queued.min.messages": 20_000,
        # Bounds the memory of a room with a backlog; the default is 64 MiB for each consumer.
        "queued.max.messages.kbytes": 16_384,
        "fetch.message.max.bytes": 2 * 2**20,
    }


def _writing() -> Settings:
    return {
        "acks": "all",
        "enable.idempotence": True,
        "partitioner": PARTITIONER,
        # Dead letters of records near the limit must pass; what others may hold is checked at the door.
        "message.max.bytes": DEAD_LETTERS.batch_bytes_max,
        "queue.buffering.max.kbytes": 65_536,
    }
