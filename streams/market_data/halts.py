"""Halts: what a venue says of trading in an instrument. One stands until the venue ends it, whatever else is said."""

import msgspec

from schemas.market import MarketStatus
from schemas.record import Record
from schemas.reference import Instrument, TradingStatus
from streams.market_data.rules.volatility import condition_of
from streams.market_data.state import Market, newest_series


def fold_status(market: Market, instrument: Instrument, told: TradingStatus, outputs: list[Record]) -> Market:
    """Trading was halted, or goes on; what is not newer than what is known says nothing."""
    header = market.header
    if told.version <= header.status_version:
        return market
    halted = (told.reason or "halted") if told.halted else ""
    status = MarketStatus.HALTED if halted else MarketStatus.OPEN
    if status is not header.status:
        reason = halted or told.reason or "trading goes on"
        outputs.append(condition_of(newest_series(market), instrument, told.event_time_us, status, reason))
    header = msgspec.structs.replace(header, status=status, halted=halted, status_version=told.version)
    return msgspec.structs.replace(market, header=header)
