"""A venue for the tests of a module, and for each test an account of its own on it."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal

import pytest

from connectors.brokers.alpaca import AlpacaBroker, Manners
from tests.venue.direction import Direction
from tests.venue.judge import Judge
from tests.venue.orders import Json
from tests.venue.process import Venue, venue
from tests.venue.stage import HASTY, alpaca_at

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Scene:
    """A venue, and alice's account there."""

    at: Venue
    account: Json

    @property
    def number(self) -> str:
        return str(self.account["number"])

    def broker(self, *, manners: Manners = HASTY, since: str = "") -> AlpacaBroker:
        return alpaca_at(self.at, self.account, manners=manners, since=since)

    def play(self, act: Callable[[AlpacaBroker], Awaitable[None]], *, manners: Manners = HASTY) -> None:
        """Run one act with a broker, and close it."""

        async def scene() -> None:
            broker = self.broker(manners=manners)
            try:
                await asyncio.wait_for(act(broker), 60)
            finally:
                await broker.close()

        asyncio.run(scene())

    def judge(self) -> Judge:
        return self.at.judge()

    def names(self) -> list[str]:
        """Names of all orders that the venue accepted from alice."""
        with self.judge() as judge:
            return judge.names(self.number)

    def held(self) -> dict[str, Decimal]:
        """What alice holds, by symbol."""
        with self.judge() as judge:
            return judge.positions(self.number)


@pytest.fixture(scope="module")
def shared_venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    with venue(tmp_path_factory.mktemp("venue"), prices={"TPT": "100"}) as running:
        yield running


@pytest.fixture
def scene(shared_venue: Venue) -> Iterator[Scene]:
    number = next(_numbers)
    account = {"number": f"PA{number}", "key": f"AK{number}", "secret": f"s3cret-{number}", "cash": "100000"}
    shared_venue.open_account(account["number"], account["key"], account["secret"], Decimal(account["cash"]))
    yield Scene(shared_venue, account)
    shared_venue.behave()
    shared_venue.flush()
    shared_venue.direct(**{name: getattr(Direction(), name) for name in Direction.__dataclass_fields__})
