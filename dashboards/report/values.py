"""How a figure is written: grouped digits, a true minus sign, and words where there is no number."""

import math
from decimal import Decimal

from dashboards.report.page import Unit, Value

MINUS = "\N{MINUS SIGN}"
NOT_KNOWN = "not known"


def written(value: Value, unit: Unit) -> str:
    """The value as people read it; text stays as it is, and what is not a number is said to be not known."""
    if value is None:
        return NOT_KNOWN
    if isinstance(value, str):
        return value
    if not _finite(value):
        return NOT_KNOWN
    match unit:
        case Unit.TEXT | Unit.DAY | Unit.COUNT:
            text = f"{value:,}"
        case Unit.MONEY | Unit.RATIO:
            text = f"{value:,.2f}"
        case Unit.FRACTION:
            text = f"{value:.2%}"
        case Unit.BASIS_POINTS:
            text = f"{value:,.1f}"
    return signed(text)


def negative(value: Value) -> bool:
    """Whether the value is a number below zero."""
    return isinstance(value, int | float | Decimal) and _finite(value) and value < 0


def signed(text: str) -> str:
    """The number with a true minus sign, and none before a zero that rounding left."""
    if not text.startswith("-"):
        return text
    return MINUS + text[1:] if any(digit in text for digit in "123456789") else text[1:]


def _finite(value: int | float | Decimal) -> bool:
    return value.is_finite() if isinstance(value, Decimal) else math.isfinite(value)
