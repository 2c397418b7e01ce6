"""Journeys of `quantumleap run` on real servers, typed as a user types them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
import pytest

from schemas.market import QuoteBatch, TradeBatch
from streams.replay.hops import HOPS

COMMAND = str(Path(sys.executable).parent / "quantumleap")
ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith("QL_")}

pytestmark = [pytest.mark.servers, pytest.mark.slow]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """An empty folder; its servers are stopped afterwards."""
    yield tmp_path
    subprocess.run([COMMAND, "down"], cwd=tmp_path, env=ENVIRON, capture_output=True, timeout=300, check=False)


def quantumleap(folder: Path, *words: str) -> Any:
    """What the command prints as JSON."""
    ended = subprocess.run(
        [COMMAND, *words, "--json"], cwd=folder, env=ports(), capture_output=True, text=True, timeout=1200, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def ports() -> dict[str, str]:
    """The environment of a command whose servers take any free ports."""
    return ENVIRON | {"QL_KAFKA_PORT": "0", "QL_REGISTRY_PORT": "0", "QL_CLICKHOUSE_PORT": "0"}


def started(folder: Path, *words: str) -> subprocess.Popen[str]:
    """A `run` on its way."""
    return subprocess.Popen(
        [COMMAND, "run", *words, "--json"],
        cwd=folder,
        env=ports(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until_it_gets_on(running: subprocess.Popen[str]) -> None:
    """Read what the run says until two status lines say different days: it is in the middle."""
    assert running.stderr is not None
    days: set[str] = set()
    said: list[str] = []
    while len(days) < 2:
        line = running.stderr.readline()
        assert line, said
        said.append(line)
        if "records/s" in line:
            days.add(line.split()[0])


def test_two_years_of_two_instruments_end_with_the_hash_of_the_backtest(folder: Path) -> None:
    ran = quantumleap(folder, "run")
    tested = quantumleap(folder, "backtest")
    assert ran["result_hash"] == tested["result_hash"]
    assert {key: ran[key] for key in tested if key not in ("command", "latency_ms", "seconds")} == {
        key: tested[key] for key in tested if key not in ("command", "latency_ms", "seconds")
    }
    assert ran["fills"] > 0
    assert list(ran["latency_ms"]) == [hop.name for hop in HOPS if hop.cause not in (QuoteBatch, TradeBatch)]
    assert all(0 <= hop["p50"] <= hop["p99"] < 1000 * ran["seconds"] for hop in ran["latency_ms"].values())
    assert ran["records_per_s"] > 0
    counted = quantumleap(folder, "sql", "select count() as fills, uniqExact(client_order_id) as orders from fills")
    assert counted == [{"fills": ran["fills"], "orders": ran["orders"]}]
    denied = quantumleap(folder, "sql", "select count() as n from denials")
    assert denied == [{"n": ran["denied"]}]
    equity = quantumleap(
        folder, "sql", "select equity from pnl_daily where dimension = 'ACCOUNT' order by day desc limit 1"
    )
    assert float(equity[0]["equity"]) == pytest.approx(float(ran["equity"]), abs=1e-9)


def test_one_quote_is_walked_to_the_rows_of_its_mark_its_bar_its_order_and_its_fill(folder: Path) -> None:
    prices = [100 - step for step in range(8)] + [93 + 2 * step for step in range(12)]
    quotes = (f"2024-03-04T00:{minute:02}:00Z,{price - 1},{price + 1}" for minute, price in enumerate(prices))
    file = folder / "ACME.csv"
    file.write_text("\n".join(("time,bid,ask", *quotes)) + "\n")
    quantumleap(folder, "data", "import", str(file), "--name", "acme")
    window = ("--data", "acme", "--from", "2024-03-04", "--to", "2024-03-05")
    ran = quantumleap(folder, "run", *window, "--strategy", "moving_average_cross:fast=2,slow=5")
    assert {"quote_to_mark", "bar_to_intent", "broker_to_fill"} <= set(ran["latency_ms"])

    def row(of: str, where: str) -> Any:
        found = quantumleap(folder, "sql", f"select * from {of} where {where} limit 1")
        assert len(found) == 1, f"no {of} where {where}"
        return found[0]

    def cause_of(of: dict[str, Any]) -> Any:
        place = of["headers"]["cause"]
        return row("events", f"concat('local.', topic, '/', toString(partition), '/', toString(offset)) = '{place}'")

    fill = row("fills", "side = 'BUY'")
    same_order = f"client_order_id = '{fill['client_order_id']}'"
    order = row("submit_order", same_order)
    command = row("events", f"event_id = '{order['event_id']}'")
    wish = cause_of(command)
    told = cause_of(wish)
    fed = cause_of(told)
    assert (wish["record"], told["record"], fed["topic"]) == ("TradeIntent", "Bar", "market.ticks")
    bar = row("bar", f"event_id = '{told['event_id']}'")
    quote = row(
        "quote_batch", f"instrument_id = 'ACME' and event_time < '{bar['event_time']}' order by event_time desc"
    )
    bid, ask = Decimal(quote["bids"][0]), Decimal(quote["asks"][0])
    middle = (bid + ask) / 2 * Decimal(10) ** quote["price_exponent"]
    mark = row("mark", f"event_time = '{quote['event_time']}'")
    assert middle == Decimal(bar["close"]) == Decimal(order["reference_price"]) == Decimal(mark["last"])
    story = quantumleap(folder, "sql", f"select step from order_story where {same_order}")
    assert {"intent", "verdict", "command", "fill"} <= {one["step"] for one in story}
    assert Decimal(row("positions_now", "instrument_id = 'ACME'")["quantity"]) != 0


def test_an_engine_killed_in_the_middle_changes_nothing_of_the_result(folder: Path) -> None:
    window = ("--from", "2020-02-01", "--to", "2020-07-31")
    running = started(folder, *window)
    for _ in range(3):
        until_it_gets_on(running)
        engine = _engine_of(running.pid)
        assert engine is not None
        engine.kill()
        engine.wait(60)
    out, err = running.communicate(timeout=1200)
    assert running.returncode == 0, err
    ran = json.loads(out)
    assert ran["result_hash"] == quantumleap(folder, "backtest", *window)["result_hash"]
    counted = quantumleap(folder, "sql", "select count() as n from fills")
    assert counted == [{"n": ran["fills"]}]


def test_a_second_run_goes_on_and_another_one_in_the_same_folder_is_refused(folder: Path) -> None:
    trading = ("--strategy", "moving_average_cross:fast=2,slow=5", "--from", "2020-04-01")
    first = quantumleap(folder, "run", *trading, "--to", "2020-04-30")
    again = quantumleap(folder, "run", *trading, "--to", "2020-04-30")
    assert again["result_hash"] == first["result_hash"]
    longer = quantumleap(folder, "run", *trading, "--to", "2020-05-31")
    assert longer["fills"] > first["fills"] > 0
    assert longer["result_hash"] == quantumleap(folder, "backtest", *trading, "--to", "2020-05-31")["result_hash"]
    verdicts = quantumleap(folder, "verify")
    assert [one["room"] for one in verdicts] == ["market_data", "signals", "strategies", "accounts", "pnl"]
    assert all(one["ok"] and one["inputs"] for one in verdicts)
    assert {one["lag"] for one in quantumleap(folder, "status")} == {0}
    assert quantumleap(folder, "deadletters", "list") == []
    other = subprocess.run(
        [COMMAND, "run", "--cash", "5000"],
        cwd=folder,
        env=ports(),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert other.returncode == 3
    assert "holds another run, a replay of oil" in other.stderr


def test_ctrl_c_ends_a_run_in_order_with_the_summary(folder: Path) -> None:
    running = started(folder)
    until_it_gets_on(running)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=600)
    assert running.returncode == 0, err
    assert "stopping" in err
    assert 0 < json.loads(out)["bars"] < 1014


def test_a_run_that_is_killed_leaves_no_engine_and_no_sink_behind(folder: Path) -> None:
    running = started(folder)
    until_it_gets_on(running)
    children = psutil.Process(running.pid).children()
    assert len(children) >= 2
    running.kill()
    running.communicate()
    _, alive = psutil.wait_procs([one for one in children if "streams.replay" in " ".join(one.cmdline())], timeout=60)
    assert alive == []


def _engine_of(pid: int) -> psutil.Process | None:
    """The engine's process of a running `run`."""
    try:
        children = psutil.Process(pid).children()
        return next((child for child in children if "streams.replay.engine" in child.cmdline()), None)
    except psutil.Error:
        return None
