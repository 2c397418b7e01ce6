-- What each account holds now, with the mark used.
SELECT
    account_id, instrument_id,
    argMax(quantity, `offset`) AS quantity,
    argMax(average_price, `offset`) AS average_price,
    argMax(mark, `offset`) AS mark,
    argMax(notional, `offset`) AS notional,
    argMax(realised_pnl, `offset`) AS realised_pnl,
    argMax(unrealised_pnl, `offset`) AS unrealised_pnl,
    argMax(fees, `offset`) AS fees,
    argMax(currency, `offset`) AS currency,
    max(event_time) AS as_of
FROM `{database}`.position_state
GROUP BY account_id, instrument_id
