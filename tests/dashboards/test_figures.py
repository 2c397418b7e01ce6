"""The figures on boards are those that the replay's own summary tells."""

from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest

from tests.dashboards.boards import CLICKHOUSE, asked
from tests.dashboards.conftest import Replayed
from tests.dashboards.filled import ACCOUNT
from tests.dashboards.test_sql import Answer, window

pytestmark = pytest.mark.servers

BY_TITLE = {(question.board, question.panel["title"]): question for question in asked(CLICKHOUSE)}


def shown(replayed: Replayed, board: str, title: str) -> list[list[Any]]:
    """Rows of the panel, with nothing chosen and the whole year in view."""
    return Answer(replayed.server, window(BY_TITLE[(board, title)].target["rawSql"], replayed.server)).rows


def test_equity_and_result_are_those_of_the_summary(replayed: Replayed) -> None:
    assert shown(replayed, "ql-overview", "Equity") == [[f"{ACCOUNT} USD", replayed.result.equity]]
    assert shown(replayed, "ql-pnl", "P&L since the start") == [[f"{ACCOUNT} USD", replayed.result.pnl]]


def test_results_of_days_add_up_to_the_result(replayed: Replayed) -> None:
    days = shown(replayed, "ql-pnl", "P&L by day")
    assert len(days) > 100
    assert sum(pnl for _, pnl in days) == replayed.result.pnl


def test_statistics_are_those_of_the_summary(replayed: Replayed) -> None:
    told = replayed.result.performance[ACCOUNT]
    assert told.max_drawdown is not None
    (row,) = shown(replayed, "ql-pnl", "Statistics")
    assert row[:2] == [ACCOUNT, told.days]
    assert [float(value) for value in row[2:]] == [
        told.total_return, told.volatility, told.sharpe, told.sortino, told.calmar, told.max_drawdown,
    ]  # fmt: skip
    assert shown(replayed, "ql-pnl", "Deepest drawdown") == [[ACCOUNT, Decimal(str(told.max_drawdown))]]


def test_the_way_of_orders_counts_what_the_summary_counts(replayed: Replayed) -> None:
    """One signal was added to the replay by hand."""
    result = replayed.result
    steps = dict(shown(replayed, "ql-orders", "From signal to fill"))
    assert int(steps["1 signals accepted"]) == result.accepted + 1
    assert int(steps["4 commanded"]) == int(steps["3 approved by risk"]) == result.orders
    assert int(steps["2 wishes of strategies"]) - int(steps["3 approved by risk"]) == sum(result.denied.values())


def test_results_of_strategies_and_of_instruments_add_up_to_the_account(replayed: Replayed) -> None:
    """Each is rounded by itself at the twelfth decimal place."""
    whole = replayed.result.pnl
    assert whole is not None
    strategies = shown(replayed, "ql-pnl", "Strategies")
    instruments = shown(replayed, "ql-pnl", "By instrument")
    assert abs(sum(row[5] for row in strategies) - whole) < Decimal("1e-9")
    assert abs(sum(row[1] for row in instruments) - whole) < Decimal("1e-9")


def test_shortfall_is_the_sum_of_its_parts(replayed: Replayed) -> None:
    for strategy, *parts, whole in shown(replayed, "ql-execution", "Implementation shortfall"):
        assert float(sum(parts)) == pytest.approx(float(whole)), strategy


def test_every_dimension_of_the_attribution_adds_up_to_the_result(replayed: Replayed) -> None:
    """What nobody explains is a row of its own; what was rounded is not explained."""
    earned: dict[str, Decimal] = defaultdict(Decimal)
    for _, dimension, _, _, pnl in shown(replayed, "ql-pnl", "Attribution"):
        earned[dimension] += Decimal(pnl)
    assert set(earned) == {"STRATEGY", "PROVIDER", "INSTRUMENT", "SECTOR", "SIDE", "COST"}
    assert set(earned.values()) == {replayed.result.pnl}


def test_trades_of_strategies_won_and_lost_what_the_newest_trades_say(replayed: Replayed) -> None:
    one_by_one = [row[8] for row in shown(replayed, "ql-pnl", "Newest trades")]
    together = shown(replayed, "ql-pnl", "Trades of strategies")
    assert sum(int(row[2]) for row in together) == len(one_by_one) > 0
    assert sum(Decimal(row[4]) for row in together) == sum(map(Decimal, one_by_one))
