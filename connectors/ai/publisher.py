"""SignalPublisher: how an AI system hands its opinions to the engine. docs/publish-signals.md is its quick start.

Every signal is checked before it is sent, so that a mistake is an exception in the provider's own code and not a
refusal hours later. What only the engine can know (is the provider known, is the clock right, is it too much) is
answered on `signals.refused`, with a code.
"""

import asyncio
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from connectors.errors import ConnectorError
from schemas.edge import InvalidRecord, Problem, validate
from schemas.scalars import micros_of
from schemas.signal import Signal, SignalKind
from schemas.signing import signed

ACK_TIMEOUT_S = 35.0
"""Longer than a writer tries by itself."""

CARRIES: dict[str, SignalKind] = {
    "strength": SignalKind.DIRECTION,
    "target_weight": SignalKind.TARGET_WEIGHT,
    "target_price": SignalKind.TARGET_PRICE,
    "forecast_mean": SignalKind.FORECAST,
}
"""Kind of an opinion by the field that carries it."""


@dataclass(frozen=True, slots=True)
class Ack:
    """A signal is durable: nothing short of losing the whole log undoes it.

    signal_id: the signal's id
    sequence: its number within (provider, instrument)
    topic, partition, offset: where it lies
    """

    signal_id: str
    sequence: int
    topic: str
    partition: int
    offset: int


class NotAcknowledged(ConnectorError):
    """A signal may be in the inbox or not. Publishing it again is harmless: the engine accepts an id once."""

    def __init__(self, signal_id: str, reason: str) -> None:
        super().__init__(f"signal {signal_id} was not acknowledged: {reason}; publishing it again is harmless")


class SignalWriter(Protocol):
    """Carries checked signals into `signals.inbox`."""

    def send(self, signal: Signal) -> "Future[Ack]":
        """Begin to write; the future ends with the acknowledgement, or with NotAcknowledged."""
        ...


class SignalPublisher:
    """One provider's voice. Safe to use from several threads.

    signing_key: the provider's private key (`schemas.signing.new_keys`); every signal is signed with it.

    Sequences rise with the clock, so they go on rising after a restart. Publishing the same signal again is harmless:
    the engine accepts it once. Raises InvalidRecord for a signal that cannot be right, NotAcknowledged where nobody
    said that it is durable.
    """

    def __init__(
        self,
        writer: SignalWriter,
        *,
        provider_id: str,
        model_name: str,
        model_version: str,
        signing_key: str = "",
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1_000,
    ) -> None:
        self._writer = writer
        self._provider_id = provider_id
        self._model_name = model_name
        self._model_version = model_version
        self._signing_key = signing_key
        self._clock_us = clock_us
        self._sequences: dict[str, int] = {}
        self._lock = threading.Lock()

    def publish(
        self,
        instrument_id: str,
        *,
        horizon: timedelta,
        valid_for: timedelta,
        inputs_as_of: datetime | None = None,
        kind: SignalKind | None = None,
        signal_id: str = "",
        **fields: Any,
    ) -> Ack:
        """Make a signal of these fields (those of `schemas.signal.Signal`), check it, send it, await its ack.

        The kind is told by the field that carries the opinion (strength, target_weight, target_price, forecast_mean)
        unless it is given: EXIT and ABSTAIN carry nothing. Inputs are as of now unless it is said otherwise.
        """
        return self.publish_signal(
            self.signal(
                instrument_id,
                horizon=horizon,
                valid_for=valid_for,
                inputs_as_of=inputs_as_of,
                kind=kind,
                signal_id=signal_id,
                **fields,
            )
        )

    def signal(
        self,
        instrument_id: str,
        *,
        horizon: timedelta,
        valid_for: timedelta,
        inputs_as_of: datetime | None = None,
        kind: SignalKind | None = None,
        signal_id: str = "",
        **fields: Any,
    ) -> Signal:
        """The signal that `publish` would send, with the next sequence. Raises InvalidRecord for unknown fields."""
        unknown = fields.keys() - set(Signal.__struct_fields__)
        if unknown:
            raise _invalid(min(unknown), "", "must not be given: there is no such field")
        kind = kind or _kind(fields)
        with self._lock:
            now_us = self._clock_us()
            sequence = max(now_us, self._sequences.get(instrument_id, 0) + 1)
            self._sequences[instrument_id] = sequence
        return Signal(
            event_time_us=now_us,
            signal_id=signal_id or uuid.uuid4().hex,
            provider_id=self._provider_id,
            model_name=self._model_name,
            model_version=self._model_version,
            instrument_id=instrument_id,
            sequence=sequence,
            kind=kind,
            inputs_as_of_us=now_us if inputs_as_of is None else micros_of(inputs_as_of),
            valid_until_us=now_us + valid_for // timedelta(microseconds=1),
            horizon_us=horizon // timedelta(microseconds=1),
            **fields,
        )

    def publish_signal(self, signal: Signal, timeout_s: float = ACK_TIMEOUT_S) -> Ack:
        """Check and send a signal that was made elsewhere; return when it is durable."""
        check(signal)
        try:
            return self._writer.send(self._signed(signal)).result(timeout_s)
        except FutureTimeoutError as error:
            raise NotAcknowledged(signal.signal_id, f"no answer within {timeout_s:g} s") from error

    async def publish_async(self, signal: Signal) -> Ack:
        """As `publish_signal`, without blocking the event loop."""
        check(signal)
        return await asyncio.wrap_future(self._writer.send(self._signed(signal)))

    def _signed(self, signal: Signal) -> Signal:
        return signed(signal, self._signing_key) if self._signing_key else signal


def check(signal: Signal) -> None:
    """Raise InvalidRecord unless every field is right by itself, the opinion is there, and the times are in order."""
    validate(signal)
    carrying = [field for field, kind in CARRIES.items() if kind is signal.kind]
    if signal.kind is SignalKind.FORECAST:
        carrying.append("forecast_deviation")
    for field in carrying:
        if getattr(signal, field) is None:
            raise _invalid(field, "", f"must be given for {signal.kind}")
    if signal.inputs_as_of_us > signal.event_time_us:
        raise _invalid("inputs_as_of_us", str(signal.inputs_as_of_us), "must not be after the signal was made")
    if signal.valid_until_us <= signal.event_time_us:
        raise _invalid("valid_until_us", str(signal.valid_until_us), "must be after the signal was made")
    if signal.horizon_us <= 0:
        raise _invalid("horizon_us", str(signal.horizon_us), "must be above 0")


def _kind(fields: dict[str, Any]) -> SignalKind:
    """The kind of opinion that these fields carry. Raises InvalidRecord where they carry none, or two."""
    kinds = [kind for field, kind in CARRIES.items() if fields.get(field) is not None]
    if len(kinds) != 1:
        raise _invalid("kind", "", f"needs one of {', '.join(CARRIES)}, or EXIT or ABSTAIN said as kind")
    return kinds[0]


def _invalid(path: str, value: str, rule: str) -> InvalidRecord:
    return InvalidRecord(Signal, (Problem(path, value, rule),))
