"""Plug-ins: how a strategy is written.

A strategy is a class whose methods are pure: all it remembers is its memory, a frozen `Part` that it returns anew. It
declares its parameters, and it wishes; how much is traded, and whether at all, is decided by the account.

    class Twitch(Strategy[TwitchMemory]):
        name = "twitch"
        declares = (number("threshold", 0.01, low=0.0, high=1.0, meaning="move that is followed"),)
        memory_type = TwitchMemory

        def begin(self, parameters): return TwitchMemory(threshold=parameters["threshold"])
        def on_bar(self, memory, bar, condition): return memory, (Wish.towards(1.0, "it twitched"),)

Found by the entry point group `quantumleap.strategies`. A wish stands until the next one: repeat it or stay silent, an
intent is written when the wish changes, and again every `restate_bars` bars in case the account could not follow.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar, Generic, TypeVar

from schemas.control import Parameter
from schemas.intent import IntentKind
from schemas.market import Bar, BarKind, MarketCondition
from schemas.order import OrderType, TimeInForce
from schemas.record import Part
from schemas.signal import AcceptedSignal

Value = float | int | str | bool
Memory = TypeVar("Memory", bound=Part)

TEXT_LENGTH_MAX = 500
DIRECTION_BOUND = 1.0
WEIGHT_BOUND = 100.0


class ParameterType(StrEnum):
    NUMBER = "NUMBER"
    INTEGER = "INTEGER"
    FLAG = "FLAG"
    TEXT = "TEXT"


class Declared(Part, frozen=True):
    """One parameter of a strategy.

    name: as control records call it
    parameter_type: how its text is read
    default: used where it is not given
    low, high: inclusive bounds of a number
    choices: allowed texts; empty means any of up to 128 characters
    meaning: one sentence for people
    """

    name: str
    parameter_type: ParameterType
    default: Value
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[str, ...] = ()
    meaning: str = ""


def number(name: str, default: float, *, low: float, high: float, meaning: str) -> Declared:
    """A parameter with a fraction."""
    return Declared(
        name=name, parameter_type=ParameterType.NUMBER, default=default, low=low, high=high, meaning=meaning
    )


def integer(name: str, default: int, *, low: int, high: int, meaning: str) -> Declared:
    """A whole parameter."""
    return Declared(
        name=name, parameter_type=ParameterType.INTEGER, default=default, low=low, high=high, meaning=meaning
    )


def flag(name: str, default: bool, *, meaning: str) -> Declared:
    """A parameter that is `true` or `false`."""
    return Declared(name=name, parameter_type=ParameterType.FLAG, default=default, meaning=meaning)


def text(name: str, default: str, *, choices: tuple[str, ...] = (), meaning: str) -> Declared:
    """A parameter of text."""
    return Declared(name=name, parameter_type=ParameterType.TEXT, default=default, choices=choices, meaning=meaning)


COMMON: tuple[Declared, ...] = (
    integer(
        "restate_bars", 20, low=0, high=10_000, meaning="bars after which an unchanged wish is written again; 0 never"
    ),
    integer("valid_seconds", 60, low=1, high=86_400, meaning="how long an intent may wait before it is void"),
)
"""Parameters that every instance has; the room uses them."""


class BadParameter(ValueError):
    """A parameter that is unknown, unreadable or out of bounds; the message says which and why."""


class Wish(Part, frozen=True):
    """What an instance wants to hold from now on; how much that is, is for the account to say.

    kind: which of `direction` and `target_weight` carries the wish
    direction: -1 short to 1 long, as a share of the full size; 0 is flat
    target_weight: share of equity, signed
    order_type, time_in_force, limit_price: how to execute
    stop_price: protective stop; sizes by fixed risk
    take_profit_price: protective target
    probability: behind the wish, 0 to 1
    signal_id, provider_id: behind the wish
    reason: one sentence for people
    bracket: stop and target work at the broker as orders linked to the entry; without, the account watches them
    post_only: must not take liquidity; with a limit price
    """

    kind: IntentKind
    direction: float = 0.0
    target_weight: float | None = None
    order_type: OrderType = OrderType.MARKET
    time_in_force: TimeInForce = TimeInForce.DAY
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    take_profit_price: Decimal | None = None
    probability: float | None = None
    signal_id: str | None = None
    provider_id: str | None = None
    reason: str = ""
    bracket: bool = False
    post_only: bool = False

    @staticmethod
    def towards(direction: float, reason: str) -> "Wish":
        """Hold this share of the full size: -1 short to 1 long."""
        return Wish(kind=IntentKind.DIRECTION, direction=direction, reason=reason)

    @staticmethod
    def weight(target_weight: float, reason: str) -> "Wish":
        """Hold this share of equity, signed."""
        return Wish(kind=IntentKind.TARGET_WEIGHT, target_weight=target_weight, reason=reason)

    @staticmethod
    def flat(reason: str) -> "Wish":
        """Hold nothing."""
        return Wish(kind=IntentKind.EXIT, reason=reason)

    @property
    def is_flat(self) -> bool:
        """Nothing is to be held."""
        if self.kind is IntentKind.TARGET_WEIGHT:
            return not self.target_weight
        return self.kind is IntentKind.EXIT or self.direction == 0


class Strategy(ABC, Generic[Memory]):
    """Base of all plug-ins. One object serves all instances: it keeps nothing, the memory does.

    name: as control records call it.
    declares: its parameters, without the common ones.
    memory_type: of its memory; must survive encoding exactly.
    bar_kinds: bars that it wants to see.
    """

    name: ClassVar[str]
    declares: ClassVar[tuple[Declared, ...]] = ()
    memory_type: ClassVar[type[Part]]
    bar_kinds: ClassVar[Collection[BarKind]] = (BarKind.TIME,)

    @abstractmethod
    def begin(self, parameters: Mapping[str, Value]) -> Memory:
        """The memory of a new instance. Raises BadParameter where parameters do not fit each other."""

    def change(self, memory: Memory, parameters: Mapping[str, Value]) -> Memory:
        """The memory after a change of parameters; begins anew unless the strategy knows better."""
        return self.begin(parameters)

    def on_bar(self, memory: Memory, bar: Bar, condition: MarketCondition | None) -> tuple[Memory, Sequence[Wish]]:
        """A bar has ended. The condition is the market's after that bar; None before the first."""
        return memory, ()

    def on_signal(
        self, memory: Memory, accepted: AcceptedSignal, condition: MarketCondition | None
    ) -> tuple[Memory, Sequence[Wish]]:
        """A signal was accepted."""
        return memory, ()


def parameters_of(declares: Sequence[Declared], given: Sequence[Parameter]) -> dict[str, Value]:
    """Every declared parameter with the value given or its default. Raises BadParameter."""
    values: dict[str, Value] = {declared.name: declared.default for declared in declares}
    by_name = {declared.name: declared for declared in declares}
    seen: set[str] = set()
    for parameter in given:
        declared = by_name.get(parameter.name)
        if declared is None:
            raise BadParameter(f"{parameter.name[:64]!r} is no parameter; there are {', '.join(by_name)}")
        if parameter.name in seen:
            raise BadParameter(f"{parameter.name} is given twice")
        seen.add(parameter.name)
        values[parameter.name] = _value(declared, parameter.value.strip())
    return values


def wish_fault(wish: object) -> str:
    """What is wrong with a wish, in words; empty when nothing is."""
    if not isinstance(wish, Wish):
        return f"a wish must be a Wish, not {type(wish).__name__}"
    if wish.direction is not None and not -DIRECTION_BOUND <= wish.direction <= DIRECTION_BOUND:
        return f"{wish.direction} is not within -{DIRECTION_BOUND:g} and {DIRECTION_BOUND:g}"
    weight = wish.target_weight
    if weight is not None and not -WEIGHT_BOUND <= weight <= WEIGHT_BOUND:
        return f"{weight} is not within -{WEIGHT_BOUND:g} and {WEIGHT_BOUND:g}"
    if weight is None and wish.kind is IntentKind.TARGET_WEIGHT:
        return "TARGET_WEIGHT without a target_weight"
    if wish.probability is not None and not 0 <= wish.probability <= 1:
        return f"probability {wish.probability} is not within 0 and 1"
    for price in (wish.limit_price, wish.stop_price, wish.take_profit_price):
        if price is not None and not price.is_finite():
            return "a price is not a finite number"
    if wish.order_type in (OrderType.LIMIT, OrderType.STOP_LIMIT) and wish.limit_price is None:
        return f"{wish.order_type} without a limit_price"
    if wish.post_only and wish.order_type is not OrderType.LIMIT:
        return f"{wish.order_type} cannot be post_only"
    return ""


def _value(declared: Declared, written: str) -> Value:
    """Raises BadParameter."""
    match declared.parameter_type:
        case ParameterType.FLAG:
            if written.lower() not in ("true", "false"):
                raise BadParameter(f"{declared.name} is true or false, not {written[:64]!r}")
            return written.lower() == "true"
        case ParameterType.TEXT:
            if len(written) > 128 or (declared.choices and written not in declared.choices):
                allowed = ", ".join(declared.choices) or "at most 128 characters"
                raise BadParameter(f"{declared.name} is {allowed}, not {written[:64]!r}")
            return written
        case ParameterType.NUMBER | ParameterType.INTEGER:
            whole = declared.parameter_type is ParameterType.INTEGER
            try:
                value = int(written) if whole else float(written)
            except ValueError:
                kind = "a whole number" if whole else "a number"
                raise BadParameter(f"{declared.name} is {kind}, not {written[:64]!r}") from None
            if not declared.low <= value <= declared.high:
                raise BadParameter(f"{declared.name} is {declared.low:g} to {declared.high:g}, not {written[:64]}")
            return value
