"""The embedded schema registry through stock clients and plain HTTP."""

import json
import uuid
import warnings
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from connectors.embedded.registry import RegistryServer

with warnings.catch_warnings(record=True):
    from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError
    from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

pytestmark = pytest.mark.servers

OLD = '{"type":"record","name":"Trade","fields":[{"name":"price","type":"long"}]}'
NEW = (
    '{"type":"record","name":"Trade","fields":[{"name":"price","type":"long"},'
    '{"name":"venue","type":"string","default":"unknown"}]}'
)
WORSE = '{"type":"record","name":"Trade","fields":[{"name":"price","type":"long"},{"name":"venue","type":"string"}]}'


@pytest.fixture
def subject() -> str:
    return f"t-{uuid.uuid4().hex}"


@pytest.fixture
def stock(registry_server: RegistryServer) -> Iterator[Any]:
    with SchemaRegistryClient({"url": registry_server.url, "timeout": 10}) as client:
        yield client


@pytest.fixture
def http(registry_server: RegistryServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=registry_server.url, trust_env=False) as http:
        yield http


def post(http: httpx.Client, path: str, schema: str, **more: object) -> httpx.Response:
    return http.post(path, json={"schema": schema, **more})


def test_stock_serializers_exchange_records_across_an_evolution(stock: Any, subject: str) -> None:
    to = SerializationContext(subject, MessageField.VALUE)
    old_writer = AvroSerializer(stock, OLD)
    new_writer = AvroSerializer(stock, NEW)
    written_old, written_new = old_writer({"price": 1}, to), new_writer({"price": 2, "venue": "XNAS"}, to)
    assert (written_old[0], written_new[0]) == (0, 0)
    read_new, read_old = AvroDeserializer(stock, NEW), AvroDeserializer(stock, OLD)
    assert [read_new(written_old, to), read_new(written_new, to)] == [
        {"price": 1, "venue": "unknown"},
        {"price": 2, "venue": "XNAS"},
    ]
    assert [read_old(written_old, to), read_old(written_new, to)] == [{"price": 1}, {"price": 2}]
    assert stock.get_versions(f"{subject}-value") == [1, 2]


def test_a_stock_serializer_may_use_the_latest_version_and_not_register(stock: Any, subject: str) -> None:
    to = SerializationContext(subject, MessageField.VALUE)
    settings = {"auto.register.schemas": False, "use.latest.version": True}
    with pytest.raises(SchemaRegistryError):
        AvroSerializer(stock, OLD, conf=settings)({"price": 1}, to)
    schema_id = stock.register_schema(f"{subject}-value", Schema(OLD, "AVRO"))
    written = AvroSerializer(stock, OLD, conf=settings)({"price": 1}, to)
    assert int.from_bytes(written[1:5]) == schema_id


def test_a_stock_client_is_told_409_for_an_incompatible_schema(stock: Any, subject: str) -> None:
    stock.register_schema(subject, Schema(OLD, "AVRO"))
    assert stock.test_compatibility(subject, Schema(NEW, "AVRO"))
    assert not stock.test_compatibility(subject, Schema(WORSE, "AVRO"))
    with pytest.raises(SchemaRegistryError, match="reader_field_missing_default_value: venue") as caught:
        stock.register_schema(subject, Schema(WORSE, "AVRO"))
    assert (caught.value.http_status_code, caught.value.error_code) == (409, 409)


def test_a_stock_client_reads_what_was_registered(stock: Any, subject: str) -> None:
    schema_id = stock.register_schema(subject, Schema(OLD, "AVRO"))
    latest = stock.get_latest_version(subject)
    assert (latest.schema_id, latest.version, json.loads(latest.schema.schema_str)) == (schema_id, 1, json.loads(OLD))
    assert stock.get_version(subject, 1).schema_id == schema_id
    assert subject in stock.get_subjects()
    assert subject in stock.get_subjects_by_schema_id(schema_id)
    assert (subject, 1) in {(found.subject, found.version) for found in stock.get_schema_versions(schema_id)}
    assert stock.get_schema_types() == ["AVRO"]


def test_a_level_is_the_subject_s_before_it_is_everybody_s(http: httpx.Client, subject: str) -> None:
    assert http.get("/config").json() == {"compatibilityLevel": "BACKWARD"}
    assert http.get(f"/config/{subject}").json()["error_code"] == 40408
    assert http.get(f"/config/{subject}?defaultToGlobal=true").json() == {"compatibilityLevel": "BACKWARD"}
    assert http.put(f"/config/{subject}", json={"compatibility": "full"}).json() == {"compatibility": "FULL"}
    assert http.get(f"/config/{subject}").json() == {"compatibilityLevel": "FULL"}
    assert http.delete(f"/config/{subject}").json() == {"compatibilityLevel": "FULL"}
    assert http.get(f"/config/{subject}").json()["error_code"] == 40408


@pytest.mark.parametrize("level", ["", "SOME", "BACKWARD TRANSITIVE"])
def test_what_is_no_level_is_refused(http: httpx.Client, subject: str, level: str) -> None:
    answer = http.put(f"/config/{subject}", json={"compatibility": level})
    assert (answer.status_code, answer.json()["error_code"]) == (422, 42203)


def test_a_read_only_subject_takes_nothing(http: httpx.Client, subject: str) -> None:
    post(http, f"/subjects/{subject}/versions", OLD).raise_for_status()
    assert http.get(f"/mode/{subject}").json()["error_code"] == 40409
    assert http.put(f"/mode/{subject}", json={"mode": "READONLY"}).json() == {"mode": "READONLY"}
    refused = [
        post(http, f"/subjects/{subject}/versions", NEW),
        http.delete(f"/subjects/{subject}"),
        http.delete(f"/subjects/{subject}/versions/1"),
        http.put(f"/config/{subject}", json={"compatibility": "NONE"}),
    ]
    assert [(answer.status_code, answer.json()["error_code"]) for answer in refused] == [(422, 42205)] * 4
    assert post(http, f"/subjects/{subject}", OLD).json()["version"] == 1
    assert http.delete(f"/mode/{subject}").json() == {"mode": "READONLY"}
    assert post(http, f"/subjects/{subject}/versions", NEW).json()["version"] == 2


def test_an_import_keeps_ids_and_numbers_and_judges_nothing(http: httpx.Client, subject: str) -> None:
    name = f"R{uuid.uuid4().hex}"
    old, worse = OLD.replace("Trade", name), WORSE.replace("Trade", name)
    assert post(http, f"/subjects/{subject}/versions", old, id=70_001).json()["error_code"] == 42205
    http.put(f"/mode/{subject}", json={"mode": "IMPORT"}).raise_for_status()
    assert post(http, f"/subjects/{subject}/versions", old).json()["error_code"] == 42205
    post(http, f"/subjects/{subject}/versions", old, id=70_001, version=3).raise_for_status()
    post(http, f"/subjects/{subject}/versions", worse, id=70_002).raise_for_status()
    assert post(http, f"/subjects/{subject}/versions", NEW, id=70_001).json()["error_code"] == 42205
    assert http.get(f"/subjects/{subject}/versions").json() == [3, 4]
    assert http.get("/schemas/ids/70002/schema").json() == json.loads(worse)


def test_a_subject_in_use_is_not_imported_into_by_accident(http: httpx.Client, subject: str) -> None:
    post(http, f"/subjects/{subject}/versions", OLD).raise_for_status()
    assert http.put(f"/mode/{subject}", json={"mode": "IMPORT"}).json()["error_code"] == 42205
    assert http.put(f"/mode/{subject}?force=true", json={"mode": "IMPORT"}).status_code == 200


def test_a_version_is_deleted_softly_first_and_then_for_good(http: httpx.Client, subject: str) -> None:
    for schema in (OLD, NEW):
        post(http, f"/subjects/{subject}/versions", schema).raise_for_status()
    path = f"/subjects/{subject}/versions"
    assert http.delete(f"{path}/2?permanent=true").json()["error_code"] == 40407
    assert http.delete(f"{path}/2").json() == 2
    assert http.delete(f"{path}/2").json()["error_code"] == 40406
    assert (http.get(path).json(), http.get(f"{path}?deleted=true").json()) == ([1], [1, 2])
    assert http.get(f"{path}/2").json()["error_code"] == 40402
    assert http.get(f"{path}/latest").json()["version"] == 1
    assert http.delete(f"{path}/2?permanent=true").json() == 2
    assert http.get(f"{path}?deleted=true").json() == [1]


def test_a_deleted_version_no_longer_judges_and_keeps_its_id(http: httpx.Client, subject: str) -> None:
    name = f"R{uuid.uuid4().hex}"
    old, worse = OLD.replace("Trade", name), WORSE.replace("Trade", name)
    first = post(http, f"/subjects/{subject}/versions", old).json()["id"]
    assert http.delete(f"/subjects/{subject}").json() == [1]
    assert http.get(f"/schemas/ids/{first}").status_code == 200
    assert subject not in http.get("/subjects").json()
    assert subject in http.get("/subjects?deleted=true").json()
    assert post(http, f"/subjects/{subject}/versions", worse).json()["version"] == 2
    http.delete(f"/subjects/{subject}").raise_for_status()
    assert http.delete(f"/subjects/{subject}?permanent=true").json() == [1, 2]
    assert http.get(f"/schemas/ids/{first}").json()["error_code"] == 40403
    again = post(http, f"/subjects/{subject}/versions", old).json()
    assert (again["id"], again["version"]) == (first, 1)


def test_subjects_are_listed_by_prefix(http: httpx.Client, subject: str) -> None:
    for name in (f"{subject}-a", f"{subject}-b"):
        post(http, f"/subjects/{name}/versions", OLD).raise_for_status()
    assert http.get("/subjects", params={"subjectPrefix": subject}).json() == [f"{subject}-a", f"{subject}-b"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"not json", 400, 400),
        (b"[]", 400, 400),
        (b"{}", 422, 42201),
        (b'{"schema": 1}', 422, 42201),
        (b'{"schema": "{}", "schemaType": "PROTOBUF"}', 422, 42201),
        (b'{"schema": "\\"int\\"", "references": [{"name": "a", "subject": "b", "version": 1}]}', 422, 42201),
        (b'{"schema": "' + b"[" * 3000 + b'"}', 422, 42201),
        (b" " * (9 * 2**20), 413, 413),
    ],
)
def test_a_bad_body_is_refused_in_json(http: httpx.Client, subject: str, body: bytes, status: int, code: int) -> None:
    answer = http.post(f"/subjects/{subject}/versions", content=body)
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)
    assert subject not in http.get("/subjects").json()


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, 404),
        ("GET", "/associations/resources/x", 404, 404),
        ("PATCH", "/subjects", 405, 405),
        ("GET", "/schemas/ids/x", 404, 40403),
    ],
)
def test_an_unknown_path_is_refused_in_json(http: httpx.Client, method: str, path: str, status: int, code: int) -> None:
    answer = http.request(method, path)
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)
