"""All rooms, execution and a venue: each order reaches the venue as it must, and both sides know the same positions."""

from dataclasses import replace
from random import Random

import pytest

from tests.simulation.chain import ENGINE
from tests.simulation.histories import plan_of, run
from tests.simulation.mutations import EFFECT_MUTATIONS, Mutation
from tests.simulation.plan import Fault, Kind, Plan

SEEDS = 16
SEEDS_OF_A_MUTATION = 400


def harried(seed: int) -> Plan:
    """A plan whose workers die and sleep where commands are carried out."""
    random = Random(seed)
    plan = plan_of(seed, ENGINE)
    faults = [
        Fault(
            random.choice((Kind.KILL, Kind.KILL, Kind.PAUSE)),
            step=random.choice(("venue:sent", "venue:done", "outcome:sent")),
            nth=random.randrange(1, 8),
            slot=f"w{random.randrange(2)}",
            lasts_s=random.choice((0.02, 0.3, 0.6)),
        )
        for _ in range(4)
    ]
    return replace(plan, workers=2, fixed=random.random() < 0.3, faults=tuple(faults))


@pytest.mark.parametrize("portion", range(4))
def test_no_history_of_the_whole_chain_loses_doubles_or_changes_anything(portion: int) -> None:
    for seed in range(portion, SEEDS, 4):
        assert not run(plan_of(seed, ENGINE)).wrong


@pytest.mark.slow
def test_no_order_is_lost_or_doubled_by_workers_that_die_where_it_is_sent() -> None:
    for seed in range(4 * SEEDS):
        assert not run(harried(seed)).wrong


@pytest.mark.slow
@pytest.mark.parametrize("mutation", EFFECT_MUTATIONS, ids=[mutation.name for mutation in EFFECT_MUTATIONS])
def test_a_broken_rule_of_effects_is_caught(mutation: Mutation) -> None:
    assert any(not mutation.run(harried(seed)).ok for seed in range(SEEDS_OF_A_MUTATION))
