"""Builders for broker tests: instruments, bars and commands with short names."""

from decimal import Decimal
from typing import Any

from schemas.control import Mode
from schemas.market import Bar, BarKind
from schemas.order import CancelOrder, OrderType, QueryOrder, ReplaceOrder, Side, SubmitOrder, TimeInForce
from schemas.reference import ContractKind, FeeSchedule, Instrument, InstrumentClass
from schemas.scalars import DAY_US

DAY_ONE = 18_000
"""A day, counted from 1970-01-01."""


def day(number: float) -> int:
    """The end of the numbered day, in microseconds of UTC."""
    return int((DAY_ONE + number) * DAY_US)


def teapots(**changes: Any) -> Instrument:
    """An instrument with volume, traded in lots of 1 at prices of 0.01."""
    fields: dict[str, Any] = {
        "event_time_us": day(0),
        "instrument_id": "TEAPOT",
        "symbol": "TPT",
        "venue": "PAPER",
        "instrument_class": InstrumentClass.EQUITY,
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
    return Instrument(**(fields | changes))


def oil(**changes: Any) -> Instrument:
    """An instrument whose price may be negative."""
    return teapots(instrument_id="OIL", symbol="CL", price_may_be_negative=True, **changes)


def fees(rate: str = "0", per_unit: str = "0", minimum: str = "0", **changes: Any) -> FeeSchedule:
    fields: dict[str, Any] = {
        "event_time_us": day(0),
        "venue": "PAPER",
        "version": 1,
        "rate": Decimal(rate),
        "per_unit": Decimal(per_unit),
        "minimum": Decimal(minimum),
        "currency": "USD",
    }
    return FeeSchedule(**(fields | changes))


def bar(
    number: float, prices: str, *, instrument: str = "TEAPOT", volume: str | None = None, interval: float = 1.0
) -> Bar:
    """A bar that ends the numbered day; prices are "open high low close", or one price for all."""
    parts = [Decimal(part) for part in prices.split()]
    opened, high, low, close = parts if len(parts) == 4 else parts * 4
    return Bar(
        event_time_us=day(number),
        instrument_id=instrument,
        interval_us=int(interval * DAY_US),
        kind=BarKind.TIME,
        open=opened,
        high=high,
        low=low,
        close=close,
        volume=None if volume is None else Decimal(volume),
    )


def order(name: str, quantity: int | str = 10, *, at: float = 1, **changes: Any) -> SubmitOrder:
    """A market order to buy teapots, made at the end of day `at`."""
    fields: dict[str, Any] = {
        "event_time_us": day(at),
        "client_order_id": name,
        "account_id": "alice",
        "venue": "PAPER",
        "mode": Mode.REPLAY,
        "instrument_id": "TEAPOT",
        "symbol": "TPT",
        "side": Side.BUY,
        "order_type": OrderType.MARKET,
        "quantity": Decimal(quantity),
        "time_in_force": TimeInForce.GTC,
        "submit_before_us": day(at) + 60_000_000,
    }
    for price in ("limit_price", "stop_price", "trail_offset"):
        if price in changes:
            changes[price] = Decimal(changes[price])
    return SubmitOrder(**(fields | changes))


def buy(name: str, quantity: int | str = 10, **changes: Any) -> SubmitOrder:
    return order(name, quantity, **changes)


def sell(name: str, quantity: int | str = 10, **changes: Any) -> SubmitOrder:
    return order(name, quantity, side=Side.SELL, **changes)


def limit(price: str) -> dict[str, Any]:
    return {"order_type": OrderType.LIMIT, "limit_price": price}


def stop(price: str) -> dict[str, Any]:
    return {"order_type": OrderType.STOP, "stop_price": price}


def stop_limit(stop_price: str, limit_price: str) -> dict[str, Any]:
    return {"order_type": OrderType.STOP_LIMIT, "stop_price": stop_price, "limit_price": limit_price}


def trailing(offset: str, **more: str) -> dict[str, Any]:
    return {"order_type": OrderType.TRAILING_STOP, "trail_offset": offset, **more}


def cancel(name: str, of: SubmitOrder, *, at: float = 1) -> CancelOrder:
    return CancelOrder(
        event_time_us=day(at),
        request_id=name,
        client_order_id=of.client_order_id,
        account_id=of.account_id,
        venue=of.venue,
        mode=of.mode,
        instrument_id=of.instrument_id,
        symbol=of.symbol,
    )


def change(
    name: str, of: SubmitOrder, quantity: int | str, *, at: float = 1, limit_price: str | None = None
) -> ReplaceOrder:
    return ReplaceOrder(
        event_time_us=day(at),
        request_id=name,
        client_order_id=of.client_order_id,
        account_id=of.account_id,
        venue=of.venue,
        mode=of.mode,
        instrument_id=of.instrument_id,
        symbol=of.symbol,
        quantity=Decimal(quantity),
        submit_before_us=day(at) + 60_000_000,
        limit_price=None if limit_price is None else Decimal(limit_price),
    )


def ask(of: SubmitOrder, *, name: str = "q1", at: float = 1) -> QueryOrder:
    return QueryOrder(
        event_time_us=day(at),
        request_id=name,
        client_order_id=of.client_order_id,
        account_id=of.account_id,
        venue=of.venue,
        mode=of.mode,
        instrument_id=of.instrument_id,
        symbol=of.symbol,
        attempt=1,
    )
