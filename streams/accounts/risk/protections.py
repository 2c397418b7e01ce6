"""Protections: locks on new entries after what closed trades and equity tell. Exits are never locked.

    cooldown         after any close, the instrument
    stoploss_guard   so many stopped losses within the lookback: the account, or each instrument by itself
    low_profit       results within the lookback sum to less than required: the instrument
    drawdown_guard   equity fell within the lookback by more than allowed, its beginning counted: the account
A lock ends its duration after the newest trade considered.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from schemas.record import Part
from schemas.scalars import SECOND_US
from streams.accounts.risk.bounds import Bounds

ZERO = Decimal(0)

CLOSED_MAX = 512
"""Closed trades remembered."""


class Closed(Part, frozen=True):
    """A strategy's trade from flat to flat.

    result: after fees, in the base currency; ratio: of what was opened
    stopped: closed by a stop
    equity: of the account after it
    """

    strategy_id: str
    instrument_id: str
    at_us: int
    result: Decimal
    ratio: Decimal
    stopped: bool
    equity: Decimal


class Lock(NamedTuple):
    """A lock on entries. scope_id: instrument, or empty for the account."""

    name: str
    scope_id: str
    until_us: int
    value: str
    limit: Decimal


def locks(trades: Iterable[Closed], bounds: Bounds, newest: Closed) -> list[Lock]:
    """Every lock that the newest closed trade brings, with those before it."""
    history = list(trades)
    found = [_cooldown(bounds, newest), _stoploss(history, bounds, newest), _low_profit(history, bounds, newest),
             _drawdown(history, bounds, newest)]  # fmt: skip
    return [lock for lock in found if lock is not None]


def _until(at_us: int, seconds: Decimal) -> int:
    return at_us + int(seconds * SECOND_US)


def _within(history: list[Closed], newest: Closed, seconds: Decimal) -> list[Closed]:
    since = newest.at_us - int(seconds * SECOND_US)
    return [trade for trade in history if trade.at_us >= since]


def _cooldown(bounds: Bounds, newest: Closed) -> Lock | None:
    seconds = bounds.value("cooldown")
    if not seconds:
        return None
    return Lock("cooldown", newest.instrument_id, _until(newest.at_us, seconds), str(newest.at_us), seconds)


def _stoploss(history: list[Closed], bounds: Bounds, newest: Closed) -> Lock | None:
    count, lookback = bounds.value("stoploss_guard_trades"), bounds.value("stoploss_guard_lookback")
    lock = bounds.value("stoploss_guard_lock")
    if count is None or lookback is None or lock is None:
        return None
    alone = bounds.is_on("stoploss_guard_per_instrument")
    stopped = [
        trade
        for trade in _within(history, newest, lookback)
        if trade.stopped and trade.ratio < 0 and (not alone or trade.instrument_id == newest.instrument_id)
    ]
    if len(stopped) < count:
        return None
    scope_id = newest.instrument_id if alone else ""
    return Lock("stoploss_guard", scope_id, _until(stopped[-1].at_us, lock), str(len(stopped)), count)


def _low_profit(history: list[Closed], bounds: Bounds, newest: Closed) -> Lock | None:
    count, lookback = bounds.value("low_profit_trades"), bounds.value("low_profit_lookback")
    required, lock = bounds.value("low_profit_required"), bounds.value("low_profit_lock")
    if count is None or lookback is None or required is None or lock is None:
        return None
    trades = [one for one in _within(history, newest, lookback) if one.instrument_id == newest.instrument_id]
    total = sum((trade.ratio for trade in trades), ZERO)
    if len(trades) < count or total >= required:
        return None
    return Lock("low_profit", newest.instrument_id, _until(trades[-1].at_us, lock), f"{total:.6f}", required)


def _drawdown(history: list[Closed], bounds: Bounds, newest: Closed) -> Lock | None:
    allowed, lookback = bounds.value("drawdown_guard"), bounds.value("drawdown_guard_lookback")
    lock = bounds.value("drawdown_guard_lock")
    if allowed is None or lookback is None or lock is None:
        return None
    trades = _within(history, newest, lookback)
    peak = trades[0].equity - trades[0].result
    worst = ZERO
    for trade in trades:
        peak = max(peak, trade.equity)
        if peak > 0:
            worst = max(worst, (peak - trade.equity) / peak)
    if worst <= allowed:
        return None
    return Lock("drawdown_guard", "", _until(trades[-1].at_us, lock), f"{worst:.6f}", allowed)
