"""Promise: 500,000 quotes a second through `market_data`, in batches, on one core.

    python -m benchmarks.market_data

Measured on a real Kafka, from the consumer to the encoded outputs: batches of 1,000 quotes are read, decoded, folded
by the room, and what it says is encoded. The limit, read in the same run and in turns with ours, is the plainest loop
there is with one record for each quote: confluent-kafka and fastavro, to a dict, and nothing is done with it. This
process and its Kafka client are pinned to one core; the server has the others. `fold` is the room alone, without Kafka
and Avro. Prints one JSON object; ends with 1 when the target is missed.
"""

from __future__ import annotations

import json
import os
import platform
import random
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # exported, not marked so
from fastavro import parse_schema, schemaless_reader, schemaless_writer

from connectors.embedded.kafka import KafkaServer
from schemas.codec import Codec
from schemas.market import QuoteBatch
from schemas.reference import ContractKind, Instrument, InstrumentClass
from schemas.scalars import DAY_US, SECOND_US
from streams.market_data.room import MarketData
from streams.runtime.partition import Partition

TARGET = 500_000
"""Quotes a second."""
ROWS = 1_000
BATCHES = 400
ROUNDS = 5
RAW_QUOTES = 100_000
NOON_US = 18_267 * DAY_US + 12 * 3600 * SECOND_US
CONSUME_MAX = 500

QUOTE = parse_schema(
    {
        "type": "record",
        "name": "Quote",
        "fields": [
            {"name": "instrument_id", "type": "string"},
            {"name": "time_us", "type": "long"},
            {"name": "bid", "type": "long"},
            {"name": "ask", "type": "long"},
            {"name": "bid_size", "type": "long"},
            {"name": "ask_size", "type": "long"},
        ],
    }
)
"""What the raw loop reads: the columns of a batch, one row a record."""


def euro() -> Instrument:
    """What the quotes are of."""
    return Instrument(
        event_time_us=1, instrument_id="EURUSD", symbol="EUR/USD", venue="PAPER", instrument_class=InstrumentClass.FX,
        quote_currency="USD", settlement_currency="USD", contract=ContractKind.LINEAR, tick_size=Decimal("0.00001"),
        lot_size=Decimal(1), multiplier=Decimal(1), price_decimals=5, quantity_decimals=0, calendar="24/5",
        price_may_be_negative=False, shortable=True, has_volume=False, version=1,
    )  # fmt: skip


def batches(count: int) -> list[QuoteBatch]:
    """Quotes about ten milliseconds apart that wander; one in a thousand is crossed."""
    chance = random.Random(7)
    time_us, price, made = NOON_US, 108_675, []
    for number in range(count):
        times, bids, asks = [], [], []
        for _ in range(ROWS):
            time_us += chance.randrange(1_000, 20_000)
            price += chance.choice((-1, 0, 0, 1))
            times.append(time_us)
            bids.append(price)
            asks.append(price + (-1 if chance.random() < 0.001 else chance.choice((1, 2))))
        sizes = [chance.randrange(1, 50) for _ in range(ROWS)]
        made.append(
            QuoteBatch(
                event_time_us=time_us, instrument_id="EURUSD", feed_id="bench", sequence=1 + number * ROWS,
                price_exponent=-5, size_exponent=0, times_us=times, bids=bids, asks=asks, bid_sizes=sizes,
                ask_sizes=sizes,
            )
        )  # fmt: skip
    return made


def room() -> Partition[Any, Any]:
    """A fresh room that knows the instrument."""
    partition = Partition(MarketData())
    partition.fold(None, euro())
    return partition


def fill(server: KafkaServer, topic: str, values: Iterator[bytes]) -> None:
    """Write these to the one partition of a new topic."""
    admin = AdminClient({"bootstrap.servers": server.bootstrap_servers})
    admin.create_topics([NewTopic(topic, num_partitions=1, config={"max.message.bytes": "10000000"})])[topic].result(30)
    producer = Producer(
        {
            "bootstrap.servers": server.bootstrap_servers,
            "linger.ms": 20,
            "message.max.bytes": 10_000_000,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    for value in values:
        producer.produce(topic, value)
        producer.poll(0)
    assert producer.flush(120) == 0


def consumed(server: KafkaServer, topic: str, count: int) -> Iterator[bytes]:
    """Values of the topic from its start, read as fast as a consumer can."""
    consumer = Consumer(
        {"bootstrap.servers": server.bootstrap_servers, "group.id": uuid.uuid4().hex, "enable.auto.commit": False}
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    try:
        left = count
        while left:
            for message in consumer.consume(min(left, CONSUME_MAX), 30):
                assert message.error() is None, message.error()
                left -= 1
                yield message.value() or b""
    finally:
        consumer.close()


def through_the_room(server: KafkaServer, topic: str, codec: Codec) -> int:
    """Read, decode, fold, encode; return the number of quotes."""
    partition, quotes, said = room(), 0, 0
    for value in consumed(server, topic, BATCHES):
        record = codec.decode(value)
        assert isinstance(record, QuoteBatch)
        for output in partition.fold(record.instrument_id, record):
            said += len(codec.encode(output))
        quotes += len(record.times_us)
    assert said
    return quotes


def raw_loop(server: KafkaServer, topic: str) -> int:
    """Read and decode one record a quote; return how many."""
    quotes = 0
    for value in consumed(server, topic, RAW_QUOTES):
        fields: Any = schemaless_reader(BytesIO(value), QUOTE, None)
        quotes += fields["ask"] >= 0
    return quotes


def raw_values(made: list[QuoteBatch]) -> Iterator[bytes]:
    """The quotes, one record each."""
    left = RAW_QUOTES
    for batch in made:
        for row in range(min(left, ROWS)):
            out = BytesIO()
            schemaless_writer(
                out,
                QUOTE,
                {
                    "instrument_id": batch.instrument_id,
                    "time_us": batch.times_us[row],
                    "bid": batch.bids[row],
                    "ask": batch.asks[row],
                    "bid_size": batch.bid_sizes[row],
                    "ask_size": batch.ask_sizes[row],
                },
            )
            yield out.getvalue()
        left -= min(left, ROWS)


def folded(made: list[QuoteBatch]) -> int:
    """The room alone."""
    partition = room()
    for batch in made:
        partition.fold(batch.instrument_id, batch)
    return len(made) * ROWS


def a_second(work: Callable[[], int]) -> float:
    """Quotes a second."""
    begun = time.perf_counter()
    quotes = work()
    return quotes / (time.perf_counter() - begun)


def main() -> int:
    made, codec = batches(BATCHES), Codec.local()
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="ql-bench-") as folder:
        kafka_dir = Path(os.environ["QL_KAFKA_DIR"]) if "QL_KAFKA_DIR" in os.environ else None
        with KafkaServer.start(Path(folder), port=0, kafka_dir=kafka_dir) as server:
            fill(server, "batches", (codec.encode(batch) for batch in made))
            fill(server, "quotes", raw_values(made))
            os.sched_setaffinity(0, cores[:1])
            works: dict[str, Callable[[], int]] = {
                "quotes_per_s": lambda: through_the_room(server, "batches", codec),
                "raw_loop_per_s": lambda: raw_loop(server, "quotes"),
                "fold_per_s": lambda: folded(made),
            }
            taken: dict[str, list[float]] = {name: [] for name in works}
            for _ in range(ROUNDS):
                for name, work in works.items():
                    taken[name].append(a_second(work))
            os.sched_setaffinity(0, cores)
    found = {name: round(statistics.median(rates)) for name, rates in taken.items()}
    met = found["quotes_per_s"] >= TARGET
    print(
        json.dumps(
            {
                "benchmark": "market_data",
                "target_per_s": TARGET,
                **found,
                "times_the_raw_loop": round(found["quotes_per_s"] / found["raw_loop_per_s"], 1),
                "rounds": ROUNDS,
                "rows_a_batch": ROWS,
                "cores_of_this_process": 1,
                "python": platform.python_version(),
                "met": met,
            }
        )
    )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
