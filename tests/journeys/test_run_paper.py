"""A paper run: a recorded market played in wall time through the roles of production, ended by Ctrl-C."""

import json
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.journeys.test_run import COMMAND, folder, ports, quantumleap, started

pytestmark = [pytest.mark.servers, pytest.mark.slow]

__all__ = ["folder"]

FAST = ("--mode", "paper", "--speed", "20")
STATUS = re.compile(
    r"speed [\d,]+  [\d,]+ records/s  signals (\d+)  orders (\d+)  fills (\d+)  "
    r"denied \d+  equity \S+  drawdown \S+  lag [\d.]+ s  ClickHouse \d+ records"
)


def until_it_trades(running: "subprocess.Popen[str]") -> list[str]:
    """Read what the run says until a status line tells of signals, orders and fills."""
    assert running.stderr is not None
    said: list[str] = []
    for line in running.stderr:
        said.append(line)
        found = STATUS.search(line)
        if found is not None and all(int(count) for count in found.groups()):
            return said
    raise AssertionError(f"it ended before it traded: {said}")


def test_a_paper_run_trades_in_wall_time_and_each_decision_is_what_its_inbox_says(folder: Path) -> None:
    running = started(folder, *FAST)
    said = until_it_trades(running)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=900)
    assert running.returncode == 0, err
    ran = json.loads(out)
    assert ran["mode"] == "paper"
    assert ran["fills"] > 0
    trading = {"tick_to_bar", "signal_to_accepted", "intent_to_command", "command_to_broker", "broker_to_fill"}
    assert set(ran["latency_ms"]) >= trading
    counted = quantumleap(folder, "sql", "select count() as fills, uniqExact(client_order_id) as orders from fills")
    assert counted == [{"fills": ran["fills"], "orders": counted[0]["orders"]}]
    assert 0 < counted[0]["orders"] <= ran["orders"]
    heard = quantumleap(folder, "sql", "select uniqExact(signal_id) as n from signal")
    assert heard[0]["n"] >= ran["signals"] > 0

    judged = _told(folder, "replay", "inbox", "--json", mode="paper")
    assert judged.returncode == 0, judged.stderr
    verdict = json.loads(judged.stdout)
    assert verdict["equal"]
    assert verdict["compared"]["orders.commands"] >= ran["orders"]
    assert verdict["compared"]["fills"] == ran["fills"]

    kafka, registry, clickhouse = (_address(said, name) for name in ("kafka", "registry", "clickhouse"))
    there = ("--bootstrap-servers", kafka, "--registry-url", registry, "--clickhouse-url", clickhouse)
    other = _told(folder, "run", "--folder", "elsewhere", *there, mode="replay")
    assert other.returncode == 3, other.stderr
    assert "was made for PAPER" in other.stderr


def test_a_paper_run_goes_on_behind_the_last_price_that_it_told(folder: Path) -> None:
    short = (*FAST, "--strategy", "buy_and_hold", "--from", "2020-04-01")
    first = quantumleap(folder, "run", *short, "--to", "2020-04-30")
    assert first["bars"] == 41
    longer = quantumleap(folder, "run", *short, "--to", "2020-05-31")
    assert longer["bars"] == 80
    refused = _told(folder, "run", mode="replay")
    assert refused.returncode == 3, refused.stderr
    assert "holds another run, a paper of oil" in refused.stderr


def _told(folder: Path, *words: str, mode: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [COMMAND, *words], cwd=folder, env=ports() | {"QL_MODE": mode}, capture_output=True, text=True, timeout=900,
        check=False,
    )  # fmt: skip


def _address(said: list[str], name: str) -> str:
    """Where a server answers, as the run said it."""
    found = next(re.search(rf"✓ {name} .* answers at (\S+)", line) for line in said if f"✓ {name} " in line)
    assert found is not None, said
    return found[1]
