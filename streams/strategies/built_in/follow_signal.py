"""Follow a signal: do what an AI says, less and less as its opinion ages, and nothing beyond its horizon."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from schemas.market import Bar, MarketCondition
from schemas.record import Part
from schemas.signal import AcceptedSignal, ProviderRole, Signal, SignalKind, SignalMode
from streams.strategies.plugin import Strategy, Value, Wish, flag, number, text

_FOLLOWED = (ProviderRole.CHAMPION, ProviderRole.CHALLENGER)


class Opinion(Part, frozen=True):
    """What is being followed.

    since_us: when it was made
    horizon_us: how long it holds
    size: what it asked for: a direction or, where `is_weight`, a share of equity
    wished: what was last wished for of it
    """

    signal_id: str
    provider_id: str
    since_us: int
    horizon_us: int
    size: float
    wished: float
    is_weight: bool
    probability: float | None = None


class FollowMemory(Part, frozen=True):
    """Parameters, the newest close, and the opinion followed, if any."""

    provider: str
    probability_min: float
    half_life: float
    step: float
    stop_fraction: float
    long_only: bool
    close: Decimal | None = None
    opinion: Opinion | None = None


class FollowSignal(Strategy[FollowMemory]):
    """Follows live opinions of champions and challengers, and each newer one instead of the older.

    A wish of size s fades as s x 0.5^(age / (half_life x horizon)), wished anew when it has lost `step` of the opinion;
    beyond the horizon it holds nothing. EXIT ends it at once. ABSTAIN lets the older opinion run its course.
    """

    name = "follow_signal"
    declares = (
        text("provider", "", meaning="whose signals are followed; empty for anybody's"),
        number("probability_min", 0.5, low=0.0, high=1.0, meaning="opinions less probable are ignored"),
        number("half_life", 1.0, low=0.01, high=100.0, meaning="share of the horizon in which an opinion loses half"),
        number("step", 0.25, low=0.01, high=1.0, meaning="loss of size that is worth a new wish"),
        number("stop_fraction", 0.0, low=0.0, high=0.9, meaning="distance of a protective stop; 0 for none"),
        flag("long_only", False, meaning="flat instead of short"),
    )
    memory_type = FollowMemory

    def begin(self, parameters: Mapping[str, Value]) -> FollowMemory:
        return FollowMemory(
            provider=str(parameters["provider"]),
            probability_min=float(parameters["probability_min"]),
            half_life=float(parameters["half_life"]),
            step=float(parameters["step"]),
            stop_fraction=float(parameters["stop_fraction"]),
            long_only=bool(parameters["long_only"]),
        )

    def on_signal(
        self, memory: FollowMemory, accepted: AcceptedSignal, condition: MarketCondition | None
    ) -> tuple[FollowMemory, Sequence[Wish]]:
        signal = accepted.signal
        if accepted.role not in _FOLLOWED or signal.mode is not SignalMode.LIVE:
            return memory, ()
        if memory.provider and signal.provider_id != memory.provider:
            return memory, ()
        if signal.kind is SignalKind.EXIT:
            return msgspec.structs.replace(memory, opinion=None), (Wish.flat(f"{signal.provider_id} says exit"),)
        probability = signal.probability if accepted.calibrated_probability is None else accepted.calibrated_probability
        size = _size(signal, memory.close)
        if size is None or (probability is not None and probability < memory.probability_min):
            return memory, ()
        if memory.long_only:
            size = max(size, 0.0)
        opinion = Opinion(
            signal_id=signal.signal_id,
            provider_id=signal.provider_id,
            since_us=signal.event_time_us,
            horizon_us=signal.horizon_us,
            size=size,
            wished=size,
            is_weight=signal.kind is SignalKind.TARGET_WEIGHT,
            probability=probability,
        )
        return msgspec.structs.replace(memory, opinion=opinion), (_wish(memory, opinion, "a new opinion"),)

    def on_bar(
        self, memory: FollowMemory, bar: Bar, condition: MarketCondition | None
    ) -> tuple[FollowMemory, Sequence[Wish]]:
        memory = msgspec.structs.replace(memory, close=bar.close)
        opinion = memory.opinion
        if opinion is None:
            return memory, ()
        # A bar on its way may be older than the opinion that passed it.
        age = max(0, bar.event_time_us - opinion.since_us) / opinion.horizon_us
        if age > 1:
            return msgspec.structs.replace(memory, opinion=None), (Wish.flat("the opinion is past its horizon"),)
        faded = opinion.size * 0.5 ** (age / memory.half_life)
        if abs(opinion.wished - faded) < memory.step * abs(opinion.size):
            return memory, ()
        opinion = msgspec.structs.replace(opinion, wished=faded)
        wish = _wish(memory, opinion, f"the opinion is {age:.0%} of its horizon old")
        return msgspec.structs.replace(memory, opinion=opinion), (wish,)


def _size(signal: Signal, close: Decimal | None) -> float | None:
    """What the signal asks for; None where it asks for nothing or cannot be understood."""
    match signal.kind:
        case SignalKind.DIRECTION:
            return signal.strength
        case SignalKind.TARGET_WEIGHT:
            return signal.target_weight
        case SignalKind.FORECAST:
            if signal.forecast_mean is None or not signal.forecast_deviation:
                return None
            return max(-1.0, min(1.0, signal.forecast_mean / signal.forecast_deviation))
        case SignalKind.TARGET_PRICE:
            if signal.target_price is None or close is None:
                return None
            return float((signal.target_price > close) - (signal.target_price < close))
        case SignalKind.EXIT | SignalKind.ABSTAIN:
            return None


def _wish(memory: FollowMemory, opinion: Opinion, reason: str) -> Wish:
    wish = Wish.weight(opinion.wished, reason) if opinion.is_weight else Wish.towards(opinion.wished, reason)
    stop = None
    if memory.stop_fraction and memory.close is not None and opinion.wished:
        distance = abs(memory.close) * Decimal(str(memory.stop_fraction))
        stop = memory.close - distance if opinion.wished > 0 else memory.close + distance
    return msgspec.structs.replace(
        wish,
        stop_price=stop,
        probability=opinion.probability,
        signal_id=opinion.signal_id,
        provider_id=opinion.provider_id,
    )
