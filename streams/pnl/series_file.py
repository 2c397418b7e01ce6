"""A CSV file of returns or equity, read row by row with nothing guessed: `quantumleap stats FILE.csv --json`.

The first row names the columns. One is the time: `time`, `date`, `datetime` or `timestamp`; it holds ISO 8601 (without
an offset it is UTC) or a count since 1970 whose length tells seconds, milliseconds, microseconds or nanoseconds. One is
the value: `return` or `returns`, as a fraction (0.01 = 1 %), or `equity`. Other columns are left alone. An empty value,
`nan`, `null`, `none` or `na` is missing.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from streams.pnl.returns import EPOCH, Series, SeriesError
from streams.pnl.summary import summarise

TIME_NAMES = ("time", "date", "datetime", "timestamp")
VALUE_NAMES: dict[str, Literal["return", "equity"]] = {"return": "return", "returns": "return", "equity": "equity"}
MISSING = ("", "nan", "null", "none", "na", "n/a")
SHOWN = 20
"""How many bad rows an error lists."""


class UnreadableSeries(SeriesError):
    """A file that is not such a series. `bad` lists the first bad lines of the file, counted from 1, and what is wrong."""

    def __init__(self, path: Path, why: str, bad: tuple[tuple[int, str], ...] = ()) -> None:
        self.bad = bad
        super().__init__(f"{path.name}: {why}")


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    time_us: int
    value: float


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
    """Returns or equity with times. Raises UnreadableSeries with the lines that are wrong."""
    source = Path(path)
    try:
        with source.open(encoding="utf-8-sig", newline="") as text:
            kind, rows = _rows(source, csv.reader(text, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as cause:
        raise UnreadableSeries(source, f"cannot be read as CSV in UTF-8: {cause}") from cause
    make = Series.of_returns if kind == "return" else Series.of_equity
    try:
        return make([row.value for row in rows], [row.time_us for row in rows])
    except SeriesError as refusal:
        if refusal.row is None:
            raise
        line = rows[refusal.row - 1].line
        why = str(refusal).partition(": ")[2]
        raise UnreadableSeries(source, f"line {line}: {why}", ((line, why),)) from refusal


def _rows(source: Path, table: Any) -> tuple[Literal["return", "equity"], list[_Row]]:
    header = next(table, None)
    if header is None:
        raise UnreadableSeries(
            source, "the file is empty; its first row must name the columns time, and return or equity"
        )
    names = [name.strip().lower() for name in header]
    time_at, value_at, kind = _columns(source, names)
    rows: list[_Row] = []
    bad: list[tuple[int, str]] = []
    for line, cells in _lines(table):
        try:
            if len(cells) != len(names):
                raise ValueError(f"{len(cells)} cells for {len(names)} columns")
            rows.append(_Row(line, time_of(cells[time_at].strip()), value_of(cells[value_at].strip())))
        except ValueError as wrong:
            bad.append((line, str(wrong)))
    if bad:
        listed = "; ".join(f"line {line}: {why}" for line, why in bad[:SHOWN])
        more = f"; and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
        raise UnreadableSeries(source, listed + more, tuple(bad[:SHOWN]))
    return kind, rows


def _lines(table: Any) -> Iterator[tuple[int, list[str]]]:
    for cells in table:
        if cells:
            yield table.line_num, cells


def _columns(source: Path, names: list[str]) -> tuple[int, int, Literal["return", "equity"]]:
    times = [at for at, name in enumerate(names) if name in TIME_NAMES]
    values = [at for at, name in enumerate(names) if name in VALUE_NAMES]
    if len(times) != 1 or len(values) != 1:
        raise UnreadableSeries(
            source,
            f"needs one column of {', '.join(TIME_NAMES)} and one of {', '.join(VALUE_NAMES)}; it has: {', '.join(names)[:200]}",
        )
    return times[0], values[0], VALUE_NAMES[names[values[0]]]


def time_of(text: str) -> int:
    """UTC microseconds. Raises ValueError."""
    if text.isascii() and text.isdigit() and len(text) in COUNTS:
        over, under = COUNTS[len(text)]
        return int(text) * over // under
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"time {text[:40]!r} is not ISO 8601") from None
    aware = when.replace(tzinfo=UTC) if when.tzinfo is None else when
    since = aware - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


COUNTS: dict[int, tuple[int, int]] = {10: (1_000_000, 1), 13: (1_000, 1), 16: (1, 1), 19: (1, 1_000)}
"""Digits of a count since 1970, and what turns it into microseconds: times this, over that."""


def value_of(text: str) -> float:
    """A number, or NaN for a missing one. Raises ValueError, also for an infinity."""
    if text.lower() in MISSING:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"value {text[:40]!r} is not a number") from None
    if "_" in text or not math.isfinite(value):
        raise ValueError(f"value {text[:40]!r} is not a finite number")
    return value
