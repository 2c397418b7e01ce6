"""A small room with all that a state can have: parts that come and go, a shared state, interests and repeated input.

Reads `holds.inbox`: money, holds and releases by account; limits and ticks for everybody. Writes `holds.results`. Keeps
of each account a header, and each open hold as a part of its own; shared: the limit and the newest tick.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace as replaced
from typing import ClassVar

import msgspec
from msgspec.structs import replace

from schemas.codec import Codec
from schemas.control import ClockTick
from schemas.record import Part, Record
from schemas.topics import DEAD_LETTERS, Topic
from streams.runtime.room import Outcome, Room

REMEMBERED = 200


class Deposit(Record, frozen=True):
    """Money for an account; the same deposit twice is one."""

    source_id: ClassVar[tuple[str, ...]] = ("deposit_id",)

    account_id: str
    deposit_id: str
    amount: int


class Hold(Record, frozen=True):
    """Keep so much aside until it is released or its time is over; the same hold twice is one."""

    source_id: ClassVar[tuple[str, ...]] = ("hold_id",)

    account_id: str
    hold_id: str
    amount: int
    until_us: int


class Release(Record, frozen=True):
    """Let go of a hold."""

    source_id: ClassVar[tuple[str, ...]] = ("release_id",)

    account_id: str
    release_id: str
    hold_id: str


class HoldLimit(Record, frozen=True):
    """From here on no account may hold more than this."""

    source_id: ClassVar[tuple[str, ...]] = ("request_id",)

    request_id: str
    highest: int


class Told(Record, frozen=True):
    """What became of something, and how the account stands now."""

    account_id: str
    about: str
    code: str
    free: int
    held: int


HOLDS_INBOX = Topic(
    name="holds.inbox",
    key="account_id",
    records=(Deposit, Hold, Release, HoldLimit, ClockTick),
    broadcast=frozenset({HoldLimit, ClockTick}),
    partitions=3,
    writers=("askers",),
    readers=("holds",),
)
HOLDS_RESULTS = Topic(
    name="holds.results", key="account_id", records=(Told,), partitions=2, writers=("holds",), readers=("anyone",)
)
HOLDS_MAP: tuple[Topic, ...] = (
    HOLDS_INBOX,
    HOLDS_RESULTS,
    replaced(DEAD_LETTERS, writers=("holds",), partitions=1),
)


class Purse(Part, frozen=True):
    """The header of an account. seen: newest ids of what was taken in."""

    account_id: str
    free: int = 0
    seen: tuple[str, ...] = ()


class Kept(Part, frozen=True):
    """One open hold."""

    hold_id: str
    amount: int
    until_us: int


class Holder(Part, frozen=True):
    """One account, whole."""

    purse: Purse
    holds: dict[str, Kept] = msgspec.field(default_factory=dict)


class Rules(Part, frozen=True):
    """What holds for all."""

    highest: int = 1_000_000
    time_us: int = 0


class HoldsRoom(Room[Holder, Rules]):
    """Reads holds.inbox. Writes holds.results. Keeps one Holder each, and the Rules of all."""

    name: ClassVar[str] = "holds"
    reads: ClassVar[Topic] = HOLDS_INBOX
    part_types: ClassVar = {"purse": Purse, "hold": Kept}
    shared_type: ClassVar = Rules

    def begin(self, key: str) -> Holder:
        return Holder(Purse(key))

    def begin_shared(self) -> Rules:
        return Rules()

    def parts(self, state: Holder) -> Mapping[str, Part]:
        return {"purse": state.purse, **{f"hold:{name}": kept for name, kept in state.holds.items()}}

    def assemble(self, key: str, parts: Mapping[str, Part]) -> Holder:
        purse = parts["purse"]
        assert isinstance(purse, Purse)
        # In the order of their names: the order in which a changelog is read is not the order of making.
        kept = {name[5:]: part for name, part in sorted(parts.items()) if isinstance(part, Kept)}
        return Holder(purse, kept)

    def interests(self, state: Holder) -> Collection[str]:
        return ("holding",) if state.holds else ()

    def touches(self, record: Record) -> Collection[str]:
        return ("holding",) if isinstance(record, ClockTick) else ()

    def fold_shared(self, shared: Rules, record: Record) -> Outcome[Rules]:
        match record:
            case HoldLimit():
                return Outcome(replace(shared, highest=record.highest))
            case ClockTick() if record.event_time_us > shared.time_us:
                return Outcome(replace(shared, time_us=record.event_time_us))
            case _:
                return Outcome(shared)

    def fold(self, state: Holder, shared: Rules, record: Record) -> Outcome[Holder]:
        match record:
            case Deposit():
                return self._deposited(state, record)
            case Hold():
                return self._held(state, shared, record)
            case Release():
                return self._released(state, record)
            case ClockTick():
                return self._ticked(state, shared.time_us, record)
            case _:
                return Outcome(state)

    def _deposited(self, state: Holder, record: Deposit) -> Outcome[Holder]:
        if record.deposit_id in state.purse.seen:
            return Outcome(state)
        purse = replace(state.purse, free=state.purse.free + record.amount, seen=_seen(state, record.deposit_id))
        after = replace(state, purse=purse)
        return Outcome(after, (told(after, record, record.deposit_id, "DEPOSITED"),))

    def _held(self, state: Holder, shared: Rules, record: Hold) -> Outcome[Holder]:
        if record.hold_id in state.purse.seen:
            return Outcome(state)
        if record.amount < 0:
            raise AssertionError("nobody holds less than nothing; a fold that raises parks its partition")
        purse = replace(state.purse, seen=_seen(state, record.hold_id))
        held = sum(kept.amount for kept in state.holds.values())
        if record.amount > purse.free or held + record.amount > shared.highest:
            after = replace(state, purse=purse)
            return Outcome(after, (told(after, record, record.hold_id, "REFUSED"),))
        kept = Kept(record.hold_id, record.amount, record.until_us)
        holds = dict(sorted([*state.holds.items(), (record.hold_id, kept)]))
        after = Holder(replace(purse, free=purse.free - record.amount), holds)
        return Outcome(after, (told(after, record, record.hold_id, "HELD"),))

    def _released(self, state: Holder, record: Release) -> Outcome[Holder]:
        kept = state.holds.get(record.hold_id)
        if kept is None:
            return Outcome(state)
        after = _without(state, [kept])
        return Outcome(after, (told(after, record, record.hold_id, "RELEASED"),))

    def _ticked(self, state: Holder, now_us: int, record: ClockTick) -> Outcome[Holder]:
        over = [kept for kept in state.holds.values() if kept.until_us <= now_us]
        if not over:
            return Outcome(state)
        after = _without(state, over)
        return Outcome(after, tuple(told(after, record, kept.hold_id, "ENDED") for kept in over))


def _seen(state: Holder, name: str) -> tuple[str, ...]:
    return (*state.purse.seen, name)[-REMEMBERED:]


def _without(state: Holder, gone: list[Kept]) -> Holder:
    names = {kept.hold_id for kept in gone}
    purse = replace(state.purse, free=state.purse.free + sum(kept.amount for kept in gone))
    return Holder(purse, {name: kept for name, kept in state.holds.items() if name not in names})


def told(state: Holder, record: Record, about: str, code: str) -> Told:
    """What the room says."""
    return Told(
        event_time_us=record.event_time_us,
        account_id=state.purse.account_id,
        about=about,
        code=code,
        free=state.purse.free,
        held=sum(kept.amount for kept in state.holds.values()),
    )


def holds_codec() -> Codec:
    """A codec for the records of this room, without registry."""
    types = [record for topic in HOLDS_MAP for record in topic.records]
    return Codec({record: number for number, record in enumerate(types, start=1)})
