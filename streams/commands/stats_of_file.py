"""What `quantumleap stats FILE.csv` computes, from the files it names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from streams.pnl.performance.returns import Series
from streams.pnl.performance.series_file import UnreadableSeries, parse_series
from streams.pnl.performance.summary import summarise


def stats_of_file(path: str | Path, period: str | None = None, benchmark: str | Path | None = None) -> dict[str, Any]:
    """Every statistic of a CSV file, ready for JSON: numbers under their names, details under `statistics`.

    The period is inferred from the times unless given. Raises SeriesError (UnreadableSeries for either file); nothing
    is computed of a part of a file.
    """
    against = None if benchmark is None else read_series(benchmark)
    summary = summarise(read_series(path), period, benchmark=against)
    named = {"file": Path(path).name} | ({} if benchmark is None else {"benchmark": Path(benchmark).name})
    return named | summary.to_json()


def read_series(path: str | Path) -> Series:
    """Returns or equity with times. Raises UnreadableSeries, also for a file that cannot be opened."""
    return parse_series(opened(path), Path(path).name)


def opened(path: str | Path) -> bytes:
    """What the file holds. Raises UnreadableSeries where it cannot be opened."""
    source = Path(path)
    try:
        return source.read_bytes()
    except OSError as cause:
        raise UnreadableSeries(source.name, f"cannot be opened: {cause.strerror}") from cause
