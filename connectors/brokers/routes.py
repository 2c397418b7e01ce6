"""Routes: the ways to one account at a venue, and which of them carries a call.

A route is another address, perhaps with other keys, of the same account; never another account, for positions live
where the account is. An order goes on to the next route only where it is proven that nothing of it was sent.

what a route said                     a call that reads   a call that changes something
no connection, nothing was sent       the next route      the next route
it does not open our account, or
cannot tell whose account it opens    the next route      the next route
wait so long (Retry-After)            raised              raised
Unavailable for another reason        the next route      raised
Refused                               raised              raised
Ambiguous, or nothing in time         raised              raised

A route that failed several times in a row rests: it is asked last for a while, and then asked whose account it is,
before an order tries it again.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from connectors.errors import Ambiguous, ConnectorError, Refused, Unavailable

R = TypeVar("R")
T = TypeVar("T")

_LOG = logging.getLogger("quantumleap.routes")


@dataclass(slots=True)
class _Rest:
    """How one route does at one kind of call: failures in a row, and until when it rests, seconds of the clock."""

    failures: int = 0
    until_s: float = float("-inf")


class Routes(Generic[R]):
    """The routes to one account, the preferred one first.

    last: the route that was answered last.
    carried: calls that each route carried to an answer, by its number from 1.
    """

    def __init__(
        self,
        who: str,
        routes: Sequence[R],
        admit: Callable[[R], Awaitable[None]],
        *,
        failures_max: int = 3,
        rest_s: float = 15.0,
        now_s: Callable[[], float] = time.monotonic,
    ):
        """`admit` asks a route whose account it opens, before anything else goes by it. Raises Unavailable or Refused.

        A route rests sooner and longer than execution's breaker leaves the whole venue alone: else both would end
        together, and the next order would try the same route.
        """
        self.all = tuple(routes)
        self.last = self.all[0]
        self.carried: Counter[int] = Counter(dict.fromkeys(range(1, len(self.all) + 1), 0))
        self._who = who
        self._ask = admit
        self._failures_max = failures_max
        self._rest_s = rest_s
        self._now_s = now_s
        self._admitted: set[int] = set()
        self._asking: dict[int, asyncio.Task[None]] = {}
        # Apart, so that a route that answers questions and swallows orders is left alone with orders.
        self._changes = [_Rest() for _ in self.all]
        self._reads = [_Rest() for _ in self.all]

    async def meet(self) -> list[ConnectorError]:
        """Ask all routes whose account they open; what those said that do not open it, or do not tell."""
        told = await asyncio.gather(*(self.admit(number) for number in range(len(self.all))), return_exceptions=True)
        errors = []
        for number, error in enumerate(told, start=1):
            if isinstance(error, ConnectorError):
                errors.append(error)
                if len(self.all) > 1:
                    _LOG.warning("%s: route %d cannot be used: %s", self._who, number, error)
            elif error is not None:
                raise error
        return errors

    async def admit(self, number: int) -> None:
        """Make sure whose account this route opens; who asks at the same time is answered at once.

        Raises Unavailable or Refused.
        """
        if number in self._admitted:
            return
        if number not in self._asking:
            self._asking[number] = asyncio.create_task(self._admit(number))
        await asyncio.shield(self._asking[number])

    async def _admit(self, number: int) -> None:
        try:
            await self._ask(self.all[number])
            self._admitted.add(number)
        finally:
            del self._asking[number]

    async def change(self, what: str, call: Callable[[R], Awaitable[T]]) -> T:
        """Ask for a change, of which at most one route ever sends anything.

        All routes together have the time that the caller gives one call: what was asked before it, whose partition it
        is and whether it is late, is no older at the second route than a slow connection makes it at an only one.
        Raises Unavailable, Refused or Ambiguous; Unavailable names what each route said.
        """
        return await self._carried(what, call, self._changes, lambda error: error.unsent)

    async def read(self, what: str, call: Callable[[R], Awaitable[T]]) -> T:
        """Ask what changes nothing. Raises Unavailable or Refused."""
        return await self._carried(what, call, self._reads, lambda error: error.retry_after_s is None)

    async def _carried(
        self, what: str, call: Callable[[R], Awaitable[T]], rests: list[_Rest], goes_on: Callable[[Unavailable], bool]
    ) -> T:
        errors: list[ConnectorError] = []
        for number in self._in_turn(rests):
            asked = False
            try:
                await self.admit(number)
                asked = True
                answer = await call(self.all[number])
            except (Unavailable, Refused) as error:
                answered = asked and (isinstance(error, Refused) or error.retry_after_s is not None)
                self._note(number, rests, well=answered)
                if asked and (isinstance(error, Refused) or not goes_on(error)):
                    raise
                errors.append(error)
            except (Ambiguous, asyncio.CancelledError):
                # Cancelled: whoever asked waits no longer, as for an answer that does not come.
                self._note(number, rests, well=False)
                raise
            else:
                self._note(number, rests, well=True)
                self.last = self.all[number]
                self.carried[number + 1] += 1
                if errors or (number and rests is self._changes):
                    why = none_left(errors) if errors else "route 1 rests"
                    _LOG.warning("%s: %s went by route %d: %s", self._who, what, number + 1, why)
                return answer
        raise none_left(errors)

    def _in_turn(self, rests: list[_Rest]) -> list[int]:
        now_s = self._now_s()
        return sorted(range(len(self.all)), key=lambda number: rests[number].until_s > now_s)

    def _note(self, number: int, rests: list[_Rest], *, well: bool) -> None:
        rest = rests[number]
        rest.failures = 0 if well else rest.failures + 1
        if rest.failures >= self._failures_max and len(self.all) > 1:
            rest.until_s = self._now_s() + self._rest_s
            self._admitted.discard(number)


def summed(counts: Iterable[Mapping[int, int]]) -> Counter[int]:
    """Of several accounts what each route carried; also of a route that carried nothing."""
    total: Counter[int] = Counter()
    for one in counts:
        total.update(one)
    return total


def none_left(errors: Sequence[ConnectorError]) -> ConnectorError:
    """What to raise where no route is left: the only error as it is; of several what each route said."""
    if len(errors) == 1:
        return errors[0]
    passing = [error for error in errors if isinstance(error, Unavailable)]
    if not passing:
        return errors[0]
    waits_s = [error.retry_after_s for error in passing if error.retry_after_s is not None]
    why = "; by another route: ".join(str(error) for error in errors)
    return Unavailable(why, retry_after_s=max(waits_s, default=None))
