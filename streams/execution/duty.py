"""Duty: execution in one worker. Which accounts are its, what it must have read and compared before it sends, and the
tasks that keep both true.

    commands ----> perform ----> Execution ----> brokers
                      ^ not before all was read, and new risk not before the account was compared
    Following --------'          Books, one for each account whose partition is ours
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from connectors.brokers.opening import OpenBroker, readers_of
from connectors.brokers.paper import PaperBroker
from schemas.control import CashMovement, Mode
from schemas.market import Bar
from schemas.record import Record
from schemas.reference import FeeSchedule, Instrument
from schemas.topics import ORDERS_COMMANDS
from streams.execution.handler import Execution, Turn
from streams.execution.knowledge import Following, Knowledge
from streams.execution.outcomes import Command, counts_fills
from streams.execution.reconciliation import Books, listen
from streams.runtime.fail_stop import REFUSED, fail_stop
from streams.runtime.keys import partition_of
from streams.runtime.source import DeliveryFailed, Source

if TYPE_CHECKING:
    from streams.runtime.reader import Reader

LOOK_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Place:
    """One venue: its broker, and which of our accounts trade there; None means all that were opened for it."""

    broker: OpenBroker
    accounts: frozenset[str] | None


@dataclass(slots=True)
class Watch:
    """The accounts of one broker that are ours now, and the tasks over them."""

    accounts: tuple[str, ...]
    tasks: list["asyncio.Task[None]"] = field(default_factory=list)


class Duty:
    """What a worker does for execution, beside carrying commands.

    ours: partitions of `orders.commands` that are this worker's now.
    bars: readers of bars for paper venues.
    """

    def __init__(
        self,
        execution: Execution,
        places: Mapping[str, Place],
        mode: Mode,
        source: Source,
        *,
        ours: Callable[[], Collection[int]],
        every_s: float,
        bars: "Callable[[], Reader] | None" = None,
    ):
        self.books: dict[str, Books] = {}
        self.knowledge = Knowledge(execution, self._learn)
        self._execution = execution
        self._places = dict(places)
        self._mode = mode
        self._source = source
        self._ours = ours
        self._every_s = every_s
        self._bars = bars
        self._following: Following | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._watches: dict[str, Watch] = {}
        self._streams: dict[str, str] = {}
        execution.reconciled = self.is_reconciled

    def start(self, following: Following) -> None:
        """Begin to read, to compare and to listen. In the event loop."""
        self._following = following
        duties = [following.follow_kills(), following.follow_inbox(), self._keep()]
        if self._bars is not None:
            duties.append(self._trade_on_paper(self._bars()))
        for duty in duties:
            task = asyncio.create_task(duty)
            task.add_done_callback(_must_not_end)
            self._tasks.append(task)

    async def stop(self) -> None:
        """End all tasks and close the brokers."""
        watched = [task for watch in self._watches.values() for task in watch.tasks]
        for task in [*self._tasks, *watched]:
            task.remove_done_callback(_must_not_end)
            task.cancel()
        await asyncio.gather(*self._tasks, *watched, return_exceptions=True)
        for place in self._places.values():
            await place.broker.close()
        if self._following is not None:
            self._following.close()

    async def perform(self, command: Command, turn: Turn) -> list[Record]:
        """Carry out one command, once all is read that may forbid it."""
        assert self._following is not None, "start comes first"
        await self._following.ready.wait()
        said = await self._execution.on_command(command, turn)
        books = self.books.get(command.account_id)
        if books is not None and any(counts_fills(record) for record in said):
            await books.catch_up()
        return said

    def not_ready(self) -> str:
        """Why this worker would send nothing; empty where it would."""
        if self._following is None:
            return "execution has not begun to read"
        if missing := self._following.missing():
            return f"execution waits: {missing}"
        waiting = [name for name, books in self.books.items() if not books.reconciled.is_set()]
        return f"execution waits: {' '.join(sorted(waiting))} not compared with the broker yet" if waiting else ""

    def is_reconciled(self, command: Command) -> bool:
        """Whether the command's account was compared with its broker; an unknown one is the broker's to refuse."""
        place = self._places.get(command.venue)
        if place is None or (place.accounts is not None and command.account_id not in place.accounts):
            return True
        books = self.books.get(command.account_id)
        return books is not None and books.reconciled.is_set()

    def told(self) -> dict[str, object]:
        """How reconciliation stands, for people."""
        return {
            name: {
                "reconciled": books.reconciled.is_set(),
                "rounds": books.counts.rounds,
                "unquiet": books.counts.unquiet,
                "failures": books.counts.failures,
                "last_failure": books.counts.last_failure,
                "stream": self._streams.get(name, ""),
            }
            for name, books in self.books.items()
        }

    def _learn(self, record: Record) -> None:
        for place in self._places.values():
            if isinstance(record, Instrument):
                place.broker.learn(record)
                continue
            if not isinstance(place.broker, PaperBroker):
                continue
            if isinstance(record, FeeSchedule):
                place.broker.learn(record)
            elif isinstance(record, CashMovement):
                opened = self.knowledge.accounts.get(record.account_id)
                if opened is not None and self._places.get(opened.venue) is place:
                    place.broker.fund(record)

    async def _keep(self) -> None:
        """Begin and end the work over accounts as partitions come and go."""
        assert self._following is not None
        await self._following.ready.wait()
        if self._mode is Mode.LIVE:
            self._require_limits()
        while True:
            ours = frozenset(self._ours())
            for venue, place in self._places.items():
                for broker, accounts in readers_of(place.broker, self._accounts_at(venue, place, ours)):
                    await self._watch(f"{venue}/{id(broker)}", venue, broker, accounts)
            self._let_go(ours)
            await asyncio.sleep(LOOK_EVERY_S)

    def _accounts_at(self, venue: str, place: Place, ours: Collection[int]) -> list[str]:
        named = self.knowledge.accounts if place.accounts is None else place.accounts
        return [
            name
            for name in sorted(named)
            if self.knowledge.opened(name, venue, self._mode) and _partition(name) in ours
        ]

    async def _watch(self, key: str, venue: str, broker: OpenBroker, accounts: tuple[str, ...]) -> None:
        watch = self._watches.get(key)
        if watch is not None and watch.accounts == accounts:
            return
        if watch is not None:
            await _cancelled(watch.tasks)
        self._watches[key] = watch = Watch(accounts)
        for name in accounts:
            if name not in self.books:
                cursor = self.knowledge.cursors.get(name, "")
                self.books[name] = Books(name, venue, broker, self._write, cursor)
            watch.tasks.append(asyncio.create_task(self.books[name].run(self._every_s)))
        mine = {name: self.books[name] for name in accounts}

        def lost(why: str) -> None:
            self._streams.update(dict.fromkeys(mine, why))

        watch.tasks.append(asyncio.create_task(listen(broker, mine, lost)))
        for task in watch.tasks:
            task.add_done_callback(_must_not_end)

    def _let_go(self, ours: Collection[int]) -> None:
        """Forget the books of accounts that went to another worker, and end the work over them."""
        for key, watch in list(self._watches.items()):
            gone = [name for name in watch.accounts if _partition(name) not in ours]
            if gone:
                for task in watch.tasks:
                    task.remove_done_callback(_must_not_end)
                    task.cancel()
                del self._watches[key]
            for name in gone:
                self.books.pop(name, None)

    async def _write(self, records: list[Record]) -> None:
        try:
            await self._source.deliver(records)
        except DeliveryFailed as error:
            fail_stop("what a broker told could not be recorded", error)

    async def _trade_on_paper(self, reader: "Reader") -> None:
        """Let paper venues see the bars."""
        while True:
            for received in await reader.read():
                for place in self._places.values():
                    if isinstance(place.broker, PaperBroker) and isinstance(received.record, Bar):
                        place.broker.on_bar(received.record)

    def _require_limits(self) -> None:
        named: Iterable[str] = {name for place in self._places.values() for name in place.accounts or ()}
        bare = self.knowledge.without_limits(list(named))
        if bare:
            fail_stop(f"no limits for {', '.join(bare)}: set them with `quantumleap risk limits` first", code=REFUSED)


def _partition(account_id: str) -> int:
    return partition_of(account_id.encode(), ORDERS_COMMANDS.partitions)


async def _cancelled(tasks: Collection["asyncio.Task[None]"]) -> None:
    for task in tasks:
        task.remove_done_callback(_must_not_end)
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _must_not_end(task: "asyncio.Task[None]") -> None:
    """A duty that ended leaves execution blind: start again."""
    if not task.cancelled():
        fail_stop(f"execution's duty ended: {task.get_coro()}", task.exception())
