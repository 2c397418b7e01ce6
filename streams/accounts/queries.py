"""Questions to the broker about orders that it has not answered, or has answered in contradiction to itself."""

from collections.abc import Iterable
from heapq import nsmallest

from msgspec.structs import replace

from schemas.ids import short_id
from schemas.order import OrderStatus, QueryOrder
from schemas.scalars import SECOND_US
from streams.accounts.orders.fold import SETTLE_US
from streams.accounts.orders.order import Order
from streams.accounts.turn import Turn

QUERY_FIRST_US = 5 * SECOND_US
QUERY_LAST_US = 60 * SECOND_US
"""First and longest time between questions about an order that the broker has not answered."""

UNANSWERED = frozenset({OrderStatus.PENDING_NEW, OrderStatus.UNKNOWN})

PATIENCE_US = 30 * SECOND_US
"""How long an order or request may wait for the broker's first word before it is asked."""


QUESTION = "qlq-"
"""How the id of every question begins."""

STALE_US = 60 * SECOND_US
"""How long a working order may stay without a word before the broker is asked, where time is that of the wall."""


AT_ONCE = 20
"""So many orders of an account are asked about with each tick: more would only wait at the venue's door."""

STALE_AT_ONCE = 1
"""So many silent orders of an account are asked about with each tick."""


def again_us(order: Order) -> int:
    """How long to wait for the next question about an order: twice as long after each, up to a minute.

    Where one more answer proves something, only questions that got none count.
    """
    tries = order.unanswered if order.absent else order.queries
    return min(QUERY_LAST_US, QUERY_FIRST_US << min(tries, 6))


def first_asked(due: Iterable[Order]) -> list[Order]:
    """Of the orders that are due, those to ask about with this tick: few at once, the longest unasked first."""
    waiting = list(due)
    if len(waiting) < 2:  # as with nearly every tick
        return waiting
    return nsmallest(AT_ONCE, waiting, key=lambda order: (order.queried_us, order.client_order_id))


def stale(orders: Iterable[Order], now_us: int) -> list[Order]:
    """Working orders that have been silent for so long that their stream may be; few at once, the longest silent first.

    A venue lets only so many questions in, and most orders that are silent just wait for their price.
    """
    silent = [
        (max(order.updated_us, order.queried_us), order.client_order_id, order)
        for order in orders
        if order.resting not in UNANSWERED
        and not order.requests
        and now_us - max(order.updated_us, order.queried_us) >= STALE_US
    ]
    return [order for _, _, order in nsmallest(STALE_AT_ONCE, silent)]


def is_due(order: Order, now_us: int) -> bool:
    """Whether an unknown outcome, or a first word that is late, is worth another question."""
    wait = again_us(order)
    if order.shown is OrderStatus.UNKNOWN:
        counts_us = order.updated_us + SETTLE_US
        if order.queried_us < counts_us <= now_us:
            return True  # whatever was answered so far came too early to prove anything
        return now_us - max(order.queried_us, order.updated_us if not order.queries else 0) >= wait
    late = order.shown is OrderStatus.PENDING_NEW and now_us - order.created_us >= PATIENCE_US
    late = late or any(now_us - request.sent_us >= PATIENCE_US for request in order.requests)
    return late and now_us - order.queried_us >= wait


def is_question(request_id: str) -> bool:
    """Whether this is the id of one of our questions; no order and no other request has such a one."""
    return request_id.startswith(QUESTION)


def query(turn: Turn, order: Order) -> None:
    """Ask what became of the order."""
    profile = turn.account.profile
    asked = replace(order, queries=order.queries + 1, unanswered=order.unanswered + 1, queried_us=turn.now_us)
    turn.put_order(asked)
    turn.say(
        QueryOrder(
            event_time_us=turn.at_us,
            request_id=QUESTION + short_id(profile.account_id, order.client_order_id, str(asked.queries)),
            client_order_id=order.ids[-1] if order.ids else order.client_order_id,
            broker_order_id=order.broker_order_id,
            account_id=profile.account_id,
            venue=order.venue or profile.venue,
            mode=profile.mode,
            instrument_id=order.instrument_id,
            symbol=order.symbol,
            attempt=asked.queries,
        )
    )


def query_contradiction(turn: Turn, order: Order) -> None:
    """Ask about an order of which the broker said what cannot be, unless it was asked a moment ago."""
    current = turn.account.orders.get(order.client_order_id) or turn.account.ended.get(order.client_order_id)
    if current is not None and turn.now_us - current.queried_us >= QUERY_FIRST_US:
        query(turn, current)
