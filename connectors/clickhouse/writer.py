"""The writer: one chunk at a time into ClickHouse, tried until it is in, while others read on.

While one chunk is inserted, the rows of the next one are made in another thread: they are a function of the records
and say nothing to anybody before their bounds are said.
"""

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from connectors.clickhouse.chunks import Bounds, Contents, Ledger, Place, Range, Taken, schema_ids, write
from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.rows import Layout, NotOurs, layout
from connectors.errors import ConnectorError
from connectors.registry.errors import UnknownSchema, Unreachable

_log = structlog.get_logger(__name__)
_Answer = TypeVar("_Answer")

Records = Mapping[Place, Sequence[Taken]]

SchemaText = Callable[[int], str]
"""Text of the schema with this id, as a registry's `schema`.

Raises UnknownSchema or LookupError where there is none, Unreachable where it can be asked again.
"""

AWAY = (ConnectorError, Unreachable, OSError)
"""Errors after which the same is tried again. A refusal that does not blame rows is one: it waits for a person."""


@dataclass(slots=True)
class Progress:
    """What a sink has done since it began, for metrics and for people.

    records, rows, chunks: written
    by_table: rows written by table
    problems: records without a row in the table of their type
    recovered: chunks that somebody else had begun
    failures: times that ClickHouse, Kafka or the registry was away; `last_failure` says how
    """

    records: int = 0
    rows: int = 0
    chunks: int = 0
    by_table: Counter[str] = field(default_factory=Counter)
    problems: int = 0
    recovered: int = 0
    failures: int = 0
    last_failure: str = ""

    def failed(self, why: str) -> None:
        """Something is away, and is waited for."""
        self.failures += 1
        self.last_failure = why
        _log.warning("sink waits", why=why)


class Abandoned(Exception):
    """The chunk's partitions are another's now, or the sink is to stop, and ClickHouse has not answered yet."""


def oldest(records: Records) -> dict[str, int]:
    """When the first of these records was written, by topic; wall clock, milliseconds. May be asked by any thread."""
    found: dict[str, int] = {}
    for at, taken in list(records.items()):
        found[at.topic] = min(found.get(at.topic, taken[0].written_ms), taken[0].written_ms)
    return found


@dataclass(frozen=True, slots=True)
class Flight:
    """A chunk on its way. `abandon` lets it give up before its bounds are said, or at its next failure.

    said: set once ClickHouse has its bounds, or never will
    oldest_ms: by topic
    """

    ranges: Mapping[Place, Range]
    done: Future[None]
    abandon: threading.Event
    said: threading.Event
    oldest_ms: Mapping[str, int]


class Writer:
    """Writes chunks in a thread of its own."""

    def __init__(
        self,
        server: ClickHouse,
        ledger: Ledger,
        schema_text: SchemaText,
        progress: Progress,
        *,
        retry_s: float,
        retry_max_s: float,
    ):
        self._server = server
        self._ledger = ledger
        self._schema_text = schema_text
        self._progress = progress
        self._retry_s = retry_s
        self._retry_max_s = retry_max_s
        self._layouts: dict[int, Layout | str] = {}
        self._learning = threading.Lock()
        self._thread = ThreadPoolExecutor(1, "clickhouse writer")
        self._maker = ThreadPoolExecutor(1, "clickhouse rows")

    def prepare(self, records: Records) -> "Future[Contents | None]":
        """Make the rows of a chunk that begins later; None where the registry is away. The records may not grow."""

        def work() -> Contents | None:
            try:
                return self._contents(records)
            except AWAY:
                return None

        return self._maker.submit(work)

    def start(self, records: Records, prepared: "Future[Contents | None] | None" = None) -> Flight:
        """Begin a chunk of these records: bounds, rows, positions, done. `prepared` is of the very same records."""
        ranges = {at: Range(taken[0].offset, taken[-1].offset) for at, taken in records.items()}
        abandon, said = threading.Event(), threading.Event()

        def work() -> None:
            try:
                if abandon.is_set():
                    raise Abandoned
                bounds = self._until_done(lambda: self._ledger.begun(ranges), abandon)
            finally:
                said.set()
            self._fill(bounds, records, abandon, None if prepared is None else prepared.result())

        return Flight(ranges, self._thread.submit(work), abandon, said, oldest(records))

    def resume(self, bounds: Bounds, records: Records) -> Flight:
        """Write a chunk whose bounds somebody has said already."""
        abandon, said = threading.Event(), threading.Event()
        said.set()

        def work() -> None:
            self._fill(bounds, records, abandon)
            self._progress.recovered += 1

        return Flight(bounds.ranges, self._thread.submit(work), abandon, said, oldest(records))

    def ask(self, question: Callable[[], _Answer]) -> Future[_Answer]:
        """Ask ClickHouse something between two chunks, until it answers."""
        return self._thread.submit(lambda: self._until_done(question, threading.Event()))

    def close(self) -> None:
        """Wait for the chunk in hand and end the thread."""
        self._thread.shutdown()
        self._maker.shutdown()
        self._server.close()

    def _fill(
        self, bounds: Bounds, records: Records, abandon: threading.Event, prepared: Contents | None = None
    ) -> None:
        contents = prepared or self._until_done(lambda: self._contents(records), abandon)
        rows = self._until_done(lambda: write(self._server, contents, bounds.token), abandon)
        self._until_done(lambda: self._ledger.finished(bounds), abandon)
        done = self._progress
        done.chunks += 1
        done.rows += rows.total()
        done.by_table.update(rows)
        done.records += len(contents)
        done.problems += len(contents.problems)

    def _contents(self, records: Records) -> Contents:
        """The records as rows. Raises what the registry raises where it can be asked again."""
        with self._learning:
            self._learn(schema_ids(records))
            layouts = dict(self._layouts)
        return Contents(records, layouts)

    def _learn(self, ids: set[int]) -> None:
        for schema_id in ids - self._layouts.keys():
            if schema_id < 0:
                continue
            try:
                self._layouts[schema_id] = layout(self._schema_text(schema_id))
            except (LookupError, UnknownSchema):
                self._layouts[schema_id] = f"the registry has no schema with id {schema_id}"
            except NotOurs as error:
                self._layouts[schema_id] = f"schema {schema_id}: {error}"

    def _until_done(self, act: Callable[[], _Answer], abandon: threading.Event) -> _Answer:
        wait_s = self._retry_s
        while True:
            try:
                return act()
            except AWAY as error:
                self._progress.failed(str(error))
            if abandon.wait(wait_s):
                raise Abandoned
            wait_s = min(wait_s * 2, self._retry_max_s)
