"""The short form of the soak, and that its judge can say no."""

from pathlib import Path

import pytest

from tests.soak.run import soak
from tests.soak.verdict import Verdict


@pytest.mark.servers
@pytest.mark.slow
@pytest.mark.faults
def test_every_intent_ends_as_one_order_or_one_recorded_denial_while_workers_are_killed(tmp_path: Path) -> None:
    told: list[str] = []
    verdict, storm, _ = soak(tmp_path, orders=400, seed=7, rate=25, say=told.append, pause_s=(1.0, 3.0), until_s=30)
    assert verdict.right, "\n".join([*told, *verdict.lines()])
    assert storm.struck["kill -9"] + storm.struck["SIGSTOP"] > 0
    assert verdict.at_venue > 0


def test_a_verdict_over_nothing_is_not_right() -> None:
    assert not Verdict().right
    assert Verdict(intents=1).right
    assert not Verdict(intents=1, lost=["a"]).right
    assert not Verdict(intents=1, differing=["a"]).right
