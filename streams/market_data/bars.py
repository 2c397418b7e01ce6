"""Bars: each is judged, and what may be true becomes a condition, a bar and a mark."""

from decimal import Decimal

from schemas.market import Bar, BarBatch, BarKind, Mark, MarketStatus, QualityAction, QualityCode, QualityFinding
from schemas.record import Part, Record
from schemas.reference import Instrument
from schemas.scalars import iso_of
from streams.market_data.rules.calendars import bars_missing
from streams.market_data.rules.quality import (
    OUTLIER_LIMIT,
    SPLIT_CLASSES,
    Cause,
    finding,
    outlier_score,
    price_of,
    split_ratio,
    ticks_of,
    told_already,
)
from streams.market_data.rules.volatility import condition_of, extended
from streams.market_data.state import Calendar, Cursor, Header, Market, Series

REFUSED = QualityAction.REFUSED
FLAGGED = QualityAction.FLAGGED
_NEVER = Cursor()


class Reading(Part, frozen=True):
    """What all bars of one batch, or one bar made of ticks, have in common.

    exponent: prices are integers times ten to it
    tick: the tick size in that unit
    halted: why trading is halted; empty where it is not
    """

    instrument: Instrument
    calendar: Calendar | None
    interval_us: int
    exponent: int
    tick: int
    halted: str = ""


class Row(Part, frozen=True):
    """One bar: open, high, low, close as integers. The event time of the cause is its end."""

    cause: Cause
    scaled: tuple[int, int, int, int]
    volume: Decimal | None
    tick_count: int


def fold_bars(
    market: Market, instrument: Instrument, calendar: Calendar | None, batch: BarBatch, outputs: list[Record]
) -> Market:
    """Fold every row of a whole batch that is not known yet; what there is to say goes to `outputs`."""
    header, key, rows = market.header, str(batch.interval_us), len(batch.times_us)
    stream = f"{batch.feed_id}/bars/{key}"
    cursor = header.cursors.get(stream, _NEVER)
    cause = Cause(batch.event_time_us, batch.instrument_id, batch.feed_id, batch.sequence)
    skip, said = told_already(rows, cursor, cause)
    if said is not None:
        outputs.append(said)
    if skip == rows:
        return market
    before = series = market.series.get(key) or Series()
    exponent = batch.price_exponent
    reading = Reading(instrument, calendar, batch.interval_us, exponent, ticks_of(instrument, exponent), header.halted)
    status, mark_us = header.status, header.mark_us
    for index in range(skip, rows):
        row = _row(instrument, batch, index)
        refusal = _refusal(reading, row, series)
        if refusal is not None:
            outputs.append(refusal)
            continue
        series, status = admit(reading, row, series, outputs)
        if row.cause.event_time_us > mark_us:
            mark_us = row.cause.event_time_us
            outputs.append(_mark(outputs[-1], batch.instrument_id))
    header = Header(
        instrument_id=header.instrument_id,
        feeds=header.feeds if batch.feed_id in header.feeds else tuple(sorted({*header.feeds, batch.feed_id})),
        cursors={
            **header.cursors,
            stream: Cursor(sequence=batch.sequence + rows - 1, time_us=max(cursor.time_us, series.end_us)),
        },
        status=status,
        mark_us=mark_us,
        unmarked_low=header.unmarked_low,
        unmarked_high=header.unmarked_high,
        last=header.last,
        last_us=header.last_us,
        suspect=header.suspect,
        doubts=header.doubts,
        halted=header.halted,
        status_version=header.status_version,
    )
    all_series = market.series if series is before else {**market.series, key: series}
    return Market(header=header, series=all_series, forming=market.forming)


def admit(reading: Reading, row: Row, series: Series, outputs: list[Record]) -> tuple[Series, MarketStatus]:
    """Let a bar through: say its flags, the condition after it and the bar itself, in this order."""
    opened, high, low, close = row.scaled
    divisor = 10.0**-reading.exponent
    prices = (opened / divisor, high / divisor, low / divisor, close / divisor)
    turnover = None if row.volume is None else prices[3] * float(row.volume)
    status, reason = (MarketStatus.HALTED, reading.halted) if reading.halted else (MarketStatus.OPEN, "")
    instrument, end_us = reading.instrument, row.cause.event_time_us
    if low <= 0 or reading.tick > 1:
        _flag_prices(reading, row, outputs)
    if series.end_us:
        missing = bars_missing(instrument.calendar, reading.calendar, series.end_us, end_us, reading.interval_us)
        if missing:
            gap = f"{missing} bars missing since {iso_of(series.end_us)}"
            if not reading.halted:
                status, reason = MarketStatus.GAP, gap
            outputs.append(
                finding(
                    row.cause,
                    QualityCode.GAP,
                    FLAGGED,
                    value=str(missing),
                    limit=instrument.calendar,
                    detail=gap,
                )
            )
        _flag_size(instrument, row.cause, prices, turnover, series, outputs)
    if (high == low) != bool(series.flat_run):
        _flag_range(reading, row, series, outputs)
    series = extended(series, end_us, prices, turnover, instrument.price_may_be_negative)
    outputs.append(condition_of(series, instrument, end_us, status, reason))
    exponent = reading.exponent
    last = lowest = highest = first = price_of(close, exponent)
    if high != low:
        first, highest, lowest = price_of(opened, exponent), price_of(high, exponent), price_of(low, exponent)
    outputs.append(
        Bar(
            event_time_us=end_us,
            instrument_id=instrument.instrument_id,
            interval_us=reading.interval_us,
            kind=BarKind.TIME,
            open=first,
            high=highest,
            low=lowest,
            close=last,
            volume=row.volume,
            count=row.tick_count,
        )
    )
    return series, status


def _mark(bar: Record, instrument_id: str) -> Mark:
    assert isinstance(bar, Bar)
    return Mark(
        event_time_us=bar.event_time_us,
        instrument_id=instrument_id,
        last=bar.close,
        low=bar.low,
        high=bar.high,
        volume=bar.volume,
    )


def _row(instrument: Instrument, batch: BarBatch, index: int) -> Row:
    volume = None
    if batch.volumes and instrument.has_volume:
        volume = price_of(batch.volumes[index], batch.size_exponent)
    return Row(
        Cause(batch.times_us[index], batch.instrument_id, batch.feed_id, batch.sequence + index),
        (batch.opens[index], batch.highs[index], batch.lows[index], batch.closes[index]),
        volume,
        1,
    )


def _refusal(reading: Reading, row: Row, series: Series) -> QualityFinding | None:
    """Why this row goes no further, or None."""
    end_us, exponent = row.cause.event_time_us, reading.exponent
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
        detail = "high and low do not hold open and close"
        return finding(row.cause, QualityCode.BAR_RANGE, REFUSED, value=told, detail=detail)
    if low <= 0 and not reading.instrument.price_may_be_negative:
        code = QualityCode.ZERO_PRICE if low == 0 else QualityCode.NEGATIVE_PRICE
        price = str(price_of(low, exponent))
        return finding(row.cause, code, REFUSED, value=price, limit="0", detail="illegal for this instrument")
    if row.volume is not None and row.volume < 0:
        detail = "a volume below zero"
        return finding(row.cause, QualityCode.MALFORMED, REFUSED, value=str(row.volume), limit="0", detail=detail)
    return None


def _flag_prices(reading: Reading, row: Row, outputs: list[Record]) -> None:
    """Legal prices at or below zero, and prices off the tick."""
    low = row.scaled[2]
    if low <= 0:
        code = QualityCode.NEGATIVE_PRICE if low < 0 else QualityCode.ZERO_PRICE
        price = str(price_of(low, reading.exponent))
        outputs.append(finding(row.cause, code, FLAGGED, value=price, limit="0", detail="legal for this instrument"))
    if any(price % reading.tick for price in row.scaled):
        told = "/".join(str(price_of(price, reading.exponent)) for price in row.scaled)
        limit = str(reading.instrument.tick_size)
        outputs.append(finding(row.cause, QualityCode.PRECISION, FLAGGED, value=told, limit=limit))


def _flag_range(reading: Reading, row: Row, series: Series, outputs: list[Record]) -> None:
    """The first of a run of bars without a range, and how long the run was when it ends."""
    if not series.flat_run:
        price, detail = str(price_of(row.scaled[3], reading.exponent)), "a bar without a range"
        outputs.append(finding(row.cause, QualityCode.FLAT_BAR, FLAGGED, value=price, detail=detail))
    elif series.flat_run > 1:
        run = str(series.flat_run)
        detail = f"{run} bars in a row had no range"
        outputs.append(finding(row.cause, QualityCode.FLAT_BAR, FLAGGED, value=run, limit="1", detail=detail))


def _flag_size(
    instrument: Instrument,
    cause: Cause,
    prices: tuple[float, float, float, float],
    turnover: float | None,
    series: Series,
    outputs: list[Record],
) -> None:
    """A move that looks like a split, or like nothing that was usual: one or the other."""
    if instrument.instrument_class in SPLIT_CLASSES:
        ratio = split_ratio(series, prices[0], prices[3], turnover)
        if ratio:
            detail = f"opens at {prices[0]:g} after {series.close:g}, with the usual turnover"
            outputs.append(finding(cause, QualityCode.SPLIT_SUSPECTED, FLAGGED, value=f"{ratio:g}", detail=detail))
            return
    limit = OUTLIER_LIMIT[instrument.instrument_class]
    score = outlier_score(series, prices, instrument, limit)
    if score:
        detail = f"{min(prices):g} to {max(prices):g} after {series.close:g}"
        outputs.append(
            finding(cause, QualityCode.OUTLIER, FLAGGED, value=f"{score:.1f}", limit=f"{limit:g}", detail=detail)
        )
