"""The paper venue's books: kept whole through a crash, and every request once."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from connectors.brokers.paper import FREE, LedgerInUse, MemoryLedger, PaperRules, PaperVenue, SqliteLedger
from connectors.brokers.paper.ledger import Ledger
from schemas.order import ExecType, OrderStatus
from tests.connectors.brokers.orders import bar, buy, cancel, change, day, fees, limit, sell, teapots
from tests.paths import ROOT

Opened = Callable[[], PaperVenue]


@pytest.fixture(params=["memory", "sqlite"])
def reopened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    """Opens the same books again, each time in a new venue, as a restart does."""
    ledgers: list[SqliteLedger] = []
    memory = MemoryLedger()

    def opened() -> PaperVenue:
        ledger: Ledger = memory
        if request.param == "sqlite":
            while ledgers:
                ledgers.pop().close()
            ledgers.append(SqliteLedger(tmp_path / "venue.db"))
            ledger = ledgers[0]
        return PaperVenue([teapots()], [fees("0.001")], rules=FREE, ledger=ledger)

    yield opened
    for ledger in ledgers:
        ledger.close()


def test_an_order_submitted_twice_is_one_order_with_one_answer(reopened: Opened) -> None:
    first = reopened().submit(buy("a"))
    venue = reopened()
    assert venue.submit(buy("a")) == first
    assert len(venue.on_bar(bar(2, "100"))) == 1


def test_a_cancel_twice_is_one_cancel_with_one_answer(reopened: Opened) -> None:
    venue = reopened()
    venue.submit(buy("a"))
    first = venue.cancel(cancel("c", buy("a")))
    assert first.exec_type is ExecType.CANCELED
    assert reopened().cancel(cancel("c", buy("a"))) == first


def test_a_replace_twice_is_one_replace_with_one_answer(reopened: Opened) -> None:
    venue = reopened()
    venue.submit(buy("a", **limit("90")))
    first = venue.replace(change("r", buy("a"), 20, limit_price="95"))
    again = reopened()
    assert again.replace(change("r", buy("a"), 20, limit_price="95")) == first
    (fill,) = again.on_bar(bar(2, "94"))
    assert (fill.client_order_id, fill.original_client_order_id) == ("r", "a")
    assert (fill.last_quantity, fill.order_status) == (Decimal(20), OrderStatus.FILLED)


def test_a_replaced_order_is_found_by_all_of_its_names(reopened: Opened) -> None:
    venue = reopened()
    venue.submit(buy("a", **limit("90")))
    venue.replace(change("r1", buy("a"), 20))
    venue.replace(change("r2", buy("r1"), 30))
    assert reopened().cancel(cancel("c", buy("a"))).cumulative_quantity == 0
    assert reopened().cancel(cancel("d", buy("r2"))).code == "TOO_LATE"


def test_a_working_order_goes_on_after_a_restart_where_it_was(reopened: Opened) -> None:
    venue = reopened()
    venue.submit(buy("a", **limit("99")))
    venue.on_bar(bar(2, "100"))
    again = reopened()
    assert again.on_bar(bar(2, "98")) == [], "a bar seen before was tried again"
    (fill,) = again.on_bar(bar(3, "98"))
    assert fill.last_price == 99, "after the restart the order was taken for a fresh one"


def test_executions_that_were_not_published_are_told_again_and_published_ones_are_not(reopened: Opened) -> None:
    venue = reopened()
    venue.submit(buy("a"))
    traded = venue.on_bar(bar(2, "100"))
    again = reopened()
    assert [report for _, report in again.unpublished()] == traded
    again.published(again.unpublished()[-1][0])
    assert reopened().unpublished() == []
    assert [report for _, report in reopened().executions(0)] == traded


def test_holdings_and_cash_follow_the_fills_and_a_deposit_twice_is_one(reopened: Opened) -> None:
    venue = reopened()
    for _ in range(2):
        venue.fund("alice", "deposit-1", "USD", Decimal(5_000))
    venue.submit(buy("a", 10))
    venue.submit(sell("b", 4, at=2))
    venue.on_bar(bar(2, "100"))
    venue.on_bar(bar(3, "110"))
    again = reopened()
    assert [(held.instrument_id, held.quantity) for held in again.positions("alice")] == [("TEAPOT", Decimal(6))]
    assert [(cash.currency, cash.amount) for cash in again.cash("alice")] == [("USD", Decimal("4438.56"))]


def test_a_bar_that_is_not_newer_does_nothing(reopened: Opened) -> None:
    venue = reopened()
    venue.on_bar(bar(2, "100"))
    venue.submit(buy("a", at=1))
    assert venue.on_bar(bar(2, "100")) == []
    assert venue.on_bar(bar(1.5, "100")) == []


def test_an_order_that_comes_late_fills_only_on_prices_later_than_its_coming(reopened: Opened) -> None:
    venue = reopened()
    venue.on_bar(bar(3, "100"))
    assert venue.submit(buy("a", at=1)).event_time_us == day(3)
    (fill,) = venue.on_bar(bar(4, "104"))
    assert fill.last_price == 104


def test_one_process_at_a_time_has_the_books(tmp_path: Path) -> None:
    first = SqliteLedger(tmp_path / "venue.db")
    with pytest.raises(LedgerInUse, match="another process"):
        SqliteLedger(tmp_path / "venue.db")
    first.close()
    SqliteLedger(tmp_path / "venue.db").close()


TRADES_FOR_EVER = """
import sys
from pathlib import Path
from connectors.brokers.paper import PaperVenue, SqliteLedger
from tests.connectors.brokers.orders import bar, buy, teapots

venue = PaperVenue([teapots()], ledger=SqliteLedger(Path(sys.argv[1])))
for number in range(2, 100_000):
    venue.submit(buy(f"order-{number}", 1, at=number - 1))
    (fill,) = venue.on_bar(bar(number, "100"))
    print(fill.exec_id, flush=True)
"""


@pytest.mark.faults
def test_whatever_the_venue_said_before_it_was_killed_it_still_knows(tmp_path: Path) -> None:
    path = tmp_path / "venue.db"
    child = subprocess.Popen(
        [sys.executable, "-c", TRADES_FOR_EVER, str(path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert child.stdout is not None
    said = [child.stdout.readline().strip() for _ in range(50)]
    os.kill(child.pid, signal.SIGKILL)
    said += child.stdout.read().split()
    child.wait()
    child.stdout.close()
    ledger = SqliteLedger(path)
    known = [report.exec_id for _, report in ledger.executions(0)]
    assert known[: len(said)] == said
    assert len(known) - len(said) in (0, 1)
    held = PaperVenue([teapots()], rules=PaperRules(), ledger=ledger).positions("alice")
    assert held[0].quantity == len(known), "half of a change was kept"
    ledger.close()
