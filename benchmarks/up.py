"""Promise: `quantumleap up` on an empty folder, jars cached: all three servers answer within 10 s.

    python -m benchmarks.up

Counted from starting the command's process to the first answer of each server to a stock client, and to its return. The
limit, measured in the same run, is the slowest of the three started alone on an empty folder: they do not need each
other. Memory is what each server's processes hold when it has answered. Prints one JSON object; ends with 1 when the
target is missed.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from confluent_kafka.admin import AdminClient

from benchmarks._arena import machine
from connectors.embedded.clickhouse import ClickHouseServer
from connectors.embedded.kafka import KafkaServer
from connectors.embedded.registry import RegistryServer

TARGET_S = 10.0
ROUNDS = 3
SERVERS: dict[str, Any] = {"kafka": KafkaServer, "registry": RegistryServer, "clickhouse": ClickHouseServer}
CLI = [sys.executable, "-c", "from streams.cli import main; main()"]
PORTS = {"QL_KAFKA_PORT": "0", "QL_REGISTRY_PORT": "0", "QL_CLICKHOUSE_PORT": "0"}


def up(folder: Path) -> dict[str, Any]:
    """One cold start by the command: seconds until it returned and every server answered us, and their memory."""
    import os  # noqa: PLC0415 - the environment of one process

    began = time.perf_counter()
    ended = subprocess.run(
        [*CLI, "up", "--folder", str(folder), "--json"], env={**os.environ, **PORTS}, stdout=subprocess.PIPE, check=True
    )
    addresses = json.loads(ended.stdout)
    returned = time.perf_counter() - began
    ask(addresses)
    answered = time.perf_counter() - began
    memory = {name: resident_mb(server.attach(folder / name).pid) for name, server in SERVERS.items()}
    return {"returned_s": round(returned, 2), "answered_s": round(answered, 2), "memory_mb": memory}


def ask(addresses: dict[str, str]) -> None:
    """One question to each, as their users put it."""
    AdminClient({"bootstrap.servers": addresses["bootstrap_servers"]}).list_topics(timeout=10)
    for address, path in ((addresses["registry_url"], "/subjects"), (addresses["clickhouse_url"], "/ping")):
        with urllib.request.urlopen(address + path, timeout=10) as answer:
            assert answer.status == 200, f"{address} answered {answer.status}"


def down(folder: Path) -> None:
    """Stop them."""
    subprocess.run([*CLI, "down", "--folder", str(folder)], check=True, stderr=subprocess.DEVNULL)


def resident_mb(pid: int) -> float:
    """Megabytes that a process and its children hold, shared pages divided among those who share them."""
    total = 0.0
    for one in [pid, *children(pid)]:
        rollup = Path(f"/proc/{one}/smaps_rollup").read_text()
        total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / 1024
    return round(total, 1)


def children(pid: int) -> list[int]:
    """Processes that this one started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alone(start: Callable[[], Any]) -> float:
    """Seconds that one server takes on an empty folder."""
    began = time.perf_counter()
    server = start()
    taken = time.perf_counter() - began
    server.stop()
    return round(taken, 2)


def main() -> int:
    about = machine()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        rounds = []
        for number in range(ROUNDS):
            rounds.append(up(folder / f"up{number}"))
            down(folder / f"up{number}")
        each = {
            kind: alone(lambda kind=kind, server=server: server.start(folder / f"alone-{kind}", port=0))  # type: ignore[misc]  # bound early
            for kind, server in SERVERS.items()
        }
    answered = [one["answered_s"] for one in rounds]
    met = max(answered) <= TARGET_S
    print(
        json.dumps(
            {
                "benchmark": "up",
                "command": "python -m benchmarks.up",
                **about,
                "rounds": ROUNDS,
                "answered_s": {"median": statistics.median(answered), "max": max(answered)},
                "returned_s": statistics.median(one["returned_s"] for one in rounds),
                "memory_mb": rounds[-1]["memory_mb"],
                "alone_s": each,
                "times_the_slowest_alone": round(statistics.median(answered) / max(each.values()), 2),
                "target_s": TARGET_S,
                "met": met,
            },
            indent=1,
        )
    )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
