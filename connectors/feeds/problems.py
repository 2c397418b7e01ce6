"""Rows of a file that cannot be used, and what is said of a file that holds some."""

from enum import StrEnum
from typing import NamedTuple


class Problem(StrEnum):
    """Why a row cannot be used."""

    MISSING = "MISSING"
    UNPARSABLE = "UNPARSABLE"
    DUPLICATE = "DUPLICATE"
    UNORDERED = "UNORDERED"
    ABSURD = "ABSURD"


class RowProblem(NamedTuple):
    """One row that cannot be used: its number in the file, the rule it breaks, and the text that decided."""

    row: int
    problem: Problem
    detail: str


class FileReport(NamedTuple):
    """What one file holds: rows that can be used, and those that cannot, by row number."""

    path: str
    usable: int
    problems: list[RowProblem]
