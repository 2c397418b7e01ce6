"""Orphans: partitions that a group gives to nobody, and how it is made to share again.

Cooperative rebalancing moves a partition in two steps: its owner gives it up and joins again, and that second join lets
the group give it away. An owner with fixed membership that dies in between comes back under its old name, gets its old
share without a rebalance, and the second step never happens: the partition is nobody's for ever, while the group calls
itself stable. A member without a fixed name that joins and leaves makes the group share everything out again.
"""

import time
from dataclasses import dataclass, field

from confluent_kafka import Consumer, ConsumerGroupState, TopicPartition
from confluent_kafka.admin import AdminClient

from streams.runtime.clients import Cluster, GroupProtocol, administrator, nudger

ANSWER_S = 5.0
JOIN_S = 20.0
LOOK_EVERY_S = 2.0


@dataclass(slots=True)
class Share:
    """One group whose members share one topic.

    instance: our own fixed name in it
    since: since when these partitions have been nobody's, monotonic seconds
    """

    group: str
    topic: str
    partitions: int
    instance: str
    missing: frozenset[int] = field(default_factory=frozenset)
    since: float = 0.0


class Orphans:
    """Looks after the groups of a process.

    patience_s: a rebalance under way leaves partitions without owner for a moment; longer is for ever.
    """

    def __init__(self, cluster: Cluster):
        self._cluster = cluster
        self.patience_s = cluster.revoke_bound_s + 1.0
        self._shares: list[Share] = []
        self._admin: AdminClient | None = None
        self._looked_at = 0.0
        self.nudges = 0

    def watch(self, group: str, topic: str, partitions: int, instance: str) -> None:
        """Look after this group too."""
        self._shares.append(Share(group, topic, partitions, instance))

    def forget(self) -> None:
        """Ask by another administrator next time: one that has met errors may remember a coordinator that is gone."""
        self._admin = None

    def look(self) -> None:
        """Make groups share again that have left partitions to nobody for too long. Raises KafkaException."""
        now = time.monotonic()
        if not self._shares or self._cluster.protocol is GroupProtocol.CONSUMER or now - self._looked_at < LOOK_EVERY_S:
            return
        self._looked_at = now
        self._admin = self._admin or administrator(self._cluster)
        answers = self._admin.describe_consumer_groups(
            [share.group for share in self._shares], request_timeout=ANSWER_S
        )
        for share in self._shares:
            described = answers[share.group].result(2 * ANSWER_S)
            owned = {place.partition for member in described.members for place in member.assignment.topic_partitions}
            missing = frozenset(range(share.partitions)) - owned
            if described.state is not ConsumerGroupState.STABLE or not missing or missing != share.missing:
                share.missing, share.since = missing, now
                continue
            names = [member.group_instance_id for member in described.members if member.group_instance_id]
            if now - share.since > self.patience_s and names and min(names) == share.instance:
                self._nudge(share)
                share.since = time.monotonic()

    def _nudge(self, share: Share) -> None:
        """Join the group without a name, and leave it again."""
        self.nudges += 1
        joined: list[int] = []

        def on_assign(_: Consumer, places: list[TopicPartition]) -> None:
            joined.append(len(places))

        consumer = nudger(self._cluster, share.group)
        consumer.subscribe([share.topic], on_assign=on_assign)
        give_up = time.monotonic() + JOIN_S
        while not joined and time.monotonic() < give_up:
            consumer.poll(0.1)
        consumer.close()
