"""How long an order took, and what it cost, from what its story tells."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from typing import Any

import pytest

from streams.commands.order_measures import LEGS, latencies, slippage

BEGIN = datetime(2020, 4, 20, 18, 30, tzinfo=UTC)


def step(name: str, at_ms: float, what: str = "", written_ms: float | None = None) -> dict[str, Any]:
    later = timedelta(milliseconds=at_ms if written_ms is None else written_ms)
    return {"step": name, "what": what, "time": BEGIN + timedelta(milliseconds=at_ms), "written_at": BEGIN + later}


def fill(quantity: str, price: str, side: str = "BUY", reference: str | None = "100") -> dict[str, Any]:
    return {
        "fill_id": f"{side} {quantity}", "side": side, "quantity": D(quantity), "price": D(price),
        "reference_price": None if reference is None else D(reference),
    }  # fmt: skip


STORY = [
    step("signal", 0, "DIRECTION by oracle"), step("intent", 3, "DIRECTION"), step("check", 7), step("verdict", 7),
    step("command", 7.5), step("broker", 20, "PENDING_NEW"), step("broker", 21, "NEW"), step("broker", 40, "TRADE"),
    step("state", 22), step("broker", 95, "TRADE"), step("fill", 41, "BUY"), step("broker", 300, "CANCELED"),
]  # fmt: skip


def test_latencies_are_those_between_the_stages() -> None:
    assert [row["ms"] for row in latencies(STORY)] == [3.0, 4.5, 13.5, 19.0, 74.0]
    assert [(row["from"], row["to"]) for row in latencies(STORY)] == list(LEGS)


@pytest.mark.parametrize(
    ("absent", "known"),
    [
        ("signal", [None, 4.5, 13.5, 19.0, 74.0]),
        ("intent", [None, None, 13.5, 19.0, 74.0]),
        ("command", [3.0, None, None, 19.0, 74.0]),
        ("broker", [3.0, 4.5, None, None, None]),
    ],
)
def test_a_latency_of_a_stage_that_is_not_told_is_absent(absent: str, known: list[float | None]) -> None:
    assert [row["ms"] for row in latencies([row for row in STORY if row["step"] != absent])] == known


def test_a_request_by_hand_is_the_wish() -> None:
    assert latencies([step("request", 0), step("command", 2)])[1]["ms"] == 2.0


def test_what_kafka_took_later_than_it_became_true_is_told_apart() -> None:
    (_, to_command, *_) = latencies([step("intent", 0, written_ms=5), step("command", 0, written_ms=12)])
    assert (to_command["ms"], to_command["written_ms"]) == (0.0, 7.0)


def test_slippage_is_positive_where_a_buy_paid_more_and_where_a_sale_got_less() -> None:
    for side, price in (("BUY", "101"), ("SELL", "99"), ("SELL_SHORT", "99")):
        found = slippage([fill("2", price, side)], D(100))
        assert found is not None
        (row,) = found["fills"]
        assert (row["decision_slippage"], row["decision_bps"]) == (D(1), 100.0)
        assert (row["arrival_slippage"], row["arrival_bps"]) == (D(1), 100.0)


def test_slippage_of_the_whole_order_weighs_each_fill_by_its_quantity() -> None:
    found = slippage([fill("1", "101"), fill("3", "105")], D(103))
    assert found is not None
    whole = found["order"]
    assert (whole["quantity"], whole["price"]) == (D(4), D(104))
    assert (whole["decision_slippage"], whole["decision_bps"]) == (D(4), 400.0)
    assert (whole["arrival_price"], whole["arrival_slippage"]) == (D(103), D(1))


def test_slippage_against_a_price_that_nobody_told_is_absent() -> None:
    found = slippage([fill("1", "101", reference=None)], None)
    assert found is not None
    for row in (*found["fills"], found["order"]):
        assert row["decision_slippage"] is row["decision_bps"] is row["arrival_slippage"] is row["arrival_bps"] is None
    assert slippage([], D(100)) is None


def test_a_price_of_zero_has_a_slippage_and_no_basis_points() -> None:
    found = slippage([fill("1", "2", reference="0")], D(-10))
    assert found is not None
    (row,) = found["fills"]
    assert (row["decision_slippage"], row["decision_bps"]) == (D(2), None)
    assert (row["arrival_slippage"], row["arrival_bps"]) == (D(12), 12_000.0)


def test_a_bust_takes_its_fill_out_of_the_whole() -> None:
    found = slippage([fill("1", "101"), fill("1", "110"), fill("1", "110", "SELL")], None)
    assert found is not None
    assert (found["order"]["quantity"], found["order"]["price"]) == (D(1), D(101))
    gone = slippage([fill("1", "101"), fill("1", "101", "SELL")], None)
    assert gone is not None
    assert gone["order"]["decision_slippage"] is None
