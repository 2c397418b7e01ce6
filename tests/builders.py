"""Builders: the shortest honest way to say what a test needs. Every default is visible here and nowhere else."""

from decimal import Decimal
from typing import Any

from schemas.execution import ExecutionReport
from schemas.order import ExecType, OrderStatus, OrderType, Side, TimeInForce
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
