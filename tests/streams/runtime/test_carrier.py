"""The consumer thread: it alone touches its consumer, and answers while partitions are being taken away."""

import ast
import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer

from connectors.embedded.kafka import KafkaServer
from streams.runtime import carrier
from streams.runtime.app import RoomApp
from streams.runtime.clients import Cluster, room_consumer, room_producer
from tests.paths import ROOT
from tests.streams.runtime.loops import in_a_loop
from tests.streams.runtime.sums import SUMS_MAP, SumsRoom, payment, sums_codec

TRANSACTIONS = 20


class Noting:
    """A consumer that notes in which thread it is called."""

    def __init__(self, consumer: Consumer, threads: set[int]):
        self._consumer = consumer
        self._threads = threads

    def __getattr__(self, name: str) -> Any:
        self._threads.add(threading.get_ident())
        return getattr(self._consumer, name)


@contextmanager
def another_member(kafka: KafkaServer, room: Any) -> Iterator[None]:
    """Somebody joins the group, and takes partitions away; at the end he leaves."""
    there = threading.Event()
    there.set()

    def belong() -> None:
        member = Consumer(
            {
                "bootstrap.servers": kafka.bootstrap_servers,
                "group.id": room.group,
                "partition.assignment.strategy": "cooperative-sticky",
                "enable.auto.commit": False,
            }
        )
        member.subscribe([room.source])
        while there.is_set():
            member.poll(0.05)
        member.close()

    thread = threading.Thread(target=belong)
    thread.start()
    try:
        yield
    finally:
        there.clear()
        thread.join()


@pytest.mark.servers
@in_a_loop
async def test_only_the_consumer_thread_touches_the_consumer_and_it_answers_while_partitions_are_revoked(
    kafka: KafkaServer, tmp_path: Path, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: set[int] = set()
    monkeypatch.setattr(carrier, "room_consumer", lambda *args: Noting(room_consumer(*args), threads))
    app = RoomApp(
        topic_prefix.rstrip("."), kafka.bootstrap_servers, sums_codec(), tmp_path, topic_map=SUMS_MAP, replication=1
    )
    answers: list[Any] = []

    def ask_while_revoked(stage: str) -> None:
        """As a refused transaction does: in the room's own thread, with the batch in hand."""
        if stage == "begin" and not answers:
            while not room.carrier._quiet:
                time.sleep(0.001)
            answers.append(room.carrier.fresh_metadata())

    room = app.room(SumsRoom(), stage=ask_while_revoked)
    app.carry(room)
    await app.start()
    await until(lambda: room.is_ready)
    source = app.source("payers")
    for n in range(20):
        source.write(payment(f"a{n}", 1, f"p{n}"))
    source.close()
    await until(lambda: room.carrier.in_hand_since is not None)
    with another_member(kafka, room):
        await until(lambda: 0 < len(room.partitions()) < 4)
    await until(lambda: len(room.partitions()) == 4 and not room.has_lag)
    await app.stop()
    assert len(answers) == 1
    assert answers[0] is not None
    assert threads == {room.carrier._thread.ident}


async def until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(0.01)


@pytest.mark.servers
def test_back_to_back_transactions_do_not_pay_the_stock_retry_backoff(kafka: KafkaServer, topic_prefix: str) -> None:
    cluster = Cluster(kafka.bootstrap_servers)
    stock = Producer({"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": f"{topic_prefix}stock"})
    ours = room_producer(cluster, f"{topic_prefix}ours", lambda _: None)
    app_topic = topic_prefix + "results"
    make_topic(kafka, app_topic)
    took = []
    for producer in (ours, stock):
        producer.init_transactions(30)
        began = time.perf_counter()
        for _ in range(TRANSACTIONS):
            producer.begin_transaction()
            producer.produce(app_topic, b"x")
            producer.flush()
            producer.commit_transaction(30)
        took.append(time.perf_counter() - began)
    assert took[0] * 2 < took[1], took


def make_topic(kafka: KafkaServer, name: str) -> None:
    from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # noqa: PLC0415 - not marked

    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    for made in admin.create_topics([NewTopic(name, 1, 1)]).values():
        made.result(10)


def test_nobody_waits_a_whole_timeout_for_a_full_batch() -> None:
    """librdkafka's `consume(n, t)` returns early only with all n; after a `poll` it is asked for what is there."""
    waiting = [
        f"{path.name}:{call.lineno}"
        for path in (ROOT / "streams" / "runtime").glob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "consume"
        if not (len(call.args) == 2 and isinstance(call.args[1], ast.Constant) and call.args[1].value == 0)
    ]
    assert waiting == []
