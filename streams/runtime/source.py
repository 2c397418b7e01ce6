"""Source: the door of plain writers (feeds, clock, marks relay, publishers, control, execution's outcomes).

Idempotent, acks=all, routed by the map. A record's id is that of its source, so a source that starts again and repeats
itself repeats the id as well, and the reader folds it once.
"""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from schemas import metrics
from schemas.record import Record
from schemas.topics import TOPICS, Topic
from streams.runtime.clients import RECORD_BYTES_MAX, Cluster, plain_producer, room_producer
from streams.runtime.fail_stop import fail_stop
from streams.runtime.headers import Headers, headers_of, output_id, root_id
from streams.runtime.intake import RecordCodec
from streams.runtime.metrics import Sample
from streams.runtime.progress import Progress
from streams.runtime.room import Routes

FLUSH_S = 60.0
POLL_S = 0.1
QUEUE_FULL_S = 0.005
ANY_PARTITION = -1

FENCED = frozenset({KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH})
"""What the broker says to a writer in whose slot another began."""

Settled = Callable[[str | None], None]


class DeliveryFailed(RuntimeError):
    """Kafka did not acknowledge some records: they may be there or not; written again, they have the same ids."""


class Fenced(DeliveryFailed):
    """Another writer began in this slot: nothing of the block is there. Who opens the slot again may say it again."""


class NoIdentity(ValueError):
    """A record that its source cannot name was written without an id; nobody could fold its repetition once."""


class RecordTooLarge(ValueError):
    """A record that no door would let in."""


class Outgoing(NamedTuple):
    """One record for one topic."""

    topic: str
    key: bytes | None
    value: bytes
    partition: int
    headers: Headers


class _Way(NamedTuple):
    """Where records of one type go: one topic of the map.

    topic: its name on Kafka
    key: the field that is the key; None for a broadcast record
    label: topic and type, as they are counted
    """

    topic: str
    key: str | None
    partitions: int
    label: tuple[str, str]


class Source:
    """Writes what one role may write. Thread-safe; one thread of its own takes acknowledgements.

    atomic_slot: with it, records are written `together` only, and become visible together: for records that must exist
        in two topics or in none. The slot's name is stable, so that a restart ends what was left open.
    """

    def __init__(
        self,
        cluster: Cluster,
        codec: RecordCodec,
        environment: str,
        role: str,
        *,
        progress: Progress | None = None,
        topic_map: tuple[Topic, ...] = TOPICS,
        atomic_slot: str | None = None,
    ):
        self.role = role
        self.written: Counter[tuple[str, str]] = Counter()
        """Records handed over so far, by topic and type; a broadcast record counts once."""
        self._codec = codec
        self._routes = Routes(role, topic_map)
        self._names = {topic.name: topic.full_name(environment) for topic in topic_map}
        self._ways: dict[type[Record], tuple[_Way, ...]] = {}
        self._progress = progress
        self._settled = threading.Condition()
        self._outstanding = 0
        self._failed: list[str] = []
        self._delivered: dict[tuple[str, int], int] = {}
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
        self._atomic = atomic_slot is not None
        self._together = False
        self._fenced = False
        if atomic_slot is None:
            self._producer: Producer = plain_producer(cluster, self._on_error)
        else:
            self._producer = room_producer(cluster, f"{environment}.{role}.{atomic_slot}", self._on_error)
            self._producer.init_transactions(FLUSH_S)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._acknowledge, name=f"source {role}", daemon=True)
        self._thread.start()

    def write(
        self, record: Record, *, event_id: str | None = None, cause: str = "", trace: bytes | None = None
    ) -> None:
        """Hand the record to the producer, for every topic that the map names; a broadcast for every partition.

        event_id: needed for records without a source of their own, ignored for others.
        Returns before it is durable: `flush` tells. Raises UndeclaredOutput, NoIdentity, RecordTooLarge, CodecError.
        """
        assert self._together or not self._atomic, "this source writes `together` only"
        value = self._encoded(record)
        for outgoing in self._outgoing(record, value, root_id(record) or event_id, cause, trace):
            self._produce(outgoing, self._note)

    async def deliver(
        self, records: Iterable[Record], *, answering: str | None = None, cause: str = "", trace: bytes | None = None
    ) -> None:
        """Write these; return when all are durable. Raises DeliveryFailed, and as `write`.

        answering: id of the input that they answer in this order. Then they are named as a room's answers are, whatever
            name the outside gave them: a command that is begun twice may come to two different outcomes.
        """
        assert not self._atomic, "this source writes `together` only"
        outgoing: list[Outgoing] = []
        for ordinal, record in enumerate(records):
            value = self._encoded(record)
            named = output_id(self.role, answering, ordinal, record, value) if answering else root_id(record)
            outgoing += self._outgoing(record, value, named, cause, trace)
        if not outgoing:
            return
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        left, problems = len(outgoing), []

        def settled(problem: str | None) -> None:
            nonlocal left
            left -= 1
            if problem is not None:
                problems.append(problem)
            if left == 0 and not done.done():
                if problems:
                    done.set_exception(DeliveryFailed("; ".join(problems)))
                else:
                    done.set_result(None)

        def report(error: KafkaError | None, message: Message) -> None:
            with self._settled:
                self._one_settled()
            if error is None:
                self._tell(message)
            problem = None if error is None else f"{message.topic()}: {error.str()}"
            loop.call_soon_threadsafe(settled, problem)

        for one in outgoing:
            self._produce(one, report)
        await done

    @contextmanager
    def together(self) -> Iterator[None]:
        """Records written inside become visible together, when the block ends.

        Raises DeliveryFailed where none is: Fenced where the slot is another's by now, and this source of no more use.
        """
        assert self._atomic, "name an atomic slot to write together"
        self._together = True
        try:
            self._producer.begin_transaction()
            yield
            self._producer.commit_transaction(FLUSH_S)
        except BaseException as error:
            self._undo(error)
            if isinstance(error, KafkaException):
                raise DeliveryFailed(f"{self.role}: {error.args[0].str()}") from error
            raise
        finally:
            self._together = False
        self._tell_all()

    def _undo(self, error: BaseException) -> None:
        self._doubt(error)
        try:
            self._producer.abort_transaction(FLUSH_S)
        except KafkaException as failed:
            self._doubt(failed)
            raise
        with self._settled:
            # What was purged by the abort was not lost, and what was delivered is not there.
            self._failed, self._delivered = [], {}

    def samples(self) -> Iterator[Sample]:
        """What was written, for Prometheus."""
        for labels, count in self.written.copy().items():
            yield Sample(metrics.RECORDS_WRITTEN, self.role, labels, count)

    def _doubt(self, error: BaseException) -> None:
        """Raise Fenced, or end the process, where the producer is of no more use."""
        if not isinstance(error, KafkaException):
            return
        problem = error.args[0]
        if self._fenced or problem.code() in FENCED:
            self._fenced = True
            raise Fenced(f"{self.role}: another writer began in the same slot") from error
        if problem.fatal():
            fail_stop(f"the transaction of {self.role} failed for good", error)

    def flush(self, timeout_s: float = FLUSH_S) -> None:
        """Return when all that was written is durable. Raises DeliveryFailed."""
        with self._settled:
            self._settled.wait_for(lambda: self._outstanding == 0, timeout_s)
        self._raise_or_tell(timeout_s)

    async def flushed(self, timeout_s: float = FLUSH_S) -> None:
        """`flush` for tasks: the event loop goes on."""
        event = asyncio.Event()
        waiter = (asyncio.get_running_loop(), event)
        with self._settled:
            if self._outstanding:
                self._waiting.append(waiter)
            else:
                event.set()
        try:
            await asyncio.wait_for(event.wait(), timeout_s)
        except TimeoutError:
            with self._settled:
                if waiter in self._waiting:
                    self._waiting.remove(waiter)
        self._raise_or_tell(timeout_s)

    def _raise_or_tell(self, timeout_s: float) -> None:
        with self._settled:
            left = self._outstanding
            failed, self._failed = self._failed, []
        if left or failed:
            unknown = [f"{left} records are not acknowledged after {timeout_s} s"] if left else []
            raise DeliveryFailed(f"{self.role}: " + "; ".join([*failed[:5], *unknown]))
        self._tell_all()

    def close(self) -> None:
        """Flush, and let go. Raises DeliveryFailed. What a fenced source wrote is known not to be there."""
        try:
            if not self._fenced:
                self.flush()
        finally:
            self._closing.set()
            self._thread.join()

    def _encoded(self, record: Record) -> bytes:
        topics = self._routes[type(record)]
        value = self._codec.encode(record)
        if len(value) > RECORD_BYTES_MAX and not all(topic.batch_bytes_max > 2 * RECORD_BYTES_MAX for topic in topics):
            raise RecordTooLarge(f"{type(record).__name__} takes {len(value)} bytes of {RECORD_BYTES_MAX}")
        return value

    def _outgoing(
        self, record: Record, value: bytes, named: str | None, cause: str, trace: bytes | None
    ) -> list[Outgoing]:
        if not named:
            raise NoIdentity(f"{type(record).__name__} has no source of its own: {self.role} must give its event_id")
        headers = headers_of(named, record.event_time_us, cause, trace)
        found = []
        for topic, key, partitions, label in self._ways.get(type(record)) or self._looked_up(type(record)):
            self.written[label] += 1
            if key is None:
                found += [Outgoing(topic, None, value, partition, headers) for partition in range(partitions)]
            else:
                found.append(Outgoing(topic, str(getattr(record, key)).encode(), value, ANY_PARTITION, headers))
        return found

    def _looked_up(self, kind: type[Record]) -> tuple[_Way, ...]:
        """The ways of one type, found once: a feed writes the same few types for ever."""
        self._ways[kind] = tuple(
            _Way(
                self._names[topic.name],
                None if kind in topic.broadcast else topic.key,
                topic.partitions,
                (topic.name, kind.__name__),
            )
            for topic in self._routes[kind]
        )
        return self._ways[kind]

    def _produce(self, one: Outgoing, report: Callable[[KafkaError | None, Message], None]) -> None:
        with self._settled:
            self._outstanding += 1
        while True:
            try:
                self._producer.produce(
                    one.topic, one.value, one.key, one.partition, headers=one.headers, on_delivery=report
                )
                return
            except BufferError:
                # The queue is full: a fast source waits for Kafka, whose acknowledgements the other thread takes.
                time.sleep(QUEUE_FULL_S)

    def _note(self, error: KafkaError | None, message: Message) -> None:
        with self._settled:
            if error is not None:
                self._failed.append(f"{message.topic()}: {error.str()}")
            elif self._progress is not None:
                place = (message.topic() or "", message.partition() or 0)
                self._delivered[place] = max(self._delivered.get(place, 0), (message.offset() or 0) + 1)
            self._one_settled()

    def _one_settled(self) -> None:
        """Under the lock: one record is acknowledged or given up."""
        self._outstanding -= 1
        if self._outstanding:
            return
        self._settled.notify_all()
        waiting, self._waiting = self._waiting, []
        for loop, event in waiting:
            loop.call_soon_threadsafe(event.set)

    def _tell(self, message: Message) -> None:
        if self._progress is not None:
            self._progress.wrote(message.topic() or "", message.partition() or 0, (message.offset() or 0) + 1)

    def _tell_all(self) -> None:
        with self._settled:
            delivered, self._delivered = self._delivered, {}
        if self._progress is not None:
            for (topic, partition), next_offset in delivered.items():
                self._progress.wrote(topic, partition, next_offset)

    def _acknowledge(self) -> None:
        while not self._closing.is_set():
            try:
                self._producer.poll(POLL_S)
            except KafkaException as error:
                # What ends a transactional producer may be told here first, and to `_on_error` or the writer later.
                self._on_error(error.args[0])
                self._closing.wait(POLL_S)

    def _on_error(self, error: KafkaError) -> None:
        if self._atomic and error.code() in FENCED:
            self._fenced = True
        elif error.fatal() or error.code() == KafkaError._FATAL:
            fail_stop(f"the producer of {self.role} failed for good: {error.str()}")
