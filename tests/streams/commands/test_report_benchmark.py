"""What an account did beyond its benchmark, by sector: exact on paper, and refused where it would be a guess."""

import math
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.commands.report_benchmark import (
    CASH,
    ActiveReturn,
    Held,
    SectorShare,
    active_return,
    parse_sectors,
    read_against,
)
from streams.pnl.performance.series_file import UnreadableSeries

FIRST = date(2026, 3, 2)
HALVES = {"oil": SectorShare(0.5, 0.10), "gold": SectorShare(0.5, 0.02)}


def days(*equities: float, paid: float = 1000.0) -> list[tuple[date, float, float | None]]:
    return [(FIRST + timedelta(at), equity, paid) for at, equity in enumerate(equities)]


def divided(found: ActiveReturn | str) -> ActiveReturn:
    assert isinstance(found, ActiveReturn), found
    return found


def test_who_holds_a_better_sector_and_a_better_choice_in_it_sees_both() -> None:
    held = [Held("WTI", "oil", FIRST, 700.0), Held("XAU", "gold", FIRST, 300.0)]
    found = divided(active_return(days(1000, 1090), held, {"oil": 84.0, "gold": 6.0}, HALVES))
    assert (found.performance, found.benchmark) == pytest.approx((0.09, 0.06))
    oil, gold = found.added["oil"], found.added["gold"]
    assert found.segments["oil"].performance == pytest.approx(0.12)
    assert (oil.allocation, oil.selection, oil.interaction) == pytest.approx((0.008, 0.01, 0.004))
    assert (gold.allocation, gold.selection, gold.interaction) == pytest.approx((0.008, 0.0, 0.0))
    assert found.added[CASH].total == pytest.approx(0.0)


def test_money_that_was_not_invested_costs_what_the_benchmark_earned() -> None:
    found = divided(active_return(days(1000, 1000), [], {}, HALVES))
    assert found.segments[CASH].weight == 1.0
    assert found.added[CASH].allocation == pytest.approx(-0.06)
    assert sum(one.total for one in found.added.values()) == pytest.approx(-0.06)


def test_what_is_held_stays_held_until_it_is_said_otherwise() -> None:
    held = [Held("WTI", "oil", FIRST, 1000.0), Held("WTI", "oil", FIRST + timedelta(2), 0.0)]
    found = divided(active_return(days(1000, 1000, 1000, 1000, 1000), held, {"oil": 0.0}, HALVES))
    assert found.segments["oil"].weight == pytest.approx(0.5)


def test_a_sector_that_was_never_held_at_the_end_of_a_day_is_no_selection() -> None:
    found = divided(active_return(days(1000, 1050), [], {"oil": 50.0}, HALVES))
    assert found.added["oil"].selection == 0.0
    assert sum(one.total for one in found.added.values()) == pytest.approx(0.05 - 0.06)


def test_what_was_paid_in_is_capital_and_no_return() -> None:
    equities = [(FIRST, 1000.0, 1000.0), (FIRST + timedelta(1), 2000.0, 2000.0), (FIRST + timedelta(2), 2150.0, 2000.0)]
    found = divided(active_return(equities, [], {}, HALVES))
    assert found.performance == pytest.approx(150 / 1500)


sectors = st.dictionaries(st.sampled_from(["oil", "gold", "wheat", "tin"]), st.floats(-500, 500), max_size=4)


@given(sectors, sectors, st.floats(500, 5000))
@example({"oil": 3.5e-6}, {"oil": 129.0}, 500.0)
@example({"oil": 1.1e-3, "gold": 0.9e-3}, {"oil": -500.0, "gold": 500.0}, 500.0)
@example({"oil": 500.0, "gold": 500.0}, {}, 600.0)
def test_allocation_selection_and_interaction_add_up_to_the_return_beyond_the_benchmark(
    worth: dict[str, float], earned: dict[str, float], equity: float
) -> None:
    held = [Held(name, name, FIRST, value) for name, value in worth.items()]
    found = divided(active_return(days(1000, equity), held, dict(earned), HALVES))
    total = math.fsum(one.total for one in found.added.values())
    assert total == pytest.approx(found.performance - found.benchmark, abs=1e-9)
    assert math.fsum(one.weight for one in found.segments.values()) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("given_days", "held", "earned", "why"),
    [
        (days(1000), [], {}, "needs two"),
        ([(FIRST, 1000.0, None), (FIRST + timedelta(1), 1000.0, 0.0)], [], {}, "paid in is not known"),
        (days(0, 100), [], {}, "no capital"),
        (days(1000, 1100), [Held("WTI", "oil", FIRST, None)], {"oil": 1.0}, "cannot be valued"),
        (days(1000, 1100), [], {"oil": None}, "cannot be valued"),
    ],
)
def test_what_is_not_known_is_said_and_not_guessed(
    given_days: list[tuple[date, float, float | None]], held: list[Held], earned: dict[str, float | None], why: str
) -> None:
    found = active_return(given_days, held, earned, HALVES)
    assert isinstance(found, str)
    assert why in found


def test_sectors_are_read_in_any_order_of_columns() -> None:
    found = parse_sectors(b"return,sector,weight\n0.1,oil,0.6\n-0.02,gold,0.4\n", "b.csv")
    assert found == {"oil": SectorShare(0.6, 0.1), "gold": SectorShare(0.4, -0.02)}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "needs the columns"),
        ("sector,weight\noil,1\n", "needs the columns"),
        ("sector,weight,return\noil,0.6,0.1\n", "the weights add to 0.6"),
        ("sector,weight,return\noil,0.5,0.1\noil,0.5,0.1\n", "line 3: oil stands there twice"),
        ("sector,weight,return\noil,1,\n", "line 2: a sector"),
        ("sector,weight,return\noil,1,much\n", "line 2: value 'much'"),
        ("sector,weight,return\noil,1,-1.5\n", "line 2: a return"),
        ("sector,weight,return\noil,1\n", "line 2"),
        ('sector,weight,return\n"oil,1,0.1\n', "cannot be read"),
    ],
)
def test_a_file_of_sectors_that_is_not_one_is_refused_with_its_line(text: str, why: str) -> None:
    with pytest.raises(UnreadableSeries, match=why):
        parse_sectors(text.encode(), "b.csv")


def test_a_benchmark_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSeries, match=r"none\.csv: cannot be opened"):
        read_against(None, tmp_path / "none.csv")
