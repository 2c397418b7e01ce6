"""Transactions: the states, outputs and source offsets of one batch become visible together, or not at all.

begin -> produce states and outputs -> add source offsets, with the group metadata that came with the batch -> commit,
which waits until all records are acknowledged. Nothing but Kafka is called in between. What fails is aborted and tried
again with the same bytes while the partitions are still ours; what leaves us in doubt ends the process.
"""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka import TopicPartition as Place

from streams.runtime.clients import Cluster, room_producer
from streams.runtime.door import PartitionWork, Work, Write
from streams.runtime.fail_stop import REFUSED, fail_stop
from streams.runtime.progress import Progress

Stage = Callable[[str], None]
"""Called where a fault can be put: `begin`, `produced`, `offsets`, `committed`; `leaving` when partitions are revoked.
"""

TRY_AGAIN_S = 0.01
CALL_S = 10.0
WAIT_FOR_SERVER_S = 120.0


class Transactions:
    """The transactional writer of one room in one slot."""

    def __init__(
        self, cluster: Cluster, transactional_id: str, source: str, progress: Progress, stage: Stage = lambda _: None
    ):
        self._cluster = cluster
        self._id = transactional_id
        self._source = source
        self._progress = progress
        self._stage = stage
        self._written: dict[tuple[str, int], int] = {}
        self.aborts: Counter[str] = Counter()
        """By Kafka's name of the cause."""
        self.commits = 0

    def start(self) -> None:
        """Connect; what a former process of this slot left open is aborted, and the process itself fenced."""
        self._producer: Producer = room_producer(self._cluster, self._id, _fatal_ends_us)
        give_up = time.monotonic() + WAIT_FOR_SERVER_S
        while True:
            try:
                self._producer.init_transactions(CALL_S)
                return
            except KafkaException as error:
                if not error.args[0].retriable() or time.monotonic() > give_up:
                    fail_stop(f"{self._id} cannot begin to write", error)

    def commit(
        self,
        work: Work,
        metadata: Any,
        still_ours: Callable[[int], bool],
        fresh_metadata: Callable[[], Any],
    ) -> Work:
        """Make the work durable; return what of it was still ours. Ends the process where the outcome is unknown."""
        give_up = time.monotonic() + self._cluster.outage_bound_s
        while True:
            work = {partition: part for partition, part in work.items() if still_ours(partition)}
            due = [part for part in work.values() if part.next_offset is not None]
            if not due:
                return work
            try:
                self._attempt(work, metadata, give_up)
            except KafkaException as error:
                self._abort(error, give_up)
                metadata = fresh_metadata()
            else:
                return work

    def _attempt(self, work: Work, metadata: Any, give_up: float) -> None:
        producer = self._producer
        self._written.clear()
        self._stage("begin")
        producer.begin_transaction()
        for part in work.values():
            for write in part.writes:
                self._produce(write)
        self._stage("produced")
        # Records are under way while offsets are added; the commit waits for all of them, and fails with any.
        self._add_offsets(_offsets(self._source, work), metadata)
        self._stage("offsets")
        self._commit(give_up)
        self.commits += 1
        for (topic, partition), next_offset in self._written.items():
            self._progress.wrote(topic, partition, next_offset)
        self._stage("committed")

    def _add_offsets(self, offsets: list[Place], metadata: Any) -> None:
        """Add the source offsets. Ends the process where the coordinator does not answer: a client may wait for ever.

        By then the transaction has timed out, and the next start looks for the coordinator anew.
        """
        try:
            self._producer.send_offsets_to_transaction(offsets, metadata, CALL_S)
        except KafkaException as error:
            if error.args[0].code() == KafkaError._TIMED_OUT:
                fail_stop(f"{self._id}: the group's coordinator did not answer within {CALL_S:.0f} s", error)
            raise

    def _produce(self, write: Write) -> None:
        topic, key, value, partition, headers = write
        while True:
            try:
                if self._progress.follows(topic):
                    self._producer.produce(topic, value, key, partition, headers=headers, on_delivery=self._delivered)
                else:
                    self._producer.produce(topic, value, key, partition, headers=headers)
                return
            except BufferError:
                # The queue is full: let acknowledgements make room.
                self._producer.poll(0.1)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            place = (message.topic() or "", message.partition() or 0)
            self._written[place] = max(self._written.get(place, 0), (message.offset() or 0) + 1)

    def _commit(self, give_up: float) -> None:
        """Commit; a call that timed out is made again, for its outcome is unknown until it returns."""
        while True:
            try:
                self._producer.commit_transaction(CALL_S)
                return
            except KafkaException as error:
                if not error.args[0].retriable() or error.args[0].txn_requires_abort():
                    raise
                if time.monotonic() > give_up:
                    fail_stop(f"{self._id}: the outcome of a commit is unknown", error)

    def _abort(self, error: KafkaException, give_up: float) -> None:
        """Undo the attempt, or end the process where that cannot be known to have happened."""
        cause = error.args[0]
        if cause.fatal() or not (cause.txn_requires_abort() or cause.retriable()):
            fail_stop(f"{self._id}: fenced, or the transaction failed for good", error)
        self.aborts[cause.name()] += 1
        while True:
            try:
                self._producer.abort_transaction(CALL_S)
                break
            except KafkaException as failed:
                if failed.args[0].fatal() or not failed.args[0].retriable() or time.monotonic() > give_up:
                    fail_stop(f"{self._id}: a transaction could not be aborted", failed)
        if time.monotonic() > give_up:
            fail_stop(f"{self._id}: transactions keep failing", error)
        time.sleep(TRY_AGAIN_S)


def _offsets(source: str, work: Work) -> list[Place]:
    return [Place(source, partition, _next(part)) for partition, part in work.items() if part.next_offset is not None]


def _next(part: PartitionWork) -> int:
    assert part.next_offset is not None
    return part.next_offset


def _fatal_ends_us(error: KafkaError) -> None:
    if error.fatal() or error.code() == KafkaError._FATAL:
        fail_stop(f"a producer failed for good: {error.str()}")
    if error.code() in (KafkaError.CLUSTER_AUTHORIZATION_FAILED, KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED):
        fail_stop(f"a producer is not allowed to write: {error.str()}", code=REFUSED)
