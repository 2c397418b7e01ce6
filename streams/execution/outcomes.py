"""What becomes of a command: the rules of execution. Pure; who asks the broker is not decided here.

    before the socket   an objection of ours, gravest first: MODE, KILLED, LATE, CLOCK      NotSent
    the broker          answered                                                             its report
                        refused                                                              a rejection
                        may have done it                                                     UNKNOWN
                        could not be reached, provably                                       NotSent(UNAVAILABLE)
                        knows no such order (a query)                                        NOT_FOUND

New risk is a submit that is not reduce-only, and every replace: what it changes cannot be seen from the request.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import assert_never

from msgspec.structs import replace

from schemas.control import KillSwitch, KillVerb, Mode, Scope
from schemas.execution import ExecutionReport, NotSent, NotSentReason
from schemas.ids import short_id
from schemas.order import CancelOrder, ExecType, OrderStatus, QueryOrder, ReplaceOrder, Side, SubmitOrder
from schemas.record import Record
from schemas.scalars import SECOND_US, ZERO, iso_of

Command = SubmitOrder | CancelOrder | ReplaceOrder | QueryOrder

TICK_AGE_US_MAX = 3 * SECOND_US
"""With a clock silent for longer, only cancels, queries and reductions are sent."""

QUESTION_AGE_US_MAX = 15 * SECOND_US
"""An older question is not asked: a newer one is on its way, and a backlog of questions must not hold back orders."""

NOT_FOUND = "NOT_FOUND"
"""Code of a query's answer about an order that the broker does not know."""

NOT_FOUND_OPEN = "NOT_FOUND_OPEN"
"""The same of a broker that may have forgotten it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What execution knows when it is about to send.

    now_us: the wall clock; in REPLAY it is not looked at, the command's own time is now.
    newest_tick_us: newest clock tick; None before the first.
    kills: newest kill switch of each scope, by its scope key.
    """

    mode: Mode
    now_us: int = 0
    newest_tick_us: int | None = None
    kills: Mapping[str, KillSwitch] = field(default_factory=dict)

    def now(self, command: Command) -> int:
        """The time by which the command is judged, microseconds of UTC."""
        return command.event_time_us if self.mode is Mode.REPLAY else self.now_us


def counts_fills(outcome: Record) -> bool:
    """Whether it answers how an order stands, and counts fills: the fills must not be told after it."""
    return (
        isinstance(outcome, ExecutionReport)
        and outcome.exec_type is ExecType.ORDER_STATUS
        and outcome.cumulative_quantity > 0
    )


def name_of(command: Command) -> str:
    """The id by which the command's outcome is known."""
    return command.client_order_id if isinstance(command, SubmitOrder) else command.request_id


def is_new_risk(command: Command) -> bool:
    """Whether it can make a position larger."""
    return isinstance(command, ReplaceOrder) or (isinstance(command, SubmitOrder) and not command.reduce_only)


def objection(command: Command, standing: Standing) -> NotSent | None:
    """Why the command must not be sent, or None."""
    now_us = standing.now(command)

    def no(reason: NotSentReason, value: str, limit: str = "") -> NotSent:
        return NotSent(
            event_time_us=now_us,
            account_id=command.account_id,
            client_order_id=name_of(command),
            reason=reason,
            value=value,
            limit=limit,
        )

    if command.mode is not standing.mode:
        return no(NotSentReason.MODE, command.mode, standing.mode)
    if is_new_risk(command):
        kill = _kill(command, standing.kills)
        if kill is not None:
            return no(NotSentReason.KILLED, f"{kill.verb} by {kill.author}", kill.scope_key)
    if isinstance(command, SubmitOrder | ReplaceOrder) and now_us > command.submit_before_us:
        return no(NotSentReason.LATE, iso_of(now_us), iso_of(command.submit_before_us))
    if isinstance(command, QueryOrder) and now_us - command.event_time_us > QUESTION_AGE_US_MAX:
        return no(NotSentReason.LATE, iso_of(now_us), iso_of(command.event_time_us + QUESTION_AGE_US_MAX))
    if standing.mode is not Mode.REPLAY and is_new_risk(command):
        if standing.newest_tick_us is None:
            return no(NotSentReason.CLOCK, "no tick yet")
        if now_us - standing.newest_tick_us > TICK_AGE_US_MAX:
            return no(NotSentReason.CLOCK, iso_of(standing.newest_tick_us), iso_of(now_us - TICK_AGE_US_MAX))
    return None


def _kill(command: Command, kills: Mapping[str, KillSwitch]) -> KillSwitch | None:
    """The switch that stops it. A replace does not say whose order it changes, so any strategy's or provider's does."""
    for key in sorted(kills):
        kill = kills[key]
        if kill.verb is not KillVerb.RESUME and _covers(kill, command):
            return kill
    return None


def _covers(kill: KillSwitch, command: Command) -> bool:
    match kill.scope:
        case Scope.GLOBAL:
            return True
        case Scope.ACCOUNT:
            return kill.scope_id == command.account_id
        case Scope.INSTRUMENT:
            return kill.scope_id == command.instrument_id
        case Scope.VENUE:
            return kill.scope_id == command.venue
        case Scope.STRATEGY:
            return not isinstance(command, SubmitOrder) or kill.scope_id == command.strategy_id
        case Scope.PROVIDER:
            return not isinstance(command, SubmitOrder) or kill.scope_id == command.provider_id
        case _:
            assert_never(kill.scope)


def rejected(command: Command, code: str, text: str, standing: Standing) -> ExecutionReport:
    """The broker's proven no, as a report."""
    return _report(command, standing, _REJECTION[type(command)], code=code, text=text)


def undecided(command: Command, why: str, standing: Standing) -> ExecutionReport:
    """The command may have been carried out: an outcome like any other, to be resolved by query."""
    return _report(command, standing, ExecType.UNKNOWN, code="UNKNOWN", text=why)


def not_found(command: QueryOrder, standing: Standing, *, remembers: bool = True) -> ExecutionReport:
    """The broker answered and knows no such order. Once is no proof: the request may still be under way.

    remembers: whether it would know the order for ever, had it ever had it.
    """
    text = f"{command.venue} knows no order {command.client_order_id}"
    code = NOT_FOUND if remembers else NOT_FOUND_OPEN
    return _report(command, standing, ExecType.ORDER_STATUS, code=code, text=text)


def named_by_content(answer: ExecutionReport) -> ExecutionReport:
    """How an order stands, under an id of what is said: a question that is begun twice may be answered differently.

    A broker gives ids to what happens, not to how things stand; ours tells news from a repetition.
    """
    if answer.exec_type is not ExecType.ORDER_STATUS:
        return answer
    standing = (
        answer.order_status,
        answer.order_quantity,
        answer.cumulative_quantity,
        answer.leaves_quantity,
        answer.limit_price,
        answer.stop_price,
    )
    told = (answer.exec_id, answer.broker_order_id, *(str(value) for value in standing))
    return replace(answer, exec_id=short_id("status", answer.venue, *told))


def unavailable(command: Command, why: str, standing: Standing) -> NotSent:
    """The venue could not be reached for as long as it was tried, and nothing was done."""
    return NotSent(
        event_time_us=standing.now(command),
        account_id=command.account_id,
        client_order_id=name_of(command),
        reason=NotSentReason.UNAVAILABLE,
        value=why,
    )


def unknown_venue(command: Command) -> tuple[str, str]:
    """Code and words for a command to a venue for which there is no broker here."""
    return "UNKNOWN_VENUE", f"no broker here for {command.venue}; name it in the settings"


_REJECTION: Mapping[type[Command], ExecType] = {
    SubmitOrder: ExecType.REJECTED,
    CancelOrder: ExecType.CANCEL_REJECTED,
    ReplaceOrder: ExecType.REPLACE_REJECTED,
    QueryOrder: ExecType.ORDER_STATUS,
}


def _report(command: Command, standing: Standing, exec_type: ExecType, *, code: str, text: str) -> ExecutionReport:
    """A report of ours. Only a submit knows side and quantity; elsewhere the quantity is zero and the side no side."""
    submit = command if isinstance(command, SubmitOrder) else None
    status = OrderStatus.REJECTED if exec_type is ExecType.REJECTED else OrderStatus.UNKNOWN
    return ExecutionReport(
        event_time_us=standing.now(command),
        account_id=command.account_id,
        exec_id=short_id("execution", command.venue, name_of(command), exec_type, code),
        client_order_id=name_of(command),
        original_client_order_id="" if submit else command.client_order_id,
        venue=command.venue,
        instrument_id=command.instrument_id,
        side=submit.side if submit else Side.BUY,
        exec_type=exec_type,
        order_status=status,
        order_quantity=submit.quantity if submit else ZERO,
        cumulative_quantity=ZERO,
        leaves_quantity=submit.quantity if submit and status is OrderStatus.UNKNOWN else ZERO,
        last_quantity=ZERO,
        code=code,
        text=text,
    )
