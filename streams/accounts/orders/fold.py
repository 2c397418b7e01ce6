"""How reports and our own requests fold into an order: a small interpreter over the table in `states`.

Nothing is dropped: what cannot be true becomes a finding, and what repeats changes nothing and says nothing.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from msgspec.structs import replace

from schemas.execution import ExecutionReport
from schemas.order import ExecType, OrderStatus, ReplaceOrder
from schemas.scalars import SECOND_US
from streams.accounts.orders.order import PENDING_STATUS, Execution, Order, Request, RequestKind
from streams.accounts.orders.states import DEAD, OF_EXEC_TYPE, OF_STATUS, TABLE, Trigger

ZERO = Decimal(0)

SETTLE_US = 20 * SECOND_US
"""A request that was under way when it was last heard of has arrived by then or never will: the session of a worker
that lost it, the longest call, and a margin."""

ABSENT_ENOUGH = 2
"""So many answers of a broker make it a proof that it has no such order."""

NOT_FOUND = "NOT_FOUND"
"""Code of the answer of a broker that would know the order for ever, had it ever had it."""

NOT_FOUND_OPEN = "NOT_FOUND_OPEN"
"""Code of the answer of a broker that forgets orders: no proof of anything."""

FILL_TRIGGERS = frozenset({Trigger.TRADE, Trigger.TRADE_CANCEL, Trigger.TRADE_CORRECT})

ENDED_STATUSES = DEAD | {OrderStatus.FILLED}


class Finding(StrEnum):
    """Why a report needs a second look; the order is right as far as it can be."""

    CONTRADICTION = "CONTRADICTION"
    OVERFILL = "OVERFILL"
    CONFLICTING_REPEAT = "CONFLICTING_REPEAT"
    MALFORMED = "MALFORMED"
    FILLS_MISSING = "FILLS_MISSING"
    FILLS_UNKNOWN_THERE = "FILLS_UNKNOWN_THERE"
    UNPROVEN = "UNPROVEN"


class Change(NamedTuple):
    """A fill that came (`added`) or was taken back; a correction is first one, then the other."""

    exec_id: str
    execution: Execution
    added: bool


class Step(NamedTuple):
    """What one report did. `order` is the same object where nothing changed."""

    order: Order
    trigger: Trigger
    changes: tuple[Change, ...] = ()
    findings: tuple[Finding, ...] = ()


def fold_report(order: Order, report: ExecutionReport) -> Step:
    """Fold one execution report (or cancel reject) into the order that it is about."""
    if report.exec_type is ExecType.ORDER_STATUS and report.code in (NOT_FOUND, NOT_FOUND_OPEN):
        return fold_not_found(order, report)
    queried = report.exec_type is ExecType.ORDER_STATUS
    trigger = OF_STATUS[report.order_status] if queried else OF_EXEC_TYPE[report.exec_type]
    if report.exec_id in order.reports:
        return Step(order, trigger, (), _conflicts(order, report, trigger))
    if trigger is Trigger.TRADE and not _is_fill(report):
        return Step(order, trigger, (), (Finding.MALFORMED,))
    if trigger is Trigger.TRADE_CORRECT and not _is_fill(report):
        return Step(order, trigger, (), (Finding.MALFORMED,))
    cell = TABLE[order.shown][trigger]
    findings = [Finding.CONTRADICTION] if cell.contradicts else []
    after, changes = _with_fill(order, report, trigger)
    requests = _requests(order, report, trigger, cell.contradicts and trigger is Trigger.REJECTED)
    after = replace(
        after,
        resting=_resting(order, trigger),
        requests=requests,
        answered=_answered(order, requests),
        absent=0,
        unanswered=0,
        broker_order_id=report.broker_order_id or order.broker_order_id,
        quantity=order.quantity or report.order_quantity,
        updated_us=max(order.updated_us, report.event_time_us),
    )
    if trigger is Trigger.REPLACED and order.resting not in DEAD:
        after = _replaced(order, after, report)
    elif trigger is Trigger.RESTATED:
        after = _restated(after, report)
    if queried:
        findings += _compared(after, report)
    if any(change.added for change in changes) and after.cumulative > after.quantity:
        findings.append(Finding.OVERFILL)
    return Step(after, trigger, changes, tuple(findings))


def cancel_sent(order: Order, request_id: str, now_us: int) -> Order:
    """The order, once we have asked to cancel it."""
    return _asked(order, Request(request_id=request_id, kind=RequestKind.CANCEL, sent_us=now_us))


def replace_sent(order: Order, wish: ReplaceOrder) -> Order:
    """The order, once we have asked to replace it."""
    return _asked(
        order,
        Request(
            request_id=wish.request_id,
            kind=RequestKind.REPLACE,
            quantity=wish.quantity,
            limit_price=wish.limit_price,
            stop_price=wish.stop_price,
            sent_us=wish.event_time_us,
        ),
    )


def fold_not_sent(order: Order, client_order_id: str, now_us: int) -> Step:
    """Fold that execution did not send the order itself, or a request about it."""
    if client_order_id == order.client_order_id:
        cell = TABLE[order.shown][Trigger.NOT_SENT]
        findings = (Finding.CONTRADICTION,) if cell.contradicts else ()
        if cell.resting is None:
            return Step(order, Trigger.NOT_SENT, (), findings)
        after = replace(order, resting=cell.resting, requests=(), answered=_answered(order, ()), updated_us=now_us)
        return Step(after, Trigger.NOT_SENT, (), findings)
    left = tuple(request for request in order.requests if request.request_id != client_order_id)
    if len(left) == len(order.requests):
        return Step(order, Trigger.REQUEST_NOT_SENT)
    after = replace(order, requests=left, answered=_answered(order, left), updated_us=now_us)
    return Step(after, Trigger.REQUEST_NOT_SENT)


def fold_not_found(order: Order, report: ExecutionReport) -> Step:
    """Fold that the broker was asked and knows no such order. Once is no proof: a request may be under way still.

    It counts from `SETTLE_US` after the last word about the order; counted twice, the order never came to be. Of one
    that the broker had before, it is a contradiction. A broker that forgets orders proves nothing: a person decides.
    """
    if report.exec_id in order.reports or order.ended:
        return Step(order, Trigger.NOT_FOUND)
    cell = TABLE[order.shown][Trigger.NOT_FOUND]
    if cell.contradicts:
        return Step(order, Trigger.NOT_FOUND, (), (Finding.CONTRADICTION,))
    if report.event_time_us - order.updated_us < SETTLE_US:
        return Step(order, Trigger.NOT_FOUND)
    if report.code != NOT_FOUND:
        return Step(order, Trigger.NOT_FOUND, (), (Finding.UNPROVEN,))
    asked = replace(order, absent=order.absent + 1, unanswered=0, reports={**order.reports, report.exec_id: ""})
    if asked.absent < ABSENT_ENOUGH or cell.resting is None:
        return Step(asked, Trigger.NOT_FOUND)
    gone = replace(
        asked,
        resting=cell.resting,
        requests=(),
        answered=_answered(asked, ()),
        updated_us=max(order.updated_us, report.event_time_us),
    )
    return Step(gone, Trigger.NOT_FOUND)


def find_order(orders: Mapping[str, Order], client_order_id: str, original: str, broker_order_id: str) -> Order | None:
    """The order that these ids mean: by its own id, an id of its replace chain or requests, or the broker's."""
    for name in (client_order_id, original):
        if name and name in orders:
            return orders[name]
    wanted = {name for name in (client_order_id, original) if name}
    for order in _by_id(orders.values()):
        if not wanted.isdisjoint(order.ids) or any(request.request_id in wanted for request in order.requests):
            return order
        if broker_order_id and order.broker_order_id == broker_order_id:
            return order
    return None


def _by_id(orders: Iterable[Order]) -> list[Order]:
    return sorted(orders, key=lambda order: order.client_order_id)


def _asked(order: Order, request: Request) -> Order:
    if request.request_id in order.answered or any(one.request_id == request.request_id for one in order.requests):
        return order
    return replace(order, requests=(*order.requests, request), updated_us=max(order.updated_us, request.sent_us))


def _is_fill(report: ExecutionReport) -> bool:
    return report.last_quantity > 0 and report.last_price is not None


def _conflicts(order: Order, report: ExecutionReport, trigger: Trigger) -> tuple[Finding, ...]:
    """A repeat says nothing, unless it tells another story about the same fill."""
    known = order.executions.get(report.exec_id)
    if trigger is not Trigger.TRADE or known is None or known.corrected:
        return ()
    same = known.quantity == report.last_quantity and known.price == report.last_price
    return () if same else (Finding.CONFLICTING_REPEAT,)


def _resting(order: Order, trigger: Trigger) -> OrderStatus:
    cell = TABLE[order.shown][trigger]
    if cell.resting is None or (cell.only_beyond_day and not order.beyond_day):
        return order.resting
    return cell.resting


def _with_fill(order: Order, report: ExecutionReport, trigger: Trigger) -> tuple[Order, tuple[Change, ...]]:
    """The order with the report noted, and the fill it brings, corrects or busts folded into the sums."""
    if trigger not in FILL_TRIGGERS:
        return replace(order, reports={**order.reports, report.exec_id: ""}), ()
    root = report.exec_id
    changes: list[Change] = []
    executions = dict(order.executions)
    revoked = order.revoked
    if trigger is not Trigger.TRADE:
        root = order.reports.get(report.reference_exec_id) or report.reference_exec_id
        old = executions.pop(root, None)
        if old is not None:
            changes.append(Change(root, old, added=False))
        elif trigger is Trigger.TRADE_CANCEL and root and root not in revoked:
            revoked = (*revoked, root)
    if trigger is not Trigger.TRADE_CANCEL and report.exec_id not in revoked and _expected(order, root, trigger):
        execution = _execution(report, corrected=trigger is Trigger.TRADE_CORRECT)
        executions[root or report.exec_id] = execution
        changes.append(Change(root or report.exec_id, execution, added=True))
    cumulative = order.carried + sum((one.quantity for one in executions.values()), ZERO)
    paid = order.paid + sum(
        (one.execution.quantity * one.execution.price * (1 if one.added else -1) for one in changes), ZERO
    )
    fields: dict[str, Any] = {"executions": executions, "revoked": revoked, "cumulative": cumulative, "paid": paid}
    return replace(order, reports={**order.reports, report.exec_id: root}, **fields), tuple(changes)


def _expected(order: Order, root: str, trigger: Trigger) -> bool:
    """A trade that was busted or corrected before it came is noted, not counted."""
    return trigger is not Trigger.TRADE or (root not in order.executions and root not in order.revoked)


def _execution(report: ExecutionReport, corrected: bool) -> Execution:
    assert report.last_price is not None, "a fill without a price is refused before"
    return Execution(
        quantity=report.last_quantity,
        price=report.last_price,
        fee=report.fee if report.fee is not None else ZERO,
        fee_currency=report.fee_currency,
        corrected=corrected,
    )


def _requests(order: Order, report: ExecutionReport, trigger: Trigger, keep: bool) -> tuple[Request, ...]:
    """Pending requests after the report: acknowledged, answered, or untouched."""
    if trigger in (Trigger.PENDING_CANCEL, Trigger.PENDING_REPLACE):
        return _acknowledged(order, report, trigger)
    if keep or not order.requests:
        return order.requests
    if report.exec_type is ExecType.ORDER_STATUS and trigger is Trigger.NEW:
        # Asked long after it, the broker tells of the order as if the request had never come: then it never will.
        return tuple(request for request in order.requests if order.queried_us - request.sent_us < SETTLE_US)
    if trigger in (Trigger.CANCEL_REJECTED, Trigger.REPLACE_REJECTED):
        return tuple(request for request in order.requests if request.request_id != report.client_order_id)
    answered = [request for request in order.requests if TABLE[PENDING_STATUS[request.kind]][trigger].answers]
    if trigger is Trigger.REPLACED:
        named = [request for request in answered if request.request_id == report.client_order_id]
        unnamed = [request for request in answered if request.acknowledged][:1]
        answered = named or ([] if report.client_order_id not in order.ids else unnamed)
    return tuple(request for request in order.requests if request not in answered)


def _answered(order: Order, left: tuple[Request, ...]) -> tuple[str, ...]:
    """Ids of all requests answered so far, so that a late word about one does not raise it again."""
    if len(left) >= len(order.requests):
        return order.answered
    still = {request.request_id for request in left}
    return (*order.answered, *(one.request_id for one in order.requests if one.request_id not in still))


def _acknowledged(order: Order, report: ExecutionReport, trigger: Trigger) -> tuple[Request, ...]:
    kind = RequestKind.CANCEL if trigger is Trigger.PENDING_CANCEL else RequestKind.REPLACE
    if order.resting in DEAD or report.client_order_id in order.answered:
        return order.requests
    known = [request for request in order.requests if request.request_id == report.client_order_id]
    if not known:
        known = [request for request in order.requests if request.kind is kind][:1]
    if not known:
        return (*order.requests, Request(request_id=report.client_order_id, kind=kind, acknowledged=True))
    return tuple(replace(request, acknowledged=True) if request is known[0] else request for request in order.requests)


def _replaced(before: Order, after: Order, report: ExecutionReport) -> Order:
    """The order with the terms that the broker confirmed; a quantity at or below the executed is the executed one."""
    request = next((one for one in before.requests if one.request_id == report.client_order_id), None)
    wished = request.quantity if request is not None and request.quantity is not None else before.quantity
    quantity = max(report.order_quantity or wished, after.cumulative)
    limit_price, stop_price = report.limit_price, report.stop_price
    if request is not None:
        limit_price = limit_price if limit_price is not None else request.limit_price
        stop_price = stop_price if stop_price is not None else request.stop_price
    named = report.client_order_id
    return replace(
        after,
        quantity=quantity,
        limit_price=limit_price if limit_price is not None else before.limit_price,
        stop_price=stop_price if stop_price is not None else before.stop_price,
        ids=after.ids if named in after.ids else (*after.ids, named),
    )


def _restated(order: Order, report: ExecutionReport) -> Order:
    """The order as the broker restates it: new quantity or price, and fills scaled with it where a split did it."""
    quantity = report.order_quantity or order.quantity
    carried = order.carried
    scaled = quantity != order.quantity and report.cumulative_quantity * order.quantity == order.cumulative * quantity
    if scaled and order.cumulative:
        carried += report.cumulative_quantity - order.cumulative
    return replace(
        order,
        quantity=max(quantity, report.cumulative_quantity if scaled else order.cumulative),
        carried=carried,
        cumulative=order.cumulative + carried - order.carried,
        limit_price=report.limit_price if report.limit_price is not None else order.limit_price,
        stop_price=report.stop_price if report.stop_price is not None else order.stop_price,
    )


def _compared(order: Order, report: ExecutionReport) -> list[Finding]:
    """What the answer to a query says otherwise than we do."""
    findings = []
    if report.cumulative_quantity > order.cumulative:
        findings.append(Finding.FILLS_MISSING)
    elif report.cumulative_quantity < order.cumulative:
        findings.append(Finding.FILLS_UNKNOWN_THERE)
    live_there = report.order_status not in ENDED_STATUSES
    if live_there and order.resting in DEAD and not _overtaken(order, report):
        findings.append(Finding.CONTRADICTION)
    return findings


def _overtaken(order: Order, report: ExecutionReport) -> bool:
    """Whether the broker told of the order's end while this answer, of a time before it, was under way."""
    return order.resting in (OrderStatus.CANCELED, OrderStatus.EXPIRED) and report.event_time_us < order.updated_us
