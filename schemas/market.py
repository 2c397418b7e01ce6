"""Market records: what feeds report, what we refuse or flag in it, and the bars and marks made of it."""

from enum import StrEnum
from typing import ClassVar

from schemas.record import Record
from schemas.scalars import Price, Quantity


class BarKind(StrEnum):
    TIME = "TIME"
    VOLUME = "VOLUME"


class QualityCode(StrEnum):
    CROSSED = "CROSSED"
    LOCKED = "LOCKED"
    NEGATIVE_PRICE = "NEGATIVE_PRICE"
    ZERO_PRICE = "ZERO_PRICE"
    OUTLIER = "OUTLIER"
    GAP = "GAP"
    STALE = "STALE"
    OUT_OF_ORDER = "OUT_OF_ORDER"
    DUPLICATE = "DUPLICATE"
    BAR_RANGE = "BAR_RANGE"
    FLAT_BAR = "FLAT_BAR"
    UNKNOWN_INSTRUMENT = "UNKNOWN_INSTRUMENT"
    MALFORMED = "MALFORMED"
    SPLIT_SUSPECTED = "SPLIT_SUSPECTED"
    PRECISION = "PRECISION"


class QualityAction(StrEnum):
    REFUSED = "REFUSED"
    FLAGGED = "FLAGGED"


class Regime(StrEnum):
    CALM = "CALM"
    NORMAL = "NORMAL"
    STRESSED = "STRESSED"


class MarketStatus(StrEnum):
    OPEN = "OPEN"
    CLOSED = "CLOSED"
    HALTED = "HALTED"
    STALE = "STALE"
    GAP = "GAP"


class QuoteBatch(Record, frozen=True):
    """Quotes of one instrument from one feed, as columns of equal length.

    instrument_id: our id of the instrument
    feed_id: who reports
    sequence: number of the first row within (feed, instrument); rows are consecutive
    price_exponent: a price is its integer times ten to this power
    size_exponent: a size is its integer times ten to this power
    times_us: time of each quote at the venue, microseconds of UTC
    bids, asks: scaled prices
    bid_sizes, ask_sizes: scaled sizes; empty where the feed gives none
    """

    source_id: ClassVar[tuple[str, ...]] = ("feed_id", "instrument_id", "sequence")

    instrument_id: str
    feed_id: str
    sequence: int
    price_exponent: int
    size_exponent: int
    times_us: list[int]
    bids: list[int]
    asks: list[int]
    bid_sizes: list[int] = []
    ask_sizes: list[int] = []


class TradeBatch(Record, frozen=True):
    """Public trades of one instrument from one feed, as columns of equal length.

    instrument_id: our id of the instrument
    feed_id: who reports
    sequence: number of the first row within (feed, instrument); rows are consecutive
    price_exponent: a price is its integer times ten to this power
    size_exponent: a size is its integer times ten to this power
    times_us: time of each trade at the venue, microseconds of UTC
    prices: scaled prices
    sizes: scaled sizes; empty where the feed gives none
    """

    source_id: ClassVar[tuple[str, ...]] = ("feed_id", "instrument_id", "sequence")

    instrument_id: str
    feed_id: str
    sequence: int
    price_exponent: int
    size_exponent: int
    times_us: list[int]
    prices: list[int]
    sizes: list[int] = []


class BarBatch(Record, frozen=True):
    """Bars of one instrument as the feed made them, as columns of equal length.

    instrument_id: our id of the instrument
    feed_id: who reports
    sequence: number of the first row within (feed, instrument); rows are consecutive
    interval_us: length of each bar, microseconds
    price_exponent: a price is its integer times ten to this power
    size_exponent: a volume is its integer times ten to this power
    times_us: end of each bar, microseconds of UTC
    opens, highs, lows, closes: scaled prices
    volumes: scaled volumes; empty where the feed gives none
    """

    source_id: ClassVar[tuple[str, ...]] = ("feed_id", "instrument_id", "sequence")

    instrument_id: str
    feed_id: str
    sequence: int
    interval_us: int
    price_exponent: int
    size_exponent: int
    times_us: list[int]
    opens: list[int]
    highs: list[int]
    lows: list[int]
    closes: list[int]
    volumes: list[int] = []


class Heartbeat(Record, frozen=True):
    """A feed says that it is alive and has told all it knows up to the event time.

    feed_id: who reports
    """

    source_id: ClassVar[tuple[str, ...]] = ("feed_id", "event_time_us")

    feed_id: str


class Bar(Record, frozen=True):
    """Prices of one instrument over one interval; the event time is its end.

    instrument_id: our id of the instrument
    interval_us: length of a time bar in microseconds; 0 for a volume bar
    kind: what closes the bar
    open, high, low, close: prices in the quote currency
    volume: traded quantity; absent where the feed gives none
    count: number of ticks inside
    """

    source_id: ClassVar[tuple[str, ...]] = ("instrument_id", "kind", "interval_us", "event_time_us")

    instrument_id: str
    interval_us: int
    kind: BarKind
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Quantity | None = None
    count: int = 0


class QualityFinding(Record, frozen=True):
    """What was refused or flagged in market data, and why.

    instrument_id: our id of the instrument
    feed_id: who reported it
    code: the rule
    action: refused data goes no further; flagged data does
    sequence: number of the row within (feed, instrument)
    value: the value that decided, as text
    limit: the bound it broke, as text
    detail: one sentence for people
    count: rows that this finding stands for; `sequence` is the first
    """

    instrument_id: str
    feed_id: str
    code: QualityCode
    action: QualityAction
    sequence: int
    value: str
    limit: str = ""
    detail: str = ""
    count: int = 1


class MarketCondition(Record, frozen=True):
    """How the market of one instrument stands. Estimators without their inputs are absent.

    instrument_id: our id of the instrument
    status: open, closed, halted, stale or after a gap
    regime: by percentile of the instrument's own volatility history
    ewma_volatility: exponentially weighted, annualised, as a fraction
    close_to_close_volatility: annualised, as a fraction
    parkinson_volatility: from highs and lows, annualised, as a fraction
    garman_klass_volatility: from open, high, low and close, annualised, as a fraction
    percentile: of the EWMA volatility within its own history, 0 to 1
    price_volatility: standard deviation of price differences per bar, in the quote currency, where prices may be <= 0
    reason: one sentence for people
    """

    source_id: ClassVar[tuple[str, ...]] = ("instrument_id", "event_time_us", "status")

    instrument_id: str
    status: MarketStatus
    regime: Regime | None = None
    ewma_volatility: float | None = None
    close_to_close_volatility: float | None = None
    parkinson_volatility: float | None = None
    garman_klass_volatility: float | None = None
    percentile: float | None = None
    price_volatility: float | None = None
    reason: str = ""


class Mark(Record, frozen=True):
    """The price at which one instrument is valued, and how far it went since the mark before.

    instrument_id: our id of the instrument
    last: the newest price
    low, high: extremes since the mark before, `last` included
    volume: quantity traded since the mark before; absent where unknown
    """

    source_id: ClassVar[tuple[str, ...]] = ("instrument_id", "event_time_us")

    instrument_id: str
    last: Price
    low: Price
    high: Price
    volume: Quantity | None = None


class MarkBatch(Record, frozen=True):
    """Marks of several instruments for every partition of accounts.

    relay_id: who relays
    sequence: number of the batch by this relay
    marks: at most one for each instrument, in instrument order
    """

    source_id: ClassVar[tuple[str, ...]] = ("relay_id", "sequence")

    relay_id: str
    sequence: int
    marks: list[Mark]
