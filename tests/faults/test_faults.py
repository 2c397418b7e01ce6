"""Whatever is done to workers, each payment has exactly one result, and states are the fold of the payments.

The short form runs by default. QL_FAULTS_LONG=1 runs the long one; QL_FAULTS_SEED names its seed.
`pytest -s` prints what was done and how long it took until records flowed again.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.embedded.kafka import KafkaServer
from tests.faults.harness import Harness
from tests.faults.scenarios import SCENARIOS
from tests.servers import KAFKA_DIR

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.faults]

LONG = os.environ.get("QL_FAULTS_LONG", "") == "1"
SEED = int(os.environ.get("QL_FAULTS_SEED", "1"))
FREE = {"kill_one_of_two", "add_and_remove", "fresh_starts"}
"""Scenarios that are as interesting without fixed membership, and run both ways in the long form."""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A Kafka of this module's own: it is killed and restarted."""
    with KafkaServer.start(tmp_path_factory.mktemp("kafka"), port=0, kafka_dir=KAFKA_DIR) as server:
        yield server


@pytest.mark.parametrize("name", SCENARIOS)
def test_nothing_is_lost_and_nothing_is_twice_in(name: str, broker: KafkaServer, tmp_path: Path) -> None:
    judge(name, broker, tmp_path, fixed=True)


@pytest.mark.skipif(not LONG, reason="only in the long form: set QL_FAULTS_LONG=1")
@pytest.mark.parametrize("name", sorted(FREE))
def test_nothing_is_lost_and_nothing_is_twice_without_fixed_membership_in(
    name: str, broker: KafkaServer, tmp_path: Path
) -> None:
    judge(name, broker, tmp_path, fixed=False)


@pytest.mark.skipif(not LONG, reason="only in the long form: set QL_FAULTS_LONG=1")
@pytest.mark.parametrize("name", ["kill_one_of_two", "fresh_starts", "add_and_remove"])
def test_nothing_is_lost_and_nothing_is_twice_by_kip_848_in(name: str, broker: KafkaServer, tmp_path: Path) -> None:
    judge(name, broker, tmp_path, fixed=False, protocol="consumer")


def judge(name: str, broker: KafkaServer, folder: Path, fixed: bool, protocol: str = "classic") -> None:
    """Run a scenario, drain, and hold the topics to the law."""
    scenario, short, long = SCENARIOS[name]
    with Harness(broker.bootstrap_servers, folder, seed=SEED, fixed=fixed, protocol=protocol) as harness:
        scenario(harness, broker, long if LONG else short)
        harness.drain()
        verdict = harness.verdict()
        for line in [f"{name} fixed={fixed} {protocol} seed={SEED}", *harness.notes(), *verdict.lines()]:
            print(line)
    assert verdict.ok, verdict.lines()
    assert verdict.outputs >= harness.payer.accepted > 0
