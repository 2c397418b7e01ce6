"""The room: who folds what."""

from collections.abc import Collection, Iterable, Mapping
from typing import ClassVar

import msgspec

from schemas import metrics
from schemas.market import BarBatch, Heartbeat, QualityAction, QualityCode, QuoteBatch, TradeBatch
from schemas.record import Part, Record
from schemas.reference import Instrument, TradingSession, TradingStatus
from schemas.scalars import SCALE, SECOND_US
from schemas.topics import MARKET_TICKS, Topic
from streams.market_data.bars import fold_bars
from streams.market_data.halts import fold_status
from streams.market_data.rules.calendars import calendar_of
from streams.market_data.rules.quality import Cause, finding
from streams.market_data.silence import find_stale, fold_heartbeat
from streams.market_data.state import Forming, Header, Market, Reference, Series
from streams.market_data.ticks import fold_ticks
from streams.runtime.room import Outcome, Reading, Room

_FINEST, _COARSEST = -SCALE, 3
"""Scales that hold every 64-bit number within the digits of the wire."""
_END_OF_TIME_US = 4_102_444_800 * SECOND_US  # the year 2100


class MarketData(Room[Market, Reference]):
    """Reads market.ticks. Writes market.bars, market.quality, market.marks, strategies.inbox. Keeps one Market each.

    What it says of a bar comes in this order: findings, condition, bar, mark; so whoever reads `strategies.inbox` knows
    the condition when the bar arrives.
    """

    name: ClassVar[str] = "market_data"
    reads: ClassVar[Topic] = MARKET_TICKS
    part_types: ClassVar[Mapping[str, type[Part]]] = {"header": Header, "series": Series, "forming": Forming}
    shared_type: ClassVar[type[Part]] = Reference

    def begin(self, key: str) -> Market:
        return Market(header=Header(instrument_id=key))

    def begin_shared(self) -> Reference:
        return Reference()

    def fold(self, state: Market, shared: Reference, record: Record) -> Outcome[Market]:
        outputs: list[Record] = []
        match record:
            case BarBatch() | QuoteBatch() | TradeBatch() if self._may_fold(shared, record, outputs):
                instrument = shared.instruments[record.instrument_id]
                calendar = shared.calendars.get(instrument.calendar)
                if isinstance(record, BarBatch):
                    state = fold_bars(state, instrument, calendar, record, outputs)
                else:
                    state = fold_ticks(state, instrument, calendar, record, outputs)
                if len(state.header.cursors) > 1:
                    cause = Cause(record.times_us[-1], record.instrument_id, record.feed_id, record.sequence)
                    state = find_stale(state, instrument, calendar, cause, outputs)
            case TradingStatus() if record.instrument_id in shared.instruments:
                state = fold_status(state, shared.instruments[record.instrument_id], record, outputs)
            case Heartbeat() if state.header.instrument_id in shared.instruments:
                instrument = shared.instruments[state.header.instrument_id]
                calendar = shared.calendars.get(instrument.calendar)
                state = fold_heartbeat(state, instrument, calendar, record, outputs)
            case _:
                pass
        return Outcome(state, tuple(outputs))

    def fold_shared(self, shared: Reference, record: Record) -> Outcome[Reference]:
        match record:
            case Instrument():
                known = shared.instruments.get(record.instrument_id)
                if known is None or known.version < record.version:
                    instruments = {**shared.instruments, record.instrument_id: record}
                    return Outcome(msgspec.structs.replace(shared, instruments=instruments))
            case TradingSession():
                told = shared.calendars.get(record.calendar)
                if told is None or told.version < record.version:
                    calendars = {**shared.calendars, record.calendar: calendar_of(record)}
                    return Outcome(msgspec.structs.replace(shared, calendars=calendars))
            case _:
                pass
        return Outcome(shared)

    def parts(self, state: Market) -> Mapping[str, Part]:
        return {
            "header": state.header,
            **{f"series:{name}": series for name, series in state.series.items()},
            **{f"forming:{name}": bar for name, bar in state.forming.items()},
        }

    def assemble(self, key: str, parts: Mapping[str, Part]) -> Market:
        header = parts["header"]
        assert isinstance(header, Header)
        members = {name.partition(":")[2]: part for name, part in parts.items()}
        return Market(
            header=header,
            series={name: part for name, part in members.items() if isinstance(part, Series)},
            forming={name: part for name, part in members.items() if isinstance(part, Forming)},
        )

    def interests(self, state: Market) -> Collection[str]:
        return state.header.feeds

    def touches(self, record: Record) -> Collection[str]:
        return (record.feed_id,) if isinstance(record, Heartbeat) else ()

    def readings(self, state: Market, shared: Reference) -> Iterable[Reading]:
        """How the instrument's market stands, and its newest tick."""
        header = state.header
        yield Reading(metrics.INSTRUMENTS, (header.status,), 1)
        if header.cursors:
            newest_us = max(cursor.time_us for cursor in header.cursors.values())
            yield Reading(metrics.TICK_AGE_SECONDS, (header.instrument_id,), newest_us, is_time=True)

    def _may_fold(self, shared: Reference, batch: BarBatch | QuoteBatch | TradeBatch, outputs: list[Record]) -> bool:
        """Whether the batch is of a known instrument and whole; otherwise say why it is refused."""
        rows = len(batch.times_us)
        if batch.instrument_id not in shared.instruments:
            code, value, detail = QualityCode.UNKNOWN_INSTRUMENT, batch.instrument_id[:64], "no definition was told"
        elif not _is_whole(batch):
            code, value, detail = (
                QualityCode.MALFORMED,
                str(rows),
                "columns of different lengths or none, or a scale or time that cannot be",
            )
        else:
            return True
        cause = Cause(batch.event_time_us, batch.instrument_id, batch.feed_id, batch.sequence)
        outputs.append(finding(cause, code, QualityAction.REFUSED, value=value, detail=detail, count=max(rows, 1)))
        return False


def _is_whole(batch: BarBatch | QuoteBatch | TradeBatch) -> bool:
    """Whether all columns have the same length, which is not nothing, and scale and times are such as exist."""
    rows, times = len(batch.times_us), batch.times_us
    if not (rows and batch.sequence > 0):
        return False
    first, last = (times[0], times[0]) if rows == 1 else (min(times), max(times))
    if not (first > 0 and last < _END_OF_TIME_US):
        return False
    if not (_FINEST <= batch.price_exponent <= _COARSEST and _FINEST <= batch.size_exponent <= _COARSEST):
        return False
    match batch:
        case BarBatch():
            prices_whole = rows == len(batch.opens) == len(batch.highs) == len(batch.lows) == len(batch.closes)
            return prices_whole and len(batch.volumes) in (0, rows) and batch.interval_us > 0
        case QuoteBatch():
            sizes_whole = len(batch.bid_sizes) in (0, rows) and len(batch.ask_sizes) in (0, rows)
            return rows == len(batch.bids) == len(batch.asks) and sizes_whole
        case TradeBatch():
            return rows == len(batch.prices) and len(batch.sizes) in (0, rows)
