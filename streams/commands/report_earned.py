"""The section of a report on who and what earned, and what each adds to risk."""

from __future__ import annotations

from dashboards.report.page import Column, Section, Table, Unit, Value
from dashboards.report.values import signed
from schemas.position import PnlDimension
from streams.commands.report_figures import REST, Figures
from streams.commands.report_rows import Member

COLUMNS = (
    Column("P&L after fees", Unit.MONEY),
    Column("Realised", Unit.MONEY),
    Column("Unrealised", Unit.MONEY),
    Column("Fees", Unit.MONEY),
    Column("Fills", Unit.COUNT),
    Column("Round trips won", Unit.COUNT),
    Column("Turnover", Unit.MONEY),
)
"""Of a table of members, after their names."""


def who_earned(figures: Figures) -> Section:
    """Results by strategy, provider, instrument; what divides them, what they risk, what they suggest."""
    titles = {
        PnlDimension.STRATEGY: ("By strategy", "Strategy", "No strategy has traded."),
        PnlDimension.PROVIDER: ("By signal provider", "Provider", "No trade followed a provider's signal."),
        PnlDimension.INSTRUMENT: ("By instrument", "Instrument", "No instrument was traded."),
    }
    tables = tuple(
        Table(title, (Column(name), *COLUMNS), tuple(map(_row, figures.members[dimension])), otherwise)
        for dimension, (title, name, otherwise) in titles.items()
    )
    remark = (
        f"All amounts in {figures.currency}. Strategies and providers are measured by their own fills at average cost; "
        "the account nets them, so realised and unrealised differ between tables while P&L adds up."
    )
    divided = (_divided(figures), *_active(figures), _risk(figures), _suggested(figures))
    return Section("Who earned it", (remark,), (*tables, *divided))


def _divided(figures: Figures) -> Table:
    words = {
        "LONG": "while long", "SHORT": "while short", "FEES": "fees", "SLIPPAGE": "slippage from the decision",
        "BEFORE_COSTS": "before costs", "NONE": "no sector", REST: "not explained",
    }  # fmt: skip
    rows = tuple(
        (f"{dimension.lower()}: {words.get(member, member)}", pnl)
        for dimension, member, pnl in figures.attribution
        if dimension in ("SECTOR", "SIDE", "COST") and pnl
    )
    columns = (Column("Of the account's P&L"), Column("P&L after fees", Unit.MONEY))
    return Table("By sector, side and cost; each adds up to the account's P&L", columns, rows, "Nothing was earned.")


def _active(figures: Figures) -> tuple[Table, ...]:
    """The return against a benchmark's by sector, where weights and returns of sectors were given."""
    found = figures.active
    if isinstance(found, str):
        return ()
    columns = (
        Column("Sector"),
        Column("Weight", Unit.FRACTION),
        Column("Benchmark's", Unit.FRACTION),
        Column("Return", Unit.FRACTION),
        Column("Benchmark's", Unit.FRACTION),
        Column("Allocation", Unit.FRACTION),
        Column("Selection", Unit.FRACTION),
        Column("Interaction", Unit.FRACTION),
        Column("Together", Unit.FRACTION),
    )
    rows: list[tuple[Value, ...]] = []
    for name, one in found.added.items():
        held = found.segments[name]
        rows.append(
            (
                name, held.weight, held.benchmark_weight, held.performance, held.benchmark_performance,
                one.allocation, one.selection, one.interaction, one.total,
            )
        )  # fmt: skip
    added = found.added.values()
    whole = [sum(getattr(one, effect) for one in added) for effect in ("allocation", "selection", "interaction")]
    beyond = found.performance - found.benchmark
    rows.append(("the account", 1.0, 1.0, found.performance, found.benchmark, *whole, beyond))
    caption = f"Return beyond the benchmark's ({figures.benchmark}), by sector (Brinson and Fachler 1985)"
    return (Table(caption, columns, tuple(rows), ""),)


def _risk(figures: Figures) -> Table:
    found = figures.risk
    columns = (
        Column("Strategy"),
        Column("Adds to volatility", Unit.FRACTION),
        Column("Share of it", Unit.FRACTION),
    )
    rows: tuple[tuple[Value, ...], ...] = ()
    if found is not None:
        named = [(name, added) for name, added in found.added.items() if name != REST or abs(added) > NO_RISK]
        ordered = sorted(named, key=lambda one: -one[1])
        rows = tuple((name, added, added / found.volatility) for name, added in ordered)
        rows = (*rows, ("the account", found.volatility, 1.0))
    return Table(
        "What each strategy adds to the account's volatility, a year",
        columns,
        rows,
        "It is not known: a result is missing, or there are too few days.",
    )


def _suggested(figures: Figures) -> Table:
    columns = (
        Column("Day"),
        Column("Strategy"),
        Column("Suggested"),
        Column("Because"),
        Column("Figures"),
    )
    rows = tuple(
        (day, strategy, change.lower(), reason, signed(evidence))
        for day, strategy, change, reason, evidence in figures.suggestions
    )
    return Table("Suggestions; the engine acts on none of them", columns, rows, "Results suggest no change.")


NO_RISK = 1e-9
"""Volatility that is rounding."""


def _row(one: Member) -> tuple[Value, ...]:
    return (
        one.member, one.pnl, one.realised_pnl, one.unrealised_pnl, one.fees, one.fills, won(one), one.turnover,
    )  # fmt: skip


def won(one: Member) -> str:
    """Round trips, in words."""
    return f"{one.winning_trades} of {one.closed_trades}" if one.closed_trades else "none closed"
