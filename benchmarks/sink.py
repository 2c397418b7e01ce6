"""Promise: at least 100,000 rows a second from Kafka into ClickHouse, and rows that can be asked for within seconds.

    python -m benchmarks.sink [RECORDS]

Each record becomes two rows, one in the table of its type and one in `events`. Two limits are measured in the same run
on the same bytes: inserting the very same bodies in a bare loop, with no Kafka, bounds or positions (what
ClickHouse itself can take); and the loop one would write by hand, decoding with fastavro and inserting rows of typed
values with clickhouse-connect into the typed tables alone (half of the rows). Then records come at a steady rate, and
the age of the newest visible row is taken again and again. Prints one JSON object; ends with 1 when a target is missed.
"""

import json
import os
import platform
import sys
import tempfile
import threading
import time
import uuid
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import clickhouse_connect
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from connectors.clickhouse.chunks import Contents, Place, Taken, schema_ids
from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.migrate import migrate
from connectors.clickhouse.rows import container, layout
from connectors.clickhouse.sink import Policy, Sink
from connectors.clickhouse.tables import column_name, table_name
from connectors.embedded.clickhouse import ClickHouseServer
from connectors.embedded.kafka import KafkaServer
from schemas import topics
from schemas.avro_schema import avro_text, shapes
from schemas.codec import Codec
from schemas.execution import Fill
from schemas.market import Bar, BarKind
from schemas.order import OrderEvent, OrderStatus, OrderType, Side
from schemas.position import PositionState
from schemas.record import Record
from schemas.scalars import datetime_of
from schemas.topics import ACCOUNTS_EVENTS, MARKET_BARS, Topic

RECORDS = 300_000
TARGET_ROWS_PER_S = 100_000
STEADY_RECORDS_PER_S = 25_000
STEADY_S = 12
CODEC = Codec.local()
TYPES = list(topics.records())
START_US = 1_600_000_000_000_000


def schema_text(schema_id: int) -> str:
    return avro_text(TYPES[schema_id - 1])


def record(number: int) -> tuple[Topic, Record]:
    """The records of a busy account and its market, in turn."""
    at, price, account = START_US + number, Decimal(number % 10_000) / 100, f"account-{number % 16}"
    match number % 4:
        case 0:
            return MARKET_BARS, Bar(
                event_time_us=at, instrument_id=f"I{number % 64}", interval_us=60_000_000, kind=BarKind.TIME,
                open=price, high=price + 1, low=price - 1, close=price, volume=Decimal(1_000), count=7,
            )  # fmt: skip
        case 1:
            return ACCOUNTS_EVENTS, OrderEvent(
                event_time_us=at, account_id=account, client_order_id=f"order-{number}", instrument_id="I1",
                side=Side.BUY, order_type=OrderType.LIMIT, quantity=Decimal(10), status=OrderStatus.FILLED,
                trigger="TRADE", cumulative_quantity=Decimal(10), leaves_quantity=Decimal(0), average_price=price,
                limit_price=price, exec_id=f"exec-{number}", strategy_id="trend.wti", intent_id=f"intent-{number}",
            )  # fmt: skip
        case 2:
            return ACCOUNTS_EVENTS, Fill(
                event_time_us=at, account_id=account, fill_id=f"exec-{number}", client_order_id=f"order-{number}",
                venue="PAPER", instrument_id="I1", side=Side.SELL, quantity=Decimal(10), price=price, currency="USD",
                fee=Decimal("0.05"), fee_currency="USD", realised_pnl=Decimal("1.25"), position_quantity=Decimal(5),
                strategy_id="trend.wti", reference_price=price, multiplier=Decimal(1),
            )  # fmt: skip
        case _:
            return ACCOUNTS_EVENTS, PositionState(
                event_time_us=at, account_id=account, instrument_id="I1", quantity=Decimal(5), currency="USD",
                realised_pnl=Decimal("1.25"), fees=Decimal("0.05"), average_price=price, mark=price,
                unrealised_pnl=Decimal(2), notional=price * 5, conversion=Decimal(1), strategy_id="trend.wti",
            )  # fmt: skip


class Log:
    """The benchmark's topics on Kafka."""

    def __init__(self, bootstrap_servers: str, environment: str):
        self._environment = environment
        admin = AdminClient({"bootstrap.servers": bootstrap_servers})
        new = [NewTopic(t.full_name(environment), 4, 1) for t in (MARKET_BARS, ACCOUNTS_EVENTS)]
        for future in admin.create_topics(new).values():
            future.result(30)
        self._producer: Any = Producer(
            {"bootstrap.servers": bootstrap_servers, "linger.ms": 5, "queue.buffering.max.messages": 1_000_000}
        )

    def write(self, number: int) -> None:
        topic, said = record(number)
        headers = [
            ("event_id", b"bench-%022d" % number),
            ("event_time", b"%d" % said.event_time_us),
            ("cause", b"accounts.inbox/3/%d" % number),
        ]
        key = str(topic.key_of(said)).encode()
        name = topic.full_name(self._environment)
        while True:
            try:
                self._producer.produce(name, value=CODEC.encode(said), key=key, headers=headers)
                return
            except BufferError:
                self._producer.poll(0.05)

    def flush(self) -> None:
        self._producer.flush(120)


def drained(sink: Sink) -> float:
    """Seconds from the first row written until all is."""
    thread = threading.Thread(target=sink.run)
    thread.start()
    while not sink.partitions:
        time.sleep(0.005)
    begun = time.perf_counter()
    while not sink.caught_up:
        time.sleep(0.005)
    seconds = time.perf_counter() - begun
    sink.stop()
    thread.join()
    return seconds


def taken(count: int) -> dict[Place, list[Taken]]:
    """The same records as the sink takes them."""
    found: dict[Place, list[Taken]] = defaultdict(list)
    for number in range(count):
        topic, said = record(number)
        headers: list[tuple[str, bytes | None]] = [
            ("event_id", b"bench-%022d" % number),
            ("event_time", b"%d" % said.event_time_us),
            ("cause", b"accounts.inbox/3/%d" % number),
        ]
        at = Place(topic.name, number % 4)
        found[at].append(Taken(number, time.time_ns() // 1_000_000, b"key", CODEC.encode(said), headers))
    return found


def bare(server: ClickHouse, chunks: list[dict[Place, list[Taken]]]) -> float:
    """Rows a second of inserting ready bodies, one after the other, with nothing around it."""
    ready: list[tuple[str, str, bytes]] = []
    rows = 0
    for records in chunks:
        layouts = {schema_id: layout(schema_text(schema_id)) for schema_id in schema_ids(records)}
        contents = Contents(records, layouts)
        for insert in contents.inserts.values():
            ready.append((insert.table, "Avro", container(insert.opening, insert.rows)))
            rows += len(insert.rows)
        ready.append(("events", "RowBinary", contents.events()))
        rows += len(contents)
    begun = time.perf_counter()
    for table, form, block in ready:
        server.insert_rows(table, form, block, uuid.uuid4().hex)
    return rows / (time.perf_counter() - begun)


def by_hand(server: ClickHouse, chunks: list[dict[Place, list[Taken]]]) -> float:
    """Rows a second of decoding each record and inserting typed values with clickhouse-connect; typed tables only."""
    client = clickhouse_connect.get_client(dsn=server.url, database=server.database)
    rows = 0
    begun = time.perf_counter()
    for records in chunks:
        by_type: dict[type[Record], list[list[Any]]] = defaultdict(list)
        for place, takens in records.items():
            for one in takens:
                said = CODEC.decode(one.value)
                kinds = shapes(type(said))
                values = [
                    datetime_of(getattr(said, name)) if shape.time else getattr(said, name)
                    for name, shape in kinds.items()
                ]
                by_type[type(said)].append([str(one.offset), place.topic, place.partition, one.offset, *values])
        for kind, lines in by_type.items():
            names = [column_name(name, time=shape.time) for name, shape in shapes(kind).items()]
            columns = ["event_id", "topic", "partition", "offset", *names]
            client.insert(table_name(kind), lines, column_names=columns)
            rows += len(lines)
    client.close()
    return rows / (time.perf_counter() - begun)


def steady(log: Log, sink: Sink, server: ClickHouse, start: int) -> dict[str, float]:
    """Age of the newest visible row, in seconds, while records come at a steady rate."""
    written: list[float] = []
    ages: list[float] = []
    done = threading.Event()

    def produce() -> None:
        begun = time.perf_counter()
        for number in range(STEADY_RECORDS_PER_S * STEADY_S):
            ahead = begun + number / STEADY_RECORDS_PER_S - time.perf_counter()
            if ahead > 0.002:
                log.flush()
                time.sleep(ahead)
            log.write(start + number)
            written.append(time.perf_counter())
        log.flush()
        done.set()

    work = threading.Thread(target=sink.run)
    work.start()
    producer = threading.Thread(target=produce)
    producer.start()
    sql = f"SELECT toUnixTimestamp64Micro(max(event_time)) FROM `{server.database}`.order_event"
    while not done.is_set():
        ((newest,),) = server.rows(sql)
        number = int(newest) - START_US - start
        if number >= 0:
            ages.append(time.perf_counter() - written[number])
        time.sleep(0.1)
    producer.join()
    while not sink.caught_up:
        time.sleep(0.01)
    sink.stop()
    work.join()
    ages.sort()
    seconds = written[-1] - written[0]
    return {
        "rows_per_s": round(2 * len(written) / seconds),
        "p50_s": round(ages[len(ages) // 2], 2),
        "p99_s": round(ages[int(len(ages) * 0.99)], 2),
    }


def main() -> int:
    """Measure, print, and say whether the target is met."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else RECORDS
    with tempfile.TemporaryDirectory() as folder, KafkaServer.start(Path(folder) / "kafka", port=0) as kafka:
        running = ClickHouseServer.start(Path(folder) / "clickhouse", port=0)
        try:
            result = measured(kafka.bootstrap_servers, running.url, count)
        finally:
            running.stop()
    print(json.dumps(result, indent=2))
    return 0 if result["sink_rows_per_s"] >= TARGET_ROWS_PER_S else 1


def measured(bootstrap_servers: str, url: str, count: int) -> dict[str, Any]:
    """All figures of one run."""
    databases = {name: ClickHouse(url, f"ql_bench_{name}") for name in ("sink", "bare", "hand", "steady")}
    for server in databases.values():
        migrate(server)
    log = Log(bootstrap_servers, "bench")
    for number in range(count):
        log.write(number)
    log.flush()

    def sink(name: str, **more: Any) -> Sink:
        own = ClickHouse(url, f"ql_bench_{name}")
        wanted = (MARKET_BARS, ACCOUNTS_EVENTS)
        return Sink(bootstrap_servers, "bench", own, schema_text, topics=wanted, member=name, **more)

    first = sink("sink")
    cpu_s = time.process_time()
    seconds = drained(first)
    cpu_s = time.process_time() - cpu_s
    sink_rate = first.progress.rows / seconds
    chunks = [taken(Policy().records_max) for _ in range(max(1, count // Policy().records_max))]
    bare_rate = bare(databases["bare"], chunks)
    hand_rate = by_hand(databases["hand"], chunks[:2])
    drained(sink("steady"))
    visible = steady(log, sink("steady", policy=Policy(age_max_s=0.5)), databases["steady"], count)
    for server in databases.values():
        server.close()
    return {
        "benchmark": "sink",
        "records": count,
        "sink_rows_per_s": round(sink_rate),
        "target_rows_per_s": TARGET_ROWS_PER_S,
        "sink_cpu_us_per_row": round(cpu_s / first.progress.rows * 1e6, 2),
        "load_average": round(os.getloadavg()[0], 1),
        "bare_insert_rows_per_s": round(bare_rate),
        "ratio_to_bare_insert": round(sink_rate / bare_rate, 3),
        "by_hand_rows_per_s": round(hand_rate),
        "ratio_to_by_hand": round(sink_rate / hand_rate, 2),
        "record_to_row": visible,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
    }


if __name__ == "__main__":
    sys.exit(main())
