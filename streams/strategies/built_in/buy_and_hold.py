"""Buy and hold: one target weight from the first bar on; what every other strategy has to beat."""

from collections.abc import Mapping, Sequence

import msgspec

from schemas.market import Bar, MarketCondition
from schemas.record import Part
from streams.strategies.plugin import Strategy, Value, Wish, number


class HoldMemory(Part, frozen=True):
    """The weight, and whether it was wished for."""

    weight: float
    wished: bool = False


class BuyAndHold(Strategy[HoldMemory]):
    """`weight` is the share of equity to hold; it is wished for once and not rebalanced."""

    name = "buy_and_hold"
    declares = (number("weight", 1.0, low=0.0, high=1.0, meaning="share of equity to hold"),)
    memory_type = HoldMemory

    def begin(self, parameters: Mapping[str, Value]) -> HoldMemory:
        return HoldMemory(weight=float(parameters["weight"]))

    def on_bar(
        self, memory: HoldMemory, bar: Bar, condition: MarketCondition | None
    ) -> tuple[HoldMemory, Sequence[Wish]]:
        if memory.wished:
            return memory, ()
        wish = Wish.weight(memory.weight, f"hold {memory.weight:.4g} of equity")
        return msgspec.structs.replace(memory, wished=True), (wish,)
