"""What the room keeps of each instrument and of each partition. Every collection has a bound."""

from decimal import Decimal
from enum import StrEnum

import msgspec

from schemas.control import Parameter
from schemas.market import MarketCondition
from schemas.record import Part
from schemas.strategy import StrategyChange, StrategyCode
from streams.strategies.plugin import Wish


class Standing(StrEnum):
    """What control wants of an instance."""

    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    STOPPED = "STOPPED"


class Deployment(Part, frozen=True):
    """One instance, as control asked for it.

    deployed: times it was deployed: each begins with a new memory
    generation: times its parameters were set
    resumed: times it was resumed: each forgives the faults before it
    """

    strategy_id: str
    strategy_name: str
    instrument_id: str
    account_id: str
    parameters: tuple[Parameter, ...]
    standing: Standing
    deployed: int = 1
    generation: int = 1
    resumed: int = 0


class News(Part, frozen=True):
    """What a request did, kept until the instrument's own fold says it: a broadcast reaches every partition."""

    number: int
    strategy_id: str
    strategy_name: str
    account_id: str
    change: StrategyChange
    request_id: str
    author: str
    code: StrategyCode | None = None
    detail: str = ""
    parameters: tuple[Parameter, ...] = ()


class Floor(Part, frozen=True):
    """What all instruments of a partition share.

    now_us: newest clock tick; 0 before the first
    deployments: by strategy_id
    on_instrument: strategy ids by instrument, in order
    news: newest news by instrument
    requests: newest request ids, oldest first: the same request twice is one
    """

    now_us: int = 0
    deployments: dict[str, Deployment] = msgspec.field(default_factory=dict)
    on_instrument: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    news: dict[str, tuple[News, ...]] = msgspec.field(default_factory=dict)
    requests: tuple[str, ...] = ()


class Instance(Part, frozen=True):
    """One instance as its instrument knows it.

    generation, resumed, deployed: of the deployment when last looked at
    paused: as control wants it
    at_fault: paused by the engine until it is resumed
    wished: the wish that stands; None before the first
    silent_bars: bars since it was last written as an intent
    restate_bars, valid_us: the common parameters
    """

    strategy_name: str
    generation: int
    resumed: int
    deployed: int
    restate_bars: int
    valid_us: int
    paused: bool = False
    at_fault: bool = False
    wished: Wish | None = None
    silent_bars: int = 0


class Header(Part, frozen=True):
    """One instrument.

    told: number of the newest news said
    close: of the newest bar
    bars_us: end of the newest bar by kind and interval
    condition: newest
    heard: newest signal sequence by provider
    """

    instrument_id: str
    told: int = 0
    close: Decimal | None = None
    bars_us: dict[str, int] = msgspec.field(default_factory=dict)
    condition: MarketCondition | None = None
    heard: dict[str, int] = msgspec.field(default_factory=dict)


class Desk(Part, frozen=True):
    """Everything on one instrument: header, instances, and the memory of each."""

    header: Header
    instances: dict[str, Instance] = msgspec.field(default_factory=dict)
    memories: dict[str, Part] = msgspec.field(default_factory=dict)
