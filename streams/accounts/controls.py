"""What people and the broker's books say to an account: opening, cash, limits, switches, reconciliation."""

from decimal import Decimal

from msgspec.structs import replace

from schemas.control import AccountOpened, CashMovement, KillSwitch, KillVerb, Scope, StrategyControl, TradingState
from schemas.dead_letter import UnreadableRecord
from schemas.execution import BrokerCash, BrokerPositions
from schemas.order import OrderStatus
from schemas.record import Record
from schemas.risk import DiscrepancyKind, DiscrepancyResolved, LimitChange, RiskEventKind
from schemas.scalars import rounded
from streams.accounts.account import Profile
from streams.accounts.days import day_of
from streams.accounts.discrepancies import case_id, close_case, disputed, open_case
from streams.accounts.emergency import cancel_all, close_positions
from streams.accounts.orders.fold import fold_not_sent
from streams.accounts.positions.contract import ZERO
from streams.accounts.positions.ledger import Net
from streams.accounts.risk.bounds import Bounds
from streams.accounts.risk.limits import applied, objection
from streams.accounts.risk.states import state_of
from streams.accounts.snapshot import say_snapshot
from streams.accounts.stops import rearm_all
from streams.accounts.turn import Turn
from streams.accounts.valuation import BOUND, conversion

REQUESTS_MAX = 1024
"""Request ids remembered; older ones repeated would be folded again, and are refused by what they say."""

CLEARED_BY_RESUME = ("drawdown", "loss_velocity", "drawdown_stop")
"""States of the account's own making that a person ends by resuming the account."""

UNREADABLE = "unreadable"

UNREADABLE_MAX = 256
"""Places of unreadable records remembered."""


def open_account(turn: Turn, opened: AccountOpened) -> None:
    """An account begins. Opened twice is opened once."""
    profile = turn.account.profile
    if profile.opened:
        return
    turn.change(
        profile=replace(
            profile, base_currency=opened.base_currency, venue=opened.venue, mode=opened.mode, sizing=opened.sizing,
            margin=opened.margin, opened=True,
        ),
        totals=replace(
            turn.account.totals, day=day_of(turn.now_us), day_equity=ZERO, window_us=turn.now_us, window_equity=ZERO,
            ticked_us=turn.shared.time.now_us,
        ),
    )  # fmt: skip
    watch(turn)


def watch(turn: Turn) -> None:
    """Follow the marks of all instruments in which a strategy is deployed for this account."""
    account_id = turn.account.profile.account_id
    watched = sorted({
        standing.instrument_id for standing in turn.shared.strategies.values() if standing.account_id == account_id
    })  # fmt: skip
    if tuple(watched) != turn.account.profile.watched:
        turn.change(profile=replace(turn.account.profile, watched=tuple(watched)))
    turn.retag()


def control_strategy(turn: Turn, control: StrategyControl) -> None:
    """A strategy of this account was deployed or changed."""
    del control
    watch(turn)


def move_cash(turn: Turn, movement: CashMovement) -> None:
    """Money comes in or goes out. Peak and day's beginning move with it: a withdrawal is no loss."""
    profile = turn.account.profile
    if movement.movement_id in profile.movements:
        return
    if not movement.amount.is_finite() or abs(movement.amount) >= BOUND:
        turn.say_risk(RiskEventKind.INPUT_REFUSED, "AMOUNT_OUT_OF_RANGE", value=movement.movement_id)
        return
    turn.change(profile=replace(profile, movements={**profile.movements, movement.movement_id: turn.at_us}))
    turn.move_cash(movement.currency, movement.amount)
    rate = conversion(turn.shared, movement.currency, turn.base)
    totals = turn.account.totals
    if rate is None:
        turn.change(totals=replace(totals, deposits=None, day_equity=None, window_equity=None, before_equity=None))
    else:
        amount = rounded(movement.amount * rate)
        begun, window, before = totals.day_equity, totals.window_equity, totals.before_equity
        turn.change(
            totals=replace(
                totals,
                peak=max(ZERO, totals.peak + amount),
                deposits=None if totals.deposits is None else totals.deposits + amount,
                day_equity=None if begun is None else begun + amount,
                window_equity=None if window is None else window + amount,
                before_equity=None if before is None else before + amount,
            )
        )
    turn.measure()
    say_snapshot(turn)


def change_limits(turn: Turn, change: LimitChange) -> None:
    """New limits, taken whole or refused whole with the line that is wrong; later ones wait for their time."""
    if _seen(turn, change.request_id):
        return
    profile = turn.account.profile
    code, sentence = objection(change, profile.limits)
    if code:
        turn.say_risk(RiskEventKind.LIMIT_REFUSED, code, author=change.author, reason=sentence, value=change.request_id)
        return
    if change.effective_at_us > turn.now_us:
        waiting = tuple(sorted((*profile.waiting, change), key=lambda one: (one.effective_at_us, one.request_id)))
        turn.change(profile=replace(profile, waiting=waiting))
        return
    apply_limits(turn, change)


def apply_limits(turn: Turn, change: LimitChange) -> None:
    """Put a change into force, unless what happened since it was asked contradicts it."""
    profile = turn.account.profile
    code, sentence = objection(change, profile.limits)
    if code:
        turn.say_risk(RiskEventKind.LIMIT_REFUSED, code, author=change.author, reason=sentence, value=change.request_id)
        return
    turn.change(profile=replace(profile, limits=applied(change, profile.limits)))
    turn.say_risk(
        RiskEventKind.LIMIT_CHANGED, "LIMIT_CHANGED", author=change.author, reason=change.reason,
        value=" ".join(f"{one.name}={one.value}" for one in change.limits),
    )  # fmt: skip
    if turn.account.holdings:
        rearm_all(turn)


def kill(turn: Turn, switch: KillSwitch) -> None:
    """Carry out a switch once: halt cancels what works in its scope, flatten also closes positions."""
    condition = turn.account.condition
    if condition.acted.get(switch.scope_key, -1) >= switch.version:
        return
    if switch.scope is Scope.ACCOUNT and switch.scope_id != turn.account.profile.account_id:
        return
    turn.change(condition=replace(condition, acted={**condition.acted, switch.scope_key: switch.version}))
    if switch.verb is KillVerb.RESUME:
        _resume(turn, switch)
    turn.say_risk(
        RiskEventKind.TRADING_STATE, f"KILL_{switch.verb}", scope=switch.scope, scope_id=switch.scope_id,
        state=state_of(turn.account, turn.shared).state, verb=switch.verb, author=switch.author, reason=switch.reason,
    )  # fmt: skip
    if switch.verb in (KillVerb.HALT, KillVerb.FLATTEN):
        cancel_all(turn, switch.scope, switch.scope_id, f"{switch.scope_key}:{switch.version}")
    if switch.verb is KillVerb.FLATTEN:
        close_positions(turn)


def _resume(turn: Turn, switch: KillSwitch) -> None:
    """A person resumes: states of our own making in the account end, and the peak begins anew at present equity."""
    condition, totals = turn.account.condition, turn.account.totals
    if switch.scope not in (Scope.ACCOUNT, Scope.GLOBAL) or not any(n in condition.own for n in CLEARED_BY_RESUME):
        return
    own = {name: state for name, state in condition.own.items() if name not in CLEARED_BY_RESUME}
    peak = totals.equity if totals.equity is not None and totals.equity > 0 else totals.peak
    turn.change(
        condition=replace(condition, own=own),
        totals=replace(totals, peak=peak, window_equity=totals.equity, before_equity=None),
    )


def unreadable(turn: Turn, record: UnreadableRecord) -> None:
    """Something for this account could not be read: it only reduces until it is reconciled."""
    condition = turn.account.condition
    place = f"{record.source_partition}/{record.source_offset}"
    if place in condition.unreadable_seen:
        return
    turn.change(
        condition=replace(
            condition, own={**condition.own, UNREADABLE: TradingState.REDUCING}, unreadable_us=turn.now_us,
            unreadable_seen=(*condition.unreadable_seen, place)[-UNREADABLE_MAX:],
            positions_agreed_us=0, cash_agreed_us=0,
        )
    )  # fmt: skip
    open_case(turn, DiscrepancyKind.UNREADABLE, UNREADABLE, ours="unread", theirs=f"{record.reason}")
    if UNREADABLE not in condition.own:
        turn.say_risk(RiskEventKind.TRADING_STATE, "UNREADABLE_RECORD", state=TradingState.REDUCING)


def reconcile_positions(turn: Turn, held: BrokerPositions) -> None:
    """Compare all positions with the broker's: each difference is a discrepancy, each agreement settles one."""
    if _seen(turn, held.request_id):
        return
    if held.venue != turn.account.profile.venue:
        turn.say_risk(RiskEventKind.INPUT_REFUSED, "VENUE_UNKNOWN", value=held.venue)
        return
    theirs = {one.instrument_id: one.quantity for one in held.positions}
    ours = {name: holding.net.quantity for name, holding in turn.account.holdings.items()}
    agreed = True
    for name in sorted({*theirs, *ours}):
        mine, their = ours.get(name, ZERO), theirs.get(name, ZERO)
        if mine == their:
            close_case(turn, case_id(turn, DiscrepancyKind.POSITION, name), "rule", "both sides agree")
            continue
        agreed = False
        open_case(turn, DiscrepancyKind.POSITION, name, ours=f"{mine:f}", theirs=f"{their:f}", instrument_id=name)
    if agreed:
        turn.change(condition=replace(turn.account.condition, positions_agreed_us=turn.now_us))
        _reconciled(turn)


def reconcile_cash(turn: Turn, held: BrokerCash) -> None:
    """Compare all cash with the broker's. A difference below a hundredth of a unit is rounding.

    What brokers charge and credit without a fill (fees of a month, interest) is taken over as far as `cash_drift_max`
    allows it in a day of UTC, and is told as a discrepancy all the same; beyond it a person decides.
    """
    if _seen(turn, held.request_id):
        return
    theirs = {one.currency: one.amount for one in held.cash}
    ours = turn.account.totals.cash
    agreed = True
    drifted = False
    for currency in sorted({*theirs, *ours}):
        mine, their = ours.get(currency, ZERO), theirs.get(currency, ZERO)
        if abs(mine - their) < CASH_TOLERANCE:
            close_case(turn, case_id(turn, DiscrepancyKind.CASH, currency), "rule", "both sides agree")
            continue
        open_case(turn, DiscrepancyKind.CASH, currency, ours=f"{mine:f}", theirs=f"{their:f}", currency=currency)
        if _may_drift(turn, currency, their - mine):
            turn.move_cash(currency, their - mine)
            close_case(turn, case_id(turn, DiscrepancyKind.CASH, currency), "rule", "taken over within cash_drift_max")
            drifted = True
        else:
            agreed = False
    if drifted:
        turn.measure()
        say_snapshot(turn)
    if agreed:
        turn.change(condition=replace(turn.account.condition, cash_agreed_us=turn.now_us))
        _reconciled(turn)


CASH_TOLERANCE = Decimal("0.01")
"""Brokers round cash to cents."""


def _may_drift(turn: Turn, currency: str, difference: Decimal) -> bool:
    """Whether the account lets this much be taken over today; if so, it is counted."""
    most = Bounds(turn.account.profile.limits).value("cash_drift_max")
    rate = conversion(turn.shared, currency, turn.base)
    if most is None or rate is None or not difference.is_finite():
        return False
    condition, today = turn.account.condition, day_of(turn.now_us)
    drift = abs(difference * rate) + (condition.drift if condition.drift_day == today else ZERO)
    if drift > most:
        return False
    turn.change(condition=replace(condition, drift=rounded(drift), drift_day=today))
    return True


def _reconciled(turn: Turn) -> None:
    """Positions and cash both agreed after the newest unreadable record: the account may trade again."""
    condition = turn.account.condition
    if UNREADABLE in condition.own and condition.positions_agreed_us and condition.cash_agreed_us:
        _readable(turn, "rule", "positions and cash agree with the broker")


def _readable(turn: Turn, author: str, reason: str) -> None:
    condition = turn.account.condition
    own = {name: state for name, state in condition.own.items() if name != UNREADABLE}
    turn.change(condition=replace(condition, own=own, unreadable_us=0))
    close_case(turn, case_id(turn, DiscrepancyKind.UNREADABLE, UNREADABLE), author, reason)
    turn.say_risk(
        RiskEventKind.TRADING_STATE, "RECONCILED", state=state_of(turn.account, turn.shared).state, author=author,
        reason=reason,
    )  # fmt: skip


def resolve(turn: Turn, resolved: DiscrepancyResolved) -> None:
    """A person settles a discrepancy, and may take the broker's side into our books."""
    if _seen(turn, resolved.request_id):
        return
    case = turn.account.condition.cases.get(resolved.discrepancy_id)
    if case is None:
        turn.say_risk(RiskEventKind.INPUT_REFUSED, "DISCREPANCY_UNKNOWN", value=resolved.discrepancy_id)
        return
    if case.kind is DiscrepancyKind.UNREADABLE:
        _readable(turn, resolved.author, resolved.reason)
        return
    if resolved.adopt_theirs and case.kind is DiscrepancyKind.POSITION:
        _adopt_position(turn, case.instrument_id, Decimal(case.theirs))
    elif resolved.adopt_theirs and case.kind is DiscrepancyKind.CASH:
        turn.move_cash(case.currency, Decimal(case.theirs) - turn.account.totals.cash.get(case.currency, ZERO))
        turn.measure()
        say_snapshot(turn)
    elif resolved.adopt_theirs and case.kind is DiscrepancyKind.ORDER:
        _adopt_absence(turn, resolved)
    close_case(turn, resolved.discrepancy_id, resolved.author, resolved.reason)


def _adopt_absence(turn: Turn, resolved: DiscrepancyResolved) -> None:
    """A person vouches that the broker never had an order whose fate is unknown: what it held is released."""
    for order in disputed(turn):
        if order.shown is OrderStatus.UNKNOWN and resolved.discrepancy_id == case_id(
            turn, DiscrepancyKind.ORDER, order.client_order_id
        ):
            step = fold_not_sent(order, order.client_order_id, turn.at_us)
            turn.put_order(step.order)
            turn.say_order(step.order, step.trigger, order.status, "", f"{resolved.author}: {resolved.reason}")


def _adopt_position(turn: Turn, instrument_id: str, quantity: Decimal) -> None:
    """Take the broker's quantity at our average, or at the mark where we had none; cash is settled by its own case."""
    instrument = turn.instrument(instrument_id)
    if instrument is None:
        turn.say_risk(RiskEventKind.INPUT_REFUSED, "INSTRUMENT_UNKNOWN", value=instrument_id)
        return
    holding = turn.holding(instrument_id)
    net = holding.net
    mark = turn.shared.marks.get(instrument_id)
    keeps = net.quantity and (net.quantity > 0) == (quantity > 0)
    average = net.average_price if keeps or mark is None else mark.last
    adopted = Net(quantity, average, net.realised, net.fees, net.cycle_realised, net.cycle_fees)
    turn.put_holding(replace(holding, net=adopted), instrument)
    turn.measure()
    turn.say_position(turn.holding(instrument_id), instrument)
    say_snapshot(turn)


def refuse_numbers(turn: Turn, record: Record, error: ArithmeticError) -> Turn:
    """Numbers beyond what arithmetic can hold: nothing of the record is folded, and the account only reduces."""
    condition = turn.account.condition
    turn.change(condition=replace(condition, own={**condition.own, UNREADABLE: TradingState.REDUCING}))
    subject = record.source_key() or f"{type(record).__name__}@{record.event_time_us}"
    turn.say_risk(RiskEventKind.INPUT_REFUSED, "NUMBER_OUT_OF_RANGE", value=subject, reason=type(error).__name__)
    open_case(turn, DiscrepancyKind.UNREADABLE, UNREADABLE, ours="unread", theirs=subject)
    return turn


def _seen(turn: Turn, request_id: str) -> bool:
    """Note a request; whether it was folded before."""
    profile: Profile = turn.account.profile
    if request_id in profile.requests:
        return True
    turn.change(profile=replace(profile, requests=(*profile.requests, request_id)[-REQUESTS_MAX:]))
    return False
