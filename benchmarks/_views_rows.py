# ruff: noqa: E501 - statements read better unbroken
"""The year that `benchmarks.views` asks about, as statements that ClickHouse runs itself.

Order number i belongs to account i mod 64 and, in turn, to each of 64 instruments: bought, then sold, so that every
second order closes a round trip. One in twenty is cancelled instead of filled, one wish in ten denied.
"""

DAYS = 300
"""Days back from now; rows older than a year would be dropped as they come."""

_WORDS = """
    i AS i,
    toDateTime64(toStartOfDay(now()), 6, 'UTC') - toIntervalDay({days})
        + toIntervalMicrosecond(toInt64(i * ({days} * 86400e6 / {orders})) + step * 1500) AS at,
    concat('account-', leftPad(toString(i % 64), 2, '0')) AS account,
    concat('I', leftPad(toString(intDiv(i, 64) % 64), 2, '0')) AS instrument,
    concat('strategy-', toString(intDiv(i, 8192) % 32)) AS strategy,
    concat('provider-', toString(intDiv(i, 8192) % 8)) AS provider,
    substring(lower(hex(sipHash128(i, 1))), 1, 26) AS order_id,
    substring(lower(hex(sipHash128(i, 2))), 1, 26) AS intent,
    concat('sig-', toString(intDiv(i, 10))) AS signal,
    intHash32(intDiv(i, 8192) * 4096 + i % 4096) % 20 = 13 AS cancelled,
    intDiv(i, 4096) % 2 = 0 AS buys,
    toDecimal128(5000 + toInt64(1000 * sin(i / 200000)) + intHash32(i) % 100, 12) / 100 AS fair,
    toDecimal128(100, 12) AS units
"""

PLACE = ("event_id", "topic", "partition", "offset", "written_at")


def _insert(table: str, topic: str, per: str, count: str, columns: dict[str, str], where: str = "1") -> str:
    """Rows of a table: `count` times `per` of each order, and every thousandth once more."""
    names = ", ".join(f"`{name}`" for name in (*PLACE, *columns))
    exprs = ", ".join(columns.values())
    words = _WORDS.replace("{days}", str(DAYS))
    return f"""
INSERT INTO `{{db}}`.`{table}` ({names})
SELECT concat('{table[:4]}-', lower(hex(sipHash64(i, step, '{table}')))), '{topic}', toInt32(i % 4),
    toInt64(i * 8 + step), toDateTime64(at, 3), {exprs}
FROM (SELECT *, {words} FROM (
    SELECT toInt64(intDiv(number, {per})) AS i, toInt64(number % {per}) AS step, arrayJoin(if(number % 1000 = 7, [1, 2], [1])) AS copy
    FROM numbers_mt({count} * {per})
) WHERE {where})
SETTINGS max_insert_threads = 2, max_partitions_per_insert_block = 1000"""


_CHECKS = (
    "arrayMap(c -> (c, 1, if(denied AND c = 'gross_exposure', 'HARD', 'OK'), "
    "if(denied AND c = 'gross_exposure', 'GROSS_EXPOSURE', ''), toString(i % 997), '1000', ''), "
    "['gross_exposure', 'net_exposure', 'order_notional', 'price_collar', 'drawdown', 'rate'])"
)
_OF_ORDER = {"strategy_id": "strategy", "provider_id": "provider", "signal_id": "signal", "intent_id": "intent"}
_STATUS = "[if(step = 2, if(cancelled, 'CANCELED', 'FILLED'), ['PENDING_NEW', 'NEW'][step + 1])][1]"
_DONE = "if(step = 2 AND NOT cancelled, units, toDecimal128(0, 12))"
_DECIDED = {"reference_price": "fair"}
_WHAT = {"event_time": "at", "account_id": "account", "instrument_id": "instrument"}
_SIDE = {"side": "if(buys, 'BUY', 'SELL')"}

_INSTRUMENTS = """
INSERT INTO `{db}`.instrument (event_id, written_at, event_time, instrument_id, symbol, venue, quote_currency,
    settlement_currency, contract, multiplier, sector, version)
SELECT concat('inst-', toString(number)), now64(3), now64(6), concat('I', leftPad(toString(number), 2, '0')), 'x', 'PAPER',
    'USD', 'USD', 'LINEAR', 1, concat('sector-', toString(number % 8)), 1
FROM numbers(64)"""

STATEMENTS: dict[str, str] = {
    "instrument": _INSTRUMENTS,
    "trade_intent": _insert("trade_intent", "accounts.inbox", "1", "{orders}", {
        **_WHAT, "intent_id": "intent", "strategy_id": "strategy", "strategy_name": "'trend'", "kind": "'DIRECTION'",
        "valid_until": "at", "direction": "1.0", "order_type": "'LIMIT'", "time_in_force": "'DAY'", "signal_id": "signal",
        "provider_id": "provider", "reason": "concat('trend is ', toString(i % 100))", **_DECIDED,
    }),
    "risk_verdict": _insert("risk_verdict", "accounts.events", "1", "{orders} + {orders} / 10", {
        **_WHAT, "intent_id": "intent", "client_order_id": "order_id", "strategy_id": "strategy", "approved": "NOT denied",
        "quantity": "units", "code": "if(denied, 'GROSS_EXPOSURE', '')", "checks": _CHECKS, **_SIDE, "price": "fair",
        "provider_id": "provider", "signal_id": "signal",
    }).replace("FROM (SELECT *, ", "FROM (SELECT *, i % 10 = 9 AS denied, "),
    "submit_order": _insert("submit_order", "orders.commands", "1", "{orders}", {
        **_WHAT, "client_order_id": "order_id", "venue": "'PAPER'", "mode": "'PAPER'", "symbol": "instrument", **_SIDE,
        "order_type": "'LIMIT'", "quantity": "units", "time_in_force": "'DAY'", "submit_before": "at", "limit_price": "fair",
        **_OF_ORDER, **_DECIDED,
    }),
    "order_event": _insert("order_event", "accounts.events", "3", "{orders}", {
        **_WHAT, "client_order_id": "order_id", **_SIDE, "order_type": "'LIMIT'", "quantity": "units", "status": _STATUS,
        "trigger": "['SUBMIT', 'NEW', 'TRADE'][step + 1]", "cumulative_quantity": _DONE,
        "leaves_quantity": "if(step = 2, toDecimal128(0, 12), units)",
        "previous_status": "[NULL, 'PENDING_NEW', 'NEW'][step + 1]",
        "average_price": "if(step = 2 AND NOT cancelled, fair, NULL)", "limit_price": "fair", **_OF_ORDER, **_DECIDED,
    }),
    "execution_report": _insert("execution_report", "accounts.inbox", "2", "{orders}", {
        **_WHAT, "exec_id": "concat(order_id, toString(step))", "client_order_id": "order_id", "venue": "'PAPER'", **_SIDE,
        "exec_type": "if(step = 0, 'NEW', if(cancelled, 'CANCELED', 'TRADE'))",
        "order_status": "if(step = 0, 'NEW', if(cancelled, 'CANCELED', 'FILLED'))", "order_quantity": "units",
        "cumulative_quantity": "if(step = 1 AND NOT cancelled, units, toDecimal128(0, 12))",
        "leaves_quantity": "if(step = 0, units, toDecimal128(0, 12))",
        "last_quantity": "if(step = 1 AND NOT cancelled, units, toDecimal128(0, 12))", "last_price": "fair",
    }),
    "fill": _insert("fill", "accounts.events", "1", "{orders}", {
        **_WHAT, "fill_id": "concat(order_id, '1')", "client_order_id": "order_id", "venue": "'PAPER'", **_SIDE,
        "quantity": "units", "price": "fair + toDecimal128(intHash32(i + 5) % 7, 12) / 100", "currency": "'USD'",
        "fee": "toDecimal128(0.05, 12)", "fee_currency": "'USD'",
        "realised_pnl": "if(buys, toDecimal128(0, 12), toDecimal128(intHash32(i + 9) % 101 - 50, 12))",
        "position_quantity": "if(buys, units, toDecimal128(0, 12))", "strategy_id": "strategy", "provider_id": "provider",
        "signal_id": "signal", **_DECIDED, "multiplier": "toDecimal128(1, 12)", "contract": "'LINEAR'",
    }, "NOT cancelled"),
    "position_state": _insert("position_state", "accounts.events", "2", "{orders}", {
        **_WHAT, "quantity": "if(buys, units, toDecimal128(0, 12))", "currency": "'USD'",
        "realised_pnl": "toDecimal128(i % 1000, 12)", "fees": "toDecimal128(1, 12)", "average_price": "fair", "mark": "fair",
        "unrealised_pnl": "toDecimal128(i % 100, 12)", "notional": "fair * 100", "conversion": "toDecimal128(1, 12)",
        "strategy_id": "strategy",
    }),
    "pnl_snapshot": _insert("pnl_snapshot", "pnl", "4", "{orders} / 4", {
        "event_time": "at", "account_id": "account",
        "dimension": "['ACCOUNT', 'STRATEGY', 'PROVIDER', 'INSTRUMENT'][step + 1]",
        "member": "[account, strategy, provider, instrument][step + 1]", "currency": "'USD'",
        "realised_pnl": "toDecimal128(i % 1000, 12)", "fees": "toDecimal128(1, 12)", "fills": "i", "closed_trades": "i",
        "winning_trades": "intDiv(i, 2)", "turnover": "toDecimal128(i, 12)", "unrealised_pnl": "toDecimal128(i % 100, 12)",
        "equity": "toDecimal128(1000000 + i % 1000, 12)", "peak_equity": "toDecimal128(1001000, 12)",
        "drawdown": "toDecimal128(0.001, 12)",
    }).replace(f"({DAYS} * 86400e6 / {{orders}})", f"({DAYS} * 86400e6 / ({{orders}} / 4))"),
    "risk_snapshot": _insert("risk_snapshot", "accounts.events", "1", "{orders} / 2", {
        "event_time": "at", "account_id": "account", "equity": "toDecimal128(1000000 + i % 1000, 12)",
        "gross_exposure": "toDecimal128(500000, 12)", "net_exposure": "toDecimal128(100000, 12)",
        "drawdown": "toDecimal128(0.001, 12)", "day_pnl": "toDecimal128(i % 100, 12)", "state": "'ACTIVE'",
        "currency": "'USD'", "net_deposits": "toDecimal128(1000000, 12)",
    }).replace(f"({DAYS} * 86400e6 / {{orders}})", f"({DAYS} * 86400e6 / ({{orders}} / 2))"),
    "bar": _insert("bar", "market.bars", "1", "{orders} / 5", {
        "event_time": "at", "instrument_id": "concat('I', leftPad(toString(i % 64), 2, '0'))", "interval_us": "900000000",
        "kind": "'TIME'", "open": "fair", "high": "fair + 1", "low": "fair - 1", "close": "fair",
        "volume": "toDecimal128(1000, 12)", "count": "10",
    }).replace(f"({DAYS} * 86400e6 / {{orders}})", f"({DAYS} * 86400e6 / ({{orders}} / 5))"),
    "mark": _insert("mark", "market.marks", "1", "{orders} / 5", {
        "event_time": "at", "instrument_id": "concat('I', leftPad(toString(i % 64), 2, '0'))", "last": "fair",
        "low": "fair - 1", "high": "fair + 1",
    }).replace(f"({DAYS} * 86400e6 / {{orders}})", f"({DAYS} * 86400e6 / ({{orders}} / 5))"),
    "accepted_signal": _insert("accepted_signal", "strategies.inbox", "1", "{orders} / 10", {
        "event_time": "at", "instrument_id": "instrument", "signal_event_time": "at",
        "signal_id": "concat('sig-', toString(i))", "signal_provider_id": "provider", "signal_model_version": "'1'",
        "signal_instrument_id": "instrument", "signal_kind": "'DIRECTION'", "signal_valid_until": "at",
        "signal_horizon_us": "86400000000", "signal_strength": "if(i % 2 = 0, 0.5, -0.5)", "signal_probability": "0.6",
        "signal_summary": "'it will move'", "role": "'LIVE'",
    }).replace(f"({DAYS} * 86400e6 / {{orders}})", f"({DAYS} * 86400e6 / ({{orders}} / 10))"),
    "quality_finding": _insert("quality_finding", "market.quality", "1", "{orders} / 10", {
        "event_time": "at", "instrument_id": "instrument", "feed_id": "'feed'", "code": "['OUTLIER', 'GAP'][i % 2 + 1]",
        "action": "'FLAGGED'", "sequence": "i", "value": "toString(i % 100)", "limit": "'10'", "detail": "'looked odd'",
        "count": "1",
    }).replace(f"({DAYS} * 86400e6 / {{orders}})", f"({DAYS} * 86400e6 / ({{orders}} / 10))"),
    "events": _insert("events", "accounts.inbox", "1", "{orders}", {
        "record": "'TradeIntent'", "key": "account", "headers": "map()",
        "problem": "if(i % 100000 = 5, 'no such schema', '')", "value": "repeat('x', 150)",
    }).replace(f"({DAYS} * 86400e6 / {{orders}})", "(80 * 86400e6 / {orders})").replace(
        f"toIntervalDay({DAYS})", "toIntervalDay(80)"
    ),
}  # fmt: skip
"""By table."""
