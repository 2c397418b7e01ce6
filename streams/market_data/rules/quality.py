"""Quality: which data goes no further, and which goes on with a mark against it.

Refused: what cannot be true (crossed, zero or negative where that is illegal, a bar whose range does not hold its open
and close, malformed) and what was told already or too late (duplicate, out of order). Flagged: what may be true and is
worth a look (outlier, suspected split, gap, flat bars, locked, legal negative price, a price off the tick). Recorded
markets are full of moves that look impossible and were real, so no bar is refused for its size alone.

Outlier: robust z-score of the bar's farthest price against the newest `volatility.MOVES` moves before it,
|move - median| / (1.4826 x median absolute deviation), Iglewicz and Hoaglin (1993); moves are log returns, or price
differences where prices at or below zero are legal; the scale is never finer than one tick.
"""

from collections.abc import Sequence
from decimal import Decimal
from math import log

from schemas.market import QualityAction, QualityCode, QualityFinding
from schemas.record import Part
from schemas.reference import Instrument, InstrumentClass
from schemas.scalars import SCALE, rounded
from streams.market_data.rules.volatility import WINDOW, move_between
from streams.market_data.rules.windows import median, median_distance
from streams.market_data.state import Cursor, Series

NORMAL_SCALE = 1.4826
OUTLIER_LIMIT: dict[InstrumentClass, float] = {
    InstrumentClass.EQUITY: 8.0,
    InstrumentClass.ETF: 8.0,
    InstrumentClass.FX: 10.0,
    InstrumentClass.CRYPTO_SPOT: 10.0,
    InstrumentClass.CRYPTO_PERPETUAL: 10.0,
    InstrumentClass.FUTURE: 8.0,
    InstrumentClass.COMMODITY: 8.0,
}
"""Robust z-score from which a bar is flagged: chosen so that ordinary days of the recorded sets stay quiet."""

SPLIT_CLASSES = frozenset({InstrumentClass.EQUITY, InstrumentClass.ETF})
SPLIT_RATIOS = (1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 15.0, 20.0, 25.0, 30.0, 50.0)
SPLIT_OPEN_TOLERANCE = 0.03
SPLIT_CLOSE_TOLERANCE = 0.12
SPLIT_TURNOVER_RATIO_MAX = 3.0


class Cause(Part, frozen=True):
    """What a finding is about: the row, or the first of several."""

    event_time_us: int
    instrument_id: str
    feed_id: str
    sequence: int


def finding(
    cause: Cause,
    code: QualityCode,
    action: QualityAction,
    *,
    value: str,
    limit: str = "",
    detail: str = "",
    count: int = 1,
) -> QualityFinding:
    """What was refused or flagged, and why."""
    return QualityFinding(
        event_time_us=cause.event_time_us,
        instrument_id=cause.instrument_id,
        feed_id=cause.feed_id,
        code=code,
        action=action,
        sequence=cause.sequence,
        value=value,
        limit=limit,
        detail=detail,
        count=count,
    )


def told_already(rows: int, cursor: Cursor, cause: Cause) -> tuple[int, QualityFinding | None]:
    """Rows at the front of a batch that its stream has told before, and what there is to say about their order.

    `cause` names the first row of the batch.
    """
    expected = cursor.sequence + 1
    if not cursor.sequence or cause.sequence == expected:
        return 0, None
    value, limit = str(cause.sequence), str(expected)
    if cause.sequence > expected:
        detail = f"{cause.sequence - expected} rows lost"
        return 0, finding(cause, QualityCode.GAP, QualityAction.FLAGGED, value=value, limit=limit, detail=detail)
    repeated = min(expected - cause.sequence, rows)
    return repeated, finding(
        cause,
        QualityCode.DUPLICATE,
        QualityAction.REFUSED,
        value=value,
        limit=limit,
        detail="told already",
        count=repeated,
    )


_UNITS = {exponent: Decimal(1).scaleb(exponent) for exponent in range(-SCALE, SCALE)}


def price_of(scaled: int, exponent: int) -> Decimal:
    """A scaled integer as the price or size it stands for; finer than the wire only where it is a middle of two."""
    unit = _UNITS.get(exponent)
    return Decimal(scaled) * unit if unit is not None else rounded(Decimal(scaled).scaleb(exponent))


def ticks_of(instrument: Instrument, exponent: int) -> int:
    """The tick size in units of ten to the exponent; 1 where every price of that exponent is a multiple of it."""
    units = instrument.tick_size.scaleb(-exponent)
    return int(units) if units >= 1 and units == int(units) else 1


def outlier_score(series: Series, prices: Sequence[float], instrument: Instrument, limit: float) -> float:
    """Robust z-score of the price farthest from the close before; 0 where it is below the limit or cannot be known."""
    if len(series.moves) < WINDOW:
        return 0.0
    ordered, before = series.moves_ordered, series.close
    by_difference, tick = instrument.price_may_be_negative, float(instrument.tick_size)
    centre = median(ordered)
    farthest = 0.0
    for price in prices[1:3]:  # a move grows with its price, so no other is farther than those of high and low
        move = move_between(before, price, by_difference)
        if move is not None:
            farthest = max(farthest, abs(move - centre))
    quarter = len(ordered) // 4
    floor = tick if by_difference or before <= 0 else tick / before
    nearest = min(centre - ordered[quarter], ordered[-1 - quarter] - centre)
    if farthest < limit * max(NORMAL_SCALE * nearest, floor):
        return 0.0  # the median absolute deviation is at least `nearest`, so the score is below the limit
    score = farthest / max(NORMAL_SCALE * median_distance(ordered, centre), floor)
    return score if score >= limit else 0.0


def robust_scale(series: Series, instrument: Instrument, price: float) -> float:
    """What one robust deviation of a bar's move is at this price; 0 where it cannot be known."""
    if len(series.moves) < WINDOW:
        return 0.0
    tick = float(instrument.tick_size)
    floor = tick if instrument.price_may_be_negative or price <= 0 else tick / price
    return max(NORMAL_SCALE * median_distance(series.moves_ordered, median(series.moves_ordered)), floor)


def split_ratio(series: Series, opened: float, close: float, turnover: float | None) -> float:
    """The ratio of the split that this bar looks like, below 1 for a reverse split; 0 where it looks like none.

    A split moves the open by a simple ratio and leaves the money traded as it was; a crash does neither.
    """
    if series.close <= 0 or opened <= 0 or close <= 0 or len(series.moves) < WINDOW:
        return 0.0
    ratio = series.close / opened
    if 0.75 < ratio < 1.35:
        return 0.0
    if turnover is not None and series.turnovers:
        usual = median(tuple(sorted(series.turnovers)))
        if turnover > usual * SPLIT_TURNOVER_RATIO_MAX:
            return 0.0
    for simple in SPLIT_RATIOS:
        for candidate in (simple, 1 / simple):
            near_open = abs(log(ratio / candidate)) <= SPLIT_OPEN_TOLERANCE
            if near_open and abs(log(series.close / close / candidate)) <= SPLIT_CLOSE_TOLERANCE:
                return candidate
    return 0.0
