"""The product agrees with published numbers, and the command that says so can say no."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.oracles import __main__ as command
from tests.oracles import performance
from tests.oracles.adapters import ADAPTERS
from tests.paths import ROOT, SHARED

CASES = Path(__file__).parent / "cases"


@pytest.mark.parametrize("name", ["performance_stats.json", "empyrical_more.json", "empyrical_drawn.json"])
def test_every_published_statistic_agrees(name: str) -> None:
    outcomes = command.run(str(CASES / name))
    assert outcomes
    assert [(outcome.case, outcome.expected, outcome.got, outcome.why) for outcome in outcomes if outcome.why] == []


def test_every_metric_that_the_definitions_name_is_computed() -> None:
    definitions = json.loads((CASES / "performance_stats.json").read_text())["definitions"]
    named = set(definitions) - {"nan", "periods_per_year"}
    assert named <= set(performance.METRICS) | set(performance.ALIASES)


def test_every_shipped_file_is_of_a_known_format() -> None:
    assert {json.loads(path.read_text())["format"] for path in CASES.glob("*.json")} == set(ADAPTERS)


@pytest.mark.skipif(not (SHARED / "oracles").is_dir(), reason="the original oracle files are not on this machine")
def test_the_shipped_cases_are_those_of_the_originals() -> None:
    for original in (SHARED / "oracles").glob("*.json"):
        assert json.loads((CASES / original.name).read_text()) == json.loads(original.read_text()), original.name


def oracle(folder: Path, **document: object) -> str:
    path = folder / "oracle.json"
    path.write_text(json.dumps({"format": "performance-stats/1", "series": {"s": [0.1, -0.1, None]}} | document))
    return str(path)


@pytest.mark.parametrize(
    ("case", "why"),
    [
        ({"metric": "max_drawdown", "series": "s", "expected": -0.2}, "the numbers differ"),
        ({"metric": "max_drawdown", "series": "s", "expected": -0.1 + 1e-7}, "the numbers differ"),
        ({"metric": "max_drawdown", "series": "s", "expected": None}, "the numbers differ"),
        ({"metric": "max_drawdown", "series": "s", "expected": [-0.1]}, "the numbers differ"),
        ({"metric": "gpd_risk_estimates", "series": "s", "expected": 0}, "is not computed by the product"),
        ({"metric": "sharpe", "series": "none", "expected": 0}, "is not in the file"),
        ({"metric": "beta", "series": "s", "expected": 0}, "names no benchmark"),
        ({"metric": "sharpe", "series": "s", "params": {"power": 3}, "expected": 0}, "is not known to the product"),
        ({"metric": "sharpe", "series": "s", "params": {"period": "hourly"}, "expected": 0}, "is not one of"),
        ({"metric": "beta", "series": "s", "params": {"benchmark": [1, 2]}, "expected": 0}, "against a benchmark of 2"),
        ({"metric": "sharpe", "series": "s", "params": {"rf": None}, "expected": 0}, "NoneType"),
        ({}, "is not computed by the product"),
    ],
)
def test_what_is_wrong_or_not_computed_differs_and_is_never_left_out(
    tmp_path: Path, case: dict[str, object], why: str
) -> None:
    (outcome,) = command.run(oracle(tmp_path, cases=[case]))
    assert outcome.why is not None
    assert why in outcome.why


def test_an_infinity_and_a_missing_number_have_their_json(tmp_path: Path) -> None:
    cases = [
        {"metric": "sharpe", "series": [0.01, 0.01], "expected": "inf"},
        {"metric": "sharpe", "series": [-0.01, -0.01], "expected": "-inf"},
        {"metric": "sharpe", "series": [], "expected": None},
        {"metric": "max_drawdown", "series": [0.01], "expected": 0, "rel_tolerance": 1e-12},
        {"metric": "cum_returns", "series": [0.5, -0.5], "expected": [0.5, -0.25]},
        {"metric": "beta", "series": "s", "params": {"benchmark": "-s"}, "expected": -1},
    ]
    assert [outcome.why for outcome in command.run(oracle(tmp_path, cases=cases))] == [None] * len(cases)


def test_the_command_prints_one_object_and_ends_with_the_verdict(tmp_path: Path) -> None:
    def ran(*paths: str) -> tuple[int, dict[str, object]]:
        done = subprocess.run(
            [sys.executable, "-m", "tests.oracles", *paths], cwd=ROOT, capture_output=True, text=True, check=False
        )
        return done.returncode, json.loads(done.stdout)

    good = str(CASES / "performance_stats.json")
    bad = oracle(tmp_path, cases=[{"metric": "max_drawdown", "series": "s", "expected": 1}])
    code, verdict = ran(good)
    assert (code, verdict["cases"], verdict["agreeing"], verdict["differing"]) == (0, 17, 17, [])
    code, verdict = ran(good, bad)
    assert (code, verdict["cases"], verdict["agreeing"]) == (1, 18, 17)
    (differing,) = verdict["differing"] if isinstance(verdict["differing"], list) else []
    assert (differing["expected"], differing["got"]) == (1, pytest.approx(-0.1))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "chess/1"}', '{"format": "performance-stats/1"}', "\x00"])
def test_a_file_that_cannot_be_read_ends_with_two(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    assert command.main([str(path)]) == 2
    assert "x.json" in capsys.readouterr().err
    assert command.main([str(tmp_path / "gone.json")]) == 2
    assert command.main([]) == 2


@pytest.mark.skipif(not SHARED.exists(), reason="LEAN's bars may not be shipped and are not here")
def test_leans_buy_and_hold_comes_out_to_the_cent() -> None:
    outcomes = command.run(str(CASES / "lean_spy_daily.json"))
    assert [(one.case, one.why) for one in outcomes if one.why is not None] == []
    assert len(outcomes) == 7


def test_a_backtest_whose_data_is_not_here_differs(tmp_path: Path) -> None:
    document = json.loads((CASES / "lean_spy_daily.json").read_text())
    document["inputs"]["data"] = "nowhere/spy.zip"
    path = tmp_path / "spy.json"
    path.write_text(json.dumps(document))
    assert {outcome.why for outcome in command.run(str(path))} == {"nowhere/spy.zip is not here"}
