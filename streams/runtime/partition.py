"""Partition: the states of one partition of a room, and how a record folds into them.

The one place that knows what a keyed and what a broadcast record does. The door on Kafka and the in-process runner both
fold through it, so that live, paper and backtest agree. It knows no bytes, offsets or ids.
"""

from collections.abc import Collection, Iterable
from typing import Generic

from schemas.record import Record
from streams.runtime.keys import partition_of
from streams.runtime.room import Room, Shared, State


class Partition(Generic[State, Shared]):
    """States by key, the shared state, and the index of interests.

    `changed` holds the keys whose state is another object than at the last `settle`; `shared_changed` says it of the
    shared state.
    """

    def __init__(self, room: Room[State, Shared], states: dict[str, State] | None = None, shared: Shared | None = None):
        self._room = room
        self._broadcast = room.reads.broadcast
        self.states: dict[str, State] = states or {}
        self.shared: Shared = shared if shared is not None else room.begin_shared()
        self.changed: set[str] = set()
        self.shared_changed = False
        self._tags: dict[str, Collection[str]] = {}
        self._keys_by_tag: dict[str, set[str]] = {}
        for key, state in self.states.items():
            self._index(key, room.interests(state))

    def fold(self, key: str | None, record: Record, number: int | None = None) -> list[Record]:
        """Fold one record and return what the room says, in order.

        `key` is None for a broadcast record, and for what concerns the whole partition because no key could be read.
        `number` is the partition's among those of the inbox; None where every key lives in this one.
        """
        if key is None:
            return self._fold_broadcast(record, number)
        assert type(record) not in self._broadcast, f"{type(record).__name__} has no key on {self._room.reads.name}"
        return list(self._fold_key(key, record))

    def settle(self) -> None:
        """Forget what changed: it is durable now."""
        self.changed.clear()
        self.shared_changed = False

    def _fold_broadcast(self, record: Record, number: int | None) -> list[Record]:
        shared, said = self._room.fold_shared(self.shared, record)
        if shared is not self.shared:
            self.shared = shared
            self.shared_changed = True
        keys = self._touched(self._room.touches(record))
        named = self._room.addressees(record)
        if named:
            keys = sorted({*keys, *(key for key in named if key not in self.states and self._is_home(key, number))})
        outputs = list(said)
        for key in keys:
            outputs += self._fold_key(key, record)
        return outputs

    def _is_home(self, key: str, number: int | None) -> bool:
        """Whether the key lives here; what has no text lives nowhere."""
        return bool(key) and number in (None, partition_of(key.encode(), self._room.reads.partitions))

    def _fold_key(self, key: str, record: Record) -> tuple[Record, ...]:
        known = self.states.get(key)
        state, said = self._room.fold(self._room.begin(key) if known is None else known, self.shared, record)
        if state is not known:
            self.states[key] = state
            self.changed.add(key)
            tags = self._room.interests(state)
            if tags != self._tags.get(key, ()):
                self._index(key, tags)
        return said

    def _touched(self, tags: Iterable[str]) -> list[str]:
        """Keys with one of the tags, in order."""
        found = [keys for tag in tags if (keys := self._keys_by_tag.get(tag))]
        if not found:
            return []
        return sorted(found[0] if len(found) == 1 else set().union(*found))

    def _index(self, key: str, tags: Collection[str]) -> None:
        new, old = frozenset(tags), frozenset(self._tags.get(key, ()))
        for tag in old - new:
            self._keys_by_tag[tag].discard(key)
        for tag in new - old:
            self._keys_by_tag.setdefault(tag, set()).add(key)
        self._tags[key] = tags
