"""A `run` that loses a server in its middle says so, goes on when it is back, and its result is the same."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.embedded.clickhouse import ClickHouseServer
from connectors.embedded.kafka import KafkaServer
from connectors.embedded.registry import RegistryServer
from tests.journeys.test_run import folder, quantumleap, started, until_it_gets_on
from tests.servers import KAFKA_DIR

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.faults]

WINDOW = ("--from", "2020-02-01", "--to", "2020-07-31")
AWAY_S = 8.0
__all__ = ["folder"]

Restart = Callable[[Path], Any]


def kafka(at: Path) -> Restart:
    """Kill Kafka; returns how it is started again at the same address."""
    server = KafkaServer.attach(at / "kafka")
    server.kill()
    return lambda where: KafkaServer.start(where / "kafka", kafka_dir=KAFKA_DIR)


def registry(at: Path) -> Restart:
    """Kill the schema registry; returns how it is started again at the same address."""
    server = RegistryServer.attach(at / "registry")
    server.kill()
    return lambda where: RegistryServer.start(where / "registry", port=server.port)


def clickhouse(at: Path) -> Restart:
    """Kill ClickHouse; returns how it is started again at the same address."""
    server = ClickHouseServer.attach(at / "clickhouse")
    server.kill()
    return lambda where: ClickHouseServer.start(where / "clickhouse", port=server.port)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the same replay gives in one process."""
    return quantumleap(tmp_path_factory.mktemp("backtest"), "backtest", *WINDOW)


@pytest.mark.parametrize("lost", [clickhouse, registry, kafka], ids=lambda lost: lost.__name__)
def test_a_server_lost_in_the_middle_and_back_again_costs_nothing_but_time(
    folder: Path, lost: Callable[[Path], Restart], expected: Any
) -> None:
    running = started(folder, *WINDOW)
    until_it_gets_on(running)
    said: list[str] = []
    listening = threading.Thread(target=_listen, args=(running.stderr, said))
    listening.start()
    again = lost(folder / ".quantumleap")
    time.sleep(AWAY_S)
    again(folder / ".quantumleap")
    assert running.stdout is not None
    out = running.stdout.read()
    assert running.wait(60) == 0, said
    listening.join()
    ran = json.loads(out)
    assert ran["result_hash"] == expected["result_hash"]
    warnings = [line for line in said if line.startswith("!") or " ! " in line]
    assert any(lost.__name__ in line.lower() for line in warnings), said
    counted = quantumleap(folder, "sql", "select count() as rows, uniqExact(event_id) as events from fills")
    assert counted == [{"rows": ran["fills"], "events": ran["fills"]}]
    assert quantumleap(folder, "sql", "select count() as n from denials") == [{"n": ran["denied"]}]


def _listen(stream: Iterator[str] | None, said: list[str]) -> None:
    assert stream is not None
    said.extend(stream)
