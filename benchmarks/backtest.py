"""Promise: a backtest takes 20,000 bars a second through all rooms on one core.

    python -m benchmarks.backtest

The whole history of the shipped oil set, three strategies for each instrument and the learner. The limit, measured in
the same run, is the same schedule with rooms that answer nothing: what reading, routing and taking turns cost. Prints
one JSON object; ends with 1 when the target is missed.
"""

import json
import os
import platform
import sys
import time
from typing import Any

from schemas.record import Record
from streams.commands.replay import plan_of
from streams.replay.backtest import Backtest
from streams.runtime.local import LocalRoom
from streams.runtime.room import Outcome

TARGET_PER_S = 20_000
FIRST, LAST = "1987-06-01", "2026-08-01"


def _silent(self: Any, state: Any, shared: Any, record: Record) -> Outcome[Any]:
    return Outcome(state)


def bars_per_s(*, silent: bool) -> tuple[float, int]:
    """Bars a second and bars of one whole replay; silent rooms fold without answering."""
    backtest = Backtest(plan_of("oil", FIRST, LAST, None, "1000000"))
    if silent:
        for actor in backtest.actors:
            if isinstance(actor, LocalRoom):
                actor.partition._room.__class__ = type("Silent", (type(actor.partition._room),), {"fold": _silent})
    steps = 0

    def count(_step: object) -> None:
        nonlocal steps
        steps += 1

    begun = time.perf_counter()
    backtest.run(count)
    return steps / (time.perf_counter() - begun), steps


def main() -> int:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    bars_per_s(silent=True)
    limit, _ = bars_per_s(silent=True)
    ours, bars = bars_per_s(silent=False)
    met = ours >= TARGET_PER_S
    print(
        json.dumps(
            {
                "benchmark": "backtest",
                "command": "python -m benchmarks.backtest",
                "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "system": platform.system()},
                "versions": {"python": platform.python_version()},
                "bars": bars,
                "bars_per_s": round(ours),
                "silent_rooms_bars_per_s": round(limit),
                "share_of_the_limit": round(ours / limit, 3),
                "target_per_s": TARGET_PER_S,
                "met": met,
            },
            indent=1,
        )
    )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
