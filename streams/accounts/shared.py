"""What every account of a partition knows: the time, instruments, marks, fees, sessions, strategies and switches."""

from collections.abc import Iterable
from decimal import Decimal
from math import log

from msgspec import field
from msgspec.structs import replace

from schemas.control import ClockTick, KillSwitch, KillVerb, Scope, StrategyControl, StrategyVerb, TradingState
from schemas.market import Mark, MarkBatch
from schemas.record import Part, Record
from schemas.reference import (
    CorporateAction,
    CorporateActionKind,
    FeeSchedule,
    Instrument,
    InstrumentClass,
    TradingSession,
    TradingStatus,
)
from schemas.scalars import DAY_US, SECOND_US, rounded
from streams.accounts.days import day_of

WINDOW_US = 300 * SECOND_US
"""Length of one of the two windows over which the price collar looks back."""

FAST_DECAY, SLOW_DECAY = 0.94, 0.99
"""Weights of the past in the fast and the slow variance of returns; their ratio is the volatility regime."""

RETURNS_MIN = 10
"""Returns needed before a variance is believed."""

VOLUME_DECAY = 0.9
"""Weight of the past in the average daily volume."""


class Time(Part, frozen=True):
    """now_us, before_us: newest tick of the clock and the one before it; 0 before the first."""

    now_us: int = 0
    before_us: int = 0


class KnownMark(Part, frozen=True):
    """The newest mark of an instrument, and what its past tells.

    last, low, high, at_us: of the newest mark; low and high since the one before
    day: day of the newest mark, by `day_of`; day_first: its first mark; close: last mark of the day before it,
        and close_day that day
    window_us: start of the present collar window, with its low and high; and those of the window before
    fast, slow: variances of returns per day; returns: how many they saw
    sample_us, sample: mark from which the next return is measured
    day_volume, mean_volume: of the present day so far, and of a day on average; absent where the feed gives none
    """

    last: Decimal
    low: Decimal
    high: Decimal
    at_us: int
    day: int
    day_first: Decimal
    close: Decimal | None = None
    close_day: int = 0
    window_us: int = 0
    window_low: Decimal = Decimal(0)
    window_high: Decimal = Decimal(0)
    before_low: Decimal | None = None
    before_high: Decimal | None = None
    fast: float = 0.0
    slow: float = 0.0
    returns: int = 0
    sample_us: int = 0
    sample: Decimal = Decimal(0)
    day_volume: Decimal | None = None
    mean_volume: float | None = None


class Standing(Part, frozen=True):
    """A deployed strategy instance: who it is, for which account and instrument, and whether it runs."""

    strategy_id: str
    strategy_name: str
    account_id: str
    instrument_id: str
    running: bool
    requests: tuple[str, ...] = ()


class Switch(Part, frozen=True):
    """The newest word of the kill switch on one scope."""

    scope: Scope
    scope_id: str
    verb: KillVerb
    version: int
    request_id: str
    since_us: int


class KnownAction(Part, frozen=True):
    """The newest corporate action of an instrument. times: how often it came; only the first time counts."""

    version: int
    times: int


class Shared(Part, frozen=True):
    """The shared state of a partition. pairs: instrument that prices one unit of a currency in another, `EUR/USD`."""

    time: Time = Time()
    instruments: dict[str, Instrument] = field(default_factory=dict)
    marks: dict[str, KnownMark] = field(default_factory=dict)
    fees: dict[str, FeeSchedule] = field(default_factory=dict)
    calendars: dict[str, TradingSession] = field(default_factory=dict)
    statuses: dict[str, TradingStatus] = field(default_factory=dict)
    strategies: dict[str, Standing] = field(default_factory=dict)
    switches: dict[str, Switch] = field(default_factory=dict)
    pairs: dict[str, str] = field(default_factory=dict)
    actions: dict[str, KnownAction] = field(default_factory=dict)


SWITCHED = {
    KillVerb.PAUSE: TradingState.REDUCING,
    KillVerb.HALT: TradingState.HALTED,
    KillVerb.FLATTEN: TradingState.HALTED,
    KillVerb.RESUME: TradingState.ACTIVE,
}
"""Trading state that each verb of the kill switch stands for."""

PRICES_CURRENCY = frozenset({InstrumentClass.FX, InstrumentClass.CRYPTO_SPOT})
"""Classes whose mark is the rate of two currencies."""


def fold(shared: Shared, record: Record) -> Shared:
    """The shared state after a broadcast record; the same object where nothing is new."""
    match record:
        case MarkBatch():
            return _marks(shared, record)
        case ClockTick():
            return _tick(shared, record)
        case Instrument():
            return _instrument(shared, record)
        case FeeSchedule():
            known = shared.fees.get(record.venue)
            if known is not None and known.version >= record.version:
                return shared
            return replace(shared, fees={**shared.fees, record.venue: record})
        case TradingSession():
            session = shared.calendars.get(record.calendar)
            if session is not None and session.version >= record.version:
                return shared
            return replace(shared, calendars={**shared.calendars, record.calendar: record})
        case TradingStatus():
            return _status(shared, record)
        case CorporateAction():
            return _action(shared, record)
        case StrategyControl():
            return _strategy(shared, record)
        case KillSwitch():
            return _switch(shared, record)
        case _:
            return shared


def is_newer(shared: Shared, mark: Mark) -> bool:
    """Whether this mark is the newest one known, as it is after its batch folded."""
    known = shared.marks.get(mark.instrument_id)
    return known is not None and known.at_us == mark.event_time_us


def is_first(shared: Shared, action: CorporateAction) -> bool:
    """Whether this action came for the first time, as it is after it folded."""
    known = shared.actions.get(action.instrument_id)
    return known is not None and known == KnownAction(action.version, 1)


def _status(shared: Shared, status: TradingStatus) -> Shared:
    known = shared.statuses.get(status.instrument_id)
    if known is not None and known.version >= status.version:
        return shared
    return replace(shared, statuses={**shared.statuses, status.instrument_id: status})


def _action(shared: Shared, action: CorporateAction) -> Shared:
    """Remember the action; the mark before a split is worth what it was in new units."""
    name = action.instrument_id
    known = shared.actions.get(name)
    if not action.sound or (known is not None and known.version > action.version):
        return shared
    again = known is not None and known.version == action.version
    times = 1 if known is None or not again else known.times + 1
    shared = replace(shared, actions={**shared.actions, name: KnownAction(action.version, times)})
    mark = shared.marks.get(name)
    if again or mark is None or action.kind is not CorporateActionKind.SPLIT or action.ratio is None:
        return shared
    return replace(shared, marks={**shared.marks, name: _split(mark, action.ratio)})


PRICES = (
    "last", "low", "high", "day_first", "close", "window_low", "window_high", "before_low", "before_high", "sample",
)  # fmt: skip
"""Of a mark, what a split divides."""


def _split(mark: KnownMark, ratio: Decimal) -> KnownMark:
    changed = {name: rounded(price / ratio) for name in PRICES if (price := getattr(mark, name)) is not None}
    volume = None if mark.day_volume is None else rounded(mark.day_volume * ratio)
    mean = None if mark.mean_volume is None else mark.mean_volume * float(ratio)
    return replace(mark, **changed, day_volume=volume, mean_volume=mean)


def _tick(shared: Shared, tick: ClockTick) -> Shared:
    if tick.event_time_us <= shared.time.now_us:
        return shared
    return replace(shared, time=Time(now_us=tick.event_time_us, before_us=shared.time.now_us))


def _marks(shared: Shared, batch: MarkBatch) -> Shared:
    marks: dict[str, KnownMark] | None = None
    for mark in batch.marks:
        known = shared.marks.get(mark.instrument_id)
        if known is not None and mark.event_time_us <= known.at_us:
            continue
        if not mark.last.is_finite():
            continue
        if marks is None:
            marks = dict(shared.marks)
        marks[mark.instrument_id] = _first(mark) if known is None else _next(known, mark)
    return shared if marks is None else replace(shared, marks=marks)


def _first(mark: Mark) -> KnownMark:
    return KnownMark(
        last=mark.last, low=mark.low, high=mark.high, at_us=mark.event_time_us,
        day=day_of(mark.event_time_us), day_first=mark.last,
        window_us=mark.event_time_us, window_low=mark.low, window_high=mark.high, day_volume=mark.volume,
        sample_us=mark.event_time_us, sample=mark.last,
    )  # fmt: skip


def _next(known: KnownMark, mark: Mark) -> KnownMark:
    at_us = mark.event_time_us
    day = day_of(at_us)
    new_day = day != known.day
    before_low, before_high = known.before_low, known.before_high
    if at_us - known.window_us >= WINDOW_US:
        window_us, low, high = at_us, mark.low, mark.high
        before_low, before_high = known.window_low, known.window_high
    else:
        window_us = known.window_us
        low = mark.low if mark.low < known.window_low else known.window_low
        high = mark.high if mark.high > known.window_high else known.window_high
    fast, slow, returns, sample_us, sample = known.fast, known.slow, known.returns, known.sample_us, known.sample
    if at_us - sample_us >= WINDOW_US:
        fast, slow, returns = _variances(known, mark)
        sample_us, sample = at_us, mark.last
    day_volume, mean_volume = known.day_volume, known.mean_volume
    if new_day and day_volume is not None:
        past = float(day_volume)
        mean_volume = past if mean_volume is None else VOLUME_DECAY * mean_volume + (1 - VOLUME_DECAY) * past
        day_volume = mark.volume
    elif mark.volume is not None:
        day_volume = mark.volume if day_volume is None else day_volume + mark.volume
    return KnownMark(
        mark.last, mark.low, mark.high, at_us, day,
        mark.last if new_day else known.day_first,
        known.last if new_day else known.close, known.day if new_day else known.close_day,
        window_us, low, high, before_low, before_high,
        fast, slow, returns, sample_us, sample, day_volume, mean_volume,
    )  # fmt: skip


def _variances(known: KnownMark, mark: Mark) -> tuple[float, float, int]:
    """Exponentially weighted variances of returns per day; prices at or below zero have none and are skipped.

    Returns are measured over a collar window at least: from one mark to the next, noise would pass for volatility.
    """
    last, before = float(mark.last), float(known.sample)
    if last <= 0 or before <= 0:
        return known.fast, known.slow, known.returns
    days = (mark.event_time_us - known.sample_us) / DAY_US
    square = log(last / before) ** 2 / days
    if not known.returns:
        return square, square, 1
    return (
        FAST_DECAY * known.fast + (1 - FAST_DECAY) * square,
        SLOW_DECAY * known.slow + (1 - SLOW_DECAY) * square,
        known.returns + 1,
    )


def _instrument(shared: Shared, instrument: Instrument) -> Shared:
    known = shared.instruments.get(instrument.instrument_id)
    if known is not None and known.version >= instrument.version:
        return shared
    instruments = {**shared.instruments, instrument.instrument_id: instrument}
    return replace(shared, instruments=instruments, pairs=pairs_of(instruments.values()))


def pairs_of(instruments: Iterable[Instrument]) -> dict[str, str]:
    """Which instrument prices one currency in another; of several the first by id, whatever order they came in."""
    pairs: dict[str, str] = {}
    for instrument in sorted(instruments, key=lambda one: one.instrument_id):
        if instrument.instrument_class in PRICES_CURRENCY and instrument.base_currency:
            pairs.setdefault(f"{instrument.base_currency}/{instrument.quote_currency}", instrument.instrument_id)
    return pairs


REQUESTS_KEPT = 16
"""Requests remembered for each strategy, so that one repeated late changes nothing."""


def _strategy(shared: Shared, control: StrategyControl) -> Shared:
    known = shared.strategies.get(control.strategy_id)
    if known is not None and control.request_id in known.requests:
        return shared
    requests = (*(known.requests if known is not None else ()), control.request_id)[-REQUESTS_KEPT:]
    if control.verb is StrategyVerb.DEPLOY:
        standing = Standing(
            strategy_id=control.strategy_id, strategy_name=control.strategy_name, account_id=control.account_id,
            instrument_id=control.instrument_id, running=True, requests=requests,
        )  # fmt: skip
    elif known is None:
        return shared
    else:
        running = known.running
        if control.verb in (StrategyVerb.PAUSE, StrategyVerb.STOP):
            running = False
        elif control.verb is StrategyVerb.RESUME:
            running = True
        standing = replace(known, running=running, requests=requests)
    return replace(shared, strategies={**shared.strategies, control.strategy_id: standing})


def _switch(shared: Shared, kill: KillSwitch) -> Shared:
    known = shared.switches.get(kill.scope_key)
    if known is not None and kill.version <= known.version:
        return shared
    switch = Switch(
        scope=kill.scope, scope_id=kill.scope_id, verb=kill.verb, version=kill.version, request_id=kill.request_id,
        since_us=kill.event_time_us,
    )  # fmt: skip
    return replace(shared, switches={**shared.switches, kill.scope_key: switch})
