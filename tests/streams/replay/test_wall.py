"""What was recorded for one time is told as if it happened now, and nothing but times changes."""

from itertools import pairwise

import pytest
from msgspec.structs import replace

from connectors.feeds.data_sets import DataSet, data_set
from schemas.market import BarBatch, Heartbeat, QuoteBatch
from schemas.scalars import DAY_US, SECOND_US
from streams.replay.wall import Played, beats, moved

DAY = 18_000 * DAY_US
BRENT_BEGINS = 6_348 * DAY_US
"""20 May 1987; WTI is a year older."""
NOW = 20_000 * DAY_US + 123_456
SPAN = SECOND_US // 10
QUOTES = QuoteBatch(
    event_time_us=DAY + 60 * SECOND_US, instrument_id="WTI", feed_id="x", sequence=7, price_exponent=-2,
    size_exponent=0, times_us=[DAY + 30 * SECOND_US, DAY + 60 * SECOND_US], bids=[100, 101], asks=[102, 103],
)  # fmt: skip


def bars(*days: int) -> BarBatch:
    """One price on each of these days."""
    prices = list(range(100, 100 + len(days)))
    return BarBatch(
        event_time_us=DAY + days[-1] * DAY_US, instrument_id="WTI", feed_id="x", sequence=1, interval_us=DAY_US,
        price_exponent=-2, size_exponent=0, times_us=[DAY + day * DAY_US for day in days], opens=prices, highs=prices,
        lows=prices, closes=prices,
    )  # fmt: skip


@pytest.fixture(scope="module")
def oil() -> DataSet:
    return data_set("oil")


def test_a_beat_holds_all_instruments_of_one_time_and_beats_are_in_order(oil: DataSet) -> None:
    steps = list(oil.steps(BRENT_BEGINS - 10 * DAY_US, BRENT_BEGINS + 10 * DAY_US))
    found = list(beats(steps))
    assert all(before.time_us < after.time_us for before, after in pairwise(found))
    assert sum(len(beat.records) for beat in found) == len(steps)
    assert {len(beat.records) for beat in found} == {1, 2}


def test_a_bar_ends_now_and_stays_as_long_as_it_was() -> None:
    now = moved(bars(3), DAY + 3 * DAY_US, NOW, 60 * SECOND_US, SPAN)
    assert now == replace(bars(3), event_time_us=NOW, times_us=[NOW])


def test_rows_before_the_end_of_a_beat_keep_their_places_within_it() -> None:
    """A minute of quotes becomes a tenth of a second: half a minute ago is half of that ago."""
    now = moved(QUOTES, DAY + 60 * SECOND_US, NOW, 60 * SECOND_US, SPAN)
    assert now == replace(QUOTES, event_time_us=NOW, times_us=[NOW - SPAN // 2, NOW])


def test_rows_that_lie_in_disorder_stay_so_and_are_found_by_the_rules_that_find_them() -> None:
    now = moved(bars(5, 3, 5), DAY + 5 * DAY_US, NOW, 60 * SECOND_US, SPAN)
    assert isinstance(now, BarBatch)
    assert now.times_us == [NOW, NOW - 2 * SPAN, NOW]


def test_a_feed_that_says_it_lives_says_it_now() -> None:
    beat = Heartbeat(event_time_us=DAY, feed_id="x")
    assert moved(beat, DAY, NOW, 60 * SECOND_US, SPAN) == Heartbeat(event_time_us=NOW, feed_id="x")


def test_a_market_that_is_played_is_open_around_the_clock_and_otherwise_the_same(oil: DataSet) -> None:
    assert Played(oil).instruments == [replace(one, calendar="24/7") for one in oil.instruments]
    window = (DAY, DAY + 9 * DAY_US)
    assert list(Played(oil).steps(*window)) == list(oil.steps(*window))
