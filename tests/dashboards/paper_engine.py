"""The whole engine on paper, each role a process of its own, and a day's worth of trouble in a minute."""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from confluent_kafka import Producer
from msgspec.structs import replace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from connectors.embedded.clickhouse import ClickHouseServer
from connectors.embedded.kafka import KafkaServer
from connectors.embedded.ports import choose_free
from connectors.embedded.registry import RegistryServer
from connectors.registry.client import ConfluentRegistry
from connectors.registry.publish import codec_of
from schemas.control import AccountOpened, CashMovement, Mode
from schemas.intent import ManualAction, ManualOrder
from schemas.market import BarBatch, Heartbeat
from schemas.metrics import RECORDS_READ
from schemas.order import Side
from schemas.record import Record
from schemas.reference import Instrument
from schemas.risk import LimitChange
from schemas.scalars import DAY_US, SECOND_US
from schemas.signal import Signal, SignalKind
from schemas.topics import SIGNALS_INBOX
from streams.replay.plan import VENUE, Deployment, Plan, opening
from streams.runtime.clients import Cluster
from streams.runtime.source import Source
from tests.builders import instrument

QUANTUMLEAP = str(Path(sys.executable).parent / "quantumleap")
ENVIRONMENT = "watched"
BAR_US = SECOND_US
PATIENCE_S = 240.0
ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith("QL_")}


@dataclass(frozen=True)
class Market:
    """One instrument, as a plan wants it."""

    instruments: list[Instrument]

    def steps(self, from_us: int, to_us: int) -> Iterator[Any]:
        """Nothing was recorded."""
        return iter(())


@dataclass
class Engine:
    """Where the roles answer, and what the collector was sent.

    ports: by role.
    spans: spans of OpenTelemetry's wire format.
    """

    ports: dict[str, int] = field(default_factory=dict)
    spans: list[Any] = field(default_factory=list)

    def text(self) -> str:
        """All metrics of all roles."""
        return "".join(_got(f"http://127.0.0.1:{port}/metrics") for port in self.ports.values())

    def samples(self) -> dict[str, dict[str, float]]:
        """Values by name of the series, and by its labels as text."""
        found: dict[str, dict[str, float]] = {}
        for line in self.text().splitlines():
            if not line.startswith("#"):
                series, _, value = line.rpartition(" ")
                name, _, labels = series.partition("{")
                found.setdefault(name, {})[labels.rstrip("}")] = float(value)
        return found


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait for it; fail where it never comes true."""
    end_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end_s, f"it did not come true: {what}"
        time.sleep(0.2)


def _got(url: str) -> str:
    return httpx.get(url, timeout=10, trust_env=False).text


@contextmanager
def collector(engine: Engine) -> Iterator[str]:
    """A collector of traces: OTLP over HTTP."""

    def post(request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        told = ExportTraceServiceRequest.FromString(body)
        engine.spans += [span for one in told.resource_spans for scope in one.scope_spans for span in scope.spans]
        request.send_response(200)
        request.send_header("Content-Length", "0")
        request.end_headers()

    handler = type("Collector", (BaseHTTPRequestHandler,), {"do_POST": post, "log_message": lambda *_: None})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/traces"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def running(
    folder: Path, kafka: KafkaServer, registry: RegistryServer, clickhouse: ClickHouseServer
) -> Iterator[Engine]:
    """An engine in which a signal became a fill, and in which all that can go wrong and be counted went wrong."""
    engine = Engine()
    with ExitStack() as stack:
        variables = {
            "QL_ENVIRONMENT": ENVIRONMENT,
            "QL_MODE": "paper",
            "QL_FOLDER": str(folder / "state"),
            "QL_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "QL_REGISTRY_URL": registry.url,
            "QL_CLICKHOUSE_URL": clickhouse.url,
            "QL_TRACES_URL": stack.enter_context(collector(engine)),
            "QL_RECONCILE_S": "2",
        }
        subprocess.run([QUANTUMLEAP, "setup"], env=ENVIRON | variables, check=True, capture_output=True)
        processes: dict[str, subprocess.Popen[bytes]] = {}
        for role in ("worker", "clock", "relay", "sink"):
            command = [sys.executable, "-m", "streams.worker"] if role == "worker" else [QUANTUMLEAP, role]
            port = choose_free()
            log = stack.enter_context((folder / f"{role}.log").open("wb"))
            process = subprocess.Popen(
                command, env=ENVIRON | variables | {"QL_HEALTH_PORT": str(port)}, stdout=log, stderr=log
            )
            stack.callback(_ended, process)
            engine.ports[role] = port
            processes[role] = process
        for role, process in processes.items():
            until(lambda of=(role, process): _began(engine, *of), f"{role} answers")  # type: ignore[misc]  # a loop's
        _trade(engine, kafka, registry)
        yield engine


def _ended(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    process.wait(60)


def _began(engine: Engine, role: str, process: "subprocess.Popen[bytes]") -> bool:
    assert process.poll() is None, f"{role} ended with {process.returncode}"
    try:
        return httpx.get(f"http://127.0.0.1:{engine.ports[role]}/live", timeout=5, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def _trade(engine: Engine, kafka: KafkaServer, registry: RegistryServer) -> None:
    codec = codec_of(ConfluentRegistry(registry.url))
    cluster = Cluster(kafka.bootstrap_servers)
    sources = {
        role: Source(cluster, codec, ENVIRONMENT, role) for role in ("reference", "control", "feeds", "publishers")
    }

    def write(role: str, *records: Record) -> None:
        for record in records:
            sources[role].write(record)
        sources[role].flush()

    now_us = time.time_ns() // 1000
    market = Market([instrument("WTI", venue=VENUE, tick_bar_us=0, event_time_us=now_us)])
    follow = Deployment("follow_signal", (("probability_min", "0.5"),))
    plan = Plan(market, now_us, now_us + DAY_US, (follow,), provider_id="oracle", mode=Mode.PAPER)
    opened = list(opening(plan))
    for role, record in opened:
        write(role, record)
        if other := _of_another(record):
            write(role, other)
    feeding = threading.Event()
    feeder = threading.Thread(target=_feed, args=(write, feeding), daemon=True)
    feeder.start()
    until(lambda: "quantumleap_equity" in engine.samples(), "an account is opened")
    until(lambda: _has_read(engine, "accounts", "MarkBatch"), "the account knows what its instrument is worth")
    until(lambda: _has_read(engine, "strategies", "Bar"), "the strategy knows its market")
    until(lambda: _ready(engine), "the worker is ready")
    write("publishers", _signal("oracle", 1), _signal("nobody", 1))
    write("control", _order("too-much", "demo", 10**9), _order("wrong-mode", "other", 1))
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    producer.produce(SIGNALS_INBOX.full_name(ENVIRONMENT), b"no record at all", b"WTI")
    producer.flush()
    until(lambda: any("TRADE" in str(span.attributes) for span in list(engine.spans)), "a fill is traced")
    until(lambda: "quantumleap_not_sent_total" in engine.samples(), "a command was not sent")
    until(lambda: "quantumleap_sink_rows_total" in engine.samples(), "rows are in ClickHouse")
    feeding.set()
    feeder.join()
    for source in sources.values():
        source.close()


def _of_another(record: Record) -> Record | None:
    """The same for an account of a mode that this environment is not: its orders are made, and not sent."""
    match record:
        case AccountOpened():
            return replace(record, account_id="other", request_id="open-other", mode=Mode.REPLAY)
        case CashMovement():
            return replace(record, account_id="other", movement_id="deposit-other")
        case LimitChange():
            return replace(record, account_id="other", request_id="limits-other")
        case _:
            return None


def _ready(engine: Engine) -> bool:
    port = engine.ports["worker"]
    return httpx.get(f"http://127.0.0.1:{port}/ready", timeout=5, trust_env=False).status_code == 200


def _has_read(engine: Engine, role: str, record: str) -> bool:
    read = engine.samples().get(RECORDS_READ.name, {})
    return any(f'record="{record}",role="{role}"' in labels for labels in read)


def _feed(write: Callable[..., None], stop: threading.Event) -> None:
    """A bar each second, every third of them wrong."""
    sequence = 0
    while not stop.wait(BAR_US / SECOND_US):
        now_us = time.time_ns() // 1000
        high = 9_000 if sequence % 3 == 2 else 10_010
        bar = BarBatch(
            event_time_us=now_us,
            instrument_id="WTI",
            feed_id="exchange",
            sequence=sequence,
            interval_us=BAR_US,
            price_exponent=-2,
            size_exponent=0,
            times_us=[now_us - now_us % BAR_US],
            opens=[10_000],
            highs=[high],
            lows=[9_990],
            closes=[10_005],
        )
        write("feeds", bar, Heartbeat(event_time_us=now_us, feed_id="exchange"))
        sequence += 1


def _signal(provider_id: str, number: int) -> Signal:
    now_us = time.time_ns() // 1000
    return Signal(
        event_time_us=now_us,
        signal_id=f"s-{number}",
        provider_id=provider_id,
        model_name="delphi",
        model_version="1",
        instrument_id="WTI",
        sequence=number,
        kind=SignalKind.DIRECTION,
        inputs_as_of_us=now_us,
        valid_until_us=now_us + 600 * SECOND_US,
        horizon_us=DAY_US,
        strength=1.0,
        probability=0.9,
    )


def _order(request_id: str, account_id: str, quantity: int) -> ManualOrder:
    now_us = time.time_ns() // 1000
    return ManualOrder(
        event_time_us=now_us,
        request_id=request_id,
        account_id=account_id,
        action=ManualAction.PLACE,
        author="ann",
        reason="test",
        valid_until_us=now_us + 600 * SECOND_US,
        instrument_id="WTI",
        side=Side.BUY,
        quantity=Decimal(quantity),
    )


def named(text: str) -> set[str]:
    """Names of all series in this text."""
    return set(re.findall(r"^([a-z_]+)(?=[{ ])", text, re.M))
