"""The journey of an order whose workers are killed, at each step of it. `docs/orders-killed.md` is the table."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal

import pytest

from schemas.intent import ManualAction, ManualOrder
from schemas.order import OrderStatus, OrderType, Side
from schemas.scalars import SECOND_US
from streams.accounts.wishes import order_id
from tests.soak.floor import Floor, now_us
from tests.soak.verdict import Story
from tests.venue.faults import Kind

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.faults]

ACCOUNTS, EXECUTION = "a0", "e0"
ACCOUNT, VENUE_ACCOUNT, SYMBOL = "A0", "PA0", "TPT"


@dataclass
class Trading:
    """A floor with one worker for accounts and one for execution, so that each can be killed alone."""

    floor: Floor
    story: Story
    placed: int = 0

    def place(self) -> str:
        """Ask for one unit at a limit that nobody trades at yet; the order's id."""
        self.placed += 1
        request_id = f"kill-{self.placed}"
        self.floor.control.write(
            ManualOrder(
                event_time_us=now_us(), request_id=request_id, account_id=ACCOUNT, action=ManualAction.PLACE,
                author="ann", reason="test", valid_until_us=now_us() + 60 * SECOND_US, instrument_id=SYMBOL,
                side=Side.BUY, quantity=Decimal(1), order_type=OrderType.LIMIT, limit_price=Decimal(100),
            )
        )  # fmt: skip
        self.floor.control.flush()
        return order_id(ACCOUNT, request_id)

    def until(self, name: str, status: OrderStatus, timeout_s: float = 120) -> None:
        """Wait until the order shows this status."""
        give_up = time.monotonic() + timeout_s
        while True:
            self.story.read(0.1)
            order = self.story.orders.get(name)
            if order is not None and order.status is status:
                return
            assert time.monotonic() < give_up, f"{name} is {order} and not {status}: {self.floor.tail(EXECUTION)}"

    def until_there(self, name: str, timeout_s: float = 60) -> None:
        """Wait until the venue has the order."""
        give_up = time.monotonic() + timeout_s
        while True:
            with self.floor.venue.judge() as ledger:
                if name in ledger.names():
                    return
            assert time.monotonic() < give_up, f"{name} did not come to the venue: {self.floor.tail(EXECUTION)}"
            time.sleep(0.05)

    def trade(self, name: str) -> None:
        self.floor.venue.trade(name, "1", "100", VENUE_ACCOUNT)


@pytest.fixture(scope="module")
def trading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trading]:
    """One floor for all steps; workers that were killed are started again at once."""
    folder = tmp_path_factory.mktemp("killed")
    roles = {ACCOUNTS: ("accounts",), EXECUTION: ("execution",)}
    with Floor(folder, seed=5, accounts=1, roles_of=roles, direction={"fill_chance": 0.0}) as floor:
        floor.start(ACCOUNTS, EXECUTION)
        floor.until_ready()
        story = Story(floor)
        yield Trading(floor, story)
        story.close()


def before_it_is_judged(it: Trading) -> str:
    it.floor.kill(ACCOUNTS)
    return it.place()


def before_its_command_is_read(it: Trading) -> str:
    it.floor.kill(EXECUTION)
    return it.place()


def at_the_socket_before_the_venue_has_it(it: Trading) -> str:
    it.floor.venue.fault(Kind.SLOW, "submit", left=1, seconds=3)
    name = it.place()
    time.sleep(1)
    it.floor.kill(EXECUTION)
    return name


def at_the_socket_after_the_venue_has_it(it: Trading) -> str:
    it.floor.venue.fault(Kind.LOSE_ANSWER, "submit", left=1, seconds=20)
    name = it.place()
    it.until_there(name)
    it.floor.kill(EXECUTION)
    return name


def before_its_acknowledgement_is_folded(it: Trading) -> str:
    it.floor.venue.fault(Kind.SLOW, "submit", left=1, seconds=1)
    name = it.place()
    time.sleep(0.5)
    it.floor.kill(ACCOUNTS)
    return name


def before_its_fill_is_told(it: Trading) -> str:
    name = it.place()
    it.until(name, OrderStatus.NEW)
    it.floor.kill(EXECUTION)
    it.trade(name)
    return name


def before_its_fill_is_folded(it: Trading) -> str:
    name = it.place()
    it.until(name, OrderStatus.NEW)
    it.floor.kill(ACCOUNTS)
    it.trade(name)
    return name


def both_workers_while_it_works(it: Trading) -> str:
    name = it.place()
    it.until(name, OrderStatus.NEW)
    it.floor.kill(ACCOUNTS)
    it.floor.kill(EXECUTION)
    return name


STEPS: tuple[Callable[[Trading], str], ...] = (
    before_it_is_judged,
    before_its_command_is_read,
    at_the_socket_before_the_venue_has_it,
    at_the_socket_after_the_venue_has_it,
    before_its_acknowledgement_is_folded,
    before_its_fill_is_told,
    before_its_fill_is_folded,
    both_workers_while_it_works,
)


@pytest.mark.parametrize("killed", STEPS, ids=lambda step: step.__name__)
def test_an_order_is_there_once_and_its_fill_counts_once_though_its_worker_was_killed(
    killed: Callable[[Trading], str], trading: Trading
) -> None:
    name = killed(trading)
    trading.until_there(name)
    with trading.floor.venue.judge() as ledger:
        assert ledger.names().count(name) == 1
        traded = ledger.order(name).filled
    if not traded:
        trading.trade(name)
    trading.until(name, OrderStatus.FILLED)
    with trading.floor.venue.judge() as ledger:
        assert trading.story.positions[ACCOUNT, SYMBOL] == ledger.positions(VENUE_ACCOUNT)[SYMBOL]
    assert trading.story.repeated == 0


def test_a_cancel_is_carried_out_though_its_worker_was_killed(trading: Trading) -> None:
    name = trading.place()
    trading.until(name, OrderStatus.NEW)
    trading.floor.venue.fault(Kind.SLOW, "cancel", left=1, seconds=3)
    trading.floor.cancel(ACCOUNT, name)
    time.sleep(1)
    trading.floor.kill(EXECUTION)
    trading.until(name, OrderStatus.CANCELED)
    with trading.floor.venue.judge() as ledger:
        assert ledger.order(name).status == "canceled"
