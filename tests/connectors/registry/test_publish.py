"""Our schemas in a registry: registered once, found at start, missing ones named."""

import pytest

from connectors.registry.errors import Incompatible, UnknownSchema
from connectors.registry.memory import InMemoryRegistry
from connectors.registry.publish import codec_of, fetch_from, register, resolve_ids
from schemas.avro_schema import avro_text
from schemas.codec import Codec
from schemas.market import Bar
from schemas.topics import records
from tests.schemas.examples import example


def test_registering_twice_registers_once() -> None:
    registry = InMemoryRegistry()
    assert register(registry) == register(registry)
    assert registry.versions("quantumleap.Bar") == [1]


def test_every_record_has_an_id_of_its_own() -> None:
    registry = InMemoryRegistry()
    register(registry)
    ids = resolve_ids(registry)
    assert list(ids) == list(records())
    assert len(set(ids.values())) == len(ids)


def test_a_registry_without_our_schemas_is_named_at_start_with_the_next_step() -> None:
    registry = InMemoryRegistry()
    registry.register("quantumleap.Bar", avro_text(Bar))
    with pytest.raises(UnknownSchema, match=r"quantumleap\.Signal.*quantumleap schemas register") as refusal:
        resolve_ids(registry)
    assert "quantumleap.Bar," not in str(refusal.value)


def test_a_subject_is_held_to_full_compatibility_with_all_its_versions() -> None:
    registry = InMemoryRegistry()
    register(registry)
    with pytest.raises(Incompatible):
        registry.register("quantumleap.Bar", avro_text(Bar).replace('"low"', '"least"'))


def test_a_codec_reads_what_another_writer_registered() -> None:
    registry = InMemoryRegistry()
    register(registry)
    renamed = avro_text(Bar).replace("Prices of one instrument", "What one instrument did")
    codec = codec_of(registry)
    foreign = Codec({Bar: registry.register("quantumleap.Bar", renamed)})
    assert codec.decode(foreign.encode(example(Bar))) == example(Bar)


def test_an_id_that_the_registry_lacks_is_a_lookup_error_to_the_codec() -> None:
    with pytest.raises(LookupError):
        fetch_from(InMemoryRegistry())(7)
