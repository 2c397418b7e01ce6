"""Recorded markets of others that may be used as fixtures but not shipped: where they are, and how they are read."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors.feeds.tables import Batch, ColumnMapping, Shape, Stamp, Table, read_table
from schemas.reference import ContractKind, Instrument, InstrumentClass
from schemas.scalars import DAY_US, SECOND_US
from tests.paths import SHARED

DATA = SHARED / "data"
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
BAR = ("time", "open", "high", "low", "close", "volume")
QUOTE_BAR_OPEN = {"time": 0, "bid": 1, "ask": 6}
QUOTE_BAR_CLOSE = {"time": 0, "bid": 4, "ask": 9}
LEAN_DAY = "%Y%m%d %H:%M"

LEAN_EQUITY_DAILY = ColumnMapping(
    shape=Shape.BARS,
    columns={name: position for position, name in enumerate(BAR)},
    header=False,
    time_format=LEAN_DAY,
    zone="America/New_York",
    stamp=Stamp.START,
    interval_us=DAY_US,
    price_exponent=-4,
    price_unit="0.0001",
)
LEAN_CRYPTO_DAILY = msgspec.structs.replace(
    LEAN_EQUITY_DAILY, zone="UTC", price_exponent=-8, size_exponent=-8, price_unit="1"
)
LEAN_QUOTES = ColumnMapping(
    shape=Shape.QUOTES, columns=dict(QUOTE_BAR_CLOSE), header=False, time_format=LEAN_DAY, price_exponent=-8
)


def shared(path: str) -> Path:
    """The file, or a skip where it is not here."""
    if not (DATA / path).exists():
        pytest.skip(f"shared market data {path} is not on this machine")
    return DATA / path


def lean_minutes(day: str, zone: str, **changes: Any) -> ColumnMapping:
    """Minute bars of LEAN: milliseconds since midnight of a day."""
    return msgspec.structs.replace(
        LEAN_EQUITY_DAILY, time_format="milliseconds", day=day, zone=zone, interval_us=MINUTE_US, **changes
    )


def lean_minute_quotes(day: str, zone: str, **changes: Any) -> ColumnMapping:
    """Closing quotes of LEAN's minute quote bars, at the start of their minute."""
    return msgspec.structs.replace(LEAN_QUOTES, time_format="milliseconds", day=day, zone=zone, **changes)


def read(path: str, mapping: ColumnMapping, instrument_id: str, feed_id: str = "fixture") -> Table:
    """Read a shared file, or skip."""
    return read_table(shared(path), mapping, instrument_id, feed_id)


def batch(path: str, mapping: ColumnMapping, instrument_id: str, feed_id: str = "fixture") -> Batch:
    """All rows of a shared file, every one readable."""
    table = read(path, mapping, instrument_id, feed_id)
    assert not table.problems
    return table.batch


def instrument(instrument_id: str = "WTI", **changes: Any) -> Instrument:
    """An instrument of round numbers; say what is different."""
    told: dict[str, Any] = {
        "event_time_us": 1,
        "instrument_id": instrument_id,
        "symbol": instrument_id,
        "venue": "PAPER",
        "instrument_class": InstrumentClass.COMMODITY,
        "quote_currency": "USD",
        "settlement_currency": "USD",
        "contract": ContractKind.LINEAR,
        "tick_size": Decimal("0.01"),
        "lot_size": Decimal(1),
        "multiplier": Decimal(1),
        "price_decimals": 2,
        "quantity_decimals": 0,
        "calendar": "24/7",
        "price_may_be_negative": False,
        "shortable": True,
        "has_volume": False,
        "version": 1,
    }
    return Instrument(**told | changes)
