"""What a report's page holds: figures, tables and curves as plain values. Nothing here knows HTML."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

Value = str | int | float | Decimal | None
"""What stands in a cell; None is not known, and never a zero."""


class Unit(StrEnum):
    """How a value is written. A FRACTION of 0.01 is 1 %; BASIS_POINTS come as they are."""

    TEXT = "text"
    DAY = "day"
    COUNT = "count"
    MONEY = "money"
    FRACTION = "fraction"
    RATIO = "ratio"
    BASIS_POINTS = "basis points"

    @property
    def numeric(self) -> bool:
        """Whether it stands at the right of its column."""
        return self not in (Unit.TEXT, Unit.DAY)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    name: str
    unit: Unit = Unit.TEXT


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of as many values as there are columns; the first names the row. `otherwise` is said where there are none.

    `figures` right-aligns text columns after the first too, for values that come as text.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    otherwise: str
    figures: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """One number that the page begins with, and a remark on it."""

    name: str
    value: Value
    unit: Unit
    note: str = ""


@dataclass(frozen=True, slots=True)
class Curve:
    """Equity and drawdown by day, counted since 1970-01-01. A drawdown of 0.1 is 10 % below the highest before."""

    currency: str
    days: tuple[int, ...]
    equity: tuple[float, ...]
    drawdown: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page under a title of its own."""

    title: str
    remarks: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """A whole report.

    warnings: what a reader must know before reading any number
    curve: None where there is none; `no_curve` says why
    months: return of each (year, month); None where no return is known
    """

    title: str
    subtitle: str
    figures: tuple[Figure, ...]
    warnings: tuple[str, ...]
    curve: Curve | None
    no_curve: str
    months: Mapping[tuple[int, int], float | None]
    sections: tuple[Section, ...]
    footer: str
