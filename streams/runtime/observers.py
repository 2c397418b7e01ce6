"""What is counted of a room's outputs once they are committed: by type of record, which metric and which labels.

A fold counts nothing; its door does, and tells only what became durable. Labels come from small sets: a name that
anybody may invent is none.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from schemas import metrics
from schemas.market import QualityFinding
from schemas.metrics import Metric
from schemas.record import Record
from schemas.risk import RiskVerdict
from schemas.signal import AcceptedSignal, RefusedSignal, SignalRefusal

UNKNOWN = "unknown"
"""Label of providers that nobody has introduced."""


class Counted(NamedTuple):
    """One series of a counter; labels are in the order of the metric's."""

    metric: Metric
    labels: tuple[str, ...]


Observer = Callable[[Any], tuple[Counted, int] | None]


def _finding(finding: QualityFinding) -> tuple[Counted, int]:
    return Counted(metrics.TICKS_REFUSED, (finding.code, finding.action)), finding.count


def _accepted(accepted: AcceptedSignal) -> tuple[Counted, int]:
    return Counted(metrics.SIGNALS_ACCEPTED, (accepted.signal.provider_id,)), 1


def _refused(refused: RefusedSignal) -> tuple[Counted, int]:
    known = refused.code is not SignalRefusal.UNKNOWN_PROVIDER
    return Counted(metrics.SIGNALS_REFUSED, (refused.provider_id if known else UNKNOWN, refused.code)), 1


def _verdict(verdict: RiskVerdict) -> tuple[Counted, int] | None:
    return None if verdict.approved else (Counted(metrics.INTENTS_DENIED, (verdict.code,)), 1)


OBSERVERS: Mapping[type[Record], Observer] = {
    QualityFinding: _finding,
    AcceptedSignal: _accepted,
    RefusedSignal: _refused,
    RiskVerdict: _verdict,
}
