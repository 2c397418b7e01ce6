"""Brackets at work: linked exits are sent, resized and taken back as their orders and the position move.

What an exit may close is what its account holds, less what other orders are about to close: exits make room. They pass
the gate like all orders, as orders that only close. An exit that the broker refuses is held by us: a guard watches its
price.
"""

from collections import ChainMap
from collections.abc import Mapping
from decimal import Decimal

from msgspec.structs import replace

from schemas.order import OrderStatus, OrderType, Side, TimeInForce
from schemas.risk import RiskEventKind
from schemas.scalars import DAY_US
from streams.accounts.emergency import cancel
from streams.accounts.exits import Exits, begin, say_bracket
from streams.accounts.orders.brackets import (
    Bracket,
    Correct,
    Deed,
    Leg,
    LegKind,
    LegState,
    Resize,
    Send,
    TakeBack,
    backoff_us,
    decide,
    failed,
    is_over,
    noted,
    settled,
    shares,
)
from streams.accounts.orders.order import EXIT, Order
from streams.accounts.risk.reading import text
from streams.accounts.risk.view import Proposal, View
from streams.accounts.stops import let_go, watch_price
from streams.accounts.turn import Turn
from streams.accounts.wishes import order_id, replace_if_approved, send_if_approved

ZERO = Decimal(0)

CORRECTION = "CORRECTION"
"""Purpose of the order that takes back what both exits together closed too much."""


def protect(turn: Turn, request_id: str, instrument_id: str, side: Side, quantity: Decimal, exits: Exits) -> str:
    """Send a pair of exits for so much of what is held. Returns why not, empty where they go out."""
    holding = turn.holding(instrument_id)
    if _cover(turn, instrument_id, side) - _claimed(turn, instrument_id, side) < quantity:
        return "POSITION_TOO_SMALL"
    begin(turn, exits, Bracket(
        bracket_id=order_id(turn.account.profile.account_id, request_id), cause=request_id, entry_id="",
        instrument_id=instrument_id, side=side, strategy_id=holding.last_strategy, created_us=turn.now_us, legs=(),
        quantity=quantity,
    ))  # fmt: skip
    return ""


def take_back(turn: Turn, entry_id: str) -> bool:
    """Take back the exits of an entry that has ended. Returns whether there were any."""
    bracket = turn.account.brackets.get(entry_id)
    if bracket is None or bracket.cancelled or is_over(bracket, _known(turn)):
        return False
    turn.put_bracket(replace(bracket, cancelled=True))
    return True


def settle(turn: Turn) -> None:
    """Bring every bracket to what its orders and the position ask for now."""
    account = turn.account
    known = _known(turn)
    for bracket in account.brackets.values():
        turn.put_bracket(noted(bracket, known))
    for instrument_id, side in sorted({(one.instrument_id, one.side) for one in turn.account.brackets.values()}):
        _settle_side(turn, instrument_id, side)
    over = [name for name, one in turn.account.brackets.items() if is_over(one, known) and _is_forgotten(turn, one)]
    if over:
        turn.change(brackets={name: one for name, one in turn.account.brackets.items() if name not in over})


def _settle_side(turn: Turn, instrument_id: str, side: Side) -> None:
    if turn.instrument(instrument_id) is None:
        return
    _note_closed_elsewhere(turn, instrument_id, side)
    allowed = shares(_of(turn, instrument_id, side), _cover(turn, instrument_id, side))
    for bracket in _of(turn, instrument_id, side):
        current = _settled(turn, bracket)
        for deed in decide(current, _known(turn), allowed[bracket.bracket_id], turn.now_us):
            current = _carried_out(turn, current, deed)
        turn.put_bracket(current)
        if is_over(current, _known(turn)):
            for leg in current.legs:
                let_go(turn, instrument_id, current.strategy_id, leg.price)


def _known(turn: Turn) -> Mapping[str, Order]:
    return ChainMap(turn.account.orders, turn.account.ended)


def _of(turn: Turn, instrument_id: str, side: Side) -> list[Bracket]:
    """The brackets of one side of an instrument, the oldest first."""
    found = (one for one in turn.account.brackets.values() if (one.instrument_id, one.side) == (instrument_id, side))
    return sorted(found, key=lambda one: (one.created_us, one.bracket_id))


def _held(turn: Turn, instrument_id: str, side: Side) -> Decimal:
    """Units that exits on this side could close."""
    quantity = turn.holding(instrument_id).net.quantity
    return max(ZERO, -quantity if side is Side.BUY else quantity)


def _cover(turn: Turn, instrument_id: str, side: Side) -> Decimal:
    """Units that are left to exits once all other closing orders have filled."""
    holding = turn.holding(instrument_id)
    working = holding.buys if side is Side.BUY else holding.sells
    return max(ZERO, _held(turn, instrument_id, side) - working)


def _claimed(turn: Turn, instrument_id: str, side: Side) -> Decimal:
    return sum((one.outstanding for one in _of(turn, instrument_id, side) if not one.cancelled), ZERO)


def _note_closed_elsewhere(turn: Turn, instrument_id: str, side: Side) -> None:
    """What is not held any more needs no exit, also when it is bought again; the newest bracket loses first."""
    brackets = _of(turn, instrument_id, side)
    missing = sum((one.outstanding for one in brackets), ZERO) - _held(turn, instrument_id, side)
    for bracket in reversed(brackets):
        if missing <= 0:
            return
        lost = min(missing, bracket.outstanding)
        if lost:
            turn.put_bracket(replace(bracket, elsewhere=bracket.elsewhere + lost))
            missing -= lost


def _settled(turn: Turn, bracket: Bracket) -> Bracket:
    """The bracket after what its exits have come to; what people must know is told."""
    legs = []
    for leg in bracket.legs:
        after, ended = settled(leg, _known(turn), bracket.outstanding, turn.now_us)
        if ended is not None and bracket.outstanding and not bracket.cancelled:
            after = _tell_end(turn, bracket, leg, after, ended)
        if after.state is LegState.HELD and bracket.outstanding and not bracket.cancelled:
            stop = leg.kind is LegKind.STOP
            watch_price(turn, bracket.instrument_id, bracket.strategy_id, leg.price, is_stop=stop)
        legs.append(after)
    if bracket.surplus > bracket.raced:
        say_bracket(turn, RiskEventKind.BRACKET, "EXITS_RACED", bracket, text(bracket.surplus),
             "both exits filled; the surplus is taken back")  # fmt: skip
        bracket = replace(bracket, raced=bracket.surplus)
    return replace(bracket, legs=tuple(legs)) if tuple(legs) != bracket.legs else bracket


def _tell_end(turn: Turn, bracket: Bracket, before: Leg, after: Leg, ended: OrderStatus) -> Leg:
    if after.state is LegState.HELD:
        say_bracket(turn, RiskEventKind.BRACKET, "EXIT_HELD", bracket, f"{before.kind} {text(before.price)}",
             "the broker refused this exit; its price is watched here")  # fmt: skip
    elif after.state is LegState.OFF:
        kind = RiskEventKind.UNPROTECTED if before.kind is LegKind.STOP else RiskEventKind.BRACKET
        say_bracket(turn, kind, "EXIT_GONE", bracket, f"{before.kind} {text(before.price)}",
             f"this exit was not taken back by its bracket, and is {ended}; it is not sent again")  # fmt: skip
    return after


def _carried_out(turn: Turn, bracket: Bracket, deed: Deed) -> Bracket:
    """The bracket after one deed, done or failed."""
    match deed:
        case Send(leg, quantity):
            return _with(bracket, leg, _sent(turn, bracket, leg, quantity))
        case Resize(leg, order, quantity):
            return _with(bracket, leg, _resized(turn, bracket, leg, order, quantity))
        case TakeBack(leg, order):
            tried = replace(leg, sent=leg.sent + 1, taken_back=True)
            asked = cancel(turn, order, f"{bracket.bracket_id}:{leg.kind}:{tried.sent}")
            return _with(bracket, leg, tried if asked else failed(tried, turn.now_us))
        case Correct(quantity):
            return _corrected(turn, bracket, quantity)


def _with(bracket: Bracket, before: Leg, after: Leg) -> Bracket:
    return replace(bracket, legs=tuple(after if leg.kind is before.kind else leg for leg in bracket.legs))


def _sent(turn: Turn, bracket: Bracket, leg: Leg, quantity: Decimal) -> Leg:
    tried = replace(leg, sent=leg.sent + 1)
    sent = send_if_approved(
        turn, View(turn.account, turn.shared, _proposal(turn, bracket, tried, quantity), turn.now_us), []
    )
    if sent is None:
        if not leg.told:
            say_bracket(turn, RiskEventKind.UNPROTECTED, "EXIT_DENIED", bracket, f"{leg.kind} {text(leg.price)}",
                 "this exit was denied; it is tried again")  # fmt: skip
        return failed(replace(tried, told=True), turn.now_us)
    if leg.told:
        say_bracket(turn, RiskEventKind.PROTECTED, "EXIT_SENT", bracket, f"{leg.kind} {text(leg.price)}")
    return replace(tried, order_id=sent.client_order_id, ids=(*leg.ids, sent.client_order_id), told=False)


def _resized(turn: Turn, bracket: Bracket, leg: Leg, order: Order, quantity: Decimal) -> Leg:
    tried = replace(leg, sent=leg.sent + 1)
    proposal = _proposal(turn, bracket, tried, quantity)._replace(replaces=order)
    if replace_if_approved(turn, proposal, order):
        return replace(tried, asked=quantity)
    shrinks = quantity < order.quantity  # what may not be changed can still be cancelled
    return failed(replace(tried, fixed=shrinks or leg.fixed), turn.now_us, at_once=shrinks)


def _proposal(turn: Turn, bracket: Bracket, leg: Leg, quantity: Decimal) -> Proposal:
    is_stop = leg.kind is LegKind.STOP
    return Proposal(
        client_order_id=order_id(
            turn.account.profile.account_id, f"{bracket.bracket_id}:{leg.kind}", str(leg.sent)
        ),
        cause=bracket.cause,
        instrument_id=bracket.instrument_id,
        side=bracket.side,
        quantity=quantity,
        made_us=turn.at_us,
        valid_until_us=turn.now_us + DAY_US,
        order_type=OrderType.STOP if is_stop else OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
        limit_price=None if is_stop else leg.price,
        stop_price=leg.price if is_stop else None,
        reduce_only=True,
        strategy_id=bracket.strategy_id,
        purpose=EXIT,
    )  # fmt: skip


def _corrected(turn: Turn, bracket: Bracket, quantity: Decimal) -> Bracket:
    """Open again what both exits closed too much; where that closes what they opened, it may only do that."""
    side = Side.SELL if bracket.side is Side.BUY else Side.BUY
    tries = len(bracket.corrections) + bracket.failures
    proposal = Proposal(
        client_order_id=order_id(turn.account.profile.account_id, f"{bracket.bracket_id}:{CORRECTION}", str(tries)),
        cause=bracket.cause,
        instrument_id=bracket.instrument_id,
        side=side,
        quantity=quantity,
        made_us=turn.at_us,
        valid_until_us=turn.now_us + DAY_US,
        reduce_only=_held(turn, bracket.instrument_id, side) >= quantity,
        strategy_id=bracket.strategy_id,
        purpose=CORRECTION,
    )
    sent = send_if_approved(turn, View(turn.account, turn.shared, proposal, turn.now_us), [])
    again_us = turn.now_us + backoff_us(bracket.failures)
    if sent is None:
        return replace(bracket, failures=bracket.failures + 1, again_us=again_us)
    return replace(
        bracket, corrections=(*bracket.corrections, sent.client_order_id), failures=bracket.failures + 1,
        again_us=again_us,
    )  # fmt: skip


def _is_forgotten(turn: Turn, bracket: Bracket) -> bool:
    """Whether no order of it is remembered any more, so that no late word about one can move it."""
    return not any(name in turn.account.orders or name in turn.account.ended for name in bracket.ids)
