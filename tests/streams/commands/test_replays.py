"""Files of reports and fills through the rules of orders and positions."""

import json
from pathlib import Path
from typing import Any

import pytest

from streams.replay.files import WrongLine, orders_of, positions_of, read_fills, read_records
from tests.streams.commands.test_command_line import quantumleap

REPORT = {
    "event_time_us": 1,
    "account_id": "A",
    "client_order_id": "X",
    "venue": "V",
    "instrument_id": "WTI",
    "side": "BUY",
    "order_quantity": "10",
    "cumulative_quantity": "0",
    "leaves_quantity": "0",
    "last_quantity": "0",
}


def report(exec_id: str, exec_type: str, status: str, **fields: Any) -> dict[str, Any]:
    return {**REPORT, "exec_id": exec_id, "exec_type": exec_type, "order_status": status, **fields}


def traded(exec_id: str, quantity: int, price: int) -> dict[str, Any]:
    return report(exec_id, "TRADE", "PARTIALLY_FILLED", last_quantity=str(quantity), last_price=str(price))


def numbered(*lines: dict[str, Any]) -> list[tuple[int, str]]:
    return [(number, json.dumps(line)) for number, line in enumerate(lines, 1)]


def orders(*lines: dict[str, Any]) -> dict[str, Any]:
    return orders_of(read_records(numbered(*lines), "ExecutionReport"))


def fill(side: str, quantity: int, price: int, **fields: Any) -> dict[str, Any]:
    return {"instrument_id": "WTI", "side": side, "quantity": str(quantity), "price": str(price), **fields}


def test_reports_of_a_file_become_an_order_with_its_average_price() -> None:
    found = orders(report("1", "NEW", "NEW"), traded("2", 4, 100), traded("3", 6, 110))
    order = found["orders"][0]
    assert (order["status"], order["cumulative_quantity"], order["average_price"]) == ("FILLED", "10", "106")
    assert [step["status"] for step in order["steps"]] == ["NEW", "PARTIALLY_FILLED", "FILLED"]


def test_a_report_of_a_file_twice_moves_the_order_once() -> None:
    found = orders(report("1", "NEW", "NEW"), traded("2", 4, 100), traded("2", 4, 100))
    order = found["orders"][0]
    assert order["cumulative_quantity"] == "4"
    assert [step["repeated"] for step in order["steps"]] == [False, False, True]


def test_an_overfill_is_a_finding_and_is_counted() -> None:
    order = orders(report("1", "NEW", "NEW"), traded("2", 11, 100))["orders"][0]
    assert order["cumulative_quantity"] == "11"
    assert order["steps"][-1]["findings"] == ["OVERFILL"]


def test_a_cancel_of_ours_shows_as_pending_until_the_broker_answers() -> None:
    cancel = {
        "record": "CancelOrder",
        "event_time_us": 2,
        "request_id": "C",
        "client_order_id": "X",
        "account_id": "A",
        "venue": "V",
        "mode": "PAPER",
        "instrument_id": "WTI",
        "symbol": "WTI",
    }
    answered = report("2", "CANCELED", "CANCELED", client_order_id="C", original_client_order_id="X")
    order = orders(report("1", "NEW", "NEW"), cancel, answered)["orders"][0]
    assert [step["status"] for step in order["steps"]] == ["NEW", "PENDING_CANCEL", "CANCELED"]


def test_fills_of_a_file_become_a_position_through_zero_and_back() -> None:
    lines = numbered(fill("BUY", 100, 10), fill("SELL", 150, 12, realised_pnl="200"), fill("BUY", 50, 11))
    found = positions_of(read_fills(lines))
    flat = {"quantity": "0", "average_price": None, "realised_pnl": "250", "fees": "0"}
    assert found["positions"] == [{"account_id": "A", "instrument_id": "WTI", **flat}]
    assert found["differences"] == []


def test_a_fill_that_claims_another_result_is_named() -> None:
    lines = numbered(fill("BUY", 100, 10), fill("SELL", 100, 12, realised_pnl="199.99", position_quantity="0"))
    found = positions_of(read_fills(lines))
    assert found["differences"] == [{"line": 2, "field": "realised_pnl", "file": "199.99", "ledger": "200"}]


def test_a_fill_id_twice_moves_the_position_once() -> None:
    lines = numbered(fill("BUY", 100, 10, fill_id="f"), fill("BUY", 100, 10, fill_id="f"))
    assert positions_of(read_fills(lines))["positions"][0]["quantity"] == "100"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "line 1 is not JSON"),
        ("[]", "line 1 is not an object"),
        ('{"instrument_id": "X", "side": "BUY", "quantity": "1", "price": "NaN"}', "price"),
        ('{"instrument_id": "X", "side": "HOLD", "quantity": "1", "price": "1"}', "side"),
        ('{"instrument_id": "X", "side": "BUY", "quantity": "1", "price": "1", "colour": "red"}', "colour"),
    ],
)
def test_a_wrong_line_is_named_with_its_field(line: str, says: str) -> None:
    with pytest.raises(WrongLine, match=says):
        read_fills([(1, line)])


def test_nothing_is_printed_of_a_file_with_a_wrong_line(tmp_path: Path) -> None:
    (tmp_path / "f.ndjson").write_text(json.dumps(fill("BUY", 1, 1)) + "\n{\n")
    ended = quantumleap("replay", "fills", "f.ndjson", cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "line 2 is not JSON" in ended.stderr
    assert quantumleap("replay", "orders", "missing", cwd=tmp_path).returncode == 6


def test_resuming_asks_for_a_reason_and_the_whole_checklist(tmp_path: Path) -> None:
    ended = quantumleap("resume", "--reason", "fine", "--confirm", "reconciled,limits-ok", cwd=tmp_path)
    assert ended.returncode == 2
    assert "the checklist lacks data-fresh" in ended.stderr
    assert quantumleap("resume", "--confirm", "reconciled,data-fresh,limits-ok", cwd=tmp_path).returncode == 2


def test_a_scope_is_named_exactly_where_it_is_a_part(tmp_path: Path) -> None:
    assert "needs --id" in quantumleap("stop", "halt", "--scope", "account", cwd=tmp_path).stderr
    assert "--id names a part" in quantumleap("stop", "halt", "--id", "A", cwd=tmp_path).stderr
