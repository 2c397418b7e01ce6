"""Promise: a worker carries 500 orders a second and more to a broker of 5 ms; 100 a minute take less than 500 ms each.

    python -m benchmarks.orders

Real Kafka, one worker process with execution alone, commands already in the log. Sustained rate: from the first outcome
recorded to the last, and the worker's processor time for an order, which does not depend on what else the machine
does. Latency: from the command's append to its outcome's, at 10 orders a second.
The limit, measured in the same run: how many calls of 5 ms this machine makes with as many at once and nothing else.
Printed as well: the retry schedule of a venue that is down, and how long after a kill -9 of the worker the next order
is answered. Prints one JSON object; ends with 1 when a target is missed.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from stamina.instrumentation import set_on_retry_hooks

from connectors.embedded.kafka import KafkaServer
from connectors.errors import Unavailable
from connectors.kafka.provision import Provisioner, desired
from connectors.protocols import Capabilities, ClientIdUnique, FillPage
from schemas.codec import Codec
from schemas.control import ClockTick, Mode
from schemas.execution import ExecutionReport, HeldCash, HeldPosition
from schemas.order import (
    CancelOrder,
    ExecType,
    OrderStatus,
    OrderType,
    QueryOrder,
    ReplaceOrder,
    Side,
    SubmitOrder,
    TimeInForce,
)
from schemas.topics import ACCOUNTS_INBOX, ORDERS_COMMANDS
from streams.execution.calls import Policy
from streams.execution.handler import Execution
from streams.runtime.app import RoomApp
from streams.runtime.clients import Cluster
from streams.runtime.effect import RUNNING_MAX
from streams.runtime.reader import Reader, Start
from streams.runtime.source import Source

ENVIRONMENT = "bench"
VENUE = "FAST"
CALL_S = 0.005
ORDERS = 6_000
PACED, PACED_PER_S = 100, 10
ACCOUNTS = 40
RATE_MIN, LATENCY_MS_MAX = 500.0, 500.0
READY_S, ANSWER_S = 60.0, 120.0


class FiveMilliseconds:
    """A broker that has every order after 5 ms."""

    def __init__(self) -> None:
        self.capabilities = Capabilities(
            venue=VENUE,
            client_id_unique=ClientIdUnique.ALWAYS,
            order_types=frozenset(OrderType),
            times_in_force=frozenset(TimeInForce),
        )

    async def submit(self, order: SubmitOrder) -> ExecutionReport:
        await asyncio.sleep(CALL_S)
        return ExecutionReport(
            event_time_us=order.event_time_us, account_id=order.account_id, exec_id=f"{order.client_order_id}:NEW",
            client_order_id=order.client_order_id, venue=VENUE, instrument_id=order.instrument_id, side=order.side,
            exec_type=ExecType.NEW, order_status=OrderStatus.NEW, order_quantity=order.quantity,
            cumulative_quantity=Decimal(0), leaves_quantity=order.quantity, last_quantity=Decimal(0),
        )  # fmt: skip

    async def cancel(self, request: CancelOrder) -> ExecutionReport:
        raise NotImplementedError(request)

    async def replace(self, request: ReplaceOrder) -> ExecutionReport:
        raise NotImplementedError(request)

    async def query(self, _request: QueryOrder) -> ExecutionReport | None:
        await asyncio.sleep(CALL_S)
        return None

    async def open_orders(self, _account_id: str) -> list[ExecutionReport]:
        return []

    async def positions(self, _account_id: str) -> list[HeldPosition]:
        return []

    async def cash(self, _account_id: str) -> list[HeldCash]:
        return []

    async def fills(self, _account_id: str, cursor: str = "") -> FillPage:
        return FillPage((), cursor)

    def reports(self) -> AsyncIterator[ExecutionReport]:
        raise NotImplementedError


def order(number: int) -> SubmitOrder:
    now_us = time.time_ns() // 1000
    return SubmitOrder(
        event_time_us=now_us, client_order_id=f"o{number}", account_id=f"A{number % ACCOUNTS}", venue=VENUE,
        mode=Mode.PAPER, instrument_id="TPT", symbol="TPT", side=Side.BUY, order_type=OrderType.MARKET,
        quantity=Decimal(1), time_in_force=TimeInForce.DAY, submit_before_us=now_us + 3_600_000_000,
    )  # fmt: skip


async def work(bootstrap_servers: str, folder: Path) -> None:
    """The worker's process: execution alone, until it is killed."""
    app = RoomApp(ENVIRONMENT, Cluster(bootstrap_servers), Codec.local(), folder, replication=1)
    execution = Execution({VENUE: FiveMilliseconds()}, Mode.PAPER, policy=Policy())
    door = app.effect("execution", ORDERS_COMMANDS, execution.on_command)  # type: ignore[arg-type]  # no other records
    app.carry(door)
    await app.start()
    while True:
        execution.on_tick(ClockTick(event_time_us=time.time_ns() // 1000, clock_id="bench"))
        await asyncio.sleep(0.5)


@dataclass
class Bench:
    """The parent's side: it writes commands and reads outcomes, with the times at which Kafka has them."""

    cluster: Cluster
    folder: Path

    def __post_init__(self) -> None:
        codec = Codec.local()
        self.commands = Source(self.cluster, codec, ENVIRONMENT, "accounts")
        self._outcomes = Reader(self.cluster, codec, ACCOUNTS_INBOX, ENVIRONMENT, Start.BEGINNING)
        self._commands = Reader(self.cluster, codec, ORDERS_COMMANDS, ENVIRONMENT, Start.BEGINNING)
        self.sent_ms: dict[str, int] = {}
        self.answered_ms: dict[str, int] = {}

    def worker(self) -> subprocess.Popen[bytes]:
        words = ["--worker", self.cluster.bootstrap_servers, str(self.folder)]
        return subprocess.Popen([sys.executable, "-m", "benchmarks.orders", *words], stderr=subprocess.DEVNULL)

    def write(self, numbers: range, per_s: float | None = None) -> None:
        begun = time.monotonic()
        for sent, number in enumerate(numbers):
            if per_s is not None:
                time.sleep(max(0.0, begun + sent / per_s - time.monotonic()))
            self.commands.write(order(number))
        self.commands.flush()

    def wait(self, numbers: range, watched: int | None = None) -> float:
        """Read until all of these are answered; the watched process's milliseconds for each, from the first one on."""
        give_up = time.monotonic() + ANSWER_S
        begun: tuple[float, int] | None = None
        while any(f"o{number}" not in self.answered_ms for number in numbers):
            assert time.monotonic() < give_up, f"not all orders were answered within {ANSWER_S:g} s"
            for received in self._commands.poll(0.0, 5_000):
                if isinstance(received.record, SubmitOrder):
                    self.sent_ms.setdefault(received.record.client_order_id, received.appended_ms)
            for received in self._outcomes.poll(0.1, 5_000):
                if isinstance(received.record, ExecutionReport):
                    self.answered_ms.setdefault(received.record.client_order_id, received.appended_ms)
            if watched is not None and begun is None and self.answered_ms:
                begun = processor_s(watched), len(self.answered_ms)
        spent_ms = 0.0
        if watched is not None and begun is not None and len(self.answered_ms) > begun[1]:
            spent_ms = (processor_s(watched) - begun[0]) * 1000 / (len(self.answered_ms) - begun[1])
        for received in self._commands.poll(0.5, 10_000):
            if isinstance(received.record, SubmitOrder):
                self.sent_ms.setdefault(received.record.client_order_id, received.appended_ms)
        return spent_ms

    def rate(self, numbers: range) -> float:
        times = [self.answered_ms[f"o{number}"] for number in numbers]
        return len(times) / (max(times) - min(times)) * 1000

    def latencies_ms(self, numbers: range) -> list[float]:
        return sorted(float(self.answered_ms[f"o{number}"] - self.sent_ms[f"o{number}"]) for number in numbers)


def processor_s(pid: int) -> float:
    """Processor time that a process has used; 0 where the system does not tell it in /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def bare_rate() -> float:
    """Calls a second of the broker alone, as many at once as the door begins."""
    broker, gate = FiveMilliseconds(), asyncio.Semaphore(RUNNING_MAX)

    async def call(number: int) -> None:
        async with gate:
            await broker.submit(order(number))

    begun = time.perf_counter()
    await asyncio.gather(*(call(number) for number in range(ORDERS)))
    return ORDERS / (time.perf_counter() - begun)


async def retries_s() -> list[float]:
    """When a venue that is down is called, seconds after the first call."""
    calls: list[float] = []

    class Down(FiveMilliseconds):
        async def submit(self, order: SubmitOrder) -> ExecutionReport:
            calls.append(time.perf_counter())
            raise Unavailable("down")

    class Mine:
        redelivered = False

        def still_owner(self) -> bool:
            return True

    set_on_retry_hooks([])
    policy = Policy(breaker_failures=100)
    execution = Execution({VENUE: Down()}, Mode.PAPER, policy=policy)
    execution.on_tick(ClockTick(event_time_us=time.time_ns() // 1000 + 60_000_000, clock_id="bench"))
    await execution.on_command(order(0), Mine())
    return [round(at - calls[0], 2) for at in calls]


def measured(bench: Bench) -> dict[str, object]:
    """All figures that need servers."""
    burst, paced = range(ORDERS), range(ORDERS, ORDERS + PACED)
    bench.write(burst)
    worker = bench.worker()
    try:
        spent_ms = bench.wait(burst, worker.pid)
        bench.write(paced, PACED_PER_S)
        bench.wait(paced)
        latencies = bench.latencies_ms(paced)
        worker.kill()
        worker.wait()
        after = range(ORDERS + PACED, ORDERS + PACED + 10)
        bench.write(after)
        begun_ms = time.time() * 1000
        worker = bench.worker()
        bench.wait(after)
    finally:
        worker.kill()
        worker.wait()
    recovered_ms = min(bench.answered_ms[f"o{number}"] for number in after) - begun_ms
    return {
        "orders_per_s": round(bench.rate(burst), 1),
        "processor_ms_per_order": round(spent_ms, 3),
        "orders_per_s_of_one_processor": round(1000 / spent_ms, 1) if spent_ms else None,
        "latency_mean_ms": round(statistics.fmean(latencies), 1),
        "latency_p50_ms": latencies[len(latencies) // 2],
        "latency_p99_ms": latencies[int(len(latencies) * 0.99)],
        "first_answer_after_restart_s": round(recovered_ms / 1000, 2),
    }


def main() -> int:
    """Print the figures; 0 where the promise holds."""
    with tempfile.TemporaryDirectory() as folder, KafkaServer.start(Path(folder) / "kafka", port=0) as kafka:
        Provisioner({"bootstrap.servers": kafka.bootstrap_servers}).apply(desired(ENVIRONMENT, 1))
        found = measured(Bench(Cluster(kafka.bootstrap_servers), Path(folder) / "worker"))
    result = {
        "python": platform.python_version(),
        "broker_ms": CALL_S * 1000,
        "orders": ORDERS,
        **found,
        "bare_calls_per_s": round(asyncio.run(bare_rate()), 1),
        "retries_at_s": asyncio.run(retries_s()),
        "target_orders_per_s": RATE_MIN,
        "target_latency_mean_ms": LATENCY_MS_MAX,
    }
    rate, latency = result["orders_per_s"], result["latency_mean_ms"]
    assert isinstance(rate, float)
    assert isinstance(latency, float)
    met = rate >= RATE_MIN and latency < LATENCY_MS_MAX
    print(json.dumps({**result, "met": met}, indent=1))
    return 0 if met else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        asyncio.run(work(sys.argv[2], Path(sys.argv[3])))
    sys.exit(main())
