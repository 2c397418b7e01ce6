"""THE MAP: every topic in flow order, with its records, key, writers and readers.

Names here are bare; on Kafka each is preceded by the environment's name (`Topic.full_name`). Partition counts are for
life: a key's partition is murmur2(key) mod partitions, and state lives with it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from schemas import control, dead_letter, execution, intent, market, order, position, reference, risk, signal, strategy
from schemas.record import Record
from schemas.scalars import DAY_US

FOREVER = -1
DAY_MS = DAY_US // 1000


class Cleanup(StrEnum):
    DELETE = "delete"
    COMPACT = "compact"


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic.

    key: the record field whose text is the key; broadcast records go to every partition instead.
    writers, readers: names of roles. Rooms are roles; so are `feeds`, `clock`, `relay`, `control`, `sinks` ...
    retention_ms: FOREVER, or how long a record is kept.
    batch_bytes_max: the largest batch of records that the broker takes.
    """

    name: str
    key: str
    records: tuple[type[Record], ...]
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    broadcast: frozenset[type[Record]] = frozenset()
    partitions: int = 4
    retention_ms: int = 7 * DAY_MS
    cleanup: Cleanup = Cleanup.DELETE
    replication: int = 3
    min_insync: int = 2
    batch_bytes_max: int = 1_048_588

    def full_name(self, environment: str) -> str:
        """The name on Kafka."""
        return f"{environment}.{self.name}"

    def key_of(self, record: Record) -> str | None:
        """The record's key, or None for a broadcast record."""
        if type(record) in self.broadcast:
            return None
        return str(getattr(record, self.key))


MARKET_TICKS = Topic(
    name="market.ticks",
    key="instrument_id",
    records=(
        market.QuoteBatch,
        market.TradeBatch,
        market.BarBatch,
        market.Heartbeat,
        reference.Instrument,
        reference.TradingSession,
        reference.TradingStatus,
    ),
    broadcast=frozenset({market.Heartbeat, reference.Instrument, reference.TradingSession}),
    writers=("feeds", "reference"),
    readers=("market_data", "sinks"),
)
MARKET_BARS = Topic(
    name="market.bars",
    key="instrument_id",
    records=(market.Bar,),
    writers=("market_data",),
    readers=("publishers", "paper_venue", "sinks"),
)
MARKET_QUALITY = Topic(
    name="market.quality",
    key="instrument_id",
    records=(market.QualityFinding, market.MarketCondition),
    writers=("market_data",),
    readers=("sinks",),
)
MARKET_MARKS = Topic(
    name="market.marks",
    key="instrument_id",
    records=(market.Mark,),
    writers=("market_data",),
    readers=("relay", "sinks"),
)
SIGNALS_INBOX = Topic(
    name="signals.inbox",
    key="instrument_id",
    records=(signal.Signal, signal.ProviderControl, reference.Instrument, control.ClockTick),
    broadcast=frozenset({signal.ProviderControl, reference.Instrument, control.ClockTick}),
    writers=("publishers", "control", "reference", "clock"),
    readers=("signals", "sinks"),
)
SIGNALS_REFUSED = Topic(
    name="signals.refused",
    key="instrument_id",
    records=(signal.RefusedSignal,),
    writers=("signals",),
    readers=("feedback", "sinks"),
)
STRATEGIES_INBOX = Topic(
    name="strategies.inbox",
    key="instrument_id",
    records=(
        market.Bar,
        market.MarketCondition,
        signal.AcceptedSignal,
        control.StrategyControl,
        control.ClockTick,
    ),
    broadcast=frozenset({control.StrategyControl, control.ClockTick}),
    writers=("market_data", "signals", "control", "clock"),
    readers=("strategies", "feedback", "sinks"),
)
STRATEGIES_EVENTS = Topic(
    name="strategies.events",
    key="instrument_id",
    records=(strategy.StrategyEvent,),
    writers=("strategies",),
    readers=("control", "alerts", "sinks"),
    retention_ms=FOREVER,
)
ACCOUNTS_INBOX = Topic(
    name="accounts.inbox",
    key="account_id",
    records=(
        intent.TradeIntent,
        intent.ManualOrder,
        execution.ExecutionReport,
        execution.NotSent,
        market.MarkBatch,
        control.ClockTick,
        control.AccountOpened,
        control.CashMovement,
        reference.Instrument,
        reference.FeeSchedule,
        reference.TradingSession,
        reference.TradingStatus,
        reference.CorporateAction,
        risk.LimitChange,
        control.StrategyControl,
        control.KillSwitch,
        execution.BrokerPositions,
        execution.BrokerCash,
        risk.DiscrepancyResolved,
        dead_letter.UnreadableRecord,
    ),
    broadcast=frozenset(
        {
            market.MarkBatch,
            control.ClockTick,
            reference.Instrument,
            reference.FeeSchedule,
            reference.TradingSession,
            reference.TradingStatus,
            reference.CorporateAction,
            control.StrategyControl,
            control.KillSwitch,
        }
    ),
    writers=("strategies", "execution", "relay", "control", "clock", "reference"),
    readers=("accounts", "sinks"),
    retention_ms=FOREVER,
)
ORDERS_COMMANDS = Topic(
    name="orders.commands",
    key="account_id",
    records=(order.SubmitOrder, order.CancelOrder, order.ReplaceOrder, order.QueryOrder),
    writers=("accounts",),
    readers=("execution", "sinks"),
    retention_ms=FOREVER,
)
ACCOUNTS_EVENTS = Topic(
    name="accounts.events",
    key="account_id",
    records=(
        order.OrderEvent,
        risk.RiskVerdict,
        execution.Fill,
        position.PositionState,
        position.PositionAdjusted,
        risk.RiskEvent,
        risk.RiskSnapshot,
        risk.Discrepancy,
    ),
    writers=("accounts",),
    readers=("pnl", "alerts", "feedback", "sinks"),
    retention_ms=FOREVER,
)
FILLS = Topic(
    name="fills",
    key="account_id",
    records=(execution.Fill,),
    writers=("accounts",),
    readers=("outside", "sinks"),
    retention_ms=FOREVER,
)
ACCOUNTS_SNAPSHOTS = Topic(
    name="accounts.snapshots",
    key="account_id",
    records=(position.AccountSnapshot,),
    writers=("accounts",),
    readers=("replay", "operators", "sinks"),
    retention_ms=FOREVER,
)
PNL = Topic(
    name="pnl",
    key="account_id",
    records=(position.PnlSnapshot, position.PerformanceSnapshot, position.Suggestion),
    writers=("pnl",),
    readers=("sinks", "control"),
)
CONTROL_KILL = Topic(
    name="control.kill",
    key="scope_key",
    records=(control.KillSwitch,),
    writers=("control",),
    readers=("execution", "sinks"),
    partitions=1,
    retention_ms=FOREVER,
    cleanup=Cleanup.COMPACT,
)
CONTROL_ENVIRONMENT = Topic(
    name="control.environment",
    key="name",
    records=(control.Environment,),
    writers=("control",),
    readers=("every process",),
    partitions=1,
    retention_ms=FOREVER,
    cleanup=Cleanup.COMPACT,
)
DEAD_LETTERS = Topic(
    name="dead.letters",
    key="source_topic",
    records=(dead_letter.DeadLetter,),
    writers=("market_data", "signals", "strategies", "accounts", "execution", "pnl"),
    readers=("operators", "sinks"),
    retention_ms=FOREVER,
    batch_bytes_max=2 * 2**20,
)

TOPICS: tuple[Topic, ...] = (
    MARKET_TICKS,
    MARKET_BARS,
    MARKET_QUALITY,
    MARKET_MARKS,
    SIGNALS_INBOX,
    SIGNALS_REFUSED,
    STRATEGIES_INBOX,
    STRATEGIES_EVENTS,
    ACCOUNTS_INBOX,
    ORDERS_COMMANDS,
    ACCOUNTS_EVENTS,
    FILLS,
    ACCOUNTS_SNAPSHOTS,
    PNL,
    CONTROL_KILL,
    CONTROL_ENVIRONMENT,
    DEAD_LETTERS,
)
"""Every topic, in the order in which a record walks."""

BY_NAME: dict[str, Topic] = {topic.name: topic for topic in TOPICS}

INBOXES: tuple[Topic, ...] = tuple(topic for topic in TOPICS if control.ClockTick in topic.records)
"""Topics to which the clock writes."""


def records() -> Iterator[type[Record]]:
    """Every record type that travels, once, in flow order."""
    seen: set[type[Record]] = set()
    for topic in TOPICS:
        for record in topic.records:
            if record not in seen:
                seen.add(record)
                yield record


def destinations(writer: str, record: type[Record]) -> tuple[Topic, ...]:
    """The topics to which this role writes this type of record; empty where the map knows of none."""
    return tuple(topic for topic in TOPICS if writer in topic.writers and record in topic.records)


def written_by(role: str) -> tuple[Topic, ...]:
    """Every topic that the role writes."""
    return tuple(topic for topic in TOPICS if role in topic.writers)


def read_by(role: str) -> tuple[Topic, ...]:
    """Every topic that the role reads."""
    return tuple(topic for topic in TOPICS if role in topic.readers)
