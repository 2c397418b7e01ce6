"""Promise: no order leaves later than 1 s after the halt is in the log, under load and with a rebalance in progress.

    python -m benchmarks.halt [--trials 100]

Real Kafka, two worker processes with accounts and execution, and a venue over HTTP that writes down what it receives.
While orders flow, one worker is told to end: its partitions move to the other, and back when it is started again.
Somewhere on that way the account of everything is halted, and the load goes on until both workers are ready again.
Latency of a trial: from the append of the record in `control.kill` to the last order that the venue received before
the resume; 0 where none came after it. Prints one JSON object; ends with 1 when a trial took longer than 1 s.
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
from schemas.topics import ACCOUNTS_INBOX, CONTROL_KILL
from streams.runtime.reader import Reader, Start
from tests.soak.floor import Floor, now_us
from tests.venue.ledger import Ledger

TRIALS, RATE_PER_S, SEED = 20, 40.0, 11
TARGET_MS = 1_000.0
SLOTS = ("w0", "w1")
REBALANCE_S = 4.0
"""The halt comes within this time of a worker's being told to end."""
QUIET_S = 3.0
"""Least time for which late orders are waited for, and that after both workers are ready."""
GIVE_UP_S = 180.0


class Trial(NamedTuple):
    """One halt.

    latency_ms: from the append to the last order received; after: how many came after the append
    before: orders received within the second before it; ready: workers ready at that time
    into_s: how long after the worker was told to end; asked: orders asked for while halted
    stopped: approved orders that the halt kept from leaving
    """

    latency_ms: float
    after: int
    before: int
    ready: int
    into_s: float
    asked: int
    stopped: int


class Bench:
    """The parent's side: it asks for orders, halts and resumes, and reads what the venue received."""

    def __init__(self, floor: Floor, rate: float):
        self._floor = floor
        self._rate = rate
        self._ledger = Ledger(floor.folder / "venue", read_only=True)
        self._kills = Reader(floor.cluster, floor.codec, CONTROL_KILL, floor.environment, Start.BEGINNING)
        self._inbox = Reader(floor.cluster, floor.codec, ACCOUNTS_INBOX, floor.environment, Start.BEGINNING)
        self._version = 0
        self.asked = 0

    def load(self, stop: threading.Event) -> None:
        """Ask for orders at the rate until stopped."""
        dice, due = random.Random(f"load-{SEED}"), time.monotonic()
        while not stop.is_set():
            self._floor.place(self.asked, dice)
            self.asked += 1
            due += 1 / self._rate
            stop.wait(max(0.0, due - time.monotonic()))

    def received_us(self, since_us: int) -> list[int]:
        """When the venue received orders after this time."""
        return [
            one["time_us"] for one in self._ledger.requests() if one["what"] == "submit" and one["time_us"] > since_us
        ]

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
        begun = time.monotonic()
        self._floor.stop(slot)
        # Squared: most halts come early, while orders are still on their way.
        time.sleep(REBALANCE_S * dice.random() ** 2)
        into_s = time.monotonic() - begun
        ready, asked = self._ready(), self.asked
        halted_us = self.switch(KillVerb.HALT)
        before = len([at for at in self.received_us(halted_us - 1_000_000) if at <= halted_us])
        time.sleep(QUIET_S)
        self._until(lambda: self._ready() == len(SLOTS), "both workers are ready again")
        stopped = self._stopped(QUIET_S)
        late, asked = self.received_us(halted_us), self.asked - asked
        resumed_us = self.switch(KillVerb.RESUME)
        self.until_flowing(resumed_us)
        latency_ms = (max(late, default=halted_us) - halted_us) / 1000
        return Trial(latency_ms, len(late), before, ready, round(into_s, 2), asked, stopped)

    def _stopped(self, seconds: float) -> int:
        """Orders that execution did not send because of a halt, since this was asked last; reads for so long."""
        found, until = 0, time.monotonic() + seconds
        while time.monotonic() < until:
            records = [one.record for one in self._inbox.poll(0.2, 5_000)]
            found += sum(isinstance(one, NotSent) and one.reason is NotSentReason.KILLED for one in records)
        return found

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
                raise TimeoutError(f"not within {GIVE_UP_S:g} s: {what}\n{tails}")
            time.sleep(0.2)

    def close(self) -> None:
        self._kills.close()
        self._inbox.close()
        self._ledger.close()


@contextmanager
def under_load(folder: Path, rate: float) -> Iterator[Bench]:
    """Two workers at work, with orders flowing."""
    stop = threading.Event()
    with Floor(folder, seed=SEED, environment="bench") as floor:
        floor.start(*SLOTS)
        floor.until_ready()
        bench = Bench(floor, rate)
        load = threading.Thread(target=bench.load, args=(stop,), daemon=True)
        load.start()
        try:
            bench.until_flowing(0)
            yield bench
        finally:
            stop.set()
            load.join()
            bench.close()


def figures(trials: list[Trial]) -> dict[str, Any]:
    """What is told of the trials."""
    taken = sorted(trial.latency_ms for trial in trials)
    return {
        "halt_to_last_order_ms": {
            "median": taken[len(taken) // 2],
            "p90": taken[int(len(taken) * 0.9)],
            "max": taken[-1],
            "all": taken,
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
    given = asked.parse_args(words)
    about, dice, trials = machine(), random.Random(SEED), []
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        under_load(Path(folder), given.rate) as bench,
    ):
        for number in range(given.trials):
            trials.append(bench.trial(SLOTS[number % len(SLOTS)], dice))
            print(f"  {number + 1}: {trials[-1]}", file=sys.stderr, flush=True)
    found = figures(trials)
    met = found["halt_to_last_order_ms"]["max"] <= TARGET_MS
    told = {
        "benchmark": "halt",
        "command": f"python -m benchmarks.halt --trials {given.trials}",
        **about,
        "rate_asked_a_second": given.rate,
        "trials": len(trials),
        **found,
        "target_max_ms": TARGET_MS,
        "met": met,
    }
    print(json.dumps(told, indent=1))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
