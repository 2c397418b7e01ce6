"""Payments that never stop: an idempotent writer that goes on whatever becomes of Kafka, and counts what it took."""

import random
import threading
import time
from collections import Counter

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from schemas.codec import Codec
from streams.runtime.clients import PARTITIONER
from tests.streams.runtime.sums import SUMS_INBOX, limit, payment

ACCOUNTS = 40
DELIVERED_S = 120


class Payer:
    """Pays to and from accounts `a0`, `a1` and so on, in bursts of 1 to 40.

    rate: payments each second.
    """

    def __init__(self, bootstrap_servers: str, inbox: str, codec: Codec, seed: int, rate: float):
        self.sent = 0
        self.refused: Counter[str] = Counter()
        """By Kafka's error: payments that were not acknowledged, and may be in the inbox or not."""
        self.undelivered = 0
        self._bootstrap_servers = bootstrap_servers
        self._inbox = inbox
        self._codec = codec
        self._random = random.Random(seed)
        self._rate = rate
        self._paying = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def accepted(self) -> int:
        """Payments that Kafka has acknowledged: all of them must be in the inbox."""
        return self.sent - self.refused.total()

    @property
    def is_paying(self) -> bool:
        """Whether payments still come."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin to pay."""
        self._paying.set()
        self._thread.start()

    def stop(self) -> None:
        """Pay no more, and wait until Kafka has accepted or refused everything. Twice is once."""
        self._paying.clear()
        self._thread.join()

    def _run(self) -> None:
        producer = self._producer()
        for partition in range(SUMS_INBOX.partitions):
            producer.produce(self._inbox, self._codec.encode(limit(10**9)), partition=partition)
        due = time.monotonic()
        while self._paying.is_set():
            for _ in range(self._random.choice([1, 1, 1, 5, 40])):
                try:
                    self._pay(producer)
                except KafkaException:
                    # It can no longer keep its promise; what it had is told as refused.
                    producer.flush(DELIVERED_S)
                    producer = self._producer()
                    break
                due += 1 / self._rate
            producer.poll(0)
            time.sleep(max(0.0, due - time.monotonic()))
            due = max(due, time.monotonic() - 1)
        self.undelivered = producer.flush(DELIVERED_S)

    def _pay(self, producer: Producer) -> None:
        account = f"a{self._random.randrange(ACCOUNTS)}"
        record = payment(account, self._random.randrange(-500, 1000), f"p{self.sent}")
        producer.produce(self._inbox, self._codec.encode(record), account.encode(), on_delivery=self._note)
        self.sent += 1

    def _note(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self.refused[error.name()] += 1

    def _producer(self) -> Producer:
        return Producer(
            {
                "bootstrap.servers": self._bootstrap_servers,
                "acks": "all",
                "enable.idempotence": True,
                "partitioner": PARTITIONER,
                "linger.ms": 1,
                "message.timeout.ms": DELIVERED_S * 1000,
                "reconnect.backoff.max.ms": 1_000,
                "log_level": 2,
            }
        )
