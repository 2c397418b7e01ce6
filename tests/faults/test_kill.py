"""A worker killed with kill -9 loses nothing and says nothing twice."""

from pathlib import Path

import pytest

from connectors.embedded.kafka import KafkaServer
from tests.faults.harness import Harness

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.faults]


def test_a_worker_killed_three_times_loses_nothing_and_says_nothing_twice(kafka: KafkaServer, tmp_path: Path) -> None:
    with Harness(kafka.bootstrap_servers, tmp_path) as harness:
        harness.start("w0")
        harness.wait_for_flow()
        for _ in range(3):
            harness.kill("w0")
            harness.wait_for_flow()
        harness.drain()
        verdict = harness.verdict()
    assert verdict.ok, verdict.lines()
    assert verdict.outputs == harness.sent > 0
