"""A small log on a real Kafka for sink tests: topics of one environment, and records written to them."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.sink import Policy, Progress, Sink
from schemas.execution import Fill
from schemas.order import Side
from schemas.record import Record
from schemas.topics import ACCOUNTS_EVENTS, FILLS, PNL, Topic
from tests.connectors.clickhouse.kept import CODEC, schema_text
from tests.paths import ROOT

TOPICS = (ACCOUNTS_EVENTS, FILLS, PNL)
SMALL = Policy(records_max=50, age_max_s=0.2, retry_s=0.05, retry_max_s=0.2)


def fill(number: int, account: str = "alice") -> Fill:
    return Fill(
        event_time_us=1_600_000_000_000_000 + number, account_id=account, fill_id=f"f{number}", client_order_id="o",
        venue="PAPER", instrument_id="TEAPOT", side=Side.BUY, quantity=Decimal(1), price=Decimal(number),
        currency="USD", fee=Decimal(0), fee_currency="USD", realised_pnl=Decimal(0), position_quantity=Decimal(number),
    )  # fmt: skip


class Log:
    """Topics of one environment, two partitions each."""

    def __init__(self, bootstrap_servers: str, environment: str):
        self.bootstrap_servers = bootstrap_servers
        self.environment = environment
        self._admin = AdminClient({"bootstrap.servers": bootstrap_servers})
        self.make(*TOPICS)
        self._producer: Any = Producer({"bootstrap.servers": bootstrap_servers, "linger.ms": 2})

    def make(self, *topics: Topic) -> None:
        new = [NewTopic(topic.full_name(self.environment), 2, 1) for topic in topics]
        for future in self._admin.create_topics(new).values():
            future.result(30)

    def remake(self, topic: Topic) -> None:
        name = topic.full_name(self.environment)
        for future in self._admin.delete_topics([name]).values():
            future.result(30)
        until_s = time.monotonic() + 30
        while name in self._admin.list_topics(timeout=10).topics and time.monotonic() < until_s:
            time.sleep(0.05)
        self.make(topic)

    def write(self, topic: Topic, record: Record, event_id: str) -> None:
        headers = [("event_id", event_id.encode()), ("event_time", b"%d" % record.event_time_us)]
        self.write_bytes(topic, CODEC.encode(record), headers)

    def write_bytes(self, topic: Topic, value: bytes | None, headers: Any = None, partition: int | None = None) -> None:
        where = {} if partition is None else {"partition": partition}
        self._producer.produce(topic.full_name(self.environment), value=value, key=b"k", headers=headers, **where)
        self._producer.poll(0)

    def fills(self, numbers: range, topic: Topic = ACCOUNTS_EVENTS) -> None:
        """A fill for each number, spread over both partitions."""
        for number in numbers:
            headers = [("event_id", f"fill-{number}".encode())]
            self.write_bytes(topic, CODEC.encode(fill(number)), headers, partition=number % 2)
        self.flush()

    def aborted(self, topic: Topic, record: Record) -> None:
        """A record whose transaction was aborted."""
        config = {"bootstrap.servers": self.bootstrap_servers, "transactional.id": f"{self.environment}.aborts"}
        producer: Any = Producer(config)
        producer.init_transactions(30)
        producer.begin_transaction()
        producer.produce(topic.full_name(self.environment), value=CODEC.encode(record), partition=0)
        producer.flush(30)
        producer.abort_transaction(30)

    def flush(self) -> None:
        assert self._producer.flush(30) == 0

    def sink(self, server: ClickHouse, **more: Any) -> Sink:
        own = type(server)(server.url, server.database)
        options: dict[str, Any] = {"topics": TOPICS, "policy": SMALL, "member": "s0", "session_ms": 6_000, **more}
        return Sink(self.bootstrap_servers, self.environment, own, schema_text, **options)


@contextmanager
def running(sink: Sink) -> Iterator[Sink]:
    """The sink at work in a thread; what it raises is raised here at the end."""
    failed: list[BaseException] = []

    def work() -> None:
        try:
            sink.run()
        except BaseException as error:  # noqa: BLE001 - it is raised again where the test can see it
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield sink
    finally:
        sink.stop()
        thread.join(60)
    assert not thread.is_alive(), "the sink did not stop"
    if failed:
        raise failed[0]


def wait_until(true: Callable[[], bool], what: str, within_s: float = 60) -> None:
    until_s = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < until_s, f"{what}: not within {within_s} s"
        time.sleep(0.05)


def drained(sink: Sink) -> Progress:
    """Run the sink until it has written all there is."""
    with running(sink):
        wait_until(lambda: sink.caught_up, "the sink caught up")
    return sink.progress


CHILD = """
import os, sys
from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.sink import Policy, Sink
from tests.connectors.clickhouse.kept import schema_text
from tests.connectors.clickhouse.streams_of_records import SMALL, TOPICS

bootstrap_servers, environment, url, database, crash_at, when = sys.argv[1:]
server = ClickHouse(url, database)
calls = 0

def crashing(act):
    def wrapped(*args, **more):
        global calls
        calls += 1
        if calls == int(crash_at) and when == "before":
            os._exit(9)
        answer = act(*args, **more)
        if calls == int(crash_at):
            os._exit(9)
        return answer
    return wrapped

server.insert_rows = crashing(server.insert_rows)
server.command = crashing(server.command)
print("begins", flush=True)
options = {"topics": TOPICS, "policy": SMALL, "member": "s0", "session_ms": 6000}
Sink(bootstrap_servers, environment, server, schema_text, **options).run()
"""


def child(log: Log, server: ClickHouse, crash_at: int = 0, when: str = "before") -> subprocess.Popen[str]:
    """A sink in a process of its own that ends itself before or after its nth write to ClickHouse; 0 is never."""
    arguments = [log.bootstrap_servers, log.environment, server.url, server.database, str(crash_at), when]
    process = subprocess.Popen([sys.executable, "-c", CHILD, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "begins\n"
    process.stdout.close()
    return process
