"""The room: who folds what."""

from collections.abc import Mapping
from typing import ClassVar

import msgspec

from schemas.control import ClockTick
from schemas.record import Part, Record
from schemas.reference import Instrument
from schemas.signal import AcceptedSignal, ProviderControl, RefusedSignal, Signal
from schemas.topics import SIGNALS_INBOX, Topic
from streams.runtime.room import Outcome, Room
from streams.signals.rules import END_OF_TIME_US, ID_LENGTH_MAX, MINUTE_US, Case, Refusal, refusal_of
from streams.signals.state import Heard, Opinions, Provider, Registry

IDS_KEPT = 64
"""Signal ids remembered for each provider and instrument; the sequence refuses what is older."""
REQUESTS_KEPT = 256

_SILENT = Heard()


class Signals(Room[Opinions, Registry]):
    """Reads signals.inbox. Writes strategies.inbox, signals.refused. Keeps one Opinions for each instrument.

    A signal counts (sequence, id, rate) when it is accepted: one that was refused may be sent again. The rate is held
    for each provider and instrument, in whole minutes of the clock: instruments live in different partitions, and a
    burst may straddle two minutes.
    """

    name: ClassVar[str] = "signals"
    reads: ClassVar[Topic] = SIGNALS_INBOX
    part_types: ClassVar[Mapping[str, type[Part]]] = {"state": Opinions}
    shared_type: ClassVar[type[Part]] = Registry

    def begin(self, key: str) -> Opinions:
        return Opinions()

    def begin_shared(self) -> Registry:
        return Registry()

    def fold(self, state: Opinions, shared: Registry, record: Record) -> Outcome[Opinions]:
        if not isinstance(record, Signal):
            return Outcome(state)
        provider = shared.providers.get(record.provider_id)
        heard = state.heard.get(record.provider_id, _SILENT)
        refusal = refusal_of(Case(record, shared, provider, heard))
        if refusal is not None:
            return Outcome(state, (_refused(record, refusal, shared.now_us),))
        assert provider is not None
        kept = Opinions(heard={**state.heard, record.provider_id: _hearing(heard, record, shared.now_us)})
        return Outcome(kept, (_accepted(record, provider, shared.now_us),))

    def fold_shared(self, shared: Registry, record: Record) -> Outcome[Registry]:
        match record:
            case ClockTick() if record.event_time_us > shared.now_us:
                return Outcome(msgspec.structs.replace(shared, now_us=record.event_time_us))
            case Instrument() if record.version > shared.instruments.get(record.instrument_id, 0):
                instruments = {**shared.instruments, record.instrument_id: record.version}
                return Outcome(msgspec.structs.replace(shared, instruments=instruments))
            case ProviderControl() if record.request_id not in shared.requests:
                known = shared.providers.get(record.provider_id)
                return Outcome(
                    msgspec.structs.replace(
                        shared,
                        providers={**shared.providers, record.provider_id: _standing(known, record)},
                        requests=(*shared.requests, record.request_id)[-REQUESTS_KEPT:],
                    )
                )
            case _:
                return Outcome(shared)


def _standing(known: Provider | None, control: ProviderControl) -> Provider:
    """The provider as control wants it; of one that is not known only a key is kept, which is none."""
    wanted = Provider(
        role=control.role,
        rate_limit_per_minute=control.rate_limit_per_minute,
        ttl_max_us=control.ttl_max_us,
        public_key="" if control.keep_key else control.public_key,
    )
    if known is None:
        return wanted
    return msgspec.structs.replace(
        wanted,
        rate_limit_per_minute=known.rate_limit_per_minute if control.keep_rate else wanted.rate_limit_per_minute,
        ttl_max_us=known.ttl_max_us if control.keep_ttl else wanted.ttl_max_us,
        public_key=known.public_key if control.keep_key else wanted.public_key,
    )


def _hearing(heard: Heard, signal: Signal, now_us: int) -> Heard:
    """What is remembered once the signal is accepted."""
    minute = now_us // MINUTE_US
    return Heard(
        sequence=signal.sequence,
        signal_ids=(*heard.signal_ids, signal.signal_id)[-IDS_KEPT:],
        minute=minute,
        in_minute=heard.in_minute + 1 if heard.minute == minute else 1,
    )


def _accepted(signal: Signal, provider: Provider, now_us: int) -> AcceptedSignal:
    return AcceptedSignal(
        event_time_us=max(now_us, signal.event_time_us),
        instrument_id=signal.instrument_id,
        signal=signal,
        role=provider.role,
    )


def _refused(signal: Signal, refusal: Refusal, now_us: int) -> RefusedSignal:
    """The refusal repeats of the signal only what names it, cut to length: it may be 10 MB of text, at no real time."""
    return RefusedSignal(
        event_time_us=now_us or min(max(signal.event_time_us, 0), END_OF_TIME_US),
        signal_id=signal.signal_id[:ID_LENGTH_MAX],
        provider_id=signal.provider_id[:ID_LENGTH_MAX],
        instrument_id=signal.instrument_id[:ID_LENGTH_MAX],
        model_version=signal.model_version[:ID_LENGTH_MAX],
        code=refusal.code,
        value=refusal.value[:ID_LENGTH_MAX],
        limit=refusal.limit,
    )
