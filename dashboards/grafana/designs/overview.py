"""Overview: is all well, and how do we stand."""

from dashboards.grafana.board import Board, Section
from dashboards.grafana.panels import (
    ANY_IS_BAD,
    BAD,
    GOOD,
    LOSS_AND_PROFIT,
    WARN,
    States,
    alerts,
    board_with,
    figure,
    lines,
    rows,
    states,
)
from dashboards.grafana.queries import over_time, promql, sql

TRADING_STATES = States({"ACTIVE": ("ACTIVE", GOOD), "REDUCING": ("REDUCING", WARN), "HALTED": ("HALTED", BAD)})
MODES = States({"REPLAY": ("REPLAY", "blue"), "PAPER": ("PAPER", "blue"), "LIVE": ("LIVE", "purple")})
MARKET_STATES = States({
    "OPEN": ("OPEN", GOOD), "CLOSED": ("CLOSED", "text"), "HALTED": ("HALTED", BAD), "STALE": ("STALE", WARN),
    "GAP": ("GAP", WARN),
})  # fmt: skip

BOARD = Board(
    uid="ql-overview",
    title="Overview",
    description="Money, risk and health of one environment at a glance; other boards explain each figure.",
    choices=("account", "instrument", "strategy"),
    sections=(
        Section(
            "Is all well",
            (
                figure(
                    "Mode", "What the environment was made for. Orders of another mode are refused.", "none",
                    sql("""
                        SELECT NUMBER AS mode FROM {account_opened} ORDER BY event_time DESC LIMIT 1
                    """.replace("NUMBER", MODES.number("mode"))),
                    texts=MODES.texts, width=3,
                ),
                figure(
                    "Kill switch", "1 while a switch stops new risk at the socket.", "none",
                    promql("max(quantumleap_kill_switch_active{env}) or vector(0)", now=True),
                    texts={"0": ("off", GOOD), "1": ("ACTIVE", BAD)}, width=3,
                ),
                figure(
                    "Trading state", "What each account may do: anything, only shrink positions, or nothing.", "none",
                    sql("""
                        SELECT account_id, argMax(NUMBER, (event_time, `offset`)) AS trading
                        FROM {risk_snapshot} WHERE {during} AND {accounts} GROUP BY account_id ORDER BY account_id
                    """.replace("NUMBER", TRADING_STATES.number("state"))),
                    texts=TRADING_STATES.texts, each=True, width=6,
                ),
                figure(
                    "Ready", "Processes that are ready to work, of all that are scraped.", "percentunit",
                    promql("avg(min by (role, instance) (quantumleap_ready{env}))", now=True),
                    thresholds=((None, BAD), (1, GOOD)), width=3,
                ),
                figure(
                    "Oldest record waiting", "Age of the oldest record that a room has not folded yet.", "s",
                    promql("max(quantumleap_lag_seconds{env})", now=True),
                    thresholds=((None, GOOD), (10, WARN), (60, BAD)), width=3,
                ),
                figure(
                    "Orders unknown", "Orders whose fate at the broker is undecided; more than none needs a person.",
                    "none",
                    promql("sum(quantumleap_orders_unknown{env})", now=True), thresholds=ANY_IS_BAD, width=3,
                ),
                figure(
                    "Dead letters", "Records that a door could not let through, in the time shown.", "none",
                    sql("SELECT count() AS letters FROM {dead_letter} WHERE {during}"), thresholds=ANY_IS_BAD, width=3,
                ),
            ),
        ),
        Section(
            "Money",
            (
                figure(
                    "Equity", "Cash and positions of each account in its base currency, newest.", "locale",
                    sql("""
                        SELECT concat(account_id, ' ', argMax(currency, (event_time, `offset`))) AS account,
                            argMax(equity, (event_time, `offset`)) AS equity
                        FROM {risk_snapshot} WHERE {during} AND {accounts} GROUP BY account_id ORDER BY account_id
                    """),
                    each=True, decimals=2, width=6,
                ),
                figure(
                    "P&L of the day", "Since the day's first mark, in the base currency.", "locale",
                    sql("""
                        SELECT account_id, argMax(day_pnl, (event_time, `offset`)) AS day_pnl
                        FROM {risk_snapshot} WHERE {during} AND {accounts} GROUP BY account_id ORDER BY account_id
                    """),
                    each=True, decimals=2, thresholds=LOSS_AND_PROFIT, width=6,
                ),
                figure(
                    "Drawdown", "From the highest equity so far, as a share of it.", "percentunit",
                    sql("""
                        SELECT account_id, argMax(drawdown, (event_time, `offset`)) AS drawdown
                        FROM {risk_snapshot} WHERE {during} AND {accounts} GROUP BY account_id ORDER BY account_id
                    """),
                    each=True, decimals=2, thresholds=((None, GOOD), (0.05, WARN), (0.1, BAD)), width=6,
                ),
                figure(
                    "Leverage", "Gross exposure over equity.", "none",
                    sql("""
                        SELECT account_id, argMax(leverage, (event_time, `offset`)) AS leverage
                        FROM {risk_snapshot} WHERE {during} AND {accounts} GROUP BY account_id ORDER BY account_id
                    """),
                    each=True, decimals=2, thresholds=((None, GOOD), (1, WARN), (2, BAD)), width=6,
                ),
                lines(
                    "Equity over time", "Each account in its base currency.", "locale",
                    over_time("""
                        SELECT {bucket}, account_id, argMax(equity, (event_time, `offset`)) AS equity
                        FROM {risk_snapshot} WHERE {during} AND {accounts}
                        GROUP BY time, account_id ORDER BY time
                    """),
                ),
                lines(
                    "Drawdown and its limit", "Drawdown of each account, and the limit at which it stops.",
                    "percentunit",
                    over_time("""
                        SELECT {bucket}, account_id, max(drawdown) AS drawdown
                        FROM {risk_snapshot} WHERE {during} AND {accounts}
                        GROUP BY time, account_id ORDER BY time
                    """),
                    over_time("""
                        SELECT {bucket}, concat(account_id, ' ', use.name) AS which, min(use.`limit`) AS bound
                        FROM {risk_snapshot} ARRAY JOIN uses AS use
                        WHERE {during} AND {accounts} AND positionCaseInsensitive(use.name, 'drawdown') > 0
                        GROUP BY time, which ORDER BY time
                    """, "B"),
                ),
                lines(
                    "Exposure", "Gross and net exposure of all chosen accounts, in base currency.", "locale",
                    over_time("""
                        SELECT {bucket}, account_id, argMax(gross_exposure, (event_time, `offset`)) AS gross,
                            argMax(net_exposure, (event_time, `offset`)) AS net
                        FROM {risk_snapshot} WHERE {during} AND {accounts}
                        GROUP BY time, account_id ORDER BY time
                    """),
                ),
                lines(
                    "P&L by strategy", "Realised and unrealised, after fees, since the start.", "locale",
                    over_time("""
                        SELECT {bucket}, member AS strategy,
                            argMax(realised_pnl + ifNull(unrealised_pnl, 0) - fees, (event_time, `offset`)) AS pnl
                        FROM {pnl_snapshot}
                        WHERE {during} AND {accounts} AND dimension = 'STRATEGY'
                            AND $__conditionalAll(member IN (${strategy:singlequote}), $strategy)
                        GROUP BY time, member ORDER BY time
                    """),
                ),
            ),
        ),
        Section(
            "Positions and markets",
            (
                rows(
                    "Open positions", "What each account holds now, with the mark used.", "locale",
                    sql("""
                        SELECT account_id, instrument_id, quantity, average_price, mark, notional, unrealised_pnl,
                            realised_pnl, fees, currency, as_of
                        FROM {positions_now} WHERE quantity != 0 AND {accounts} AND {instruments}
                        ORDER BY abs(notional) DESC LIMIT 200
                    """),
                    units={"quantity": "short", "as_of": "dateTimeAsIso"}, width=16,
                    links={"instrument_id": board_with("ql-positions", "instrument")},
                ),
                alerts("Alerts", "What fires or is about to; each alert links to its runbook."),
                states(
                    "Markets", "How the market of each instrument stands.", "none",
                    over_time("""
                        SELECT event_time AS time, instrument_id, NUMBER AS market FROM {market_condition}
                        WHERE {during} AND {instruments} ORDER BY time LIMIT 20000
                    """.replace("NUMBER", MARKET_STATES.number("status"))),
                    shown=MARKET_STATES,
                ),
            ),
        ),
    ),
)  # fmt: skip
