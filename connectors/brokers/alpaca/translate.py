"""Our words to Alpaca's, and Alpaca's to ours. Pure.

Ids of reports: a fill, bust or correction has Alpaca's execution id; what happens to an order once (it is taken,
cancelled, replaced ...) has an id made of the order's and the word for it, so that an answer, the stream and a later
look tell it under one id.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from connectors.brokers.alpaca.wire import SIDES, WireFill, WireOrder, WirePosition, WireUpdate
from connectors.errors import Refused
from schemas.execution import ExecutionReport, HeldPosition
from schemas.order import CancelOrder, ExecType, OrderStatus, OrderType, ReplaceOrder, Side, SubmitOrder, TimeInForce
from schemas.reference import Instrument
from schemas.scalars import ZERO, InvalidScalar, check_decimal, micros_of, rounded

TYPES: dict[OrderType, str] = {
    OrderType.MARKET: "market",
    OrderType.LIMIT: "limit",
    OrderType.STOP: "stop",
    OrderType.STOP_LIMIT: "stop_limit",
    OrderType.TRAILING_STOP: "trailing_stop",
}
TIMES: dict[TimeInForce, str] = {
    TimeInForce.DAY: "day",
    TimeInForce.GTC: "gtc",
    TimeInForce.IOC: "ioc",
    TimeInForce.FOK: "fok",
}
CRYPTO_TYPES = frozenset({OrderType.MARKET, OrderType.LIMIT, OrderType.STOP_LIMIT})
CRYPTO_TIMES = frozenset({TimeInForce.GTC, TimeInForce.IOC})

STATUSES: dict[str, OrderStatus] = {
    "accepted": OrderStatus.NEW,
    "accepted_for_bidding": OrderStatus.NEW,
    "pending_new": OrderStatus.NEW,
    "held": OrderStatus.NEW,
    "new": OrderStatus.NEW,
    "partially_filled": OrderStatus.PARTIALLY_FILLED,
    "filled": OrderStatus.FILLED,
    "done_for_day": OrderStatus.DONE_FOR_DAY,
    "canceled": OrderStatus.CANCELED,
    "expired": OrderStatus.EXPIRED,
    "replaced": OrderStatus.REPLACED,
    "pending_cancel": OrderStatus.PENDING_CANCEL,
    "pending_replace": OrderStatus.PENDING_REPLACE,
    "stopped": OrderStatus.STOPPED,
    "rejected": OrderStatus.REJECTED,
    "suspended": OrderStatus.SUSPENDED,
    "calculated": OrderStatus.CALCULATED,
}
"""Alpaca answers for an order from `accepted` on: to us that is NEW, routed to an exchange or not."""

EVENTS: dict[str, ExecType] = {
    "accepted": ExecType.NEW,
    "pending_new": ExecType.NEW,
    "new": ExecType.NEW,
    "fill": ExecType.TRADE,
    "partial_fill": ExecType.TRADE,
    "canceled": ExecType.CANCELED,
    "expired": ExecType.EXPIRED,
    "done_for_day": ExecType.DONE_FOR_DAY,
    "replaced": ExecType.REPLACED,
    "rejected": ExecType.REJECTED,
    "pending_cancel": ExecType.PENDING_CANCEL,
    "pending_replace": ExecType.PENDING_REPLACE,
    "stopped": ExecType.STOPPED,
    "suspended": ExecType.SUSPENDED,
    "calculated": ExecType.CALCULATED,
    "restated": ExecType.RESTATED,
    "order_cancel_rejected": ExecType.CANCEL_REJECTED,
    "order_replace_rejected": ExecType.REPLACE_REJECTED,
    "trade_bust": ExecType.TRADE_CANCEL,
    "trade_correct": ExecType.TRADE_CORRECT,
}
ENDS: dict[str, ExecType] = {
    "canceled": ExecType.CANCELED,
    "expired": ExecType.EXPIRED,
    "rejected": ExecType.REJECTED,
    "replaced": ExecType.REPLACED,
}
"""Statuses in which an order ends without a fill saying so."""
DONE = frozenset({"filled", *ENDS})
ROUTED = frozenset({"new", "partially_filled", "filled", "done_for_day", "stopped", "calculated"})
"""Statuses of an order that has taken the place of the one it replaces."""
_ONCE = frozenset({ExecType.NEW, ExecType.CANCELED, ExecType.EXPIRED, ExecType.REJECTED, ExecType.REPLACED})
_AMENDMENTS = frozenset({ExecType.TRADE_CANCEL, ExecType.TRADE_CORRECT})


class Symbols:
    """Our ids of instruments by the venue's symbols. Positions spell a pair without its slash; both are known."""

    def __init__(self, instruments: Iterable[Instrument], venue: str):
        self._venue = venue
        self._ids: dict[str, str] = {}
        for instrument in instruments:
            self.learn(instrument)

    def learn(self, instrument: Instrument) -> None:
        """Take an instrument, if it is of this venue."""
        if instrument.venue == self._venue:
            self.name(instrument.symbol, instrument.instrument_id)

    def name(self, symbol: str, instrument_id: str) -> None:
        """A command uses this symbol for this instrument."""
        self._ids[symbol.replace("/", "")] = instrument_id

    def id_of(self, symbol: str) -> str:
        """Our id, or the symbol where we know none."""
        return self._ids.get(symbol.replace("/", ""), symbol)


@dataclass(frozen=True, slots=True)
class Speaker:
    """Whose words become reports: the account and venue that they carry, and the symbols that they translate."""

    account_id: str
    venue: str
    symbols: Symbols

    def order(self, order: WireOrder, exec_type: ExecType, exec_id: str, **more: Any) -> ExecutionReport:
        """A report on the order as it is now; `more` replaces fields of it."""
        quantity = order.filled_qty if order.qty is None else order.qty
        fields: dict[str, Any] = {
            "event_time_us": order.time_us,
            "account_id": self.account_id,
            "exec_id": exec_id,
            "client_order_id": order.client_order_id,
            "broker_order_id": order.id,
            "venue": self.venue,
            "instrument_id": self.symbols.id_of(order.symbol),
            "side": SIDES[order.side],
            "exec_type": exec_type,
            "order_status": STATUSES.get(order.status, OrderStatus.UNKNOWN),
            "order_quantity": quantity,
            "cumulative_quantity": order.filled_qty,
            "leaves_quantity": ZERO if order.status in DONE else max(quantity - order.filled_qty, ZERO),
            "last_quantity": ZERO,
            "average_price": average_of(order.filled_avg_price),
            "limit_price": order.limit_price,
            "stop_price": order.stop_price,
        }
        return ExecutionReport(**(fields | more))

    def once(self, order: WireOrder, exec_type: ExecType, **more: Any) -> ExecutionReport:
        """A report on what happens to an order once, or once for each request where `client_order_id` names one."""
        asked = "" if exec_type in _ONCE else f":{more.get('client_order_id', '')}"
        return self.order(order, exec_type, f"{order.id}:{exec_type}{asked}", **more)

    def acknowledgement(self, order: WireOrder) -> ExecutionReport:
        """What a submit is answered: the order is had, or how it ended since."""
        return self.once(order, ENDS.get(order.status, ExecType.NEW))

    def update(self, update: WireUpdate) -> ExecutionReport:
        """An event of the stream that concerns one order alone; one we have no word for becomes its order's status."""
        order, exec_type = update.order, EVENTS.get(update.event, ExecType.ORDER_STATUS)
        time_us = micros_of(update.timestamp) if update.timestamp else order.time_us
        text = update.reason or ""
        if exec_type in _ONCE:
            return self.once(order, exec_type, event_time_us=time_us, text=text)
        exec_id = update.execution_id or f"{order.id}:{update.event}:{time_us}"
        if exec_type is ExecType.TRADE:
            return self.order(
                order,
                exec_type,
                exec_id,
                event_time_us=time_us,
                last_quantity=update.qty or ZERO,
                last_price=update.price,
            )
        if exec_type in _AMENDMENTS and update.previous_execution_id:
            return self.order(
                order,
                exec_type,
                exec_id,
                event_time_us=time_us,
                last_quantity=abs(update.qty or ZERO),
                last_price=update.price,
                reference_exec_id=update.previous_execution_id,
                text=text,
            )
        if exec_type in _AMENDMENTS or exec_type is ExecType.ORDER_STATUS:
            text = f"event {update.event} {text}".strip()
            return self.order(order, ExecType.ORDER_STATUS, exec_id, event_time_us=time_us, text=text)
        return self.order(order, exec_type, exec_id, event_time_us=time_us, text=text, code=_code(exec_type, update))

    def fill(self, fill: WireFill, order: WireOrder) -> ExecutionReport:
        """A fill as the account's activities tell it, of the order whose names it does not tell."""
        return self.order(
            order,
            ExecType.TRADE,
            fill.execution_id,
            event_time_us=fill.time_us,
            order_status=OrderStatus.PARTIALLY_FILLED if fill.leaves_qty > 0 else OrderStatus.FILLED,
            order_quantity=fill.cum_qty + fill.leaves_qty,
            cumulative_quantity=fill.cum_qty,
            leaves_quantity=fill.leaves_qty,
            last_quantity=fill.qty,
            last_price=fill.price,
            average_price=None,
        )

    def position(self, position: WirePosition) -> HeldPosition:
        """A position, signed by its side."""
        quantity = abs(position.qty)
        return HeldPosition(
            instrument_id=self.symbols.id_of(position.symbol),
            quantity=-quantity if position.side == "short" else quantity,
            average_price=average_of(position.avg_entry_price),
        )


def _code(exec_type: ExecType, update: WireUpdate) -> str:
    refused = exec_type in (ExecType.CANCEL_REJECTED, ExecType.REPLACE_REJECTED)
    return (update.reason or "TOO_LATE") if refused else ""


def order_body(order: SubmitOrder) -> dict[str, str]:
    """What a submit says. Raises Refused for what Alpaca does not take for this kind of asset."""
    if "/" in order.symbol:
        if order.order_type not in CRYPTO_TYPES or order.time_in_force not in CRYPTO_TIMES:
            what = f"{order.order_type} orders, {order.time_in_force}"
            raise Refused(f"Alpaca does not take {what}, for crypto; choose another", code="UNSUPPORTED")
        if order.side is Side.SELL_SHORT:
            raise Refused("Alpaca does not sell crypto short", code="UNSUPPORTED")
    body = {
        "symbol": order.symbol,
        "qty": _text(order.quantity),
        "side": "buy" if order.side is Side.BUY else "sell",
        "type": TYPES[order.order_type],
        "time_in_force": TIMES[order.time_in_force],
        "client_order_id": order.client_order_id,
    }
    prices = {"limit_price": order.limit_price, "stop_price": order.stop_price, "trail_price": order.trail_offset}
    return body | {name: _text(price) for name, price in prices.items() if price is not None}


def replace_body(request: ReplaceOrder) -> dict[str, str]:
    """What a replace says."""
    body = {"qty": _text(request.quantity), "client_order_id": request.request_id}
    prices = {"limit_price": request.limit_price, "stop_price": request.stop_price}
    return body | {name: _text(price) for name, price in prices.items() if price is not None}


def same_order(order: SubmitOrder, found: WireOrder) -> bool:
    """Whether the order found under our id is the one we mean."""
    return (
        found.symbol.replace("/", "") == order.symbol.replace("/", "")
        and found.type == TYPES[order.order_type]
        and (SIDES[found.side] is Side.BUY) == (order.side is Side.BUY)
        and found.qty == order.quantity
    )


def names(request: CancelOrder | ReplaceOrder) -> dict[str, str]:
    """The ids that an answer to this request carries."""
    return {"client_order_id": request.request_id, "original_client_order_id": request.client_order_id}


def average_of(number: Decimal | None) -> Decimal | None:
    """A quotient to the places that we carry, None where it cannot be carried: nothing is counted by an average."""
    if number is None:
        return None
    try:
        average = rounded(number)
        check_decimal(average)
    except (ArithmeticError, InvalidScalar):
        return None
    return average


def _text(number: Decimal) -> str:
    plain = f"{number:f}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain
