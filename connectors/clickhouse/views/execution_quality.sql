-- Each fill against the price when the decision fell: slippage is what it cost us, positive is worse, before fees.
SELECT
    time, account_id, strategy_id, provider_id, instrument_id, venue, client_order_id, fill_id, side, quantity, price,
    reference_price, notional, roundDown(toFloat64(notional), [0, 10000, 30000, 100000, 300000, 1000000]) AS notional_from,
    currency, fee, fee_currency,
    if(side = 'BUY', price - reference_price, reference_price - price) AS slippage_per_unit,
    CAST(multiIf(
        contract = 'LINEAR', toDecimal256(assumeNotNull(slippage_per_unit), 12) * quantity * multiplier,
        price = 0 OR reference_price = 0, toDecimal256(0, 36),
        toDecimal256(
            toDecimal256(assumeNotNull(slippage_per_unit), 36) / price / assumeNotNull(reference_price) * quantity
            * multiplier, 36)), 'Decimal(38, 12)') AS slippage,
    if(reference_price = 0, NULL, toFloat64(slippage_per_unit) / abs(toFloat64(reference_price)) * 10000) AS slippage_bps
FROM `{database}`.fills
WHERE reference_price IS NOT NULL
