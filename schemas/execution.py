"""What brokers say: execution reports, and what could not be said to them."""

from enum import StrEnum
from typing import ClassVar

from schemas.order import ExecType, OrderStatus, Side
from schemas.record import Part, Record
from schemas.reference import ContractKind
from schemas.scalars import Money, Price, Quantity


class NotSentReason(StrEnum):
    LATE = "LATE"
    CLOCK = "CLOCK"
    KILLED = "KILLED"
    RATE = "RATE"
    MODE = "MODE"
    UNAVAILABLE = "UNAVAILABLE"


class Liquidity(StrEnum):
    ADDED = "ADDED"
    REMOVED = "REMOVED"


class ExecutionReport(Record, frozen=True):
    """A broker's word on one order; FIX message 8, or 9 where a cancel or replace was rejected.

    account_id: whose order
    exec_id: the broker's id of this report; the same id twice is one report
    client_order_id: the order, or the cancel or replace that this answers
    original_client_order_id: the order meant by a cancel or replace
    broker_order_id: the broker's id of the order
    venue: which broker
    instrument_id: our id of the instrument
    side: buy, sell or sell short
    exec_type: what happened
    order_status: the broker's view of the order after it
    order_quantity: units ordered
    last_quantity, last_price: of this fill; quantity 0 where there is none
    cumulative_quantity, leaves_quantity: units filled and units still working
    average_price: of all fills
    fee: cost of this fill, negative for a rebate
    fee_currency: currency of the fee
    liquidity: added or removed
    reference_exec_id: report that a bust or correction is about
    code: the broker's or our reason code
    text: the broker's words
    limit_price, stop_price: as the broker holds them
    """

    source_id: ClassVar[tuple[str, ...]] = ("account_id", "venue", "exec_id")

    account_id: str
    exec_id: str
    client_order_id: str
    venue: str
    instrument_id: str
    side: Side
    exec_type: ExecType
    order_status: OrderStatus
    order_quantity: Quantity
    cumulative_quantity: Quantity
    leaves_quantity: Quantity
    last_quantity: Quantity
    last_price: Price | None = None
    average_price: Price | None = None
    fee: Money | None = None
    fee_currency: str = ""
    original_client_order_id: str = ""
    broker_order_id: str = ""
    liquidity: Liquidity | None = None
    reference_exec_id: str = ""
    code: str = ""
    text: str = ""
    limit_price: Price | None = None
    stop_price: Price | None = None


class NotSent(Record, frozen=True):
    """A command that execution did not send, for a reason of ours; its reservation is released.

    account_id: whose order
    client_order_id: the order, cancel or replace
    reason: why
    value: the value that decided, as text
    limit: the bound it broke, as text
    """

    source_id: ClassVar[tuple[str, ...]] = ("account_id", "client_order_id")

    account_id: str
    client_order_id: str
    reason: NotSentReason
    value: str = ""
    limit: str = ""


class Fill(Record, frozen=True):
    """One execution of ours, as folded into the position.

    account_id: who traded
    fill_id: the broker's exec_id
    client_order_id: the order
    venue: which broker
    instrument_id: our id of the instrument
    side: buy, sell or sell short
    quantity: units, positive
    price: in the quote currency
    currency: of the price and of the realised P&L
    fee: cost, negative for a rebate
    fee_currency: of the fee
    realised_pnl: result of what this fill closed, before the fee
    position_quantity: signed position after it
    strategy_id: instance behind the order
    provider_id: signal provider behind the order
    signal_id: signal behind the order
    reference_price: price when the decision fell
    multiplier: of the instrument, to turn price differences into money
    contract: linear or inverse
    """

    source_id: ClassVar[tuple[str, ...]] = ("account_id", "venue", "fill_id")

    account_id: str
    fill_id: str
    client_order_id: str
    venue: str
    instrument_id: str
    side: Side
    quantity: Quantity
    price: Price
    currency: str
    fee: Money
    fee_currency: str
    realised_pnl: Money
    position_quantity: Quantity
    strategy_id: str = ""
    provider_id: str = ""
    signal_id: str = ""
    reference_price: Price | None = None
    multiplier: Quantity | None = None
    contract: ContractKind = ContractKind.LINEAR


class HeldPosition(Part, frozen=True):
    """What a broker says we hold of one instrument.

    instrument_id: our id, or the venue's symbol where we know none
    quantity: signed units
    average_price: the broker's, where it gives one
    """

    instrument_id: str
    quantity: Quantity
    average_price: Price | None = None


class BrokerPositions(Record, frozen=True):
    """All that one broker says an account holds; an instrument not named is flat there.

    account_id: whose
    venue: which broker
    request_id: the question this answers
    positions: in instrument order
    fills_cursor: all fills before it were told before this; where reading them goes on
    """

    source_id: ClassVar[tuple[str, ...]] = ("account_id", "venue", "request_id")

    account_id: str
    venue: str
    request_id: str
    positions: list[HeldPosition]
    fills_cursor: str = ""


class HeldCash(Part, frozen=True):
    """What a broker says we have of one currency.

    currency: ISO code or coin
    amount: signed
    """

    currency: str
    amount: Money


class BrokerCash(Record, frozen=True):
    """The cash that one broker says an account has.

    account_id: whose
    venue: which broker
    request_id: the question this answers
    cash: in currency order
    """

    source_id: ClassVar[tuple[str, ...]] = ("account_id", "venue", "request_id")

    account_id: str
    venue: str
    request_id: str
    cash: list[HeldCash]
