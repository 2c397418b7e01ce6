"""Control: time, modes, switches, deployments and accounts, as records."""

from enum import StrEnum
from typing import ClassVar

from schemas.record import Part, Record
from schemas.scalars import Money, UtcMicros


class Mode(StrEnum):
    REPLAY = "REPLAY"
    PAPER = "PAPER"
    LIVE = "LIVE"


class TradingState(StrEnum):
    """What an account, or a part of it, may do: anything, only shrink positions, or nothing but cancel."""

    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    HALTED = "HALTED"


class Scope(StrEnum):
    GLOBAL = "GLOBAL"
    ACCOUNT = "ACCOUNT"
    STRATEGY = "STRATEGY"
    INSTRUMENT = "INSTRUMENT"
    PROVIDER = "PROVIDER"
    VENUE = "VENUE"


class KillVerb(StrEnum):
    PAUSE = "PAUSE"
    HALT = "HALT"
    FLATTEN = "FLATTEN"
    RESUME = "RESUME"


class StrategyVerb(StrEnum):
    DEPLOY = "DEPLOY"
    PAUSE = "PAUSE"
    RESUME = "RESUME"
    STOP = "STOP"
    CHANGE = "CHANGE"


class SizingMethod(StrEnum):
    FIXED_FRACTION = "FIXED_FRACTION"
    FIXED_RISK = "FIXED_RISK"
    VOLATILITY_TARGET = "VOLATILITY_TARGET"
    KELLY = "KELLY"


class MarginRegime(StrEnum):
    """How much an account may hold on its money: all paid, half of it, a quarter of it in the day, or isolated."""

    CASH = "CASH"
    REG_T = "REG_T"
    INTRADAY = "INTRADAY"
    CRYPTO_ISOLATED = "CRYPTO_ISOLATED"


class ClockTick(Record, frozen=True):
    """The time, for every room: wall time each second in live and paper, the feed's time in replay.

    clock_id: which clock
    """

    source_id: ClassVar[tuple[str, ...]] = ("clock_id", "event_time_us")

    clock_id: str


class KillSwitch(Record, frozen=True):
    """Stop, or allow again. Folds see it in their inbox; execution reads it from `control.kill` as well.

    request_id: the same request twice is one; both topics carry the same
    version: rises with every request of one scope
    scope: what it covers
    scope_id: which account, strategy instance, instrument, provider or venue; empty for GLOBAL
    verb: pause (no new risk), halt (also cancels working orders), flatten (also closes positions), resume
    author: who asked
    reason: why
    """

    source_id: ClassVar[tuple[str, ...]] = ("request_id",)

    request_id: str
    version: int
    scope: Scope
    scope_id: str
    verb: KillVerb
    author: str
    reason: str

    @property
    def scope_key(self) -> str:
        """Key in the compacted topic: the newest record of a scope is its state."""
        return f"{self.scope}/{self.scope_id}"


class Parameter(Part, frozen=True):
    """One named setting of a strategy.

    name: as the strategy declares it
    value: as text; the strategy parses and checks it
    """

    name: str
    value: str


class StrategyControl(Record, frozen=True):
    """Deploy, pause, resume, stop or re-parameterise one instance (strategy, instrument, account).

    request_id: the same request twice is one
    verb: what to do
    strategy_id: the instance
    strategy_name: the plug-in; for DEPLOY
    instrument_id: our id of the instrument
    account_id: who trades
    parameters: for DEPLOY and CHANGE
    author: who asked
    reason: why
    """

    source_id: ClassVar[tuple[str, ...]] = ("request_id",)

    request_id: str
    verb: StrategyVerb
    strategy_id: str
    strategy_name: str
    instrument_id: str
    account_id: str
    author: str
    reason: str
    parameters: list[Parameter] = []


class AccountOpened(Record, frozen=True):
    """An account exists from here on.

    account_id: its id
    request_id: the same request twice is one
    base_currency: equity and limits are in it
    venue: broker that trades for it
    mode: its orders carry it
    sizing: how wishes become quantities
    author: who opened it
    margin: what it may hold on its money
    """

    source_id: ClassVar[tuple[str, ...]] = ("account_id",)

    account_id: str
    request_id: str
    base_currency: str
    venue: str
    mode: Mode
    sizing: SizingMethod
    author: str
    margin: MarginRegime = MarginRegime.CASH


class CashMovement(Record, frozen=True):
    """Money comes in or goes out, other than by trading.

    account_id: whose
    movement_id: the same movement twice is one
    currency: ISO code or coin
    amount: positive in, negative out
    reason: deposit, withdrawal, dividend, funding, interest
    """

    source_id: ClassVar[tuple[str, ...]] = ("account_id", "movement_id")

    account_id: str
    movement_id: str
    currency: str
    amount: Money
    reason: str


class Environment(Record, frozen=True):
    """The mode of an environment, fixed when it is made.

    name: names every topic, group, transactional id and database
    mode: replay, paper or live
    author: who made it
    made_at_us: wall time of its making, microseconds of UTC
    """

    source_id: ClassVar[tuple[str, ...]] = ("name",)

    name: str
    mode: Mode
    author: str
    made_at_us: UtcMicros = 0
