"""Data sets: recorded markets that can be replayed, step by step in event time.

A data set is a folder with `dataset.json` (what it is, its instruments, its files with mapping and SHA-256) and the
files themselves, byte for byte as their source gave them. Oil ships with the project; others are made by the importer.
"""

import hashlib
import heapq
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import msgspec

from connectors.feeds.errors import BadDataSet, UnknownDataSet
from connectors.feeds.tables import Batch, ColumnMapping, cut, read_table, without
from schemas.market import BarBatch, Heartbeat
from schemas.reference import Instrument
from schemas.scalars import SECOND_US

SHIPPED = Path(__file__).parent / "recorded"
DESCRIPTION = "dataset.json"


class FileEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of a data set.

    path: name within the set's folder
    sha256: of its bytes
    instrument_id: whom it is about
    feed_id: name under which its rows travel
    mapping: how to read it
    skipped_rows: row numbers that the importer was told to leave out
    """

    path: str
    sha256: str
    instrument_id: str
    feed_id: str
    mapping: ColumnMapping
    skipped_rows: list[int] = []


class Description(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `dataset.json` says.

    name: of the set
    title: one line for people
    source: whom to acknowledge, and where it comes from
    step_us: rows of ticks are grouped into steps of this length; bars step at their end
    """

    name: str
    title: str
    source: str
    instruments: list[Instrument]
    files: list[FileEntry]
    step_us: int = 60 * SECOND_US


class Step(NamedTuple):
    """All rows of one instrument that become known at one event time.

    Where the set has ticks, the last step of a time also says by a heartbeat that its feeds have told all of that time.
    """

    time_us: int
    instrument_id: str
    records: list[Batch | Heartbeat]


class FileCheck(NamedTuple):
    """Whether one file is the one that was described."""

    path: str
    right: bool
    detail: str


class DataSet:
    """One recorded market.

    `steps` gives rows in order of (time, instrument id). The sequence of a row is its position in its file, from 1, so
    it is the same whatever window is replayed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            raw = (folder / DESCRIPTION).read_bytes()
            self.description = msgspec.json.decode(raw, type=Description)
        except (OSError, msgspec.MsgspecError) as error:
            raise BadDataSet(f"{folder / DESCRIPTION} is no description of a data set: {error}") from error

    @property
    def name(self) -> str:
        return self.description.name

    @property
    def instruments(self) -> list[Instrument]:
        """Definitions, in instrument order."""
        return sorted(self.description.instruments, key=lambda instrument: instrument.instrument_id)

    def verify(self) -> list[FileCheck]:
        """Compare the checksum of every file with the description."""
        checks = []
        for entry in self.description.files:
            try:
                found = hashlib.sha256((self.folder / entry.path).read_bytes()).hexdigest()
            except OSError as error:
                checks.append(FileCheck(entry.path, False, f"cannot be read: {error.strerror}"))
                continue
            right = found == entry.sha256
            checks.append(FileCheck(entry.path, right, found if right else f"{found}, described as {entry.sha256}"))
        return checks

    def steps(self, from_us: int = 0, to_us: int = 2**62) -> Iterator[Step]:
        """Steps with from_us <= time < to_us, in order of (time, instrument id)."""
        walks = [self._walk(batch, from_us, to_us) for batch in self._batches.values()]
        steps = heapq.merge(*walks, key=lambda step: (step.time_us, step.instrument_id))
        ticking = sorted({batch.feed_id for batch in self._batches.values() if not isinstance(batch, BarBatch)})
        return _with_heartbeats(steps, ticking) if ticking else steps

    def span(self) -> tuple[int, int]:
        """Times of the first and the last row."""
        batches = self._batches.values()
        return min(batch.times_us[0] for batch in batches), max(batch.times_us[-1] for batch in batches)

    @cached_property
    def _batches(self) -> Mapping[str, Batch]:
        """Every file as one batch, by its path. Raises BadDataSet where a file is not what was described."""
        for check in self.verify():
            if not check.right:
                raise BadDataSet(f"{check.path} of data set {self.name} is not the file described: {check.detail}")
        batches: dict[str, Batch] = {}
        for entry in sorted(self.description.files, key=lambda entry: (entry.instrument_id, entry.path)):
            table = read_table(self.folder / entry.path, entry.mapping, entry.instrument_id, entry.feed_id)
            skipped = set(entry.skipped_rows)
            unexpected = [problem for problem in table.problems if problem.row not in skipped]
            dropped = {position for position, row in enumerate(table.rows) if row in skipped}
            batch = without(table.batch, dropped) if dropped else table.batch
            if unexpected or not batch.times_us:
                raise BadDataSet(f"{entry.path} of data set {self.name} has rows that cannot be read: {unexpected[:3]}")
            batches[entry.path] = batch
        return batches

    def _walk(self, batch: Batch, from_us: int, to_us: int) -> Iterator[Step]:
        """The steps of one file."""
        times, step_us = batch.times_us, self.description.step_us
        is_bars = isinstance(batch, BarBatch)
        start = 0
        while start < len(times):
            due_us = times[start] if is_bars else -(-(times[start] + 1) // step_us) * step_us
            end = start + 1
            while end < len(times) and (times[end] <= due_us if is_bars else times[end] < due_us):
                end += 1
            if from_us <= due_us < to_us:
                yield Step(due_us, batch.instrument_id, [cut(batch, start, end)])
            elif due_us >= to_us:
                return
            start = end


def _with_heartbeats(steps: Iterator[Step], feed_ids: Sequence[str]) -> Iterator[Step]:
    """After the last step of each time, every feed says that it has told all."""
    held = next(steps, None)
    while held is not None:
        following = next(steps, None)
        if following is None or following.time_us > held.time_us:
            beats = [Heartbeat(event_time_us=held.time_us, feed_id=feed_id) for feed_id in feed_ids]
            held = Step(held.time_us, held.instrument_id, [*held.records, *beats])
        yield held
        held = following


def data_set(name_or_path: str | os.PathLike[str], imported: Path | None = None) -> DataSet:
    """The data set of that name (shipped, or in the folder `imported`) or of that folder. Raises UnknownDataSet."""
    folders = _folders(imported)
    text = os.fspath(name_or_path)
    if text in folders:
        return DataSet(folders[text])
    if (Path(text) / DESCRIPTION).is_file():
        return DataSet(Path(text))
    raise UnknownDataSet(
        f"no data set {text!r}: known are {', '.join(sorted(folders))}; a folder needs a {DESCRIPTION}; "
        f"`quantumleap data import` makes a set of a CSV, zipped CSV or Parquet file"
    )


def data_sets(imported: Path | None = None) -> list[DataSet]:
    """All data sets that are here, by name: shipped ones and those in the folder `imported`."""
    return [DataSet(folder) for _, folder in sorted(_folders(imported).items())]


def _folders(imported: Path | None) -> dict[str, Path]:
    """Folder of every set by its name; a shipped set is never hidden by an imported one."""
    found: dict[str, Path] = {}
    for home in (imported, SHIPPED):
        if home is not None and home.is_dir():
            found |= {folder.name: folder for folder in sorted(home.iterdir()) if (folder / DESCRIPTION).is_file()}
    return found
