"""Trading sessions as records."""

from datetime import UTC, datetime

import pytest

from connectors.reference.sessions import UnknownCalendar, trading_session
from schemas.scalars import iso_of, micros_of


def at(text: str) -> int:
    return micros_of(datetime.fromisoformat(text).replace(tzinfo=UTC))


def sessions(calendar: str, first: str, last: str) -> list[tuple[str, str]]:
    record = trading_session(calendar, at(first), at(last), at_us=at(first))
    return [(iso_of(session.opens_us), iso_of(session.closes_us)) for session in record.sessions]


def test_new_york_closes_for_thanksgiving_and_early_the_day_after() -> None:
    assert sessions("XNYS", "2019-11-27", "2019-11-30") == [
        ("2019-11-27T14:30:00Z", "2019-11-27T21:00:00Z"),
        ("2019-11-29T14:30:00Z", "2019-11-29T18:00:00Z"),
    ]


def test_a_market_that_never_closes_has_one_session() -> None:
    assert len(sessions("24/7", "2019-01-01", "2019-03-01")) == 1


def test_a_lunch_break_splits_the_day() -> None:
    assert len(sessions("XHKG", "2019-01-02", "2019-01-03")) == 2


def test_nothing_is_known_after_the_end_that_was_asked_for() -> None:
    assert trading_session("24/7", 0, at("1970-01-09"), at_us=0).covers_until_us == at("1970-01-09")


def test_an_unknown_calendar_is_named() -> None:
    with pytest.raises(UnknownCalendar, match="'XXXX' is not a calendar"):
        sessions("XXXX", "2019-01-01", "2019-01-02")
