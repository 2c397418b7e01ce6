"""Forming: bars made of ticks, by time and by traded quantity.

A tick belongs to the time bar [start, end) that holds its time; the bar is closed by the first tick at or after its
end, or by a heartbeat of the feed. A volume bar is closed by the trade that fills it; that trade is not split, and
trades of the same microsecond are not parted. Intervals without a tick make no bar.
"""

from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from schemas.market import Bar, BarKind, MarketStatus
from schemas.record import Record
from schemas.reference import Instrument
from streams.market_data.bars import Reading, Row, admit
from streams.market_data.rules.quality import Cause, price_of
from streams.market_data.state import Calendar, Forming, Market, Series

Integers = npt.NDArray[np.int64]

TIME = "time"
VOLUME = "volume"


class Ticks(NamedTuple):
    """Ticks of one batch that go on, as columns; never empty.

    prices: times ten to `exponent`
    sizes: times ten to `size_exponent`; absent where the feed gives none
    """

    cause: Cause
    times: Integers
    prices: Integers
    exponent: int
    sizes: Integers | None
    size_exponent: int


def form(
    market: Market, instrument: Instrument, calendar: Calendar | None, ticks: Ticks, outputs: list[Record]
) -> Market:
    """Add ticks to the bars being made; those that are closed go to `outputs`."""
    if instrument.tick_bar_us:
        market = _form_by_time(market, instrument, calendar, ticks, outputs)
    if instrument.tick_bar_volume is not None and ticks.sizes is not None:
        market = _form_by_volume(market, instrument.tick_bar_volume, ticks, outputs)
    return market


def close_due(
    market: Market, instrument: Instrument, calendar: Calendar | None, cause: Cause, outputs: list[Record]
) -> Market:
    """Close the time bar whose end is not after the time of the cause: no more ticks of it will come."""
    forming = market.forming.get(TIME)
    if forming is None or forming.end_us > cause.event_time_us or not instrument.tick_bar_us:
        return market
    rest = {kind: bar for kind, bar in market.forming.items() if kind != TIME}
    return _closed(msgspec.structs.replace(market, forming=rest), instrument, calendar, forming, cause, outputs)


def _form_by_time(
    market: Market, instrument: Instrument, calendar: Calendar | None, ticks: Ticks, outputs: list[Record]
) -> Market:
    interval_us = instrument.tick_bar_us
    buckets = ticks.times // interval_us
    starts = [0, *(np.flatnonzero(buckets[1:] != buckets[:-1]) + 1).tolist(), len(buckets)]
    forming = market.forming.get(TIME)
    for start, end in pairwise(starts):
        end_us = (int(buckets[start]) + 1) * interval_us
        if forming is not None and forming.end_us != end_us:
            market = _closed(market, instrument, calendar, forming, ticks.cause, outputs)
            forming = None
        forming = _extended(forming, end_us, ticks, start, end)
    assert forming is not None
    return msgspec.structs.replace(market, forming={**market.forming, TIME: forming})


def _form_by_volume(market: Market, full: Decimal, ticks: Ticks, outputs: list[Record]) -> Market:
    assert ticks.sizes is not None
    forming = market.forming.get(VOLUME)
    units = int(full.scaleb(-ticks.size_exponent).to_integral_value(rounding="ROUND_CEILING"))
    held = int(forming.volume.scaleb(-ticks.size_exponent)) if forming is not None and forming.volume else 0
    filled = np.cumsum(ticks.sizes) + held
    start, rows = 0, len(filled)
    while start < rows:
        reached = int(np.searchsorted(filled[start:], units)) + start
        end = rows if reached >= rows else int(np.searchsorted(ticks.times, ticks.times[reached], side="right"))
        forming = _extended(forming, int(ticks.times[end - 1]), ticks, start, end)
        if reached < rows:
            outputs.append(_volume_bar(forming, ticks.cause.instrument_id))
            filled = filled - filled[end - 1]
            forming = None
        start = end
    rest = {kind: bar for kind, bar in market.forming.items() if kind != VOLUME}
    return msgspec.structs.replace(market, forming=rest if forming is None else {**rest, VOLUME: forming})


def _extended(forming: Forming | None, end_us: int, ticks: Ticks, start: int, end: int) -> Forming:
    """The bar with rows start..end-1 of the ticks."""
    prices = ticks.prices[start:end]
    opened, close = int(prices[0]), int(prices[-1])
    high, low, exponent = int(prices.max()), int(prices.min()), ticks.exponent
    count = end - start
    volume = None
    if ticks.sizes is not None:
        volume = price_of(int(ticks.sizes[start:end].sum()), ticks.size_exponent)
    if forming is not None:
        finer = min(exponent, forming.exponent)
        old, new = 10 ** (forming.exponent - finer), 10 ** (exponent - finer)
        opened, close, exponent = forming.open * old, close * new, finer
        high, low = max(forming.high * old, high * new), min(forming.low * old, low * new)
        count += forming.count
        volume = volume if forming.volume is None else forming.volume + (volume or 0)
    return Forming(
        end_us=end_us,
        exponent=exponent,
        open=opened,
        high=high,
        low=low,
        close=close,
        count=count,
        volume=volume,
    )


def _closed(
    market: Market,
    instrument: Instrument,
    calendar: Calendar | None,
    forming: Forming,
    cause: Cause,
    outputs: list[Record],
) -> Market:
    """The market after a time bar is done; the bar is judged as one of a feed is."""
    key = str(instrument.tick_bar_us)
    series = market.series.get(key) or Series()
    if forming.end_us <= series.end_us:
        return market
    # the ticks were held to the tick size themselves, and the middle of two need not be on it
    reading = Reading(
        instrument, calendar, instrument.tick_bar_us, forming.exponent, tick=1, halted=market.header.halted
    )
    row = Row(
        msgspec.structs.replace(cause, event_time_us=forming.end_us),
        (forming.open, forming.high, forming.low, forming.close),
        forming.volume if instrument.has_volume else None,
        forming.count,
    )
    series, status = admit(reading, row, series, outputs)
    header = market.header
    if status is not MarketStatus.OPEN or header.status is not MarketStatus.OPEN:
        header = msgspec.structs.replace(header, status=status)
    return msgspec.structs.replace(market, header=header, series={**market.series, key: series})


def _volume_bar(forming: Forming, instrument_id: str) -> Bar:
    return Bar(
        event_time_us=forming.end_us,
        instrument_id=instrument_id,
        interval_us=0,
        kind=BarKind.VOLUME,
        open=price_of(forming.open, forming.exponent),
        high=price_of(forming.high, forming.exponent),
        low=price_of(forming.low, forming.exponent),
        close=price_of(forming.close, forming.exponent),
        volume=forming.volume,
        count=forming.count,
    )
