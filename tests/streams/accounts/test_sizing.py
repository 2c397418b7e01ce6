"""From a wish to units: four methods, inside the limits, in whole lots; and the curves that scale both."""

from collections.abc import Iterator
from decimal import Decimal as D
from typing import Any

import pytest
from msgspec.structs import replace

from schemas.control import MarginRegime, Scope, SizingMethod
from schemas.intent import IntentKind
from schemas.order import Side
from schemas.reference import ContractKind, Instrument, Session, TradingSession
from streams.accounts.risk.bounds import Bounds
from streams.accounts.risk.curves import DRAWDOWN, SESSION_EDGE, VOLATILITY, Circumstances, at, scale_of
from streams.accounts.risk.limits import applied, standard_limits
from streams.accounts.risk.sizing import Money, Sized, rounded_to_lot, size, units_at_risk
from streams.accounts.room import precisely
from tests.builders import DAY, NOON, SECOND, Number, instrument, limits, money, wish
from tests.streams.accounts.desk import desk, fees, holding, only, setting


@pytest.fixture(autouse=True)
def as_in_the_room() -> Iterator[None]:
    with precisely():
        yield


WIDE: dict[str, Number] = {
    "sizing_fraction": "0.1", "sizing_risk": "0.01", "sizing_volatility": "0.1", "sizing_kelly": "0.5",
}  # fmt: skip


def bounds(**values: Number) -> Bounds:
    """Limits wide enough not to matter, and these."""
    change = limits()
    named = [only(name, value) for name, value in {**WIDE, **values}.items()]
    return Bounds(applied(replace(change, limits=named), {}))


def rich(method: SizingMethod = SizingMethod.FIXED_FRACTION, **fields: Any) -> Money:
    given: dict[str, Any] = {"equity": D(100_000), "price": D(50), "rate": D(1), "fees": None, "method": method,
                             "margin": MarginRegime.REG_T, **fields}  # fmt: skip
    return Money(**given)


def sized(money_of: Money, limits_of: Bounds | None = None, of: Instrument | None = None, **fields: Any) -> Sized:
    return size(wish(**fields), of or instrument(), money_of, limits_of or bounds())


def test_fixed_fraction_is_a_fraction_of_equity_in_notional() -> None:
    assert sized(rich()).target == 200
    assert sized(rich(), direction=-0.5).target == -100


def test_a_target_is_rounded_toward_zero_to_whole_lots() -> None:
    assert sized(rich(price=D(51))).target == 196
    assert sized(rich(price=D(51)), direction=-1.0).target == -196
    assert sized(rich(), of=instrument(lot_size=D(30))).target == 180
    assert rounded_to_lot(D("0.29"), D("0.1")) == D("0.2")


def test_a_multiplier_and_a_conversion_make_fewer_units() -> None:
    assert sized(rich(rate=D(2)), of=instrument(multiplier=D(10))).target == 10


def test_an_inverse_contract_is_sized_in_its_base_currency() -> None:
    of = instrument(contract=ContractKind.INVERSE, settlement_currency="BTC", multiplier=D(100))
    assert sized(rich(price=D(50_000), rate=D(50_000)), of=of).target == 100


def test_a_target_weight_is_taken_as_it_is() -> None:
    assert sized(rich(), kind=IntentKind.TARGET_WEIGHT, target_weight=-0.25).target == -500


@pytest.mark.parametrize("fields", [{"kind": IntentKind.EXIT}, {"direction": 0.0}])
def test_a_wish_for_nothing_is_flat_even_where_nothing_is_known(fields: dict[str, Any]) -> None:
    assert sized(rich(equity=None, price=None, rate=None), **fields) == Sized(D(0), note="flat")


def test_fixed_risk_agrees_with_the_published_case() -> None:
    of = instrument(tick_size=D("0.00001"), lot_size=D(1000))
    units = units_at_risk(D(1_000_000) * D("0.001"), D("1.00100"), D("1.00000"), of, D(1))
    assert rounded_to_lot(units, of.lot_size) == 1_000_000


def test_fixed_risk_loses_the_stated_amount_between_entry_and_stop() -> None:
    assert sized(rich(SizingMethod.FIXED_RISK), reference_price=D(50), stop_price=D(48)).target == 500
    assert sized(rich(SizingMethod.FIXED_RISK), stop_price=D(52), direction=-1.0).target == -500


def test_half_a_wish_risks_half() -> None:
    assert sized(rich(SizingMethod.FIXED_RISK), stop_price=D(48), direction=0.5).target == 250
    assert sized(rich(SizingMethod.VOLATILITY_TARGET), volatility=0.2, direction=0.5).target == 500
    assert sized(rich(SizingMethod.KELLY), probability=0.6, direction=0.5).target == 100


def test_kelly_without_both_of_stop_and_target_wins_one_for_one_lost() -> None:
    assert sized(rich(SizingMethod.KELLY), probability=0.6, stop_price=D(49)).target == 200
    assert sized(rich(SizingMethod.KELLY), probability=0.6, take_profit_price=D(52)).target == 200


def test_fixed_risk_in_a_dearer_currency_takes_fewer_units() -> None:
    assert sized(rich(SizingMethod.FIXED_RISK, rate=D(2)), stop_price=D(48)).target == 250
    assert units_at_risk(D(1000), D(50), D(48), instrument(multiplier=D(10)), D(2)) == 25


def test_fixed_risk_takes_the_commission_of_both_ways_off_first() -> None:
    charged = rich(SizingMethod.FIXED_RISK, fees=fees("0.05"))
    assert sized(charged, stop_price=D(48)).target == 450


def test_fixed_risk_of_no_distance_is_nothing() -> None:
    assert units_at_risk(D(1000), D(50), D(50), instrument(), D(1)) == 0
    assert units_at_risk(D(1000), D(50), D(49), instrument(), D(0)) == 0
    assert units_at_risk(D(1000), D(50), D(49), instrument(tick_size=D(0)), D(1)) == 0


def test_fixed_risk_works_where_prices_are_negative() -> None:
    assert sized(rich(SizingMethod.FIXED_RISK, price=D(-10)), reference_price=D(-10), stop_price=D(-12)).target == 500


def test_a_volatility_target_takes_less_of_what_moves_more() -> None:
    assert sized(rich(SizingMethod.VOLATILITY_TARGET), volatility=0.2).target == 1000
    assert sized(rich(SizingMethod.VOLATILITY_TARGET), volatility=0.4).target == 500


def test_a_volatility_target_falls_back_on_the_volatility_of_the_marks() -> None:
    assert sized(rich(SizingMethod.VOLATILITY_TARGET, volatility=0.5)).target == 400


@pytest.mark.parametrize(("probability", "target"), [(0.6, 200), (0.5, 0), (0.4, 0), (1.0, 1000)])
def test_kelly_takes_a_share_of_the_edge(probability: float, target: int) -> None:
    assert sized(rich(SizingMethod.KELLY), probability=probability).target == target


def test_kelly_counts_what_is_won_for_one_lost() -> None:
    paid = sized(rich(SizingMethod.KELLY), probability=0.5, stop_price=D(49), take_profit_price=D(52))
    assert paid.target == 250


@pytest.mark.parametrize(
    ("method", "code"),
    [(SizingMethod.FIXED_RISK, "SIZING_NO_STOP"), (SizingMethod.VOLATILITY_TARGET, "SIZING_NO_VOLATILITY"),
     (SizingMethod.KELLY, "SIZING_NO_PROBABILITY")],
)  # fmt: skip
def test_a_method_without_its_input_refuses(method: SizingMethod, code: str) -> None:
    assert sized(rich(method)).code == code


@pytest.mark.parametrize("method", list(SizingMethod))
def test_a_method_without_its_parameter_refuses(method: SizingMethod) -> None:
    empty = Bounds(applied(limits(order_value_max=1), {}))
    got = sized(rich(method), empty, stop_price=D(48), volatility=0.1, probability=0.9)
    assert got.code == "LIMIT_MISSING"


@pytest.mark.parametrize("volatility", [0.0, -0.1, float("nan"), float("inf")])
def test_a_volatility_that_is_none_refuses(volatility: float) -> None:
    assert sized(rich(SizingMethod.VOLATILITY_TARGET), volatility=volatility).code == "SIZING_NO_VOLATILITY"


@pytest.mark.parametrize("probability", [-0.01, 1.01, float("nan")])
def test_a_probability_that_is_none_refuses(probability: float) -> None:
    assert sized(rich(SizingMethod.KELLY), probability=probability).code == "SIZING_NO_PROBABILITY"


@pytest.mark.parametrize(
    ("fields", "code"),
    [({"equity": None}, "SIZING_UNPRICED"), ({"price": None}, "SIZING_UNPRICED"), ({"rate": None}, "SIZING_UNPRICED"),
     ({"equity": D(0)}, "EQUITY_NOT_POSITIVE"), ({"equity": D("-0.5")}, "EQUITY_NOT_POSITIVE"),
     ({"price": D(0)}, "SIZING_PRICE_NOT_POSITIVE"), ({"price": D("-36.98")}, "SIZING_PRICE_NOT_POSITIVE")],
)  # fmt: skip
def test_what_cannot_be_sized_is_refused(fields: dict[str, Any], code: str) -> None:
    assert sized(rich(**fields)).code == code


@pytest.mark.parametrize("direction", [1.01, -1.01, float("nan"), float("inf")])
def test_a_direction_out_of_range_is_refused(direction: float) -> None:
    assert sized(rich(), direction=direction).code == "SIZING_WISH_INVALID"


def test_a_weight_that_is_missing_is_refused() -> None:
    assert sized(rich(), kind=IntentKind.TARGET_WEIGHT).code == "SIZING_WISH_INVALID"


@pytest.mark.parametrize(
    ("weight", "code"), [(100, ""), (-100, ""), (100.5, "SIZING_WISH_INVALID"), (-100.5, "SIZING_WISH_INVALID")]
)
def test_a_weight_of_a_hundred_times_equity_is_taken_and_a_larger_one_refused(weight: float, code: str) -> None:
    assert sized(rich(), kind=IntentKind.TARGET_WEIGHT, target_weight=weight).code == code


@pytest.mark.parametrize("fields", [{"margin": MarginRegime.CASH}, {}])
def test_a_short_where_none_can_be_is_flat(fields: dict[str, Any]) -> None:
    of = instrument(shortable=bool(fields))
    assert sized(rich(**fields), of=of, direction=-1.0).target == 0


@pytest.mark.parametrize(
    ("name", "value", "target"),
    [("position_quantity_max", 150, 150), ("position_value_max", 5000, 100), ("concentration_max", "0.05", 100),
     ("leverage_max", "0.01", 20), ("gross_exposure_max", 2500, 50), ("sizing_weight_max", "0.02", 40)],
)  # fmt: skip
def test_a_target_never_exceeds_what_a_position_may_be(name: str, value: Number, target: int) -> None:
    assert sized(rich(), bounds(**{name: value})).target == target


def test_a_price_near_zero_asks_for_no_absurd_size() -> None:
    assert sized(rich(price=D("0.000000000001"), equity=D(10) ** 20)).target <= D(10) ** 18


def test_an_order_is_no_larger_than_an_order_may_be_but_an_exit_is_whole() -> None:
    it = setting(desk(), order_quantity_max=50)
    it.tell(wish())
    assert it.order.quantity == 50
    it = setting(holding(desk(), 120), order_quantity_max=50)
    it.tell(wish(direction=0.0))
    assert (it.order.side, it.order.quantity) == (Side.SELL, D(120))


def test_an_order_of_the_most_that_an_order_may_cost_is_approved() -> None:
    it = setting(desk(cash=100_000), order_value_max=5000)
    it.tell(wish())
    assert (it.verdict.approved, it.order.quantity) == (True, D(98))


def test_a_change_too_small_to_matter_is_no_order() -> None:
    it = setting(holding(desk(cash=100_000), 200), rebalance_min="0.1")
    for direction, code in ((0.91, "NO_CHANGE"), (1.0, "NO_CHANGE"), (0.9, ""), (0.0, "")):
        it.tell(wish(f"w{direction}", direction=direction))
        assert it.verdict.code == code, direction
        if not code:
            break
    assert it.order.quantity == 20


def test_a_wish_counts_what_works_already() -> None:
    it = desk(cash=100_000)
    it.tell(wish())
    it.tell(wish("again"))
    assert it.verdict.code == "NO_CHANGE"


def test_two_strategies_in_one_instrument_each_get_their_own_size() -> None:
    it = holding(desk(cash=100_000), 200, strategy_id="other")
    it.tell(wish())
    assert it.order.quantity == 200


def test_sizing_by_the_limit_of_the_strategy_goes_before_that_of_the_account() -> None:
    it = setting(desk(cash=100_000), only("sizing_fraction", "0.05", scope=Scope.STRATEGY, scope_id="trend"))
    it.tell(wish())
    assert it.order.quantity == 100


@pytest.mark.parametrize(
    ("curve", "x", "scale"),
    [(VOLATILITY, "0.5", "1"), (VOLATILITY, "1", "1"), (VOLATILITY, "1.25", "0.875"), (VOLATILITY, "1.5", "0.75"),
     (VOLATILITY, "9", "0.25"), (DRAWDOWN, "0.25", "1"), (DRAWDOWN, "0.375", "0.875"), (DRAWDOWN, "1", "0.25"),
     (SESSION_EDGE, "0", "0.5"), (SESSION_EDGE, "600", "0.75"), (SESSION_EDGE, "900", "1")],
)  # fmt: skip
def test_a_curve_is_straight_between_its_points_and_flat_beyond_them(curve: Any, x: str, scale: str) -> None:
    assert at(curve, D(x)) == D(scale)


def test_a_curve_that_knows_nothing_takes_its_smallest_scale() -> None:
    assert at(VOLATILITY, None) == D("0.25")
    assert scale_of(Circumstances(D(1), D(0), None, False, NOON)) == D("0.5")
    assert scale_of(Circumstances(None, None, None, True, NOON)) == D("0.0625")


@pytest.mark.parametrize(
    ("opened_s", "left_s", "scale"),
    [(0, 9000, "0.5"), (9000, 0, "0.5"), (600, 9000, "0.75"), (9000, 600, "0.75"), (9000, 9000, "1")],
)
def test_the_nearer_end_of_the_session_decides(opened_s: int, left_s: int, scale: str) -> None:
    stretch = Session(opens_us=NOON - opened_s * SECOND, closes_us=NOON + left_s * SECOND)
    session = TradingSession(
        event_time_us=NOON, calendar="XNYS", version=1, sessions=[stretch], covers_until_us=NOON + DAY
    )
    assert scale_of(Circumstances(D(1), D(0), session, False, NOON)) == D(scale)


def test_dynamic_limits_scale_limits_and_sizes_where_the_account_asks_for_them() -> None:
    it = setting(desk(cash=100_000), dynamic_limits=1)
    it.tell(wish())
    assert it.verdict.quantity == 50
    assert next(one for one in it.verdict.checks if one.check_id == "order_value").limit == "6250"


def test_standard_limits_are_accepted_for_any_capital() -> None:
    for capital in (1, 1000, 10**9):
        it = desk(cash=capital)
        assert len(it.account.profile.limits) == len(standard_limits(money(capital)))


def test_where_there_are_no_lots_nothing_is_rounded() -> None:
    assert rounded_to_lot(D("1.5"), D(0)) == D("1.5")
    assert rounded_to_lot(D("1.5"), D("0.4")) == D("1.2")


def test_no_size_is_larger_than_anybody_trades_however_small_the_price() -> None:
    assert sized(rich(price=D("1E-20"))).target == D(10) ** 18


def test_a_target_that_was_clipped_says_so() -> None:
    assert sized(rich()).note == "fraction=0.1 share=1.0"
    assert sized(rich(), bounds(position_quantity_max=150)).note == "fraction=0.1 share=1.0 clipped=150"


def test_the_standard_limits_are_what_the_page_of_a_new_user_says() -> None:
    assert {one.name: one.value for one in standard_limits(D(1000))} == {
        "order_value_max": D(250), "order_quantity_max": D(1_000_000), "position_value_max": D(500),
        "concentration_max": D("0.5"), "gross_exposure_max": D(2000), "leverage_max": D(1),
        "daily_loss_max": D("0.05"), "drawdown_max": D("0.25"), "mark_age_max": D(432_000),
        "price_collar": D("0.1"), "orders_per_minute_max": D(60), "messages_per_minute_max": D(120),
        "consecutive_rejects_max": D(5), "duplicate_window": D(1), "session_wait_max": D(345_600),
        "sizing_fraction": D("0.1"), "sizing_risk": D("0.01"), "sizing_volatility": D("0.1"),
        "sizing_kelly": D("0.25"), "sizing_weight_max": D("0.25"), "rebalance_min": D("0.1"),
        "slippage_allowance": D("0.02"),
    }  # fmt: skip
