"""The page of a report: which figure stands where, and what is said where one is missing."""

from __future__ import annotations

from decimal import Decimal

from dashboards.report.page import Column, Curve, Figure, Page, Section, Table, Unit, Value
from dashboards.report.values import signed, written
from schemas.position import PnlDimension
from schemas.scalars import DAY_US
from streams.commands.replay import NO_CHANGE
from streams.commands.report_figures import EPOCH, REST, Execution, Figures, Member, Shortfall
from streams.pnl.performance.metrics import METRICS, SMALL_SAMPLE, Needs
from streams.pnl.performance.returns import iso_time
from streams.pnl.performance.summary import Statistic, Summary
from streams.pnl.performance.trades import trade_report

DIFFERENCE_MAX = Decimal("0.01")
"""Of equity from deposits and P&L, above which a reader is told."""

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
            _who_earned(figures),
            _trades(figures),
            _execution(figures),
            _denials(figures),
            _statistics(figures),
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
        Figure("Fills", figures.fills, Unit.COUNT, f"round trips won: {_won(account)}" if account else ""),
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


def _who_earned(figures: Figures) -> Section:
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
    return Section("Who earned it", (remark,), (*tables, _divided(figures), _risk(figures), _suggested(figures)))


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
        one.member, one.pnl, one.realised_pnl, one.unrealised_pnl, one.fees, one.fills, _won(one), one.turnover,
    )  # fmt: skip


def _won(one: Member) -> str:
    return f"{one.winning_trades} of {one.closed_trades}" if one.closed_trades else "none closed"


def _execution(figures: Figures) -> Section:
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


def _trades(figures: Figures) -> Section:
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


def _executed(one: Execution) -> tuple[Value, ...]:
    name = ", ".join((one.strategy_id or "by hand", one.instrument_id, one.venue))
    return (
        name, one.fills, one.notional, one.slippage, one.currency, one.mean_bps, one.median_bps, one.worst_bps,
    )  # fmt: skip


def _denials(figures: Figures) -> Section:
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


def _statistics(figures: Figures) -> Section:
    title = "Statistics"
    if figures.summary is None:
        return Section(title, (f"Not computed: {figures.no_summary}.",))
    summary = figures.summary
    names = [name for name, metric in METRICS.items() if metric.needs in (Needs.RETURNS, Needs.RESULTS)]
    rows = tuple((_words(name), *_statistic(summary[name])) for name in names)
    columns = (Column("Statistic"), Column("Value"), Column("95 % interval"), Column("n", Unit.COUNT))
    table = Table("Of daily returns", columns, rows, "", figures=True)
    falls = tuple(
        (
            _day(fall.trough_us), -1 * abs(fall.depth), _day(fall.peak_us),
            _day(fall.recovery_us) if fall.recovered else "not yet", fall.duration,
        )
        for fall in summary.falls
    )  # fmt: skip
    deepest = Table(
        "Deepest drawdowns",
        (
            Column("Lowest on"),
            Column("Depth", Unit.FRACTION),
            Column("Since", Unit.DAY),
            Column("Recovered", Unit.DAY),
            Column("Days seen", Unit.COUNT),
        ),
        falls,
        "Equity never fell below its highest.",
    )
    remarks = [
        f"{summary.n} daily returns, 252 a year; hit rate, profit factor, expectancy, payoff, SQN and Kelly are of "
        f"{'closed trades' if summary.basis == 'trades' else 'days'}. A number of too few observations is shown as "
        f'"n < {SMALL_SAMPLE}".'
    ]
    remarks += [f"Note: {note}." for note in summary.notes]
    scores = Table(
        "Signals whose horizon has passed",
        (
            Column("Provider"),
            Column("Scored", Unit.COUNT),
            Column("Came true", Unit.FRACTION),
            Column("Mean move our way, bps", Unit.BASIS_POINTS),
        ),
        tuple(
            (one.provider_id, one.scored, *(
                (one.hit_rate, one.mean_return_bps) if one.scored >= SMALL_SAMPLE else (f"n < {SMALL_SAMPLE}",) * 2
            ))
            for one in figures.scores
        ),
        "No signal's horizon has passed.",
    )  # fmt: skip
    return Section(title, tuple(remarks), (table, deepest, scores))


def _statistic(one: Statistic) -> tuple[Value, ...]:
    if one.low is None or one.high is None or one.why is not None:
        return signed(one.shown), "", one.n
    form = ".2%" if one.unit.startswith("fraction") else ",.3g"
    return signed(one.shown), f"{signed(format(one.low, form))} to {signed(format(one.high, form))}", one.n


def _words(name: str) -> str:
    special = {"cagr": "CAGR", "sqn": "SQN", "value_at_risk": "Value at risk, 1 day, 95 %"}
    return special.get(name, name.replace("_", " ").capitalize())


def _day(time_us: int | None) -> str:
    return "start" if time_us is None else iso_time(time_us)


def _run(figures: Figures, asked: tuple[tuple[str, str], ...], acknowledgement: str) -> Section:
    rows = tuple((name, signed(value)) for name, value in (*asked, *figures.parameters))
    table = Table("Parameters", (Column("Name"), Column("Value")), rows, "None are recorded.")
    return Section("This run", (acknowledgement or "Whom the market data is owed to is not known here.",), (table,))
