"""Risk snapshots: how near an account is to its limits, told while marks move, at ticks, and after fills."""

from collections.abc import Mapping
from decimal import Decimal
from hashlib import blake2b
from typing import Any, NamedTuple

from msgspec import msgpack
from msgspec.structs import replace

from schemas.control import MarginRegime, Mode, Scope
from schemas.position import AccountSnapshot
from schemas.risk import Exposure, Limit, LimitUse, RiskSnapshot, ScenarioResult
from schemas.scalars import DAY_US, SECOND_US, rounded
from streams.accounts.risk.bounds import Bounds, compiled
from streams.accounts.risk.exposures import account_book, by_dimension
from streams.accounts.risk.flow import RATES
from streams.accounts.risk.portfolio import Measures, measure, stressed
from streams.accounts.risk.recent import MINUTE_US, count
from streams.accounts.risk.states import state_of
from streams.accounts.risk.view import initial_rate
from streams.accounts.turn import Turn
from streams.accounts.valuation import conversion, in_base

ZERO = Decimal(0)

FOLD_VERSION = 4
"""Rises when the same inputs no longer give the same outputs or states."""

ANALYSIS_US = SECOND_US
REPLAY_ANALYSIS_US = 30 * DAY_US
"""How often a snapshot tells the use of limits and measures the portfolio too; it always does after a fill. A replay
passes days in milliseconds and does it once a month."""


class Standing(NamedTuple):
    """The sums that a snapshot and the use of limits are made of, in the base currency."""

    equity: Decimal
    gross: Decimal
    net: Decimal
    worst: Decimal
    drawdown: Decimal
    day_pnl: Decimal


def say_snapshot(turn: Turn, analysed: bool = False) -> None:
    """Tell how the account stands. One whose equity is unknown says nothing: a guess would be worse."""
    now_us = turn.now_us
    totals = turn.account.totals
    every = REPLAY_ANALYSIS_US if turn.account.profile.mode is Mode.REPLAY else ANALYSIS_US
    analysed = analysed or now_us - totals.analysed_us >= every
    turn.change(totals=replace(totals, snapshot_us=now_us, analysed_us=now_us if analysed else totals.analysed_us))
    standing = standing_of(turn)
    if standing is None:
        return
    account, shared = turn.account, turn.shared
    totals, profile = account.totals, account.profile
    margin = None
    if profile.margin is not MarginRegime.CASH:
        margin = rounded(standing.gross * initial_rate(profile.margin, Bounds(profile.limits)))
    extra = _analysis(turn, standing) if analysed else NOT_ANALYSED
    equity = standing.equity
    turn.say(
        RiskSnapshot(
            event_time_us=turn.at_us,
            account_id=profile.account_id,
            equity=equity,
            gross_exposure=rounded(standing.gross),
            net_exposure=rounded(standing.net),
            leverage=rounded(standing.gross / equity) if equity > 0 else None,
            drawdown=standing.drawdown,
            day_pnl=standing.day_pnl,
            state=state_of(account, shared).state,
            margin_used=margin,
            currency=profile.base_currency,
            net_deposits=totals.deposits,
            **extra,
        )
    )


def say_account(turn: Turn) -> None:
    """Tell the whole account, so that a replay need not start at the beginning. Once a day, before the day begins."""
    account = turn.account
    state = msgpack.encode(account)
    turn.say(
        AccountSnapshot(
            event_time_us=turn.at_us,
            account_id=account.profile.account_id,
            state=state,
            state_hash=blake2b(state, digest_size=16).hexdigest(),
            fold_version=FOLD_VERSION,
            trading_state=state_of(account, turn.shared).state,
            equity=account.totals.equity,
            taken_at_us=turn.now_us,
        )
    )


def standing_of(turn: Turn) -> Standing | None:
    """The account's sums; None where something cannot be priced."""
    totals, shared, base = turn.account.totals, turn.shared, turn.base
    equity = totals.equity
    gross, net = in_base(shared, totals.gross, base), in_base(shared, totals.net, base)
    worst = in_base(shared, totals.worst, base)
    if equity is None or gross is None or net is None or worst is None:
        return None
    peak, begun = totals.peak, totals.day_equity
    drawdown = rounded((peak - equity) / peak) if peak > 0 else ZERO
    return Standing(equity, gross, net, worst, drawdown, ZERO if begun is None else equity - begun)


NOT_ANALYSED: dict[str, Any] = {"uses": []}


def _analysis(turn: Turn, standing: Standing) -> dict[str, Any]:
    """Use of limits, measures of the portfolio, exposures by dimension and scenarios, as fields of the snapshot."""
    account, shared = turn.account, turn.shared
    book = account_book(account, shared)
    if book is None:
        return {"uses": _uses(turn, standing, {})}
    found = measure(account.histories, book)
    results = stressed(account.histories, book, shared.instruments, found)
    return {
        "value_at_risk": None if found is None else _money(found.parametric),
        "expected_shortfall": None if found is None else _money(found.shortfall_99),
        "exposures": [
            Exposure(dimension=dimension, member=member, net=_money(net), gross=_money(gross))
            for dimension, member, net, gross in by_dimension(account, shared)
        ],
        "scenarios": [
            ScenarioResult(name=name, result=None if result is None else _money(result))
            for name, result in results.items()
        ],
        "uses": _uses(turn, standing, _portfolio_values(turn, found, results)),
    }


def _portfolio_values(turn: Turn, found: Measures | None, results: Mapping[str, float | None]) -> dict[str, Decimal]:
    """What portfolio limits and limits of single positions are compared with."""
    values: dict[str, Decimal] = {}
    largest, units = ZERO, ZERO
    for holding in turn.account.holdings.values():
        rate = conversion(turn.shared, holding.currency, turn.base) if holding.currency else None
        if rate is not None:
            largest = max(largest, holding.worst * rate)
        units = max(units, abs(holding.net.quantity))
    values["position_value_max"] = largest
    values["position_quantity_max"] = units
    equity = turn.account.totals.equity
    if equity is None or equity <= 0:
        return values
    values["concentration_max"] = largest / equity
    if found is not None:
        values["value_at_risk_max"] = _money(found.parametric) / equity
        values["historical_value_at_risk_max"] = _money(found.historical) / equity
        values["expected_shortfall_max"] = _money(found.shortfall_97_5) / equity
        values["correlated_exposure_max"] = _money(found.correlated) / equity
    losses = [-result for result in results.values() if result is not None]
    if losses:
        values["stress_loss_max"] = _money(max(0.0, *losses)) / equity
    return values


def _uses(turn: Turn, standing: Standing, more: Mapping[str, Decimal]) -> list[LimitUse]:
    """Utilisation of the account's own limits, in name order."""
    own = compiled(turn.account.profile.limits).own
    totals, flow = turn.account.totals, turn.account.flow
    begun = totals.day_equity
    values = {
        "daily_loss_max": max(ZERO, -standing.day_pnl) / begun if begun is not None and begun > 0 else ZERO,
        "drawdown_max": standing.drawdown,
        "gross_exposure_max": standing.worst,
    }
    if standing.equity > 0:
        values["leverage_max"] = standing.worst / standing.equity
    values.update(more)
    values["net_exposure_max"] = abs(standing.net)
    since = turn.now_us - MINUTE_US
    for kind, name in RATES:
        values[name] = Decimal(count(flow.times.get(f"{kind}|{Scope.ACCOUNT}|", ()), since))
    return [_use(name, values[name], own[name]) for name in sorted(values) if name in own]


def _use(name: str, value: Decimal, limit: Limit) -> LimitUse:
    return LimitUse(name=name, scope=Scope.ACCOUNT, scope_id="", value=rounded(value), limit=limit.value)


def _money(amount: float) -> Decimal:
    return rounded(Decimal(repr(amount)))
