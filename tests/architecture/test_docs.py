"""The documents tell the truth where a machine can know it: tests that they name exist, and so do files they link."""

import re
from pathlib import Path

import pytest

from tests.paths import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def test_every_test_that_a_document_names_exists() -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    named = {name for page in PAGES for name in re.findall(r"`(test_[a-z0-9_]+)", page.read_text())}
    assert named
    assert [name for name in sorted(named) if f"def {name}(" not in source and f"{name}.py" not in source] == []


def test_every_row_of_the_delivery_contract_names_the_test_that_shows_it() -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    rows = re.findall(
        r"^\|(?!---|.*\| shown by \|$).*\|([^|]*)\|$", (ROOT / "docs/delivery.md").read_text(), re.MULTILINE
    )
    assert rows
    for shown_by in rows:
        named = re.findall(r"`(test_[a-z0-9_]+)(?:\[(\w+)\])?`", shown_by)
        assert named, shown_by
        assert [case for _, case in named if case and f'"{case}"' not in source] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_document_links_exists(page: Path) -> None:
    links = re.findall(r"\]\((?!http|#|mailto:)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
