"""Moving average cross: long while the fast average of closes is above the slow one, short or flat below."""

from collections.abc import Mapping, Sequence

import msgspec

from schemas.market import Bar, MarketCondition
from schemas.record import Part
from streams.strategies.plugin import BadParameter, Strategy, Value, Wish, flag, integer, number


class CrossMemory(Part, frozen=True):
    """Parameters, and the newest closes, as many as the slow average needs.

    side: last wished for; 0 before the first cross
    """

    fast: int
    slow: int
    band: float
    long_only: bool
    closes: tuple[float, ...] = ()
    side: int = 0


class MovingAverageCross(Strategy[CrossMemory]):
    """`band` is how far the averages must part before the side changes, as a share of the slow one."""

    name = "moving_average_cross"
    declares = (
        integer("fast", 10, low=1, high=250, meaning="bars of the fast average"),
        integer("slow", 50, low=2, high=500, meaning="bars of the slow average"),
        number("band", 0.0, low=0.0, high=0.5, meaning="distance of the averages that counts as a cross"),
        flag("long_only", False, meaning="flat instead of short below"),
    )
    memory_type = CrossMemory

    def begin(self, parameters: Mapping[str, Value]) -> CrossMemory:
        fast, slow = int(parameters["fast"]), int(parameters["slow"])
        if fast >= slow:
            raise BadParameter(f"fast ({fast}) must be below slow ({slow})")
        return CrossMemory(
            fast=fast, slow=slow, band=float(parameters["band"]), long_only=bool(parameters["long_only"])
        )

    def on_bar(
        self, memory: CrossMemory, bar: Bar, condition: MarketCondition | None
    ) -> tuple[CrossMemory, Sequence[Wish]]:
        closes = (*memory.closes[-(memory.slow - 1) :], float(bar.close))
        if len(closes) < memory.slow:
            return msgspec.structs.replace(memory, closes=closes), ()
        fast, slow = sum(closes[-memory.fast :]) / memory.fast, sum(closes) / memory.slow
        margin = memory.band * abs(slow)
        side = 1 if fast > slow + margin else -1 if fast < slow - margin else memory.side
        memory = msgspec.structs.replace(memory, closes=closes, side=side)
        if not side:
            return memory, ()
        reason = f"average of {memory.fast} bars {fast:.6g}, of {memory.slow} bars {slow:.6g}"
        if side < 0 and memory.long_only:
            return memory, (Wish.flat(reason),)
        return memory, (Wish.towards(float(side), reason),)
