"""Throughput: the same payments through the limits, our doors and the peers, one after another, each in its process."""

import os
import statistics
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks._arena import Arena, Words, as_avro, as_json, contender, write

RECORDS = 100_000
FAUST_RECORDS = 10_000
ROUNDS = 2
PYTHON = sys.executable
TARGETS = {"ours_of_limit": 0.8, "relay_of_limit": 0.8, "ours_of_quix": 1.5, "ours_of_faust": 15.0}

Environ = dict[str, str]
Entrant = Callable[[Arena, Path], tuple[Words, Environ]]


def bare(mode: str) -> Entrant:
    """A bare loop of this mode."""
    return lambda arena, _: (
        [PYTHON, "-m", "benchmarks._bare_loop", mode],
        {"BARE_ENVIRONMENT": arena.environment, "BARE_BOOTSTRAP": arena.bootstrap},
    )


def room(slot: str = "w0") -> Entrant:
    """The worked room in a worker of ours."""
    return lambda arena, folder: (
        [PYTHON, "-m", "tests.faults.sums_worker", "worker", "--without-web"],
        {
            "SUMS_ENVIRONMENT": arena.environment,
            "SUMS_BOOTSTRAP": arena.bootstrap,
            "SUMS_SLOT": slot,
            "SUMS_FOLDER": str(folder / slot),
        },
    )


def hop(kind: str) -> Entrant:
    """A plain hop of ours."""
    return lambda arena, folder: (
        [PYTHON, "-m", "benchmarks._plain_hop", kind],
        {"HOP_ENVIRONMENT": arena.environment, "HOP_BOOTSTRAP": arena.bootstrap, "HOP_FOLDER": str(folder)},
    )


def run(bootstrap: str, folder: Path, entrant: Entrant, records: list[tuple[bytes, bytes]]) -> dict[str, float]:
    """One entrant over payments of the worked room that lie in its inbox already."""
    arena = Arena(bootstrap)
    write(bootstrap, arena.inbox, records)
    words, environ = entrant(arena, folder)
    return _judged(arena, folder, words, environ, arena.results, len(records))


def _judged(arena: Arena, folder: Path, words: Words, environ: Environ, results: str, count: int) -> dict[str, float]:
    with contender(words, environ, folder / f"{arena.environment}.log") as one:
        return {**arena.watch(results, count, lambda: one.cpu_s), "peak_mb": one.memory()["peak_mb"]}


def stock_faust(bootstrap: str, folder: Path) -> dict[str, float]:
    """Agent, table and an awaited send, on fewer payments: a rate does not depend on how many."""
    arena = Arena(bootstrap)
    name = arena.environment
    kept = f"{name}-{name}-sums-changelog"
    arena.make([arena.plain_topic(f"{name}-payments"), arena.plain_topic(f"{name}-results")])
    write(bootstrap, f"{name}-payments", as_json(FAUST_RECORDS))
    environ = {"STOCK_ID": name, "STOCK_BOOTSTRAP": bootstrap, "STOCK_FOLDER": str(folder / "faust")}
    words = [PYTHON, "-m", "tests.faults.stock_faust", "worker", "-l", "error"]
    found = _judged(arena, folder, words, environ, f"{name}-results", FAUST_RECORDS)
    return {**found, "records": FAUST_RECORDS, "states_written": arena.written(kept)}


def quix(bootstrap: str, folder: Path) -> dict[str, Any]:
    """Quix Streams with its defaults, from the package registry, in an environment of its own."""
    python = _quix_python(folder)
    if python is None:
        return {"skipped": "Quix Streams could not be installed"}
    arena = Arena(bootstrap)
    name = arena.environment
    arena.make([arena.plain_topic(f"{name}-payments"), arena.plain_topic(f"{name}-results")])
    write(bootstrap, f"{name}-payments", as_json(RECORDS))
    environ = {
        "QUIX_BOOTSTRAP": bootstrap,
        "QUIX_GROUP": name,
        "QUIX_INPUT": f"{name}-payments",
        "QUIX_OUTPUT": f"{name}-results",
        "QUIX_FOLDER": str(folder / "quix"),
    }
    words = [str(python), str(Path(__file__).with_name("_quix_job.py"))]
    return {**_judged(arena, folder, words, environ, f"{name}-results", RECORDS), "version": _quix_version(python)}


def _quix_python(folder: Path) -> Path | None:
    """An interpreter that has it; QUIX_PYTHON names one that exists already."""
    if "QUIX_PYTHON" in os.environ:
        return Path(os.environ["QUIX_PYTHON"])
    home = folder / "quix-venv"
    python = home / "bin" / "python"
    steps = ([PYTHON, "-m", "venv", str(home)], [str(python), "-m", "pip", "install", "-q", "quixstreams"])
    for step in steps:
        if subprocess.run(step, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode:
            return None
    return python


def _quix_version(python: Path) -> str:
    words = [str(python), "-c", "from importlib.metadata import version; print(version('quixstreams'))"]
    return subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def throughput(bootstrap: str, folder: Path) -> dict[str, Any]:
    """All of them, ours and the limit in turn so that both meet the same minutes; ratios of medians."""
    records = as_avro(RECORDS)
    entrants: dict[str, Entrant] = {
        "limit_transactional": bare("transactional"),
        "ours_transactional": room(),
        "limit_relay": bare("relay"),
        "ours_relay": hop("relay"),
    }
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in entrants}
    for _ in range(ROUNDS):
        for name, entrant in entrants.items():
            rounds[name].append(run(bootstrap, folder, entrant, records))
    found: dict[str, Any] = {name: _middle(each) for name, each in rounds.items()}
    found["limit_plain_with_states"] = run(bootstrap, folder, bare("plain"), records)
    found["quix"] = quix(bootstrap, folder)
    found["stock_faust"] = stock_faust(bootstrap, folder)
    ours = found["ours_transactional"]["records_per_s"]
    ratios = {
        "ours_of_limit": ours / found["limit_transactional"]["records_per_s"],
        "relay_of_limit": found["ours_relay"]["records_per_s"] / found["limit_relay"]["records_per_s"],
        "ours_of_faust": ours / found["stock_faust"]["records_per_s"],
    }
    if "records_per_s" in found["quix"]:
        ratios["ours_of_quix"] = ours / found["quix"]["records_per_s"]
    found["ratios"] = {name: round(ratio, 2) for name, ratio in ratios.items()}
    found["targets"] = TARGETS
    found["met"] = all(ratios.get(name, 0) >= target for name, target in TARGETS.items())
    return {"records": RECORDS, "rounds": ROUNDS, **found}


def _middle(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median(one[name] for one in rounds), 1) for name in rounds[0]}


def two_workers(bootstrap: str, folder: Path) -> dict[str, Any]:
    """One worker and two, on a flood that begins when they own their partitions."""
    records = as_avro(2 * RECORDS)
    one, two = (_flood(bootstrap, folder, slots, records) for slots in (("w0",), ("w0", "w1")))
    times = two["records_per_s"] / one["records_per_s"]
    return {
        "one": one, "two": two, "times": round(times, 2), "target": 1.8, "met": times >= 1.8,
        "processors": os.cpu_count(),
        "why": "workers, broker and writer share the processors; the target supposes two free ones for the workers",
    }  # fmt: skip


def _flood(
    bootstrap: str, folder: Path, slots: tuple[str, ...], records: list[tuple[bytes, bytes]]
) -> dict[str, float]:
    arena = Arena(bootstrap)
    with ExitStack() as stack:
        workers = []
        for slot in slots:
            words, environ = room(slot)(arena, folder)
            workers.append(stack.enter_context(contender(words, environ, folder / f"{arena.environment}-{slot}.log")))
            # One that finds the other at work gets its share at once, and the flood meets settled owners.
            first = as_avro(100)
            write(bootstrap, arena.inbox, first)
            arena.wait_for(arena.results, 100 * len(workers), lambda: all(worker.alive for worker in workers))
        flood = threading.Thread(target=write, args=(bootstrap, arena.inbox, records))
        flood.start()
        found = arena.watch(arena.results, len(records), lambda: sum(worker.cpu_s for worker in workers))
        flood.join()
    return found
