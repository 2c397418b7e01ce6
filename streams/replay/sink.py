"""The sink's process of a replay: every topic into ClickHouse, and a line of JSON a second about it."""

import json
import signal
import sys
import threading
import time
from pathlib import Path

import msgspec

from connectors.clickhouse.client import ClickHouse, database_of
from connectors.clickhouse.sink import Policy, Sink
from connectors.registry.client import ConfluentRegistry
from streams.replay.order import Order
from streams.replay.parent import end_with_parent
from streams.settings import load

TELL_EVERY_S = 0.5


def main() -> None:
    """Write until asked to stop."""
    end_with_parent()
    order = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Order)
    settings = load({}).settings
    server = ClickHouse(
        order.clickhouse_url,
        database_of(order.environment),
        user=settings.clickhouse_user,
        password=settings.clickhouse_password.get_secret_value(),
    )
    registry = ConfluentRegistry(order.registry_url)
    sink = Sink(
        order.bootstrap_servers, order.environment, server, registry.schema, policy=Policy(age_max_s=0.5), member="run"
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: sink.stop())
    ended = threading.Event()
    threading.Thread(target=_tell, args=(sink, ended), name="tell", daemon=True).start()
    try:
        sink.run()
    finally:
        ended.set()


def _tell(sink: Sink, ended: threading.Event) -> None:
    failures = looks = 0
    while not ended.wait(TELL_EVERY_S):
        progress = sink.progress
        away = progress.last_failure if progress.failures > failures else ""
        failures = progress.failures
        looks += 1
        news = {"looks": looks, "records": progress.records, "caught_up": sink.caught_up, "away": away}
        news["lag_s"] = round(max((time.time() - ms / 1000 for ms in sink.waiting_ms.values() if ms), default=0.0), 1)
        print(json.dumps(news), flush=True)


if __name__ == "__main__":
    main()
