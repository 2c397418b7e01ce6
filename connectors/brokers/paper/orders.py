"""An order as the paper venue holds it, what it says about it, and why it refuses one."""

from decimal import Decimal

from connectors.brokers.paper.rules import wire
from schemas.execution import ExecutionReport, Liquidity
from schemas.ids import short_id
from schemas.order import (
    CancelOrder,
    ExecType,
    OrderStatus,
    OrderType,
    ReplaceOrder,
    Side,
    SubmitOrder,
    TimeInForce,
)
from schemas.record import Part
from schemas.reference import Instrument
from schemas.scalars import DAY_US, ZERO

AT_ONCE = frozenset({TimeInForce.IOC, TimeInForce.FOK})
WORKING = frozenset({OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED})


class PaperOrder(Part, frozen=True):
    """One order at the venue.

    root_id: client_order_id it was submitted with
    client_order_id: the newest of its names; a replace gives a new one
    original_client_order_id: the name before that; empty without a replace
    accepted_us: only prices later than this may fill it
    sequence: number in the order of acceptance
    fresh: no bar has tried it yet
    triggered: a stop-limit whose stop was touched
    session: day of the first bar that tried it, days since 1970-01-01; -1 before
    paid: sum of price times quantity of its fills
    fee: charged so far
    """

    root_id: str
    client_order_id: str
    account_id: str
    instrument_id: str
    side: Side
    order_type: OrderType
    quantity: Decimal
    time_in_force: TimeInForce
    accepted_us: int
    sequence: int
    status: OrderStatus = OrderStatus.NEW
    original_client_order_id: str = ""
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_offset: Decimal | None = None
    expire_at_us: int | None = None
    reduce_only: bool = False
    fresh: bool = True
    triggered: bool = False
    session: int = -1
    cumulative: Decimal = ZERO
    paid: Decimal = ZERO
    fee: Decimal = ZERO
    post_only: bool = False

    @property
    def working(self) -> bool:
        """Whether it may still trade."""
        return self.status in WORKING

    @property
    def leaves(self) -> Decimal:
        """Units that may still trade."""
        return self.quantity - self.cumulative if self.working else ZERO

    @property
    def average_price(self) -> Decimal | None:
        """Of all its fills; None before the first."""
        return wire(self.paid / self.cumulative) if self.cumulative else None


def accepted(order: SubmitOrder, accepted_us: int, sequence: int) -> PaperOrder:
    """The order as it begins to work."""
    return PaperOrder(
        root_id=order.client_order_id,
        client_order_id=order.client_order_id,
        account_id=order.account_id,
        instrument_id=order.instrument_id,
        side=order.side,
        order_type=order.order_type,
        quantity=order.quantity,
        time_in_force=order.time_in_force,
        accepted_us=accepted_us,
        sequence=sequence,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        trail_offset=order.trail_offset,
        expire_at_us=order.expire_at_us,
        reduce_only=order.reduce_only,
        post_only=order.post_only,
    )


def session_of(bar_end_us: int) -> int:
    """The day to which a bar belongs: the UTC day of its last microsecond.

    A market whose session crosses midnight in UTC counts two days.
    """
    return (bar_end_us - 1) // DAY_US


def report(
    order: PaperOrder,
    venue: str,
    exec_type: ExecType,
    time_us: int,
    exec_id: str,
    *,
    client_order_id: str | None = None,
    original_client_order_id: str | None = None,
    last_quantity: Decimal = ZERO,
    last_price: Decimal | None = None,
    fee: Decimal | None = None,
    fee_currency: str = "",
    liquidity: Liquidity | None = None,
    code: str = "",
    text: str = "",
) -> ExecutionReport:
    """The venue's word on the order as it is now; the ids are the order's own unless others are given."""
    return ExecutionReport(
        event_time_us=time_us,
        account_id=order.account_id,
        exec_id=exec_id,
        client_order_id=order.client_order_id if client_order_id is None else client_order_id,
        original_client_order_id=(
            order.original_client_order_id if original_client_order_id is None else original_client_order_id
        ),
        broker_order_id=broker_order_id(order.root_id),
        venue=venue,
        instrument_id=order.instrument_id,
        side=order.side,
        exec_type=exec_type,
        order_status=order.status,
        order_quantity=order.quantity,
        cumulative_quantity=order.cumulative,
        leaves_quantity=order.leaves,
        last_quantity=last_quantity,
        last_price=last_price,
        average_price=order.average_price,
        fee=fee,
        fee_currency=fee_currency,
        liquidity=liquidity,
        code=code,
        text=text,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
    )


def report_of_unknown(
    request: CancelOrder | ReplaceOrder, venue: str, exec_type: ExecType, time_us: int, refusal: tuple[str, str]
) -> ExecutionReport:
    """Why nothing was done to an order that the venue never saw. Its order quantity is zero, and its side no side."""
    return ExecutionReport(
        event_time_us=time_us,
        account_id=request.account_id,
        exec_id=exec_id(request.request_id, exec_type),
        client_order_id=request.request_id,
        original_client_order_id=request.client_order_id,
        venue=venue,
        instrument_id=request.instrument_id,
        side=Side.BUY,
        exec_type=exec_type,
        order_status=OrderStatus.REJECTED,
        order_quantity=ZERO,
        cumulative_quantity=ZERO,
        leaves_quantity=ZERO,
        last_quantity=ZERO,
        code=refusal[0],
        text=refusal[1],
    )


def broker_order_id(root_id: str) -> str:
    """The venue's own id of an order."""
    return f"P-{short_id('paper order', root_id)}"


def exec_id(client_order_id: str, what: str, time_us: int = 0, ordinal: int = 0) -> str:
    """Id of a report: the same event has the same id, however often the venue tells of it."""
    return short_id("paper", client_order_id, what, str(time_us), str(ordinal))


def fault(instrument: Instrument, order: PaperOrder) -> tuple[str, str] | None:
    """Why the venue refuses such an order, as a code and a sentence; None where it does not."""
    quantity = order.quantity
    if not instrument.tradable:
        return "NOT_TRADABLE", f"{instrument.instrument_id} is not traded"
    if quantity <= ZERO or quantity % instrument.lot_size:
        return "QUANTITY", f"quantity {quantity} is not a positive multiple of {instrument.lot_size}"
    if instrument.quantity_min is not None and quantity < instrument.quantity_min:
        return "QUANTITY", f"quantity {quantity} is below the minimum {instrument.quantity_min}"
    if instrument.quantity_max is not None and quantity > instrument.quantity_max:
        return "QUANTITY", f"quantity {quantity} is above the maximum {instrument.quantity_max}"
    return _price_fault(instrument, order) or _time_fault(order)


def _price_fault(instrument: Instrument, order: PaperOrder) -> tuple[str, str] | None:
    if order.order_type in (OrderType.LIMIT, OrderType.STOP_LIMIT) and order.limit_price is None:
        return "PRICE", f"a {order.order_type} order needs a limit price"
    if order.order_type in (OrderType.STOP, OrderType.STOP_LIMIT) and order.stop_price is None:
        return "PRICE", f"a {order.order_type} order needs a stop price"
    if order.order_type is OrderType.TRAILING_STOP and (order.trail_offset is None or order.trail_offset <= ZERO):
        return "PRICE", "a trailing stop needs a positive distance"
    for name, price in (("limit", order.limit_price), ("stop", order.stop_price), ("trail", order.trail_offset)):
        if price is None:
            continue
        if price % instrument.tick_size:
            return "PRICE", f"{name} price {price} is not a multiple of {instrument.tick_size}"
        if price <= ZERO and not instrument.price_may_be_negative:
            return "PRICE", f"{name} price {price} is not above zero"
    return None


def _time_fault(order: PaperOrder) -> tuple[str, str] | None:
    if order.time_in_force in AT_ONCE and order.order_type not in (OrderType.MARKET, OrderType.LIMIT):
        return "TIME_IN_FORCE", f"{order.time_in_force} is taken for market and limit orders only"
    if order.time_in_force is TimeInForce.GTD and order.expire_at_us is None:
        return "TIME_IN_FORCE", "GTD needs a time of expiry"
    return None
