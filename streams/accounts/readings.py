"""Gauges that a look at one account tells."""

from collections import Counter
from collections.abc import Iterator

from schemas import metrics
from schemas.order import OrderStatus
from streams.accounts.account import Account
from streams.accounts.risk.states import RANK, state_of
from streams.accounts.shared import Shared
from streams.runtime.room import Reading


def readings(account: Account, shared: Shared) -> Iterator[Reading]:
    """How the account stands now; nothing of one that was never opened, no equity where it cannot be priced."""
    profile, totals = account.profile, account.totals
    if not profile.opened:
        return
    who = (profile.account_id,)
    yield Reading(metrics.TRADING_STATE, who, RANK[state_of(account, shared).state])
    yield Reading(metrics.DISCREPANCIES_OPEN, who, len(account.condition.cases))
    if totals.equity is not None:
        yield Reading(metrics.EQUITY, who, float(totals.equity))
        drawdown = float((totals.peak - totals.equity) / totals.peak) if totals.peak > 0 else 0.0
        yield Reading(metrics.DRAWDOWN_RATIO, who, drawdown)
    unknown = Counter(order.venue for order in account.orders.values() if order.shown is OrderStatus.UNKNOWN)
    for venue, count in ({profile.venue: 0} | unknown).items():
        yield Reading(metrics.ORDERS_UNKNOWN, (venue,), count)
