"""The whole story of one order: from ClickHouse, and from the topics where it is away or has not heard of it yet."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from streams.commands.connections import Connection, connect, received_of
from streams.commands.order_measures import Row, latencies, slippage
from streams.commands.order_tables import asked, shown

if TYPE_CHECKING:
    from schemas.execution import Fill
    from schemas.record import Record
    from schemas.topics import Topic
    from streams.runtime.reader import Received
    from streams.settings import Settings

STEPS = ("time", "step", "what", "quantity", "price", "code", "detail")
FILL = ("fill_id", "side", "quantity", "price", "reference_price")


class Story(NamedTuple):
    """Every step in its order; how long it took, and what it cost: see `order_measures`."""

    steps: list[Row]
    latencies: list[Row]
    slippage: Row | None

    def as_json(self) -> Row:
        """All of it, for JSON."""
        cost = self.slippage
        return {
            "steps": list(map(_shown, self.steps)),
            "latencies": self.latencies,
            "slippage": cost and {"fills": list(map(_shown, cost["fills"])), "order": _shown(cost["order"])},
        }


def story(settings: "Settings", client_order_id: str) -> Story | None:
    """The story of an order; None where nobody knows it."""
    return in_clickhouse(settings, client_order_id) or _in_topics(connect(settings), client_order_id)


def in_clickhouse(settings: "Settings", client_order_id: str) -> Story | None:
    """The story that ClickHouse tells; None, and a remark, where it is away."""
    mine = {"id": client_order_id}
    columns = ", ".join(f"s.{name} AS {name}" for name in (*STEPS, "written_at"))
    where = "AS s WHERE s.client_order_id = {id:String}"
    steps = asked(settings, f"SELECT {columns} FROM", f"order_story {where} ORDER BY s.time, s.stage", mine)
    if not steps:
        return None
    columns = ", ".join(f"s.{name} AS {name}" for name in FILL)
    fills = asked(settings, f"SELECT {columns} FROM", f"fills {where} ORDER BY s.time, s.fill_id", mine) or []
    came = "SELECT instrument_id, toUnixTimestamp64Micro(ifNull(acknowledged, began)) AS came FROM"
    arrivals: list[Row] = []
    for order in asked(settings, came, f"orders {where}", mine) or []:
        until = "instrument_id = {instrument_id:String} AND event_time <= fromUnixTimestamp64Micro({came:Int64}, 'UTC')"
        newest = f"mark WHERE {until} ORDER BY instrument_id DESC, event_time DESC LIMIT 1"
        arrivals += asked(settings, "SELECT last FROM", newest, order) or []
    return _told(steps, fills, arrivals[0]["last"] if arrivals else None)


def _in_topics(found: Connection, client_order_id: str) -> Story | None:
    """The same, as the views have it, computed from the topics."""
    from schemas.execution import Fill  # noqa: PLC0415 - help must be quick
    from schemas.order import OrderEvent  # noqa: PLC0415
    from schemas.topics import ACCOUNTS_EVENTS, ACCOUNTS_INBOX, MARKET_MARKS, ORDERS_COMMANDS  # noqa: PLC0415

    all_of = (ACCOUNTS_INBOX, ORDERS_COMMANDS, ACCOUNTS_EVENTS)
    received = [one for topic in all_of for one in received_of(found, topic)]
    mine = [one for one in received if _names(one.record, client_order_id)]
    events = [one.record for one in mine if isinstance(one.record, OrderEvent)]
    marks = _of_instrument(found, MARKET_MARKS, events[0].instrument_id) if events else []
    told = [*_of_the_wish(received, mine), *mine, *_signals(found, mine)]
    steps = steps_of(told)
    if all(row["step"] == "request" for row in steps):
        # People asked about an order that never was.
        return None
    fills = [fill_of(one.record) for one in mine if isinstance(one.record, Fill)]
    return _told(steps, fills, arrival_price(events, [one.record for one in marks]))


def _told(steps: list[Row], fills: list[Row], arrival: Decimal | None) -> Story:
    return Story(steps, latencies(steps), slippage(fills, arrival))


def _shown(row: Row) -> Row:
    return {name: shown(value) for name, value in row.items()}


def fill_of(fill: "Fill") -> Row:
    """What `order_measures` asks of a fill."""
    return {name: getattr(fill, name) for name in FILL}


def arrival_price(events: "Sequence[Any]", marks: "Sequence[Any]") -> Decimal | None:
    """The newest mark when the broker had the order, or when it began where no broker ever said so."""
    if not events:
        return None
    came_us = min(
        (event.event_time_us for event in events if event.status == "NEW"),
        default=min(event.event_time_us for event in events),
    )
    known = [mark for mark in marks if mark.event_time_us <= came_us]
    price: Decimal | None = max(known, key=lambda mark: int(mark.event_time_us)).last if known else None
    return price


def _of_instrument(found: Connection, topic: "Topic", instrument_id: str) -> "list[Received]":
    """What a topic holds of one instrument."""
    return [one for one in received_of(found, topic) if getattr(one.record, "instrument_id", "") == instrument_id]


def _of_the_wish(received: "Iterable[Received]", mine: "Sequence[Received]") -> "list[Received]":
    """Intent or request behind the order."""
    intents = {getattr(one.record, "intent_id", "") for one in mine} - {""}
    named = set(map(id, mine))
    return [
        one
        for one in received
        if id(one) not in named
        and (
            (not hasattr(one.record, "client_order_id") and getattr(one.record, "intent_id", None) in intents)
            or getattr(one.record, "request_id", None) in intents
        )
    ]


def _signals(found: Connection, mine: "Sequence[Received]") -> "list[Received]":
    """The signal behind the order, where there is one."""
    from schemas.risk import RiskVerdict  # noqa: PLC0415 - help must be quick
    from schemas.signal import AcceptedSignal  # noqa: PLC0415
    from schemas.topics import STRATEGIES_INBOX  # noqa: PLC0415

    verdicts = [one.record for one in mine if isinstance(one.record, RiskVerdict) and one.record.signal_id]
    wanted = {(verdict.signal_id, verdict.provider_id) for verdict in verdicts}
    return [
        one
        for instrument_id in sorted({verdict.instrument_id for verdict in verdicts})
        for one in _of_instrument(found, STRATEGIES_INBOX, instrument_id)
        if isinstance(one.record, AcceptedSignal)
        and (one.record.signal.signal_id, one.record.signal.provider_id) in wanted
    ]


def _names(record: "Record | None", client_order_id: str) -> bool:
    original = getattr(record, "original_client_order_id", "")
    return client_order_id == (original or getattr(record, "client_order_id", ""))


def steps_of(received: "Iterable[Received]") -> list[Row]:
    """The steps that these records tell, in the order of the story."""
    from schemas.scalars import datetime_of  # noqa: PLC0415 - help must be quick

    told = [
        (one.record.event_time_us, stage, row, one.appended_ms)
        for one in received
        if one.record is not None
        for stage, row in _steps(one.record)
    ]
    told.sort(key=lambda one: one[:2])
    return [
        dict(zip((*STEPS, "written_at"), (datetime_of(at), *row, datetime_of(written * 1000)), strict=True))
        for at, _, row, written in told
    ]


def _steps(record: "Record") -> list[tuple[int, tuple[Any, ...]]]:
    """Stage, and (step, what, quantity, price, code, detail), of what one record tells of an order."""
    from schemas.execution import ExecutionReport, Fill, NotSent  # noqa: PLC0415 - help must be quick
    from schemas.intent import ManualOrder, TradeIntent  # noqa: PLC0415
    from schemas.order import OrderEvent, SubmitOrder  # noqa: PLC0415
    from schemas.risk import RiskVerdict  # noqa: PLC0415
    from schemas.signal import AcceptedSignal  # noqa: PLC0415

    match record:
        case AcceptedSignal(signal=r):
            return [(1, ("signal", f"{r.kind} by {r.provider_id}", None, r.target_price, "", r.summary))]
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
