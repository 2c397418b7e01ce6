"""Confluent's schema registry REST API over the store: what stock Avro clients use of it.

Not there: references, JSON Schema and Protobuf, normalisation, contexts, users.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response

from connectors.embedded.registry_store import GLOBAL, Mode, Refusal, RegistryStore, Version

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_TYPE = "application/vnd.schemaregistry.v1+json"
_BODY_BYTES_MAX = 8 * 2**20
Json = Mapping[str, object] | Sequence[object] | int


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: the names in its path, its query, its JSON body."""

    names: tuple[str, ...]
    query: Mapping[str, str]
    body: Mapping[str, object]

    @property
    def subject(self) -> str:
        """The subject; GLOBAL where the path names none."""
        return self.names[0] if self.names else GLOBAL

    def flag(self, name: str) -> bool:
        """Whether the query says yes."""
        return self.query.get(name, "").lower() == "true"

    @property
    def schema(self) -> str:
        """The schema that the body carries."""
        if self.body.get("schemaType") not in (None, "", "AVRO"):
            raise Refusal(422, 42201, f"Invalid schema: type {self.body['schemaType']} is not offered, only AVRO")
        if self.body.get("references"):
            raise Refusal(422, 42201, "Invalid schema: references are not offered")
        text = self.body.get("schema")
        if not isinstance(text, str) or not text:
            raise Refusal(422, 42201, "Invalid schema: empty")
        return text

    def number(self, name: str) -> int | None:
        """A positive number of the body; None where there is none."""
        number = self.body.get(name)
        return number if isinstance(number, int) and number > 0 else None


Endpoint = Callable[[RegistryStore, Asked], Json]


def registry_app(store: RegistryStore) -> "ASGIApp":
    """The ASGI app. The store stays the caller's to close, after the last request."""

    async def app(scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        await (await _answer(store, request))(scope, receive, send)

    return app


async def _answer(store: RegistryStore, request: Request) -> Response:
    try:
        endpoint, names = _find(request)
        asked = Asked(names, dict(request.query_params), await _body(request))
        return _json(200, endpoint(store, asked))
    except Refusal as refusal:
        return _json(refusal.status, {"error_code": refusal.code, "message": str(refusal)})


def _find(request: Request) -> tuple[Endpoint, tuple[str, ...]]:
    """The endpoint for the path, whose names may hold encoded slashes."""
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    parts = tuple(unquote(part) for part in raw.decode("latin-1").partition("?")[0].strip("/").split("/"))
    methods = set()
    for (method, *pattern), endpoint in _ENDPOINTS.items():
        if len(pattern) != len(parts) or any(
            word not in (part, "*") for word, part in zip(pattern, parts, strict=True)
        ):
            continue
        if method == request.method:
            return endpoint, tuple(part for word, part in zip(pattern, parts, strict=True) if word == "*")
        methods.add(method)
    if methods:
        raise Refusal(405, 405, "HTTP 405 Method Not Allowed")
    raise Refusal(404, 404, "HTTP 404 Not Found")


async def _body(request: Request) -> Mapping[str, object]:
    collected = bytearray()
    async for chunk in request.stream():
        collected += chunk
        if len(collected) > _BODY_BYTES_MAX:
            raise Refusal(413, 413, f"More than {_BODY_BYTES_MAX} bytes")
    if not collected:
        return {}
    try:
        body = json.loads(collected)
    except ValueError as error:
        raise Refusal(400, 400, f"Not JSON: {error}") from error
    if not isinstance(body, dict):
        raise Refusal(400, 400, "Not a JSON object")
    return body


def _json(status: int, answer: object) -> Response:
    return Response(json.dumps(answer), status_code=status, media_type=_TYPE)


def _described(version: Version) -> dict[str, object]:
    return {"subject": version.subject, "version": version.version, "id": version.schema_id, "schema": version.text}


def _schema_id(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise Refusal(404, 40403, f"Schema {text} not found")
    return int(text)


def _root(_store: RegistryStore, _asked: Asked) -> Json:
    return {}


def _subjects(store: RegistryStore, asked: Asked) -> Json:
    prefix = asked.query.get("subjectPrefix", "")
    return [name for name in store.subjects(deleted=asked.flag("deleted")) if name.startswith(prefix)]


def _register(store: RegistryStore, asked: Asked) -> Json:
    version = store.register(asked.subject, asked.schema, schema_id=asked.number("id"), number=asked.number("version"))
    return {"id": version.schema_id, "version": version.version, "schema": version.text}


def _lookup(store: RegistryStore, asked: Asked) -> Json:
    return _described(store.lookup(asked.subject, asked.schema, deleted=asked.flag("deleted")))


def _versions(store: RegistryStore, asked: Asked) -> Json:
    return [version.version for version in store.versions(asked.subject, deleted=asked.flag("deleted"))]


def _version(store: RegistryStore, asked: Asked) -> Json:
    return _described(store.version(asked.subject, asked.names[1], deleted=asked.flag("deleted")))


def _version_schema(store: RegistryStore, asked: Asked) -> Json:
    schema: Json = json.loads(store.version(asked.subject, asked.names[1], deleted=asked.flag("deleted")).text)
    return schema


def _referenced_by(store: RegistryStore, asked: Asked) -> Json:
    store.version(asked.subject, asked.names[1])
    return []


def _delete_subject(store: RegistryStore, asked: Asked) -> Json:
    return store.delete_subject(asked.subject, permanent=asked.flag("permanent"))


def _delete_version(store: RegistryStore, asked: Asked) -> Json:
    return store.delete_version(asked.subject, asked.names[1], permanent=asked.flag("permanent"))


def _types(_store: RegistryStore, _asked: Asked) -> Json:
    return ["AVRO"]


def _by_id(store: RegistryStore, asked: Asked) -> Json:
    return {"schema": store.schema(_schema_id(asked.names[0]))}


def _by_id_schema(store: RegistryStore, asked: Asked) -> Json:
    schema: Json = json.loads(store.schema(_schema_id(asked.names[0])))
    return schema


def _by_id_versions(store: RegistryStore, asked: Asked) -> Json:
    uses = store.uses(_schema_id(asked.names[0]), deleted=asked.flag("deleted"))
    return [{"subject": version.subject, "version": version.version} for version in uses]


def _by_id_subjects(store: RegistryStore, asked: Asked) -> Json:
    uses = store.uses(_schema_id(asked.names[0]), deleted=asked.flag("deleted"))
    return sorted({version.subject for version in uses})


def _check(store: RegistryStore, asked: Asked) -> Json:
    number = asked.names[1] if len(asked.names) > 1 else None
    reasons = store.check(asked.subject, asked.schema, number)
    words: dict[str, object] = {"messages": reasons} if asked.flag("verbose") else {}
    return {"is_compatible": not reasons, **words}


def _config(store: RegistryStore, asked: Asked) -> Json:
    own = store.own_level(asked.subject)
    if own is None and asked.subject != GLOBAL and not asked.flag("defaultToGlobal"):
        words = f"Subject '{asked.subject}' does not have subject-level compatibility configured"
        raise Refusal(404, 40408, words)
    return {"compatibilityLevel": store.level(asked.subject).value}


def _set_config(store: RegistryStore, asked: Asked) -> Json:
    level = str(asked.body.get("compatibility", "")).upper()
    store.set_level(asked.subject, level)
    return {"compatibility": level}


def _delete_config(store: RegistryStore, asked: Asked) -> Json:
    before = _config(store, asked)
    store.set_level(asked.subject, None)
    return before


def _mode(store: RegistryStore, asked: Asked) -> Json:
    own = store.own_mode(asked.subject)
    if own is None and asked.subject != GLOBAL and not asked.flag("defaultToGlobal"):
        raise Refusal(404, 40409, f"Subject '{asked.subject}' does not have subject-level mode configured")
    return {"mode": store.mode(asked.subject).value}


def _set_mode(store: RegistryStore, asked: Asked) -> Json:
    mode = str(asked.body.get("mode", "")).upper()
    store.set_mode(asked.subject, mode, force=asked.flag("force"))
    return {"mode": Mode(mode).value}


def _delete_mode(store: RegistryStore, asked: Asked) -> Json:
    before = _mode(store, asked)
    store.set_mode(asked.subject, None)
    return before


_ENDPOINTS: dict[tuple[str, ...], Endpoint] = {
    ("GET", ""): _root,
    ("GET", "subjects"): _subjects,
    ("POST", "subjects", "*"): _lookup,
    ("DELETE", "subjects", "*"): _delete_subject,
    ("GET", "subjects", "*", "versions"): _versions,
    ("POST", "subjects", "*", "versions"): _register,
    ("GET", "subjects", "*", "versions", "*"): _version,
    ("DELETE", "subjects", "*", "versions", "*"): _delete_version,
    ("GET", "subjects", "*", "versions", "*", "schema"): _version_schema,
    ("GET", "subjects", "*", "versions", "*", "referencedby"): _referenced_by,
    ("GET", "schemas", "types"): _types,
    ("GET", "schemas", "ids", "*"): _by_id,
    ("GET", "schemas", "ids", "*", "schema"): _by_id_schema,
    ("GET", "schemas", "ids", "*", "versions"): _by_id_versions,
    ("GET", "schemas", "ids", "*", "subjects"): _by_id_subjects,
    ("POST", "compatibility", "subjects", "*", "versions"): _check,
    ("POST", "compatibility", "subjects", "*", "versions", "*"): _check,
    ("GET", "config"): _config,
    ("PUT", "config"): _set_config,
    ("DELETE", "config"): _delete_config,
    ("GET", "config", "*"): _config,
    ("PUT", "config", "*"): _set_config,
    ("DELETE", "config", "*"): _delete_config,
    ("GET", "mode"): _mode,
    ("PUT", "mode"): _set_mode,
    ("DELETE", "mode"): _delete_mode,
    ("GET", "mode", "*"): _mode,
    ("PUT", "mode", "*"): _set_mode,
    ("DELETE", "mode", "*"): _delete_mode,
}
"""Method and path; a star stands for a name."""
