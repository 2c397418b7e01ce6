"""One order of ours: what it is, where it rests, its fills and its pending requests."""

from decimal import Decimal
from enum import StrEnum

from msgspec import field

from schemas.order import OrderStatus, OrderType, Side, SubmitOrder, TimeInForce
from schemas.record import Part
from schemas.scalars import rounded
from streams.accounts.orders.states import (
    BEYOND_DAY,
    DEAD,
    ENDED_FOR_DAY,
    NOTHING_LEAVES,
    PRECEDENCE,
)
from streams.accounts.positions.ledger import Folded

ZERO = Decimal(0)

EXTERNAL = "EXTERNAL"
"""Owner of orders that the broker has and we never sent."""


EXIT = "EXIT"
"""Purpose of the exits of a bracket."""


class RequestKind(StrEnum):
    CANCEL = "CANCEL"
    REPLACE = "REPLACE"


PENDING_STATUS = {
    RequestKind.CANCEL: OrderStatus.PENDING_CANCEL,
    RequestKind.REPLACE: OrderStatus.PENDING_REPLACE,
}


class Request(Part, frozen=True):
    """A cancel or replace that the broker has not answered.

    request_id: its client_order_id
    kind: cancel or replace
    acknowledged: the broker said that it is pending
    quantity, limit_price, stop_price: what a replace asks for
    sent_us: when we asked
    """

    request_id: str
    kind: RequestKind
    acknowledged: bool = False
    quantity: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    sent_us: int = 0


class Execution(Part, frozen=True):
    """One fill as it stands now; a correction changes it, a bust removes it.

    quantity: units, positive
    price: in the quote currency
    fee: cost as reported, and its currency
    corrected: its figures are not those of the first report
    account_fold, strategy_fold: how it was folded into the account's and the strategy's position
    """

    quantity: Decimal
    price: Decimal
    fee: Decimal = ZERO
    fee_currency: str = ""
    corrected: bool = False
    account_fold: Folded | None = None
    strategy_fold: Folded | None = None


class Order(Part, frozen=True):
    """An order as we know it.

    client_order_id: the id it was sent with; later ids of a replace chain are in `ids`
    resting: where it rests, its fills and requests aside
    executions: fills by exec_id, busted ones gone
    reports: every exec_id seen, and the fill it is about (itself for a trade, empty where it is about none)
    revoked: exec_ids that were busted before they came
    answered: ids of requests that were answered
    cumulative: units filled
    paid: sum of quantity times price of the fills
    carried: units filled before a restatement of the whole order, as by a split
    protect_stop, protect_target: prices that guard what it opens
    unit_reserve: cash or margin held for each open unit, in `reserve_currency`
    absent: how often the broker said, when that counts, that it knows no such order
    unanswered: questions since it last said anything of the order
    """

    client_order_id: str
    instrument_id: str
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    quantity: Decimal
    resting: OrderStatus = OrderStatus.PENDING_NEW
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_offset: Decimal | None = None
    expire_at_us: int | None = None
    reduce_only: bool = False
    post_only: bool = False
    venue: str = ""
    symbol: str = ""
    strategy_id: str = ""
    provider_id: str = ""
    signal_id: str = ""
    intent_id: str = ""
    reference_price: Decimal | None = None
    broker_order_id: str = ""
    ids: tuple[str, ...] = ()
    requests: tuple[Request, ...] = ()
    executions: dict[str, Execution] = field(default_factory=dict)
    reports: dict[str, str] = field(default_factory=dict)
    revoked: tuple[str, ...] = ()
    answered: tuple[str, ...] = ()
    cumulative: Decimal = ZERO
    paid: Decimal = ZERO
    carried: Decimal = ZERO
    created_us: int = 0
    updated_us: int = 0
    queries: int = 0
    queried_us: int = 0
    purpose: str = ""
    protect_stop: Decimal | None = None
    protect_target: Decimal | None = None
    unit_reserve: Decimal = ZERO
    reserve_currency: str = ""
    absent: int = 0
    unanswered: int = 0

    @property
    def shown(self) -> OrderStatus:
        """The status, pending requests aside."""
        filled = self._filled
        return filled if filled and PRECEDENCE[filled] > PRECEDENCE[self.resting] else self.resting

    @property
    def status(self) -> OrderStatus:
        """The status as we see it: a request shows as pending from the moment we send it."""
        return self._highest(self.requests)

    @property
    def broker_status(self) -> OrderStatus:
        """The status as the broker last saw it: only requests that it acknowledged show."""
        return self._highest(tuple(request for request in self.requests if request.acknowledged))

    @property
    def leaves(self) -> Decimal:
        """Units still working by FIX's rule."""
        if self.resting in NOTHING_LEAVES or (self.resting in ENDED_FOR_DAY and not self.beyond_day):
            return ZERO
        return max(ZERO, self.quantity - self.cumulative)

    @property
    def open_quantity(self) -> Decimal:
        """Units that may still trade: more than `leaves` when suspended or when a replace may raise the quantity."""
        if self.ended:
            return ZERO
        quantity = self.quantity
        for request in self.requests:
            if request.quantity is not None and request.quantity > quantity:
                quantity = request.quantity
        return max(ZERO, quantity - self.cumulative)

    @property
    def counted(self) -> Decimal:
        """Units that count as working on their side. Exits of a bracket make room for all else, so they count none."""
        return ZERO if self.purpose == EXIT else self.open_quantity

    @property
    def ended(self) -> bool:
        """Whether nothing more can trade, as far as the broker told us."""
        if self.resting in DEAD:
            return True
        if self.resting in ENDED_FOR_DAY and not self.beyond_day:
            return True
        return self._filled is OrderStatus.FILLED and not self.requests

    @property
    def beyond_day(self) -> bool:
        """Whether it outlives the trading day."""
        return self.time_in_force in BEYOND_DAY

    @property
    def average_price(self) -> Decimal | None:
        """Of all fills; None before the first."""
        return rounded(self.paid / self.cumulative) if self.cumulative > 0 else None

    @property
    def signed(self) -> int:
        """1 for a buy, -1 for a sell."""
        return 1 if self.side is Side.BUY else -1

    @property
    def _filled(self) -> OrderStatus | None:
        if self.cumulative <= 0:
            return None
        return OrderStatus.FILLED if self.cumulative >= self.quantity else OrderStatus.PARTIALLY_FILLED

    def _highest(self, requests: tuple[Request, ...]) -> OrderStatus:
        best = self.shown
        for request in requests:
            pending = PENDING_STATUS[request.kind]
            if PRECEDENCE[pending] > PRECEDENCE[best]:
                best = pending
        return best


def order_of(command: SubmitOrder) -> Order:
    """The order that a command begins."""
    return Order(
        client_order_id=command.client_order_id,
        instrument_id=command.instrument_id,
        side=command.side,
        order_type=command.order_type,
        time_in_force=command.time_in_force,
        quantity=command.quantity,
        limit_price=command.limit_price,
        stop_price=command.stop_price,
        trail_offset=command.trail_offset,
        expire_at_us=command.expire_at_us,
        reduce_only=command.reduce_only,
        post_only=command.post_only,
        venue=command.venue,
        symbol=command.symbol,
        strategy_id=command.strategy_id,
        provider_id=command.provider_id,
        signal_id=command.signal_id,
        intent_id=command.intent_id,
        reference_price=command.reference_price,
        ids=(command.client_order_id,),
        created_us=command.event_time_us,
        updated_us=command.event_time_us,
    )
