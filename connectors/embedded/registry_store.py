"""What the embedded schema registry knows and decides: subjects, versions, levels, modes. Kept in one SQLite file.

Every change is on the disk (WAL, synchronous=FULL) before it is answered. Identities, versions and error codes follow
Confluent's REST API.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from connectors.registry.compatibility import Level, NotASchema, breaches, canonical, identity

_TABLES = """
CREATE TABLE IF NOT EXISTS schemas (
    id INTEGER PRIMARY KEY AUTOINCREMENT, identity TEXT UNIQUE NOT NULL, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS versions (
    subject TEXT NOT NULL, version INTEGER NOT NULL, schema_id INTEGER NOT NULL REFERENCES schemas (id),
    deleted INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (subject, version));
CREATE TABLE IF NOT EXISTS choices (
    subject TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (subject, name));
"""
GLOBAL = ""
"""The name under which the level and the mode of all other subjects are kept."""


class Mode(StrEnum):
    """What a subject allows. IMPORT: schemas come with their ids and are not judged."""

    READWRITE = "READWRITE"
    READONLY = "READONLY"
    IMPORT = "IMPORT"


class Refusal(Exception):
    """The answer is an error: HTTP `status`, the API's `code`, and its words."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a subject. `text` is the schema."""

    subject: str
    version: int
    schema_id: int
    text: str
    deleted: bool


class RegistryStore:
    """The registry on one file, which it alone may use. Not for several threads. Raises Refusal."""

    def __init__(self, file: Path, default_level: Level) -> None:
        """Raises sqlite3.Error where the file is not a registry's, or another process uses it."""
        self._default_level = default_level
        self._db = sqlite3.connect(file, timeout=0, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.executescript(_TABLES)
        if self._ask("PRAGMA quick_check") != [("ok",)]:
            raise sqlite3.DatabaseError("the registry's file is damaged")

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def subjects(self, *, deleted: bool = False) -> list[str]:
        """The names of all subjects, with `deleted` also of those that were softly deleted."""
        sql = "SELECT DISTINCT subject FROM versions WHERE deleted <= ? ORDER BY subject"
        return [str(row[0]) for row in self._ask(sql, int(deleted))]

    def versions(self, subject: str, *, deleted: bool = False) -> list[Version]:
        """The subject's versions, oldest first; 40401 where there is none."""
        found = [version for version in self._versions(subject) if deleted or not version.deleted]
        if not found:
            raise _no_subject(subject)
        return found

    def version(self, subject: str, number: str, *, deleted: bool = False) -> Version:
        """The version with this number, or the `latest`."""
        wanted = _number(number)
        versions = self.versions(subject, deleted=deleted)
        if wanted is None:
            return versions[-1]
        for version in versions:
            if version.version == wanted:
                return version
        raise Refusal(404, 40402, f"Version {number} not found.")

    def schema(self, schema_id: int) -> str:
        """The schema with the id."""
        return self.uses(schema_id, deleted=True)[0].text

    def uses(self, schema_id: int, *, deleted: bool = False) -> list[Version]:
        """Where the schema with the id is a version."""
        found = self._select("versions.schema_id = ? ORDER BY subject, version", schema_id)
        if not found:
            raise Refusal(404, 40403, f"Schema {schema_id} not found")
        return [version for version in found if deleted or not version.deleted]

    def lookup(self, subject: str, text: str, *, deleted: bool = False) -> Version:
        """The version that holds this very schema."""
        schema = _canonical(text)
        for version in reversed(self.versions(subject, deleted=deleted)):
            if identity(version.text) == identity(schema):
                return version
        raise Refusal(404, 40403, "Schema not found")

    def register(self, subject: str, text: str, *, schema_id: int | None = None, number: int | None = None) -> Version:
        """Make the schema a version of the subject, unless it is one; with an id and a number only in IMPORT mode."""
        mode = self.mode(subject)
        schema = _canonical(text)
        if mode is Mode.READONLY:
            raise _not_permitted(f"Subject {subject} is in read-only mode")
        if (mode is Mode.IMPORT) != (schema_id is not None):
            raise _not_permitted(f"Subject {subject} is in {mode} mode: an id goes with IMPORT only")
        older = [version for version in self._versions(subject) if not version.deleted]
        for version in older:
            if identity(version.text) == identity(schema):
                return version
        if mode is Mode.READWRITE:
            reasons = breaches(schema, [version.text for version in older], self.level(subject))
            if reasons:
                words = "; ".join(reasons)
                raise Refusal(409, 409, f"Schema being registered is incompatible with an earlier schema: {words}")
        with self._change():
            stored_id = self._store(schema, schema_id)
            next_number = (
                number or self._ask("SELECT 1 + IFNULL(MAX(version), 0) FROM versions WHERE subject = ?", subject)[0][0]
            )
            self._db.execute("INSERT INTO versions VALUES (?, ?, ?, 0)", (subject, next_number, stored_id))
        return self.version(subject, str(next_number))

    def check(self, subject: str, text: str, number: str | None = None) -> list[str]:
        """Why the schema may not follow: the versions that the level names, or the one with the number."""
        schema = _canonical(text)
        level = self.level(subject)
        if number is None:
            older = [version.text for version in self._versions(subject) if not version.deleted]
        elif _number(number) is None and not any(not version.deleted for version in self._versions(subject)):
            older = []
        else:
            older = [self.version(subject, number).text]
        return breaches(schema, older, level)

    def delete_subject(self, subject: str, *, permanent: bool) -> list[int]:
        """Delete all versions, first softly and then, asked again, for good. The numbers deleted."""
        self._refuse_read_only(subject)
        versions = self.versions(subject, deleted=True)
        softly = all(version.deleted for version in versions)
        if permanent and not softly:
            raise Refusal(404, 40405, f"Subject '{subject}' was not deleted first before being permanently deleted")
        if not permanent and softly:
            raise Refusal(404, 40404, f"Subject '{subject}' was soft deleted. Set permanent=true to delete permanently")
        gone = [version.version for version in versions if permanent or not version.deleted]
        self._delete(subject, gone, permanent=permanent)
        return gone

    def delete_version(self, subject: str, number: str, *, permanent: bool) -> int:
        """Delete one version, first softly and then, asked again, for good."""
        self._refuse_read_only(subject)
        version = self.version(subject, number, deleted=_number(number) is not None)
        if permanent and not version.deleted:
            words = (
                f"Subject '{subject}' Version {version.version} was not deleted first before being permanently deleted"
            )
            raise Refusal(404, 40407, words)
        if not permanent and version.deleted:
            words = f"Subject '{subject}' Version {version.version} was soft deleted."
            raise Refusal(404, 40406, f"{words} Set permanent=true to delete permanently")
        self._delete(subject, [version.version], permanent=permanent)
        return version.version

    def level(self, subject: str) -> Level:
        """The level that holds for the subject."""
        own = self.own_level(subject)
        return own or self.own_level(GLOBAL) or self._default_level

    def own_level(self, subject: str) -> Level | None:
        """The level that was set for this subject, or for all (GLOBAL)."""
        value = self._choice(subject, "level")
        return Level(value) if value else None

    def set_level(self, subject: str, level: str | None) -> None:
        """Set the level of the subject, or of all (GLOBAL); None: none of its own."""
        if level is not None and level not in Level.__members__:
            raise Refusal(422, 42203, f"Invalid compatibility level. Valid values are {', '.join(Level)}")
        self._refuse_read_only(subject)
        self._choose(subject, "level", level)

    def mode(self, subject: str) -> Mode:
        """The mode that holds for the subject."""
        return self.own_mode(subject) or self.own_mode(GLOBAL) or Mode.READWRITE

    def own_mode(self, subject: str) -> Mode | None:
        """The mode that was set for this subject, or for all (GLOBAL)."""
        value = self._choice(subject, "mode")
        return Mode(value) if value else None

    def set_mode(self, subject: str, mode: str | None, *, force: bool = False) -> None:
        """Set the mode of the subject, or of all (GLOBAL); None: none of its own."""
        if mode is not None and mode not in Mode.__members__:
            raise Refusal(422, 42204, f"Invalid mode. Valid values are {', '.join(Mode)}")
        busy = self._versions(subject) if subject != GLOBAL else self.subjects()
        if mode == Mode.IMPORT and busy and not force:
            raise _not_permitted("Cannot import since found existing subjects")
        self._choose(subject, "mode", mode)

    def _versions(self, subject: str) -> list[Version]:
        return self._select("versions.subject = ? ORDER BY version", subject)

    def _select(self, where: str, *values: object) -> list[Version]:
        sql = "SELECT subject, version, schema_id, text, deleted FROM versions JOIN schemas ON schemas.id = schema_id"
        rows = self._ask(f"{sql} WHERE {where}", *values)
        return [
            Version(subject, version, number, text, bool(deleted)) for subject, version, number, text, deleted in rows
        ]

    def _ask(self, sql: str, *values: object) -> list[Any]:
        return self._db.execute(sql, values).fetchall()

    def _store(self, schema: str, schema_id: int | None) -> int:
        known = self._ask("SELECT id FROM schemas WHERE identity = ?", identity(schema))
        if schema_id is None and known:
            return int(known[0][0])
        if schema_id is not None and known and known[0][0] != schema_id:
            raise _not_permitted(f"The schema has id {known[0][0]} already")
        if schema_id is not None and not known and self._ask("SELECT 1 FROM schemas WHERE id = ?", schema_id):
            raise _not_permitted(f"Overwrite new schema with id {schema_id} is not permitted.")
        if known:
            return int(known[0][0])
        row = self._db.execute("INSERT INTO schemas VALUES (?, ?, ?)", (schema_id, identity(schema), schema))
        return int(row.lastrowid or 0)

    def _delete(self, subject: str, numbers: Sequence[int], *, permanent: bool) -> None:
        sql = "DELETE FROM versions" if permanent else "UPDATE versions SET deleted = 1"
        with self._change():
            for number in numbers:
                self._db.execute(f"{sql} WHERE subject = ? AND version = ?", (subject, number))

    def _choice(self, subject: str, name: str) -> str | None:
        rows = self._ask("SELECT value FROM choices WHERE subject = ? AND name = ?", subject, name)
        return str(rows[0][0]) if rows else None

    def _choose(self, subject: str, name: str, value: str | None) -> None:
        with self._change():
            self._db.execute("DELETE FROM choices WHERE subject = ? AND name = ?", (subject, name))
            if value is not None:
                self._db.execute("INSERT INTO choices VALUES (?, ?, ?)", (subject, name, value))

    def _refuse_read_only(self, subject: str) -> None:
        if self.mode(subject) is Mode.READONLY:
            raise _not_permitted(f"Subject {subject} is in read-only mode")

    @contextmanager
    def _change(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def _canonical(text: str) -> str:
    try:
        return canonical(text)
    except NotASchema as error:
        raise Refusal(422, 42201, f"Invalid schema: {error}") from error


def _number(number: str) -> int | None:
    """The version's number; None for the latest."""
    if number in ("latest", "-1"):
        return None
    if number.isascii() and number.isdigit() and 0 < int(number) < 2**31:
        return int(number)
    words = f"The specified version '{number}' is not a valid version id."
    raise Refusal(422, 42202, f'{words} Allowed values are between [1, 2^31-1] and the string "latest"')


def _no_subject(subject: str) -> Refusal:
    return Refusal(404, 40401, f"Subject '{subject}' not found.")


def _not_permitted(words: str) -> Refusal:
    return Refusal(422, 42205, words)
