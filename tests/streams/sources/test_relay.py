"""The marks relay conflates without stepping over an extreme."""

from decimal import Decimal

from schemas.market import Mark
from streams.sources.relay import conflated


def mark(at: int, last: int, low: int, high: int, instrument: str = "WTI", volume: int | None = None) -> Mark:
    return Mark(
        event_time_us=at, instrument_id=instrument, last=Decimal(last), low=Decimal(low), high=Decimal(high),
        volume=None if volume is None else Decimal(volume),
    )  # fmt: skip


def test_no_marks_make_no_batch() -> None:
    assert conflated([]) is None


def test_the_newest_last_counts_and_the_extremes_of_all() -> None:
    batch = conflated([mark(1, 50, 10, 60), mark(2, 40, 30, 90)])
    assert batch is not None
    assert batch.marks == [mark(2, 40, 10, 90)]


def test_marks_in_the_wrong_order_keep_the_newest_last() -> None:
    batch = conflated([mark(2, 40, 30, 90), mark(1, 50, 10, 60)])
    assert batch is not None
    assert batch.marks == [mark(2, 40, 10, 90)]


def test_volumes_add_up_and_stay_unknown_where_none_is_known() -> None:
    batch = conflated([mark(1, 5, 5, 5, volume=3), mark(2, 5, 5, 5), mark(2, 7, 7, 7, "BRENT")])
    assert batch is not None
    assert [m.volume for m in batch.marks] == [None, Decimal(3)]


def test_instruments_come_in_order_and_the_same_marks_make_the_same_batch() -> None:
    marks = [mark(1, 5, 5, 5), mark(1, 7, 7, 7, "BRENT")]
    batch = conflated(marks)
    assert batch is not None
    assert [m.instrument_id for m in batch.marks] == ["BRENT", "WTI"]
    assert batch == conflated(reversed(marks))


def test_two_batches_of_one_time_are_two_records() -> None:
    one, other = conflated([mark(1, 5, 5, 5)]), conflated([mark(1, 5, 5, 5, "BRENT")])
    assert one is not None
    assert other is not None
    assert one.source_key() != other.source_key()
