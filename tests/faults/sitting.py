"""A sitting: many faults of many kinds, one after another and into each other, drawn by a seed, on real Kafka.

It is told in chapters. Each has an environment of its own, a way in which its workers are members, and as many faults
as it is given; at its end the payments stop, and the topics alone say whether anything was lost, doubled or changed.
One seed draws one history of faults; what the machine makes of it differs from run to run.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from connectors.embedded.kafka import KafkaCluster, KafkaServer
from tests.faults.harness import Harness
from tests.faults.scenarios import STAGES
from tests.servers import KAFKA_DIR

SLOTS = ("w0", "w1", "w2")
SESSION_S = 3.0
BROKERS_SESSION_S = 6.0
"""Of members by KIP-848: the broker's setting, as connectors/embedded has it."""
FAULTS_IN_A_CHAPTER = 40
RATE = 150
STOPS_ITSELF_S = 8.0


@dataclass(frozen=True, slots=True)
class Membership:
    """How the workers of a chapter are members of their group."""

    name: str
    fixed: bool
    protocol: str = "classic"


MEMBERSHIPS = (
    Membership("fixed names", fixed=True),
    Membership("no fixed names", fixed=False),
    Membership("fixed names again", fixed=True),
    Membership("KIP-848", fixed=False, protocol="consumer"),
)


@dataclass
class Chapter:
    """One environment, its brokers, and what was done to both.

    counts: faults by kind. A kind is counted when it has happened, not when it was tried.
    """

    harness: Harness
    brokers: Sequence[KafkaServer]
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def random(self) -> random.Random:
        """The chapter's own dice."""
        return self.harness.random

    @property
    def away(self) -> list[str]:
        """Slots in which nobody runs."""
        return [slot for slot in SLOTS if slot not in self.harness.workers]

    def one(self) -> str:
        """Some worker that runs; at least one always does."""
        self.harness.supervise()
        return self.random.choice(sorted(self.harness.workers))

    def bring_back(self) -> None:
        """Start what was left dead; a worker that is added is a rebalance."""
        for slot in self.away:
            self.harness.start(slot)
            self.counts["worker added"] += 1


def kill(chapter: Chapter) -> None:
    """kill -9; started again by its supervisor, or left dead until somebody brings it back."""
    slot = chapter.one()
    chapter.harness.kill(slot)
    chapter.counts["kill -9"] += 1
    if len(chapter.harness.workers) > 1 and chapter.random.random() < 0.3:
        del chapter.harness.workers[slot]


def nap(chapter: Chapter) -> None:
    """SIGSTOP for less than the session."""
    slot = chapter.one()
    chapter.harness.pause(slot)
    time.sleep(chapter.random.uniform(0.1, 0.6) * chapter.harness.session_s)
    chapter.harness.resume(slot)
    chapter.counts["SIGSTOP shorter than the session"] += 1


def sleep(chapter: Chapter) -> None:
    """SIGSTOP for longer than the session, then SIGCONT."""
    slot = chapter.one()
    chapter.harness.pause(slot)
    time.sleep(chapter.harness.session_s + chapter.random.uniform(0.5, 1.5))
    chapter.harness.resume(slot)
    chapter.counts["SIGSTOP longer than the session"] += 1


def sleep_inside_a_write(chapter: Chapter) -> None:
    """A worker stops inside its transaction; it is killed there, or wakes when its session is over."""
    slot, stage = chapter.one(), chapter.random.choice(STAGES)
    if not _stopped_itself(chapter, slot, stage):
        return
    if chapter.random.random() < 0.5:
        chapter.harness.kill(slot)
        chapter.counts[f"kill -9 inside a write, at {stage}"] += 1
    else:
        time.sleep(chapter.harness.session_s + chapter.random.uniform(0.5, 1.5))
        chapter.harness.resume(slot)
        chapter.counts[f"SIGSTOP inside a write, at {stage}, longer than the session"] += 1


def die_while_giving_up(chapter: Chapter) -> None:
    """A worker dies between giving partitions up and joining again."""
    others = [slot for slot in sorted(chapter.harness.workers) if slot != SLOTS[-1]]
    if not others:
        return
    if SLOTS[-1] in chapter.harness.workers:
        chapter.harness.kill(SLOTS[-1])
        chapter.counts["kill -9"] += 1
        del chapter.harness.workers[SLOTS[-1]]
        time.sleep(chapter.harness.session_s + 1)
    slot = chapter.random.choice(others)
    chapter.harness.ask_to_stop_itself_at(slot, "leaving")
    chapter.harness.start(SLOTS[-1])
    chapter.counts["worker added"] += 1
    if _waited_for(chapter, slot):
        chapter.harness.kill(slot)
        chapter.counts["kill -9 while giving up partitions"] += 1


def add_or_remove(chapter: Chapter) -> None:
    """A worker joins, or leaves by SIGTERM."""
    if chapter.away and chapter.random.random() < 0.7:
        slot = chapter.random.choice(chapter.away)
        chapter.harness.start(slot)
        chapter.counts["worker added"] += 1
    elif len(chapter.harness.workers) > 1:
        chapter.harness.end(chapter.one())
        chapter.counts["worker removed by SIGTERM"] += 1


def fresh_start(chapter: Chapter) -> None:
    """All die, and all start at the same moment."""
    for slot in list(chapter.harness.workers):
        chapter.harness.kill(slot)
    chapter.harness.start(*SLOTS)
    chapter.counts["fresh start of all workers"] += 1


def broker_restart(chapter: Chapter) -> None:
    """A broker ends, at once or cleanly, and is started again."""
    broker = chapter.random.choice(list(chapter.brokers))
    if chapter.random.random() < 0.6:
        broker.kill()
        chapter.counts["broker killed and restarted"] += 1
    else:
        broker.stop()
        chapter.counts["broker stopped and restarted"] += 1
    time.sleep(chapter.random.uniform(0.0, 2.0))
    broker.restart()


def broker_nap(chapter: Chapter) -> None:
    """A broker stands still for a while, with its connections open."""
    broker = chapter.random.choice(list(chapter.brokers))
    broker.pause()
    time.sleep(chapter.random.uniform(0.5, 1.5) * chapter.harness.session_s)
    broker.resume()
    chapter.counts["broker SIGSTOP and SIGCONT"] += 1


Fault = Callable[[Chapter], None]

FAULTS: dict[Fault, int] = {
    kill: 30,
    nap: 14,
    sleep: 12,
    sleep_inside_a_write: 12,
    add_or_remove: 14,
    fresh_start: 7,
    die_while_giving_up: 3,
    broker_restart: 6,
    broker_nap: 2,
}
"""How often each is drawn, in a hundred."""


def _stopped_itself(chapter: Chapter, slot: str, stage: str) -> bool:
    chapter.harness.ask_to_stop_itself_at(slot, stage)
    return _waited_for(chapter, slot)


def _waited_for(chapter: Chapter, slot: str) -> bool:
    """Whether the worker stopped itself; one that has nothing to write does not, and is asked no longer."""
    give_up = time.monotonic() + STOPS_ITSELF_S
    while time.monotonic() < give_up:
        chapter.harness.supervise()
        with suppress(FileNotFoundError):
            if chapter.harness.is_stopped(slot):
                return True
        time.sleep(0.02)
    chapter.harness.hole(slot).unlink(missing_ok=True)
    time.sleep(0.1)
    return chapter.harness.is_stopped(slot)


@dataclass(slots=True)
class Told:
    """What a sitting came to.

    ended_themselves: workers that ended by themselves and were started again, by their exit code.
    wrong: what the topics say against us, by chapter; empty where all is right.
    """

    seed: int
    faults: Counter[str] = field(default_factory=Counter)
    ended_themselves: Counter[int] = field(default_factory=Counter)
    payments: int = 0
    chapters: int = 0
    wrong: list[str] = field(default_factory=list)
    longest_flow_s: float = 0.0

    @property
    def count(self) -> int:
        """Faults of all kinds."""
        return self.faults.total()


def sit(
    folder: Path,
    seed: int,
    faults: int,
    brokers: int = 1,
    memberships: Sequence[Membership] = MEMBERSHIPS,
    say: Callable[[str], None] = print,
) -> Told:
    """Do at least so many faults; return what was done and found. Raises AssertionError where records stand still."""
    told = Told(seed)
    with ExitStack() as stack:
        if brokers == 1:
            server = stack.enter_context(KafkaServer.start(folder / "kafka", port=0, kafka_dir=KAFKA_DIR))
            servers: Sequence[KafkaServer] = (server,)
            bootstrap = server.bootstrap_servers
        else:
            cluster = stack.enter_context(KafkaCluster.start(folder / "kafka", kafka_dir=KAFKA_DIR))
            servers, bootstrap = cluster.servers, cluster.bootstrap_servers
        while told.count < faults:
            membership = memberships[told.chapters % len(memberships)]
            _tell(folder, bootstrap, servers, membership, min(FAULTS_IN_A_CHAPTER, faults - told.count), told, say)
    return told


def _tell(
    folder: Path,
    bootstrap: str,
    servers: Sequence[KafkaServer],
    membership: Membership,
    faults: int,
    told: Told,
    say: Callable[[str], None],
) -> None:
    """One chapter, to its verdict."""
    told.chapters += 1
    harness = Harness(
        bootstrap,
        folder,
        seed=told.seed * 1_000 + told.chapters,
        rate=RATE,
        fixed=membership.fixed,
        protocol=membership.protocol,
        replication=len(servers),
        session_s=BROKERS_SESSION_S if membership.protocol == "consumer" else SESSION_S,
    )
    began = time.monotonic()
    with harness:
        chapter = Chapter(harness, servers)
        try:
            told.longest_flow_s = max(told.longest_flow_s, _befall(chapter, faults))
            harness.drain()
            verdict = harness.verdict()
        except AssertionError as error:
            error.add_note(f"seed {told.seed}, chapter {told.chapters} ({membership.name}), after {chapter.counts}")
            raise
    if not verdict.ok:
        told.wrong += [f"chapter {told.chapters} ({membership.name}): {line}" for line in verdict.lines()]
    told.faults += chapter.counts
    told.ended_themselves.update(code for _, code in harness.ended)
    told.payments += harness.payer.sent
    say(
        f"chapter {told.chapters}, {membership.name}: {chapter.counts.total()} faults in "
        f"{time.monotonic() - began:.0f} s; {'; '.join(verdict.lines())}\n  {dict(sorted(chapter.counts.items()))}"
    )


def _befall(chapter: Chapter, faults: int) -> float:
    """Let so many faults happen; return the longest time after which records flowed again, seconds."""
    harness = chapter.harness
    harness.start(*SLOTS)
    harness.wait_for_flow()
    flowed = [0.0]
    while chapter.counts.total() < faults:
        (fault,) = chapter.random.choices(list(FAULTS), list(FAULTS.values()))
        fault(chapter)
        if chapter.random.random() < 0.6:
            flowed.append(harness.wait_for_flow())
        else:
            # The next fault meets what this one has not finished.
            time.sleep(chapter.random.uniform(0.0, 1.5))
    chapter.bring_back()
    flowed.append(harness.wait_for_flow())
    return max(flowed)
