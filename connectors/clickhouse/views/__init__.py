"""Views: what analysts ask by plain names. Each file `<name>.sql` is one view; its first line says what it shows."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class View:
    """One view; `{database}` in its text is the database."""

    name: str
    doc: str
    sql: str


ORDER = (
    "fills",
    "orders",
    "order_story",
    "positions_now",
    "pnl_daily",
    "equity_daily",
    "execution_quality",
    "implementation_shortfall",
    "trades",
    "attribution",
    "signal_scores",
    "denials",
    "suggestions",
    "quality_findings",
    "unreadable",
)
"""Views in the order of making: a view stands after those it reads."""


@cache
def views() -> tuple[View, ...]:
    """All views, each after those that it reads."""
    found = []
    for name in ORDER:
        first, _, body = (files(__package__) / f"{name}.sql").read_text().partition("\n")
        found.append(View(name, first.removeprefix("-- "), body.strip()))
    return tuple(found)
