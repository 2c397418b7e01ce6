"""What brokers say, folded: orders move, fills move positions and cash, and what cannot be is a discrepancy."""

from decimal import Decimal

from msgspec.structs import replace

from schemas.execution import ExecutionReport, Fill, NotSent
from schemas.order import ExecType, OrderStatus, OrderType, Side, TimeInForce
from schemas.reference import ContractKind, Instrument
from schemas.risk import DiscrepancyKind, RiskEventKind
from schemas.scalars import rounded
from streams.accounts.discrepancies import ABOUT_ORDERS, case_id, close_case, open_case
from streams.accounts.emergency import close_positions
from streams.accounts.losses import note_closed, watch_losses
from streams.accounts.orders.fold import (
    NOT_FOUND,
    NOT_FOUND_OPEN,
    Change,
    Finding,
    Step,
    find_order,
    fold_not_sent,
    fold_report,
)
from streams.accounts.orders.order import EXTERNAL, Execution, Order
from streams.accounts.orders.states import Trigger
from streams.accounts.positions.contract import ONE, pays_difference, value
from streams.accounts.positions.ledger import FLAT, Folded, Net, fold_fill, undo_fill
from streams.accounts.queries import is_question, query_contradiction
from streams.accounts.risk.latches import note_execution, note_outcome
from streams.accounts.snapshot import say_snapshot
from streams.accounts.stops import arm, on_order_ended
from streams.accounts.turn import Turn
from streams.accounts.valuation import BOUND, terms_of

ZERO = Decimal(0)

OURS = "ql-"
"""How every order id of ours begins; an order with another id was never sent by us."""

KIND_OF = {
    Finding.CONTRADICTION: DiscrepancyKind.ORDER,
    Finding.CONFLICTING_REPEAT: DiscrepancyKind.FILL,
    Finding.MALFORMED: DiscrepancyKind.FILL,
    Finding.OVERFILL: DiscrepancyKind.OVERFILL,
    Finding.FILLS_MISSING: DiscrepancyKind.FILL,
    Finding.FILLS_UNKNOWN_THERE: DiscrepancyKind.FILL,
    Finding.UNPROVEN: DiscrepancyKind.ORDER,
}


def report(turn: Turn, said: ExecutionReport) -> None:
    """Fold one execution report. The same report twice is one."""
    account = turn.account
    ids = (said.client_order_id, said.original_client_order_id, said.broker_order_id)
    order = find_order(account.orders, *ids) or find_order(account.ended, *ids)
    if order is None and said.code in (NOT_FOUND, NOT_FOUND_OPEN):
        # Nobody has it: it ended so long ago that we forgot it, and the broker never had it or forgot it as well.
        return
    if order is None:
        order = _stranger(turn, said)
        if order is None:
            return
    if not _foldable(turn, said):
        _found(turn, order, Finding.MALFORMED, said)
        return
    step = fold_report(order, said)
    if step.order is not order:
        _moved(turn, order, step.order, step.trigger, step.changes, said)
    for finding in step.findings:
        _found(turn, step.order, finding, said)
    if Finding.CONTRADICTION in step.findings:
        query_contradiction(turn, step.order)
    elif said.exec_type is ExecType.ORDER_STATUS and not step.findings and _agrees(step):
        for kind in ABOUT_ORDERS:
            name = case_id(turn, kind, step.order.client_order_id)
            close_case(turn, name, "rule", "the broker answered, and both sides agree")
    if step.order is not order:
        note_outcome(turn, step.order, step.trigger)
        _settled(turn, step.order)
        if step.changes:
            turn.measure()
            _after_fill(turn, step.order)
            say_snapshot(turn, analysed=True)
        if step.order.ended:
            on_order_ended(turn, step.order)
            close_positions(turn)


def _agrees(step: Step) -> bool:
    """Whether an answer without findings settles a dispute: that the order stands so, or that it is not there."""
    return step.trigger is not Trigger.NOT_FOUND or step.order.shown in (OrderStatus.DENIED, OrderStatus.REJECTED)


def not_sent(turn: Turn, said: NotSent) -> None:
    """Fold that execution did not send an order, a cancel or a replace: what it held is released."""
    account = turn.account
    order = find_order(account.orders, said.client_order_id, "", "") or find_order(
        account.ended, said.client_order_id, "", ""
    )
    if order is None:
        # A question that could not be asked says nothing of the order; it is asked again when the next one is due.
        if not is_question(said.client_order_id):
            turn.say_risk(RiskEventKind.INPUT_REFUSED, "NOT_SENT_UNKNOWN_ORDER", value=said.client_order_id)
        return
    step = fold_not_sent(order, said.client_order_id, turn.at_us)
    if step.order is not order:
        turn.put_order(step.order)
        why = f"{said.reason} value={said.value} limit={said.limit}" if said.value else str(said.reason)
        turn.say_order(step.order, step.trigger, order.status, "", why)
    for finding in step.findings:
        open_case(
            turn, KIND_OF[finding], order.client_order_id, ours=str(order.status), theirs=f"not sent: {said.reason}",
            instrument_id=order.instrument_id,
        )  # fmt: skip


def _foldable(turn: Turn, said: ExecutionReport) -> bool:
    """Whether the numbers are numbers, and the contract can have such a price."""
    numbers = (said.order_quantity, said.last_quantity, said.cumulative_quantity, said.last_price, said.fee,
               said.limit_price, said.stop_price)  # fmt: skip
    if not all(number is None or (number.is_finite() and abs(number) < BOUND) for number in numbers):
        return False
    instrument = turn.instrument(said.instrument_id)
    if instrument is not None and said.last_price is not None:
        linear = abs(said.last_quantity * said.last_price * instrument.multiplier)
        if linear >= BOUND or abs(said.last_quantity * instrument.multiplier) >= BOUND:
            return False
    inverse = instrument is not None and instrument.contract is ContractKind.INVERSE
    return not (inverse and said.last_quantity and said.last_price is not None and said.last_price <= 0)


def _moved(
    turn: Turn, before: Order, after: Order, trigger: Trigger, changes: tuple[Change, ...], said: ExecutionReport
) -> None:
    instrument = turn.instrument(after.instrument_id)
    fills: list[Fill] = []
    if instrument is not None:
        executions = dict(after.executions)
        for change in changes:
            execution, fill = _fold_change(turn, after, instrument, change, said)
            fills.append(fill)
            if change.added:
                executions[change.exec_id] = execution
        if changes:
            after = replace(after, executions=executions)
    turn.put_order(after)
    why = " ".join(part for part in (said.code, said.text) if part)
    turn.say_order(after, trigger, before.status, said.exec_id, why)
    if instrument is None or not fills:
        return
    for fill in fills:
        turn.say(fill)
    turn.say_position(turn.holding(after.instrument_id), instrument)


def _after_fill(turn: Turn, order: Order) -> None:
    instrument = turn.instrument(order.instrument_id)
    if instrument is not None:
        arm(turn, order, instrument)
    watch_losses(turn)


def _fold_change(
    turn: Turn, order: Order, instrument: Instrument, change: Change, said: ExecutionReport
) -> tuple[Execution, Fill]:
    """Move position, strategy's share and cash by one fill that came or was taken back."""
    execution = change.execution
    signed = order.signed * execution.quantity
    settle = instrument.settlement_currency
    fee_currency = execution.fee_currency or settle
    own_fee = execution.fee if fee_currency == settle else ZERO
    holding = turn.holding(order.instrument_id)
    owner = order.strategy_id or EXTERNAL
    share = holding.owners.get(owner, FLAT)
    terms = terms_of(instrument)
    if change.added:
        effect = fold_fill(holding.net, terms, signed, execution.price, own_fee)
        part = fold_fill(share, terms, signed, execution.price, own_fee)
        execution = replace(
            execution,
            account_fold=_trace(holding.net, signed, execution.price, own_fee, effect.realised),
            strategy_fold=_trace(share, signed, execution.price, own_fee, part.realised),
        )
        direction, fee = ONE, execution.fee
    else:
        assert execution.account_fold is not None, "a fill taken back was folded before"
        assert execution.strategy_fold is not None, "a fill taken back was folded before"
        effect = undo_fill(holding.net, terms, execution.account_fold)
        part = undo_fill(share, terms, execution.strategy_fold)
        direction, fee = -ONE, -execution.fee
    others = holding.other_fees
    if fee_currency != settle and fee:
        others = {**others, fee_currency: others.get(fee_currency, ZERO) + fee}
    owners = dict(holding.owners)
    owners[owner] = part.net
    if not part.net.quantity:
        del owners[owner]
    closed = change.added and part.closed and (not part.net.quantity or (part.net.quantity > 0) != (share.quantity > 0))
    holding = replace(holding, net=effect.net, owners=owners, other_fees=others, last_strategy=owner)
    turn.put_holding(holding, instrument)
    if pays_difference(instrument.instrument_class, instrument.contract):
        turn.move_cash(settle, effect.realised)
    else:
        turn.move_cash(settle, -direction * value(instrument.contract, execution.price, signed, instrument.multiplier))
    turn.move_cash(fee_currency, -fee)
    if change.added:
        note_execution(turn, owner, order.instrument_id)
    if closed:
        note_closed(turn, order, share, part, instrument)
    fill = Fill(
        event_time_us=turn.at_us,
        account_id=turn.account.profile.account_id,
        fill_id=said.exec_id if change.added else f"{said.exec_id}/undoes/{change.exec_id}",
        client_order_id=order.client_order_id,
        venue=said.venue,
        instrument_id=order.instrument_id,
        side=order.side if change.added else (Side.SELL if order.side is Side.BUY else Side.BUY),
        quantity=execution.quantity,
        price=execution.price,
        currency=settle,
        fee=fee,
        fee_currency=fee_currency,
        realised_pnl=effect.realised,
        position_quantity=effect.net.quantity,
        strategy_id=order.strategy_id,
        provider_id=order.provider_id,
        signal_id=order.signal_id,
        reference_price=order.reference_price,
        multiplier=instrument.multiplier,
        contract=instrument.contract,
    )
    return execution, fill


def _trace(net: Net, quantity: Decimal, price: Decimal, fee: Decimal, realised: Decimal) -> Folded:
    return Folded(
        quantity=quantity, price=price, fee=fee, realised=realised,
        before_quantity=net.quantity, before_average=rounded(net.average_price),
    )  # fmt: skip


def _stranger(turn: Turn, said: ExecutionReport) -> Order | None:
    """An order that the broker has and we do not know: adopted under owner EXTERNAL, or a discrepancy.

    One with an id of ours ended long ago: its fills were counted then, so it is never folded again.
    """
    name = said.client_order_id or (f"EXT-{said.broker_order_id}" if said.broker_order_id else "")
    known = turn.instrument(said.instrument_id) is not None
    if not turn.account.profile.opened or not known or not name or name.startswith(OURS):
        theirs = f"{said.exec_type} {said.last_quantity} at {said.last_price} of {name or 'an order without id'}"
        open_case(turn, DiscrepancyKind.FILL if said.last_quantity else DiscrepancyKind.ORDER, name or said.exec_id,
                  ours="unknown order", theirs=theirs, instrument_id=said.instrument_id)  # fmt: skip
        return None
    return Order(
        client_order_id=name,
        instrument_id=said.instrument_id,
        side=said.side,
        order_type=OrderType.MARKET if said.limit_price is None else OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
        quantity=said.order_quantity,
        limit_price=said.limit_price,
        stop_price=said.stop_price,
        venue=said.venue,
        strategy_id=EXTERNAL,
        broker_order_id=said.broker_order_id,
        ids=(name,),
        resting=OrderStatus.PENDING_NEW,
        created_us=turn.at_us,
        updated_us=turn.at_us,
        purpose=EXTERNAL,
    )


def _found(turn: Turn, order: Order, finding: Finding, said: ExecutionReport) -> None:
    ours = f"{order.shown} {order.cumulative} of {order.quantity}"
    theirs = f"{said.exec_type} {said.order_status} {said.cumulative_quantity} of {said.order_quantity}"
    if finding in (Finding.FILLS_MISSING, Finding.FILLS_UNKNOWN_THERE):
        ours, theirs = str(order.cumulative), str(said.cumulative_quantity)
    open_case(turn, KIND_OF[finding], order.client_order_id, ours=ours, theirs=theirs,
              instrument_id=order.instrument_id, reason=finding.value)  # fmt: skip


def _settled(turn: Turn, order: Order) -> None:
    """Missing fills that came settle their discrepancy."""
    cases = turn.account.condition.cases
    if not cases:
        return
    name = case_id(turn, DiscrepancyKind.FILL, order.client_order_id)
    case = cases.get(name)
    if case is not None and case.ours != "unknown order" and _same_number(case.theirs, order.cumulative):
        close_case(turn, name, author="rule", reason="the fills came")


def _same_number(words: str, number: Decimal) -> bool:
    return words.replace(".", "", 1).lstrip("-").isdigit() and Decimal(words) == number
