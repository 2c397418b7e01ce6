"""The pace of one account's requests: as the venue allows, and never an order behind a question.

In place of ccxt's own queue, where an order waits for every question that was asked before it: at a venue that lets a
question through every three seconds an order would be in doubt before anything of it was sent.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from heapq import heappop, heappush
from itertools import count

KEPT = (0.0, 1 / 6, 1 / 2)
"""Share of the bucket that is left alone: by orders none; by questions so much that the next order finds something; the
most by what is only asked to hear news, which is heard later too. A new process begins with a full bucket, though the
venue may remember otherwise: it needs most of it to compare itself with the venue before orders grow old."""
_URGENT, _ASKED, _LEISURELY = range(3)
_PRESSING: ContextVar[int] = ContextVar("pressing", default=_ASKED)


@contextmanager
def urgently() -> Iterator[None]:
    """What is asked within goes before what is not: an order, a cancel, or what became of one."""
    before = _PRESSING.set(_URGENT)
    try:
        yield
    finally:
        _PRESSING.reset(before)


@contextmanager
def leisurely() -> Iterator[None]:
    """What is asked within goes after all else."""
    before = _PRESSING.set(_LEISURELY)
    try:
        yield
    finally:
        _PRESSING.reset(before)


class Throttle:
    """A bucket of tokens, which requests cost as ccxt counts them.

    It fills by `per_s` up to `burst`. A request goes while there is more than `KEPT` says, and may leave a debt. What
    costs nothing does not wait.
    """

    def __init__(self, per_s: float, burst: float, patience_s: float, too_late: Callable[[], Exception]):
        """`too_late` is raised for what is urgent and has waited for `patience_s`: nothing of it was sent."""
        self._per_s = per_s
        self._burst = burst
        self._patience_s = patience_s
        self._too_late = too_late
        self._tokens = burst
        self._filled_s: float | None = None
        self._queue: list[tuple[int, int, float, asyncio.Future[None]]] = []
        self._numbers = count()
        self._pump: asyncio.TimerHandle | None = None

    async def __call__(self, cost: float | None = None) -> None:
        """Wait for a turn; ccxt calls this before each request."""
        price = 1.0 if cost is None else cost
        if not price:
            return
        pressing = _PRESSING.get()
        mine = asyncio.get_running_loop().create_future()
        heappush(self._queue, (pressing, next(self._numbers), price, mine))
        self._let_through()
        try:
            async with asyncio.timeout(None if pressing else self._patience_s):
                await mine
        except TimeoutError as error:
            raise self._too_late() from error

    def _let_through(self) -> None:
        """Let all through whose turn it is, and come back for the next one."""
        if self._pump is not None:
            self._pump.cancel()
        self._pump = None
        loop = asyncio.get_running_loop()
        while self._queue:
            pressing, _, price, waiting = self._queue[0]
            if not waiting.done():
                lacks = self._burst * KEPT[pressing] - self._filled(loop.time())
                if lacks > 0:
                    self._pump = loop.call_later(lacks / self._per_s, self._let_through)
                    return
                self._tokens -= price
                waiting.set_result(None)
            heappop(self._queue)

    def _filled(self, now_s: float) -> float:
        """The tokens there are by now."""
        since_s = now_s if self._filled_s is None else self._filled_s
        self._tokens = min(self._burst, self._tokens + (now_s - since_s) * self._per_s)
        self._filled_s = now_s
        return self._tokens
