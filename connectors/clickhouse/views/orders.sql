-- Every order as it stands now, with when it began and when it last moved.
SELECT
    account_id, client_order_id,
    argMax(instrument_id, `offset`) AS instrument_id,
    argMax(strategy_id, `offset`) AS strategy_id,
    argMax(provider_id, `offset`) AS provider_id,
    argMax(signal_id, `offset`) AS signal_id,
    argMax(intent_id, `offset`) AS intent_id,
    argMax(side, `offset`) AS side,
    argMax(order_type, `offset`) AS order_type,
    argMax(status, `offset`) AS status,
    argMax(quantity, `offset`) AS quantity,
    argMax(cumulative_quantity, `offset`) AS filled_quantity,
    argMax(leaves_quantity, `offset`) AS leaves_quantity,
    argMax(average_price, `offset`) AS average_price,
    argMax(limit_price, `offset`) AS limit_price,
    argMax(stop_price, `offset`) AS stop_price,
    argMax(reference_price, `offset`) AS reference_price,
    argMax(reason, `offset`) AS reason,
    min(event_time) AS began,
    max(event_time) AS moved,
    minOrNullIf(event_time, e.status = 'NEW') AS acknowledged,
    uniqExact(e.event_id) AS steps
FROM `{database}`.order_event AS e
GROUP BY account_id, client_order_id
