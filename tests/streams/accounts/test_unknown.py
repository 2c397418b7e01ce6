"""Orders of unknown fate: what proves that one never came to be, what does not, and what is asked again."""

from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace

from schemas.control import Mode
from schemas.execution import ExecutionReport, NotSent, NotSentReason
from schemas.order import ExecType, OrderEvent, OrderStatus, QueryOrder, Side
from schemas.risk import Discrepancy, DiscrepancyResolved, RiskEvent
from streams.accounts.orders.fold import SETTLE_US
from streams.accounts.queries import STALE_US
from streams.accounts.turn import ENDED_MAX, Turn
from tests.builders import NOON, SECOND, mark, tick, wish
from tests.streams.accounts.desk import Desk, answer, desk, filled, working

LATE = NOON + SETTLE_US


def doubtful(**fields: Any) -> Desk:
    """A desk whose one order was sent perhaps."""
    it = desk(**fields)
    it.tell(wish())
    it.tell(answer(it.order, ExecType.UNKNOWN, order_status=OrderStatus.UNKNOWN))
    return it


def absent(it: Desk, number: int, at_us: int, code: str = "NOT_FOUND") -> ExecutionReport:
    """The broker's answer to a question: no such order."""
    return answer(
        it.order, ExecType.ORDER_STATUS, f"absent-{number}", client_order_id=f"q{number}",
        original_client_order_id=it.order.client_order_id, order_status=OrderStatus.UNKNOWN, code=code,
        event_time_us=at_us,
    )  # fmt: skip


def status(it: Desk) -> OrderStatus:
    return it.of(OrderEvent)[-1].status


def test_two_answers_after_the_settle_time_prove_that_an_order_never_came_to_be_and_release_what_it_held() -> None:
    it = doubtful()
    reserved = dict(it.account.totals.reserved)
    assert any(reserved.values())
    it.tell(absent(it, 1, LATE))
    assert status(it) is OrderStatus.UNKNOWN
    it.tell(absent(it, 2, LATE + 5 * SECOND))
    assert status(it) is OrderStatus.DENIED
    assert not any(it.account.totals.reserved.values())
    assert not it.account.orders
    it.check_codec()


def test_answers_before_the_settle_time_count_for_nothing() -> None:
    it = doubtful()
    for number in range(5):
        it.tell(absent(it, number, LATE - 1))
    assert status(it) is OrderStatus.UNKNOWN


def test_one_answer_told_twice_counts_once() -> None:
    it = doubtful()
    it.tell(absent(it, 1, LATE), absent(it, 1, LATE))
    assert status(it) is OrderStatus.UNKNOWN


def test_a_word_about_the_order_between_two_answers_begins_the_count_anew() -> None:
    it = doubtful()
    it.tell(absent(it, 1, LATE))
    it.tell(answer(it.order, ExecType.UNKNOWN, "again", order_status=OrderStatus.UNKNOWN, event_time_us=LATE + 1))
    it.tell(absent(it, 2, LATE + SETTLE_US + 1))
    assert status(it) is OrderStatus.UNKNOWN


def test_a_broker_that_forgets_orders_proves_nothing_and_a_person_decides() -> None:
    it = doubtful()
    it.tell(*(absent(it, number, LATE + number, "NOT_FOUND_OPEN") for number in range(3)))
    assert status(it) is OrderStatus.UNKNOWN
    (case,) = it.of(Discrepancy)
    assert case.open
    it.tell(
        DiscrepancyResolved(
            event_time_us=LATE, account_id="A", request_id="r", discrepancy_id=case.discrepancy_id, adopt_theirs=True,
            author="ann", reason="the venue's desk says no",
        )
    )  # fmt: skip
    assert status(it) is OrderStatus.DENIED
    assert not it.of(Discrepancy)[-1].open


def test_an_order_that_the_broker_had_and_does_not_find_is_a_contradiction() -> None:
    it = desk()
    it.tell(wish())
    it.tell(answer(it.order, ExecType.NEW))
    it.tell(absent(it, 1, LATE), absent(it, 2, LATE + 1))
    assert status(it) is OrderStatus.NEW
    assert it.of(Discrepancy)[-1].open


def test_a_fill_of_an_order_that_was_taken_for_absent_is_never_dropped() -> None:
    it = doubtful()
    it.tell(absent(it, 1, LATE), absent(it, 2, LATE + 1))
    it.tell(filled(it.order, 1, 50, at_us=LATE + 2))
    assert it.account.holdings["WTI"].net.quantity == 1
    assert it.of(Discrepancy)[-1].open


def test_a_command_begun_again_after_its_order_was_proven_absent_is_disputed_until_the_broker_says_so_again() -> None:
    it = doubtful()
    it.tell(absent(it, 1, LATE), absent(it, 2, LATE + 1))
    it.tell(answer(it.order, ExecType.UNKNOWN, "again", order_status=OrderStatus.UNKNOWN, event_time_us=LATE + 2))
    assert it.of(Discrepancy)[-1].open
    it.tell(absent(it, 3, LATE + 3))
    assert not it.of(Discrepancy)[-1].open
    assert status(it) is OrderStatus.DENIED


def test_a_question_that_could_not_be_asked_is_no_refused_input_and_is_asked_again() -> None:
    it = doubtful()
    it.tell(tick(NOON + 5 * SECOND))
    (asked,) = it.of(QueryOrder)
    it.tell(
        NotSent(
            event_time_us=NOON + 5 * SECOND, account_id="A", client_order_id=asked.request_id,
            reason=NotSentReason.UNAVAILABLE,
        )
    )  # fmt: skip
    assert [event.code for event in it.of(RiskEvent) if event.kind == "INPUT_REFUSED"] == []
    it.tell(tick(NOON + 60 * SECOND))
    assert len(it.of(QueryOrder)) == 2


def test_an_order_of_unknown_fate_is_asked_about_as_soon_as_an_answer_counts() -> None:
    it = doubtful()
    asked = []
    for second in range(1, 40):
        it.tell(tick(NOON + second * SECOND))
        asked += [second for _ in it.now(QueryOrder)]
    settle = SETTLE_US // SECOND
    assert [second for second in asked if second < settle] == [5, 15], "it may be there, and then it is known early"
    assert settle in asked


def test_the_second_question_follows_soon_after_the_first_answer_that_counts() -> None:
    it = doubtful()
    it.tell(tick(LATE))
    it.tell(absent(it, 1, LATE))
    it.tell(tick(LATE + 5 * SECOND))
    assert len(it.of(QueryOrder)) == 2


@pytest.mark.parametrize(("mode", "questions"), [(Mode.PAPER, 1), (Mode.REPLAY, 0)])
def test_a_working_order_that_stays_silent_is_asked_about_where_time_is_that_of_the_wall(
    mode: Mode, questions: int
) -> None:
    it = desk(mode=mode)
    it.tell(mark(50), wish())
    it.tell(answer(it.order, ExecType.NEW))
    it.tell(tick(NOON + STALE_US - 1))
    assert not it.of(QueryOrder)
    it.tell(tick(NOON + STALE_US))
    assert len(it.of(QueryOrder)) == questions


def test_silent_orders_are_asked_about_one_with_each_tick_the_longest_silent_first() -> None:
    it = desk(mode=Mode.PAPER)
    names = [working(it, Side.BUY, 1, 49 - number, f"w{number}") for number in range(3)]
    asked = []
    for second in range(4):
        it.tell(tick(NOON + STALE_US + second * SECOND))
        asked += [question.client_order_id for question in it.now(QueryOrder)]
    assert sorted(asked) == sorted(names)


def test_a_disputed_order_is_asked_about_until_both_sides_agree() -> None:
    it = desk()
    it.tell(wish())
    it.tell(filled(it.order, it.order.quantity, 50))
    stale = answer(it.order, ExecType.ORDER_STATUS, "stale", order_status=OrderStatus.NEW)
    it.tell(stale)
    assert it.of(Discrepancy)[-1].open
    it.tell(tick(NOON + 60 * SECOND))
    assert it.now(QueryOrder)
    told = answer(
        it.order, ExecType.ORDER_STATUS, "told", order_status=OrderStatus.FILLED, cumulative_quantity=it.order.quantity
    )
    it.tell(told)
    assert not it.of(Discrepancy)[-1].open
    it.tell(tick(NOON + 600 * SECOND))
    assert not it.now(QueryOrder)


def test_an_answer_that_nobody_has_a_forgotten_order_says_nothing() -> None:
    it = desk()
    it.tell(wish())
    stranger = absent(it, 1, LATE)
    it.tell(replace(stranger, original_client_order_id="ql-forgotten"))
    assert not it.of(Discrepancy)


def test_ended_orders_are_remembered_for_as_long_as_something_is_disputed() -> None:
    it = doubtful()
    disputed = it.order.client_order_id
    it.tell(absent(it, 1, LATE), absent(it, 2, LATE + 1))
    it.tell(answer(it.order, ExecType.UNKNOWN, "again", order_status=OrderStatus.UNKNOWN, event_time_us=LATE + 2))
    turn = Turn(it.account, it.shared, LATE + 3)
    ended = it.account.ended[disputed]
    for number in range(ENDED_MAX + 10):
        turn.put_order(replace(ended, client_order_id=f"e{number}", updated_us=LATE + 10 + number))
    assert disputed in turn.account.ended
    turn.change(condition=replace(turn.account.condition, cases={}))
    turn.put_order(replace(ended, client_order_id="last", updated_us=LATE + 10_000))
    assert disputed not in turn.account.ended


def test_after_a_first_absence_questions_without_an_answer_come_later_and_later() -> None:
    it = doubtful()
    it.tell(absent(it, 1, LATE))
    asked: list[int] = []
    for second in range(1, 241):
        at_us = LATE + second * SECOND
        it.tell(tick(at_us))
        asked += [second] * len(it.now(QueryOrder))
    gaps = [after - before for before, after in pairwise(asked)]
    assert gaps == [10, 20, 40, 60, 60]


@pytest.mark.parametrize(("told_us", "disputed"), [(NOON + SECOND - 1, 0), (NOON + SECOND, 1)])
def test_a_list_of_working_orders_that_a_cancel_overtook_is_no_contradiction_and_a_later_one_is(
    told_us: int, disputed: int
) -> None:
    it = desk()
    it.tell(wish())
    it.tell(answer(it.order, ExecType.NEW))
    it.tell(answer(it.order, ExecType.CANCELED, order_status=OrderStatus.CANCELED, event_time_us=NOON + SECOND))
    it.tell(answer(it.order, ExecType.ORDER_STATUS, "listed", event_time_us=told_us))
    assert len(it.of(Discrepancy)) == disputed
