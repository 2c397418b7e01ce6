"""Promise: the report of 40 years of daily bars within 5 s, from asking ClickHouse to the file on disk.

    python -m benchmarks.report

The account is that of a real backtest of crude oil since 1986, all records in an embedded ClickHouse as the sink writes
them. The limit, measured in the same run, is what any report must do: fetch the daily equity once and write one file of
the same size. Prints one JSON object; ends with 1 when the target is missed.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from connectors.clickhouse.chunks import Contents, Place, Taken, schema_ids, write
from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.migrate import migrate
from connectors.clickhouse.rows import layout
from connectors.embedded.clickhouse import ClickHouseServer
from dashboards.report.html import document
from schemas import topics
from schemas.avro_schema import avro_text
from schemas.codec import Codec
from schemas.record import Record
from schemas.topics import ACCOUNTS_EVENTS, ACCOUNTS_INBOX, FILLS, PNL, STRATEGIES_INBOX, Topic
from streams.commands.replay import plan_of
from streams.commands.report_figures import figures_of
from streams.commands.report_page import page_of
from streams.replay.backtest import Backtest

FIRST, LAST = "1986-01-01", "2026-08-18"
TARGET_S = 5.0
ROUNDS = 5
CHUNK = 20_000
READ = (ACCOUNTS_INBOX, STRATEGIES_INBOX, ACCOUNTS_EVENTS, FILLS, PNL)
"""Topics whose tables the report reads."""


def fill(server: ClickHouse) -> int:
    """Everything that a backtest of forty years says about its account, in ClickHouse; how many records."""
    codec, names = Codec.local(), list(topics.records())
    backtest = Backtest(plan_of("oil", FIRST, LAST, None, "1000000"))
    waiting: dict[Place, list[Taken]] = defaultdict(list)
    now_ms, count = time.time_ns() // 1_000_000, 0

    def put() -> None:
        layouts = {number: layout(avro_text(names[number - 1])) for number in schema_ids(waiting)}
        write(server, Contents(dict(waiting), layouts), f"benchmark-{count}")
        waiting.clear()

    def take(topic: Topic, record: Record) -> None:
        nonlocal count
        if topic not in READ:
            return
        headers: list[tuple[str, bytes | None]] = [("event_id", b"%d" % count)]
        waiting[Place(topic.name, 0)].append(Taken(count, now_ms, b"key", codec.encode(record), headers))
        count += 1
        if count % CHUNK == 0:
            put()

    backtest.log.tap(take)
    backtest.run()
    put()
    return count


def timed(work: Callable[[], object]) -> dict[str, float]:
    """Median and worst of the rounds, in seconds, after one to warm up."""
    work()
    taken = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return {"median_s": round(statistics.median(taken), 3), "worst_s": round(max(taken), 3)}


def measure(folder: Path) -> dict[str, Any]:
    """The promise and its limit."""
    started = ClickHouseServer.start(folder / "clickhouse", port=0)
    try:
        server = ClickHouse(started.url, "ql_benchmark")
        migrate(server)
        return {"records": fill(server), **compared(server, folder / "report.html")}
    finally:
        started.stop()


def compared(server: ClickHouse, path: Path) -> dict[str, Any]:
    """Seconds of the report, and of the least that any must do."""

    def report() -> None:
        path.write_text(document(page_of(figures_of(server, None), (), "", "today")), encoding="utf-8")

    ours = timed(report)
    size, days = path.stat().st_size, len(figures_of(server, None).days)

    def limit() -> None:
        server.rows("SELECT day, equity FROM `ql_benchmark`.equity_daily ORDER BY day")
        path.write_bytes(b" " * size)

    least = timed(limit)
    return {
        "days": days,
        "bytes": size,
        **ours,
        "target_s": TARGET_S,
        "limit": least,
        "times_the_limit": round(ours["median_s"] / least["median_s"], 2),
        "met": ours["worst_s"] <= TARGET_S,
    }


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder))
    print(
        json.dumps(
            {
                "benchmark": "report",
                "command": "python -m benchmarks.report",
                "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "system": platform.system()},
                "versions": {"python": platform.python_version()},
                "rounds": ROUNDS,
                "load_before": os.getloadavg()[0],
                "results": {"daily_40_years": found},
            },
            indent=1,
        )
    )
    return 0 if found["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
