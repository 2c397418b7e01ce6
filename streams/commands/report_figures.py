"""The figures of a report: what ClickHouse's views say of one account, and the statistics of its daily equity.

Days are those of `streams.pnl.days` and of the view `equity_daily`: a day is that of UTC to which its last microsecond
belongs, its equity the last that risk saw, its return without what was paid in; a year has 252.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Any

from connectors.clickhouse.client import ClickHouse
from schemas.position import PnlDimension
from schemas.scalars import DAY_US
from streams.commands.report_benchmark import UNKNOWN, ActiveReturn, Against, Held, active_return
from streams.commands.report_questions import (
    ATTRIBUTION,
    CURRENCY,
    DENIALS,
    EARNED,
    EARNED_BY_SECTOR,
    EXECUTIONS,
    FEES,
    HELD,
    MEMBERS,
    ORDERS,
    SCORES,
    SHORTFALLS,
    SUGGESTIONS,
    TRADES,
    UNREFERENCED,
    UNVALUED,
)
from streams.commands.report_rows import Day, Denial, Execution, Member, Score, Shortfall, Trade
from streams.pnl.performance.attribution import RiskShares, risk_shares
from streams.pnl.performance.returns import Period, Series, SeriesError
from streams.pnl.performance.summary import Summary, summarise
from streams.pnl.performance.trades import ClosedTrade

EPOCH = date(1970, 1, 1)


class NothingRecorded(LookupError):
    """The database holds no equity of the account, or of any."""


class AccountUnclear(LookupError):
    """Several accounts have figures, and none was named."""


@dataclass(frozen=True, slots=True)
class Figures:
    """All of one account. `summary` is None where the daily equity has no statistics, and `no_summary` says why."""

    account_id: str
    currency: str
    days: tuple[Day, ...]
    summary: Summary | None
    no_summary: str
    account: Member | None
    members: Mapping[PnlDimension, tuple[Member, ...]]
    fills: int
    fees: Mapping[str, Decimal]
    unreferenced: int
    executions: tuple[Execution, ...]
    shortfalls: tuple[Shortfall, ...]
    attribution: tuple[tuple[str, str, Decimal | None], ...]
    risk: RiskShares | None
    active: ActiveReturn | str
    benchmark: str
    suggestions: tuple[tuple[str, str, str, str, str], ...]
    trades: tuple[Trade, ...]
    denials: tuple[Denial, ...]
    orders: Mapping[str, int]
    scores: tuple[Score, ...]
    unvalued: tuple[str, ...]
    parameters: tuple[tuple[str, str], ...]

    @property
    def equity(self) -> Decimal:
        """The newest."""
        return self.days[-1].equity

    @property
    def max_drawdown(self) -> float | None:
        """Deepest fall of daily equity below its highest before, as a fraction; None where one day has none."""
        falls = [day.drawdown for day in self.days]
        known = [fall for fall in falls if fall is not None]
        return max(known) if len(known) == len(falls) else None

    def to_json(self) -> dict[str, Any]:
        """Everything, under the names that `run --json` and `stats --json` have for it."""
        sharpe = None if self.summary is None else self.summary["sharpe"].value
        return {
            "account": self.account_id,
            "currency": self.currency,
            "equity": self.equity,
            "pnl": None if self.account is None else self.account.pnl,
            "fees": None if self.account is None else self.account.fees,
            "fills": self.fills,
            "fees_by_currency": dict(self.fees),
            "max_drawdown": self.max_drawdown,
            "sharpe": {self.account_id: sharpe},
            "denied": sum(denial.count for denial in self.denials),
            "denied_by_code": {denial.code: denial.count for denial in self.denials},
            "orders_by_status": dict(self.orders),
            "statistics": None if self.summary is None else self.summary.to_json(),
            "no_statistics": self.no_summary or None,
            "daily": [asdict(day) for day in self.days],
            "by": {str(dimension): [asdict(one) for one in found] for dimension, found in self.members.items()},
            "execution": [asdict(one) for one in self.executions],
            "shortfall": [asdict(one) for one in self.shortfalls],
            "attribution": [
                {"dimension": dimension, "member": member, "pnl": pnl} for dimension, member, pnl in self.attribution
            ],
            "added_to_volatility": None if self.risk is None else dict(self.risk.added),
            "volatility": None if self.risk is None else self.risk.volatility,
            "benchmark": self.benchmark or None,
            "active": self.active if isinstance(self.active, str) else self.active.to_json(),
            "suggestions": [
                dict(zip(("day", "strategy", "change", "reason", "evidence"), one, strict=True))
                for one in self.suggestions
            ],
            "trades": [asdict(one) for one in self.trades],
            "unvalued": list(self.unvalued),
            "parameters": dict(self.parameters),
        }


def figures_of(server: ClickHouse, account_id: str | None, against: Against = UNKNOWN) -> Figures:
    """Ask ClickHouse for everything. Raises NothingRecorded, AccountUnclear, SeriesError, Unavailable and Refused.

    SeriesError where the benchmark cannot be compared with.
    """
    asked = _Asked(server, _account(server, account_id))
    days = tuple(
        Day(*row)
        for row in asked.rows(
            "SELECT day, equity, net_deposits, day_return, if(isFinite(drawdown), drawdown, NULL) "
            "FROM {db}.equity_daily WHERE account_id = {account:String} ORDER BY day"
        )
    )
    currency = str(asked.rows(CURRENCY)[0][0])
    trades = tuple(Trade(*row) for row in asked.rows(TRADES))
    summary, why = _summary(days, [trade.closed() for trade in trades if trade.currency == currency], against.series)
    members = {dimension: _members(asked, dimension) for dimension in PnlDimension}
    account = members.pop(PnlDimension.ACCOUNT)
    ((fills,),) = asked.rows("SELECT count() FROM {db}.fills WHERE account_id = {account:String}")
    return Figures(
        account_id=asked.account_id,
        currency=currency,
        days=days,
        summary=summary,
        no_summary=why,
        account=account[0] if account else None,
        members=members,
        fills=fills,
        fees=dict(asked.rows(FEES)),
        unreferenced=int(asked.rows(UNREFERENCED)[0][0]),
        executions=tuple(Execution(*row) for row in asked.rows(EXECUTIONS)),
        shortfalls=tuple(Shortfall(*row) for row in asked.rows(SHORTFALLS)),
        attribution=tuple((row[0], row[1], row[2]) for row in asked.rows(ATTRIBUTION)),
        risk=_risk(asked, days),
        active=_active(asked, days, against),
        benchmark=against.name,
        suggestions=tuple((row[0], row[1], row[2], row[3], row[4]) for row in asked.rows(SUGGESTIONS)),
        trades=trades,
        denials=tuple(Denial(*row) for row in asked.rows(DENIALS)),
        orders=dict(asked.rows(ORDERS)),
        scores=tuple(Score(*row) for row in asked.rows(SCORES)),
        unvalued=tuple(row[0] for row in asked.rows(UNVALUED)),
        parameters=_parameters(asked),
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """Questions about one account."""

    server: ClickHouse
    account_id: str

    def rows(self, sql: str, **parameters: str) -> list[tuple[Any, ...]]:
        words = sql.replace("{db}", f"`{self.server.database}`")
        return self.server.rows(words, {"account": self.account_id, **parameters})


def _account(server: ClickHouse, wanted: str | None) -> str:
    """The account named, or the only one there is."""
    ready = server.rows(
        "SELECT count() FROM system.tables WHERE database = {database:String} AND name = 'equity_daily'",
        {"database": server.database},
    )
    if ready == [(0,)]:
        raise NothingRecorded(f"the database {server.database} has no tables yet")
    sql = f"SELECT DISTINCT account_id FROM `{server.database}`.risk_snapshot ORDER BY account_id"  # noqa: S608 - ours
    known = [str(row[0]) for row in server.rows(sql)]
    if not known or (wanted is not None and wanted not in known):
        whose = "any account" if wanted is None else f"account {wanted!r}"
        raise NothingRecorded(f"{server.database} holds no equity of {whose}" + _of_others(known))
    if wanted is None and len(known) > 1:
        raise AccountUnclear(f"there are figures of {len(known)} accounts: {', '.join(known)}")
    return wanted or known[0]


def _of_others(known: list[str]) -> str:
    return f"; there is some of {', '.join(known)}" if known else ""


def _members(asked: _Asked, dimension: PnlDimension) -> tuple[Member, ...]:
    """The newest row of each member, the best first and the unvalued last."""
    found = [Member(*row) for row in asked.rows(MEMBERS, dimension=str(dimension))]
    return tuple(sorted(found, key=lambda one: (one.pnl is None, -(one.pnl or 0), one.member)))


def _risk(asked: _Asked, days: tuple[Day, ...]) -> RiskShares | None:
    """What each strategy adds to the volatility of the account's result on its equity of the day before.

    REST is what no strategy earned. None where a result or an equity of a day is not known or not above zero.
    """
    earned: dict[str, dict[date, float]] = {REST: {}}
    whole: dict[date, float] = {}
    for dimension, member, day, pnl in asked.rows(EARNED):
        if pnl is None:
            return None
        found = whole if dimension == PnlDimension.ACCOUNT else earned.setdefault(member, {})
        found[day] = float(pnl)
    if len(earned) == 1 or any(day.equity <= 0 for day in days[:-1]):
        return None
    parts: dict[str, list[float]] = {name: [] for name in earned}
    for before, day in pairwise(days):
        base = float(before.equity)
        by_strategy = {name: found.get(day.day, 0.0) / base for name, found in earned.items()}
        by_strategy[REST] = whole.get(day.day, 0.0) / base - sum(by_strategy.values())
        for name, value in by_strategy.items():
            parts[name].append(value)
    return risk_shares(parts)


REST = "REST"
"""What nobody who is named explains."""


def _active(asked: _Asked, days: tuple[Day, ...], against: Against) -> ActiveReturn | str:
    """What each sector added to the return beyond the benchmark's sectors; or why that is not known."""
    if against.sectors is None:
        return "no weights and returns of sectors were given to compare with"
    earned = {str(sector): None if pnl is None else float(pnl) for sector, pnl in asked.rows(EARNED_BY_SECTOR)}
    held = [Held(str(instrument), str(sector), day, worth) for instrument, sector, day, worth in asked.rows(HELD)]
    capital = [
        (day.day, float(day.equity), None if day.net_deposits is None else float(day.net_deposits)) for day in days
    ]
    return active_return(capital, held, earned, against.sectors)


def _summary(days: tuple[Day, ...], trades: list[ClosedTrade], benchmark: Series | None) -> tuple[Summary | None, str]:
    """The statistics of daily equity, of its returns where money came or went since; or why there are none.

    Hit rate, Kelly and their like are of closed trades: a day on which nothing was held was not lost.
    """
    times = [(day.day - EPOCH).days * DAY_US for day in days]
    try:
        if len({day.net_deposits for day in days}) == 1:
            series = Series.of_equity([day.equity for day in days], times)
        else:
            worthless = next((day for day in days if day.equity <= 0), None)
            if worthless is not None:
                return None, f"equity of {worthless.equity:,.2f} on {worthless.day} has no return"
            series = Series.of_returns([day.day_return for day in days[1:]], times[1:])
        without = summarise(series, Period.DAILY, trades=trades)
    except SeriesError as error:
        return None, str(error)
    return without if benchmark is None else summarise(series, Period.DAILY, trades=trades, benchmark=benchmark), ""


def _parameters(asked: _Asked) -> tuple[tuple[str, str], ...]:
    """What the account was opened with, deployed and bounded by, in words."""
    found: list[tuple[str, str]] = []
    opened = asked.rows(
        "SELECT base_currency, venue, mode, sizing, margin, author, toString(event_time) "
        "FROM {db}.account_opened FINAL WHERE account_id = {account:String} ORDER BY event_time LIMIT 1"
    )
    names = ("Base currency", "Venue", "Mode", "Sizing", "Margin", "Opened by", "Opened at (UTC)")
    found += [(name, str(value)) for row in opened for name, value in zip(names, row, strict=True)]
    deployed = asked.rows(
        "SELECT strategy_id, "
        "argMax(arrayStringConcat(arrayMap(p -> concat(p.1, '=', p.2), parameters), ', '), event_time) "
        "FROM {db}.strategy_control FINAL WHERE account_id = {account:String} AND verb IN ('DEPLOY', 'CHANGE')"
        " GROUP BY strategy_id ORDER BY strategy_id"
    )
    found += [(f"Strategy {name}", settings or "as built in") for name, settings in deployed]
    limits = asked.rows(
        "SELECT bound.name, bound.scope, bound.scope_id, toString(argMax(bound.value, event_time)) "
        "FROM {db}.limit_change FINAL ARRAY JOIN limits AS bound WHERE account_id = {account:String} "
        "GROUP BY bound.name, bound.scope, bound.scope_id ORDER BY bound.name, bound.scope_id"
    )
    found += [(f"Limit {name}{f' of {whose}' if whose else ''}", value) for name, _, whose, value in limits]
    return tuple(found)
