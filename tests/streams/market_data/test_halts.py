"""A halt that a venue tells of stands until the venue ends it."""

from schemas.market import Bar, Heartbeat, Mark, MarketCondition, MarketStatus
from schemas.reference import TradingStatus
from schemas.scalars import DAY_US, SECOND_US
from tests.builders import instrument
from tests.streams.market_data.market import MONDAY_US, Exchange, bars, only


def told(version: int, halted: bool, reason: str = "", days: int = 1) -> TradingStatus:
    """What the venue says of WTI, so many days after Monday."""
    return TradingStatus(
        event_time_us=MONDAY_US + days * DAY_US, instrument_id="WTI", version=version, halted=halted, reason=reason
    )


def test_a_halt_is_said_once_with_its_reason_and_ended_once() -> None:
    exchange = Exchange(instrument())
    exchange.tell(bars((1000,)))
    for version, halted, status in ((1, True, MarketStatus.HALTED), (2, False, MarketStatus.OPEN)):
        record = told(version, halted, "limit up")
        (said,) = only(exchange.tell(record), MarketCondition)
        assert (said.status, said.reason) == (status, "limit up")
        assert exchange.tell(record) == []


def test_a_bar_told_in_a_halt_is_a_bar_and_opens_nothing() -> None:
    exchange = Exchange(instrument())
    exchange.tell(bars((1000,)), told(1, True, "news pending"))
    said = exchange.tell(bars((1001,), first=1, sequence=2))
    assert only(said, Bar)
    assert only(said, Mark)
    assert [one.status for one in only(said, MarketCondition)] == [MarketStatus.HALTED]
    exchange.tell(told(2, False, days=3))
    said = exchange.tell(bars((1002,), first=2, sequence=3))
    assert [one.status for one in only(said, MarketCondition)] == [MarketStatus.OPEN]


def test_a_status_that_is_not_newer_changes_nothing() -> None:
    exchange = Exchange(instrument())
    exchange.tell(told(2, True, "halt"))
    assert exchange.tell(told(1, False)) == []
    assert exchange.partition.states["WTI"].header.halted == "halt"


def test_a_status_of_an_instrument_that_nobody_defined_says_nothing() -> None:
    assert Exchange(None).tell(told(1, True)) == []


def test_a_heartbeat_does_not_end_a_halt() -> None:
    exchange = Exchange(instrument(calendar="24/5"))
    exchange.tell(bars((1000,)), told(1, True, "halt"))
    saturday = MONDAY_US + 5 * DAY_US
    beats = [Heartbeat(event_time_us=saturday + hours * 3_600 * SECOND_US, feed_id="feed") for hours in (1, 60)]
    said = exchange.tell(*beats)
    assert only(said, MarketCondition) == []
    assert exchange.partition.states["WTI"].header.status is MarketStatus.HALTED
