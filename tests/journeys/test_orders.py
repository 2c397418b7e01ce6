"""The journey of an order placed by hand: risk, a worker, a venue that misbehaves, fills, and the whole story told."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from schemas.control import KillSwitch, KillVerb, Scope
from schemas.execution import BrokerPositions, NotSent, NotSentReason
from schemas.market import Bar, BarKind
from schemas.order import OrderStatus
from schemas.risk import Discrepancy, DiscrepancyKind
from schemas.scalars import SECOND_US
from schemas.topics import ACCOUNTS_INBOX
from streams.runtime.reader import Reader, Start
from tests.soak.floor import ENVIRON, Floor, now_us
from tests.soak.verdict import Story
from tests.venue.faults import Kind

pytestmark = [pytest.mark.servers, pytest.mark.slow]

COMMAND = str(Path(sys.executable).parent / "quantumleap")
ACCOUNT = "A0"


class Trading:
    """A floor with one worker that runs all it is asked to, and commands as a user types them."""

    def __init__(self, floor: Floor):
        self.floor = floor
        self.story = Story(floor)

    def ask(self, *words: str, code: int = 0) -> Any:
        """Run a command; what it prints as JSON."""
        environ = ENVIRON | self.floor.variables() | {"QL_CLICKHOUSE_URL": "http://127.0.0.1:9"}
        ended = subprocess.run(
            [COMMAND, *words, "--json"], cwd=self.floor.folder, env=environ, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
        assert ended.returncode == code, f"{words} ended with {ended.returncode}: {ended.stdout}\n{ended.stderr}"
        return json.loads(ended.stdout) if ended.stdout else {}

    def place(self, *words: str) -> str:
        """Place an order by hand; its id."""
        return str(self.ask("order", "place", *words, "--account", ACCOUNT, "--wait", "20")["client_order_id"])

    def until(self, true: Callable[[], bool], what: str, timeout_s: float = 300) -> None:
        """Wait until the log says so."""
        give_up = time.monotonic() + timeout_s
        while not true():
            self.story.read(0.1)
            assert time.monotonic() < give_up, f"{what}: {self.floor.tail('w0')}"

    def status(self, name: str) -> OrderStatus | None:
        order = self.story.orders.get(name)
        return None if order is None else order.status

    def position(self, symbol: str) -> Decimal:
        return self.story.positions.get((ACCOUNT, symbol), Decimal(0))

    def inbox(self, kind: type) -> list[Any]:
        """All records of a type that accounts were told."""
        floor = self.floor
        reader = Reader(floor.cluster, floor.codec, ACCOUNTS_INBOX, floor.environment, Start.BEGINNING)
        found = [one.record for one in reader.to_end() if isinstance(one.record, kind)]
        reader.close()
        return found


@pytest.fixture(scope="module")
def trading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trading]:
    """Servers, the venue, the clock, and one worker with accounts and execution."""
    folder = tmp_path_factory.mktemp("orders")
    with Floor(folder, seed=3, accounts=1, direction={"fill_chance": 0.0}) as floor:
        floor.start("w0")
        floor.until_ready()
        it = Trading(floor)
        yield it
        it.story.close()


def test_an_order_placed_by_hand_is_filled_at_the_venue_and_its_story_is_told(trading: Trading) -> None:
    name = trading.place("buy", "3", "TPT", "--limit", "100")
    with trading.floor.venue.judge() as ledger:
        assert ledger.order(name).quantity == 3
    trading.floor.venue.trade(name, "3", "100", "PA0")
    trading.until(lambda: trading.status(name) is OrderStatus.FILLED, "it was not filled")
    assert trading.position("TPT") == 3
    told = trading.ask("order", "show", name)
    steps = [step["step"] for step in told["steps"]]
    assert steps.index("verdict") < steps.index("command") < steps.index("broker") < steps.index("fill")
    known = {(leg["from"], leg["to"]): (leg["ms"], leg["written_ms"]) for leg in told["latencies"]}
    assert None not in known["command", "acknowledgement"] + known["acknowledgement", "last fill"]
    assert known["signal", "intent"] == (None, None)
    assert [(row["quantity"], row["price"]) for row in told["slippage"]["fills"]] == [("3", "100")]


def test_a_bracket_placed_by_hand_lives_at_the_venue_and_the_exit_that_fills_takes_back_the_other(
    trading: Trading,
) -> None:
    name = trading.place("buy", "3", "TP7", "--limit", "100", "--take-profit", "110", "--stop-loss", "90")
    trading.floor.venue.trade(name, "3", "100", "PA0")

    def exits() -> dict[str, tuple[OrderStatus, Decimal]]:
        orders = (one for one in trading.story.orders.values() if one.intent_id == f"bracket:{name}")
        return {str(one.order_type): (one.status, one.quantity) for one in orders}

    working = {"STOP": (OrderStatus.NEW, Decimal(3)), "LIMIT": (OrderStatus.NEW, Decimal(3))}
    trading.until(lambda: exits() == working, "both exits should work")
    target = next(one.client_order_id for one in trading.story.orders.values()
                  if one.intent_id == f"bracket:{name}" and one.limit_price == 110)  # fmt: skip
    trading.floor.venue.trade(target, "3", "110", "PA0")
    done = {"STOP": (OrderStatus.CANCELED, Decimal(3)), "LIMIT": (OrderStatus.FILLED, Decimal(3))}
    trading.until(lambda: exits() == done, "the stop should be taken back")
    assert trading.position("TP7") == 0


def test_an_order_whose_answer_is_lost_is_found_by_query_and_is_there_once(trading: Trading) -> None:
    trading.floor.venue.fault(Kind.SERVER_ERROR, "submit", left=1, after=True)
    name = trading.place("buy", "1", "KTL", "--limit", "100")
    trading.until(lambda: trading.status(name) is OrderStatus.NEW, "its fate stayed unknown")
    with trading.floor.venue.judge() as ledger:
        assert ledger.names().count(name) == 1
        assert ledger.attempts("submit")[name] == 1


def test_an_order_that_never_arrived_is_proven_absent_and_its_reservation_released(trading: Trading) -> None:
    trading.floor.venue.fault(Kind.RESET, "submit", left=1)
    name = trading.place("buy", "1", "CUP", "--limit", "100")
    trading.until(lambda: trading.status(name) is OrderStatus.DENIED, "its fate stayed unknown")
    with trading.floor.venue.judge() as ledger:
        assert name not in ledger.names()


def test_an_external_order_is_adopted_and_moves_our_position(trading: Trading) -> None:
    venue = trading.floor.venue
    told = venue.external_order(
        "PA0", symbol="POT", qty="2", side="buy", type="limit", limit_price="90", time_in_force="gtc"
    )
    name = str(told["client_order_id"])
    trading.until(lambda: trading.status(name) is OrderStatus.NEW, "it was not adopted")
    assert trading.story.orders[name].strategy_id == "EXTERNAL"
    venue.trade(name, "2", "90", "PA0")
    trading.until(lambda: trading.position("POT") == 2, "its fill was not counted")


def test_a_position_from_nowhere_is_a_discrepancy_and_holds_back_new_orders_in_that_instrument(
    trading: Trading,
) -> None:
    venue = trading.floor.venue
    venue.external_position("POT", "5", "100", "PA0")

    def disputed() -> list[Discrepancy]:
        return [one for one in trading.story.open_cases() if one.kind is DiscrepancyKind.POSITION]

    trading.until(lambda: bool(disputed()), "nobody saw it")
    (case,) = disputed()
    assert case.instrument_id == "POT"
    assert Decimal(case.theirs) - Decimal(case.ours) == 5
    listed = {one["id"]: one for one in trading.ask("discrepancy", "list", code=7)}[case.discrepancy_id]
    assert (listed["kind"], listed["theirs"], listed["open"]) == ("POSITION", case.theirs, True)
    denied = trading.ask("order", "place", "buy", "1", "POT", "--limit", "100", "--account", ACCOUNT, code=5)
    assert denied["code"] == "DISCREPANCY"
    venue.external_position("POT", "-5", "100", "PA0")
    trading.until(lambda: not trading.story.open_cases(), "it was not settled by agreement")
    assert trading.ask("discrepancy", "list") == []


def test_a_person_takes_the_brokers_position_into_our_books(trading: Trading) -> None:
    before = trading.position("CUP")
    trading.floor.venue.external_position("CUP", "7", "100", "PA0")
    trading.until(lambda: len(trading.story.open_cases()) == 2, "nobody saw position and cash")
    for case in trading.story.open_cases():
        trading.ask("discrepancy", "resolve", case.discrepancy_id, "--adopt-theirs", "--reason", "a gift")
    trading.until(lambda: trading.position("CUP") == before + 7, "it was not taken over")
    trading.until(lambda: not trading.story.open_cases(), "it came back")


def test_a_kill_switch_stops_new_orders_at_the_socket(trading: Trading) -> None:
    floor = trading.floor
    halted = KillSwitch(
        event_time_us=now_us(), request_id="k1", version=1, scope=Scope.INSTRUMENT, scope_id="TPT",
        verb=KillVerb.HALT, author="ann", reason="test",
    )  # fmt: skip
    # Only the door is told: what the accounts room let through must still not leave.
    raw = Producer({"bootstrap.servers": floor.cluster.bootstrap_servers})
    raw.produce(f"{floor.environment}.control.kill", floor.codec.encode(halted), halted.scope_key.encode())
    raw.flush()
    time.sleep(1)
    trading.ask("order", "place", "buy", "1", "TPT", "--limit", "100", "--account", ACCOUNT, "--wait", "20", code=5)
    assert [one.reason for one in trading.inbox(NotSent)][-1] is NotSentReason.KILLED


def test_a_worker_killed_between_two_orders_goes_on_with_both(trading: Trading) -> None:
    floor = trading.floor
    name = trading.place("buy", "4", "KTL", "--limit", "100")
    floor.kill("w0")
    # It is filled while nobody listens.
    floor.venue.trade(name, "4", "100", "PA0")
    trading.until(lambda: trading.status(name) is OrderStatus.FILLED, "the fill was lost")
    assert trading.position("KTL") == 4


def test_without_a_broker_in_the_settings_orders_trade_on_paper_with_the_bars(tmp_path: Path) -> None:
    with Floor(tmp_path, seed=4, accounts=1, on_paper=True) as floor:
        floor.start("w0")
        floor.until_ready()
        it = Trading(floor)
        name = it.place("buy", "3", "TPT")
        bars = floor.source("market_data")
        give_up = time.monotonic() + 60
        while it.status(name) is not OrderStatus.FILLED:
            assert time.monotonic() < give_up, f"{it.story.orders.get(name)}: {floor.tail('w0')}"
            bars.write(
                Bar(
                    event_time_us=now_us(), instrument_id="TPT", interval_us=SECOND_US, kind=BarKind.TIME,
                    open=Decimal(100), high=Decimal(101), low=Decimal(99), close=Decimal(100), volume=Decimal(1000),
                )
            )  # fmt: skip
            bars.flush()
            it.story.read(0.5)
        bars.close()
        assert it.position("TPT") == 3
        compared = len(it.inbox(BrokerPositions))
        while len(it.inbox(BrokerPositions)) < compared + 2:
            time.sleep(0.5)
        it.story.read_to_end()
        assert it.story.open_cases() == []
        it.story.close()
