"""A load generator free of coordinated omission, and what becomes of its records.

Records are written at the times at which they are due, whether or not earlier ones have come back; the latency of each
counts from when it was due, not from when the writer came to it. What never comes back is an error, not a gap.
"""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from confluent_kafka import Producer, TopicPartition

from benchmarks._arena import PARTITIONS, Arena, Contender, balanced_keys, contender
from benchmarks._throughput import Entrant, bare, hop, room
from streams.runtime import clients
from streams.runtime.offsets import Offsets
from tests.streams.runtime.sums import payment, sums_codec

RATES: dict[int, float] = {50: 12.0, 200: 10.0, 1_000: 6.0}
"""Seconds at each rate; of fewer than a thousand records the 99.9th percentile is the most."""
WARM_UP_S = 3.0
ANSWER_S = 20.0
TARGETS_MS = {"transactional": {"p50": 6.0, "p99": 15.0}, "plain": {"p50": 2.5, "p99": 8.0}}
TARGET_RATE = 200


def at_rate(rate: float, seconds: float, send: Callable[[int, int], None]) -> int:
    """Call `send(number, due_us)` for each record when it is due, in wall time; how many there were."""
    began, count = time.time(), int(rate * seconds)
    for number in range(count):
        due = began + number / rate
        if (left := due - time.time()) > 0:
            time.sleep(left)
        send(number, int(due * 1e6))
    return count


def quantiles_ms(latencies: Sequence[float]) -> dict[str, float]:
    """Median, 99th and 99.9th percentile, and the most, in milliseconds; nothing of nothing."""
    ordered = sorted(latencies)
    if not ordered:
        return {}
    told = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
    return {name: round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2) for name, share in told.items()}


class Ears:
    """Hears every result of an arena, with the time at which it came."""

    def __init__(self, arena: Arena):
        self._codec = sums_codec()
        self._reader = clients.reader(arena.cluster)
        ends = Offsets(arena.cluster).ends(arena.results, range(PARTITIONS))
        self._reader.assign([TopicPartition(arena.results, partition, end) for partition, end in ends.items()])
        self.latencies: list[float] = []
        self._stopping = False
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while not self._stopping:
            message = self._reader.poll(0.1)
            now_us = time.time() * 1e6
            if message is not None and message.error() is None:
                due_us = self._codec.decode(message.value()).event_time_us
                self.latencies.append((now_us - due_us) / 1e3)

    def wait_for(self, count: int) -> list[float]:
        """Latencies of so many results, in milliseconds, since the last call."""
        give_up = time.monotonic() + ANSWER_S
        while len(self.latencies) < count:
            assert time.monotonic() < give_up, f"{len(self.latencies)} of {count} results came back"
            time.sleep(0.01)
        found, self.latencies = self.latencies, []
        return found

    def close(self) -> None:
        """Leave the topic."""
        self._stopping = True
        self._thread.join()
        self._reader.close()


def hop_latency(
    bootstrap: str,
    folder: Path,
    entrant: Entrant,
    rates: Sequence[int],
    look: Callable[[Contender], object] = lambda _: None,
) -> dict[str, dict[str, float]]:
    """Milliseconds from due to read by a committed reader, over one hop, at each rate.

    look: called before and after the records of each rate.
    """
    arena = Arena(bootstrap)
    codec, keys = sums_codec(), balanced_keys()
    producer: Producer = clients.plain_producer(arena.cluster, lambda _: None)
    sent = 0

    def send(_number: int, due_us: int) -> None:
        nonlocal sent
        account = keys[sent % len(keys)]
        record = payment(account, 1, f"p{sent}", due_us)
        producer.produce(arena.inbox, codec.encode(record), account.encode())
        producer.poll(0)
        sent += 1

    words, environ = entrant(arena, folder)
    found = {}
    with contender(words, environ, folder / f"{arena.environment}.log") as one:
        ears = Ears(arena)
        try:
            at_rate(1, 1, send)
            producer.flush()
            arena.wait_for(arena.results, 1, lambda: one.alive)
            ears.wait_for(1)
            ears.wait_for(at_rate(200, WARM_UP_S, send))
            for rate in rates:
                before = one.cpu_s
                look(one)
                latencies = ears.wait_for(at_rate(rate, RATES[rate], send))
                load = (one.cpu_s - before) / RATES[rate]
                look(one)
                found[f"{rate}/s"] = {**quantiles_ms(latencies), "n": len(latencies), "processors": round(load, 2)}
        finally:
            ears.close()
    return found


def latency(bootstrap: str, folder: Path) -> dict[str, Any]:
    """One hop of ours in both modes, and a bare loop of each at the rate of the target."""
    rates = list(RATES)
    found: dict[str, Any] = {
        "transactional": hop_latency(bootstrap, folder, room(), rates),
        "limit_transactional": hop_latency(bootstrap, folder, bare("transactional"), [TARGET_RATE]),
        "plain": hop_latency(bootstrap, folder, hop("effect"), rates),
        "limit_plain": hop_latency(bootstrap, folder, bare("relay"), [TARGET_RATE]),
    }
    key = f"{TARGET_RATE}/s"
    found["of_limit_p50"] = {
        mode: round(found[mode][key]["p50"] / found[f"limit_{mode}"][key]["p50"], 2) for mode in TARGETS_MS
    }
    found["targets_ms_at_200"] = TARGETS_MS
    found["met"] = all(
        found[mode][key][name] <= bound for mode, bounds in TARGETS_MS.items() for name, bound in bounds.items()
    )
    return found
