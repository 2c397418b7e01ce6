"""Status: how far each room and effect of an environment has come, asked of Kafka and of nobody else.

Lag in records counts what a committed reader would still read. Kafka only knows offsets, and commit markers use offsets
up: up to `READ_TO_COUNT` offsets behind, the records are read and counted; beyond, the offsets are the answer.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from confluent_kafka import KafkaError
from confluent_kafka import TopicPartition as Place

from schemas.topics import Topic
from streams.runtime import clients
from streams.runtime.clients import Cluster, administrator
from streams.runtime.offsets import Offsets

ANSWER_S = 10.0
READ_TO_COUNT = 2_000


@dataclass(frozen=True, slots=True)
class PartitionStatus:
    """One partition of one reader.

    committed: next offset to be folded; None where nothing has been folded yet
    lag_records: records not folded; `exact` says whether they were counted or are offsets
    lag_s: age of the oldest of them, wall clock
    member: who owns it; empty where nobody does
    """

    partition: int
    committed: int | None
    end: int
    lag_records: int
    exact: bool
    lag_s: float
    member: str


@dataclass(frozen=True, slots=True)
class ReaderStatus:
    """One room or effect.

    state: of its group, as Kafka names it
    members: their slots
    """

    name: str
    topic: str
    state: str
    members: list[str]
    partitions: list[PartitionStatus]

    @property
    def lag_records(self) -> int:
        """Over all partitions."""
        return sum(partition.lag_records for partition in self.partitions)

    @property
    def lag_s(self) -> float:
        """Of the partition that is furthest behind."""
        return max((partition.lag_s for partition in self.partitions), default=0.0)


def status(cluster: Cluster, environment: str, readers: Iterable[tuple[str, Topic]]) -> list[ReaderStatus]:
    """The status of these (role, topic). Raises KafkaException, TopicGone."""
    wanted = list(readers)
    groups = [f"{environment}.{name}" for name, _ in wanted]
    admin = administrator(cluster)
    described = admin.describe_consumer_groups(groups, request_timeout=ANSWER_S)
    offsets = Offsets(cluster)
    found = []
    for (name, topic), group in zip(wanted, groups, strict=True):
        answer = described[group].result(2 * ANSWER_S)
        owners = {
            place.partition: str(member.group_instance_id or member.client_id)
            for member in answer.members
            for place in member.assignment.topic_partitions
        }
        source, partitions = topic.full_name(environment), range(topic.partitions)
        committed, ends = offsets.committed(group, source, partitions), offsets.committed_ends(source, partitions)
        lows = offsets.lows(source, partitions)
        rows = [
            _partition(
                cluster, Place(source, one, committed[one].offset or lows[one]), committed[one].offset, ends[one],
                owners.get(one, ""),
            )
            for one in partitions
        ]  # fmt: skip
        members = sorted(str(member.group_instance_id or member.client_id) for member in answer.members)
        found.append(ReaderStatus(name, source, answer.state.name, members, rows))
    return found


def _partition(cluster: Cluster, start: Place, committed: int | None, end: int, member: str) -> PartitionStatus:
    behind = max(0, end - start.offset)
    records, oldest_ms, exact = _counted(cluster, start, end) if behind else (0, None, True)
    lag_s = max(0.0, time.time() - oldest_ms / 1000) if oldest_ms is not None else 0.0
    return PartitionStatus(start.partition, committed, end, records if exact else behind, exact, lag_s, member)


def _counted(cluster: Cluster, start: Place, end: int) -> tuple[int, int | None, bool]:
    """Records from here to the end, when the first of them came to the log, and whether all were counted."""
    consumer = clients.reader(cluster)
    most = READ_TO_COUNT if end - start.offset <= READ_TO_COUNT else 1
    count, oldest_ms = 0, None
    give_up = time.monotonic() + ANSWER_S
    try:
        consumer.assign([start])
        while count < most and time.monotonic() < give_up:
            message = consumer.poll(0.2)
            if message is None:
                continue
            error = message.error()
            if error is not None:
                if error.code() == KafkaError._PARTITION_EOF:
                    return count, oldest_ms, True
                continue
            count += 1
            oldest_ms = message.timestamp()[1] if oldest_ms is None else oldest_ms
    finally:
        consumer.close()
    return count, oldest_ms, False
