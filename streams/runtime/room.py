"""Room: a stage of the engine as a pure fold. Knows neither Kafka nor Faust, neither clock nor chance.

A room reads one topic. For each keyed record its `fold` takes the key's state, the partition's shared state and the
record, and returns the new state and what to say. A broadcast record first folds the shared state (`fold_shared`), then
is offered to those keys whose `interests` it `touches`, in key order. A key that it is addressed to (`addressees`) need
not have been seen before: its state begins with it, in the partition where the key lives.

States are immutable: a fold that changes nothing returns the same object, and the door then writes nothing. A state may
be kept in parts (`parts`, `assemble`), so that a change of one part writes one part.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from typing import ClassVar, Generic, NamedTuple, TypeVar

from schemas.metrics import Metric
from schemas.record import Part, Record
from schemas.topics import TOPICS, Topic

State = TypeVar("State", bound=Part)
Shared = TypeVar("Shared", bound=Part)
_Kept = TypeVar("_Kept", bound=Part)

EVERYONE = "*"
"""An interest by which a room can touch all keys that declare it."""


class Outcome(NamedTuple, Generic[_Kept]):
    """What a fold returns: the state as it is now, and what to say to the world, in order."""

    state: _Kept
    outputs: tuple[Record, ...] = ()


class Reading(NamedTuple):
    """One gauge as a look at a state tells it; labels are in the order of the metric's.

    is_time: the value is a time in microseconds of UTC, and the gauge is its age in seconds
    """

    metric: Metric
    labels: tuple[str, ...]
    value: float
    is_time: bool = False


class UndeclaredOutput(TypeError):
    """A fold returned a record that the topic map does not let its room write."""


class Room(ABC, Generic[State, Shared]):
    """Base of all rooms; a subclass says what it reads, keeps and folds.

    name: the room's role in the topic map.
    reads: its one inbox.
    part_types: type of every part by the part's kind (the text before `:` in the part's name).
    version: rises when the same inputs no longer give the same outputs or states.
    gather_s: from the beginning of one batch to that of the next, at least, unless a whole batch is there: a room for
        which nobody waits leaves processors and Kafka to the others. What comes after a rest is folded at once.
    """

    name: ClassVar[str]
    reads: ClassVar[Topic]
    part_types: ClassVar[Mapping[str, type[Part]]]
    shared_type: ClassVar[type[Part]]
    version: ClassVar[int] = 1
    gather_s: ClassVar[float] = 0.0

    @abstractmethod
    def begin(self, key: str) -> State:
        """State of a key never seen before."""

    @abstractmethod
    def begin_shared(self) -> Shared:
        """Shared state of a partition never seen before."""

    @abstractmethod
    def fold(self, state: State, shared: Shared, record: Record) -> Outcome[State]:
        """Fold one record into the state of its key. Pure: the same arguments give the same outcome, for ever."""

    def fold_shared(self, shared: Shared, record: Record) -> Outcome[Shared]:
        """Fold a broadcast record into the partition's shared state. Pure."""
        return Outcome(shared)

    def interests(self, state: State) -> Collection[str]:
        """Tags by which broadcast records find this key; the door keeps the index."""
        return ()

    def touches(self, record: Record) -> Collection[str]:
        """Tags that a broadcast record concerns; keys with one of them fold it."""
        return ()

    def addressees(self, record: Record) -> Collection[str]:
        """Keys that a broadcast record names: one never seen before begins with it, where it lives."""
        return ()

    def parts(self, state: State) -> Mapping[str, Part]:
        """The state as named parts: `kind` or `kind:member`. Unchanged parts must be the same objects."""
        return {"state": state}

    def assemble(self, key: str, parts: Mapping[str, Part]) -> State:
        """The state from its parts: the inverse of `parts`."""
        return parts["state"]  # type: ignore[return-value]  # the only part of such a room is the state itself

    def shared_parts(self, shared: Shared) -> Mapping[str, Part]:
        """The shared state as named parts, as `parts` does for a key. Unchanged parts must be the same objects."""
        return {"shared": shared}

    def assemble_shared(self, parts: Mapping[str, Part]) -> Shared:
        """The shared state from its parts: the inverse of `shared_parts`."""
        return parts["shared"]  # type: ignore[return-value]  # the only part of such a room is the state itself

    def shared_part_types(self) -> Mapping[str, type[Part]]:
        """Type of every part of the shared state by its kind; to override together with `shared_parts`."""
        return {"shared": self.shared_type}

    def readings(self, state: State, shared: Shared) -> Iterable[Reading]:
        """Gauges that a look at one key tells, whenever somebody asks. Those of the same labels are added up. Pure."""
        return ()

    def upgrade(self, kind: str, version: int, raw: bytes) -> bytes:
        """Rewrite the encoded part of an older room version; needed only where defaults of new fields do not serve."""
        return raw

    def bind(self) -> "Room[State, Shared]":
        """Assert that map and room agree, and return the room."""
        assert self.name in self.reads.readers, f"the map does not let {self.name} read {self.reads.name}"
        return self


def routes(room_name: str) -> "Routes":
    """Destinations of a room's outputs, looked up once for each type."""
    return Routes(room_name)


class Routes(dict[type[Record], tuple[Topic, ...]]):
    """Where each type of output of one role goes, by the map, or by another one that is given."""

    def __init__(self, room_name: str, topics: tuple[Topic, ...] = TOPICS) -> None:
        super().__init__()
        self._room_name = room_name
        self._topics = topics

    def __missing__(self, record_type: type[Record]) -> tuple[Topic, ...]:
        topics = tuple(t for t in self._topics if self._room_name in t.writers and record_type in t.records)
        if not topics:
            raise UndeclaredOutput(f"the topic map does not let {self._room_name} write {record_type.__name__}")
        self[record_type] = topics
        return topics
