"""One run, and every place that tells its numbers: they are the same.

The convention that makes them so: a day is that of UTC to which its last microsecond belongs, its equity is the last
that risk saw on it, days on which risk did not look are not counted, and a year has 252. Drawdown is of that series.
"""

import csv
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from streams.pnl.performance.metrics import METRICS, Needs
from tests.dashboards.boards import CLICKHOUSE, asked
from tests.dashboards.macros import ALL, View, expanded
from tests.journeys.test_run import COMMAND, ENVIRON, quantumleap

pytestmark = [pytest.mark.servers, pytest.mark.slow]

CLOSE = 1e-9


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for one run; its servers are stopped afterwards."""
    path = tmp_path_factory.mktemp("agree")
    yield path
    subprocess.run([COMMAND, "down"], cwd=path, env=ENVIRON, capture_output=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def ran(folder: Path) -> Any:
    """What `run` printed."""
    return quantumleap(folder, "run", "--from", "2020-03-01", "--to", "2020-08-31")


@pytest.fixture(scope="module")
def reported(folder: Path, ran: Any) -> Any:
    """What `report` prints of that run; it writes the page too."""
    return quantumleap(folder, "report", "--out", "report.html")


@pytest.fixture(scope="module")
def computed(folder: Path, ran: Any) -> Any:
    """What `stats` says of the daily equity as an analyst exports it."""
    days = quantumleap(folder, "sql", "SELECT day AS time, equity FROM equity_daily ORDER BY day")
    with (folder / "equity.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["time", "equity"])
        writer.writeheader()
        writer.writerows(days)
    return quantumleap(folder, "stats", "equity.csv")


def one(folder: Path, sql: str) -> dict[str, Any]:
    """The only row of a question to ClickHouse."""
    (row,) = quantumleap(folder, "sql", sql)
    assert isinstance(row, dict)
    return row


def board(folder: Path, uid: str, title: str) -> list[list[Any]]:
    """Rows of a panel, asked of this run's ClickHouse as Grafana asks: with nothing chosen, and 2020 in view."""
    (question,) = [one for one in asked(CLICKHOUSE) if (one.board, one.panel["title"]) == (uid, title)]
    database = one(folder, "SELECT currentDatabase() AS name")["name"]
    chosen = dict.fromkeys(("account", "instrument", "strategy"), ALL) | {"environment": database}
    since, until = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (2020, 2021))
    view = View(since, until, 86_400, chosen)
    return [list(row.values()) for row in quantumleap(folder, "sql", expanded(question.target["rawSql"], view))]


def same(*numbers: Any) -> bool:
    """Whether all are one number, as close as a double is."""
    values = [float(number) for number in numbers]
    return all(value == pytest.approx(values[0], rel=CLOSE, abs=CLOSE) for value in values)


def test_the_run_had_something_to_agree_about(ran: Any) -> None:
    assert ran["fills"] > 0
    assert float(ran["fees"]) > 0
    assert float(ran["max_drawdown"]) > 0
    assert float(ran["pnl"]) != 0


def test_equity_is_one_number(folder: Path, ran: Any, reported: Any) -> None:
    daily = one(folder, "SELECT argMax(equity, day) AS equity FROM equity_daily")
    result = one(folder, "SELECT argMax(tuple(equity), day).1 AS equity FROM pnl_daily WHERE dimension = 'ACCOUNT'")
    assert same(ran["equity"], reported["equity"], daily["equity"], result["equity"], reported["daily"][-1]["equity"])


def test_the_result_is_one_number_however_it_is_divided(folder: Path, ran: Any, reported: Any) -> None:
    account = one(folder, "SELECT argMax(tuple(pnl), day).1 AS pnl FROM pnl_daily WHERE dimension = 'ACCOUNT'")
    parts = [sum(float(member["pnl"]) for member in reported["by"][name]) for name in ("STRATEGY", "INSTRUMENT")]
    assert same(ran["pnl"], reported["pnl"], account["pnl"])
    assert all(part == pytest.approx(float(ran["pnl"]), abs=1e-6) for part in parts)


def test_however_the_result_is_attributed_it_adds_up_to_the_result(ran: Any, reported: Any) -> None:
    sums: dict[str, float] = {}
    for row in reported["attribution"]:
        sums[row["dimension"]] = sums.get(row["dimension"], 0.0) + float(row["pnl"])
    assert {"STRATEGY", "PROVIDER", "INSTRUMENT", "SECTOR", "SIDE", "COST"} == sums.keys()
    assert all(same(ran["pnl"], total) for total in sums.values())


def test_what_strategies_add_to_risk_adds_up_to_the_volatility_of_the_account(reported: Any) -> None:
    assert same(reported["volatility"], sum(reported["added_to_volatility"].values()))


def test_drawdown_is_one_number(folder: Path, ran: Any, reported: Any, computed: Any) -> None:
    daily = one(folder, "SELECT max(drawdown) AS drawdown FROM equity_daily")
    room = one(folder, "SELECT argMax(max_drawdown, (event_time, offset)) AS drawdown FROM performance_snapshot FINAL")
    assert same(
        ran["max_drawdown"], reported["max_drawdown"], daily["drawdown"], -room["drawdown"], -computed["max_drawdown"],
        -reported["statistics"]["max_drawdown"],
    )  # fmt: skip


def test_fills_and_fees_are_one_number(folder: Path, ran: Any, reported: Any) -> None:
    traded = one(folder, "SELECT count() AS fills, sum(fee) AS fees FROM fills")
    assert ran["fills"] == reported["fills"] == traded["fills"]
    assert same(ran["fees"], reported["fees"], traded["fees"], reported["fees_by_currency"]["USD"])


def test_denials_are_one_number_by_code(folder: Path, ran: Any, reported: Any) -> None:
    rows = quantumleap(folder, "sql", "SELECT code, count() AS n FROM denials GROUP BY code")
    assert ran["denied_by_code"] == reported["denied_by_code"] == {row["code"]: row["n"] for row in rows}


def test_the_sharpe_ratio_is_one_number(folder: Path, ran: Any, reported: Any, computed: Any) -> None:
    room = one(folder, "SELECT argMax(sharpe, (event_time, offset)) AS sharpe FROM performance_snapshot FINAL")
    assert same(
        ran["sharpe"]["demo"], reported["sharpe"]["demo"], room["sharpe"], computed["sharpe"],
        reported["statistics"]["sharpe"],
    )  # fmt: skip


def test_every_statistic_of_the_report_is_that_of_the_exported_series(reported: Any, computed: Any) -> None:
    assert computed["n"] == reported["statistics"]["n"] > 100
    names = set(reported["statistics"]["statistics"])
    assert names == set(computed["statistics"])
    of_returns = {name for name in names if METRICS[name].needs in (Needs.RETURNS, Needs.BENCHMARK)}
    assert len(of_returns) > 20
    for name in of_returns:
        ours, theirs = reported["statistics"][name], computed[name]
        assert (ours is None) == (theirs is None), name
        assert ours is None or same(ours, theirs), name
        assert reported["statistics"]["statistics"][name]["shown"] == computed["statistics"][name]["shown"], name
    assert reported["statistics"]["months"].keys() == computed["months"].keys()


def test_hit_rate_and_its_like_are_of_the_trades_that_everyone_counts(folder: Path, reported: Any) -> None:
    shown = one(
        folder,
        "SELECT count() AS n, avg(pnl > 0) AS hits, avg(pnl) AS mean, sum(pnl) AS earned, "
        "avgIf(pnl, pnl > 0) / -avgIf(pnl, pnl < 0) AS payoff FROM trades",
    )
    told = one(
        folder,
        "SELECT sum(closed) AS n, sum(won) AS won FROM (SELECT member, argMax(closed_trades, day) AS closed, "
        "argMax(winning_trades, day) AS won FROM pnl_daily WHERE dimension = 'STRATEGY' GROUP BY member)",
    )
    numbers = reported["statistics"]
    assert numbers["basis"] == "trades"
    assert shown["n"] == told["n"] == len(reported["trades"]) == numbers["statistics"]["hit_rate"]["n"] > 0
    assert same(numbers["hit_rate"], shown["hits"], told["won"] / told["n"])
    assert same(numbers["expectancy"], shown["mean"])
    assert same(sum(float(trade["pnl"]) for trade in reported["trades"]), shown["earned"])
    if numbers["kelly"] is not None:
        assert same(numbers["kelly"], shown["hits"] - (1 - shown["hits"]) / shown["payoff"])


def test_the_shortfall_of_the_report_is_that_of_the_view_and_of_its_parts(folder: Path, reported: Any) -> None:
    shown = one(folder, "SELECT sum(shortfall) AS whole, count() AS n FROM implementation_shortfall")
    parts = [
        sum(float(row[name]) for name in ("delay", "execution", "opportunity", "fees")) for row in reported["shortfall"]
    ]
    assert sum(row["orders"] for row in reported["shortfall"]) == shown["n"] > 0
    assert same(shown["whole"], sum(parts), sum(float(row["shortfall"]) for row in reported["shortfall"]))


def test_what_the_room_told_of_volatility_and_return_is_what_the_series_says(folder: Path, computed: Any) -> None:
    told = one(
        folder,
        "SELECT days, total_return, sortino, calmar, volatility FROM performance_snapshot FINAL "
        "ORDER BY event_time DESC, offset DESC LIMIT 1",
    )
    assert told["days"] == computed["n"]
    for ours, theirs in (
        ("total_return", "total_return"),
        ("sortino", "sortino"),
        ("calmar", "calmar"),
        ("volatility", "annual_volatility"),
    ):
        assert same(told[ours], computed[theirs]), ours


def test_boards_show_the_numbers_of_the_summary_the_report_and_the_statistics(
    folder: Path, ran: Any, reported: Any, computed: Any
) -> None:
    ((_, equity),) = board(folder, "ql-overview", "Equity")
    ((_, pnl),) = board(folder, "ql-pnl", "P&L since the start")
    days = board(folder, "ql-pnl", "P&L by day")
    ((_, deepest),) = board(folder, "ql-pnl", "Deepest drawdown")
    assert same(equity, ran["equity"], reported["equity"])
    assert same(pnl, ran["pnl"], reported["pnl"])
    assert sum(float(day[1]) for day in days) == pytest.approx(float(ran["pnl"]), abs=1e-6)
    assert same(-float(deepest), ran["max_drawdown"], reported["max_drawdown"], -computed["max_drawdown"])
    ((_, observed, total, volatility, sharpe, sortino, calmar, fall),) = board(folder, "ql-pnl", "Statistics")
    assert observed == computed["n"] == reported["statistics"]["n"]
    for shown, name in (
        (total, "total_return"), (volatility, "annual_volatility"), (sharpe, "sharpe"), (sortino, "sortino"),
        (calmar, "calmar"), (fall, "max_drawdown"),
    ):  # fmt: skip
        assert same(shown, computed[name], reported["statistics"][name]), name
    assert same(sharpe, ran["sharpe"]["demo"])


def test_boards_count_what_the_summary_and_the_report_count(folder: Path, ran: Any, reported: Any) -> None:
    steps = {row[0]: int(row[1]) for row in board(folder, "ql-orders", "From signal to fill")}
    assert steps["4 commanded"] == ran["orders"] == sum(reported["orders_by_status"].values())
    assert steps["2 wishes of strategies"] - steps["3 approved by risk"] == ran["denied"] == reported["denied"]
    together = board(folder, "ql-pnl", "Trades of strategies")
    assert sum(int(row[2]) for row in together) == len(reported["trades"])
    earned = sum(float(row[5]) for row in board(folder, "ql-pnl", "Strategies"))
    assert earned == pytest.approx(float(ran["pnl"]), abs=1e-6)


def test_the_page_shows_these_numbers(folder: Path, ran: Any, reported: Any) -> None:
    page = (folder / "report.html").read_text()
    assert f"{float(ran['equity']):,.2f}" in page
    assert f"{float(ran['pnl']):,.2f}" in page
    assert f"{float(ran['fees']):,.2f}" in page
    assert f"{float(ran['max_drawdown']):.2%}" in page
    assert f"{ran['sharpe']['demo']:.2f}" in page
    assert "U.S. Energy Information Administration" in page
