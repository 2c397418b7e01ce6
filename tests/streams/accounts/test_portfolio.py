"""The portfolio's measures against numbers worked by hand and numpy's covariance; preview, snapshot, printed page."""

from decimal import Decimal as D

import numpy as np
import pytest
from msgspec.structs import replace

from schemas.control import Mode
from schemas.order import OrderType, Side
from schemas.reference import InstrumentClass
from schemas.risk import CheckOutcome, RiskSnapshot
from streams.accounts.risk.checks import CHECKS
from streams.accounts.risk.document import page
from streams.accounts.risk.exposures import account_book, by_dimension
from streams.accounts.risk.portfolio import (
    DAYS_MAX,
    NORMAL_99,
    RETURNS_MIN,
    Book,
    History,
    book_of,
    measure,
    past_of,
    stressed,
    with_close,
)
from streams.accounts.risk.preview import preview
from streams.accounts.risk.scenarios import SCENARIOS, shock_of
from streams.accounts.risk.view import Proposal
from streams.accounts.room import precisely
from tests.builders import DAY, NOON, SECOND, instrument, mark, tick, wish
from tests.paths import ROOT
from tests.streams.accounts.desk import Desk, desk, holding, setting, working

RICH = 10_000_000


def history(*moves: float, first_day: int = 1) -> History:
    closes = [100.0]
    for move in moves:
        closes.append(closes[-1] * (1 + move))
    return History(days=tuple(range(first_day, first_day + len(closes))), closes=tuple(closes))


def book(**exposures: float) -> Book:
    names = sorted(exposures)
    return book_of(names, [exposures[name] for name in names])


def test_parametric_value_at_risk_equals_the_quantile_of_the_covariance_matrix() -> None:
    chance = np.random.default_rng(7)
    returns = chance.normal(0, 0.01, (250, 3))
    histories = {name: history(*returns[:, i].tolist()) for i, name in enumerate("ABC")}
    weights = np.array([1000.0, -500.0, 250.0])
    covariance = returns.T @ returns / 250
    found = measure(histories, book(A=1000.0, B=-500.0, C=250.0))
    assert found is not None
    assert found.parametric == pytest.approx(NORMAL_99 * np.sqrt(weights @ covariance @ weights), rel=1e-9)
    deviations = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(deviations, deviations)
    assert found.correlated == pytest.approx(np.sqrt(weights @ correlation @ weights), rel=1e-9)


def test_historical_measures_take_the_worst_days() -> None:
    losses = [number / 1000 for number in range(1, 251)]
    found = measure({"A": history(*(-loss for loss in losses))}, book(A=1000.0))
    assert found is not None
    assert found.historical == pytest.approx(248.0)
    assert found.shortfall_99 == pytest.approx((250 + 249 + 248) / 3)
    assert found.shortfall_97_5 == pytest.approx(sum(range(244, 251)) / 7)


def test_a_portfolio_that_only_gained_has_no_historical_loss() -> None:
    found = measure({"A": history(*[0.01] * 50)}, book(A=1000.0))
    assert found is not None
    assert (found.historical, found.shortfall_99) == (0.0, 0.0)


def test_nothing_held_is_no_risk_and_needs_no_past() -> None:
    assert measure({}, book()) == (0.0, 0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(("returns", "known"), [(RETURNS_MIN, True), (RETURNS_MIN - 1, False)])
def test_a_past_too_short_tells_nothing(returns: int, known: bool) -> None:
    assert (measure({"A": history(*[0.01] * returns)}, book(A=1.0)) is not None) is known


def test_an_instrument_without_a_past_makes_the_whole_unknown() -> None:
    assert measure({"A": history(*[0.01] * 50)}, book(A=1.0, B=1.0)) is None


def test_pasts_of_different_days_are_compared_on_the_days_that_both_have() -> None:
    long, late = history(*[0.01, -0.02] * 30), history(*[0.03, 0.01] * 20, first_day=11)
    past = past_of({"A": long, "B": late}, ("A", "B"))
    assert past is not None
    assert past.returns.shape == (40, 2)
    assert past.returns[0].tolist() == pytest.approx([0.01, 0.03])


def test_a_past_is_the_same_when_only_another_instruments_past_is_new() -> None:
    kept, histories = history(*[0.01, -0.02] * 20), {"A": history(*[0.01] * 40)}
    first = past_of({**histories, "B": kept}, ("A", "B"))
    again = past_of({"A": history(*[0.02] * 40), "B": kept}, ("A", "B"))
    assert first is not None
    assert again is not None
    assert first.returns[:, 1].tolist() == again.returns[:, 1].tolist()
    assert again.returns[0].tolist() == pytest.approx([0.02, 0.01])


def test_pasts_with_too_few_common_days_tell_nothing() -> None:
    assert past_of({"A": history(*[0.01] * 30), "B": history(*[0.01] * 30, first_day=15)}, ("A", "B")) is None


def test_a_price_through_zero_has_a_return_and_one_from_zero_has_none() -> None:
    through = History(days=(1, 2, 3, 4), closes=(18.31, -36.98, 0.0, 5.0))
    padded = replace(through, days=(*through.days, *range(5, 40)), closes=(*through.closes, *[5.0] * 35))
    past = past_of({"W": padded}, ("W",))
    assert past is not None
    assert past.returns[:3, 0].tolist() == pytest.approx([-3.0196613, 1.0, 0.0])


def test_a_history_keeps_so_many_days_and_takes_no_day_twice() -> None:
    kept = History()
    for day in range(DAYS_MAX + 9):
        kept = with_close(kept, day, float(day))
    assert (len(kept.days), kept.days[0], kept.closes[-1]) == (DAYS_MAX, 9, float(DAYS_MAX + 8))
    assert with_close(kept, kept.days[-1], 1.0) is kept


def test_every_scenario_is_told_and_wti_falls_through_zero() -> None:
    names = {"WTI": instrument(), "BRENT": instrument("BRENT")}
    pasts = {name: history(*[0.01, -0.01] * 50) for name in names}
    held = book(WTI=1000.0, BRENT=-1000.0)
    results = stressed(pasts, held, names, measure(pasts, held))
    assert list(results) == [scenario.name for scenario in SCENARIOS]
    assert results["wti_april_2020"] == pytest.approx(-3020 + 121)
    assert results["prices_down_10"] == pytest.approx(0.0)
    assert results["correlation_one"] == pytest.approx(-NORMAL_99 * 0.01 * 2000)
    assert results["volatility_doubled"] == pytest.approx(0.0)


def test_a_scenario_of_deviations_needs_a_past_and_one_of_prices_does_not() -> None:
    results = stressed({}, book(WTI=1000.0), {"WTI": instrument()}, None)
    assert results["prices_down_10"] == pytest.approx(-100)
    assert results["volatility_doubled"] is None
    assert results["correlation_one"] is None


def test_nothing_held_loses_nothing_in_any_scenario() -> None:
    assert stressed({}, book(), {}, None) == {scenario.name: 0.0 for scenario in SCENARIOS}


def test_an_instrument_that_no_rule_names_is_not_shocked() -> None:
    empty = SCENARIOS[0]._replace(rules=())
    assert shock_of(empty, instrument()) == 0.0


def test_the_book_counts_working_orders_at_their_worst_and_leaves_out_what_is_flat() -> None:
    it = holding(desk(cash=RICH), 100)
    working(it, Side.BUY, 50, 49)
    it.tell(instrument("BRENT"), mark(60, "BRENT"))
    holding(it, -10, 60, of="BRENT")
    holding(it, 10, 60, of="BRENT", strategy_id="other")
    book_now = account_book(it.account, it.shared)
    assert book_now is not None
    assert (book_now.names, book_now.weights.tolist()) == (("WTI",), [7500.0])


def test_exposures_are_told_by_every_dimension() -> None:
    it = holding(holding(desk(cash=RICH), 100), -40, strategy_id="other")
    told = by_dimension(it.account, it.shared)
    assert told == [
        ("INSTRUMENT", "WTI", 3000.0, 3000.0), ("SECTOR", "energy", 3000.0, 3000.0),
        ("CURRENCY", "USD", 3000.0, 3000.0),
        ("STRATEGY", "other", -2000.0, 2000.0), ("STRATEGY", "trend", 5000.0, 5000.0),
    ]  # fmt: skip


def test_exposures_abroad_are_told_in_the_base_currency() -> None:
    it = desk(cash=RICH)
    it.tell(
        instrument("EURUSD", instrument_class=InstrumentClass.FX, base_currency="EUR", price_decimals=5),
        mark("1.25", "EURUSD"), instrument(version=2, settlement_currency="EUR", quote_currency="EUR"),
    )  # fmt: skip
    holding(it, 100)
    book_now = account_book(it.account, it.shared)
    assert book_now is not None
    assert book_now.weights.tolist() == [6250.0]
    assert by_dimension(it.account, it.shared)[0] == ("INSTRUMENT", "WTI", 6250.0, 6250.0)


def days(it: Desk, *prices: str) -> Desk:
    for number, price in enumerate(prices, 1):
        it.tell(tick(NOON + number * DAY), mark(price, at_us=NOON + number * DAY))
    return it


def test_the_last_mark_of_a_day_becomes_its_close_once_the_next_day_begins() -> None:
    it = holding(desk(cash=RICH), 10)
    it.tell(mark(51, at_us=NOON + SECOND))
    days(it, "52", "53")
    first = NOON // DAY
    assert it.account.histories["WTI"] == History(days=(first, first + 1), closes=(51.0, 52.0))


def test_a_watched_instrument_has_a_past_before_it_is_held() -> None:
    it = days(desk(), "51", "52", "53")
    assert len(it.account.histories["WTI"].closes) == 3


def test_a_snapshot_after_a_fill_tells_measures_exposures_scenarios_and_the_use_of_limits() -> None:
    it = days(desk(cash=100_000), *(str(50 + number % 2) for number in range(30)))
    it.tell(wish(at_us=NOON + 30 * DAY))
    it.fill(it.order, it.order.quantity, 51, at_us=NOON + 30 * DAY)
    told = it.now(RiskSnapshot)[0]
    assert told.value_at_risk is not None
    assert told.value_at_risk > 0
    assert [one.name for one in told.scenarios] == [scenario.name for scenario in SCENARIOS]
    assert {one.dimension for one in told.exposures} == {"INSTRUMENT", "SECTOR", "CURRENCY", "STRATEGY"}
    uses = {one.name: one for one in told.uses}
    assert uses["gross_exposure_max"].value == told.gross_exposure
    assert uses["orders_per_minute_max"].value == 1
    assert uses["position_value_max"].value == told.gross_exposure


def test_a_snapshot_is_told_once_a_second_while_marks_move_and_at_ticks_when_none_do() -> None:
    it = holding(desk(cash=RICH, mode=Mode.PAPER), 10)
    told = 0
    for tenth in range(1, 31):
        it.last = []
        it.tell(mark(50 + tenth, at_us=NOON + 5 * SECOND + tenth * SECOND // 10))
        told += len(it.now(RiskSnapshot))
    assert told == 3
    it.tell(tick(NOON + 9 * SECOND))
    it.tell(tick(NOON + 10 * SECOND))
    assert len(it.now(RiskSnapshot)) == 1


def proposal(quantity: int, **fields: object) -> Proposal:
    given = {"client_order_id": "ql-x", "cause": "x", "instrument_id": "WTI", "side": Side.BUY, "quantity": D(quantity),
             "made_us": NOON, "valid_until_us": NOON + DAY, "strategy_id": "trend", **fields}  # fmt: skip
    return Proposal(**given)  # type: ignore[arg-type]  # typed by the tuple


def test_a_preview_tells_each_check_now_and_after_and_changes_nothing() -> None:
    it = setting(holding(desk(cash=100_000), 100), position_value_max=10_000)
    before = it.account
    with precisely():
        fine = preview(it.account, it.shared, proposal(100), NOON)
        large = preview(it.account, it.shared, proposal(101), NOON)
    assert (fine.approved, fine.code, fine.position) == (True, "", D(200))
    assert [line.check_id for line in fine.lines] == [check.check_id for check in CHECKS]
    line = next(line for line in large.lines if line.check_id == "position_value")
    assert (line.current, line.after, line.limit) == ("5000", "10050", "10000")
    assert (large.approved, large.code, line.outcome) == (False, "POSITION_VALUE", CheckOutcome.HARD)
    assert it.account is before


def test_a_preview_of_what_nobody_knows_is_a_denial_with_a_code() -> None:
    it = desk()
    with precisely():
        unknown = preview(it.account, it.shared, proposal(1, instrument_id="GOLD"), NOON)
    assert (unknown.approved, unknown.code, unknown.cash, unknown.fee) == (False, "INSTRUMENT_UNKNOWN", None, None)


def test_a_preview_says_what_the_order_costs() -> None:
    it = setting(desk(cash=100_000), slippage_allowance=0)
    with precisely():
        told = preview(it.account, it.shared, proposal(10, order_type=OrderType.LIMIT, limit_price=D(49)), NOON)
    assert (told.value, told.fee, told.cash) == (D(490), D(0), D(245))


def test_the_page_on_risk_is_printed_from_the_tables() -> None:
    assert (ROOT / "docs" / "risk.md").read_text(encoding="utf-8") == page(), (
        "run `python -m streams.accounts.risk.document > docs/risk.md`"
    )


def test_every_check_limit_and_scenario_is_on_the_page() -> None:
    text = page()
    for name in (*(check.check_id for check in CHECKS), *(scenario.name for scenario in SCENARIOS)):
        assert f"`{name}`" in text


def test_the_last_mark_of_a_day_may_be_that_of_midnight_and_is_its_close() -> None:
    it = holding(desk(), 10)
    midnight = NOON + DAY // 2
    it.tell(tick(midnight), mark(51, at_us=midnight))
    assert it.shared.marks["WTI"].day == it.account.totals.day
    it.tell(tick(midnight + 1), mark(52, at_us=midnight + 1))
    known = it.shared.marks["WTI"]
    assert (known.close, known.close_day, known.day_first) == (D(51), it.account.totals.day - 1, D(52))
    history = it.account.histories["WTI"]
    assert (history.days[-1], history.closes[-1]) == (known.close_day, 51.0)
