"""Data sets: the shipped one is what it says, and steps come in one order, the same every time."""

import csv
import shutil
from decimal import Decimal
from pathlib import Path

import pytest

from connectors.feeds.data_sets import SHIPPED, DataSet, data_set, data_sets
from connectors.feeds.errors import BadDataSet, UnknownDataSet
from connectors.feeds.importer import Source, import_set
from connectors.feeds.tables import ColumnMapping, Shape
from schemas.market import BarBatch, Heartbeat, TradeBatch
from schemas.scalars import DAY_US, SECOND_US, iso_of
from tests.connectors.feeds.shared_sets import instrument, shared

YEAR_2020_US = 1_577_836_800 * SECOND_US


def test_oil_is_unaltered_and_its_checksums_are_those_of_its_source() -> None:
    assert all(check.right for check in data_set("oil").verify())
    assert {check.detail for check in data_set("oil").verify()} == {
        "e296634680fca6c045838d4c07a174383386efa8b657adb7ece4cc7464ef49a8",
        "b5908edde7a195aca26d8bcc9993c38899fa579b0415796616a1469eee0d4dd4",
    }


def test_oil_is_byte_for_byte_what_the_source_gave() -> None:
    for name in ("wti-daily.csv", "brent-daily.csv"):
        assert (SHIPPED / "oil" / name).read_bytes() == shared(f"oil/{name}").read_bytes()


def test_the_provenance_of_oil_acknowledges_its_source_and_states_its_checksums() -> None:
    text = (SHIPPED / "oil" / "PROVENANCE.md").read_text()
    assert "Source: U.S. Energy Information Administration" in text
    assert all(check.detail in text for check in data_set("oil").verify())


def test_every_price_of_oil_is_one_step_and_nothing_is_lost() -> None:
    steps = [step for step in data_set("oil").steps() if step.instrument_id == "WTI"]
    with (SHIPPED / "oil" / "wti-daily.csv").open(newline="") as file:
        prices = [Decimal(price) for _, price in list(csv.reader(file))[1:]]
    batches = [record for step in steps for record in step.records if isinstance(record, BarBatch)]
    assert [Decimal(batch.closes[0]).scaleb(-2) for batch in batches] == prices
    assert [batch.sequence for batch in batches] == list(range(1, 10_227))


def test_a_price_of_oil_is_known_at_22_00_of_its_day() -> None:
    steps = [step for step in data_set("oil").steps() if iso_of(step.time_us).startswith("2020-04-20")]
    assert [(step.instrument_id, iso_of(step.time_us)) for step in steps] == [
        ("BRENT", "2020-04-20T22:00:00Z"),
        ("WTI", "2020-04-20T22:00:00Z"),
    ]


def test_only_wti_may_be_negative_and_neither_has_a_volume() -> None:
    assert [(one.instrument_id, one.price_may_be_negative, one.has_volume) for one in data_set("oil").instruments] == [
        ("BRENT", False, False),
        ("WTI", True, False),
    ]


def test_steps_are_in_order_of_time_and_instrument_and_the_same_every_time() -> None:
    steps = list(data_set("oil").steps())
    keys = [(step.time_us, step.instrument_id) for step in steps]
    assert keys == sorted(set(keys))
    assert steps == list(data_set("oil").steps())


def test_a_window_begins_with_its_first_time_and_ends_before_its_last() -> None:
    first = YEAR_2020_US + 22 * 3600 * SECOND_US + DAY_US
    steps = list(data_set("oil").steps(first, first + DAY_US))
    assert {iso_of(step.time_us) for step in steps} == {"2020-01-02T22:00:00Z"}


def test_sequences_do_not_depend_on_the_window() -> None:
    whole = {(s.time_us, s.instrument_id): s for s in data_set("oil").steps()}
    part = list(data_set("oil").steps(YEAR_2020_US, YEAR_2020_US + 30 * DAY_US))
    assert part
    assert all(whole[step.time_us, step.instrument_id] == step for step in part)


def test_an_unknown_set_is_refused_and_those_that_are_known_are_named() -> None:
    with pytest.raises(UnknownDataSet, match="no data set 'oli': known are oil"):
        data_set("oli")


def test_a_set_is_found_by_its_folder() -> None:
    assert data_set(SHIPPED / "oil").name == "oil"


def test_all_sets_are_listed_and_a_shipped_one_is_never_hidden(tmp_path: Path) -> None:
    shutil.copytree(SHIPPED / "oil", tmp_path / "oil")
    shutil.copytree(SHIPPED / "oil", tmp_path / "crude")
    assert [found.folder for found in data_sets(tmp_path)] == [tmp_path / "crude", SHIPPED / "oil"]


def test_an_altered_file_is_named_and_never_replayed(tmp_path: Path) -> None:
    shutil.copytree(SHIPPED / "oil", tmp_path / "oil")
    path = tmp_path / "oil" / "wti-daily.csv"
    path.write_bytes(path.read_bytes().replace(b"-36.98", b"36.98"))
    altered = DataSet(tmp_path / "oil")
    assert [(check.path, check.right) for check in altered.verify()] == [
        ("brent-daily.csv", True),
        ("wti-daily.csv", False),
    ]
    with pytest.raises(BadDataSet, match=r"wti-daily\.csv of data set oil is not the file described"):
        next(iter(altered.steps()))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    shutil.copytree(SHIPPED / "oil", tmp_path / "oil")
    (tmp_path / "oil" / "wti-daily.csv").unlink()
    assert [check.detail for check in DataSet(tmp_path / "oil").verify() if not check.right] == [
        "cannot be read: No such file or directory"
    ]


def test_a_description_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text('{"name": "x", "nonsense": 1}')
    with pytest.raises(BadDataSet, match="no description"):
        data_set(tmp_path)


def test_ticks_step_by_the_minute_and_each_time_ends_with_a_heartbeat(tmp_path: Path) -> None:
    rows = "".join(f"2020-01-06T00:{second // 60:02}:{second % 60:02},10.00\n" for second in range(0, 180, 20))
    sources = []
    for name in ("AAA", "BBB"):
        (tmp_path / f"{name}.csv").write_text("t,p\n" + rows)
        mapping = ColumnMapping(shape=Shape.TRADES, columns={"time": "t", "price": "p"})
        sources.append(Source(path=str(tmp_path / f"{name}.csv"), instrument=instrument(name), mapping=mapping))
    import_set("ticks", sources, tmp_path / "sets")
    steps = list(data_set("ticks", tmp_path / "sets").steps())
    assert [(iso_of(step.time_us)[11:16], step.instrument_id) for step in steps] == [
        (minute, name) for minute in ("00:01", "00:02", "00:03") for name in ("AAA", "BBB")
    ]
    assert [type(record) for record in steps[0].records] == [TradeBatch]
    assert [type(record) for record in steps[1].records] == [TradeBatch, Heartbeat]
    assert all(len(record.times_us) == 3 for step in steps for record in step.records if isinstance(record, TradeBatch))
