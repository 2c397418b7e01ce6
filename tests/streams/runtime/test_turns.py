"""On real Kafka: sources write, rooms and effects take turns, readers read, and a turn ends when all is committed."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace as replaced
from pathlib import Path
from typing import ClassVar

import pytest

from connectors.embedded.kafka import KafkaServer
from schemas.codec import Codec
from schemas.control import KillSwitch, KillVerb, Scope
from schemas.record import Record
from schemas.topics import CONTROL_KILL, Topic
from streams.runtime.app import RoomApp
from streams.runtime.clients import Cluster
from streams.runtime.effect import Context, KafkaEffect
from streams.runtime.headers import EVENT_ID, first
from streams.runtime.kafka_room import KafkaRoom
from streams.runtime.reader import KillSwitchReader, Start, read_topic
from streams.runtime.source import NoIdentity, RecordTooLarge, Source
from streams.runtime.verify import verify
from tests.streams.runtime.loops import in_a_loop
from tests.streams.runtime.sums import SUMS_INBOX, SUMS_MAP, SUMS_RESULTS, Summed, SumsRoom, limit, payment

pytestmark = pytest.mark.servers


class Paid(Record, frozen=True):
    """A sum has been paid out.

    account_id: whose
    payment_id: for which payment
    """

    source_id: ClassVar[tuple[str, ...]] = ()

    account_id: str
    payment_id: str


PAID = Topic(name="sums.paid", key="account_id", records=(Paid,), writers=("cashier",), readers=("anyone",))
KILL = replaced(CONTROL_KILL, writers=("control",))
WORLD: tuple[Topic, ...] = (*SUMS_MAP, PAID, KILL)
CODEC = Codec({record: n for n, record in enumerate(dict.fromkeys(r for t in WORLD for r in t.records), start=1)})


def app_of(kafka: KafkaServer, folder: Path, environment: str) -> RoomApp:
    return RoomApp(environment, kafka.bootstrap_servers, CODEC, folder, topic_map=WORLD, replication=1)


@asynccontextmanager
async def running(app: RoomApp, *doors: KafkaRoom | KafkaEffect) -> AsyncIterator[None]:
    """The app, until its doors own their partitions; then stopped."""
    for door in doors:
        app.carry(door)
    await app.start()
    try:
        for door in doors:
            while len(door.carrier.owned) < 4 or not all(o.caught_up for o in door.carrier.owned.values()):
                await asyncio.sleep(0.01)
        yield
    finally:
        await app.stop()


def environment_of(topic_prefix: str) -> str:
    return topic_prefix.rstrip(".")


@in_a_loop
async def test_a_turn_ends_when_all_that_was_written_is_folded_and_its_outputs_can_be_read(
    kafka: KafkaServer, tmp_path: Path, topic_prefix: str
) -> None:
    app = app_of(kafka, tmp_path, environment_of(topic_prefix))
    room = app.room(SumsRoom(), turns=True)
    async with running(app, room):
        source = app.source("payers")
        reader = app.reader(SUMS_RESULTS, "judge")
        totals = []
        for n in range(1, 6):
            for account in ("ann", "bob", "cid"):
                source.write(payment(account, n, f"{account}{n}"))
            await source.flushed()
            assert await room.drain() == 3
            assert room.gate.lag == 0
            assert reader.lag > 0
            while reader.lag:
                received = await reader.read()
                totals += [one.record.total for one in received if isinstance(one.record, Summed)]
                reader.done(received)
        assert sorted(totals) == sorted([1, 3, 6, 10, 15] * 3)
        assert await room.drain() == 0
        reader.close()
        source.close()
    verdict = verify(SumsRoom(), CODEC, app.cluster, app.environment, WORLD)
    assert verdict.ok, verdict.lines()


@pytest.mark.parametrize(("turns", "gather_s"), [(True, 0.0), (False, 3600.0)])
def test_a_room_that_gathers_keeps_nobody_waiting_in_its_turn(tmp_path: Path, turns: bool, gather_s: float) -> None:
    class Leisurely(SumsRoom):
        gather_s = 3600.0

    app = RoomApp("turns", "127.0.0.1:1", CODEC, tmp_path, topic_map=WORLD, replication=1)
    assert app.room(Leisurely(), turns=turns).carrier.gather_s == gather_s


@in_a_loop
async def test_a_room_that_is_held_folds_nothing_until_it_is_let_in(
    kafka: KafkaServer, tmp_path: Path, topic_prefix: str
) -> None:
    app = app_of(kafka, tmp_path, environment_of(topic_prefix))
    room = app.room(SumsRoom(), turns=True)
    async with running(app, room):
        source = app.source("payers")
        source.write(payment("ann", 1, "p1"))
        source.flush()
        while not room.carrier.pending:
            await asyncio.sleep(0.01)
        assert room.metrics.folded == 0
        assert room.has_lag
        room.open()
        await room.drained()
        assert room.metrics.folded == 1
        room.close()
        source.close()


@in_a_loop
async def test_a_broadcast_record_reaches_every_partition(
    kafka: KafkaServer, tmp_path: Path, topic_prefix: str
) -> None:
    app = app_of(kafka, tmp_path, environment_of(topic_prefix))
    room = app.room(SumsRoom(), turns=True)
    async with running(app, room):
        source = app.source("payers")
        source.write(limit(5))
        for n in range(20):
            source.write(payment(f"a{n}", 6, f"p{n}"))
        await source.flushed()
        assert await room.drain() == 24
        reader = app.reader(SUMS_RESULTS, "judge", Start.BEGINNING)
        codes = {one.record.code for one in reader.to_end() if isinstance(one.record, Summed)}
        reader.close()
        source.close()
    assert codes == {"ABOVE_LIMIT"}


@in_a_loop
async def test_a_source_that_repeats_itself_repeats_the_id(
    kafka: KafkaServer, tmp_path: Path, topic_prefix: str
) -> None:
    app = app_of(kafka, tmp_path, environment_of(topic_prefix))
    async with running(app):
        for _ in range(2):
            source = app.source("payers")
            source.write(payment("ann", 1, "p1"))
            source.close()
    written = read_topic(app.cluster, SUMS_INBOX.full_name(app.environment))
    assert len(written) == 2
    assert len({first(message.headers(), EVENT_ID) for message in written}) == 1


@in_a_loop
async def test_a_source_refuses_what_no_door_would_let_in(
    kafka: KafkaServer, tmp_path: Path, topic_prefix: str
) -> None:
    app = app_of(kafka, tmp_path, environment_of(topic_prefix))
    async with running(app):
        payers, cashier = app.source("payers"), app.source("cashier")
        with pytest.raises(RecordTooLarge):
            payers.write(payment("ann", 1, "x" * 1_000_001))
        with pytest.raises(NoIdentity):
            cashier.write(Paid(event_time_us=1, account_id="ann", payment_id="p1"))
        payers.close()
        cashier.close()


@in_a_loop
async def test_records_written_together_are_there_together_or_not_at_all(
    kafka: KafkaServer, tmp_path: Path, topic_prefix: str
) -> None:
    app = app_of(kafka, tmp_path, environment_of(topic_prefix))
    async with running(app):
        source = Source(
            app.cluster, CODEC, app.environment, "payers", topic_map=WORLD, atomic_slot="c0", progress=app.progress
        )
        with pytest.raises(RecordTooLarge):
            write_together(source, payment("ann", 1, "lost"), payment("ann", 1, "x" * 1_000_001))
        write_together(source, payment("ann", 1, "p1"), payment("bob", 1, "p2"))
        source.close()
    written = read_topic(app.cluster, SUMS_INBOX.full_name(app.environment))
    assert len(written) == 2


@in_a_loop
async def test_an_effect_records_outcomes_and_releases_offsets_in_order(
    kafka: KafkaServer, tmp_path: Path, topic_prefix: str
) -> None:
    app = app_of(kafka, tmp_path, environment_of(topic_prefix))
    begun: list[str] = []
    slow = asyncio.Event()

    async def pay(record: Record, context: Context) -> Sequence[Record]:
        assert isinstance(record, Summed)
        begun.append(record.payment_id)
        assert not context.redelivered
        assert context.still_owner()
        if record.payment_id == "p0":
            await slow.wait()
        return [Paid(event_time_us=record.event_time_us, account_id=record.account_id, payment_id=record.payment_id)]

    room = app.room(SumsRoom(), turns=True)
    cashier = app.effect("cashier", SUMS_RESULTS, pay, turns=True)
    async with running(app, room, cashier):
        source = app.source("payers")
        for n in range(5):
            source.write(payment("ann", 1, f"p{n}"))
        await source.flushed()
        assert await room.drain() == 5
        turn = asyncio.create_task(cashier.drain())
        while len(begun) < 5 or cashier.outstanding > 1:
            await asyncio.sleep(0.01)
        assert begun == [f"p{n}" for n in range(5)]
        assert not turn.done(), "the first is not recorded, so nothing is released"
        slow.set()
        assert await turn == 5
        source.close()
    paid = read_topic(app.cluster, PAID.full_name(app.environment))
    assert sorted(getattr(CODEC.decode(m.value()), "payment_id", "") for m in paid) == [f"p{n}" for n in range(5)]


@in_a_loop
async def test_an_effect_that_stopped_cleanly_has_nothing_redelivered_and_one_that_did_not_has(
    kafka: KafkaServer, tmp_path: Path, topic_prefix: str
) -> None:
    seen: list[tuple[str, bool]] = []
    hang = asyncio.Event()

    async def pay(record: Record, context: Context) -> Sequence[Record]:
        assert isinstance(record, Summed)
        seen.append((record.payment_id, context.redelivered))
        if record.payment_id == "hang":
            await hang.wait()
        return []

    async def life(*payments: str) -> None:
        hang.clear()
        cluster = Cluster(kafka.bootstrap_servers, revoke_bound_s=2.0)
        app = RoomApp(environment_of(topic_prefix), cluster, CODEC, tmp_path, topic_map=WORLD, replication=1)
        room, cashier = app.room(SumsRoom()), app.effect("cashier", SUMS_RESULTS, pay)
        async with running(app, room, cashier):
            source = app.source("payers")
            for name in payments:
                source.write(payment("ann", 1, name))
            source.close()
            while not {*payments} <= {name for name, _ in seen}:
                await asyncio.sleep(0.01)
        hang.set()

    await life("p1", "p2")
    await life("p3", "hang")
    await life("p4")
    assert seen == [("p1", False), ("p2", False), ("p3", False), ("hang", False), ("hang", True), ("p4", False)]


@in_a_loop
async def test_the_kill_switch_reader_is_ready_only_at_the_end_and_knows_the_newest_of_each_scope(
    kafka: KafkaServer, tmp_path: Path, topic_prefix: str
) -> None:
    app = app_of(kafka, tmp_path, environment_of(topic_prefix))
    async with running(app):
        control = app.source("control")
        for version, verb in ((1, KillVerb.HALT), (2, KillVerb.RESUME), (3, KillVerb.PAUSE)):
            control.write(switch(f"r{version}", version, verb))
        control.write(switch("r4", 1, KillVerb.HALT, Scope.ACCOUNT, "ann"))
        control.flush()
        reader = KillSwitchReader(app.cluster, CODEC, app.environment)
        assert not reader.is_ready
        reader.wait_until_ready()
        found = {key: one.verb for key, one in reader.switches().items()}
        control.write(switch("r5", 2, KillVerb.RESUME, Scope.ACCOUNT, "ann"))
        control.close()
        while not (new := reader.poll(0.1)):
            pass
        reader.close()
    assert found == {"GLOBAL/": KillVerb.PAUSE, "ACCOUNT/ann": KillVerb.HALT}
    assert [one.request_id for one in new] == ["r5"]


def write_together(source: Source, *records: Record) -> None:
    with source.together():
        for record in records:
            source.write(record)


def switch(request_id: str, version: int, verb: KillVerb, scope: Scope = Scope.GLOBAL, of: str = "") -> KillSwitch:
    return KillSwitch(
        event_time_us=1,
        request_id=request_id,
        version=version,
        scope=scope,
        scope_id=of,
        verb=verb,
        author="test",
        reason="test",
    )
