"""Persons: who looks after parked partitions, and orders to go on behind the record at which one stands."""

from typing import Any

from schemas.dead_letter import DeadLetter, DeadLetterReason
from schemas.topics import DEAD_LETTERS
from streams.runtime.headers import headers_of, root_id
from streams.runtime.keys import partition_of
from streams.runtime.verify import ordered_skips
from tests.simulation.broker import Broker
from tests.simulation.broker import Record as Written

PATIENCE_S = 0.3
"""So long at most a partition stands still before somebody says what to do."""
LOOK_S = 0.03


def skipped(broker: Broker, codec: Any, environment: str, source: str) -> set[tuple[int, int]]:
    """What persons ordered to skip of an inbox so far: (partition, offset)."""
    return ordered_skips(broker.messages(DEAD_LETTERS.full_name(environment)), codec, source)


class Persons:
    """Stands in for the runtime's `Skips`, and for those who write the orders that it reads.

    sources: inboxes of rooms; of an effect nothing is skipped here, since that would lose an order.
    """

    def __init__(self, broker: Broker, codec: Any, environment: str, sources: set[str]):
        self._broker = broker
        self._world = broker.world
        self._codec = codec
        self._environment = environment
        self._sources = sources

    def wait_for(self, source: str, partition: int, offset: int, skips: set[tuple[int, int]], carrier: Any) -> None:
        """As the runtime's: release the partition when somebody orders to skip this record."""
        if source not in self._sources:
            return
        process = self._world.me().process
        place = (partition, offset)

        def look() -> None:
            if place in skipped(self._broker, self._codec, self._environment, source):
                skips.add(place)
                carrier.release(partition)
            else:
                self._world.at(LOOK_S, look, process)

        self._world.at(self._world.chance() * PATIENCE_S, lambda: self._order(source, partition, offset))
        self._world.at(LOOK_S, look, process)

    def _order(self, source: str, partition: int, offset: int) -> None:
        if (partition, offset) in skipped(self._broker, self._codec, self._environment, source):
            return
        order = DeadLetter(
            event_time_us=1,
            source_topic=source,
            source_partition=partition,
            source_offset=offset,
            room=source.split(".")[1],
            reason=DeadLetterReason.SKIPPED,
            detail="it cannot be folded",
            key=None,
            value=None,
            author="ann",
        )
        self._broker.refused["a record at which a fold raised"] += 1
        self._world.tell(f"somebody skips {source}/{partition}/{offset}")
        name, key = DEAD_LETTERS.full_name(self._environment), source.encode()
        home = partition_of(key, sum(topic == name for topic, _ in self._broker.logs))
        headers = headers_of(root_id(order) or "", order.event_time_us)
        self._broker.append(Written((name, home), key, self._codec.encode(order), headers))
