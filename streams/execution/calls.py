"""Calls: how one venue is called. In turn, with a time limit, and not at all while it is down.

What can shrink or end a risk goes first: cancels, queries and reductions wait neither for new orders nor for the
breaker to close.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count

from purgatory import AsyncCircuitBreakerFactory
from purgatory.domain.model import OpenedState

from connectors.errors import Ambiguous, Refused, Unavailable
from connectors.protocols import Broker
from schemas.execution import ExecutionReport
from schemas.order import CancelOrder, QueryOrder, ReplaceOrder, SubmitOrder
from streams.execution.outcomes import Command, is_new_risk


@dataclass(frozen=True, slots=True)
class Policy:
    """Bounds of calling; times in seconds.

    call_timeout_s: an answer that takes longer may come after we stopped waiting, so the outcome is unknown.
    attempts, budget_s: a call that is provably harmless to repeat is tried so often and so long.
    first_wait_s, longest_wait_s, jitter_s: exponential backoff between the tries, plus chance up to the jitter.
    requests_per_s: what the venue lets us send; None where it names no rate.
    at_once: calls under way; more wait for their turn, so that no call's time runs out in a queue.
    waiting_max: new orders that may wait for their turn; one more is not sent.
    breaker_failures, breaker_pause_s: after so many failures in a row nothing new is sent for so long.
    """

    call_timeout_s: float = 5.0
    attempts: int = 8
    budget_s: float = 20.0
    first_wait_s: float = 0.1
    longest_wait_s: float = 3.0
    jitter_s: float = 0.3
    requests_per_s: float | None = None
    at_once: int = 32
    waiting_max: int = 1_000
    breaker_failures: int = 5
    breaker_pause_s: float = 5.0


Called = Callable[[str, str, str, float], None]
"""Told of each call to a broker: venue, what was asked, its outcome (ok, refused, unavailable, ambiguous), seconds."""


def nobody(_venue: str, _call: str, _outcome: str, _seconds: float) -> None:
    """Nobody counts the calls."""


Sending = Callable[[Command], None]
"""Told of each command as the last thing before the broker is called."""


def unseen(_command: Command) -> None:
    """Nobody looks."""


class TooManyWaiting(RuntimeError):
    """So many new orders wait for the venue's rate that another one would only grow old."""


class Pace:
    """Lets so many requests a second through, urgent ones first, and each kind in its order."""

    def __init__(self, requests_per_s: float | None, waiting_max: int):
        self._interval_s = 0.0 if requests_per_s is None else 1.0 / requests_per_s
        self._waiting_max = waiting_max
        self._queue: list[tuple[bool, int, asyncio.Future[None]]] = []
        self._numbers = count()
        self._free_at_s = 0.0
        self._pump: asyncio.TimerHandle | None = None

    async def turn(self, *, urgent: bool) -> None:
        """Wait for a turn. Raises TooManyWaiting at once where too many wait and this is not urgent."""
        if not self._interval_s:
            return
        if not urgent and len(self._queue) >= self._waiting_max:
            raise TooManyWaiting(f"{len(self._queue)} wait")
        mine = asyncio.get_running_loop().create_future()
        heappush(self._queue, (not urgent, next(self._numbers), mine))
        self._schedule()
        await mine

    def _schedule(self) -> None:
        loop = asyncio.get_running_loop()
        if self._pump is None and self._queue:
            self._pump = loop.call_at(max(self._free_at_s, loop.time()), self._let_through)

    def _let_through(self) -> None:
        self._pump = None
        while self._queue:
            _, _, waiting = heappop(self._queue)
            if not waiting.done():
                self._free_at_s = asyncio.get_running_loop().time() + self._interval_s
                waiting.set_result(None)
                break
        self._schedule()


class Gate:
    """Lets so many calls be under way at once, urgent ones first, and each kind in its order."""

    def __init__(self, most: int):
        self._free = most
        self._queue: list[tuple[bool, int, asyncio.Future[None]]] = []
        self._numbers = count()

    @asynccontextmanager
    async def through(self, *, urgent: bool) -> AsyncIterator[None]:
        """Be one of those under way."""
        if self._free:
            self._free -= 1
        else:
            mine = asyncio.get_running_loop().create_future()
            heappush(self._queue, (not urgent, next(self._numbers), mine))
            try:
                await mine
            except asyncio.CancelledError:
                if mine.done() and not mine.cancelled():
                    self._next()
                raise
        try:
            yield
        finally:
            self._next()

    def _next(self) -> None:
        while self._queue:
            _, _, waiting = heappop(self._queue)
            if not waiting.done():
                waiting.set_result(None)
                return
        self._free += 1


class Lanes:
    """Keeps the commands of one order in order, and lets all others pass."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self._users: Counter[str] = Counter()
        self._lane_of: dict[str, str] = {}

    @asynccontextmanager
    async def lane(self, command: Command) -> AsyncIterator[None]:
        """Be the only one at this order. Whoever asks first goes first."""
        name = self._lane_of.get(command.client_order_id, command.client_order_id)
        if isinstance(command, ReplaceOrder):
            self._lane_of[command.request_id] = name
        lock = self._locks.setdefault(name, asyncio.Lock())
        self._users[name] += 1
        try:
            async with lock:
                yield
        finally:
            self._users[name] -= 1
            if not self._users[name]:
                del self._users[name], self._locks[name]
                for alias in [alias for alias, lane in self._lane_of.items() if lane == name]:
                    del self._lane_of[alias]


class Line:
    """The line to one venue: its broker, behind a pace and a breaker."""

    def __init__(self, broker: Broker, policy: Policy, called: Called = nobody, sending: Sending = unseen):
        self.capabilities = broker.capabilities
        self._called = called
        self._sending = sending
        self._broker = broker
        self._timeout_s = policy.call_timeout_s
        self.pace = Pace(policy.requests_per_s, policy.waiting_max)
        self.gate = Gate(policy.at_once)
        self._breakers = AsyncCircuitBreakerFactory(
            default_threshold=policy.breaker_failures,
            default_ttl=policy.breaker_pause_s,
            exclude=[Refused, asyncio.CancelledError],
        )

    async def call(self, command: Command) -> ExecutionReport | None:
        """Make one call and return the broker's answer; None is a query's "no such order".

        Raises Unavailable, Refused or Ambiguous. What a broker raises against its promise counts as Ambiguous.
        """
        if not is_new_risk(command):
            return await self._timed(command)
        breaker = await self._breakers.get_breaker(self.capabilities.venue)
        try:
            async with breaker:
                return await self._timed(command)
        except OpenedState as error:
            raise Unavailable(f"{self.capabilities.venue} failed too often; it is left alone for a while") from error

    async def _timed(self, command: Command) -> ExecutionReport | None:
        begun, outcome = time.perf_counter(), "ok"
        self._sending(command)
        try:
            return await self._answered(command)
        except (Unavailable, Refused, Ambiguous) as error:
            outcome = type(error).__name__.lower()
            raise
        finally:
            what = type(command).__name__.removesuffix("Order").lower()
            self._called(self.capabilities.venue, what, outcome, time.perf_counter() - begun)

    async def _answered(self, command: Command) -> ExecutionReport | None:
        venue = self.capabilities.venue
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._send(command)
        except (Unavailable, Refused, Ambiguous):
            raise
        except TimeoutError as error:
            raise Ambiguous(f"{venue} did not answer within {self._timeout_s:g} s; ask what became of it") from error
        except Exception as error:  # a broker that breaks its promise may have sent the order first
            raise Ambiguous(f"the broker for {venue} broke down: {error!r}; ask what became of it") from error

    async def _send(self, command: Command) -> ExecutionReport | None:
        match command:
            case SubmitOrder():
                return await self._broker.submit(command)
            case CancelOrder():
                return await self._broker.cancel(command)
            case ReplaceOrder():
                return await self._broker.replace(command)
            case QueryOrder():
                return await self._broker.query(command)
