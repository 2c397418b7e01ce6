"""When one Avro schema may follow another, as schema registries judge it.

Resolution between a reader and a writer is judged by Apache Avro's own checker; defaults, which it does not look at, by
fastavro.
"""

import json
import re
import warnings
from collections.abc import Callable, Sequence
from enum import StrEnum

import fastavro
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.errors import AvroException
from avro.schema import Schema, parse
from fastavro.schema import SchemaParseException, UnknownType

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Level(StrEnum):
    """What must be able to read what. Without TRANSITIVE only the newest older version counts.

    BACKWARD: the new schema reads what the older ones wrote. FORWARD: the older ones read what the new one writes.
    FULL: both. NONE: anything goes.
    """

    NONE = "NONE"
    BACKWARD = "BACKWARD"
    BACKWARD_TRANSITIVE = "BACKWARD_TRANSITIVE"
    FORWARD = "FORWARD"
    FORWARD_TRANSITIVE = "FORWARD_TRANSITIVE"
    FULL = "FULL"
    FULL_TRANSITIVE = "FULL_TRANSITIVE"

    @property
    def transitive(self) -> bool:
        """Whether every older version counts."""
        return self.value.endswith("_TRANSITIVE")


class NotASchema(ValueError):
    """The text is not an Avro schema, or a default in it is not a value of its type."""


def canonical(schema_json: str) -> str:
    """The schema without needless blanks; keys stay in their order. Raises NotASchema."""
    _parsed(schema_json)
    return json.dumps(json.loads(schema_json), separators=(",", ":"), ensure_ascii=False)


def identity(schema_json: str) -> str:
    """Equal for two texts that registries take for one schema: blanks and the order of keys do not count, docs do."""
    return json.dumps(json.loads(schema_json), separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def breaches(new: str, older: Sequence[str], level: Level) -> list[str]:
    """Why `new` may not follow `older` (oldest first), a line for each reason; empty when it may. Raises NotASchema."""
    schema = _parsed(new)
    found: list[str] = []
    for place, text in list(enumerate(older, start=1))[0 if level.transitive else -1 :]:
        before = _parsed(text)
        for direction in _DIRECTIONS[level]:
            found += direction(schema, before, place)
    return found


def _backward(new: Schema, old: Schema, place: int) -> list[str]:
    return [f"the new schema cannot read older schema {place}: {why}" for why in _unreadable(reader=new, writer=old)]


def _forward(new: Schema, old: Schema, place: int) -> list[str]:
    return [f"older schema {place} cannot read the new one: {why}" for why in _unreadable(reader=old, writer=new)]


_DIRECTIONS: dict[Level, tuple[Callable[[Schema, Schema, int], list[str]], ...]] = {
    Level.NONE: (),
    Level.BACKWARD: (_backward,),
    Level.BACKWARD_TRANSITIVE: (_backward,),
    Level.FORWARD: (_forward,),
    Level.FORWARD_TRANSITIVE: (_forward,),
    Level.FULL: (_backward, _forward),
    Level.FULL_TRANSITIVE: (_backward, _forward),
}


def _unreadable(*, reader: Schema, writer: Schema) -> list[str]:
    checker = ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]  # the library leaves it bare
    judged = checker.get_compatibility(reader, writer)
    if judged.compatibility is SchemaCompatibilityType.compatible:
        return []
    kinds = ", ".join(sorted(kind.value for kind in judged.incompatibilities))
    return [f"{kinds}: {', '.join(sorted(judged.messages))} (at {', '.join(sorted(judged.locations))})"]


def _check_field_names(document: object) -> None:
    """Raise ValueError for a field that Avro's own rules do not let be named so; neither library looks at that."""
    match document:
        case list():
            for branch in document:
                _check_field_names(branch)
        case dict():
            for part in ("type", "items", "values"):
                _check_field_names(document.get(part))
            for field in document.get("fields", []):
                if not _NAME.fullmatch(field["name"]):
                    raise ValueError(f"{field['name']!r} cannot name a field")
                _check_field_names(field["type"])


def _parsed(schema_json: str) -> Schema:
    try:
        # Logical types that the checker does not know are plain types to it, which is what the rules want.
        with warnings.catch_warnings(action="ignore"):
            schema = parse(schema_json)
        document = json.loads(schema_json)
        fastavro.parse_schema(document)
        _check_field_names(document)
    except (AvroException, SchemaParseException, UnknownType, ValueError, TypeError, KeyError, RecursionError) as error:
        raise NotASchema(f"{type(error).__name__}: {error}") from error
    return schema
