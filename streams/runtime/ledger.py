"""Ledger: which commands of a partition have been begun, and from where on a new owner has to begin again.

Commands are begun in their order and end in any; offsets are released in order. Calls nothing.
"""

from collections import deque
from dataclasses import dataclass, field

BUSY = "busy"
"""Commands behind the committed offset may have been begun."""
CLEAN = "clean"
"""None of them has been."""


@dataclass(slots=True)
class Ledger:
    """What has been begun of one partition, in order.

    released: next offset to be committed; all before it is recorded.
    doubtful_before: offsets below it may have been begun by a former owner.
    committed: as the broker acknowledged.
    asking: whether a commit is under way.
    """

    epoch: int
    released: int
    doubtful_before: int
    running: deque[int] = field(default_factory=deque)
    recorded: set[int] = field(default_factory=set)
    committed: int = -1
    asking: bool = False
    stopped: bool = False

    def begin(self, offset: int) -> None:
        """A command is begun; in the order of the partition."""
        self.running.append(offset)

    def record(self, offset: int) -> None:
        """Its outcome is durable; release what is recorded from the front."""
        self.recorded.add(offset)
        while self.running and self.running[0] in self.recorded:
            first = self.running.popleft()
            self.recorded.discard(first)
            self.released = first + 1

    def note(self, caught_up: bool) -> str:
        """What the committed offset says of those after it.

        caught_up: whether all that lay there when the partition became ours has been begun. Until then a former owner's
        doubt is still in force, though we have begun nothing.
        """
        doubtful = self.released < self.doubtful_before and not caught_up
        return BUSY if self.running or doubtful else CLEAN
