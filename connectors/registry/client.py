"""The schema registry as our code sees it at start, and its client for any Confluent-compatible registry."""

import warnings
from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol, TypeVar
from urllib.parse import quote

import httpx

from connectors.registry.compatibility import Level, NotASchema, canonical
from connectors.registry.errors import (
    Incompatible,
    InvalidSchema,
    NotAllowed,
    RegistryError,
    UnknownSchema,
    Unreachable,
)

# The stock client's import prints a warning about the inside of a library of its, which nobody here can act on.
with warnings.catch_warnings(record=True):
    from confluent_kafka.schema_registry import RegisteredSchema, Schema, SchemaRegistryClient, SchemaRegistryError

T = TypeVar("T")
_INVALID_SCHEMA = 42201
_RETRIES = 2
_RETRY_WAIT_MS = 200


class Registry(Protocol):
    """Keeps the versions of each subject's schema, and gives every schema one id.

    Schemas are Avro schemas as JSON text. Two texts that differ in blanks or in the order of keys are one schema.
    Every call may raise Unreachable or NotAllowed, and what it names.
    """

    def register(self, subject: str, schema_json: str) -> int:
        """The id of the schema, which is from now on a version of the subject; registered twice it is one version.

        Raises Incompatible or InvalidSchema.
        """
        ...

    def lookup(self, subject: str, schema_json: str) -> int:
        """The id of a schema that is a version of the subject already. Raises UnknownSchema or InvalidSchema."""
        ...

    def schema(self, schema_id: int) -> str:
        """The schema with the id. Raises UnknownSchema."""
        ...

    def versions(self, subject: str) -> list[int]:
        """The subject's version numbers, oldest first. Raises UnknownSchema."""
        ...

    def check(self, subject: str, schema_json: str) -> list[str]:
        """Why the schema may not be the subject's next version; empty when it may, or the subject is new.

        Raises InvalidSchema.
        """
        ...

    def set_compatibility(self, subject: str, level: Level) -> None:
        """Say how the subject's next versions must fit the older ones."""
        ...


class ConfluentRegistry:
    """A registry that speaks Confluent's REST API, such as Confluent's own, Apicurio, Karapace or the embedded one.

    `user_info` is `name:password` where it asks for one. A call ends within three times `timeout_s` and a second.
    """

    def __init__(self, url: str, *, user_info: str | None = None, timeout_s: float = 5) -> None:
        self._url = url.rstrip("/")
        settings: dict[str, object] = {
            "url": self._url,
            # Without it, the stock client waits for ever on a registry that accepts and does not answer.
            "timeout": timeout_s,
            "max.retries": _RETRIES,
            "retries.wait.ms": _RETRY_WAIT_MS,
            "retries.max.wait.ms": _RETRY_WAIT_MS,
        }
        if user_info is not None:
            settings["basic.auth.user.info"] = user_info
        self._client = SchemaRegistryClient(settings)
        auth = httpx.BasicAuth(*user_info.split(":", 1)) if user_info is not None else None
        self._http = httpx.Client(base_url=self._url, timeout=timeout_s, auth=auth)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
        self._http.close()

    def register(self, subject: str, schema_json: str) -> int:
        """See Registry."""
        what = f"registering a schema for {subject}"
        schema = _avro(what, schema_json)
        return self._asked(what, lambda: int(self._client.register_schema(subject, schema)))

    def lookup(self, subject: str, schema_json: str) -> int:
        """See Registry."""
        what = f"looking up a schema of {subject}"
        schema = _avro(what, schema_json)
        return self._asked(what, lambda: _id(self._client.lookup_schema(subject, schema)))

    def schema(self, schema_id: int) -> str:
        """See Registry."""
        return str(self._asked(f"fetching schema {schema_id}", lambda: self._client.get_schema(schema_id)).schema_str)

    def versions(self, subject: str) -> list[int]:
        """See Registry."""
        found = self._asked(f"listing the versions of {subject}", lambda: self._client.get_versions(subject))
        return [int(version) for version in found]

    def check(self, subject: str, schema_json: str) -> list[str]:
        """See Registry."""
        what = f"checking a schema for {subject}"
        schema = _avro(what, schema_json)
        try:
            # Registries do not agree on the verdict for a subject without versions, so it is not asked for.
            self._asked(what, lambda: self._client.get_versions(subject))
        except UnknownSchema:
            return []
        # Asked about all versions, Apicurio looks at all of them whatever the level; so the level is asked first.
        against = "" if self._level(subject).transitive else "/latest"
        if against:
            fits = self._asked(what, lambda: self._client.test_compatibility(subject, schema))
        else:
            fits = self._asked(what, lambda: self._client.test_compatibility_all_versions(subject, schema))
        if fits:
            return []
        reasons = self._asked(what, lambda: self._reasons(subject, schema_json, against))
        return reasons or ["the registry gives no reason"]

    def set_compatibility(self, subject: str, level: Level) -> None:
        """See Registry."""
        what = f"setting the compatibility of {subject} to {level}"
        self._asked(what, lambda: self._client.set_compatibility(subject, level.value))

    def _level(self, subject: str) -> Level:
        what = f"asking for the compatibility of {subject}"
        try:
            return self._asked(what, lambda: Level(self._client.get_compatibility(subject)))
        except UnknownSchema:
            # It has none of its own.
            return self._asked(what, lambda: Level(self._client.get_compatibility()))

    def _reasons(self, subject: str, schema_json: str, against: str) -> list[str]:
        """The registry's own words, which the stock client asks for and throws away."""
        answer = self._http.post(
            f"/compatibility/subjects/{quote(subject, safe='')}/versions{against}",
            params={"verbose": "true"},
            json={"schema": schema_json, "schemaType": "AVRO"},
        )
        return [str(message) for message in answer.raise_for_status().json().get("messages") or []]

    def _asked(self, what: str, ask: Callable[[], T]) -> T:
        """What the stock client answers, its errors turned into ours."""
        try:
            return ask()
        except SchemaRegistryError as error:
            raise _refusal(what, self._url, error) from error
        except httpx.HTTPError as error:
            raise Unreachable(
                f"{what} failed",
                f"no answer from the registry at {self._url} ({type(error).__name__}: {error})",
                "start the registry or correct its address; the same call may be repeated",
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Unreachable(
                f"{what} failed",
                f"what answers at {self._url} does not speak as a schema registry ({type(error).__name__}: {error})",
                "correct the registry's address",
            ) from error


def _id(registered: RegisteredSchema) -> int:
    if registered.schema_id is None:
        raise ValueError("an answer without an id")
    return registered.schema_id


def _avro(what: str, schema_json: str) -> Schema:
    try:
        canonical(schema_json)
    except NotASchema as error:
        raise InvalidSchema(f"{what} failed", str(error), "correct the schema") from error
    return Schema(schema_json, "AVRO")


def _refusal(what: str, url: str, error: SchemaRegistryError) -> RegistryError:
    why = f"the registry at {url} says: {error.error_message} (HTTP {error.http_status_code}, code {error.error_code})"
    match error.http_status_code:
        case HTTPStatus.NOT_FOUND:
            return UnknownSchema(f"{what} failed", why, "register it first, or correct the name")
        case HTTPStatus.CONFLICT:
            return Incompatible(f"{what} failed", why, "give new fields a default and leave the old ones as they are")
        case HTTPStatus.UNPROCESSABLE_ENTITY if error.error_code == _INVALID_SCHEMA:
            return InvalidSchema(f"{what} failed", why, "correct the schema")
        case HTTPStatus.TOO_MANY_REQUESTS | HTTPStatus.REQUEST_TIMEOUT:
            return Unreachable(f"{what} failed", why, "wait; the same call may be repeated")
        case status if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return Unreachable(f"{what} failed", why, "see the registry's log; the same call may be repeated")
        case _:
            return NotAllowed(f"{what} failed", why, "see to your rights, and to the mode of the subject")
