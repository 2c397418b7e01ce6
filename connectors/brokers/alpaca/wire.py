"""Alpaca's answers, read strictly: what is not as promised is not guessed at."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, TypeVar

import msgspec

from schemas.order import Side
from schemas.scalars import InvalidScalar, check_decimal, micros_of

T = TypeVar("T")

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""A time with its zone; one without is a guess."""

SIDES: dict[str, Side] = {
    "buy": Side.BUY,
    "buy_minus": Side.BUY,
    "sell": Side.SELL,
    "sell_plus": Side.SELL,
    "sell_short": Side.SELL_SHORT,
    "sell_short_exempt": Side.SELL_SHORT,
}


class Unreadable(Exception):
    """The answer is not what Alpaca's documents promise; the message says where."""


class WireOrder(msgspec.Struct, frozen=True, gc=False):
    """The order object. `qty` is absent where an amount of money was ordered."""

    id: str
    client_order_id: str
    symbol: str
    side: str
    type: str
    status: str
    filled_qty: Decimal
    submitted_at: Moment
    qty: Decimal | None = None
    filled_avg_price: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    updated_at: Moment | None = None
    replaced_by: str | None = None
    replaces: str | None = None

    def check(self) -> None:
        _numbers(self.filled_qty, self.qty, self.limit_price, self.stop_price)
        _names(self.id, self.client_order_id, self.symbol)
        if self.filled_qty < 0:
            raise Unreadable(f"filled_qty {self.filled_qty} is negative")
        if self.side not in SIDES:
            raise Unreadable(f"side {self.side!r} is no side")

    @property
    def time_us(self) -> int:
        """When it last changed."""
        return micros_of(self.updated_at or self.submitted_at)


class WireUpdate(msgspec.Struct, frozen=True, gc=False):
    """One event of the stream. A bust has a negative quantity."""

    event: str
    order: WireOrder
    timestamp: Moment | None = None
    execution_id: str | None = None
    previous_execution_id: str | None = None
    price: Decimal | None = None
    qty: Decimal | None = None
    reason: str | None = None

    def check(self) -> None:
        self.order.check()
        _numbers(self.price, self.qty)
        if self.event in ("fill", "partial_fill") and not (self.execution_id and self.qty and self.price is not None):
            raise Unreadable(f"a {self.event} of order {self.order.id} without an execution's id, quantity and price")


class WireFill(msgspec.Struct, frozen=True, gc=False):
    """One row of the account's FILL activities."""

    id: str
    order_id: str
    transaction_time: Moment
    price: Decimal
    qty: Decimal
    cum_qty: Decimal
    leaves_qty: Decimal
    side: str
    symbol: str

    def check(self) -> None:
        _numbers(self.price, self.qty, self.cum_qty, self.leaves_qty)
        if "::" not in self.id:
            raise Unreadable(f"activity id {self.id} has no two colons")

    @property
    def execution_id(self) -> str:
        """The part of the id after the time: the execution's id, as the stream tells it."""
        return self.id.split("::", 1)[1]

    @property
    def time_us(self) -> int:
        return micros_of(self.transaction_time)


class WirePosition(msgspec.Struct, frozen=True, gc=False):
    """One position. `qty` of a short one is negative."""

    symbol: str
    qty: Decimal
    side: str
    avg_entry_price: Decimal | None = None

    def check(self) -> None:
        _numbers(self.qty)


class WireAccount(msgspec.Struct, frozen=True, gc=False):
    """The account: what it has, and whether it may trade."""

    account_number: str
    status: str
    currency: str
    cash: Decimal
    trading_blocked: bool = False
    account_blocked: bool = False
    trade_suspended_by_user: bool = False

    def check(self) -> None:
        _numbers(self.cash)


class WireError(msgspec.Struct, frozen=True, gc=False):
    """A refusal in Alpaca's words."""

    message: str
    code: int = 0


class _Named(msgspec.Struct, frozen=True, gc=False):
    stream: str
    data: msgspec.Raw = msgspec.Raw()


Checked = WireOrder | WireUpdate | WireFill | WirePosition | WireAccount


def order_in(body: bytes) -> WireOrder:
    return _checked(_decoded(body, WireOrder))


def orders_in(body: bytes) -> list[WireOrder]:
    return [_checked(order) for order in _decoded(body, list[WireOrder])]


def fills_in(body: bytes) -> list[WireFill]:
    return [_checked(fill) for fill in _decoded(body, list[WireFill])]


def positions_in(body: bytes) -> list[WirePosition]:
    return [_checked(position) for position in _decoded(body, list[WirePosition])]


def account_in(body: bytes) -> WireAccount:
    return _checked(_decoded(body, WireAccount))


def error_in(body: bytes) -> WireError:
    return _decoded(body, WireError)


def message_in(frame: bytes) -> tuple[str, bytes]:
    """The stream that a frame belongs to, and its data."""
    named = _decoded(frame, _Named)
    return named.stream, bytes(named.data)


def update_in(data: bytes) -> WireUpdate:
    return _checked(_decoded(data, WireUpdate))


def word_in(data: bytes, name: str) -> str:
    """The text under this name; empty where there is none."""
    return str(_decoded(data, dict[str, object]).get(name, ""))


U = TypeVar("U", WireOrder, WireUpdate, WireFill, WirePosition, WireAccount)


def _checked(thing: U) -> U:
    thing.check()
    return thing


def _decoded(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        start = body[:60].decode(errors="replace")
        raise Unreadable(f"{error}: {start!r}") from error


def _numbers(*numbers: Decimal | None) -> None:
    for number in numbers:
        if number is not None:
            try:
                check_decimal(number)
            except InvalidScalar as error:
                raise Unreadable(str(error)[:200]) from error


def _names(*names: str) -> None:
    if not all(names):
        raise Unreadable("an id or symbol is empty")
