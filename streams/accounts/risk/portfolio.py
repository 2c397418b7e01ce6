"""The portfolio as one: value at risk, expected shortfall, correlated exposure and stress, with and without one order.

Returns are of daily closes, as a share of the absolute close before (so that a price through zero has one). Positions
are the worst that working orders can make of each instrument. The parametric value at risk is the normal 99 % quantile
of the deviation of the portfolio's own past, which is the same as with the covariance matrix; the historical one is the
empirical quantile. Means are taken as zero: over one day they are noise.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.record import Part
from schemas.reference import Instrument
from streams.accounts.risk.scenarios import SCENARIOS, Scenario, shock_of

Floats = NDArray[np.float64]

DAYS_MAX = 251
"""Closes kept of each instrument: 250 returns."""

RETURNS_MIN = 20
"""Returns that every held instrument needs before the portfolio's risk is believed."""

NORMAL_99 = 2.3263478740408408
"""99 % quantile of the standard normal distribution."""

TAIL_97_5 = 0.025
"""Share of days in the tail of the expected shortfall that is gated (the measure of the Basel trading book)."""


class History(Part, frozen=True):
    """Daily closes of one instrument, oldest first. days: days since 1970 UTC."""

    days: tuple[int, ...] = ()
    closes: tuple[float, ...] = ()


class Measures(NamedTuple):
    """Risk of a portfolio over one day, as positive amounts of base currency."""

    parametric: float
    historical: float
    shortfall_97_5: float
    shortfall_99: float
    correlated: float


def with_close(history: History, day: int, close: float) -> History:
    """The history with the close of a day that is newer than all before; the same object where it is not."""
    if history.days and day <= history.days[-1]:
        return history
    return History(days=(*history.days, day)[-DAYS_MAX:], closes=(*history.closes, close)[-DAYS_MAX:])


_columns: dict[int, tuple[History, Floats, NDArray[np.int64]]] = {}
_matrices: dict[int, tuple[Mapping[str, History], tuple[str, ...], Floats | None]] = {}
MEMO_MAX = 4096


def _returns(history: History) -> tuple[Floats, NDArray[np.int64]]:
    """Returns and their days; computed once for each history object."""
    known = _columns.get(id(history))
    if known is not None and known[0] is history:
        return known[1], known[2]
    closes = np.array(history.closes, dtype=np.float64)
    days = np.array(history.days, dtype=np.int64)
    before = np.abs(closes[:-1])
    with np.errstate(divide="ignore", invalid="ignore"):
        returns = np.where(before > 0, (closes[1:] - closes[:-1]) / before, 0.0)
    if len(_columns) >= MEMO_MAX:
        _columns.clear()
    _columns[id(history)] = (history, returns, days[1:])
    return returns, days[1:]


def matrix(histories: Mapping[str, History], names: tuple[str, ...]) -> Floats | None:
    """Returns of the named instruments, one column each, on the days that all have; None where those are too few."""
    known = _matrices.get(id(histories))
    if known is not None and known[0] is histories and known[1] == names:
        return known[2]
    result = _aligned(histories, names)
    if len(_matrices) >= MEMO_MAX:
        _matrices.clear()
    _matrices[id(histories)] = (histories, names, result)
    return result


def _aligned(histories: Mapping[str, History], names: tuple[str, ...]) -> Floats | None:
    columns = []
    for name in names:
        history = histories.get(name)
        if history is None or len(history.days) <= RETURNS_MIN:
            return None
        columns.append(_returns(history))
    shared = columns[0][1]
    for _, days in columns[1:]:
        if len(days) != len(shared) or not np.array_equal(days, shared):
            shared = np.intersect1d(shared, days, assume_unique=True)
    if len(shared) < RETURNS_MIN:
        return None
    return np.column_stack([
        returns if len(days) == len(shared) else returns[np.searchsorted(days, shared)] for returns, days in columns
    ])  # fmt: skip


def measure(histories: Mapping[str, History], exposures: Mapping[str, float]) -> Measures | None:
    """Risk of signed exposures in base currency; None where an instrument's past is too short to tell."""
    held = {name: amount for name, amount in exposures.items() if amount}
    if not held:
        return Measures(0.0, 0.0, 0.0, 0.0, 0.0)
    names = tuple(sorted(held))
    returns = matrix(histories, names)
    if returns is None:
        return None
    weights = np.array([held[name] for name in names])
    results = returns @ weights
    deviation = float(np.sqrt(np.mean(results * results)))
    losses = np.sort(-results)[::-1]
    return Measures(
        parametric=NORMAL_99 * deviation,
        historical=max(0.0, _quantile(losses, 0.01)),
        shortfall_97_5=max(0.0, _tail(losses, TAIL_97_5)),
        shortfall_99=max(0.0, _tail(losses, 0.01)),
        correlated=_correlated(returns, weights),
    )


def _quantile(losses: Floats, share: float) -> float:
    """The loss that this share of days exceeds: of n days, the one after floor(n * share) worse ones."""
    return float(losses[min(len(losses) - 1, int(len(losses) * share))])


def _tail(losses: Floats, share: float) -> float:
    """Mean of the worst days: at least one, rounded up."""
    count = max(1, int(np.ceil(len(losses) * share)))
    return float(np.mean(losses[:count]))


def _correlated(returns: Floats, weights: Floats) -> float:
    """The exposure of one instrument that would move as much as all: square root of w' C w, C the correlations."""
    deviations = np.sqrt(np.mean(returns * returns, axis=0))
    safe = np.where(deviations > 0, deviations, 1.0)
    scaled = (returns / safe) @ weights
    return float(np.sqrt(np.mean(scaled * scaled)))


def stressed(
    histories: Mapping[str, History], exposures: Mapping[str, float], instruments: Mapping[str, Instrument]
) -> dict[str, float | None]:
    """Profit (negative: loss) of each declared scenario in base currency; None where the past is too short to tell."""
    return {scenario.name: _result(scenario, histories, exposures, instruments) for scenario in SCENARIOS}


def _result(
    scenario: Scenario, histories: Mapping[str, History], exposures: Mapping[str, float],
    instruments: Mapping[str, Instrument],
) -> float | None:  # fmt: skip
    if scenario.rules:
        shocks = ((amount, shock_of(scenario, instruments[name])) for name, amount in sorted(exposures.items()))
        return sum(amount * shock for amount, shock in shocks)
    held = {name: amount for name, amount in exposures.items() if amount}
    if not held:
        return 0.0
    if scenario.correlation is not None:
        return _all_at_once(histories, held, scenario.volatility)
    found = measure(histories, held)
    return None if found is None else -scenario.volatility * found.parametric


def _all_at_once(histories: Mapping[str, History], held: Mapping[str, float], multiple: float) -> float | None:
    names = tuple(sorted(held))
    returns = matrix(histories, names)
    if returns is None:
        return None
    deviations: Any = np.sqrt(np.mean(returns * returns, axis=0))
    return -multiple * NORMAL_99 * float(np.sum(np.abs(np.array([held[name] for name in names])) * deviations))
