"""Latches: what trips by what happens to orders, and stays until a named person re-arms it."""

from decimal import Decimal

from msgspec.structs import replace

from schemas.control import Scope
from schemas.order import OrderStatus
from schemas.risk import RiskEventKind
from streams.accounts.account import Latch
from streams.accounts.orders.order import Order
from streams.accounts.orders.states import Trigger
from streams.accounts.risk.bounds import Bounds
from streams.accounts.risk.flow import most_of
from streams.accounts.risk.recent import MINUTE_US, Rejects, count, noted
from streams.accounts.turn import Turn


def note_execution(turn: Turn, strategy_id: str, instrument_id: str) -> None:
    """Count a fill of a strategy in one instrument; too many in a minute latch."""
    bounds = Bounds(turn.account.profile.limits, strategy_id, instrument_id)
    limit = bounds.limit("executions_per_minute_max")
    if limit is None:
        return
    scope_id = f"{strategy_id}/{instrument_id}"
    flow, series = turn.account.flow, f"executions|{scope_id}"
    times = noted(flow.times, series, turn.now_us, most_of(limit))
    turn.change(flow=replace(flow, times=times))
    executions = count(times[series], turn.now_us - MINUTE_US)
    if executions > limit.value:
        latch(turn, "repeated_execution", scope_id, str(executions), limit.value, instrument_id)


def note_outcome(turn: Turn, order: Order, trigger: Trigger) -> None:
    """Count consecutive rejects of a strategy; too many latch, an acknowledgement or fill begins anew."""
    strategy_id = order.strategy_id
    flow = turn.account.flow
    rejects = flow.rejects.counts
    before = rejects.get(strategy_id, 0)
    if trigger is Trigger.REJECTED and order.shown is OrderStatus.REJECTED:
        turn.change(flow=replace(flow, rejects=Rejects({**rejects, strategy_id: before + 1})))
        bound = Bounds(turn.account.profile.limits, strategy_id).value("consecutive_rejects_max")
        if bound is not None and before + 1 >= bound:
            latch(turn, "consecutive_rejects", strategy_id, str(before + 1), bound)
    elif before and trigger in (Trigger.NEW, Trigger.TRADE):
        turn.change(flow=replace(flow, rejects=Rejects({key: n for key, n in rejects.items() if key != strategy_id})))


def latch(
    turn: Turn, check_id: str, scope_id: str, value: str, limit: Decimal, instrument_id: str = "", until_us: int = 0
) -> None:
    """Trip a check. One that is tripped already stays as it is, or is prolonged where it ends by itself."""
    condition = turn.account.condition
    key = f"{check_id}|{scope_id}"
    known = condition.latches.get(key)
    if known is not None and known.until_us >= until_us:
        return
    tripped = Latch(
        check_id=check_id, scope_id=scope_id, since_us=turn.at_us, value=value, limit=str(limit), until_us=until_us
    )
    turn.change(condition=replace(condition, latches={**condition.latches, key: tripped}))
    kind = RiskEventKind.PROTECTION_LOCKED if until_us else RiskEventKind.LATCHED
    turn.say_risk(
        kind, check_id.upper().replace(".", "_"), scope=Scope.STRATEGY, scope_id=scope_id, instrument_id=instrument_id,
        value=value, limit=str(limit),
    )  # fmt: skip


def rearm(turn: Turn, check_id: str, author: str, reason: str) -> bool:
    """Re-arm every latch of the check, or the one named `check_id|scope_id`; False where none is tripped."""
    condition = turn.account.condition
    gone = [key for key in sorted(condition.latches) if key == check_id or key.split("|", 1)[0] == check_id]
    if not gone:
        return False
    latches = {key: one for key, one in condition.latches.items() if key not in gone}
    flow = turn.account.flow
    rejects = {key: n for key, n in flow.rejects.counts.items() if f"consecutive_rejects|{key}" not in gone}
    counted = {f"executions|{key.partition('|')[2]}" for key in gone if key.startswith("repeated_execution|")}
    times = {series: pages for series, pages in flow.times.items() if series not in counted}
    turn.change(
        condition=replace(condition, latches=latches), flow=replace(flow, rejects=Rejects(rejects), times=times)
    )
    for key in gone:
        name, scope_id = key.split("|", 1)
        turn.say_risk(
            RiskEventKind.REARMED, name.upper().replace(".", "_"), scope=Scope.STRATEGY, scope_id=scope_id,
            author=author, reason=reason,
        )  # fmt: skip
    return True
