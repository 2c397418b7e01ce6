"""Who takes turns in a replay on servers, beside the rooms: the relay, the paper venue's market, the publishers."""

from collections import defaultdict

from connectors.ai.learner import Learner
from connectors.ai.publisher import SignalPublisher
from connectors.brokers.paper import PaperVenue
from schemas.market import Bar, Mark
from schemas.topics import SIGNALS_INBOX
from streams.replay.once import Log, OnceSource
from streams.runtime.progress import Progress
from streams.runtime.reader import Reader, Received
from streams.runtime.source import Source
from streams.sources.relay import conflated


async def _fresh(reader: Reader) -> list[Received]:
    """All that is known to be written to the reader's topic and not read yet."""
    received: list[Received] = []
    while reader.lag:
        found = await reader.read()
        received += found
        reader.done(found)
    return received


class Relay:
    """Marks to accounts."""

    name = "relay"

    def __init__(self, reader: Reader, source: OnceSource):
        self._reader = reader
        self._source = source

    async def drain(self) -> int:
        """Relay all marks since the last turn, one batch for each instrument and time."""
        received = await _fresh(self._reader)
        by_step: dict[tuple[int, str], list[Mark]] = defaultdict(list)
        for one in received:
            assert isinstance(one.record, Mark)
            by_step[(one.record.event_time_us, one.record.instrument_id)].append(one.record)
        for _, marks in sorted(by_step.items()):
            batch = conflated(marks)
            assert batch is not None
            self._source.write(batch)
        await self._source.flushed()
        return len(received)


class Market:
    """The paper venue looks at new bars; what it does to our orders is published, and only then forgotten."""

    name = "paper_venue"

    def __init__(self, venue: PaperVenue, reader: Reader, source: Source):
        self._venue = venue
        self._reader = reader
        self._source = source

    async def drain(self) -> int:
        """Match working orders against all bars since the last turn."""
        received = await _fresh(self._reader)
        for one in sorted(received, key=_by_time):
            assert isinstance(one.record, Bar)
            self._venue.on_bar(one.record)
        waiting = self._venue.unpublished()
        for _, report in waiting:
            self._source.write(report)
        if waiting:
            await self._source.flushed()
            self._venue.published(waiting[-1][0])
        return len(received)


class Publishers:
    """The learner looks at new bars and publishes what it thinks, through the SDK that every provider gets.

    After a restart it learns everything again and leaves out the signals that the log holds.
    """

    name = "publishers"

    def __init__(self, learner: Learner, reader: Reader, publisher: SignalPublisher, log: Log, progress: Progress):
        self._learner = learner
        self._reader = reader
        self._publisher = publisher
        self._log = log
        self._progress = progress

    async def drain(self) -> int:
        """Learn from all bars since the last turn, and publish."""
        received = await _fresh(self._reader)
        for one in sorted(received, key=_by_time):
            assert isinstance(one.record, Bar)
            for signal in self._learner.on_bar(one.record):
                if not self._log.holds(SIGNALS_INBOX, signal):
                    ack = await self._publisher.publish_async(signal)
                    self._progress.wrote(ack.topic, ack.partition, ack.offset + 1)
        return len(received)


def _by_time(received: Received) -> tuple[int, str]:
    """Steps are in order of time and instrument, whatever partitions they came from."""
    assert isinstance(received.record, Bar)
    return received.record.event_time_us, received.record.instrument_id
