"""The section of a report on statistics."""

from __future__ import annotations

from dashboards.report.page import Column, Section, Table, Unit, Value
from dashboards.report.values import signed
from streams.commands.report_figures import Figures
from streams.pnl.performance.metrics import METRICS, SMALL_SAMPLE, Needs
from streams.pnl.performance.returns import iso_time
from streams.pnl.performance.summary import Statistic


def statistics(figures: Figures) -> Section:
    """Statistics of daily returns, and against a benchmark where one is given."""
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
    return Section(title, tuple(remarks), (table, *_relative(figures), deepest, scores))


def _relative(figures: Figures) -> tuple[Table, ...]:
    """The statistics against a benchmark's series, where one was given."""
    assert figures.summary is not None, "no statistics, no comparison"
    summary = figures.summary
    names = [name for name, metric in METRICS.items() if metric.needs is Needs.BENCHMARK]
    if not any(summary[name].n for name in names):
        return ()
    columns = (Column("Statistic"), Column("Value"), Column("95 % interval"), Column("n", Unit.COUNT))
    rows = tuple((_words(name), *_statistic(summary[name])) for name in names)
    return (Table(f"Against the benchmark ({figures.benchmark})", columns, rows, "", figures=True),)


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
