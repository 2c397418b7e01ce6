"""Resolution: may a schema that others wrote be read as ours, and by which pair of schemas.

Avro resolves names, defaults and promotions, but not units: a time in milliseconds or a decimal of another scale would
be read as a wrong number. So units are compared field by field before anything is read.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from fastavro.schema import SchemaParseException, parse_schema

from schemas.avro_schema import AvroSchema, avro_schema
from schemas.record import Record, record_name

UNITS = ("logicalType", "precision", "scale")
COMPLEX = ("items", "values")


class Unresolvable(ValueError):
    """The schema cannot be read as one of our records; the message says why."""


class Resolved(NamedTuple):
    """How to read one writer schema.

    cls: our record.
    writer: the schema of the bytes.
    reader: ours where it differs from the writer's, else None, which reads faster.
    """

    cls: type[Record]
    writer: AvroSchema
    reader: AvroSchema | None


def wire_schema(cls: type[Record]) -> AvroSchema:
    """Our schema, parsed for fastavro, without the units that would make it build objects of its own."""
    return parsed(plain(avro_schema(cls)))


def parsed(schema: AvroSchema) -> AvroSchema:
    """The schema as fastavro wants it on the hot path. Raises Unresolvable for what is no Avro record schema."""
    try:
        result = parse_schema(schema)
    except (SchemaParseException, KeyError, TypeError, ValueError) as error:
        raise Unresolvable(f"not an Avro schema: {error}") from error
    if not isinstance(result, dict):
        raise Unresolvable("not an Avro record schema")
    return result


def plain(schema: Any) -> Any:
    """The schema without units and docs: all that decides how bytes are laid out."""
    if isinstance(schema, list):
        return [plain(branch) for branch in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: value for key, value in schema.items() if key not in (*UNITS, "doc")}
    if "fields" in kept:
        kept["fields"] = [
            {key: value for key, value in field.items() if key != "doc"} | {"type": plain(field["type"])}
            for field in kept["fields"]
        ]
    for key in COMPLEX:
        if key in kept:
            kept[key] = plain(kept[key])
    if isinstance(kept.get("type"), dict | list):
        kept["type"] = plain(kept["type"])
    return kept["type"] if kept.keys() == {"type"} else kept


def units(schema: AvroSchema) -> dict[str, tuple[Any, ...]]:
    """Unit of every leaf by its path; unions and arrays do not lengthen the path."""
    return dict(_units(schema, "", {}, ()))


def _units(
    schema: Any, path: str, named: dict[str, AvroSchema], inside: tuple[str, ...]
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    if isinstance(schema, list):
        for branch in schema:
            if branch != "null":
                yield from _units(branch, path, named, inside)
        return
    if isinstance(schema, str) and schema in named and schema not in inside:
        schema = named[schema]
    if not isinstance(schema, dict):
        yield path, (None, None, None)
        return
    if "fields" in schema:
        name = _full_name(schema)
        named[name] = schema
        for field in schema["fields"]:
            yield from _units(field["type"], f"{path}.{field['name']}", named, (*inside, name))
        return
    inner = next((schema[key] for key in COMPLEX if key in schema), schema.get("type"))
    if isinstance(inner, dict | list) or (isinstance(inner, str) and any(key in schema for key in COMPLEX)):
        yield from _units(inner, path, named, inside)
        return
    yield path, tuple(schema.get(key) for key in UNITS)


def _full_name(schema: AvroSchema) -> str:
    name = str(schema.get("name", ""))
    namespace = schema.get("namespace", "")
    return name if "." in name or not namespace else f"{namespace}.{name}"


def resolved(text: str, classes: Mapping[str, type[Record]]) -> Resolved:
    """How to read bytes written by this schema. Raises Unresolvable where that would be a guess."""
    try:
        schema = json.loads(text)
    except ValueError as error:
        raise Unresolvable("not an Avro schema: its text is not JSON") from error
    if not isinstance(schema, dict) or schema.get("type") != "record" or "fields" not in schema:
        raise Unresolvable("not an Avro record schema")
    parsed(schema)
    name = _full_name(schema)
    cls = classes.get(name)
    if cls is None:
        raise Unresolvable(f"{name} is not one of our records")
    theirs, ours = units(schema), units(avro_schema(cls))
    for path in theirs.keys() & ours.keys():
        if theirs[path] != ours[path]:
            raise Unresolvable(f"{name}{path} is written in unit {theirs[path]} and read in {ours[path]}")
    writer, reader = parsed(plain(schema)), wire_schema(cls)
    return Resolved(cls, writer, None if plain(schema) == plain(avro_schema(cls)) else reader)


def by_name(classes: Iterator[type[Record]]) -> dict[str, type[Record]]:
    """Records by their Avro names."""
    return {record_name(cls): cls for cls in classes}
