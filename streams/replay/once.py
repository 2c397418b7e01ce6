"""Writers of a replay that may have been here before: what is in the log already is not written again.

Folds take a repeated record once in any case; this keeps the log, and the counts made of it, free of repetitions when
a replay goes on after a crash or is continued.
"""

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

from schemas.record import Record
from schemas.topics import BY_NAME, TOPICS, Topic, destinations
from streams.runtime.clients import Cluster
from streams.runtime.intake import RecordCodec
from streams.runtime.progress import Progress
from streams.runtime.reader import Reader, Start
from streams.runtime.source import Source

ROLES = ("feeds", "reference", "control", "clock", "relay", "publishers")
"""Sources that a replay drives."""


class Log:
    """What every topic that a source writes holds already, by the identity that its source gave it."""

    def __init__(self, cluster: Cluster, codec: RecordCodec, environment: str):
        self._places: dict[tuple[str, str], set[int]] = defaultdict(set)

        def read(topic: Topic) -> list[tuple[str, int]]:
            reader = Reader(cluster, codec, topic, environment, Start.BEGINNING)
            try:
                named = ((one.record.source_key(), one.partition) for one in reader.to_end() if one.record is not None)
                return [(key, partition) for key, partition in named if key is not None]
            finally:
                reader.close()

        topics = [topic for topic in TOPICS if set(ROLES) & set(topic.writers)]
        # Finding the end of an idle topic is waiting; all wait at once.
        with ThreadPoolExecutor(len(topics)) as pool:
            for topic, places in zip(topics, pool.map(read, topics), strict=True):
                for key, partition in places:
                    self._places[(topic.name, key)].add(partition)

    def holds(self, topic: Topic, record: Record) -> bool:
        """Whether the record is there; a broadcast must be in every partition."""
        key = record.source_key()
        wanted = topic.partitions if topic.key_of(record) is None else 1
        return key is not None and len(self._places.get((topic.name, key), ())) >= wanted


class OnceSource:
    """A source that leaves out what the log held when the process began."""

    def __init__(self, cluster: Cluster, codec: RecordCodec, environment: str, role: str, progress: Progress, log: Log):
        self.role = role
        self._source = Source(cluster, codec, environment, role, progress=progress)
        self._log = log

    def write(self, record: Record) -> bool:
        """Write the record unless it is there already; whether it was written. `flushed` makes it durable."""
        if all(self._log.holds(BY_NAME[topic.name], record) for topic in destinations(self.role, type(record))):
            return False
        self._source.write(record)
        return True

    async def flushed(self) -> None:
        """Return when all that was written is durable."""
        await self._source.flushed()

    def close(self) -> None:
        """Flush, and let go."""
        self._source.close()
