"""Retention: how many days each table keeps its rows.

What the law wants kept for years is kept for `LEGAL_DAYS`: orders and all that led to them, what was traded, and who
changed limits, switches and money (six years: SEC rule 17a-4 for order and trade records; MiFID II article 16 asks for
five). Market data can be bought again, and clock ticks say nothing later.
"""

from schemas.record import Record

LEGAL_DAYS = 6 * 366
"""Least days for records of what was wished, ordered, traded and decided."""
YEAR_DAYS = 366
MONTH_DAYS = 31

KEPT: dict[str, int] = {
    "QuoteBatch": MONTH_DAYS,
    "TradeBatch": MONTH_DAYS,
    "BarBatch": MONTH_DAYS,
    "Heartbeat": MONTH_DAYS,
    "ClockTick": MONTH_DAYS,
    "Mark": YEAR_DAYS,
    "MarkBatch": MONTH_DAYS,
    "RiskSnapshot": YEAR_DAYS,
    "PositionState": LEGAL_DAYS,
}
"""Days by record type; what is not named here is kept for the legal time."""

EVENTS_DAYS = 3 * MONTH_DAYS
"""Days of the raw events: long enough to look into what went wrong; the typed tables keep what must be kept."""


def days_kept(record: type[Record] | None) -> int:
    """Days for the table of a record type, or for the raw events where none is given."""
    if record is None:
        return EVENTS_DAYS
    return KEPT.get(record.__name__, LEGAL_DAYS)
