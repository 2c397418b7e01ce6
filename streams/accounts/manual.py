"""What people ask for by hand; risk still decides."""

from decimal import Decimal

from msgspec.structs import replace as with_fields

from schemas.intent import ManualAction, ManualOrder
from schemas.order import OrderStatus, ReplaceOrder, Side
from schemas.risk import CheckOutcome, RiskEventKind
from schemas.scalars import SECOND_US
from streams.accounts.emergency import cancel
from streams.accounts.orders.fold import find_order, replace_sent
from streams.accounts.orders.order import Order
from streams.accounts.risk.checks import evaluate
from streams.accounts.risk.flow import is_answered
from streams.accounts.risk.latches import rearm
from streams.accounts.risk.view import Proposal, View
from streams.accounts.turn import Turn
from streams.accounts.wishes import SEND_WITHIN_S, note_sent, order_id, say_verdict, send_if_approved

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
        strategy_id=MANUAL,
        purpose=MANUAL,
    )


def _place(turn: Turn, asked: ManualOrder) -> None:
    proposal = proposal_of(turn.account.profile.account_id, asked)
    if proposal is None:
        _refuse(turn, asked, "ORDER_INCOMPLETE")
        return
    send_if_approved(turn, View(turn.account, turn.shared, proposal, turn.now_us), [])


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
        strategy_id=order.strategy_id,
        provider_id=order.provider_id,
        signal_id=order.signal_id,
        purpose=MANUAL,
        replaces=order,
    )
    view = View(turn.account, turn.shared, proposal, turn.now_us)
    results = evaluate(view)
    code = results[0].code if results[0].outcome is CheckOutcome.HARD else ""
    say_verdict(turn, proposal, not code, code, results, view.price)
    if code:
        return
    _send_replace(turn, view, order)


def _send_replace(turn: Turn, view: View, order: Order) -> None:
    proposal, profile = view.proposal, turn.account.profile
    within = view.bounds.value("send_within") or SEND_WITHIN_S
    command = ReplaceOrder(
        event_time_us=turn.at_us,
        request_id=proposal.client_order_id,
        client_order_id=order.ids[-1] if order.ids else order.client_order_id,
        account_id=profile.account_id,
        venue=order.venue or profile.venue,
        mode=profile.mode,
        instrument_id=order.instrument_id,
        symbol=order.symbol,
        quantity=proposal.quantity,
        submit_before_us=min(proposal.valid_until_us, turn.now_us + int(within * SECOND_US)),
        limit_price=proposal.limit_price,
        stop_price=proposal.stop_price,
        broker_order_id=order.broker_order_id,
    )
    note_sent(turn, proposal)
    asked = replace_sent(order, command)
    unit = view.unit_reserve
    if unit is not None and unit > order.unit_reserve:
        asked = with_fields(asked, unit_reserve=unit)
    turn.put_order(asked)
    turn.say(command)
    turn.say_order(asked, "REPLACE_SENT", order.status)


def _refuse(turn: Turn, asked: ManualOrder, code: str) -> None:
    turn.say_risk(
        RiskEventKind.INPUT_REFUSED, code, author=asked.author, reason=asked.reason, value=asked.request_id,
        instrument_id=asked.instrument_id,
    )  # fmt: skip
