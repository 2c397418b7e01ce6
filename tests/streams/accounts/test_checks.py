# ruff: noqa: E501 - a table reads in rows
"""Every check on both sides of its bound, and without the data that it needs."""

from collections.abc import Callable
from decimal import Decimal as D
from typing import Any

import pytest
from msgspec.structs import replace

from schemas.control import KillVerb as Verb
from schemas.control import MarginRegime, Scope, StrategyVerb
from schemas.intent import IntentKind, ManualAction, ManualOrder
from schemas.market import Mark, MarkBatch
from schemas.order import ExecType, OrderStatus, OrderType, Side, SubmitOrder, TimeInForce
from schemas.reference import ContractKind, InstrumentClass, Session, TradingSession
from schemas.risk import CheckOutcome, CheckResult, Limit, RiskEvent, RiskEventKind
from streams.accounts.risk.checks import CHECKS, evaluate
from streams.accounts.risk.limits import BY_NAME, SPECS, Unit
from streams.accounts.risk.portfolio import History
from streams.accounts.risk.view import Proposal, View
from streams.accounts.room import precisely
from tests.builders import DAY, NOON, SECOND, Number, instrument, kill, mark, money, tick, wish
from tests.streams.accounts.desk import Desk, answer, deployed, deposit, desk, fees, holding, only, setting, working


def buy(quantity: Number = 10, *, at: Number | None = None, of: str = "WTI", **fields: Any) -> Proposal:
    """A proposed order of strategy `trend`: market, or limit where `at` says a price."""
    given: dict[str, Any] = {
        "client_order_id": "ql-new", "cause": "i1", "instrument_id": of, "side": Side.BUY, "quantity": money(quantity),
        "made_us": NOON, "valid_until_us": NOON + 60 * SECOND, "strategy_id": "trend",
        "order_type": OrderType.MARKET if at is None else OrderType.LIMIT,
        "limit_price": None if at is None else money(at),
    }  # fmt: skip
    return Proposal(**{**given, **fields})


def sell(quantity: Number = 10, **fields: Any) -> Proposal:
    """A proposed sale."""
    return buy(quantity, **{"side": Side.SELL, **fields})


def check(it: Desk, proposal: Proposal, check_id: str, now_us: int = NOON) -> CheckResult:
    """What one check says, after every check was evaluated."""
    with precisely():
        results = evaluate(View(it.account, it.shared, proposal, now_us))
    return next(result for result in results if result.check_id == check_id)


Case = tuple[str, Callable[[], Desk], Proposal, Proposal | None, str]

RICH = 10_000_000


def margin_desk(**values: Number) -> Desk:
    return setting(desk(cash=RICH), **values) if values else desk(cash=RICH)


def cash_desk(**fields: Any) -> Desk:
    return desk(margin=MarginRegime.CASH, **fields)


def with_instrument(**fields: Any) -> Desk:
    it = desk(cash=RICH)
    it.tell(instrument(version=2, **fields))
    return it


def short_squeeze(**values: Number) -> Desk:
    return setting(desk(cash=RICH), only("short_locate", 5, scope=Scope.INSTRUMENT, scope_id="WTI"), **values)


BOUNDS: list[Case] = [
    ("order_value", lambda: margin_desk(order_value_max=5100), buy(100), buy(101), "ORDER_VALUE"),
    ("order_quantity", lambda: margin_desk(order_quantity_max=100), buy(100), buy(101), "ORDER_QUANTITY"),
    ("position_value", lambda: margin_desk(position_value_max=5000), buy(100), buy(101), "POSITION_VALUE"),
    ("position_quantity", lambda: margin_desk(position_quantity_max=100), sell(100), sell(101), "POSITION_QUANTITY"),
    ("concentration", lambda: margin_desk(concentration_max="0.001"), buy(200), buy(201), "CONCENTRATION"),
    ("sector_concentration", lambda: margin_desk(sector_concentration_max="0.001"), buy(200), buy(201), "SECTOR_CONCENTRATION"),
    ("currency_concentration", lambda: margin_desk(currency_concentration_max="0.001"), buy(200), buy(201), "CURRENCY_CONCENTRATION"),
    ("strategy_concentration", lambda: margin_desk(strategy_concentration_max="0.001"), buy(200), buy(201), "STRATEGY_CONCENTRATION"),
    ("strategy_exposure", lambda: margin_desk(strategy_exposure_max=5000), buy(100), buy(101), "STRATEGY_EXPOSURE"),
    ("gross_exposure", lambda: margin_desk(gross_exposure_max=5000), buy(100), buy(101), "GROSS_EXPOSURE"),
    ("net_exposure", lambda: margin_desk(net_exposure_max=5000), sell(100), sell(101), "NET_EXPOSURE"),
    ("leverage", lambda: margin_desk(leverage_max="0.001"), buy(200), buy(201), "LEVERAGE"),
    ("price_collar", lambda: margin_desk(price_collar="0.1"), buy(1, at=55), buy(1, at="55.01"), "PRICE_COLLAR"),
    ("price_collar", lambda: margin_desk(price_collar="0.1"), sell(1, at=45), sell(1, at="44.99"), "PRICE_COLLAR"),
    ("price_collar_window", lambda: margin_desk(price_collar_window="0.1"), buy(1, at=55), buy(1, at="55.01"), "PRICE_COLLAR_WINDOW"),
    ("price_collar_window", lambda: margin_desk(price_collar_window="0.1"), sell(1, at=45), sell(1, at="44.99"), "PRICE_COLLAR_WINDOW"),
    ("price_valid", desk, buy(1, at="50.01"), buy(1, at="50.005"), "PRICE_OFF_TICK"),
    ("price_valid", lambda: with_instrument(price_decimals=1), buy(1, at="50.1"), buy(1, at="50.01"), "PRICE_PRECISION"),
    ("price_valid", lambda: with_instrument(price_may_be_negative=False), buy(1, at="0.01"), buy(1, at="0.00"), "PRICE_NOT_POSITIVE"),
    ("price_valid", desk, buy(1, at="-0.01"), None, ""),
    ("price_valid", desk, buy(1, order_type=OrderType.STOP, stop_price=D(51)), buy(1, order_type=OrderType.STOP), "PRICE_MISSING"),
    ("price_valid", desk, buy(1), buy(1, order_type=OrderType.LIMIT), "PRICE_MISSING"),
    ("price_valid", desk, buy(1), buy(1, limit_price=D(50)), "PRICE_NOT_WANTED"),
    ("price_valid", desk, buy(1), buy(1, stop_price=D(50)), "PRICE_NOT_WANTED"),
    ("price_valid", desk, buy(1, order_type=OrderType.TRAILING_STOP, trail_offset=D("0.01")),
     buy(1, order_type=OrderType.TRAILING_STOP, trail_offset=D(0)), "TRAIL_INVALID"),
    ("quantity_valid", desk, buy(1), buy(0), "QUANTITY_NOT_POSITIVE"),
    ("quantity_valid", desk, buy(1), buy("1.5"), "QUANTITY_OFF_LOT"),
    ("quantity_valid", lambda: with_instrument(lot_size=D("0.01"), quantity_decimals=1), buy("1.5"), buy("1.55"), "QUANTITY_PRECISION"),
    ("quantity_valid", lambda: with_instrument(quantity_min=D(10)), buy(10), buy(9), "QUANTITY_BELOW_MIN"),
    ("quantity_valid", lambda: with_instrument(quantity_max=D(10)), buy(10), buy(11), "QUANTITY_ABOVE_MAX"),
    ("notional_bounds", lambda: with_instrument(notional_min=D(500)), buy(10), buy(9), "NOTIONAL_BELOW_MIN"),
    ("notional_bounds", lambda: with_instrument(notional_max=D(500)), buy(10), buy(11), "NOTIONAL_ABOVE_MAX"),
    ("order_lives", desk, buy(1, time_in_force=TimeInForce.GTD, expire_at_us=NOON + 1),
     buy(1, time_in_force=TimeInForce.GTD, expire_at_us=NOON), "EXPIRY_PAST"),
    ("order_lives", desk, buy(1), buy(1, time_in_force=TimeInForce.GTD), "EXPIRY_MISSING"),
    ("order_lives", desk, buy(1), buy(1, expire_at_us=NOON + 1), "EXPIRY_NOT_WANTED"),
    ("order_lives", desk, buy(1, at=50, post_only=True), buy(1, post_only=True), "POST_ONLY"),
    ("order_lives", desk, buy(1, at=50, time_in_force=TimeInForce.IOC), buy(1, at=50, time_in_force=TimeInForce.IOC, post_only=True), "POST_ONLY"),
    ("order_lives", desk, buy(1, at=50, time_in_force=TimeInForce.FOK), buy(1, at=50, time_in_force=TimeInForce.FOK, post_only=True), "POST_ONLY"),
    ("reduce_only", lambda: holding(desk(), 10), sell(10, reduce_only=True), sell(11, reduce_only=True), "REDUCE_ONLY"),
    ("reduce_only", lambda: holding(desk(), -10), buy(10, reduce_only=True), buy(11, reduce_only=True), "REDUCE_ONLY"),
    ("reduce_only", lambda: holding(desk(), 10), sell(10, reduce_only=True), buy(1, reduce_only=True), "REDUCE_ONLY"),
    ("short_permitted", lambda: holding(cash_desk(), 10), sell(10), sell(11), "SHORT_NOT_PERMITTED"),
    ("short_permitted", lambda: holding(with_instrument(shortable=False), 10), sell(10), sell(11), "SHORT_NOT_PERMITTED"),
    ("short_locate", lambda: short_squeeze(short_locate_required=1), sell(5), sell(6), "SHORT_LOCATE"),
    ("short_price_test", lambda: margin_desk(short_price_test=1), sell(1, at="50.01"), sell(1, at=50), "SHORT_PRICE_TEST"),
    ("short_price_test", lambda: margin_desk(short_price_test=1), sell(1, at="50.01"), sell(1), "SHORT_PRICE_TEST"),
    ("cash", lambda: cash_desk(cash=10_200), buy(200), buy(201), "CASH"),
    ("cash", lambda: cash_desk(cash=10_000), buy(200, at=50), buy(200, at="50.01"), "CASH"),
    ("margin_initial", lambda: setting(desk(cash=10_000), leverage_max=100), buy(400), buy(401), "MARGIN_INITIAL"),
    ("signal_fresh", lambda: margin_desk(signal_age_max=10), buy(1, made_us=NOON - 10 * SECOND),
     buy(1, made_us=NOON - 10 * SECOND - 1), "SIGNAL_AGE"),
    ("signal_fresh", desk, buy(1, valid_until_us=NOON), buy(1, valid_until_us=NOON - 1), "SIGNAL_EXPIRED"),
    ("clock_alive", desk, buy(1, made_us=NOON + 3 * SECOND), buy(1, made_us=NOON + 3 * SECOND + 1), "CLOCK_SILENT"),
    ("clock_alive", lambda: margin_desk(clock_silence_max=1), buy(1, made_us=NOON + SECOND),
     buy(1, made_us=NOON + SECOND + 1), "CLOCK_SILENT"),
]  # fmt: skip


@pytest.mark.parametrize(("check_id", "build", "fine", "refused", "code"), BOUNDS)
def test_a_check_passes_at_its_bound_and_denies_beyond_it(
    check_id: str, build: Callable[[], Desk], fine: Proposal, refused: Proposal | None, code: str
) -> None:
    it = build()
    passes = check(it, fine, check_id)
    assert (passes.outcome, passes.code) == (CheckOutcome.PASS, ""), passes
    if refused is not None:
        denies = check(it, refused, check_id)
        assert (denies.outcome, denies.code) == (CheckOutcome.HARD, code), denies


def bare(*, without_mark: bool = False, **fields: Any) -> Desk:
    """A desk that lacks something."""
    return desk(price=None if without_mark else 50, **fields)


def forgetting(**shared: Any) -> Desk:
    """A desk whose shared state lost something."""
    it = desk()
    it.partition.shared = replace(it.shared, **shared)
    return it


def poor() -> Desk:
    """A desk whose money cannot be priced."""
    it = desk(cash=RICH)
    it.tell(deposit(10, "EUR"))
    return it


def without_limits(*names: str) -> Desk:
    return desk(without=names)


def unopened() -> Desk:
    it = Desk()
    it.tell(tick(), instrument(), mark(50), wish())
    return it


def _unlimited() -> Desk:
    it = desk()
    it.partition.states["A"] = replace(it.account, profile=replace(it.account.profile, limits={}))
    return it


def _without_fees(margin: MarginRegime) -> Desk:
    it = desk(margin=margin)
    it.partition.shared = replace(it.shared, fees={})
    return it


def _without_sector() -> Desk:
    return setting(with_instrument(sector=""), sector_concentration_max=1)


MISSING: list[tuple[str, Callable[[], Desk], Proposal, str]] = [
    ("account_known", unopened, buy(), "ACCOUNT_UNKNOWN"),
    ("account_known", _unlimited, buy(), "LIMITS_UNKNOWN"),
    ("clock_alive", lambda: forgetting(time=replace(desk().shared.time, now_us=0)), buy(), "CLOCK_UNKNOWN"),
    ("instrument_known", lambda: forgetting(instruments={}), buy(), "INSTRUMENT_UNKNOWN"),
    ("instrument_known", lambda: with_instrument(lot_size=D(0)), buy(), "INSTRUMENT_INVALID"),
    ("instrument_permitted", lambda: forgetting(instruments={}), buy(), "INSTRUMENT_NOT_PERMITTED"),
    ("session", lambda: forgetting(instruments={}), buy(), "SESSION_UNKNOWN"),
    ("session", lambda: with_instrument(calendar="XNYS"), buy(), "SESSION_UNKNOWN"),
    ("mark_fresh", lambda: bare(without_mark=True), buy(), "MARK_UNKNOWN"),
    ("mark_fresh", lambda: without_limits("mark_age_max"), buy(), "LIMIT_MISSING"),
    ("conversion_fresh", lambda: with_instrument(settlement_currency="EUR"), buy(), "CONVERSION_UNKNOWN"),
    ("price_valid", lambda: forgetting(instruments={}), buy(), "PRICE_UNKNOWN"),
    ("quantity_valid", lambda: forgetting(instruments={}), buy(), "QUANTITY_UNKNOWN"),
    ("notional_bounds", lambda: bare(without_mark=True), buy(), "NOTIONAL_UNKNOWN"),
    ("price_collar", lambda: bare(without_mark=True), buy(1, at=50), "PRICE_COLLAR_UNKNOWN"),
    ("price_collar", lambda: without_limits("price_collar"), buy(1, at=50), "LIMIT_MISSING"),
    ("price_collar_window", lambda: bare(without_mark=True), buy(), "PRICE_COLLAR_WINDOW_UNKNOWN"),
    ("order_value", lambda: bare(without_mark=True), buy(), "ORDER_VALUE_UNKNOWN"),
    ("order_value", lambda: without_limits("order_value_max"), buy(), "LIMIT_MISSING"),
    ("order_quantity", lambda: without_limits("order_quantity_max"), buy(), "LIMIT_MISSING"),
    ("order_volume_share", lambda: margin_desk(order_volume_share_max="0.1"), buy(), "ORDER_VOLUME_SHARE_UNKNOWN"),
    ("order_rate", lambda: without_limits("orders_per_minute_max"), buy(), "LIMIT_MISSING"),
    ("strategy_running", lambda: forgetting(strategies={}), buy(), "STRATEGY_UNKNOWN"),
    ("equity_positive", poor, buy(), "EQUITY_UNKNOWN"),
    ("cash", lambda: bare(without_mark=True, margin=MarginRegime.CASH), buy(), "CASH_UNKNOWN"),
    ("cash", lambda: _without_fees(MarginRegime.CASH), buy(), "FEES_UNKNOWN"),
    ("margin_initial", lambda: _without_fees(MarginRegime.REG_T), buy(), "FEES_UNKNOWN"),
    ("margin_initial", poor, buy(), "MARGIN_INITIAL_UNKNOWN"),
    ("margin_maintenance", poor, buy(), "MARGIN_MAINTENANCE_UNKNOWN"),
    ("position_value", lambda: bare(without_mark=True), buy(), "POSITION_VALUE_UNKNOWN"),
    ("position_value", lambda: without_limits("position_value_max"), buy(), "LIMIT_MISSING"),
    ("concentration", poor, buy(), "CONCENTRATION_UNKNOWN"),
    ("sector_concentration", _without_sector, buy(), "SECTOR_CONCENTRATION_UNKNOWN"),
    ("currency_concentration", lambda: setting(bare(without_mark=True), currency_concentration_max=1), buy(), "CURRENCY_CONCENTRATION_UNKNOWN"),
    ("strategy_exposure", lambda: setting(bare(without_mark=True), strategy_exposure_max=1), buy(), "STRATEGY_EXPOSURE_UNKNOWN"),
    ("strategy_concentration", lambda: setting(poor(), strategy_concentration_max=1), buy(), "STRATEGY_CONCENTRATION_UNKNOWN"),
    ("gross_exposure", lambda: bare(without_mark=True), buy(), "GROSS_EXPOSURE_UNKNOWN"),
    ("gross_exposure", lambda: without_limits("gross_exposure_max"), buy(), "LIMIT_MISSING"),
    ("net_exposure", lambda: setting(bare(without_mark=True), net_exposure_max=1), buy(), "NET_EXPOSURE_UNKNOWN"),
    ("leverage", poor, buy(), "LEVERAGE_UNKNOWN"),
    ("leverage", lambda: without_limits("leverage_max"), buy(), "LIMIT_MISSING"),
    ("daily_loss", poor, buy(), "DAILY_LOSS_UNKNOWN"),
    ("daily_loss", lambda: without_limits("daily_loss_max"), buy(), "LIMIT_MISSING"),
    ("drawdown", poor, buy(), "DRAWDOWN_UNKNOWN"),
    ("drawdown", lambda: without_limits("drawdown_max"), buy(), "LIMIT_MISSING"),
    ("loss_velocity", lambda: setting(poor(), loss_velocity_max="0.1"), buy(), "LOSS_VELOCITY_UNKNOWN"),
    ("value_at_risk", lambda: margin_desk(value_at_risk_max="0.1"), buy(), "VALUE_AT_RISK_UNKNOWN"),
    ("historical_value_at_risk", lambda: margin_desk(historical_value_at_risk_max="0.1"), buy(), "HISTORICAL_VALUE_AT_RISK_UNKNOWN"),
    ("expected_shortfall", lambda: margin_desk(expected_shortfall_max="0.1"), buy(), "EXPECTED_SHORTFALL_UNKNOWN"),
    ("correlated_exposure", lambda: margin_desk(correlated_exposure_max="0.1"), buy(), "CORRELATED_EXPOSURE_UNKNOWN"),
    ("stress_loss", lambda: margin_desk(stress_loss_max=1), buy(), "STRESS_LOSS_UNKNOWN"),
    ("short_locate", lambda: margin_desk(short_locate_required=1), sell(), "SHORT_LOCATE_UNKNOWN"),
    ("short_price_test", lambda: setting(bare(without_mark=True), short_price_test=1), sell(), "SHORT_PRICE_TEST_UNKNOWN"),
    ("model_approved", lambda: margin_desk(model_approval_required=1), buy(provider_id="oracle"), "MODEL_NOT_APPROVED"),
    ("order_lives", desk, buy(1, time_in_force=TimeInForce.GTD), "EXPIRY_MISSING"),
    ("reduce_only", desk, sell(1, reduce_only=True), "REDUCE_ONLY"),
    ("short_permitted", lambda: forgetting(instruments={}), sell(), "SHORT_NOT_PERMITTED"),
]  # fmt: skip


@pytest.mark.parametrize(("check_id", "build", "proposal", "code"), MISSING)
def test_a_check_denies_what_it_cannot_know(
    check_id: str, build: Callable[[], Desk], proposal: Proposal, code: str
) -> None:
    result = check(build(), proposal, check_id)
    assert (result.outcome, result.code) == (CheckOutcome.HARD, code), result


def test_every_limit_that_a_check_reads_is_in_the_table_of_limits() -> None:
    assert {name for one in CHECKS for name in one.limits} <= set(BY_NAME)
    assert len(BY_NAME) == len(SPECS)


def test_ids_of_checks_are_unique_and_all_are_evaluated() -> None:
    it = desk()
    with precisely():
        results = evaluate(View(it.account, it.shared, buy(), NOON))
    assert sorted(one.check_id for one in results) == sorted({one.check_id for one in CHECKS})


def test_denials_come_before_warnings_before_passes() -> None:
    it = setting(desk(), Limit(name="order_quantity_max", value=D(100), soft=D(5)), position_quantity_max=1)
    with precisely():
        outcomes = [one.outcome for one in evaluate(View(it.account, it.shared, buy(10), NOON))]
    assert outcomes == sorted(outcomes, key=[CheckOutcome.HARD, CheckOutcome.SOFT, CheckOutcome.PASS].index)
    assert set(outcomes) == set(CheckOutcome)


def test_a_soft_bound_warns_above_and_not_at_it() -> None:
    it = setting(desk(), Limit(name="order_quantity_max", value=D(100), soft=D(50)))
    assert check(it, buy(50), "order_quantity").outcome is CheckOutcome.PASS
    assert check(it, buy(51), "order_quantity").outcome is CheckOutcome.SOFT
    assert check(it, buy(101), "order_quantity").outcome is CheckOutcome.HARD


def test_restricted_denies_new_risk_and_lets_a_position_shrink() -> None:
    it = setting(holding(desk(), 10), only("restricted", 1, scope=Scope.INSTRUMENT, scope_id="WTI"))
    assert check(it, buy(1), "restricted").code == "INSTRUMENT_RESTRICTED"
    assert check(it, sell(10), "restricted").outcome is CheckOutcome.SOFT
    setting(it, only("restricted", 0, scope=Scope.INSTRUMENT, scope_id="WTI"))
    assert check(it, buy(1), "restricted").outcome is CheckOutcome.PASS


def test_instrument_permitted_holds_once_any_instrument_is_named() -> None:
    it = setting(desk(), only("permitted", 1, scope=Scope.INSTRUMENT, scope_id="BRENT"))
    assert check(it, buy(1), "instrument_permitted").code == "INSTRUMENT_NOT_PERMITTED"
    setting(it, only("permitted", 1, scope=Scope.INSTRUMENT, scope_id="WTI"))
    assert check(it, buy(1), "instrument_permitted").outcome is CheckOutcome.PASS
    it.tell(instrument(version=2, tradable=False))
    assert check(it, buy(1), "instrument_permitted").code == "INSTRUMENT_NOT_TRADABLE"


def sessions(*stretches: tuple[int, int], until: int = 100) -> TradingSession:
    """Sessions in hours from noon."""
    hour = 3600 * SECOND
    return TradingSession(
        event_time_us=NOON, calendar="XNYS", version=1, covers_until_us=NOON + until * hour,
        sessions=[Session(opens_us=NOON + a * hour, closes_us=NOON + b * hour) for a, b in stretches],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("stretches", "code"),
    [(((0, 2),), ""), (((-2, 0),), ""), (((-2, -1),), "MARKET_CLOSED"), (((1, 2),), ""), (((2, 3),), "MARKET_CLOSED")],
)
def test_session_is_open_at_both_ends_and_waits_as_long_as_it_may(
    stretches: tuple[tuple[int, int], ...], code: str
) -> None:
    it = setting(with_instrument(calendar="XNYS"), session_wait_max=3600)
    it.tell(sessions(*stretches))
    assert check(it, buy(1), "session").code == code


def test_session_beyond_what_the_calendar_covers_is_unknown() -> None:
    it = with_instrument(calendar="XNYS")
    it.tell(sessions((0, 2), until=1))
    assert check(it, buy(1), "session", NOON + 3600 * SECOND).outcome is CheckOutcome.PASS
    assert check(it, buy(1), "session", NOON + 3600 * SECOND + 1).code == "SESSION_UNKNOWN"


def test_mark_fresh_at_the_age_limit_and_stale_after_it() -> None:
    it = setting(desk(), mark_age_max=10)
    assert check(it, buy(1), "mark_fresh", NOON + 10 * SECOND).outcome is CheckOutcome.PASS
    assert check(it, buy(1), "mark_fresh", NOON + 10 * SECOND + 1).code == "MARK_STALE"


def euro(it: Desk, rate: Number = "1.25") -> Desk:
    """The desk with a currency pair and its mark."""
    it.tell(instrument("EURUSD", instrument_class=InstrumentClass.FX, base_currency="EUR", price_decimals=5,
                       tick_size=D("0.00001"), price_may_be_negative=False), mark(rate, "EURUSD"))  # fmt: skip
    return it


def test_conversion_fresh_at_the_age_limit_and_stale_after_it() -> None:
    it = setting(euro(desk(cash=RICH)), mark_age_max=10)
    it.tell(instrument(version=2, settlement_currency="EUR", quote_currency="EUR"))
    assert check(it, buy(1), "conversion_fresh", NOON + 10 * SECOND).outcome is CheckOutcome.PASS
    assert check(it, buy(1), "conversion_fresh", NOON + 10 * SECOND + 1).code == "CONVERSION_STALE"


def test_values_in_another_currency_are_converted_by_the_mark_of_the_pair() -> None:
    it = setting(euro(desk(cash=RICH)), order_value_max=D(5100) * D("1.25"))
    it.tell(instrument(version=2, settlement_currency="EUR", quote_currency="EUR"))
    assert check(it, buy(100), "order_value").outcome is CheckOutcome.PASS
    assert check(it, buy(101), "order_value").code == "ORDER_VALUE"


def test_order_volume_share_counts_against_the_mean_day() -> None:
    it = setting(desk(cash=RICH), order_volume_share_max="0.1")
    for day, volume in ((1, 1000), (2, 1000), (3, 1)):
        at = NOON + day * DAY
        it.tell(MarkBatch(event_time_us=at, relay_id="r", sequence=at, marks=[
            Mark(event_time_us=at, instrument_id="WTI", last=D(50), low=D(50), high=D(50), volume=D(volume))
        ]))  # fmt: skip
    assert check(it, buy(100), "order_volume_share", NOON + 3 * DAY).outcome is CheckOutcome.PASS
    assert check(it, buy(101), "order_volume_share", NOON + 3 * DAY).code == "ORDER_VOLUME_SHARE"


@pytest.mark.parametrize(
    ("check_id", "name"), [("order_rate", "orders_per_minute_max"), ("message_rate", "messages_per_minute_max")]
)
@pytest.mark.parametrize("scope", [("", Scope.ACCOUNT), ("trend", Scope.STRATEGY), ("paper", Scope.VENUE)])
def test_order_rate_and_message_rate_deny_the_one_too_many_within_a_minute(
    check_id: str, name: str, scope: tuple[str, Scope]
) -> None:
    it = setting(desk(cash=RICH), only(name, 2, scope=scope[1], scope_id=scope[0]))
    it.tell(wish("a"))
    assert check(it, buy(1), check_id).outcome is CheckOutcome.PASS
    it.fill(it.order, it.order.quantity, 50)
    it.tell(wish("b", direction=-1.0))
    assert check(it, buy(1), check_id).code == check_id.upper()
    assert check(it, buy(1), check_id, NOON + 60 * SECOND - 1).code == check_id.upper()
    assert check(it, buy(1), check_id, NOON + 60 * SECOND).outcome is CheckOutcome.PASS


def test_message_rate_counts_cancels_too_and_denies_none_of_them() -> None:
    it = setting(desk(cash=RICH), messages_per_minute_max=2)
    it.tell(wish("a"), kill(Verb.HALT), kill(Verb.RESUME, 2))
    assert check(it, buy(1), "message_rate").code == "MESSAGE_RATE"
    assert check(it, buy(1), "order_rate").outcome is CheckOutcome.PASS


def test_repeated_execution_latches_and_a_named_person_rearms_it() -> None:
    it = setting(desk(cash=RICH), executions_per_minute_max=2)
    it.tell(wish())
    for number in range(3):
        it.fill(it.order, 1, 50, f"e{number}")
        latched = number == 2
        assert (check(it, buy(1), "repeated_execution").code == "REPEATED_EXECUTION_LATCHED") is latched
    assert check(it, buy(1), "repeated_execution", NOON + DAY).code == "REPEATED_EXECUTION_LATCHED"
    it.tell(rearm("repeated_execution"))
    assert check(it, buy(1), "repeated_execution").outcome is CheckOutcome.PASS


def rearm(check_id: str) -> ManualOrder:
    """A person re-arms a latched check."""
    return ManualOrder(event_time_us=NOON, request_id=f"rearm-{check_id}", account_id="A", action=ManualAction.REARM,
                       author="ann", reason="looked at it", valid_until_us=NOON + DAY, check_id=check_id)  # fmt: skip


def test_consecutive_rejects_latch_and_one_acknowledgement_begins_anew() -> None:
    it = setting(desk(cash=RICH), consecutive_rejects_max=2)
    for number, words in enumerate((ExecType.REJECTED, ExecType.NEW, ExecType.REJECTED)):
        it.tell(wish(f"w{number}", direction=1.0 - number / 10))
        it.tell(answer(it.order, words))
        if words is ExecType.NEW:
            it.tell(answer(it.order, ExecType.CANCELED))
        assert check(it, buy(1), "consecutive_rejects").outcome is CheckOutcome.PASS
    it.tell(wish("w9", direction=0.5))
    it.tell(answer(it.order, ExecType.REJECTED))
    assert check(it, buy(1), "consecutive_rejects").code == "CONSECUTIVE_REJECTS_LATCHED"
    it.tell(rearm("consecutive_rejects"))
    assert check(it, buy(1), "consecutive_rejects").outcome is CheckOutcome.PASS


def test_duplicate_denies_the_same_id_always_and_the_same_order_within_the_window() -> None:
    it = setting(desk(cash=RICH), duplicate_window=10)
    it.tell(wish())
    same = buy(it.order.quantity)
    assert check(it, same, "duplicate", NOON + 10 * SECOND - 1).code == "DUPLICATE"
    assert check(it, same, "duplicate", NOON + 10 * SECOND).outcome is CheckOutcome.PASS
    assert check(it, buy(it.order.quantity + 1), "duplicate").outcome is CheckOutcome.PASS
    assert check(it, buy(1, client_order_id=it.order.client_order_id), "duplicate").code == "DUPLICATE_ID"


def test_self_match_denies_prices_that_would_meet() -> None:
    it = desk()
    working(it, Side.SELL, 5, 52)
    assert check(it, buy(1, at="51.99"), "self_match").outcome is CheckOutcome.PASS
    assert check(it, buy(1, at=52), "self_match").code == "SELF_MATCH"
    assert check(it, sell(1), "self_match").outcome is CheckOutcome.PASS


def test_trading_state_halted_denies_all_and_reducing_all_that_does_not_shrink() -> None:
    it = holding(desk(), 10)
    it.tell(kill(Verb.PAUSE))
    assert check(it, sell(10), "trading_state").outcome is CheckOutcome.PASS
    assert check(it, sell(11), "trading_state").code == "TRADING_REDUCING"
    assert check(it, buy(1), "trading_state").code == "TRADING_REDUCING"
    it.tell(kill(Verb.HALT, 2))
    assert check(it, sell(10), "trading_state").code == "TRADING_HALTED"
    assert check(it, sell(10, purpose="FLATTEN", reduce_only=True), "trading_state").outcome is CheckOutcome.PASS
    it.tell(kill(Verb.RESUME, 3))
    assert check(it, buy(1), "trading_state").outcome is CheckOutcome.PASS


@pytest.mark.parametrize(
    ("scope", "scope_id"),
    [(Scope.ACCOUNT, "A"), (Scope.STRATEGY, "trend"), (Scope.INSTRUMENT, "WTI"), (Scope.PROVIDER, "oracle"),
     (Scope.VENUE, "paper")],
)  # fmt: skip
def test_trading_state_holds_in_its_scope_and_not_outside(scope: Scope, scope_id: str) -> None:
    it = desk()
    it.tell(kill(Verb.PAUSE, scope=scope, scope_id=scope_id))
    assert check(it, buy(1, provider_id="oracle"), "trading_state").code == "TRADING_REDUCING"
    it = desk()
    it.tell(kill(Verb.PAUSE, scope=scope, scope_id="another"))
    assert check(it, buy(1, provider_id="oracle"), "trading_state").outcome is CheckOutcome.PASS


def test_strategy_running_denies_the_paused_the_stopped_and_the_stranger() -> None:
    it = desk()
    it.tell(deployed(verb=StrategyVerb.PAUSE))
    assert check(it, buy(1), "strategy_running").code == "STRATEGY_PAUSED"
    it.tell(deployed(verb=StrategyVerb.RESUME))
    assert check(it, buy(1), "strategy_running").outcome is CheckOutcome.PASS
    it.tell(deployed("elsewhere", of="BRENT"))
    assert check(it, buy(1, strategy_id="elsewhere"), "strategy_running").code == "STRATEGY_ELSEWHERE"


def test_model_approved_where_approval_is_required() -> None:
    it = setting(desk(), only("model_approved", 1, scope=Scope.PROVIDER, scope_id="oracle"), model_approval_required=1)
    assert check(it, buy(1, provider_id="oracle"), "model_approved").outcome is CheckOutcome.PASS
    assert check(it, buy(1, provider_id="rumour"), "model_approved").code == "MODEL_NOT_APPROVED"
    assert check(it, buy(1), "model_approved").outcome is CheckOutcome.PASS


def losing(it: Desk, price: Number) -> Desk:
    """The desk after its 1,000 units fell to this price."""
    holding(it, 1000)
    it.tell(mark(price, at_us=NOON + SECOND))
    return it


@pytest.mark.parametrize(
    ("check_id", "name", "code"),
    [("daily_loss", "daily_loss_max", "DAILY_LOSS"), ("drawdown", "drawdown_max", "DRAWDOWN"),
     ("loss_velocity", "loss_velocity_max", "LOSS_VELOCITY")],
)  # fmt: skip
def test_daily_loss_drawdown_and_loss_velocity_deny_beyond_their_limit(check_id: str, name: str, code: str) -> None:
    values: dict[str, Number] = {"daily_loss_max": "0.01", "drawdown_max": 1, name: "0.01"}
    at_limit = losing(setting(desk(cash=100_000), **values), 49)
    assert check(at_limit, buy(1), check_id, NOON + SECOND).outcome is CheckOutcome.PASS
    beyond = losing(setting(desk(cash=100_000), **values), "48.99")
    assert check(beyond, buy(1), check_id, NOON + SECOND).code == code
    assert check(beyond, sell(1), check_id, NOON + SECOND).outcome is CheckOutcome.SOFT


def test_equity_positive_denies_new_risk_at_zero() -> None:
    it = losing(desk(cash=50_000), 50)
    assert check(it, buy(1), "equity_positive", NOON + SECOND).outcome is CheckOutcome.PASS
    it = losing(desk(cash=50_000), 0)
    assert check(it, buy(1), "equity_positive", NOON + SECOND).code == "EQUITY_NOT_POSITIVE"
    assert check(it, sell(1), "equity_positive", NOON + SECOND).outcome is CheckOutcome.SOFT


def test_margin_maintenance_denies_new_risk_below_a_quarter() -> None:
    it = holding(setting(desk(cash=20_000), leverage_max=100), 1000)
    it.tell(mark(40, at_us=NOON + SECOND))
    assert it.account.totals.equity == 10_000
    assert check(it, buy(1), "margin_maintenance", NOON + SECOND).outcome is CheckOutcome.PASS
    it.tell(mark("39.99", at_us=NOON + 2 * SECOND))
    assert check(it, buy(1), "margin_maintenance", NOON + SECOND).code == "MARGIN_MAINTENANCE"
    assert check(it, sell(1), "margin_maintenance", NOON + SECOND).outcome is CheckOutcome.SOFT


@pytest.mark.parametrize(
    ("regime", "fits"), [(MarginRegime.CASH, 200), (MarginRegime.REG_T, 400), (MarginRegime.INTRADAY, 800)]
)
def test_margin_initial_lets_each_regime_hold_its_own_multiple(regime: MarginRegime, fits: int) -> None:
    it = setting(desk(cash=10_000, margin=regime), leverage_max=100, slippage_allowance=0)
    name = "cash" if regime is MarginRegime.CASH else "margin_initial"
    assert check(it, buy(fits), name).outcome is CheckOutcome.PASS
    assert check(it, buy(fits + 1), name).outcome is CheckOutcome.HARD


def test_margin_initial_of_isolated_positions_follows_their_leverage() -> None:
    it = setting(desk(cash=10_000, margin=MarginRegime.CRYPTO_ISOLATED), leverage_max=100, isolated_leverage=5)
    assert check(it, buy(1000), "margin_initial").outcome is CheckOutcome.PASS
    assert check(it, buy(1001), "margin_initial").code == "MARGIN_INITIAL"


def test_no_discrepancy_freezes_the_instrument_until_it_is_resolved() -> None:
    it = desk()
    it.tell(answer(replace_id(it), ExecType.TRADE, last_quantity=D(1), last_price=D(50)))
    assert check(it, buy(1), "no_discrepancy").code == "DISCREPANCY"
    assert check(it, buy(1, of="BRENT"), "no_discrepancy").outcome is CheckOutcome.PASS


def replace_id(it: Desk) -> SubmitOrder:
    """An order with an id of ours that the account does not know."""
    it.tell(wish("known"))
    return replace(it.order, client_order_id="ql-forgotten")


def test_outcome_known_freezes_the_instrument_while_an_order_may_or_may_not_exist() -> None:
    it = desk(cash=RICH)
    it.tell(wish())
    it.tell(answer(it.order, ExecType.UNKNOWN, order_status=OrderStatus.UNKNOWN))
    assert check(it, buy(1), "outcome_known").code == "OUTCOME_UNKNOWN"
    it.tell(answer(it.order, ExecType.NEW))
    assert check(it, buy(1), "outcome_known").outcome is CheckOutcome.PASS


def past(it: Desk, *moves: float, of: str = "WTI") -> Desk:
    """The desk with closes that made these daily returns."""
    closes = [100.0]
    for move in moves:
        closes.append(closes[-1] * (1 + move))
    history = History(days=tuple(range(1, len(closes) + 1)), closes=tuple(closes))
    it.partition.states["A"] = replace(it.account, histories={**it.account.histories, of: history})
    return it


WAVES = tuple(0.01 if number % 2 else -0.01 for number in range(100))


def test_value_at_risk_is_the_normal_quantile_of_the_portfolio() -> None:
    bound = D("2.3263478740408408") * D("0.01") * 1000 / 100_000
    it = past(setting(desk(cash=100_000), value_at_risk_max=bound + D("1e-9")), *WAVES)
    assert check(it, buy(20), "value_at_risk").outcome is CheckOutcome.PASS
    assert check(it, buy(21), "value_at_risk").code == "VALUE_AT_RISK"


def test_historical_value_at_risk_and_expected_shortfall_look_at_the_worst_days() -> None:
    moves = (*WAVES, -0.10, -0.08, -0.06)
    it = setting(desk(cash=100_000), historical_value_at_risk_max="0.00080001", expected_shortfall_max="0.00080001")
    past(it, *moves)
    assert check(it, buy(20), "historical_value_at_risk").outcome is CheckOutcome.PASS
    assert check(it, buy(21), "historical_value_at_risk").code == "HISTORICAL_VALUE_AT_RISK"
    assert check(it, buy(20), "expected_shortfall").outcome is CheckOutcome.PASS
    assert check(it, buy(21), "expected_shortfall").code == "EXPECTED_SHORTFALL"


def test_correlated_exposure_counts_a_hedge_and_not_twins_twice() -> None:
    it = setting(desk(cash=100_000), correlated_exposure_max="0.0100001")
    it.tell(instrument("BRENT"), mark(50, "BRENT"))
    holding(it, -20, of="BRENT", strategy_id="other")
    past(past(it, *WAVES), *WAVES, of="BRENT")
    assert check(it, buy(40), "correlated_exposure").outcome is CheckOutcome.PASS
    assert check(it, buy(41), "correlated_exposure").code == "CORRELATED_EXPOSURE"


def test_stress_loss_takes_the_worst_declared_scenario() -> None:
    it = past(setting(desk(cash=100_000), stress_loss_max="0.0302001"), *WAVES)
    assert check(it, buy(20), "stress_loss").outcome is CheckOutcome.PASS
    worse = check(it, buy(21), "stress_loss")
    assert (worse.code, worse.inputs) == ("STRESS_LOSS", "scenario=wti_april_2020")


def test_protections_lock_entries_and_never_exits() -> None:
    it = setting(desk(cash=RICH), cooldown=60)
    holding(it, 10)
    holding(it, -10)
    assert check(it, buy(1), "protections", NOON + 60 * SECOND - 1).code == "PROTECTION_COOLDOWN"
    assert check(it, buy(1), "protections", NOON + 60 * SECOND).outcome is CheckOutcome.PASS
    holding(it, 5)
    assert check(it, sell(5), "protections").outcome is CheckOutcome.PASS


def test_a_negative_mark_keeps_exposures_absolute_and_cash_right() -> None:
    it = holding(desk(cash=100_000), 100, at=20)
    it.tell(mark("-36.98", at_us=NOON + SECOND))
    totals = it.account.totals
    assert totals.equity == 100_000 - 2000 - 3698
    assert totals.gross["USD"] == 3698
    assert totals.net["USD"] == -3698
    assert check(it, sell(100), "gross_exposure", NOON + SECOND).outcome is CheckOutcome.PASS
    setting(it, order_value_max=4000, position_value_max=3698)
    assert check(it, buy(1), "position_value", NOON + SECOND).code == "POSITION_VALUE"
    assert check(it, sell(100), "position_value", NOON + SECOND).outcome is CheckOutcome.PASS


def test_selling_at_a_negative_price_needs_cash() -> None:
    it = holding(cash_desk(cash=3000), 100, at=20)
    it.tell(mark(-10, at_us=NOON + SECOND))
    setting(it, slippage_allowance=0)
    assert check(it, sell(100), "cash", NOON + SECOND).outcome is CheckOutcome.PASS
    assert check(it, sell(101), "cash", NOON + SECOND).code == "CASH"
    assert check(it, buy(1), "cash", NOON + SECOND).outcome is CheckOutcome.PASS


def test_an_inverse_contract_without_a_positive_mark_is_unknown() -> None:
    it = desk(cash=RICH)
    it.tell(instrument(version=2, contract=ContractKind.INVERSE, settlement_currency="USD"))
    it.tell(mark(-1, at_us=NOON + SECOND))
    assert check(it, buy(1), "order_value", NOON + SECOND).code == "ORDER_VALUE_UNKNOWN"
    assert check(it, buy(1), "position_value", NOON + SECOND).code == "POSITION_VALUE_UNKNOWN"


def test_fees_are_part_of_what_an_order_needs() -> None:
    it = cash_desk(cash=10_000)
    it.tell(fees("0.001", version=2))
    setting(it, slippage_allowance=0)
    assert check(it, buy(199), "cash").outcome is CheckOutcome.PASS
    assert check(it, buy(200), "cash").code == "CASH"


def test_a_denied_short_says_market_where_it_has_no_limit_price() -> None:
    it = margin_desk(short_price_test=1)
    assert (check(it, sell(1), "short_price_test").value, check(it, sell(1, at=50), "short_price_test").value) == (
        "market",
        "50",
    )


VALUED = ("order_value", "position_value", "concentration", "sector_concentration", "currency_concentration",
          "strategy_concentration", "strategy_exposure", "gross_exposure", "net_exposure", "leverage", "cash",
          "margin_initial")  # fmt: skip
HELD_COUNTS = ("position_value", "position_quantity", "concentration", "sector_concentration",
               "currency_concentration", "strategy_concentration", "strategy_exposure", "gross_exposure",
               "net_exposure", "leverage")  # fmt: skip
RATE = D("1.25")


def abroad(it: Desk) -> Desk:
    """The same desk a quarter richer and with limits as much wider, in an instrument that settles in euro at 1.25."""
    profile = it.account.profile
    wider = {
        key: replace(limit, value=limit.value * RATE) if BY_NAME[limit.name].unit is Unit.MONEY else limit
        for key, limit in profile.limits.items()
    }
    it.partition.states["A"] = replace(it.account, profile=replace(profile, limits=wider))
    it.tell(deposit(it.account.totals.cash["USD"] * (RATE - 1), movement_id="richer"))
    euro(it, RATE)
    known = it.shared.instruments["WTI"]
    it.tell(replace(known, version=known.version + 1, settlement_currency="EUR", quote_currency="EUR"))
    return it


@pytest.mark.parametrize(
    ("check_id", "build", "fine", "refused", "code"), [case for case in BOUNDS if case[0] in VALUED]
)
def test_a_bound_in_money_holds_in_another_currency(
    check_id: str, build: Callable[[], Desk], fine: Proposal, refused: Proposal | None, code: str
) -> None:
    it = abroad(build())
    assert check(it, fine, check_id).outcome is CheckOutcome.PASS
    assert refused is not None
    assert check(it, refused, check_id).code == code


@pytest.mark.parametrize("foreign", [False, True])
@pytest.mark.parametrize(
    ("check_id", "build", "fine", "refused", "code"), [case for case in BOUNDS if case[0] in HELD_COUNTS]
)
def test_a_bound_on_holdings_counts_what_is_held_and_what_works(
    check_id: str, build: Callable[[], Desk], fine: Proposal, refused: Proposal | None, code: str, foreign: bool
) -> None:
    it = abroad(build()) if foreign else build()
    sign = 1 if fine.side is Side.BUY else -1
    holding(it, 30 * sign)
    it.tell(wish("w", kind=IntentKind.TARGET_WEIGHT, target_weight=0.0))
    held = it.account.holdings["WTI"]
    assert held.net.quantity == 30 * sign
    assert refused is not None
    assert check(it, fine._replace(quantity=fine.quantity - 30), check_id).outcome is CheckOutcome.PASS
    assert check(it, refused._replace(quantity=refused.quantity - 30), check_id).code == code


def test_exposure_abroad_and_at_home_is_added_in_the_base_currency() -> None:
    it = setting(abroad(desk(cash=100_000)), gross_exposure_max=D(20_000), net_exposure_max=D(5_000))
    it.tell(instrument("BRENT", sector="other"), mark(50, "BRENT"))
    holding(it, 100)
    holding(it, -150, of="BRENT", strategy_id="other")
    assert check(it, buy(100), "gross_exposure").outcome is CheckOutcome.PASS
    assert check(it, buy(101), "gross_exposure").code == "GROSS_EXPOSURE"
    assert check(it, buy(100), "net_exposure").value == "5000"
    assert check(it, buy(101), "net_exposure").code == "NET_EXPOSURE"


def test_fees_in_a_currency_that_nobody_prices_are_unknown_and_in_none_they_cost_nothing() -> None:
    it = cash_desk()
    it.tell(fees("0.001", version=2, currency="BNB"))
    assert check(it, buy(1), "cash").outcome is CheckOutcome.PASS
    it.tell(fees("0.001", version=3, currency="BNB", minimum=D(1)))
    assert check(it, buy(1), "cash").code == "FEES_UNKNOWN"
    it.tell(fees("0.001", version=4, currency="BNB", per_unit=D(1)))
    assert check(it, buy(1), "cash").code == "FEES_UNKNOWN"


def test_the_fee_is_the_larger_of_the_least_and_the_share_with_the_part_for_each_unit() -> None:
    it = setting(cash_desk(cash=RICH), slippage_allowance=0)
    it.tell(fees("0.01", version=2, minimum=D(10), per_unit=D("0.5")))
    assert check(it, buy(1), "cash").value == "60"
    assert check(it, buy(100), "cash").value == "5100"


def test_a_tripped_latch_is_told_with_what_tripped_it() -> None:
    it = setting(desk(cash=RICH), consecutive_rejects_max=1)
    it.tell(wish())
    it.tell(answer(it.order, ExecType.REJECTED))
    told = it.now(RiskEvent)[0]
    assert (told.kind, told.code, told.value, told.limit) == (RiskEventKind.LATCHED, "CONSECUTIVE_REJECTS", "1", "1")


def test_session_looks_at_the_newest_of_several() -> None:
    it = setting(with_instrument(calendar="XNYS"), session_wait_max=0)
    it.tell(sessions((-9, -8), (-1, 1), (20, 22)))
    assert check(it, buy(1), "session").outcome is CheckOutcome.PASS
    closed = check(it, buy(1), "session", NOON + 2 * 3600 * SECOND)
    assert (closed.code, closed.value) == ("MARKET_CLOSED", str(18 * 3600))
    assert check(it, buy(1), "session", NOON + 23 * 3600 * SECOND).value == ""


def test_a_replace_that_leaves_nothing_open_is_denied() -> None:
    it = desk(cash=RICH)
    name = working(it, Side.BUY, 10, 49)
    it.fill(it.order, 4, 49)
    order = it.account.orders[name]
    assert check(it, buy(5, replaces=order), "quantity_valid").outcome is CheckOutcome.PASS
    assert check(it, buy(4, replaces=order), "quantity_valid").code == "QUANTITY_NOT_POSITIVE"


def test_a_sale_of_exactly_what_is_held_needs_no_locate() -> None:
    it = setting(holding(desk(cash=RICH), 10), short_locate_required=1)
    assert check(it, sell(10), "short_locate").outcome is CheckOutcome.PASS
    assert check(it, sell(11), "short_locate").code == "SHORT_LOCATE_UNKNOWN"


def test_cash_is_unknown_while_any_of_it_cannot_be_priced() -> None:
    it = cash_desk(cash=RICH)
    it.tell(deposit(10, "EUR"))
    assert check(it, buy(1), "cash").code == "CASH_UNKNOWN"


def test_an_inverse_contract_at_zero_has_no_notional() -> None:
    it = with_instrument(contract=ContractKind.INVERSE, notional_max=D(500))
    assert check(it, buy(10), "notional_bounds").outcome is CheckOutcome.PASS
    it.tell(mark(0, at_us=NOON + SECOND))
    assert check(it, buy(10), "notional_bounds", NOON + SECOND).code == "NOTIONAL_UNKNOWN"


def test_a_short_that_is_not_permitted_is_told_with_its_size_and_why() -> None:
    refused = check(with_instrument(shortable=False), sell(3), "short_permitted")
    assert (refused.value, refused.limit, refused.inputs) == ("3", "0", "instrument")
