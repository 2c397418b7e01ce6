"""Rules of Prometheus: unit-tested each, tied to a runbook and a board, and evaluated by a real Prometheus."""

import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.dashboards.boards import committed
from tests.dashboards.promql import RULES, rules
from tests.paths import ROOT

TESTS = sorted((ROOT / "tests" / "dashboards" / "rules").glob("*.test.yml"))
PROMTOOL = shutil.which("promtool")
ALERTS = [rule for rule in rules() if "alert" in rule]
SEVERITIES = {"page", "ticket", "none"}

needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is not installed: Debian's package is prometheus"
)


def promtool(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    assert PROMTOOL is not None
    return subprocess.run([PROMTOOL, *arguments], cwd=folder, capture_output=True, text=True, check=False)


def cases() -> list[dict[str, Any]]:
    """Every expectation about an alert in the unit tests of rules."""
    files = [YAML(typ="safe").load(path) for path in TESTS]
    return [case for file in files for test in file["tests"] for case in test.get("alert_rule_test", ())]


@needs_promtool
@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_rules_do_what_their_tests_say(path: Path) -> None:
    tested = promtool("test", "rules", path.name, folder=path.parent)
    assert tested.returncode == 0, tested.stdout + tested.stderr


@needs_promtool
def test_prometheus_accepts_its_configuration() -> None:
    checked = promtool("check", "config", "prometheus.yml", folder=RULES.parent)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@needs_promtool
@pytest.mark.parametrize(
    ("file", "was", "becomes"),
    [
        ("platform", "quantumleap_clock_tick_age_seconds > 3", "quantumleap_clock_tick_age_seconds > 30"),
        ("platform", "(quantumleap_rebalances_total[10m])) > 5", "(quantumleap_rebalances_total[10m])) > 0"),
        ("objectives", "/ 0.001", "/ 0.01"),
    ],
)  # fmt: skip
def test_a_rule_that_changed_fails_its_test(file: str, was: str, becomes: str, tmp_path: Path) -> None:
    original = (RULES / f"{file}.yml").read_text()
    assert was in original
    (tmp_path / f"{file}.yml").write_text(original.replace(was, becomes))
    text = (TESTS[0].parent / f"{file}.test.yml").read_text()
    (tmp_path / "test.yml").write_text(text.replace("../../../dashboards/prometheus/rules/", ""))
    assert promtool("test", "rules", "test.yml", folder=tmp_path).returncode == 1


def test_every_alert_is_tested_to_fire_and_to_be_silent() -> None:
    fires: Counter[str] = Counter()
    silent: Counter[str] = Counter()
    for case in cases():
        (fires if case["exp_alerts"] else silent)[case["alertname"]] += 1
    names = {alert["alert"] for alert in ALERTS}
    assert names == set(fires)
    assert names - {"Watchdog"} <= set(silent)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_every_alert_says_what_it_means_and_where_to_look(alert: dict[str, Any]) -> None:
    said = alert["annotations"]
    assert alert["labels"]["severity"] in SEVERITIES
    assert alert["labels"]["team"] == "trading"
    assert said["summary"]
    assert said["description"].endswith(".")
    assert (ROOT / said["runbook"]).is_file(), said["runbook"]
    assert said["board"] in committed()
