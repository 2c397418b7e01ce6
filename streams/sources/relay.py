"""The marks relay: marks of instruments become batches for every partition of accounts.

A plain source and not a room, so that no room's open transaction ever holds back all accounts.
"""

from collections.abc import Iterable

from schemas.market import Mark, MarkBatch


def conflated(marks: Iterable[Mark]) -> MarkBatch | None:
    """One batch of the newest mark of each instrument, with low, high and volume over all of them; None of no marks.

    The batch is a pure function of its marks: relayed again after a crash it is the same batch, and a mark that is not
    newer than the one an account knows changes nothing there.
    """
    by_instrument: dict[str, Mark] = {}
    for mark in marks:
        known = by_instrument.get(mark.instrument_id)
        by_instrument[mark.instrument_id] = mark if known is None else _joined(known, mark)
    if not by_instrument:
        return None
    ordered = [by_instrument[instrument_id] for instrument_id in sorted(by_instrument)]
    newest_us = max(mark.event_time_us for mark in ordered)
    names = "+".join(f"{mark.instrument_id}@{mark.event_time_us}" for mark in ordered)
    return MarkBatch(event_time_us=newest_us, relay_id=names, sequence=newest_us, marks=ordered)


def _joined(known: Mark, mark: Mark) -> Mark:
    older, newer = (known, mark) if mark.event_time_us >= known.event_time_us else (mark, known)
    volumes = [volume for volume in (older.volume, newer.volume) if volume is not None]
    return Mark(
        event_time_us=newer.event_time_us,
        instrument_id=newer.instrument_id,
        last=newer.last,
        low=min(older.low, newer.low),
        high=max(older.high, newer.high),
        volume=sum(volumes[1:], volumes[0]) if volumes else None,
    )
