"""Parts that add up to the whole."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.pnl.performance.attribution import Segment, brinson_fachler, risk_shares
from streams.pnl.performance.returns import LengthsDiffer

returns = st.floats(-0.2, 0.2, allow_subnormal=False).map(lambda value: round(value, 6))
tables = st.integers(2, 30).flatmap(
    lambda rows: st.dictionaries(
        st.text("abc", min_size=1), st.lists(returns, min_size=rows, max_size=rows), min_size=1
    )
)


def test_two_equal_strategies_add_half_of_the_risk_each() -> None:
    found = risk_shares({"a": [0.01, -0.01, 0.02], "b": [0.01, -0.01, 0.02]}, periods=1)
    assert found is not None
    assert found.volatility == pytest.approx(2 * np.std([0.01, -0.01, 0.02], ddof=1))
    assert found.added["a"] == pytest.approx(found.volatility / 2)


def test_a_hedge_takes_risk_away() -> None:
    found = risk_shares({"long": [0.02, -0.02, 0.04, -0.01], "hedge": [-0.01, 0.01, -0.02, 0.005]})
    assert found is not None
    assert found.added["hedge"] < 0 < found.added["long"]


@given(tables)
def test_what_the_strategies_add_to_risk_adds_up_to_the_risk_of_the_account(parts: dict[str, list[float]]) -> None:
    whole = np.sum(list(parts.values()), axis=0)
    found = risk_shares(parts)
    if found is None:
        assert np.std(whole, ddof=1) == pytest.approx(0.0, abs=1e-12)
        return
    assert found.volatility == pytest.approx(float(np.std(whole, ddof=1)) * math.sqrt(252))
    assert math.fsum(found.added.values()) == pytest.approx(found.volatility, rel=1e-6, abs=1e-9)


def test_risk_of_nothing_or_of_one_day_is_unknown() -> None:
    assert risk_shares({}) is None
    assert risk_shares({"a": [0.1]}) is None
    assert risk_shares({"a": [0.1, 0.1]}) is None
    with pytest.raises(LengthsDiffer):
        risk_shares({"a": [0.1, 0.2], "b": [0.1]})


def test_more_of_what_the_market_did_well_is_allocation_and_better_picks_are_selection() -> None:
    found = brinson_fachler({"oil": Segment(0.7, 0.5, 0.12, 0.10), "gold": Segment(0.3, 0.5, 0.02, 0.02)})
    assert found["oil"].allocation == pytest.approx(0.2 * (0.10 - 0.06))
    assert found["oil"].selection == pytest.approx(0.5 * 0.02)
    assert found["oil"].interaction == pytest.approx(0.2 * 0.02)
    assert found["gold"].allocation == pytest.approx(-0.2 * (0.02 - 0.06))


@given(st.lists(st.tuples(st.integers(1, 99), st.integers(1, 99), returns, returns), min_size=1, max_size=6))
def test_allocation_selection_and_interaction_add_up_to_the_active_return(
    rows: list[tuple[int, int, float, float]],
) -> None:
    ours, theirs = sum(row[0] for row in rows), sum(row[1] for row in rows)
    segments = {str(n): Segment(a / ours, b / theirs, r, m) for n, (a, b, r, m) in enumerate(rows)}
    active = math.fsum(
        s.weight * s.performance - s.benchmark_weight * s.benchmark_performance for s in segments.values()
    )
    assert math.fsum(one.total for one in brinson_fachler(segments).values()) == pytest.approx(active, abs=1e-12)
