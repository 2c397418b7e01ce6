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


def numbered(*lines: dict[str, Any]) -> list[tuple[int, str | bytes]]:
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


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"{", "line 2 is not JSON"),
        (b"[" * 100_000, "line 2 is not JSON"),
        (b'{"exec_id": "\xff"}', "line 2 is not JSON: 'utf-8' codec"),
        (b"7", "line 2 is not an object"),
        (b'{"exec_id": "x"}', "line 2: not a ExecutionReport: event_time_us: must be given"),
        (b'{"record": "Bar"}', "line 2: record 'Bar' is none of ExecutionReport"),
        (b'{"record": ["NotSent"]}', "line 2: record .'NotSent'. is none of"),
        (json.dumps(report("1", "NEW", "NEW", side="HOLD")).encode(), "line 2: .*side"),
        (json.dumps(report("1", "BORN", "NEW")).encode(), "line 2: .*exec_type"),
        (json.dumps(report("1", "TRADE", "NEW", last_quantity="NaN")).encode(), "line 2: .*last_quantity"),
    ],
)
def test_a_wrong_line_of_reports_is_named_by_its_number_and_field(line: bytes, says: str) -> None:
    with pytest.raises(WrongLine, match=says):
        read_records([*numbered(report("1", "NEW", "NEW")), (2, line)], "ExecutionReport")


def test_a_fill_at_which_its_contract_has_no_value_is_named_by_its_line() -> None:
    lines = numbered(fill("BUY", 1, 10, instrument_id="BTC"), fill("BUY", 1, 0, contract="INVERSE"))
    with pytest.raises(WrongLine, match="line 2: INVERSE at 0"):
        positions_of(read_fills(lines))


def test_a_request_about_an_order_that_no_line_began_is_told_with_its_line() -> None:
    lost = {"record": "NotSent", "event_time_us": 1, "account_id": "A", "client_order_id": "Y", "reason": "LATE",
            "value": "1", "limit": "0"}  # fmt: skip
    found = orders(report("1", "NEW", "NEW"), lost)
    assert [(one["line"], one["client_order_id"]) for one in found["unknown"]] == [(2, "Y")]
    assert [one["client_order_id"] for one in found["orders"]] == ["X"]


def test_files_of_reports_and_of_fills_are_printed_as_json(tmp_path: Path) -> None:
    told = [report("1", "NEW", "NEW", text="one line\u2028and the same"), traded("2", 10, 100)]
    lines = [json.dumps(line, ensure_ascii=False) for line in told]
    (tmp_path / "r.ndjson").write_text("\n\n".join(lines) + "\r\n", encoding="utf-8")
    (tmp_path / "f.ndjson").write_text(json.dumps(fill("BUY", 3, 10)) + "\n")
    ended = quantumleap("replay", "orders", "r.ndjson", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    (order,) = json.loads(ended.stdout)["orders"]
    assert (order["status"], [step["line"] for step in order["steps"]]) == ("FILLED", [1, 3])
    ended = quantumleap("replay", "fills", "f.ndjson", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["positions"][0]["quantity"] == "3"


def test_resuming_asks_for_a_reason_and_the_whole_checklist(tmp_path: Path) -> None:
    ended = quantumleap("resume", "--reason", "fine", "--confirm", "reconciled,limits-ok", cwd=tmp_path)
    assert ended.returncode == 2
    assert "the checklist lacks data-fresh" in ended.stderr
    assert quantumleap("resume", "--confirm", "reconciled,data-fresh,limits-ok", cwd=tmp_path).returncode == 2


def test_a_scope_is_named_exactly_where_it_is_a_part(tmp_path: Path) -> None:
    assert "needs --id" in quantumleap("stop", "halt", "--scope", "account", cwd=tmp_path).stderr
    assert "--id names a part" in quantumleap("stop", "halt", "--id", "A", cwd=tmp_path).stderr
