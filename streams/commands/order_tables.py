"""Orders as rows: from ClickHouse, and from the topics where it is away."""

import logging
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from streams.commands.connections import Connection, connect, records_of
from streams.commands.outcome import Stop, say

if TYPE_CHECKING:
    from schemas.order import OrderEvent
    from streams.settings import Settings

Row = dict[str, Any]

SHOWN = (
    "moved", "account_id", "client_order_id", "instrument_id", "side", "order_type", "quantity", "filled_quantity",
    "average_price", "status", "strategy_id", "reason",
)  # fmt: skip
ENDED = ("FILLED", "CANCELED", "REJECTED", "EXPIRED", "DENIED", "DONE_FOR_DAY", "CALCULATED", "REPLACED")
SAID_MAX = 120


def listed(settings: "Settings", account: str, instrument: str, status: str, working: bool, limit: int) -> list[Row]:
    """Orders as they stand, those that moved last first."""
    wanted = {"account_id": account, "instrument_id": instrument, "status": status}
    given = {name: value for name, value in wanted.items() if value}
    tests = [f"{name} = {{{name}:String}}" for name in given]
    if working:
        tests.append("status NOT IN {ended:Array(String)}")
    where = f"WHERE {' AND '.join(tests)}" if tests else ""
    order = f"ORDER BY moved DESC, client_order_id LIMIT {limit}"
    found = asked(settings, "SELECT * FROM", f"orders {where} {order}", {**given, "ended": list(ENDED)})
    if found is not None:
        return [{name: shown(value) for name, value in row.items()} for row in found]
    newest = sorted(_newest(connect(settings)), key=lambda row: str(row["client_order_id"]))
    newest.sort(key=lambda row: str(row["moved"]), reverse=True)
    return [
        row
        for row in newest
        if all(row[name] == value for name, value in given.items()) and not (working and row["status"] in ENDED)
    ][:limit]


def asked(settings: "Settings", select: str, rest: str, parameters: dict[str, Any]) -> list[Row] | None:
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
    return [dict(zip(names, row, strict=True)) for row in rows]


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


def _iso(time_us: int) -> str:
    from schemas.scalars import datetime_of  # noqa: PLC0415 - help must be quick

    return datetime_of(time_us).isoformat()
