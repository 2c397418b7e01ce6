"""The order state machine: the table is whole, the matrices of FIX hold, and nothing that repeats or lags does harm."""

from decimal import Decimal as D
from itertools import permutations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.control import Mode
from schemas.execution import ExecutionReport
from schemas.order import ExecType, OrderStatus, ReplaceOrder, TimeInForce
from streams.accounts.orders.document import page
from streams.accounts.orders.fold import Finding, cancel_sent, find_order, fold_not_sent, fold_report, replace_sent
from streams.accounts.orders.order import Order
from streams.accounts.orders.states import (
    COLUMNS,
    DEAD,
    MATRIX,
    OF_EXEC_TYPE,
    OF_STATUS,
    PRECEDENCE,
    TABLE,
    Trigger,
)
from tests.builders import NOON, report, traded, working
from tests.oracles.lifecycle import differences
from tests.paths import ROOT
from tests.streams.accounts.fix_matrices import MATRICES, scenario


def test_the_table_has_a_cell_for_every_status_and_trigger() -> None:
    assert {(status, trigger) for status, row in TABLE.items() for trigger in row} == {
        (status, trigger) for status in OrderStatus for trigger in Trigger
    }


def test_every_status_has_a_precedence_and_every_report_a_trigger() -> None:
    assert set(PRECEDENCE) == set(OrderStatus) == set(OF_STATUS)
    assert set(OF_EXEC_TYPE) == set(ExecType) - {ExecType.ORDER_STATUS}


def test_pending_shows_above_everything_and_filled_above_canceled() -> None:
    ranked = sorted(PRECEDENCE, key=lambda status: -PRECEDENCE[status])
    assert ranked[:2] == [OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_REPLACE]
    assert PRECEDENCE[OrderStatus.FILLED] > PRECEDENCE[OrderStatus.CANCELED] > PRECEDENCE[OrderStatus.NEW]


def test_only_resting_statuses_are_rested_in() -> None:
    shown_only = {OrderStatus.PARTIALLY_FILLED, OrderStatus.FILLED, OrderStatus.REPLACED,
                  OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_REPLACE}  # fmt: skip
    assert not shown_only & {cell.resting for row in TABLE.values() for cell in row.values() if cell.resting}


def test_no_row_of_the_table_says_what_another_row_says_for_all_statuses() -> None:
    lines = [line.split() for line in MATRIX.strip().splitlines()]
    assert all(len(line) == len(COLUMNS) + 1 for line in lines)


@pytest.mark.parametrize("name", MATRICES)
def test_a_matrix_of_fix_appendix_d_holds(name: str) -> None:
    assert list(differences(scenario(name))) == []


def test_a_wrong_expectation_is_found() -> None:
    wrong = scenario("D14 requested quantity equals the executed one")
    wrong["steps"][-1] |= {"leaves_qty": 1, "ord_status": "Partially Filled"}
    assert [where for where, _, _ in differences(wrong)] == ["step 7 ord_status", "step 7 leaves_qty"]


def test_a_report_seen_twice_is_folded_once() -> None:
    once = fold_report(working(10), traded("e1", 4))
    twice = fold_report(once.order, traded("e1", 4))
    assert once.order.cumulative == 4
    assert twice.order is once.order
    assert (twice.changes, twice.findings) == ((), ())


def test_a_repeat_that_tells_another_story_is_found_and_changes_nothing() -> None:
    once = fold_report(working(10), traded("e1", 4)).order
    again = fold_report(once, traded("e1", 5))
    assert again.order is once
    assert again.findings == (Finding.CONFLICTING_REPEAT,)


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_reports_in_any_order_end_in_the_same_order(order: tuple[int, ...]) -> None:
    said = [report(ExecType.NEW), traded("e1", 3, at=100), traded("e2", 4, at=101), traded("e3", 3, at=102)]
    state = working(10, resting=OrderStatus.PENDING_NEW)
    for i in order:
        state = fold_report(state, said[i]).order
    assert (state.status, state.cumulative, state.leaves) == (OrderStatus.FILLED, D(10), D(0))
    assert state.average_price == D(101)


def test_a_bust_that_comes_before_its_fill_is_remembered() -> None:
    bust = report(ExecType.TRADE_CANCEL, "b1", reference_exec_id="e1")
    first = fold_report(working(10), bust)
    then = fold_report(first.order, traded("e1", 4))
    assert first.changes == then.changes == ()
    assert (then.order.cumulative, then.order.status) == (D(0), OrderStatus.NEW)


def test_a_correction_that_comes_before_its_fill_stands() -> None:
    corrected = report(ExecType.TRADE_CORRECT, "c1", last=3, price=99, reference_exec_id="e1")
    state = fold_report(fold_report(working(10), corrected).order, traded("e1", 4)).order
    assert (state.cumulative, state.average_price) == (D(3), D(99))


def test_a_correction_takes_the_old_fill_back_and_brings_the_new_one() -> None:
    filled = fold_report(working(10), traded("e1", 4, at=100)).order
    step = fold_report(filled, report(ExecType.TRADE_CORRECT, "c1", last=3, price=99, reference_exec_id="e1"))
    assert [(change.exec_id, change.execution.quantity, change.added) for change in step.changes] == [
        ("e1", D(4), False),
        ("e1", D(3), True),
    ]


def test_an_overfill_is_counted_and_found() -> None:
    step = fold_report(working(10), traded("e1", 11))
    assert (step.order.cumulative, step.order.leaves, step.order.status) == (D(11), D(0), OrderStatus.FILLED)
    assert step.findings == (Finding.OVERFILL,)


@pytest.mark.parametrize("fill", [traded("e1", 0), traded("e1", -1), report(ExecType.TRADE, "e1", last=1)])
def test_a_fill_without_quantity_or_price_is_found_and_changes_nothing(fill: ExecutionReport) -> None:
    state = working(10)
    step = fold_report(state, fill)
    assert step.order is state
    assert step.findings == (Finding.MALFORMED,)


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        (OrderStatus.PARTIALLY_FILLED, ExecType.REJECTED),
        (OrderStatus.REJECTED, ExecType.TRADE),
        (OrderStatus.DENIED, ExecType.NEW),
        (OrderStatus.CANCELED, ExecType.REPLACED),
        (OrderStatus.CANCELED, ExecType.SUSPENDED),
    ],
)
def test_what_cannot_follow_is_a_finding(shown: OrderStatus, said: ExecType) -> None:
    state = working(10, resting=shown)
    if shown is OrderStatus.PARTIALLY_FILLED:
        state = fold_report(working(10), traded("e0", 1)).order
    assert Finding.CONTRADICTION in fold_report(state, report(said, "e1", last=1, price=1)).findings


def test_a_rejection_cannot_take_back_a_fill() -> None:
    state = fold_report(working(10), traded("e0", 1)).order
    state = cancel_sent(state, "Y", NOON)
    after = fold_report(state, report(ExecType.REJECTED, "r")).order
    assert (after.resting, after.requests) == (OrderStatus.NEW, state.requests)


def test_a_fill_of_an_order_that_we_never_sent_counts() -> None:
    step = fold_report(working(10, resting=OrderStatus.DENIED), traded("e1", 4))
    assert (step.order.status, step.order.cumulative) == (OrderStatus.PARTIALLY_FILLED, D(4))


def test_an_unknown_outcome_is_settled_by_the_first_word_of_the_broker() -> None:
    unknown = fold_report(working(10, resting=OrderStatus.PENDING_NEW), report(ExecType.UNKNOWN)).order
    assert unknown.status is OrderStatus.UNKNOWN
    assert unknown.open_quantity == 10
    assert fold_report(unknown, traded("e1", 4)).order.status is OrderStatus.PARTIALLY_FILLED
    assert fold_report(unknown, report(ExecType.REJECTED)).order.status is OrderStatus.REJECTED


def test_an_unknown_outcome_cannot_undo_an_acknowledgement_that_came_first() -> None:
    assert fold_report(working(10), report(ExecType.UNKNOWN)).order.status is OrderStatus.NEW


def asked(status: OrderStatus, cumulative: int = 0) -> ExecutionReport:
    return report(ExecType.ORDER_STATUS, "q1", order_status=status, cumulative_quantity=D(cumulative))


def test_an_answer_to_a_query_that_knows_more_fills_is_a_finding_and_invents_none() -> None:
    step = fold_report(working(10), asked(OrderStatus.FILLED, 10))
    assert step.findings == (Finding.FILLS_MISSING,)
    assert (step.order.cumulative, step.changes) == (D(0), ())


def test_an_answer_to_a_query_that_knows_fewer_fills_is_a_finding() -> None:
    state = fold_report(working(10), traded("e1", 4)).order
    assert fold_report(state, asked(OrderStatus.NEW, 3)).findings == (Finding.FILLS_UNKNOWN_THERE,)


def test_an_answer_to_a_query_that_says_alive_of_the_dead_is_a_finding() -> None:
    state = working(10, resting=OrderStatus.CANCELED)
    assert Finding.CONTRADICTION in fold_report(state, asked(OrderStatus.NEW)).findings


def wish(request_id: str, quantity: int, original: str = "X") -> ReplaceOrder:
    return ReplaceOrder(
        event_time_us=NOON, request_id=request_id, client_order_id=original, account_id="A", venue="paper",
        mode=Mode.PAPER, instrument_id="WTI", symbol="CL", quantity=D(quantity), submit_before_us=NOON,
    )  # fmt: skip


def test_a_request_is_pending_for_us_once_sent_and_for_the_broker_once_acknowledged() -> None:
    state = cancel_sent(working(10), "Y", NOON)
    assert (state.status, state.broker_status) == (OrderStatus.PENDING_CANCEL, OrderStatus.NEW)
    pending = report(ExecType.PENDING_CANCEL, client_order_id="Y", original_client_order_id="X")
    assert fold_report(state, pending).order.broker_status is OrderStatus.PENDING_CANCEL


def test_a_request_sent_twice_is_one() -> None:
    state = cancel_sent(working(10), "Y", NOON)
    assert cancel_sent(state, "Y", NOON) is state


def test_a_pending_that_comes_after_its_answer_raises_nothing() -> None:
    state = cancel_sent(working(10), "Y", NOON)
    state = fold_report(state, report(ExecType.CANCEL_REJECTED, client_order_id="Y")).order
    state = fold_report(state, report(ExecType.PENDING_CANCEL, client_order_id="Y")).order
    assert state.status is OrderStatus.NEW


def test_a_request_that_was_not_sent_is_forgotten() -> None:
    state = cancel_sent(working(10), "Y", NOON)
    assert fold_not_sent(state, "Y", NOON).order.status is OrderStatus.NEW
    assert fold_not_sent(state, "Z", NOON).order is state


def test_an_order_that_was_not_sent_is_denied_and_holds_nothing() -> None:
    state = fold_not_sent(working(10, resting=OrderStatus.PENDING_NEW), "X", NOON).order
    assert (state.status, state.open_quantity) == (OrderStatus.DENIED, D(0))


def test_an_order_that_the_broker_has_cannot_become_one_that_was_not_sent() -> None:
    state = working(10)
    step = fold_not_sent(state, "X", NOON)
    assert step.order is state
    assert step.findings == (Finding.CONTRADICTION,)


def test_a_pending_increase_is_held_before_it_is_confirmed() -> None:
    state = replace_sent(fold_report(working(10), traded("e1", 4)).order, wish("Y", 12))
    assert (state.open_quantity, state.leaves) == (D(8), D(6))


def test_a_pending_decrease_releases_nothing_before_it_is_confirmed() -> None:
    assert replace_sent(working(10), wish("Y", 5)).open_quantity == 10


def test_a_suspended_order_still_holds_what_it_may_trade() -> None:
    state = fold_report(working(10), report(ExecType.SUSPENDED)).order
    assert (state.leaves, state.open_quantity) == (D(0), D(10))


@pytest.mark.parametrize(("tif", "leaves"), [(TimeInForce.DAY, D(0)), (TimeInForce.GTC, D(10))])
def test_done_for_day_ends_a_day_order_only(tif: TimeInForce, leaves: D) -> None:
    state = fold_report(working(10, time_in_force=tif), report(ExecType.DONE_FOR_DAY)).order
    assert (state.leaves, state.open_quantity, state.ended) == (leaves, leaves, not leaves)


def test_an_order_is_found_by_any_id_it_ever_had() -> None:
    state = replace_sent(working(10, broker_order_id="B7"), wish("Y", 12))
    orders = {"X": state}
    assert find_order(orders, "X", "", "") is state
    assert find_order(orders, "Y", "", "") is state
    assert find_order(orders, "?", "X", "") is state
    assert find_order(orders, "?", "", "B7") is state
    assert find_order(orders, "?", "", "B8") is None
    assert find_order(orders, "", "", "") is None


exec_types = st.sampled_from(sorted(ExecType))
statuses = st.sampled_from(sorted(OrderStatus))
reports = st.lists(
    st.tuples(exec_types, st.integers(1, 25), st.integers(0, 6), st.sampled_from("XYZ"), statuses),
    max_size=30,
)  # fmt: skip


@given(reports, st.sampled_from([TimeInForce.DAY, TimeInForce.GTC]))
def test_whatever_a_broker_says_an_order_stays_consistent_and_survives_encoding(
    said: list[tuple[ExecType, int, int, str, OrderStatus]], tif: TimeInForce
) -> None:
    state = replace_sent(cancel_sent(working(10, time_in_force=tif), "Y", NOON), wish("Z", 12))
    for exec_type, exec_id, last, cl, status in said:
        step = fold_report(
            state,
            report(exec_type, f"e{exec_id}", last=last, price=last, client_order_id=cl, order_status=status,
                   reference_exec_id=f"e{(exec_id * 7) % 26}"),
        )  # fmt: skip
        again = fold_report(step.order, report(exec_type, f"e{exec_id}", last=last, price=last, client_order_id=cl))
        assert again.order is step.order
        state = step.order
        assert state.cumulative == sum((one.quantity for one in state.executions.values()), D(0)) + state.carried
        assert state.leaves >= 0
        assert state.open_quantity >= 0 if not state.ended else state.open_quantity == 0
        assert PRECEDENCE[state.status] >= PRECEDENCE[state.broker_status] >= PRECEDENCE[state.shown]
        if state.resting in DEAD:
            assert state.leaves == 0
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=Order) == state


def test_the_page_on_orders_is_printed_from_the_table() -> None:
    assert (ROOT / "docs" / "orders.md").read_text(encoding="utf-8") == page(), (
        "run `python -m streams.accounts.orders.document > docs/orders.md`"
    )
