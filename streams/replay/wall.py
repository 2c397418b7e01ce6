"""Recorded markets in wall time: what was recorded at one time is told as if it happened now. Pure.

Nothing but times changes, and the calendar: prices, sizes, sequences and the length of a bar stay as they were. So a
bar of a day still says that it is one, and volatility is still that of days, though the next day comes a moment later.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

from msgspec.structs import replace

from connectors.feeds.tables import Batch
from schemas.market import BarBatch, Heartbeat
from schemas.record import Record
from schemas.reference import Instrument
from streams.replay.plan import Recorded
from streams.runtime.schedule import Step

AROUND_THE_CLOCK = "24/7"
"""A calendar by its name in `Instrument`."""


class Beat(NamedTuple):
    """All that was recorded for one event time, of all instruments, in the order in which it is told."""

    time_us: int
    records: list[Record]


def beats(steps: Iterable[Step]) -> Iterator[Beat]:
    """Steps in order of (time, instrument), together by time."""
    for time_us, at_once in groupby(steps, key=lambda step: step.time_us):
        yield Beat(time_us, [record for step in at_once for record in step.records])


class Played:
    """A recorded market that is open whenever somebody plays it."""

    def __init__(self, recorded: Recorded):
        self._recorded = recorded

    @property
    def instruments(self) -> list[Instrument]:
        """Definitions, in instrument order."""
        return [replace(one, calendar=AROUND_THE_CLOCK) for one in self._recorded.instruments]

    def steps(self, from_us: int, to_us: int) -> Iterator[Step]:
        """As they were recorded."""
        return self._recorded.steps(from_us, to_us)


def moved(record: Record, beat_us: int, now_us: int, step_us: int, span_us: int) -> Record:
    """The record as if its beat were now. Rows before the end of the beat keep their distances to it, as far shorter
    as the beat is.

    beat_us: recorded time of the beat
    step_us: recorded time that a beat of ticks covers; a beat of bars covers the length of a bar
    span_us: wall time from one beat to the next
    """
    match record:
        case Heartbeat():
            return replace(record, event_time_us=now_us)
        case BarBatch():
            return _moved(record, beat_us, now_us, record.interval_us, span_us)
        case _:
            return _moved(record, beat_us, now_us, step_us, span_us)  # type: ignore[arg-type]  # feeds tell nothing else


def _moved(batch: Batch, beat_us: int, now_us: int, length_us: int, span_us: int) -> Batch:
    # A file whose rows lie in disorder may hold one that is older than the beat: it stays as old in beats.
    times = [now_us - (beat_us - time_us) * span_us // length_us for time_us in batch.times_us]
    return replace(batch, event_time_us=times[-1], times_us=times)
