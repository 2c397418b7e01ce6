-- Round trips by the day on which they ended, strategy, instrument, side and what ended them: how many, how many won, and what they brought.
SELECT
    toDate(subtractMicroseconds(exit_time, 1)) AS day, account_id, strategy_id, provider_id, instrument_id, direction,
    exit_kind, currency, count() AS trades, countIf(t.pnl > 0) AS won, sum(t.pnl) AS pnl, sum(t.fees) AS fees,
    sum(t.duration_s) AS seconds, sum(t.mae) AS mae, sum(t.mfe) AS mfe, min(t.pnl) AS worst, max(t.pnl) AS best
FROM `{database}`.trades AS t
GROUP BY day, account_id, strategy_id, provider_id, instrument_id, direction, exit_kind, currency
