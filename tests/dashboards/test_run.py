"""After a real `run` on real servers every question has an answer of its shape, and figures are its summary's."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.clickhouse.client import ClickHouse, database_of
from connectors.embedded.clickhouse import ClickHouseServer
from tests.dashboards.boards import CLICKHOUSE, Asked, asked
from tests.dashboards.test_figures import BY_TITLE
from tests.dashboards.test_sql import Answer, misshapen, window

pytestmark = [pytest.mark.servers, pytest.mark.slow]

QUANTUMLEAP = str(Path(sys.executable).parent / "quantumleap")
WINDOW = ("--from", "2020-04-01", "--to", "2020-07-31")


@dataclass(frozen=True, slots=True)
class Ran:
    """The database that a run filled, and the summary that it printed."""

    server: ClickHouse
    summary: dict[str, Any]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """Four months of oil: enough for the moving averages to cross."""
    folder = tmp_path_factory.mktemp("run")
    done = subprocess.run(
        [QUANTUMLEAP, "run", "--folder", str(folder), *WINDOW, "--json"], capture_output=True, text=True, check=False
    )
    try:
        assert done.returncode == 0, done.stderr
        server = ClickHouse(ClickHouseServer.attach(folder / "clickhouse").url, database_of("local"))
        yield Ran(server, json.loads(done.stdout))
        server.close()
    finally:
        subprocess.run([QUANTUMLEAP, "down", "--folder", str(folder)], capture_output=True, check=True)


def shown(ran: Ran, board: str, title: str) -> list[list[Any]]:
    return Answer(ran.server, window(BY_TITLE[(board, title)].target["rawSql"], ran.server)).rows


@pytest.mark.parametrize("question", list(asked(CLICKHOUSE)), ids=lambda question: question.name)
def test_every_panel_gets_an_answer_of_its_shape_after_a_run(question: Asked, ran: Ran) -> None:
    answer = Answer(ran.server, window(question.target["rawSql"], ran.server))
    assert not misshapen(question.panel, question.target, answer)


@pytest.mark.parametrize(
    ("board", "title"),
    [
        ("ql-overview", "Equity"), ("ql-overview", "Trading state"), ("ql-quality", "Bars"),
        ("ql-risk", "Use of limits"), ("ql-orders", "From signal to fill"), ("ql-execution", "By venue"),
        ("ql-execution", "Implementation shortfall"), ("ql-execution", "Price paid against benchmarks"),
        ("ql-pnl", "Attribution"), ("ql-pnl", "By sector"),
        ("ql-positions", "Positions now"), ("ql-pnl", "Strategies"), ("ql-pnl", "P&L by day"),
        ("ql-quality", "Findings by rule"), ("ql-pipeline", "Records in ClickHouse"), ("ql-clickhouse", "Tables"),
    ],
)  # fmt: skip
def test_boards_are_not_empty_after_a_run(board: str, title: str, ran: Ran) -> None:
    assert shown(ran, board, title)


def test_figures_after_a_run_are_those_of_its_summary(ran: Ran) -> None:
    assert shown(ran, "ql-overview", "Equity") == [["demo USD", pytest.approx(Decimal(ran.summary["equity"]))]]
    assert shown(ran, "ql-pnl", "P&L since the start") == [["demo USD", pytest.approx(Decimal(ran.summary["pnl"]))]]
    steps = dict(shown(ran, "ql-orders", "From signal to fill"))
    assert int(steps["4 commanded"]) == ran.summary["orders"] > 0
    assert int(steps["1 signals accepted"]) == ran.summary["signals"] - ran.summary["refused"]
