"""What tests of the room say: instruments and batches of few numbers in, findings, bars and marks out."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from schemas.market import BarBatch, QualityFinding, QuoteBatch, TradeBatch
from schemas.record import Record
from schemas.reference import Instrument
from schemas.scalars import DAY_US, SECOND_US
from schemas.topics import MARKET_TICKS
from streams.market_data.room import MarketData
from streams.runtime.partition import Partition

MONDAY_US = 18_267 * DAY_US
"""Midnight of Monday, 2020-01-06."""
MINUTE_US = 60 * SECOND_US
_Wanted = TypeVar("_Wanted", bound=Record)


class Exchange:
    """A room in memory that was told of one instrument, and all that it has said."""

    def __init__(self, instrument: Instrument | None, *told: Record) -> None:
        self.partition = Partition(MarketData())
        self.said: list[Record] = []
        self.tell(*([instrument] if instrument is not None else []), *told)

    def tell(self, *records: Record) -> list[Record]:
        """Fold records in order; return what was said of them."""
        said = [out for record in records for out in self.partition.fold(MARKET_TICKS.key_of(record), record)]
        self.said += said
        return said

    def all(self, kind: type[_Wanted]) -> list[_Wanted]:
        """Everything of one type said so far."""
        return only(self.said, kind)

    def codes(self) -> dict[str, int]:
        """Rows by code of what was found so far."""
        return codes(self.said)


def only(records: Iterable[Record], kind: type[_Wanted]) -> list[_Wanted]:
    """Those of one type."""
    return [record for record in records if isinstance(record, kind)]


def codes(records: Iterable[Record]) -> dict[str, int]:
    """Rows by code of finding."""
    counted: Counter[str] = Counter()
    for found in only(records, QualityFinding):
        counted[str(found.code)] += found.count
    return dict(counted)


def bars(
    *rows: Sequence[int], days: Sequence[int] | None = None, sequence: int = 1, first: int = 0, **changes: Any
) -> BarBatch:
    """Daily bars in cents: (close,) or (open, high, low, close), ending at noon of successive days after MONDAY."""
    full = [row if len(row) == 4 else (row[0], row[0] + 1, row[0] - 1, row[0]) for row in rows]
    numbers = days or range(first, first + len(rows))
    times = [MONDAY_US + DAY_US // 2 + day * DAY_US for day in numbers]
    fields: dict[str, Any] = {
        "event_time_us": times[-1] if times else MONDAY_US,
        "instrument_id": "WTI",
        "feed_id": "feed",
        "sequence": sequence,
        "interval_us": DAY_US,
        "price_exponent": -2,
        "size_exponent": 0,
        "times_us": times,
        "opens": [row[0] for row in full],
        "highs": [row[1] for row in full],
        "lows": [row[2] for row in full],
        "closes": [row[3] for row in full],
    }
    return BarBatch(**fields | changes)


def quotes(*rows: tuple[float, int, int], sequence: int = 1, **changes: Any) -> QuoteBatch:
    """(seconds after MONDAY, bid in cents, ask in cents)."""
    times = [MONDAY_US + round(row[0] * SECOND_US) for row in rows]
    fields: dict[str, Any] = {
        "event_time_us": times[-1],
        "instrument_id": "WTI",
        "feed_id": "feed",
        "sequence": sequence,
        "price_exponent": -2,
        "size_exponent": 0,
        "times_us": times,
        "bids": [row[1] for row in rows],
        "asks": [row[2] for row in rows],
    }
    return QuoteBatch(**fields | changes)


def trades(*rows: tuple[float, int, int], sequence: int = 1, **changes: Any) -> TradeBatch:
    """(seconds after MONDAY, price in cents, size)."""
    times = [MONDAY_US + round(row[0] * SECOND_US) for row in rows]
    fields: dict[str, Any] = {
        "event_time_us": times[-1],
        "instrument_id": "WTI",
        "feed_id": "feed",
        "sequence": sequence,
        "price_exponent": -2,
        "size_exponent": 0,
        "times_us": times,
        "prices": [row[1] for row in rows],
        "sizes": [row[2] for row in rows],
    }
    return TradeBatch(**fields | changes)
