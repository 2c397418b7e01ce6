"""What people ask for by hand; risk still decides."""

from decimal import Decimal

from schemas.intent import ManualAction, ManualOrder
from schemas.order import OrderStatus, OrderType, Side
from schemas.risk import RiskEventKind
from streams.accounts.brackets import protect, take_back
from streams.accounts.emergency import cancel
from streams.accounts.exits import Exits, link
from streams.accounts.orders.fold import find_order
from streams.accounts.orders.order import Order
from streams.accounts.risk.flow import is_answered
from streams.accounts.risk.latches import rearm
from streams.accounts.risk.view import Proposal, View
from streams.accounts.turn import Turn
from streams.accounts.wishes import order_id, replace_if_approved, send_if_approved

ZERO = Decimal(0)

MANUAL = "MANUAL"
"""Owner of orders that a person placed."""

CLOSE = "CLOSE"
"""Purpose of an order by which a person closes a position."""


def manual(turn: Turn, asked: ManualOrder) -> None:
    """Carry out what a person asks, as far as risk lets it. The same request twice is one."""
    if is_answered(turn.account.flow, asked.request_id, turn.shared.time.now_us):
        return
    turn.note_intent(asked.request_id, asked.valid_until_us)
    match asked.action:
        case ManualAction.PLACE:
            _place(turn, asked)
        case ManualAction.CLOSE_POSITION:
            _close(turn, asked)
        case ManualAction.CANCEL:
            if asked.client_order_id not in turn.account.orders and take_back(turn, asked.client_order_id):
                return
            order = _meant(turn, asked)
            if order is not None and not cancel(turn, order, f"{asked.request_id} {asked.author}: {asked.reason}"):
                _refuse(turn, asked, "CANCEL_NOT_POSSIBLE")
        case ManualAction.REPLACE:
            order = _meant(turn, asked)
            if order is not None:
                _replace(turn, asked, order)
        case ManualAction.REARM:
            if not rearm(turn, asked.check_id, asked.author, asked.reason):
                _refuse(turn, asked, "NOT_LATCHED")


def proposal_of(account_id: str, asked: ManualOrder) -> Proposal | None:
    """The order that a request to place would be; None where it lacks side or quantity, or a number is none."""
    numbers = (asked.quantity, asked.limit_price, asked.stop_price, asked.trail_offset)
    if asked.side is None or asked.quantity is None or not all(one is None or one.is_finite() for one in numbers):
        return None
    return Proposal(
        client_order_id=order_id(account_id, asked.request_id),
        cause=asked.request_id,
        instrument_id=asked.instrument_id,
        side=asked.side,
        quantity=asked.quantity,
        made_us=asked.event_time_us,
        valid_until_us=asked.valid_until_us,
        order_type=asked.order_type,
        time_in_force=asked.time_in_force,
        limit_price=asked.limit_price,
        stop_price=asked.stop_price,
        trail_offset=asked.trail_offset,
        expire_at_us=asked.expire_at_us,
        reduce_only=asked.reduce_only,
        post_only=asked.post_only,
        strategy_id=MANUAL,
        purpose=MANUAL,
    )


def _place(turn: Turn, asked: ManualOrder) -> None:
    proposal = proposal_of(turn.account.profile.account_id, asked)
    if proposal is None:
        _refuse(turn, asked, "ORDER_INCOMPLETE")
        return
    exits = Exits(asked.stop_loss_price, asked.take_profit_price)
    wanted = asked.oco or exits != Exits()
    if wanted:
        code = _objection(turn, asked, proposal, exits)
        if code:
            _refuse(turn, asked, code)
            return
    if asked.oco:
        code = protect(turn, asked.request_id, asked.instrument_id, proposal.side, proposal.quantity, exits)
        if code:
            _refuse(turn, asked, code)
        return
    sent = send_if_approved(turn, View(turn.account, turn.shared, proposal, turn.now_us), [])
    if sent is not None and wanted:
        link(turn, sent, exits)


def _objection(turn: Turn, asked: ManualOrder, proposal: Proposal, exits: Exits) -> str:
    """Why an order cannot have these exits; empty where it can. A pair of them has no entry, and needs both."""
    buys = proposal.side is Side.BUY
    if asked.oco:
        if None in exits:
            return "EXITS_MISSING"
        if proposal.order_type is not OrderType.MARKET or proposal.limit_price is not None:
            return "PRICE_NOT_WANTED"
        if proposal.post_only:
            return "POST_ONLY"
        return exits.objection(Side.BUY if buys else Side.SELL, turn.instrument(asked.instrument_id))
    if proposal.reduce_only:
        return "EXITS_NOT_WANTED"
    return exits.objection(Side.SELL if buys else Side.BUY, turn.instrument(asked.instrument_id))


def _close(turn: Turn, asked: ManualOrder) -> None:
    """Close the whole position; what works on the closing side is cancelled first and must be asked for again."""
    holding = turn.holding(asked.instrument_id)
    held = holding.net.quantity
    if not held:
        _refuse(turn, asked, "POSITION_FLAT")
        return
    for name in sorted(turn.account.orders):
        order = turn.account.orders[name]
        if order.instrument_id == asked.instrument_id:
            cancel(turn, order, asked.request_id)
    proposal = Proposal(
        client_order_id=order_id(turn.account.profile.account_id, asked.request_id),
        cause=asked.request_id,
        instrument_id=asked.instrument_id,
        side=Side.SELL if held > 0 else Side.BUY,
        quantity=abs(held),
        made_us=asked.event_time_us,
        valid_until_us=asked.valid_until_us,
        reduce_only=True,
        strategy_id=holding.last_strategy,
        purpose=CLOSE,
    )
    send_if_approved(turn, View(turn.account, turn.shared, proposal, turn.now_us), [])


def _meant(turn: Turn, asked: ManualOrder) -> Order | None:
    order = find_order(turn.account.orders, asked.client_order_id, "", "")
    if order is None:
        _refuse(turn, asked, "ORDER_UNKNOWN")
    return order


def _replace(turn: Turn, asked: ManualOrder, order: Order) -> None:
    """Change an order: judged like a new one with the old one gone."""
    if order.requests or order.shown in (OrderStatus.PENDING_NEW, OrderStatus.UNKNOWN):
        _refuse(turn, asked, "REPLACE_NOT_POSSIBLE")
        return
    quantity = asked.quantity if asked.quantity is not None else order.quantity
    if not all(one is None or one.is_finite() for one in (asked.quantity, asked.limit_price, asked.stop_price)):
        _refuse(turn, asked, "NOT_A_NUMBER")
        return
    proposal = Proposal(
        client_order_id=order_id(turn.account.profile.account_id, asked.request_id, "replace"),
        cause=asked.request_id,
        instrument_id=order.instrument_id,
        side=order.side,
        quantity=quantity,
        made_us=asked.event_time_us,
        valid_until_us=asked.valid_until_us,
        order_type=order.order_type,
        time_in_force=order.time_in_force,
        limit_price=asked.limit_price if asked.limit_price is not None else order.limit_price,
        stop_price=asked.stop_price if asked.stop_price is not None else order.stop_price,
        trail_offset=order.trail_offset,
        expire_at_us=order.expire_at_us,
        reduce_only=order.reduce_only,
        post_only=order.post_only,
        strategy_id=order.strategy_id,
        provider_id=order.provider_id,
        signal_id=order.signal_id,
        purpose=MANUAL,
        replaces=order,
    )
    replace_if_approved(turn, proposal, order)


def _refuse(turn: Turn, asked: ManualOrder, code: str) -> None:
    turn.say_risk(
        RiskEventKind.INPUT_REFUSED, code, author=asked.author, reason=asked.reason, value=asked.request_id,
        instrument_id=asked.instrument_id,
    )  # fmt: skip
