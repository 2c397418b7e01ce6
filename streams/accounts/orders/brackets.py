"""Brackets: two exits that are linked. What fills of one is taken off the other, and both follow what is held.

A bracket is an entry with a stop and a target that live only for what the entry has filled; without an entry it is a
pair that protects a position held already (one cancels other). The exits are plain orders at the broker; `decide` says
what must be sent so that they become what they should be, and is asked again after every word about any of them. A
resize that is refused becomes a cancel, and the exit is sent anew. Where both exits filled, more was closed than was
open: the surplus is bought (or sold) back.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from msgspec import field
from msgspec.structs import replace

from schemas.order import OrderStatus, Side
from schemas.record import Part
from schemas.scalars import SECOND_US
from streams.accounts.orders.order import Order, RequestKind

ZERO = Decimal(0)

RETRY_FIRST_US = SECOND_US
RETRY_LAST_US = 60 * SECOND_US
"""First and longest time until an exit is tried again that could not be sent, changed or cancelled."""


class LegKind(StrEnum):
    STOP = "STOP"
    TARGET = "TARGET"


class LegState(StrEnum):
    """At the broker or to be sent; refused there, so that we watch the price; taken back by somebody else."""

    WANTED = "WANTED"
    HELD = "HELD"
    OFF = "OFF"


class Leg(Part, frozen=True):
    """One exit, through all the orders that it was.

    price: stop price, or limit price of the target
    order_id: its order now; empty between two
    ids: of all its orders
    asked: total quantity that the newest resize asks for; absent where none is under way
    taken_back: we asked to cancel it, so that its end is no surprise
    fixed: the broker does not change its quantity; it is cancelled and sent anew
    failures: tries in a row that came to nothing; not tried again before `again_us`
    sent: orders and requests so far, so that each has an id of its own
    told: people know that it is not at the broker
    """

    kind: LegKind
    price: Decimal
    state: LegState = LegState.WANTED
    order_id: str = ""
    ids: tuple[str, ...] = ()
    asked: Decimal | None = None
    taken_back: bool = False
    fixed: bool = False
    failures: int = 0
    again_us: int = 0
    sent: int = 0
    told: bool = False


class Bracket(Part, frozen=True):
    """Linked exits, and what they exit.

    bracket_id: client_order_id of the entry, or what it would be for a pair without entry
    cause: what the exits name as the reason that they exist
    entry_id: empty for a pair without entry
    side: of the exits
    quantity: of a pair without entry
    legs: the stop first: it goes out first
    filled: units filled by each order of it, as last known
    elsewhere: units that something else has closed
    corrections: orders that took back a surplus; raced: the largest surplus people were told of
    cancelled: a person took the exits back
    """

    bracket_id: str
    cause: str
    entry_id: str
    instrument_id: str
    side: Side
    strategy_id: str
    created_us: int
    legs: tuple[Leg, ...]
    quantity: Decimal = ZERO
    filled: dict[str, Decimal] = field(default_factory=dict)
    elsewhere: Decimal = ZERO
    corrections: tuple[str, ...] = ()
    raced: Decimal = ZERO
    cancelled: bool = False
    failures: int = 0
    again_us: int = 0

    @property
    def ids(self) -> tuple[str, ...]:
        """All orders of it."""
        exits = tuple(name for leg in self.legs for name in leg.ids)
        return ((self.entry_id, *exits) if self.entry_id else exits) + self.corrections

    @property
    def entered(self) -> Decimal:
        """Units that it protects, or protected."""
        return self.filled.get(self.entry_id, ZERO) if self.entry_id else self.quantity

    @property
    def exited(self) -> Decimal:
        """Units that its exits closed, less what was taken back."""
        closed = sum((self.filled.get(name, ZERO) for leg in self.legs for name in leg.ids), ZERO)
        return closed - sum((self.filled.get(name, ZERO) for name in self.corrections), ZERO)

    @property
    def outstanding(self) -> Decimal:
        """Units still to be protected."""
        return max(ZERO, self.entered - self.exited - self.elsewhere)

    @property
    def surplus(self) -> Decimal:
        """Units closed beyond what was open: both exits filled."""
        return max(ZERO, self.exited + self.elsewhere - self.entered)


class Send(NamedTuple):
    """Send this exit for so many units."""

    leg: Leg
    quantity: Decimal


class Resize(NamedTuple):
    """Change the exit's order to this total quantity."""

    leg: Leg
    order: Order
    quantity: Decimal


class TakeBack(NamedTuple):
    """Cancel the exit's order."""

    leg: Leg
    order: Order


class Correct(NamedTuple):
    """Take back a surplus of so many units."""

    quantity: Decimal


Deed = Send | Resize | TakeBack | Correct


def noted(bracket: Bracket, orders: Mapping[str, Order]) -> Bracket:
    """The bracket with what its orders have filled."""
    news = {
        name: orders[name].cumulative
        for name in bracket.ids
        if name in orders and orders[name].cumulative != bracket.filled.get(name, ZERO)
    }
    return replace(bracket, filled={**bracket.filled, **news}) if news else bracket


def decide(bracket: Bracket, orders: Mapping[str, Order], cover: Decimal, now_us: int) -> list[Deed]:
    """What to send now so that each exit works for what is outstanding, and never for more than `cover`.

    An exit that is over goes at once. What failed waits for its time; the target waits until the stop is out.
    """
    wanted = ZERO if bracket.cancelled else min(bracket.outstanding, cover)
    deeds: list[Deed] = []
    for place, leg in enumerate(bracket.legs):
        order = working(leg, orders)
        if order is None:
            if _may_go_out(bracket, place, orders) and wanted > 0 and now_us >= leg.again_us:
                deeds.append(Send(leg, wanted))
        elif now_us >= leg.again_us:
            deed = _deed_on(leg, order, ZERO if leg.state is not LegState.WANTED else wanted)
            if deed is not None:
                deeds.append(deed)
    if bracket.surplus and now_us >= bracket.again_us and not _any_works(bracket, orders):
        deeds.append(Correct(bracket.surplus))
    return deeds


def _deed_on(leg: Leg, order: Order, wanted: Decimal) -> Deed | None:
    """What to do about an exit at the broker; None where it is right, or an answer must come first."""
    if any(request.kind is RequestKind.CANCEL for request in order.requests):
        return None
    if not wanted:
        return TakeBack(leg, order)
    unanswered = order.requests or order.shown in (OrderStatus.PENDING_NEW, OrderStatus.UNKNOWN)
    if unanswered or order.open_quantity == wanted:
        return None
    return TakeBack(leg, order) if leg.fixed else Resize(leg, order, order.cumulative + wanted)


def _may_go_out(bracket: Bracket, place: int, orders: Mapping[str, Order]) -> bool:
    """Whether this exit is to be sent: wanted, nothing of it unsettled, and the one before it out or given up."""
    leg = bracket.legs[place]
    if leg.state is not LegState.WANTED or leg.order_id:
        return False
    for before in bracket.legs[:place]:
        order = working(before, orders)
        if before.state is LegState.WANTED and (
            order is None or order.shown in (OrderStatus.PENDING_NEW, OrderStatus.UNKNOWN)
        ):
            return False
    return True


def working(leg: Leg, orders: Mapping[str, Order]) -> Order | None:
    """The leg's order, as long as it may trade."""
    order = orders.get(leg.order_id) if leg.order_id else None
    return None if order is None or order.ended else order


def _any_works(bracket: Bracket, orders: Mapping[str, Order]) -> bool:
    names = (*(name for leg in bracket.legs for name in leg.ids), *bracket.corrections)
    return any(name in orders and orders[name].open_quantity for name in names)


def is_over(bracket: Bracket, orders: Mapping[str, Order]) -> bool:
    """Whether nothing of it can trade any more and nothing is left to protect or to take back."""
    if any(name in orders and not orders[name].ended for name in bracket.ids):
        return False
    return bracket.cancelled or not (bracket.outstanding or bracket.surplus)


def settled(leg: Leg, orders: Mapping[str, Order], outstanding: Decimal, now_us: int) -> tuple[Leg, OrderStatus | None]:
    """The leg after what its order has come to, and how its order ended where it just did.

    Cancelled by somebody else it is off, unless there was nothing left to exit: then the venue only tidied up.
    """
    order = orders.get(leg.order_id) if leg.order_id else None
    if order is None:
        return leg, None
    if not order.ended:
        return _answered(leg, order, now_us), None
    status = order.shown
    done = replace(leg, order_id="", asked=None, taken_back=False)
    match status:
        case OrderStatus.FILLED:
            return replace(done, failures=0, again_us=0), status
        case OrderStatus.REJECTED:
            return replace(done, state=LegState.HELD), status
        case OrderStatus.DENIED:
            return failed(done, now_us), status
        case _ if leg.taken_back or not outstanding:
            return done, status
        case _:
            return replace(done, state=LegState.OFF), status


def _answered(leg: Leg, order: Order, now_us: int) -> Leg:
    """The leg once its order's requests are answered, or a cancel was not carried out."""
    price = order.stop_price if leg.kind is LegKind.STOP else order.limit_price
    if price is not None and price != leg.price:
        leg = replace(leg, price=price)
    if order.requests:
        return leg
    if leg.asked is not None:
        if order.quantity == leg.asked or order.open_quantity == ZERO:
            return replace(leg, asked=None, failures=0, again_us=0)
        return failed(replace(leg, asked=None, fixed=True), now_us, at_once=True)
    if leg.taken_back:
        return failed(replace(leg, taken_back=False), now_us)
    return leg


def failed(leg: Leg, now_us: int, at_once: bool = False) -> Leg:
    """The leg after a try that came to nothing; tried again later and later."""
    wait_us = 0 if at_once and not leg.failures else backoff_us(leg.failures)
    return replace(leg, failures=leg.failures + 1, again_us=now_us + wait_us)


def backoff_us(failures: int) -> int:
    """How long to wait after so many failures before this one."""
    return min(RETRY_LAST_US, RETRY_FIRST_US << min(failures, 6))


def shares(brackets: Sequence[Bracket], cover: Decimal) -> dict[str, Decimal]:
    """How much each of some brackets on one side of one instrument may exit, the oldest first."""
    found: dict[str, Decimal] = {}
    left = max(ZERO, cover)
    for bracket in brackets:
        found[bracket.bracket_id] = min(left, bracket.outstanding)
        left -= found[bracket.bracket_id]
    return found
