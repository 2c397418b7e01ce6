"""Traces: the way of one signal to its fills, as spans of OpenTelemetry. Off unless a collector is named.

Ids are functions of causes here too. A trace is named by its signal, a span by who folded what; so a batch that is
folded again says the same, a process that is killed loses no thread, and a fill that a broker tells an hour later, to
another worker, finds the order that it belongs to. What a provider sends in `traceparent` is its own trace: ours
links to it.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Protocol

from schemas.execution import ExecutionReport
from schemas.ids import short_id
from schemas.order import SubmitOrder
from schemas.record import Record
from schemas.signal import AcceptedSignal, Signal

SAMPLED = "01"
ACCEPTOR, SUBMITTER = "signals", "execution"
"""Roles whose span of a signal, and of an order, is the parent of what comes later without a header."""
_PARENT = re.compile(rb"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class Hop:
    """One step on the way: a role took a record and said others.

    parent_id: span before it; empty where the trace begins
    link: the provider's own trace and span
    began_ms: when the record came to the log, wall clock
    """

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    link: tuple[str, str] | None
    began_ms: int
    attributes: tuple[tuple[str, str], ...]

    @property
    def header(self) -> bytes:
        """`traceparent` of what was said."""
        return f"00-{self.trace_id}-{self.span_id}-{SAMPLED}".encode()


class Spans(Protocol):
    """Where hops go when they are durable."""

    def tell(self, hops: Iterable[Hop], ended_ns: int) -> None:
        """These are done; from any thread, at once. ended_ns: wall clock."""

    def close(self) -> None:
        """Send what is left."""


def hop_of(
    role: str, record: Record, event_id: str, trace: bytes | None, said: Sequence[Record], began_ms: int
) -> Hop | None:
    """The step of a role that took this record and said these; None where it belongs to no signal.

    trace: `traceparent` as it came with the record
    """
    came = parsed(trace)
    parent_id, link = "", None
    if came is not None and not isinstance(record, Signal):
        trace_id, parent_id = came
    else:
        order_id = next(filter(None, (getattr(one, "client_order_id", "") for one in said)), "")
        # A fill may move other orders, of other signals: whose it is, only what it says of its own order tells.
        mine = [one for one in said if getattr(one, "client_order_id", "") == order_id]
        signal = next(filter(None, map(_signal_of, (record, *mine))), None)
        if signal is None or not isinstance(record, Signal | SubmitOrder | ExecutionReport):
            return None
        trace_id, link = _hex(signal, size=16), came
        if isinstance(record, SubmitOrder):
            # Not what the signal said, but what came of it, as a stop does: nobody stands between.
            parent_id = span_id(ACCEPTOR, short_id(signal))
        elif isinstance(record, ExecutionReport):
            parent_id = span_id(SUBMITTER, short_id(f"{SubmitOrder.__name__}/{order_id}"))
    kind = type(record).__name__
    told = [("record", kind), ("outputs", ",".join(type(one).__name__ for one in said))]
    told += [(name, value) for name in _TOLD if (value := str(getattr(record, name, "")))]
    attributes = tuple((f"quantumleap.{name}", value) for name, value in told)
    return Hop(f"{role} {kind}", trace_id, span_id(role, event_id), parent_id, link, began_ms, attributes)


_TOLD = ("account_id", "instrument_id", "signal_id", "client_order_id", "exec_id", "exec_type", "venue")


def span_id(role: str, event_id: str) -> str:
    """The span of what this role made of this record."""
    return _hex(role, event_id, size=8)


def parsed(trace: bytes | None) -> tuple[str, str] | None:
    """Trace and span of a `traceparent`; None where it is absent or malformed."""
    found = _PARENT.fullmatch(trace) if trace else None
    if found is None:
        return None
    trace_id, parent_id = found[1].decode(), found[2].decode()
    return (trace_id, parent_id) if int(trace_id, 16) and int(parent_id, 16) else None


def _signal_of(record: Record) -> str:
    """The identity of the signal that a record belongs to; empty where there is none."""
    if isinstance(record, Signal | AcceptedSignal):
        signal = record if isinstance(record, Signal) else record.signal
        return signal.source_key() or ""
    signal_id = getattr(record, "signal_id", "")
    return f"{Signal.__name__}/{getattr(record, 'provider_id', '')}/{signal_id}" if signal_id else ""


def _hex(*parts: str, size: int) -> str:
    return blake2b("\0".join(parts).encode(), digest_size=size).hexdigest()


class NoTraces(Exception):
    """Traces were asked for and cannot be told; the message says what is missing."""


class OpenTelemetrySpans:
    """Sends hops to a collector, in batches, from a thread of its own; what it does not take in time is dropped."""

    def __init__(self, processor: Any, environment: str):
        """`processor` is a SpanProcessor of OpenTelemetry's SDK."""
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - an extra

        self._processor = processor
        self._resource = Resource.create({"service.name": "quantumleap", "deployment.environment.name": environment})

    def tell(self, hops: Iterable[Hop], ended_ns: int) -> None:
        """See Spans."""
        for hop in hops:
            self._processor.on_end(self._span(hop, ended_ns))

    def close(self) -> None:
        """See Spans."""
        self._processor.shutdown()

    def _span(self, hop: Hop, ended_ns: int) -> Any:
        from opentelemetry.sdk.trace import ReadableSpan  # noqa: PLC0415 - an extra
        from opentelemetry.trace import Link, SpanContext, SpanKind, TraceFlags  # noqa: PLC0415

        def context(trace_id: str, parent_id: str, *, remote: bool) -> SpanContext:
            return SpanContext(int(trace_id, 16), int(parent_id, 16), remote, TraceFlags(TraceFlags.SAMPLED))

        began_ns = min(hop.began_ms * 1_000_000, ended_ns)
        return ReadableSpan(
            name=hop.name,
            context=context(hop.trace_id, hop.span_id, remote=False),
            parent=context(hop.trace_id, hop.parent_id, remote=True) if hop.parent_id else None,
            resource=self._resource,
            attributes=dict(hop.attributes),
            links=(Link(context(*hop.link, remote=True)),) if hop.link else (),
            kind=SpanKind.CONSUMER,
            start_time=began_ns,
            end_time=ended_ns,
        )


def spans_to(collector: str, environment: str) -> Spans | None:
    """Spans for the collector at this address (OTLP over HTTP); None without one. Raises NoTraces."""
    if not collector:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as error:
        raise NoTraces("traces need an extra: install quantumleap[traces], or unset traces_url") from error
    return OpenTelemetrySpans(BatchSpanProcessor(OTLPSpanExporter(endpoint=collector)), environment)
