"""Emergency: cancelling what works and closing what is held, by scope."""

from decimal import Decimal

from schemas.control import KillVerb, Scope
from schemas.order import CancelOrder, OrderStatus, Side
from schemas.scalars import DAY_US
from streams.accounts.account import Holding
from streams.accounts.orders.fold import cancel_sent
from streams.accounts.orders.order import EXIT, Order, RequestKind
from streams.accounts.risk.bounds import Bounds
from streams.accounts.risk.flow import counted
from streams.accounts.risk.view import Proposal, View
from streams.accounts.turn import Turn
from streams.accounts.wishes import order_id, send_if_approved

ZERO = Decimal(0)


def concerns(order: Order, scope: Scope, scope_id: str, account_id: str, venue: str) -> bool:
    """Whether a switch of this scope covers the order."""
    match scope:
        case Scope.GLOBAL:
            return True
        case Scope.ACCOUNT:
            return scope_id == account_id
        case Scope.VENUE:
            return scope_id == venue
        case Scope.STRATEGY:
            return scope_id == order.strategy_id
        case Scope.INSTRUMENT:
            return scope_id == order.instrument_id
        case Scope.PROVIDER:
            return scope_id == order.provider_id


def cancel_all(turn: Turn, scope: Scope, scope_id: str, cause: str) -> None:
    """Ask to cancel every working order in scope, in id order."""
    profile = turn.account.profile
    for name in sorted(turn.account.orders):
        order = turn.account.orders[name]
        if concerns(order, scope, scope_id, profile.account_id, profile.venue):
            cancel(turn, order, cause)


def cancel(turn: Turn, order: Order, cause: str) -> bool:
    """Ask to cancel one order, unless it is asked already. Cancels are counted and never denied."""
    if any(request.kind is RequestKind.CANCEL for request in order.requests) or order.ended:
        return False
    profile = turn.account.profile
    request_id = order_id(profile.account_id, cause, f"cancel:{order.client_order_id}")
    asked = cancel_sent(order, request_id, turn.now_us)
    if asked is order:
        return False
    bounds = Bounds(profile.limits)
    turn.change(flow=counted(turn.account.flow, bounds, profile.venue, order.strategy_id, turn.now_us, is_order=False))
    turn.put_order(asked)
    turn.say(
        CancelOrder(
            event_time_us=turn.at_us, request_id=request_id, client_order_id=order.ids[-1] if order.ids else
            order.client_order_id, broker_order_id=order.broker_order_id, account_id=profile.account_id,
            venue=order.venue or profile.venue, mode=profile.mode, instrument_id=order.instrument_id,
            symbol=order.symbol,
        )
    )  # fmt: skip
    turn.say_order(asked, "CANCEL_SENT", order.status, "", cause)
    return True


DRAWDOWN_STOP = "drawdown_stop"
"""State of an account that flattened itself after it fell too far from its peak."""


def close_positions(turn: Turn) -> None:
    """Send the exits that FLATTEN switches and a drawdown stop ask for, where nothing that works is in the way."""
    if DRAWDOWN_STOP in turn.account.condition.own:
        for name in sorted(turn.account.holdings):
            held = turn.account.holdings[name].net.quantity
            if held:
                exit_position(turn, name, held, "FLATTEN", DRAWDOWN_STOP)
    if not turn.shared.switches:
        return
    flattening = [switch for _, switch in sorted(turn.shared.switches.items()) if switch.verb is KillVerb.FLATTEN]
    for switch in flattening:
        for name in sorted(turn.account.holdings):
            holding = turn.account.holdings[name]
            quantity = _share(turn, holding, switch.scope, switch.scope_id)
            if quantity:
                exit_position(
                    turn, name, quantity, "FLATTEN", f"flatten:{switch.scope}/{switch.scope_id}:{switch.version}"
                )


def _share(turn: Turn, holding: Holding, scope: Scope, scope_id: str) -> Decimal:
    """Signed units that a switch of this scope closes."""
    profile, held = turn.account.profile, holding.net.quantity
    match scope:
        case Scope.GLOBAL:
            return held
        case Scope.ACCOUNT:
            return held if scope_id == profile.account_id else ZERO
        case Scope.VENUE:
            return held if scope_id == profile.venue else ZERO
        case Scope.INSTRUMENT:
            return held if scope_id == holding.instrument_id else ZERO
        case Scope.STRATEGY:
            own = holding.owners.get(scope_id)
            if own is None or not own.quantity or (own.quantity > 0) != (held > 0):
                return ZERO
            return own.quantity if abs(own.quantity) <= abs(held) else held
        case Scope.PROVIDER:
            return ZERO


def exit_position(turn: Turn, instrument_id: str, quantity: Decimal, purpose: str, cause: str) -> Order | None:
    """Send a market order that closes `quantity` signed units; nothing while orders on the closing side work."""
    holding = turn.holding(instrument_id)
    working = holding.sells if quantity > 0 else holding.buys
    exits = any(
        order.purpose == EXIT and order.instrument_id == instrument_id for order in turn.account.orders.values()
    )
    if working or exits:
        return None
    strategy_id = holding.last_strategy
    proposal = Proposal(
        client_order_id=order_id(turn.account.profile.account_id, cause, f"{instrument_id}:{turn.at_us}"),
        cause=cause,
        instrument_id=instrument_id,
        side=Side.SELL if quantity > 0 else Side.BUY,
        quantity=abs(quantity),
        made_us=turn.at_us,
        valid_until_us=turn.now_us + DAY_US,
        reduce_only=True,
        strategy_id=strategy_id,
        purpose=purpose,
    )
    return send_if_approved(turn, View(turn.account, turn.shared, proposal, turn.now_us), [])


def is_waiting(order: Order) -> bool:
    """Whether the broker has not yet said anything of it."""
    return order.shown in (OrderStatus.PENDING_NEW, OrderStatus.UNKNOWN)
