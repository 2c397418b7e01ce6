"""What time and marks do to an account: values, days, losses, questions to the broker, and what was waiting."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, TypeVar

from msgspec.structs import replace

from schemas.control import Mode, TradingState
from schemas.market import MarkBatch
from schemas.reference import Instrument
from schemas.risk import RiskEventKind
from schemas.scalars import DAY_US, SECOND_US
from streams.accounts import stops
from streams.accounts.controls import apply_limits
from streams.accounts.days import day_of
from streams.accounts.discrepancies import disputed
from streams.accounts.emergency import close_positions
from streams.accounts.losses import watch_losses
from streams.accounts.orders.order import Order
from streams.accounts.queries import UNANSWERED, again_us, first_asked, is_due, query, stale
from streams.accounts.risk.portfolio import History, with_close
from streams.accounts.risk.recent import MINUTE_US, newest_of
from streams.accounts.shared import WINDOW_US
from streams.accounts.snapshot import say_account, say_snapshot
from streams.accounts.turn import Turn

ZERO = Decimal(0)

SNAPSHOT_US = SECOND_US
"""While marks move, an account tells how it stands once in this time."""

NEVER_US = 2**63 - 1
"""Later than every time."""

ENDED_KEPT_US = 7 * DAY_US
"""How long an ended order is remembered."""


def tick(turn: Turn) -> None:
    """The clock moved on."""
    account = turn.account
    profile = account.profile
    now_us = turn.shared.time.now_us
    if not profile.opened or account.totals.ticked_us >= now_us:
        return
    turn.change(totals=replace(account.totals, ticked_us=now_us))
    if profile.waiting and profile.waiting[0].effective_at_us <= now_us:
        _put_into_force(turn)
    roll(turn)
    if account.flow.times or account.condition.latches:
        _sweep(turn)
    if account.orders or account.ended:
        _ask(turn)
    if account.holdings:
        stops.on_tick(turn)
        close_positions(turn)
    if turn.account.totals.marked_us < turn.shared.time.before_us or not turn.shared.time.before_us:
        turn.measure()
        watch_losses(turn)
        say_snapshot(turn)


def marks(turn: Turn, batch: MarkBatch) -> None:
    """New marks of instruments that the account holds, works or watches."""
    account, shared = turn.account, turn.shared
    if not account.profile.opened:
        return
    moved = False
    watched: list[tuple[str, Instrument]] = []
    for mark in batch.marks:
        name = mark.instrument_id
        known = shared.marks.get(name)
        if known is None or known.at_us != mark.event_time_us:
            continue
        if known.close is not None:
            _remember_close(turn, name, known.close_day, known.close)
        holding = turn.account.holdings.get(name)
        if holding is None or holding.mark_us == known.at_us:
            continue
        instrument = shared.instruments.get(name)
        if instrument is None:
            continue
        valued = turn.put_holding(holding, instrument)
        moved = True
        if valued.net.quantity:
            turn.say_position(valued, instrument)
            if valued.guards:
                watched.append((name, instrument))
    if not moved and not any(mark.instrument_id in shared.pairs.values() for mark in batch.marks):
        return
    roll(turn)
    before = turn.account.totals.equity
    turn.measure()
    for name, instrument in watched:
        stops.on_mark(turn, turn.account.holdings[name], instrument, shared.marks[name])
    watch_losses(turn)
    totals = turn.account.totals
    if totals.equity != before:
        since = batch.event_time_us - totals.snapshot_us
        if since >= SNAPSHOT_US or since == 0:
            turn.change(totals=replace(totals, marked_us=turn.now_us))
            say_snapshot(turn)


def _remember_close(turn: Turn, instrument_id: str, day: int, close: Decimal) -> None:
    """The first mark of a day ends the one before, whose last mark is its close."""
    histories = turn.account.histories
    history = histories.get(instrument_id)
    if history is not None and history.days and history.days[-1] >= day:
        return
    kept = with_close(history or History(), day, float(close))
    turn.change(histories={**histories, instrument_id: kept})


def roll(turn: Turn) -> None:
    """Begin a new day or a new loss window, with the equity as last known."""
    totals = turn.account.totals
    now_us = turn.now_us
    day = day_of(now_us)
    if day != totals.day:
        if totals.day and turn.account.profile.mode is not Mode.REPLAY:
            say_account(turn)
        totals = replace(totals, day=day, day_equity=totals.equity)
        turn.change(totals=totals)
        _release_day(turn)
    if now_us - totals.window_us >= WINDOW_US:
        before = totals.window_equity if totals.window_us else None
        turn.change(totals=replace(totals, window_us=now_us, window_equity=totals.equity, before_equity=before))


def _release_day(turn: Turn) -> None:
    condition = turn.account.condition
    if "daily_loss" in condition.own:
        own = {name: state for name, state in condition.own.items() if name != "daily_loss"}
        turn.change(condition=replace(condition, own=own))
        turn.say_risk(RiskEventKind.TRADING_STATE, "DAY_BEGAN", state=TradingState.ACTIVE)


def _put_into_force(turn: Turn) -> None:
    profile = turn.account.profile
    now_us = turn.shared.time.now_us
    due = [change for change in profile.waiting if change.effective_at_us <= now_us]
    turn.change(profile=replace(profile, waiting=profile.waiting[len(due) :]))
    for change in due:
        apply_limits(turn, change)


def _sweep(turn: Turn) -> None:
    """Forget series without a time in the last minute, and latches that ended."""
    flow, now_us = turn.account.flow, turn.now_us
    since = now_us - MINUTE_US
    if _oldest(flow.times, newest_of) <= since:
        times = {series: pages for series, pages in flow.times.items() if newest_of(pages) > since}
        turn.change(flow=replace(flow, times=times))
    condition = turn.account.condition
    if any(one.until_us and one.until_us <= now_us for one in condition.latches.values()):
        latches = {key: one for key, one in condition.latches.items() if not one.until_us or one.until_us > now_us}
        turn.change(condition=replace(condition, latches=latches))


def _ask(turn: Turn) -> None:
    """Query orders whose outcome is unknown, whose first word is late, or that are disputed; forget the long ended."""
    account, now_us = turn.account, turn.now_us
    waiting = [
        order
        for order in account.orders.values()
        if (order.resting in UNANSWERED or order.requests) and is_due(order, now_us)
    ]
    for order in first_asked(waiting):
        query(turn, order)
    if account.profile.mode is not Mode.REPLAY:
        # Streams fall silent; a replay's venue never does.
        for order in stale(account.orders.values(), now_us):
            query(turn, order)
    for order in first_asked(order for order in disputed(turn) if now_us - order.queried_us >= again_us(order)):
        query(turn, order)
    account = turn.account
    if now_us - _oldest(account.ended, _updated_us) > ENDED_KEPT_US:
        kept = {name: order for name, order in account.ended.items() if now_us - order.updated_us <= ENDED_KEPT_US}
        turn.change(ended=kept)


_Timed = TypeVar("_Timed")
_oldest_of: dict[int, tuple[Mapping[str, Any], int]] = {}
MEMO_MAX = 1024


def _oldest(members: Mapping[str, _Timed], time_of: Callable[[_Timed], int]) -> int:
    """The least time of the members, beyond all times where there are none; computed once for each mapping object.

    Every tick asks, and what it asks about changes with orders only.
    """
    known = _oldest_of.get(id(members))
    if known is not None and known[0] is members:
        return known[1]
    oldest = min(map(time_of, members.values()), default=NEVER_US)
    if len(_oldest_of) >= MEMO_MAX:
        _oldest_of.clear()
    _oldest_of[id(members)] = (members, oldest)
    return oldest


def _updated_us(order: Order) -> int:
    return order.updated_us
