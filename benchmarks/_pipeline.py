"""The way from a signal to the broker on real Kafka: all rooms and the effect in one worker, and who feeds it.

    python -m benchmarks._pipeline engine|bare

The worker's process. PIPELINE_BOOTSTRAP, PIPELINE_FOLDER; every call of the broker is a line of CALLS in the folder:
microseconds at which the signal was due, and at which the broker was called. `bare`: three transactional hops and the
call, which is what no pipeline of these hops can go below.
"""

import os
import sys
import threading
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO

from confluent_kafka import TopicPartition as Place
from msgspec.structs import replace

from benchmarks._arena import ROOT, Contender, contender
from benchmarks._hops import tell_spent
from benchmarks.gate import LIMITS
from benchmarks.gate import instrument as of_the_gate
from connectors.kafka.provision import DesiredTopic, desired
from schemas.codec import Codec
from schemas.control import AccountOpened, CashMovement, ClockTick, Mode, SizingMethod, StrategyControl, StrategyVerb
from schemas.execution import ExecutionReport
from schemas.market import Bar, BarKind, Mark, MarkBatch
from schemas.order import ExecType, OrderStatus, SubmitOrder
from schemas.record import Record
from schemas.reference import FeeSchedule, Instrument
from schemas.risk import Limit, LimitChange
from schemas.signal import ProviderControl, ProviderRole, Signal, SignalKind
from schemas.topics import ORDERS_COMMANDS, TOPICS
from streams.rooms import all_rooms
from streams.runtime.app import RoomApp
from streams.runtime.clients import Cluster, room_consumer, room_producer
from streams.runtime.effect import Context, Outcome
from streams.runtime.offsets import Offsets
from streams.runtime.provisioning import provision
from streams.runtime.source import Source

ENVIRONMENT = "bench"
CALLS = "calls.txt"
INSTRUMENTS, ACCOUNTS, PROVIDER = 25, 10, "oracle"
FLIP_EVERY = 5
"""Of so many signals on an instrument one turns the opinion: the others change no wish."""
HOUR_US = 3_600_000_000
READY_S = 60.0
LEFT_OUT = {
    "value_at_risk_max", "historical_value_at_risk_max", "expected_shortfall_max", "stress_loss_max",
    "correlated_exposure_max", "duplicate_window",
}  # fmt: skip
"""Limits that would deny: no history is known here, and the same order rightly comes again within a second."""
HOPS = ("hop0", "hop1", "hop2", "hop3")


def now_us() -> int:
    return time.time_ns() // 1000


class Venue:
    """A broker that fills at once, and notes when it was called."""

    def __init__(self, calls: TextIO):
        self._calls = calls

    async def perform(self, command: Record, context: Context) -> Outcome:
        """Note the call; a new order is filled."""
        if not isinstance(command, SubmitOrder):
            return []
        self._calls.write(f"{context.signal_us or command.event_time_us} {now_us()}\n")
        self._calls.flush()
        order = command
        return [
            ExecutionReport(
                event_time_us=now_us(), account_id=order.account_id, exec_id=f"fill-{order.client_order_id}",
                client_order_id=order.client_order_id, venue=order.venue, instrument_id=order.instrument_id,
                side=order.side, exec_type=ExecType.TRADE, order_status=OrderStatus.FILLED,
                order_quantity=order.quantity, cumulative_quantity=order.quantity, leaves_quantity=Decimal(0),
                last_quantity=order.quantity, last_price=Decimal(50), fee=Decimal(1), fee_currency="USD",
            )
        ]  # fmt: skip


def engine(bootstrap: str, folder: Path) -> None:
    """All rooms and the effect, until ended."""
    app = RoomApp(ENVIRONMENT, Cluster(bootstrap), Codec.local(), folder, replication=1)
    for room in all_rooms():
        app.carry(app.room(room))
    tell_spent(app, folder)
    with (folder / CALLS).open("a") as calls:
        app.carry(app.effect("execution", ORDERS_COMMANDS, Venue(calls).perform))
        sys.argv[1:] = ["worker", "--without-web"]
        app.Worker(loglevel="WARN", redirect_stdouts=False).execute_from_commandline()


def bare(bootstrap: str, folder: Path) -> None:
    """Three transactional hops, each in its thread, and the call."""
    for number in range(len(HOPS) - 1):
        threading.Thread(target=_bare_hop, args=(bootstrap, HOPS[number], HOPS[number + 1]), daemon=True).start()
    codec = Codec.local()
    consumer = room_consumer(Cluster(bootstrap), "bare.end", None, lambda _: None)
    consumer.subscribe([HOPS[-1]], on_assign=_from_the_beginning)
    with (folder / CALLS).open("a") as calls:
        while True:
            message = consumer.poll(0.1)
            if message is not None and message.error() is None:
                calls.write(f"{codec.decode(message.value()).event_time_us} {now_us()}\n")
                calls.flush()


def _bare_hop(bootstrap: str, source: str, target: str) -> None:
    codec, cluster = Codec.local(), Cluster(bootstrap)
    producer = room_producer(cluster, f"bare.{source}", lambda _: None)
    producer.init_transactions(30)
    consumer = room_consumer(cluster, f"bare.{source}", None, lambda _: None)
    consumer.subscribe([source], on_assign=_from_the_beginning)
    while True:
        one = consumer.poll(0.05)
        if one is None:
            continue
        messages = [each for each in (one, *consumer.consume(499, 0)) if each.error() is None]
        if not messages:
            continue
        producer.begin_transaction()
        places = {}
        for message in messages:
            producer.produce(target, codec.encode(codec.decode(message.value())), message.key())
            places[message.partition()] = Place(source, message.partition() or 0, (message.offset() or 0) + 1)
        producer.send_offsets_to_transaction(list(places.values()), consumer.consumer_group_metadata(), 10)
        producer.commit_transaction(10)


def _from_the_beginning(consumer: Any, places: Sequence[Any]) -> None:
    consumer.incremental_assign([Place(place.topic, place.partition, 0) for place in places])


def instrument(number: int) -> Instrument:
    return replace(of_the_gate(number), event_time_us=now_us())


def account_of(number: int, twin: int) -> str:
    return f"acc{(number * 2 + twin) % ACCOUNTS}"


class Opinions:
    """Signals of one provider: instruments take turns, and every few turns the opinion is the opposite."""

    def __init__(self) -> None:
        self._sequences = [0] * INSTRUMENTS

    def signal(self, number: int, due_us: int) -> Signal:
        """The next one."""
        which = number % INSTRUMENTS
        self._sequences[which] += 1
        sequence = self._sequences[which]
        strength = 1.0 if (sequence + which) // FLIP_EVERY % 2 else -1.0
        return Signal(
            event_time_us=due_us, signal_id=f"{which}-{sequence}", provider_id=PROVIDER, model_name="m",
            model_version="1", instrument_id=f"I{which:03d}", sequence=sequence, kind=SignalKind.DIRECTION,
            inputs_as_of_us=due_us, valid_until_us=due_us + HOUR_US // 2, horizon_us=HOUR_US, strength=strength,
        )  # fmt: skip


class Floor:
    """Feeds the worker: opens accounts, deploys 50 instances, ticks, and publishes signals."""

    def __init__(self, bootstrap: str):
        self.cluster, codec = Cluster(bootstrap), Codec.local()
        provision(self.cluster, desired(ENVIRONMENT, 1))
        roles = ("clock", "control", "reference", "relay", "market_data", "publishers")
        self._sources = {role: Source(self.cluster, codec, ENVIRONMENT, role) for role in roles}
        self._opinions = Opinions()
        self._ticking = threading.Event()
        self._ticking.set()
        self._clock = threading.Thread(target=self._tick, daemon=True)
        self.offsets = Offsets(self.cluster)

    def open(self) -> None:
        """Write all that must be known before the first signal."""
        at, control, reference = now_us(), self._sources["control"], self._sources["reference"]
        self._sources["clock"].write(ClockTick(event_time_us=at, clock_id="bench"))
        for number in range(INSTRUMENTS):
            reference.write(instrument(number))
        reference.write(FeeSchedule(event_time_us=at, venue="paper", version=1, rate=Decimal(0), per_unit=Decimal(0),
                                    minimum=Decimal(1), currency="USD"))  # fmt: skip
        self._flush()
        limits = [Limit(name=name, value=Decimal(value)) for name, value in LIMITS.items() if name not in LEFT_OUT]
        for number in range(ACCOUNTS):
            account = f"acc{number}"
            control.write(AccountOpened(
                event_time_us=at, account_id=account, request_id=f"o-{account}", base_currency="USD", venue="paper",
                mode=Mode.PAPER, sizing=SizingMethod.FIXED_FRACTION, author="bench",
            ))  # fmt: skip
            control.write(CashMovement(event_time_us=at, account_id=account, movement_id=f"d-{account}",
                                       currency="USD", amount=Decimal(10**9), reason="in"))  # fmt: skip
            control.write(LimitChange(event_time_us=at, account_id=account, request_id=f"l-{account}", author="bench",
                                      reason="bench", effective_at_us=0, limits=limits))  # fmt: skip
        control.write(ProviderControl(
            event_time_us=at, request_id="p", provider_id=PROVIDER, role=ProviderRole.CHAMPION, author="bench",
            rate_limit_per_minute=100_000, ttl_max_us=HOUR_US, reason="bench",
        ))  # fmt: skip
        for number in range(INSTRUMENTS):
            for twin in range(2):
                control.write(StrategyControl(
                    event_time_us=at, request_id=f"s{number}.{twin}", verb=StrategyVerb.DEPLOY,
                    strategy_id=f"s{number}.{twin}", strategy_name="follow_signal", author="bench", reason="",
                    instrument_id=f"I{number:03d}", account_id=account_of(number, twin),
                ))  # fmt: skip
        self._flush()
        price = Decimal(50)
        for number in range(INSTRUMENTS):
            self._sources["market_data"].write(Bar(
                event_time_us=at, instrument_id=f"I{number:03d}", interval_us=60_000_000, kind=BarKind.TIME,
                open=price, high=price, low=price, close=price,
            ))  # fmt: skip
        self._marks(at)
        self._flush()
        self._clock.start()

    def publish(self, number: int, due_us: int) -> None:
        """Publish one signal."""
        self._sources["publishers"].write(self._opinions.signal(number, due_us))

    def written(self) -> dict[str, int]:
        """Offsets of every topic, summed over its partitions; commit markers count."""
        names = [(topic.name, topic.full_name(ENVIRONMENT), topic.partitions) for topic in TOPICS]
        return {name: sum(self.offsets.ends(full, range(count)).values()) for name, full, count in names}

    def close(self) -> None:
        """Stop ticking, and let go."""
        self._ticking.clear()
        self._clock.join()
        for source in self._sources.values():
            source.close()

    def _marks(self, at_us: int) -> None:
        price = Decimal(50)
        marks = [Mark(event_time_us=at_us, instrument_id=f"I{number:03d}", last=price, low=price, high=price)
                 for number in range(INSTRUMENTS)]  # fmt: skip
        batch = MarkBatch(event_time_us=at_us, relay_id=f"bench@{at_us}", sequence=at_us, marks=marks)
        self._sources["relay"].write(batch)

    def _tick(self) -> None:
        while self._ticking.is_set():
            at = now_us()
            self._sources["clock"].write(ClockTick(event_time_us=at, clock_id="bench"))
            self._marks(at)
            time.sleep(1.0)

    def _flush(self) -> None:
        for source in self._sources.values():
            source.flush()


def bare_topics(cluster: Cluster) -> None:
    """The topics of the bare chain."""
    provision(cluster, [DesiredTopic(name, 4, 1, {}) for name in HOPS])


def words(kind: str) -> list[str]:
    """The command of a worker's process."""
    return [sys.executable, "-m", "benchmarks._pipeline", kind]


def calls(folder: Path) -> list[tuple[int, int]]:
    """When signals were due and the broker called, so far."""
    path = folder / CALLS
    lines = path.read_text().splitlines() if path.exists() else []
    return [(int(due), int(called)) for due, called in (line.split() for line in lines if " " in line)]


def wait_for_calls(folder: Path, count: int, worker: Contender, quiet_s: float = READY_S) -> list[tuple[int, int]]:
    """All calls once there are so many. Raises AssertionError where none comes for a while."""
    give_up, seen = time.monotonic() + quiet_s, -1
    while True:
        found = calls(folder)
        if len(found) >= count:
            return found
        if len(found) > seen:
            give_up, seen = time.monotonic() + quiet_s, len(found)
        assert worker.alive, "the worker ended"
        assert time.monotonic() < give_up, f"{len(found)} of {count} orders reached the broker"
        time.sleep(0.05)


def memory(bootstrap: str, folder: Path) -> dict[str, Any]:
    """Resident memory and threads of a worker with all rooms and the effect: at rest, and with 250 signals/s."""
    from benchmarks._open_loop import at_rate  # noqa: PLC0415 - it imports this package's contenders

    home = folder / "memory"
    home.mkdir()
    floor = Floor(bootstrap)
    environ = {"PIPELINE_BOOTSTRAP": bootstrap, "PIPELINE_FOLDER": str(home), "PYTHONPATH": str(ROOT)}
    with contender(words("engine"), environ, home / "engine.log") as worker:
        floor.open()
        time.sleep(8)
        rest = worker.memory()
        sent = at_rate(250, 10.0, floor.publish)
        wait_for_calls(home, sent // FLIP_EVERY, worker)
        load = worker.memory()
    floor.close()
    return {
        "doors": len(all_rooms()) + 1,
        "at_rest": rest,
        "under_load": load,
        "target_mb": 600,
        "met": load["peak_mb"] <= 600,
    }


if __name__ == "__main__":
    main = {"engine": engine, "bare": bare}[sys.argv[1]]
    main(os.environ["PIPELINE_BOOTSTRAP"], Path(os.environ["PIPELINE_FOLDER"]))
