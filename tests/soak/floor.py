"""The floor: servers, a misbehaving venue, accounts that may trade there, and workers as processes of their own."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from connectors.embedded.kafka import KafkaServer
from connectors.embedded.ports import choose_free
from connectors.embedded.registry import RegistryServer
from connectors.kafka.environment import fix_mode
from connectors.kafka.provision import Provisioner, desired
from connectors.registry.client import ConfluentRegistry
from connectors.registry.publish import codec_of, register
from schemas.codec import Codec
from schemas.control import AccountOpened, CashMovement, Environment, Mode, SizingMethod
from schemas.intent import ManualAction, ManualOrder
from schemas.market import Mark, MarkBatch
from schemas.order import OrderType, Side
from schemas.record import Record
from schemas.reference import FeeSchedule, InstrumentClass
from schemas.risk import Limit, LimitChange
from schemas.scalars import SECOND_US
from streams.accounts.risk.limits import standard_limits
from streams.runtime.clients import Cluster
from streams.runtime.source import Source
from streams.sources.clock import Clock
from tests.builders import instrument
from tests.paths import ROOT
from tests.servers import KAFKA_DIR
from tests.soak.doors import ALPACA, SYMBOLS, Door, secret_of
from tests.venue.orders import Json
from tests.venue.process import Venue

PRICE = Decimal(100)
CASH = 10**9
ENDED_ITSELF = (70,)
ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith("QL_")}


def now_us() -> int:
    """Wall time, microseconds of UTC."""
    return time.time_ns() // 1000


def account_of(number: int) -> Json:
    """One account as the venue opens it; our name of it is its key."""
    name = f"A{number}"
    return {"number": f"P{name}", "key": name, "secret": secret_of(name), "cash": str(CASH)}


@dataclass
class Worker:
    """One process, started again whenever it ends."""

    slot: str
    process: "subprocess.Popen[bytes]"
    log: Path
    health_port: int
    starts: int = 1
    ended: list[int] = field(default_factory=list)


class Floor:
    """Everything that trades, in one folder. Each worker runs `roles`, or what `roles_of` says of its slot."""

    def __init__(
        self,
        folder: Path,
        *,
        seed: int,
        accounts: int = 8,
        roles: tuple[str, ...] = ("accounts", "execution"),
        roles_of: Mapping[str, tuple[str, ...]] | None = None,
        environment: str = "soak",
        kafka: KafkaServer | None = None,
        direction: dict[str, Any] | None = None,
        on_paper: bool = False,
        door: Door = ALPACA,
    ):
        self.folder = folder
        self.seed = seed
        self.environment = environment
        self.roles = roles
        self.roles_of = dict(roles_of or {})
        self.account_ids = [f"A{number}" for number in range(accounts)]
        self.workers: dict[str, Worker] = {}
        self.door = door
        self.broker = "PAPER" if on_paper else door.venue
        self._fix_port = choose_free() if door.fix else 0
        self._kafka = kafka
        self._direction = {"fill_chance": 0.95, "fill_seconds": 0.3} if direction is None else direction
        self._stack = ExitStack()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        stack = self._stack
        kafka = self._kafka
        if kafka is None:
            kafka = stack.enter_context(KafkaServer.start(self.folder / "kafka", port=0, kafka_dir=KAFKA_DIR))
        registry = RegistryServer.start(self.folder / "registry", port=0)
        stack.callback(registry.stop)
        self.registry_url = registry.url
        asked = ConfluentRegistry(registry.url)
        register(asked)
        self.cluster = Cluster(kafka.bootstrap_servers)
        self.codec: Codec = codec_of(asked)
        Provisioner({"bootstrap.servers": kafka.bootstrap_servers}).apply(desired(self.environment, 1))
        made = Environment(event_time_us=now_us(), name=self.environment, mode=Mode.PAPER, author="test")
        fix_mode({"bootstrap.servers": kafka.bootstrap_servers}, self.codec, made)
        self.venue = Venue.start(
            self.folder / "venue",
            seed=self.seed,
            accounts=[account_of(number) for number in range(len(self.account_ids))],
            assets=self.door.assets,
            prices={symbol: str(PRICE) for symbol in self.door.symbols.values()},
            fix_port=self._fix_port,
            **self._direction,
        )
        stack.callback(self.venue.stop)
        stack.callback(self._end)
        self.control = self.source("control")
        self._opening()
        self._thread(self._tick)
        self._thread(self._mark)
        self._thread(self._supervise)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def start(self, *slots: str) -> None:
        """Start workers in these slots."""
        for slot in slots:
            with self._lock:
                known = self.workers.get(slot)
                port = choose_free() if known is None else known.health_port
                log = self.folder / f"{slot}.log"
                with log.open("ab") as out:
                    process = subprocess.Popen(
                        [sys.executable, "-m", "streams.worker", *self.roles_of.get(slot, self.roles)],
                        cwd=ROOT, env=ENVIRON | self._variables(slot, port), stdout=out, stderr=out,
                    )  # fmt: skip
                if known is None:
                    self.workers[slot] = Worker(slot, process, log, port)
                else:
                    known.process = process
                    known.starts += 1

    def variables(self, slot: str = "w0", health_port: int = 0) -> dict[str, str]:
        """The settings of a worker, or of a command, as variables of the environment."""
        return self._variables(slot, health_port)

    def _variables(self, slot: str, port: int) -> dict[str, str]:
        keys = {f"KEY_OF_{name}": name for name in self.account_ids}
        secrets = {f"SECRET_OF_{name}": secret_of(name) for name in self.account_ids}
        broker = {
            **self.door.settings(self.venue, self._fix_port),
            "accounts": {name: self.door.account(name) for name in self.account_ids},
        }
        return {
            **keys,
            **secrets,
            "QL_ENVIRONMENT": self.environment,
            "QL_MODE": "paper",
            "QL_FOLDER": str(self.folder / "state"),
            "QL_BOOTSTRAP_SERVERS": self.cluster.bootstrap_servers,
            "QL_REGISTRY_URL": self.registry_url,
            "QL_REPLICATION": "1",
            "QL_SLOT": slot,
            "QL_HEALTH_PORT": str(port),
            "QL_RECONCILE_S": "2",
            **({} if self.broker == "PAPER" else {"QL_BROKERS": json.dumps({self.broker: broker})}),
        }

    def kill(self, slot: str) -> None:
        """kill -9; the supervision starts it again."""
        self.workers[slot].process.kill()

    def stop(self, slot: str) -> None:
        """SIGTERM: an orderly end, after which the supervision starts it again; its partitions move twice."""
        self.workers[slot].process.terminate()

    def pause(self, slot: str) -> None:
        """SIGSTOP."""
        self.workers[slot].process.send_signal(signal.SIGSTOP)

    def resume(self, slot: str) -> None:
        """SIGCONT."""
        self.workers[slot].process.send_signal(signal.SIGCONT)

    def until_ready(self, timeout_s: float = 120) -> None:
        """Wait until every worker says that it is ready."""
        give_up = time.monotonic() + timeout_s
        for slot in self.workers:
            while not self.is_ready(slot):
                assert time.monotonic() < give_up, f"{slot} is not ready: {self.says(slot)}\n{self.tail(slot)}"
                time.sleep(0.1)

    def says(self, slot: str) -> str:
        """What the worker answers to who asks whether it is ready."""
        try:
            return httpx.get(f"http://127.0.0.1:{self.workers[slot].health_port}/ready", timeout=30).text
        except httpx.HTTPError as error:
            return repr(error)

    def is_ready(self, slot: str) -> bool:
        """Whether the worker says so, at once."""
        try:
            answer = httpx.get(f"http://127.0.0.1:{self.workers[slot].health_port}/ready", timeout=0.5)
        except httpx.HTTPError:
            return False
        return answer.status_code == httpx.codes.OK

    def tail(self, slot: str, lines: int = 40) -> str:
        """The end of a worker's log."""
        return "\n".join(self.workers[slot].log.read_text(errors="replace").splitlines()[-lines:])

    def place(self, number: int, dice: random.Random) -> str:
        """Ask for one order; the id of the request."""
        request_id = f"soak-{self.seed}-{number}"
        symbol = dice.choice(SYMBOLS)
        # A resting order and one against it of the same account would be denied: some symbols see limits, some sales.
        limits = SYMBOLS.index(symbol) % 2 == 0
        limit = limits and dice.random() < 0.5
        side = Side.SELL if not limits and dice.random() < 0.35 else Side.BUY
        asked = ManualOrder(
            event_time_us=now_us(),
            request_id=request_id,
            account_id=dice.choice(self.account_ids),
            action=ManualAction.PLACE,
            author="soak",
            reason="soak",
            valid_until_us=now_us() + 60 * SECOND_US,
            instrument_id=symbol,
            side=side,
            quantity=Decimal(dice.randint(1, 9)),
            order_type=OrderType.LIMIT if limit else OrderType.MARKET,
            limit_price=PRICE if limit else None,
        )
        self.control.write(asked)
        return request_id

    def cancel(self, account_id: str, client_order_id: str) -> None:
        """Ask to cancel an order."""
        self.control.write(
            ManualOrder(
                event_time_us=now_us(),
                request_id=f"cancel-{client_order_id}-{now_us()}",
                account_id=account_id,
                action=ManualAction.CANCEL,
                author="soak",
                reason="soak",
                valid_until_us=now_us() + 60 * SECOND_US,
                client_order_id=client_order_id,
            )
        )

    def write(self, role: str, records: list[Record]) -> None:
        """Write records in a role, durably."""
        source = self.source(role)
        for record in records:
            source.write(record)
        source.close()

    def _opening(self) -> None:
        at_us = now_us()
        self.write("reference", [
            *(
                instrument(
                    name, symbol=symbol, venue=self.broker, event_time_us=at_us, price_may_be_negative=False,
                    instrument_class=InstrumentClass.CRYPTO_SPOT if "/" in symbol else InstrumentClass.COMMODITY,
                )
                for name, symbol in self.door.symbols.items()
            ),
            FeeSchedule(event_time_us=at_us, venue=self.broker, version=1, rate=Decimal(0), per_unit=Decimal(0),
                        minimum=Decimal(0), currency="USD"),
        ])  # fmt: skip
        self.write("control", [record for name in self.account_ids for record in self._account(name, at_us)])

    def _account(self, name: str, at_us: int) -> Iterator[Record]:
        yield AccountOpened(
            event_time_us=at_us, account_id=name, request_id=f"open-{name}", base_currency="USD", venue=self.broker,
            mode=Mode.PAPER, sizing=SizingMethod.FIXED_FRACTION, author="soak",
        )  # fmt: skip
        yield CashMovement(
            event_time_us=at_us, account_id=name, movement_id=f"deposit-{name}", currency="USD", amount=Decimal(CASH),
            reason="deposit",
        )  # fmt: skip
        yield LimitChange(
            event_time_us=at_us, account_id=name, request_id=f"limits-{name}", limits=_loose(), author="soak",
            reason="soak", effective_at_us=at_us,
        )  # fmt: skip

    def source(self, role: str) -> Source:
        """A writer of this role; the caller closes it."""
        return Source(self.cluster, self.codec, self.environment, role)

    def _thread(self, run: Any) -> None:
        thread = threading.Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _tick(self) -> None:
        source = self.source("clock")
        Clock(source, print).run(self._stopping)
        source.close()

    def _mark(self) -> None:
        source = self.source("relay")
        while not self._stopping.is_set():
            at_us = now_us()
            marks = [
                Mark(event_time_us=at_us, instrument_id=name, last=PRICE, low=PRICE, high=PRICE)
                for name in sorted(self.door.symbols)
            ]
            source.write(MarkBatch(event_time_us=at_us, relay_id=f"soak-{at_us}", sequence=at_us, marks=marks))
            self._stopping.wait(2)
        source.close()

    def _supervise(self) -> None:
        while not self._stopping.is_set():
            for slot, worker in list(self.workers.items()):
                code = worker.process.poll()
                if code is not None and not self._stopping.is_set():
                    worker.ended.append(code)
                    self.start(slot)
            self._stopping.wait(0.2)

    def _end(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(10)
        self.control.close()
        for worker in self.workers.values():
            if worker.process.poll() is None:
                worker.process.send_signal(signal.SIGCONT)
                worker.process.kill()
            worker.process.wait()


def _loose() -> list[Limit]:
    """Limits that stand in nobody's way: here the venue is tested, not the gate."""
    loose = {
        "order_value_max": Decimal(10**6), "position_value_max": Decimal(10**8), "gross_exposure_max": Decimal(10**9),
        "orders_per_minute_max": Decimal(60_000), "messages_per_minute_max": Decimal(60_000),
        "leverage_max": Decimal(4), "send_within": Decimal(20),
    }  # fmt: skip
    left = {"consecutive_rejects_max", "duplicate_window"}
    kept = [one for one in standard_limits(Decimal(CASH)) if one.name not in {*loose, *left}]
    return [*kept, *(Limit(name=name, value=value) for name, value in loose.items())]
