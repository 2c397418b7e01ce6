"""The project's own source files, as the tests of its shape read them."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.paths import ROOT

PACKAGES = ("schemas", "connectors", "streams", "dashboards")
ROOMS = ("market_data", "signals", "strategies", "accounts", "execution", "pnl")


def sources(*packages: str) -> Iterator[Path]:
    """Every Python file of these packages, or of all."""
    for package in packages or PACKAGES:
        yield from sorted((ROOT / package).rglob("*.py"))


def relative(path: Path) -> str:
    """The path as messages show it."""
    return str(path.relative_to(ROOT))


def imports(tree: ast.AST) -> set[str]:
    """Full names of the modules that a file imports."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
    return found
