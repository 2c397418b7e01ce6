"""Silence: what a heartbeat tells. It closes bars, and shows which streams stopped and whether the market is shut.

A stream is stale when it was silent for longer than its bound of trading time while its feed was alive, or while
another stream of the instrument went on. Silence outside sessions is no fault.
"""

import msgspec

from schemas.market import Heartbeat, MarketStatus, QualityAction, QualityCode
from schemas.record import Record
from schemas.reference import Instrument
from schemas.scalars import SECOND_US, iso_of
from streams.market_data.forming import close_due
from streams.market_data.rules.calendars import is_open, open_between
from streams.market_data.rules.quality import Cause, finding
from streams.market_data.rules.volatility import condition_of
from streams.market_data.state import Calendar, Cursor, Market, newest_series

TICKS_SILENT_US = 300 * SECOND_US
BARS_SILENT = 5
"""Bars that may be missing before a stream of bars is stale."""


def fold_heartbeat(
    market: Market, instrument: Instrument, calendar: Calendar | None, heartbeat: Heartbeat, outputs: list[Record]
) -> Market:
    """The feed is alive and has told all it knows up to the event time."""
    now_us, feed_id = heartbeat.event_time_us, heartbeat.feed_id
    cause = Cause(now_us, instrument.instrument_id, feed_id, 0)
    market = close_due(market, instrument, calendar, cause, outputs)
    market = find_stale(market, instrument, calendar, cause, outputs, f"{feed_id}/")
    header = market.header
    status, reason = header.status, ""
    if header.halted:
        status, reason = MarketStatus.HALTED, header.halted
    elif is_open(instrument.calendar, calendar, now_us) is False:
        status, reason = MarketStatus.CLOSED, f"{instrument.calendar} is closed"
    elif header.cursors and all(cursor.stale for cursor in header.cursors.values()):
        status, reason = MarketStatus.STALE, "every stream is silent"
    elif status in (MarketStatus.CLOSED, MarketStatus.STALE):
        status, reason = MarketStatus.OPEN, "the market is open and told"
    if status is header.status:
        return market
    outputs.append(condition_of(newest_series(market), instrument, now_us, status, reason))
    return msgspec.structs.replace(market, header=msgspec.structs.replace(header, status=status))


def find_stale(
    market: Market,
    instrument: Instrument,
    calendar: Calendar | None,
    cause: Cause,
    outputs: list[Record],
    prefix: str = "",
) -> Market:
    """Say which streams (with this prefix) are silent for too long at the time of the cause; each is said once."""
    now_us = cause.event_time_us
    silent: dict[str, Cursor] = {}
    for name, cursor in market.header.cursors.items():
        bound_us = _bound_us(name)
        if cursor.stale or now_us - cursor.time_us <= bound_us or not name.startswith(prefix):
            continue
        if open_between(instrument.calendar, calendar, cursor.time_us, now_us) > bound_us:
            silent[name] = msgspec.structs.replace(cursor, stale=True)
            outputs.append(
                finding(
                    msgspec.structs.replace(cause, feed_id=name.partition("/")[0], sequence=cursor.sequence),
                    QualityCode.STALE,
                    QualityAction.FLAGGED,
                    value=f"{(now_us - cursor.time_us) // SECOND_US} s",
                    limit=f"{bound_us // SECOND_US} s",
                    detail=f"{name.partition('/')[2]} silent since {iso_of(cursor.time_us)}",
                )
            )
    if not silent:
        return market
    header = msgspec.structs.replace(market.header, cursors={**market.header.cursors, **silent})
    return msgspec.structs.replace(market, header=header)


def _bound_us(stream: str) -> int:
    """How long a stream may be silent while its market trades."""
    kind, _, interval = stream.partition("/")[2].partition("/")
    return int(interval) * BARS_SILENT if kind == "bars" else TICKS_SILENT_US
