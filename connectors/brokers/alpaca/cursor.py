"""Where a reading of fills has come to.

Alpaca lists fills by the millisecond, those of one millisecond in no order, and a late one may come in among those that
were read already. So a cursor is a time and the ids that were read in the seconds before it: the next reading begins
those seconds earlier and leaves out what it knows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from connectors.brokers.alpaca.wire import WireFill
from schemas.scalars import SECOND_US, iso_of

OVERLAP_US = 5 * SECOND_US
_SHORT = 8


@dataclass(frozen=True, slots=True)
class Cursor:
    """Fills through `time_us` have been read; `known` are short ids of those in the overlap before it."""

    time_us: int = 0
    known: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """The cursor of a text; one that cannot be read is the beginning: reading twice does no harm."""
        time_text, _, ids = text.partition("|")
        if not time_text.isdigit():
            return cls()
        return cls(int(time_text), frozenset(filter(None, ids.split(","))))

    def __str__(self) -> str:
        return f"{self.time_us}|{','.join(sorted(self.known))}" if self.time_us else ""

    @property
    def after(self) -> str:
        """Where the next reading begins, as Alpaca takes it: a whole second before the overlap."""
        begin_us = (self.time_us - OVERLAP_US) // SECOND_US * SECOND_US - SECOND_US
        return iso_of(begin_us) if self.time_us and begin_us > 0 else ""

    def is_new(self, fill: WireFill) -> bool:
        """Whether the fill was not read before."""
        return fill.time_us >= self.time_us - OVERLAP_US and _short(fill) not in self.known

    def moved(self, fills: Sequence[WireFill]) -> "Cursor":
        """The cursor after these, which include all that it knew in the new overlap."""
        if not fills:
            return self
        time_us = max(self.time_us, *(fill.time_us for fill in fills))
        fresh = {_short(fill) for fill in fills if fill.time_us >= time_us - OVERLAP_US}
        return Cursor(time_us, frozenset(fresh | self.known) if time_us == self.time_us else frozenset(fresh))


def _short(fill: WireFill) -> str:
    return fill.execution_id.replace("-", "")[:_SHORT]
