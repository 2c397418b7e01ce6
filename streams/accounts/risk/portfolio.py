"""The portfolio as one: value at risk, expected shortfall, correlated exposure and stress, with and without one order.

Returns are of daily closes, as a share of the absolute close before (so that a price through zero has one). Positions
are the worst that working orders can make of each instrument. The parametric value at risk is the normal 99 % quantile
of the deviation of the portfolio's own past, which is the same as with the covariance matrix; the historical one is the
empirical quantile. Means are taken as zero: over one day they are noise.
"""

from collections.abc import Mapping
from math import ceil, sqrt
from typing import NamedTuple

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


class Past(NamedTuple):
    """Daily returns of some instruments, one column each, on the days that all have; and their deviations.

    unit: the returns divided by their deviations
    """

    returns: Floats
    deviations: Floats
    unit: Floats


class Book(NamedTuple):
    """Signed exposures in base currency, in name order; instruments without any are left out."""

    names: tuple[str, ...]
    weights: Floats


def book_of(names: list[str], amounts: list[float]) -> Book:
    """A book of exposures that are in name order."""
    return Book(tuple(names), np.array(amounts, dtype=np.float64))


_columns: dict[int, tuple[History, Floats, NDArray[np.int64]]] = {}
_pasts: dict[tuple[str, ...], tuple[Mapping[str, History], Past | None]] = {}
_shocks: dict[tuple[str, ...], tuple[Mapping[str, Instrument], Floats]] = {}
MEMO_MAX = 1024


def past_of(histories: Mapping[str, History], names: tuple[str, ...]) -> Past | None:
    """The past of the named instruments; None where they have too few days in common. Computed once for each input."""
    known = _pasts.get(names)
    if known is not None and known[0] is histories:
        return known[1]
    returns = _aligned(histories, names)
    past = None
    if returns is not None:
        deviations = np.sqrt(np.mean(returns * returns, axis=0))
        past = Past(returns, deviations, returns / np.where(deviations > 0, deviations, 1.0))
    if len(_pasts) >= MEMO_MAX:
        _pasts.clear()
    _pasts[names] = (histories, past)
    return past


def _returns(history: History) -> tuple[Floats, NDArray[np.int64]]:
    """Returns and their days; computed once for each history object."""
    known = _columns.get(id(history))
    if known is not None and known[0] is history:
        return known[1], known[2]
    closes = np.array(history.closes, dtype=np.float64)
    days = np.array(history.days, dtype=np.int64)
    before = np.abs(closes[:-1])
    returns = np.divide(closes[1:] - closes[:-1], before, out=np.zeros_like(before), where=before > 0)
    if len(_columns) >= MEMO_MAX:
        _columns.clear()
    _columns[id(history)] = (history, returns, days[1:])
    return returns, days[1:]


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


def measure(histories: Mapping[str, History], book: Book) -> Measures | None:
    """Risk of a book; None where an instrument's past is too short to tell."""
    if not book.names:
        return Measures(0.0, 0.0, 0.0, 0.0, 0.0)
    past = past_of(histories, book.names)
    if past is None:
        return None
    results = _times(past.returns, book.weights)
    losses = np.sort(-results)[::-1]
    return Measures(
        parametric=NORMAL_99 * _deviation(results),
        historical=max(0.0, _quantile(losses, 0.01)),
        shortfall_97_5=max(0.0, _tail(losses, TAIL_97_5)),
        shortfall_99=max(0.0, _tail(losses, 0.01)),
        correlated=_deviation(_times(past.unit, book.weights)),
    )


def _times(matrix: Floats, weights: Floats) -> Floats:
    """The product, without the linear algebra library: its threads wait for busy cores, and its sums depend on them."""
    product: Floats = np.einsum("ij,j->i", matrix, weights)
    return product


def _deviation(results: Floats) -> float:
    return sqrt(float((results * results).sum()) / len(results))


def _quantile(losses: Floats, share: float) -> float:
    """The loss that this share of days exceeds: of n days, the one after floor(n * share) worse ones."""
    return float(losses[min(len(losses) - 1, int(len(losses) * share))])


def _tail(losses: Floats, share: float) -> float:
    """Mean of the worst days: at least one, rounded up."""
    count = max(1, ceil(len(losses) * share))
    return float(losses[:count].sum()) / count


def stressed(
    histories: Mapping[str, History], book: Book, instruments: Mapping[str, Instrument], found: Measures | None
) -> dict[str, float | None]:
    """Profit (negative: loss) of each declared scenario in base currency; None where the past is too short to tell.

    found: the measures of the same book
    """
    if not book.names:
        return {scenario.name: 0.0 for scenario in SCENARIOS}
    moved = _times(_shocks_of(instruments, book.names), book.weights).tolist()
    return {
        scenario.name: moved[number] if scenario.rules else _against_us(scenario, histories, book, found)
        for number, scenario in enumerate(SCENARIOS)
    }


def _against_us(
    scenario: Scenario, histories: Mapping[str, History], book: Book, found: Measures | None
) -> float | None:
    """A day at the 99 % bound, with the scenario's volatility and correlation."""
    past = past_of(histories, book.names)
    if found is None or past is None:
        return None
    if scenario.correlation is None:
        return -scenario.volatility * found.parametric
    return -scenario.volatility * NORMAL_99 * float((np.abs(book.weights) * past.deviations).sum())


def _shocks_of(instruments: Mapping[str, Instrument], names: tuple[str, ...]) -> Floats:
    """Shocks by scenario and instrument; computed once for each set of instruments."""
    known = _shocks.get(names)
    if known is not None and known[0] is instruments:
        return known[1]
    shocks = np.array([[shock_of(scenario, instruments[name]) for name in names] for scenario in SCENARIOS])
    if len(_shocks) >= MEMO_MAX:
        _shocks.clear()
    _shocks[names] = (instruments, shocks)
    return shocks
