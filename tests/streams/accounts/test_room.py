"""The accounts room from a wish to a position: one history, folded by hand."""

from decimal import Decimal as D

from schemas.control import KillVerb
from schemas.execution import Fill, NotSent, NotSentReason
from schemas.order import CancelOrder, ExecType, OrderEvent, OrderStatus, SubmitOrder
from schemas.position import PositionState
from schemas.record import Part
from schemas.risk import RiskSnapshot
from streams.accounts.account import Account
from streams.accounts.risk.recent import Bucket, Page
from streams.accounts.shared import Shared
from tests.builders import DAY, NOON, kill, mark, tick, wish
from tests.streams.accounts.desk import Desk, answer, deposit, desk, filled, holding, opened, setting


def test_a_wish_becomes_a_verdict_and_an_order_and_a_fill_becomes_a_position() -> None:
    it = desk()
    it.tell(wish())
    assert (it.verdict.approved, it.verdict.code, it.verdict.quantity) == (True, "", D(200))
    assert [type(one) for one in it.last[1:]] == [SubmitOrder, OrderEvent]
    it.fill(it.order, 200, "50.10", fee=2)
    assert [type(one) for one in it.last] == [OrderEvent, Fill, PositionState, RiskSnapshot]
    assert it.account.holdings["WTI"].net.quantity == 200
    assert it.account.totals.cash["USD"] == D("89978")
    assert it.account.totals.equity == D("99978")
    it.check_codec()


def test_a_wish_seen_twice_is_answered_once() -> None:
    it = desk()
    it.tell(wish())
    before = it.account
    assert it.tell(wish()) == []
    assert it.account is before


def test_a_fill_seen_twice_moves_the_position_once() -> None:
    it = desk()
    it.tell(wish())
    report = filled(it.order, 200, 50)
    it.tell(report)
    before = it.account
    assert it.tell(report) == []
    assert it.account is before


def test_a_deposit_seen_twice_is_money_once() -> None:
    it = desk(cash=1000)
    it.tell(deposit(500), deposit(500))
    assert it.account.totals.cash["USD"] == 1500


def test_an_order_holds_money_until_it_is_filled_cancelled_rejected_or_not_sent() -> None:
    for end in ("fill", ExecType.REJECTED, ExecType.CANCELED, ExecType.EXPIRED, "not sent"):
        it = desk()
        it.tell(wish())
        order = it.order
        assert it.account.totals.reserved["USD"] > 0
        if end == "fill":
            it.fill(order, order.quantity, 50)
        elif end == "not sent":
            it.tell(NotSent(event_time_us=NOON, account_id="A", client_order_id=order.client_order_id,
                            reason=NotSentReason.LATE))  # fmt: skip
        else:
            it.tell(answer(order, ExecType(end)))
        assert it.account.totals.reserved["USD"] == 0
        assert it.account.orders == {}


def test_a_halt_cancels_what_works_and_denies_what_comes() -> None:
    it = desk()
    it.tell(wish(), kill(KillVerb.HALT))
    assert [one.client_order_id for one in it.now(CancelOrder)] == [it.order.client_order_id]
    it.tell(wish("i2"))
    assert it.verdict.code in ("NO_CHANGE", "TRADING_HALTED")


def test_equity_follows_the_marks_and_a_snapshot_tells_it() -> None:
    it = desk()
    it.tell(wish())
    it.fill(it.order, 200, 50)
    it.tell(tick(NOON + DAY), mark(60, at_us=NOON + DAY))
    assert it.now(RiskSnapshot)[0].equity == 102_000
    assert it.now(PositionState)[0].unrealised_pnl == 2000


def test_an_account_without_limits_denies_everything() -> None:
    it = Desk()
    it.tell(tick(), wish())
    assert it.verdict.code == "INSTRUMENT_UNKNOWN"
    assert not it.of(SubmitOrder)


def test_the_order_event_tells_the_first_status() -> None:
    it = desk()
    it.tell(wish())
    assert it.of(OrderEvent)[0].status is OrderStatus.PENDING_NEW


def test_an_account_lives_through_the_day_on_which_oil_settled_below_zero() -> None:
    """WTI of 2020-04-17 to 2020-04-21: long 1,000 barrels, sold at the settlement, then short and bought back."""
    it = setting(desk(cash=100_000, price="18.31"), price_collar=10, daily_loss_max=1, drawdown_max=1)
    holding(it, 1000, "18.31")
    it.tell(tick(NOON + DAY), mark("-36.98", at_us=NOON + DAY))
    assert it.now(RiskSnapshot)[0].equity == 100_000 - 55_290
    assert it.now(RiskSnapshot)[0].gross_exposure == 36_980
    assert it.now(PositionState)[0].unrealised_pnl == -55_290
    it.tell(wish("out", direction=0.0, at_us=NOON + DAY))
    assert (it.verdict.approved, it.order.quantity) == (True, D(1000))
    it.fill(it.order, 1000, "-36.98", at_us=NOON + DAY)
    assert it.account.totals.cash["USD"] == 100_000 - 18_310 - 36_980
    assert it.account.totals.equity == it.account.totals.cash["USD"]
    it.tell(wish("in", at_us=NOON + DAY))
    assert it.verdict.code == "SIZING_PRICE_NOT_POSITIVE"
    holding(it, -100, "-36.98")
    it.tell(tick(NOON + 2 * DAY), mark("8.91", at_us=NOON + 2 * DAY))
    assert it.account.totals.equity == 44_710 - 4589
    it.check_codec()


def test_a_marked_account_touches_only_those_that_hold_work_or_watch() -> None:
    it = desk()
    it.tell(opened("B"), deposit(10, account_id="B"))
    idle = it.partition.states["B"]
    it.tell(mark(51, at_us=NOON + DAY))
    assert it.partition.states["B"] is idle


def test_no_part_of_what_accounts_keep_can_be_changed_in_place() -> None:
    kept = [part for part in Part.__subclasses__() if part.__module__.startswith("streams.accounts.")]
    assert {Account, Shared, Bucket, Page} <= set(kept)
    assert [part for part in kept if not part.__struct_config__.frozen] == []
