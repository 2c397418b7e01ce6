"""How long an order took from stage to stage, and what it cost against two prices. Pure; absent is never guessed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

Row = dict[str, Any]
Step = Mapping[str, Any]

LEGS = (
    ("signal", "intent"),
    ("intent", "command"),
    ("command", "acknowledgement"),
    ("acknowledgement", "first fill"),
    ("acknowledgement", "last fill"),
)
"""From which stage to which."""

LATENCIES = ("from", "to", "ms", "written_ms")
SLIPPAGE = (
    "fill_id", "quantity", "price", "decision_price", "decision_slippage", "decision_bps", "arrival_price",
    "arrival_slippage", "arrival_bps",
)  # fmt: skip


def _is(step: str, what: str = "") -> Callable[[Step], bool]:
    return lambda row: row["step"] == step and what in ("", row["what"])


_STAGES: Mapping[str, Callable[[Step], bool]] = {
    "signal": _is("signal"),
    "intent": lambda row: row["step"] in ("intent", "request"),
    "command": _is("command"),
    "acknowledgement": _is("broker", "NEW"),
    "first fill": _is("broker", "TRADE"),
    "last fill": _is("broker", "TRADE"),
}


def latencies(steps: Sequence[Step]) -> list[Row]:
    """Milliseconds between the stages of a story, by its steps; None where the story lacks one of the two.

    ms: between the times that the records tell: those of folds are the times of their inputs, a broker's its clock's
    written_ms: between the times when Kafka took the records
    """
    return [
        {
            "from": begin,
            "to": end,
            "ms": _milliseconds(_when(steps, begin, "time"), _when(steps, end, "time")),
            "written_ms": _milliseconds(_when(steps, begin, "written_at"), _when(steps, end, "written_at")),
        }
        for begin, end in LEGS
    ]


def _when(steps: Iterable[Step], stage: str, clock: str) -> datetime | None:
    times = [row[clock] for row in steps if _STAGES[stage](row) and row[clock] is not None]
    return None if not times else max(times) if stage == "last fill" else min(times)


def _milliseconds(begin: datetime | None, end: datetime | None) -> float | None:
    return None if begin is None or end is None else (end - begin) / timedelta(milliseconds=1)


def slippage(fills: Sequence[Mapping[str, Any]], arrival: Decimal | None) -> Row | None:
    """What the fills of one order cost against the prices of decision and arrival; None where there are none.

    Positive is worse, as in the view `execution_quality`: what a buy paid more, what a sale got less. Per unit in
    price, and in basis points of the price compared with. A fill that takes one back (a bust) counts with its own sign.
    """
    if not fills:
        return None
    side = fills[0]["side"]
    rows = [_compared(fill, arrival) for fill in fills]
    units = [fill["quantity"] if fill["side"] == side else -fill["quantity"] for fill in fills]
    quantity = sum(units, Decimal(0))
    whole: Row = {"fill_id": "all", "quantity": quantity, "price": None}
    if quantity > 0:
        paid = sum((unit * fill["price"] for unit, fill in zip(units, fills, strict=True)), Decimal(0))
        decisions = {fill["reference_price"] for fill in fills}
        decision = decisions.pop() if len(decisions) == 1 else None
        whole = _compared(
            {"fill_id": "all", "side": side, "quantity": quantity, "price": paid / quantity,
             "reference_price": decision}, arrival,
        )  # fmt: skip
    return {"fills": rows, "order": {name: whole.get(name) for name in SLIPPAGE}}


def _compared(fill: Mapping[str, Any], arrival: Decimal | None) -> Row:
    price, decision = fill["price"], fill["reference_price"]
    sign = 1 if fill["side"] == "BUY" else -1

    def against(compared: Decimal | None) -> tuple[Decimal | None, float | None]:
        if compared is None:
            return None, None
        per_unit = sign * (price - compared)
        return per_unit, float(per_unit) / abs(float(compared)) * 10_000 if compared else None

    values = (fill["fill_id"], fill["quantity"], price, decision, *against(decision), arrival, *against(arrival))
    return dict(zip(SLIPPAGE, values, strict=True))
