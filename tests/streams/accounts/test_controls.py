"""What people and the broker's books say to an account, and what becomes of it."""

from decimal import Decimal as D

import msgspec
import pytest

from schemas.control import KillVerb, MarginRegime, Mode, Scope, TradingState
from schemas.dead_letter import DeadLetterReason, UnreadableRecord
from schemas.execution import BrokerCash, BrokerPositions, ExecutionReport, Fill, HeldCash, HeldPosition, NotSent
from schemas.execution import NotSentReason as Why
from schemas.intent import ManualAction, ManualOrder
from schemas.order import (
    CancelOrder,
    ExecType,
    OrderEvent,
    OrderStatus,
    OrderType,
    QueryOrder,
    ReplaceOrder,
    Side,
    SubmitOrder,
)
from schemas.position import AccountSnapshot
from schemas.reference import InstrumentClass
from schemas.risk import (
    Discrepancy,
    DiscrepancyKind,
    DiscrepancyResolved,
    Limit,
    LimitChange,
    RiskEvent,
    RiskEventKind,
    RiskSnapshot,
)
from streams.accounts.account import Account
from tests.builders import DAY, NOON, SECOND, Number, instrument, kill, mark, money, tick, wish
from tests.streams.accounts.desk import (
    Desk,
    answer,
    deposit,
    desk,
    filled,
    holding,
    only,
    opened,
    setting,
    working,
)

RICH = 10_000_000


def codes(it: Desk, kind: RiskEventKind) -> list[str]:
    return [one.code for one in it.of(RiskEvent) if one.kind is kind]


def change(*limits: Limit, request_id: str = "change", effective_at_us: int = 0) -> LimitChange:
    return LimitChange(event_time_us=NOON, account_id="A", request_id=request_id, limits=list(limits), author="ann",
                       reason="test", effective_at_us=effective_at_us)  # fmt: skip


@pytest.mark.parametrize(
    ("limits", "code", "words"),
    [
        ((), "LIMITS_EMPTY", "no limit"),
        ((only("leverage_max", 2), only("leverge_max", 2)), "LIMIT_UNKNOWN", "line 2 (leverge_max)"),
        ((only("leverage_max", 101),), "LIMIT_BOUNDS", "line 1"),
        ((only("leverage_max", 100),), "", ""),
        ((only("leverage_max", -1),), "LIMIT_BOUNDS", "line 1"),
        ((only("net_exposure_max", 10**15),), "", ""),
        ((only("net_exposure_max", 10**15 + 1),), "LIMIT_BOUNDS", "line 1"),
        ((only("leverage_max", "NaN"),), "LIMIT_BOUNDS", "line 1"),
        ((only("leverage_max", 2), only("leverage_max", 3)), "LIMIT_TWICE", "line 2"),
        ((only("leverage_max", 2, scope=Scope.STRATEGY, scope_id="x"),), "LIMIT_SCOPE", "line 1"),
        ((only("leverage_max", 2, scope_id="x"),), "LIMIT_SCOPE", "line 1"),
        ((only("order_value_max", 2, scope=Scope.STRATEGY),), "LIMIT_SCOPE", "line 1"),
        ((Limit(name="leverage_max", value=D(2), soft=D(3)),), "LIMIT_SOFT", "line 1"),
        ((Limit(name="leverage_max", value=D(2), soft=D(2)),), "", ""),
        ((only("daily_loss_max", "0.3"), only("drawdown_max", "0.2")), "LIMIT_CONTRADICTION", "daily_loss_max 0.3"),
        ((only("daily_loss_max", "0.2"), only("drawdown_max", "0.2")), "", ""),
    ],
)
def test_a_wrong_limit_change_is_refused_whole_with_the_line_that_is_wrong(
    limits: tuple[Limit, ...], code: str, words: str
) -> None:
    it = desk()
    before = it.account.profile.limits
    it.tell(change(*limits))
    if code:
        refused = it.now(RiskEvent)[0]
        assert (refused.kind, refused.code) == (RiskEventKind.LIMIT_REFUSED, code)
        assert words in refused.reason
        assert it.account.profile.limits == before
    else:
        assert it.now(RiskEvent)[0].kind is RiskEventKind.LIMIT_CHANGED


def test_a_limit_change_seen_twice_is_told_once() -> None:
    it = desk()
    it.tell(change(only("leverage_max", 2)))
    assert it.tell(change(only("leverage_max", 2))) == []


def test_a_limit_change_waits_until_it_is_effective() -> None:
    it = desk()
    it.tell(change(only("order_quantity_max", 7), effective_at_us=NOON + 2))
    it.tell(tick(NOON + 1))
    assert it.account.profile.limits["order_quantity_max|ACCOUNT|"].value == 1_000_000
    it.tell(tick(NOON + 2))
    assert it.account.profile.limits["order_quantity_max|ACCOUNT|"].value == 7
    assert it.account.profile.waiting == ()


def test_the_narrowest_scope_decides() -> None:
    it = setting(desk(), only("order_quantity_max", 5, scope=Scope.STRATEGY, scope_id="trend"))
    it.tell(wish())
    assert it.verdict.quantity == 5


def test_a_flatten_cancels_closes_and_lets_nothing_else_out() -> None:
    it = holding(desk(cash=RICH), 100)
    name = working(it, Side.BUY, 5, 49)
    it.tell(kill(KillVerb.FLATTEN))
    assert [one.client_order_id for one in it.now(CancelOrder)] == [name]
    exits = it.now(SubmitOrder)
    assert [(one.quantity, one.side, one.reduce_only) for one in exits] == [(D(100), Side.SELL, True)]
    it.tell(wish("late"))
    assert it.verdict.code == "TRADING_HALTED"
    it.fill(exits[0], 100, 50)
    assert it.account.holdings["WTI"].net.quantity == 0
    it.tell(tick(NOON + SECOND))
    assert not it.now(SubmitOrder)


def test_a_flatten_waits_for_the_closing_order_in_its_way() -> None:
    it = holding(desk(cash=RICH), 100)
    working(it, Side.SELL, 60, 55)
    target = it.order
    it.tell(kill(KillVerb.FLATTEN))
    assert not it.now(SubmitOrder)
    it.tell(answer(target, ExecType.CANCELED))
    assert it.now(SubmitOrder)[0].quantity == 100


def test_a_flatten_of_a_strategy_closes_its_part_only() -> None:
    it = holding(holding(desk(cash=RICH), 100), 40, strategy_id="other")
    it.tell(kill(KillVerb.FLATTEN, scope=Scope.STRATEGY, scope_id="other"))
    assert [one.quantity for one in it.now(SubmitOrder)] == [D(40)]


def test_a_switch_seen_twice_or_late_acts_once() -> None:
    it = holding(desk(cash=RICH), 100)
    it.tell(kill(KillVerb.FLATTEN, 2))
    assert it.tell(kill(KillVerb.FLATTEN, 2)) == []
    assert it.tell(kill(KillVerb.RESUME, 1)) == []
    it.tell(wish("w"))
    assert it.verdict.code == "TRADING_HALTED"


@pytest.mark.parametrize(
    ("scope", "scope_id", "cancels", "closes"),
    [
        (Scope.GLOBAL, "", 1, 100),
        (Scope.ACCOUNT, "A", 1, 100),
        (Scope.ACCOUNT, "B", 0, 0),
        (Scope.VENUE, "paper", 1, 100),
        (Scope.VENUE, "other", 0, 0),
        (Scope.INSTRUMENT, "WTI", 1, 100),
        (Scope.INSTRUMENT, "BRENT", 0, 0),
        (Scope.STRATEGY, "trend", 0, 100),
        (Scope.STRATEGY, "other", 0, 0),
        (Scope.PROVIDER, "oracle", 0, 0),
    ],
)
def test_a_flatten_cancels_and_closes_what_its_scope_covers_and_nothing_else(
    scope: Scope, scope_id: str, cancels: int, closes: int
) -> None:
    """Held by the strategy `trend`; what works was placed by hand, so it is nobody's but the account's."""
    it = holding(desk(cash=RICH), 100)
    working(it, Side.BUY, 5, 49)
    it.tell(kill(KillVerb.FLATTEN, scope=scope, scope_id=scope_id))
    assert len(it.now(CancelOrder)) == cancels
    assert sum(one.quantity for one in it.now(SubmitOrder)) == closes
    assert all(one.side is Side.SELL and one.reduce_only for one in it.now(SubmitOrder))


def test_a_short_position_is_closed_by_buying() -> None:
    it = holding(desk(cash=RICH), -100)
    it.tell(kill(KillVerb.FLATTEN, scope=Scope.INSTRUMENT, scope_id="WTI"))
    assert [(one.side, one.quantity) for one in it.now(SubmitOrder)] == [(Side.BUY, D(100))]


def test_a_strategy_whose_part_is_the_other_way_round_has_nothing_to_close() -> None:
    """It was short 40 while another was long 100: closing its part would make the account longer."""
    it = holding(holding(desk(cash=RICH), 100), -40, strategy_id="other")
    it.tell(kill(KillVerb.FLATTEN, scope=Scope.STRATEGY, scope_id="other"))
    assert not it.now(SubmitOrder)


def test_a_switch_of_another_account_is_not_ours() -> None:
    it = holding(desk(cash=RICH), 100)
    assert it.tell(kill(KillVerb.FLATTEN, scope=Scope.ACCOUNT, scope_id="B")) == []


def by_hand(action: ManualAction, request_id: str = "m1", **fields: object) -> ManualOrder:
    given = {"event_time_us": NOON, "request_id": request_id, "account_id": "A", "action": action, "author": "ann",
             "reason": "test", "valid_until_us": NOON + DAY, **fields}  # fmt: skip
    return ManualOrder(**given)  # type: ignore[arg-type]  # typed by the record


def test_a_person_places_cancels_replaces_and_closes_and_risk_still_decides() -> None:
    it = desk(cash=RICH)
    name = working(it, Side.BUY, 10, 49)
    it.tell(by_hand(ManualAction.REPLACE, client_order_id=name, quantity=D(12), limit_price=D("49.5")))
    replaced = it.now(ReplaceOrder)[0]
    assert (replaced.client_order_id, replaced.quantity, replaced.limit_price) == (name, D(12), D("49.5"))
    assert it.account.orders[name].status is OrderStatus.PENDING_REPLACE
    it.tell(by_hand(ManualAction.REPLACE, "m2", client_order_id=name, quantity=D(13)))
    assert it.now(RiskEvent)[0].code == "REPLACE_NOT_POSSIBLE"
    it.tell(by_hand(ManualAction.CANCEL, "m3", client_order_id=name))
    assert it.now(CancelOrder)[0].client_order_id == name
    it.tell(by_hand(ManualAction.PLACE, "m4", instrument_id="WTI", side=Side.BUY, quantity=D(10_000_000)))
    assert (it.verdict.approved, it.verdict.code) == (False, "ORDER_VALUE")
    holding(it, 30)
    it.tell(by_hand(ManualAction.CLOSE_POSITION, "m5", instrument_id="WTI"))
    assert (it.order.quantity, it.order.side) == (D(30), Side.SELL)


@pytest.mark.parametrize("post_only", [True, False])
def test_an_order_that_a_person_wants_post_only_reaches_the_broker_as_such(post_only: bool) -> None:
    it = desk(cash=RICH)
    it.tell(by_hand(ManualAction.PLACE, instrument_id="WTI", side=Side.BUY, quantity=D(10), order_type=OrderType.LIMIT,
                    limit_price=D(49), post_only=post_only))  # fmt: skip
    assert it.order.post_only is post_only
    assert it.account.orders[it.order.client_order_id].post_only is post_only


@pytest.mark.parametrize(
    ("quantity", "price", "code"),
    [
        ("10", "50.01", ""),
        ("9", "50.01", "QUANTITY_BELOW_MIN"),
        ("10.3", "50.01", "QUANTITY_OFF_LOT"),
        ("10.25", "50.01", "QUANTITY_PRECISION"),
        ("10", "50.011", "PRICE_OFF_TICK"),
        ("10", "50.005", "PRICE_PRECISION"),
    ],
)
def test_what_the_venue_would_not_take_by_its_size_or_digits_is_denied_and_never_sent(
    quantity: str, price: str, code: str
) -> None:
    it = desk(cash=RICH)
    it.tell(instrument(version=2, quantity_min=D(10), lot_size=D("0.25"), quantity_decimals=1, tick_size=D("0.005")))
    it.tell(by_hand(ManualAction.PLACE, instrument_id="WTI", side=Side.BUY, quantity=D(quantity),
                    order_type=OrderType.LIMIT, limit_price=D(price)))  # fmt: skip
    assert (it.verdict.approved, it.verdict.code) == (not code, code)
    assert len(it.of(SubmitOrder)) == (0 if code else 1)


@pytest.mark.parametrize("post_only", [True, False])
def test_an_order_that_a_strategy_wants_post_only_reaches_the_broker_as_such(post_only: bool) -> None:
    it = desk(cash=RICH)
    it.tell(wish(order_type=OrderType.LIMIT, limit_price=D(49), post_only=post_only))
    assert (it.order.order_type, it.order.post_only) == (OrderType.LIMIT, post_only)


def test_a_post_only_order_that_could_never_rest_is_denied() -> None:
    it = desk(cash=RICH)
    it.tell(by_hand(ManualAction.PLACE, instrument_id="WTI", side=Side.BUY, quantity=D(10), post_only=True))
    assert (it.verdict.approved, it.verdict.code) == (False, "POST_ONLY")
    assert not it.of(SubmitOrder)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (by_hand(ManualAction.PLACE, instrument_id="WTI"), "ORDER_INCOMPLETE"),
        (by_hand(ManualAction.PLACE, instrument_id="WTI", side=Side.BUY, quantity=D("NaN")), "ORDER_INCOMPLETE"),
        (by_hand(ManualAction.CANCEL, client_order_id="nobody"), "ORDER_UNKNOWN"),
        (by_hand(ManualAction.CLOSE_POSITION, instrument_id="WTI"), "POSITION_FLAT"),
        (by_hand(ManualAction.REARM, check_id="nothing"), "NOT_LATCHED"),
    ],
)
def test_a_request_that_cannot_be_done_is_refused_with_a_code(asked: ManualOrder, code: str) -> None:
    it = desk()
    it.tell(asked)
    assert [one.code for one in it.now(RiskEvent)] == [code]
    assert it.tell(asked) == []


def test_a_replace_reserves_the_larger_of_both_until_it_is_answered() -> None:
    it = desk(cash=RICH)
    name = working(it, Side.BUY, 10, 49)
    it.tell(by_hand(ManualAction.REPLACE, client_order_id=name, quantity=D(20)))
    assert it.account.holdings["WTI"].buys == 20
    request = it.now(ReplaceOrder)[0]
    it.tell(answer(it.order, ExecType.REPLACE_REJECTED, "rr", client_order_id=request.request_id,
                   original_client_order_id=name))  # fmt: skip
    assert it.account.holdings["WTI"].buys == 10


def test_a_replace_that_was_not_sent_releases_what_it_held() -> None:
    it = desk(cash=RICH)
    name = working(it, Side.BUY, 10, 49)
    it.tell(by_hand(ManualAction.REPLACE, client_order_id=name, quantity=D(20)))
    request = it.now(ReplaceOrder)[0]
    it.tell(NotSent(event_time_us=NOON, account_id="A", client_order_id=request.request_id, reason=Why.LATE))
    assert it.account.holdings["WTI"].buys == 10
    assert it.account.orders[name].status is OrderStatus.NEW


def test_what_was_not_sent_of_nobody_is_refused() -> None:
    it = desk()
    it.tell(NotSent(event_time_us=NOON, account_id="A", client_order_id="nobody", reason=Why.RATE))
    assert codes(it, RiskEventKind.INPUT_REFUSED) == ["NOT_SENT_UNKNOWN_ORDER"]


def positions(*held: tuple[str, Number], request_id: str = "q1") -> BrokerPositions:
    return BrokerPositions(event_time_us=NOON, account_id="A", venue="paper", request_id=request_id, positions=[
        HeldPosition(instrument_id=name, quantity=money(quantity)) for name, quantity in held
    ])  # fmt: skip


def cash(*held: tuple[str, Number], request_id: str = "c1") -> BrokerCash:
    return BrokerCash(event_time_us=NOON, account_id="A", venue="paper", request_id=request_id, cash=[
        HeldCash(currency=name, amount=money(amount)) for name, amount in held
    ])  # fmt: skip


def test_a_position_that_differs_from_the_brokers_is_a_discrepancy_and_nothing_is_overwritten() -> None:
    it = holding(desk(), 10)
    it.tell(positions(("WTI", 7)))
    case = it.now(Discrepancy)[0]
    assert (case.kind, case.ours, case.theirs, case.open) == (DiscrepancyKind.POSITION, "10", "7", True)
    assert it.account.holdings["WTI"].net.quantity == 10
    it.tell(wish())
    assert it.verdict.code == "DISCREPANCY"


def test_an_instrument_that_the_broker_does_not_name_is_flat_there() -> None:
    it = holding(desk(), 10)
    it.tell(positions())
    assert it.now(Discrepancy)[0].theirs == "0"


def test_a_discrepancy_that_goes_away_is_settled_by_rule() -> None:
    it = holding(desk(), 10)
    it.tell(positions(("WTI", 7)))
    it.tell(positions(("WTI", 10), request_id="q2"))
    assert [(one.open, one.author) for one in it.now(Discrepancy)] == [(False, "rule")]
    assert it.account.condition.cases == {}


def test_a_discrepancy_keeps_its_age_and_is_told_again_only_when_its_sides_change() -> None:
    it = holding(desk(), 10)
    it.tell(positions(("WTI", 7)))
    it.tell(positions(("WTI", 7), request_id="q2"))
    assert it.now(Discrepancy) == []
    it.tell(tick(NOON + DAY), positions(("WTI", 6), request_id="q3"))
    assert [one.since_us for one in it.now(Discrepancy)] == [NOON]


def resolved(case: Discrepancy, *, adopt: bool) -> DiscrepancyResolved:
    return DiscrepancyResolved(event_time_us=NOON, account_id="A", request_id=f"r-{case.discrepancy_id}",
                               discrepancy_id=case.discrepancy_id, adopt_theirs=adopt, author="ann",
                               reason="called them")  # fmt: skip


def test_a_person_may_take_the_brokers_side() -> None:
    it = holding(desk(), 10)
    it.tell(positions(("WTI", 7)))
    it.tell(resolved(it.now(Discrepancy)[0], adopt=True))
    assert it.account.holdings["WTI"].net.quantity == 7
    it.tell(cash(("USD", 1234)))
    it.tell(resolved(it.now(Discrepancy)[0], adopt=True))
    assert it.account.totals.cash["USD"] == 1234
    assert it.account.condition.cases == {}


def test_a_person_may_keep_our_side() -> None:
    it = holding(desk(), 10)
    it.tell(positions(("WTI", 7)))
    it.tell(resolved(it.now(Discrepancy)[0], adopt=False))
    assert it.account.holdings["WTI"].net.quantity == 10
    assert it.account.condition.cases == {}


def test_fees_that_the_broker_charged_are_taken_over_and_told_as_far_as_the_account_allows_in_a_day() -> None:
    it = desk(cash=1000)
    it.tell(change(Limit(name="cash_drift_max", value=D(5))))
    it.tell(cash(("USD", 998)))
    told = it.now(Discrepancy)
    assert [(D(one.ours), D(one.theirs)) for one in told] == [(D(1000), D(998))] * 2
    assert [(one.open, one.author) for one in told] == [(True, ""), (False, "rule")]
    assert it.account.totals.cash["USD"] == 998
    assert it.now(RiskSnapshot)[-1].equity == 998
    it.tell(cash(("USD", D("1001.01")), request_id="c2"))
    assert [one.open for one in it.now(Discrepancy)] == [True], "two and three and a cent are more than five"
    assert it.account.totals.cash["USD"] == 998
    it.tell(tick(NOON + DAY))
    it.tell(cash(("USD", D("1001.01")), request_id="c3"))
    assert [(one.open, one.author) for one in it.now(Discrepancy)] == [(False, "rule")]
    assert (it.account.totals.cash["USD"], it.account.condition.cases) == (D("1001.01"), {})


def test_cash_that_cannot_be_converted_or_that_no_limit_allows_is_left_to_a_person() -> None:
    it = desk(cash=1000)
    it.tell(cash(("USD", 999)))
    it.tell(change(Limit(name="cash_drift_max", value=D(5))))
    it.tell(cash(("USD", 1000), ("XAU", 1), request_id="c2"))
    assert [case.currency for case in it.account.condition.cases.values()] == ["XAU"]


def test_cents_of_rounding_are_no_discrepancy() -> None:
    it = desk(cash=1000)
    it.tell(cash(("USD", "1000.009")))
    assert it.now(Discrepancy) == []
    it.tell(cash(("USD", "1000.01"), request_id="c2"))
    assert it.now(Discrepancy)[0].kind is DiscrepancyKind.CASH


def unreadable(account_id: str) -> UnreadableRecord:
    return UnreadableRecord(event_time_us=NOON, account_id=account_id, reason=DeadLetterReason.TRUNCATED,
                            source_partition=0, source_offset=7)  # fmt: skip


@pytest.mark.parametrize("account_id", ["A", ""])
def test_an_unreadable_record_lets_the_account_only_reduce_until_positions_and_cash_agree(account_id: str) -> None:
    it = holding(desk(cash=RICH), 10)
    it.last = it.partition.fold(account_id or None, unreadable(account_id))
    it.tell(wish())
    assert it.verdict.code == "TRADING_REDUCING"
    money_here = it.account.totals.cash["USD"]
    it.tell(positions(("WTI", 10)))
    assert "unreadable" in it.account.condition.own
    it.tell(cash(("USD", money_here)))
    assert it.account.condition.own == {}
    assert it.account.condition.cases == {}
    it.tell(wish("after"))
    assert it.verdict.approved


def test_a_person_may_say_that_an_unreadable_record_is_settled() -> None:
    it = desk()
    it.said += it.partition.fold("A", unreadable("A"))
    it.tell(resolved(it.of(Discrepancy)[0], adopt=False))
    assert it.account.condition.own == {}


def test_a_report_about_an_order_of_ours_that_is_long_gone_never_moves_the_position() -> None:
    it = desk()
    it.tell(wish())
    gone = msgspec.structs.replace(it.order, client_order_id="ql-gone")
    it.tell(filled(gone, 5, 50))
    assert [one.kind for one in it.now(Discrepancy)] == [DiscrepancyKind.FILL]
    assert "WTI" not in it.account.holdings or it.account.holdings["WTI"].net.quantity == 0


def test_an_order_of_others_at_the_broker_is_adopted_under_owner_external() -> None:
    it = desk()
    it.tell(wish())
    theirs = msgspec.structs.replace(it.order, client_order_id="phone-1", quantity=D(5))
    it.tell(filled(theirs, 5, 50))
    assert it.now(Fill)[0].strategy_id == "EXTERNAL"
    assert it.account.holdings["WTI"].owners["EXTERNAL"].quantity == 5


def test_an_overfill_counts_and_is_a_discrepancy() -> None:
    it = desk()
    it.tell(wish())
    it.fill(it.order, it.order.quantity + 1, 50)
    assert it.account.holdings["WTI"].net.quantity == it.order.quantity + 1
    assert [one.kind for one in it.now(Discrepancy)] == [DiscrepancyKind.OVERFILL]


def test_fills_that_a_query_knows_and_we_do_not_are_a_discrepancy_until_they_come() -> None:
    it = desk()
    it.tell(wish())
    order = it.order
    it.tell(answer(order, ExecType.ORDER_STATUS, order_status=OrderStatus.PARTIALLY_FILLED, cumulative_quantity=D(5)))
    assert [(one.kind, one.theirs) for one in it.now(Discrepancy)] == [(DiscrepancyKind.FILL, "5")]
    it.fill(order, 5, 50)
    assert [(one.open, one.reason) for one in it.now(Discrepancy)] == [(False, "the fills came")]


def test_a_bust_takes_position_cash_and_fee_back() -> None:
    it = desk()
    before = it.account.totals.equity
    it.tell(wish())
    order = it.order
    it.fill(order, 200, 51, "e1", fee=3)
    bust = answer(order, ExecType.TRADE_CANCEL, "b1", reference_exec_id="e1")
    it.tell(bust)
    assert it.account.totals.equity == before
    assert it.account.holdings["WTI"].net.quantity == 0
    fill = it.now(Fill)[0]
    assert (fill.side, fill.quantity, fill.fee) == (Side.SELL, D(200), D(-3))
    assert it.tell(bust) == []


def test_a_correction_moves_position_and_cash_to_the_right_figures() -> None:
    it = desk()
    it.tell(wish())
    order = it.order
    it.fill(order, 200, 51, "e1")
    it.tell(answer(order, ExecType.TRADE_CORRECT, "k1", reference_exec_id="e1", last_quantity=D(150), last_price=D(52)))
    assert it.account.holdings["WTI"].net.quantity == 150
    assert it.account.totals.cash["USD"] == 100_000 - 150 * 52


def test_an_unknown_outcome_is_asked_about_again_and_again_with_more_patience() -> None:
    it = desk()
    it.tell(wish())
    it.tell(answer(it.order, ExecType.UNKNOWN))
    asked = []
    for second in range(1, 130):
        it.tell(tick(NOON + second * SECOND))
        asked += [second for _ in it.now(QueryOrder)]
    assert asked == [5, 15, 20, 60, 120]
    assert [one.attempt for one in it.of(QueryOrder)] == [1, 2, 3, 4, 5]
    it.tell(answer(it.order, ExecType.REJECTED))
    it.tell(tick(NOON + 600 * SECOND))
    assert not it.now(QueryOrder)


def test_an_order_that_was_never_answered_is_asked_about() -> None:
    it = desk()
    it.tell(wish())
    it.tell(tick(NOON + 29 * SECOND))
    assert not it.now(QueryOrder)
    it.tell(tick(NOON + 30 * SECOND))
    assert it.now(QueryOrder)[0].client_order_id == it.order.client_order_id


def test_a_withdrawal_is_no_loss_and_a_deposit_no_gain() -> None:
    it = desk(cash=10_000)
    it.tell(deposit(-4000, movement_id="out"))
    snapshot = it.now(RiskSnapshot)[0]
    assert (snapshot.equity, snapshot.drawdown, snapshot.day_pnl) == (D(6000), D(0), D(0))
    assert snapshot.net_deposits == 6000


def test_money_that_cannot_be_priced_makes_equity_unknown_and_never_one_for_one() -> None:
    it = desk(cash=10_000)
    it.tell(deposit(100, "EUR"))
    it.tell(wish())
    assert it.verdict.code == "SIZING_UNPRICED"
    it.tell(instrument("EURUSD", instrument_class=InstrumentClass.FX, base_currency="EUR", price_decimals=5),
            mark("1.25", "EURUSD"))  # fmt: skip
    assert it.account.totals.equity == 10_125
    it.tell(mark("1.20", "EURUSD", at_us=NOON + SECOND))
    assert it.account.totals.equity == 10_120


def test_the_inverse_of_a_pair_prices_too() -> None:
    it = desk(cash=10_000)
    it.tell(instrument("USDJPY", instrument_class=InstrumentClass.FX, base_currency="USD", quote_currency="JPY"),
            mark(125, "USDJPY"), deposit(1000, "JPY"))  # fmt: skip
    assert it.account.totals.equity == 10_008


def test_a_daily_loss_beyond_its_limit_lets_the_account_only_reduce_until_the_next_day() -> None:
    it = holding(setting(desk(cash=100_000), daily_loss_max="0.01"), 1000)
    it.tell(mark("48.99", at_us=NOON + SECOND))
    states = [(one.code, one.state) for one in it.now(RiskEvent)]
    assert states == [("DAILY_LOSS", TradingState.REDUCING)]
    it.tell(mark("48.98", at_us=NOON + 2 * SECOND))
    assert it.now(RiskEvent) == []
    it.tell(tick(NOON + DAY))
    assert it.account.condition.own == {}


def test_what_is_marked_at_midnight_counts_to_the_day_that_ends() -> None:
    midnight = NOON + DAY // 2
    it = holding(desk(cash=100_000), 1000)
    begun = it.account.totals.day_equity
    assert begun is not None
    it.tell(tick(midnight), mark("49", at_us=midnight))
    equity = it.account.totals.equity
    assert equity is not None
    assert it.now(RiskSnapshot)[-1].day_pnl == equity - begun != 0
    it.tell(tick(midnight + 1))
    assert it.now(RiskSnapshot) == []
    it.tell(mark("48", at_us=midnight + SECOND))
    assert it.now(RiskSnapshot)[-1].day_pnl == -1000


def test_an_account_says_each_day_what_it_is_unless_it_is_a_replay() -> None:
    for mode, count in ((Mode.REPLAY, 0), (Mode.PAPER, 2)):
        it = holding(desk(mode=mode), 10)
        it.tell(tick(NOON + DAY), tick(NOON + DAY + 1), tick(NOON + 2 * DAY))
        told = it.of(AccountSnapshot)
        assert len(told) == count
        for one in told:
            assert msgspec.msgpack.decode(one.state, type=Account).holdings["WTI"].net.quantity == 10


def test_a_fill_beyond_what_can_be_counted_is_a_discrepancy_and_changes_nothing() -> None:
    it = desk(cash=RICH)
    it.tell(wish())
    before = it.account.orders
    it.tell(filled(it.order, D(10) ** 12, D(10) ** 12))
    assert [one.kind for one in it.now(Discrepancy)] == [DiscrepancyKind.FILL]
    assert it.account.orders == before


def test_money_beyond_what_can_be_counted_is_refused() -> None:
    it = desk()
    it.tell(deposit(D(10) ** 24))
    assert codes(it, RiskEventKind.INPUT_REFUSED) == ["AMOUNT_OUT_OF_RANGE"]
    assert it.account.totals.cash["USD"] == 100_000


@pytest.mark.parametrize("field", ["last_quantity", "last_price", "fee", "cumulative_quantity"])
def test_a_report_with_a_number_that_is_none_is_a_discrepancy_and_changes_nothing(field: str) -> None:
    it = desk()
    it.tell(wish())
    broken: ExecutionReport = msgspec.structs.replace(filled(it.order, 5, 50), **{field: D("NaN")})
    before = it.account.orders
    it.tell(broken)
    assert it.account.orders == before
    assert [one.kind for one in it.now(Discrepancy)] == [DiscrepancyKind.FILL]


def test_a_wish_with_a_number_that_is_none_is_denied() -> None:
    it = desk()
    it.tell(wish(reference_price=D("NaN")))
    assert it.verdict.code == "NOT_A_NUMBER"
    it.tell(wish("i2", direction=float("nan")))
    assert it.verdict.code == "SIZING_WISH_INVALID"


def test_a_clock_that_goes_back_changes_nothing() -> None:
    it = desk()
    before = it.shared
    assert it.tell(tick(NOON - 1)) == []
    assert it.shared is before


def test_a_mark_that_is_not_newer_changes_nothing() -> None:
    it = holding(desk(), 10)
    before = (it.shared, it.account)
    assert it.tell(mark(99, at_us=NOON)) == []
    assert (it.shared, it.account) == before


def test_an_account_opened_twice_is_opened_once() -> None:
    it = desk()
    before = it.account
    assert it.tell(opened(base_currency="EUR")) == []
    assert it.account is before


def test_thousands_of_wishes_at_once_are_each_answered() -> None:
    it = setting(desk(cash=RICH), orders_per_minute_max=10)
    for number in range(2000):
        it.tell(wish(f"w{number}", direction=1.0 if number % 2 else -1.0))
    assert len({one.intent_id for one in it.of(type(it.verdict))}) == 2000
    assert len(it.of(SubmitOrder)) <= 10


def test_events_of_an_order_carry_its_story() -> None:
    it = desk()
    it.tell(wish(signal_id="s1", provider_id="p1"))
    it.fill(it.order, 200, 50)
    for event in it.of(OrderEvent):
        assert (event.strategy_id, event.signal_id, event.provider_id, event.intent_id) == ("trend", "s1", "p1", "i1")


def test_a_cash_account_is_never_short() -> None:
    it = desk(margin=MarginRegime.CASH)
    it.tell(wish(direction=-1.0))
    assert it.verdict.code == "NO_CHANGE"
    holding(it, 10)
    it.tell(wish("i2", direction=-1.0))
    assert (it.order.side, it.order.quantity) == (Side.SELL, D(10))


def test_a_limit_wish_becomes_a_limit_order() -> None:
    it = desk()
    it.tell(wish(order_type=OrderType.LIMIT, limit_price=D("49.50")))
    assert (it.order.order_type, it.order.limit_price) == (OrderType.LIMIT, D("49.50"))
    assert not it.order.post_only, "it may also take what is there"


def test_a_tick_seen_twice_is_folded_once() -> None:
    it = holding(desk(), 10)
    it.tell(tick(NOON + SECOND))
    before = it.account
    assert it.tell(tick(NOON + SECOND)) == []
    assert it.account is before


def test_a_tick_repeated_after_an_account_was_opened_says_nothing() -> None:
    it = desk()
    it.tell(opened("B"))
    assert it.tell(tick(NOON)) == []


def test_an_unreadable_record_seen_twice_holds_the_account_back_once() -> None:
    it = desk()
    it.said += it.partition.fold("A", unreadable("A"))
    it.tell(resolved(it.of(Discrepancy)[0], adopt=False))
    assert it.partition.fold("A", unreadable("A")) == []
    assert it.account.condition.own == {}


def test_an_order_of_which_the_broker_says_what_cannot_be_is_asked_about_once() -> None:
    it = desk()
    it.tell(wish())
    order = it.order
    it.tell(NotSent(event_time_us=NOON, account_id="A", client_order_id=order.client_order_id, reason=Why.LATE))
    it.tell(answer(order, ExecType.NEW))
    assert [one.client_order_id for one in it.now(QueryOrder)] == [order.client_order_id]
    assert it.now(Discrepancy)[0].kind is DiscrepancyKind.ORDER
    assert it.account.orders[order.client_order_id].status is OrderStatus.NEW
    it.tell(answer(order, ExecType.ORDER_STATUS, order_status=OrderStatus.NEW))
    assert not it.now(QueryOrder)
    assert it.account.condition.cases == {}
