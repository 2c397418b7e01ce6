"""One soak: orders at a rate under the storm, then quiet, then the verdict."""

import random
import time
from collections.abc import Callable
from pathlib import Path

from schemas.order import OrderStatus
from tests.soak.floor import Floor
from tests.soak.storm import Storm
from tests.soak.verdict import Story, Verdict, judge

QUIET_S = 600.0
AHEAD_MAX = 400
"""Requests without a verdict beyond which no more is asked for: workers that are down catch up first."""


def soak(
    folder: Path,
    *,
    orders: int,
    seed: int,
    rate: float,
    say: Callable[[str], None],
    workers: int = 2,
    pause_s: tuple[float, float] = (2.0, 6.0),
    until_s: float = float("inf"),
) -> tuple[Verdict, Storm, Story]:
    """Ask for so many orders at this rate (or for so many seconds), and judge when all is quiet."""
    dice = random.Random(f"orders-{seed}")
    with Floor(folder, seed=seed) as floor:
        floor.start(*(f"w{number}" for number in range(workers)))
        floor.until_ready()
        say(f"{workers} workers are ready")
        storm, story = Storm(floor, seed, pause_s), Story(floor)
        storm.begin()
        intents: list[str] = []
        begun = told = due = time.monotonic()
        while len(intents) < orders and time.monotonic() - begun < until_s:
            storm.turn()
            story.read(0.01)
            if len(intents) - len(story.verdicts) > AHEAD_MAX:
                due = time.monotonic()
                continue
            while due <= time.monotonic() and len(intents) < orders:
                due += 1 / rate
                intents.append(floor.place(len(intents), dice))
                if dice.random() < 0.1:
                    _cancel_one(floor, story, dice)
            if time.monotonic() - told > 20:
                told = time.monotonic()
                say(_progress(intents, story, storm, told - begun))
        storm.end()
        floor.control.flush()
        say(f"asked for {len(intents)} orders in {time.monotonic() - begun:.0f} s; waiting until all is quiet")
        _settle(floor, story, intents, say)
        verdict = judge(floor, story, intents)
        for worker in floor.workers.values():
            say(f"{worker.slot}: {worker.starts} starts, ended with {sorted(set(worker.ended))}")
        story.close()
    return verdict, storm, story


def _cancel_one(floor: Floor, story: Story, dice: random.Random) -> None:
    working = [name for name, order in list(story.orders.items())[-300:] if order.status is OrderStatus.NEW]
    if working:
        name = dice.choice(working)
        floor.cancel(story.orders[name].account_id, name)


def _settle(floor: Floor, story: Story, intents: list[str], say: Callable[[str], None]) -> None:
    """Wait until every intent is answered, nothing is undecided, and the two sides agree."""
    give_up, told = time.monotonic() + QUIET_S, 0.0
    while time.monotonic() < give_up:
        while story.read(0.1):
            pass
        unanswered = sum(intent not in story.verdicts for intent in intents)
        undecided, cases = len(story.undecided()), len(story.open_cases())
        if not (unanswered or undecided or cases) and judge(floor, story, intents).right:
            return
        if time.monotonic() - told > 20:
            told = time.monotonic()
            say(f"waiting: {unanswered} unanswered, {undecided} undecided, {cases} discrepancies")
        time.sleep(0.5)


def _progress(intents: list[str], story: Story, storm: Storm, seconds: float) -> str:
    return (
        f"{seconds:.0f} s: {len(intents)} asked, {len(story.verdicts)} judged, {len(story.orders)} orders, "
        f"{len(story.undecided())} undecided, {len(story.open_cases())} discrepancies, storm {dict(storm.struck)}"
    )
