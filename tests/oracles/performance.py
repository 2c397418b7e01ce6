"""Cases of the format performance-stats/1: a metric by name, a series, parameters, the number expected."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from streams.pnl.performance import relative, statistics
from streams.pnl.performance.returns import Floats, Period, as_floats, simple_returns

Case = Mapping[str, Any]
Params = Mapping[str, Any]
Number = float | Sequence[float]


class NotComputed(Exception):
    """The product has no such metric, parameter or series."""


PARAM_NAMES = {
    "rf": "rf",
    "risk_free": "rf",
    "risk_free_rate": "rf",
    "req": "req",
    "required_return": "req",
    "mar": "req",
    "period": "period",
    "annualization": "period",
    "periods": "period",
    "periods_per_year": "period",
    "start": "start",
    "starting_value": "start",
    "cutoff": "cutoff",
    "benchmark": "benchmark",
    "factor": "benchmark",
    "factor_returns": "benchmark",
    "market": "benchmark",
    "window": "window",
}
"""Names that sources use for a parameter, and ours."""

SERIES_PARAMS = ("rf", "req", "benchmark")

METRICS: dict[str, Callable[[Any, Params], Number]] = {
    "sharpe": lambda r, p: statistics.sharpe(r, p["rf"], p["period"]),
    "annual_volatility": lambda r, p: statistics.annual_volatility(r, p["period"]),
    "sortino": lambda r, p: statistics.sortino(r, p["req"], p["period"]),
    "downside_risk": lambda r, p: statistics.downside_risk(r, p["req"], p["period"]),
    "max_drawdown": lambda r, _: statistics.max_drawdown(r),
    "cagr": lambda r, p: statistics.cagr(r, p["period"]),
    "calmar": lambda r, p: statistics.calmar(r, p["period"]),
    "cum_returns_final": lambda r, p: statistics.total_return(r, p["start"]),
    "cum_returns": lambda r, p: statistics.cumulative_returns(r, p["start"]).tolist(),
    "simple_returns": lambda r, _: simple_returns(r).tolist(),
    "omega": lambda r, p: statistics.omega(r, p["rf"], p["req"], p["period"]),
    "value_at_risk": lambda r, p: statistics.value_at_risk(r, p["cutoff"]),
    "expected_shortfall": lambda r, p: statistics.expected_shortfall(r, p["cutoff"]),
    "tail_ratio": lambda r, _: statistics.tail_ratio(r),
    "stability": lambda r, _: statistics.stability(r),
    "skew": lambda r, _: statistics.skewness(r),
    "kurtosis": lambda r, _: statistics.excess_kurtosis(r),
    "beta": lambda r, p: relative.beta(r, benchmark(p)),
    "alpha": lambda r, p: relative.alpha(r, benchmark(p), p["rf"], p["period"]),
    "alpha_beta": lambda r, p: (
        relative.alpha(r, benchmark(p), p["rf"], p["period"]),
        relative.beta(r, benchmark(p)),
    ),
    "excess_sharpe": lambda r, p: relative.information_ratio(r, benchmark(p)),
    "information_ratio": lambda r, p: relative.information_ratio(r, benchmark(p), p["stated_period"]),
    "tracking_error": lambda r, p: relative.tracking_error(r, benchmark(p), p["period"]),
    "treynor": lambda r, p: relative.treynor(r, benchmark(p), p["rf"], p["period"]),
    "capture": lambda r, p: relative.capture(r, benchmark(p), p["period"]),
    "up_capture": lambda r, p: relative.up_capture(r, benchmark(p), p["period"]),
    "down_capture": lambda r, p: relative.down_capture(r, benchmark(p), p["period"]),
    "up_down_capture": lambda r, p: relative.up_down_capture(r, benchmark(p), p["period"]),
}

ALIASES = {
    "annual_return": "cagr",
    "sharpe_ratio": "sharpe",
    "sortino_ratio": "sortino",
    "calmar_ratio": "calmar",
    "omega_ratio": "omega",
    "volatility": "annual_volatility",
    "total_return": "cum_returns_final",
    "stability_of_timeseries": "stability",
    "var": "value_at_risk",
    "cvar": "expected_shortfall",
    "es": "expected_shortfall",
    "conditional_value_at_risk": "expected_shortfall",
    "capture_ratio": "capture",
    "treynor_ratio": "treynor",
    "skewness": "skew",
    "excess_kurtosis": "kurtosis",
}
"""Other names of the same definition."""


def title(number: int, case: Case) -> str:
    """A name that finds the case again in its file."""
    return f"{number} {case.get('metric')} of {case.get('series')} {dict(case.get('params') or {})}"


def compute(case: Case, series: Mapping[str, Any]) -> Number:
    """The product's value. Raises NotComputed where the product has no such metric, parameter or series."""
    name = str(case.get("metric"))
    metric = METRICS.get(ALIASES.get(name, name))
    if metric is None:
        raise NotComputed(f"metric {name!r} is not computed by the product")
    returns = values_of(case.get("series"), series)
    params = dict(params_of(case, series))
    if isinstance(params.get("benchmark"), int | float):
        params["benchmark"] = np.full(returns.size, float(params["benchmark"]))
    return metric(returns, params)


def values_of(named: Any, series: Mapping[str, Any]) -> Floats:
    """The values of a series given by name, by name with a minus sign before it, or in place."""
    if isinstance(named, list):
        return as_floats(named)
    name = str(named)
    if name in series:
        return as_floats(series[name])
    if name.startswith("-") and name[1:] in series:
        return -as_floats(series[name[1:]])
    raise NotComputed(f"series {named!r} is not in the file")


def params_of(case: Case, series: Mapping[str, Any]) -> Params:
    """Our parameters with their defaults; a series by name becomes its values."""
    given: dict[str, Any] = {}
    for key in ("benchmark", "factor_returns"):
        if key in case:
            given[key] = case[key]
    given |= case.get("params") or {}
    params: dict[str, Any] = {"rf": 0.0, "req": 0.0, "period": Period.DAILY, "start": 0.0, "cutoff": 0.05}
    for key, value in given.items():
        if key not in PARAM_NAMES:
            raise NotComputed(f"parameter {key!r} is not known to the product")
        name = PARAM_NAMES[key]
        params[name] = values_of(value, series) if name in SERIES_PARAMS and is_series(value) else value
    params["stated_period"] = params["period"] if "period" in {PARAM_NAMES[key] for key in given} else None
    return params


def is_series(value: Any) -> bool:
    return isinstance(value, str | list)


def benchmark(params: Params) -> Any:
    """The benchmark, which a case of these metrics must name."""
    if "benchmark" not in params:
        raise NotComputed("the case names no benchmark")
    return params["benchmark"]


def agrees(expected: Any, got: Number, case: Case) -> bool:
    """Within the tolerance of the case; null and not-finite texts as `as_json` writes them."""
    if isinstance(expected, list):
        return (
            not isinstance(got, float)
            and len(expected) == len(got)
            and all(agrees(one, float(other), case) for one, other in zip(expected, got, strict=True))
        )
    if not isinstance(got, float):
        return False
    if expected is None or (isinstance(expected, str) and expected.lower() in ("nan", "null")):
        return not math.isfinite(got)
    wanted = float(expected)
    if not math.isfinite(wanted) or not math.isfinite(got):
        return wanted == got or (math.isnan(wanted) and math.isnan(got))
    bound = float(case.get("abs_tolerance", 0.0 if "rel_tolerance" in case else 1e-8))
    return abs(got - wanted) <= max(bound, float(case.get("rel_tolerance", 0.0)) * abs(wanted))


def as_json(got: Number) -> Any:
    """A number, or what JSON has for it: null for NaN, a text for an infinity."""
    if not isinstance(got, float):
        return [as_json(float(one)) for one in got]
    if math.isnan(got):
        return None
    return got if math.isfinite(got) else ("inf" if got > 0 else "-inf")
