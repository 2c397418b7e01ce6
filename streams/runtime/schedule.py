"""The replay schedule: who acts when, so that a run on Kafka and a run in memory see the same order.

Time advances in steps of one (event time, instrument). In each step the actors take turns in the order of the walk of a
record, one at a time, and the round repeats until nobody had anything to do. An actor is a room, an effect or a source
that reads; its turn ends when all that it wrote is durable and visible to the next.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
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
    """`settle` for actors on servers."""
    total = 0
    for _ in range(ROUNDS_MAX):
        taken = 0
        for actor in actors:
            taken += await actor.drain()
        if not taken:
            return total
        total += taken
    raise RestlessStep(f"still restless after {ROUNDS_MAX} rounds: {[actor.name for actor in actors]}")


def replay(steps: Iterable[Step], begin: Callable[[Step], None], actors: Sequence[Actor]) -> int:
    """Drive all steps in process: `begin` lets clock and feed write, then the actors settle. Returns the steps."""
    count = 0
    for step in steps:
        begin(step)
        settle(actors)
        count += 1
    return count


async def replay_async(
    steps: Iterable[Step],
    begin: Callable[[Step], Awaitable[None]],
    actors: Sequence[AsyncActor],
    go_on: Callable[[], bool],
) -> int:
    """Drive steps on servers until they end or `go_on` says no; a step once begun is finished. Returns the steps."""
    count = 0
    for step in steps:
        if not go_on():
            break
        await begin(step)
        await settle_async(actors)
        count += 1
    return count
