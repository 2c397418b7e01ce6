"""What a missed target of the runtime is due to: a second, watched run of those who missed, and what would be needed.

Watched runs are slower by a few percent, and are told for their shares only. Seconds of threads count from the start
of the process; processors are those used on average between the first result and the last.
"""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks._arena import Arena, Contender, as_avro, contender, write
from benchmarks._open_loop import TARGET_RATE, TARGETS_MS, hop_latency
from benchmarks._profile import cpu_s, sampled, told
from benchmarks._throughput import RECORDS, TARGETS, Entrant, hop, room

Missed = dict[str, Any]


class Spent:
    """Processors that processes used on average between the first look and the last."""

    def __init__(self) -> None:
        self._looks: list[tuple[float, dict[str, float]]] = []

    def look(self, pids: dict[str, int]) -> float:
        """Note what each has used so far; return their sum in seconds."""
        used = {name: cpu_s(pid) for name, pid in pids.items()}
        self._looks = [*self._looks[:1], (time.monotonic(), used)]
        return sum(used.values())

    def told(self) -> dict[str, float]:
        """Processors by process."""
        (began, first), (ended, last) = self._looks[0], self._looks[-1]
        return {name: round((last[name] - first[name]) / max(0.05, ended - began), 2) for name in last}


def watched(entrant: Entrant, file: Path) -> Entrant:
    """The same entrant, with a sampler beside it that tells into the file."""

    def words_of(arena: Arena, folder: Path) -> Any:
        words, environ = entrant(arena, folder)
        return sampled(words, file), environ

    return words_of


def in_a_flood(bootstrap: str, folder: Path, broker: int, entrants: Sequence[Entrant]) -> Missed:
    """Over payments that lie in the inbox already."""
    arena, spent, file = Arena(bootstrap), Spent(), folder / "flood.json"
    write(bootstrap, arena.inbox, as_avro(RECORDS))
    with ExitStack() as stack:
        workers: list[Contender] = []
        for number, entrant in enumerate(entrants):
            words, environ = (watched(entrant, file) if number == 0 else entrant)(arena, folder)
            log = folder / f"{arena.environment}-{number}.log"
            workers.append(stack.enter_context(contender(words, environ, log)))
        pids = {f"worker {number}": worker.process.pid for number, worker in enumerate(workers)}
        arena.watch(arena.results, RECORDS, lambda: spent.look({**pids, "broker": broker, "benchmark": os.getpid()}))
    return {"processors": spent.told(), "worker": told(file)}


def at_a_rate(bootstrap: str, folder: Path, broker: int, entrant: Entrant) -> Missed:
    """At the rate of the target."""
    spent, file = Spent(), folder / "rate.json"

    def look(one: Contender) -> None:
        spent.look({"worker": one.process.pid, "broker": broker, "benchmark": os.getpid()})

    hop_latency(bootstrap, folder, watched(entrant, file), [TARGET_RATE], look)
    return {"processors": spent.told(), "worker": told(file)}


def throughput(bootstrap: str, folder: Path, broker: int, found: dict[str, Any]) -> Missed:
    """Why ours is below the limit, or below its peers."""
    ratios, missed = found["ratios"], {}
    if ratios["relay_of_limit"] < TARGETS["relay_of_limit"]:
        ours, bare = (found[name]["cpu_us_a_record"] for name in ("ours_relay", "limit_relay"))
        missed["relay_of_limit"] = {
            **in_a_flood(bootstrap, folder, broker, [hop("relay")]),
            "needed": f"A record costs {ours} us of processor, and the bare loop {bare}. What is above it is an id, "
            "headers, counts and a report of its delivery, which a second thread takes. Needed: one report for many "
            "records, which librdkafka does not give to Python.",
        }
    if ratios["ours_of_limit"] < TARGETS["ours_of_limit"] or ratios.get("ours_of_quix", 9) < TARGETS["ours_of_quix"]:
        bare = found["limit_transactional"]["records_per_s"] / found["quix"].get("records_per_s", 1)
        missed["ours_of_quix"] = {
            **in_a_flood(bootstrap, folder, broker, [room()]),
            "needed": f"Quix commits every few seconds and without transactions; the bare transactional loop comes to "
            f"{bare:.2f} of it. Between two batches a transaction waits for five answers of the broker. Needed: "
            "processors of its own for the broker, or a client that speaks version 2 of Kafka's transactions "
            "(KIP-890), which leaves two of the five out; librdkafka 2.16 speaks version 1.",
        }
    return missed


def latency(bootstrap: str, folder: Path, broker: int, found: dict[str, Any]) -> Missed:
    """Why a hop takes longer than it should."""
    entrants = {"transactional": room(), "plain": hop("effect")}
    rate, missed = f"{TARGET_RATE}/s", {}
    for mode, bounds in TARGETS_MS.items():
        ours, bare = found[mode][rate], found[f"limit_{mode}"][rate]
        if all(ours[name] <= bound for name, bound in bounds.items()):
            continue
        waits = "five answers of the broker, one after another" if mode == "transactional" else "two answers"
        missed[mode] = {
            **at_a_rate(bootstrap, folder, broker, entrants[mode]),
            "needed": f"The bare loop takes {bare['p50']} ms, and {bare['p99']} at the 99th percentile; ours "
            f"{ours['p50']} and {ours['p99']}. Each hop waits for {waits}, and the broker shares its processors with "
            "the worker, the writer and the reader. Needed: a processor that is free when an answer is due.",
        }
    return missed


def workers(bootstrap: str, folder: Path, broker: int, found: dict[str, Any]) -> Missed:
    """Why two are not twice one."""
    two = in_a_flood(bootstrap, folder, broker, [room(), room("w1")])
    used, one = two["processors"], found["one"]
    alone = one["cpu_us_a_record"] * one["records_per_s"] / 1e6
    shares = ", ".join(f"{name} {part / max(0.01, sum(used.values())):.0%}" for name, part in used.items())
    return {
        **two,
        "needed": f"One worker alone uses {alone:.1f} of {os.cpu_count()} processors, broker and writer most of the "
        f"rest. Of what two use: {shares}. Needed: processors that neither broker nor writer uses.",
    }


WHY: dict[str, Callable[[str, Path, int, dict[str, Any]], Missed]] = {
    "throughput": throughput,
    "latency": latency,
    "workers": workers,
}
"""By part of the benchmark: what is told where it missed."""
