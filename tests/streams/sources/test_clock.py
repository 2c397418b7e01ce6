"""The clock says full seconds, each once, and never goes back."""

import pytest

from streams.sources.clock import due, wait_us

SECOND = 1_000_000


@pytest.mark.parametrize(
    ("now_us", "last_us", "says"),
    [
        (10 * SECOND, 9 * SECOND, 10 * SECOND),
        (10 * SECOND + 1, 9 * SECOND, 10 * SECOND),
        (11 * SECOND - 1, 9 * SECOND, 10 * SECOND),
        (11 * SECOND - 1, 10 * SECOND, None),
        (60 * SECOND, 10 * SECOND, 60 * SECOND),
        (5 * SECOND, 10 * SECOND, None),
    ],
)
def test_a_tick_is_the_newest_full_second_once(now_us: int, last_us: int, says: int | None) -> None:
    assert due(now_us, last_us) == says


def test_the_clock_waits_for_the_next_full_second() -> None:
    assert wait_us(10 * SECOND) == SECOND
    assert wait_us(10 * SECOND + 1) == SECOND - 1
    assert wait_us(11 * SECOND - 1) == 1
