-- Each accepted signal against what the market did over its horizon: hit, return in the stated direction, Brier score.
SELECT
    s.event_time AS time, s.signal_provider_id AS provider_id, s.signal_model_version AS model_version,
    s.instrument_id AS instrument_id, s.signal_id AS signal_id, toString(s.signal_kind) AS kind,
    s.signal_probability AS probability,
    multiIf(
        s.signal_strength IS NOT NULL, sign(s.signal_strength),
        s.signal_target_weight IS NOT NULL, sign(s.signal_target_weight),
        s.signal_forecast_mean IS NOT NULL, sign(s.signal_forecast_mean),
        s.signal_target_price IS NOT NULL, sign(toFloat64(s.signal_target_price - s.price_then)),
        0) AS direction,
    s.price_then AS price_then, b.close AS price_at_horizon, b.event_time AS scored_at,
    toFloat64(price_at_horizon - price_then) * direction AS moved_our_way,
    if(price_then = 0, NULL, moved_our_way / abs(toFloat64(price_then))) AS return_our_way,
    moved_our_way > 0 AS hit,
    if(probability IS NULL, NULL, pow(probability - toFloat64(hit), 2)) AS brier
FROM
(
    SELECT a.*, p.close AS price_then, addMicroseconds(a.signal_event_time, a.signal_horizon_us) AS horizon
    -- Each signal is joined with one bar, whichever of two that are the same.
    FROM (SELECT * FROM `{database}`.accepted_signal FINAL) AS a
    ASOF INNER JOIN (SELECT instrument_id, event_time, close FROM `{database}`.bar) AS p
        ON a.instrument_id = p.instrument_id AND a.signal_event_time >= p.event_time
) AS s
ASOF INNER JOIN (SELECT instrument_id, event_time, close FROM `{database}`.bar) AS b
    ON s.instrument_id = b.instrument_id AND s.horizon <= b.event_time
WHERE direction != 0
