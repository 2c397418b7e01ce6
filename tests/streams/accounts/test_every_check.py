"""Every check of the table is shown on both sides of its bound, and without the data that it needs."""

from collections.abc import Callable

import pytest

from schemas.risk import CheckOutcome
from streams.accounts.risk.checks import CHECKS, evaluate
from streams.accounts.risk.view import View
from streams.accounts.room import precisely
from tests.builders import NOON
from tests.streams.accounts import test_checks as shown
from tests.streams.accounts.desk import desk
from tests.streams.accounts.test_checks import buy, check


@pytest.mark.parametrize("check_id", ["account_known", "instrument_known"])
def test_what_is_there_is_known(check_id: str) -> None:
    assert check(desk(), buy(), check_id).outcome is CheckOutcome.PASS
    assert check(shown.unopened(), buy(of="NOWHERE"), check_id).outcome is CheckOutcome.HARD


BOTH_SIDES: dict[str, Callable[..., None]] = {
    "account_known": test_what_is_there_is_known,
    "instrument_known": test_what_is_there_is_known,
    "trading_state": shown.test_trading_state_halted_denies_all_and_reducing_all_that_does_not_shrink,
    "instrument_permitted": shown.test_instrument_permitted_holds_once_any_instrument_is_named,
    "restricted": shown.test_restricted_denies_new_risk_and_lets_a_position_shrink,
    "session": shown.test_session_is_open_at_both_ends_and_waits_as_long_as_it_may,
    "mark_fresh": shown.test_mark_fresh_at_the_age_limit_and_stale_after_it,
    "conversion_fresh": shown.test_conversion_fresh_at_the_age_limit_and_stale_after_it,
    "no_discrepancy": shown.test_no_discrepancy_freezes_the_instrument_until_it_is_resolved,
    "outcome_known": shown.test_outcome_known_freezes_the_instrument_while_an_order_may_or_may_not_exist,
    "order_volume_share": shown.test_order_volume_share_counts_against_the_mean_day,
    "order_rate": shown.test_order_rate_and_message_rate_deny_the_one_too_many_within_a_minute,
    "message_rate": shown.test_order_rate_and_message_rate_deny_the_one_too_many_within_a_minute,
    "repeated_execution": shown.test_repeated_execution_latches_and_a_named_person_rearms_it,
    "consecutive_rejects": shown.test_consecutive_rejects_latch_and_one_acknowledgement_begins_anew,
    "duplicate": shown.test_duplicate_denies_the_same_id_always_and_the_same_order_within_the_window,
    "self_match": shown.test_self_match_denies_prices_that_would_meet,
    "strategy_running": shown.test_strategy_running_denies_the_paused_the_stopped_and_the_stranger,
    "model_approved": shown.test_model_approved_where_approval_is_required,
    "protections": shown.test_protections_lock_entries_and_never_exits,
    "equity_positive": shown.test_equity_positive_denies_new_risk_at_zero,
    "margin_maintenance": shown.test_margin_maintenance_denies_new_risk_below_a_quarter,
    "daily_loss": shown.test_daily_loss_drawdown_and_loss_velocity_deny_beyond_their_limit,
    "drawdown": shown.test_daily_loss_drawdown_and_loss_velocity_deny_beyond_their_limit,
    "loss_velocity": shown.test_daily_loss_drawdown_and_loss_velocity_deny_beyond_their_limit,
    "value_at_risk": shown.test_value_at_risk_is_the_normal_quantile_of_the_portfolio,
    "historical_value_at_risk": shown.test_historical_value_at_risk_and_expected_shortfall_look_at_the_worst_days,
    "expected_shortfall": shown.test_historical_value_at_risk_and_expected_shortfall_look_at_the_worst_days,
    "correlated_exposure": shown.test_correlated_exposure_counts_a_hedge_and_not_twins_twice,
    "stress_loss": shown.test_stress_loss_takes_the_worst_declared_scenario,
}
"""Who shows both sides of the bound of a check that is not in the table of bounds."""

ABSENT_IS_NOT_MISSING = {
    "trading_state": "a switch that nobody wrote does not hold",
    "restricted": "an instrument that nobody listed is not restricted",
    "position_quantity": "a position that is not there is none, and units need no price",
    "no_discrepancy": "a case that nobody found is not open",
    "outcome_known": "an order that is not there waits for nothing",
    "message_rate": "without its limit, which is not required, messages are not bounded",
    "repeated_execution": "a latch that is not there did not trip",
    "consecutive_rejects": "a latch that is not there did not trip",
    "duplicate": "an order that is not there was not sent",
    "self_match": "an order that is not there meets none",
    "signal_fresh": "a wish carries its own time; a clock that says none is denied by `clock_alive`",
    "protections": "a lock that is not there does not hold",
}
"""Checks that look for an entry in the account's own state, in which nothing but the whole can be missing."""


def test_every_check_is_shown_on_both_sides_of_its_bound() -> None:
    tabled = {case[0] for case in shown.BOUNDS if case[3] is not None}
    assert tabled.isdisjoint(BOTH_SIDES)
    assert sorted(one.check_id for one in CHECKS) == sorted(tabled | set(BOTH_SIDES))


def test_every_check_is_shown_without_its_data_or_has_none_that_can_be_missing() -> None:
    tabled = {case[0] for case in shown.MISSING}
    assert tabled.isdisjoint(ABSENT_IS_NOT_MISSING)
    assert sorted(one.check_id for one in CHECKS) == sorted(tabled | set(ABSENT_IS_NOT_MISSING))


@pytest.mark.parametrize("check_id", sorted(ABSENT_IS_NOT_MISSING))
def test_without_the_account_every_order_is_denied_whatever_a_check_does_not_find(check_id: str) -> None:
    it = shown.unopened()
    with precisely():
        results = evaluate(View(it.account, it.shared, buy(), NOON))
    assert check_id in {one.check_id for one in results}
    assert (results[0].check_id, results[0].code) == ("account_known", "ACCOUNT_UNKNOWN")
