"""Promise: no order leaves later than 1 s after the halt is in the log, under load and with a rebalance in progress.

    python -m benchmarks.halt [--trials 100] [--after FILE]

Real Kafka, two worker processes with accounts and execution, and a venue over HTTP that writes down what it receives.
While orders flow, one worker is told to end: its partitions move to the other, and back when it is started again.
Somewhere on that way the account of everything is halted, and the load goes on until both workers are ready again.
The load waits where too many orders are ahead of their outcome: what is measured is a halt, not a queue.
Latency of a trial: from the append of the record in `control.kill` to the last order that the venue received before
the resume; 0 where none came after it. Prints one JSON object, also when it had to end early, and then says why; ends
with 1 when a trial took longer than 1 s or when not all were done. With `--after` the trials of an earlier sitting, as
its file tells them, count, and only those that it lacks are done.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks._arena import machine
from schemas.control import KillSwitch, KillVerb, Scope
from schemas.execution import NotSent, NotSentReason
from schemas.order import OrderEvent, OrderStatus
from schemas.risk import RiskVerdict
from schemas.topics import ACCOUNTS_EVENTS, ACCOUNTS_INBOX, CONTROL_KILL
from streams.runtime.reader import Reader, Start
from tests.soak.floor import Floor, now_us
from tests.venue.ledger import Ledger

TRIALS, RATE_PER_S, SEED = 100, 25.0, 11
TARGET_MS = 1_000.0
SLOTS = ("w0", "w1")
REBALANCE_S = 4.0
"""The halt comes within this time of a worker's being told to end."""
QUIET_S = 3.0
"""Least time for which late orders are waited for."""
AHEAD_MAX = 200
"""Orders asked for and without an outcome beyond which no more is asked for: eight seconds of the load."""
GIVE_UP_S = 600.0
WITHIN_S = 2_400.0
"""No trial begins later than this after the first."""

UNDECIDED = {OrderStatus.PENDING_NEW, OrderStatus.UNKNOWN}


class Trial(NamedTuple):
    """One halt, as `each` of the result tells it in this order.

    latency_ms: from the append to the last order received; after: how many came after the append
    before: orders received within the second before it; ready: workers ready at that time
    into_s: how long after the worker was told to end; asked: orders asked for while halted
    stopped: approved orders that the halt kept from leaving
    """

    latency_ms: float
    after: float
    before: float
    ready: float
    into_s: float
    asked: float
    stopped: float


class Load:
    """Orders at a rate, in a thread of its own, never too far ahead of what became of them.

    asked: orders so far; stopped: of them those that a halt kept from leaving at the socket
    """

    def __init__(self, floor: Floor, rate: float):
        self.asked = 0
        self.stopped = 0
        self._floor = floor
        self._rate = rate
        self._events = Reader(floor.cluster, floor.codec, ACCOUNTS_EVENTS, floor.environment, Start.BEGINNING)
        self._inbox = Reader(floor.cluster, floor.codec, ACCOUNTS_INBOX, floor.environment, Start.BEGINNING)
        self._ended: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def ahead(self) -> int:
        """Orders asked for of which nobody knows yet what became of them."""
        return self.asked - len(self._ended)

    def stop(self) -> None:
        """Ask for no more."""
        self._stop.set()
        self._thread.join()
        self._events.close()
        self._inbox.close()

    def _run(self) -> None:
        dice, due = random.Random(f"load-{SEED}"), time.monotonic()
        while not self._stop.is_set():
            self._read()
            if self.ahead > AHEAD_MAX:
                due = time.monotonic()
                continue
            while due <= time.monotonic():
                self._floor.place(self.asked, dice)
                self.asked += 1
                due += 1 / self._rate

    def _read(self) -> None:
        for one in self._events.poll(0.02):
            match one.record:
                case RiskVerdict(approved=False) as verdict:
                    self._ended.add(verdict.intent_id)
                case OrderEvent() as event if event.status not in UNDECIDED:
                    self._ended.add(event.intent_id)
        for one in self._inbox.poll(0):
            self.stopped += isinstance(one.record, NotSent) and one.record.reason is NotSentReason.KILLED


class Bench:
    """The parent's side: it halts and resumes, and reads what the venue received."""

    def __init__(self, floor: Floor, rate: float):
        self._floor = floor
        self._rate = rate
        self._ledger = Ledger(floor.folder / "venue", read_only=True)
        self._kills = Reader(floor.cluster, floor.codec, CONTROL_KILL, floor.environment, Start.BEGINNING)
        self._version = 0
        self.load = Load(floor, rate)

    def received_us(self, since_us: int) -> list[int]:
        """When the venue received orders after this time."""
        return [one["time_us"] for one in self._ledger.requests(since_us) if one["what"] == "submit"]

    def switch(self, verb: KillVerb) -> int:
        """Write a switch over everything; when it came to the log, microseconds of UTC."""
        self._version += 1
        name = f"bench-{self._version}"
        self._floor.control.write(
            KillSwitch(
                event_time_us=now_us(), request_id=name, version=self._version, scope=Scope.GLOBAL, scope_id="",
                verb=verb, author="bench", reason="measured",
            )
        )  # fmt: skip
        give_up = time.monotonic() + GIVE_UP_S
        while time.monotonic() < give_up:
            for received in self._kills.poll(0.1):
                if isinstance(received.record, KillSwitch) and received.record.request_id == name:
                    return received.appended_ms * 1000
        raise TimeoutError(f"{name} did not come to {CONTROL_KILL.name}")

    def trial(self, slot: str, dice: random.Random) -> Trial:
        """One halt while the partitions of a worker move."""
        begun, starts = time.monotonic(), self._floor.workers[slot].starts
        stopped = self.load.stopped
        self._floor.stop(slot)
        # Squared: most halts come early, while orders are still on their way.
        time.sleep(REBALANCE_S * dice.random() ** 2)
        into_s = time.monotonic() - begun
        ready, asked = self._ready(), self.load.asked
        halted_us = self.switch(KillVerb.HALT)
        before = len([at for at in self.received_us(halted_us - 1_000_000) if at <= halted_us])
        time.sleep(QUIET_S)
        self._until(lambda: self._floor.workers[slot].starts > starts, f"{slot} is started again")
        self._until(lambda: self._ready() == len(SLOTS), "both workers are ready again")
        late, asked = self.received_us(halted_us), self.load.asked - asked
        resumed_us = self.switch(KillVerb.RESUME)
        self.until_flowing(resumed_us)
        latency_ms = (max(late, default=halted_us) - halted_us) / 1000
        return Trial(latency_ms, len(late), before, ready, round(into_s, 2), asked, self.load.stopped - stopped)

    def until_flowing(self, since_us: int) -> None:
        """Wait until the venue receives orders again."""
        self._until(lambda: len(self.received_us(since_us)) >= self._rate, "orders flow")

    def _ready(self) -> int:
        return sum(self._floor.is_ready(slot) for slot in SLOTS)

    def _until(self, is_so: Callable[[], bool], what: str) -> None:
        give_up = time.monotonic() + GIVE_UP_S
        while not is_so():
            if time.monotonic() > give_up:
                tails = "\n".join(self._floor.tail(slot, 10) for slot in SLOTS)
                print(tails, file=sys.stderr)
                raise TimeoutError(f"not within {GIVE_UP_S:g} s: {what}; {self.load.ahead} orders without an outcome")
            time.sleep(0.1)

    def close(self) -> None:
        """End the load and leave the topics."""
        self.load.stop()
        self._kills.close()
        self._ledger.close()


@contextmanager
def under_load(folder: Path, rate: float) -> Iterator[Bench]:
    """Two workers at work, with orders flowing."""
    with Floor(folder, seed=SEED, environment="bench") as floor:
        floor.start(*SLOTS)
        floor.until_ready()
        bench = Bench(floor, rate)
        try:
            bench.until_flowing(0)
            yield bench
        finally:
            bench.close()


def measured(trials: int, rate: float, within_s: float, done: list[Trial]) -> tuple[list[Trial], str]:
    """All trials, those done before included, and why there are not more; empty where all were done."""
    done = list(done)
    dice = random.Random(SEED + len(done))
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, under_load(Path(folder), rate) as bench:
            begun = time.monotonic()
            for number in range(len(done), trials):
                if time.monotonic() - begun > within_s:
                    return done, f"no trial begins later than {within_s:g} s after the first"
                done.append(bench.trial(SLOTS[number % len(SLOTS)], dice))
                print(f"  {number + 1}: {done[-1]}", file=sys.stderr, flush=True)
    except TimeoutError as error:
        return done, str(error)
    return done, ""


def figures(trials: list[Trial]) -> dict[str, Any]:
    """What is told of the trials."""
    if not trials:
        return {}
    taken = sorted(trial.latency_ms for trial in trials)
    return {
        "halt_to_last_order_ms": {
            "median": taken[len(taken) // 2],
            "p90": taken[int(len(taken) * 0.9)],
            "max": taken[-1],
        },
        "orders_after_the_halt": sum(trial.after for trial in trials),
        "asked_for_while_halted": sum(trial.asked for trial in trials),
        "stopped_at_the_socket": sum(trial.stopped for trial in trials),
        "orders_a_second_before": round(sum(trial.before for trial in trials) / len(trials), 1),
        "halted_while_a_worker_was_not_ready": sum(trial.ready < len(SLOTS) for trial in trials),
    }


def main(words: list[str]) -> int:
    """Print the figures; 0 where the promise holds."""
    asked = argparse.ArgumentParser(prog="python -m benchmarks.halt")
    asked.add_argument("--trials", type=int, default=TRIALS)
    asked.add_argument("--rate", type=float, default=RATE_PER_S, help="orders a second")
    asked.add_argument("--after", type=Path, help="result of an earlier sitting")
    asked.add_argument("--within", type=float, default=WITHIN_S, help="seconds within which trials begin")
    given = asked.parse_args(words)
    about = machine()
    earlier: dict[str, Any] = json.loads(given.after.read_text()) if given.after else {"each": [], "sittings": 0}
    before = [Trial(*(float(word) for word in one.split())) for one in earlier["each"]]
    trials, ended_early = measured(given.trials, given.rate, given.within, before)
    found = figures(trials)
    met = not ended_early and found["halt_to_last_order_ms"]["max"] <= TARGET_MS
    told = {
        "benchmark": "halt",
        "command": f"python -m benchmarks.halt --trials {given.trials}",
        **about,
        "rate_asked_a_second": given.rate,
        "trials": len(trials),
        "sittings": earlier["sittings"] + 1,
        **found,
        "target_max_ms": TARGET_MS,
        "ended_early": ended_early,
        "each": [" ".join(f"{one:g}" for one in trial) for trial in trials],
        "met": met,
    }
    print(json.dumps(told, indent=1))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
