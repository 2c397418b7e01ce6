"""Rules: why a signal is refused. Every rule is a row of `RULES`; the first that objects gives the code.

Time is the newest clock tick, never the wall clock. What a provider says is not believed before it is checked: text is
measured before it is copied, and a number is finite before it is compared.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from schemas.scalars import SECOND_US, InvalidScalar, check_decimal, iso_of
from schemas.signal import ProviderRole, Signal, SignalKind, SignalRefusal
from schemas.signing import is_signed
from streams.signals.state import Heard, Provider, Registry

SKEW_US = 2 * SECOND_US
"""How far a provider's clock may run ahead of ours."""
ID_LENGTH_MAX = 128
TEXT_LENGTH_MAX = 500
LIST_LENGTH_MAX = 10
MINUTE_US = 60 * SECOND_US
WEIGHT_MAX = 100.0
END_OF_TIME_US = 4_102_444_800 * SECOND_US
"""The year 2100: a later time is no time."""

REQUIRED: dict[SignalKind, tuple[str, ...]] = {
    SignalKind.DIRECTION: ("strength",),
    SignalKind.TARGET_WEIGHT: ("target_weight",),
    SignalKind.TARGET_PRICE: ("target_price",),
    SignalKind.FORECAST: ("forecast_mean", "forecast_deviation"),
    SignalKind.EXIT: (),
    SignalKind.ABSTAIN: (),
}
"""Fields that carry the opinion, by kind."""

BOUNDS: dict[str, tuple[float, float]] = {
    "strength": (-1.0, 1.0),
    "probability": (0.0, 1.0),
    "confidence": (0.0, 1.0),
    "target_weight": (-WEIGHT_MAX, WEIGHT_MAX),
    "forecast_mean": (-WEIGHT_MAX, WEIGHT_MAX),
    "forecast_deviation": (0.0, WEIGHT_MAX),
}
"""Inclusive bounds of every number that a rule or a strategy may use."""


class Refusal(NamedTuple):
    """Why, with the value that decided and the bound it broke."""

    code: SignalRefusal
    value: str
    limit: str = ""


class Case(NamedTuple):
    """A signal and what is known of it; `provider` is None where it was never introduced."""

    signal: Signal
    registry: Registry
    provider: Provider | None
    heard: Heard


Rule = Callable[[Case], Refusal | None]


def _text(case: Case) -> Refusal | None:
    signal = case.signal
    for name in ("signal_id", "provider_id", "instrument_id", "model_name", "model_version", "supersedes"):
        text = getattr(signal, name)
        if text is not None and len(text) > ID_LENGTH_MAX:
            return Refusal(SignalRefusal.TEXT_TOO_LONG, f"{name}: {len(text)}", str(ID_LENGTH_MAX))
    for name in ("summary", "model_digest", "prompt_version", "features_ref", "signature"):
        text = getattr(signal, name)
        if len(text) > TEXT_LENGTH_MAX:
            return Refusal(SignalRefusal.TEXT_TOO_LONG, f"{name}: {len(text)}", str(TEXT_LENGTH_MAX))
    for name in ("factors", "evidence", "tags"):
        members = getattr(signal, name)
        if len(members) > LIST_LENGTH_MAX:
            return Refusal(SignalRefusal.TEXT_TOO_LONG, f"{name}: {len(members)} members", str(LIST_LENGTH_MAX))
    texts = [*signal.evidence, *signal.tags, *(factor.name for factor in signal.factors)]
    longest = max(map(len, texts), default=0)
    if longest > TEXT_LENGTH_MAX:
        return Refusal(SignalRefusal.TEXT_TOO_LONG, f"evidence, tags or factors: {longest}", str(TEXT_LENGTH_MAX))
    return None


def _instrument(case: Case) -> Refusal | None:
    if case.signal.instrument_id not in case.registry.instruments:
        return Refusal(SignalRefusal.UNKNOWN_INSTRUMENT, case.signal.instrument_id)
    return None


def _provider(case: Case) -> Refusal | None:
    if case.provider is None:
        return Refusal(SignalRefusal.UNKNOWN_PROVIDER, case.signal.provider_id)
    if case.provider.role is ProviderRole.MUTED:
        return Refusal(SignalRefusal.PROVIDER_MUTED, case.signal.provider_id)
    return None


def _signature(case: Case) -> Refusal | None:
    signal, provider = case.signal, case.provider
    if provider is None or not provider.public_key or is_signed(signal, provider.public_key):
        return None
    return Refusal(SignalRefusal.SIGNATURE, "wrong" if signal.signature else "absent", provider.public_key)


def _fields(case: Case) -> Refusal | None:
    signal = case.signal
    for name in ("signal_id", "provider_id", "model_name", "model_version"):
        if not getattr(signal, name):
            return Refusal(SignalRefusal.FIELD_MISSING, name)
    for name in REQUIRED[signal.kind]:
        if getattr(signal, name) is None:
            return Refusal(SignalRefusal.FIELD_MISSING, name, signal.kind)
    return None


def _numbers(case: Case) -> Refusal | None:
    signal = case.signal
    for name, (low, high) in BOUNDS.items():
        number = getattr(signal, name)
        if number is None:
            continue
        if not math.isfinite(number):
            return Refusal(SignalRefusal.NOT_A_NUMBER, f"{name}: {number}")
        if not low <= number <= high:
            return Refusal(SignalRefusal.OUT_OF_RANGE, f"{name}: {number:g}", f"{low:g} to {high:g}")
    for factor in signal.factors:
        if not (math.isfinite(factor.value) and math.isfinite(factor.weight)):
            return Refusal(SignalRefusal.NOT_A_NUMBER, "factors")
    return None


def _amounts(case: Case) -> Refusal | None:
    signal = case.signal
    for name in ("target_price", "cost_usd"):
        amount = getattr(signal, name)
        if amount is None:
            continue
        if not amount.is_finite():
            return Refusal(SignalRefusal.NOT_A_NUMBER, f"{name}: {amount}")
        try:
            check_decimal(amount)
        except InvalidScalar:
            return Refusal(SignalRefusal.OUT_OF_RANGE, f"{name}: {amount:.20g}", "what the wire can hold")
    return None


def _times(case: Case) -> Refusal | None:
    signal = case.signal
    if signal.horizon_us <= 0 or signal.sequence <= 0:
        name = "horizon_us" if signal.horizon_us <= 0 else "sequence"
        return Refusal(SignalRefusal.OUT_OF_RANGE, f"{name}: {getattr(signal, name)}", "above 0")
    for name in ("event_time_us", "inputs_as_of_us", "valid_until_us", "horizon_us"):
        if not 0 < getattr(signal, name) < END_OF_TIME_US:
            return Refusal(SignalRefusal.OUT_OF_RANGE, f"{name}: {getattr(signal, name)}", iso_of(END_OF_TIME_US))
    return None


def _clock(case: Case) -> Refusal | None:
    signal, now_us = case.signal, case.registry.now_us
    created_us = signal.event_time_us
    if not now_us:
        return Refusal(SignalRefusal.CLOCK_UNKNOWN, iso_of(created_us), "no clock tick yet")
    if signal.inputs_as_of_us > created_us:
        return Refusal(SignalRefusal.CLOCK_INPUTS_AFTER_CREATION, iso_of(signal.inputs_as_of_us), iso_of(created_us))
    if created_us > now_us + SKEW_US:
        return Refusal(SignalRefusal.CLOCK_AHEAD, iso_of(created_us), iso_of(now_us + SKEW_US))
    return None


def _validity(case: Case) -> Refusal | None:
    signal, provider = case.signal, case.provider
    ttl_us = signal.valid_until_us - signal.event_time_us
    if provider is not None and ttl_us > provider.ttl_max_us:
        return Refusal(SignalRefusal.TTL_TOO_LONG, f"{ttl_us} us", f"{provider.ttl_max_us} us")
    if signal.valid_until_us < max(case.registry.now_us, signal.event_time_us):
        return Refusal(SignalRefusal.EXPIRED, iso_of(signal.valid_until_us), iso_of(case.registry.now_us))
    return None


def _once(case: Case) -> Refusal | None:
    signal, heard = case.signal, case.heard
    if signal.signal_id in heard.signal_ids:
        return Refusal(SignalRefusal.DUPLICATE, signal.signal_id)
    if signal.sequence <= heard.sequence:
        return Refusal(SignalRefusal.SEQUENCE_REPEATED, str(signal.sequence), f"above {heard.sequence}")
    return None


def _rate(case: Case) -> Refusal | None:
    heard, provider = case.heard, case.provider
    if provider is None:
        return None
    in_minute = heard.in_minute if heard.minute == case.registry.now_us // MINUTE_US else 0
    if in_minute >= provider.rate_limit_per_minute:
        return Refusal(SignalRefusal.RATE, str(in_minute + 1), f"{provider.rate_limit_per_minute} a minute")
    return None


RULES: tuple[Rule, ...] = (
    _text, _instrument, _provider, _signature, _fields, _numbers, _amounts, _times, _clock, _validity, _once, _rate,
)  # fmt: skip
"""In the order in which they are asked: what the later need, the earlier have made sure of."""


def refusal_of(case: Case) -> Refusal | None:
    """The first objection, or None: the signal is accepted."""
    for rule in RULES:
        refusal = rule(case)
        if refusal is not None:
            return refusal
    return None
