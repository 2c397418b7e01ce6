"""How large batches become."""

import pytest

from streams.runtime.pace import QUICK_S, SLOW_S, START, Pace


def test_batches_grow_with_the_backlog_up_to_their_bound() -> None:
    pace = Pace(2_000)
    taken = []
    for _ in range(4):
        taken.append(pace.bound)
        pace.folded(pace.bound, 0.01)
    assert taken == [500, 1_000, 2_000, 2_000]


def test_a_batch_that_was_not_full_leaves_the_bound_as_it_was() -> None:
    pace = Pace(2_000)
    pace.folded(START - 1, 0.01)
    assert pace.bound == START


def test_a_batch_that_folds_slowly_is_followed_by_half_of_it() -> None:
    pace = Pace(2_000)
    pace.folded(300, SLOW_S + 0.1)
    assert pace.bound == 150


def test_a_batch_that_is_neither_quick_nor_slow_leaves_the_bound_as_it_was() -> None:
    pace = Pace(2_000)
    for seconds in (QUICK_S, SLOW_S):
        pace.folded(START, seconds)
    assert pace.bound == START


def test_one_record_is_always_taken() -> None:
    pace = Pace(2_000)
    pace.folded(1, 60.0)
    assert pace.bound == 1
    pace.folded(1, 0.0)
    assert pace.bound == 2


@pytest.mark.parametrize("most", [1, 7])
def test_a_smaller_bound_than_that_of_the_start_holds_from_the_start(most: int) -> None:
    assert Pace(most).bound == most
