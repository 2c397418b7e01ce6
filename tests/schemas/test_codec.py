"""The codec: what goes in comes out, and what cannot be read is said to be so."""

import copy
import json
from collections.abc import Callable
from decimal import Decimal
from io import BytesIO
from typing import Any

import fastavro
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.avro_schema import avro_schema
from schemas.codec import HEADER, Codec, CodecError, NotOurFormat, Truncated, UnknownSchema, WrongType
from schemas.control import ClockTick
from schemas.market import Bar, BarKind, Mark, MarkBatch
from schemas.order import OrderEvent
from schemas.record import Record
from schemas.signal import Signal
from schemas.topics import records
from tests.schemas.examples import SESSION_START_US, example
from tests.schemas.strategies import RECORDS, instances

CODEC = Codec.local()
OTHER_ID = 70_000


def oil_bar(**changes: Any) -> Bar:
    crash = Bar(
        event_time_us=SESSION_START_US,
        instrument_id="CL-MAY20",
        interval_us=60_000_000,
        kind=BarKind.TIME,
        open=Decimal("-10.20"),
        high=Decimal("-9.80"),
        low=Decimal("-37.63"),
        close=Decimal("-13.10"),
    )
    return type(crash)(**({name: getattr(crash, name) for name in crash.__struct_fields__} | changes))


def codec_that_fetches(schema: dict[str, Any]) -> Codec:
    return Codec({Bar: 1}, fetch=lambda _: json.dumps(schema))


def written(schema: dict[str, Any], fields: dict[str, Any], schema_id: int = OTHER_ID) -> bytes:
    body = BytesIO()
    body.write(HEADER.pack(0, schema_id))
    fastavro.schemaless_writer(body, fastavro.parse_schema(copy.deepcopy(schema)), fields)
    return body.getvalue()


def bar_fields() -> dict[str, Any]:
    return {name: getattr(oil_bar(), name) for name in Bar.__struct_fields__}


@pytest.mark.parametrize("cls", RECORDS, ids=lambda cls: cls.__name__)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(source=st.data())
def test_every_record_comes_back_as_it_went(cls: type[Record], source: st.DataObject) -> None:
    record = source.draw(instances(cls))
    assert CODEC.decode(CODEC.encode(record)) == record


@pytest.mark.parametrize("cls", RECORDS, ids=lambda cls: cls.__name__)
def test_a_record_cut_at_any_byte_is_an_error_and_never_another_record(cls: type[Record]) -> None:
    value = CODEC.encode(example(cls))
    for length in range(1, len(value)):
        with pytest.raises(Truncated):
            CODEC.decode(value[:length])


@settings(max_examples=300, deadline=None)
@given(value=st.binary(max_size=80), schema_id=st.integers(min_value=1, max_value=len(RECORDS)))
def test_random_bytes_read_as_a_record_or_are_refused_by_name(value: bytes, schema_id: int) -> None:
    try:
        record = CODEC.decode(HEADER.pack(0, schema_id) + value)
    except (Truncated, WrongType):
        return
    assert type(record) is RECORDS[schema_id - 1]


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (None, NotOurFormat),
        (b"", NotOurFormat),
        (b'{"price": 1}', NotOurFormat),
        (b"\x01\x00\x00\x00\x01", NotOurFormat),
        (b"\x00", Truncated),
        (b"\x00\x00\x00\x00", Truncated),
        (b"\x00\x00\x00\x00\x01", Truncated),
        (b"\x00\xff\xff\xff\xff", UnknownSchema),
    ],
)
def test_what_is_not_ours_is_named(value: bytes | None, error: type[CodecError]) -> None:
    with pytest.raises(error):
        CODEC.decode(value)


def test_every_codec_error_has_a_reason_of_its_own() -> None:
    reasons = [error.reason for error in CodecError.__subclasses__()]
    assert len(reasons) == len(set(reasons)) == 4


def test_a_byte_after_the_record_is_refused() -> None:
    with pytest.raises(WrongType, match="ends at byte"):
        CODEC.decode(CODEC.encode(oil_bar()) + b"\x00")


def test_decimals_come_back_with_all_their_places() -> None:
    assert str(CODEC.decode(CODEC.encode(oil_bar())).low) == "-37.630000000000"  # type: ignore[attr-defined]  # a Bar


@pytest.mark.parametrize(
    "price",
    [Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), Decimal("1E-13"), Decimal(10) ** 26, 1.5, "1.5", None],
)
def test_a_price_that_the_wire_cannot_hold_does_not_leave(price: Any) -> None:
    with pytest.raises(WrongType):
        CODEC.encode(oil_bar(close=price))


@pytest.mark.parametrize("price", [Decimal("1E-12"), Decimal(10) ** 26 - Decimal("1E-2"), -(Decimal(10) ** 26) + 1])
def test_the_widest_prices_leave_and_return(price: Decimal) -> None:
    assert CODEC.decode(CODEC.encode(oil_bar(close=price))) == oil_bar(close=price)


@pytest.mark.parametrize("changes", [{"instrument_id": 7}, {"interval_us": "60"}, {"count": 2**63}, {"volume": 1.0}])
def test_values_of_another_type_do_not_leave(changes: dict[str, Any]) -> None:
    with pytest.raises(WrongType, match="Bar does not fit its schema"):
        CODEC.encode(oil_bar(**changes))


def test_a_type_without_id_does_not_leave() -> None:
    with pytest.raises(UnknownSchema, match="ClockTick has no schema id"):
        Codec({Bar: 1}).encode(ClockTick(event_time_us=1, clock_id="wall"))


def test_two_types_cannot_share_an_id() -> None:
    with pytest.raises(ValueError, match="one schema id"):
        Codec({Bar: 1, Mark: 1})


def test_a_symbol_that_the_enum_lacks_is_the_wrong_type() -> None:
    value = CODEC.encode(oil_bar()).replace(b"\x08TIME", b"\x08TEMP")
    with pytest.raises(WrongType, match="TEMP"):
        CODEC.decode(value)


def test_the_bytes_are_those_of_the_published_schema() -> None:
    number = list(records()).index(Bar) + 1
    assert CODEC.encode(oil_bar()) == written(avro_schema(Bar), bar_fields(), number)


def test_nested_records_are_told_by_their_type() -> None:
    batch = MarkBatch(event_time_us=5, relay_id="r", sequence=1, marks=[example(Mark), example(Mark)])
    assert CODEC.decode(CODEC.encode(batch)) == batch


def test_a_newer_writer_with_a_field_more_is_read() -> None:
    schema = avro_schema(Bar)
    schema["fields"].append({"name": "vwap", "type": ["null", "double"], "default": None})
    value = written(schema, bar_fields() | {"vwap": 2.5})
    assert codec_that_fetches(schema).decode(value) == oil_bar()


def test_an_older_writer_without_a_field_gives_its_default() -> None:
    schema = avro_schema(Bar)
    schema["fields"] = [field for field in schema["fields"] if field["name"] != "volume"]
    assert codec_that_fetches(schema).decode(written(schema, bar_fields())) == oil_bar(volume=None)


def test_a_writer_without_a_field_that_has_no_default_is_refused() -> None:
    schema = avro_schema(Bar)
    schema["fields"] = [field for field in schema["fields"] if field["name"] != "close"]
    with pytest.raises(WrongType, match="close"):
        codec_that_fetches(schema).decode(written(schema, bar_fields()))


def test_a_writer_that_differs_only_in_words_is_read_without_resolution() -> None:
    schema = avro_schema(Bar)
    schema["doc"] = "Candles."
    codec = codec_that_fetches(schema)
    assert codec.decode(written(schema, bar_fields())) == oil_bar()


@pytest.mark.parametrize(
    ("name", "type_", "theirs"),
    [
        ("close", {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 9}, Decimal("-13.1")),
        ("close", "bytes", b"\x01"),
        ("event_time_us", {"type": "long", "logicalType": "timestamp-millis"}, 5),
        ("volume", ["null", {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 2}], None),
    ],
)
def test_a_writer_in_another_unit_is_refused_rather_than_misread(name: str, type_: Any, theirs: Any) -> None:
    schema = avro_schema(Bar)
    next(field for field in schema["fields"] if field["name"] == name)["type"] = type_
    with pytest.raises(WrongType, match=f"{name} is written in unit"):
        codec_that_fetches(schema).decode(written(schema, bar_fields() | {name: theirs}))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"type": "record", "name": "quantumleap.Candle", "fields": []}', "quantumleap.Candle is not one of our"),
        ('{"type": "record", "name": "Bar", "fields": []}', "Bar is not one of our"),
        ('"string"', "not an Avro record schema"),
        ('syntax = "proto3";', "not an Avro schema"),
        ('{"type": "record", "name": "quantumleap.Bar", "fields": [{"name": "x"}]}', "not an Avro schema"),
        ('{"type": "record", "name": "quantumleap.Bar"}', "not an Avro record schema"),
        ('{"type": "record", "name": "quantumleap.Bar", "fields": [{"name": "x", "type": "y"}]}', "not an Avro schema"),
        ("[]", "not an Avro record schema"),
    ],
)
def test_a_foreign_schema_is_refused_with_its_name(text: str, words: str) -> None:
    codec = Codec({Bar: 1}, fetch=lambda _: text)
    with pytest.raises(WrongType, match=words):
        codec.decode(b"\x00\x00\x00\x00\x02\x00")


class Registry:
    """Counts how often it is asked."""

    def __init__(self, answer: Callable[[int], str]) -> None:
        self.asked: list[int] = []
        self._answer = answer

    def __call__(self, schema_id: int) -> str:
        self.asked.append(schema_id)
        return self._answer(schema_id)


def test_an_unknown_id_is_looked_up_once() -> None:
    registry = Registry(lambda _: json.dumps(avro_schema(Bar)))
    codec = Codec({Bar: 1, OrderEvent: 2}, fetch=registry)
    for _ in range(3):
        assert codec.decode(written(avro_schema(Bar), bar_fields())) == oil_bar()
    assert registry.asked == [OTHER_ID]


def test_an_id_that_the_registry_lacks_is_looked_up_once() -> None:
    def lacks(schema_id: int) -> str:
        raise LookupError(schema_id)

    registry = Registry(lacks)
    codec = Codec({Bar: 1}, fetch=registry)
    for _ in range(3):
        with pytest.raises(UnknownSchema, match="no schema with id 70000"):
            codec.decode(written(avro_schema(Bar), bar_fields()))
    assert registry.asked == [OTHER_ID]


def test_a_registry_that_does_not_answer_is_asked_again() -> None:
    answers: list[str | Exception] = [ConnectionError("registry is down"), json.dumps(avro_schema(Bar))]

    def flaky(_: int) -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    codec = Codec({Bar: 1}, fetch=flaky)
    value = written(avro_schema(Bar), bar_fields())
    with pytest.raises(ConnectionError):
        codec.decode(value)
    assert codec.decode(value) == oil_bar()


def test_a_known_id_is_never_looked_up() -> None:
    registry = Registry(lambda _: json.dumps(avro_schema(Signal)))
    codec = Codec({Bar: 1}, fetch=registry)
    assert codec.decode(codec.encode(oil_bar())) == oil_bar()
    assert registry.asked == []


def test_the_local_codec_numbers_the_types_of_the_map() -> None:
    assert [HEADER.unpack_from(CODEC.encode(example(cls)))[1] for cls in records()] == list(range(1, len(RECORDS) + 1))
