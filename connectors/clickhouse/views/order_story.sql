-- All that is known of an order, step by step: the wish, the gate's checks, the command, the broker's words, each state, each fill.
SELECT
    account_id, client_order_id, time, stage, step, what, quantity, price, code, detail, min(written) AS written_at
FROM
(
    SELECT s.event_id AS event_id, v.account_id AS account_id, v.client_order_id AS client_order_id,
        s.event_time AS time, 1 AS stage, 'signal' AS step,
        concat(s.signal_kind, ' by ', s.signal_provider_id) AS what,
        CAST(NULL, 'Nullable(Decimal(38, 12))') AS quantity, s.signal_target_price AS price, '' AS code,
        s.signal_summary AS detail, s.written_at AS written
    FROM `{database}`.accepted_signal AS s
    INNER JOIN `{database}`.risk_verdict AS v
        ON s.signal_id = v.signal_id AND s.signal_provider_id = v.provider_id
    WHERE v.client_order_id != '' AND v.signal_id != ''
    UNION ALL
    SELECT i.event_id, v.account_id, v.client_order_id, i.event_time, 2, 'intent', toString(i.kind), NULL,
        i.reference_price, '', i.reason, i.written_at
    FROM `{database}`.trade_intent AS i
    INNER JOIN `{database}`.risk_verdict AS v ON i.account_id = v.account_id AND i.intent_id = v.intent_id
    WHERE v.client_order_id != ''
    UNION ALL
    SELECT m.event_id, v.account_id, v.client_order_id, m.event_time, 2, 'request',
        concat(m.action, ' by ', m.author), m.quantity, m.limit_price, '', m.reason, m.written_at
    FROM `{database}`.manual_order AS m
    INNER JOIN `{database}`.risk_verdict AS v ON m.account_id = v.account_id AND m.request_id = v.intent_id
    WHERE v.client_order_id != ''
    UNION ALL
    SELECT event_id, account_id, client_order_id, event_time, 3, 'check',
        concat(check.check_id, ' ', check.outcome), NULL, NULL, check.code, concat(check.value, ' / ', check.`limit`),
        written_at
    FROM `{database}`.risk_verdict ARRAY JOIN checks AS check
    WHERE client_order_id != ''
    UNION ALL
    SELECT event_id, account_id, client_order_id, event_time, 4, 'verdict', if(approved, 'approved', 'denied'),
        quantity, price, code, '', written_at
    FROM `{database}`.risk_verdict WHERE client_order_id != ''
    UNION ALL
    SELECT event_id, account_id, client_order_id, event_time, 5, 'command',
        concat('submit ', side, ' ', order_type), quantity, limit_price, '', venue, written_at
    FROM `{database}`.submit_order
    UNION ALL
    SELECT event_id, account_id, client_order_id, event_time, 6, 'broker', toString(exec_type),
        nullIf(last_quantity, 0), last_price, code, text, written_at
    FROM `{database}`.execution_report WHERE original_client_order_id = ''
    UNION ALL
    SELECT event_id, account_id, original_client_order_id, event_time, 6, 'broker', toString(exec_type),
        nullIf(last_quantity, 0), last_price, code, text, written_at
    FROM `{database}`.execution_report WHERE original_client_order_id != ''
    UNION ALL
    SELECT event_id, account_id, client_order_id, event_time, 6, 'not sent', toString(reason), NULL, NULL,
        toString(reason), concat(value, ' / ', `limit`), written_at
    FROM `{database}`.not_sent
    UNION ALL
    SELECT event_id, account_id, client_order_id, event_time, 7, 'state',
        concat(ifNull(previous_status, ''), ' -> ', status), cumulative_quantity, average_price, '', reason, written_at
    FROM `{database}`.order_event
    UNION ALL
    SELECT event_id, account_id, client_order_id, event_time, 8, 'fill', toString(side), quantity, price, '', fill_id,
        written_at
    FROM `{database}`.fill
)
-- By event id and all the rest is FINAL for the few rows of one order, and leaves the skipping indexes their work.
GROUP BY event_id, account_id, client_order_id, time, stage, step, what, quantity, price, code, detail
