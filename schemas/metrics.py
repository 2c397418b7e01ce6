"""Every metric: name, kind, unit, help and labels. Nothing else may be exported, drawn or alerted on.

Names follow Prometheus: `quantumleap_<what>_<unit>`, base units, `_total` for counters. Every metric carries the labels
of `COMMON` besides its own.
"""

from dataclasses import dataclass
from enum import StrEnum

PREFIX = "quantumleap"
COMMON = ("environment", "role")
"""Labels of every metric: which environment, and which role of the engine exports it."""

LATENCY_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Upper bounds around what a hop (5 to 50 ms) and a way from signal to broker (20 to 200 ms) take, what it may take
(250 ms), and an outage."""
SIZE_BUCKETS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0)


class Kind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Unit(StrEnum):
    """What one is; the name of a metric ends with it, counters add `_total`."""

    SECONDS = "seconds"
    BYTES = "bytes"
    RECORDS = "records"
    RATIO = "ratio"
    NONE = ""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    name: as Prometheus knows it
    kind: counter (only rises), gauge (now) or histogram
    unit: what one is
    help: its meaning in one sentence
    labels: besides `COMMON`; each has few values, never an id of an order or a signal
    buckets: upper bounds, for a histogram
    """

    name: str
    kind: Kind
    unit: Unit
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


def _counter(name: str, unit: Unit, meaning: str, *labels: str) -> Metric:
    return Metric("_".join(filter(None, (PREFIX, name, unit, "total"))), Kind.COUNTER, unit, meaning, labels)


def _gauge(name: str, unit: Unit, meaning: str, *labels: str) -> Metric:
    return Metric("_".join(filter(None, (PREFIX, name, unit))), Kind.GAUGE, unit, meaning, labels)


def _seconds(name: str, meaning: str, *labels: str) -> Metric:
    return Metric(f"{PREFIX}_{name}_seconds", Kind.HISTOGRAM, Unit.SECONDS, meaning, labels, LATENCY_BUCKETS_S)


# Rooms and doors
RECORDS_READ = _counter("read", Unit.RECORDS, "Records that a room's door has folded.", "topic", "record")
RECORDS_WRITTEN = _counter("written", Unit.RECORDS, "Records that committed.", "topic", "record")
DEAD_LETTERS = _counter("dead_letters", Unit.RECORDS, "Records that a door could not let through.", "topic", "reason")
BATCH_SECONDS = _seconds("batch", "Time from having a batch to its committed transaction.", "room")
FOLD_SECONDS = _seconds("fold", "Time that a batch spends in folds.", "room")
BATCH_RECORDS = Metric(
    f"{PREFIX}_batch_records", Kind.HISTOGRAM, Unit.RECORDS, "Records in a batch.", ("room",), SIZE_BUCKETS
)
HOP_SECONDS = _seconds("hop", "Time from a record's append on Kafka to the commit of what it caused.", "room")
SIGNAL_TO_ORDER_SECONDS = _seconds("signal_to_order", "Time from a signal's event time to its order at the socket.")
TRANSACTIONS_ABORTED = _counter("transactions_aborted", Unit.NONE, "Transactions that did not commit.", "room", "cause")
LAG_RECORDS = _gauge("lag", Unit.RECORDS, "Records of a partition not yet folded.", "room", "topic", "partition")
LAG_SECONDS = _gauge("lag", Unit.SECONDS, "Age of the oldest record not yet folded.", "room", "topic", "partition")
APPLIED_OFFSET = _gauge("applied_offset", Unit.NONE, "Offset folded last.", "room", "topic", "partition")
PARTITIONS_RECOVERING = _gauge("partitions_recovering", Unit.NONE, "Partitions whose state is being read.", "room")
PARTITIONS_OWNED = _gauge("partitions_owned", Unit.NONE, "Partitions that this process folds.", "room")
PARTITIONS_PARKED = _gauge("partitions_parked", Unit.NONE, "Partitions stopped by a fold that raised.", "room")
REBALANCES = _counter("rebalances", Unit.NONE, "Assignments that changed.", "room")
RECOVERY_SECONDS = _seconds("recovery", "Time to read a partition's state from its changelog.", "room")
STATE_BYTES = _gauge("state", Unit.BYTES, "Encoded size of the states kept.", "room")
BUILD = _gauge("build", Unit.NONE, "1, with the version that runs.", "version")
READY = _gauge("ready", Unit.NONE, "1 when ready; else 0 for each reason that holds it back.", "reason")

# Market data
TICKS_REFUSED = _counter("ticks_refused", Unit.RECORDS, "Ticks refused or flagged.", "code", "action")
TICK_AGE_SECONDS = _gauge("tick_age", Unit.SECONDS, "Clock minus the newest tick of an instrument.", "instrument")
INSTRUMENTS = _gauge("instruments", Unit.NONE, "Instruments by how their market stands.", "status")

# Signals and risk
SIGNALS_REFUSED = _counter("signals_refused", Unit.RECORDS, "Signals refused.", "provider", "code")
SIGNALS_ACCEPTED = _counter("signals_accepted", Unit.RECORDS, "Signals accepted.", "provider")
INTENTS_DENIED = _counter("intents_denied", Unit.RECORDS, "Wishes that risk denied, by gravest code.", "code")
TRADING_STATE = _gauge("trading_state", Unit.NONE, "0 ACTIVE, 1 REDUCING, 2 HALTED.", "account")
EQUITY = _gauge("equity", Unit.NONE, "Equity of an account in its base currency.", "account")
DRAWDOWN_RATIO = _gauge("drawdown", Unit.RATIO, "Drawdown from peak equity, as a fraction.", "account")
DISCREPANCIES_OPEN = _gauge("discrepancies_open", Unit.NONE, "Differences from the broker, unresolved.", "account")

# Execution
COMMANDS_OUTSTANDING = _gauge("commands_outstanding", Unit.NONE, "Commands read and not yet decided.", "venue")
ORDERS_UNKNOWN = _gauge("orders_unknown", Unit.NONE, "Orders whose fate at the broker is undecided.", "venue")
BROKER_CALL_SECONDS = _seconds(
    "broker_call", "Time of a call to a broker; ok, refused, unavailable or ambiguous.", "venue", "call", "outcome"
)
BROKER_ROUTE_CALLS = _counter(
    "broker_route_calls", Unit.NONE, "Calls that a route to a venue carried; 1 is preferred.", "venue", "route"
)
NOT_SENT = _counter("not_sent", Unit.NONE, "Commands that execution did not send.", "venue", "reason")
KILL_SWITCH_ACTIVE = _gauge("kill_switch_active", Unit.NONE, "1 while a kill switch halts at the socket.", "scope")
CLOCK_TICK_AGE_SECONDS = _gauge("clock_tick_age", Unit.SECONDS, "Wall clock minus the newest clock tick.")

# Sinks
SINK_ROWS = _counter("sink_rows", Unit.NONE, "Rows that ClickHouse has acknowledged.", "table")
SINK_INSERT_SECONDS = _seconds("sink_insert", "Time of an insert into ClickHouse; ok or failed.", "table", "outcome")
SINK_LAG_SECONDS = _gauge("sink_lag", Unit.SECONDS, "Age of the oldest record not yet in ClickHouse.", "topic")

METRICS: tuple[Metric, ...] = tuple(metric for metric in list(globals().values()) if isinstance(metric, Metric))
"""Every metric, in the order above."""

BY_NAME: dict[str, Metric] = {metric.name: metric for metric in METRICS}
