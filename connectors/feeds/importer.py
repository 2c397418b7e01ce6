"""Importer: a CSV, a zipped CSV or a Parquet file becomes a data set, or nothing does.

Every row is read and judged before anything is written. A row is bad when a value is missing or cannot be read, when
its time repeats or goes back, or when it is absurd (a range that does not hold open and close, a price at or below zero
where that is illegal, a price a hundred times the one before or a hundredth of it, a size below zero, a time outside
1900 to 2100). Bad rows refuse the import, with their numbers; with `skip_bad_rows` they are left out, and the set
remembers which. What is merely suspicious (crossed quotes, outliers, gaps) is imported: judging that is for
`market_data`.
"""

import hashlib
import shutil
import statistics
import tempfile
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec

from connectors.feeds.data_sets import DESCRIPTION, SHIPPED, DataSet, Description, FileEntry
from connectors.feeds.errors import BadDataSet, ImportRefused
from connectors.feeds.problems import FileReport, Problem, RowProblem
from connectors.feeds.tables import (
    Batch,
    ColumnMapping,
    Shape,
    columns_of,
    header_of,
    read_table,
    texts_of,
)
from schemas.market import BarBatch, QuoteBatch
from schemas.reference import ContractKind, Instrument, InstrumentClass
from schemas.scalars import SECOND_US, iso_of

JUMP_MAX = 100
EARLIEST_US, LATEST_US = -2_208_988_800 * SECOND_US, 4_102_444_800 * SECOND_US
SHOWN_MAX = 5
GUESS_ROWS = 1_000
_DECIMALS_MAX = 12

_NAMES: dict[str, tuple[str, ...]] = {
    "time": ("time", "timestamp", "datetime", "date", "day"),
    "open": ("open",),
    "high": ("high",),
    "low": ("low",),
    "close": ("close", "price", "last", "settle", "value"),
    "volume": ("volume", "vol"),
    "bid": ("bid",),
    "ask": ("ask", "offer"),
    "bid_size": ("bid_size", "bidsize"),
    "ask_size": ("ask_size", "asksize"),
}
"""Column names, in lower case, by which a field is known."""


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file to import.

    path: where it is
    instrument: what it is about
    mapping: how to read it
    feed_id: name under which its rows will travel
    """

    path: str
    instrument: Instrument
    mapping: ColumnMapping
    feed_id: str = "import"


class ImportReport(NamedTuple):
    """What was imported: the set's folder, and what each file holds."""

    folder: Path
    files: list[FileReport]


def import_set(
    name: str,
    sources: Sequence[Source],
    into: Path,
    *,
    title: str = "",
    acknowledge: str = "",
    skip_bad_rows: bool = False,
) -> ImportReport:
    """Make the data set `into/name` of these files, all or nothing.

    Raises ImportRefused where rows are bad, and BadDataSet where a file cannot be read, two have the same name, the
    set's name cannot be a folder's, or a set of that name is there already.
    """
    _check_name(name, into)
    if len({Path(source.path).name for source in sources}) < len(sources):
        raise BadDataSet("two files have the same name; rename one")
    reports, entries = [], []
    for source in sources:
        report, entry = _examined(source)
        reports.append(report)
        entries.append(entry)
    bad = [report for report in reports if report.problems]
    if (bad and not skip_bad_rows) or any(not report.usable for report in reports):
        raise ImportRefused(_said(reports), reports)
    instruments = {source.instrument.instrument_id: source.instrument for source in sources}
    description = Description(
        name=name,
        title=title or f"imported: {', '.join(Path(source.path).name for source in sources)}",
        source=acknowledge,
        instruments=list(instruments.values()),
        files=entries,
    )
    into.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=".importing-", dir=into))
    try:
        for source, entry in zip(sources, entries, strict=True):
            shutil.copyfile(source.path, making / entry.path)
        (making / DESCRIPTION).write_bytes(msgspec.json.format(msgspec.json.encode(description), indent=2))
        DataSet(making).span()
        making.rename(into / name)
    except BaseException:
        shutil.rmtree(making, ignore_errors=True)
        raise
    return ImportReport(into / name, reports)


def judged(batch: Batch, rows: Sequence[int], instrument: Instrument) -> list[RowProblem]:
    """Rows that were read but cannot be used; each is compared with the last usable one before it."""
    problems: list[RowProblem] = []
    columns = [column for column in columns_of(batch) if column]
    last: tuple[int, ...] | None = None
    for number, values in zip(rows, zip(*columns, strict=True), strict=True):
        problem = _out_of_order(batch, last, values) or _absurd(batch, last, values, instrument)
        if problem is None:
            last = values
        else:
            problems.append(RowProblem(number, *problem))
    return problems


def guessed_mapping(path: Path) -> ColumnMapping:
    """A mapping for a file whose header names its columns in ordinary words, and whose times are ISO 8601.

    Raises BadDataSet where the header does not say enough; then a mapping must be given.
    """
    header = header_of(path)
    by_name = {name.strip().lower(): name for name in header}
    columns: dict[str, str | int] = {
        field: by_name[known] for field, names in _NAMES.items() for known in names if known in by_name
    }
    shape = Shape.QUOTES if {"bid", "ask"} <= columns.keys() else Shape.BARS
    fields = _FIELDS[shape] & columns.keys()
    if "time" not in columns or not ({"bid", "ask"} <= fields or "close" in fields):
        raise BadDataSet(
            f"{path.name} has the columns {', '.join(header) or '(none)'}: no time and price can be told from them; "
            f"give a mapping"
        )
    if shape is Shape.BARS and not {"open", "high", "low"} <= fields:
        fields -= {"open", "high", "low"}
    mapping = ColumnMapping(
        shape=shape,
        columns={field: column for field, column in columns.items() if field == "time" or field in fields},
        interval_us=1,
        price_exponent=0,
        rounds=True,
    )
    return _measured(path, mapping)


def plain_instrument(instrument_id: str, mapping: ColumnMapping, **changes: object) -> Instrument:
    """An instrument for a set that says nothing of one: priced in USD, traded on paper around the clock.

    `changes` are fields of Instrument; a mapping with sizes makes an instrument with volume.
    """
    decimals = max(0, -mapping.price_exponent)
    told: dict[str, object] = {
        "event_time_us": 1,
        "instrument_id": instrument_id,
        "symbol": instrument_id,
        "venue": "PAPER",
        "instrument_class": InstrumentClass.COMMODITY,
        "quote_currency": "USD",
        "settlement_currency": "USD",
        "contract": ContractKind.LINEAR,
        "tick_size": Decimal(1).scaleb(-decimals),
        "lot_size": Decimal(1),
        "multiplier": Decimal(1),
        "price_decimals": decimals,
        "quantity_decimals": 0,
        "calendar": "24/7",
        "price_may_be_negative": False,
        "shortable": True,
        "has_volume": bool({"volume", "size"} & mapping.columns.keys()),
        "version": 1,
    }
    return msgspec.convert(told | changes, Instrument)


_FIELDS: dict[Shape, set[str]] = {
    Shape.BARS: {"open", "high", "low", "close", "volume"},
    Shape.QUOTES: {"bid", "ask", "bid_size", "ask_size"},
}


def _check_name(name: str, into: Path) -> None:
    if not name or not all(letter.isalnum() or letter in "-_." for letter in name) or name.startswith("."):
        raise BadDataSet(f"{name[:64]!r} cannot be the name of a data set: letters, digits, - and _ only")
    if (SHIPPED / name).exists() or (into / name).exists():
        raise BadDataSet(f"a data set {name} is there already; choose another name, or remove {name} first")


def _examined(source: Source) -> tuple[FileReport, FileEntry]:
    """Read and judge one file."""
    path = Path(source.path)
    instrument_id = source.instrument.instrument_id
    table = read_table(path, source.mapping, instrument_id, source.feed_id)
    problems = sorted([*table.problems, *judged(table.batch, table.rows, source.instrument)])
    usable = len(table.rows) + len(table.problems) - len(problems)
    entry = FileEntry(
        path=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        instrument_id=instrument_id,
        feed_id=source.feed_id,
        mapping=source.mapping,
        skipped_rows=[problem.row for problem in problems],
    )
    return FileReport(path.name, usable, problems), entry


def _out_of_order(batch: Batch, last: tuple[int, ...] | None, values: tuple[int, ...]) -> tuple[Problem, str] | None:
    if last is None or values[0] > last[0]:
        return None
    if values[0] < last[0]:
        return Problem.UNORDERED, f"{_shown(values[0])} after {_shown(last[0])}"
    if isinstance(batch, BarBatch) or values == last:
        return Problem.DUPLICATE, f"{_shown(values[0])} twice"
    return None


def _absurd(
    batch: Batch, last: tuple[int, ...] | None, values: tuple[int, ...], instrument: Instrument
) -> tuple[Problem, str] | None:
    count = 4 if isinstance(batch, BarBatch) else 2 if isinstance(batch, QuoteBatch) else 1
    prices, sizes = values[1 : 1 + count], values[1 + count :]
    shown = "/".join(str(Decimal(price).scaleb(batch.price_exponent)) for price in prices)
    if not EARLIEST_US < values[0] < LATEST_US:
        return Problem.ABSURD, f"time {values[0]} us"
    if any(size < 0 for size in sizes):
        return Problem.ABSURD, f"size {min(sizes)}"
    if isinstance(batch, BarBatch):
        opened, high, low, close = prices
        if not (low <= opened <= high and low <= close <= high):
            return Problem.ABSURD, f"{shown}: high and low do not hold open and close"
    if min(prices) <= 0 and not instrument.price_may_be_negative:
        return Problem.ABSURD, f"{shown} is not above zero"
    before = last[count] if last is not None else 0
    if before > 0 and prices[-1] > 0 and not before / JUMP_MAX <= prices[-1] <= before * JUMP_MAX:
        return Problem.ABSURD, f"{shown} after {Decimal(before).scaleb(batch.price_exponent)}"
    return None


def _shown(time_us: int) -> str:
    return iso_of(time_us) if EARLIEST_US < time_us < LATEST_US else f"{time_us} us"


def _said(reports: Iterable[FileReport]) -> str:
    """Every file with bad rows, and the first of them."""
    lines = []
    for report in reports:
        shown = "; ".join(f"row {p.row}: {p.problem} ({p.detail})" for p in report.problems[:SHOWN_MAX])
        more = len(report.problems) - SHOWN_MAX
        if report.problems:
            lines.append(
                f"{report.path}: {len(report.problems)} bad rows: {shown}" + (f"; {more} more" if more > 0 else "")
            )
        elif not report.usable:
            lines.append(f"{report.path} has no rows")
    return "nothing was imported. " + " | ".join(lines)


def _measured(path: Path, mapping: ColumnMapping) -> ColumnMapping:
    """The mapping with the scale and the length of bars that the first rows show."""
    prices = [name for name in mapping.columns if name in ("open", "high", "low", "close", "bid", "ask")]
    sizes = [name for name in mapping.columns if name not in (*prices, "time")]
    table = read_table(path, mapping, "", "")
    times = table.batch.times_us[:GUESS_ROWS]
    if len(times) < 2:
        raise BadDataSet(f"{path.name} has fewer than two rows that can be read; give a mapping")
    return msgspec.structs.replace(
        mapping,
        interval_us=int(statistics.median(after - before for before, after in pairwise(times))),
        price_exponent=-_decimals(path, mapping, prices),
        size_exponent=-_decimals(path, mapping, sizes) if sizes else 0,
        rounds=False,
    )


def _decimals(path: Path, mapping: ColumnMapping, fields: Sequence[str]) -> int:
    """Most decimal places written in these columns."""
    places = (len(text.strip().partition(".")[2]) for texts in texts_of(path, mapping, fields) for text in texts)
    return min(max(places, default=0), _DECIMALS_MAX)
