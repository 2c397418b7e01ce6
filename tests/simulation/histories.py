"""Histories: the plan of each seed, small rooms mostly and the whole chain now and then, and its run."""

import gc
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from stamina.instrumentation import get_on_retry_hooks, set_on_retry_hooks

from streams.runtime.traces import Spans
from tests.simulation.broker import Laws
from tests.simulation.chain import ENGINE, ChainRun
from tests.simulation.plan import Plan, Scene
from tests.simulation.plan import plan_of as plan_of_scene
from tests.simulation.run import Report, Run

CHAIN_EVERY = 100
"""One seed in so many is a history of the whole chain, which takes as long as fifty of a small room."""


def plan_of(seed: int, scene: Scene | None = None) -> Plan:
    """The plan of this seed."""
    if scene is None and seed % CHAIN_EVERY == CHAIN_EVERY - 1:
        scene = ENGINE
    return plan_of_scene(seed, scene)


def run(plan: Plan, *, keep_history: bool = False, laws: Laws | None = None, spans: Spans | None = None) -> Report:
    """Live through a plan, and judge. `spans` are told the steps of traces, of a scene with signals."""
    if plan.scene is not ENGINE:
        with _uncollected():
            return Run(plan, keep_history=keep_history, laws=laws).report()
    with living():
        return _lived(ChainRun(plan, keep_history=keep_history, laws=laws), spans)


def _lived(history: ChainRun, spans: Spans | None) -> Report:
    """Its report; nobody may hold the history when this returns, so that its dead are collected at once."""
    history.site.spans = spans
    return history.report()


@contextmanager
def living() -> Iterator[None]:
    """Around a history of the whole chain: what its dead leave behind is neither told nor unwound in its middle."""
    hooks, level = get_on_retry_hooks(), logging.root.manager.disable
    set_on_retry_hooks([])
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), _uncollected():
            warnings.filterwarnings("ignore", message="coroutine .* was never awaited")
            yield
            # What dead event loops left behind unwinds here, and not in the middle of something else.
            gc.collect()
    finally:
        set_on_retry_hooks(hooks)
        logging.disable(level)


@contextmanager
def _uncollected() -> Iterator[None]:
    """What a collection unwinds belongs to processes that are dead; when it happens must not matter."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
