"""ccxt's unified structures to our records. Pure. Numbers come as text: ccxt is told to make them so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from connectors.brokers.crypto.dialects import Dialect
from schemas.execution import ExecutionReport, HeldCash, HeldPosition, Liquidity
from schemas.order import ExecType, OrderStatus, Side
from schemas.scalars import ZERO, InvalidScalar, check_decimal, rounded

Structure = Mapping[str, Any]

STATUSES: Mapping[str, OrderStatus] = {
    "open": OrderStatus.NEW,
    "closed": OrderStatus.FILLED,
    "canceled": OrderStatus.CANCELED,
    "canceling": OrderStatus.PENDING_CANCEL,
    "expired": OrderStatus.EXPIRED,
    "rejected": OrderStatus.REJECTED,
}
ENDS: Mapping[OrderStatus, ExecType] = {
    OrderStatus.CANCELED: ExecType.CANCELED,
    OrderStatus.EXPIRED: ExecType.EXPIRED,
    OrderStatus.REJECTED: ExecType.REJECTED,
}
_HISTORY: Mapping[str, str] = {"OrderCancelled": "canceled", "OrderRejected": "rejected"}
_LIQUIDITY = {"maker": Liquidity.ADDED, "taker": Liquidity.REMOVED}


class Unreadable(ValueError):
    """What the venue told lacks what it must have."""


def number(value: object, what: str) -> Decimal:
    """The number, exactly. Raises Unreadable."""
    found = maybe(value, what)
    if found is None:
        raise Unreadable(f"{what} is missing")
    return found


def maybe(value: object, what: str) -> Decimal | None:
    """The number, None where there is none. Raises Unreadable."""
    if value is None or value == "":
        return None
    try:
        # A float comes where the venue sends bare JSON numbers: its shortest text is what was sent.
        found = Decimal(str(value))
        check_decimal(found)
    except (ArithmeticError, InvalidScalar) as error:
        raise Unreadable(f"{what} is {str(value)[:40]!r}") from error
    return found


def average(value: object) -> Decimal | None:
    """A quotient to the places that we carry; nothing is counted by it."""
    try:
        found = rounded(Decimal(str(value)))
        check_decimal(found)
    except (ArithmeticError, InvalidScalar):
        return None
    return found or None


def text(value: object, what: str) -> str:
    if not isinstance(value, str) or not value:
        raise Unreadable(f"{what} is missing")
    return value


def time_us(structure: Structure) -> int:
    """When, in microseconds; 0 where it is not told."""
    stamp = structure.get("timestamp")
    return int(stamp) * 1000 if isinstance(stamp, int | float) else 0


@dataclass(frozen=True, slots=True)
class Speaker:
    """What a structure does not tell: whose it is, and our names."""

    venue: str
    account_id: str
    dialect: Dialect
    instruments: Mapping[str, str]

    def instrument_id(self, symbol: object) -> str:
        return self.instruments.get(str(symbol), str(symbol))

    def name(self, order: Structure) -> str:
        """Our name of an order, or the venue's id where it has none of ours."""
        told = order.get("clientOrderId")
        return self.dialect.decode(told) if isinstance(told, str) and told else text(order.get("id"), "order id")

    def status(self, order: Structure) -> OrderStatus:
        status = STATUSES.get(str(order.get("status")), OrderStatus.UNKNOWN)
        if status is OrderStatus.NEW and (maybe(order.get("filled"), "filled") or ZERO) > 0:
            return OrderStatus.PARTIALLY_FILLED
        return status

    def order(self, order: Structure, exec_type: ExecType, exec_id: str, **more: Any) -> ExecutionReport:
        """A report on an order as it is. Raises Unreadable."""
        quantity = number(order.get("amount"), "amount")
        filled = number(order.get("filled"), "filled")
        status = self.status(order)
        over = status in ENDS or status is OrderStatus.FILLED
        fields: dict[str, Any] = {
            "event_time_us": time_us(order),
            "account_id": self.account_id,
            "exec_id": exec_id,
            "client_order_id": self.name(order),
            "broker_order_id": text(order.get("id"), "order id"),
            "venue": self.venue,
            "instrument_id": self.instrument_id(order.get("symbol")),
            "side": _side(order),
            "exec_type": exec_type,
            "order_status": status,
            "order_quantity": quantity,
            "cumulative_quantity": filled,
            "leaves_quantity": ZERO if over else max(quantity - filled, ZERO),
            "last_quantity": ZERO,
            "average_price": average(order.get("average")),
            "limit_price": maybe(order.get("price"), "price") or None,
        }
        return ExecutionReport(**(fields | more))

    def once(self, order: Structure, exec_type: ExecType, **more: Any) -> ExecutionReport:
        """What happens to an order once, under one id wherever it is seen."""
        return self.order(order, exec_type, f"{order.get('id')}:{exec_type}", **more)

    def fill(self, trade: Structure, order: Structure) -> ExecutionReport:
        """A fill. Its id is the market's and the trade's: some venues number trades by market."""
        quantity, price = number(trade.get("amount"), "amount"), number(trade.get("price"), "price")
        if quantity <= 0:
            raise Unreadable(f"a fill of {quantity}")
        fee = trade.get("fee") or {}
        return self.order(
            order,
            ExecType.TRADE,
            f"{trade.get('symbol')}:{text(trade.get('id'), 'trade id')}",
            event_time_us=time_us(trade),
            side=_side(trade),
            last_quantity=quantity,
            last_price=price,
            fee=maybe(fee.get("cost"), "fee"),
            fee_currency=str(fee.get("currency") or ""),
            liquidity=_LIQUIDITY.get(str(trade.get("takerOrMaker"))),
        )

    def position(self, position: Structure) -> HeldPosition:
        """A derivative position."""
        contracts = number(position.get("contracts"), "contracts")
        side = position.get("side")
        if contracts and side not in ("long", "short"):
            raise Unreadable(f"a position that is {side!r}")
        return HeldPosition(
            instrument_id=self.instrument_id(position.get("symbol")),
            quantity=-abs(contracts) if side == "short" else abs(contracts),
            average_price=average(position.get("entryPrice")),
        )


def split(balance: Structure, instruments: Mapping[str, str]) -> tuple[list[HeldPosition], list[HeldCash]]:
    """A balance as positions and cash: the base coin of an instrument that we trade is a position, the rest is cash.

    A coin that is the base of several instruments is held under its own name: which of them it belongs to is a guess.
    """
    bases: dict[str, set[str]] = {}
    for symbol, instrument_id in instruments.items():
        if ":" not in symbol:
            bases.setdefault(symbol.partition("/")[0], set()).add(instrument_id)
    held, cash = [], []
    for coin, amount in sorted((balance.get("total") or {}).items()):
        quantity = number(amount, f"balance of {coin}")
        if not quantity:
            continue
        owners = bases.get(coin, set())
        if owners:
            name = next(iter(owners)) if len(owners) == 1 else coin
            held.append(HeldPosition(instrument_id=name, quantity=quantity))
        else:
            cash.append(HeldCash(currency=coin, amount=quantity))
    return sorted(held, key=lambda one: one.instrument_id), cash


def from_history(elements: Sequence[Structure], name: str) -> Structure | None:
    """An order out of Kraken's events, newest first: the newest event of this name says how the order stands.

    An order that was placed and of which nothing else is told stands as nobody knows.
    """
    for element in elements:
        for event, content in (element.get("event") or {}).items():
            order = content.get("newOrder") or content.get("order") or {}
            if order.get("clientId") != name:
                continue
            status = _HISTORY.get(event)
            if event == "OrderUpdated" and content.get("reason") == "full_fill":
                status = "closed"
            return {
                "id": order.get("uid"),
                "clientOrderId": name,
                "symbol": order.get("tradeable"),
                "side": str(order.get("direction", "")).lower(),
                "amount": order.get("quantity"),
                "filled": order.get("filled"),
                "price": order.get("limitPrice"),
                "timestamp": order.get("lastUpdateTimestamp"),
                "status": status,
            }
    return None


def _side(structure: Structure) -> Side:
    side = structure.get("side")
    if side not in ("buy", "sell"):
        raise Unreadable(f"side {side!r} is no side")
    return Side.BUY if side == "buy" else Side.SELL
