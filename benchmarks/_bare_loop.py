"""The limit: a bare confluent-kafka loop that makes the calls which the job cannot do without, and nothing else.

    python -m benchmarks._bare_loop transactional|plain|relay

The codec, the records and the settings of the clients are the project's own; there are no ids, no checks, no
assignment, no recovery, no metrics. BARE_ENVIRONMENT, BARE_BOOTSTRAP. `transactional`: states, results and offsets in
one transaction. `plain`: the same, flushed, then the offsets. `relay`: results alone, as a hop that keeps no state.
"""

import os
import sys
from decimal import Decimal
from typing import Any

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition

from streams.runtime.carrier import BATCH_MAX
from streams.runtime.clients import Cluster, plain_producer, room_consumer, room_producer
from tests.streams.runtime.sums import Account, Payment, summed, sums_codec

CODEC = sums_codec()
ENCODE = msgspec.msgpack.Encoder().encode
HEADERS: list[tuple[str, str | bytes | None]] = [
    ("event_id", b"abcdefghijklmnopqrstuvwxyz"),
    ("event_time", b"1600000000000000"),
    ("cause", b"b0123456789.sums.inbox/0/100000"),
]


def batches(consumer: Consumer) -> Any:
    """Messages as they come, at most as many at once as a room takes."""
    while True:
        one = consumer.poll(0.05)
        if one is None:
            continue
        found = [one, *consumer.consume(BATCH_MAX - 1, 0)]
        messages = [message for message in found if message.error() is None]
        if messages:
            yield messages


def main(mode: str) -> None:
    """Do the job until ended."""
    environment, cluster = os.environ["BARE_ENVIRONMENT"], Cluster(os.environ["BARE_BOOTSTRAP"])
    inbox, results = f"{environment}.sums.inbox", f"{environment}.sums.results"
    kept, group = f"{environment}-sums-changelog", f"{environment}.bare.{mode}"
    consumer = room_consumer(cluster, group, f"{group}.w0", lambda _: None)
    consumer.subscribe([inbox], on_assign=_from_the_beginning)
    if mode == "transactional":
        producer: Producer = room_producer(cluster, f"{group}.w0", lambda _: None)
        producer.init_transactions(30)
    else:
        producer = plain_producer(cluster, lambda _: None)
    sums: dict[str, Decimal] = {}
    for messages in batches(consumer):
        changed: dict[str, int] = {}
        if mode == "transactional":
            producer.begin_transaction()
        for message in messages:
            record = CODEC.decode(message.value())
            if not isinstance(record, Payment):
                continue
            account = record.account_id
            total = sums[account] = sums.get(account, Decimal(0)) + record.amount
            changed[account] = message.partition()
            producer.produce(results, CODEC.encode(summed(record, total)), account.encode(), headers=HEADERS)
        if mode != "relay":
            offset = messages[-1].offset()
            for account, partition in changed.items():
                state = ENCODE((1, offset, Account(account, sums[account])))
                producer.produce(kept, state, account.encode() + b"\x00state", partition)
        if mode != "transactional":
            producer.flush()
        offsets = {message.partition(): TopicPartition(inbox, message.partition(), message.offset() + 1)
                   for message in messages}  # fmt: skip
        if mode == "transactional":
            producer.send_offsets_to_transaction(list(offsets.values()), consumer.consumer_group_metadata(), 10)
            producer.commit_transaction(10)
        elif mode == "plain":
            consumer.commit(offsets=list(offsets.values()), asynchronous=False)


def _from_the_beginning(consumer: Consumer, places: list[TopicPartition]) -> None:
    consumer.incremental_assign([TopicPartition(place.topic, place.partition, 0) for place in places])


if __name__ == "__main__":
    main(sys.argv[1])
