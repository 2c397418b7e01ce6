"""What every schema registry keeps: the fake, the embedded one and a real Apicurio."""

import json
import uuid
from collections.abc import Iterator

import pytest

from connectors.registry.client import ConfluentRegistry, Registry
from connectors.registry.compatibility import Level
from connectors.registry.errors import Incompatible, InvalidSchema, UnknownSchema
from connectors.registry.memory import InMemoryRegistry

Field = dict[str, object]

FAKE = pytest.param("fake", id="fake")
EMBEDDED = pytest.param("registry_server", id="embedded", marks=pytest.mark.servers)
APICURIO = pytest.param("apicurio_url", id="apicurio", marks=[pytest.mark.servers, pytest.mark.slow])


def url_of(name: str, request: pytest.FixtureRequest) -> str:
    server = request.getfixturevalue(name)
    return str(server if isinstance(server, str) else server.url)


@pytest.fixture(params=[FAKE, EMBEDDED, APICURIO])
def registry(request: pytest.FixtureRequest) -> Iterator[Registry]:
    if request.param == "fake":
        yield InMemoryRegistry()
        return
    client = ConfluentRegistry(url_of(request.param, request), timeout_s=20)
    yield client
    client.close()


@pytest.fixture
def subject() -> str:
    return f"s-{uuid.uuid4().hex}"


def record(*fields: Field, name: str = "Trade", **more: object) -> str:
    return json.dumps({"type": "record", "name": name, "fields": list(fields), **more})


def field(name: str, kind: object = "int", **more: object) -> Field:
    return {"name": name, "type": kind, **more}


def unique(*fields: Field) -> str:
    """A record that no other test registers."""
    return record(*fields, name=f"R{uuid.uuid4().hex}")


def test_a_registered_schema_comes_back_by_its_id(registry: Registry, subject: str) -> None:
    schema = unique(field("price"), field("venue", ["null", "string"], default=None))
    schema_id = registry.register(subject, schema)
    assert schema_id > 0
    assert json.loads(registry.schema(schema_id)) == json.loads(schema)
    assert registry.lookup(subject, schema) == schema_id


def test_a_schema_registered_twice_is_one_version_with_one_id(registry: Registry, subject: str) -> None:
    schema = unique(field("price"))
    assert registry.register(subject, schema) == registry.register(subject, schema)
    assert registry.versions(subject) == [1]


def test_blanks_and_the_order_of_keys_do_not_make_another_schema(registry: Registry, subject: str) -> None:
    schema = json.loads(unique(field("price")))
    spread = json.dumps(dict(reversed(schema.items())), indent=4)
    assert registry.register(subject, json.dumps(schema)) == registry.register(subject, spread)
    assert registry.versions(subject) == [1]


def test_one_schema_under_two_subjects_has_one_id(registry: Registry, subject: str) -> None:
    schema = unique(field("price"))
    assert registry.register(subject, schema) == registry.register(f"{subject}-2", schema)


def test_different_schemas_have_different_ids_and_count_up_versions(registry: Registry, subject: str) -> None:
    name = f"R{uuid.uuid4().hex}"
    first = registry.register(subject, record(field("a"), name=name))
    second = registry.register(subject, record(field("a"), field("b", default=0), name=name))
    assert first != second
    assert registry.versions(subject) == [1, 2]


def test_a_schema_that_nobody_registered_is_unknown_and_stays_so(registry: Registry, subject: str) -> None:
    schema = unique(field("price"))
    for _ in range(2):
        with pytest.raises(UnknownSchema, match=subject):
            registry.lookup(subject, schema)
    with pytest.raises(UnknownSchema, match=subject):
        registry.versions(subject)
    registry.register(subject, unique(field("price")))
    with pytest.raises(UnknownSchema, match="register it first"):
        registry.lookup(subject, schema)


@pytest.mark.parametrize("schema_id", [0, 2_000_000_000])
def test_an_id_that_nobody_was_given_is_unknown(registry: Registry, schema_id: int) -> None:
    with pytest.raises(UnknownSchema, match=f"schema {schema_id} "):
        registry.schema(schema_id)


def test_an_incompatible_schema_is_refused_with_the_reason_and_not_kept(registry: Registry, subject: str) -> None:
    name = f"R{uuid.uuid4().hex}"
    registry.register(subject, record(field("a"), name=name))
    registry.set_compatibility(subject, Level.FULL_TRANSITIVE)
    worse = record(field("a"), field("needed"), name=name)
    with pytest.raises(Incompatible, match="needed"):
        registry.register(subject, worse)
    assert registry.versions(subject) == [1]
    with pytest.raises(UnknownSchema):
        registry.lookup(subject, worse)


def test_a_check_registers_nothing(registry: Registry, subject: str) -> None:
    name = f"R{uuid.uuid4().hex}"
    better, worse = record(field("a"), field("b", default=0), name=name), record(field("a"), field("b"), name=name)
    assert registry.check(subject, worse) == []
    registry.register(subject, record(field("a"), name=name))
    registry.set_compatibility(subject, Level.BACKWARD)
    assert registry.check(subject, better) == []
    assert registry.check(subject, worse) != []
    assert registry.versions(subject) == [1]


@pytest.mark.parametrize(
    "schema",
    [
        "",
        "not json",
        "{}",
        "42",
        '{"type": "nothing"}',
        record(field("a", "Unknown")),
        record(field("a"), field("a")),
        record(field("a", "int", default="one")),
        record(field("not a name")),
    ],
)
def test_what_is_not_a_schema_is_refused(registry: Registry, subject: str, schema: str) -> None:
    for ask in (registry.register, registry.lookup, registry.check):
        with pytest.raises(InvalidSchema):
            ask(subject, schema)
    with pytest.raises(UnknownSchema):
        registry.versions(subject)


@pytest.mark.parametrize("name", ["with/slash", "with space", "ünï", "a%2Fb", "a.b.C-value", "a?b#c"])
def test_a_subject_may_have_any_name(registry: Registry, subject: str, name: str) -> None:
    registry.register(subject + name, unique(field("a")))
    assert registry.versions(subject + name) == [1]
    with pytest.raises(UnknownSchema):
        registry.versions(subject)


ENUM = {"type": "enum", "name": "Side"}
FIXED = {"type": "fixed", "name": "Hash"}
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 10}

EVOLUTIONS = {
    # what changes: (old fields, new fields, the new reads the old, the old reads the new)
    "a field with a default is added": ([field("a")], [field("a"), field("b", default=0)], True, True),
    "a field without a default is added": ([field("a")], [field("a"), field("b")], False, True),
    "a field with a default is removed": ([field("a"), field("b", default=0)], [field("a")], True, True),
    "a field without a default is removed": ([field("a"), field("b")], [field("a")], True, False),
    "a field is renamed": ([field("a")], [field("b")], False, False),
    "a field is renamed with an alias": ([field("a")], [field("b", aliases=["a"])], True, False),
    "the order of fields changes": ([field("a"), field("b")], [field("b"), field("a")], True, True),
    "a default changes": ([field("a", default=1)], [field("a", default=2)], True, True),
    "a default is dropped": ([field("a", default=1)], [field("a")], True, True),
    "int becomes long": ([field("a", "int")], [field("a", "long")], True, False),
    "long becomes int": ([field("a", "long")], [field("a", "int")], False, True),
    "int becomes double": ([field("a", "int")], [field("a", "double")], True, False),
    "float becomes double": ([field("a", "float")], [field("a", "double")], True, False),
    "int becomes string": ([field("a", "int")], [field("a", "string")], False, False),
    "string becomes bytes": ([field("a", "string")], [field("a", "bytes")], True, True),
    "int becomes optional": ([field("a", "int")], [field("a", ["null", "int"])], True, False),
    "a union widens": ([field("a", ["null", "int"])], [field("a", ["null", "int", "string"])], True, False),
    "a union narrows": ([field("a", ["null", "int", "string"])], [field("a", ["null", "int"])], False, True),
    "a union changes its order": ([field("a", ["null", "int"])], [field("a", ["int", "null"])], True, True),
    "an enum grows": (
        [field("a", {**ENUM, "symbols": ["BUY"]})],
        [field("a", {**ENUM, "symbols": ["BUY", "SELL"]})],
        True,
        False,
    ),
    "an enum shrinks": (
        [field("a", {**ENUM, "symbols": ["BUY", "SELL"]})],
        [field("a", {**ENUM, "symbols": ["BUY"]})],
        False,
        True,
    ),
    "an enum with a default grows": (
        [field("a", {**ENUM, "symbols": ["NONE"], "default": "NONE"})],
        [field("a", {**ENUM, "symbols": ["NONE", "BUY"], "default": "NONE"})],
        True,
        True,
    ),
    "a fixed changes its size": (
        [field("a", {**FIXED, "size": 16})],
        [field("a", {**FIXED, "size": 32})],
        False,
        False,
    ),
    "items of an array widen": (
        [field("a", {"type": "array", "items": "int"})],
        [field("a", {"type": "array", "items": "long"})],
        True,
        False,
    ),
    "values of a map widen": (
        [field("a", {"type": "map", "values": "int"})],
        [field("a", {"type": "map", "values": "long"})],
        True,
        False,
    ),
    "an inner record gets a field without a default": (
        [field("a", {"type": "record", "name": "Leg", "fields": [field("x")]})],
        [field("a", {"type": "record", "name": "Leg", "fields": [field("x"), field("y")]})],
        False,
        True,
    ),
    "a decimal changes its scale, which no registry sees": (
        [field("a", {**DECIMAL, "scale": 2})],
        [field("a", {**DECIMAL, "scale": 4})],
        True,
        True,
    ),
}


@pytest.mark.parametrize("change", EVOLUTIONS)
def test_each_change_is_judged_in_both_directions(registry: Registry, subject: str, change: str) -> None:
    old, new, backward, forward = EVOLUTIONS[change]
    registry.register(subject, record(*old))
    verdicts = {}
    for level in (Level.BACKWARD, Level.FORWARD, Level.FULL, Level.NONE):
        registry.set_compatibility(subject, level)
        verdicts[level] = registry.check(subject, record(*new)) == []
    assert verdicts == {
        Level.BACKWARD: backward,
        Level.FORWARD: forward,
        Level.FULL: backward and forward,
        Level.NONE: True,
    }


GAINS_THEN_NEEDS = [[field("a")], [field("a"), field("b", default=0)], [field("a"), field("b")]]
"""The third reads the second, not the first."""
HAS_DEFAULT_THEN_LOSES = [[field("a"), field("b")], [field("a"), field("b", default=0)], [field("a")]]
"""The second reads the third, the first does not."""


@pytest.mark.parametrize(
    ("versions", "level", "allowed"),
    [
        (GAINS_THEN_NEEDS, Level.BACKWARD, True),
        (GAINS_THEN_NEEDS, Level.BACKWARD_TRANSITIVE, False),
        (GAINS_THEN_NEEDS, Level.FORWARD_TRANSITIVE, True),
        (GAINS_THEN_NEEDS, Level.FULL, True),
        (GAINS_THEN_NEEDS, Level.FULL_TRANSITIVE, False),
        (HAS_DEFAULT_THEN_LOSES, Level.FORWARD, True),
        (HAS_DEFAULT_THEN_LOSES, Level.FORWARD_TRANSITIVE, False),
        (HAS_DEFAULT_THEN_LOSES, Level.BACKWARD_TRANSITIVE, True),
        (HAS_DEFAULT_THEN_LOSES, Level.FULL, True),
        (HAS_DEFAULT_THEN_LOSES, Level.FULL_TRANSITIVE, False),
    ],
)
def test_only_a_transitive_level_looks_behind_the_newest_version(
    registry: Registry, subject: str, versions: list[list[Field]], level: Level, allowed: bool
) -> None:
    first, second, third = (record(*fields) for fields in versions)
    registry.register(subject, first)
    registry.set_compatibility(subject, level)
    registry.register(subject, second)
    assert (registry.check(subject, third) == []) is allowed
    if allowed:
        registry.register(subject, third)
    else:
        with pytest.raises(Incompatible):
            registry.register(subject, third)
    assert registry.versions(subject) == ([1, 2, 3] if allowed else [1, 2])


def test_a_level_set_before_the_first_schema_holds(registry: Registry, subject: str) -> None:
    registry.set_compatibility(subject, Level.FULL)
    registry.register(subject, record(field("a")))
    with pytest.raises(Incompatible):
        registry.register(subject, record(field("a"), field("b")))
