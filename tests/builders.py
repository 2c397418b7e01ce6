"""Builders: the shortest honest way to say what a test needs. Every default is visible here and nowhere else."""

from decimal import Decimal
from typing import Any

from schemas.control import ClockTick, KillSwitch, KillVerb, Scope
from schemas.execution import ExecutionReport
from schemas.intent import IntentKind, TradeIntent
from schemas.market import Mark, MarkBatch
from schemas.order import ExecType, OrderStatus, OrderType, Side, TimeInForce
from schemas.reference import ContractKind, Instrument, InstrumentClass
from schemas.risk import Limit, LimitChange
from streams.accounts.orders.order import Order

SECOND = 1_000_000
DAY = 86_400 * SECOND
NOON = 1_577_880_000 * SECOND
"""2020-01-01 12:00 UTC: the time of a test that needs none."""

Number = Decimal | int | str


def money(value: Number) -> Decimal:
    """A Decimal from what reads best in a test."""
    return Decimal(value)


def working(quantity: Number = 10, *, at: Number | None = None, **fields: Any) -> Order:
    """A buy order X that the broker has acknowledged; a limit order when `at` says a price."""
    given: dict[str, Any] = {
        "client_order_id": "X",
        "instrument_id": "WTI",
        "side": Side.BUY,
        "order_type": OrderType.MARKET if at is None else OrderType.LIMIT,
        "limit_price": None if at is None else money(at),
        "time_in_force": TimeInForce.DAY,
        "quantity": money(quantity),
        "resting": OrderStatus.NEW,
        "ids": ("X",),
    }
    return Order(**{**given, **fields})


def report(
    exec_type: ExecType, exec_id: str = "", *, last: Number = 0, price: Number | None = None, **fields: Any
) -> ExecutionReport:
    """The broker's word on order X: `last` units at `price` where it is about a fill."""
    given: dict[str, Any] = {
        "event_time_us": NOON,
        "account_id": "A",
        "exec_id": exec_id or exec_type.value,
        "client_order_id": "X",
        "venue": "paper",
        "instrument_id": "WTI",
        "side": Side.BUY,
        "exec_type": exec_type,
        "order_status": OrderStatus.NEW,
        "order_quantity": Decimal(0),
        "cumulative_quantity": Decimal(0),
        "leaves_quantity": Decimal(0),
        "last_quantity": money(last),
        "last_price": None if price is None else money(price),
    }
    return ExecutionReport(**{**given, **fields})


def traded(exec_id: str, quantity: Number, *, at: Number = 100, **fields: Any) -> ExecutionReport:
    """A fill of order X."""
    return report(ExecType.TRADE, exec_id, last=quantity, price=at, **fields)


def instrument(instrument_id: str = "WTI", **fields: Any) -> Instrument:
    """A commodity in USD, cent ticks, lots of one, negative prices legal, traded around the clock."""
    given: dict[str, Any] = {
        "event_time_us": NOON,
        "instrument_id": instrument_id,
        "symbol": instrument_id,
        "venue": "paper",
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
        "price_may_be_negative": True,
        "shortable": True,
        "has_volume": False,
        "version": 1,
        "sector": "energy",
    }
    return Instrument(**{**given, **fields})


def mark(
    last: Number, of: str = "WTI", *, at_us: int = NOON, low: Number | None = None, high: Number | None = None
) -> MarkBatch:
    """A relay's batch with one mark."""
    price = money(last)
    one = Mark(
        event_time_us=at_us,
        instrument_id=of,
        last=price,
        low=price if low is None else money(low),
        high=price if high is None else money(high),
    )
    return MarkBatch(event_time_us=at_us, relay_id="relay", sequence=at_us, marks=[one])


def tick(at_us: int = NOON) -> ClockTick:
    """The clock says that it is `at_us`."""
    return ClockTick(event_time_us=at_us, clock_id="test")


def wish(intent_id: str = "i1", *, direction: float = 1.0, at_us: int = NOON, **fields: Any) -> TradeIntent:
    """A market wish of strategy `trend` for account A in WTI, good for an hour."""
    given: dict[str, Any] = {
        "event_time_us": at_us,
        "intent_id": intent_id,
        "account_id": "A",
        "strategy_id": "trend",
        "strategy_name": "trend",
        "instrument_id": "WTI",
        "kind": IntentKind.DIRECTION,
        "direction": direction,
        "reference_price": Decimal(50),
        "valid_until_us": at_us + 3600 * SECOND,
    }
    return TradeIntent(**{**given, **fields})


def limits(request_id: str = "limits", *, account_id: str = "A", **values: Number | Limit) -> LimitChange:
    """A change of account-wide limits by name; give a `Limit` for another scope or a soft bound."""
    return LimitChange(
        event_time_us=NOON,
        account_id=account_id,
        request_id=request_id,
        limits=[
            value if isinstance(value, Limit) else Limit(name=name, value=money(value))
            for name, value in values.items()
        ],
        author="ann",
        reason="test",
        effective_at_us=0,
    )


def kill(
    verb: KillVerb, version: int = 1, *, scope: Scope = Scope.GLOBAL, scope_id: str = "", **fields: Any
) -> KillSwitch:
    """A person throws a switch."""
    given: dict[str, Any] = {
        "event_time_us": NOON,
        "request_id": f"kill-{scope}-{scope_id}-{version}",
        "version": version,
        "scope": scope,
        "scope_id": scope_id,
        "verb": verb,
        "author": "ann",
        "reason": "test",
    }
    return KillSwitch(**{**given, **fields})
