"""The netting ledger against numbers worked by hand and against a naive book that remembers every fill."""

import decimal
from collections.abc import Iterator
from decimal import Decimal as D
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.reference import ContractKind
from streams.accounts.positions.contract import profit, value
from streams.accounts.positions.ledger import FLAT, Folded, Net, Terms, fold_fill, undo_fill, unrealised
from streams.accounts.positions.lots import Lot, Matching, view

LINEAR = Terms(ContractKind.LINEAR, D(1))
INVERSE = Terms(ContractKind.INVERSE, D(1))


@pytest.fixture(autouse=True)
def fifty_digits() -> Iterator[None]:
    with decimal.localcontext() as context:
        context.prec = 50
        yield


def after(*fills: tuple[str, str], terms: Terms = LINEAR, fee: str = "0") -> Net:
    net = FLAT
    for quantity, price in fills:
        net = fold_fill(net, terms, D(quantity), D(price), D(fee)).net
    return net


def test_increasing_averages_by_quantity() -> None:
    assert after(("12", "100"), ("4", "104")).average_price == 101


def test_reducing_leaves_the_average_and_realises_the_difference() -> None:
    net = after(("12", "100"), ("4", "104"), ("-6", "111"))
    assert (net.quantity, net.average_price, net.realised) == (D(10), D(101), D(60))


def test_a_fill_through_zero_closes_the_old_position_and_opens_the_new_one() -> None:
    effect = fold_fill(after(("10", "100")), LINEAR, D(-15), D(110), D("1.5"))
    assert effect.realised == 100
    assert effect.closed == 10
    assert (effect.net.quantity, effect.net.average_price) == (D(-5), D(110))
    assert (effect.net.realised, effect.net.fees) == (D(100), D("1.5"))


def test_a_fill_through_zero_shares_its_fee_by_quantity_and_begins_a_new_cycle() -> None:
    net = fold_fill(after(("10", "100")), LINEAR, D(-15), D(110), D("1.5")).net
    assert (net.cycle_realised, net.cycle_fees, net.cycle_result) == (D(0), D("0.5"), D("-0.5"))


def test_a_closed_position_keeps_the_result_of_its_cycle_until_it_is_opened_again() -> None:
    closed = after(("10", "100"), ("-10", "90"), fee="1")
    assert closed.cycle_result == -102
    assert fold_fill(closed, LINEAR, D(1), D(90), D(1)).net.cycle_result == -1


def test_a_rebate_is_a_negative_cost() -> None:
    assert after(("10", "100"), ("-10", "100"), fee="-0.25").cycle_result == D("0.5")


def test_a_short_sold_at_a_negative_price_and_bought_back_lower_gains() -> None:
    assert after(("-2", "-10"), ("2", "-36.98"), terms=Terms(ContractKind.LINEAR, D(1000))).realised == D("53960.00")


def test_a_fill_of_nothing_changes_nothing() -> None:
    net = after(("10", "100"))
    assert fold_fill(net, LINEAR, D(0), D(90), D(1)).net is net


def test_an_inverse_contract_pays_in_the_base_currency() -> None:
    net = after(("-100000", "10000"), ("100000", "11000"), terms=INVERSE)
    assert net.realised == D("-0.909090909091")
    assert value(ContractKind.INVERSE, D(10000), D(-100000), D(1)) == -10


def test_unrealised_is_what_closing_at_the_mark_would_realise() -> None:
    assert unrealised(after(("10", "100")), LINEAR, D("101.5")) == 15
    assert unrealised(FLAT, LINEAR, D(100)) == 0


def undone(terms: Terms, before: Net, quantity: str, price: str, fee: str = "0") -> tuple[Net, Folded]:
    effect = fold_fill(before, terms, D(quantity), D(price), D(fee))
    return effect.net, Folded(
        quantity=D(quantity), price=D(price), fee=D(fee), realised=effect.realised,
        before_quantity=before.quantity, before_average=before.average_price,
    )  # fmt: skip


@pytest.mark.parametrize("quantity", ["5", "-4", "-10", "-25"])
def test_a_bust_of_the_last_fill_gives_back_the_position_before_it(quantity: str) -> None:
    before = after(("6", "100"), ("4", "105"), fee="1")
    net, fill = undone(LINEAR, before, quantity, "111", "2")
    back = undo_fill(net, LINEAR, fill).net
    assert (back.quantity, back.average_price) == (before.quantity, before.average_price)
    assert (back.realised, back.fees) == (before.realised, before.fees)


fills = st.lists(
    st.tuples(
        st.integers(-50, 50).filter(bool).map(D),
        st.integers(-500, 500).map(lambda cents: D(cents) / 4),
        st.integers(-8, 8).map(lambda cents: D(cents) / 8),
    ),
    min_size=1,
    max_size=30,
)


@given(fills, st.integers(-500, 500))
def test_realised_and_unrealised_together_are_the_money_that_changed_hands(
    history: list[tuple[D, D, D]], mark: int
) -> None:
    """The naive book: cash paid and received in exact fractions, and what is left at the mark."""
    with decimal.localcontext() as context:
        context.prec = 50
        net = FLAT
        for quantity, price, fee in history:
            net = fold_fill(net, LINEAR, quantity, price, fee).net
        cash = -sum(Fraction(q) * Fraction(p) + Fraction(f) for q, p, f in history)
        held = sum((q for q, _, _ in history), D(0))
        naive = cash + Fraction(held) * mark
        ours = net.realised - net.fees + unrealised(net, LINEAR, D(mark))
        assert net.quantity == held
        assert abs(Fraction(ours) - naive) < Fraction(1, 10**9)
        assert net.fees == sum(f for _, _, f in history)


@example([(D(-1), D(0), D(0)), (D(-34), D("0.25"), D(0)), (D(1), D(0), D(0)), (D(33), D("0.25"), D(0))], 0)
@given(fills, st.integers(0, 29))
def test_a_bust_of_any_fill_is_neutral_for_the_money_in_all(history: list[tuple[D, D, D]], which: int) -> None:
    with decimal.localcontext() as context:
        context.prec = 50
        busted = which % len(history)
        net, folded = FLAT, []
        for quantity, price, fee in history:
            before = net
            effect = fold_fill(net, LINEAR, quantity, price, fee)
            net = effect.net
            folded.append(Folded(
                quantity=quantity, price=price, fee=fee, realised=effect.realised,
                before_quantity=before.quantity, before_average=before.average_price,
            ))  # fmt: skip
        net = undo_fill(net, LINEAR, folded[busted]).net
        rest = [fill for i, fill in enumerate(history) if i != busted]
        naive = -sum(Fraction(q) * Fraction(p) + Fraction(f) for q, p, f in rest)
        assert net.quantity == sum((q for q, _, _ in rest), D(0))
        mark = D(7)
        ours = net.realised - net.fees + unrealised(net, LINEAR, mark)
        assert abs(Fraction(ours) - naive - Fraction(net.quantity * mark)) < Fraction(1, 10**9)


def test_a_result_is_the_same_with_the_sides_swapped_and_the_sign_turned() -> None:
    assert profit(ContractKind.LINEAR, D(3), D(5), D(7), D(2)) == -profit(ContractKind.LINEAR, D(5), D(3), D(7), D(2))


def test_first_in_first_out_and_last_in_first_out_close_different_lots() -> None:
    history = [(D(10), D(100)), (D(10), D(110)), (D(-5), D(120))]
    assert view(history, LINEAR, Matching.FIFO) == ((Lot(D(5), D(100)), Lot(D(10), D(110))), D(100))
    assert view(history, LINEAR, Matching.LIFO) == ((Lot(D(10), D(100)), Lot(D(5), D(110))), D(50))
