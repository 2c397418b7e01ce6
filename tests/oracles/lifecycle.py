"""Scenarios of the format order-lifecycle/1: messages between client and broker, and the order after each report.

The broker's messages become execution reports; what the order then shows is computed by the product from its own table,
sums and pending requests, and compared with what the broker says. Every report is folded twice: the second time nothing
may change.
"""

from __future__ import annotations

import decimal
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from schemas.control import Mode
from schemas.execution import ExecutionReport
from schemas.order import ExecType, OrderStatus, OrderType, ReplaceOrder, Side, TimeInForce
from streams.accounts.orders.fold import cancel_sent, find_order, fold_report, replace_sent
from streams.accounts.orders.order import EXTERNAL, Order
from streams.accounts.orders.states import DEAD

Step = Mapping[str, Any]
Difference = tuple[str, Any, Any]

EXEC_TYPES = {"PARTIAL_FILL": ExecType.TRADE, "FILL": ExecType.TRADE, "TRADE_CORRECTION": ExecType.TRADE_CORRECT,
              "CORRECTED": ExecType.TRADE_CORRECT, "TRADE_BUST": ExecType.TRADE_CANCEL, "REPLACE": ExecType.REPLACED,
              "STATUS": ExecType.ORDER_STATUS, "CANCELLED": ExecType.CANCELED}  # fmt: skip
"""Other names of execution types."""

REFERENCES = ("exec_ref_id", "exec_ref", "ref_exec_id", "ref", "reference")
DUPLICATE_SUFFIX = "#again"


class Unknown(Exception):
    """The scenario uses a word that the product does not know."""


def differences(scenario: Mapping[str, Any]) -> Iterator[Difference]:
    """(where, expected, got) of every value that differs. Raises Unknown."""
    with decimal.localcontext() as context:
        context.prec = 50
        yield from _Client(scenario).run()


class _Client:
    """Our side of the session: orders by id, moved only by `streams.accounts.orders`."""

    def __init__(self, scenario: Mapping[str, Any]):
        self._scenario = scenario
        self._tif = TimeInForce(str(scenario.get("tif", "DAY")).upper())
        self._orders: dict[str, Order] = {}
        self._last = ""

    def run(self) -> Iterator[Difference]:
        for number, step in enumerate(self._scenario["steps"], 1):
            if step["from"] == "client":
                self._say(step)
            else:
                yield from self._hear(number, step)
        final = self._scenario.get("final")
        if final:
            order = self._orders.get(self._last)
            yield from _compared("final", final, order)

    def _say(self, step: Step) -> None:
        kind, cl = str(step["msg"]), str(step["cl"])
        if kind in ("new", "order", "new_order"):
            self._new(step, cl)
            return
        order = find_order(self._orders, "", str(step.get("orig", "")), "")
        if order is None or "status" in kind:
            return
        if kind in ("cancel_request", "cancel"):
            self._keep(cancel_sent(order, cl, 0))
        elif kind in ("replace_request", "replace", "cancel_replace_request"):
            self._keep(replace_sent(order, _replace_order(step, order)))
        else:
            raise Unknown(f"client message {kind!r}")

    def _new(self, step: Step, cl: str) -> None:
        name = cl
        if cl in self._orders:
            if step.get("poss_resend") or step.get("possresend") or step.get("resend"):
                return
            name = cl + DUPLICATE_SUFFIX
        tif = TimeInForce(str(step.get("tif", self._tif)).upper())
        price = _number(step.get("price"))
        self._keep(_order(name, _number(step.get("qty")) or Decimal(0), price, tif))

    def _hear(self, number: int, step: Step) -> Iterator[Difference]:
        if step["msg"] not in ("report", "cancel_reject", "execution_report", "execution"):
            raise Unknown(f"broker message {step['msg']!r}")
        order = self._meant(step)
        if order is None:
            order = self._stranger(step)
        report = _report(number, step, order)
        after = fold_report(order, report)
        again = fold_report(after.order, report)
        if again.order is not after.order or again.changes:
            yield f"step {number} repeated", "no change", "changed"
        self._keep(after.order)
        yield from _compared(f"step {number}", step, after.order)

    def _meant(self, step: Step) -> Order | None:
        cl, orig = str(step.get("cl", "")), str(step.get("orig", ""))
        twin = self._orders.get(cl + DUPLICATE_SUFFIX)
        if twin is not None and _word(step.get("exec_type", "")) == "REJECTED" and twin.resting not in DEAD:
            return twin
        return find_order(self._orders, cl, orig, "")

    def _stranger(self, step: Step) -> Order:
        """An order the broker speaks of and we never sent; refused, or adopted as it is."""
        name = str(step.get("orig") or step["cl"])
        order = _order(name, _number(step.get("order_qty")) or Decimal(0), _number(step.get("price")), self._tif)
        refused = step["msg"] == "cancel_reject" or _word(step.get("ord_status", "")) == "REJECTED"
        resting = OrderStatus.REJECTED if refused else OrderStatus.PENDING_NEW
        return _replace(order, resting=resting, strategy_id=EXTERNAL)

    def _keep(self, order: Order) -> None:
        self._orders[order.client_order_id] = order
        self._last = order.client_order_id


def _order(name: str, quantity: Decimal, price: Decimal | None, tif: TimeInForce) -> Order:
    return Order(
        client_order_id=name, instrument_id="ANY", side=Side.BUY, time_in_force=tif, quantity=quantity,
        order_type=OrderType.MARKET if price is None else OrderType.LIMIT, limit_price=price, ids=(name,),
    )  # fmt: skip


def _replace_order(step: Step, order: Order) -> ReplaceOrder:
    return ReplaceOrder(
        event_time_us=0, request_id=str(step["cl"]), client_order_id=order.client_order_id, account_id="A", venue="V",
        mode=Mode.REPLAY, instrument_id="ANY", symbol="ANY", quantity=_number(step.get("qty")) or order.quantity,
        limit_price=_number(step.get("price")), submit_before_us=0,
    )  # fmt: skip


def _replace(order: Order, **fields: Any) -> Order:
    return Order(**{name: fields.get(name, getattr(order, name)) for name in Order.__struct_fields__})


def _report(number: int, step: Step, order: Order) -> ExecutionReport:
    status = OrderStatus(_word(step["ord_status"]))
    exec_type = _exec_type(step, order)
    exec_id = str(step.get("exec_id") or f"{number}")
    last = _number(step.get("last_qty")) or Decimal(0)
    if exec_type is ExecType.TRADE_CORRECT and not last:
        last = _corrected(step, order)
    price = _number(step.get("last_px", step.get("last_price")))
    return ExecutionReport(
        event_time_us=number, account_id="A", exec_id=exec_id, client_order_id=str(step.get("cl", "")),
        original_client_order_id=str(step.get("orig", "")), venue="V", instrument_id="ANY", side=Side.BUY,
        exec_type=exec_type, order_status=status,
        order_quantity=_number(step.get("order_qty")) or Decimal(0),
        cumulative_quantity=_number(step.get("cum_qty")) or Decimal(0),
        leaves_quantity=_number(step.get("leaves_qty")) or Decimal(0),
        last_quantity=last, last_price=price if price is not None else Decimal(1),
        reference_exec_id=_reference(step, order), limit_price=_number(step.get("price")),
    )  # fmt: skip


def _exec_type(step: Step, order: Order) -> ExecType:
    if step["msg"] == "cancel_reject":
        asked = [one.kind for one in order.requests if one.request_id == step.get("cl")]
        return ExecType.REPLACE_REJECTED if asked and asked[0] == "REPLACE" else ExecType.CANCEL_REJECTED
    word = _word(step["exec_type"])
    known = EXEC_TYPES.get(word)
    try:
        return known or ExecType(word)
    except ValueError as error:
        raise Unknown(f"execution type {step['exec_type']!r}") from error


def _reference(step: Step, order: Order) -> str:
    """The execution meant by a bust or correction; where the scenario names none, the one whose size explains it."""
    for name in REFERENCES:
        if step.get(name):
            return str(step[name])
    if _word(step.get("exec_type", "")) not in ("TRADE_CANCEL", "TRADE_BUST", "TRADE_CORRECT", "TRADE_CORRECTION"):
        return ""
    last = _number(step.get("last_qty")) or Decimal(0)
    gone = order.cumulative - (_number(step.get("cum_qty")) or Decimal(0))
    for wanted in (gone, gone + last):
        for exec_id, one in order.executions.items():
            if one.quantity == wanted:
                return exec_id
    return next(reversed(order.executions), "")


def _corrected(step: Step, order: Order) -> Decimal:
    """The quantity that a correction leaves, from the change of the executed quantity."""
    old = order.executions.get(order.reports.get(_reference(step, order), ""))
    change = (_number(step.get("cum_qty")) or Decimal(0)) - order.cumulative
    return (old.quantity if old is not None else Decimal(0)) + change


def _compared(where: str, step: Step, order: Order | None) -> Iterator[Difference]:
    if order is None:
        yield where, "an order", None
        return
    seen: dict[str, Any] = {
        "ord_status": order.broker_status, "order_qty": order.quantity, "cum_qty": order.cumulative,
        "leaves_qty": order.leaves, "price": order.limit_price, "client_status": order.status,
    }  # fmt: skip
    for name, got in seen.items():
        if step.get(name) is None:
            continue
        if isinstance(got, OrderStatus):
            same = _word(step[name]) == got.value
        else:
            same = got is not None and _number(step[name]) == got
        if not same:
            yield f"{where} {name}", step[name], None if got is None else str(got)


def _number(value: Any) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def _word(text: Any) -> str:
    word = str(text).strip().upper().replace(" ", "_").replace("-", "_")
    return {"CANCELLED": "CANCELED", "DONE_FOR_THE_DAY": "DONE_FOR_DAY"}.get(word, word)
