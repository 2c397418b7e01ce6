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
from dashboards.grafana.queries import Question, over_time, sql

_MEMBER = "$__conditionalAll(member IN (${strategy:singlequote}), $strategy)"

_TRADES = "$__timeFilter(v.exit_time) AND {view_accounts} AND {view_strategies}"
"""Round trips that ended within the time shown."""


def _attributed(dimension: str) -> Question:
    """Who in this dimension earned what of the newest results, by currency."""
    return sql(
        """
        SELECT concat(v.member, ' ', v.currency) AS who, sum(v.pnl) AS earned
        FROM {attribution} AS v WHERE {view_accounts} AND v.dimension = 'DIMENSION'
        GROUP BY who ORDER BY earned DESC LIMIT 25
    """.replace("DIMENSION", dimension)
    )


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
                    "Long and short", "Newest result of what was held long and short, after fees.", "locale",
                    _attributed("SIDE"), thresholds=LOSS_AND_PROFIT, width=12,
                ),
                ranks(
                    "By sector", "Newest result of instruments by their sector, after fees.", "locale",
                    _attributed("SECTOR"), thresholds=LOSS_AND_PROFIT, width=12,
                ),
                ranks(
                    "What costs took", "Newest result before costs, and the fees and slippage in it.", "locale",
                    _attributed("COST"), thresholds=LOSS_AND_PROFIT, width=12,
                ),
                rows(
                    "Attribution",
                    "Newest result of each account by every dimension, in its base currency; each dimension adds up to "
                    "the account's, REST is what nobody in it explains.",
                    "locale",
                    sql("""
                        SELECT v.account_id AS account, v.dimension AS dimension, v.member AS member,
                            v.currency AS currency, v.pnl AS pnl
                        FROM {attribution} AS v WHERE {view_accounts}
                        ORDER BY account, dimension, pnl DESC LIMIT 500
                    """),
                    thresholds=LOSS_AND_PROFIT, coloured=("pnl",), width=24, height=10,
                ),
            ),
        ),
        Section(
            "Round trips",
            (
                rows(
                    "Trades of strategies",
                    "Round trips from flat to flat that ended: how many won, gains for each unit lost, and the worst "
                    "and best result on the way, on average.",
                    "locale",
                    sql("""
                        SELECT v.strategy_id AS strategy, v.currency AS currency, count() AS trades,
                            countIf(v.pnl > 0) / trades AS won, sum(v.pnl) AS pnl,
                            toFloat64(sumIf(v.pnl, v.pnl > 0)) / nullIf(-toFloat64(sumIf(v.pnl, v.pnl < 0)), 0)
                                AS profit_factor,
                            avg(v.pnl) AS mean_pnl, avg(v.mae) AS mean_worst, avg(v.mfe) AS mean_best,
                            avg(v.duration_s) AS mean_duration
                        FROM {trades} AS v WHERE TRADES
                        GROUP BY strategy, currency ORDER BY sum(v.pnl) DESC
                    """.replace("TRADES", _TRADES)),
                    units={"trades": "short", "won": "percentunit", "profit_factor": "none", "mean_duration": "s"},
                    width=24, links={"strategy": board_with("ql-execution", "strategy")},
                ),
                lines(
                    "Result of trades", "What round trips brought when they ended, after fees.", "locale",
                    over_time("""
                        SELECT $__timeInterval(v.exit_time) AS time, v.strategy_id AS strategy, sum(v.pnl) AS pnl
                        FROM {trades} AS v WHERE TRADES GROUP BY time, strategy ORDER BY time
                    """.replace("TRADES", _TRADES)),
                    bars=True, stacked=True,
                ),
                ranks(
                    "Why trades ended", "Result of round trips by what closed them, after fees.", "locale",
                    sql("""
                        SELECT concat(v.exit_kind, ' ', v.currency) AS ended, sum(v.pnl) AS pnl
                        FROM {trades} AS v WHERE TRADES GROUP BY ended ORDER BY pnl DESC LIMIT 25
                    """.replace("TRADES", _TRADES)),
                    thresholds=LOSS_AND_PROFIT, width=12,
                ),
                rows(
                    "Newest trades", "Round trips from flat to flat, with why each began and ended.", "locale",
                    sql("""
                        SELECT v.exit_time AS exit_time, v.account_id AS account, v.strategy_id AS strategy,
                            v.instrument_id AS instrument, v.direction AS direction, v.quantity AS quantity,
                            v.entry_price AS entry_price, v.exit_price AS exit_price, v.pnl AS pnl, v.fees AS fees,
                            v.currency AS currency, v.mae AS worst, v.mfe AS best, v.duration_s AS duration,
                            v.entry_reason AS began, v.exit_reason AS ended
                        FROM {trades} AS v WHERE TRADES ORDER BY v.exit_time DESC LIMIT 200
                    """.replace("TRADES", _TRADES)),
                    units={"quantity": "short", "duration": "s"}, width=24, height=10,
                    thresholds=LOSS_AND_PROFIT, coloured=("pnl",),
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
                    "Suggestions", "What results suggest about strategies, and why; the engine acts on none of it.",
                    "none",
                    sql("""
                        SELECT v.time AS time, v.account_id AS account, v.strategy_id AS strategy, v.change AS change,
                            v.code AS code, v.factor AS factor, v.currency AS currency,
                            arrayStringConcat(arrayMap((name, value, bound) -> concat(name, ' ', toString(value),
                                ifNull(concat(' of ', toString(bound)), '')), v.names, v.values, v.limits), ', ')
                                AS evidence,
                            v.reason AS reason
                        FROM {suggestions} AS v WHERE {view_during} AND {view_accounts} AND {view_strategies}
                        ORDER BY v.time DESC LIMIT 200
                    """),
                    width=24,
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
