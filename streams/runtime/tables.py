"""Table: the durable states of one partition of a room, and how they look in its changelog.

A changelog record is keyed `<key> NUL <part>`, with an empty key for the shared state, and holds msgpack of
(room version, offset last folded, part). Only parts that changed are written; a part that is gone is a tombstone. The
first write of a partition leaves a birth certificate: a partition with committed offsets and no certificate has lost
its changelog, and nobody may go on as if it had never lived.
"""

from collections.abc import Mapping
from typing import Any, Generic, NamedTuple

import msgspec

from schemas.record import Part
from streams.runtime.partition import Partition
from streams.runtime.room import Room, Shared, State

STATE_BYTES_MAX = 900_000
"""The largest encoded part of a state: below what Kafka takes as one record."""
BIRTH = b"birth"
_NUL = b"\x00"

_encode = msgspec.msgpack.Encoder().encode
_envelope = msgspec.msgpack.Decoder(tuple[int, int, msgspec.Raw])


class StateTooLarge(ValueError):
    """A part of a state has outgrown what may be kept; the fold must bound it."""


class UnreadableState(ValueError):
    """A changelog record that this room cannot read; the changelog is another's, or damaged."""


class Birth(msgspec.Struct, frozen=True):
    """Written once for each partition of a room.

    room, source: whose states these are, and of which topic
    partitions: of the source then; keys have their homes by it for life
    """

    room: str
    source: str
    partitions: int


class StateWrite(NamedTuple):
    """One changelog record; no value is a tombstone."""

    key: bytes
    value: bytes | None


class _Kept(NamedTuple, Generic[State]):
    state: State
    parts: Mapping[str, Part]


class Table(Generic[State, Shared]):
    """One partition's states: the durable ones, and ahead of them those of the batch that is being folded.

    `partition` folds ahead; `writes` says what must become durable; then either `settle` or `rollback`.
    applied: offset of the last record whose fold is in the durable states, or -1.
    """

    def __init__(self, room: Room[State, Shared], birth: Birth, states: "Recovered | None" = None):
        self._room = room
        self._birth = birth
        self.applied = states.applied if states else -1
        self.born = bool(states and states.birth)
        shared, shared_parts = _shared_of(room, states)
        self._shared: _Kept[Any] = _Kept(shared, shared_parts)
        self._kept: dict[str, _Kept[State]] = {}
        for key, parts in states.parts.items() if states else ():
            self._kept[key] = _Kept(room.assemble(key, parts), parts)
        self._ahead: dict[str, _Kept[State]] = {}
        self._shared_ahead: _Kept[Any] | None = None
        self._applied_ahead = self.applied
        self._sizes: dict[bytes, int] = states.sizes if states else {}
        self._sizes_ahead: list[StateWrite] = []
        self.bytes = sum(self._sizes.values())
        """Encoded size of the durable states."""
        self.partition = self._rebuilt()

    def _rebuilt(self) -> Partition[State, Shared]:
        states = {key: kept.state for key, kept in self._kept.items()}
        return Partition(self._room, states, self._shared.state)

    def writes(self, applied: int) -> list[StateWrite]:
        """What changed since the last `settle`, encoded. Raises StateTooLarge.

        applied: offset of the last record of the batch.
        """
        found: list[StateWrite] = []
        if not self.born:
            found.append(StateWrite(BIRTH, self._encoded(self._birth, applied)))
        if self.partition.shared_changed:
            parts = self._room.shared_parts(self.partition.shared)
            self._shared_ahead = _Kept(self.partition.shared, parts)
            self._compare("", self._shared.parts, parts, applied, found)
        for key in sorted(self.partition.changed):
            state = self.partition.states[key]
            parts = self._room.parts(state)
            self._ahead[key] = _Kept(state, parts)
            known = self._kept.get(key)
            self._compare(key, known.parts if known else {}, parts, applied, found)
        self._applied_ahead = applied
        self._sizes_ahead = found
        return found

    def settle(self) -> None:
        """What `writes` returned is durable."""
        self._kept.update(self._ahead)
        if self._shared_ahead is not None:
            self._shared = self._shared_ahead
        self.applied = self._applied_ahead
        self.born = True
        for key, value in self._sizes_ahead:
            self.bytes -= self._sizes.pop(key, 0)
            if value is not None:
                self.bytes += len(value)
                self._sizes[key] = len(value)
        self._forget()
        self.partition.settle()

    def rollback(self) -> None:
        """Return to the durable states."""
        self._forget()
        self.partition = self._rebuilt()

    def _forget(self) -> None:
        self._ahead = {}
        self._shared_ahead = None
        self._sizes_ahead = []

    def durable(self) -> tuple[list[State], Any]:
        """The durable states and the durable shared state; may be asked by any thread."""
        return [kept.state for kept in list(self._kept.values())], self._shared.state

    def _compare(
        self, key: str, old: Mapping[str, Part], new: Mapping[str, Part], applied: int, found: list[StateWrite]
    ) -> None:
        prefix = key.encode() + _NUL
        for name, part in new.items():
            if old.get(name) is not part:
                found.append(StateWrite(prefix + name.encode(), self._encoded(part, applied, key, name)))
        if len(old) > len(new) or not old.keys() <= new.keys():
            found += [StateWrite(prefix + name.encode(), None) for name in old if name not in new]

    def _encoded(self, part: Part | Birth, applied: int, key: str = "", name: str = "") -> bytes:
        value: bytes = _encode((self._room.version, applied, part))
        if len(value) > STATE_BYTES_MAX:
            raise StateTooLarge(
                f"part {name!r} of {key or 'the shared state'} in {self._room.name} takes {len(value)} bytes; "
                f"{STATE_BYTES_MAX} are allowed: bound it, or split it into parts"
            )
        return value


class Recovered:
    """Changelog records of one partition, taken in order, until a Table is built of them."""

    def __init__(self, room: Room[Any, Any]):
        self._room = room
        self._raw: dict[bytes, bytes] = {}
        self._types: dict[tuple[bool, str], msgspec.msgpack.Decoder[Any]] = {}
        self.records = 0
        self.bytes = 0
        self.applied = -1
        self.birth: Birth | None = None
        self.sizes: dict[bytes, int] = {}
        self.parts: dict[str, dict[str, Part]] = {}
        self.shared_parts: dict[str, Part] = {}

    def take(self, key: bytes, value: bytes | None) -> None:
        """One record of the changelog; the last one of a key counts."""
        self.records += 1
        if value is None:
            self._raw.pop(key, None)
        else:
            self.bytes += len(value)
            self._raw[key] = value

    def decode(self) -> "Recovered":
        """Decode what remains. Raises UnreadableState."""
        for name, value in self._raw.items():
            key, _, part = name.rpartition(_NUL)
            try:
                version, applied, raw = _envelope.decode(value)
                if name == BIRTH:
                    self.birth = msgspec.msgpack.decode(raw, type=Birth)
                else:
                    parts = self.parts.setdefault(key.decode(), {}) if key else self.shared_parts
                    parts[part.decode()] = self._part(part.decode(), bool(key), version, bytes(raw))
            except (msgspec.MsgspecError, UnicodeDecodeError, KeyError) as error:
                raise UnreadableState(f"{self._room.name} cannot read its state {name!r}: {error!r}") from error
            self.applied = max(self.applied, applied)
        self.sizes = {name: len(value) for name, value in self._raw.items()}
        self._raw = {}
        return self

    def _part(self, name: str, keyed: bool, version: int, raw: bytes) -> Part:
        kind = name.partition(":")[0]
        if version != self._room.version:
            raw = self._room.upgrade(kind, version, raw)
        decoder = self._types.get((keyed, kind))
        if decoder is None:
            types = self._room.part_types if keyed else self._room.shared_part_types()
            decoder = self._types[keyed, kind] = msgspec.msgpack.Decoder(types[kind])
        part: Part = decoder.decode(raw)
        return part


def _shared_of(room: Room[Any, Any], states: Recovered | None) -> tuple[Any, Mapping[str, Part]]:
    if states is None or not states.shared_parts:
        return room.begin_shared(), {}
    return room.assemble_shared(states.shared_parts), states.shared_parts
