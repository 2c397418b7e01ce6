"""Bars as feeds make them: each row is judged, and what may be true becomes a condition, a bar and a mark."""

from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from schemas.market import Bar, BarBatch, BarKind, Mark, MarketStatus, QualityAction, QualityCode, QualityFinding
from schemas.record import Record
from schemas.reference import Instrument
from schemas.scalars import iso_of
from streams.market_data.calendars import bars_missing
from streams.market_data.quality import (
    OUTLIER_LIMIT,
    SPLIT_CLASSES,
    Cause,
    finding,
    outlier_score,
    price_of,
    split_ratio,
    ticks_of,
)
from streams.market_data.state import Calendar, Cursor, Header, Market, Series
from streams.market_data.volatility import condition_of, extended

REFUSED = QualityAction.REFUSED
FLAGGED = QualityAction.FLAGGED
_NEVER = Cursor(sequence=0, time_us=0)


class _Row(NamedTuple):
    """One bar of a batch: as integers, open, high, low, close, and as floats for statistics."""

    cause: Cause
    scaled: tuple[int, int, int, int]
    prices: tuple[float, float, float, float]
    volume: Decimal | None


class _Reading(NamedTuple):
    """What all rows of one batch have in common."""

    batch: BarBatch
    instrument: Instrument
    calendar: Calendar | None
    tick: int


def told_already(batch_sequence: int, rows: int, cursor: Cursor, cause: Cause) -> tuple[int, QualityFinding | None]:
    """Rows at the front that the feed has told before, and what there is to say about the order of its rows."""
    newest = cursor.sequence
    if not newest or batch_sequence == newest + 1:
        return 0, None
    if batch_sequence > newest + 1:
        detail = f"{batch_sequence - newest - 1} rows lost"
        return 0, finding(
            cause, QualityCode.GAP, FLAGGED, value=str(batch_sequence), limit=str(newest + 1), detail=detail
        )
    repeated = min(newest - batch_sequence + 1, rows)
    return repeated, finding(
        cause,
        QualityCode.DUPLICATE,
        REFUSED,
        value=str(batch_sequence),
        limit=str(newest + 1),
        detail="told already",
        count=repeated,
    )


def fold_bars(
    market: Market, instrument: Instrument, calendar: Calendar | None, batch: BarBatch, outputs: list[Record]
) -> Market:
    """Fold every row of a whole batch that is not known yet; what there is to say goes to `outputs`."""
    header, key, rows = market.header, str(batch.interval_us), len(batch.times_us)
    cursor = header.cursors.get(batch.feed_id, _NEVER)
    cause = Cause(batch.event_time_us, batch.instrument_id, batch.feed_id, batch.sequence)
    skip, said = told_already(batch.sequence, rows, cursor, cause)
    if said is not None:
        outputs.append(said)
    if skip == rows:
        return market
    before = series = market.series.get(key) or Series()
    reading = _Reading(batch, instrument, calendar, ticks_of(instrument, batch.price_exponent))
    status, mark_us = header.status, header.mark_us
    for index in range(skip, rows):
        row = _row(reading, index)
        refusal = _refusal(reading, row, series)
        if refusal is not None:
            outputs.append(refusal)
            continue
        status, reason = MarketStatus.OPEN, ""
        for flag in _flags(reading, row, series):
            outputs.append(flag)
            if flag.code is QualityCode.GAP:
                status, reason = MarketStatus.GAP, flag.detail
        end_us = row.cause.event_time_us
        turnover = None if row.volume is None else row.prices[3] * float(row.volume)
        series = extended(series, end_us, row.prices, turnover, instrument.price_may_be_negative)
        outputs.append(condition_of(series, instrument, status, reason))
        outputs += _bar_and_mark(reading, row, with_mark=end_us > mark_us)
        mark_us = max(mark_us, end_us)
    newest = Cursor(sequence=batch.sequence + rows - 1, time_us=max(cursor.time_us, series.end_us))
    header = Header(
        instrument_id=header.instrument_id,
        cursors={**header.cursors, batch.feed_id: newest},
        status=status,
        mark_us=mark_us,
    )
    return Market(header=header, series=market.series if series is before else {**market.series, key: series})


def _row(reading: _Reading, index: int) -> _Row:
    batch = reading.batch
    divisor = 10.0**-batch.price_exponent
    close = batch.closes[index]
    scaled = (batch.opens[index], batch.highs[index], batch.lows[index], close)
    volume = None
    if batch.volumes and reading.instrument.has_volume:
        volume = price_of(batch.volumes[index], batch.size_exponent)
    return _Row(
        Cause(batch.times_us[index], batch.instrument_id, batch.feed_id, batch.sequence + index),
        scaled,
        (scaled[0] / divisor, scaled[1] / divisor, scaled[2] / divisor, close / divisor),
        volume,
    )


def _refusal(reading: _Reading, row: _Row, series: Series) -> QualityFinding | None:
    """Why this row goes no further, or None."""
    end_us, exponent = row.cause.event_time_us, reading.batch.price_exponent
    opened, high, low, close = row.scaled
    if end_us <= series.end_us:
        return finding(
            row.cause,
            QualityCode.DUPLICATE if end_us == series.end_us else QualityCode.OUT_OF_ORDER,
            REFUSED,
            value=iso_of(end_us),
            limit=iso_of(series.end_us),
            detail="not after the bar before",
        )
    if not (low <= opened <= high and low <= close <= high):
        told = "/".join(str(price_of(price, exponent)) for price in row.scaled)
        return finding(
            row.cause, QualityCode.BAR_RANGE, REFUSED, value=told, detail="high and low do not hold open and close"
        )
    if low <= 0 and not reading.instrument.price_may_be_negative:
        code = QualityCode.ZERO_PRICE if low == 0 else QualityCode.NEGATIVE_PRICE
        price = str(price_of(low, exponent))
        return finding(row.cause, code, REFUSED, value=price, limit="0", detail="illegal for this instrument")
    if row.volume is not None and row.volume < 0:
        return finding(
            row.cause, QualityCode.MALFORMED, REFUSED, value=str(row.volume), limit="0", detail="a volume below zero"
        )
    return None


def _flags(reading: _Reading, row: _Row, series: Series) -> Iterator[QualityFinding]:
    """What is worth a look about a row that goes on."""
    instrument, exponent = reading.instrument, reading.batch.price_exponent
    _, high, low, close = row.scaled
    if low <= 0:
        code = QualityCode.NEGATIVE_PRICE if low < 0 else QualityCode.ZERO_PRICE
        price = str(price_of(low, exponent))
        yield finding(row.cause, code, FLAGGED, value=price, limit="0", detail="legal for this instrument")
    if reading.tick > 1 and any(price % reading.tick for price in row.scaled):
        told = "/".join(str(price_of(price, exponent)) for price in row.scaled)
        yield finding(row.cause, QualityCode.PRECISION, FLAGGED, value=told, limit=str(instrument.tick_size))
    if series.end_us:
        end_us, interval_us = row.cause.event_time_us, reading.batch.interval_us
        missing = bars_missing(instrument.calendar, reading.calendar, series.end_us, end_us, interval_us)
        if missing:
            detail = f"{missing} bars missing since {iso_of(series.end_us)}"
            yield finding(
                row.cause, QualityCode.GAP, FLAGGED, value=str(missing), limit=instrument.calendar, detail=detail
            )
        yield from _size_flags(instrument, row, series)
    if high == low:
        if not series.flat_run:
            price = str(price_of(close, exponent))
            yield finding(row.cause, QualityCode.FLAT_BAR, FLAGGED, value=price, detail="a bar without a range")
    elif series.flat_run > 1:
        detail = f"{series.flat_run} bars in a row had no range"
        yield finding(row.cause, QualityCode.FLAT_BAR, FLAGGED, value=str(series.flat_run), limit="1", detail=detail)


def _size_flags(instrument: Instrument, row: _Row, series: Series) -> Iterator[QualityFinding]:
    """A move that looks like a split, or like nothing that was usual: one or the other."""
    if instrument.instrument_class in SPLIT_CLASSES:
        turnover = None if row.volume is None else row.prices[3] * float(row.volume)
        ratio = split_ratio(series, row.prices[0], row.prices[3], turnover)
        if ratio:
            detail = f"opens at {row.prices[0]:g} after {series.close:g}, with the usual turnover"
            yield finding(row.cause, QualityCode.SPLIT_SUSPECTED, FLAGGED, value=f"{ratio:g}", detail=detail)
            return
    limit = OUTLIER_LIMIT[instrument.instrument_class]
    score = outlier_score(series, row.prices, instrument, limit)
    if score:
        detail = f"{min(row.prices):g} to {max(row.prices):g} after {series.close:g}"
        yield finding(row.cause, QualityCode.OUTLIER, FLAGGED, value=f"{score:.1f}", limit=f"{limit:g}", detail=detail)


def _bar_and_mark(reading: _Reading, row: _Row, with_mark: bool) -> list[Record]:
    batch = reading.batch
    opened, high, low, close = row.scaled
    last = lowest = highest = first = price_of(close, batch.price_exponent)
    if high != low:
        first, highest, lowest = (price_of(price, batch.price_exponent) for price in (opened, high, low))
    bar = Bar(
        event_time_us=row.cause.event_time_us,
        instrument_id=batch.instrument_id,
        interval_us=batch.interval_us,
        kind=BarKind.TIME,
        open=first,
        high=highest,
        low=lowest,
        close=last,
        volume=row.volume,
        count=1,
    )
    if not with_mark:
        return [bar]
    mark = Mark(
        event_time_us=row.cause.event_time_us,
        instrument_id=batch.instrument_id,
        last=last,
        low=lowest,
        high=highest,
        volume=row.volume,
    )
    return [bar, mark]
