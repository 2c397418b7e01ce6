-- What was refused or flagged in market data, and why.
SELECT event_time AS time, instrument_id, feed_id, code, action, sequence, value, `limit`, detail
FROM `{database}`.quality_finding FINAL
