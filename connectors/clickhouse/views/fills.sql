-- Every execution of ours, once; notional is its absolute value in the currency.
SELECT
    event_time AS time, account_id, strategy_id, provider_id, signal_id, instrument_id, side, quantity, price, currency,
    CAST(abs(multiIf(
        contract = 'LINEAR', toDecimal256(quantity, 12) * price * multiplier,
        price = 0, toDecimal256(0, 36),
        toDecimal256(toDecimal256(quantity, 24) / price * multiplier, 36))), 'Decimal(38, 12)') AS notional,
    fee, fee_currency, realised_pnl, position_quantity, reference_price,
    ifNull(f.multiplier, toDecimal128(1, 12)) AS multiplier, contract, client_order_id, venue, fill_id
FROM `{database}`.fill AS f FINAL
