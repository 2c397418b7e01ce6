"""Scripts of misbehaviour: which requests and events they befall, how often, and how many more times.

on a request, instead of or around an honest answer
    SLOW            answered after `seconds`
    TOO_MANY        429, with Retry-After of `seconds`
    SERVER_ERROR    `status` without doing it; with `after` it is done first
    RESET           the connection is reset before it is done; with `after` it is done, then reset in mid-answer
    LOSE_ANSWER     done, and silence for `seconds`
    IGNORE          not done, and silence for `seconds`
    EXPIRED         401: the credentials are no longer good
    MALFORMED       done, and the answer is `shape`: html, missing, numbers, words, huge, cut, hollow, empty
    REFUSE          422 with these words, not done
on what happens
    FILL_BEFORE_ACK the whole order trades and is told in the stream before the answer to the submit
    CANCEL_RACE     what is left trades while the cancel (or replace) is under way
    LATE_FILL       after the cancel, a fill of before comes to light
on the stream
    DUPLICATE       an event is told `times_told` times
    REORDER         an event is told after the next one
    GAP             an event is not told at all
    FREEZE          no event is told while the connection and its pings go on; on thaw they are dropped
    GARBLE          an event is told without its order's status and its fill's price
    DISCONNECT      the connection is closed before the event is told
"""

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    SLOW = "SLOW"
    TOO_MANY = "TOO_MANY"
    SERVER_ERROR = "SERVER_ERROR"
    RESET = "RESET"
    LOSE_ANSWER = "LOSE_ANSWER"
    IGNORE = "IGNORE"
    EXPIRED = "EXPIRED"
    MALFORMED = "MALFORMED"
    REFUSE = "REFUSE"
    FILL_BEFORE_ACK = "FILL_BEFORE_ACK"
    CANCEL_RACE = "CANCEL_RACE"
    LATE_FILL = "LATE_FILL"
    DUPLICATE = "DUPLICATE"
    REORDER = "REORDER"
    GAP = "GAP"
    FREEZE = "FREEZE"
    GARBLE = "GARBLE"
    DISCONNECT = "DISCONNECT"


ON_REQUESTS = frozenset({
    Kind.SLOW, Kind.TOO_MANY, Kind.SERVER_ERROR, Kind.RESET, Kind.LOSE_ANSWER, Kind.IGNORE, Kind.EXPIRED,
    Kind.MALFORMED, Kind.REFUSE,
})  # fmt: skip
ON_EVENTS = frozenset({Kind.DUPLICATE, Kind.REORDER, Kind.GAP, Kind.FREEZE, Kind.GARBLE, Kind.DISCONNECT})


@dataclass(slots=True)
class Fault:
    """One script.

    on: what it befalls: submit, cancel, replace, order, orders, fills, positions, account, or for events their name;
        empty means all.
    chance: of befalling one of them.
    left: how many more times; None means without end.
    after: it is done before the fault.
    """

    kind: Kind
    on: str = ""
    chance: float = 1.0
    left: int | None = None
    after: bool = False
    seconds: float = 0.0
    status: int = 500
    shape: str = "html"
    times_told: int = 2
    text: str = ""
    hits: int = field(default=0)

    def json(self) -> dict[str, Any]:
        return asdict(self)


class Faults:
    """The scripts that are on, and the seeded dice that decide."""

    def __init__(self, seed: int):
        self._dice = random.Random(f"faults-{seed}")
        self.on: list[Fault] = []

    def add(self, wish: Mapping[str, Any]) -> Fault:
        fault = Fault(**{**wish, "kind": Kind(wish["kind"])})
        self.on.append(fault)
        return fault

    def clear(self) -> None:
        self.on.clear()

    def strike(self, kinds: frozenset[Kind] | Kind, what: str) -> Fault | None:
        """The first script of these kinds that befalls this request or event."""
        wanted = frozenset({kinds}) if isinstance(kinds, Kind) else kinds
        for fault in self.on:
            if fault.kind not in wanted or (fault.on and fault.on != what) or fault.left == 0:
                continue
            if fault.chance < 1 and self._dice.random() >= fault.chance:
                continue
            fault.hits += 1
            if fault.left is not None:
                fault.left -= 1
            return fault
        return None
