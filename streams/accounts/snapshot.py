"""Risk snapshots: how near an account is to its limits, told while marks move, at ticks, and after fills."""

from decimal import Decimal

from msgspec.structs import replace

from schemas.control import MarginRegime, Scope
from schemas.risk import LimitUse, RiskSnapshot
from schemas.scalars import rounded
from streams.accounts.risk.bounds import Bounds, compiled
from streams.accounts.risk.states import state_of
from streams.accounts.risk.view import initial_rate
from streams.accounts.turn import Turn
from streams.accounts.valuation import in_base

ZERO = Decimal(0)


def say_snapshot(turn: Turn) -> None:
    """Tell how the account stands. One whose equity is unknown says nothing: a guess would be worse."""
    account, shared = turn.account, turn.shared
    totals, profile = account.totals, account.profile
    equity = totals.equity
    turn.change(totals=replace(totals, snapshot_us=turn.now_us))
    gross = in_base(shared, totals.gross, profile.base_currency)
    net = in_base(shared, totals.net, profile.base_currency)
    worst = in_base(shared, totals.worst, profile.base_currency)
    if equity is None or gross is None or net is None or worst is None:
        return
    peak, begun = totals.peak, totals.day_equity
    drawdown = rounded((peak - equity) / peak) if peak > 0 else ZERO
    day_pnl = ZERO if begun is None else equity - begun
    margin = None
    if profile.margin is not MarginRegime.CASH:
        margin = rounded(gross * initial_rate(profile.margin, Bounds(profile.limits)))
    turn.say(
        RiskSnapshot(
            event_time_us=turn.at_us,
            account_id=profile.account_id,
            equity=equity,
            gross_exposure=rounded(gross),
            net_exposure=rounded(net),
            leverage=rounded(gross / equity) if equity > 0 else None,
            drawdown=drawdown,
            day_pnl=day_pnl,
            state=state_of(account, shared).state,
            uses=_uses(turn, equity, worst, net, drawdown, day_pnl),
            margin_used=margin,
            currency=profile.base_currency,
            net_deposits=totals.deposits,
        )
    )


def _uses(
    turn: Turn, equity: Decimal, worst: Decimal, net: Decimal, drawdown: Decimal, day_pnl: Decimal
) -> list[LimitUse]:
    """Utilisation of the account's limits, in name order."""
    own = compiled(turn.account.profile.limits).own
    totals = turn.account.totals
    begun = totals.day_equity
    values = {
        "daily_loss_max": max(ZERO, -day_pnl) / begun if begun is not None and begun > 0 else ZERO,
        "drawdown_max": drawdown,
        "gross_exposure_max": worst,
        "net_exposure_max": abs(net),
    }
    if equity > 0:
        values["leverage_max"] = worst / equity
    return [
        LimitUse(name=name, scope=Scope.ACCOUNT, scope_id="", value=rounded(value), limit=own[name].value)
        for name, value in values.items()
        if name in own
    ]
