"""Promise: ours reaches 0.8 of a bare loop making the same calls, 1.5 times Quix Streams and 15 times stock Faust.

    python -m benchmarks.runtime [--part NAME ...] [--json]

All on one embedded Kafka in one run: 100,000 payments of 200 accounts on 4 partitions, a running sum, durable states,
one result each. The limit is a bare confluent-kafka loop with the same codec, records and client settings. Rates are by
the times that Kafka keeps beside results; latencies come from a generator free of coordinated omission. Parts:

throughput  the limits, our doors, Quix Streams and stock Faust (on fewer records; a rate does not depend on them)
latency     one transactional and one plain hop at 50, 200 and 1,000 records/s
workers     two workers against one
failover    kill -9 until all partitions flow, with and without fixed membership
local       the in-process runner
memory      a worker with all rooms, at rest and with work
recovery    states read back: 1, 100 and 1,000 MB
changelog   bytes written for each mark and order of a busy account

Where a target is missed, those who missed it run once more under a sampler: `missed` tells the processors that each
process used, where each thread of the worker stood, and what would be needed.

Prints one JSON object (`--json` is taken and changes nothing); ends with 1 when a target is missed. QUIX_PYTHON names
an interpreter that has Quix Streams; without it, it is installed from the package registry into a temporary folder.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException

from benchmarks._arena import KEYS, as_avro, machine
from benchmarks._durability import changelog_bytes, failover, recovery
from benchmarks._missed import WHY
from benchmarks._open_loop import latency
from benchmarks._pipeline import memory
from benchmarks._throughput import RECORDS, throughput, two_workers
from connectors.embedded.kafka import KafkaServer
from schemas.record import Record
from streams.runtime.local import LocalLog, LocalRoom
from tests.streams.runtime.sums import SUMS_INBOX, SUMS_MAP, SumsRoom, sums_codec

LOCAL_TARGET = 200_000


def local(_bootstrap: str, _folder: Path) -> dict[str, Any]:
    """Records a second of the worked room in process, beside the same folds called in a bare loop."""
    codec = sums_codec()
    records: list[Record] = [codec.decode(value) for _, value in as_avro(RECORDS)]
    log, room = LocalLog(), SumsRoom()
    runner = LocalRoom(room, log, SUMS_MAP)
    for record in records:
        log.write(SUMS_INBOX, record)
    began = time.process_time()
    runner.drain()
    ours = RECORDS / (time.process_time() - began)
    shared, states = room.begin_shared(), {f"a{number}": room.begin(f"a{number}") for number in range(KEYS)}
    keys = [SUMS_INBOX.key_of(record) or "" for record in records]
    began = time.process_time()
    for key, record in zip(keys, records, strict=True):
        states[key], _ = room.fold(states[key], shared, record)
    limit = RECORDS / (time.process_time() - began)
    return {
        "records_per_s": round(ours),
        "bare_folds_per_s": round(limit),
        "of_limit": round(ours / limit, 2),
        "target_per_s": LOCAL_TARGET,
        "met": ours >= LOCAL_TARGET,
    }


Part = Callable[[str, Path], dict[str, Any]]

PARTS: dict[str, Part] = {
    "throughput": throughput,
    "latency": latency,
    "workers": two_workers,
    "failover": failover,
    "local": local,
    "memory": memory,
    "recovery": lambda bootstrap, folder: recovery(bootstrap, folder, [1, 100, 1_000]),
    "changelog": lambda _bootstrap, _folder: changelog_bytes(),
}
NO_SERVER = {"local", "changelog"}

REMARKS = {
    "missed": "Watched runs, for their shares only. `processors` is what each process used on average between first "
    "and last result; `seconds` what each thread of the worker used since its start; `stood_at` the lines at which "
    "it stood, as shares of all looks, also while those waited for Kafka.",
    "throughput": "Ours names every result by a hash of its cause and of what it says, checks each record's place and "
    "key, and keeps lineage, traces and metrics; the bare loop does none of it. `cpu_us_a_record` tells the price.",
    "workers": "The broker, the writer and both workers share the machine's processors; 1.8 supposes two free ones.",
    "changelog": "An order writes itself, its position, the totals, and of what went through lately the last page of "
    "times of each limit that counts it and the buckets of its id and fingerprint; none grows with the orders before.",
    "latency": "A transactional hop is five requests one after another (partitions, records, group, offsets, end) and "
    "three changes of thread; a bare loop makes the same requests and changes no thread.",
}


def main(words: list[str]) -> int:
    """Run the parts that are asked for, print one JSON object, and tell whether all targets were met."""
    asked = [word for word in words if not word.startswith("--")] or list(PARTS)
    unknown = [name for name in asked if name not in PARTS]
    if unknown:
        print(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    about = machine()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if set(asked) <= NO_SERVER:
            results = _run(asked, "", folder, 0)
        else:
            with KafkaServer.start(folder / "kafka", port=0) as kafka:
                results = _run(asked, kafka.bootstrap_servers, folder, kafka.pid or 0)
    named = [f"--part {part}" for part in asked] if asked != list(PARTS) else []
    told = {
        "benchmark": "runtime",
        "command": " ".join(["python -m benchmarks.runtime", *named]),
        **about,
        "results": results,
        "remarks": REMARKS,
    }
    print(json.dumps(told, indent=1))
    return 0 if all(part.get("met", True) for part in results.values()) else 1


def _run(asked: list[str], bootstrap: str, folder: Path, broker: int) -> dict[str, Any]:
    results = {}
    for name in asked:
        began = time.monotonic()
        print(f"  {name} ...", file=sys.stderr, flush=True)
        found: dict[str, Any] = {}
        try:
            found = PARTS[name](bootstrap, folder)
            if not found.get("met", True) and name in WHY:
                load_before = round(os.getloadavg()[0], 2)
                found["missed"] = {"load_before": load_before, **WHY[name](bootstrap, folder, broker, found)}
        except (AssertionError, KafkaException, TimeoutError) as error:
            # What was measured until then is worth keeping, and the other parts may still be measured.
            found |= {"failed": str(error) or type(error).__name__, "met": False}
        results[name] = {**found, "took_s": round(time.monotonic() - began, 1)}
        print(f"  {name} {json.dumps(results[name])}", file=sys.stderr, flush=True)
    return results


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
