"""A `run` that loses a server in its middle says so, goes on when it is back, and its result is the same."""

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.embedded.clickhouse import ClickHouseServer
from connectors.embedded.kafka import KafkaServer
from connectors.embedded.registry import RegistryServer
from tests.journeys.test_run import COMMAND, ENVIRON, folder, quantumleap, started, until_it_gets_on

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.faults]

WINDOW = ("--from", "2020-02-01", "--to", "2020-07-31")
AWAY_S = 8.0
__all__ = ["folder"]

SERVERS: dict[str, Any] = {"kafka": KafkaServer, "registry": RegistryServer, "clickhouse": ClickHouseServer}


def killed(at: Path, name: str) -> dict[str, str]:
    """Kill one of the servers on a folder; the environment in which `up` starts it again where it was."""
    found = {one: server.attach(at / one) for one, server in SERVERS.items()}
    found[name].kill()
    return ENVIRON | {f"QL_{one.upper()}_PORT": str(server.port) for one, server in found.items()}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the same replay gives in one process."""
    return quantumleap(tmp_path_factory.mktemp("backtest"), "backtest", *WINDOW)


@pytest.mark.parametrize("lost", ["clickhouse", "registry", "kafka"])
def test_a_server_lost_in_the_middle_and_back_again_costs_nothing_but_time(
    folder: Path, lost: str, expected: Any
) -> None:
    running = started(folder, *WINDOW)
    until_it_gets_on(running)
    said: list[str] = []
    listening = threading.Thread(target=_listen, args=(running.stderr, said))
    listening.start()
    where_it_was = killed(folder / ".quantumleap", lost)
    time.sleep(AWAY_S)
    subprocess.run([COMMAND, "up"], cwd=folder, env=where_it_was, capture_output=True, timeout=600, check=True)
    assert running.stdout is not None
    out = running.stdout.read()
    assert running.wait(600) == 0, said
    listening.join()
    ran = json.loads(out)
    assert ran["result_hash"] == expected["result_hash"]
    warnings = [line for line in said if line.startswith("!") or " ! " in line]
    assert any(lost in line.lower() for line in warnings), said
    counted = quantumleap(folder, "sql", "select count() as lines, uniqExact(fill_id) as fills from fills")
    assert counted == [{"lines": ran["fills"], "fills": ran["fills"]}]
    assert quantumleap(folder, "sql", "select count() as n from denials") == [{"n": ran["denied"]}]


def _listen(stream: Iterator[str] | None, said: list[str]) -> None:
    assert stream is not None
    said.extend(stream)
