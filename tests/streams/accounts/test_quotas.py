"""What a firm allows in all, dealt to its accounts."""

from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.control import Scope
from schemas.risk import Limit
from streams.accounts.risk.limits import SPECS
from streams.accounts.risk.quotas import ADDS_UP, NotDealt, dealt

WEIGHTS = {"A": D(2), "B": D(1)}


def test_each_account_gets_its_share_rounded_down() -> None:
    shares = dealt([Limit(name="order_value_max", value=D(100), soft=D(50))], WEIGHTS)
    assert shares == {
        "A": [Limit(name="order_value_max", value=D("66.66"), soft=D("33.33"))],
        "B": [Limit(name="order_value_max", value=D("33.33"), soft=D("16.66"))],
    }


def test_a_count_is_dealt_in_whole_numbers() -> None:
    shares = dealt([Limit(name="orders_per_minute_max", value=D(100))], WEIGHTS)
    assert [share[0].value for share in shares.values()] == [66, 33]


def test_a_share_keeps_its_scope() -> None:
    limit = Limit(name="position_value_max", value=D(9), scope=Scope.INSTRUMENT, scope_id="WTI")
    assert dealt([limit], WEIGHTS)["B"] == [
        Limit(name="position_value_max", value=D(3), scope=Scope.INSTRUMENT, scope_id="WTI")
    ]


@pytest.mark.parametrize("name", [spec.name for spec in SPECS if spec.unit not in ADDS_UP])
def test_what_has_no_shares_is_refused_whole_with_its_line(name: str) -> None:
    with pytest.raises(NotDealt, match=rf"line 2 \({name}\): is in"):
        dealt([Limit(name="order_value_max", value=D(1)), Limit(name=name, value=D(1))], WEIGHTS)


@pytest.mark.parametrize(
    ("name", "value", "says"), [("leverge_max", "1", "no limit of this name"), ("order_value_max", "NaN", "no amount")]
)
def test_what_is_no_limit_is_refused_with_its_line(name: str, value: str, says: str) -> None:
    with pytest.raises(NotDealt, match=rf"line 1 \({name}\): .*{says}"):
        dealt([Limit(name=name, value=D(value))], WEIGHTS)


@pytest.mark.parametrize("weights", [{}, {"A": D(0)}, {"A": D(1), "B": D(-1)}, {"A": D("NaN")}])
def test_an_account_without_weight_is_refused(weights: dict[str, D]) -> None:
    with pytest.raises(NotDealt, match="weight above zero"):
        dealt([Limit(name="order_value_max", value=D(1))], weights)


amounts = st.decimals(0, 10**15, allow_nan=False, places=2)
shares = st.dictionaries(st.text("ABCDEF", min_size=1, max_size=3), st.decimals("0.01", 1000, places=2), min_size=1)


@given(amounts, shares, st.sampled_from(["order_value_max", "order_quantity_max", "orders_per_minute_max"]))
def test_all_accounts_together_never_get_more_than_the_firm(value: D, weights: dict[str, D], name: str) -> None:
    given_out = [share[0].value for share in dealt([Limit(name=name, value=value)], weights).values()]
    assert sum(given_out) <= value
    assert all(one >= 0 for one in given_out)
