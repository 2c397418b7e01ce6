"""The short form of a sitting: a few faults drawn by a seed. `python -m tests.faults` is the long one."""

import os
from pathlib import Path

import pytest

from tests.faults.sitting import MEMBERSHIPS, sit

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.faults]

SEED = int(os.environ.get("QL_FAULTS_SEED", "1"))
FAULTS = 5


def test_a_sitting_of_faults_drawn_by_a_seed_loses_doubles_and_changes_nothing(tmp_path: Path) -> None:
    told = sit(tmp_path, SEED, FAULTS, memberships=MEMBERSHIPS[:1])
    print(f"seed {told.seed}: {dict(told.faults)}, {told.payments} payments")
    assert told.wrong == []
    assert told.count >= FAULTS
    assert told.payments > 0
