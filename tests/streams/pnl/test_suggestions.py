"""What results suggest about a strategy: said once while it holds, with the figures behind it."""

from decimal import Decimal
from decimal import Decimal as D

import pytest

from schemas.position import SuggestedChange, Suggestion
from streams.pnl.suggestions import FALL_MAX, RULES, TRIPS_MIN, Seen
from tests.streams.pnl.test_pnl_room import ROOM, Book

GOOD = Seen(
    pnl=D(100), best=D(100), realised=D(120), fees=D(20), trips=TRIPS_MIN, wins=20, equity=D(1000)
)  # fmt: skip


def suggested(book: Book) -> list[Suggestion]:
    return [said for said in book.said if isinstance(said, Suggestion)]


def holding(seen: Seen) -> list[str]:
    return [rule.code for rule in RULES if rule.holds(seen)]


@pytest.mark.parametrize(
    ("code", "just", "beyond"),
    [
        ("FALLEN", GOOD._replace(best=D(100) + 1000 * FALL_MAX), GOOD._replace(best=D("100.01") + 1000 * FALL_MAX)),
        ("LOSING", GOOD._replace(fees=D(120), realised=D(120)), GOOD._replace(fees=D("0.01"), realised=D(0))),
        ("LOSING", GOOD._replace(realised=D(-9), trips=TRIPS_MIN - 1), GOOD._replace(realised=D(-9))),
        ("COSTLY", GOOD._replace(fees=D(60)), GOOD._replace(fees=D("60.01"))),
        ("COSTLY", GOOD._replace(fees=D(61), trips=TRIPS_MIN - 1), GOOD._replace(fees=D(61))),
    ],
)  # fmt: skip
def test_a_rule_holds_beyond_its_bound_only(code: str, just: Seen, beyond: Seen) -> None:
    assert code not in holding(just)
    assert code in holding(beyond)


def test_an_account_without_equity_gets_no_advice_on_falls() -> None:
    assert holding(GOOD._replace(best=D(500), equity=D(0))) == []


def test_a_fallen_strategy_is_suggested_to_pause_once_until_it_has_recovered() -> None:
    book = Book()
    book.fill(10, "10")
    book.mark("30")
    book.look(1)
    book.look(2)
    assert suggested(book) == []
    for day, price in ((3, "15"), (4, "14"), (5, "30"), (6, "15")):
        book.mark(price)
        book.look(day)
    first, second = suggested(book)
    assert (first.strategy_id, first.change, first.code) == ("trend", SuggestedChange.PAUSE, "FALLEN")
    assert (first.event_time_us, second.event_time_us) == (3 * 86_400_000_000, 6 * 86_400_000_000)
    fall = first.evidence[0]
    assert (fall.name, fall.value, fall.limit) == ("fall", D(150), D(105))
    assert {one.name for one in first.evidence} == {"fall", "pnl", "best", "fees", "equity", "trips", "wins"}


def test_a_strategy_that_cannot_be_valued_is_not_judged() -> None:
    book = Book()
    book.fill(10, "10")
    book.mark("30")
    book.look(1)
    book.mark(None)
    book.look(2, equity="1000")
    assert suggested(book) == []


def test_what_was_suggested_is_remembered_by_the_state_as_it_is_kept() -> None:
    book = Book()
    book.fill(10, "10")
    book.mark("30")
    book.look(1)
    book.mark("15")
    book.look(2)
    assert len(suggested(book)) == 1
    book.state = ROOM.assemble("alice", ROOM.parts(book.state))
    book.mark("14")
    book.look(3)
    assert len(suggested(book)) == 1


def test_suggestions_come_with_the_figures_of_the_snapshots() -> None:
    book = Book("100000")
    for _ in range(TRIPS_MIN):
        book.fill(1, "10")
        book.fill(-1, "12", fee="1.5")
    told = book.look(1)["trend"]
    (costly,) = suggested(book)
    figures = {one.name: one.value for one in costly.evidence}
    assert costly.change is SuggestedChange.REPARAMETERISE
    assert figures["fees_of_realised"] == Decimal("0.75")
    assert figures["fees"] == told.fees
    assert (int(figures["trips"]), int(figures["wins"])) == (told.closed_trades, told.winning_trades)
