"""What a question to Prometheus names: metrics, labels, and what is done to them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import promql_parser
from ruamel.yaml import YAML

from schemas.metrics import COMMON, METRICS, Kind
from tests.paths import ROOT

RULES = ROOT / "dashboards" / "prometheus" / "rules"
SCRAPED = {"instance", "job"}
"""Labels that Prometheus adds to whatever it scrapes."""
COUNTED = {"rate", "irate", "increase"}
"""Functions that make sense of what only rises."""


@dataclass(frozen=True, slots=True)
class Series:
    """What may be asked for under one name.

    labels: that it bears
    rises: only ever, so that its rate means something
    """

    labels: frozenset[str]
    rises: bool


def exported() -> dict[str, Series]:
    """Everything that the engine's processes show, by the names under which Prometheus keeps it."""
    found = {"up": Series(frozenset(SCRAPED), rises=False)}
    for metric in METRICS:
        labels = frozenset({*metric.labels, *COMMON, *SCRAPED})
        if metric.kind is Kind.HISTOGRAM:
            found[f"{metric.name}_bucket"] = Series(labels | {"le"}, rises=True)
            found[f"{metric.name}_sum"] = found[f"{metric.name}_count"] = Series(labels, rises=True)
        else:
            found[metric.name] = Series(labels, rises=metric.kind is Kind.COUNTER)
    return found


def rules() -> list[dict[str, Any]]:
    """Every rule of every file."""
    files = [YAML(typ="safe").load(path) for path in sorted(RULES.glob("*.yml"))]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


def recorded() -> dict[str, Series]:
    """What rules record."""
    return {
        rule["record"]: Series(frozenset({"environment", *rule.get("labels", {})}), rises=False)
        for rule in rules()
        if "record" in rule
    }


def objections(text: str, known: dict[str, Series]) -> list[str]:
    """What is wrong with the question, if these series are all there are. Raises ValueError where it is no PromQL."""
    return list(_objections(promql_parser.parse(text), known, ""))


def _objections(node: Any, known: dict[str, Series], function: str) -> Iterator[str]:
    name = type(node).__name__
    if name == "VectorSelector":
        yield from _selector(node, known, function)
    if name == "AggregateExpr" and node.modifier is not None and "By" in str(node.modifier.type):
        borne = {label for selector in _selectors(node.expr) for label in _labels(selector, known)}
        if strange := set(node.modifier.labels) - borne:
            yield f"nothing under `by` bears {sorted(strange)}"
    inner = node.func.name if name == "Call" else function
    for child in _children(node):
        yield from _objections(child, known, inner)


def _selector(node: Any, known: dict[str, Series], function: str) -> Iterator[str]:
    series = known.get(node.name)
    if series is None:
        yield f"nothing is called {node.name}"
        return
    if strange := {matcher.name for matcher in node.matchers.matchers} - series.labels:
        yield f"{node.name} has no label {sorted(strange)}"
    if (function in COUNTED) != series.rises:
        yield f"{node.name} {'only rises: ask for its rate' if series.rises else 'does not only rise: it has no rate'}"


def _labels(node: Any, known: dict[str, Series]) -> frozenset[str]:
    return known[node.name].labels if node.name in known else frozenset()


def _selectors(node: Any) -> Iterator[Any]:
    if type(node).__name__ == "VectorSelector":
        yield node
    for child in _children(node):
        yield from _selectors(child)


def _children(node: Any) -> Iterator[Any]:
    for field in ("lhs", "rhs", "expr", "vector_selector"):
        child = getattr(node, field, None)
        if child is not None:
            yield child
    yield from getattr(node, "args", None) or ()
