"""Service objectives and how fast their error budgets burn: the rules that Prometheus evaluates.

Burn is the share of bad over the budgeted share: 1 spends exactly the budget of `PERIOD`. Alerts compare a long window
(is it real) with a short one (is it still so), at the paces of the Site Reliability Workbook, chapter 5.
"""

from dataclasses import dataclass

PERIOD = "30d"
WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")


@dataclass(frozen=True, slots=True)
class Pace:
    """A speed of burning at which somebody is told.

    burn: this fast or faster
    long, short: both windows must burn so
    severity: page now, or ticket for the day
    """

    burn: float
    long: str
    short: str
    severity: str


PACES = (
    Pace(14.4, "1h", "5m", "page"),
    Pace(6, "6h", "30m", "page"),
    Pace(3, "1d", "2h", "ticket"),
    Pace(1, "3d", "6h", "ticket"),
)


@dataclass(frozen=True, slots=True)
class Objective:
    """One promise.

    name: in names of rules
    alert: name of its alerts
    budget: share that may be bad
    promise: for people
    bad: PromQL, 1 while things are bad and 0 while not, by environment; empty where events are counted
    good, total: counters of events by environment, the matcher of the good ones included
    runbook, board: where to look
    """

    name: str
    alert: str
    budget: float
    promise: str
    runbook: str
    board: str
    bad: str = ""
    good: str = ""
    total: str = ""


OBJECTIVES = (
    Objective(
        name="signal_to_order",
        alert="SignalToOrderBudgetBurns",
        budget=0.001,
        promise="99.9 % of orders reach the socket within 250 ms of their signal",
        good='quantumleap_signal_to_order_seconds_bucket{le="0.25"}',
        total="quantumleap_signal_to_order_seconds_count",
        runbook="signal-to-order-slow",
        board="ql-pipeline",
    ),
    Objective(
        name="orders_known",
        alert="OrdersKnownBudgetBurns",
        budget=0.001,
        promise="the state of every order is known within 5 s, 99.9 % of the time",
        bad="sum by (environment) (min_over_time(quantumleap_orders_unknown[10s])) > bool 0",
        runbook="orders-unknown",
        board="ql-orders",
    ),
    Objective(
        name="sink_fresh",
        alert="SinkFreshBudgetBurns",
        budget=0.005,
        promise="rows are in ClickHouse within 30 s, 99.5 % of the time",
        bad="max by (environment) (quantumleap_sink_lag_seconds) > bool 30",
        runbook="sink-behind",
        board="ql-clickhouse",
    ),
)

EVENTS_BAD_MIN = 5
"""Fewer bad events than this in the long window wake nobody: in a quiet hour one slow order is a large share."""


def rules_file() -> str:
    """`rules/objectives.yml`: recorded burn by window, and the alerts."""
    lines = ["# Generated from dashboards/objectives.py by `python -m dashboards.grafana`.", "groups:"]
    for objective in OBJECTIVES:
        if objective.bad:
            lines += [f"  - name: objective-{objective.name}-now", "    rules:"]
            lines += _record(f"quantumleap:{objective.name}:bad", objective.bad)
        lines += [f"  - name: objective-{objective.name}", "    interval: 30s", "    rules:"]
        lines += _recorded(objective)
        for pace in PACES:
            lines += _alert(objective, pace)
    return "\n".join(lines) + "\n"


def _recorded(objective: Objective) -> list[str]:
    name = f"quantumleap:{objective.name}"
    lines: list[str] = []
    for window in WINDOWS:
        if objective.bad:
            lines += _record(f"{name}:burn", f"avg_over_time({name}:bad[{window}]) / {objective.budget}", window)
        else:
            good = f"sum by (environment) (increase({objective.good}[{window}]))"
            total = f"sum by (environment) (increase({objective.total}[{window}]))"
            lines += _record(f"{name}:bad_events", f"{total} - {good}", window)
            lines += _record(f"{name}:burn", f"(1 - {good} / ({total} > 0)) / {objective.budget}", window)
    return lines


def _record(name: str, expression: str, window: str = "") -> list[str]:
    lines = [f"      - record: {name}", f"        expr: '{expression}'"]
    return [*lines, f"        labels: {{window: {window}}}"] if window else lines


def _alert(objective: Objective, pace: Pace) -> list[str]:
    name = f"quantumleap:{objective.name}"
    conditions = [f'{name}:burn{{window="{window}"}} >= {pace.burn}' for window in (pace.long, pace.short)]
    if not objective.bad:
        conditions.append(f'{name}:bad_events{{window="{pace.long}"}} >= {EVENTS_BAD_MIN}')
    expression = " and on (environment) ".join(conditions)
    return [
        f"      - alert: {objective.alert}",
        f"        expr: '{expression}'",
        f"        labels: {{severity: {pace.severity}, team: trading, pace: '{pace.burn}'}}",
        "        annotations:",
        f"          summary: 'The budget of {{{{ $labels.environment }}}} for {objective.name} burns "
        f'{{{{ $value | printf "%.1f" }}}} times too fast\'',
        f"          description: 'Promised: {objective.promise}. At this pace the budget of {PERIOD} does not last.'",
        f"          runbook: docs/runbooks/{objective.runbook}.md",
        f"          board: {objective.board}",
    ]
