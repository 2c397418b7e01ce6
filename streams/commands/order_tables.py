"""Orders and their stories as rows: from ClickHouse, and from the topics where it is away or has not heard yet."""

import logging
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from streams.commands.connections import Connection, connect, records_of
from streams.commands.outcome import Stop, say

if TYPE_CHECKING:
    from schemas.order import OrderEvent
    from schemas.record import Record
    from streams.settings import Settings

Row = dict[str, Any]

SHOWN = (
    "moved", "account_id", "client_order_id", "instrument_id", "side", "order_type", "quantity", "filled_quantity",
    "average_price", "status", "strategy_id", "reason",
)  # fmt: skip
ENDED = ("FILLED", "CANCELED", "REJECTED", "EXPIRED", "DENIED", "DONE_FOR_DAY", "CALCULATED", "REPLACED")
SAID_MAX = 120
STORY = ("time", "step", "what", "quantity", "price", "code", "detail")


def listed(settings: "Settings", account: str, instrument: str, status: str, working: bool, limit: int) -> list[Row]:
    """Orders as they stand, those that moved last first."""
    wanted = {"account_id": account, "instrument_id": instrument, "status": status}
    given = {name: value for name, value in wanted.items() if value}
    tests = [f"{name} = {{{name}:String}}" for name in given]
    if working:
        tests.append("status NOT IN {ended:Array(String)}")
    where = f"WHERE {' AND '.join(tests)}" if tests else ""
    order = f"ORDER BY moved DESC, client_order_id LIMIT {limit}"
    found = _asked(settings, "SELECT * FROM", f"orders {where} {order}", {**given, "ended": list(ENDED)})
    if found is not None:
        return found
    newest = sorted(_newest(connect(settings)), key=lambda row: str(row["client_order_id"]))
    newest.sort(key=lambda row: str(row["moved"]), reverse=True)
    return [
        row
        for row in newest
        if all(row[name] == value for name, value in given.items()) and not (working and row["status"] in ENDED)
    ][:limit]


def story(settings: "Settings", client_order_id: str) -> list[Row]:
    """Every step of one order in its order; empty where nobody knows it."""
    rest = "order_story AS s WHERE s.client_order_id = {id:String} ORDER BY s.time, s.stage"
    found = _asked(
        settings, f"SELECT {', '.join(f's.{name} AS {name}' for name in STORY)} FROM", rest, {"id": client_order_id}
    )
    return found or _story(connect(settings), client_order_id)


def _asked(settings: "Settings", select: str, rest: str, parameters: dict[str, Any]) -> list[Row] | None:
    """The rows of a view of ClickHouse; None, and a remark, where it is away."""
    from connectors.errors import ConnectorError  # noqa: PLC0415 - help must be quick
    from streams.commands.data import clickhouse_url  # noqa: PLC0415
    from streams.preparation import clickhouse_of  # noqa: PLC0415

    # Its driver says on stderr what we say in one line.
    logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())
    try:
        server = clickhouse_of(settings, clickhouse_url(settings))
        try:
            names, rows = server.question(f"{select} `{server.database}`.{rest}", parameters)
        finally:
            server.close()
    except (ConnectorError, Stop) as error:
        say(f"! ClickHouse is away, so the topics are read: {str(error)[:SAID_MAX]}")
        return None
    return [dict(zip(names, map(shown, row), strict=True)) for row in rows]


def shown(value: Any) -> Any:
    """A cell for people and for JSON: times as ISO text, decimals without trailing zeros."""
    if isinstance(value, datetime):
        return value.isoformat()
    return f"{value.normalize():f}" if isinstance(value, Decimal) else value


def _newest(found: Connection) -> Iterable[Row]:
    """The view `orders` computed from the topic."""
    from schemas.order import OrderEvent  # noqa: PLC0415 - help must be quick
    from schemas.topics import ACCOUNTS_EVENTS  # noqa: PLC0415

    steps: dict[tuple[str, str], list[OrderEvent]] = {}
    for record in records_of(found, ACCOUNTS_EVENTS):
        if isinstance(record, OrderEvent):
            steps.setdefault((record.account_id, record.client_order_id), []).append(record)
    return [_row_of(events) for events in steps.values()]


def _row_of(events: "list[OrderEvent]") -> Row:
    last = events[-1]
    times = [event.event_time_us for event in events]
    same = (
        "account_id", "client_order_id", "instrument_id", "strategy_id", "provider_id", "signal_id", "intent_id",
        "side", "order_type", "status", "quantity", "leaves_quantity", "average_price", "limit_price", "stop_price",
        "reference_price", "reason",
    )  # fmt: skip
    row = {name: shown(getattr(last, name)) for name in same}
    filled = shown(last.cumulative_quantity)
    acknowledged = min((event.event_time_us for event in events if event.status == "NEW"), default=None)
    return {
        **row,
        "filled_quantity": filled,
        "began": _iso(min(times)),
        "moved": _iso(max(times)),
        "acknowledged": None if acknowledged is None else _iso(acknowledged),
        "steps": len(events),
    }


def _story(found: Connection, client_order_id: str) -> list[Row]:
    """The view `order_story` computed from the topics."""
    from schemas.topics import ACCOUNTS_EVENTS, ACCOUNTS_INBOX, ORDERS_COMMANDS  # noqa: PLC0415 - help must be quick

    records = [
        record for topic in (ACCOUNTS_INBOX, ORDERS_COMMANDS, ACCOUNTS_EVENTS) for record in records_of(found, topic)
    ]
    intents = {getattr(record, "intent_id", "") for record in records if _names(record, client_order_id)} - {""}
    told = [
        (record.event_time_us, stage, row)
        for record in records
        if _names(record, client_order_id)
        or (not hasattr(record, "client_order_id") and getattr(record, "intent_id", None) in intents)
        or getattr(record, "request_id", None) in intents
        for stage, row in _steps(record)
    ]
    if all(row[0] == "request" for _, _, row in told):
        # People asked about an order that never was.
        return []
    return [
        dict(zip(STORY, (_iso(at), *map(shown, row)), strict=True))
        for at, _, row in sorted(told, key=lambda one: one[:2])
    ]


def _names(record: "Record", client_order_id: str) -> bool:
    original = getattr(record, "original_client_order_id", "")
    return client_order_id == (original or getattr(record, "client_order_id", ""))


def _steps(record: "Record") -> list[tuple[int, tuple[Any, ...]]]:
    """Stage, and (step, what, quantity, price, code, detail), of what one record tells of an order."""
    from schemas.execution import ExecutionReport, Fill, NotSent  # noqa: PLC0415 - help must be quick
    from schemas.intent import ManualOrder, TradeIntent  # noqa: PLC0415
    from schemas.order import OrderEvent, SubmitOrder  # noqa: PLC0415
    from schemas.risk import RiskVerdict  # noqa: PLC0415

    match record:
        case TradeIntent() as r:
            return [(2, ("intent", r.kind, None, r.reference_price, "", r.reason))]
        case ManualOrder() as r:
            return [(2, ("request", f"{r.action} by {r.author}", r.quantity, r.limit_price, "", r.reason))]
        case RiskVerdict() as r:
            checks = [
                (3, ("check", f"{c.check_id} {c.outcome}", None, None, c.code, f"{c.value} / {c.limit}"))
                for c in r.checks
            ]
            word = "approved" if r.approved else "denied"
            return [*checks, (4, ("verdict", word, r.quantity, r.price, r.code, ""))]
        case SubmitOrder() as r:
            return [(5, ("command", f"submit {r.side} {r.order_type}", r.quantity, r.limit_price, "", r.venue))]
        case ExecutionReport() as r:
            return [(6, ("broker", r.exec_type, r.last_quantity or None, r.last_price, r.code, r.text))]
        case NotSent() as r:
            return [(6, ("not sent", r.reason, None, None, r.reason, f"{r.value} / {r.limit}"))]
        case OrderEvent() as r:
            what = f"{r.previous_status or ''} -> {r.status}"
            return [(7, ("state", what, r.cumulative_quantity, r.average_price, "", r.reason))]
        case Fill() as r:
            return [(8, ("fill", r.side, r.quantity, r.price, "", r.fill_id))]
    return []


def _iso(time_us: int) -> str:
    from schemas.scalars import datetime_of  # noqa: PLC0415 - help must be quick

    return datetime_of(time_us).isoformat()
