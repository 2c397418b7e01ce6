"""What the log tells of time on the way: each hop from a record to what it caused, and how many records there were.

Records carry what caused them, and Kafka the wall clock at which each was written. So a hop is how long after a record
its answer was written, whatever event times say: commit and way of the one, turn and fold of the other.
"""

from collections.abc import Iterable
from typing import NamedTuple

from connectors.clickhouse.client import ClickHouse
from schemas.execution import ExecutionReport, Fill
from schemas.intent import TradeIntent
from schemas.market import Bar, BarBatch, Mark, QuoteBatch, TradeBatch
from schemas.order import SubmitOrder
from schemas.position import PnlSnapshot
from schemas.record import Record
from schemas.risk import RiskSnapshot
from schemas.signal import AcceptedSignal, Signal
from streams.runtime.headers import CAUSE


class Hop(NamedTuple):
    """From a record to the first of its answers of one type."""

    name: str
    cause: type[Record]
    answer: type[Record]


HOPS: tuple[Hop, ...] = (
    Hop("tick_to_bar", BarBatch, Bar),
    Hop("quote_to_mark", QuoteBatch, Mark),
    Hop("trade_to_mark", TradeBatch, Mark),
    Hop("bar_to_intent", Bar, TradeIntent),
    Hop("signal_to_accepted", Signal, AcceptedSignal),
    Hop("accepted_to_intent", AcceptedSignal, TradeIntent),
    Hop("intent_to_command", TradeIntent, SubmitOrder),
    Hop("command_to_broker", SubmitOrder, ExecutionReport),
    Hop("broker_to_fill", ExecutionReport, Fill),
    Hop("risk_to_pnl", RiskSnapshot, PnlSnapshot),
)
"""In the order of the walk. Bars of quotes and trades end with the clock: what answers these is a mark.
`command_to_broker` ends with the broker's answer in the log; P&L is told when risk has looked at the account."""

_HOPS = """
    SELECT causes.record, answers.record, quantilesExact(0.5, 0.99)(
        greatest(0, toUnixTimestamp64Milli(answers.at) - toUnixTimestamp64Milli(causes.at)))
    FROM (
        SELECT headers[{cause:String}] AS cause, record, min(written_at) AS at FROM {database:Identifier}.events
        WHERE record IN {answers:Array(String)} AND cause != '' GROUP BY cause, record
    ) AS answers
    INNER JOIN (
        SELECT concat({environment:String}, '.', topic, '/', toString(partition), '/', toString(offset)) AS place,
            any(events.record) AS record, min(written_at) AS at FROM {database:Identifier}.events AS events
        WHERE events.record IN {causes:Array(String)} GROUP BY place
    ) AS causes ON causes.place = answers.cause
    GROUP BY causes.record, answers.record
"""

_COUNT = """
    SELECT count() FROM {database:Identifier}.events FINAL WHERE toUnixTimestamp64Milli(written_at) >= {since:Int64}
"""


def hops_ms(server: ClickHouse, environment: str) -> dict[str, dict[str, float]]:
    """Median and 99th percentile of each hop in milliseconds; a hop that nothing took is left out.

    Raises Unavailable and Refused, as ClickHouse does.
    """
    asked = {
        "database": server.database,
        "cause": CAUSE,
        "environment": environment,
        "causes": _names(hop.cause for hop in HOPS),
        "answers": _names(hop.answer for hop in HOPS),
    }
    found = {(cause, answer): quantiles for cause, answer, quantiles in server.rows(_HOPS, asked)}
    known = ((hop.name, found.get((hop.cause.__name__, hop.answer.__name__))) for hop in HOPS)
    return {name: {"p50": float(told[0]), "p99": float(told[1])} for name, told in known if told is not None}


def records_since(server: ClickHouse, since_ms: int) -> int:
    """Records of all topics that were written since this wall time, milliseconds. Raises Unavailable and Refused."""
    return int(server.rows(_COUNT, {"database": server.database, "since": since_ms})[0][0])


def _names(kinds: Iterable[type[Record]]) -> list[str]:
    return sorted({kind.__name__ for kind in kinds})
