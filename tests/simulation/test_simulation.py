"""Whatever befalls workers and broker, nothing is lost, doubled, changed or left behind; and the simulator can fail."""

import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tests.simulation.histories import plan_of, run
from tests.simulation.mutations import MUTATIONS, Mutation
from tests.simulation.plan import STEPS, Kind
from tests.simulation.run import Report, Run
from tests.simulation.shrink import failing, shrunk
from tests.simulation.world import Killed

SEEDS = 1000
SEEDS_OF_A_MUTATION = 1500


@pytest.fixture(scope="module")
def reports() -> list[Report]:
    """What became of the first seeds."""
    return [run(plan_of(seed)) for seed in range(SEEDS)]


def test_no_history_of_crashes_pauses_and_rebalances_loses_doubles_or_changes_anything(reports: list[Report]) -> None:
    assert not {report.plan.seed: report.wrong for report in reports if not report.ok}


def test_faults_of_every_kind_fall_on_every_step(reports: list[Report]) -> None:
    struck: Counter[str] = Counter()
    for report in reports:
        struck.update(report.struck)
    assert {kind for kind in Kind if any(what.startswith(kind) for what in struck)} == set(Kind)
    assert {step for step in STEPS if any(what.endswith(f" at {step}") for what in struck)} == set(STEPS)


def test_partitions_are_parked_and_let_go_on_in_these_histories(reports: list[Report]) -> None:
    refused: Counter[str] = Counter()
    for report in reports:
        refused.update(report.refused)
    assert refused["a record at which a fold raised"] > 20


def test_workers_without_faults_lose_nothing_by_sharing() -> None:
    for seed in range(50):
        plan = replace(plan_of(seed), faults=())
        report = run(plan)
        assert report.ok
        assert report.inputs >= len(plan.sent)


def test_a_seed_always_gives_the_same_history() -> None:
    for seed in range(20):
        first, second = (run(plan_of(seed), keep_history=True) for _ in range(2))
        assert first.history == second.history


@pytest.mark.parametrize("mutation", MUTATIONS, ids=[mutation.name for mutation in MUTATIONS])
def test_a_broken_rule_of_the_contract_is_caught(mutation: Mutation) -> None:
    assert any(not mutation.run(plan_of(seed)).ok for seed in range(SEEDS_OF_A_MUTATION))


def test_a_failure_shrinks_to_fewer_records_and_faults() -> None:
    mutation = next(m for m in MUTATIONS if m.name == "writers are not fenced")
    found = next(report for seed in range(500) if not (report := mutation.run(plan_of(seed))).ok)
    small = shrunk(found, 20.0, lambda plan: failing(plan, mutation.run))
    assert not small.ok
    assert len(small.plan.sent) < len(found.plan.sent)
    assert len(small.plan.sent) <= 4
    assert 1 <= len(small.plan.faults) <= len(found.plan.faults)


class Escaping(Run):
    """A run in which what unwinds a thread reaches the world itself."""

    def _look(self) -> None:
        raise Killed


def test_what_unwinds_a_thread_never_ends_the_simulator_without_a_word() -> None:
    assert "what unwinds one thread came out of it: Killed()" in Escaping(plan_of(0)).report().wrong


def test_a_simulation_that_is_ended_from_outside_says_so_into_a_file(tmp_path: Path) -> None:
    told = tmp_path / "told"
    with (
        told.open("w") as file,
        subprocess.Popen([sys.executable, "-m", "tests.simulation", "--seeds", "100000"], stdout=file) as simulation,
    ):
        while not told.read_text():
            time.sleep(0.1)
        simulation.terminate()
    assert simulation.returncode == 128 + signal.SIGTERM
    assert "ended from outside by SIGTERM" in told.read_text()
