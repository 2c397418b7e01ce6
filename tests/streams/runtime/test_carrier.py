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
from confluent_kafka import Consumer

from connectors.embedded.kafka import KafkaServer
from streams.runtime import carrier
from streams.runtime.app import RoomApp
from streams.runtime.clients import Cluster, room_consumer
from streams.runtime.intake import Arrival
from tests.paths import ROOT
from tests.streams.runtime.loops import in_a_loop
from tests.streams.runtime.sums import SUMS_MAP, SumsRoom, payment, sums_codec


class Noting:
    """A consumer that notes in which thread it is called."""

    def __init__(self, consumer: Consumer, threads: set[int]):
        self._consumer = consumer
        self._threads = threads

    def __getattr__(self, name: str) -> Any:
        self._threads.add(threading.get_ident())
        return getattr(self._consumer, name)


@contextmanager
def another_member(kafka: KafkaServer, room: Any) -> Iterator[threading.Event]:
    """Somebody joins the group, and takes partitions away; the event tells when. At the end he leaves."""
    there, given = threading.Event(), threading.Event()
    there.set()

    def belong() -> None:
        member = Consumer(
            {
                "bootstrap.servers": kafka.bootstrap_servers,
                "group.id": room.group,
                "partition.assignment.strategy": "cooperative-sticky",
                "session.timeout.ms": 6000,
                "heartbeat.interval.ms": 500,
                "enable.auto.commit": False,
            }
        )
        member.subscribe([room.source])
        while there.is_set():
            member.poll(0.05)
            if member.assignment():
                given.set()
        member.close()

    thread = threading.Thread(target=belong)
    thread.start()
    try:
        yield given
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
    with another_member(kafka, room) as given:
        await until(given.is_set)
    await until(lambda: len(room.partitions()) == 4 and not room.has_lag)
    await app.stop()
    assert len(answers) == 1
    assert answers[0] is not None
    assert threads == {room.carrier._thread.ident}


def test_a_partition_whose_commands_are_begun_has_moved_though_nothing_of_it_is_folded() -> None:
    """Or the watchdog would take an effect in full swing for one that stands still."""
    handed: list[carrier.Batch] = []
    one = carrier.Carrier(
        Cluster("127.0.0.1:1"), topic="t", group="g", instance=None, process="", read=lambda _: [],
        recover=lambda _: None, hand_over=handed.append,
    )  # fmt: skip
    one.owned = {n: carrier.Owned(1, carrier.Standing.LIVE, folded=3, moved_at=0.0) for n in range(2)}
    one.finished(carrier.Batch([], None, {0: 1, 1: 0}), {})
    assert one.owned[0].moved_at > 0
    assert one.owned[0].folded == 3
    assert one.owned[1].moved_at == 0, "it was another's when the batch was read"


def test_a_room_for_which_nobody_waits_lets_records_gather_unless_it_rested_or_a_whole_batch_is_there() -> None:
    handed: list[carrier.Batch] = []
    one = carrier.Carrier(
        Cluster("127.0.0.1:1"), topic="t", group="g", instance=None, process="", read=lambda _: [],
        recover=lambda _: None, hand_over=handed.append, batch_max=3, gather_s=3600.0,
    )  # fmt: skip
    one.owned = {0: carrier.Owned(1, carrier.Standing.LIVE)}

    def came(*offsets: int) -> list[list[int]]:
        one._pending.extend(Arrival(0, n, "a", payment("a", 1, f"p{n}", 1), None, None, 0) for n in offsets)
        with one._changed:
            one._offer()
        return [[entry.offset for entry in batch.entries] for batch in handed]

    assert came(0) == [[0]], "it had rested"
    one.finished(handed[0], {0: 1})
    assert came(1) == came(2) == [[0]]
    assert came(3, 4) == [[0], [1, 2, 3]], "a whole batch"
    one.finished(handed[1], {0: 4})
    assert came() == [[0], [1, 2, 3]]
    one._next_at = 0.0
    assert came() == [[0], [1, 2, 3], [4]], "they have gathered"


async def until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(0.01)


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
