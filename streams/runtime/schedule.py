"""The replay schedule: who acts when, so that a run on Kafka and a run in memory see the same order.

Time advances in steps of one (event time, instrument). In each step the actors take turns in the order of the walk of a
record, one at a time, and the round repeats until nobody had anything to do. An actor is a room, an effect or a source
that reads; its turn ends when all that it wrote is durable and visible to the next.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Protocol

from schemas.record import Record

ORDER: tuple[str, ...] = (
    "market_data",
    "relay",
    "paper_venue",
    "publishers",
    "signals",
    "strategies",
    "accounts",
    "execution",
    "pnl",
)
"""Turns of one round. The venue acts on a bar before strategies see it: an order fills only on later prices."""

AT_ONCE: tuple[tuple[tuple[str, ...], ...], ...] = (
    (("market_data",),),
    (("relay", "paper_venue"), ("publishers", "signals")),
    (("strategies",),),
    (("accounts",),),
    (("execution",),),
)
"""The same round on servers, where a turn is a commit and a wait: lines in order, the chains of a line at once, the
actors of a chain one after the other. The chains of a line write to no common topic, so every topic holds its records
in the same order. `pnl` is waited for by nobody: its inbox has one writer, and nobody who takes turns reads it.
"""

ROUNDS_MAX = 64
"""A step that has not come to rest after so many rounds is a loop between rooms, and an error of ours."""


class Step(Protocol):
    """All that the feeds report of one instrument at one event time."""

    @property
    def time_us(self) -> int:
        """The event time, microseconds of UTC."""

    @property
    def instrument_id(self) -> str:
        """Whom it is about."""

    @property
    def records(self) -> Sequence[Record]:
        """What the feeds say."""


class Actor(Protocol):
    """Someone who takes turns."""

    name: str

    def drain(self) -> int:
        """Do all there is to do now; return how many records were taken."""


class AsyncActor(Protocol):
    """Someone who takes turns on servers: returns when what it wrote is committed."""

    name: str

    async def drain(self) -> int:
        """Do all there is to do now; return how many records were taken."""


class RestlessStep(RuntimeError):
    """The rooms keep answering each other."""


def in_order(names: Iterable[str]) -> list[int]:
    """Positions that put these actors into the order of turns."""
    given = list(names)
    return sorted(range(len(given)), key=lambda i: ORDER.index(given[i]))


def settle(actors: Sequence[Actor]) -> int:
    """Let the actors take turns until nobody has anything to do; return the records taken."""
    total = 0
    for _ in range(ROUNDS_MAX):
        taken = 0
        for actor in actors:
            taken += actor.drain()
        if not taken:
            return total
        total += taken
    raise RestlessStep(f"still restless after {ROUNDS_MAX} rounds: {[actor.name for actor in actors]}")


async def settle_async(actors: Sequence[AsyncActor]) -> int:
    """`settle` for actors on servers, as `AT_ONCE` lets them act; actors that it does not name are left alone."""
    by_name = {actor.name: actor for actor in actors}
    lines = [[[by_name[name] for name in chain if name in by_name] for chain in line] for line in AT_ONCE]
    total = 0
    for _ in range(ROUNDS_MAX):
        taken = 0
        for line in lines:
            taken += sum(await asyncio.gather(*(_turns(chain) for chain in line)))
        if not taken:
            return total
        total += taken
    raise RestlessStep(f"still restless after {ROUNDS_MAX} rounds: {[actor.name for actor in actors]}")


async def _turns(chain: Sequence[AsyncActor]) -> int:
    """One turn of each, one after the other; how many records they took."""
    return sum([await actor.drain() for actor in chain])
