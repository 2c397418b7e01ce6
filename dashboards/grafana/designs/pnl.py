"""P&L and strategies: who earned what, and how steadily."""

from dashboards.grafana.board import Board, Section
from dashboards.grafana.panels import (
    LOSS_AND_PROFIT,
    States,
    board_with,
    columns,
    figure,
    lines,
    ranks,
    rows,
    states,
)
from dashboards.grafana.queries import over_time, sql

_MEMBER = "$__conditionalAll(member IN (${strategy:singlequote}), $strategy)"

CHANGES = States(
    {
        "DEPLOYED": ("runs", "green"),
        "RESUMED": ("runs", "green"),
        "CHANGED": ("runs, changed", "blue"),
        "PAUSED": ("paused", "orange"),
        "STOPPED": ("stopped", "text"),
        "FAULTED": ("at fault", "red"),
    }
)

BOARD = Board(
    uid="ql-pnl",
    title="P&L and strategies",
    description="Results by account, strategy, provider and instrument, how steady they are, and what runs.",
    choices=("account", "strategy"),
    since="now-30d",
    sections=(
        Section(
            "Results",
            (
                figure(
                    "P&L since the start", "Realised and unrealised, after fees, in the base currency.", "locale",
                    sql("""
                        SELECT concat(account_id, ' ', argMax(currency, (event_time, `offset`))) AS account,
                            argMax(realised_pnl + ifNull(unrealised_pnl, 0) - fees, (event_time, `offset`)) AS pnl
                        FROM {pnl_snapshot} WHERE {during} AND {accounts} AND dimension = 'ACCOUNT'
                        GROUP BY account_id ORDER BY account_id
                    """),
                    each=True, decimals=2, thresholds=LOSS_AND_PROFIT, width=6,
                ),
                figure(
                    "Total return", "Of each account's equity, without deposits, since the start.", "percentunit",
                    sql("""
                        SELECT account_id, argMax(tuple(total_return), (event_time, `offset`)).1 AS total_return
                        FROM {performance_snapshot} WHERE {during} AND {accounts} GROUP BY account_id
                        ORDER BY account_id
                    """),
                    each=True, decimals=2, thresholds=LOSS_AND_PROFIT, width=6,
                ),
                figure(
                    "Sharpe ratio", "Of daily returns, annualised; over few days it means little.", "none",
                    sql("""
                        SELECT concat(account_id, ' (', toString(argMax(days, (event_time, `offset`))),
                            ' days)') AS account,
                            argMax(tuple(sharpe), (event_time, `offset`)).1 AS sharpe
                        FROM {performance_snapshot} WHERE {during} AND {accounts} GROUP BY account_id
                        ORDER BY account_id
                    """),
                    each=True, decimals=2, width=6,
                ),
                figure(
                    "Deepest drawdown", "Of daily equity, since the start.", "percentunit",
                    sql("""
                        SELECT account_id, argMax(tuple(max_drawdown), (event_time, `offset`)).1 AS max_drawdown
                        FROM {performance_snapshot} WHERE {during} AND {accounts} GROUP BY account_id
                        ORDER BY account_id
                    """),
                    each=True, decimals=2, width=6,
                ),
                lines(
                    "Equity", "Of each account, in its base currency.", "locale",
                    over_time("""
                        SELECT {bucket}, account_id, argMax(tuple(equity), (event_time, `offset`)).1 AS equity,
                            argMax(tuple(peak_equity), (event_time, `offset`)).1 AS peak
                        FROM {pnl_snapshot} WHERE {during} AND {accounts} AND dimension = 'ACCOUNT'
                        GROUP BY time, account_id ORDER BY time
                    """),
                ),
                lines(
                    "Drawdown", "From the highest equity so far, as a share of it.", "percentunit",
                    over_time("""
                        SELECT {bucket}, account_id, -max(drawdown) AS drawdown
                        FROM {pnl_snapshot} WHERE {during} AND {accounts} AND dimension = 'ACCOUNT'
                        GROUP BY time, account_id ORDER BY time
                    """),
                ),
                columns(
                    "P&L by day", "What each day brought, after fees, in the base currency.", "locale",
                    sql("""
                        SELECT toString(day) AS date, sum(pnl_of_day) AS pnl FROM {pnl_daily}
                        WHERE $__dateFilter(day) AND {accounts} AND dimension = 'ACCOUNT' GROUP BY date ORDER BY date
                    """),
                    by="date", thresholds=LOSS_AND_PROFIT, width=24,
                ),
                rows(
                    "P&L by month", "What each month brought to each account, after fees.", "locale",
                    sql("""
                        SELECT formatDateTime(day, '%Y-%m') AS month, account_id, any(currency) AS currency,
                            sum(pnl_of_day) AS pnl,
                            countIf(pnl_of_day > 0) AS good_days, countIf(pnl_of_day < 0) AS bad_days
                        FROM {pnl_daily} WHERE $__dateFilter(day) AND {accounts} AND dimension = 'ACCOUNT'
                        GROUP BY month, account_id ORDER BY month DESC, account_id LIMIT 120
                    """),
                    units={"good_days": "short", "bad_days": "short"}, width=10,
                ),
                rows(
                    "Statistics", "Of each account's daily returns, newest.", "none",
                    sql("""
                        SELECT account_id, newest.1 AS days, newest.2 AS total_return, newest.3 AS volatility,
                            newest.4 AS sharpe,
                            newest.5 AS sortino, newest.6 AS calmar, newest.7 AS max_drawdown FROM (
                            SELECT account_id, argMax((days, total_return, volatility, sharpe, sortino, calmar,
                                max_drawdown), (event_time, `offset`)) AS newest
                            FROM {performance_snapshot} WHERE {during} AND {accounts} GROUP BY account_id
                        ) ORDER BY account_id
                    """),
                    units={"total_return": "percentunit", "volatility": "percentunit", "max_drawdown": "percentunit"},
                    width=14,
                ),
            ),
        ),
        Section(
            "Who earned it",
            (
                lines(
                    "P&L by strategy", "Since the start, after fees.", "locale",
                    over_time("""
                        SELECT {bucket}, member AS strategy,
                            argMax(realised_pnl + ifNull(unrealised_pnl, 0) - fees, (event_time, `offset`)) AS pnl
                        FROM {pnl_snapshot} WHERE {during} AND {accounts} AND dimension = 'STRATEGY' AND MEMBER
                        GROUP BY time, member ORDER BY time
                    """.replace("MEMBER", _MEMBER)),
                    width=12,
                ),
                lines(
                    "P&L by provider", "Since the start, after fees, of orders that a provider's signals led to.",
                    "locale",
                    over_time("""
                        SELECT {bucket}, member AS provider,
                            argMax(realised_pnl + ifNull(unrealised_pnl, 0) - fees, (event_time, `offset`)) AS pnl
                        FROM {pnl_snapshot} WHERE {during} AND {accounts} AND dimension = 'PROVIDER'
                        GROUP BY time, member ORDER BY time
                    """),
                    width=12,
                ),
                rows(
                    "Strategies", "Results, trades and costs since the start.", "locale",
                    sql("""
                        SELECT account_id, strategy, newest.1 AS realised, newest.2 AS unrealised, newest.3 AS fees,
                            realised + ifNull(unrealised, 0) - fees AS pnl,
                            newest.4 AS fills, newest.5 AS trades, if(trades = 0, NULL, newest.6 / trades) AS won,
                                newest.7 AS turnover, newest.8 AS currency
                        FROM (
                            SELECT account_id, member AS strategy,
                                argMax((realised_pnl, unrealised_pnl, fees, fills, closed_trades, winning_trades,
                                    turnover, currency), (event_time, `offset`)) AS newest
                            FROM {pnl_snapshot} WHERE {during} AND {accounts} AND dimension = 'STRATEGY' AND MEMBER
                            GROUP BY account_id, member
                        ) ORDER BY pnl DESC
                    """.replace("MEMBER", _MEMBER)),
                    units={"won": "percentunit", "fills": "short", "trades": "short"}, width=24,
                    links={"strategy": board_with("ql-execution", "strategy")},
                ),
                ranks(
                    "By instrument", "P&L since the start, after fees.", "locale",
                    sql("""
                        SELECT member AS instrument, argMax(realised_pnl + ifNull(unrealised_pnl, 0) - fees,
                            (event_time, `offset`)) AS pnl
                        FROM {pnl_snapshot} WHERE {during} AND {accounts} AND dimension = 'INSTRUMENT'
                        GROUP BY member ORDER BY pnl DESC LIMIT 25
                    """),
                    thresholds=LOSS_AND_PROFIT, width=12,
                ),
                ranks(
                    "Long and short", "Realised P&L of fills that closed longs and shorts, before fees.", "locale",
                    sql("""
                        SELECT concat(if(side = 'BUY', 'short', 'long'), ' ', currency) AS closed,
                            sum(realised_pnl) AS realised
                        FROM {fill} WHERE {during} AND {accounts} AND {strategies} AND realised_pnl != 0
                        GROUP BY closed ORDER BY closed
                    """),
                    thresholds=LOSS_AND_PROFIT, width=12,
                ),
            ),
        ),
        Section(
            "What runs",
            (
                states(
                    "Instances", "What became of each.", "none",
                    over_time("""
                        SELECT event_time AS time, strategy_id, NUMBER AS changed FROM {strategy_event}
                        WHERE {during} AND {accounts} AND {strategies} AND change != 'REFUSED' ORDER BY time LIMIT 20000
                    """.replace("NUMBER", CHANGES.number("change"))),
                    shown=CHANGES,
                ),
                rows(
                    "Changes", "Deployments, pauses, faults and refusals.", "none",
                    sql("""
                        SELECT event_time, strategy_id, strategy_name, instrument_id, account_id, change, code,
                            author, detail
                        FROM {strategy_event} WHERE {during} AND {accounts} AND {strategies}
                        ORDER BY event_time DESC LIMIT 200
                    """),
                    width=24,
                ),
            ),
        ),
    ),
)  # fmt: skip
