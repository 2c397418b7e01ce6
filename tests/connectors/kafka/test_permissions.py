"""On a Kafka that demands permissions, each role can do its work with those of the list, and not another's."""

from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # exported, not marked so
    AdminClient,
    NewTopic,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialUpsertion,
)

from connectors.embedded.kafka import KafkaServer, ScramUser
from connectors.kafka.environment import fix_mode, require_mode
from connectors.kafka.errors import NotPermitted
from connectors.kafka.permissions import ADMINISTRATOR, permissions
from connectors.kafka.provision import Provisioner, desired
from schemas.codec import Codec
from schemas.control import Environment, Mode
from tests.servers import KAFKA_DIR

pytestmark = pytest.mark.servers

CODEC = Codec.local()
SHOP = Environment(event_time_us=1, name="shop", mode=Mode.REPLAY, author="ada")
ROOT = ScramUser("root", "root-secret")
USERS = {role: ScramUser(role, f"{role}-secret") for role in (ADMINISTRATOR, "strategies", "relay")}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A guarded Kafka whose administrator has made the topics and the environment of the shop."""
    with KafkaServer.start(tmp_path_factory.mktemp("kafka"), port=0, kafka_dir=KAFKA_DIR, admin=ROOT) as server:
        root = AdminClient(server.client_config())
        users: list[UserScramCredentialAlteration] = [
            UserScramCredentialUpsertion(
                user.name, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096), user.password.encode()
            )
            for user in USERS.values()
        ]
        granted = [one.binding(one.role) for one in permissions("shop") if one.role in USERS]
        for answer in (*root.alter_user_scram_credentials(users).values(), *root.create_acls(granted).values()):
            answer.result(30)
        settings = server.client_config(USERS[ADMINISTRATOR])
        Provisioner(settings).apply(desired("shop", 1))
        fix_mode(settings, CODEC, SHOP)
        yield server


def test_every_role_can_ask_for_the_mode_and_compare_the_topics(guarded: KafkaServer) -> None:
    for user in USERS.values():
        settings = guarded.client_config(user)
        assert require_mode(settings, CODEC, "shop", Mode.REPLAY) == SHOP
        assert Provisioner(settings).diff(desired("shop", 1)) == []


def test_no_role_can_change_topics_or_make_the_environment(guarded: KafkaServer) -> None:
    settings = guarded.client_config(USERS["strategies"])
    with pytest.raises(NotPermitted):
        Provisioner(settings).apply(desired("other", 1))
    with pytest.raises(NotPermitted):
        fix_mode(settings, CODEC, SHOP)


def outcome(guarded: KafkaServer, role: str, topic: str) -> int | None:
    """The error's code, if any, when the role writes to the topic."""
    outcomes: list[int | None] = []

    def delivered(error: KafkaError | None, _: Message) -> None:
        outcomes.append(error.code() if error else None)

    producer = Producer({**guarded.client_config(USERS[role]), "enable.idempotence": True, "acks": "all"})
    producer.produce(topic, value=b"x", on_delivery=delivered)
    assert producer.flush(30) == 0
    return outcomes[0]


def test_a_role_writes_its_topics_and_no_others(guarded: KafkaServer) -> None:
    assert outcome(guarded, "relay", "shop.accounts.inbox") is None
    assert outcome(guarded, "relay", "shop.orders.commands") == KafkaError.TOPIC_AUTHORIZATION_FAILED
    assert outcome(guarded, "relay", "shop.control.kill") == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_a_room_folds_in_a_transaction_under_its_own_name_only(guarded: KafkaServer) -> None:
    settings = guarded.client_config(USERS["strategies"])
    admin = AdminClient(settings)
    for answer in admin.create_topics([NewTopic("shop-strategies-changelog", 4, 1)], operation_timeout=30).values():
        answer.result(30)
    consumer = Consumer({**settings, "group.id": "shop.strategies", "enable.auto.commit": False})
    consumer.subscribe(["shop.strategies.inbox"])
    while not consumer.assignment():
        consumer.poll(0.1)
    producer = Producer({**settings, "transactional.id": "shop.strategies.w0"})
    producer.init_transactions(30)
    producer.begin_transaction()
    for topic in ("shop.accounts.inbox", "shop-strategies-changelog", "shop.dead.letters"):
        producer.produce(topic, value=b"x")
    place = TopicPartition("shop.strategies.inbox", 0, 1)
    producer.send_offsets_to_transaction([place], consumer.consumer_group_metadata(), 30)
    producer.commit_transaction(30)
    consumer.close()
    with pytest.raises(KafkaException) as refusal:
        Producer({**settings, "transactional.id": "shop.accounts.w0"}).init_transactions(30)
    assert refusal.value.args[0].code() == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
