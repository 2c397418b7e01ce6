"""The journey of an order to a FIX counterparty and to crypto venues: Kafka, a worker, fill and position."""

from collections.abc import Iterator
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path

import pytest

from connectors.embedded.kafka import KafkaServer
from schemas.order import OrderStatus
from tests.journeys.test_orders import ACCOUNT, Trading
from tests.servers import KAFKA_DIR
from tests.soak.doors import FIX, Door, crypto
from tests.soak.floor import Floor

pytestmark = [pytest.mark.servers, pytest.mark.slow]

DOORS = {"fix": (FIX, "quickfix"), "binance": (crypto("binance"), "ccxt"), "kraken": (crypto("kraken"), "ccxt")}


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """One Kafka for all of them; each has an environment of its own."""
    with KafkaServer.start(tmp_path_factory.mktemp("kafka"), port=0, kafka_dir=KAFKA_DIR) as server:
        yield server


@pytest.fixture(scope="module", params=sorted(DOORS))
def trading(
    request: pytest.FixtureRequest, kafka: KafkaServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Trading]:
    """The venue behind this door, and one worker whose settings name it."""
    door, library = DOORS[request.param]
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed: it comes with the extra for {request.param}")
    folder = tmp_path_factory.mktemp(request.param)
    with opened(folder, door, kafka, request.param) as floor:
        floor.start("w0")
        floor.until_ready(300)
        it = Trading(floor)
        yield it
        it.story.close()


def opened(folder: Path, door: Door, kafka: KafkaServer, environment: str) -> Floor:
    """A floor behind this door, on which nothing fills unless it is told to."""
    return Floor(
        folder, seed=6, accounts=1, door=door, kafka=kafka, environment=environment,
        direction={"fill_chance": 0.0},
    )  # fmt: skip


def test_an_order_reaches_the_venue_once_and_its_fill_becomes_a_position(trading: Trading) -> None:
    name = trading.place("buy", "3", "TPT", "--limit", "100", "--time-in-force", "gtc")
    trading.until(lambda: trading.status(name) is OrderStatus.NEW, "the venue should have it")
    with trading.floor.venue.judge() as ledger:
        assert [order.quantity for order in ledger.orders() if order.working] == [3]
    filled(trading, "3", "100")
    trading.until(lambda: trading.status(name) is OrderStatus.FILLED, "its fill should be told")
    trading.until(lambda: trading.position("TPT") == 3, "the position should be there")
    assert [quantity for (account, _), quantity in trading.story.fills.items() if account == ACCOUNT] == [Decimal(3)]


def test_an_order_that_is_cancelled_by_hand_is_gone_at_the_venue(trading: Trading) -> None:
    name = trading.place("buy", "2", "TPT", "--limit", "90", "--time-in-force", "gtc")
    trading.until(lambda: trading.status(name) is OrderStatus.NEW, "the venue should have it")
    trading.ask("order", "cancel", name, "--account", ACCOUNT, "--wait", "20")
    trading.until(lambda: trading.status(name) is OrderStatus.CANCELED, "the venue should have cancelled it")
    with trading.floor.venue.judge() as ledger:
        assert not [order for order in ledger.orders() if order.working]


def test_what_is_held_there_is_held_here_after_a_kill(trading: Trading) -> None:
    before = trading.position("TPT")
    name = trading.place("buy", "1", "TPT", "--limit", "100", "--time-in-force", "gtc")
    trading.until(lambda: trading.status(name) is OrderStatus.NEW, "the venue should have it")
    trading.floor.kill("w0")
    filled(trading, "1", "100")
    trading.until(lambda: trading.position("TPT") == before + 1, "a fill while nobody listened should be found")
    trading.until(lambda: trading.status(name) is OrderStatus.FILLED, "its order should be filled")


def filled(trading: Trading, quantity: str, price: str) -> None:
    """The venue fills the one order that works; venues have names of their own for it."""
    with trading.floor.venue.judge() as ledger:
        (order,) = [order for order in ledger.orders() if order.working]
    trading.floor.venue.trade(order.client_order_id, quantity, price, f"P{ACCOUNT}")


def test_a_market_order_for_the_day_as_strategies_send_it_is_taken(trading: Trading) -> None:
    name = trading.place("buy", "1", "TPT")
    trading.until(lambda: trading.status(name) is OrderStatus.NEW, "the venue should have it")
    filled(trading, "1", "100")
    trading.until(lambda: trading.status(name) is OrderStatus.FILLED, "its fill should be told")
