"""A CSV file of returns or equity, read row by row with nothing guessed. Pure: the bytes come in.

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
from typing import Any, Literal

from streams.pnl.performance.returns import EPOCH, Series, SeriesError

TIME_NAMES = ("time", "date", "datetime", "timestamp")
VALUE_NAMES: dict[str, Literal["return", "equity"]] = {"return": "return", "returns": "return", "equity": "equity"}
MISSING = ("", "nan", "null", "none", "na", "n/a")
SHOWN = 20
"""How many bad rows an error lists."""


class UnreadableSeries(SeriesError):
    """A file that is not such a series. `bad` lists its first bad lines, counted from 1, and what is wrong."""

    def __init__(self, name: str, why: str, bad: tuple[tuple[int, str], ...] = ()) -> None:
        self.bad = bad
        super().__init__(f"{name}: {why}")


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    time_us: int
    value: float


def parse_series(content: bytes, name: str) -> Series:
    """Returns or equity with times, of a file's bytes; `name` is for the errors. Raises UnreadableSeries."""
    try:
        text = content.decode("utf-8-sig")
        kind, rows = _rows(name, csv.reader((line + "\n" for line in text.split("\n")), strict=True))
    except (UnicodeDecodeError, csv.Error) as cause:
        raise UnreadableSeries(name, f"cannot be read as CSV in UTF-8: {cause}") from cause
    make = Series.of_returns if kind == "return" else Series.of_equity
    try:
        return make([row.value for row in rows], [row.time_us for row in rows])
    except SeriesError as refusal:
        if refusal.row is None:
            raise
        line = rows[refusal.row - 1].line
        why = str(refusal).partition(": ")[2]
        raise UnreadableSeries(name, f"line {line}: {why}", ((line, why),)) from refusal


def _rows(name: str, table: Any) -> tuple[Literal["return", "equity"], list[_Row]]:
    header = next((cells for cells in table if cells), None)
    if header is None:
        raise UnreadableSeries(
            name, "the file is empty; its first row must name the columns time, and return or equity"
        )
    names = [column.strip().lower() for column in header]
    time_at, value_at, kind = _columns(name, names)
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
        raise UnreadableSeries(name, listed + more, tuple(bad[:SHOWN]))
    return kind, rows


def _lines(table: Any) -> Iterator[tuple[int, list[str]]]:
    for cells in table:
        if cells:
            yield table.line_num, cells


def _columns(name: str, names: list[str]) -> tuple[int, int, Literal["return", "equity"]]:
    times = [at for at, column in enumerate(names) if column in TIME_NAMES]
    values = [at for at, column in enumerate(names) if column in VALUE_NAMES]
    if len(times) != 1 or len(values) != 1:
        wanted = f"one column of {', '.join(TIME_NAMES)} and one of {', '.join(VALUE_NAMES)}"
        raise UnreadableSeries(name, f"needs {wanted}; it has: {', '.join(names)[:200]}")
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
