-- Each fill against the price when the decision fell: slippage is what it cost us, positive is worse, before fees.
SELECT
    time, account_id, strategy_id, provider_id, instrument_id, venue, client_order_id, fill_id, side, quantity, price,
    reference_price, notional, currency, fee,
    if(side = 'BUY', price - reference_price, reference_price - price) AS slippage_per_unit,
    CAST(multiIf(
        contract = 'LINEAR', multiplyDecimal(multiplyDecimal(assumeNotNull(slippage_per_unit), quantity, 12), multiplier, 12),
        price = 0 OR reference_price = 0, toDecimal256(0, 12),
        multiplyDecimal(
            divideDecimal(assumeNotNull(slippage_per_unit), multiplyDecimal(price, assumeNotNull(reference_price), 24), 24),
            multiplyDecimal(quantity, multiplier, 12), 12)), 'Decimal(38, 12)') AS slippage,
    if(reference_price = 0, NULL, toFloat64(slippage_per_unit) / abs(toFloat64(reference_price)) * 10000) AS slippage_bps
FROM `{database}`.fills
WHERE reference_price IS NOT NULL
