"""A registry in this process's memory: an honest small one, for tests and for replays without servers."""

from connectors.registry.compatibility import Level, NotASchema, breaches, canonical, identity
from connectors.registry.errors import Incompatible, InvalidSchema, UnknownSchema


class InMemoryRegistry:
    """Keeps Registry's promise for as long as the object lives. `level` holds for subjects without one of their own."""

    def __init__(self, level: Level = Level.BACKWARD) -> None:
        self._level = level
        self._levels: dict[str, Level] = {}
        self._schemas: list[str] = []
        self._ids: dict[str, int] = {}
        self._subjects: dict[str, list[int]] = {}

    def register(self, subject: str, schema_json: str) -> int:
        """See Registry."""
        text = _checked(subject, schema_json)
        schema_id = self._ids.get(identity(text))
        if schema_id is not None and schema_id in self._subjects.get(subject, []):
            return schema_id
        reasons = self.check(subject, text)
        if reasons:
            raise Incompatible(
                f"registering a schema for {subject} failed",
                "; ".join(reasons),
                "give new fields a default and leave the old ones as they are",
            )
        if schema_id is None:
            self._schemas.append(text)
            schema_id = self._ids[identity(text)] = len(self._schemas)
        self._subjects.setdefault(subject, []).append(schema_id)
        return schema_id

    def lookup(self, subject: str, schema_json: str) -> int:
        """See Registry."""
        schema_id = self._ids.get(identity(_checked(subject, schema_json)))
        if schema_id is None or schema_id not in self._subjects.get(subject, []):
            raise _unknown(f"looking up a schema of {subject}")
        return schema_id

    def schema(self, schema_id: int) -> str:
        """See Registry."""
        if not 1 <= schema_id <= len(self._schemas):
            raise _unknown(f"fetching schema {schema_id}")
        return self._schemas[schema_id - 1]

    def versions(self, subject: str) -> list[int]:
        """See Registry."""
        if subject not in self._subjects:
            raise _unknown(f"listing the versions of {subject}")
        return list(range(1, len(self._subjects[subject]) + 1))

    def check(self, subject: str, schema_json: str) -> list[str]:
        """See Registry."""
        text = _checked(subject, schema_json)
        older = [self.schema(schema_id) for schema_id in self._subjects.get(subject, [])]
        return breaches(text, older, self._levels.get(subject, self._level))

    def set_compatibility(self, subject: str, level: Level) -> None:
        """See Registry."""
        self._levels[subject] = level


def _checked(subject: str, schema_json: str) -> str:
    try:
        return canonical(schema_json)
    except NotASchema as error:
        raise InvalidSchema(f"the schema for {subject} cannot be used", str(error), "correct the schema") from error


def _unknown(what: str) -> UnknownSchema:
    return UnknownSchema(f"{what} failed", "nobody registered it", "register it first, or correct the name")
