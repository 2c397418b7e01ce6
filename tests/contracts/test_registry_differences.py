"""Where the embedded registry and Apicurio answer differently, so that nobody leans on either's way.

The embedded one follows Confluent's documentation. Code that works with both sets the level of each subject itself,
reads error codes rather than words, and does not ask about subjects that have no version.
"""

import json
import uuid
from dataclasses import dataclass, field

import httpx
import pytest

from tests.contracts.test_registry import APICURIO, EMBEDDED, url_of

SCHEMA = '{"type":"record","name":"Trade","fields":[{"name":"a","type":"int"}]}'
DOCUMENTED = '{"type":"record","name":"Trade","doc":"what it is","fields":[{"name":"a","type":"int"}]}'
WORSE = '{"type":"record","name":"Trade","fields":[{"name":"a","type":"int"},{"name":"b","type":"int"}]}'


@dataclass(frozen=True)
class Difference:
    """A request after some others, and each registry's answer: HTTP status and what of the body is certain."""

    method: str
    path: str
    embedded: tuple[int, object]
    apicurio: tuple[int, object]
    body: object = None
    first: tuple[tuple[str, str, object], ...] = ()
    certain: str | None = field(default="error_code")


def schema(text: str) -> dict[str, object]:
    return {"schema": text}


REGISTERED = (("POST", "/subjects/{subject}/versions", schema(SCHEMA)),)
DELETED = (*REGISTERED, ("DELETE", "/subjects/{subject}", None))

DIFFERENCES = {
    "the level of all": Difference("GET", "/config", (200, "BACKWARD"), (200, "NONE"), certain="compatibilityLevel"),
    "the level of a subject that has none": Difference(
        "GET", "/config/{subject}", (404, 40408), (200, None), first=REGISTERED
    ),
    "a version that is no number": Difference(
        "GET", "/subjects/{subject}/versions/abc", (422, 42202), (404, 40402), first=REGISTERED
    ),
    "version 0": Difference("GET", "/subjects/{subject}/versions/0", (422, 42202), (404, 40402), first=REGISTERED),
    "no schema in the body": Difference("POST", "/subjects/{subject}/versions", (422, 42201), (500, 0), body={}),
    "for good before softly": Difference(
        "DELETE", "/subjects/{subject}?permanent=true", (404, 40405), (409, 40405), first=REGISTERED
    ),
    "all versions of a subject that has none": Difference(
        "POST", "/compatibility/subjects/{subject}/versions", (200, None), (404, 40401), body=schema(SCHEMA)
    ),
    "an incompatible schema where nobody set a level": Difference(
        "POST", "/subjects/{subject}/versions", (409, 409), (200, None), body=schema(WORSE), first=REGISTERED
    ),
    "another doc": Difference(
        "GET",
        "/subjects/{subject}/versions",
        (200, [1, 2]),
        (200, [1]),
        first=(*REGISTERED, ("POST", "/subjects/{subject}/versions", schema(DOCUMENTED))),
        certain=None,
    ),
    "the types": Difference(
        "GET", "/schemas/types", (200, ["AVRO"]), (200, ["JSON", "PROTOBUF", "AVRO"]), certain=None
    ),
}

SAME = {
    "an unknown subject": Difference("GET", "/subjects/{subject}/versions", (404, 40401), (404, 40401)),
    "an unknown version": Difference(
        "GET", "/subjects/{subject}/versions/9", (404, 40402), (404, 40402), first=REGISTERED
    ),
    "an unknown id": Difference("GET", "/schemas/ids/2000000000", (404, 40403), (404, 40403)),
    "not a schema": Difference(
        "POST", "/subjects/{subject}/versions", (422, 42201), (422, 42201), body=schema('{"type":"nothing"}')
    ),
    "not a level": Difference("PUT", "/config/{subject}", (422, 42203), (422, 42203), body={"compatibility": "SOME"}),
    "softly deleted": Difference("GET", "/subjects/{subject}/versions", (404, 40401), (404, 40401), first=DELETED),
    "softly deleted twice": Difference("DELETE", "/subjects/{subject}", (404, 40404), (404, 40404), first=DELETED),
    "for good after softly": Difference(
        "DELETE", "/subjects/{subject}?permanent=true", (200, [1]), (200, [1]), first=DELETED, certain=None
    ),
    "the latest of a subject that has none": Difference(
        "POST",
        "/compatibility/subjects/{subject}/versions/latest",
        (200, True),
        (200, True),
        body=schema(SCHEMA),
        certain="is_compatible",
    ),
    "what a stock serializer asks first": Difference("GET", "/associations/resources/x", (404, 404), (404, None)),
}


@pytest.mark.parametrize("name", [*DIFFERENCES, *SAME])
@pytest.mark.parametrize("registry", [EMBEDDED, APICURIO])
def test_each_registry_answers_in_its_way(registry: str, name: str, request: pytest.FixtureRequest) -> None:
    difference = (DIFFERENCES | SAME)[name]
    subject = f"d-{uuid.uuid4().hex}"
    with httpx.Client(base_url=url_of(registry, request), trust_env=False, timeout=30) as http:
        for method, path, body in difference.first:
            http.request(method, path.format(subject=subject), json=body).raise_for_status()
        answer = http.request(difference.method, difference.path.format(subject=subject), json=difference.body)
    expected = difference.embedded if registry == "registry_server" else difference.apicurio
    body = json.loads(answer.content or b"{}")
    certain = body if difference.certain is None else body.get(difference.certain)
    if isinstance(certain, list) and certain and isinstance(certain[0], str):
        certain, expected = sorted(certain), (expected[0], sorted(expected[1]))  # type: ignore[call-overload]
    assert (answer.status_code, certain) == expected


@pytest.mark.parametrize("registry", [EMBEDDED, APICURIO])
def test_what_a_registration_answers(registry: str, request: pytest.FixtureRequest) -> None:
    keys = {"id", "version", "schema"} if registry == "registry_server" else {"id"}
    path = f"{url_of(registry, request)}/subjects/d-{uuid.uuid4().hex}/versions"
    assert httpx.post(path, json=schema(SCHEMA), trust_env=False, timeout=30).json().keys() == keys
