"""What a room counts of itself."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streams.runtime.door import PartitionWork


@dataclass(slots=True)
class RoomMetrics:
    """Counts since the start of the process. Written by the room's thread only.

    taken, folded, repeated, letters, outputs: records; taken are all that were read, whatever became of them
    fold_s, commit_s: seconds spent
    event_time_us: newest event time folded
    """

    batches: int = 0
    taken: int = 0
    folded: int = 0
    repeated: int = 0
    letters: int = 0
    outputs: int = 0
    fold_s: float = 0.0
    commit_s: float = 0.0
    largest_batch: int = 0
    event_time_us: int = 0
    parked: int = 0

    def took(self, records: int, fold_s: float, commit_s: float) -> None:
        """A batch is durable."""
        self.batches += 1
        self.taken += records
        self.largest_batch = max(self.largest_batch, records)
        self.fold_s += fold_s
        self.commit_s += commit_s

    def count(self, work: "PartitionWork") -> None:
        """One partition's part of a batch is durable."""
        self.folded += work.folded
        self.repeated += work.repeated
        self.letters += work.letters
        self.outputs += work.outputs
        self.event_time_us = max(self.event_time_us, work.event_time_us)
        self.parked += work.parked is not None
