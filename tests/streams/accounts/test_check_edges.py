"""Where checks, latches and sizes turn: what a wrong sign, a wrong unit or a forgotten order would change."""

from decimal import Decimal as D
from typing import Any

import pytest
from msgspec.structs import replace

from schemas.control import KillVerb as Verb
from schemas.control import MarginRegime, Scope, SizingMethod, TradingState
from schemas.intent import IntentKind
from schemas.order import ExecType, OrderType, Side, TimeInForce
from schemas.reference import ContractKind, InstrumentClass, Session, TradingSession, TradingStatus
from schemas.risk import CheckOutcome, RiskEvent, RiskEventKind
from streams.accounts.account import Holding
from streams.accounts.risk.curves import Circumstances, scale_of
from streams.accounts.risk.exposures import by_dimension
from streams.accounts.risk.guards import Guard, Watch, deviation_of, levels
from streams.accounts.risk.latches import latch, rearm
from streams.accounts.risk.preview import preview
from streams.accounts.risk.reading import text
from streams.accounts.risk.scenarios import Rule, Scenario, shock_of
from streams.accounts.risk.states import RANK, Held, is_flattening, state_of
from streams.accounts.risk.view import Proposal
from streams.accounts.room import precisely
from streams.accounts.shared import RETURNS_MIN
from streams.accounts.turn import Turn
from tests.builders import DAY, NOON, SECOND, Number, instrument, kill, mark, tick, wish
from tests.streams.accounts.desk import answer, deployed, desk, fees, holding, only, setting, working
from tests.streams.accounts.test_checks import RICH, WAVES, buy, cash_desk, check, margin_desk, past, sell
from tests.streams.accounts.test_checks import rearm as rearmed
from tests.streams.accounts.test_controls import cash
from tests.streams.accounts.test_sizing import bounds, rich, sized
from tests.streams.accounts.test_stops import closed, protections


def test_what_a_strategy_works_elsewhere_counts_as_its_exposure() -> None:
    it = setting(desk(cash=RICH), only("strategy_exposure_max", 10_000, scope=Scope.STRATEGY, scope_id="trend"))
    it.tell(instrument("BRENT"), mark(50, of="BRENT"), wish("a", direction=0.0005))
    ordered = it.order.quantity
    assert 0 < ordered < 200
    it.tell(deployed(of="BRENT"))
    fits = 200 - ordered
    assert check(it, buy(fits, of="BRENT"), "strategy_exposure").outcome is CheckOutcome.PASS
    assert check(it, buy(fits + 1, of="BRENT"), "strategy_exposure").code == "STRATEGY_EXPOSURE"


def test_a_lock_that_ends_later_prolongs_and_one_that_ends_sooner_does_not() -> None:
    it = desk()
    turn = Turn(it.account, it.shared, NOON)
    ends = []
    for until_us in (NOON + 10, NOON + 5, NOON + 20):
        latch(turn, "protection.cooldown", "WTI", "1", D(1), "WTI", until_us)
        ends.append(turn.account.condition.latches["protection.cooldown|WTI"].until_us - NOON)
    assert ends == [10, 10, 20]


@pytest.mark.parametrize(("price", "needs"), [("50", D(0)), ("-50", D(500))])
def test_selling_what_is_held_needs_cash_only_at_a_negative_price(price: str, needs: D) -> None:
    it = setting(desk(margin=MarginRegime.CASH, price=None), only("slippage_allowance", 0), mark_age_max=10**6)
    it.tell(instrument(version=2, instrument_class=InstrumentClass.EQUITY), mark(price))
    holding(it, 10, price)
    assert check(it, sell(10), "cash").value == f"{needs:f}"


@pytest.mark.parametrize(("price", "needs"), [("50", D(500)), ("-50", D(0))])
def test_buying_a_short_back_needs_cash_only_at_a_positive_price(price: str, needs: D) -> None:
    it = setting(desk(margin=MarginRegime.CASH, price=None), only("slippage_allowance", 0), mark_age_max=10**6)
    it.tell(instrument(version=2, instrument_class=InstrumentClass.EQUITY), mark(price))
    holding(it, -10, price)
    assert check(it, buy(10), "cash").value == f"{needs:f}"


def test_a_wish_from_the_future_is_of_no_age() -> None:
    it = setting(desk(), signal_age_max=10)
    assert check(it, buy(1, made_us=NOON + 1), "signal_fresh").value == "0"


@pytest.mark.parametrize("held", [1, 10])
def test_selling_all_that_is_held_is_reducing_even_of_one_unit(held: int) -> None:
    it = holding(desk(), held)
    it.tell(kill(Verb.PAUSE))
    assert check(it, sell(held), "trading_state").outcome is CheckOutcome.PASS
    assert check(it, sell(held + 1), "trading_state").code == "TRADING_REDUCING"


@pytest.mark.parametrize("held", [1, 10])
def test_buying_back_all_that_is_short_is_reducing_even_of_one_unit(held: int) -> None:
    it = holding(desk(), -held)
    it.tell(kill(Verb.PAUSE))
    assert check(it, buy(held), "trading_state").outcome is CheckOutcome.PASS
    assert check(it, buy(held + 1), "trading_state").code == "TRADING_REDUCING"


@pytest.mark.parametrize("nothing", [buy(0), sell(0)])
def test_an_order_of_nothing_reduces_nothing(nothing: Proposal) -> None:
    it = desk()
    it.tell(kill(Verb.PAUSE))
    assert check(it, nothing, "trading_state").code == "TRADING_REDUCING"


def test_every_scope_counts_its_own_messages_against_its_own_rate() -> None:
    it = setting(
        desk(cash=RICH),
        only("orders_per_minute_max", 1, scope=Scope.STRATEGY, scope_id="trend"),
        only("orders_per_minute_max", 2),
    )
    working(it, Side.BUY, 1, 49)
    assert check(it, buy(1), "order_rate").outcome is CheckOutcome.PASS
    it.tell(wish("a"))
    denied = check(it, buy(1, strategy_id="other"), "order_rate")
    assert (denied.code, denied.value, denied.limit, denied.inputs) == ("ORDER_RATE", "3", "2", "scope=ACCOUNT|")


def test_a_wide_rate_of_a_strategy_does_not_widen_that_of_the_account() -> None:
    it = setting(
        desk(cash=RICH),
        only("orders_per_minute_max", 100, scope=Scope.STRATEGY, scope_id="trend"),
        only("orders_per_minute_max", 1),
    )
    it.tell(wish("a"))
    assert check(it, buy(1), "order_rate").inputs == "scope=ACCOUNT|"


@pytest.mark.parametrize("field", ["multiplier", "tick_size", "lot_size"])
@pytest.mark.parametrize("value", [D(-1), D(0), D("NaN"), D("Infinity")])
def test_an_instrument_whose_terms_cannot_be_computed_with_is_invalid(field: str, value: D) -> None:
    it = desk()
    it.shared.instruments["WTI"] = replace(instrument(), **{field: value})
    assert check(it, buy(1), "instrument_known").code == "INSTRUMENT_INVALID"


@pytest.mark.parametrize("check_id", ["daily_loss", "loss_velocity"])
def test_a_loss_of_a_small_account_is_a_loss(check_id: str) -> None:
    it = setting(desk(cash=1, price="0.01"), daily_loss_max="0.1", loss_velocity_max="0.1", leverage_max=100)
    holding(it, 50, "0.01")
    it.tell(mark("0", at_us=NOON + SECOND))
    assert check(it, buy(1), check_id, NOON + SECOND).code == check_id.upper()


def test_a_cancel_between_two_rejects_does_not_begin_the_count_anew() -> None:
    it = setting(desk(cash=RICH), consecutive_rejects_max=3)
    it.tell(wish("w0", direction=0.1))
    it.tell(answer(it.order, ExecType.NEW))
    acknowledged = it.order
    for number in (1, 2):
        it.tell(wish(f"w{number}", direction=0.1 + number / 10))
        it.tell(answer(it.order, ExecType.REJECTED))
    it.tell(answer(acknowledged, ExecType.CANCELED))
    it.tell(wish("w3", direction=0.9))
    it.tell(answer(it.order, ExecType.REJECTED))
    assert check(it, buy(1), "consecutive_rejects").code == "CONSECUTIVE_REJECTS_LATCHED"


def test_isolated_positions_are_maintained_with_half_of_what_opens_them() -> None:
    it = setting(desk(cash=10_000, margin=MarginRegime.CRYPTO_ISOLATED), leverage_max=100, isolated_leverage=5)
    holding(it, 100)
    assert check(it, buy(1), "margin_maintenance").value == "500"


def test_a_price_that_is_not_positive_is_told_with_the_bound() -> None:
    it = desk()
    it.tell(instrument(version=2, price_may_be_negative=False))
    denied = check(it, buy(1, at="-0.01"), "price_valid")
    assert (denied.code, denied.value, denied.limit) == ("PRICE_NOT_POSITIVE", "-0.01", "0")


@pytest.mark.parametrize(("volatility", "refused"), [(999.9, False), (1000.0, True), (1000.5, True)])
def test_a_volatility_of_a_thousand_is_no_volatility(volatility: float, refused: bool) -> None:
    code = sized(rich(SizingMethod.VOLATILITY_TARGET), volatility=volatility).code
    assert (code == "SIZING_NO_VOLATILITY") is refused


def test_sector_concentration_without_a_mark_is_unknown() -> None:
    it = setting(desk(price=None), sector_concentration_max="0.5")
    denied = check(it, buy(1), "sector_concentration")
    assert (denied.outcome, denied.code) == (CheckOutcome.HARD, "SECTOR_CONCENTRATION_UNKNOWN")
    it.tell(instrument("BRENT"), mark(50, of="BRENT"))
    holding(it, 10, of="BRENT")
    assert check(it, buy(1), "sector_concentration").code == "SECTOR_CONCENTRATION_UNKNOWN"


def test_a_size_is_clipped_to_a_part_of_a_unit_where_lots_are_parts() -> None:
    part = instrument(lot_size=D("0.001"), quantity_decimals=3)
    assert sized(rich(price=D(3)), bounds(sizing_weight_max="0.001"), of=part).target == D("33.333")


@pytest.mark.parametrize(("price", "known"), [("0.5", True), ("0", False)])
def test_an_inverse_contract_is_valued_at_any_price_above_zero(price: Number, known: bool) -> None:
    it = desk(cash=RICH, price=None)
    it.tell(instrument(version=2, contract=ContractKind.INVERSE), mark(price))
    with precisely():
        assert (check(it, buy(1), "order_value").code == "") is known


def test_an_order_that_meets_another_of_any_price_says_market() -> None:
    it = desk(cash=RICH)
    it.tell(wish("a", direction=0.001))
    denied = check(it, sell(1), "self_match")
    assert (denied.code, denied.value, denied.limit) == ("SELF_MATCH", "market", "market")


def test_a_halt_of_the_venue_denies_every_order_in_the_instrument_until_it_ends() -> None:
    it = holding(desk(), 10)
    status = TradingStatus(event_time_us=NOON, instrument_id="WTI", version=2, halted=True, reason="limit up")
    it.tell(status, replace(status, version=1, halted=False))
    for proposal in (buy(1), sell(10)):
        denied = check(it, proposal, "session")
        assert (denied.outcome, denied.code, denied.value) == (CheckOutcome.HARD, "MARKET_HALTED", "limit up")
    it.check_codec()
    it.tell(replace(status, version=3, halted=False))
    assert check(it, buy(1), "session").outcome is CheckOutcome.PASS


@pytest.mark.parametrize(
    ("fine", "refused"), [(buy(1, at="57.2"), buy(1, at="57.21")), (sell(1, at="43.2"), sell(1, at="43.19"))]
)
def test_the_window_collar_measures_from_the_edge_that_the_order_crosses(fine: Proposal, refused: Proposal) -> None:
    it = margin_desk(price_collar_window="0.1", price_collar=1)
    it.tell(mark(50, at_us=NOON + SECOND, low=D(48), high=D(52)))
    assert check(it, fine, "price_collar_window", NOON + SECOND).outcome is CheckOutcome.PASS
    assert check(it, refused, "price_collar_window", NOON + SECOND).code == "PRICE_COLLAR_WINDOW"


def test_half_a_unit_of_equity_is_equity() -> None:
    assert check(desk(cash="0.5"), buy(1), "equity_positive").outcome is CheckOutcome.PASS


def test_a_latch_is_rearmed_by_its_whole_name_and_no_other_with_it() -> None:
    it = desk()
    turn = Turn(it.account, it.shared, NOON)
    for strategy in ("trend", "other"):
        latch(turn, "consecutive_rejects", strategy, "3", D(3))
    assert rearm(turn, "consecutive_rejects|trend", "ann", "looked at it") is True
    assert set(turn.account.condition.latches) == {"consecutive_rejects|other"}
    assert not rearm(turn, "consecutive_rejects|trend", "ann", "again")


def test_a_value_without_a_limit_is_told_all_the_same() -> None:
    assert check(desk(), buy(2), "position_quantity").value == "2"


def test_a_rate_denial_tells_whose_rate_it_is() -> None:
    it = setting(desk(cash=RICH), only("orders_per_minute_max", 0, scope=Scope.STRATEGY, scope_id="trend"))
    assert check(it, buy(1), "order_rate").inputs == "scope=STRATEGY|trend"


def test_a_stop_limit_order_needs_both_of_its_prices() -> None:
    both: dict[str, Any] = {"order_type": OrderType.STOP_LIMIT, "limit_price": D(50), "stop_price": D(50)}
    assert check(desk(), buy(1, **both), "price_valid").outcome is CheckOutcome.PASS
    for missing in ("limit_price", "stop_price"):
        assert check(desk(), buy(1, **{**both, missing: None}), "price_valid").code == "PRICE_MISSING"


def test_an_order_whose_date_is_long_past_is_denied() -> None:
    long_past = buy(1, time_in_force=TimeInForce.GTD, expire_at_us=NOON - DAY)
    assert check(desk(), long_past, "order_lives").code == "EXPIRY_PAST"


@pytest.mark.parametrize(("stop", "target"), [("50", "60"), ("40", "50")])
def test_a_wish_that_can_win_or_lose_nothing_pays_one_for_one(stop: str, target: str) -> None:
    bet: dict[str, Any] = {"probability": 0.6, "reference_price": D(50)}
    plain = sized(rich(SizingMethod.KELLY), **bet)
    assert sized(rich(SizingMethod.KELLY), stop_price=D(stop), take_profit_price=D(target), **bet) == plain


def test_a_share_of_negative_equity_is_unknown() -> None:
    it = past(setting(desk(cash=50_000), value_at_risk_max=1), *WAVES)
    holding(it, 1000)
    it.tell(mark("-1", at_us=NOON + SECOND))
    assert check(it, buy(1), "value_at_risk", NOON + SECOND).code == "VALUE_AT_RISK_UNKNOWN"


def test_a_replace_gives_back_the_cash_that_the_replaced_order_holds() -> None:
    it = setting(cash_desk(cash=10_000), order_value_max=20_000, position_value_max=20_000, concentration_max=2)
    name = working(it, Side.BUY, 150, 50)
    order = it.account.orders[name]
    assert check(it, buy(200, at=50, replaces=order), "cash").outcome is CheckOutcome.PASS
    assert check(it, buy(201, at=50, replaces=order), "cash").code == "CASH"
    assert check(it, buy(51, at=50), "cash").code == "CASH"


def test_an_instrument_that_is_flat_hides_none_that_follows() -> None:
    it = holding(desk(cash=RICH), 10)
    it.tell(instrument("ABLE"), mark(50, of="ABLE"), deployed("able", of="ABLE"))
    it.partition.states["A"] = replace(
        it.account, holdings={"ABLE": Holding(instrument_id="ABLE", currency="USD"), **it.account.holdings}
    )
    told = {(dimension, member) for dimension, member, _, _ in by_dimension(it.account, it.shared)}
    assert ("INSTRUMENT", "WTI") in told
    assert ("INSTRUMENT", "ABLE") not in told


def test_a_halt_closes_nothing_and_a_flatten_closes_the_position() -> None:
    for verb, closes in ((Verb.HALT, False), (Verb.FLATTEN, True)):
        it = holding(desk(cash=RICH), 10)
        it.tell(kill(verb))
        assert is_flattening(it.account, it.shared, "WTI") is closes


def test_a_fill_that_comes_after_a_reject_is_no_second_reject() -> None:
    it = setting(desk(cash=RICH), consecutive_rejects_max=2)
    it.tell(wish("a", direction=0.1))
    it.tell(answer(it.order, ExecType.REJECTED))
    it.fill(it.order, 1, 50, "late")
    assert check(it, buy(1), "consecutive_rejects").outcome is CheckOutcome.PASS


def test_a_quantity_of_nothing_is_told_with_the_bound() -> None:
    denied = check(desk(), buy(0), "quantity_valid")
    assert (denied.code, denied.value, denied.limit) == ("QUANTITY_NOT_POSITIVE", "0", "0")


def test_a_price_that_never_moved_has_no_risk_and_no_correlation() -> None:
    it = past(setting(desk(cash=100_000), correlated_exposure_max=1), *(0.0 for _ in WAVES))
    assert check(it, buy(20), "correlated_exposure").value == "0"


def test_a_shock_of_a_sector_touches_no_other_sector() -> None:
    scenario = Scenario("x", "y", (Rule(-0.5, sector="energy"),))
    for sector, shock in (("energy", -0.5), ("agriculture", 0.0), ("metals", 0.0), ("", 0.0)):
        assert shock_of(scenario, instrument(sector=sector)) == shock


def test_what_a_strategy_sells_and_what_it_buys_are_two_sides_of_its_exposure() -> None:
    it = setting(desk(cash=RICH), only("strategy_exposure_max", 5000, scope=Scope.STRATEGY, scope_id="trend"))
    it.tell(wish("a", direction=-0.004))
    sold = it.order.quantity
    assert sold == 80
    assert check(it, buy(50, at=40), "strategy_exposure").value == "4000"
    assert check(it, buy(100, at=40), "strategy_exposure").value == "5000"


def test_a_preview_without_fees_says_what_it_knows() -> None:
    it = desk(venue="elsewhere")
    with precisely():
        seen = preview(it.account, it.shared, buy(10), NOON)
    assert (seen.approved, seen.value, seen.fee, seen.cash) == (False, D(510), None, None)


def test_a_preview_of_an_instrument_in_a_currency_that_nobody_prices_is_a_denial() -> None:
    it = desk()
    it.tell(instrument(version=2, settlement_currency="CHF", quote_currency="CHF"))
    with precisely():
        seen = preview(it.account, it.shared, buy(10), NOON)
    assert (seen.approved, seen.value, seen.fee, seen.cash) == (False, None, None, None)


def test_dynamic_limits_of_an_instrument_without_a_mark_take_their_smallest_scale() -> None:
    scale = setting(desk(price=None), dynamic_limits=1)
    known = setting(desk(), dynamic_limits=1)
    for number in range(40):
        known.tell(mark(50 + number % 2, at_us=NOON + number * DAY), tick(NOON + number * DAY))
    limits = [D(check(it, buy(1), "order_value").limit) for it in (scale, known)]
    assert limits[0] < limits[1]


def test_a_bound_on_a_currency_without_an_instrument_is_unknown() -> None:
    it = setting(desk(), currency_concentration_max=1)
    assert check(it, buy(1, of="NONE"), "currency_concentration").code == "CURRENCY_CONCENTRATION_UNKNOWN"


def test_a_market_in_session_is_told_as_open() -> None:
    it = desk()
    stretch = Session(opens_us=NOON - SECOND, closes_us=NOON + SECOND)
    it.tell(
        instrument(version=2, calendar="XNYS"),
        TradingSession(event_time_us=NOON, calendar="XNYS", version=1, sessions=[stretch], covers_until_us=NOON + DAY),
    )
    assert check(it, buy(1), "session").value == "open"


def test_of_several_own_orders_that_would_be_met_the_first_by_id_is_named() -> None:
    it = setting(desk(cash=RICH), orders_per_minute_max=10)
    names = sorted(working(it, Side.SELL, 4 + number, 52, f"w{number}") for number in range(3))
    assert check(it, buy(1, at=53), "self_match").inputs == f"order={names[0]}"


def test_a_lock_for_low_profit_begins_with_the_newest_trade() -> None:
    it = protections(low_profit_trades=2, low_profit_required="0.01", low_profit_lookback=100, low_profit_lock=60)
    closed(it, -1, 1)
    closed(it, -1, 30)
    (lock,) = (one for key, one in it.account.condition.latches.items() if key.startswith("protection.low_profit"))
    assert lock.until_us == max(trade.at_us for trade in it.account.trades.closed) + 60 * SECOND


def test_a_shock_of_a_class_touches_no_other_class() -> None:
    scenario = Scenario("x", "y", (Rule(-0.5, InstrumentClass.EQUITY),))
    for kind in InstrumentClass:
        wanted = -0.5 if kind is InstrumentClass.EQUITY else 0.0
        assert shock_of(scenario, instrument(instrument_class=kind)) == wanted


def test_between_two_sessions_and_after_the_last_the_scale_is_the_smallest() -> None:
    first, second = Session(NOON, NOON + 9000 * SECOND), Session(NOON + DAY, NOON + DAY + 20_000 * SECOND)
    calendar = TradingSession(
        event_time_us=NOON, calendar="XNYS", version=1, sessions=[first, second], covers_until_us=NOON + 9 * DAY
    )
    scales = [
        scale_of(Circumstances(D(1), D(0), calendar, False, NOON + at_us))
        for at_us in (9001 * SECOND, DAY + 10_000 * SECOND, DAY + 20_001 * SECOND)
    ]
    assert scales == [D("0.5"), D(1), D("0.5")]


@pytest.mark.parametrize(
    ("contract", "price", "known"),
    [(ContractKind.LINEAR, "-1", True), (ContractKind.INVERSE, "0.5", True), (ContractKind.INVERSE, "0", False)],
)
def test_the_exposure_of_a_strategy_is_known_where_its_contracts_have_a_value(
    contract: ContractKind, price: str, known: bool
) -> None:
    it = setting(
        desk(cash=RICH, price=None), only("strategy_exposure_max", 10**6, scope=Scope.STRATEGY, scope_id="trend")
    )
    it.tell(instrument(version=2, contract=contract), mark(price))
    assert (check(it, buy(1), "strategy_exposure").code == "") is known


@pytest.mark.parametrize(
    ("variance", "returns", "deviation"), [(0.04, 5, 0.2), (0.04, 4, None), (0.0, 5, None), (0.0, 4, None)]
)
def test_a_deviation_needs_enough_returns_and_some_that_moved(
    variance: float, returns: int, deviation: float | None
) -> None:
    assert deviation_of(variance, returns, 5) == deviation


def test_trading_states_are_told_as_nought_one_and_two() -> None:
    assert RANK == {TradingState.ACTIVE: 0, TradingState.REDUCING: 1, TradingState.HALTED: 2}


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("0.12345678901234", "0.12345678901234"),
        ("0.123456789012345", "0.123456789012"),
        ("1E+3", "1000"),
        ("1.50", "1.5"),
    ],
)
def test_a_decimal_of_sixteen_characters_is_told_whole_and_a_longer_one_to_twelve_places(value: str, told: str) -> None:
    assert text(D(value)) == told


def test_a_trailing_stop_waits_for_the_whole_rise() -> None:
    watch = Watch(trailing_stop=D("0.1"), trailing_stop_after=D("0.1"))
    guard = Guard(owner="", sign=1, opened_us=0, best=D("54.99"))
    assert levels(guard, watch, D(50)) == []
    assert levels(replace(guard, best=D(55)), watch, D(50)) == [("TRAILING_STOP", D("49.5"))]


def test_dynamic_limits_shrink_by_the_ratio_of_fast_to_slow_volatility() -> None:
    it = margin_desk(dynamic_limits=1, order_value_max=1000)
    wild = replace(it.shared.marks["WTI"], fast=0.0004, slow=0.0001, returns=RETURNS_MIN)
    it.partition.shared = replace(it.shared, marks={**it.shared.marks, "WTI": wild})
    assert check(it, buy(1), "order_value").limit == "500"


def test_dynamic_limits_of_a_small_account_know_its_drawdown() -> None:
    it = setting(desk(cash="0.5"), dynamic_limits=1, order_value_max="0.08")
    assert check(it, buy(1), "order_value").limit == "0.02"


def test_dynamic_limits_of_an_account_that_may_lose_nothing_take_their_smallest_scale() -> None:
    it = margin_desk(dynamic_limits=1, order_value_max=1600, daily_loss_max=0, drawdown_max=0)
    assert check(it, buy(1), "order_value").limit == "100"


def test_what_already_works_counts_into_the_worst_position_that_an_order_must_not_raise() -> None:
    it = holding(desk(cash=RICH), 10)
    working(it, Side.BUY, 5, 49)
    setting(it, position_quantity_max=12)
    for quantity, outcome in ((25, CheckOutcome.SOFT), (26, CheckOutcome.HARD)):
        assert check(it, sell(quantity), "position_quantity").outcome is outcome
    it = holding(desk(cash=RICH), -10)
    working(it, Side.SELL, 5, 51)
    setting(it, position_quantity_max=12)
    for quantity, outcome in ((25, CheckOutcome.SOFT), (26, CheckOutcome.HARD)):
        assert check(it, buy(quantity), "position_quantity").outcome is outcome


def test_a_latch_that_is_rearmed_is_told_with_who_and_why() -> None:
    it = setting(desk(cash=RICH), consecutive_rejects_max=1)
    it.tell(wish())
    it.tell(answer(it.order, ExecType.REJECTED))
    it.tell(rearmed("consecutive_rejects"))
    told = [one for one in it.now(RiskEvent) if one.kind is RiskEventKind.REARMED]
    assert [(one.code, one.scope_id, one.author, one.reason) for one in told] == [
        ("CONSECUTIVE_REJECTS", "trend", "ann", "looked at it")
    ]


def test_cash_that_differs_freezes_what_settles_in_it_and_what_settles_in_nobody_knows_what() -> None:
    it = desk()
    it.tell(instrument("BUND", settlement_currency="EUR", quote_currency="EUR"), cash(("USD", 1234)))
    for name, code in (("WTI", "DISCREPANCY"), ("NOWHERE", "DISCREPANCY"), ("BUND", "")):
        assert check(it, buy(1, of=name), "no_discrepancy").code == code


def test_a_duplicate_is_told_with_its_age_and_the_window_in_seconds() -> None:
    it = setting(desk(cash=RICH), duplicate_window=10)
    it.tell(wish())
    denied = check(it, buy(it.order.quantity), "duplicate", NOON + 2 * SECOND)
    assert (denied.code, denied.value, denied.limit) == ("DUPLICATE", "2", "10")


def test_an_exit_goes_out_and_reserves_nothing_where_nobody_knows_the_fees() -> None:
    it = holding(desk(cash=RICH, venue="elsewhere"), 10)
    it.tell(wish(kind=IntentKind.EXIT))
    assert (it.order.side, it.order.quantity) == (Side.SELL, D(10))
    assert it.account.orders[it.order.client_order_id].unit_reserve == 0


@pytest.mark.parametrize(
    ("instrument_id", "symbol", "shock"),
    [("X:CL", "WTI", -0.5), ("WTI:X", "CL", -0.5), ("WTI", "WTI", -0.5), ("X:CL", "CL", 0.0)],
)
def test_a_shock_of_a_symbol_touches_what_bears_it_in_id_or_symbol(
    instrument_id: str, symbol: str, shock: float
) -> None:
    scenario = Scenario("x", "y", (Rule(-0.5, symbol="WTI"),))
    assert shock_of(scenario, instrument(instrument_id, symbol=symbol)) == shock


def test_of_two_states_that_are_as_grave_the_first_by_name_and_its_own_before_a_switch_is_told() -> None:
    it = desk()
    own = {"unreadable": TradingState.REDUCING, "daily_loss": TradingState.REDUCING}
    account = replace(it.account, condition=replace(it.account.condition, own=own))
    it.tell(kill(Verb.PAUSE))
    assert state_of(account, it.shared) == Held(TradingState.REDUCING, "daily_loss")
    it.tell(kill(Verb.HALT, 2))
    assert state_of(account, it.shared).state is TradingState.HALTED


def test_a_price_below_one_is_long_all_the_same() -> None:
    it = holding(setting(desk(cash=RICH, price="0.5"), net_exposure_max=1000), 10, "0.5")
    assert check(it, buy(10), "net_exposure").value == "10"


def test_an_order_reserves_its_worst_price_and_its_fee_once() -> None:
    it = cash_desk(cash=100_000)
    it.tell(fees("0.001", version=2), wish())
    assert it.order.quantity == 200
    assert it.account.totals.reserved == {"USD": D("10210.2")}


@pytest.mark.parametrize("check_id", ["value_at_risk", "leverage", "stress_loss"])
def test_a_share_of_half_a_unit_of_equity_is_known(check_id: str) -> None:
    it = past(setting(desk(cash="0.5", price="0.01"), value_at_risk_max=1, stress_loss_max=1), *WAVES)
    assert check(it, buy(1), check_id).outcome is CheckOutcome.PASS


@pytest.mark.parametrize(("side", "at", "more"), [(Side.SELL, 52, sell(10)), (Side.BUY, 48, buy(10))])
def test_what_works_on_the_side_of_an_order_adds_to_its_worst_position(side: Side, at: int, more: Proposal) -> None:
    it = desk(cash=RICH)
    working(it, side, 5, at)
    assert check(it, more, "position_quantity").value == "15"


@pytest.mark.parametrize("begun", ["0", "-0.5"])
def test_a_loss_of_what_was_not_above_zero_is_unknown(begun: str) -> None:
    it = setting(desk(), loss_velocity_max="0.1")
    it.partition.states["A"] = replace(it.account, totals=replace(it.account.totals, before_equity=D(begun)))
    assert check(it, buy(1), "loss_velocity").code == "LOSS_VELOCITY_UNKNOWN"


def test_a_currency_that_nobody_bounds_is_told_as_nothing() -> None:
    told = check(desk(), buy(1), "currency_concentration")
    assert (told.outcome, told.value, told.limit, told.inputs) == (CheckOutcome.PASS, "", "", "")


@pytest.mark.parametrize(
    "stranger", [Rule(-0.5, InstrumentClass.EQUITY), Rule(-0.5, sector="metals"), Rule(-0.5, symbol="BRENT")]
)
def test_a_rule_for_others_leaves_an_instrument_to_the_next(stranger: Rule) -> None:
    assert shock_of(Scenario("x", "y", (stranger, Rule(-0.1), Rule(-0.2))), instrument()) == -0.1


def test_a_soft_bound_shrinks_with_its_limit() -> None:
    it = setting(desk(cash=RICH), only("dynamic_limits", 1), only("order_value_max", 1600, soft=D(800)))
    for quantity, outcome in ((3, CheckOutcome.PASS), (4, CheckOutcome.SOFT), (8, CheckOutcome.HARD)):
        assert check(it, buy(quantity), "order_value").outcome is outcome


@pytest.mark.parametrize(
    ("price", "proposal", "value"),
    [("50", buy(1), "51"), ("50", sell(1), "50"), ("-50", buy(1), "50"), ("-50", sell(1), "51")],
)
def test_slippage_makes_a_buy_dearer_and_a_sale_cheaper(price: str, proposal: Proposal, value: str) -> None:
    assert check(desk(cash=RICH, price=price), proposal, "order_value").value == value
