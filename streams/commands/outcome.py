"""How a command ends and speaks: exit codes, one clear error, data on stdout and all else on stderr."""

import json
import sys
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Annotated, Any

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


class Exit(IntEnum):
    """Exit codes of every command."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    CONFIG = 3
    UNREACHABLE = 4
    REJECTED_BY_RISK = 5
    NOT_FOUND = 6
    DEGRADED = 7
    PARTIAL = 8
    INTERRUPTED = 130


class Stop(Exception):
    """A command cannot go on. Says what happened, why, and what to do next."""

    def __init__(self, what: str, *, why: str = "", next_step: str = "", code: Exit = Exit.FAILURE):
        super().__init__(what)
        self.what, self.why, self.next_step, self.code = what, why, next_step, code

    def lines(self) -> Iterable[str]:
        """The message as people read it."""
        yield f"error: {self.what}"
        if self.why:
            yield f"  why:  {self.why}"
        if self.next_step:
            yield f"  next: {self.next_step}"


def say(text: str) -> None:
    """Progress and remarks: never on stdout, which is for data."""
    print(text, file=sys.stderr, flush=True)


def show_json(data: Any) -> None:
    """Data as JSON on stdout; decimals, paths and times as text."""
    print(json.dumps(data, indent=2, default=str), flush=True)


def show_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table for people on stdout."""
    from rich.console import Console  # noqa: PLC0415 - help must be quick
    from rich.table import Table  # noqa: PLC0415

    table = Table(title=title or None, title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    # Without a terminal there is no width to keep to; wide enough that `grep` finds whole cells.
    Console(width=None if sys.stdout.isatty() else 240).print(table)
