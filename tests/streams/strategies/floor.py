"""What tests of the room say: days with a close, requests, signals, and plug-ins that behave and misbehave."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from schemas.control import ClockTick, Parameter, StrategyControl, StrategyVerb
from schemas.intent import TradeIntent
from schemas.market import Bar, BarKind, MarketCondition, MarketStatus
from schemas.record import Part, Record
from schemas.scalars import DAY_US, SECOND_US
from schemas.signal import AcceptedSignal, ProviderRole, Signal
from schemas.strategy import StrategyEvent
from schemas.topics import STRATEGIES_INBOX
from streams.runtime.partition import Partition
from streams.strategies.catalogue import BUILT_IN
from streams.strategies.plugin import Strategy, Value, Wish, integer
from streams.strategies.room import Strategies
from tests.streams.signals.desk import signal

_Wanted = TypeVar("_Wanted", bound=Record)


def day_us(day: float) -> int:
    """Noon of a day."""
    return 18_267 * DAY_US + round((day + 0.5) * DAY_US)


def bar(day: float, close: float, **changes: Any) -> Bar:
    """A daily bar that ends at noon of the day."""
    price = Decimal(str(close))
    fields: dict[str, Any] = {
        "event_time_us": day_us(day),
        "instrument_id": "WTI",
        "interval_us": DAY_US,
        "kind": BarKind.TIME,
        "open": price,
        "high": price,
        "low": price,
        "close": price,
    }
    return Bar(**fields | changes)


def condition(day: float, volatility: float | None = 0.3, **changes: Any) -> MarketCondition:
    """An open market with this EWMA volatility."""
    fields: dict[str, Any] = {"event_time_us": day_us(day), "instrument_id": "WTI", "status": MarketStatus.OPEN}
    return MarketCondition(**fields | {"ewma_volatility": volatility} | changes)


def market(*closes: float, first: int = 0, volatility: float | None = 0.3) -> list[Bar | MarketCondition]:
    """A condition and a bar for each day."""
    return [
        record for day, close in enumerate(closes, first) for record in (condition(day, volatility), bar(day, close))
    ]


def accepted(day: float, number: int = 1, **changes: Any) -> AcceptedSignal:
    """A signal accepted at noon of the day: long, with a horizon of four days."""
    role = changes.pop("role", ProviderRole.CHAMPION)
    fields = {
        "event_time_us": day_us(day),
        "inputs_as_of_us": day_us(day),
        "valid_until_us": day_us(day) + 60 * SECOND_US,
        "horizon_us": 4 * DAY_US,
    }
    given: Signal = signal(number, **fields | changes)
    return AcceptedSignal(event_time_us=given.event_time_us, instrument_id="WTI", signal=given, role=role)


def control(verb: str, strategy_id: str = "one", name: str = "twitch", **parameters: Any) -> StrategyControl:
    """A request; its id says all there is to say of it, so that the same request is the same id."""
    request = parameters.pop("request", "")
    where = parameters.pop("on", "WTI")
    return StrategyControl(
        event_time_us=day_us(0),
        request_id=request or f"{verb}-{strategy_id}-{name}-{sorted(parameters.items())}",
        verb=StrategyVerb(verb),
        strategy_id=strategy_id,
        strategy_name=name,
        instrument_id=where,
        account_id="main",
        author="ann",
        reason="test",
        parameters=[Parameter(name=key, value=str(value)) for key, value in parameters.items()],
    )


def deploy(strategy_id: str = "one", name: str = "twitch", **parameters: Any) -> StrategyControl:
    """Deploy an instance."""
    return control("DEPLOY", strategy_id, name, **parameters)


class Count(Part, frozen=True):
    """Bars seen, and after how many something happens."""

    seen: int = 0
    at: int = 0


class Twitch(Strategy[Count]):
    """Turns round with every bar."""

    name = "twitch"
    memory_type = Count

    def begin(self, parameters: Mapping[str, Value]) -> Count:
        return Count()

    def on_bar(self, memory: Count, bar: Bar, condition: MarketCondition | None) -> tuple[Count, Sequence[Wish]]:
        memory = msgspec.structs.replace(memory, seen=memory.seen + 1)
        return memory, (Wish.towards(1.0 if memory.seen % 2 else -1.0, f"bar {memory.seen}"),)


class Failing(Twitch):
    """Misbehaves on its at-th bar."""

    declares = (integer("at", 1, low=1, high=1_000, meaning="bar on which it fails"),)

    def begin(self, parameters: Mapping[str, Value]) -> Count:
        return Count(at=int(parameters["at"]))

    def on_bar(self, memory: Count, bar: Bar, condition: MarketCondition | None) -> tuple[Count, Sequence[Wish]]:
        memory, wishes = super().on_bar(memory, bar, condition)
        return (memory, wishes) if memory.seen != memory.at else self.fail(memory)

    def fail(self, memory: Count) -> tuple[Count, Sequence[Wish]]:
        raise NotImplementedError


class Raising(Failing):
    name = "raising"

    def fail(self, memory: Count) -> tuple[Count, Sequence[Wish]]:
        raise ZeroDivisionError(f"by nought in {object()}")


class Flooding(Failing):
    name = "flooding"

    def fail(self, memory: Count) -> tuple[Count, Sequence[Wish]]:
        return memory, tuple(Wish.towards(i / 1000, "more") for i in range(1000))


class Nonsense(Failing):
    name = "nonsense"

    def fail(self, memory: Count) -> tuple[Count, Sequence[Wish]]:
        return memory, (Wish.towards(float("nan"), "what"),)


class Forgetful(Failing):
    name = "forgetful"

    def fail(self, memory: Count) -> Any:
        return None


class Sick(Twitch):
    """Raises where it should begin."""

    name = "sick"

    def begin(self, parameters: Mapping[str, Value]) -> Count:
        raise RuntimeError("not today")


CATALOGUE: Mapping[str, Strategy[Any]] = {
    plugin.name: plugin
    for plugin in (Twitch(), Raising(), Flooding(), Nonsense(), Forgetful(), Sick(), *BUILT_IN.values())
}


class Floor:
    """A room in memory, and all that it has said."""

    def __init__(self, *told: Record, catalogue: Mapping[str, Strategy[Any]] = CATALOGUE) -> None:
        self.partition = Partition(Strategies(catalogue))
        self.said: list[Record] = []
        self.tell(*told)

    @staticmethod
    def of(catalogue: Mapping[str, Strategy[Any]], before: "Floor") -> "Floor":
        """A room with another catalogue that goes on from the written states of this one."""
        floor = Floor(catalogue=catalogue)
        room, old = floor.partition._room, before.partition
        kept = {key: old._room.parts(state) for key, state in old.states.items()}
        for key, parts in kept.items():
            read = {
                name: msgspec.msgpack.decode(msgspec.msgpack.encode(part), type=room.part_types[name.partition(":")[0]])
                for name, part in parts.items()
            }
            floor.partition.states[key] = room.assemble(key, read)
        floor.partition.shared = old.shared
        return floor

    def tell(self, *records: Record) -> list[Record]:
        """Fold records in order; return what was said of them."""
        said = [out for record in records for out in self.partition.fold(STRATEGIES_INBOX.key_of(record), record)]
        self.said += said
        return said

    def intents(self, *records: Record) -> list[TradeIntent]:
        """Intents that these records caused."""
        return only(self.tell(*records), TradeIntent)

    def events(self) -> list[tuple[str, str]]:
        """Instance and change of every event so far."""
        return [(event.strategy_id, str(event.change)) for event in only(self.said, StrategyEvent)]


def only(records: Sequence[Record], kind: type[_Wanted]) -> list[_Wanted]:
    """Those of one type."""
    return [record for record in records if isinstance(record, kind)]


def tick(day: float) -> ClockTick:
    """The clock at noon of the day."""
    return ClockTick(event_time_us=day_us(day), clock_id="test")
