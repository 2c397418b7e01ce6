-- Every execution of ours, once; notional is its absolute value in the currency.
SELECT
    event_time AS time, account_id, strategy_id, provider_id, signal_id, instrument_id, side, quantity, price, currency,
    CAST(abs(multiIf(
        contract = 'LINEAR', multiplyDecimal(multiplyDecimal(quantity, price, 12), ifNull(multiplier, 1), 12),
        price = 0, toDecimal256(0, 12),
        divideDecimal(multiplyDecimal(quantity, ifNull(multiplier, 1), 12), price, 12))), 'Decimal(38, 12)') AS notional,
    fee, fee_currency, realised_pnl, position_quantity, reference_price, ifNull(multiplier, 1) AS multiplier, contract,
    client_order_id, venue, fill_id
FROM `{database}`.fill FINAL
