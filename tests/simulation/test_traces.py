"""A signal is one trace, to its fills: over all rooms, execution and a venue, with and without workers that die."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from streams.runtime.traces import Hop, OpenTelemetrySpans
from tests.simulation.chain import ENGINE
from tests.simulation.histories import plan_of, run

SEEDS = 12
WAY = [
    "signals Signal", "strategies AcceptedSignal", "accounts TradeIntent", "execution SubmitOrder",
    "accounts ExecutionReport",
]  # fmt: skip


class Kept:
    """Keeps every hop as it was told."""

    def __init__(self) -> None:
        self.hops: list[Hop] = []

    def tell(self, hops: Iterable[Hop], ended_ns: int) -> None:
        self.hops += hops

    def close(self) -> None:
        """Nothing is left."""


def told(seed: int, *, well: bool) -> list[Hop]:
    """Hops of one history; where all is well nobody dies or sleeps."""
    plan, kept = plan_of(seed, ENGINE), Kept()
    run(replace(plan, faults=()) if well else plan, spans=kept)
    return kept.hops


def fills(hops: Iterable[Hop]) -> list[Hop]:
    """Hops by which an account learnt of a fill."""
    return [hop for hop in hops if hop.name == WAY[-1] and ("quantumleap.exec_type", "TRADE") in hop.attributes]


@pytest.fixture(scope="module")
def well() -> list[list[Hop]]:
    return [told(seed, well=True) for seed in range(SEEDS)]


def test_every_fill_of_a_signal_s_order_leads_back_to_the_signal(well: list[list[Hop]]) -> None:
    ways = []
    for hops in well:
        spans = {hop.span_id: hop for hop in hops}
        for fill in fills(hops):
            way = [fill]
            while way[-1].parent_id:
                way.append(spans[way[-1].parent_id])
            assert {hop.trace_id for hop in way} == {fill.trace_id}
            ways.append([hop.name for hop in reversed(way)])
    assert ways
    assert all(way[0] == WAY[0] and way[-2:] == WAY[-2:] for way in ways)
    assert WAY in ways


def test_a_signal_is_one_trace_and_two_signals_are_two(well: list[list[Hop]]) -> None:
    for hops in well:
        roots = [hop for hop in hops if not hop.parent_id]
        assert {hop.name for hop in roots} <= {"signals Signal"}
        assert len({hop.trace_id for hop in roots}) == len(
            {dict(hop.attributes)["quantumleap.signal_id"] for hop in roots}
        )


def test_what_is_folded_again_after_a_death_tells_the_same_spans() -> None:
    for seed in range(SEEDS):
        by_span: dict[str, set[tuple[str, str, str]]] = defaultdict(set)
        hops = told(seed, well=False)
        for hop in hops:
            by_span[hop.span_id].add((hop.name, hop.trace_id, hop.parent_id))
        assert hops
        assert all(len(seen) == 1 for seen in by_span.values())


def test_a_history_is_told_to_opentelemetry_as_spans_with_parents_and_times(well: list[list[Hop]]) -> None:
    hops = next(hops for hops in well if fills(hops))
    exporter = InMemorySpanExporter()
    spans = OpenTelemetrySpans(SimpleSpanProcessor(exporter), "paper")
    spans.tell(hops, ended_ns=10**18)
    spans.close()
    told = exporter.get_finished_spans()
    assert len(told) == len(hops)
    (fill,) = [span for span in told if _id(span) == fills(hops)[0].span_id][:1]
    mine = [span for span in told if span.context.trace_id == fill.context.trace_id]
    assert {span.name for span in mine} >= set(WAY)
    assert fill.parent is not None
    assert format(fill.parent.span_id, "016x") == fills(hops)[0].parent_id
    assert all((span.start_time or 0) <= (span.end_time or 0) for span in told)
    assert fill.resource.attributes["deployment.environment.name"] == "paper"


def _id(span: ReadableSpan) -> str:
    return format(span.context.span_id, "016x")
