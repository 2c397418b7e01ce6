"""Runbooks: each alert has its page, each page its alert, and what a page tells people to type works."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer

from connectors.clickhouse.client import ClickHouse
from streams.cli import app
from tests.dashboards.boards import committed
from tests.dashboards.promql import rules
from tests.dashboards.test_alerts import RULES as BUSINESS
from tests.paths import ROOT

FOLDER = ROOT / "docs" / "runbooks"
PAGES = sorted(path for path in FOLDER.glob("*.md") if path.name != "README.md")
SECTIONS = ["What it means", "How to look", "What to do", "When it is over"]


def alerts_by_page() -> dict[str, set[str]]:
    """Titles of the alerts that send people to each page."""
    found: dict[str, set[str]] = {}
    for rule in rules():
        if "alert" in rule:
            found.setdefault(Path(rule["annotations"]["runbook"]).name, set()).add(rule["alert"])
    for rule in BUSINESS:
        found.setdefault(Path(rule["annotations"]["runbook"]).name, set()).add(rule["title"])
    return found


def commands() -> dict[str, set[str]]:
    """Every command, with its options; those of a group under `group command`."""
    root = typer.main.get_command(app)
    found: dict[str, set[str]] = {}
    for name, command in getattr(root, "commands", {}).items():
        inner = getattr(command, "commands", None) or {}
        found[name] = {option for parameter in command.params for option in parameter.opts}
        for second, nested in inner.items():
            found[f"{name} {second}"] = {option for parameter in nested.params for option in parameter.opts}
    return found


def test_every_page_has_its_alerts_and_every_alert_its_page() -> None:
    assert set(alerts_by_page()) == {path.name for path in PAGES}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_names_its_alerts_and_has_all_sections(path: Path) -> None:
    text = path.read_text()
    assert re.findall(r"^## (.*)$", text, re.M) == SECTIONS
    named = next(line for line in text.splitlines() if line.startswith("Alerts: "))
    assert all(f"`{alert}`" in named for alert in alerts_by_page()[path.name]), named
    assert len(text.splitlines()) <= 60, "one page"


@pytest.mark.parametrize("path", [*PAGES, FOLDER / "README.md"], ids=lambda path: path.stem)
def test_links_and_commands_of_a_page_exist(path: Path) -> None:
    text, known = path.read_text(), commands()
    for target in re.findall(r"\]\(([^)]+)\)", text):
        assert (FOLDER / target).is_file(), target
    for line in re.findall(r"`quantumleap ([^`]+)`", text):
        words = line.split()
        name = next((found for found in (" ".join(words[:2]), words[0]) if found in known), "")
        assert name, line
        options = {word for word in words if word.startswith("--")} - {"--help"}
        assert options <= known[name], line


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_panels_that_a_page_names_are_on_a_board(path: Path) -> None:
    titles = {title for board in committed().values() for title in (board["title"], *_titles(board))}
    named = set(re.findall(r"`([A-Z][a-z]+(?: [a-z]+)+)`", path.read_text()))
    assert not named - titles - alerts_by_page()[path.name]


def _titles(board: dict[str, Any]) -> list[str]:
    marks = [mark["name"] for mark in board["annotations"]["list"]]
    return [*marks, *(panel["title"] for panel in board["panels"])]


@pytest.mark.servers
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_questions_of_a_page_are_answered(path: Path, filled: ClickHouse) -> None:
    for question in re.findall(r"```sql\n(.*?)```", path.read_text(), re.S):
        response = httpx.post(
            filled.url, params={"database": filled.database}, content=question, timeout=60, trust_env=False
        )
        assert response.status_code == 200, response.text
