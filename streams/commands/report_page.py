"""The page of a report: which figure stands where, and what is said where one is missing."""

from __future__ import annotations

from decimal import Decimal

from dashboards.report.page import Column, Curve, Figure, Page, Section, Table, Unit
from dashboards.report.values import signed, written
from streams.commands.replay import NO_CHANGE
from streams.commands.report_earned import who_earned, won
from streams.commands.report_figures import EPOCH, Figures
from streams.commands.report_statistics import statistics
from streams.commands.report_trading import denials, execution, trades
from streams.pnl.performance.summary import Summary

DIFFERENCE_MAX = Decimal("0.01")
"""Of equity from deposits and P&L, above which a reader is told."""


def page_of(figures: Figures, asked: tuple[tuple[str, str], ...], acknowledgement: str, written_at: str) -> Page:
    """The page; `asked` is what the run was told, `acknowledgement` whom the data is owed to, or empty."""
    first, last = figures.days[0].day, figures.days[-1].day
    return Page(
        title=f"Account {figures.account_id}",
        subtitle=f"{first} to {last}, {len(figures.days)} days (UTC), in {figures.currency}",
        figures=_headline(figures),
        warnings=tuple(_warnings(figures)),
        curve=_curve(figures),
        no_curve="There is one day of equity, and a curve needs two.",
        months=figures.summary.months if figures.summary is not None else {},
        sections=(
            who_earned(figures),
            trades(figures),
            execution(figures),
            denials(figures),
            statistics(figures),
            _run(figures, asked, acknowledgement),
        ),
        footer=f"Written {written_at} UTC by quantumleap report. All times are UTC; midnight ends a day.",
    )


def _headline(figures: Figures) -> tuple[Figure, ...]:
    account, summary = figures.account, figures.summary
    fall = figures.max_drawdown
    return (
        Figure("Equity", figures.equity, Unit.MONEY, figures.currency),
        Figure("P&L after fees", None if account is None else account.pnl, Unit.MONEY, figures.currency),
        _of(summary, "total_return", "Return", "without deposits"),
        Figure("Deepest drawdown", None if fall is None else -fall, Unit.FRACTION, "of daily equity"),
        _of(summary, "sharpe", "Sharpe ratio", "daily, annualised"),
        Figure("Fills", figures.fills, Unit.COUNT, f"round trips won: {won(account)}" if account else ""),
        Figure("Fees", None if account is None else account.fees, Unit.MONEY, figures.currency),
        _denied(figures),
    )


def _denied(figures: Figures) -> Figure:
    """How many wishes were denied; one for what is held already needs no order, and nobody was refused."""
    idle = sum(denial.count for denial in figures.denials if denial.code == NO_CHANGE)
    denied = sum(denial.count for denial in figures.denials) - idle
    return Figure("Denied by risk", denied, Unit.COUNT, f"and {idle} wishes needed no order" if idle else "wishes")


def _of(summary: Summary | None, name: str, title: str, note: str) -> Figure:
    if summary is None:
        return Figure(title, None, Unit.RATIO, note)
    one = summary[name]
    unit = Unit.FRACTION if one.unit.startswith("fraction") else Unit.RATIO
    return Figure(title, one.value if one.why is None else one.shown, unit, f"{note}, n = {one.n}")


def _warnings(figures: Figures) -> list[str]:
    said = []
    if not figures.fills:
        said.append("There are no fills: nothing was traded, so equity only shows what was paid in.")
    if figures.summary is None:
        said.append(f"Statistics are not computed: {figures.no_summary}.")
    if figures.unvalued:
        said.append(f"No unrealised result is known of {', '.join(figures.unvalued)}: a mark or conversion is missing.")
    account = figures.account
    if account is None:
        said.append("No result of the account is recorded yet.")
    elif account.pnl is None:
        said.append("The account's P&L is not known: a position cannot be valued; equity is the last that was known.")
    elif (difference := _difference(figures, account.pnl)) is not None:
        said.append(f"Equity differs from deposits and P&L by {written(difference, Unit.MONEY)} {figures.currency}.")
    if figures.unreferenced:
        said.append(f"{figures.unreferenced} fills have no price of decision and are in no figure of execution.")
    return said


def _difference(figures: Figures, pnl: Decimal) -> Decimal | None:
    """What equity has beyond deposits and P&L, where it is worth a word."""
    paid = figures.days[-1].net_deposits
    if paid is None:
        return None
    difference = figures.equity - paid - pnl
    return difference if abs(difference) > DIFFERENCE_MAX else None


def _curve(figures: Figures) -> Curve | None:
    if len(figures.days) < 2:
        return None
    return Curve(
        currency=figures.currency,
        days=tuple((day.day - EPOCH).days for day in figures.days),
        equity=tuple(float(day.equity) for day in figures.days),
        drawdown=tuple(day.drawdown for day in figures.days),
    )


def _run(figures: Figures, asked: tuple[tuple[str, str], ...], acknowledgement: str) -> Section:
    rows = tuple((name, signed(value)) for name, value in (*asked, *figures.parameters))
    table = Table("Parameters", (Column("Name"), Column("Value")), rows, "None are recorded.")
    return Section("This run", (acknowledgement or "Whom the market data is owed to is not known here.",), (table,))
