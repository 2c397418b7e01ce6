"""Reading tables: what a mapping says is what is read, and what cannot be read is named by its row."""

import gzip
import zipfile
from pathlib import Path

import msgspec
import pytest

from connectors.feeds.errors import BadDataSet
from connectors.feeds.problems import Problem
from connectors.feeds.tables import ColumnMapping, Shape, Stamp, columns_of, cut, read_table, without
from schemas.market import BarBatch, QuoteBatch, TradeBatch
from schemas.scalars import DAY_US, SECOND_US, iso_of

DAILY = ColumnMapping(shape=Shape.BARS, columns={"time": "Date", "close": "Price"}, interval_us=DAY_US)
QUOTES = ColumnMapping(shape=Shape.QUOTES, columns={"time": 0, "bid": 1, "ask": 2}, header=False, price_exponent=-4)


def written(folder: Path, text: str, name: str = "prices.csv") -> Path:
    (folder / name).write_text(text, newline="")
    return folder / name


def test_one_price_a_day_becomes_bars_without_a_range(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "Date,Price\r\n2020-04-20,-36.98\r\n2020-04-21,8.9\r\n"), DAILY, "WTI", "eia")
    assert isinstance(table.batch, BarBatch)
    assert table.batch.closes == table.batch.opens == table.batch.highs == table.batch.lows == [-3698, 890]
    assert table.batch.volumes == []
    assert table.rows == [2, 3]
    assert (table.batch.instrument_id, table.batch.feed_id, table.batch.sequence) == ("WTI", "eia", 1)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("2020-04-20,", Problem.MISSING),
        (",1.0", Problem.MISSING),
        ("2020-04-20", Problem.MISSING),
        ("20 April,1.0", Problem.UNPARSABLE),
        ("2020-13-20,1.0", Problem.UNPARSABLE),
        ("2020-04-20,much", Problem.UNPARSABLE),
        ("2020-04-20,NaN", Problem.UNPARSABLE),
        ("2020-04-20,-Infinity", Problem.UNPARSABLE),
        ("2020-04-20,1e999999", Problem.UNPARSABLE),
        ("2020-04-20,1.005", Problem.UNPARSABLE),
        ("2020-04-20,1.0000000000000000000000000000000001", Problem.UNPARSABLE),
        ("2020-04-20,1e30", Problem.ABSURD),
        ("2020-04-20,1e17", Problem.ABSURD),
    ],
)
def test_a_row_that_cannot_be_read_is_named_and_the_others_are_kept(
    tmp_path: Path, text: str, problem: Problem
) -> None:
    path = written(tmp_path, f"Date,Price\n2020-04-17,1.00\n{text}\n2020-04-22,2.00\n")
    table = read_table(path, DAILY, "WTI", "eia")
    assert [(found.row, found.problem) for found in table.problems] == [(3, problem)]
    assert table.rows == [2, 4]


def test_row_numbers_count_blank_and_quoted_lines_as_an_editor_does(tmp_path: Path) -> None:
    path = written(tmp_path, 'Date,Price\n\n"2020-04-17","1.00"\n\n2020-04-18,x\n')
    table = read_table(path, DAILY, "WTI", "eia")
    assert (table.rows, [found.row for found in table.problems]) == ([3], [5])


def test_what_is_finer_than_the_scale_is_rounded_only_where_that_is_asked_for(tmp_path: Path) -> None:
    path = written(tmp_path, "Date,Price\n2020-04-17,1.005\n2020-04-18,1.015\n")
    rounding = msgspec.structs.replace(DAILY, rounds=True)
    batch = read_table(path, rounding, "WTI", "eia").batch
    assert isinstance(batch, BarBatch)
    assert batch.closes == [100, 102]


def test_a_price_unit_scales_exactly(tmp_path: Path) -> None:
    path = written(tmp_path, "20131007 0:00,1672700,1680000\n")
    mapping = msgspec.structs.replace(QUOTES, time_format="%Y%m%d %H:%M", price_unit="0.0001", price_exponent=-2)
    batch = read_table(path, mapping, "SPY", "lean").batch
    assert isinstance(batch, QuoteBatch)
    assert (batch.bids, batch.asks) == ([16727], [16800])


@pytest.mark.parametrize(
    ("changes", "text", "time"),
    [
        ({}, "2020-01-06T12:00:00+02:00", "2020-01-06T10:00:00Z"),
        ({}, "2013-01-01 22:09:27+00:00", "2013-01-01T22:09:27Z"),
        ({"zone": "America/New_York"}, "2020-01-06 12:00", "2020-01-06T17:00:00Z"),
        ({"zone": "America/New_York"}, "2020-07-06 12:00", "2020-07-06T16:00:00Z"),
        ({"time_of_day": "22:00"}, "2020-01-06", "2020-01-06T22:00:00Z"),
        ({"time_format": "%d.%m.%Y"}, "06.01.2020", "2020-01-06T00:00:00Z"),
        (
            {"time_format": "milliseconds", "day": "2013-10-07", "zone": "America/New_York"},
            "14400000",
            "2013-10-07T08:00:00Z",
        ),
        ({"time_format": "%Y%m%d %H%M%S%f"}, "20200101 170000065", "2020-01-01T17:00:00.065000Z"),
    ],
)  # fmt: skip
def test_times_are_read_as_the_mapping_says(tmp_path: Path, changes: dict[str, str], text: str, time: str) -> None:
    batch = read_table(written(tmp_path, f"{text},1,2\n"), msgspec.structs.replace(QUOTES, **changes), "X", "f").batch
    assert [iso_of(batch.times_us[0])] == [time]


def test_a_bar_stamped_with_its_start_is_known_at_its_end(tmp_path: Path) -> None:
    path = written(tmp_path, "Date,Price\n2020-01-06,1\n")
    starts = msgspec.structs.replace(DAILY, stamp=Stamp.START)
    assert (
        read_table(path, starts, "X", "f").batch.times_us[0]
        == read_table(path, DAILY, "X", "f").batch.times_us[0] + DAY_US
    )


def test_of_a_long_table_only_the_rows_of_the_instrument_are_read(tmp_path: Path) -> None:
    path = written(tmp_path, "Date,Country,Price\n2020-01-01,Austria,1\n2020-01-01,Belgium,2\n2020-01-02,Austria,3\n")
    mapping = msgspec.structs.replace(DAILY, where={"Country": "Austria"})
    assert read_table(path, mapping, "X", "f").rows == [2, 4]


def test_trades_have_prices_and_sizes(tmp_path: Path) -> None:
    path = written(tmp_path, "t,p,s\n2020-01-06T00:00:01,10.01,0.5\n")
    mapping = ColumnMapping(shape=Shape.TRADES, columns={"time": "t", "price": "p", "size": "s"}, size_exponent=-1)
    batch = read_table(path, mapping, "X", "f").batch
    assert isinstance(batch, TradeBatch)
    assert (batch.prices, batch.sizes) == ([1001], [5])


def test_a_zipped_csv_is_read_like_a_csv(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "prices.zip", "w") as archive:
        archive.writestr("prices.csv", "Date,Price\n2020-01-06,1\n")
    assert read_table(tmp_path / "prices.zip", DAILY, "X", "f").rows == [2]


def test_a_zip_of_two_files_is_refused_by_name(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "prices.zip", "w") as archive:
        archive.writestr("a.csv", "")
        archive.writestr("b.csv", "")
    with pytest.raises(BadDataSet, match="holds 2 files"):
        read_table(tmp_path / "prices.zip", DAILY, "X", "f")


def test_parquet_is_read_like_a_csv(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="the parquet extra is not installed")
    from pyarrow import parquet  # noqa: PLC0415  # only where the extra is installed

    table = pyarrow.table({"Date": ["2020-01-06", "2020-01-07", None], "Price": [1.25, None, 3.0]})
    parquet.write_table(table, tmp_path / "prices.parquet")
    read = read_table(tmp_path / "prices.parquet", DAILY, "X", "f")
    assert isinstance(read.batch, BarBatch)
    assert (read.batch.closes, read.rows) == ([125], [1])
    assert [(found.row, found.problem) for found in read.problems] == [(2, "MISSING"), (3, "MISSING")]


def test_parquet_timestamps_are_read_as_times(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="the parquet extra is not installed")
    from pyarrow import parquet  # noqa: PLC0415  # only where the extra is installed

    times = pyarrow.array([1_578_268_800 * SECOND_US], type=pyarrow.timestamp("us", tz="UTC"))
    parquet.write_table(pyarrow.table({"Date": times, "Price": ["1.25"]}), tmp_path / "prices.parquet")
    assert read_table(tmp_path / "prices.parquet", DAILY, "X", "f").batch.times_us == [1_578_268_800 * SECOND_US]


@pytest.mark.parametrize("name", ["nothing.csv", "nothing.zip", "nothing.parquet"])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadDataSet, match="nothing"):
        read_table(tmp_path / name, DAILY, "X", "f")


@pytest.mark.parametrize("name", ["garbage.csv", "garbage.zip", "garbage.parquet"])
def test_bytes_that_are_no_table_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(gzip.compress(b"garbage" * 100))
    with pytest.raises(BadDataSet, match="garbage"):
        read_table(tmp_path / name, DAILY, "X", "f")


def test_a_column_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(BadDataSet, match="no column 'Price'; it has Date, Cost"):
        read_table(written(tmp_path, "Date,Cost\n2020-01-06,1\n"), DAILY, "X", "f")


@pytest.mark.parametrize(
    ("columns", "shape"),
    [
        ({"time": 0}, Shape.BARS),
        ({"time": 0, "open": 1, "close": 2}, Shape.BARS),
        ({"close": 1}, Shape.BARS),
        ({"time": 0, "bid": 1}, Shape.QUOTES),
        ({"time": 0, "price": 1, "bid": 2}, Shape.TRADES),
    ],
)
def test_a_mapping_that_lacks_a_field_is_refused(tmp_path: Path, columns: dict[str, str | int], shape: Shape) -> None:
    with pytest.raises(BadDataSet, match="needs"):
        read_table(written(tmp_path, "a,b,c\n"), ColumnMapping(shape=shape, columns=columns, interval_us=1), "X", "f")


def test_pieces_of_a_batch_put_together_are_the_batch(tmp_path: Path) -> None:
    path = written(tmp_path, "Date,Price\n" + "".join(f"2020-01-{day:02},{day}\n" for day in range(1, 21)))
    whole = read_table(path, DAILY, "X", "f").batch
    pieces = [cut(whole, at, min(at + 7, 20)) for at in range(0, 20, 7)]
    assert [piece.sequence for piece in pieces] == [1, 8, 15]
    assert [piece.event_time_us for piece in pieces] == [piece.times_us[-1] for piece in pieces]
    joined = [[value for piece in pieces for value in columns_of(piece)[i]] for i in range(6)]
    assert joined == [list(column) for column in columns_of(whole)]


def test_a_batch_without_rows_keeps_the_others(tmp_path: Path) -> None:
    whole = read_table(written(tmp_path, "Date,Price\n2020-01-01,1\n2020-01-02,2\n"), DAILY, "X", "f").batch
    left = without(whole, {0})
    assert isinstance(left, BarBatch)
    assert (left.closes, left.volumes) == ([200], [])
