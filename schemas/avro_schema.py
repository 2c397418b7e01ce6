"""Avro schemas of the records, from their type hints and docstrings.

Decimals are `bytes` with logical type decimal, times are `long` with logical type timestamp-micros, enums are strings
(docs/decisions/enums-as-strings.md), parts are nested records, an optional field is a union with null that defaults to
null. A list has a default only where its field has one: a list that is not there is not an empty list.
"""

import json
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec

from schemas.record import NAMESPACE, Part, Record, field_docs, record_name, summary
from schemas.scalars import PRECISION, SCALE, Micros

AvroSchema = dict[str, Any]
"""One Avro schema as JSON would hold it."""

TIMES_BY_NAME = frozenset({"event_time_us"})
"""Times that every record has; their type hint is a plain int."""

PRIMITIVES: dict[type, str] = {str: "string", int: "long", float: "double", bool: "boolean", bytes: "bytes"}


class UnsupportedType(TypeError):
    """A record has a field whose type does not travel."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The type of one field, taken apart.

    kind: the Python type inside: a primitive, Decimal, a StrEnum or a Part; for a list, that of its items.
    optional: None is legal.
    many: a list of `kind`.
    time: an int that is a time in microseconds of UTC.
    """

    kind: type
    optional: bool = False
    many: bool = False
    time: bool = False


@cache
def shapes(cls: type[Part]) -> dict[str, Shape]:
    """Shape of every field, in order. Raises UnsupportedType for a field that cannot travel."""
    hints = get_type_hints(cls, include_extras=True)
    found = {}
    for name in cls.__struct_fields__:
        try:
            shape = _shape(hints[name])
        except UnsupportedType as error:
            raise UnsupportedType(f"{cls.__name__}.{name}: {error}") from None
        found[name] = Shape(int, time=True) if name in TIMES_BY_NAME else shape
    return found


def _shape(hint: Any) -> Shape:
    origin = get_origin(hint)
    if origin is Annotated:
        inner, *marks = get_args(hint)
        return Shape(inner, time=any(isinstance(mark, Micros) for mark in marks)) if _plain(inner) else _shape(inner)
    if origin in (Union, UnionType):
        inside = [_shape(member) for member in get_args(hint) if member is not NoneType]
        if len(inside) == 1 and len(get_args(hint)) == 2 and not inside[0].many:
            return Shape(inside[0].kind, optional=True, time=inside[0].time)
        raise UnsupportedType(f"{hint} is not one plain type or None")
    if origin is list:
        item = _shape(get_args(hint)[0])
        if item.many or item.optional:
            raise UnsupportedType(f"{hint} nests lists or holds None")
        return Shape(item.kind, many=True, time=item.time)
    if _plain(hint):
        return Shape(hint)
    raise UnsupportedType(f"{hint} has no Avro type")


def _plain(hint: Any) -> bool:
    return hint in PRIMITIVES or hint is Decimal or (isinstance(hint, type) and issubclass(hint, StrEnum | Part))


def avro_schema(cls: type[Part]) -> AvroSchema:
    """The Avro record schema of the class, self-contained: a nested type is written out where it comes first."""
    return _record_schema(cls, set())


def avro_text(cls: type[Record]) -> str:
    """The schema as it is kept in files and in the registry: indented JSON with a final newline."""
    return json.dumps(avro_schema(cls), indent=2, ensure_ascii=False) + "\n"


def _record_schema(cls: type[Part], written: set[type[Part]]) -> AvroSchema:
    written.add(cls)
    docs = field_docs(cls)
    defaults = {field.name: field for field in msgspec.structs.fields(cls)}
    fields = []
    for name, shape in shapes(cls).items():
        field: AvroSchema = {"name": name, "type": _field_type(shape, written)}
        doc = docs.get(name, "")
        if issubclass(shape.kind, StrEnum):
            doc += f"; one of {', '.join(shape.kind)}"
        field["doc"] = doc
        field |= _default(shape, defaults[name])
        fields.append(field)
    return {
        "type": "record",
        "name": cls.__name__,
        "namespace": NAMESPACE,
        "doc": summary(cls),
        "fields": fields,
    }


def _field_type(shape: Shape, written: set[type[Part]]) -> Any:
    plain = _plain_type(shape, written)
    if shape.many:
        return {"type": "array", "items": plain}
    return ["null", plain] if shape.optional else plain


def _plain_type(shape: Shape, written: set[type[Part]]) -> Any:
    kind = shape.kind
    if shape.time:
        return {"type": "long", "logicalType": "timestamp-micros"}
    if kind is Decimal:
        return {"type": "bytes", "logicalType": "decimal", "precision": PRECISION, "scale": SCALE}
    if issubclass(kind, StrEnum):
        return "string"
    if issubclass(kind, Part):
        return record_name(kind) if kind in written else _record_schema(kind, written)
    return PRIMITIVES[kind]


def _default(shape: Shape, field: msgspec.structs.FieldInfo) -> AvroSchema:
    """The field's default as Avro writes it. An optional one is null by default even where Python asks for a value."""
    if shape.optional:
        if field.default not in (None, msgspec.NODEFAULT):
            raise UnsupportedType(f"{field.name} is optional and defaults to {field.default!r}; Avro wants null first")
        return {"default": None}
    if field.default_factory is not msgspec.NODEFAULT:
        value = field.default_factory()
        if value != []:
            raise UnsupportedType(f"{field.name} defaults to {value!r}; only the empty list has an Avro form")
        return {"default": []}
    if field.default is msgspec.NODEFAULT:
        return {}
    if isinstance(field.default, Decimal | bytes | Part):
        raise UnsupportedType(f"{field.name} defaults to {field.default!r}; use None, or no default")
    return {"default": str(field.default) if isinstance(field.default, StrEnum) else field.default}
