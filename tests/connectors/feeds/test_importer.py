"""The importer: all of a file or nothing, and every bad row by its number."""

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from connectors.feeds.data_sets import data_set
from connectors.feeds.errors import BadDataSet, ImportRefused
from connectors.feeds.importer import Source, guessed_mapping, import_set, plain_instrument
from connectors.feeds.problems import Problem
from connectors.feeds.tables import ColumnMapping, Shape
from schemas.market import BarBatch
from schemas.reference import Instrument
from schemas.scalars import DAY_US, SECOND_US
from tests.connectors.feeds.shared_sets import instrument, shared

BARS = ColumnMapping(
    shape=Shape.BARS,
    columns={"time": "t", "open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"},
    interval_us=DAY_US,
)
GOOD = "2020-01-06,10,11,9,10,5\n"


def source(folder: Path, rows: str, mapping: ColumnMapping = BARS, market: Instrument | None = None) -> Source:
    path = folder / "prices.csv"
    path.write_text("t,o,h,l,c,v\n" + rows)
    return Source(path=str(path), instrument=market or instrument("AAA"), mapping=mapping)


def test_an_imported_set_is_replayed_like_the_shipped_one(tmp_path: Path) -> None:
    report = import_set("mine", [source(tmp_path, GOOD + "2020-01-07,10,12,10,12,6\n")], tmp_path / "sets")
    assert [(file.usable, file.problems) for file in report.files] == [(2, [])]
    mine = data_set("mine", tmp_path / "sets")
    assert all(check.right for check in mine.verify())
    batches = [record for step in mine.steps() for record in step.records]
    assert [batch.closes for batch in batches if isinstance(batch, BarBatch)] == [[1000], [1200]]
    assert [one.instrument_id for one in mine.instruments] == ["AAA"]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("2020-01-07,10,11,9,,5", Problem.MISSING),
        ("2020-01-07,10,11,9", Problem.MISSING),
        ("2020-01-06,10,11,9,10,5", Problem.DUPLICATE),
        ("2020-01-06,10,11,9,10.5,5", Problem.DUPLICATE),
        ("2020-01-05,10,11,9,10,5", Problem.UNORDERED),
        ("someday,10,11,9,10,5", Problem.UNPARSABLE),
        ("2020-01-07,ten,11,9,10,5", Problem.UNPARSABLE),
        ("2020-01-07,10,11,9,nan,5", Problem.UNPARSABLE),
        ("2020-01-07,10,9,11,10,5", Problem.ABSURD),
        ("2020-01-07,12,11,9,10,5", Problem.ABSURD),
        ("2020-01-07,0,11,0,10,5", Problem.ABSURD),
        ("2020-01-07,-1,11,-1,10,5", Problem.ABSURD),
        ("2020-01-07,1001,1001,1001,1001,5", Problem.ABSURD),
        ("2020-01-07,0.09,0.09,0.09,0.09,5", Problem.ABSURD),
        ("2020-01-07,10,11,9,10,-5", Problem.ABSURD),
        ("2200-01-07,10,11,9,10,5", Problem.ABSURD),
    ],
)
def test_one_bad_row_refuses_the_import_by_its_number_and_nothing_is_left_behind(
    tmp_path: Path, row: str, problem: Problem
) -> None:
    with pytest.raises(ImportRefused, match=f"nothing was imported.*row 3: {problem}") as refused:
        import_set("mine", [source(tmp_path, f"{GOOD}{row}\n2020-01-08,10,11,9,10,5\n")], tmp_path / "sets")
    assert [(found.row, found.problem) for found in refused.value.reports[0].problems] == [(3, problem)]
    assert not (tmp_path / "sets").exists()


def test_a_price_just_inside_a_hundredfold_is_imported(tmp_path: Path) -> None:
    rows = GOOD + "2020-01-07,1000,1000,1000,1000,5\n2020-01-08,10,10,10,10,5\n"
    assert import_set("mine", [source(tmp_path, rows)], tmp_path / "sets").files[0].usable == 3


def test_negative_prices_are_imported_where_they_are_legal(tmp_path: Path) -> None:
    rows = GOOD + "2020-01-07,-1,-1,-37,-37,5\n"
    legal = instrument("AAA", price_may_be_negative=True)
    assert import_set("mine", [source(tmp_path, rows, market=legal)], tmp_path / "sets").files[0].usable == 2


def test_with_leave_bad_rows_are_skipped_and_the_set_remembers_which(tmp_path: Path) -> None:
    rows = GOOD + "2020-01-06,1,1,1,1,1\nx,1,1,1,1,1\n2020-01-07,10,12,10,12,6\n"
    report = import_set("mine", [source(tmp_path, rows)], tmp_path / "sets", skip_bad_rows=True)
    assert (report.files[0].usable, [found.row for found in report.files[0].problems]) == (2, [3, 4])
    steps = list(data_set("mine", tmp_path / "sets").steps())
    assert [record.sequence for step in steps for record in step.records if isinstance(record, BarBatch)] == [1, 2]


def test_one_bad_file_of_two_imports_neither(tmp_path: Path) -> None:
    good = source(tmp_path, GOOD)
    bad_path = tmp_path / "other.csv"
    bad_path.write_text("t,o,h,l,c,v\nx,1,1,1,1,1\n")
    bad = Source(path=str(bad_path), instrument=instrument("BBB"), mapping=BARS)
    with pytest.raises(ImportRefused, match=r"other\.csv: 1 bad rows"):
        import_set("mine", [good, bad], tmp_path / "sets")
    assert not (tmp_path / "sets").exists()


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="has no rows"):
        import_set("mine", [source(tmp_path, "")], tmp_path / "sets", skip_bad_rows=True)


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "oil", "a b"])
def test_a_name_that_is_taken_or_no_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadDataSet):
        import_set(name, [source(tmp_path, GOOD)], tmp_path / "sets")
    assert not (tmp_path / "sets").exists()


def test_importing_twice_under_one_name_is_refused_and_the_first_stays(tmp_path: Path) -> None:
    import_set("mine", [source(tmp_path, GOOD)], tmp_path / "sets")
    with pytest.raises(BadDataSet, match="there already"):
        import_set("mine", [source(tmp_path, GOOD)], tmp_path / "sets")
    assert [path.name for path in (tmp_path / "sets").iterdir()] == ["mine"]


def test_a_mapping_is_guessed_from_ordinary_headers(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("Timestamp,Open,High,Low,Close,Volume\n" + "".join(
        f"2020-01-06T0{hour}:00:00Z,10.5,11.25,9,10,{hour}.125\n" for hour in range(1, 5)
    ))  # fmt: skip
    mapping = guessed_mapping(path)
    assert mapping.shape is Shape.BARS
    assert mapping.columns == {name.lower(): name for name in ("Open", "High", "Low", "Close", "Volume")} | {
        "time": "Timestamp"
    }
    assert (mapping.interval_us, mapping.price_exponent, mapping.size_exponent) == (3600 * SECOND_US, -2, -3)
    assert import_set(
        "mine",
        [Source(path=str(path), instrument=plain_instrument("AAA", mapping), mapping=mapping)],
        tmp_path / "sets",
    ).files[0].usable == 4  # fmt: skip


def test_oil_as_its_source_gives_it_is_guessed(tmp_path: Path) -> None:
    mapping = guessed_mapping(shared("oil/wti-daily.csv"))
    assert (mapping.columns, mapping.interval_us, mapping.price_exponent) == (
        {"time": "Date", "close": "Price"},
        DAY_US,
        -2,
    )


def test_quotes_are_guessed(tmp_path: Path) -> None:
    mapping = guessed_mapping(shared("nautilus/truefx/usdjpy-ticks.csv"))
    assert (mapping.shape, mapping.price_exponent) == (Shape.QUOTES, -3)


def test_a_header_that_says_nothing_asks_for_a_mapping(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("a,b\n2020-01-06,1\n")
    with pytest.raises(BadDataSet, match="give a mapping"):
        guessed_mapping(path)


def test_a_plain_instrument_has_the_tick_of_its_prices_and_takes_changes() -> None:
    market = plain_instrument("AAA", msgspec.structs.replace(BARS, price_exponent=-4), calendar="24/5")
    assert (market.tick_size, market.has_volume, market.calendar) == (Decimal("0.0001"), True, "24/5")


def test_the_vix_is_refused_for_its_47_open_prices_and_imported_without_them(tmp_path: Path) -> None:
    path = shared("vix/vix-daily.csv")
    mapping = guessed_mapping(path)
    vix = [Source(path=str(path), instrument=plain_instrument("VIX", mapping), mapping=mapping)]
    with pytest.raises(ImportRefused, match="47 bad rows"):
        import_set("vix", vix, tmp_path)
    assert import_set("vix", vix, tmp_path, skip_bad_rows=True).files[0].usable == 9_235 - 47
