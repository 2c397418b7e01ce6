"""Schema ids as the registry last told them, kept in a file: what must work with Kafka alone does not ask the registry.

An id is kept with the digest of its schema's text, so that a record which has changed since is not written under it.
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from schemas import topics
from schemas.avro_schema import avro_text
from schemas.record import Record, record_name


def remember(ids: Mapping[type[Record], int], path: Path) -> None:
    """Keep the ids of what we write; a file that is there is replaced whole."""
    kept = {record_name(cls): {"id": number, "schema": _digest(cls)} for cls, number in ids.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    beside.replace(path)


def recall(path: Path) -> dict[type[Record], int]:
    """The ids kept of schemas that are still ours; empty where nothing was kept, or what was cannot be read."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return {
            cls: int(kept[name]["id"])
            for cls in topics.records()
            if (name := record_name(cls)) in kept and kept[name]["schema"] == _digest(cls)
        }
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def _digest(cls: type[Record]) -> str:
    return sha256(avro_text(cls).encode()).hexdigest()
