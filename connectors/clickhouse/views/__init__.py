"""Views: what analysts ask by plain names. Each file `<name>.sql` is one view; its first line says what it shows.

A view is computed from de-duplicated rows when it is asked. A summary (`SUMMARIES`) is the same kept for questions
about a whole house: a refreshable materialized view, replaced as a whole each `REFRESH`, so that what comes twice is
never counted twice, as a view at insert time would.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class View:
    """One view; `{database}` in its text is the database. `kept` tells a summary."""

    name: str
    doc: str
    sql: str
    kept: bool = False


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

SUMMARIES = ("orders_daily", "execution_daily")
"""Summaries, made after all views."""

REFRESH = "EVERY 15 MINUTE"
"""How old a summary may be; `SYSTEM REFRESH VIEW <name>` renews it at once."""


@cache
def views() -> tuple[View, ...]:
    """All views, each after those that it reads."""
    found = []
    for name in (*ORDER, *SUMMARIES):
        first, _, body = (files(__package__) / f"{name}.sql").read_text().partition("\n")
        found.append(View(name, first.removeprefix("-- "), body.strip(), name in SUMMARIES))
    return tuple(found)
