"""Tables: files of rows, read by a column mapping into columns of one instrument.

A file may be CSV, CSV inside a zip, or Parquet. A mapping says which column is which, how times and prices are written,
and which rows belong to the instrument. Reading never guesses: a row that cannot be read is a `RowProblem` with its row
number (counting from 1, header and blank lines included, as an editor shows it), and the other rows are returned.
"""

import csv
import io
import zipfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from connectors.feeds.errors import BadDataSet
from connectors.feeds.problems import Problem, RowProblem
from schemas.market import BarBatch, QuoteBatch, TradeBatch

Batch = BarBatch | QuoteBatch | TradeBatch

_COLUMNS: dict[type[Batch], tuple[str, ...]] = {
    BarBatch: ("times_us", "opens", "highs", "lows", "closes", "volumes"),
    QuoteBatch: ("times_us", "bids", "asks", "bid_sizes", "ask_sizes"),
    TradeBatch: ("times_us", "prices", "sizes"),
}
_MS = 1_000
_INT64 = 2**63
_DIGITS_MAX = 20
_WIDE = Context(prec=100)
"""So that no digit of a text is lost unseen."""


class Shape(StrEnum):
    """What a row is."""

    BARS = "BARS"
    QUOTES = "QUOTES"
    TRADES = "TRADES"


class Stamp(StrEnum):
    """Whether a bar's time in the file is its start or its end."""

    START = "START"
    END = "END"


class ColumnMapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the columns of a file become the columns of a batch.

    shape: what a row is
    columns: for each field (time, open, high, low, close, volume; bid, ask, bid_size, ask_size; price, size) the name
        of the column, or its position from 0; a bar of which only `close` is mapped has no range
    header: the first row holds names
    delimiter: between the values of a CSV
    time_format: `iso`, `milliseconds` since midnight of `day`, or a pattern of `datetime.strptime`
    zone: of times that carry none, by its IANA name
    day: ISO date that `milliseconds` count from
    time_of_day: `HH:MM`, added where the file gives only a date
    stamp: what the time of a bar means
    interval_us: length of a bar, microseconds
    price_exponent: prices are kept as integers times ten to this power
    size_exponent: sizes likewise
    rounds: what is finer than the exponents is rounded (half even) instead of being a problem
    price_unit: what one unit of a price in the file is worth, e.g. 0.0001 where prices are written times 10,000
    where: keep only rows whose named columns have these texts
    """

    shape: Shape
    columns: dict[str, str | int]
    header: bool = True
    delimiter: str = ","
    time_format: str = "iso"
    zone: str = "UTC"
    day: str = ""
    time_of_day: str = ""
    stamp: Stamp = Stamp.END
    interval_us: int = 0
    price_exponent: int = -2
    size_exponent: int = 0
    rounds: bool = False
    price_unit: str = "1"
    where: dict[str, str] = {}


class Table(NamedTuple):
    """A file as read: its columns, the row number of each, and the rows left out."""

    batch: Batch
    rows: list[int]
    problems: list[RowProblem]


_FIELDS: dict[Shape, tuple[tuple[str, ...], tuple[str, ...]]] = {
    Shape.BARS: (("open", "high", "low", "close"), ("volume",)),
    Shape.QUOTES: (("bid", "ask"), ("bid_size", "ask_size")),
    Shape.TRADES: (("price",), ("size",)),
}
"""Price fields and size fields of each shape, in the order in which `_batch_of` takes them."""


def read_table(path: Path, mapping: ColumnMapping, instrument_id: str, feed_id: str) -> Table:
    """Read a whole file. Raises BadDataSet where the file cannot be opened or lacks a mapped column."""
    prices, sizes = _fields(mapping)
    price_scale = _Scale(Decimal(mapping.price_unit), mapping.price_exponent, mapping.rounds)
    size_scale = _Scale(Decimal(1), mapping.size_exponent, mapping.rounds)
    scales = [price_scale] * len(prices) + [size_scale] * len(sizes)
    clock = _Clock(mapping)
    kept: list[list[int]] = [[] for _ in range(len(scales) + 1)]
    rows: list[int] = []
    problems: list[RowProblem] = []
    for number, texts in _rows(path, mapping, ("time", *prices, *sizes)):
        try:
            values = [clock.micros(texts[0])]
            values += [scale.integer(text) for scale, text in zip(scales, texts[1:], strict=True)]
        except _Unusable as unusable:
            problems.append(RowProblem(number, unusable.problem, str(unusable)))
            continue
        rows.append(number)
        for column, value in zip(kept, values, strict=True):
            column.append(value)
    return Table(_batch_of(mapping, kept, len(sizes), instrument_id, feed_id), rows, problems)


def header_of(path: Path) -> list[str]:
    """The first row of a file. Raises BadDataSet where it cannot be opened."""
    rows = _parquet_rows(path) if path.suffix == ".parquet" else _csv_rows(path, ",")
    return next(rows, (0, []))[1]


def texts_of(path: Path, mapping: ColumnMapping, fields: Sequence[str]) -> Iterator[list[str]]:
    """Texts of these fields, row by row, as they are written."""
    for _, texts in _rows(path, mapping, fields):
        yield texts


def columns_of(batch: Batch) -> tuple[list[int], ...]:
    """All columns of a batch, times first."""
    return tuple(getattr(batch, name) for name in _COLUMNS[type(batch)])


def cut(batch: Batch, start: int, end: int) -> Batch:
    """Rows start..end-1 of a batch as a batch of its own, with the sequence of its first row; never empty."""
    columns = {name: getattr(batch, name)[start:end] for name in _COLUMNS[type(batch)]}
    return msgspec.structs.replace(
        batch, event_time_us=batch.times_us[end - 1], sequence=batch.sequence + start, **columns
    )


def without(batch: Batch, dropped: set[int]) -> Batch:
    """The batch without the rows at these positions."""
    keep = [index for index in range(len(batch.times_us)) if index not in dropped]
    names = _COLUMNS[type(batch)]
    columns = [[column[index] for index in keep] if column else [] for column in columns_of(batch)]
    return msgspec.structs.replace(batch, **dict(zip(names, columns, strict=True)))


class _Unusable(Exception):
    """A value that cannot be read."""

    def __init__(self, problem: Problem, detail: str) -> None:
        super().__init__(detail)
        self.problem = problem


class _Scale:
    """Turns decimal text into an integer times ten to an exponent: exactly, or rounded where that is asked for."""

    def __init__(self, unit: Decimal, exponent: int, rounds: bool) -> None:
        self._unit = unit
        self._exponent = exponent
        self._rounds = rounds

    def integer(self, text: str) -> int:
        """Raises _Unusable for what is missing, no finite number, or finer than the exponent can hold."""
        text = text.strip()
        if not text:
            raise _Unusable(Problem.MISSING, "a value is missing")
        try:
            number = _WIDE.multiply(Decimal(text), self._unit).scaleb(-self._exponent, _WIDE)
            if number.is_finite() and number.adjusted() > _DIGITS_MAX:
                raise _Unusable(Problem.ABSURD, f"{text[:40]!r} is too large")
            integer = int(number.to_integral_value()) if self._rounds else int(number)
        except (ArithmeticError, ValueError) as error:
            raise _Unusable(Problem.UNPARSABLE, f"{text[:40]!r} is not a finite number") from error
        if integer != number and not self._rounds:
            raise _Unusable(Problem.UNPARSABLE, f"{text[:40]!r} has more decimals than 10^{self._exponent} can hold")
        if not -_INT64 <= integer < _INT64:
            raise _Unusable(Problem.ABSURD, f"{text[:40]!r} is too large")
        return integer


class _Clock:
    """Turns the text of a time into microseconds of UTC."""

    def __init__(self, mapping: ColumnMapping) -> None:
        self._format = mapping.time_format
        self._zone = ZoneInfo(mapping.zone) if mapping.zone != "UTC" else UTC
        self._midnight_us = 0
        if mapping.time_format == "milliseconds":
            if not mapping.day:
                raise BadDataSet("times in milliseconds since midnight need a `day` in the mapping")
            midnight = datetime.fromisoformat(mapping.day).replace(tzinfo=self._zone)
            self._midnight_us = _micros(midnight)
        hours, _, minutes = (mapping.time_of_day or "0:0").partition(":")
        self._time_of_day = timedelta(hours=int(hours), minutes=int(minutes))
        self._shift_us = mapping.interval_us if mapping.stamp is Stamp.START else 0

    def micros(self, text: str) -> int:
        """Raises _Unusable for what is missing or no time of the mapping's format."""
        text = text.strip()
        if not text:
            raise _Unusable(Problem.MISSING, "the time is missing")
        try:
            if self._format == "milliseconds":
                return self._midnight_us + int(text) * _MS + self._shift_us
            parsed = (
                datetime.fromisoformat(text) if self._format == "iso" else datetime.strptime(text, self._format)  # noqa: DTZ007  # the zone is added below
            )
            if parsed.tzinfo is None:
                parsed = (parsed + self._time_of_day).replace(tzinfo=self._zone)
            return _micros(parsed) + self._shift_us
        except (ValueError, OverflowError) as error:
            raise _Unusable(Problem.UNPARSABLE, f"{text[:40]!r} is no time of the format {self._format}") from error


def _micros(when: datetime) -> int:
    return (when - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _fields(mapping: ColumnMapping) -> tuple[list[str], list[str]]:
    """Mapped price fields and size fields. Raises BadDataSet where the mapping lacks one or names one too many."""
    prices, sizes = _FIELDS[mapping.shape]
    one_price_a_bar = mapping.shape is Shape.BARS and not set(prices[:3]) & set(mapping.columns)
    required = {"time", "close"} if one_price_a_bar else {"time", *prices}
    unknown = set(mapping.columns) - {"time", *prices, *sizes}
    if required - set(mapping.columns) or unknown:
        raise BadDataSet(
            f"a mapping of {mapping.shape} needs {', '.join(sorted(required))}"
            + (f" and knows no {', '.join(sorted(unknown))}" if unknown else "")
        )
    if mapping.shape is Shape.BARS and mapping.interval_us <= 0:
        raise BadDataSet("a mapping of BARS needs the interval_us of its bars")
    return [name for name in prices if name in mapping.columns], [name for name in sizes if name in mapping.columns]


def _rows(path: Path, mapping: ColumnMapping, fields: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Row number and the texts of the fields, for each row that belongs to the instrument."""
    rows = _parquet_rows(path) if path.suffix == ".parquet" else _csv_rows(path, mapping.delimiter)
    header: list[str] = []
    if mapping.header:
        _, header = next(rows, (0, []))
        header = [name.strip() for name in header]
    positions = [_position(mapping.columns[field], header, path) for field in fields]
    where = [(_position(name, header, path), text) for name, text in mapping.where.items()]
    for number, values in rows:
        if not any(value.strip() for value in values):
            continue
        if any(position >= len(values) or values[position].strip() != text for position, text in where):
            continue
        yield number, [values[position] if position < len(values) else "" for position in positions]


def _position(column: str | int, header: Sequence[str], path: Path) -> int:
    if isinstance(column, int):
        return column
    try:
        return header.index(column)
    except ValueError:
        raise BadDataSet(f"{path.name} has no column {column!r}; it has {', '.join(header) or 'no header'}") from None


def _csv_rows(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    try:
        text = _text_of(path)
    except (OSError, zipfile.BadZipFile, UnicodeDecodeError) as error:
        raise BadDataSet(f"{path.name} cannot be read: {error}") from error
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for values in reader:
            yield reader.line_num, values
    except csv.Error as error:
        raise BadDataSet(f"{path.name} is not a CSV from line {reader.line_num} on: {error}") from error


def _text_of(path: Path) -> str:
    if path.suffix != ".zip":
        return path.read_bytes().decode("utf-8-sig")
    with zipfile.ZipFile(path) as archive:
        members = [name for name in archive.namelist() if not name.endswith("/")]
        if len(members) != 1:
            raise BadDataSet(f"{path.name} holds {len(members)} files; a zipped CSV holds one")
        return archive.read(members[0]).decode("utf-8-sig")


def _parquet_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        from pyarrow import ArrowException, parquet  # noqa: PLC0415  # an extra: only who reads Parquet needs it
    except ImportError as error:
        raise BadDataSet("reading Parquet needs pyarrow: install quantumleap[parquet]") from error
    try:
        table = parquet.read_table(path)
    except (OSError, ArrowException) as error:
        raise BadDataSet(f"{path.name} is not a Parquet file: {error}") from error
    yield 0, list(table.column_names)
    number = 0
    for batch in table.to_batches():
        for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            number += 1
            yield number, [_parquet_text(value) for value in values]


def _parquet_text(value: object) -> str:
    """The value as a CSV would have it."""
    if value is None:
        return ""
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _batch_of(
    mapping: ColumnMapping, kept: list[list[int]], size_count: int, instrument_id: str, feed_id: str
) -> Batch:
    times, *rest = kept
    event_time_us = times[-1] if times else 0
    if mapping.shape is Shape.BARS:
        closes = rest[3] if len(rest) - size_count == 4 else rest[0]
        opens, highs, lows = rest[:3] if len(rest) - size_count == 4 else (closes, closes, closes)
        return BarBatch(
            event_time_us=event_time_us,
            instrument_id=instrument_id,
            feed_id=feed_id,
            sequence=1,
            interval_us=mapping.interval_us,
            price_exponent=mapping.price_exponent,
            size_exponent=mapping.size_exponent,
            times_us=times,
            opens=opens,
            highs=highs,
            lows=lows,
            closes=closes,
            volumes=rest[-1] if size_count else [],
        )
    if mapping.shape is Shape.QUOTES:
        return QuoteBatch(
            event_time_us=event_time_us,
            instrument_id=instrument_id,
            feed_id=feed_id,
            sequence=1,
            price_exponent=mapping.price_exponent,
            size_exponent=mapping.size_exponent,
            times_us=times,
            bids=rest[0],
            asks=rest[1],
            bid_sizes=rest[2] if size_count == 2 else [],
            ask_sizes=rest[3] if size_count == 2 else [],
        )
    return TradeBatch(
        event_time_us=event_time_us,
        instrument_id=instrument_id,
        feed_id=feed_id,
        sequence=1,
        price_exponent=mapping.price_exponent,
        size_exponent=mapping.size_exponent,
        times_us=times,
        prices=rest[0],
        sizes=rest[1] if size_count else [],
    )
