"""Promise: a backtest takes 20,000 bars a second through all rooms on one core.

    python -m benchmarks.backtest

Two set-ups, each against the same target, and the seconds are those of the processor:

whole: the whole history of the shipped oil set, daily bars, three strategies for each instrument and the learner.
light: a week of minute bars of two instruments (a seeded random walk), one strategy for each, and no learner.

The limit, measured in the same run, is the same schedule with rooms that answer nothing: what reading, routing and
taking turns cost. `microseconds_a_bar` shares the processor's time as the turns took the wall's, because asking the
processor's clock at every turn would cost as much as a turn: `publishers` is the learner, `routing` is what is not a
turn. Prints one JSON object; ends with 1 when a target is missed.
"""

import json
import os
import platform
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from schemas.market import BarBatch
from schemas.record import Record
from schemas.reference import ContractKind, Instrument, InstrumentClass
from schemas.scalars import SECOND_US
from streams.commands.replay import plan_of
from streams.replay.backtest import Backtest
from streams.replay.plan import Deployment, Plan
from streams.runtime.local import LocalRoom
from streams.runtime.room import Outcome
from streams.runtime.schedule import Step

TARGET_PER_S = 20_000
FIRST, LAST = "1987-06-01", "2026-08-01"
MINUTE_US = 60 * SECOND_US
MINUTES = 7 * 24 * 60
BEGIN_US = 1_577_836_800 * SECOND_US
SEED = 7
DRIFT = 0.0008
"""Standard deviation of the moves of a minute, as a share of the price."""


@dataclass(frozen=True, slots=True)
class Minute:
    """One minute of one instrument."""

    time_us: int
    instrument_id: str
    records: tuple[Record, ...]


class Minutes:
    """Minute bars of two instruments that trade around the clock: made once, before any time is taken."""

    def __init__(self) -> None:
        self.instruments = [_instrument(name) for name in ("WALK-A", "WALK-B")]
        self._steps = sorted(
            (step for number, one in enumerate(self.instruments) for step in _walk(one.instrument_id, number)),
            key=lambda step: (step.time_us, step.instrument_id),
        )

    def steps(self, from_us: int, to_us: int) -> Iterator[Step]:
        return (step for step in self._steps if from_us <= step.time_us < to_us)


def _instrument(name: str) -> Instrument:
    return Instrument(
        event_time_us=0, instrument_id=name, symbol=name, venue="PAPER", instrument_class=InstrumentClass.CRYPTO_SPOT,
        quote_currency="USD", settlement_currency="USD", contract=ContractKind.LINEAR, tick_size=Decimal("0.01"),
        lot_size=Decimal("0.001"), multiplier=Decimal(1), price_decimals=2, quantity_decimals=3, calendar="24/7",
        price_may_be_negative=False, shortable=True, has_volume=True, version=1, bars_per_year=525_600,
    )  # fmt: skip


def _walk(name: str, number: int) -> Iterator[Minute]:
    chance = random.Random(SEED + number)
    close = 1_000_000
    for minute in range(1, MINUTES + 1):
        opened, close = close, max(100, round(close * (1 + chance.gauss(0, DRIFT))))
        high = max(opened, close) + chance.randrange(50)
        low = min(opened, close) - chance.randrange(50)
        at_us = BEGIN_US + minute * MINUTE_US
        yield Minute(at_us, name, (
            BarBatch(event_time_us=at_us, instrument_id=name, feed_id="walk", sequence=minute, interval_us=MINUTE_US,
                     price_exponent=-2, size_exponent=-3, times_us=[at_us], opens=[opened], highs=[high], lows=[low],
                     closes=[close], volumes=[chance.randrange(1, 1_000_000)]),
        ))  # fmt: skip


def whole() -> Plan:
    return plan_of("oil", FIRST, LAST, None, "1000000")


def light() -> Plan:
    return replace(
        whole(),
        data_set=Minutes(),
        from_us=BEGIN_US,
        until_us=BEGIN_US + (MINUTES + 1) * MINUTE_US,
        deployments=(Deployment("moving_average_cross"),),
        provider_id="",
    )


class Timed:
    """An actor whose turns are timed."""

    def __init__(self, actor: Any, spent: dict[str, float]):
        self.name = actor.name
        self.inbox = getattr(actor, "inbox", None)
        self._actor = actor
        self._spent = spent

    def drain(self) -> int:
        begun = time.perf_counter()
        taken: int = self._actor.drain()
        self._spent[self.name] = self._spent.get(self.name, 0.0) + time.perf_counter() - begun
        return taken


def _silent(self: Any, state: Any, shared: Any, record: Record) -> Outcome[Any]:
    return Outcome(state)


def bars_per_s(plan: Plan, *, silent: bool = False, spent: dict[str, float] | None = None) -> tuple[float, int]:
    """Bars a second of the processor, and bars, of one replay; silent rooms fold without answering.

    Where `spent` is given, it takes the seconds of each actor's turns by the wall, and all in all as `""`.
    """
    backtest = Backtest(plan)
    if silent:
        for actor in backtest.actors:
            if isinstance(actor, LocalRoom):
                actor.partition._room.__class__ = type("Silent", (type(actor.partition._room),), {"fold": _silent})
    if spent is not None:
        backtest.actors = [Timed(actor, spent) for actor in backtest.actors]
    steps = 0

    def count(_step: object) -> None:
        nonlocal steps
        steps += 1

    begun, begun_s = time.process_time(), time.perf_counter()
    backtest.run(count)
    taken = time.process_time() - begun
    if spent is not None:
        spent[""] = time.perf_counter() - begun_s
    return steps / taken, steps


def measured(plan: Plan) -> dict[str, Any]:
    """One set-up: its limit, its speed, and where the time goes."""
    bars_per_s(plan, silent=True)
    limit, _ = bars_per_s(plan, silent=True)
    ours, bars = bars_per_s(plan)
    spent: dict[str, float] = {}
    timed, _ = bars_per_s(plan, spent=spent)
    total = spent.pop("")
    spent["routing"] = total - sum(spent.values())
    share_us = 1e6 / timed / total
    return {
        "bars": bars,
        "bars_per_s": round(ours),
        "silent_rooms_bars_per_s": round(limit),
        "share_of_the_limit": round(ours / limit, 3),
        "microseconds_a_bar": {name: round(seconds * share_us, 1) for name, seconds in spent.items()},
        "met": ours >= TARGET_PER_S,
    }


def main() -> int:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    found = {"whole": measured(whole()), "light": measured(light())}
    met = all(one["met"] for one in found.values())
    print(
        json.dumps(
            {
                "benchmark": "backtest",
                "command": "python -m benchmarks.backtest",
                "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "system": platform.system()},
                "versions": {"python": platform.python_version()},
                **found,
                "target_per_s": TARGET_PER_S,
                "met": met,
            },
            indent=1,
        )
    )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
