"""Corporate actions: splits and dividends, once, to the net position, its owners, its lots and its guards."""

from decimal import Decimal
from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.execution import Fill
from schemas.position import PositionAdjusted, PositionState
from schemas.reference import ContractKind, CorporateAction, CorporateActionKind
from schemas.risk import RiskEvent
from streams.accounts.positions.corporate import dividend, split, split_lots
from streams.accounts.positions.ledger import FLAT, Terms, fold_fill, unrealised
from streams.accounts.positions.lots import Lot, Matching, view
from streams.accounts.room import precisely
from streams.pnl.lines import Line, adjusted
from streams.pnl.lines import fold as fold_line
from tests.builders import NOON, mark
from tests.streams.accounts.desk import Desk, desk, holding

LINEAR = Terms(ContractKind.LINEAR, D(1))
SPLIT, DIVIDEND = CorporateActionKind.SPLIT, CorporateActionKind.DIVIDEND


def action(version: int = 1, kind: CorporateActionKind = SPLIT, **fields: Any) -> CorporateAction:
    return CorporateAction(event_time_us=NOON + version, instrument_id="WTI", version=version, kind=kind, **fields)


def equity(it: Desk) -> Decimal:
    """Cash and what the position adds to it."""
    return it.account.totals.cash["USD"] + sum(held.value for held in it.account.holdings.values())


def test_a_split_changes_units_and_price_and_nothing_of_the_money() -> None:
    it = holding(desk(price=60), 100, at=50)
    before = equity(it)
    it.tell(action(ratio=D(4)))
    net = it.account.holdings["WTI"].net
    assert (net.quantity, net.average_price) == (D(400), D("12.5"))
    assert (it.account.holdings["WTI"].owners["trend"].quantity, equity(it)) == (D(400), before)
    (told,) = it.now(PositionState)
    assert (told.quantity, told.average_price, told.mark, told.unrealised_pnl) == (D(400), D("12.5"), D(15), D(1000))
    assert [type(one) for one in it.last] == [PositionAdjusted, PositionState]
    it.check_codec()


def test_a_split_that_comes_twice_or_late_counts_once() -> None:
    it = holding(desk(price=60), 100, at=50)
    it.tell(action(2, ratio=D(2)))
    for again in (action(2, ratio=D(2)), action(1, ratio=D(3)), action(2, ratio=D(2))):
        assert it.tell(again) == []
    assert it.account.holdings["WTI"].net.quantity == 200
    assert it.shared.marks["WTI"].last == 30


def test_what_was_bought_after_a_split_is_not_split_when_the_source_repeats_itself() -> None:
    it = desk(price=60)
    it.tell(action(ratio=D(2)))
    holding(it, 100, at=30)
    it.tell(action(ratio=D(2)))
    assert it.account.holdings["WTI"].net.quantity == 100


def test_a_dividend_is_cash_and_a_result_of_the_position_and_its_owners() -> None:
    it = holding(desk(price=50), 100, at=50)
    before = it.account.totals.cash["USD"]
    it.tell(action(kind=DIVIDEND, amount=D("0.75")))
    held = it.account.holdings["WTI"]
    assert it.account.totals.cash["USD"] - before == 75
    assert (held.net.realised, held.owners["trend"].realised, held.net.average_price) == (D(75), D(75), D(50))
    assert it.now(PositionState)[0].realised_pnl == 75


def test_who_is_short_owes_the_dividend() -> None:
    it = holding(desk(price=50), -100, at=50)
    before = it.account.totals.cash["USD"]
    it.tell(action(kind=DIVIDEND, amount=D("0.75")))
    assert it.account.totals.cash["USD"] - before == -75


@pytest.mark.parametrize(
    "bad", [{"ratio": D(0)}, {"ratio": D(-2)}, {}, {"kind": DIVIDEND}, {"kind": DIVIDEND, "amount": D(-1)}]
)
def test_an_action_without_what_its_kind_needs_is_refused_and_changes_nothing(bad: dict[str, Any]) -> None:
    it = holding(desk(price=60), 100, at=50)
    before = it.account.holdings, it.shared
    it.tell(action(**bad))
    assert [event.code for event in it.now(RiskEvent)] == ["BAD_CORPORATE_ACTION"]
    assert (it.account.holdings, it.shared) == before


def test_an_account_that_holds_nothing_hears_nothing() -> None:
    it = desk(price=60)
    assert it.tell(action(ratio=D(2))) == []
    it.tell(mark(31, at_us=NOON + 5))
    assert it.shared.marks["WTI"].last == 31


units = st.integers(-500, 500).filter(bool).map(D)
prices = st.decimals("1", "900", places=2)


@given(
    st.lists(st.tuples(units, prices), min_size=1, max_size=8),
    st.sampled_from([D(2), D(4), D("0.5"), D("0.1")]),
    prices,
)
def test_a_split_leaves_cost_and_result_as_they_are_by_average_and_by_lot(
    fills: list[tuple[Decimal, Decimal]], ratio: Decimal, price: Decimal
) -> None:
    with precisely():
        net = FLAT
        for quantity, at in fills:
            net = fold_fill(net, LINEAR, quantity, at).net
        after = split(net, ratio)
        assert abs(unrealised(after, LINEAR, price / ratio) - unrealised(net, LINEAR, price)) < D("1e-9")
        assert after.realised == net.realised
        for matching in Matching:
            lots = view(fills, LINEAR, matching)
            opened = split_lots(lots.lots, ratio)
            assert sum((lot.quantity for lot in opened), D(0)) == after.quantity
            closed = view([(-after.quantity, price / ratio)] if after.quantity else [], LINEAR, matching, opened)
            direct = view([(-net.quantity, price)] if net.quantity else [], LINEAR, matching, lots.lots)
            assert abs(closed.realised - direct.realised) < D("1e-9")


def test_lots_keep_their_order_through_a_split() -> None:
    assert split_lots([Lot(D(10), D(40)), Lot(D(5), D(60))], D(2)) == (Lot(D(20), D(20)), Lot(D(10), D(30)))


def test_a_dividend_is_paid_on_all_units_and_costs_nothing_of_the_basis() -> None:
    net = fold_fill(FLAT, LINEAR, D(-30), D(20)).net
    after, cash = dividend(net, D("0.1"))
    assert (cash, after.realised, after.average_price) == (D(-3), D(-3), D(20))


def test_a_strategys_line_follows_the_split_and_takes_its_dividend() -> None:
    it = holding(desk(price=60), 100, at=50)
    (fill,) = it.of(Fill)
    line = fold_line(Line(), fill, D(0)).line
    it.tell(action(ratio=D(4)))
    (told,) = it.of(PositionAdjusted)
    after = adjusted(line, told.ratio, told.amount)
    assert (after.line.quantity, after.line.average, after.realised) == (D(400), D("12.5"), D(0))
    it.tell(action(2, kind=DIVIDEND, amount=D("0.25")))
    paid = it.of(PositionAdjusted)[-1]
    assert adjusted(after.line, paid.ratio, paid.amount).realised == 100
