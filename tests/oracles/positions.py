"""Cases of the format position-pnl/1: fills, and the net quantity, average price and result after each."""

from __future__ import annotations

import decimal
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from schemas.reference import ContractKind
from streams.accounts.positions.contract import value
from streams.accounts.positions.ledger import FLAT, Net, Terms, fold_fill, unrealised

Case = Mapping[str, Any]

PRECISION = 50
RELATIVE_TOLERANCE = 1e-12

SIGN = {"BUY": 1, "SELL": -1, "SELL_SHORT": -1}


class Unknown(Exception):
    """The case asks for something that the product has no word for."""


def differences(case: Case) -> Iterator[tuple[str, Any, Any]]:
    """(where, expected, got) of every number that differs. Raises Unknown."""
    with decimal.localcontext() as context:
        context.prec = PRECISION
        yield from _differences(case)


def _differences(case: Case) -> Iterator[tuple[str, Any, Any]]:
    instrument = case["instrument"]
    terms = Terms(ContractKind(str(instrument["kind"]).upper()), Decimal(str(instrument.get("multiplier", "1"))))
    places = Decimal(1).scaleb(-int(instrument["money_decimals"]))
    net = FLAT
    for number, step in enumerate(case["steps"], 1):
        fill = step["fill"]
        quantity = SIGN[str(fill["side"]).upper()] * Decimal(str(fill["qty"]))
        net = fold_fill(net, terms, quantity, Decimal(str(fill["price"])), Decimal(str(fill.get("fee", "0")))).net
        for name in ("expect", "derived"):
            yield from _compare(f"step {number}", step.get(name) or {}, _seen(net, terms, None), places)
    for number, mark in enumerate(case.get("marks") or (), 1):
        price = Decimal(str(mark.get("price", mark.get("mark", mark.get("last")))))
        inline = {k: v for k, v in mark.items() if k not in ("price", "mark", "last", "expect", "derived", "note")}
        for expected in (mark.get("expect") or {}, mark.get("derived") or {}, inline):
            yield from _compare(f"mark {number}", expected, _seen(net, terms, price), places)


def _seen(net: Net, terms: Terms, mark: Decimal | None) -> dict[str, Any]:
    seen: dict[str, Any] = {
        "signed_qty": net.quantity,
        "quantity": abs(net.quantity),
        "qty": abs(net.quantity),
        "side": "FLAT" if not net.quantity else ("LONG" if net.quantity > 0 else "SHORT"),
        "avg_px_open": float(net.average_price),
        "realized_pnl": net.cycle_result,
        "fees": net.cycle_fees,
    }
    if mark is not None:
        open_result = unrealised(net, terms, mark)
        seen |= {
            "unrealized_pnl": open_result,
            "total_pnl": net.cycle_result + open_result,
            "notional": abs(value(terms.kind, mark, net.quantity, terms.multiplier)),
        }
        seen["notional_value"] = seen["notional"]
    return seen


def _compare(
    where: str, expected: Mapping[str, Any], seen: Mapping[str, Any], places: Decimal
) -> Iterator[tuple[str, Any, Any]]:
    for name, wanted in expected.items():
        if name not in seen:
            raise Unknown(f"{where}: the product does not compute {name!r}")
        got = seen[name]
        if isinstance(got, float):
            same = abs(got - float(wanted)) <= RELATIVE_TOLERANCE * abs(float(wanted))
        elif isinstance(got, Decimal):
            same = Decimal(str(wanted)).quantize(places) == got.quantize(places)
        else:
            same = str(wanted).upper() == got
        if not same:
            yield f"{where} {name}", wanted, str(got)
