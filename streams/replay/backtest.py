"""`backtest`: the plan through all rooms in this process, with no servers."""

from collections.abc import Callable
from typing import Any

from connectors.ai.learner import MODEL_VERSION, Learner
from connectors.ai.local_signals import LocalSignals
from connectors.ai.publisher import SignalPublisher, SignalWriter
from connectors.brokers.paper import PaperVenue
from schemas.control import CashMovement, ClockTick
from schemas.market import Bar, Mark
from schemas.record import Record
from schemas.reference import FeeSchedule, Instrument
from schemas.topics import (
    ACCOUNTS_INBOX,
    INBOXES,
    MARKET_BARS,
    MARKET_MARKS,
    MARKET_TICKS,
    ORDERS_COMMANDS,
    SIGNALS_INBOX,
)
from streams.execution.local import LocalExecution
from streams.replay.plan import Plan, opening
from streams.replay.result import WATCHED, Result, taken_from
from streams.rooms import all_rooms
from streams.runtime.local import LocalLog, LocalRoom, LocalSource
from streams.runtime.schedule import Actor, Step, in_order, settle
from streams.sources.relay import conflated

CLOCK = "replay"


class Backtest:
    """One replay in process. `result` is complete when `run` returns."""

    def __init__(self, plan: Plan):
        self.plan = plan
        self.result = Result()
        self.log = LocalLog()
        for topic in WATCHED:
            self.log.topic(topic).tap(self.result.take, taken_from(topic))
        self._clocks = [self.log.topic(inbox).write for inbox in INBOXES]
        self._feed = self.log.topic(MARKET_TICKS).write
        venue = PaperVenue(name=plan.venue, rules=plan.rules)
        actors: list[Actor] = [LocalRoom(room, self.log) for room in all_rooms()]
        actors += [Relay(self.log), Venue(venue, self.log), Execution(LocalExecution({plan.venue: venue}), self.log)]
        self.learner = Learner(plan.provider_id) if plan.provider_id else None
        if self.learner is not None:
            actors.append(Publishers(self.learner, self.log))
        self.actors = [actors[i] for i in in_order([actor.name for actor in actors])]
        self._venue = venue
        self._last_tick_us = 0

    def run(self, on_step: Callable[[Step], None] | None = None) -> Result:
        """Replay the whole plan."""
        for role, record in opening(self.plan):
            LocalSource(role, self.log).write(record)
            inform(self._venue, record)
        settle(self.actors)
        for step in self.plan.data_set.steps(self.plan.from_us, self.plan.until_us):
            self._begin(step)
            settle(self.actors)
            if on_step is not None:
                on_step(step)
        return self.result

    def _begin(self, step: Step) -> None:
        if step.time_us > self._last_tick_us:
            self._last_tick_us = step.time_us
            tick = ClockTick(event_time_us=step.time_us, clock_id=CLOCK)
            for write in self._clocks:
                write(tick)
        for record in step.records:
            self._feed(record)


def inform(venue: PaperVenue, record: Record) -> None:
    """Tell the paper venue what it must know of the opening: instruments, fees and cash."""
    match record:
        case Instrument() | FeeSchedule():
            venue.learn(record)
        case CashMovement():
            venue.fund(record.account_id, record.movement_id, record.currency, record.amount)
        case _:
            pass


class Relay:
    """Marks to accounts."""

    name = "relay"

    def __init__(self, log: LocalLog):
        self._queue = log.queue(MARKET_MARKS)
        self._write = log.topic(ACCOUNTS_INBOX).write

    def drain(self) -> int:
        """Relay all marks since the last turn as one batch."""
        if not self._queue:
            return 0
        marks = [mark for _, mark in self._queue if isinstance(mark, Mark)]
        self._queue.clear()
        batch = conflated(marks)
        if batch is not None:
            self._write(batch)
        return len(marks)


class Venue:
    """The paper venue looks at new bars."""

    name = "paper_venue"

    def __init__(self, venue: PaperVenue, log: LocalLog):
        self._venue = venue
        self._queue = log.queue(MARKET_BARS)
        self._log = log

    def drain(self) -> int:
        """Match working orders against all bars since the last turn."""
        count = len(self._queue)
        for _ in range(count):
            _, bar = self._queue.popleft()
            assert isinstance(bar, Bar)
            for report in self._venue.on_bar(bar):
                self._log.write(ACCOUNTS_INBOX, report)
        return count


class Execution:
    """Commands to the venue."""

    name = "execution"

    def __init__(self, execution: LocalExecution, log: LocalLog):
        self._execution = execution
        self._queue = log.queue(ORDERS_COMMANDS)
        self._log = log

    def drain(self) -> int:
        """Carry out all commands since the last turn."""
        count = len(self._queue)
        for _ in range(count):
            _, command = self._queue.popleft()
            outcomes: list[Any] = self._execution.on_command(command)  # type: ignore[arg-type]  # the map lets no other record in
            for outcome in outcomes:
                self._log.write(ACCOUNTS_INBOX, outcome)
        return count


def publisher_of(writer: SignalWriter, learner: Learner) -> SignalPublisher:
    """The SDK's publisher, as the learner's process uses it."""
    return SignalPublisher(writer, provider_id=learner.provider_id, model_name="learner", model_version=MODEL_VERSION)


class Publishers:
    """The learner looks at new bars and publishes what it thinks, through the SDK that every provider gets."""

    name = "publishers"

    def __init__(self, learner: Learner, log: LocalLog):
        self._learner = learner
        self._publisher = publisher_of(LocalSignals(lambda signal: log.write(SIGNALS_INBOX, signal)), learner)
        self._queue = log.queue(MARKET_BARS)

    def drain(self) -> int:
        """Learn from all bars since the last turn, and publish."""
        count = len(self._queue)
        for _ in range(count):
            _, bar = self._queue.popleft()
            assert isinstance(bar, Bar)
            for signal in self._learner.on_bar(bar):
                self._publisher.publish_signal(signal)
        return count
