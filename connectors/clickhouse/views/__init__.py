"""Views: what analysts ask by plain names. Each file `<name>.sql` is one view; its first line says what it shows.

A view is computed from de-duplicated rows when it is asked. A summary (`SUMMARIES`) is the same kept for questions
about a whole house: a refreshable materialized view, replaced as a whole each `REFRESH`, so that what comes twice is
never counted twice, as a view at insert time would.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class View:
    """One view; `{database}` in its text is the database.

    order_by: columns by which a summary is kept; a view that is computed when it is asked has none
    refresh: when a summary is made anew
    """

    name: str
    doc: str
    sql: str
    order_by: tuple[str, ...] = ()
    refresh: str = ""


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

_DAYS = ("account_id", "day")
SUMMARIES: Mapping[str, tuple[str, ...]] = {
    "fills_daily": _DAYS,
    "orders_daily": _DAYS,
    "execution_daily": _DAYS,
    "shortfall_daily": _DAYS,
    "trades_daily": _DAYS,
    "attribution_kept": ("account_id", "dimension", "member"),
}
"""Summaries, made after all views, and by what each is ordered."""

FRUGAL = "max_bytes_before_external_group_by = 2000000000, max_bytes_before_external_sort = 2000000000, max_threads = 2"
"""Settings under which a summary is made anew: what does not fit goes to disk, and questions keep their share."""

REFRESH = "EVERY 15 MINUTE"
"""How old a summary may be; `SYSTEM REFRESH VIEW <name>` renews it at once. One comes after the other."""
APART_MINUTES = 2


@cache
def views() -> tuple[View, ...]:
    """All views, each after those that it reads."""
    found = []
    for name in ORDER:
        first, _, body = (files(__package__) / f"{name}.sql").read_text().partition("\n")
        found.append(View(name, first.removeprefix("-- "), body.strip()))
    for number, (name, order_by) in enumerate(SUMMARIES.items()):
        first, _, body = (files(__package__) / f"{name}.sql").read_text().partition("\n")
        sql, refresh = f"{body.strip()}\nSETTINGS {FRUGAL}", f"{REFRESH} OFFSET {number * APART_MINUTES} MINUTE"
        found.append(View(name, first.removeprefix("-- "), sql, order_by, refresh))
    return tuple(found)
