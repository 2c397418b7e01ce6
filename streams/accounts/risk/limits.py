# ruff: noqa: E501 - a table reads in rows
"""Limits: every name, its unit, its meaning and the bounds within which people may set it ("limit on limits").

An account without limits trades nothing. A required limit that is missing denies; one that is not required bounds only
where it is set. The narrowest scope that sets a limit decides: strategy, then instrument, then provider, then account.
"""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from schemas.control import Scope
from schemas.risk import Limit, LimitChange

D = Decimal


class Unit(StrEnum):
    MONEY = "base currency"
    QUANTITY = "units"
    FRACTION = "fraction"
    EQUITY = "times equity"
    SECONDS = "seconds"
    COUNT = "count"
    SWITCH = "0 or 1"
    MULTIPLE = "multiple"


A, S, I, P, V = Scope.ACCOUNT, Scope.STRATEGY, Scope.INSTRUMENT, Scope.PROVIDER, Scope.VENUE  # noqa: E741 - one letter each keeps the table a table
HUGE = D(10) ** 15


class Spec(NamedTuple):
    """One limit. lowest, highest: what `LimitChange` may set; required: without it nothing is approved."""

    name: str
    unit: Unit
    meaning: str
    scopes: tuple[Scope, ...]
    lowest: Decimal = D(0)
    highest: Decimal = HUGE
    required: bool = False


SPECS: tuple[Spec, ...] = (
    Spec("order_value_max", Unit.MONEY, "value of one order at its worst price", (A, S, I, P), required=True),
    Spec("order_quantity_max", Unit.QUANTITY, "units of one order", (A, S, I, P), required=True),
    Spec("order_volume_share_max", Unit.FRACTION, "one order's share of the mean daily volume", (A, S, I), highest=D(1)),
    Spec("position_value_max", Unit.MONEY, "worst absolute value of one position", (A, I), required=True),
    Spec("position_quantity_max", Unit.QUANTITY, "worst absolute units of one position", (A, I)),
    Spec("concentration_max", Unit.EQUITY, "worst value of one position", (A, I), highest=D(100)),
    Spec("sector_concentration_max", Unit.EQUITY, "worst value of all positions of one sector", (A,), highest=D(100)),
    Spec("currency_concentration_max", Unit.EQUITY, "worst value settled in one currency", (A,), highest=D(100)),
    Spec("strategy_concentration_max", Unit.EQUITY, "worst value of one strategy's positions", (A, S), highest=D(100)),
    Spec("strategy_exposure_max", Unit.MONEY, "worst value of one strategy's positions", (A, S)),
    Spec("gross_exposure_max", Unit.MONEY, "worst absolute value of all positions", (A,), required=True),
    Spec("net_exposure_max", Unit.MONEY, "absolute value of long less short", (A,)),
    Spec("leverage_max", Unit.EQUITY, "worst absolute value of all positions", (A,), highest=D(100), required=True),
    Spec("correlated_exposure_max", Unit.EQUITY, "exposure with correlations counted", (A,), highest=D(100)),
    Spec("daily_loss_max", Unit.FRACTION, "loss since the day began, of its first equity", (A,), highest=D(1), required=True),
    Spec("drawdown_max", Unit.FRACTION, "fall from peak equity", (A,), highest=D(1), required=True),
    Spec("loss_velocity_max", Unit.FRACTION, "loss of equity within five to ten minutes", (A,), highest=D(1)),
    Spec("mark_age_max", Unit.SECONDS, "age of the mark, and of marks that convert", (A, I), highest=D(2_592_000), required=True),
    Spec("price_collar", Unit.FRACTION, "distance of a price from the mark", (A, I), highest=D(10), required=True),
    Spec("price_collar_window", Unit.FRACTION, "distance of a price from the range of the last minutes", (A, I), highest=D(10)),
    Spec("orders_per_minute_max", Unit.COUNT, "new orders in a minute", (A, S, V), highest=D(60_000), required=True),
    Spec("messages_per_minute_max", Unit.COUNT, "new, cancel and replace requests in a minute", (A, S, V), highest=D(60_000)),
    Spec("executions_per_minute_max", Unit.COUNT, "fills of a strategy in one instrument in a minute; latches", (A, S), highest=D(60_000)),
    Spec("consecutive_rejects_max", Unit.COUNT, "rejects of a strategy's orders in a row; latches", (A, S), lowest=D(1), highest=D(1000)),
    Spec("duplicate_window", Unit.SECONDS, "time in which the same order again is a duplicate", (A, S), highest=D(86_400)),
    Spec("signal_age_max", Unit.SECONDS, "age of a wish when it is gated", (A, S, P), highest=D(2_592_000)),
    Spec("clock_silence_max", Unit.SECONDS, "time since the newest tick of the clock", (A,), highest=D(2_592_000)),
    Spec("send_within", Unit.SECONDS, "time in which an approved order must leave", (A,), lowest=D(1), highest=D(3600)),
    Spec("session_wait_max", Unit.SECONDS, "how long before the next session an order may be sent", (A, I), highest=D(1_209_600)),
    Spec("cash_drift_max", Unit.MONEY, "fees, interest and other cash without a fill taken over from the broker in a day", (A,)),
    Spec("value_at_risk_max", Unit.FRACTION, "one day, 99 %, normal, of equity", (A,), highest=D(1)),
    Spec("historical_value_at_risk_max", Unit.FRACTION, "one day, 99 %, of the last 250 days, of equity", (A,), highest=D(1)),
    Spec("expected_shortfall_max", Unit.FRACTION, "mean loss beyond the historical 97.5 %, of equity", (A,), highest=D(1)),
    Spec("stress_loss_max", Unit.FRACTION, "loss in the worst declared scenario, of equity", (A,), highest=D(10)),
    Spec("restricted", Unit.SWITCH, "1 forbids new risk in the instrument", (I,), highest=D(1)),
    Spec("permitted", Unit.SWITCH, "once any is set, only instruments with 1 may be traded", (I,), highest=D(1)),
    Spec("model_approved", Unit.SWITCH, "1 lets signals of the provider be traded", (P,), highest=D(1)),
    Spec("model_approval_required", Unit.SWITCH, "1 denies signals of providers that are not approved", (A,), highest=D(1)),
    Spec("short_locate", Unit.QUANTITY, "units located for selling short", (I,)),
    Spec("short_locate_required", Unit.SWITCH, "1 denies short sales beyond the located units", (A, I), highest=D(1)),
    Spec("short_price_test", Unit.SWITCH, "1 allows short sales only above the mark", (A, I), highest=D(1)),
    Spec("dynamic_limits", Unit.SWITCH, "1 scales limits by the declared curves", (A,), highest=D(1)),
    Spec("isolated_leverage", Unit.MULTIPLE, "leverage of a position in the regime CRYPTO_ISOLATED", (A, I), lowest=D(1), highest=D(20)),
    Spec("sizing_fraction", Unit.EQUITY, "full size by FIXED_FRACTION", (A, S, I), highest=D(20)),
    Spec("sizing_risk", Unit.FRACTION, "equity at risk between entry and stop by FIXED_RISK", (A, S, I), highest=D("0.1")),
    Spec("sizing_volatility", Unit.FRACTION, "annualised volatility aimed at by VOLATILITY_TARGET", (A, S, I), highest=D(2)),
    Spec("sizing_kelly", Unit.FRACTION, "share of the Kelly size taken by KELLY", (A, S, I), highest=D(1)),
    Spec("sizing_weight_max", Unit.EQUITY, "largest size of one position by any method", (A, S, I), highest=D(20)),
    Spec("rebalance_min", Unit.FRACTION, "smallest change of a standing position worth an order", (A, S, I), highest=D(1)),
    Spec("slippage_allowance", Unit.FRACTION, "how much worse than the mark a market order is reserved", (A, I), highest=D(1)),
    Spec("stop_loss", Unit.FRACTION, "fall from the average price that closes the position", (A, S, I), highest=D(1)),
    Spec("take_profit", Unit.FRACTION, "rise from the average price that closes the position", (A, S, I), highest=D(100)),
    Spec("trailing_stop", Unit.FRACTION, "fall from the best mark that closes the position", (A, S, I), highest=D(1)),
    Spec("trailing_stop_after", Unit.FRACTION, "rise before the trailing stop is armed", (A, S, I), highest=D(100)),
    Spec("volatility_stop", Unit.MULTIPLE, "daily deviations from the best mark that close the position", (A, S, I), highest=D(100)),
    Spec("time_stop", Unit.SECONDS, "age that closes the position", (A, S, I), highest=D(315_360_000)),
    Spec("drawdown_stop", Unit.FRACTION, "fall from peak equity that flattens the account", (A,), highest=D(1)),
    Spec("exit_timeout", Unit.SECONDS, "time until an exit that did not fill is escalated", (A, I), lowest=D(1), highest=D(604_800)),
    Spec("exit_limit_offset", Unit.FRACTION, "how far beyond the mark the first exit's limit lies", (A, I), highest=D(1)),
    Spec("cooldown", Unit.SECONDS, "no new entry after a close", (A, S, I), highest=D(31_536_000)),
    Spec("stoploss_guard_trades", Unit.COUNT, "stopped losses within the lookback that lock entries", (A,), lowest=D(1), highest=D(1000)),
    Spec("stoploss_guard_lookback", Unit.SECONDS, "how far the stop-loss guard looks back", (A,), highest=D(31_536_000)),
    Spec("stoploss_guard_lock", Unit.SECONDS, "how long the stop-loss guard locks", (A,), highest=D(31_536_000)),
    Spec("stoploss_guard_per_instrument", Unit.SWITCH, "1 counts and locks each instrument by itself", (A,), highest=D(1)),
    Spec("low_profit_trades", Unit.COUNT, "closed trades within the lookback before a low profit locks", (A,), lowest=D(1), highest=D(1000)),
    Spec("low_profit_required", Unit.FRACTION, "sum of results below which the instrument is locked", (A,), lowest=D(-1), highest=D(10)),
    Spec("low_profit_lookback", Unit.SECONDS, "how far the low-profit rule looks back", (A,), highest=D(31_536_000)),
    Spec("low_profit_lock", Unit.SECONDS, "how long the low-profit rule locks", (A,), highest=D(31_536_000)),
    Spec("drawdown_guard", Unit.FRACTION, "fall of equity within the lookback that locks entries", (A,), highest=D(1)),
    Spec("drawdown_guard_lookback", Unit.SECONDS, "how far the drawdown guard looks back", (A,), highest=D(31_536_000)),
    Spec("drawdown_guard_lock", Unit.SECONDS, "how long the drawdown guard locks", (A,), highest=D(31_536_000)),
)  # fmt: skip

BY_NAME: dict[str, Spec] = {spec.name: spec for spec in SPECS}

PAIRS: tuple[tuple[str, str], ...] = (
    ("value_at_risk_max", "expected_shortfall_max"),
    ("daily_loss_max", "drawdown_max"),
    ("drawdown_max", "drawdown_stop"),
)
"""Limits that contradict each other where the first is set above the second."""


def key_of(name: str, scope: Scope, scope_id: str) -> str:
    """The key under which an account keeps a limit."""
    return f"{name}|{scope}|{scope_id}"


def objection(change: LimitChange, present: Mapping[str, Limit]) -> tuple[str, str]:
    """Why a change is refused whole, as (code, sentence naming the line); empty texts where it is not."""
    after = dict(present)
    if not change.limits:
        return "LIMITS_EMPTY", "the change holds no limit"
    seen: set[str] = set()
    for number, limit in enumerate(change.limits, 1):
        where = f"line {number} ({limit.name})"
        spec = BY_NAME.get(limit.name)
        if spec is None:
            return "LIMIT_UNKNOWN", f"{where}: there is no limit of this name"
        if limit.scope not in spec.scopes or (limit.scope is Scope.ACCOUNT) != (not limit.scope_id):
            return "LIMIT_SCOPE", f"{where}: scope {limit.scope} {limit.scope_id!r} is not one of it"
        if not limit.value.is_finite() or not spec.lowest <= limit.value <= spec.highest:
            return "LIMIT_BOUNDS", f"{where}: {limit.value} is not within {spec.lowest} and {spec.highest}"
        if limit.soft is not None and not (limit.soft.is_finite() and spec.lowest <= limit.soft <= limit.value):
            return "LIMIT_SOFT", f"{where}: warns at {limit.soft}, which is not within {spec.lowest} and {limit.value}"
        key = key_of(limit.name, limit.scope, limit.scope_id)
        if key in seen:
            return "LIMIT_TWICE", f"{where}: is set twice in one change"
        seen.add(key)
        after[key] = limit
    for smaller, larger in PAIRS:
        low, high = after.get(key_of(smaller, A, "")), after.get(key_of(larger, A, ""))
        if low is not None and high is not None and low.value > high.value:
            return "LIMIT_CONTRADICTION", f"{smaller} {low.value} is above {larger} {high.value}"
    return "", ""


def applied(change: LimitChange, present: Mapping[str, Limit]) -> dict[str, Limit]:
    """The limits after a change that nobody objects to."""
    return {**present, **{key_of(one.name, one.scope, one.scope_id): one for one in change.limits}}


def standard_limits(capital: Decimal) -> list[Limit]:
    """Limits for an account of this much money that somebody tries the engine with: tight enough to be seen working."""
    values = {
        "order_value_max": capital / 4,
        "order_quantity_max": D(1_000_000),
        "position_value_max": capital / 2,
        "concentration_max": D("0.5"),
        "gross_exposure_max": capital * 2,
        "leverage_max": D(1),
        "daily_loss_max": D("0.05"),
        "drawdown_max": D("0.25"),
        "mark_age_max": D(5 * 86_400),
        "price_collar": D("0.1"),
        "orders_per_minute_max": D(60),
        "messages_per_minute_max": D(120),
        "consecutive_rejects_max": D(5),
        "duplicate_window": D(1),
        "session_wait_max": D(4 * 86_400),
        "sizing_fraction": D("0.1"),
        "sizing_risk": D("0.01"),
        "sizing_volatility": D("0.1"),
        "sizing_kelly": D("0.25"),
        "sizing_weight_max": D("0.25"),
        "rebalance_min": D("0.1"),
        "slippage_allowance": D("0.02"),
    }
    return [Limit(name=name, value=value) for name, value in values.items()]
