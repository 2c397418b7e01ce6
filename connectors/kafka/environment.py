"""The mode of an environment: fixed when it is made, and asked by every process before it does anything.

The record is written in a transaction whose id only makers of this environment use: a second maker fences the first, so
two that begin at once cannot both write, and the topic holds one record for ever.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from connectors.kafka.errors import EnvironmentUnreadable, KafkaUnreachable, ModeDiffers, NoEnvironment, explained
from schemas.codec import Codec, CodecError
from schemas.control import Environment, Mode
from schemas.topics import CONTROL_ENVIRONMENT

ANSWER_S = 15.0
GROUP = "none"
"""librdkafka asks for a group's name even of readers that join none."""
_LOOKS = 10
_LOOK_AGAIN_S = 0.1


def fix_mode(
    settings: Mapping[str, Any],
    codec: Codec,
    wanted: Environment,
    answer_s: float = ANSWER_S,
) -> Environment:
    """Make the environment, or find it made: the record that holds, written at most once for all makers.

    Raises ModeDiffers where it was made for another mode, EnvironmentUnreadable, NotPermitted, KafkaUnreachable.
    """
    with _explained(settings, f"making the environment {wanted.name}"):
        producer = Producer(
            {
                **settings,
                "log_level": 2,
                "transactional.id": f"{wanted.name}.control.environment",
                "transaction.timeout.ms": int(answer_s * 1000),
                "partitioner": "murmur2_random",
            }
        )
        producer.init_transactions(answer_s)
        found = _read(settings, codec, wanted.name, answer_s)
        if found is None:
            producer.begin_transaction()
            producer.produce(
                CONTROL_ENVIRONMENT.full_name(wanted.name), key=wanted.name.encode(), value=codec.encode(wanted)
            )
            producer.commit_transaction(answer_s)
            found = wanted
    return _of_mode(found, wanted.mode)


def require_mode(
    settings: Mapping[str, Any], codec: Codec, environment: str, mode: Mode, answer_s: float = ANSWER_S
) -> Environment:
    """The environment's record. Raises as `fix_mode` does, and NoEnvironment where it was never made."""
    with _explained(settings, f"asking for the mode of the environment {environment}"):
        found = _read(settings, codec, environment, answer_s)
    if found is None:
        raise NoEnvironment(
            f"the environment {environment} was never made; run `quantumleap topics apply` with the mode it is to have"
        )
    return _of_mode(found, mode)


def _of_mode(found: Environment, mode: Mode) -> Environment:
    if found.mode is not mode:
        raise ModeDiffers(
            f"the environment {found.name} was made for {found.mode} by {found.author}, and this process is to run "
            f"{mode}; name another environment (QL_ENVIRONMENT), or set QL_MODE={found.mode.lower()}"
        )
    return found


def _read(settings: Mapping[str, Any], codec: Codec, environment: str, answer_s: float) -> Environment | None:
    """The committed record of this environment, if there is one."""
    topic = CONTROL_ENVIRONMENT.full_name(environment)
    consumer = Consumer(
        {
            **settings,
            "log_level": 2,
            "group.id": GROUP,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "allow.auto.create.topics": False,
            # An empty topic says so within this time, not within half a second.
            "fetch.wait.max.ms": 50,
        }
    )
    found: Environment | None = None
    try:
        _require_topic(consumer, topic, answer_s)
        consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
        until = monotonic() + answer_s
        while True:
            message = consumer.poll(max(0.0, until - monotonic()))
            if message is None:
                raise KafkaUnreachable(f"{topic} could not be read to its end within {answer_s:g} s; try again")
            error = message.error()
            if error is None:
                found = _environment(message, codec, environment) or found
            elif error.code() == KafkaError._PARTITION_EOF:
                return found
            elif not error.retriable() and error.code() not in (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN):
                raise KafkaException(error)
    finally:
        consumer.close()


def _require_topic(consumer: Consumer, topic: str, answer_s: float) -> None:
    """Raise NoEnvironment unless the topic exists; a broker may learn of a new one a moment late."""
    for _ in range(_LOOKS):
        if consumer.list_topics(topic, timeout=answer_s).topics[topic].error is None:
            return
        sleep(_LOOK_AGAIN_S)
    raise NoEnvironment(f"{topic} does not exist; run `quantumleap topics apply`")


def _environment(message: Message, codec: Codec, environment: str) -> Environment | None:
    """The record in the message if it is this environment's, None if it is another key's."""
    if message.key() != environment.encode():
        return None
    try:
        record = codec.decode(message.value())
    except CodecError as error:
        raise EnvironmentUnreadable(f"the record of environment {environment} cannot be read: {error}") from error
    if not isinstance(record, Environment) or record.name != environment:
        raise EnvironmentUnreadable(f"the record of environment {environment} is {type(record).__name__} of another")
    return record


@contextmanager
def _explained(settings: Mapping[str, Any], what: str) -> Iterator[None]:
    """Our errors for the client's."""
    try:
        yield
    except KafkaException as error:
        raise explained(what, str(settings.get("bootstrap.servers", "")), error) from error
