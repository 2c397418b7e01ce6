"""What execution must know beside its commands: the time, the switches, instruments, accounts, and how far fills were
read. It is read without a group from the start of `accounts.inbox` and `control.kill`; before their ends, nobody knows
what is halted, and nothing is sent.
"""

import asyncio
import json
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from schemas.control import AccountOpened, CashMovement, ClockTick, KillSwitch, KillVerb, Mode, Scope
from schemas.execution import BrokerPositions, NotSent
from schemas.record import Record
from schemas.reference import FeeSchedule, Instrument
from schemas.risk import LimitChange
from schemas.topics import ACCOUNTS_INBOX
from streams.execution.handler import Execution
from streams.runtime.clients import Cluster
from streams.runtime.intake import RecordCodec
from streams.runtime.offsets import Offsets
from streams.runtime.reader import KillSwitchReader, Reader

POLL_S = 0.05
KILL_POLL_S = 0.5
"""How long one look at `control.kill` waits; it ends with the first switch. Longer than a fold keeps the loop busy."""
KEEP_EVERY_S = 5.0
NOTEBOOK = "execution-knows.json"
TOLD: Collection[type[Record]] = frozenset(
    {ClockTick, Instrument, FeeSchedule, CashMovement, AccountOpened, LimitChange, BrokerPositions, NotSent}
)
UNREADABLE = "a record of control.kill cannot be read"


class Sieve:
    """A codec for readers who want few types: records of the others are passed over by their schema id, unread."""

    def __init__(self, codec: RecordCodec, wanted: Collection[type[Record]]):
        self._codec = codec
        self._wanted = wanted
        self._passed: set[bytes] = set()

    def encode(self, record: Record) -> bytes:
        return self._codec.encode(record)

    def decode(self, value: bytes | None) -> Any:
        """The record; None where it is of a type that nobody wants. Raises as the codec."""
        head = value[:5] if value else b""
        if head in self._passed:
            return None
        record = self._codec.decode(value)
        if type(record) in self._wanted:
            return record
        self._passed.add(head)
        return None


class Knowledge:
    """What was read so far.

    accounts: as they were opened, by id
    limited: accounts for which limits were asked for
    cursors: how far fills were read, by account
    learn: told of every instrument, fee schedule and movement of cash
    """

    def __init__(self, execution: Execution, learn: Callable[[Record], None]):
        self.accounts: dict[str, AccountOpened] = {}
        self.limited: set[str] = set()
        self.cursors: dict[str, str] = {}
        self.kills: Mapping[str, KillSwitch] = {}
        self.newest: dict[tuple[str, str], Record] = {}
        """What of it must be known after a restart: the newest record of each kind and subject."""
        self._execution = execution
        self._learn = learn

    def take(self, record: Record) -> None:
        """Take in one record of `accounts.inbox`; the same again changes nothing."""
        subject = _subject(record)
        if subject:
            self.newest[type(record).__name__, subject] = record
        match record:
            case ClockTick():
                self._execution.on_tick(record)
            case NotSent():
                self._execution.on_not_sent(record)
            case AccountOpened():
                self.accounts.setdefault(record.account_id, record)
            case LimitChange():
                self.limited.add(record.account_id)
            case BrokerPositions():
                if record.fills_cursor:
                    self.cursors[record.account_id] = record.fills_cursor
            case Instrument() | FeeSchedule() | CashMovement():
                self._learn(record)

    def switch(self, switches: Mapping[str, KillSwitch], unreadable: int) -> None:
        """Take in the switches as they stand. One that cannot be read may have been any: all is halted."""
        known = dict(switches)
        if unreadable:
            halt = KillSwitch(
                event_time_us=0,
                request_id="unreadable",
                version=unreadable,
                scope=Scope.GLOBAL,
                scope_id="unreadable",
                verb=KillVerb.HALT,
                author="execution",
                reason=UNREADABLE,
            )
            known[halt.scope_key] = halt
        self.kills = known
        for switch in known.values():
            self._execution.on_kill(switch)

    def without_limits(self, account_ids: Collection[str]) -> list[str]:
        """Accounts of these that are open and for which nobody has asked for limits."""
        return sorted(name for name in account_ids if name in self.accounts and name not in self.limited)

    def opened(self, account_id: str, venue: str, mode: Mode) -> bool:
        """Whether the account trades at this venue in this mode."""
        opened = self.accounts.get(account_id)
        return opened is not None and (opened.venue, opened.mode) == (venue, mode)


def _subject(record: Record) -> str:
    """Of what it tells the newest; empty for what is only news."""
    match record:
        case Instrument():
            return record.instrument_id
        case FeeSchedule():
            return record.venue
        case AccountOpened() | LimitChange() | BrokerPositions():
            return record.account_id
        case _:
            return ""


class Notebook:
    """What was read of `accounts.inbox`, in a file: the log grows for ever, and a restart must not read it all again.

    A file that cannot be read, or that tells of another log, is as none.
    """

    def __init__(self, file: Path, codec: RecordCodec):
        self._file = file
        self._codec = codec

    def recall(self, lows: Mapping[int, int], ends: Mapping[int, int]) -> tuple[dict[int, int], list[Record]]:
        """Where to go on in each partition, and what was known there; nothing where it does not fit the log."""
        try:
            kept = json.loads(self._file.read_text())
            places = {int(partition): int(offset) for partition, offset in kept["places"].items()}
            records = [self._codec.decode(bytes.fromhex(text)) for text in kept["records"]]
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return dict(lows), []
        if places.keys() != ends.keys() or any(not lows[one] <= places[one] <= ends[one] for one in places):
            return dict(lows), []
        return places, records

    def keep(self, places: Mapping[int, int], records: Iterable[Record]) -> None:
        """Write both, whole or not at all."""
        text = json.dumps({"places": places, "records": [self._codec.encode(record).hex() for record in records]})
        written = self._file.with_suffix(".new")
        written.write_text(text)
        written.replace(self._file)


class Following:
    """Reads both topics for as long as it runs; `ready` is set when both were read to their ends."""

    def __init__(self, cluster: Cluster, codec: RecordCodec, environment: str, knowledge: Knowledge, folder: Path):
        self.knowledge = knowledge
        self._notebook = Notebook(folder / NOTEBOOK, codec)
        self.ready = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "read control.kill")
        self._kills = KillSwitchReader(cluster, codec, environment)
        offsets, topic = Offsets(cluster), ACCOUNTS_INBOX.full_name(environment)
        partitions = range(ACCOUNTS_INBOX.partitions)
        self._places, known = self._notebook.recall(offsets.lows(topic, partitions), offsets.ends(topic, partitions))
        for record in known:
            knowledge.take(record)
        self._inbox = Reader(cluster, Sieve(codec, TOLD), ACCOUNTS_INBOX, environment, self._places, name="execution")

    def missing(self) -> str:
        """What was not read to its end yet; empty when all was."""
        if not self._kills.is_ready:
            return "control.kill was not read to its end"
        return "" if self.ready.is_set() else "accounts.inbox was not read to its end"

    async def follow_kills(self) -> None:
        """Read the switches, at once and for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await loop.run_in_executor(self._thread, self._take_kills)

    def _take_kills(self) -> None:
        """Wait for switches and take them in, in the thread that reads: while folds keep the loop busy, a switch that
        waited for the loop would be known only after the sends that wait for it, too.
        """
        if self._kills.poll(KILL_POLL_S) or self._kills.unreadable:
            self.knowledge.switch(self._kills.switches(), self._kills.unreadable)

    async def follow_inbox(self) -> None:
        """Read what accounts are told, from where the notebook ends and for ever."""
        kept_s = time.monotonic()
        while True:
            for received in await self._inbox.read(POLL_S):
                self._places[received.partition] = received.offset + 1
                if received.record is not None:
                    self.knowledge.take(received.record)
            if self._inbox.at_end and self._kills.is_ready:
                self.ready.set()
            if time.monotonic() - kept_s >= KEEP_EVERY_S:
                kept_s = time.monotonic()
                self._notebook.keep(self._places, self.knowledge.newest.values())

    def close(self) -> None:
        """Leave the topics."""
        self._thread.shutdown()
        self._kills.close()
        self._inbox.close()
