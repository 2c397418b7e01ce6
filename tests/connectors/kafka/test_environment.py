"""An environment has one mode for life, and every process that is of another does not start."""

import threading

import msgspec
import pytest
from confluent_kafka import Producer

from connectors.embedded.kafka import KafkaServer
from connectors.embedded.ports import choose_free
from connectors.kafka.environment import fix_mode, require_mode
from connectors.kafka.errors import EnvironmentUnreadable, KafkaUnreachable, ModeDiffers, NoEnvironment
from connectors.kafka.provision import Provisioner, desired
from schemas.codec import Codec
from schemas.control import Environment, Mode
from schemas.topics import CONTROL_ENVIRONMENT

CODEC = Codec.local()


@pytest.fixture
def shop(kafka: KafkaServer, topic_prefix: str) -> Environment:
    """A new replay environment whose topic exists, not yet made."""
    name = topic_prefix.rstrip(".")
    Provisioner(kafka.client_config()).apply(desired(name, 1, [CONTROL_ENVIRONMENT]))
    return Environment(event_time_us=5, name=name, mode=Mode.REPLAY, author="ada", made_at_us=5)


def write(kafka: KafkaServer, environment: str, value: bytes) -> None:
    producer = Producer(kafka.client_config())
    producer.produce(CONTROL_ENVIRONMENT.full_name(environment), key=environment.encode(), value=value)
    assert producer.flush(30) == 0


@pytest.mark.servers
def test_the_first_start_fixes_the_mode_and_later_ones_find_it(kafka: KafkaServer, shop: Environment) -> None:
    with pytest.raises(NoEnvironment, match="never made"):
        require_mode(kafka.client_config(), CODEC, shop.name, Mode.REPLAY)
    assert fix_mode(kafka.client_config(), CODEC, shop) == shop
    again = msgspec.structs.replace(shop, author="bob", made_at_us=9)
    assert fix_mode(kafka.client_config(), CODEC, again) == shop
    assert require_mode(kafka.client_config(), CODEC, shop.name, Mode.REPLAY) == shop


@pytest.mark.servers
@pytest.mark.parametrize("mode", [Mode.PAPER, Mode.LIVE])
def test_a_replay_can_never_become_another_mode(kafka: KafkaServer, shop: Environment, mode: Mode) -> None:
    fix_mode(kafka.client_config(), CODEC, shop)
    with pytest.raises(ModeDiffers, match="was made for REPLAY by ada"):
        require_mode(kafka.client_config(), CODEC, shop.name, mode)
    with pytest.raises(ModeDiffers):
        fix_mode(kafka.client_config(), CODEC, msgspec.structs.replace(shop, mode=mode))
    assert require_mode(kafka.client_config(), CODEC, shop.name, Mode.REPLAY) == shop


@pytest.mark.servers
def test_of_many_that_begin_at_once_one_makes_the_environment(kafka: KafkaServer, shop: Environment) -> None:
    outcomes: list[Environment | Exception] = []

    def begin(mode: Mode) -> None:
        try:
            outcomes.append(fix_mode(kafka.client_config(), CODEC, msgspec.structs.replace(shop, mode=mode)))
        except (ModeDiffers, KafkaUnreachable) as error:
            outcomes.append(error)

    threads = [threading.Thread(target=begin, args=(mode,)) for mode in (Mode.REPLAY, Mode.LIVE) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made = [outcome for outcome in outcomes if isinstance(outcome, Environment)]
    assert len(outcomes) == 4
    assert len({outcome.mode for outcome in made}) == 1
    assert require_mode(kafka.client_config(), CODEC, shop.name, made[0].mode) == made[0]


@pytest.mark.servers
@pytest.mark.parametrize(
    "value", [b"live", CODEC.encode(Environment(event_time_us=1, name="x", mode=Mode.LIVE, author=""))]
)
def test_a_record_that_is_not_ours_stops_every_start(kafka: KafkaServer, shop: Environment, value: bytes) -> None:
    write(kafka, shop.name, value)
    with pytest.raises(EnvironmentUnreadable):
        require_mode(kafka.client_config(), CODEC, shop.name, Mode.REPLAY)
    with pytest.raises(EnvironmentUnreadable):
        fix_mode(kafka.client_config(), CODEC, shop)


@pytest.mark.servers
def test_a_missing_topic_says_what_makes_it(kafka: KafkaServer, topic_prefix: str) -> None:
    with pytest.raises(NoEnvironment, match="quantumleap topics apply"):
        require_mode(kafka.client_config(), CODEC, topic_prefix.rstrip("."), Mode.REPLAY)


def test_a_kafka_that_does_not_answer_stops_the_start() -> None:
    settings = {"bootstrap.servers": f"127.0.0.1:{choose_free()}", "log_level": 0}
    with pytest.raises(KafkaUnreachable):
        require_mode(settings, CODEC, "shop", Mode.REPLAY, answer_s=0.5)
