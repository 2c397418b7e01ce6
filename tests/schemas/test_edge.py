"""The edge lets in what a record may hold, and names every field that it refuses."""

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.codec import Codec
from schemas.edge import ID_MAX, TEXT_MAX, InvalidRecord, parse, to_jsonable, validate
from schemas.market import Bar, BarKind, MarkBatch, QuoteBatch
from schemas.order import SubmitOrder
from schemas.position import AccountSnapshot
from schemas.record import Record
from schemas.signal import Signal
from tests.schemas.examples import SESSION_START_US, example
from tests.schemas.strategies import RECORDS, instances

CODEC = Codec.local()


def bar_given(**changes: Any) -> dict[str, Any]:
    return to_jsonable(example(Bar)) | changes


def refused(cls: type[Record], given: Any) -> dict[str, str]:
    """Rule by path of everything that the edge refuses in it."""
    with pytest.raises(InvalidRecord) as refusal:
        parse(cls, given)
    return {problem.path: problem.rule for problem in refusal.value.problems}


@pytest.mark.parametrize("cls", RECORDS, ids=lambda cls: cls.__name__)
def test_every_record_passes_as_json_and_back(cls: type[Record]) -> None:
    record = example(cls)
    validate(record)
    assert parse(cls, to_jsonable(record)) == record
    assert parse(cls, json.dumps(to_jsonable(record)).encode()) == record


@pytest.mark.parametrize("cls", RECORDS, ids=lambda cls: cls.__name__)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(source=st.data())
def test_what_the_edge_lets_in_the_codec_can_carry(cls: type[Record], source: st.DataObject) -> None:
    try:
        record = parse(cls, json.dumps(to_jsonable(source.draw(instances(cls)))))
    except InvalidRecord:
        return
    assert CODEC.decode(CODEC.encode(record)) == record


@pytest.mark.parametrize(
    ("given", "becomes"),
    [
        ("-37.63", "-37.630000000000"),
        (Decimal("1E+3"), "1000.000000000000"),
        (7, "7.000000000000"),
        ("99999999999999999999999999.999999999999", "99999999999999999999999999.999999999999"),
    ],
)
def test_a_price_may_be_text_a_decimal_or_an_integer(given: Any, becomes: str) -> None:
    assert str(parse(Bar, bar_given(close=given)).close) == becomes


@pytest.mark.parametrize(
    "given",
    [
        *(1.5, True, None, "", "abc", "1_000", " 1", "NaN", "Infinity", "-inf", "1e-13", "1e26", "0x10", "٣"),
        *(Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), Decimal("1E-13"), Decimal(10) ** 26),
        *(Decimal("12345678901234567.1234567890123"), "1" * 101, [], {}),
    ],
)
def test_a_price_that_is_no_exact_decimal_is_refused(given: Any) -> None:
    assert refused(Bar, bar_given(close=given)).keys() == {"close"}


def test_numbers_in_json_are_read_as_they_are_written() -> None:
    text = json.dumps(bar_given()).replace('"close": "-37.63"', '"close": 20.000000000001')
    assert parse(Bar, text).close == Decimal("20.000000000001")


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_a_float_that_is_not_finite_is_refused(word: str) -> None:
    text = json.dumps(to_jsonable(example(Signal))).replace('"strength": 0.25', f'"strength": {word}')
    assert refused(Signal, text)
    if word != "1e400":
        assert refused(Signal, to_jsonable(example(Signal)) | {"strength": float(word)}).keys() == {"strength"}


@pytest.mark.parametrize(
    "given",
    [
        SESSION_START_US,
        "2020-04-20T18:30:00Z",
        "2020-04-20T14:30:00-04:00",
        datetime(2020, 4, 20, 18, 30, tzinfo=UTC),
        datetime(2020, 4, 20, 20, 30, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_one_moment_in_any_zone_is_one_time(given: Any) -> None:
    assert parse(Bar, bar_given(event_time_us=given)).event_time_us == SESSION_START_US


@pytest.mark.parametrize(
    "given",
    [
        *("2020-04-20T18:30:00", "2020-04-20", "yesterday", str(SESSION_START_US), 1.5e15, True, None, 10**18),
        datetime(2020, 4, 20, 18, 30),  # noqa: DTZ001 - naive on purpose
    ],
)
def test_a_time_without_zone_or_meaning_is_refused(given: Any) -> None:
    assert refused(Bar, bar_given(event_time_us=given)).keys() == {"event_time_us"}


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("interval_us", "60"),
        ("interval_us", 60.0),
        ("interval_us", True),
        ("interval_us", 2**63),
        ("kind", "time"),
        ("kind", 1),
        ("kind", ["TIME"]),
        ("instrument_id", 5),
        ("instrument_id", ""),
        ("instrument_id", "x" * (ID_MAX + 1)),
        ("instrument_id", "\ud800"),
        ("instrument_id", None),
    ],
)
def test_nothing_is_coerced(field: str, given: Any) -> None:
    assert refused(Bar, bar_given(**{field: given})).keys() == {field}


def test_texts_end_at_their_bound() -> None:
    signal = to_jsonable(example(Signal))
    assert parse(Signal, signal | {"summary": "x" * TEXT_MAX}).summary == "x" * TEXT_MAX
    assert refused(Signal, signal | {"summary": "x" * (TEXT_MAX + 1)}).keys() == {"summary"}
    assert parse(Signal, signal | {"signal_id": "x" * ID_MAX}).signal_id == "x" * ID_MAX


def test_a_field_we_do_not_know_is_not_ignored() -> None:
    assert refused(Bar, bar_given(vwap="1")) == {"vwap": "must not be given: there is no such field"}


def test_every_wrong_field_is_named_at_once() -> None:
    given = bar_given(close="x", kind="y")
    del given["open"]
    assert refused(Bar, given).keys() == {"open", "close", "kind"}


def test_a_wrong_field_inside_a_list_is_named_by_its_place() -> None:
    given = to_jsonable(example(MarkBatch))
    given["marks"].append(given["marks"][0] | {"last": "x"})
    assert refused(MarkBatch, given).keys() == {"marks.1.last"}


def test_fields_with_a_default_may_be_left_out() -> None:
    given = bar_given()
    del given["volume"], given["count"]
    assert parse(Bar, given) == msgspec.structs.replace(example(Bar), volume=None, count=0)


def test_columns_of_different_length_are_refused_and_optional_ones_may_be_empty() -> None:
    quotes = example(QuoteBatch)
    validate(msgspec.structs.replace(quotes, bid_sizes=[], ask_sizes=[]))
    for name in ("bids", "times_us"):
        with pytest.raises(InvalidRecord, match=f"{name}: must have as many rows"):
            validate(msgspec.structs.replace(quotes, **{name: []}))
    with pytest.raises(InvalidRecord, match="bid_sizes"):
        validate(msgspec.structs.replace(quotes, bids=[1, 2], asks=[1, 2], times_us=[1, 2], ask_sizes=[]))


@pytest.mark.parametrize(
    "changes",
    [
        {"quantity": Decimal("NaN")},
        {"quantity": Decimal("0.0000000000001")},
        {"quantity": 1.5},
        {"side": "BOUGHT"},
        {"reduce_only": 1},
        {"client_order_id": ""},
        {"submit_before_us": 1.0},
        {"limit_price": "dear"},
    ],
)
def test_a_record_of_our_own_can_be_checked_too(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidRecord, match=next(iter(changes))):
        validate(msgspec.structs.replace(example(SubmitOrder), **changes))


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"{", b"[]", b"null", b"5", b'"x"', b"\xff\xfe", b"[" * 100_000),
        *('{"a": 1, "a": 2}', "9" * 5000, "x" * 1_000_001),
    ],
    ids=lambda text: f"{text[:8]!r} {len(text)}",
)
def test_what_is_no_json_object_is_refused(text: bytes | str) -> None:
    assert refused(Bar, text).keys() == {""}


def test_bytes_travel_as_base64_in_json() -> None:
    given = to_jsonable(example(AccountSnapshot))
    assert given["state"] == "AGNydWRl"
    assert refused(AccountSnapshot, given | {"state": "not base64!"}).keys() == {"state"}


def test_people_read_plain_numbers_and_times() -> None:
    bar = msgspec.structs.replace(example(Bar), open=Decimal("1E+2"), high=Decimal("0E-12"), kind=BarKind.TIME)
    shown = to_jsonable(bar)
    assert (shown["open"], shown["high"], shown["low"]) == ("100", "0", "-37.63")
    assert shown["event_time_us"] == "2020-04-20T18:30:00Z"


def test_a_refusal_shortens_what_it_shows() -> None:
    with pytest.raises(InvalidRecord) as refusal:
        parse(Signal, to_jsonable(example(Signal)) | {"summary": "x" * 100_000})
    assert len(str(refusal.value)) < 300


def test_an_integer_of_thousands_of_digits_is_refused_without_showing_it() -> None:
    assert refused(Bar, bar_given(close=10**5000, count=10**5000)).keys() == {"close", "count"}
