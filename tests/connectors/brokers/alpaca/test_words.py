"""What Alpaca says is read strictly, and every word of its has one of ours."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.brokers.alpaca import translate, wire
from connectors.brokers.alpaca.cursor import OVERLAP_US, Cursor
from connectors.brokers.alpaca.translate import EVENTS, STATUSES, TIMES, TYPES, Speaker, Symbols
from schemas.order import ExecType, OrderStatus, OrderType, Side, TimeInForce
from tests.connectors.brokers.orders import buy, limit, sell, teapots
from tests.venue import exchange
from tests.venue.orders import Order, order_json

SAY = Speaker("alice", "ALPACA", Symbols([teapots(venue="ALPACA")], "ALPACA"))
BUST = b"""{"event": "trade_bust", "timestamp": "2024-09-23T15:30:48.601741737Z", "price": "0.107703", "qty": "-2",
"position_qty": "0", "execution_id": "df61d6ec-511f-4cc1-ae61-20456b0cb7a5",
"previous_execution_id": "aeb60660-412f-4537-8d1f-1101b3fc8f64", "order": {
"id": "c86e4d6c-2cdf-4b81-b658-5728bdc8310b", "client_order_id": "10671b99", "created_at": "2024-09-23T15:30:48.59Z",
"updated_at": "2024-09-23T16:09:21.642880502Z", "submitted_at": "2024-09-23T15:30:48.601741737Z", "symbol": "TPT",
"qty": "2", "filled_qty": "0", "filled_avg_price": "0.107703", "type": "market", "side": "buy", "status": "filled",
"time_in_force": "day", "limit_price": null, "stop_price": null, "replaced_by": null, "replaces": null}}"""


def an_order(**changes: object) -> bytes:
    order = Order(1, "id-1", "PA1", "a", "TPT", "buy", "limit", "gtc", D(10), 1_700_000_000_000_000, limit_price=D(90))
    told = order_json(order, None) | changes
    return msgspec.json.encode({name: value for name, value in told.items() if value is not ...})


def test_an_order_is_read_to_the_last_digit_and_the_nearest_microsecond() -> None:
    order = wire.order_in(an_order(limit_price="0.000000000001", updated_at="2024-09-23T16:09:21.642880502Z"))
    assert order.limit_price == D("0.000000000001")
    assert order.time_us == 1_727_107_761_642_881


@pytest.mark.parametrize(
    "changes",
    [
        {"id": ...},
        {"status": ...},
        {"filled_qty": ...},
        {"filled_qty": "NaN"},
        {"filled_qty": "Infinity"},
        {"filled_qty": "-1"},
        {"filled_qty": True},
        {"qty": "9" * 400},
        {"qty": "1e400"},
        {"qty": "ten"},
        {"limit_price": "0.0000000000001"},
        {"side": "sideways"},
        {"client_order_id": ""},
        {"submitted_at": "yesterday"},
        {"submitted_at": "2024-09-23T16:09:21"},
    ],
)
def test_an_order_that_is_not_as_promised_is_not_read(changes: dict[str, object]) -> None:
    with pytest.raises(wire.Unreadable):
        wire.order_in(an_order(**changes))


@pytest.mark.parametrize("average", ["NaN", "9" * 400, "33.333333333333333333333"])
def test_an_average_spoils_no_order(average: str) -> None:
    report = SAY.acknowledgement(wire.order_in(an_order(filled_avg_price=average)))
    assert report.average_price == (D("33.333333333333") if average.startswith("33") else None)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"null", b"<html>", b"\xff\xfe", b'{"id": 1}'])
def test_what_is_no_order_is_not_read(body: bytes) -> None:
    with pytest.raises(wire.Unreadable):
        wire.order_in(body)


def test_a_bust_as_alpaca_documents_it_takes_back_the_fill_that_it_names() -> None:
    report = SAY.update(wire.update_in(BUST))
    assert (report.exec_type, report.reference_exec_id) == (
        ExecType.TRADE_CANCEL,
        "aeb60660-412f-4537-8d1f-1101b3fc8f64",
    )
    assert (report.last_quantity, report.last_price, report.cumulative_quantity) == (D(2), D("0.107703"), D(0))


def test_a_bust_that_names_no_fill_is_told_as_the_state_of_its_order() -> None:
    told = msgspec.json.decode(BUST) | {"previous_execution_id": None}
    report = SAY.update(wire.update_in(msgspec.json.encode(told)))
    assert (report.exec_type, report.cumulative_quantity) == (ExecType.ORDER_STATUS, D(0))


def test_an_event_of_a_word_that_we_do_not_know_is_told_as_the_state_of_its_order() -> None:
    told = {"event": "sublimated", "order": msgspec.json.decode(an_order(status="sublimated"))}
    report = SAY.update(wire.update_in(msgspec.json.encode(told)))
    assert (report.exec_type, report.order_status) == (ExecType.ORDER_STATUS, OrderStatus.UNKNOWN)


def test_every_order_type_and_time_but_one_has_its_word() -> None:
    assert set(TYPES) == set(OrderType)
    assert set(TIMES) == set(TimeInForce) - {TimeInForce.GTD}


def test_every_status_and_event_of_the_venue_has_its_word() -> None:
    source = Path(exchange.__file__).read_text()
    events = set(re.findall(r'_event\("(\w+)"', source)) | set(re.findall(r'_end\(order, "(\w+)"', source))
    assert {"new", "canceled", "order_cancel_rejected", "expired"} <= events
    assert events <= set(EVENTS)
    assert set(STATUSES) >= translate.DONE


def test_an_order_says_all_its_terms() -> None:
    command = sell("a", "1.50", symbol="TPT", order_type=OrderType.STOP_LIMIT, limit_price="90.10", stop_price="91")
    assert translate.order_body(command) == {
        "symbol": "TPT",
        "qty": "1.5",
        "side": "sell",
        "type": "stop_limit",
        "time_in_force": "gtc",
        "client_order_id": "a",
        "limit_price": "90.1",
        "stop_price": "91",
    }


def test_a_quantity_is_never_said_in_powers_of_ten() -> None:
    assert translate.order_body(buy("a", "1E+3"))["qty"] == "1000"
    assert translate.order_body(buy("a", "1E-9"))["qty"] == "0.000000001"


def test_a_short_sale_is_said_as_a_sale() -> None:
    assert translate.order_body(buy("a", side=Side.SELL_SHORT, **limit("90")))["side"] == "sell"


def test_a_symbol_is_known_with_its_slash_and_without() -> None:
    symbols = Symbols([], "ALPACA")
    symbols.name("BTC/USD", "BITCOIN")
    assert [symbols.id_of(text) for text in ("BTC/USD", "BTCUSD", "ETHUSD")] == ["BITCOIN", "BITCOIN", "ETHUSD"]


def test_an_instrument_of_another_venue_gives_no_symbol() -> None:
    assert Symbols([teapots(venue="PAPER")], "ALPACA").id_of("TPT") == "TPT"


def a_fill(milliseconds: int, number: int) -> wire.WireFill:
    when = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    return wire.WireFill(
        id=f"{milliseconds:017d}::{number:08x}-0000-4000-8000-000000000000",
        order_id="o",
        transaction_time=when,
        price=D(1),
        qty=D(1),
        cum_qty=D(number + 1),
        leaves_qty=D(0),
        side="buy",
        symbol="TPT",
    )


@pytest.mark.parametrize("text", ["", "nonsense", "|", "-5|", "12.5|abc"])
def test_a_cursor_that_cannot_be_read_is_the_beginning(text: str) -> None:
    assert Cursor.parse(text) == Cursor()
    assert Cursor.parse(text).after == ""


@given(
    st.lists(st.tuples(st.integers(0, 60_000), st.integers(0, 3_000)), max_size=40),
    st.lists(st.integers(0, 40), max_size=5),
)
def test_a_reading_in_steps_finds_every_fill_once(arrivals: list[tuple[int, int]], cuts: list[int]) -> None:
    """Fills come in the order of their times, each up to three seconds late, and are read now and then."""
    arrivals.sort()
    fills = [a_fill(milliseconds, number) for number, (milliseconds, _) in enumerate(arrivals)]
    seen_at = sorted(range(len(fills)), key=lambda number: sum(arrivals[number]))
    told: list[str] = []
    text = ""
    for cut in [*sorted(cuts), len(fills)]:
        cursor = Cursor.parse(text)
        there = [fills[number] for number in seen_at[:cut]]
        begins = cursor.time_us - OVERLAP_US - 2_000_000
        listed = sorted((one for one in there if one.time_us >= begins), key=lambda one: one.id)
        told += [one.id for one in listed if cursor.is_new(one)]
        text = str(cursor.moved(listed))
    assert sorted(told) == sorted(one.id for one in fills)
