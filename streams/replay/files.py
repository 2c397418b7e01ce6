"""Files of records, one JSON object a line, through the modules that fold orders and positions in the accounts room.

For execution reports and fills from elsewhere (a broker's export, an incident), with nothing else needed.
"""

import decimal
import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar

from schemas.edge import InvalidRecord, parse, to_jsonable
from schemas.execution import ExecutionReport, Fill, NotSent
from schemas.order import CancelOrder, OrderType, ReplaceOrder, Side, SubmitOrder, TimeInForce
from schemas.record import Record
from schemas.scalars import rounded
from streams.accounts.orders.fold import cancel_sent, find_order, fold_not_sent, fold_report, replace_sent
from streams.accounts.orders.order import EXTERNAL, Order, order_of
from streams.accounts.positions.ledger import FLAT, Net, Terms, fold_fill
from streams.accounts.room import precisely

Line = tuple[int, str | bytes]
_Read = TypeVar("_Read", bound=Record)
ONE = Decimal(1)
KINDS: dict[str, type[Record]] = {
    cls.__name__: cls for cls in (ExecutionReport, NotSent, SubmitOrder, CancelOrder, ReplaceOrder)
}
FILL_DEFAULTS: dict[str, Any] = {
    "event_time_us": 0,
    "account_id": "A",
    "client_order_id": "X",
    "venue": "FILE",
    "currency": "USD",
    "fee": "0",
    "fee_currency": "USD",
}
"""What a fill need not say to move a position."""


class WrongLine(ValueError):
    """A line that cannot be read; nothing of its file was folded."""


class FileFill(NamedTuple):
    """A fill, and what it says of itself that the ledger can check."""

    line: int
    fill: Fill
    claims: dict[str, Decimal]


def read_records(lines: Iterable[Line], default: str) -> list[tuple[int, Record]]:
    """The records of a file. A line is of the type that its field `record` names, or of the default one.

    Raises WrongLine.
    """
    found = []
    for number, text in lines:
        fields = _object(number, text)
        name = fields.pop("record", default)
        if not isinstance(name, str) or name not in KINDS:
            raise WrongLine(f"line {number}: record {name!r} is none of {', '.join(KINDS)}")
        found.append((number, _parsed(number, KINDS[name], fields)))
    return found


def read_fills(lines: Iterable[Line]) -> list[FileFill]:
    """The fills of a file, in its order. Raises WrongLine."""
    found = []
    for number, text in lines:
        given = _object(number, text)
        said = {name: given.get(name) for name in ("realised_pnl", "position_quantity")}
        defaults = {**FILL_DEFAULTS, "fill_id": f"line-{number}", "realised_pnl": "0", "position_quantity": "0"}
        fill = _parsed(number, Fill, {**defaults, **given})
        claims = {name: getattr(fill, name) for name, value in said.items() if value is not None}
        found.append(FileFill(number, fill, claims))
    return found


def orders_of(records: Iterable[tuple[int, Record]]) -> dict[str, Any]:
    """Every order as it ends, with each step on its way, what did not fit (findings), and what repeated."""
    orders: dict[str, Order] = {}
    steps: dict[str, list[dict[str, Any]]] = {}
    unknown: list[dict[str, Any]] = []
    with precisely():
        for number, record in records:
            known = _order_for(orders, record)
            if known is None:
                unknown.append({"line": number, **to_jsonable(record)})
                continue
            after, step = _folded(known, record)
            orders[after.client_order_id] = after
            steps.setdefault(after.client_order_id, []).append({"line": number, **step, **_shown(after)})
        return {
            "orders": [
                {"client_order_id": name, **_shown(order), "ids": list(order.ids), "steps": steps[name]}
                for name, order in orders.items()
            ],
            "unknown": unknown,
        }


def positions_of(fills: Iterable[FileFill]) -> dict[str, Any]:
    """Positions by account and instrument after all fills, each fill with what it did, and where it says otherwise.

    A fill_id that comes again is folded once. Raises WrongLine for a price at which the contract has no value.
    """
    nets: dict[tuple[str, str], Net] = {}
    seen: set[tuple[str, str, str]] = set()
    told: list[dict[str, Any]] = []
    differences: list[dict[str, Any]] = []
    with precisely():
        for number, fill, claims in fills:
            identity = (fill.account_id, fill.venue, fill.fill_id)
            if identity in seen:
                told.append({"line": number, "fill_id": fill.fill_id, "repeated": True})
                continue
            seen.add(identity)
            place = (fill.account_id, fill.instrument_id)
            net, step = _filled(number, nets.get(place, FLAT), fill)
            nets[place] = net
            told.append({"line": number, "fill_id": fill.fill_id, **{name: _text(one) for name, one in step.items()}})
            differences += [
                {"line": number, "field": name, "file": _text(value), "ledger": _text(step[name])}
                for name, value in claims.items()
                if value != step[name]
            ]
        positions = [
            {"account_id": account, "instrument_id": instrument, **_net(net)}
            for (account, instrument), net in nets.items()
        ]
    return {"positions": positions, "fills": told, "differences": differences}


def _filled(number: int, net: Net, fill: Fill) -> tuple[Net, dict[str, Decimal]]:
    terms = Terms(fill.contract, ONE if fill.multiplier is None else fill.multiplier)
    signed = fill.quantity if fill.side is Side.BUY else -fill.quantity
    try:
        effect = fold_fill(net, terms, signed, fill.price, fill.fee)
    except (decimal.DecimalException, ZeroDivisionError) as error:
        raise WrongLine(f"line {number}: {fill.contract} at {fill.price} has no value") from error
    return effect.net, {"realised_pnl": effect.realised, "position_quantity": effect.net.quantity}


def _order_for(orders: dict[str, Order], record: Record) -> Order | None:
    """The order that a record is about: a known one, the one that it begins, or one that the broker had before us."""
    match record:
        case SubmitOrder():
            return orders.get(record.client_order_id) or order_of(record)
        case ExecutionReport():
            known = find_order(orders, record.client_order_id, record.original_client_order_id, record.broker_order_id)
            return known or _external(record)
        case CancelOrder() | ReplaceOrder():
            return find_order(orders, record.client_order_id, "", record.broker_order_id)
        case NotSent():
            return find_order(orders, record.client_order_id, "", "")
    return None


def _external(said: ExecutionReport) -> Order | None:
    name = said.client_order_id or (f"EXT-{said.broker_order_id}" if said.broker_order_id else "")
    if not name:
        return None
    return Order(
        client_order_id=name,
        instrument_id=said.instrument_id,
        side=said.side,
        order_type=OrderType.MARKET if said.limit_price is None else OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
        quantity=said.order_quantity,
        limit_price=said.limit_price,
        stop_price=said.stop_price,
        venue=said.venue,
        strategy_id=EXTERNAL,
        broker_order_id=said.broker_order_id,
        ids=(name,),
    )


def _folded(order: Order, record: Record) -> tuple[Order, dict[str, Any]]:
    match record:
        case ExecutionReport():
            step = fold_report(order, record)
            told = {"exec_id": record.exec_id, "trigger": step.trigger, "repeated": record.exec_id in order.reports}
        case NotSent():
            step = fold_not_sent(order, record.client_order_id, record.event_time_us)
            told = {"exec_id": "", "trigger": step.trigger, "repeated": step.order is order}
        case CancelOrder():
            return cancel_sent(order, record.request_id, record.event_time_us), _ours("CANCEL_SENT")
        case ReplaceOrder():
            return replace_sent(order, record), _ours("REPLACE_SENT")
        case _:
            return order, _ours("SUBMIT")
    return step.order, {**told, "findings": list(step.findings)}


def _ours(trigger: str) -> dict[str, Any]:
    return {"exec_id": "", "trigger": trigger, "repeated": False, "findings": []}


def _shown(order: Order) -> dict[str, Any]:
    return {
        "status": order.status,
        "quantity": _text(order.quantity),
        "cumulative_quantity": _text(order.cumulative),
        "leaves_quantity": _text(order.leaves),
        "average_price": None if order.average_price is None else _text(order.average_price),
    }


def _net(net: Net) -> dict[str, Any]:
    return {
        "quantity": _text(net.quantity),
        "average_price": _text(net.average_price) if net.quantity else None,
        "realised_pnl": _text(net.realised),
        "fees": _text(net.fees),
    }


def _text(number: Decimal) -> str:
    plain = rounded(number).normalize()
    return f"{plain:f}"


def _object(number: int, text: str | bytes) -> dict[str, Any]:
    try:
        whole = text if isinstance(text, str) else text.decode("utf-8")
        fields = json.loads(whole, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise WrongLine(f"line {number} is not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise WrongLine(f"line {number} is not an object of fields")
    return fields


def _parsed(number: int, cls: type[_Read], fields: dict[str, Any]) -> _Read:
    try:
        return parse(cls, fields)
    except InvalidRecord as error:
        raise WrongLine(f"line {number}: {error}") from error
