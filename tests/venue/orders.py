"""Orders and executions of the venue, and how Alpaca spells them."""

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
WORKING = frozenset({"new", "accepted", "pending_new", "partially_filled", "pending_cancel", "pending_replace", "held"})
ZERO = Decimal(0)

Json = dict[str, Any]


@dataclass(slots=True)
class Order:
    """One order. Times are microseconds of UTC by the venue's clock, 0 where it has not happened."""

    sequence: int
    order_id: str
    account: str
    client_order_id: str
    symbol: str
    side: str
    kind: str
    time_in_force: str
    quantity: Decimal
    submitted_us: int
    status: str = "new"
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None
    high_water: Decimal | None = None
    triggered: bool = False
    filled: Decimal = ZERO
    paid: Decimal = ZERO
    replaces: str = ""
    replaced_by: str = ""
    updated_us: int = 0
    filled_us: int = 0
    ended_us: int = 0
    external: bool = False

    @property
    def working(self) -> bool:
        return self.status in WORKING

    @property
    def leaves(self) -> Decimal:
        return self.quantity - self.filled

    @property
    def sign(self) -> int:
        return 1 if self.side == "buy" else -1

    @property
    def average(self) -> Decimal | None:
        return self.paid / self.filled if self.filled else None


@dataclass(frozen=True, slots=True)
class Execution:
    """A fill, a bust or a correction. `quantity` is what the position moved by, without the side's sign."""

    sequence: int
    execution_id: str
    order_id: str
    account: str
    kind: str
    quantity: Decimal
    price: Decimal
    cumulative: Decimal
    leaves: Decimal
    time_us: int
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Asset:
    """What can be traded."""

    symbol: str
    asset_class: str = "us_equity"
    tradable: bool = True
    shortable: bool = True
    fractionable: bool = True
    quantity_min: Decimal = ZERO
    increment: Decimal = field(default_factory=lambda: Decimal("0.000000001"))

    @property
    def crypto(self) -> bool:
        return self.asset_class == "crypto"

    @property
    def position_symbol(self) -> str:
        """Positions spell a pair without its slash."""
        return self.symbol.replace("/", "")


def new_id(random_bits: int) -> str:
    """A UUID made of these random bits."""
    return str(uuid.UUID(int=random_bits, version=4))


def text_of(number: Decimal | None) -> str | None:
    """A number as Alpaca writes it: text without an exponent."""
    if number is None:
        return None
    plain = f"{number:f}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def time_text(micros: int) -> str | None:
    """A time as Alpaca writes it, or None for one that never was."""
    if not micros:
        return None
    when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
    return when.strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z"


def order_json(order: Order, asset: Asset | None, status: str | None = None) -> Json:
    """The order object."""
    shown = status or order.status
    return {
        "id": order.order_id,
        "client_order_id": order.client_order_id,
        "created_at": time_text(order.submitted_us),
        "updated_at": time_text(order.updated_us or order.submitted_us),
        "submitted_at": time_text(order.submitted_us),
        "filled_at": time_text(order.filled_us),
        "expired_at": time_text(order.ended_us) if shown == "expired" else None,
        "canceled_at": time_text(order.ended_us) if shown == "canceled" else None,
        "failed_at": time_text(order.ended_us) if shown == "rejected" else None,
        "replaced_at": time_text(order.ended_us) if shown == "replaced" else None,
        "replaced_by": order.replaced_by or None,
        "replaces": order.replaces or None,
        "asset_id": new_id(sum(order.symbol.encode())),
        "symbol": order.symbol,
        "asset_class": asset.asset_class if asset else "us_equity",
        "notional": None,
        "qty": text_of(order.quantity),
        "filled_qty": text_of(order.filled),
        "filled_avg_price": text_of(order.average),
        "order_class": "",
        "order_type": order.kind,
        "type": order.kind,
        "side": order.side,
        "time_in_force": order.time_in_force,
        "limit_price": text_of(order.limit_price),
        "stop_price": text_of(order.stop_price),
        "status": shown,
        "extended_hours": False,
        "legs": None,
        "trail_percent": None,
        "trail_price": text_of(order.trail_price),
        "hwm": text_of(order.high_water),
        "commission": "0",
    }


def activity_id(execution: Execution) -> str:
    """Milliseconds of New York's time, two colons, the execution's id."""
    when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=execution.time_us)
    local = when.astimezone(NEW_YORK)
    return f"{local:%Y%m%d%H%M%S}{local.microsecond // 1000:03d}::{execution.execution_id}"


def activity_json(execution: Execution, order: Order) -> Json:
    """One row of `/v2/account/activities/FILL`; times have milliseconds there."""
    moment = time_text(execution.time_us // 1000 * 1000) or ""
    return {
        "id": activity_id(execution),
        "activity_type": "FILL",
        "transaction_time": moment[:-4] + "Z",
        "type": "fill" if execution.leaves == 0 else "partial_fill",
        "price": text_of(execution.price),
        "qty": text_of(execution.quantity),
        "side": order.side,
        "symbol": order.symbol,
        "leaves_qty": text_of(execution.leaves),
        "order_id": order.order_id,
        "cum_qty": text_of(execution.cumulative),
        "order_status": "filled" if execution.leaves == 0 else "partially_filled",
    }
