"""Codec: record <-> Confluent wire format (0x00, schema id as 4 bytes big-endian, Avro body).

    CodecError               the record does not enter, or leave; `reason` is what its dead letter says
    |-- NotOurFormat         no value, or bytes that do not begin as the wire format does
    |-- UnknownSchema        a schema id that neither we nor the registry know
    |-- Truncated            the bytes end before the record does
    `-- WrongType            the bytes, or the values, are not what the schema of the record says

The id tells the type, so a topic may carry many types. Ids are resolved once, before the first record; an id never seen
is looked up once and resolved to our record by Avro's rules. Nothing is looked up or validated after that: what people
and other systems hand us passes `schemas.edge`.
"""

import struct
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any, ClassVar, NamedTuple

from fastavro import schemaless_reader, schemaless_writer
from fastavro.read import SchemaResolutionError

from schemas import topics
from schemas.avro_schema import AvroSchema
from schemas.converters import Fields, from_fields, to_fields
from schemas.dead_letter import DeadLetterReason
from schemas.record import Record, record_name
from schemas.resolution import Unresolvable, resolved, wire_schema

MAGIC = 0
HEADER = struct.Struct(">bI")
UNKNOWN_IDS_MAX = 1_000
"""Refused schema ids remembered; beyond it all are forgotten, so that garbage cannot fill the memory."""

_UNFIT = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, SchemaResolutionError)
"""What fastavro and the converters raise for values that are not what the schema says."""


class CodecError(ValueError):
    """A record that cannot be read or written."""

    reason: ClassVar[DeadLetterReason]


class NotOurFormat(CodecError):
    """The value is missing or does not begin with the magic byte."""

    reason = DeadLetterReason.NOT_OUR_FORMAT


class UnknownSchema(CodecError):
    """Neither we nor the registry know the schema id, or we were given no id for the record's type."""

    reason = DeadLetterReason.UNKNOWN_SCHEMA


class Truncated(CodecError):
    """The bytes end before the record does."""

    reason = DeadLetterReason.TRUNCATED


class WrongType(CodecError):
    """The schema is not of a record of ours, or the body or the values are not what it says."""

    reason = DeadLetterReason.WRONG_TYPE


class _Writer(NamedTuple):
    header: bytes
    schema: AvroSchema
    fields_of: Callable[[Any], Fields]


class _Reader(NamedTuple):
    cls: type[Record]
    writer: AvroSchema
    reader: AvroSchema | None
    make: Callable[[Fields], Record]


class Codec:
    """Encodes and decodes records by the schema ids that the registry gave them.

    ids: schema id of every type that is written here; they are also read without asking.
    fetch: text of the schema with this id; raises LookupError where there is none. It is asked at most once for an id;
        what else it raises (the registry does not answer) passes through and is not remembered. None: nobody to ask.
    """

    def __init__(self, ids: Mapping[type[Record], int], fetch: Callable[[int], str] | None = None) -> None:
        self._fetch = fetch
        self._writers: dict[type[Record], _Writer] = {}
        self._readers: dict[int, _Reader] = {}
        self._refused: dict[int, CodecError] = {}
        self._classes = {record_name(cls): cls for cls in ids}
        for cls, schema_id in ids.items():
            schema = wire_schema(cls)
            self._writers[cls] = _Writer(HEADER.pack(MAGIC, schema_id), schema, to_fields(cls))
            self._readers[schema_id] = _Reader(cls, schema, None, from_fields(cls))
        if len(self._readers) != len(self._writers):
            raise ValueError("two record types have one schema id")

    @classmethod
    def local(cls) -> "Codec":
        """A codec that needs no registry: ids count from 1 in the order of the topic map. Its bytes never leave."""
        return cls({record: number for number, record in enumerate(topics.records(), start=1)})

    def encode(self, record: Record) -> bytes:
        """The record's bytes. Raises UnknownSchema for a type without id, WrongType for values that do not fit."""
        try:
            header, schema, fields_of = self._writers[type(record)]
        except KeyError:
            raise UnknownSchema(f"{type(record).__name__} has no schema id here; register its schema first") from None
        buffer = BytesIO()
        buffer.write(header)
        try:
            schemaless_writer(buffer, schema, fields_of(record))
        except _UNFIT as error:
            raise WrongType(f"{type(record).__name__} does not fit its schema: {_words(error)}") from error
        return buffer.getvalue()

    def decode(self, value: bytes | None) -> Record:
        """The record in these bytes. Raises CodecError, one of the four."""
        if value is None or not value or value[0] != MAGIC:
            raise NotOurFormat(_not_our_format(value))
        if len(value) < HEADER.size:
            raise Truncated(f"the value ends inside its schema id, after {len(value)} bytes")
        schema_id: int = HEADER.unpack_from(value)[1]
        cls, writer, reader, make = self._readers.get(schema_id) or self._resolve(schema_id)
        body = BytesIO(value)
        body.seek(HEADER.size)
        try:
            fields = schemaless_reader(body, writer, reader)
            record = make(fields)  # type: ignore[arg-type]  # a record schema reads as a dict
        except (EOFError, *_UNFIT) as error:
            # fastavro says IndexError where a number is cut, EOFError everywhere else
            if isinstance(error, EOFError) or (isinstance(error, IndexError) and body.tell() == len(value)):
                raise Truncated(f"{cls.__name__} ends after {len(value)} bytes, before its last field") from None
            raise WrongType(f"the value is not a {cls.__name__} as schema {schema_id} says: {_words(error)}") from error
        if body.tell() != len(value):
            raise WrongType(f"{cls.__name__} ends at byte {body.tell()}, but the value has {len(value)}")
        return record

    def _resolve(self, schema_id: int) -> _Reader:
        """Ask once how to read this id."""
        refused = self._refused.get(schema_id)
        if refused is None:
            try:
                reader = self._looked_up(schema_id)
            except CodecError as error:
                refused = error
            else:
                self._readers[schema_id] = reader
                return reader
            if len(self._refused) >= UNKNOWN_IDS_MAX:
                self._refused.clear()
            self._refused[schema_id] = refused
        raise type(refused)(str(refused))

    def _looked_up(self, schema_id: int) -> _Reader:
        if self._fetch is None:
            raise UnknownSchema(f"schema id {schema_id} is not ours, and there is no registry to ask")
        try:
            text = self._fetch(schema_id)
        except LookupError:
            raise UnknownSchema(f"the registry has no schema with id {schema_id}") from None
        try:
            cls, writer, reader = resolved(text, self._classes)
        except Unresolvable as error:
            raise WrongType(f"schema id {schema_id}: {error}") from error
        return _Reader(cls, writer, reader, from_fields(cls))


def _not_our_format(value: bytes | None) -> str:
    if not value:
        return "the record has no value"
    return f"the value begins with byte 0x{value[0]:02x}, not with 0x{MAGIC:02x} and a schema id"


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error)[:200]}" if str(error) else type(error).__name__
