"""The source keeps to the rules of the house that a machine can read."""

import ast
import re
from pathlib import Path

import pytest

from tests.architecture.sources import relative, sources
from tests.paths import ROOT

FORBIDDEN_NAMES = {"utils", "util", "common", "helpers", "helper", "base", "manager", "misc"}
FORBIDDEN_PREFIXES = ("handle_", "process_", "do_")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
BANNER = re.compile(r"^\s*#\s*[-=*#]{4,}")


def _names(tree: ast.AST) -> list[str]:
    return [n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]


def untidy(path: Path, text: str) -> list[str]:
    """What a tidy reader would object to in this file."""
    found = []
    if {*path.parts, path.stem} & FORBIDDEN_NAMES:
        found.append("a folder or file named for nothing in particular")
    tree = ast.parse(text)
    if text.strip() and ast.get_docstring(tree) is None:
        found.append("no docstring at the top")
    found += [f"{name}: says nothing of what it does" for name in _names(tree) if name.startswith(FORBIDDEN_PREFIXES)]
    for number, line in enumerate(text.splitlines(), 1):
        if UNFINISHED.search(line):
            found.append(f"line {number}: unfinished work")
        if BANNER.match(line):
            found.append(f"line {number}: a banner")
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and (node.type is None or _swallows(node)):
            found.append(f"line {node.lineno}: an exception is swallowed")
    return found


def _swallows(handler: ast.ExceptHandler) -> bool:
    broad = isinstance(handler.type, ast.Name) and handler.type.id in ("Exception", "BaseException")
    return broad and len(handler.body) == 1 and isinstance(handler.body[0], ast.Pass)


def test_every_source_file_is_tidy() -> None:
    objections = {
        relative(path): found
        for path in sources()
        if path.stat().st_size and (found := untidy(Path(relative(path)), path.read_text()))
    }
    assert not objections, objections


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("streams/utils.py", '"""Doc."""\n', "named for nothing"),
        ("streams/a.py", "x = 1\n", "no docstring"),
        ("streams/a.py", '"""Doc."""\n# TO' + "DO later\n", "unfinished"),
        ("streams/a.py", '"""Doc."""\n# ------- part\n', "banner"),
        ("streams/a.py", '"""Doc."""\ndef handle_it() -> None: ...\n', "says nothing"),
        ("streams/a.py", '"""Doc."""\ntry:\n    x = 1\nexcept Exception:\n    pass\n', "swallowed"),
    ],
)
def test_the_tidy_test_can_fail(name: str, text: str, says: str) -> None:
    assert any(says in objection for objection in untidy(Path(name), text))


def test_no_file_names_a_machine_or_a_registry_host() -> None:
    """Paths of a machine and hosts of package registries have no place in a project that others clone."""
    words = re.compile(r"/work/|/root/|pypi\.org|pythonhosted|repo1\.maven|registry\.npmjs|proxy\.golang")
    kinds = {".py", ".md", ".toml", ".yml", ".yaml", ".json", ".lock", ".txt", ".cfg", ".avsc", ".sql"}
    found = [
        relative(path)
        for path in ROOT.rglob("*")
        if path.is_file()
        and path.suffix in kinds
        and not {".venv", ".git", ".quantumleap", ".mypy_cache", ".ruff_cache", ".hypothesis"} & set(path.parts)
        and path != Path(__file__)
        and words.search(path.read_text(errors="ignore"))
    ]
    assert not found
