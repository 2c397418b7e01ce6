"""Where a trace begins, goes on and ends; the whole way is shown over a simulated engine."""

import sys
from typing import Any

import pytest
from msgspec.structs import replace

from schemas.execution import ExecutionReport
from schemas.order import OrderEvent, SubmitOrder
from schemas.position import PnlSnapshot
from schemas.signal import AcceptedSignal, Signal
from streams.runtime.headers import root_id
from streams.runtime.traces import NoTraces, hop_of, parsed, span_id, spans_to
from tests.schemas.examples import example

THEIRS = b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"
SIGNAL: Signal = replace(example(Signal), provider_id="oracle", signal_id="s-1")


def begun(trace: bytes | None = None) -> Any:
    return hop_of("signals", SIGNAL, root_id(SIGNAL) or "", trace, (example(AcceptedSignal),), 1)


def test_a_signal_begins_a_trace_of_its_own_and_links_to_that_of_its_provider() -> None:
    alone, linked = begun(), begun(THEIRS)
    assert alone.parent_id == linked.parent_id == ""
    assert (alone.trace_id, alone.span_id) == (linked.trace_id, linked.span_id)
    assert alone.link is None
    assert linked.link == ("a" * 32, "b" * 16)


def test_a_step_goes_on_where_its_record_came_from() -> None:
    first = begun()
    second = hop_of("strategies", example(AcceptedSignal), "e1", first.header, (), 2)
    assert second is not None
    assert (second.trace_id, second.parent_id) == (first.trace_id, first.span_id)
    assert second.span_id == span_id("strategies", "e1") != first.span_id
    assert parsed(second.header) == (second.trace_id, second.span_id)


def test_what_a_broker_tells_without_a_header_finds_its_signal_and_its_order() -> None:
    submit = replace(example(SubmitOrder), client_order_id="o-1", provider_id="oracle", signal_id="s-1")
    sent = hop_of("execution", submit, root_id(submit) or "", None, (), 2)
    moved = replace(example(OrderEvent), client_order_id="o-1", provider_id="oracle", signal_id="s-1")
    told = hop_of("accounts", example(ExecutionReport), "e2", None, (moved,), 3)
    assert sent is not None
    assert told is not None
    assert begun().trace_id == sent.trace_id == told.trace_id
    assert sent.parent_id == begun().span_id
    assert told.parent_id == sent.span_id


def test_what_belongs_to_no_signal_has_no_trace() -> None:
    submit = replace(example(SubmitOrder), provider_id="", signal_id="")
    assert hop_of("execution", submit, "e", None, (), 1) is None
    assert hop_of("pnl", example(OrderEvent), "e", None, (example(PnlSnapshot),), 1) is None


@pytest.mark.parametrize(
    "header",
    [None, b"", b"nonsense", THEIRS[:-1], THEIRS + b"0", THEIRS.replace(b"a", b"g"), THEIRS.replace(b"a", b"0"),
     THEIRS.replace(b"b", b"0"), b"\xff" * 55],
)  # fmt: skip
def test_a_malformed_header_is_none(header: bytes | None) -> None:
    assert parsed(header) is None


def test_traces_are_off_until_a_collector_is_named() -> None:
    assert spans_to("", "paper") is None


def test_a_collector_without_the_extra_is_refused_with_the_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(NoTraces, match=r"install quantumleap\[traces\]"):
        spans_to("http://127.0.0.1:9/v1/traces", "paper")
