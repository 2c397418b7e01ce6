-- What results suggested about each strategy, with the figures behind it; the engine acts on none of it.
SELECT
    event_time AS time, account_id, strategy_id, change, code, factor, currency, evidence.name AS names,
    evidence.value AS values, evidence.`limit` AS limits, reason
FROM `{database}`.suggestion FINAL
