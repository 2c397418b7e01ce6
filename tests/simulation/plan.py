"""Plan: what a run is given to fold, and what befalls it. A pure function of the seed; a shrunk plan has less in it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from random import Random
from typing import Any

from schemas.codec import Codec
from schemas.control import ClockTick
from schemas.record import Record
from schemas.topics import Topic
from streams.runtime.room import Room
from tests.simulation.holds import HOLDS_MAP, Deposit, Hold, HoldLimit, HoldsRoom, Release, holds_codec
from tests.streams.runtime.sums import SUMS_MAP, SumsRoom, limit, payment, sums_codec

BUSY_S = 0.9
"""Records are written, and faults fall, within this time; then everybody is let run to the end."""


class How(StrEnum):
    """How a record is written."""

    WELL = "well"
    TWICE = "twice"
    GARBAGE = "garbage"
    WITHOUT_KEY = "without key"
    MISPLACED = "misplaced"


@dataclass(frozen=True, slots=True)
class Sent:
    """One record that a source writes, at this moment. role: of the source, where the map decides whereto."""

    at_s: float
    record: Record
    how: How = How.WELL
    role: str = ""


class Kind(StrEnum):
    """What befalls a process, or the broker."""

    KILL = "kill"
    PAUSE = "pause"
    STALL = "stall of one thread"
    STOP = "stop"
    EXPIRE = "transactions expire"
    COMPACT = "compaction"
    SLOW = "slow network"
    ANSWER_LOST = "answer lost"
    REQUEST_LOST = "request lost"


STEPS = (
    "init:sent",
    "init:done",
    "ask_committed:done",
    "ask_ends:done",
    "assign",
    "revoke",
    "fold",
    "folded",
    "begin",
    "produced",
    "produce:sent",
    "produce:done",
    "add_group:done",
    "add_offsets:sent",
    "add_offsets:done",
    "offsets",
    "commit:sent",
    "commit:done",
    "committed",
    "settle",
    "settled",
    "abort:done",
)
"""Places of the contract at which a process may die, sleep or be told to stop."""

PARKS = 0.04
"""How often a hold is one at which the fold raises."""

SELDOM = {"init:sent", "init:done", "ask_committed:done", "assign", "revoke", "abort:done"}
"""Steps that a worker takes once or twice."""

ZOMBIE_STEPS = ("fold", "folded", "begin", "produced", "produce:sent", "add_offsets:done", "commit:sent")
"""Steps at which whoever sleeps past its session wakes up with work in hand that is another's by now."""

OWN_STEPS = tuple(step for step in STEPS if not step.endswith(":done"))
"""Steps that a thread itself takes, and at which it may stand still while the others go on."""

CALLS = ("init", "add_group", "add_offsets", "commit", "abort")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong.

    step, nth: it falls when a process of this slot reaches this step for the nth time; without a step at `at_s`.
    lasts_s: until the process runs again, or the network is itself again.
    """

    kind: Kind
    step: str = ""
    nth: int = 1
    at_s: float = 0.0
    slot: str = "w0"
    lasts_s: float = 0.0

    def __str__(self) -> str:
        where = f"{self.slot} at {self.step} no. {self.nth}" if self.step else f"{self.slot} at {self.at_s:.3f} s"
        return f"{self.kind} of {where}, lasts {self.lasts_s:.3f} s"


@dataclass(frozen=True, slots=True)
class Scene:
    """Rooms and their records.

    make: writes the records of one plan.
    busier: how many times more often each step is reached than in a small room.
    steps, calls: where faults may fall and calls may be lost, beside those of every room.
    batches, marker_slow: what is drawn for a plan.
    """

    name: str
    rooms: Callable[[], Sequence[Room[Any, Any]]]
    codec: Codec
    topics: tuple[Topic, ...]
    make: Callable[[Random], list[Sent]]
    busier: int = 1
    steps: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    batches: tuple[int, ...] = (1, 2, 3, 5, 500)
    marker_slow: tuple[float, ...] = (1.0, 1.0, 5.0, 40.0)


@dataclass(frozen=True, slots=True)
class Plan:
    """One run.

    seed: whose plan it is; schedule: the seed of what happens when.
    fixed: whether members have fixed places.
    batch_max, pending_max: how much a room takes at once, and reads ahead.
    gather_s: from one batch to the next, at least; 0 lets each room say so itself.
    preempt: how likely a thread is interrupted where it takes a lock.
    marker_slow: how many times longer a decision takes to reach the partitions than a request takes.
    """

    seed: int
    schedule: int
    scene: Scene
    workers: int
    fixed: bool
    batch_max: int
    pending_max: int
    preempt: float
    marker_slow: float
    sent: tuple[Sent, ...]
    faults: tuple[Fault, ...]
    gather_s: float

    def lines(self) -> list[str]:
        """For people."""
        kind = "fixed" if self.fixed else "dynamic"
        told = [
            f"seed {self.seed}, schedule {self.schedule}: {self.workers} workers ({kind} membership), "
            f"batches of {self.batch_max}, {len(self.sent)} records, {len(self.faults)} faults"
        ]
        told += [f"  fault  {fault}" for fault in self.faults]
        told += [f"  record {sent.at_s:.3f} s, {sent.how}: {sent.record}" for sent in self.sent]
        return told


def plan_of(seed: int, scene: Scene | None = None) -> Plan:
    """The plan of this seed."""
    random = Random(seed)
    scene = scene or random.choice(SMALL)
    workers = random.choice((1, 2, 2, 2, 3))
    return Plan(
        seed=seed,
        schedule=seed,
        scene=scene,
        workers=workers,
        fixed=random.random() < 0.6,
        batch_max=random.choice(scene.batches),
        pending_max=random.choice((2, 5, 100)),
        preempt=random.choice((0.0, 0.0, 0.02)),
        marker_slow=random.choice(scene.marker_slow),
        sent=tuple(scene.make(random)),
        faults=tuple(_fault(random, scene, workers) for _ in range(random.choice((0, 1, 2, 2, 3, 4, 5)))),
        gather_s=random.choice((0.0, 0.0, 0.02, 0.2)),
    )


def _nth(random: Random, scene: Scene, step: str) -> int:
    return random.randrange(1, 3 if step in SELDOM else 8 * scene.busier)


def _fault(random: Random, scene: Scene, workers: int) -> Fault:
    kind = random.choices(
        list(Kind),
        # In the order of Kind: what kills and what makes zombies comes most often.
        (8, 5, 4, 2, 2, 2, 1, 2, 2),
    )[0]
    slot = f"w{random.randrange(workers)}"
    # Below and above the time of a session and of a transaction.
    lasts_s = random.choice((0.02, 0.1, 0.25, 0.6, 0.9)) * (0.7 + 0.6 * random.random())
    if kind in (Kind.ANSWER_LOST, Kind.REQUEST_LOST):
        step = random.choice(CALLS + scene.calls)
        return Fault(kind, step=step, nth=_nth(random, scene, step), slot=slot)
    if kind is Kind.STALL:
        step = random.choice(OWN_STEPS)
        return Fault(kind, step=step, nth=_nth(random, scene, step), slot=slot, lasts_s=lasts_s)
    if kind is Kind.PAUSE and random.random() < 0.5:
        lasts_s = 0.45 + 0.4 * random.random()
        step = random.choice(ZOMBIE_STEPS + scene.steps)
        return Fault(kind, step=step, nth=_nth(random, scene, step), slot=slot, lasts_s=lasts_s)
    if kind in (Kind.KILL, Kind.PAUSE, Kind.EXPIRE) and random.random() < 0.8:
        step = random.choice(STEPS + 3 * scene.steps)
        return Fault(kind, step=step, nth=_nth(random, scene, step), slot=slot, lasts_s=lasts_s)
    return Fault(kind, at_s=random.random() * BUSY_S, slot=slot, lasts_s=lasts_s)


def _times(random: Random, count: int) -> list[float]:
    """Moments of writing: bursts, and quiet in between."""
    bursts = [random.random() * BUSY_S for _ in range(random.randrange(1, 6))]
    return sorted(random.choice(bursts) + random.random() * 0.05 for _ in range(count))


def _how(random: Random, *, twice: bool) -> How:
    drawn = random.random()
    if drawn < 0.04:
        return random.choice((How.GARBAGE, How.WITHOUT_KEY, How.MISPLACED))
    return How.TWICE if twice and drawn < 0.15 else How.WELL


def _sums(random: Random) -> list[Sent]:
    count = random.randrange(4, 24)
    sent = []
    for number, at_s in enumerate(_times(random, count)):
        if random.random() < 0.1:
            record: Record = limit(random.choice((50, 500)), f"r{number}")
        else:
            record = payment(f"a{random.randrange(6)}", Decimal(random.randrange(-20, 100)), f"p{number}", number + 1)
        sent.append(Sent(at_s, record, _how(random, twice=False)))
    return sent


def _holds(random: Random) -> list[Sent]:
    count = random.randrange(4, 24)
    sent: list[Sent] = []
    for number, at_s in enumerate(_times(random, count), start=1):
        account = f"a{random.randrange(5)}"
        record = random.choices(
            (
                Deposit(
                    event_time_us=number, account_id=account, deposit_id=f"d{number}", amount=random.randrange(1, 50)
                ),
                Hold(
                    event_time_us=number,
                    account_id=account,
                    hold_id=f"h{number}",
                    amount=-1 if random.random() < PARKS else random.randrange(1, 15),
                    until_us=number + random.randrange(1, 12),
                ),
                Release(
                    event_time_us=number,
                    account_id=account,
                    release_id=f"l{number}",
                    hold_id=f"h{random.randrange(1, number + 1)}",
                ),
                HoldLimit(event_time_us=number, request_id=f"r{number}", highest=random.choice((10, 30))),
                ClockTick(event_time_us=number, clock_id="c"),
            ),
            (4, 5, 2, 1, 3),
        )[0]
        sent.append(Sent(at_s, record, _how(random, twice=True)))
    return sent


SUMS = Scene("sums", lambda: [SumsRoom()], sums_codec(), SUMS_MAP, _sums)
HOLDS = Scene("holds", lambda: [HoldsRoom()], holds_codec(), HOLDS_MAP, _holds)
SMALL = (SUMS, HOLDS)
