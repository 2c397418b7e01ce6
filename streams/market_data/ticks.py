"""Ticks: quotes and trades in columns. What cannot be is refused, the rest becomes one mark and bars.

Columns are numpy arrays (docs/decisions/numpy-for-ticks.md), so that a rule costs nanoseconds a row. There is at most
one finding for each rule and batch; its `count` says for how many rows it stands.

Marks and bars are made of trades, and of the middle between bid and ask while no trades are told. A price farther from
the last believed one than `OUTLIER_LIMIT` robust deviations of a bar is refused, unless the one before it was refused
and is near, or two before it were, or the last believed one is a bar's length old: so a lone wild print goes no
further, and a market that really jumped is followed from its second or third price on.
"""

from collections.abc import Iterator
from decimal import Decimal
from math import log
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from schemas.market import Mark, QualityAction, QualityCode, QualityFinding, QuoteBatch, TradeBatch
from schemas.record import Record
from schemas.reference import Instrument
from schemas.scalars import iso_of
from streams.market_data.forming import TIME, Integers, Ticks, form
from streams.market_data.rules.quality import (
    OUTLIER_LIMIT,
    Cause,
    finding,
    price_of,
    robust_scale,
    ticks_of,
    told_already,
)
from streams.market_data.state import Calendar, Cursor, Header, Market, Series

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

REFUSED = QualityAction.REFUSED
FLAGGED = QualityAction.FLAGGED
PRICE_BOUND = 2**59
"""Scaled prices are smaller, so that the middle of two fits 64 bits ten times over."""
SIZE_BOUND = 2**44
"""Scaled sizes are smaller, so that a hundred thousand of them can be added in 64 bits."""
DOUBTS_MAX = 2
"""Prices refused in a row before the next is believed wherever it is."""

_NEVER = Cursor()


class Columns(NamedTuple):
    """A batch as arrays, without the rows told before.

    low, high: bid and ask of quotes; the price twice of trades
    prices: what marks and bars are made of, times ten to `exponent`
    """

    cause: Cause
    times: Integers
    low: Integers
    high: Integers
    prices: Integers
    exponent: int
    sizes: tuple[Integers, ...]
    batch: QuoteBatch | TradeBatch


def fold_ticks(
    market: Market,
    instrument: Instrument,
    calendar: Calendar | None,
    batch: QuoteBatch | TradeBatch,
    outputs: list[Record],
) -> Market:
    """Fold every row of a whole batch that is not known yet; what there is to say goes to `outputs`."""
    header, rows = market.header, len(batch.times_us)
    kind = "quotes" if isinstance(batch, QuoteBatch) else "trades"
    stream = f"{batch.feed_id}/{kind}"
    cursor = header.cursors.get(stream, _NEVER)
    cause = Cause(batch.event_time_us, batch.instrument_id, batch.feed_id, batch.sequence)
    skip, said = told_already(rows, cursor, cause)
    if said is not None:
        outputs.append(said)
    if skip == rows:
        return market
    columns = _columns(batch, skip, cause)
    if columns is None:
        detail = "prices or sizes too large to be"
        outputs.append(
            finding(cause, QualityCode.MALFORMED, REFUSED, value=str(rows), detail=detail, count=rows - skip)
        )
        return market
    keep = _judged(columns, instrument, max(cursor.time_us, _closed_us(market, instrument)), outputs)
    leads = kind == "trades" or not _is_told(header, "/trades", f"/bars/{instrument.tick_bar_us}")
    if leads:
        keep, header = _believed(columns, keep, market, instrument, outputs)
    newest_us = int(columns.times[keep].max(initial=cursor.time_us))
    header = msgspec.structs.replace(
        header,
        feeds=header.feeds if batch.feed_id in header.feeds else tuple(sorted({*header.feeds, batch.feed_id})),
        cursors={**header.cursors, stream: Cursor(sequence=batch.sequence + rows - 1, time_us=newest_us)},
    )
    market = msgspec.structs.replace(market, header=header)
    if not leads or not keep.any():
        return market
    ticks = Ticks(
        cause,
        columns.times[keep],
        columns.prices[keep],
        columns.exponent,
        columns.sizes[0][keep] if kind == "trades" and columns.sizes else None,
        batch.size_exponent,
    )
    if not _is_told(header, f"/bars/{instrument.tick_bar_us}"):
        market = form(market, instrument, calendar, ticks, outputs)
    return msgspec.structs.replace(market, header=_marked(market.header, ticks, outputs))


def _columns(batch: QuoteBatch | TradeBatch, skip: int, cause: Cause) -> Columns | None:
    """The batch as arrays; None where a number does not fit."""
    raw = (batch.bids, batch.asks) if isinstance(batch, QuoteBatch) else (batch.prices,)
    raw_sizes = (batch.bid_sizes, batch.ask_sizes) if isinstance(batch, QuoteBatch) else (batch.sizes,)
    rows = len(batch.times_us) - skip
    try:
        times, *prices = (
            np.fromiter(column[skip:] if skip else column, dtype=np.int64, count=rows)
            for column in (batch.times_us, *raw)
        )
        sizes = tuple(
            np.fromiter(column[skip:] if skip else column, dtype=np.int64, count=rows) for column in raw_sizes if column
        )
    except OverflowError:
        return None
    if any(int(column.max()) >= PRICE_BOUND or int(column.min()) <= -PRICE_BOUND for column in prices):
        return None
    if any(int(column.max()) >= SIZE_BOUND or int(column.min()) <= -SIZE_BOUND for column in sizes):
        return None
    low, high = prices[0], prices[-1]
    cause = msgspec.structs.replace(cause, sequence=cause.sequence + skip)
    if isinstance(batch, QuoteBatch):
        return Columns(cause, times, low, high, (low + high) * 5, batch.price_exponent - 1, sizes, batch)
    return Columns(cause, times, low, high, low, batch.price_exponent, sizes, batch)


def _judged(columns: Columns, instrument: Instrument, after_us: int, outputs: list[Record]) -> Mask:
    """Which rows go on; what is refused or flagged is said."""
    keep = np.ones(len(columns.times), dtype=np.bool_)
    for code, action, broken, limit in _rules(columns, instrument, after_us):
        hit = broken & keep
        if hit.any():
            outputs.append(_finding(columns, code, action, hit, limit))
            if action is REFUSED:
                keep &= ~hit
    return keep


def _rules(
    columns: Columns, instrument: Instrument, after_us: int
) -> Iterator[tuple[QualityCode, QualityAction, Mask, str]]:
    """Every rule that at least one row breaks: code, action, the rows, and the bound."""
    times, low, high = columns.times, columns.low, columns.high
    if any(int(size.min()) < 0 for size in columns.sizes):
        yield QualityCode.MALFORMED, REFUSED, np.logical_or.reduce([size < 0 for size in columns.sizes]), "size 0"
    if int(times[0]) < after_us or (times[1:] < times[:-1]).any():
        newest = np.maximum.accumulate(np.maximum(times, after_us))
        yield QualityCode.OUT_OF_ORDER, REFUSED, times < newest, iso_of(int(newest.max()))
    if isinstance(columns.batch, QuoteBatch):
        if (high <= low).any():
            yield QualityCode.CROSSED, REFUSED, high < low, "bid <= ask"
            yield QualityCode.LOCKED, FLAGGED, high == low, "bid < ask"
        same = np.zeros(len(times), dtype=np.bool_)
        np.equal(times[1:], times[:-1], out=same[1:])
        if same.any():
            yield QualityCode.DUPLICATE, FLAGGED, same, "one quote at a time"
    if int(low.min()) <= 0:
        action = FLAGGED if instrument.price_may_be_negative else REFUSED
        yield QualityCode.NEGATIVE_PRICE, action, low < 0, "0"
        yield QualityCode.ZERO_PRICE, action, low == 0, "0"
    tick = ticks_of(instrument, columns.batch.price_exponent)
    if tick > 1:
        yield QualityCode.PRECISION, FLAGGED, (low % tick != 0) | (high % tick != 0), str(instrument.tick_size)


def _believed(
    columns: Columns, keep: Mask, market: Market, instrument: Instrument, outputs: list[Record]
) -> tuple[Mask, Header]:
    """Which of the kept rows have a price that can be believed, and the header that remembers the last one."""
    header, rows = market.header, np.flatnonzero(keep)
    if not len(rows):
        return keep, header
    unit = 10.0**columns.exponent
    prices: Floats = np.asarray(columns.prices[rows] * unit, dtype=np.float64)
    series = market.series.get(str(instrument.tick_bar_us), _NO_SERIES)
    width = robust_scale(series, instrument, header.last) * OUTLIER_LIMIT[instrument.instrument_class]
    last_us = int(columns.times[rows[-1]])
    if not header.last or not width:
        return keep, msgspec.structs.replace(header, last=float(prices[-1]), last_us=last_us, suspect=0.0, doubts=0)
    by_difference = instrument.price_may_be_negative
    before = np.concatenate(([header.last], prices[:-1]))
    if not (header.doubts or _outside(prices, before, width, by_difference).any()):
        return keep, msgspec.structs.replace(header, last=float(prices[-1]), last_us=last_us)
    verdict = _walked(columns.times[rows].tolist(), prices.tolist(), header, instrument, width)
    limit = f"{OUTLIER_LIMIT[instrument.instrument_class]:g} robust deviations from {header.last:g}"
    for action, positions in ((REFUSED, verdict.refused), (FLAGGED, verdict.believed)):
        if positions:
            hit = np.zeros(len(keep), dtype=np.bool_)
            hit[rows[positions]] = True
            outputs.append(_finding(columns, QualityCode.OUTLIER, action, hit, limit))
    keep = keep.copy()
    keep[rows[verdict.refused]] = False
    return keep, msgspec.structs.replace(
        header, last=verdict.last, last_us=verdict.last_us, suspect=verdict.suspect, doubts=verdict.doubts
    )


class Verdict(NamedTuple):
    """Positions of prices far from the last believed one, refused or believed after all, and what is remembered."""

    refused: list[int]
    believed: list[int]
    last: float
    last_us: int
    suspect: float
    doubts: int


def _walked(times: list[int], prices: list[float], header: Header, instrument: Instrument, width: float) -> Verdict:
    """Judge one price after the other."""
    last, last_us, suspect, doubts = header.last, header.last_us, header.suspect, header.doubts
    by_difference = instrument.price_may_be_negative
    refused, believed = [], []
    for position, (time_us, price) in enumerate(zip(times, prices, strict=True)):
        confirmed = doubts >= DOUBTS_MAX or (doubts and _is_near(price, suspect, width, by_difference))
        if _is_near(price, last, width, by_difference):
            last, last_us, doubts = price, time_us, 0
        elif confirmed or time_us - last_us >= instrument.tick_bar_us:
            believed.append(position)
            last, last_us, doubts = price, time_us, 0
        else:
            refused.append(position)
            suspect, doubts = price, doubts + 1
    return Verdict(refused, believed, last, last_us, suspect if doubts else 0.0, doubts)


def _is_near(price: float, centre: float, width: float, by_difference: bool) -> bool:
    if by_difference or centre <= 0 or price <= 0:
        return abs(price - centre) <= width
    return abs(log(price / centre)) <= width


def _outside(prices: Floats, centres: Floats, width: float, by_difference: bool) -> Mask:
    """Which prices are farther from their centres than `width`, a price difference or a log return."""
    if by_difference or float(prices.min()) <= 0 or float(centres.min()) <= 0:
        return np.abs(prices - centres) > width
    return np.abs(np.log(prices / centres)) > width


def _marked(header: Header, ticks: Ticks, outputs: list[Record]) -> Header:
    """Say one mark for all ticks; its time rises, so extremes of a repeated time wait for the next mark."""
    last = price_of(int(ticks.prices[-1]), ticks.exponent)
    low = price_of(int(ticks.prices.min()), ticks.exponent)
    high = price_of(int(ticks.prices.max()), ticks.exponent)
    if header.unmarked_low is not None and header.unmarked_high is not None:
        low, high = min(low, header.unmarked_low), max(high, header.unmarked_high)
    time_us = int(ticks.times[-1])
    if time_us <= header.mark_us:
        return msgspec.structs.replace(header, unmarked_low=low, unmarked_high=high)
    volume: Decimal | None = None
    if ticks.sizes is not None:
        volume = price_of(int(ticks.sizes.sum()), ticks.size_exponent)
    outputs.append(
        Mark(event_time_us=time_us, instrument_id=header.instrument_id, last=last, low=low, high=high, volume=volume)
    )
    return msgspec.structs.replace(header, mark_us=time_us, unmarked_low=None, unmarked_high=None)


def _finding(columns: Columns, code: QualityCode, action: QualityAction, hit: Mask, limit: str) -> QualityFinding:
    """One finding for all rows hit, with the values of the first."""
    first = int(np.argmax(hit))
    exponent = columns.batch.price_exponent
    low, high = (price_of(int(column[first]), exponent) for column in (columns.low, columns.high))
    time_us = int(columns.times[first])
    if code is QualityCode.OUT_OF_ORDER:
        value = iso_of(time_us)
    else:
        value = f"{low}/{high}" if isinstance(columns.batch, QuoteBatch) else str(low)
    cause = msgspec.structs.replace(columns.cause, event_time_us=time_us, sequence=columns.cause.sequence + first)
    return finding(cause, code, action, value=value, limit=limit, count=int(hit.sum()))


def _closed_us(market: Market, instrument: Instrument) -> int:
    """Start of the first time bar that is not closed: an older tick comes too late for its bar."""
    forming = market.forming.get(TIME)
    if forming is not None:
        return forming.end_us - instrument.tick_bar_us
    return market.series[str(instrument.tick_bar_us)].end_us if str(instrument.tick_bar_us) in market.series else 0


def _is_told(header: Header, *words: str) -> bool:
    """Whether a stream whose name holds one of these words is told and not silent."""
    return any(not cursor.stale and any(word in name for word in words) for name, cursor in header.cursors.items())


_NO_SERIES = Series()
