"""Signal records: an AI's opinion, and what became of it."""

from enum import StrEnum
from typing import ClassVar

from schemas.record import Part, Record
from schemas.scalars import Money, Price, UtcMicros


class SignalKind(StrEnum):
    DIRECTION = "DIRECTION"
    TARGET_WEIGHT = "TARGET_WEIGHT"
    TARGET_PRICE = "TARGET_PRICE"
    FORECAST = "FORECAST"
    EXIT = "EXIT"
    ABSTAIN = "ABSTAIN"


class SignalMode(StrEnum):
    LIVE = "LIVE"
    SHADOW = "SHADOW"


class ProviderRole(StrEnum):
    CHAMPION = "CHAMPION"
    CHALLENGER = "CHALLENGER"
    SHADOW = "SHADOW"
    MUTED = "MUTED"


class SignalRefusal(StrEnum):
    EXPIRED = "EXPIRED"
    CLOCK_INPUTS_AFTER_CREATION = "CLOCK_INPUTS_AFTER_CREATION"
    CLOCK_AHEAD = "CLOCK_AHEAD"
    CLOCK_UNKNOWN = "CLOCK_UNKNOWN"
    TTL_TOO_LONG = "TTL_TOO_LONG"
    DUPLICATE = "DUPLICATE"
    SEQUENCE_REPEATED = "SEQUENCE_REPEATED"
    RATE = "RATE"
    UNKNOWN_PROVIDER = "UNKNOWN_PROVIDER"
    UNKNOWN_INSTRUMENT = "UNKNOWN_INSTRUMENT"
    PROVIDER_MUTED = "PROVIDER_MUTED"
    NOT_A_NUMBER = "NOT_A_NUMBER"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    FIELD_MISSING = "FIELD_MISSING"
    TEXT_TOO_LONG = "TEXT_TOO_LONG"
    SIGNATURE = "SIGNATURE"


class Factor(Part, frozen=True):
    """One input that moved the opinion; for people only.

    name: what it is
    value: its value
    weight: its share in the opinion, signed
    """

    name: str
    value: float
    weight: float


class Signal(Record, frozen=True):
    """An AI provider's opinion on one instrument; the event time is when the provider made it.

    signal_id: the provider's id; the same id twice is one signal
    provider_id: who has the opinion
    model_name, model_version: what produced it; scores are kept for each version
    instrument_id: our id of the instrument
    sequence: number of the signal within (provider, instrument), rising
    kind: which of the fields below carry the opinion
    inputs_as_of_us: time of the newest input used; never after the event time
    valid_until_us: after this the opinion is dropped before risk
    horizon_us: how far ahead it looks, microseconds
    strength: direction and size of the opinion, -1 to 1; for DIRECTION
    target_weight: share of equity wished for, signed; for TARGET_WEIGHT
    target_price: price expected at the horizon; for TARGET_PRICE
    forecast_mean, forecast_deviation: expected return over the horizon and its standard deviation; for FORECAST
    probability: of the stated direction being right, 0 to 1
    confidence: the provider's own feeling, 0 to 1; never used for sizing before calibration
    mode: shadow signals are scored, not traded
    supersedes: signal_id of an opinion this one replaces
    summary: one or two sentences for people, untrusted text
    factors: what moved it, for people
    evidence: references, for people
    model_digest: digest of the model's content
    prompt_version: version of the prompt, for language models
    features_ref: where the stored inputs are
    tags: free words
    cost_tokens: tokens spent
    cost_usd: money spent, US dollars
    latency_ms: time the provider took, milliseconds
    signature: of the provider over all else, see schemas/signing.py; empty where it has no key
    """

    source_id: ClassVar[tuple[str, ...]] = ("provider_id", "signal_id")

    signal_id: str
    provider_id: str
    model_name: str
    model_version: str
    instrument_id: str
    sequence: int
    kind: SignalKind
    inputs_as_of_us: UtcMicros
    valid_until_us: UtcMicros
    horizon_us: int
    strength: float | None = None
    target_weight: float | None = None
    target_price: Price | None = None
    forecast_mean: float | None = None
    forecast_deviation: float | None = None
    probability: float | None = None
    confidence: float | None = None
    mode: SignalMode = SignalMode.LIVE
    supersedes: str | None = None
    summary: str = ""
    factors: list[Factor] = []
    evidence: list[str] = []
    model_digest: str = ""
    prompt_version: str = ""
    features_ref: str = ""
    tags: list[str] = []
    cost_tokens: int | None = None
    cost_usd: Money | None = None
    latency_ms: int | None = None
    signature: str = ""


class AcceptedSignal(Record, frozen=True):
    """A signal that passed; the event time is when it was accepted.

    instrument_id: our id of the instrument
    signal: the opinion as it came
    role: standing of its provider
    calibrated_probability: probability corrected by the provider's record; absent before there is one
    """

    source_id: ClassVar[tuple[str, ...]] = ("instrument_id", "signal_id_of")

    instrument_id: str
    signal: Signal
    role: ProviderRole
    calibrated_probability: float | None = None

    @property
    def signal_id_of(self) -> str:
        """The signal's identity across providers."""
        return f"{self.signal.provider_id}/{self.signal.signal_id}"


class RefusedSignal(Record, frozen=True):
    """A signal that did not pass, and why.

    signal_id: the provider's id
    provider_id: who had the opinion
    instrument_id: our id of the instrument
    model_version: what produced it
    code: the rule
    value: the value that decided, as text
    limit: the bound it broke, as text
    """

    signal_id: str
    provider_id: str
    instrument_id: str
    model_version: str
    code: SignalRefusal
    value: str
    limit: str = ""


class ProviderControl(Record, frozen=True):
    """A person or rule changes the standing of a provider.

    request_id: the same request twice is one
    provider_id: whom it concerns
    role: new standing
    rate_limit_per_minute: signals accepted in a minute
    ttl_max_us: longest validity accepted, microseconds
    author: who asked
    reason: why
    public_key: Ed25519 key with which its signals must be signed, Base64; empty asks for no signature
    keep_key: whether the key that is known stays, whatever `public_key` says
    keep_rate, keep_ttl: whether the rate, the longest validity of a known provider stays, whatever is said here
    """

    source_id: ClassVar[tuple[str, ...]] = ("request_id",)

    request_id: str
    provider_id: str
    role: ProviderRole
    rate_limit_per_minute: int
    ttl_max_us: int
    author: str
    reason: str
    public_key: str = ""
    keep_key: bool = False
    keep_rate: bool = False
    keep_ttl: bool = False
