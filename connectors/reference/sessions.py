"""Trading sessions of the world's calendars, from exchange-calendars, as records."""

from datetime import UTC, date, timedelta
from typing import Any

from schemas.reference import Session, TradingSession
from schemas.scalars import datetime_of


class UnknownCalendar(LookupError):
    """No calendar has this name; the message names those that are close."""


def trading_session(calendar: str, from_us: int, until_us: int, *, at_us: int, version: int = 1) -> TradingSession:
    """Sessions of the calendar that touch [from_us, until_us), known at `at_us`. Lunch breaks split a session in two.

    Raises UnknownCalendar.
    """
    import exchange_calendars  # noqa: PLC0415 - slow to import, and needed once
    from exchange_calendars.errors import InvalidCalendarName  # noqa: PLC0415

    first, last = _day(from_us) - timedelta(days=7), _day(until_us) + timedelta(days=7)
    try:
        found = exchange_calendars.get_calendar(calendar, start=str(first), end=str(last))
    except InvalidCalendarName as error:
        raise UnknownCalendar(
            f"{calendar!r} is not a calendar of exchange-calendars; try 24/7, XNYS or CMES"
        ) from error
    columns = (found.opens, found.closes, found.break_starts, found.break_ends)
    sessions: list[Session] = []
    for opens, closes, pauses, resumes in zip(*map(_micros, columns), strict=True):
        stretches = [(opens, closes)] if pauses is None else [(opens, pauses), (resumes, closes)]
        sessions += [Session(o, c) for o, c in stretches if c > from_us and o < until_us]
    return TradingSession(
        event_time_us=at_us, calendar=calendar, version=version, sessions=_joined(sessions), covers_until_us=until_us
    )


def _joined(sessions: list[Session]) -> list[Session]:
    """Sessions that follow each other without a pause are one: a market that never closes has one session."""
    joined: list[Session] = []
    for session in sessions:
        if joined and joined[-1].closes_us >= session.opens_us:
            joined[-1] = Session(joined[-1].opens_us, session.closes_us)
        else:
            joined.append(session)
    return joined


def _day(micros: int) -> date:
    return datetime_of(micros).astimezone(UTC).date()


def _micros(times: Any) -> list[Any]:
    """A column of pandas times as microseconds; None where there is none."""
    column: list[Any] = times.dt.as_unit("us").astype("int64").astype(object).where(times.notna(), None).tolist()
    return column
