"""What a report asks ClickHouse of one account; `{db}` is the database."""

CURRENCY = "SELECT argMax(currency, day) FROM {db}.equity_daily WHERE account_id = {account:String}"
MEMBERS = """
SELECT member, currency, pnl, realised_pnl, unrealised_pnl, fees, fills, closed_trades, winning_trades, turnover
FROM {db}.pnl_daily WHERE account_id = {account:String} AND dimension = {dimension:String}
ORDER BY day DESC LIMIT 1 BY member
"""
FEES = """
SELECT fee_currency, sum(fee) FROM {db}.fills WHERE account_id = {account:String}
GROUP BY fee_currency ORDER BY fee_currency
"""
UNREFERENCED = "SELECT count() FROM {db}.fills WHERE account_id = {account:String} AND reference_price IS NULL"
EXECUTIONS = """
SELECT strategy_id, instrument_id, venue, currency, count(), sum(notional) AS traded, sum(slippage) AS cost,
    if(traded = 0, NULL, toFloat64(cost) / toFloat64(traded) * 10000),
    quantileExact(0.5)(slippage_bps), max(slippage_bps)
FROM {db}.execution_quality WHERE account_id = {account:String}
GROUP BY strategy_id, instrument_id, venue, currency ORDER BY traded DESC, strategy_id, instrument_id
"""
SHORTFALLS = """
SELECT strategy_id, venue, notional_from, currency, count(), sum(ordered_notional), sum(delay), sum(execution),
    sum(opportunity), sum(fees), sum(shortfall), avg(arrival_bps), avg(vwap_bps), avg(twap_bps), avg(close_bps)
FROM {db}.implementation_shortfall
WHERE account_id = {account:String} AND delay IS NOT NULL AND shortfall IS NOT NULL
GROUP BY strategy_id, venue, notional_from, currency ORDER BY strategy_id, venue, notional_from, currency
"""
ATTRIBUTION = """
SELECT dimension, member, pnl FROM {db}.attribution WHERE account_id = {account:String}
ORDER BY dimension, member IN ('REST', 'BEFORE_COSTS'), pnl DESC, member
"""
EARNED = """
SELECT dimension, member, day, pnl_of_day FROM {db}.pnl_daily
WHERE account_id = {account:String} AND dimension IN ('ACCOUNT', 'STRATEGY') ORDER BY dimension, member, day
"""
EARNED_BY_SECTOR = """
WITH sectors AS (SELECT instrument_id, argMax(sector, version) AS sector FROM {db}.instrument GROUP BY instrument_id)
SELECT if(i.sector = '', 'NONE', i.sector) AS name, if(countIf(p.pnl_of_day IS NULL) > 0, NULL, sum(p.pnl_of_day))
FROM {db}.pnl_daily AS p LEFT JOIN sectors AS i ON p.member = i.instrument_id
WHERE p.account_id = {account:String} AND p.dimension = 'INSTRUMENT' AND p.day > (
    SELECT min(day) FROM {db}.equity_daily WHERE account_id = {account:String})
GROUP BY name ORDER BY name
"""
HELD = """
WITH sectors AS (SELECT instrument_id, argMax(sector, version) AS sector FROM {db}.instrument GROUP BY instrument_id)
SELECT s.instrument_id, if(i.sector = '', 'NONE', i.sector) AS name, s.day, s.worth FROM
(
    SELECT instrument_id, toDate(subtractMicroseconds(event_time, 1)) AS day, argMax(tuple(
        if(quantity = 0, 0, sign(quantity) * toFloat64(notional) * toFloat64(conversion))), `offset`).1 AS worth
    FROM {db}.position_state WHERE account_id = {account:String} GROUP BY instrument_id, day
) AS s
LEFT JOIN sectors AS i ON s.instrument_id = i.instrument_id ORDER BY s.instrument_id, s.day
"""
TRADES = """
SELECT strategy_id, instrument_id, provider_id, direction, currency, quantity, multiplier,
    toUnixTimestamp64Micro(entry_time), toUnixTimestamp64Micro(exit_time), entry_price, exit_price, pnl, fees, mae, mfe,
    entry_kind, entry_reason, exit_kind, exit_reason
FROM {db}.trades WHERE account_id = {account:String} ORDER BY exit_time, entry_time, strategy_id, instrument_id
"""
DENIALS = """
SELECT code, count() AS denials, uniqExact(strategy_id), toString(toDate(max(time))),
    argMax(concat(instrument_id, if(empty(codes), '', ': '),
        arrayStringConcat(arrayMap((c, v, l) -> concat(c, ' ', v, ' / ', l), codes, values, limits), ', ')), time)
FROM {db}.denials WHERE account_id = {account:String} GROUP BY code ORDER BY denials DESC, code
"""
ORDERS = """
SELECT status, count() AS n FROM {db}.orders WHERE account_id = {account:String} GROUP BY status ORDER BY n DESC, status
"""
SCORES = """
SELECT provider_id, count(), avg(hit), avg(return_our_way) * 10000 FROM {db}.signal_scores
WHERE provider_id IN (SELECT member FROM {db}.pnl_daily WHERE dimension = 'PROVIDER' AND account_id = {account:String})
GROUP BY provider_id ORDER BY provider_id
"""
UNVALUED = """
SELECT instrument_id FROM {db}.positions_now
WHERE account_id = {account:String} AND quantity != 0 AND unrealised_pnl IS NULL ORDER BY instrument_id
"""
SUGGESTIONS = """
SELECT toString(toDate(time)), strategy_id, toString(change), reason,
    arrayStringConcat(arrayMap((n, v) -> concat(n, ' ', toString(v)), names, values), ', ')
FROM {db}.suggestions WHERE account_id = {account:String} ORDER BY time DESC, strategy_id, code LIMIT 50
"""
