"""Outside: what lies beyond the engine. The venue with its own ledger, the wire to it, the marks relay, and the clock.

The venue counts what reaches it, so it can judge. Relay and venue report what they see of the topics, and sometimes say
it again, as programs do that die between saying and remembering.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import TypeVar

from connectors.brokers.paper import PaperBroker, PaperRules, PaperVenue
from connectors.errors import Unavailable
from connectors.protocols import Capabilities, ClientIdUnique, FillPage
from schemas.codec import Codec
from schemas.control import Mode
from schemas.execution import ExecutionReport, HeldCash, HeldPosition
from schemas.market import Bar, Mark
from schemas.order import CancelOrder, QueryOrder, ReplaceOrder, SubmitOrder
from schemas.record import Record
from schemas.topics import MARKET_BARS, MARKET_MARKS, Topic, destinations
from streams.runtime.headers import headers_of, root_id
from streams.runtime.keys import partition_of
from streams.sources.relay import conflated
from tests.simulation.broker import Broker, Stored
from tests.simulation.broker import Record as Written
from tests.simulation.plan import BUSY_S
from tests.simulation.scenario import START_US, STEP_US, fees, instrument
from tests.simulation.worker import ENVIRONMENT, Mishap
from tests.simulation.world import World

_Answer = TypeVar("_Answer")

LOOK_S = 0.02
AGAIN = 0.03
"""How often relay and venue forget that they have said something, while the world is busy."""
REQUEST_S_MAX = 0.15
"""The venue drops a request that was under way for so long."""


def write(broker: Broker, codec: Codec, role: str, record: Record) -> None:
    """Append a record as a source does: to every topic of the map, to every partition if it is for everybody."""
    headers = headers_of(root_id(record) or "", record.event_time_us)
    value = codec.encode(record)
    for topic in destinations(role, type(record)):
        key = topic.key_of(record)
        name = topic.full_name(ENVIRONMENT)
        if key is None:
            for partition in range(topic.partitions):
                broker.append(Written((name, partition), None, value, headers))
        else:
            raw = key.encode()
            broker.append(Written((name, partition_of(raw, topic.partitions)), raw, value, headers))


STEP_S = 1 / 15
"""Time of the world between steps: event time runs as much faster as sessions are shorter than in earnest."""


class Follower:
    """Reads what is committed of a topic, and remembers how far."""

    def __init__(self, broker: Broker, topic: Topic):
        self._logs = [broker.logs[topic.full_name(ENVIRONMENT), p] for p in range(topic.partitions)]
        self._positions = [0] * topic.partitions

    @property
    def at_end(self) -> bool:
        """Whether nothing that is committed is left."""
        return all(log.read(at, True)[0] is None for log, at in zip(self._logs, self._positions, strict=True))

    def take(self) -> list[Stored]:
        """All that is new."""
        found = []
        for number, log in enumerate(self._logs):
            while True:
                stored, self._positions[number] = log.read(self._positions[number], True)
                if stored is None:
                    break
                found.append(stored)
        return found

    def forget(self) -> None:
        """Begin again at the beginning."""
        self._positions = [0] * len(self._positions)


class Outside:
    """The venue, the relay, and what reached the venue.

    unique: for how long the venue knows a client_order_id.
    submitted: how often each order reached it.
    mode: whether time is that of the records, or the world's.
    """

    def __init__(self, world: World, broker: Broker, codec: Codec, unique: ClientIdUnique, seed: int):
        self.world = world
        self.broker = broker
        self.unique = unique
        self.submitted: Counter[str] = Counter()
        self.mode = Mode.REPLAY
        self.venue = PaperVenue([instrument("OAK"), instrument("ELM")], [fees()], rules=PaperRules(seed=seed))
        self._codec = codec
        self._bars = Follower(broker, MARKET_BARS)
        self._marks = Follower(broker, MARKET_MARKS)
        self.capabilities: Capabilities = replace(
            PaperBroker(self.venue).capabilities,
            client_id_unique=unique,
            repeats_answer=unique is ClientIdUnique.ALWAYS,
            request_expiry_s=REQUEST_S_MAX,
        )
        world.at(LOOK_S, self._look)

    def now_us(self) -> int:
        """What clocks on walls show, microseconds of event time."""
        return START_US + int(self.world.now / STEP_S * STEP_US)

    @property
    def at_rest(self) -> bool:
        """Whether nothing is left to be relayed or matched."""
        return self._bars.at_end and self._marks.at_end and not self.venue.unpublished()

    def _look(self) -> None:
        self._relay()
        self._match()
        self.world.at(LOOK_S * (0.5 + self.world.chance()), self._look)

    def _relay(self) -> None:
        if self._forgets():
            self._marks.forget()
        by_step: dict[tuple[int, str], list[Mark]] = defaultdict(list)
        for stored in self._marks.take():
            mark = self._codec.decode(stored.value())
            assert isinstance(mark, Mark)
            by_step[mark.event_time_us, mark.instrument_id].append(mark)
        for _, marks in sorted(by_step.items()):
            batch = conflated(marks)
            assert batch is not None
            write(self.broker, self._codec, "relay", batch)

    def _match(self) -> None:
        bars = [self._codec.decode(stored.value()) for stored in self._bars.take()]
        for bar in bars:
            assert isinstance(bar, Bar)
            self.venue.on_bar(bar)
        waiting = self.venue.unpublished()
        for _, report in waiting:
            write(self.broker, self._codec, "execution", report)
        if waiting and not self._forgets():
            self.venue.published(waiting[-1][0])

    def _forgets(self) -> bool:
        return self.world.now < BUSY_S and self.world.chance() < AGAIN


class Wire:
    """A broker's port in one process: what is asked travels to the venue, and its answer back, unless they are lost."""

    def __init__(self, outside: Outside, mishap: Mishap):
        self._outside = outside
        self._world = outside.world
        self._process = outside.world.me().process
        self._mishap = mishap

    @property
    def capabilities(self) -> Capabilities:
        return self._outside.capabilities

    async def _ask(self, label: str, act: Callable[[], _Answer]) -> _Answer:
        world, process = self._world, self._process
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[_Answer] = loop.create_future()
        mishap = self._mishap("venue")
        if mishap == "unavailable":
            raise Unavailable("the venue is down; the same call may be repeated")
        world.point(f"{label}:sent")

        def arrive() -> None:
            said = act()
            world.hit(f"{label}:done", process)
            if mishap != "answer lost":
                world.at(world.latency(), lambda: _told(loop, answer, said), process)

        if mishap != "request lost":
            wait = world.latency()
            if wait < REQUEST_S_MAX:
                world.at(wait, arrive)
        return await answer

    async def submit(self, order: SubmitOrder) -> ExecutionReport:
        def act() -> ExecutionReport:
            self._outside.submitted[order.client_order_id] += 1
            return self._outside.venue.submit(order)

        return await self._ask("venue", act)

    async def cancel(self, request: CancelOrder) -> ExecutionReport:
        return await self._ask("venue", lambda: self._outside.venue.cancel(request))

    async def replace(self, request: ReplaceOrder) -> ExecutionReport:
        return await self._ask("venue", lambda: self._outside.venue.replace(request))

    async def query(self, request: QueryOrder) -> ExecutionReport | None:
        return await self._ask("venue", lambda: self._outside.venue.query(request))

    async def open_orders(self, account_id: str) -> list[ExecutionReport]:
        raise NotImplementedError

    async def positions(self, account_id: str) -> list[HeldPosition]:
        raise NotImplementedError

    async def cash(self, account_id: str) -> list[HeldCash]:
        raise NotImplementedError

    async def fills(self, account_id: str, cursor: str = "") -> FillPage:
        raise NotImplementedError

    def reports(self) -> AsyncIterator[ExecutionReport]:
        raise NotImplementedError


def _told(loop: asyncio.AbstractEventLoop, future: "asyncio.Future[_Answer]", answer: _Answer) -> None:
    loop.call_soon_threadsafe(_tell, future, answer)


def _tell(future: "asyncio.Future[_Answer]", answer: _Answer) -> None:
    if not future.done():
        future.set_result(answer)
