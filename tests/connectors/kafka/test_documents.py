"""What is drawn from the map shows all of the map."""

import json
import re
from typing import Any

import fastavro
import pytest

from connectors.kafka.asyncapi import asyncapi
from connectors.kafka.diagram import ASIDE, flow_diagram, topic_table
from connectors.kafka.permissions import (
    ADMINISTRATOR,
    EVERYONE,
    ROOMS,
    Operation,
    Permission,
    Resource,
    permissions,
    roles,
)
from schemas.topics import ACCOUNTS_INBOX, ORDERS_COMMANDS, TOPICS, records

DOCUMENT = asyncapi("shop", "1.2.3", "kafka:9092")


def resolved(reference: str) -> Any:
    """What a reference inside the document points at."""
    found: Any = DOCUMENT
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return found


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if "$ref" in node else []
        return own + [reference for value in node.values() for reference in references(value)]
    return [reference for value in node for reference in references(value)] if isinstance(node, list) else []


def test_the_document_is_asyncapi_3_and_json() -> None:
    assert json.loads(json.dumps(DOCUMENT)) == DOCUMENT
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert DOCUMENT["info"].keys() >= {"title", "version"}
    assert DOCUMENT["servers"]["shop"].keys() >= {"host", "protocol"}
    assert DOCUMENT.keys() <= {
        *("asyncapi", "id", "info", "defaultContentType", "servers", "channels", "operations", "components")
    }


def test_every_topic_is_a_channel_with_its_address_and_records() -> None:
    assert list(DOCUMENT["channels"]) == [topic.name for topic in TOPICS]
    for topic in TOPICS:
        channel = DOCUMENT["channels"][topic.name]
        assert channel["address"] == f"shop.{topic.name}"
        assert list(channel["messages"]) == [record.__name__ for record in topic.records]
        assert channel["bindings"]["kafka"]["partitions"] == topic.partitions


def test_every_record_is_a_message_whose_payload_is_avro() -> None:
    messages = DOCUMENT["components"]["messages"]
    assert list(messages) == [record.__name__ for record in records()]
    for message in messages.values():
        fastavro.parse_schema(json.loads(json.dumps(message["payload"]["schema"])))


def test_every_writer_sends_and_every_reader_receives() -> None:
    operations = DOCUMENT["operations"]
    assert operations["strategies.send.accounts.inbox"]["action"] == "send"
    assert operations["accounts.receive.accounts.inbox"]["action"] == "receive"
    assert len(operations) == sum(len(topic.writers) + len(topic.readers) for topic in TOPICS)


def test_every_reference_leads_somewhere() -> None:
    found = references(DOCUMENT)
    assert len(found) > 100
    assert all(resolved(reference) for reference in found)


def test_every_topic_that_a_part_of_the_engine_reads_is_drawn_with_all_its_arrows() -> None:
    drawn = flow_diagram()
    for topic in TOPICS:
        readers = set(topic.readers) - ASIDE
        assert (f"[({topic.name})]" in drawn) == bool(readers)
        for reader in readers:
            assert f"topic_{topic.name.replace('.', '_')} --> role_{reader}" in drawn
    assert set(re.findall(r"(\w+) -->", drawn)) | set(re.findall(r"--> (\w+)", drawn)) == set(
        re.findall(r"^ +(\w+)\[", drawn, flags=re.MULTILINE)
    )


def test_the_table_names_every_topic_and_stars_what_is_broadcast() -> None:
    lines = topic_table().splitlines()[2:]
    assert [line.split("`")[1] for line in lines] == [topic.name for topic in TOPICS]
    inbox = lines[TOPICS.index(ACCOUNTS_INBOX)]
    assert "`ClockTick`*" in inbox
    assert "`TradeIntent`," in inbox


def may(role: str, operation: Operation, name: str) -> bool:
    """Whether the role may do this to a topic, by name or by prefix."""
    return any(
        one.role == role
        and one.operation is operation
        and one.resource is Resource.TOPIC
        and (name.startswith(one.name) if one.prefixed else name == one.name)
        for one in permissions("shop")
    )


def test_a_role_reads_and_writes_what_the_map_says_and_nothing_else() -> None:
    for role in roles():
        for topic in TOPICS:
            name = topic.full_name("shop")
            assert may(role, Operation.READ, name) == (role in topic.readers or EVERYONE in topic.readers)
            assert may(role, Operation.WRITE, name) == (role in topic.writers and topic.name != "control.environment")


def test_only_the_accounts_room_sends_orders_and_only_the_administrator_makes_the_environment() -> None:
    writers = {one.role for one in permissions("shop") if one.operation is Operation.WRITE}
    assert [role for role in writers if may(role, Operation.WRITE, ORDERS_COMMANDS.full_name("shop"))] == ["accounts"]
    assert [role for role in writers if may(role, Operation.WRITE, "shop.control.environment")] == [ADMINISTRATOR]


def test_a_room_owns_its_changelog_alone() -> None:
    for room in ROOMS:
        owners = {role for role in roles() if may(role, Operation.WRITE, f"shop-{room}-changelog")}
        assert owners == {room}


def test_an_environment_grants_nothing_in_another() -> None:
    assert [one for one in permissions("shop") if not re.match(r"shop[.-]|none$", one.name)] == []


@pytest.mark.parametrize(
    ("permission", "command"),
    [
        (
            Permission("relay", Operation.READ, Resource.TOPIC, "shop.market.marks"),
            "kafka-acls --add --allow-principal User:ada --operation Read --topic shop.market.marks",
        ),
        (
            Permission("pnl", Operation.WRITE, Resource.TRANSACTIONAL_ID, "shop.pnl.", prefixed=True),
            "kafka-acls --add --allow-principal User:ada --operation Write --transactional-id shop.pnl. "
            "--resource-pattern-type prefixed",
        ),
    ],
)
def test_a_permission_is_granted_by_one_command(permission: Permission, command: str) -> None:
    assert permission.command("ada") == command
