"""Orders: FIX's words for them, the commands to execution, and the events of their life."""

from enum import StrEnum
from typing import ClassVar

from schemas.control import Mode
from schemas.record import Record
from schemas.scalars import Price, Quantity, UtcMicros


class Side(StrEnum):
    """FIX tag 54."""

    BUY = "BUY"
    SELL = "SELL"
    SELL_SHORT = "SELL_SHORT"


class OrderType(StrEnum):
    """FIX tag 40, and a trailing stop."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP = "STOP"
    STOP_LIMIT = "STOP_LIMIT"
    TRAILING_STOP = "TRAILING_STOP"


class TimeInForce(StrEnum):
    """FIX tag 59."""

    DAY = "DAY"
    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    GTD = "GTD"


class OrderStatus(StrEnum):
    """FIX tag 39, and two of ours: DENIED by our own risk, UNKNOWN while the broker's answer is undecided."""

    PENDING_NEW = "PENDING_NEW"
    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    PENDING_CANCEL = "PENDING_CANCEL"
    CANCELED = "CANCELED"
    PENDING_REPLACE = "PENDING_REPLACE"
    REPLACED = "REPLACED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    SUSPENDED = "SUSPENDED"
    STOPPED = "STOPPED"
    DONE_FOR_DAY = "DONE_FOR_DAY"
    CALCULATED = "CALCULATED"
    DENIED = "DENIED"
    UNKNOWN = "UNKNOWN"


class ExecType(StrEnum):
    """FIX tag 150."""

    PENDING_NEW = "PENDING_NEW"
    NEW = "NEW"
    TRADE = "TRADE"
    TRADE_CANCEL = "TRADE_CANCEL"
    TRADE_CORRECT = "TRADE_CORRECT"
    PENDING_CANCEL = "PENDING_CANCEL"
    CANCELED = "CANCELED"
    CANCEL_REJECTED = "CANCEL_REJECTED"
    PENDING_REPLACE = "PENDING_REPLACE"
    REPLACED = "REPLACED"
    REPLACE_REJECTED = "REPLACE_REJECTED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    SUSPENDED = "SUSPENDED"
    STOPPED = "STOPPED"
    DONE_FOR_DAY = "DONE_FOR_DAY"
    CALCULATED = "CALCULATED"
    RESTATED = "RESTATED"
    ORDER_STATUS = "ORDER_STATUS"
    UNKNOWN = "UNKNOWN"


class SubmitOrder(Record, frozen=True):
    """Send this order, once. The committed command is the durable intent.

    client_order_id: pure function of the order's cause; the broker knows the order by it
    account_id: who trades
    venue: which broker
    mode: execution of another mode refuses it
    instrument_id: our id of the instrument
    symbol: the venue's text for the instrument
    side: buy, sell or sell short
    order_type: how to execute
    quantity: units, positive
    time_in_force: how long it works
    submit_before_us: later than this by the wall clock it is not sent
    limit_price, stop_price: where the order type needs them
    trail_offset: distance of a trailing stop, in price
    expire_at_us: for GTD
    reduce_only: only shrinks the position
    post_only: must not take liquidity
    strategy_id: instance behind the order; MANUAL, STOP or EXTERNAL where none is
    provider_id: signal provider behind the order
    signal_id: signal behind the order
    intent_id: intent or request behind the order
    reference_price: price when the decision fell
    """

    source_id: ClassVar[tuple[str, ...]] = ("client_order_id",)

    client_order_id: str
    account_id: str
    venue: str
    mode: Mode
    instrument_id: str
    symbol: str
    side: Side
    order_type: OrderType
    quantity: Quantity
    time_in_force: TimeInForce
    submit_before_us: UtcMicros
    limit_price: Price | None = None
    stop_price: Price | None = None
    trail_offset: Price | None = None
    expire_at_us: UtcMicros | None = None
    reduce_only: bool = False
    post_only: bool = False
    strategy_id: str = ""
    provider_id: str = ""
    signal_id: str = ""
    intent_id: str = ""
    reference_price: Price | None = None


class CancelOrder(Record, frozen=True):
    """Cancel this order.

    request_id: client_order_id of the cancel itself, a pure function of its cause
    client_order_id: the order meant
    broker_order_id: the broker's id, where known
    account_id: whose order
    venue: which broker
    mode: execution of another mode refuses it
    instrument_id: our id of the instrument
    symbol: the venue's text for the instrument
    """

    source_id: ClassVar[tuple[str, ...]] = ("request_id",)

    request_id: str
    client_order_id: str
    account_id: str
    venue: str
    mode: Mode
    instrument_id: str
    symbol: str
    broker_order_id: str = ""


class ReplaceOrder(Record, frozen=True):
    """Change quantity or price of this order.

    request_id: client_order_id of the order as replaced, a pure function of its cause
    client_order_id: the order meant
    broker_order_id: the broker's id, where known
    account_id: whose order
    venue: which broker
    mode: execution of another mode refuses it
    instrument_id: our id of the instrument
    symbol: the venue's text for the instrument
    quantity: new total quantity, positive
    limit_price, stop_price: new prices where the order type has them
    submit_before_us: later than this by the wall clock it is not sent
    """

    source_id: ClassVar[tuple[str, ...]] = ("request_id",)

    request_id: str
    client_order_id: str
    account_id: str
    venue: str
    mode: Mode
    instrument_id: str
    symbol: str
    quantity: Quantity
    submit_before_us: UtcMicros
    limit_price: Price | None = None
    stop_price: Price | None = None
    broker_order_id: str = ""


class QueryOrder(Record, frozen=True):
    """Ask the broker what became of this order.

    request_id: pure function of order and attempt
    client_order_id: the order meant
    broker_order_id: the broker's id, where known
    account_id: whose order
    venue: which broker
    mode: execution of another mode refuses it
    instrument_id: our id of the instrument
    symbol: the venue's text for the instrument
    attempt: 1 for the first query
    """

    source_id: ClassVar[tuple[str, ...]] = ("request_id",)

    request_id: str
    client_order_id: str
    account_id: str
    venue: str
    mode: Mode
    instrument_id: str
    symbol: str
    attempt: int
    broker_order_id: str = ""


class OrderEvent(Record, frozen=True):
    """One step in an order's life, after it was folded.

    account_id: whose order
    client_order_id: the order
    broker_order_id: the broker's id, where known
    instrument_id: our id of the instrument
    side: buy, sell or sell short
    order_type: how to execute
    quantity: units ordered
    status: after the step
    previous_status: before the step; absent for the first
    trigger: what moved it: an exec type, NotSent or our own action
    cumulative_quantity, leaves_quantity: units filled and units still working
    average_price: of the fills; absent before the first
    limit_price, stop_price: where the order type has them
    exec_id: report that caused the step
    reason: code and words of the broker or of ours
    strategy_id: instance behind the order
    provider_id: signal provider behind the order
    signal_id: signal behind the order
    intent_id: intent or request behind the order
    reference_price: price when the decision fell
    """

    account_id: str
    client_order_id: str
    instrument_id: str
    side: Side
    order_type: OrderType
    quantity: Quantity
    status: OrderStatus
    trigger: str
    cumulative_quantity: Quantity
    leaves_quantity: Quantity
    previous_status: OrderStatus | None = None
    broker_order_id: str = ""
    average_price: Price | None = None
    limit_price: Price | None = None
    stop_price: Price | None = None
    exec_id: str = ""
    reason: str = ""
    strategy_id: str = ""
    provider_id: str = ""
    signal_id: str = ""
    intent_id: str = ""
    reference_price: Price | None = None
