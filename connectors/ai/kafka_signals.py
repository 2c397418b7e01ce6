"""KafkaSignals: carries signals into `signals.inbox` over Kafka, as the engine's own writers do.

Partition by murmur2 of the instrument, acks=all, idempotent, Avro in the Confluent wire format with the ids of the
registry. Each signal is acknowledged by the brokers before it is told to be durable.
"""

import threading
from collections.abc import Mapping
from concurrent.futures import Future
from types import TracebackType

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from connectors.ai.publisher import Ack, NotAcknowledged
from connectors.errors import Unavailable
from connectors.registry.client import ConfluentRegistry, Registry
from connectors.registry.publish import codec_of
from schemas.codec import Codec
from schemas.ids import short_id
from schemas.signal import Signal
from schemas.topics import SIGNALS_INBOX

DELIVERY_TIMEOUT_MS = 30_000
POLL_S = 0.1


class KafkaSignals:
    """A SignalWriter over Kafka. Close it, or use it as a context manager, so that nothing is left unsent.

    registry: an address, or a Registry.
    environment: whose inbox it is.
    settings: further ones of librdkafka (SASL, TLS).

    Making one raises RegistryError where the registry does not answer or lacks our schemas.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        registry: str | Registry,
        *,
        environment: str = "local",
        settings: Mapping[str, str] | None = None,
    ) -> None:
        asked = ConfluentRegistry(registry) if isinstance(registry, str) else registry
        self._codec: Codec = codec_of(asked)
        self._topic = SIGNALS_INBOX.full_name(environment)
        self._producer = Producer(
            {
                **(settings or {}),
                "bootstrap.servers": bootstrap_servers,
                "partitioner": "murmur2_random",
                "acks": "all",
                "enable.idempotence": True,
                "delivery.timeout.ms": DELIVERY_TIMEOUT_MS,
                "linger.ms": 0,
                "socket.nagle.disable": True,
                "log_level": 2,
            }
        )
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._acknowledge, name="signals", daemon=True)
        self._thread.start()

    def send(self, signal: Signal) -> "Future[Ack]":
        """See SignalWriter. Raises Unavailable where the queue is full, CodecError for what the wire cannot hold."""
        done: Future[Ack] = Future()

        def settled(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                done.set_exception(NotAcknowledged(signal.signal_id, error.str()))
                return
            done.set_result(
                Ack(
                    signal_id=signal.signal_id,
                    sequence=signal.sequence,
                    topic=message.topic() or self._topic,
                    partition=message.partition() or 0,
                    offset=message.offset() or 0,
                )
            )

        try:
            self._producer.produce(
                self._topic,
                key=signal.instrument_id.encode(),
                value=self._codec.encode(signal),
                headers=_headers(signal),
                on_delivery=settled,
            )
        except (BufferError, KafkaException) as error:
            raise Unavailable(f"signal {signal.signal_id} was not sent: {error}; publish it again") from error
        return done

    def close(self) -> None:
        """Await what is under way, and stop."""
        self._producer.flush(DELIVERY_TIMEOUT_MS / 1_000)
        self._closing.set()
        self._thread.join()

    def __enter__(self) -> "KafkaSignals":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _acknowledge(self) -> None:
        """Take acknowledgements until closed."""
        while not self._closing.is_set():
            self._producer.poll(POLL_S)


def _headers(signal: Signal) -> list[tuple[str, str | bytes | None]]:
    """What every record carries: its id, from its source, and its event time."""
    key = signal.source_key()
    assert key is not None, "a signal is named by its provider"
    return [("event_id", short_id(key).encode()), ("event_time", b"%d" % signal.event_time_us)]
