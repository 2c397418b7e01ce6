-- Each wish that our own risk denied, with every check that failed.
SELECT
    event_time AS time, account_id, strategy_id, provider_id, signal_id, intent_id, instrument_id, side, quantity, price,
    code, arrayFilter(c -> c.outcome = 'HARD', checks).code AS codes,
    arrayFilter(c -> c.outcome = 'HARD', checks).value AS values,
    arrayFilter(c -> c.outcome = 'HARD', checks).`limit` AS limits
FROM `{database}`.risk_verdict FINAL
-- What lies twice was denied twice, so the few are chosen before they are compared.
PREWHERE NOT approved
