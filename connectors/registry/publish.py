"""Publish our schemas, and ask at start which ids they have.

The subject of a record is its full name (RecordNameStrategy), so one type is one subject on all topics that carry it.
"""

import json
from collections.abc import Callable, Sequence

from connectors.registry.client import Registry
from connectors.registry.compatibility import Level, breaches
from connectors.registry.errors import UnknownSchema
from schemas import topics
from schemas.avro_schema import avro_text
from schemas.codec import Codec
from schemas.record import Record, record_name
from schemas.resolution import units
from schemas.versions import published_versions


def incompatible(texts: Sequence[str]) -> list[str]:
    """Why these versions of one subject, oldest first, are not each FULL_TRANSITIVE with all before; empty if they are.

    Beyond Avro's rules a field keeps its unit: the scale of a decimal, the resolution of a time.
    """
    found = []
    for number, text in enumerate(texts):
        for reason in breaches(text, texts[:number], Level.FULL_TRANSITIVE):
            found.append(f"v{number + 1}: {reason}")
        for older, before in enumerate(texts[:number]):
            then, now = units(json.loads(before)), units(json.loads(text))
            for path in sorted(then.keys() & now.keys()):
                if then[path] != now[path]:
                    found.append(f"v{number + 1}: {path} had unit {then[path]} in v{older + 1} and has {now[path]}")
    return found


def register(registry: Registry) -> dict[type[Record], int]:
    """Register the published versions of every record and what we write now; hold each subject to FULL_TRANSITIVE.

    What we write now is taken from the records, not from files that may lag behind them. Registered twice it is once.
    Returns the id of what we write. Raises RegistryError.
    """
    ids = {}
    for cls in topics.records():
        subject = record_name(cls)
        for number, text in enumerate([*published_versions(subject), avro_text(cls)]):
            ids[cls] = registry.register(subject, text)
            if number == 0:  # some registries refuse a level for a subject without versions
                registry.set_compatibility(subject, Level.FULL_TRANSITIVE)
    return ids


def resolve_ids(registry: Registry) -> dict[type[Record], int]:
    """The registry's id for what we write of every record. Raises RegistryError; UnknownSchema names all that lack."""
    ids, missing = {}, []
    for cls in topics.records():
        try:
            ids[cls] = registry.lookup(record_name(cls), avro_text(cls))
        except UnknownSchema:
            missing.append(record_name(cls))
    if missing:
        raise UnknownSchema(
            "resolving our schema ids",
            f"the registry lacks the newest version of {', '.join(missing)}",
            "run `quantumleap schemas register`",
        )
    return ids


def codec_of(registry: Registry) -> Codec:
    """The codec for records on this registry's Kafka: ids resolved now, foreign ids looked up when met."""
    return Codec(resolve_ids(registry), fetch_from(registry))


def fetch_from(registry: Registry) -> Callable[[int], str]:
    """The registry as the codec asks it: LookupError for an id that does not exist."""

    def fetch(schema_id: int) -> str:
        try:
            return registry.schema(schema_id)
        except UnknownSchema as error:
            raise LookupError(str(error)) from error

    return fetch
