"""Turns: a room or an effect that waits to be let in, and says when all that was written to it is done.

In a replay every actor opens, drains and closes in its turn; otherwise the door stands open.
"""

import asyncio

from streams.runtime.carrier import Carrier
from streams.runtime.progress import Progress


class Turns:
    """The gate of one reader of one topic.

    held: whether the gate is closed until `open`.
    """

    def __init__(self, carrier: Carrier, progress: Progress, source: str, reader: str, held: bool):
        self._carrier = carrier
        self._progress = progress
        self._source = source
        self._reader = reader
        self._waiters: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
        if held:
            progress.follow(source)
            progress.listen(self._wake)

    @property
    def lag(self) -> int:
        """Offsets known to be written and not done; 0 means nothing is left."""
        return self._progress.lag(self._source, self._reader)

    def folded(self, partition: int, next_offset: int) -> None:
        """All before this offset is done, durably."""
        self._progress.folded(self._source, partition, next_offset, self._reader)

    def open(self) -> None:
        """Let batches in."""
        self._carrier.open()

    def close(self) -> None:
        """Let no further batch in."""
        self._carrier.close()

    async def drained(self) -> None:
        """Wait until all that is known to be written is done."""
        event = asyncio.Event()
        waiter = (asyncio.get_running_loop(), event)
        self._waiters.append(waiter)
        try:
            while self.lag:
                event.clear()
                # Asked again after arming: what was done in between has told nobody.
                if self.lag:
                    await event.wait()
        finally:
            self._waiters.remove(waiter)

    async def turn(self) -> bool:
        """Let in what was written so far, wait until it is done, and close; false where there was nothing."""
        if not self.lag:
            return False
        self.open()
        try:
            await self.drained()
        finally:
            self.close()
        return True

    def _wake(self) -> None:
        for loop, event in tuple(self._waiters):
            loop.call_soon_threadsafe(event.set)
