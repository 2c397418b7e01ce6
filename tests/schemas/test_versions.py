"""The Avro files are what the records say, and what is published stays as it was."""

import json
from pathlib import Path
from typing import Any

import fastavro
import pytest

from connectors.registry.publish import incompatible
from schemas.avro_schema import avro_schema, avro_text
from schemas.market import Bar
from schemas.record import NAMESPACE, Record
from schemas.versions import (
    Change,
    PublishedVersionEdited,
    differences,
    generate,
    publish,
    published,
    published_versions,
    unpublished,
    versions,
)
from tests.schemas.strategies import RECORDS

BAR = "quantumleap.Bar"


def changed(folder: Path, name: str, **fields: Any) -> str:
    """Rewrite one file with another doc, or other fields; returns its new text."""
    path = folder / name
    schema = json.loads(path.read_text()) | fields
    path.write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n")
    return path.read_text()


def bar_versions(*changes: dict[str, Any]) -> list[str]:
    """Versions of Bar: the record as it is, then with each field changed or added."""
    texts = [avro_text(Bar)]
    for change in changes:
        schema = json.loads(texts[-1])
        kept = [field for field in schema["fields"] if field["name"] != change["name"]]
        schema["fields"] = kept + ([change] if "type" in change else [])
        texts.append(json.dumps(schema))
    return texts


def test_the_files_are_what_the_records_say() -> None:
    assert [str(difference) for difference in differences()] == []


@pytest.mark.parametrize("cls", RECORDS, ids=lambda cls: cls.__name__)
def test_every_schema_is_avro_and_every_field_says_what_it_means(cls: type[Record]) -> None:
    schema = avro_schema(cls)
    fastavro.parse_schema(schema)
    assert schema["doc"]
    undocumented = [field["name"] for field in all_fields(schema) if not field["doc"] or field["doc"].startswith(";")]
    assert undocumented == []


def all_fields(schema: Any) -> list[dict[str, Any]]:
    if isinstance(schema, list):
        return [field for branch in schema for field in all_fields(branch)]
    if not isinstance(schema, dict):
        return []
    own = schema.get("fields", [])
    return [*own, *(f for field in own for f in all_fields(field["type"])), *all_fields(schema.get("items"))]


@pytest.mark.parametrize("cls", RECORDS, ids=lambda cls: cls.__name__)
def test_every_version_is_fully_compatible_with_all_before(cls: type[Record]) -> None:
    assert incompatible(versions(f"{NAMESPACE}.{cls.__name__}")) == []


@pytest.mark.parametrize(
    "change",
    [
        {"name": "vwap", "type": "double", "doc": "no default"},
        {"name": "close", "doc": "removed, had no default"},
        {"name": "count", "type": "string", "doc": "retyped", "default": ""},
        {
            "name": "close",
            "type": {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 9},
            "doc": "another scale",
        },
        {"name": "event_time_us", "type": {"type": "long", "logicalType": "timestamp-millis"}, "doc": "another unit"},
    ],
    ids=lambda change: f"{change['name']}: {change['doc']}",
)
def test_a_breaking_change_is_found(change: dict[str, Any]) -> None:
    assert incompatible(bar_versions(change))


def test_a_break_with_any_older_version_is_found_not_only_with_the_last() -> None:
    gone = {"name": "vwap"}
    back = {"name": "vwap", "type": "string", "doc": "", "default": ""}
    first = {"name": "vwap", "type": ["null", "double"], "doc": "", "default": None}
    assert incompatible(bar_versions(first, gone)) == []
    assert incompatible(bar_versions(first, gone, back))


def test_a_new_field_with_a_default_may_come_and_go() -> None:
    assert incompatible(bar_versions({"name": "vwap", "type": ["null", "double"], "doc": "", "default": None})) == []


def test_generating_twice_changes_nothing(tmp_path: Path) -> None:
    assert len(generate(tmp_path)) == len(RECORDS)
    assert generate(tmp_path) == []
    assert differences(tmp_path) == []


def test_an_unpublished_version_is_rewritten_in_place(tmp_path: Path) -> None:
    generate(tmp_path)
    changed(tmp_path, f"{BAR}/v1.avsc", doc="Candles.")
    assert [difference.change for difference in generate(tmp_path)] == [Change.REWRITE]
    assert versions(BAR, tmp_path) == [avro_text(Bar)]


def test_a_change_after_publication_is_a_new_version(tmp_path: Path) -> None:
    generate(tmp_path)
    old = changed(tmp_path, f"{BAR}/v1.avsc", doc="Candles.")
    assert f"{BAR}/v1.avsc" in publish(tmp_path)
    assert [difference.change for difference in generate(tmp_path)] == [Change.WRITE]
    assert versions(BAR, tmp_path) == [old, avro_text(Bar)]
    assert generate(tmp_path) == []


def test_an_unpublished_version_that_says_what_the_one_before_says_goes(tmp_path: Path) -> None:
    generate(tmp_path)
    publish(tmp_path)
    (tmp_path / BAR / "v2.avsc").write_text(avro_text(Bar).replace("Prices", "Candles"))
    assert [difference.change for difference in generate(tmp_path)] == [Change.DELETE]
    assert versions(BAR, tmp_path) == [avro_text(Bar)]


def test_only_published_versions_count_as_published(tmp_path: Path) -> None:
    generate(tmp_path)
    assert published_versions(BAR, tmp_path) == []
    old = changed(tmp_path, f"{BAR}/v1.avsc", doc="Candles.")
    publish(tmp_path)
    generate(tmp_path)
    assert published_versions(BAR, tmp_path) == [old]


def test_publishing_twice_is_once(tmp_path: Path) -> None:
    generate(tmp_path)
    assert len(publish(tmp_path)) == len(RECORDS) == len(published(tmp_path))
    assert publish(tmp_path) == [] == unpublished(tmp_path)


def test_a_published_version_that_was_edited_stops_everything(tmp_path: Path) -> None:
    generate(tmp_path)
    publish(tmp_path)
    edited = changed(tmp_path, f"{BAR}/v1.avsc", doc="Candles.")
    (tmp_path / "quantumleap.Fill" / "v1.avsc").unlink()
    assert {f"{found.path.parent.name}" for found in differences(tmp_path) if found.change is Change.EDITED} == {
        BAR,
        "quantumleap.Fill",
    }
    with pytest.raises(PublishedVersionEdited, match="is published and was edited"):
        generate(tmp_path)
    assert (tmp_path / BAR / "v1.avsc").read_text() == edited


def test_a_file_without_record_is_deleted_unless_published(tmp_path: Path) -> None:
    generate(tmp_path)
    (tmp_path / "quantumleap.Candle").mkdir()
    (tmp_path / "quantumleap.Candle" / "v1.avsc").write_text("{}")
    assert [difference.change for difference in generate(tmp_path)] == [Change.DELETE]
    assert not (tmp_path / "quantumleap.Candle").exists()


def test_a_subject_without_versions_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="schemas generate"):
        versions(BAR, tmp_path)
