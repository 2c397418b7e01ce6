"""The clock: wall time as records, to every inbox, so that no room ever looks at one.

A tick says that it is at least so late. It is a full period, so two clocks that run at once say the same, and what was
missed while nobody wrote is not made up for.
"""

import threading
import time
from collections.abc import Callable

from schemas.control import ClockTick
from schemas.scalars import SECOND_US
from streams.runtime.source import DeliveryFailed, Source

CLOCK_ID = "wall"
PERIOD_US = SECOND_US


def due(now_us: int, last_us: int, period_us: int = PERIOD_US) -> int | None:
    """The time that the next tick says: the newest full period, where it is later than the last one said."""
    newest = now_us - now_us % period_us
    return newest if newest > last_us else None


def wait_us(now_us: int, period_us: int = PERIOD_US) -> int:
    """How long until the next full period, at most one."""
    return period_us - now_us % period_us


def wall_us() -> int:
    """Wall time, microseconds of UTC."""
    return time.time_ns() // 1000


class Clock:
    """Writes a tick each period until it is asked to stop. A tick that Kafka did not take is told, and the next tried.

    ticks: written so far
    """

    def __init__(self, source: Source, say: Callable[[str], None], wall: Callable[[], int] = wall_us):
        self._source = source
        self._say = say
        self._wall = wall
        self._last_us = 0
        self._began_us = wall()
        self.ticks = 0

    def run(self, stopping: threading.Event) -> None:
        """Tick until `stopping`."""
        while not stopping.is_set():
            self.turn()
            stopping.wait(wait_us(self._wall()) / SECOND_US)

    @property
    def told_s(self) -> float:
        """What the newest tick says, or when this clock began where it has said none; seconds of UTC."""
        return (self._last_us or self._began_us) / SECOND_US

    def turn(self) -> None:
        """Write the tick that is due, if one is."""
        now = due(self._wall(), self._last_us)
        if now is None:
            return
        try:
            self._source.write(ClockTick(event_time_us=now, clock_id=CLOCK_ID))
            self._source.flush()
        except DeliveryFailed as error:
            self._say(f"! no tick: {error}")
            return
        self._last_us = now
        self.ticks += 1
