"""Offsets: where partitions begin and end and what groups have committed. Asked until Kafka answers.

A leader that has just moved, an undecided transaction and a broker that is away only take time. Where a topic does not
exist, asking on is of no use. An administrator that has outlived its brokers can hold on to a leader's epoch that is no
more, and is refused from then on: it is replaced. What a group has committed is asked by a consumer of its own.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from confluent_kafka import IsolationLevel, KafkaError, KafkaException
from confluent_kafka import TopicPartition as Place

from streams.runtime.clients import EARLIEST, LATEST, Cluster, administrator, asker

CALL_S = 5.0
ANSWER_S = 2 * CALL_S
ASK_AGAIN_S = 0.05
RENEW_S = 4.0
"""After so long without an answer another administrator is asked."""
OUTDATED = (KafkaError.FENCED_LEADER_EPOCH, KafkaError.UNKNOWN_LEADER_EPOCH)
"""What brokers say to an administrator whose own notes of them are old. It does not renew them of itself."""

_Answer = TypeVar("_Answer")


class TopicGone(RuntimeError):
    """A topic that is needed does not exist."""


class Committed(NamedTuple):
    """What a group has committed of one partition.

    offset: None where it has committed nothing
    note: what was written beside it
    """

    offset: int | None
    note: str


class Offsets:
    """Asks until there is an answer.

    give_up_s: how long Kafka may be away; then its own error is raised.
    waiting: called after each answer that was none.
    """

    def __init__(self, cluster: Cluster, give_up_s: float = 30.0, waiting: Callable[[], None] = lambda: None):
        self._cluster = cluster
        self._admin = administrator(cluster)
        self._give_up_s = give_up_s
        self._waiting = waiting

    def committed(self, group: str, topic: str, partitions: Sequence[int]) -> dict[int, Committed]:
        """What the group has committed, once no open transaction may change it any more. Raises TopicGone."""
        wanted = [Place(topic, partition) for partition in partitions]

        def ask() -> dict[int, Committed]:
            consumer = asker(self._cluster, group)
            try:
                places = consumer.committed(wanted, CALL_S)
            finally:
                consumer.close()
            for place in places:
                if place.error is not None:
                    raise KafkaException(place.error)
            return {
                place.partition: Committed(place.offset if place.offset >= 0 else None, place.metadata or "")
                for place in places
            }

        return self._insist(ask)

    def lows(self, topic: str, partitions: Sequence[int]) -> dict[int, int]:
        """Offset of the first record that is still there. Raises TopicGone."""
        return self._offsets(topic, partitions, EARLIEST, IsolationLevel.READ_UNCOMMITTED)

    def ends(self, topic: str, partitions: Sequence[int]) -> dict[int, int]:
        """Offset after the last record, uncommitted ones included. Raises TopicGone."""
        return self._offsets(topic, partitions, LATEST, IsolationLevel.READ_UNCOMMITTED)

    def committed_ends(self, topic: str, partitions: Sequence[int]) -> dict[int, int]:
        """How far a committed reader can read: up to the first open transaction. Raises TopicGone."""
        return self._offsets(topic, partitions, LATEST, IsolationLevel.READ_COMMITTED)

    def _offsets(self, topic: str, partitions: Sequence[int], which: Any, isolation: IsolationLevel) -> dict[int, int]:
        if not partitions:
            return {}
        places = [Place(topic, partition) for partition in partitions]

        def ask() -> dict[int, int]:
            wanted = dict.fromkeys(places, which)
            answer = self._admin.list_offsets(wanted, isolation_level=isolation, request_timeout=CALL_S)
            return {place.partition: future.result(ANSWER_S).offset for place, future in answer.items()}

        return self._insist(ask)

    def _insist(self, ask: Callable[[], _Answer]) -> _Answer:
        began = time.monotonic()
        give_up, renew = began + self._give_up_s, began + RENEW_S
        while True:
            try:
                return ask()
            except (KafkaException, TimeoutError) as error:
                code = error.args[0].code() if isinstance(error, KafkaException) else None
                if code == KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise TopicGone(f"a topic that is needed does not exist: {error.args[0].str()}") from error
                now = time.monotonic()
                if now > give_up:
                    raise
                if now > renew or code in OUTDATED:
                    self._admin, renew = administrator(self._cluster), now + RENEW_S
                self._waiting()
                time.sleep(ASK_AGAIN_S)
