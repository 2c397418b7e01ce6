"""Stops: armed by fills, kept in the state, triggered by lows and highs, escalated until the position is closed."""

from decimal import Decimal as D
from typing import Any

import pytest

from schemas.control import KillVerb, Scope, TradingState
from schemas.order import CancelOrder, ExecType, OrderType, Side, SubmitOrder, TimeInForce
from schemas.risk import RiskEvent, RiskEventKind
from streams.accounts.risk.protections import Closed, locks
from tests.builders import DAY, NOON, SECOND, Number, kill, mark, tick, wish
from tests.streams.accounts.desk import Desk, answer, desk, holding, only, setting, working
from tests.streams.accounts.test_sizing import bounds

RICH = 10_000_000


def guarded(quantity: int = 100, *, at: Number = 50, **values: Number) -> Desk:
    """A desk with these limits that then bought (or sold) at a price."""
    return holding(setting(desk(cash=RICH), **values), quantity, at)


def events(it: Desk, kind: RiskEventKind) -> list[RiskEvent]:
    return [one for one in it.of(RiskEvent) if one.kind is kind]


def marked(it: Desk, last: Number, *, low: Number | None = None, high: Number | None = None, after: int = 1) -> Desk:
    """The desk after a mark some seconds after noon."""
    it.last = []
    it.tell(mark(last, at_us=NOON + after * SECOND, low=low, high=high))
    return it


@pytest.mark.parametrize(
    ("quantity", "values", "quiet", "loud", "code"),
    [
        (100, {"stop_loss": "0.1"}, "45.01", "45.00", "STOP_LOSS"),
        (-100, {"stop_loss": "0.1"}, "54.99", "55.00", "STOP_LOSS"),
        (100, {"take_profit": "0.1"}, "54.99", "55.00", "TAKE_PROFIT"),
        (-100, {"take_profit": "0.1"}, "45.01", "45.00", "TAKE_PROFIT"),
        (100, {"trailing_stop": "0.1"}, "45.01", "45.00", "TRAILING_STOP"),
        (-100, {"trailing_stop": "0.1"}, "54.99", "55.00", "TRAILING_STOP"),
    ],
)
def test_a_stop_triggers_at_its_level_and_not_before(
    quantity: int, values: dict[str, Number], quiet: str, loud: str, code: str
) -> None:
    it = marked(guarded(quantity, **values), quiet)
    assert not it.now(SubmitOrder)
    marked(it, loud, after=2)
    assert [one.code for one in events(it, RiskEventKind.STOP_TRIGGERED)] == [code]
    order = it.now(SubmitOrder)[0]
    assert (order.quantity, order.reduce_only, order.order_type) == (D(100), True, OrderType.MARKET)
    assert order.side is (Side.SELL if quantity > 0 else Side.BUY)


def test_no_stop_is_stepped_over_between_two_marks() -> None:
    it = marked(guarded(stop_loss="0.1"), 50, low=44, high=51)
    assert it.now(SubmitOrder)


def test_where_one_mark_touches_stop_and_target_the_stop_counts() -> None:
    it = marked(guarded(stop_loss="0.1", take_profit="0.1"), 50, low=45, high=55)
    assert [one.code for one in events(it, RiskEventKind.STOP_TRIGGERED)] == ["STOP_LOSS"]


def test_a_trailing_stop_follows_the_best_mark_and_never_falls_back() -> None:
    it = guarded(trailing_stop="0.1")
    marked(it, 60)
    marked(it, "54.01", after=2)
    assert not it.now(SubmitOrder)
    marked(it, "54.00", after=3)
    assert it.now(SubmitOrder)


def test_the_rise_and_the_fall_of_one_mark_are_tested_by_its_last_price() -> None:
    it = marked(guarded(trailing_stop="0.1"), 54, low=54, high=60)
    assert [one.code for one in events(it, RiskEventKind.STOP_TRIGGERED)] == ["TRAILING_STOP"]


def test_a_trailing_stop_may_wait_for_a_rise() -> None:
    it = guarded(trailing_stop="0.05", trailing_stop_after="0.1")
    marked(it, 47)
    assert not it.now(SubmitOrder)
    marked(it, 55, after=2)
    marked(it, "52.25", after=3)
    assert it.now(SubmitOrder)


def test_a_stop_means_the_same_where_prices_are_negative() -> None:
    it = guarded(at=-10, stop_loss="0.1")
    marked(it, "-10.99")
    assert not it.now(SubmitOrder)
    marked(it, "-11", after=2)
    assert it.now(SubmitOrder)


def test_a_time_stop_closes_when_the_position_is_old_enough() -> None:
    it = guarded(time_stop=60)
    it.tell(tick(NOON + 60 * SECOND - 1))
    assert not it.now(SubmitOrder)
    it.tell(tick(NOON + 60 * SECOND))
    assert it.now(SubmitOrder)
    assert events(it, RiskEventKind.STOP_TRIGGERED)[0].code == "TIME_STOP"


def test_a_volatility_stop_needs_enough_returns_and_says_where_it_has_none() -> None:
    it = guarded(volatility_stop=3)
    assert [one.code for one in events(it, RiskEventKind.UNPROTECTED)] == ["VOLATILITY_UNKNOWN"]
    marked(it, 10)
    assert not it.now(SubmitOrder)


def test_a_volatility_stop_is_so_many_daily_deviations_below_the_best_mark() -> None:
    it = setting(desk(cash=RICH), volatility_stop=3)
    price = D(50)
    for day in range(1, 13):
        price = D(50) if day % 2 else D("50.50")
        it.tell(tick(NOON + day * DAY), mark(price, at_us=NOON + day * DAY))
    holding(it, 100, price)
    level = D(events(it, RiskEventKind.STOP_ARMED)[0].value.split("=")[1])
    assert level == D("49.440788941127")
    now = 12 * 86_400
    marked(it, level + D("0.01"), after=now + 1)
    assert not it.now(SubmitOrder)
    marked(it, level - D("0.01"), after=now + 2)
    assert it.now(SubmitOrder)


def test_the_stop_and_target_of_a_wish_guard_what_it_opened() -> None:
    for price, code in ((D(47), "STOP_PRICE"), (D(56), "TARGET_PRICE")):
        it = desk(cash=RICH)
        it.tell(wish(stop_price=D(47), take_profit_price=D(56)))
        it.fill(it.order, it.order.quantity, 50)
        marked(it, price)
        assert [one.code for one in events(it, RiskEventKind.STOP_TRIGGERED)] == [code]


def test_a_strategys_stop_closes_its_own_part_only() -> None:
    it = setting(desk(cash=RICH), only("stop_loss", "0.1", scope=Scope.STRATEGY, scope_id="trend"))
    holding(it, 100)
    holding(it, 40, strategy_id="other")
    marked(it, 45)
    assert [one.quantity for one in it.now(SubmitOrder)] == [D(100)]
    assert it.order.strategy_id == "trend"


def test_an_armed_stop_survives_encoding_and_triggers_after_a_restart() -> None:
    it = guarded(trailing_stop="0.1")
    marked(it, 60)
    it.check_codec()
    assert it.account.holdings["WTI"].guards[""].best == 60


def test_a_change_of_limits_arms_what_is_open_already() -> None:
    it = setting(holding(desk(cash=RICH), 100), stop_loss="0.1")
    marked(it, 45)
    assert it.now(SubmitOrder)


def test_closing_the_position_lets_its_guards_go() -> None:
    it = holding(guarded(stop_loss="0.1"), -100)
    assert it.account.holdings["WTI"].guards == {}
    marked(it, 10)
    assert not it.now(SubmitOrder)


def test_turning_the_position_arms_anew_on_the_other_side() -> None:
    it = holding(guarded(stop_loss="0.1"), -150)
    assert it.account.holdings["WTI"].guards[""].sign == -1
    marked(it, 55)
    assert it.now(SubmitOrder)[0].side is Side.BUY


def test_a_triggered_stop_triggers_once() -> None:
    it = guarded(stop_loss="0.1")
    marked(it, 45)
    marked(it, 44, after=2)
    assert len(it.of(SubmitOrder)) == 1


def test_an_exit_goes_from_limit_to_market_to_a_call_for_a_person() -> None:
    it = guarded(stop_loss="0.1", exit_limit_offset="0.01", exit_timeout=10)
    marked(it, 45)
    first = it.order
    assert (first.order_type, first.limit_price) == (OrderType.LIMIT, D("44.55"))
    it.tell(answer(first, ExecType.NEW), mark(44, at_us=NOON + 5 * SECOND), tick(NOON + 11 * SECOND))
    assert [one.client_order_id for one in it.now(CancelOrder)] == [first.client_order_id]
    it.tell(answer(first, ExecType.CANCELED, event_time_us=NOON + 11 * SECOND))
    second = it.now(SubmitOrder)[0]
    assert second.order_type is OrderType.MARKET
    it.tell(mark(43, at_us=NOON + 15 * SECOND), tick(NOON + 21 * SECOND))
    assert [one.code for one in events(it, RiskEventKind.STOP_ESCALATED)] == ["EXIT_MARKET", "EXIT_ALERT"]
    assert [one.code for one in events(it, RiskEventKind.UNPROTECTED)] == ["EXIT_NOT_FILLED"]
    it.fill(second, 100, 43)
    assert [one.code for one in events(it, RiskEventKind.PROTECTED)] == ["POSITION_FLAT"]
    assert it.account.holdings["WTI"].guards == {}


def test_an_exit_is_not_late_before_the_market_moved_on() -> None:
    it = guarded(stop_loss="0.1", exit_timeout=10)
    marked(it, 45)
    it.tell(tick(NOON + 3600 * SECOND))
    assert events(it, RiskEventKind.STOP_ESCALATED) == []


def test_an_exit_that_may_not_go_out_leaves_the_position_unprotected_and_says_so_once() -> None:
    it = guarded(stop_loss="0.1")
    it.tell(kill(KillVerb.HALT))
    marked(it, 45)
    for second in range(2, 200):
        it.tell(tick(NOON + second * SECOND))
    assert it.of(SubmitOrder) == []
    assert [one.code for one in events(it, RiskEventKind.UNPROTECTED)] == ["EXIT_DENIED"]
    it.tell(kill(KillVerb.RESUME, 2), tick(NOON + 300 * SECOND))
    assert len(it.of(SubmitOrder)) == 1


def test_an_exit_waits_until_what_works_on_its_side_is_out_of_the_way() -> None:
    it = guarded(stop_loss="0.1")
    name = working(it, Side.SELL, 60, 55)
    sent = len(it.of(SubmitOrder))
    target = it.order
    marked(it, 45)
    assert [one.client_order_id for one in it.now(CancelOrder)] == [name]
    assert len(it.of(SubmitOrder)) == sent
    it.tell(answer(target, ExecType.CANCELED, event_time_us=NOON + 2 * SECOND))
    assert it.now(SubmitOrder)[0].quantity == 100


def test_an_exit_that_the_broker_rejects_is_tried_again_but_not_for_ever() -> None:
    it = guarded(stop_loss="0.1")
    marked(it, 45)
    for _ in range(10):
        orders = len(it.of(SubmitOrder))
        it.tell(answer(it.order, ExecType.REJECTED))
        if len(it.of(SubmitOrder)) == orders:
            break
    assert len(it.of(SubmitOrder)) == 3


def test_a_drawdown_stop_flattens_the_account_until_a_person_resumes() -> None:
    it = setting(desk(cash=100_000), drawdown_stop="0.25", drawdown_max="0.25", daily_loss_max="0.2")
    holding(it, 1000)
    marked(it, 25)
    assert not it.now(SubmitOrder)
    marked(it, "24.99", after=2)
    assert [one.state for one in events(it, RiskEventKind.DRAWDOWN_STOP)] == [TradingState.HALTED]
    assert it.now(SubmitOrder)[0].quantity == 1000
    it.fill(it.order, 1000, 25, at_us=NOON + 3 * SECOND)
    it.tell(wish("again", at_us=NOON + 3 * SECOND))
    assert it.verdict.code == "TRADING_HALTED"
    it.tell(kill(KillVerb.RESUME, scope=Scope.ACCOUNT, scope_id="A"))
    assert set(it.account.condition.own) == {"daily_loss"}
    assert it.account.totals.peak == it.account.totals.equity


def protections(**values: Any) -> Desk:
    return setting(desk(cash=100_000), **values)


def closed(it: Desk, result: int, at_s: int, quantity: int = 10) -> None:
    """A trade of ten units at 50 that ends with this result."""
    holding_at(it, quantity, 50, at_s)
    holding_at(it, -quantity, D(50) + D(result) / quantity, at_s)


def holding_at(it: Desk, quantity: int, at: Number, at_s: int) -> None:
    order = SubmitOrder(
        event_time_us=NOON, client_order_id=f"o{at_s}-{quantity}", account_id="A", venue="paper",
        mode=it.account.profile.mode, instrument_id="WTI", symbol="WTI",
        side=Side.BUY if quantity > 0 else Side.SELL, order_type=OrderType.MARKET, quantity=D(abs(quantity)),
        time_in_force=TimeInForce.DAY, submit_before_us=NOON, strategy_id="trend",
    )  # fmt: skip
    it.fill(order, abs(quantity), at, f"x{at_s}-{quantity}", at_us=NOON + at_s * SECOND)


def locked(it: Desk) -> list[str]:
    return [one.code for one in events(it, RiskEventKind.PROTECTION_LOCKED)]


def test_a_low_profit_locks_the_instrument_when_enough_trades_sum_to_too_little() -> None:
    it = protections(low_profit_trades=2, low_profit_required="0.01", low_profit_lookback=100, low_profit_lock=60)
    closed(it, 3, 1)
    assert locked(it) == []
    closed(it, 1, 2)
    assert locked(it) == ["PROTECTION_LOW_PROFIT"]


def test_a_low_profit_counts_only_within_its_lookback() -> None:
    it = protections(low_profit_trades=2, low_profit_required="0.01", low_profit_lookback=100, low_profit_lock=60)
    closed(it, -3, 1)
    closed(it, -1, 102)
    assert locked(it) == []


def test_a_drawdown_guard_counts_the_loss_at_the_beginning_of_its_period() -> None:
    it = protections(drawdown_guard="0.005", drawdown_guard_lookback=100, drawdown_guard_lock=60)
    closed(it, -500, 1, quantity=100)
    assert locked(it) == []
    closed(it, -1, 2, quantity=100)
    assert locked(it) == ["PROTECTION_DRAWDOWN_GUARD"]


def test_a_stoploss_guard_counts_stopped_losses_only() -> None:
    it = protections(
        stop_loss="0.1", stoploss_guard_trades=2, stoploss_guard_lookback=1000, stoploss_guard_lock=60,
        consecutive_rejects_max=100,
    )  # fmt: skip
    closed(it, -5, 1)
    for number in (2, 3):
        holding_at(it, 10, 50, number * 10)
        marked(it, 45, after=number * 10 + 1)
        assert locked(it) == []
        it.fill(it.order, 10, 45, at_us=NOON + (number * 10 + 2) * SECOND)
        marked(it, 50, after=number * 10 + 3)
    assert locked(it) == ["PROTECTION_STOPLOSS_GUARD"]


def test_a_lock_ends_by_itself() -> None:
    it = protections(cooldown=60)
    closed(it, 1, 0)
    assert it.account.condition.latches
    it.tell(wish(), tick(NOON + 60 * SECOND))
    assert it.account.condition.latches == {}


@pytest.mark.parametrize(("alone", "scope_id"), [(0, ""), (1, "WTI")])
def test_a_stoploss_guard_locks_the_account_or_the_instrument_by_itself(alone: int, scope_id: str) -> None:
    it = protections(
        stop_loss="0.1", stoploss_guard_trades=1, stoploss_guard_lookback=1000, stoploss_guard_lock=60,
        stoploss_guard_per_instrument=alone,
    )  # fmt: skip
    holding_at(it, 10, 50, 1)
    marked(it, 45, after=2)
    it.fill(it.order, 10, 45, at_us=NOON + 3 * SECOND)
    lock = it.account.condition.latches[f"protection.stoploss_guard|{scope_id}"]
    assert lock.until_us == NOON + 63 * SECOND


RULES: list[dict[str, Number]] = [
    {"stoploss_guard_trades": 1, "stoploss_guard_lookback": 100, "stoploss_guard_lock": 60},
    {"low_profit_trades": 1, "low_profit_required": 0, "low_profit_lookback": 100, "low_profit_lock": 60},
    {"drawdown_guard": "0.01", "drawdown_guard_lookback": 100, "drawdown_guard_lock": 60},
]


@pytest.mark.parametrize("rule", RULES)
def test_a_protection_locks_by_all_of_its_numbers_and_not_where_one_is_missing(rule: dict[str, Number]) -> None:
    trade = Closed("trend", "WTI", NOON, result=D(-10), ratio=D("-0.1"), stopped=True, equity=D(90))
    (lock,) = locks([trade], bounds(**rule), trade)
    assert lock.until_us == NOON + 60 * SECOND
    for missing in rule:
        rest = {name: value for name, value in rule.items() if name != missing}
        assert locks([trade], bounds(**rest), trade) == []
