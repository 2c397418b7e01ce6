"""Volatility of a series of bars, and the regime it is in. An estimator without its inputs is absent, never guessed.

Annualised with the instrument's bars per year, as a fraction. Windows are `WINDOW` bars.
- close to close: sample deviation of log returns.
- Parkinson (1980): mean of ln(high/low)^2 over 4 ln 2.
- Garman and Klass (1980): mean of ln(high/low)^2 / 2 - (2 ln 2 - 1) ln(close/open)^2.
- EWMA: RiskMetrics (1996), decay 0.94 a bar, absent before `WINDOW` log returns without interruption.
A price at or below zero has no logarithm: it interrupts the log returns, and the estimators stay absent until the
window is full again. Where such prices are legal, `price_volatility` (sample deviation of price differences) is given
as well.
"""

import math
from bisect import bisect_left
from operator import mul

from schemas.market import MarketCondition, MarketStatus, Regime
from schemas.reference import Instrument
from streams.market_data.rules.windows import Values, pushed, pushed_both
from streams.market_data.state import Series

WINDOW = 20
MOVES = 100
HISTORY = 252
HISTORY_MIN = 60
DECAY = 0.94
CALM_BELOW = 0.25
STRESSED_FROM = 0.90

_UNDEFINED = (-1.0, -1.0)
_GARMAN_KLASS = 2 * math.log(2) - 1
_PARKINSON = 4 * math.log(2)


def move_between(before: float, now: float, by_difference: bool) -> float | None:
    """The move from one price to the next: a difference, or a log return, which a price at or below zero has not."""
    if by_difference:
        return now - before
    return math.log(now / before) if now > 0 < before else None


def extended(
    series: Series, end_us: int, prices: tuple[float, float, float, float], turnover: float | None, by_difference: bool
) -> Series:
    """The series with one more bar; `prices` are open, high, low, close."""
    opened, high, low, close = prices
    moves, ordered = series.moves, series.moves_ordered
    log_returns, differences = series.log_returns, series.differences
    ewma, count, move_ewma = series.ewma, series.ewma_count, series.move_ewma
    history, history_ordered = series.history, series.history_ordered
    if series.end_us:
        log_return = move_between(series.close, close, False)
        move = close - series.close if by_difference else log_return
        if log_return is None:
            log_returns, ewma, count = (), 0.0, 0
        else:
            log_returns = pushed(log_returns, log_return, WINDOW)
            ewma = log_return**2 if count == 0 else DECAY * ewma + (1 - DECAY) * log_return**2
            count += 1
        if by_difference:
            differences = pushed(differences, close - series.close, WINDOW)
        if move is not None:
            move_ewma = move**2 if not moves else DECAY * move_ewma + (1 - DECAY) * move**2
            moves, ordered = pushed_both(moves, ordered, move, MOVES)
            if len(moves) >= WINDOW:
                history, history_ordered = pushed_both(history, history_ordered, move_ewma, HISTORY)
    return Series(
        end_us=end_us,
        close=close,
        moves=moves,
        moves_ordered=ordered,
        log_returns=log_returns,
        differences=differences,
        ranges=(*series.ranges[-(WINDOW - 1) :], _range_terms(opened, high, low, close)),
        ewma=ewma,
        ewma_count=count,
        move_ewma=move_ewma,
        history=history,
        history_ordered=history_ordered,
        turnovers=series.turnovers if turnover is None else pushed(series.turnovers, turnover, WINDOW),
        flat_run=series.flat_run + 1 if high == low else 0,
    )


def condition_of(
    series: Series, instrument: Instrument, event_time_us: int, status: MarketStatus, reason: str
) -> MarketCondition:
    """How the market stands after the newest bar of the series."""
    root = math.sqrt(instrument.bars_per_year)
    percentile, regime = _regime(series)
    parkinson, garman_klass = _from_ranges(series.ranges, root)
    close_to_close = _deviation(series.log_returns)
    return MarketCondition(
        event_time_us=event_time_us,
        instrument_id=instrument.instrument_id,
        status=status,
        regime=regime,
        ewma_volatility=math.sqrt(series.ewma) * root if series.ewma_count >= WINDOW else None,
        close_to_close_volatility=None if close_to_close is None else close_to_close * root,
        parkinson_volatility=parkinson,
        garman_klass_volatility=garman_klass,
        percentile=percentile,
        price_volatility=_deviation(series.differences),
        reason=reason,
    )


def _range_terms(opened: float, high: float, low: float, close: float) -> tuple[float, float]:
    if low <= 0:
        return _UNDEFINED
    if high == low:
        return (0.0, 0.0)
    squared = math.log(high / low) ** 2
    return squared, squared / 2 - _GARMAN_KLASS * math.log(close / opened) ** 2


def _from_ranges(ranges: tuple[tuple[float, float], ...], root: float) -> tuple[float | None, float | None]:
    """Parkinson and Garman-Klass; absent where half the window or more has no range."""
    if len(ranges) < WINDOW:
        return None, None
    squares, terms = zip(*ranges, strict=True)
    if squares.count(0.0) * 2 >= WINDOW or _UNDEFINED[0] in squares:
        return None, None
    parkinson = sum(squares) / (WINDOW * _PARKINSON)
    garman_klass = sum(terms) / WINDOW
    return math.sqrt(parkinson) * root, math.sqrt(garman_klass) * root if garman_klass >= 0 else None


def _deviation(values: Values) -> float | None:
    """Sample deviation of a full window."""
    if len(values) < WINDOW:
        return None
    total = sum(values)
    squares = sum(map(mul, values, values)) - total * total / WINDOW
    return math.sqrt(squares / (WINDOW - 1)) if squares > 0 else 0.0


def _regime(series: Series) -> tuple[float | None, Regime | None]:
    """Share of the history that is calmer than now, and its name."""
    known = len(series.history_ordered)
    if known < HISTORY_MIN:
        return None, None
    percentile = bisect_left(series.history_ordered, series.move_ewma) / known
    if percentile < CALM_BELOW:
        return percentile, Regime.CALM
    return percentile, Regime.STRESSED if percentile >= STRESSED_FROM else Regime.NORMAL
