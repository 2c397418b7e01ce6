"""Stops at work: guards are armed by fills, moved and triggered by marks, and their exits escalated by the clock."""

from decimal import Decimal

from msgspec.structs import replace

from schemas.control import Scope
from schemas.order import OrderType, Side
from schemas.reference import Instrument
from schemas.risk import RiskEventKind
from schemas.scalars import DAY_US, SECOND_US
from streams.accounts.account import Holding
from streams.accounts.emergency import cancel
from streams.accounts.orders.order import Order
from streams.accounts.positions.ledger import FLAT, Net
from streams.accounts.risk.bounds import Bounds, compiled
from streams.accounts.risk.guards import (
    Guard,
    Stage,
    Watch,
    deviation_of,
    improved,
    levels,
    out_of_time,
    targets,
    touched,
    watch_of,
)
from streams.accounts.risk.reading import text
from streams.accounts.risk.sizing import rounded_to_lot
from streams.accounts.risk.view import Proposal, View
from streams.accounts.shared import RETURNS_MIN, KnownMark
from streams.accounts.turn import Turn
from streams.accounts.wishes import order_id, send_if_approved

ZERO = Decimal(0)

EXIT_TIMEOUT_S = Decimal(60)
"""Time until an exit that did not fill is escalated, where no limit says otherwise."""


def arm(turn: Turn, order: Order, instrument: Instrument) -> None:
    """After a fill: arm guards of what was opened or turned, and let go those of what is flat."""
    holding = turn.holding(order.instrument_id)
    limits = compiled(turn.account.profile.limits)
    guards = dict(holding.guards)
    for owner in ("", order.strategy_id):
        net = _net(holding, owner)
        guard = guards.get(owner)
        if not net.quantity:
            if guard is not None:
                del guards[owner]
                _say_protected(turn, holding, guard)
            continue
        sign = 1 if net.quantity > 0 else -1
        watch = watch_of(limits, owner, holding.instrument_id)
        own_stop = order.protect_stop if owner else None
        own_target = order.protect_target if owner else None
        if guard is not None and guard.sign == sign:
            if own_stop is not None or own_target is not None:
                guards[owner] = replace(guard, stop_price=own_stop, target_price=own_target)
            continue
        if watch.empty and own_stop is None and own_target is None:
            guards.pop(owner, None)
            continue
        guards[owner] = Guard(
            owner=owner, sign=sign, opened_us=turn.now_us, best=net.average_price, stop_price=own_stop,
            target_price=own_target, deviation=_deviation(turn, holding.instrument_id),
        )  # fmt: skip
        _say_armed(turn, holding, guards[owner], watch, net)
    if guards != holding.guards:
        turn.put_holding(replace(holding, guards=guards), instrument)


def rearm_all(turn: Turn) -> None:
    """After a change of limits: every open position gets the guards that the limits now ask for."""
    limits = compiled(turn.account.profile.limits)
    for name in sorted(turn.account.holdings):
        holding, instrument = turn.account.holdings[name], turn.instrument(name)
        if instrument is None:
            continue
        guards = dict(holding.guards)
        for owner in ("", *sorted(holding.owners)):
            net = _net(holding, owner)
            watch = watch_of(limits, owner, name)
            if not net.quantity or owner in guards or watch.empty:
                continue
            guards[owner] = Guard(
                owner=owner, sign=1 if net.quantity > 0 else -1, opened_us=turn.now_us, best=net.average_price,
                deviation=_deviation(turn, name),
            )  # fmt: skip
            _say_armed(turn, holding, guards[owner], watch, net)
        if guards != holding.guards:
            turn.put_holding(replace(holding, guards=guards), instrument)


def on_mark(turn: Turn, holding: Holding, instrument: Instrument, mark: KnownMark) -> None:
    """Test every guard of a holding against a mark, then move what trails."""
    limits = compiled(turn.account.profile.limits)
    guards = dict(holding.guards)
    triggered: list[Guard] = []
    for owner in sorted(guards):
        guard, net = guards[owner], _net(holding, owner)
        if guard.stage is not Stage.ARMED or not net.quantity:
            continue
        watch = watch_of(limits, owner, holding.instrument_id)
        hit = touched(guard, watch, net.average_price, mark.low, mark.high)
        moved = _moved(turn, holding, guard, mark)
        if hit is None:
            hit = touched(moved, watch, net.average_price, mark.last, mark.last)
        if hit is not None:
            moved = _trigger(turn, holding, moved, hit.code, text(hit.value), text(hit.level))
            triggered.append(moved)
        guards[owner] = moved
    if guards != holding.guards:
        turn.put_holding(replace(holding, guards=guards), instrument)
    for guard in triggered:
        _exit(turn, holding.instrument_id, guard.owner)


def _moved(turn: Turn, holding: Holding, guard: Guard, mark: KnownMark) -> Guard:
    """The guard with what the mark improves, and with the deviation once it is known."""
    best = improved(guard, mark.low, mark.high)
    deviation = guard.deviation
    if deviation is None:
        deviation = _deviation(turn, holding.instrument_id)
    if best == guard.best and deviation == guard.deviation:
        return guard
    return replace(guard, best=best, deviation=deviation)


def watch_price(turn: Turn, instrument_id: str, owner: str, price: Decimal, *, is_stop: bool) -> None:
    """Watch the price of an exit that the broker does not hold, as a stop or target of the owner's part."""
    holding, instrument = turn.holding(instrument_id), turn.instrument(instrument_id)
    net = _net(holding, owner)
    if instrument is None or not net.quantity:
        return
    sign = 1 if net.quantity > 0 else -1
    guard = holding.guards.get(owner)
    if guard is None or guard.sign != sign:
        guard = Guard(
            owner=owner, sign=sign, opened_us=turn.now_us, best=net.average_price,
            deviation=_deviation(turn, instrument_id),
        )  # fmt: skip
    watched = replace(guard, stop_price=price) if is_stop else replace(guard, target_price=price)
    if guard.stage is Stage.ARMED and watched != holding.guards.get(owner):
        turn.put_holding(replace(holding, guards={**holding.guards, owner: watched}), instrument)


def let_go(turn: Turn, instrument_id: str, owner: str, price: Decimal) -> None:
    """Watch this price no more; what is over must not close what the owner opens next."""
    holding, instrument = turn.holding(instrument_id), turn.instrument(instrument_id)
    guard = holding.guards.get(owner)
    if instrument is None or guard is None or guard.stage is not Stage.ARMED:
        return
    freed = replace(
        guard,
        stop_price=None if guard.stop_price == price else guard.stop_price,
        target_price=None if guard.target_price == price else guard.target_price,
    )
    if freed != guard:
        turn.put_holding(replace(holding, guards={**holding.guards, owner: freed}), instrument)


def on_tick(turn: Turn) -> None:
    """Close what is out of time, and escalate exits that did not fill."""
    guarded = [name for name, holding in turn.account.holdings.items() if holding.guards]
    for name in guarded:
        for owner in sorted(turn.account.holdings[name].guards):
            holding = turn.account.holdings[name]
            guard = holding.guards.get(owner)
            if guard is None or not _net(holding, owner).quantity:
                continue
            if guard.stage is Stage.ARMED:
                watch = watch_of(compiled(turn.account.profile.limits), owner, name)
                if out_of_time(guard, watch, turn.now_us):
                    aged = _trigger(turn, holding, guard, "TIME_STOP", str(turn.now_us), str(guard.opened_us))
                    _keep(turn, holding, aged)
                    _exit(turn, name, owner)
            elif _late(turn, guard, name):
                _escalate(turn, holding, guard)
            elif not guard.exit_id and _may_retry(turn, guard, name):
                _exit(turn, name, owner)


def on_order_ended(turn: Turn, order: Order) -> None:
    """An order is out of the way: an exit that waited for it goes out, one that died without filling is tried again."""
    holding = turn.account.holdings.get(order.instrument_id)
    if holding is None or not holding.guards:
        return
    for owner in sorted(holding.guards):
        holding = turn.account.holdings[order.instrument_id]
        guard = holding.guards.get(owner)
        if guard is None or guard.stage is Stage.ARMED or not _net(holding, owner).quantity:
            continue
        if guard.exit_id == order.client_order_id:
            _keep(turn, holding, replace(guard, exit_id=""))
        if not turn.account.holdings[order.instrument_id].guards[owner].exit_id and guard.attempt < ATTEMPTS_AT_ONCE:
            _exit(turn, order.instrument_id, owner)


ATTEMPTS_AT_ONCE = 3
"""Exits tried again at once; after so many only the clock tries, so that a broker's refusal is not a loop."""


def _net(holding: Holding, owner: str) -> Net:
    """What a guard watches: the whole position, or a strategy's part as far as the position covers it."""
    if not owner:
        return holding.net
    net = holding.owners.get(owner, FLAT)
    held = holding.net.quantity
    if not net.quantity or not held or (net.quantity > 0) != (held > 0):
        return FLAT
    return net if abs(net.quantity) <= abs(held) else replace(net, quantity=held)


def _trigger(turn: Turn, holding: Holding, guard: Guard, code: str, value: str, level: str) -> Guard:
    offset = Bounds(turn.account.profile.limits, guard.owner, holding.instrument_id).value("exit_limit_offset")
    turn.say_risk(
        RiskEventKind.STOP_TRIGGERED, code, scope=Scope.STRATEGY if guard.owner else Scope.INSTRUMENT,
        scope_id=guard.owner or holding.instrument_id, instrument_id=holding.instrument_id, value=value, limit=level,
    )  # fmt: skip
    return replace(guard, stage=Stage.MARKET if offset is None else Stage.LIMIT, code=code)


def _exit(turn: Turn, instrument_id: str, owner: str) -> None:
    """Clear the way and send the exit of a triggered guard; told UNPROTECTED where it cannot go out."""
    instrument = turn.instrument(instrument_id)
    holding = turn.account.holdings[instrument_id]
    guard = holding.guards.get(owner)
    if instrument is None or guard is None:
        return
    in_the_way = False
    for name in sorted(turn.account.orders):
        order = turn.account.orders[name]
        if order.instrument_id != instrument_id or (owner and order.strategy_id != owner):
            continue
        closing = order.signed != guard.sign
        if cancel(turn, order, f"stop:{guard.code}:{owner}:{guard.attempt}") or closing:
            in_the_way = in_the_way or closing
    holding = turn.account.holdings[instrument_id]
    net = _net(holding, owner)
    if in_the_way or not net.quantity:
        return
    attempt = guard.attempt + 1
    proposal = _proposal(turn, instrument, guard, net, attempt)
    sent = send_if_approved(turn, View(turn.account, turn.shared, proposal, turn.now_us), [])
    holding = turn.account.holdings[instrument_id]
    tried = replace(guard, attempt=attempt, exit_us=turn.now_us, exit_id="" if sent is None else sent.client_order_id)
    if sent is None:
        tried = _say_unprotected(turn, holding, tried, "EXIT_DENIED")
    _keep(turn, holding, tried)


def _proposal(turn: Turn, instrument: Instrument, guard: Guard, net: Net, attempt: int) -> Proposal:
    limit = None
    mark = turn.shared.marks.get(instrument.instrument_id)
    if guard.stage is Stage.LIMIT and mark is not None:
        bounds = Bounds(turn.account.profile.limits, guard.owner, instrument.instrument_id)
        offset = bounds.value("exit_limit_offset") or ZERO
        limit = rounded_to_lot(mark.last - guard.sign * offset * abs(mark.last), instrument.tick_size)
    cause = f"stop:{guard.code}:{guard.owner}:{guard.opened_us}"
    return Proposal(
        client_order_id=order_id(turn.account.profile.account_id, cause, f"{instrument.instrument_id}:{attempt}"),
        cause=cause,
        instrument_id=instrument.instrument_id,
        side=Side.SELL if net.quantity > 0 else Side.BUY,
        quantity=abs(net.quantity),
        made_us=turn.at_us,
        valid_until_us=turn.now_us + DAY_US,
        order_type=OrderType.MARKET if limit is None else OrderType.LIMIT,
        limit_price=limit,
        reduce_only=True,
        strategy_id=guard.owner or turn.holding(instrument.instrument_id).last_strategy,
        purpose="STOP",
    )


def _may_retry(turn: Turn, guard: Guard, instrument_id: str) -> bool:
    """Whether the exit has had its time."""
    timeout = Bounds(turn.account.profile.limits, guard.owner, instrument_id).value("exit_timeout") or EXIT_TIMEOUT_S
    return turn.now_us - guard.exit_us >= timeout * SECOND_US


def _late(turn: Turn, guard: Guard, instrument_id: str) -> bool:
    """Whether an exit had its time, and the market moved on without filling it."""
    mark = turn.shared.marks.get(instrument_id)
    moved_on = mark is not None and mark.at_us > guard.exit_us
    return bool(guard.exit_id) and moved_on and _may_retry(turn, guard, instrument_id)


def _escalate(turn: Turn, holding: Holding, guard: Guard) -> None:
    """Limit, then market, then a call for a person; at the last stage it goes on trying."""
    stage = {Stage.LIMIT: Stage.MARKET, Stage.MARKET: Stage.ALERT}.get(guard.stage, Stage.ALERT)
    if stage is not guard.stage:
        turn.say_risk(
            RiskEventKind.STOP_ESCALATED, f"EXIT_{stage}", scope=Scope.STRATEGY if guard.owner else Scope.INSTRUMENT,
            scope_id=guard.owner or holding.instrument_id, instrument_id=holding.instrument_id, value=guard.code,
        )  # fmt: skip
    higher = replace(guard, stage=stage, exit_us=turn.now_us)
    if stage is Stage.ALERT:
        higher = _say_unprotected(turn, holding, higher, "EXIT_NOT_FILLED")
    _keep(turn, holding, higher)
    _exit(turn, holding.instrument_id, guard.owner)


def _keep(turn: Turn, holding: Holding, guard: Guard) -> None:
    instrument = turn.instrument(holding.instrument_id)
    assert instrument is not None, "a guard watches a position of a known instrument"
    current = turn.account.holdings[holding.instrument_id]
    turn.put_holding(replace(current, guards={**current.guards, guard.owner: guard}), instrument)


def _deviation(turn: Turn, instrument_id: str) -> float | None:
    mark = turn.shared.marks.get(instrument_id)
    return None if mark is None else deviation_of(mark.fast, mark.returns, RETURNS_MIN)


def _say_armed(turn: Turn, holding: Holding, guard: Guard, watch: Watch, net: Net) -> None:
    told = [*levels(guard, watch, net.average_price), *targets(guard, watch, net.average_price)]
    if watch.time_stop is not None:
        told.append(("TIME_STOP", watch.time_stop))
    turn.say_risk(
        RiskEventKind.STOP_ARMED, "STOP_ARMED", scope=Scope.STRATEGY if guard.owner else Scope.INSTRUMENT,
        scope_id=guard.owner or holding.instrument_id, instrument_id=holding.instrument_id,
        value=" ".join(f"{code}={text(level)}" for code, level in told),
    )  # fmt: skip
    if watch.volatility_stop is not None and guard.deviation is None:
        turn.say_risk(
            RiskEventKind.UNPROTECTED, "VOLATILITY_UNKNOWN", scope_id=guard.owner, instrument_id=holding.instrument_id
        )


def _say_unprotected(turn: Turn, holding: Holding, guard: Guard, code: str) -> Guard:
    if guard.unprotected:
        return guard
    turn.say_risk(
        RiskEventKind.UNPROTECTED, code, scope=Scope.STRATEGY if guard.owner else Scope.INSTRUMENT,
        scope_id=guard.owner or holding.instrument_id, instrument_id=holding.instrument_id, value=guard.code,
        reason="a position should be closed and is not; a person is needed",
    )  # fmt: skip
    return replace(guard, unprotected=True)


def _say_protected(turn: Turn, holding: Holding, guard: Guard) -> None:
    if guard.unprotected:
        turn.say_risk(
            RiskEventKind.PROTECTED, "POSITION_FLAT", scope_id=guard.owner, instrument_id=holding.instrument_id
        )
