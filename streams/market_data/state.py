"""What the room keeps of each instrument and of each partition. Every collection has a bound."""

from decimal import Decimal

import msgspec

from schemas.market import MarketStatus
from schemas.record import Part
from schemas.reference import Instrument


class Cursor(Part, frozen=True):
    """How far one stream of one feed (its quotes, its trades, or its bars of one length) has told.

    sequence: of the newest row folded
    time_us: of the newest row kept
    stale: said to be silent for too long
    """

    sequence: int = 0
    time_us: int = 0
    stale: bool = False


class Series(Part, frozen=True):
    """Bars of one length, and what they tell of volatility. A move is a log return, or a price difference where prices
    at or below zero are legal.

    end_us: end of the newest bar
    close: its close
    moves, moves_ordered: the newest moves in order of time and of size, for outliers
    log_returns: the newest log returns without interruption: an undefined one empties it
    differences: the newest price differences; kept where prices at or below zero are legal
    ranges: squared log range and Garman-Klass term of the newest bars; (-1, -1) where undefined
    ewma: exponentially weighted mean of squared log returns; 0 before the first
    ewma_count: log returns in it
    move_ewma: the same of moves
    history, history_ordered: the newest values of `move_ewma`, by time and by size
    turnovers: price times volume of the newest bars
    flat_run: bars without a range, in a row
    """

    end_us: int = 0
    close: float = 0.0
    moves: tuple[float, ...] = ()
    moves_ordered: tuple[float, ...] = ()
    log_returns: tuple[float, ...] = ()
    differences: tuple[float, ...] = ()
    ranges: tuple[tuple[float, float], ...] = ()
    ewma: float = 0.0
    ewma_count: int = 0
    move_ewma: float = 0.0
    history: tuple[float, ...] = ()
    history_ordered: tuple[float, ...] = ()
    turnovers: tuple[float, ...] = ()
    flat_run: int = 0


class Forming(Part, frozen=True):
    """A bar that is being made of ticks.

    end_us: when a time bar ends; of a volume bar, the time of its newest trade
    exponent: prices are integers times ten to it
    volume: absent where the feed gives none
    """

    end_us: int
    exponent: int
    open: int
    high: int
    low: int
    close: int
    count: int
    volume: Decimal | None = None


class Header(Part, frozen=True):
    """What is small and changes often.

    instrument_id: whose state this is
    feeds: who ever reported, in order
    cursors: by stream, `<feed>/<quotes, trades or bars>`
    status: as last said
    mark_us: time of the newest mark
    unmarked_low, unmarked_high: extremes since the newest mark; absent where there are none
    last, last_us: newest believed price of a quote or trade, and its time; 0 before the first
    suspect, doubts: newest price refused for being too far from it, and how many were refused in a row
    halted, status_version: why its venue halted trading, empty where it did not, and the version of what it said
    """

    instrument_id: str
    feeds: tuple[str, ...] = ()
    cursors: dict[str, Cursor] = msgspec.field(default_factory=dict)
    status: MarketStatus = MarketStatus.OPEN
    mark_us: int = 0
    unmarked_low: Decimal | None = None
    unmarked_high: Decimal | None = None
    last: float = 0.0
    last_us: int = 0
    suspect: float = 0.0
    doubts: int = 0
    halted: str = ""
    status_version: int = 0


class Market(Part, frozen=True):
    """One instrument: the header, a series for each bar length by its microseconds, and bars being made by kind."""

    header: Header
    series: dict[str, Series] = msgspec.field(default_factory=dict)
    forming: dict[str, Forming] = msgspec.field(default_factory=dict)


def newest_series(market: Market) -> Series:
    """The series of the newest bar, an empty one before the first."""
    return max(market.series.values(), key=lambda series: series.end_us, default=_NO_SERIES)


_NO_SERIES = Series()


class Calendar(Part, frozen=True):
    """Sessions of one calendar as two columns in time order; nothing is known after `covers_until_us`."""

    version: int
    opens_us: tuple[int, ...]
    closes_us: tuple[int, ...]
    covers_until_us: int


class Reference(Part, frozen=True):
    """What all instruments of a partition share.

    instruments: newest definition by id
    calendars: newest sessions by calendar name
    """

    instruments: dict[str, Instrument] = msgspec.field(default_factory=dict)
    calendars: dict[str, Calendar] = msgspec.field(default_factory=dict)
