"""Every question to Prometheus, of boards and of rules, is about what the engine exports."""

import re

import pytest

from schemas.metrics import BATCH_SECONDS, DEAD_LETTERS
from tests.dashboards.boards import Asked, asked
from tests.dashboards.promql import exported, objections, recorded, rules

QUESTIONS = list(asked("prometheus"))
SERIES = {**exported(), **recorded()}


def _filled_in(text: str) -> str:
    """Grafana's variables replaced by what they may stand for."""
    return re.sub(r"\$\{\w+:\w+\}", "paper", text).replace("$__rate_interval", "1m")


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_a_panel_asks_only_for_what_is_exported(question: Asked) -> None:
    assert not objections(_filled_in(question.target["expr"]), SERIES)


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule.get("alert") or rule["record"]))
def test_a_rule_asks_only_for_what_is_exported(rule: dict[str, str]) -> None:
    assert not objections(rule["expr"], SERIES)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sum(quantumleap_bananas)", "nothing is called"),
        (f'sum({DEAD_LETTERS.name}{{flavour="sweet"}})', "has no label"),
        (f"sum by (flavour) (rate({DEAD_LETTERS.name}[5m]))", "bears"),
        (f"sum({DEAD_LETTERS.name})", "only rises"),
        ("rate(quantumleap_lag_seconds[5m])", "does not only rise"),
        (f"sum({BATCH_SECONDS.name})", "nothing is called"),
        (f"sum by (le) (rate({BATCH_SECONDS.name}_count[5m]))", "bears"),
    ],
)
def test_the_check_can_object(text: str, says: str) -> None:
    assert any(says in objection for objection in objections(text, SERIES))


def test_what_is_no_question_is_refused() -> None:
    with pytest.raises(ValueError, match="parenthesis"):
        objections("sum by (", SERIES)
