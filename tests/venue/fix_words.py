"""How the venue's FIX door says what happened to orders."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tests.venue.orders import ZERO, Json, Order, text_of

Pairs = list[tuple[int, str]]
_EXEC_TYPES = {
    "new": "0",
    "partial_fill": "F",
    "fill": "F",
    "canceled": "4",
    "expired": "C",
    "rejected": "8",
    "pending_cancel": "6",
    "pending_replace": "E",
    "trade_bust": "H",
    "trade_correct": "G",
    "done_for_day": "3",
}
_STATUSES = {
    "new": "0",
    "partially_filled": "1",
    "filled": "2",
    "canceled": "4",
    "replaced": "0",
    "pending_cancel": "6",
    "pending_replace": "E",
    "pending_new": "A",
    "rejected": "8",
    "expired": "C",
}
_KINDS = {"market": "1", "limit": "2", "stop": "3", "stop_limit": "4"}
_TIMES = {"day": "0", "gtc": "1", "ioc": "3", "fok": "4"}


class Reader:
    """A message's fields by tag; the first one where a tag repeats."""

    def __init__(self, text: str):
        pairs = (part.partition("=") for part in text.split("\x01") if part)
        self._fields: dict[int, str] = {}
        for tag, _, value in pairs:
            self._fields.setdefault(int(tag), value)

    def get(self, tag: int) -> str:
        return self._fields.get(tag, "")


def terms(message: Reader) -> Json:
    """A new order single as the exchange takes orders."""
    kinds = {text: kind for kind, text in _KINDS.items()}
    times = {text: time for time, text in _TIMES.items()}
    body = {
        "symbol": message.get(55),
        "qty": message.get(38),
        "side": "buy" if message.get(54) == "1" else "sell",
        "type": kinds.get(message.get(40), ""),
        "time_in_force": times.get(message.get(59), "day"),
        "client_order_id": message.get(11),
    }
    prices = {"limit_price": message.get(44), "stop_price": message.get(99)}
    return body | {name: price for name, price in prices.items() if price}


def time_text(micros: int) -> str:
    when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
    return f"{when:%Y%m%d-%H:%M:%S}.{when.microsecond // 1000:03d}"


def execution(event: Json, order: Order, name: str, original: str, now_us: int) -> Pairs:
    """An event as an execution report; nothing for what is told otherwise. `name` is the request it answers."""
    what = str(event["event"])
    told = event["order"]
    if what in ("order_cancel_rejected", "order_replace_rejected", "replaced"):
        return []
    if what in ("new", "rejected") and order.replaces:
        if what == "rejected":
            return []
        return [*_report(order, told, "5", event["execution_id"], now_us), (41, original)]
    answers = what in ("pending_cancel", "pending_replace", "canceled") and name
    pairs = _report(order, told, _EXEC_TYPES[what], event["execution_id"], now_us, name if answers else "")
    if answers:
        pairs.append((41, original))
    if "qty" in event:
        pairs += [(32, str(event["qty"]).lstrip("-")), (31, str(event["price"])), (12, "0"), (13, "3")]
    if "previous_execution_id" in event:
        pairs.append((19, event["previous_execution_id"]))
    return pairs


def status(order: Order, now_us: int) -> Pairs:
    """The order as it is now."""
    told: Json = {"status": order.status, "qty": text_of(order.quantity), "filled_qty": text_of(order.filled)}
    return _report(order, told, "I", "0", now_us)


def _report(order: Order, told: Json, exec_type: str, exec_id: str, now_us: int, name: str = "") -> Pairs:
    filled = Decimal(told["filled_qty"])
    quantity = Decimal(told["qty"])
    over = told["status"] in ("canceled", "rejected", "expired", "replaced", "filled")
    leaves = ZERO if over else quantity - filled
    pairs = [(35, "8"), (37, order.order_id), (11, name or order.client_order_id), (17, exec_id), (150, exec_type)]
    pairs += [(39, _STATUSES[told["status"]]), (1, order.account), (55, order.symbol)]
    pairs += [(54, "1" if order.sign > 0 else "2"), (38, str(quantity)), (40, _KINDS[order.kind])]
    pairs += [(59, _TIMES[order.time_in_force]), (151, text_of(leaves) or "0"), (14, text_of(filled) or "0")]
    pairs += [(6, f"{order.average or 0:.6f}"), (60, time_text(now_us))]
    prices = ((44, order.limit_price), (99, order.stop_price))
    return pairs + [(tag, text_of(price) or "0") for tag, price in prices if price is not None]


def no_order(message: Reader, exec_type: str, reason: str, text: str, now_us: int) -> Pairs:
    """A rejection of a new order, or a status request about an order that is not known."""
    name = message.get(11) or "NONE"
    pairs = [(35, "8"), (37, "NONE"), (11, name), (17, f"no-{name}-{now_us}"), (150, exec_type), (39, "8")]
    pairs += [(103, reason), (58, text), (1, message.get(1)), (55, message.get(55) or "[N/A]")]
    pairs.append((54, message.get(54) or "1"))
    pairs += [(38, message.get(38) or "0"), (151, "0"), (14, "0"), (6, "0"), (60, time_text(now_us))]
    return [*pairs, (790, message.get(790))] if message.get(790) else pairs


def reject_request(message: Reader, order: Order | None, reason: str, text: str, answers: str) -> Pairs:
    """Message 9."""
    pairs = [(35, "9"), (37, order.order_id if order else "NONE"), (11, message.get(11)), (41, message.get(41))]
    return [*pairs, (39, _STATUSES[order.status] if order else "8"), (434, answers), (102, reason), (58, text)]


def mass_status(message: Reader, working: Sequence[Order], now_us: int) -> list[Pairs]:
    """All working orders; one report that says none where there are none."""
    asked = (584, message.get(584))
    if not working:
        return [[*no_order(message, "I", "5", "no orders", now_us), asked, (911, "0"), (912, "Y")]]
    return [
        [*status(order, now_us), asked, (911, str(len(working))), (912, "Y" if order is working[-1] else "N")]
        for order in working
    ]
