"""What a fill does to holdings and money, for everything that can be traded."""

from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.brokers.paper.holdings import FLAT, Held, traded
from schemas.reference import ContractKind, Instrument, InstrumentClass
from tests.connectors.brokers.orders import teapots

OWNED = teapots(multiplier=D(2))
FUTURE = teapots(instrument_class=InstrumentClass.FUTURE, multiplier=D(1000))
INVERSE = teapots(contract=ContractKind.INVERSE, settlement_currency="BTC")


@pytest.mark.parametrize(
    ("held", "quantity", "price", "after"),
    [
        (FLAT, 10, 100, Held(D(10), D(100))),
        (Held(D(10), D(100)), 10, 110, Held(D(20), D(105))),
        (Held(D(10), D(100)), -4, 110, Held(D(6), D(100))),
        (Held(D(10), D(100)), -10, 110, Held(D(0), D(100))),
        (Held(D(10), D(100)), -15, 110, Held(D(-5), D(110))),
        (Held(D(-5), D(-10)), 7, -20, Held(D(2), D(-20))),
    ],
)
def test_positions_are_kept_by_average_cost_through_zero(held: Held, quantity: int, price: int, after: Held) -> None:
    assert traded(held, OWNED, D(quantity), D(price))[0] == after


def test_what_is_owned_is_paid_for_in_full() -> None:
    assert traded(FLAT, OWNED, D(10), D(100))[1] == -2000
    assert traded(Held(D(10), D(100)), OWNED, D(-10), D(90))[1] == 1800
    assert traded(FLAT, OWNED, D(1), D("-36.98"))[1] == D("73.96"), "who takes oil below zero is paid for it"


def test_futures_pay_the_difference_of_what_is_closed() -> None:
    assert traded(FLAT, FUTURE, D(3), D(60))[1] == 0
    assert traded(Held(D(3), D(60)), FUTURE, D(-2), D("59.5"))[1] == -1000
    assert traded(Held(D(3), D(60)), FUTURE, D(-5), D(61))[1] == 3000


def test_inverse_contracts_pay_in_the_base_currency() -> None:
    assert traded(Held(D(1000), D(10000)), INVERSE, D(-1000), D(12500))[1] == D("0.02")
    assert traded(Held(D(-1000), D(10000)), INVERSE, D(1000), D(12500))[1] == D("-0.02")
    assert traded(Held(D(1000), D(10000)), INVERSE, D(-1000), D(0))[1] == 0


@given(
    fills=st.lists(st.tuples(st.integers(-9, 9).filter(bool), st.integers(-50, 200)), min_size=1, max_size=12),
    instrument=st.sampled_from([OWNED, FUTURE]),
    last=st.integers(-50, 200),
)
def test_money_and_holdings_together_are_worth_what_was_traded(
    fills: list[tuple[int, int]], instrument: Instrument, last: int
) -> None:
    held, money, worth = FLAT, D(0), D(0)
    for quantity, price in fills:
        held, paid = traded(held, instrument, D(quantity), D(price))
        money += paid
        worth += (last - price) * quantity * instrument.multiplier
    if instrument is OWNED:
        value = held.quantity * last * instrument.multiplier
    else:
        value = (last - held.average) * held.quantity * instrument.multiplier
    assert abs(money + value - worth) < D("0.0001")
