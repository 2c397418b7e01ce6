"""Rooms are pure, meet only on topics, and say truly what they read, write and keep."""

import ast
import importlib
import re
import sys
from pathlib import Path

import pytest

from schemas.topics import read_by, written_by
from tests.architecture.sources import ROOMS, imports, relative, sources
from tests.paths import ROOT

IMPURE = {
    "time", "random", "secrets", "uuid", "logging", "os", "socket", "threading", "asyncio", "subprocess",
    "pathlib", "io", "sqlite3", "tempfile", "shutil", "http", "urllib", "multiprocessing", "concurrent", "sched",
}  # fmt: skip
"""Standard library that reaches a clock, chance or the world."""

DOORS = {
    f"streams.execution.{module}"
    for module in ("calls", "duty", "handler", "knowledge", "local", "measured", "reconciliation")
}  # fmt: skip
"""Modules of rooms that are effects by nature and may reach the world."""

LIBRARIES = {
    "msgspec": "states and records are its structs",
    "numpy": "columns of ticks and portfolio risk: docs/decisions",
}


def foreign(room: str, module: str, names: set[str]) -> set[str]:
    """What a pure module of a room may not import."""
    refused = set()
    for name in names:
        top = name.split(".")[0]
        if top == "streams":
            if not (name == "streams.runtime.room" or name.startswith(f"streams.{room}")):
                refused.add(name)
        elif top == "schemas" or top in LIBRARIES:
            continue
        elif top not in sys.stdlib_module_names or top in IMPURE:
            refused.add(name)
    return refused


def clocks(tree: ast.AST) -> list[int]:
    """Lines that ask a date or time class what time it is."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr in ("now", "utcnow", "today")
        and isinstance(node.value, ast.Name)
        and node.value.id in ("datetime", "date", "Timestamp")
    ]


def _pure_modules() -> list[tuple[str, Path]]:
    found = []
    for room in ROOMS:
        for path in sources(f"streams/{room}"):
            module = relative(path)[:-3].replace("/", ".")
            if module not in DOORS:
                found.append((room, path))
    return found


def test_pure_modules_of_rooms_reach_no_clock_no_chance_and_no_world() -> None:
    refused = {
        relative(path): bad
        for room, path in _pure_modules()
        if (bad := foreign(room, relative(path), imports(ast.parse(path.read_text()))))
    }
    assert not refused


def test_pure_modules_of_rooms_never_ask_what_time_it_is() -> None:
    found = {relative(path): lines for _, path in _pure_modules() if (lines := clocks(ast.parse(path.read_text())))}
    assert not found
    assert clocks(ast.parse("x = datetime.now(UTC)")) == [1]


@pytest.mark.parametrize(
    "name", ["time", "random", "logging", "os.path", "streams.settings", "streams.accounts.room", "requests", "faust"]
)
def test_the_purity_test_can_fail(name: str) -> None:
    assert foreign("pnl", "streams/pnl/x.py", {name}) == {name}


@pytest.mark.parametrize("room", [room for room in ROOMS if (ROOT / "streams" / room / "__init__.py").exists()])
def test_a_room_says_what_it_reads_writes_and_keeps_as_the_map_does(room: str) -> None:
    doc = importlib.import_module(f"streams.{room}").__doc__ or ""
    said = {
        verb: set(re.findall(r"`([a-z_.]+)`", line))
        for verb in ("Reads", "Writes")
        for line in [
            next((part for part in re.split(r"(?<=\.)\s+", doc.replace("\n", " ")) if part.startswith(verb)), "")
        ]
    }
    assert said["Reads"] == {topic.name for topic in read_by(room)}, doc
    assert said["Writes"] >= {topic.name for topic in written_by(room) if topic.name != "dead.letters"}, doc
    assert "Keeps" in doc, doc
