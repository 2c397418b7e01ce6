"""The room: who folds what."""

from collections.abc import Collection, Mapping
from typing import ClassVar

import msgspec

from schemas.market import BarBatch, Heartbeat, QualityAction, QualityCode, QuoteBatch, TradeBatch
from schemas.record import Part, Record
from schemas.reference import Instrument, TradingSession
from schemas.scalars import SECOND_US
from schemas.topics import MARKET_TICKS, Topic
from streams.market_data.bars import fold_bars
from streams.market_data.calendars import calendar_of
from streams.market_data.quality import Cause, finding
from streams.market_data.state import Header, Market, Reference, Series
from streams.runtime.room import Outcome, Room

_EXPONENTS = (-12, 6)
"""Scales that hold every 64-bit price within the digits of the wire."""
_END_OF_TIME_US = 4_102_444_800 * SECOND_US  # the year 2100


class MarketData(Room[Market, Reference]):
    """Reads market.ticks. Writes market.bars, market.quality, market.marks, strategies.inbox. Keeps one Market each.

    What it says of a bar comes in this order: findings, condition, bar, mark; so whoever reads `strategies.inbox` knows
    the condition when the bar arrives.
    """

    name: ClassVar[str] = "market_data"
    reads: ClassVar[Topic] = MARKET_TICKS
    part_types: ClassVar[Mapping[str, type[Part]]] = {"header": Header, "series": Series}
    shared_type: ClassVar[type[Part]] = Reference

    def begin(self, key: str) -> Market:
        return Market(header=Header(instrument_id=key))

    def begin_shared(self) -> Reference:
        return Reference()

    def fold(self, state: Market, shared: Reference, record: Record) -> Outcome[Market]:
        outputs: list[Record] = []
        match record:
            case BarBatch() if self._may_fold(shared, record, outputs):
                instrument = shared.instruments[record.instrument_id]
                calendar = shared.calendars.get(instrument.calendar)
                state = fold_bars(state, instrument, calendar, record, outputs)
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
            case Heartbeat():
                if shared.alive_us.get(record.feed_id, 0) < record.event_time_us:
                    alive_us = {**shared.alive_us, record.feed_id: record.event_time_us}
                    return Outcome(msgspec.structs.replace(shared, alive_us=alive_us))
            case _:
                pass
        return Outcome(shared)

    def parts(self, state: Market) -> Mapping[str, Part]:
        return {"header": state.header} | {f"series:{name}": series for name, series in state.series.items()}

    def assemble(self, key: str, parts: Mapping[str, Part]) -> Market:
        header = parts["header"]
        assert isinstance(header, Header)
        series = {name.partition(":")[2]: part for name, part in parts.items() if isinstance(part, Series)}
        return Market(header=header, series=series)

    def interests(self, state: Market) -> Collection[str]:
        return state.header.cursors

    def touches(self, record: Record) -> Collection[str]:
        return (record.feed_id,) if isinstance(record, Heartbeat) else ()

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
    rows = len(batch.times_us)
    if not (rows and _EXPONENTS[0] <= batch.price_exponent <= _EXPONENTS[1]):
        return False
    if not (_EXPONENTS[0] <= batch.size_exponent <= _EXPONENTS[1] and batch.sequence > 0):
        return False
    if not (min(batch.times_us) > 0 and max(batch.times_us) < _END_OF_TIME_US):
        return False
    columns: tuple[list[int], ...]
    sizes: tuple[list[int], ...]
    match batch:
        case BarBatch():
            columns, sizes = (batch.opens, batch.highs, batch.lows, batch.closes), (batch.volumes,)
            if batch.interval_us <= 0:
                return False
        case QuoteBatch():
            columns, sizes = (batch.bids, batch.asks), (batch.bid_sizes, batch.ask_sizes)
        case TradeBatch():
            columns, sizes = (batch.prices,), (batch.sizes,)
    return all(len(column) == rows for column in columns) and all(len(size) in (0, rows) for size in sizes)
