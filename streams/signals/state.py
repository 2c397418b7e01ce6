"""What the room keeps of each instrument and of each partition. Every collection has a bound."""

import msgspec

from schemas.record import Part
from schemas.signal import ProviderRole


class Heard(Part, frozen=True):
    """What one provider said of one instrument.

    sequence: of the newest accepted signal
    signal_ids: of the newest accepted signals, oldest first
    minute: whole minutes since 1970 in which the newest was accepted
    in_minute: accepted in that minute
    """

    sequence: int = 0
    signal_ids: tuple[str, ...] = ()
    minute: int = 0
    in_minute: int = 0


class Opinions(Part, frozen=True):
    """What each provider said of this instrument; only providers that were introduced are kept."""

    heard: dict[str, Heard] = msgspec.field(default_factory=dict)


class Provider(Part, frozen=True):
    """Standing of one provider.

    role: what its signals are good for
    rate_limit_per_minute: signals accepted in a minute, for each instrument
    ttl_max_us: longest validity accepted, microseconds
    public_key: with which its signals are signed; empty asks for no signature
    """

    role: ProviderRole
    rate_limit_per_minute: int
    ttl_max_us: int
    public_key: str = ""


class Registry(Part, frozen=True):
    """What all instruments of a partition share.

    now_us: newest clock tick; 0 before the first
    providers: those that were introduced
    instruments: ids that were defined
    requests: newest request ids, oldest first: the same request twice is one
    """

    now_us: int = 0
    providers: dict[str, Provider] = msgspec.field(default_factory=dict)
    instruments: dict[str, int] = msgspec.field(default_factory=dict)
    requests: tuple[str, ...] = ()
