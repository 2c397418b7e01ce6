"""Calendars: how many bars should have come between two. `24/7` and weekdays (`24/5`) are known; others are told.

A bar of a day or longer belongs to the UTC date of its middle, so that a day may end at any hour. Where a calendar was
never told, or not for that time, nothing is expected: a gap is found against knowledge, not against a guess.
"""

from bisect import bisect_left, bisect_right

from schemas.reference import TradingSession
from schemas.scalars import DAY_US
from streams.market_data.state import Calendar

ALWAYS = "24/7"
WEEKDAYS = "24/5"
_LONGER_THAN_A_DAY = 1.6


def calendar_of(told: TradingSession) -> Calendar:
    """The sessions as columns."""
    sessions = sorted((session.opens_us, session.closes_us) for session in told.sessions)
    return Calendar(
        version=told.version,
        opens_us=tuple(opens for opens, _ in sessions),
        closes_us=tuple(closes for _, closes in sessions),
        covers_until_us=told.covers_until_us,
    )


def bars_missing(name: str, calendar: Calendar | None, before_us: int, end_us: int, interval_us: int) -> int:
    """Bars that the calendar expects strictly between two bar ends; 0 where nothing is known."""
    elapsed = end_us - before_us
    if elapsed <= interval_us:
        return 0
    if interval_us > DAY_US:
        return round(elapsed / interval_us) - 1 if elapsed > interval_us * _LONGER_THAN_A_DAY else 0
    if interval_us == DAY_US:
        return _days_missing(name, calendar, (before_us - DAY_US // 2) // DAY_US, (end_us - DAY_US // 2) // DAY_US)
    return _open_us(name, calendar, before_us, end_us - interval_us) // interval_us


def is_open(name: str, calendar: Calendar | None, time_us: int) -> bool | None:
    """Whether the market trades at that time; None where that is not known."""
    if name == ALWAYS:
        return True
    if name == WEEKDAYS:
        return _is_weekday(time_us // DAY_US)
    if calendar is None or not calendar.opens_us or not calendar.opens_us[0] <= time_us < calendar.covers_until_us:
        return None
    return time_us < calendar.closes_us[bisect_right(calendar.opens_us, time_us) - 1]


def open_between(name: str, calendar: Calendar | None, from_us: int, to_us: int) -> int:
    """Microseconds of trading between two times, as far as known."""
    return _open_us(name, calendar, from_us, to_us)


def _is_weekday(day: int) -> bool:
    return (day + 3) % 7 < 5  # 1970-01-01 was a Thursday


def _weekdays_before(day: int) -> int:
    """Weekdays since a Monday long ago, up to but without this day."""
    weeks, rest = divmod(day + 3, 7)
    return weeks * 5 + min(rest, 5)


def _days_missing(name: str, calendar: Calendar | None, before: int, now: int) -> int:
    """Trading days strictly between two days."""
    if name == ALWAYS:
        return now - before - 1
    if name == WEEKDAYS:
        return max(0, _weekdays_before(now) - _weekdays_before(before + 1))
    if calendar is None:
        return 0
    first = bisect_left(calendar.closes_us, (before + 1) * DAY_US + 1)
    last = bisect_left(calendar.opens_us, now * DAY_US)
    return max(0, last - first)


def _open_us(name: str, calendar: Calendar | None, from_us: int, to_us: int) -> int:
    """Trading time between two times."""
    if to_us <= from_us:
        return 0
    if name == ALWAYS:
        return to_us - from_us
    if name == WEEKDAYS:
        return _weekday_us(to_us) - _weekday_us(from_us)
    if calendar is None:
        return 0
    total = 0
    for index in range(bisect_right(calendar.closes_us, from_us), bisect_left(calendar.opens_us, to_us)):
        total += min(to_us, calendar.closes_us[index]) - max(from_us, calendar.opens_us[index])
    return total


def _weekday_us(time_us: int) -> int:
    """Microseconds of weekdays since a Monday long ago."""
    day, rest = divmod(time_us, DAY_US)
    return _weekdays_before(day) * DAY_US + (rest if _is_weekday(day) else 0)
