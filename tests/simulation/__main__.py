"""`python -m tests.simulation --seeds N [--seed S] [--step D]`: N histories, of seeds S, S + D, ...

--seed alone tells that one whole. Every hundredth seed is a history of the whole chain: `--seed 99 --step 100` lives
through only those.

Ends with 1 where a history is wrong; the seed is printed, and a smaller plan that fails as well, with its history.
"""

import argparse
import gc
import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.simulation.chain import ENGINE
from tests.simulation.histories import plan_of, run
from tests.simulation.plan import STEPS, Kind
from tests.simulation.run import Report
from tests.simulation.shrink import shrunk

PORTION = 100
SHOWN = 3
SHRINKING_S = 60.0
SHRINKING_CHAIN_S = 240.0
"""How long a smaller history is looked for; one of the whole chain takes fifty times as long to live through."""
HISTORY_LINES = 250
TELL_EVERY_S = 15.0


@dataclass
class Tally:
    """What some seeds came to."""

    seeds: int = 0
    inputs: int = 0
    outputs: int = 0
    ended: int = 0
    wrong: list[int] = field(default_factory=list)
    struck: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    def take(self, seed: int, report: Report) -> None:
        """One more."""
        self.seeds += 1
        self.inputs += report.inputs
        self.outputs += report.outputs
        self.ended += report.ended
        self.struck.update(report.struck)
        self.refused.update(report.refused)
        if not report.ok:
            self.wrong.append(seed)

    def add(self, other: "Tally") -> None:
        """Those of another."""
        self.seeds += other.seeds
        self.inputs += other.inputs
        self.outputs += other.outputs
        self.ended += other.ended
        self.struck.update(other.struck)
        self.refused.update(other.refused)
        self.wrong += other.wrong


def portion(seeds: range) -> Tally:
    """Live through some seeds."""
    tally = Tally()
    gc.disable()
    for seed in seeds:
        tally.take(seed, run(plan_of(seed)))
    gc.enable()
    gc.collect()
    return tally


def tallies(seeds: range, processes: int) -> Iterator[Tally]:
    """All seeds, on all cores."""
    size = PORTION if seeds.step == 1 else PORTION // 10
    portions = [seeds[start : start + size] for start in range(0, len(seeds), size)]
    if processes == 1:
        yield from map(portion, portions)
        return
    with multiprocessing.get_context("fork").Pool(processes, _begin_portions) as pool:
        yield from pool.imap_unordered(portion, portions)


def _begin_portions() -> None:
    """In a process of the pool: end where the pool ends, without a word."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def explain(seed: int) -> None:
    """Print a wrong history and the smallest like it that was found."""
    report = run(plan_of(seed))
    seconds = SHRINKING_CHAIN_S if report.plan.scene is ENGINE else SHRINKING_S
    print(f"\nWRONG: seed {seed}; again: python -m tests.simulation --seed {seed}")
    print("\n".join(report.wrong))
    print(f"\nlooking for a smaller one, for {seconds:.0f} s")
    small = shrunk(report, seconds)
    print(f"found: {len(small.plan.sent)} of {len(report.plan.sent)} records, {len(small.plan.faults)} faults")
    told = run(small.plan, keep_history=True)
    print("\n".join([*told.wrong, "", *told.plan.lines(), ""]))
    if len(told.history) > HISTORY_LINES:
        print(f"... {len(told.history) - HISTORY_LINES} lines before")
    print("\n".join(told.history[-HISTORY_LINES:]))


def summary(total: Tally) -> list[str]:
    """What was done to how many."""
    kinds = Counter[str]()
    for what, count in total.struck.items():
        kinds[next(kind for kind in Kind if what.startswith(kind))] += count
    steps = {step: sum(n for what, n in total.struck.items() if what.endswith(f" at {step}")) for step in STEPS}
    least = min(steps, key=lambda step: steps[step])
    return [
        f"{total.inputs} records folded, {total.outputs} said, {total.ended} times a worker ended itself",
        "faults: " + ", ".join(f"{count} {kind}" for kind, count in kinds.most_common()),
        f"at {len(steps)} steps of the contract, least often at {least} ({steps[least]})",
        "refused: " + ", ".join(f"{count} {what}" for what, count in total.refused.most_common()),
    ]


def simulate(seeds: range, processes: int) -> int:
    """Live through seeds and tell; return the exit code."""
    print(f"{len(seeds)} histories, of seeds {seeds[0]} to {seeds[-1]}")
    total, began = Tally(), time.monotonic()
    told_at = began
    for tally in tallies(seeds, processes):
        total.add(tally)
        now = time.monotonic()
        if now - told_at > TELL_EVERY_S:
            told_at = now
            speed = total.seeds / (now - began)
            print(f"{total.seeds} of {len(seeds)} seeds, {speed:.0f}/s, wrong: {total.wrong[:SHOWN]}", flush=True)
    seconds = time.monotonic() - began
    print(f"{total.seeds} seeds in {seconds:.1f} s, {total.seeds / seconds:.0f} seeds/s on {processes} processes")
    print("\n".join(summary(total)))
    for seed in sorted(total.wrong)[:SHOWN]:
        explain(seed)
    if total.wrong:
        print(f"\n{len(total.wrong)} of {total.seeds} histories are wrong: seeds {sorted(total.wrong)[:20]}")
        return 1
    print("nothing lost, nothing twice, every state equal to its fold")
    return 0


def tell(seed: int) -> int:
    """Live through one seed, and tell all of it."""
    report = run(plan_of(seed), keep_history=True)
    print("\n".join([*report.plan.lines(), "", *report.history, "", *report.wrong]))
    print("right" if report.ok else "WRONG")
    return 0 if report.ok else 1


def _ended_from_outside(number: int, _frame: object) -> None:
    print(f"ended from outside by {signal.Signals(number).name}, before the end")
    # At once: a pool that is just being made does not take part in an orderly exit.
    for child in multiprocessing.active_children():
        child.kill()
    os._exit(128 + number)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, help="how many histories; default 2000")
    parser.add_argument("--seed", type=int, help="the first one; alone: only this one, told whole")
    parser.add_argument("--step", type=int, default=1, help="from one seed to the next; default 1")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args(arguments)
    # Whoever ends this from outside must see how far it came, also where its words go into a file.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # whatever stands there is a text file
    signal.signal(signal.SIGTERM, _ended_from_outside)
    if given.seed is not None and given.seeds is None:
        return tell(given.seed)
    first, count = given.seed or 0, given.seeds or 2000
    return simulate(range(first, first + count * given.step, given.step), given.processes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
