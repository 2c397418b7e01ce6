"""The storm: what is done to workers and to the venue while orders flow, by one seeded dice."""

import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.soak.floor import Floor
from tests.venue.faults import Kind

SLEEP_S = 8.5
"""Longer than the session: a worker that wakes finds its partitions taken."""

FAULTS: tuple[dict[str, Any], ...] = (
    {"kind": Kind.SLOW, "on": "submit", "chance": 0.01, "seconds": 0.5},
    {"kind": Kind.TOO_MANY, "on": "submit", "chance": 0.01, "seconds": 0.2},
    {"kind": Kind.SERVER_ERROR, "on": "submit", "chance": 0.002, "after": True},
    {"kind": Kind.SERVER_ERROR, "on": "submit", "chance": 0.002},
    {"kind": Kind.RESET, "on": "submit", "chance": 0.002, "after": True},
    {"kind": Kind.RESET, "on": "submit", "chance": 0.002},
    {"kind": Kind.LOSE_ANSWER, "on": "submit", "chance": 0.001, "seconds": 10},
    {"kind": Kind.IGNORE, "on": "submit", "chance": 0.001, "seconds": 10},
    {"kind": Kind.MALFORMED, "on": "submit", "chance": 0.001, "shape": "html"},
    {"kind": Kind.MALFORMED, "on": "submit", "chance": 0.001, "shape": "cut"},
    {"kind": Kind.REFUSE, "on": "submit", "chance": 0.005, "text": "not today"},
    {"kind": Kind.FILL_BEFORE_ACK, "on": "submit", "chance": 0.01},
    {"kind": Kind.SERVER_ERROR, "on": "fills", "chance": 0.02},
    {"kind": Kind.SERVER_ERROR, "on": "positions", "chance": 0.02},
    {"kind": Kind.SERVER_ERROR, "on": "orders", "chance": 0.02},
    {"kind": Kind.SERVER_ERROR, "on": "order", "chance": 0.05},
    {"kind": Kind.RESET, "on": "cancel", "chance": 0.02, "after": True},
    {"kind": Kind.SERVER_ERROR, "on": "cancel", "chance": 0.02},
    {"kind": Kind.CANCEL_RACE, "on": "cancel", "chance": 0.1},
    {"kind": Kind.DUPLICATE, "chance": 0.02},
    {"kind": Kind.REORDER, "chance": 0.02},
    {"kind": Kind.GAP, "chance": 0.01},
    {"kind": Kind.DISCONNECT, "chance": 0.001},
)


class Storm:
    """Strikes one worker, or the venue's streams, every few seconds.

    struck: how often each has been done.
    """

    def __init__(self, floor: Floor, seed: int, pause_s: tuple[float, float] = (2.0, 6.0)):
        self.struck: Counter[str] = Counter()
        self.turns = 0
        self._floor = floor
        self._dice = random.Random(f"storm-{seed}")
        self._pause_s = pause_s
        self._next_s = time.monotonic() + 3
        self._asleep: dict[str, float] = {}
        self._deeds: tuple[tuple[str, int, Callable[[str], None]], ...] = (
            ("kill -9", 4, floor.kill),
            ("SIGSTOP", 3, self._sleep),
            ("SIGTERM", 2, floor.stop),
            ("streams closed", 1, lambda _: floor.venue.disconnect()),
        )

    def begin(self) -> None:
        """Let the venue misbehave."""
        for fault in FAULTS:
            told = dict(fault)
            self._floor.venue.fault(Kind(str(told.pop("kind"))), str(told.pop("on", "")), **told)

    def turn(self) -> None:
        """Wake who has slept for long enough, and strike when it is time."""
        now_s = time.monotonic()
        for slot, until_s in list(self._asleep.items()):
            if now_s >= until_s:
                del self._asleep[slot]
                self._floor.resume(slot)
        if now_s < self._next_s:
            return
        self._next_s = now_s + self._dice.uniform(*self._pause_s)
        self.turns += 1
        slot = self._dice.choice(sorted(self._floor.workers))
        # A worker that is only ever starting shows nothing: who is struck was at work.
        if slot in self._asleep or not self._floor.is_ready(slot):
            return
        names = [name for name, weight, _ in self._deeds for _ in range(weight)]
        name = self._dice.choice(names)
        self.struck[name] += 1
        next(deed for one, _, deed in self._deeds if one == name)(slot)

    def end(self) -> None:
        """Let everybody behave again."""
        for slot in list(self._asleep):
            self._floor.resume(slot)
        self._asleep.clear()
        self._floor.venue.behave()

    def _sleep(self, slot: str) -> None:
        long = self._dice.random() < 0.5
        self._floor.pause(slot)
        self._asleep[slot] = time.monotonic() + (SLEEP_S if long else 1.0)
