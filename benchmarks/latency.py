"""Promise: from a signal's publication to the call of the broker p50 <= 20 ms and p99 <= 60 ms at 250 signals/s.

    python -m benchmarks.latency

Real Kafka, one worker with all rooms and the effect, 50 strategy instances on 25 instruments and 10 accounts; a signal
reaches two of them, and every fifth on an instrument turns the opinion, which makes two intents and two orders.
Signals are published when they are due, whatever became of earlier ones, and counted from then. The limit, measured in
the same run, is a bare loop of the same hops: three transactions with the same codec, and the call. Then signals are
published as fast as they can be, for the records a second that the whole pipeline carries. Prints one JSON object; ends
with 1 when a target is missed.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks._arena import ROOT, Contender, contender, machine
from benchmarks._open_loop import at_rate, quantiles_ms
from benchmarks._pipeline import (
    FLIP_EVERY,
    HOPS,
    Floor,
    Opinions,
    bare_topics,
    calls,
    now_us,
    wait_for_calls,
    words,
)
from connectors.embedded.kafka import KafkaServer
from schemas.codec import Codec
from streams.runtime.clients import Cluster, plain_producer

RATES: dict[int, float] = {5: 20.0, 50: 15.0, 250: 12.0}
"""Seconds at each rate."""
WARM_UP = 1_000
FLOOD = 10_000
TARGETS_MS = {"p50": 20.0, "p99": 60.0}
TARGET_RATE = 250
MEMORY_MB = 600


def ours(bootstrap: str, folder: Path) -> dict[str, Any]:
    """The engine, at each rate and in a flood."""
    home = folder / "ours"
    home.mkdir()
    floor = Floor(bootstrap)
    environ = {"PIPELINE_BOOTSTRAP": bootstrap, "PIPELINE_FOLDER": str(home), "PYTHONPATH": str(ROOT)}
    found: dict[str, Any] = {}
    with contender(words("engine"), environ, home / "engine.log") as worker:
        floor.open()
        sent = at_rate(100, WARM_UP / 100, floor.publish)
        wait_for_calls(home, 1, worker)
        _settle(home)
        for rate, seconds in RATES.items():
            before, cpu = len(calls(home)), worker.cpu_s
            first = sent
            sent += at_rate(rate, seconds, lambda number, due, first=first: floor.publish(first + number, due))  # type: ignore[misc]  # bound early
            _settle(home)
            new = calls(home)[before:]
            found[f"{rate}/s"] = {
                **quantiles_ms([(called - due) / 1e3 for due, called in new]),
                "orders": len(new),
                "orders_per_s": round(len(new) / seconds, 1),
                "processors": round((worker.cpu_s - cpu) / seconds, 2),
            }
        found["flood"] = _flood(floor, home, worker, sent)
        found["memory"] = worker.memory()
    floor.close()
    return found


def _settle(home: Path, quiet_s: float = 3.0) -> None:
    """Wait until the broker is called no more."""
    seen, since = -1, time.monotonic()
    while time.monotonic() - since < quiet_s:
        now = len(calls(home))
        if now != seen:
            seen, since = now, time.monotonic()
        time.sleep(0.05)


def _flood(floor: Floor, home: Path, worker: Contender, first: int) -> dict[str, Any]:
    """Signals as fast as they can be published; all that was written to any topic until the broker was called last."""
    before, called = floor.written(), len(calls(home))
    began = time.time()
    for number in range(FLOOD):
        floor.publish(first + number, now_us())
    _settle(home)
    assert worker.alive, "the worker ended in the flood"
    done = calls(home)
    seconds = done[-1][1] / 1e6 - began
    written = {name: count - before[name] for name, count in floor.written().items()}
    return {
        "signals": FLOOD,
        "orders": len(done) - called,
        "seconds": round(seconds, 2),
        "signals_per_s": round(FLOOD / seconds),
        "records_per_s": round(sum(written.values()) / seconds),
        "records": {name: count for name, count in written.items() if count},
    }


def limit(bootstrap: str, folder: Path) -> dict[str, Any]:
    """The bare chain at the rate of the target; every signal makes the call."""
    home = folder / "bare"
    home.mkdir()
    cluster, codec = Cluster(bootstrap), Codec.local()
    bare_topics(cluster)
    opinions = Opinions()
    producer = plain_producer(cluster, lambda _: None)

    def send(number: int, due_us: int) -> None:
        record = opinions.signal(number, due_us)
        producer.produce(HOPS[0], codec.encode(record), record.instrument_id.encode())
        producer.poll(0)

    environ = {"PIPELINE_BOOTSTRAP": bootstrap, "PIPELINE_FOLDER": str(home), "PYTHONPATH": str(ROOT)}
    with contender(words("bare"), environ, home / "bare.log") as worker:
        sent = at_rate(100, 5.0, send)
        wait_for_calls(home, sent, worker)
        found = {}
        for rate in (50, TARGET_RATE):
            before = len(calls(home))
            count = at_rate(rate, RATES[rate], send)
            new = wait_for_calls(home, before + count, worker)[before:]
            found[f"{rate}/s"] = quantiles_ms([(called - due) / 1e3 for due, called in new])
    return found


def of_limit(told: dict[str, float], bare_chain: dict[str, float]) -> dict[str, float]:
    """How many times the bare chain's latency ours is."""
    return {name: round(told[name] / bare_chain[name], 2) for name in TARGETS_MS if name in told}


def main() -> int:
    about = machine()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with KafkaServer.start(folder / "kafka", port=0) as kafka:
            bare_chain = limit(kafka.bootstrap_servers, folder)
            found = ours(kafka.bootstrap_servers, folder)
    key = f"{TARGET_RATE}/s"
    met = all(found[key].get(name, float("inf")) <= bound for name, bound in TARGETS_MS.items())
    met = met and found["memory"]["peak_mb"] <= MEMORY_MB
    print(
        json.dumps(
            {
                "benchmark": "latency",
                "command": "python -m benchmarks.latency",
                **about,
                "instances": 50,
                "intents_per_signal": 2 / FLIP_EVERY,
                "results": found,
                "limit": bare_chain,
                "of_limit": of_limit(found[key], bare_chain[key]),
                "targets_ms_at_250": TARGETS_MS,
                "target_mb": MEMORY_MB,
                "met": met,
            },
            indent=1,
        )
    )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
