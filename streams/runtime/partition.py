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
            self._index(key, state)

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
        outputs = list(said)
        keys = self._touched(self._room.touches(record))
        new = [key for key in self._room.addressees(record) if key not in self.states and self._is_home(key, number)]
        for key in sorted({*keys, *new}) if new else keys:
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
            if self._room.interests(state) is not self._tags.get(key):
                self._index(key, state)
        return said

    def _touched(self, tags: Iterable[str]) -> list[str]:
        keys: set[str] = set()
        for tag in tags:
            found = self._keys_by_tag.get(tag)
            if found:
                keys |= found
        return sorted(keys) if len(keys) > 1 else list(keys)

    def _index(self, key: str, state: State) -> None:
        tags = self._room.interests(state)
        known = self._tags.get(key, ())
        if tags == known:
            return
        new, old = frozenset(tags), frozenset(known)
        for tag in old - new:
            self._keys_by_tag[tag].discard(key)
        for tag in new - old:
            self._keys_by_tag.setdefault(tag, set()).add(key)
        self._tags[key] = tags
