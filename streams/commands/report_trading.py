"""The sections of a report on trading: round trips, what execution cost, what was denied."""

from __future__ import annotations

from dashboards.report.page import Column, Section, Table, Unit, Value
from dashboards.report.values import written
from schemas.scalars import DAY_US
from streams.commands.report_figures import Figures
from streams.commands.report_rows import Execution, Shortfall
from streams.pnl.performance.returns import iso_time
from streams.pnl.performance.trades import trade_report


def trades(figures: Figures) -> Section:
    """Round trips: by side and reason, and the newest one by one."""
    described = trade_report(trade.closed() for trade in figures.trades)
    kinds = tuple(
        (f"{when} {kind}", group.trades, group.wins, group.pnl, group.fees)
        for when, groups in (("began by", described.by_entry_reason), ("ended by", described.by_exit_reason))
        for kind, group in groups.items()
    )
    sides = (("long", described.long), ("short", described.short))
    groups = Table(
        "By side, and by what began and ended them",
        (
            Column("Round trips"),
            Column("Closed", Unit.COUNT),
            Column("Won", Unit.COUNT),
            Column("P&L after fees", Unit.MONEY),
            Column("Fees", Unit.MONEY),
        ),
        (*((name, group.trades, group.wins, group.pnl, group.fees) for name, group in sides), *kinds)
        if figures.trades else (),
        NO_TRADES,
    )  # fmt: skip
    listed = Table(
        f"Newest {min(TRADES_SHOWN, len(figures.trades))} of {len(figures.trades)}",
        (
            Column("Strategy, instrument"),
            Column("Side"),
            Column("From", Unit.DAY),
            Column("To", Unit.DAY),
            Column("Days"),
            Column("P&L after fees", Unit.MONEY),
            Column("Worst on the way", Unit.MONEY),
            Column("Best on the way", Unit.MONEY),
            Column("Began because"),
            Column("Ended because"),
        ),
        tuple(
            (
                f"{one.strategy_id or 'by hand'}, {one.instrument_id}", one.direction.lower(), iso_time(one.entry_us),
                iso_time(one.exit_us), f"{(one.exit_us - one.entry_us) / DAY_US:.1f}", one.pnl, one.mae, one.mfe,
                _why(one.entry_kind, one.entry_reason), _why(one.exit_kind, one.exit_reason),
            )
            for one in reversed(figures.trades[-TRADES_SHOWN:])
        ),
        NO_TRADES,
    )  # fmt: skip
    remark = (
        "A trade is a strategy's position in an instrument from flat to flat, by its own fills. Worst and best on the "
        "way are its result before fees at the extremes of the marks while it was open."
    )
    return Section("Trades", (remark,), (groups, listed))


TRADES_SHOWN = 100
"""Trades of the page; `--json` has them all, and so has the view `trades`."""
NO_TRADES = "No trade has been closed."


def _why(kind: str, reason: str) -> str:
    return reason if kind == "WISH" and reason else kind.replace("_", " ").lower()


def execution(figures: Figures) -> Section:
    """What orders and fills cost."""
    table = Table(
        "Slippage against the price when the decision fell",
        (
            Column("Strategy, instrument, venue"),
            Column("Fills", Unit.COUNT),
            Column("Traded", Unit.MONEY),
            Column("Slippage", Unit.MONEY),
            Column("Currency"),
            Column("Mean, bps", Unit.BASIS_POINTS),
            Column("Median, bps", Unit.BASIS_POINTS),
            Column("Worst, bps", Unit.BASIS_POINTS),
        ),
        tuple(map(_executed, figures.executions)),
        "There are no fills with a price of decision.",
    )
    fees = ", ".join(f"{written(fee, Unit.MONEY)} {currency}" for currency, fee in figures.fees.items() if currency)
    orders = ", ".join(f"{count} {status}" for status, count in figures.orders.items())
    remarks = (
        "Positive slippage is what it cost, negative what it gained, before fees. A basis point is 0.01 %.",
        f"Fees paid: {fees or 'none'}. Orders by their last status: {orders or 'none'}.",
    )
    return Section("Execution quality", (*remarks, SHORTFALL), (table, _shortfall(figures), _against(figures)))


SHORTFALL = (
    "Implementation shortfall is what orders cost against paper, where all that was wished is traded at the price of "
    "the decision (Perold 1988): delay until the order arrived, execution from there to the fills, opportunity of what "
    "was not filled until the day's close, and fees; the four add up."
)


def _shortfall(figures: Figures) -> Table:
    return Table(
        "Implementation shortfall by strategy, venue and size",
        (
            Column("Strategy, venue, value from"),
            Column("Orders", Unit.COUNT),
            Column("Ordered", Unit.MONEY),
            Column("Delay", Unit.MONEY),
            Column("Execution", Unit.MONEY),
            Column("Opportunity", Unit.MONEY),
            Column("Fees", Unit.MONEY),
            Column("Shortfall", Unit.MONEY),
            Column("Currency"),
        ),
        tuple(
            (
                _sized(one), one.orders, one.ordered, one.delay, one.execution, one.opportunity, one.fees,
                one.shortfall, one.currency,
            )
            for one in figures.shortfalls
        ),
        "There are no orders with a price of decision and marks around it.",
    )  # fmt: skip


def _against(figures: Figures) -> Table:
    return Table(
        "Mean cost of filled orders against the market's prices",
        (
            Column("Strategy, venue, value from"),
            Column("Arrival, bps", Unit.BASIS_POINTS),
            Column("Interval VWAP, bps", Unit.BASIS_POINTS),
            Column("Interval mean, bps", Unit.BASIS_POINTS),
            Column("Close, bps", Unit.BASIS_POINTS),
        ),
        tuple((_sized(one), one.arrival_bps, one.vwap_bps, one.twap_bps, one.close_bps) for one in figures.shortfalls),
        "There are no orders with a price of decision and marks around it.",
    )


def _sized(one: Shortfall) -> str:
    return f"{one.strategy_id or 'by hand'}, {one.venue}, {one.notional_from:,.0f}"


def _executed(one: Execution) -> tuple[Value, ...]:
    name = ", ".join((one.strategy_id or "by hand", one.instrument_id, one.venue))
    return (
        name, one.fills, one.notional, one.slippage, one.currency, one.mean_bps, one.median_bps, one.worst_bps,
    )  # fmt: skip


def denials(figures: Figures) -> Section:
    """What our own risk denied."""
    table = Table(
        "Denials by their gravest code",
        (
            Column("Code"),
            Column("Denials", Unit.COUNT),
            Column("Strategies", Unit.COUNT),
            Column("Newest", Unit.DAY),
            Column("For example: value / limit"),
        ),
        tuple((one.code, one.count, one.strategies, one.newest, one.example) for one in figures.denials),
        "Nothing was denied.",
    )
    return Section("Denied by our own risk", (), (table,))
