"""Dynamic limits: declared curves that scale limits and sizes with volatility, drawdown and time of day.

In force where an account sets `dynamic_limits` to 1. The scales multiply: a stressed market near the drawdown limit
allows a fraction of a fraction. Between the points of a curve the scale is interpolated, beyond them the last holds.
"""

from bisect import bisect_right
from decimal import Decimal
from typing import NamedTuple

from schemas.reference import TradingSession
from schemas.scalars import SECOND_US

ONE = Decimal(1)

Curve = tuple[tuple[Decimal, Decimal], ...]


def _curve(*points: tuple[str, str]) -> Curve:
    return tuple((Decimal(at), Decimal(scale)) for at, scale in points)


VOLATILITY = _curve(("1.0", "1"), ("1.5", "0.75"), ("2.0", "0.5"), ("3.0", "0.25"))
"""By the ratio of fast to slow volatility of the instrument."""

DRAWDOWN = _curve(("0.25", "1"), ("0.5", "0.75"), ("0.75", "0.5"), ("1.0", "0.25"))
"""By the share of the drawdown limit that is used."""

SESSION_EDGE = _curve(("0", "0.5"), ("300", "0.5"), ("900", "1"))
"""By the seconds since the session opened, and by those until it closes; the smaller scale counts."""

SCALED = (
    "order_value_max", "order_quantity_max", "position_value_max", "position_quantity_max", "concentration_max",
    "gross_exposure_max", "leverage_max", "strategy_exposure_max", "strategy_concentration_max",
    "sizing_fraction", "sizing_risk", "sizing_volatility", "sizing_kelly", "sizing_weight_max",
)  # fmt: skip
"""Limits that the curves scale."""


class Circumstances(NamedTuple):
    """What the curves look at; None is unknown, and what is unknown takes the smallest scale of its curve.

    volatility_ratio: fast over slow volatility
    drawdown_used: drawdown over its limit
    session: sessions of the instrument's calendar; None for one that never closes
    always_open: whether the instrument trades around the clock
    """

    volatility_ratio: Decimal | None
    drawdown_used: Decimal | None
    session: TradingSession | None
    always_open: bool
    now_us: int


def at(curve: Curve, x: Decimal | None) -> Decimal:
    """The scale at x by linear interpolation; the smallest of the curve where x is unknown."""
    if x is None:
        return min(scale for _, scale in curve)
    place = bisect_right(curve, x, key=lambda point: point[0])
    if place == 0:
        return curve[0][1]
    if place == len(curve):
        return curve[-1][1]
    (x0, y0), (x1, y1) = curve[place - 1], curve[place]
    return y0 + (y1 - y0) * (x - x0) / (x1 - x0)


def scale_of(seen: Circumstances) -> Decimal:
    """The product of all curves, between 0 and 1."""
    return at(VOLATILITY, seen.volatility_ratio) * at(DRAWDOWN, seen.drawdown_used) * _time_of_day(seen)


def scales(scale: Decimal) -> dict[str, Decimal]:
    """The scale of each limit that moves."""
    return {} if scale == ONE else dict.fromkeys(SCALED, scale)


def _time_of_day(seen: Circumstances) -> Decimal:
    if seen.always_open:
        return ONE
    if seen.session is None:
        return at(SESSION_EDGE, None)
    place = bisect_right(seen.session.sessions, seen.now_us, key=lambda one: one.opens_us)
    if not place or seen.now_us > seen.session.sessions[place - 1].closes_us:
        return at(SESSION_EDGE, None)
    session = seen.session.sessions[place - 1]
    since = Decimal(seen.now_us - session.opens_us) / SECOND_US
    left = Decimal(session.closes_us - seen.now_us) / SECOND_US
    return min(at(SESSION_EDGE, since), at(SESSION_EDGE, left))
