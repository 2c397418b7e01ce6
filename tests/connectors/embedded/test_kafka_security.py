"""The embedded Kafka that demands passwords and permissions."""

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined] # its annotations do not re-export its own names
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialUpsertion,
)

from connectors.embedded.kafka import KafkaServer, ScramUser
from tests.connectors.embedded.kafka_records import make_topic, read, send, text
from tests.servers import KAFKA_DIR

pytestmark = pytest.mark.servers

ADMIN = ScramUser("admin", "admin-secret")
FEED = ScramUser("feed", "feed-secret")
READER = ScramUser("reader", "reader-secret")
TICKS = "ticks"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A Kafka where the feed may write ticks, and the reader may read them in the group `readers`."""
    folder = tmp_path_factory.mktemp("kafka-guarded")
    with KafkaServer.start(folder, port=0, kafka_dir=KAFKA_DIR, admin=ADMIN) as server:
        make_topic(server.client_config(), TICKS)
        admin = AdminClient(server.client_config())
        users: list[UserScramCredentialAlteration] = [
            UserScramCredentialUpsertion(
                user.name, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096), user.password.encode()
            )
            for user in (FEED, READER)
        ]
        allowed = [
            allow(FEED, ResourceType.TOPIC, TICKS, AclOperation.WRITE),
            allow(READER, ResourceType.TOPIC, TICKS, AclOperation.READ),
            allow(READER, ResourceType.GROUP, "readers", AclOperation.READ),
        ]
        for future in (
            *admin.alter_user_scram_credentials(users).values(),
            *admin.create_acls(allowed).values(),
        ):
            future.result(30)
        yield server


def allow(user: ScramUser, kind: ResourceType, name: str, operation: AclOperation) -> AclBinding:
    return AclBinding(
        kind, name, ResourcePatternType.LITERAL, f"User:{user.name}", "*", operation, AclPermissionType.ALLOW
    )


def refusals(kafka: KafkaServer, user: ScramUser, group: str) -> list[int]:
    """The code of the first error that the user gets who reads ticks in the group."""
    consumer = Consumer({**kafka.client_config(user), "log_level": 0, "group.id": group})
    consumer.subscribe([TICKS])
    with closing(consumer):
        errors = [message.error() for message in consumer.consume(1, timeout=30)]
    return [error.code() for error in errors if error]


def test_who_may_write_writes_and_who_may_read_reads(guarded: KafkaServer) -> None:
    assert send(guarded.client_config(FEED), TICKS, ["1"]) == [None]
    consumer = Consumer({**guarded.client_config(READER), "group.id": "readers", "auto.offset.reset": "earliest"})
    consumer.subscribe([TICKS])
    with closing(consumer):
        assert [text(message) for message in consumer.consume(1, timeout=30)] == ["1"]


def test_who_may_only_read_cannot_write(guarded: KafkaServer) -> None:
    outcomes = send(guarded.client_config(READER), TICKS, ["1"])
    assert [error.code() for error in outcomes if error] == [KafkaError.TOPIC_AUTHORIZATION_FAILED]


def test_a_group_that_was_not_granted_is_refused(guarded: KafkaServer) -> None:
    assert refusals(guarded, READER, "strangers") == [KafkaError.GROUP_AUTHORIZATION_FAILED]


def test_a_wrong_password_is_refused(guarded: KafkaServer) -> None:
    refused = threading.Event()

    def note(error: KafkaError) -> None:
        if error.code() == KafkaError._AUTHENTICATION:
            refused.set()

    config = guarded.client_config(ScramUser(FEED.name, "guess"))
    client = Producer({**config, "log_level": 0, "error_cb": note})
    for _ in range(50):
        client.poll(0.2)
        if refused.is_set():
            break
    assert refused.is_set()


def test_passwords_and_permissions_last_through_kill_9(guarded: KafkaServer) -> None:
    guarded.kill()
    guarded.restart()
    outcomes = send(guarded.client_config(READER), TICKS, ["1"])
    assert [error.code() for error in outcomes if error] == [KafkaError.TOPIC_AUTHORIZATION_FAILED]
    assert read(guarded.client_config(ADMIN), TICKS, 1) == ["1"]


def test_passwords_are_not_shown_and_not_readable_by_others(guarded: KafkaServer) -> None:
    assert ADMIN.password not in repr(ADMIN)
    assert Path(guarded.folder / "server.properties").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("text", ["", 'a"b', "a b", "a;b", "a,b", "a]b", "ä"])
def test_names_and_passwords_that_kafkas_files_could_misread_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="letters, digits"):
        ScramUser("admin", text)
    with pytest.raises(ValueError, match="letters, digits"):
        ScramUser(text, "secret")
