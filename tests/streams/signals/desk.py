"""What tests of the room say: a provider, a clock and an instrument it knows, and signals that differ in one field."""

from collections.abc import Iterable
from typing import Any

from schemas.control import ClockTick
from schemas.record import Record
from schemas.scalars import DAY_US, SECOND_US
from schemas.signal import AcceptedSignal, ProviderControl, ProviderRole, RefusedSignal, Signal, SignalKind
from schemas.topics import SIGNALS_INBOX
from streams.runtime.partition import Partition
from streams.signals.room import Signals
from tests.connectors.feeds.shared_sets import instrument

NOON_US = 18_267 * DAY_US + 12 * 3600 * SECOND_US
MINUTE_US = 60 * SECOND_US


def signal(number: int = 1, **changes: Any) -> Signal:
    """The number-th signal of `oracle` on WTI, made at noon, valid for a minute."""
    fields: dict[str, Any] = {
        "event_time_us": NOON_US,
        "signal_id": f"s-{number}",
        "provider_id": "oracle",
        "model_name": "delphi",
        "model_version": "1",
        "instrument_id": "WTI",
        "sequence": number,
        "kind": SignalKind.DIRECTION,
        "inputs_as_of_us": NOON_US - SECOND_US,
        "valid_until_us": NOON_US + MINUTE_US,
        "horizon_us": DAY_US,
        "strength": 1.0,
        "probability": 0.6,
    }
    return Signal(**fields | changes)


def introduced(request: str = "p-1", **changes: Any) -> ProviderControl:
    """The provider `oracle` is a champion that may say three things a minute, each valid for an hour at most."""
    fields: dict[str, Any] = {
        "event_time_us": 1,
        "request_id": request,
        "provider_id": "oracle",
        "role": ProviderRole.CHAMPION,
        "rate_limit_per_minute": 3,
        "ttl_max_us": 60 * MINUTE_US,
        "author": "ann",
        "reason": "test",
    }
    return ProviderControl(**fields | changes)


def tick(seconds: float = 0) -> ClockTick:
    """The clock, seconds after noon."""
    return ClockTick(event_time_us=NOON_US + round(seconds * SECOND_US), clock_id="test")


class Desk:
    """A room in memory that knows WTI, `oracle` and that it is noon, unless it is told otherwise."""

    def __init__(self, *told: Record) -> None:
        self.partition = Partition(Signals())
        self.tell(*(told or (instrument(), introduced(), tick())))

    def tell(self, *records: Record) -> list[Record]:
        """Fold records in order; return what was said of them."""
        return [out for record in records for out in self.partition.fold(SIGNALS_INBOX.key_of(record), record)]

    def codes(self, *records: Record) -> list[str]:
        """`accepted` or the code of refusal, for each answer."""
        return codes(self.tell(*records))


def codes(said: Iterable[Record]) -> list[str]:
    """`accepted` or the code of refusal, for each answer."""
    found = []
    for record in said:
        assert isinstance(record, AcceptedSignal | RefusedSignal)
        found.append("accepted" if isinstance(record, AcceptedSignal) else str(record.code))
    return found
