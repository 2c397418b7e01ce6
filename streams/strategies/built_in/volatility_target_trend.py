"""Volatility-targeted trend: with the trend, and the less of it the more the market moves."""

import math
from collections.abc import Mapping, Sequence

import msgspec

from schemas.market import Bar, MarketCondition
from schemas.record import Part
from streams.strategies.plugin import Strategy, Value, Wish, flag, integer, number


class TrendMemory(Part, frozen=True):
    """Parameters, and the newest closes, as many as the trend looks back.

    weight: last wished for
    """

    lookback: int
    target_volatility: float
    weight_max: float
    rebalance: float
    long_only: bool
    closes: tuple[float, ...] = ()
    weight: float = 0.0


class VolatilityTargetTrend(Strategy[TrendMemory]):
    """Weight = side of the move over `lookback` bars x target volatility / EWMA volatility, within `weight_max`.

    A change of less than `rebalance` of the weight held is not worth its cost. Where the volatility is unknown, or the
    price is at or below zero so that no share of equity has a meaning, it holds nothing.
    """

    name = "volatility_target_trend"
    declares = (
        integer("lookback", 60, low=2, high=500, meaning="bars that the trend looks back"),
        number("target_volatility", 0.15, low=0.001, high=2.0, meaning="annual volatility aimed at, as a fraction"),
        number("weight_max", 1.0, low=0.01, high=10.0, meaning="largest share of equity"),
        number("rebalance", 0.2, low=0.0, high=1.0, meaning="change of weight worth trading, as a share of it"),
        flag("long_only", False, meaning="flat instead of short"),
    )
    memory_type = TrendMemory

    def begin(self, parameters: Mapping[str, Value]) -> TrendMemory:
        return TrendMemory(
            lookback=int(parameters["lookback"]),
            target_volatility=float(parameters["target_volatility"]),
            weight_max=float(parameters["weight_max"]),
            rebalance=float(parameters["rebalance"]),
            long_only=bool(parameters["long_only"]),
        )

    def on_bar(
        self, memory: TrendMemory, bar: Bar, condition: MarketCondition | None
    ) -> tuple[TrendMemory, Sequence[Wish]]:
        close = float(bar.close)
        closes = (*memory.closes[-memory.lookback :], close)
        memory = msgspec.structs.replace(memory, closes=closes)
        if len(closes) <= memory.lookback:
            return memory, ()
        volatility = condition.ewma_volatility if condition is not None else None
        if not volatility or close <= 0:
            reason = "the price is at or below zero" if close <= 0 else "the volatility is unknown"
            return msgspec.structs.replace(memory, weight=0.0), (Wish.flat(reason),)
        side = math.copysign(1.0, close - closes[0]) if close != closes[0] else 0.0
        weight = side * min(memory.target_volatility / volatility, memory.weight_max)
        if memory.long_only:
            weight = max(weight, 0.0)
        if weight * memory.weight > 0 and abs(weight - memory.weight) < memory.rebalance * abs(memory.weight):
            return memory, ()
        reason = f"{close:.6g} after {closes[0]:.6g} {memory.lookback} bars ago, volatility {volatility:.3f}"
        return msgspec.structs.replace(memory, weight=weight), (Wish.weight(weight, reason),)
