-- Each fill against the price when the decision fell: slippage is what it cost us, positive is worse, before fees.
SELECT
    time, account_id, strategy_id, provider_id, instrument_id, venue, client_order_id, side, quantity, price,
    reference_price, notional, currency, fee,
    toFloat64(price - reference_price) * if(side = 'BUY', 1, -1) AS slippage_per_unit,
    slippage_per_unit * toFloat64(quantity) * if(quantity * price = 0, 0, toFloat64(notional) / toFloat64(quantity * price))
        AS slippage,
    if(reference_price = 0, NULL, slippage_per_unit / abs(toFloat64(reference_price)) * 10000) AS slippage_bps
FROM `{database}`.fills
WHERE reference_price IS NOT NULL
