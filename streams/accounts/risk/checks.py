# ruff: noqa: E501 - a table reads in rows
"""THE TABLE OF CHECKS: every control before every order. `docs/risk.md` is printed from it.

All are evaluated, none short-circuits. `shrinking` and `emergency` say what a denial becomes for an order that can only
shrink a position, and for an exit that risk itself sends: HARD denies all the same, SOFT warns.
"""

from collections.abc import Callable
from typing import NamedTuple

from schemas.risk import CheckOutcome, CheckResult
from streams.accounts.risk import check_exposure as exposure
from streams.accounts.risk import check_flow as flow
from streams.accounts.risk import check_order as order
from streams.accounts.risk import check_portfolio as portfolio
from streams.accounts.risk.reading import HARD, PASS, PASSED, SOFT, Reading
from streams.accounts.risk.view import View


class Check(NamedTuple):
    """One control.

    serves: the rule or practice behind it; needs: the data it looks at; without them it denies
    codes: reason codes it can give, the first of them for its main bound
    """

    check_id: str
    version: int
    rule: Callable[[View], Reading]
    serves: str
    needs: str
    limits: tuple[str, ...] = ()
    shrinking: CheckOutcome = HARD
    emergency: CheckOutcome = HARD


CHECKS: tuple[Check, ...] = (
    Check("account_known", 1, flow.account_known, "15c3-5(c)(1)(i)", "account, its limits"),
    Check("trading_state", 1, flow.trading_state, "RTS 6 art. 12", "switches, states of the account's own"),
    Check("clock_alive", 1, flow.clock_alive, "RTS 25", "clock ticks", ("clock_silence_max",), HARD, SOFT),
    Check("instrument_known", 1, order.instrument_known, "15c3-5(c)(2)", "instrument"),
    Check("instrument_permitted", 1, order.instrument_permitted, "RTS 6 art. 15(5)", "instrument, permissions", ("permitted",), SOFT, SOFT),
    Check("restricted", 1, order.restricted, "15c3-5(c)(2)(ii)", "restricted list", ("restricted",), SOFT, SOFT),
    Check("session", 1, order.session, "15c3-5(c)(2)(i)", "calendar sessions", ("session_wait_max",), HARD, SOFT),
    Check("mark_fresh", 1, order.mark_fresh, "15c3-5, unknown means no", "mark", ("mark_age_max",), HARD, SOFT),
    Check("conversion_fresh", 1, order.conversion_fresh, "unknown means no", "mark of a currency pair", ("mark_age_max",), SOFT, SOFT),
    Check("no_discrepancy", 1, flow.no_discrepancy, "RTS 6 art. 17", "open discrepancies", (), HARD, SOFT),
    Check("outcome_known", 1, flow.outcome_known, "delivery contract", "orders without an answer", (), HARD, SOFT),
    Check("price_valid", 1, order.price_valid, "Reg NMS 612, venue rules", "instrument, prices"),
    Check("quantity_valid", 1, order.quantity_valid, "venue rules", "instrument, quantity"),
    Check("notional_bounds", 1, order.notional_bounds, "venue rules", "instrument, price"),
    Check("order_lives", 2, order.order_lives, "venue rules", "expiry, clock, post-only"),
    Check("reduce_only", 1, order.reduce_only, "practice of venues", "position, working orders"),
    Check("price_collar", 1, order.price_collar, "RTS 6 art. 15(1)(a)", "mark, price", ("price_collar",), HARD, SOFT),
    Check("price_collar_window", 1, order.price_collar_window, "RTS 6 art. 15(1)(a), LULD", "marks of ten minutes", ("price_collar_window",), HARD, SOFT),
    Check("order_value", 1, order.order_value, "RTS 6 art. 15(1)(b)", "worst price, conversion", ("order_value_max", "slippage_allowance"), SOFT, SOFT),
    Check("order_quantity", 1, order.order_quantity, "RTS 6 art. 15(1)(c)", "quantity", ("order_quantity_max",), SOFT, SOFT),
    Check("order_volume_share", 1, order.order_volume_share, "RTS 6 art. 15(1)(c)", "mean daily volume", ("order_volume_share_max",), SOFT, SOFT),
    Check("order_rate", 1, flow.order_rate, "RTS 6 art. 15(1)(d)", "orders of a minute", ("orders_per_minute_max",), HARD, SOFT),
    Check("message_rate", 1, flow.message_rate, "RTS 6 art. 15(1)(d)", "messages of a minute", ("messages_per_minute_max",), HARD, SOFT),
    Check("repeated_execution", 1, flow.repeated_execution, "RTS 6 art. 15(3)", "fills of a minute", ("executions_per_minute_max",), HARD, SOFT),
    Check("consecutive_rejects", 1, flow.consecutive_rejects, "FIA practice", "rejects in a row", ("consecutive_rejects_max",), HARD, SOFT),
    Check("duplicate", 1, flow.duplicate, "15c3-5(c)(1)(ii)", "ids, fingerprints", ("duplicate_window",), HARD, HARD),
    Check("self_match", 1, order.self_match, "FINRA 5210, MAR", "own working orders", (), HARD, SOFT),
    Check("strategy_running", 1, flow.strategy_running, "RTS 6 art. 5-8", "deployed strategies", (), SOFT, SOFT),
    Check("signal_fresh", 1, flow.signal_fresh, "15c3-5", "time of the wish", ("signal_age_max",), HARD, SOFT),
    Check("model_approved", 1, flow.model_approved, "RTS 6 art. 5-8", "approved models", ("model_approved", "model_approval_required"), SOFT, SOFT),
    Check("protections", 1, flow.protections, "practice", "locks", ("cooldown", "stoploss_guard_trades", "low_profit_trades", "drawdown_guard"), SOFT, SOFT),
    Check("equity_positive", 1, exposure.equity_positive, "15c3-5(c)(1)(i)", "cash, positions, marks", (), SOFT, SOFT),
    Check("cash", 1, exposure.cash, "15c3-5(c)(1)(i), Reg T", "cash, reservations, fees", (), SOFT, SOFT),
    Check("margin_initial", 1, exposure.margin_initial, "Reg T, FINRA 4210", "equity, worst book", ("isolated_leverage",), SOFT, SOFT),
    Check("margin_maintenance", 1, exposure.margin_maintenance, "FINRA 4210", "equity, book", ("isolated_leverage",), SOFT, SOFT),
    Check("position_value", 1, exposure.position_value, "RTS 6 art. 15(4)", "position, working orders, mark", ("position_value_max",)),
    Check("position_quantity", 1, exposure.position_quantity, "RTS 6 art. 15(4)", "position, working orders", ("position_quantity_max",)),
    Check("concentration", 1, exposure.concentration, "RTS 6 art. 15(4)", "position, equity", ("concentration_max",)),
    Check("sector_concentration", 1, exposure.sector_concentration, "RTS 6 art. 15(4)", "positions by sector", ("sector_concentration_max",)),
    Check("currency_concentration", 1, exposure.currency_concentration, "RTS 6 art. 15(4)", "positions by currency", ("currency_concentration_max",)),
    Check("strategy_exposure", 1, exposure.strategy_exposure, "RTS 6 art. 15(4)", "positions of the strategy", ("strategy_exposure_max",)),
    Check("strategy_concentration", 1, exposure.strategy_concentration, "RTS 6 art. 15(4)", "positions of the strategy", ("strategy_concentration_max",)),
    Check("gross_exposure", 1, exposure.gross_exposure, "15c3-5(c)(1)(i)", "all positions and working orders", ("gross_exposure_max",)),
    Check("net_exposure", 1, exposure.net_exposure, "15c3-5(c)(1)(i)", "all positions", ("net_exposure_max",)),
    Check("leverage", 1, exposure.leverage, "15c3-5(c)(1)(i)", "all positions, equity", ("leverage_max",)),
    Check("daily_loss", 1, flow.daily_loss, "RTS 6 art. 15(5)", "equity at the day's begin", ("daily_loss_max",), SOFT, SOFT),
    Check("drawdown", 1, flow.drawdown, "RTS 6 art. 15(5)", "peak equity", ("drawdown_max",), SOFT, SOFT),
    Check("loss_velocity", 1, flow.loss_velocity, "RTS 6 art. 16", "equity of ten minutes", ("loss_velocity_max",), SOFT, SOFT),
    Check("value_at_risk", 1, portfolio.value_at_risk, "RTS 6 art. 15(4), Basel", "daily closes", ("value_at_risk_max",)),
    Check("historical_value_at_risk", 1, portfolio.historical_value_at_risk, "Basel", "daily closes", ("historical_value_at_risk_max",)),
    Check("expected_shortfall", 1, portfolio.expected_shortfall, "Basel FRTB", "daily closes", ("expected_shortfall_max",)),
    Check("correlated_exposure", 1, portfolio.correlated_exposure, "practice", "daily closes", ("correlated_exposure_max",)),
    Check("stress_loss", 1, portfolio.stress_loss, "RTS 6 art. 10, practice", "declared scenarios, daily closes", ("stress_loss_max",)),
    Check("short_permitted", 1, order.short_permitted, "Reg SHO 203", "instrument, regime"),
    Check("short_locate", 1, order.short_locate, "Reg SHO 203(b)", "located units", ("short_locate", "short_locate_required")),
    Check("short_price_test", 1, order.short_price_test, "Reg SHO 201", "mark, price", ("short_price_test",)),
)  # fmt: skip
"""Gravest first: of two denials the earlier one gives the verdict its code."""


def evaluate(view: View) -> list[CheckResult]:
    """Every check on one proposed order: denials first, then warnings, then passes, each in the order of the table."""
    hard: list[CheckResult] = []
    soft: list[CheckResult] = []
    fine: list[CheckResult] = []
    shrinking, emergency = view.reducing, view.emergency
    for check, silent in _SILENT:
        reading = check.rule(view)
        if reading is PASSED:
            fine.append(silent)
            continue
        outcome = reading.outcome
        if outcome is HARD and ((emergency and check.emergency is SOFT) or (shrinking and check.shrinking is SOFT)):
            outcome = SOFT
        (fine if outcome is PASS else hard if outcome is HARD else soft).append(
            CheckResult(
                check.check_id, check.version, outcome, reading.code, reading.value, reading.limit, reading.inputs
            )
        )
    return hard + soft + fine


_SILENT = tuple((check, CheckResult(check.check_id, check.version, PASS)) for check in CHECKS)
"""Each check, and its result where it has nothing to say: always the same, and most results are."""
