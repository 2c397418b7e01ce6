"""Implementation shortfall: four parts that are the whole."""

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.order import Side
from schemas.reference import ContractKind
from schemas.scalars import rounded
from streams.pnl.performance.shortfall import EXACT, Paper, Shortfall, shortfall

prices = st.decimals("-99", "99999", places=4)
above_zero = st.decimals("0.01", "99999", places=4)
units = st.decimals("0.000001", "100000", places=6)
money = st.decimals("-50", "500", places=6)


def test_the_parts_of_a_half_filled_order_are_what_each_step_cost() -> None:
    """Decided at 100, 600 of 1000 filled at 101 and 102 after arrival at 100.5, closed at 104."""
    fills = [(Decimal(400), Decimal(101)), (Decimal(200), Decimal(102))]
    found = shortfall(
        Paper(Side.BUY, Decimal(1000), Decimal(100)), fills, arrival=Decimal("100.5"), close=Decimal(104),
        fees=Decimal(12),
    )  # fmt: skip
    assert found == Shortfall(Decimal(300), Decimal(500), Decimal(1600), Decimal(12))
    assert found.total == 2412


def test_a_sale_that_fell_before_it_was_filled_cost_what_a_purchase_that_rose_would_have() -> None:
    found = shortfall(
        Paper(Side.SELL, Decimal(10), Decimal(50)), [(Decimal(10), Decimal(48))], arrival=Decimal(49), close=Decimal(40)
    )
    assert found == Shortfall(Decimal(10), Decimal(10), Decimal(0), Decimal(0))


def test_an_inverse_contract_costs_in_its_base_currency() -> None:
    paper = Paper(Side.BUY, Decimal(1000), Decimal(8000), contract=ContractKind.INVERSE)
    found = shortfall(paper, [(Decimal(1000), Decimal(10000))], arrival=Decimal(8000), close=Decimal(10000))
    assert found == Shortfall(Decimal(0), Decimal("0.025"), Decimal(0), Decimal(0))


@pytest.mark.parametrize("contract", list(ContractKind))
@given(
    side=st.sampled_from([Side.BUY, Side.SELL, Side.SELL_SHORT]), decision=prices, arrival=prices, close=prices,
    fills=st.lists(st.tuples(units, prices), max_size=5), unfilled=units, fees=money, multiplier=above_zero,
)  # fmt: skip
def test_the_four_parts_add_up_to_paper_less_reality(
    contract: ContractKind, side: Side, decision: Decimal, arrival: Decimal, close: Decimal,
    fills: list[tuple[Decimal, Decimal]], unfilled: Decimal, fees: Decimal, multiplier: Decimal,
) -> None:  # fmt: skip
    if contract is ContractKind.INVERSE:
        decision, arrival, close = (abs(price) + 1 for price in (decision, arrival, close))
        fills = [(quantity, abs(price) + 1) for quantity, price in fills]
    ordered = sum((quantity for quantity, _ in fills), Decimal(0)) + unfilled
    found = shortfall(
        Paper(side, ordered, decision, multiplier, contract), fills, arrival=arrival, close=close, fees=fees
    )

    def gain(quantity: Decimal, opened: Decimal) -> Decimal:
        signed = quantity * multiplier * (1 if side is Side.BUY else -1)
        return signed * (close - opened if contract is ContractKind.LINEAR else 1 / opened - 1 / close)

    with localcontext(EXACT):
        real = sum((gain(quantity, price) for quantity, price in fills), Decimal(0)) - fees
        assert found.total == rounded(gain(ordered, decision) - real)
    assert found.delay + found.execution + found.opportunity + found.fees == found.total
    assert found.fees == rounded(fees)
