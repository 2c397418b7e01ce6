"""Where the time of a signal goes: hop by hop from the log, and by thread in the worker.

A record carries when its writer produced it, and the time of the signal behind it. So a hop lasts from one record's
writing to the next one's: the commit of the writer, the way to the next reader, its turn, and its fold.
"""

import json
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from schemas.codec import Codec
from schemas.risk import RiskVerdict
from schemas.topics import ACCOUNTS_EVENTS, ACCOUNTS_INBOX, ORDERS_COMMANDS, SIGNALS_INBOX, STRATEGIES_INBOX, Topic
from streams.runtime.app import RoomApp
from streams.runtime.clients import Cluster
from streams.runtime.headers import SIGNAL_TIME, first
from streams.runtime.reader import read_topic

STATIONS: tuple[tuple[str, Topic, str], ...] = (
    ("publish", SIGNALS_INBOX, "Signal"),
    ("signals", STRATEGIES_INBOX, "AcceptedSignal"),
    ("strategies", ACCOUNTS_INBOX, "TradeIntent"),
    ("accounts", ORDERS_COMMANDS, "SubmitOrder"),
)
"""Who writes the record, where it lies, and what it is; after the last comes the call."""
SPENT = "spent.json"
TELL_EVERY_S = 0.5


class Way:
    """When the records behind each signal were written, read from the topics once all is quiet."""

    def __init__(self, cluster: Cluster, environment: str):
        codec = Codec.local()
        self.written_ms: dict[str, dict[int, list[int]]] = {}
        for hop, topic, kind in STATIONS:
            found: dict[int, list[int]] = defaultdict(list)
            for message in read_topic(cluster, topic.full_name(environment)):
                record = codec.decode(message.value())
                if type(record).__name__ == kind:
                    due = record.event_time_us if hop == "publish" else _signal_us(message)
                    if due is not None:
                        found[due].append(message.timestamp()[1])
            self.written_ms[hop] = found
        self._denied: dict[int, list[str]] = defaultdict(list)
        for message in read_topic(cluster, ACCOUNTS_EVENTS.full_name(environment)):
            verdict, due = codec.decode(message.value()), _signal_us(message)
            if due is not None and isinstance(verdict, RiskVerdict) and not verdict.approved:
                self._denied[due].append(verdict.code)

    def intents(self, first_us: int, last_us: int) -> int:
        """Wishes that signals of this time led to."""
        return sum(len(times) for due, times in self.written_ms["strategies"].items() if first_us <= due <= last_us)

    def denied(self, first_us: int, last_us: int) -> dict[str, int]:
        """Verdicts against a wish, by code."""
        return dict(Counter(code for due, said in self._denied.items() if first_us <= due <= last_us for code in said))

    def hops_ms(self, calls: Sequence[tuple[int, int]]) -> dict[str, dict[str, float]]:
        """Mean, median and 99th percentile of each hop of these (due, called); the log's clock counts milliseconds."""
        hops: dict[str, list[float]] = defaultdict(list)
        for due, called in calls:
            # A record's time is cut to its millisecond: half of one is added.
            at = [due / 1e3, *(_mean(self.written_ms[hop].get(due, ())) for hop, *_ in STATIONS), called / 1e3]
            names = (*(hop for hop, *_ in STATIONS), "execution")
            for name, before, after in zip(names, at, at[1:], strict=False):
                if before is not None and after is not None:
                    hops[name].append(after - before)
        return {name: _told(values) for name, values in hops.items()}


def _signal_us(message: Any) -> int | None:
    told = first(message.headers(), SIGNAL_TIME)
    return int(told) if told and told.isdigit() else None


def _mean(times_ms: Sequence[int]) -> float | None:
    return sum(times_ms) / len(times_ms) + 0.5 if times_ms else None


def _told(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    at = {"p50": len(ordered) // 2, "p99": min(len(ordered) - 1, int(0.99 * len(ordered)))}
    return {"mean": round(sum(ordered) / len(ordered), 1), **{name: round(ordered[i], 1) for name, i in at.items()}}


def tell_spent(app: RoomApp, folder: Path) -> None:
    """From now on write what the worker has spent, twice a second."""
    threading.Thread(target=_tell_spent, args=(app, folder / SPENT), daemon=True).start()


def _tell_spent(app: RoomApp, path: Path) -> None:
    half = path.with_suffix(".half")
    while True:
        rooms = {
            room.name: {
                "batches": room.metrics.batches,
                "records": room.metrics.taken,
                "fold_s": room.metrics.fold_s,
                "commit_s": room.metrics.commit_s,
                "aborts": sum(room.aborts.values()),
            }
            for room in app.rooms
        }
        half.write_text(json.dumps({"rooms": rooms, "threads": _threads()}))
        half.replace(path)
        time.sleep(TELL_EVERY_S)


def _threads() -> dict[str, float]:
    """Seconds of processor by thread; those that are not Python's are librdkafka's."""
    spent: dict[str, float] = defaultdict(float)
    for one in threading.enumerate():
        if one.ident is not None:
            name = one.name.rsplit("_", 1)[0] if one.name[-1:].isdigit() else one.name
            try:
                spent[name] += time.clock_gettime(time.pthread_getcpuclockid(one.ident))
            except OSError:
                continue  # it has just ended
    spent["librdkafka and the rest"] = time.process_time() - sum(spent.values())
    return {name: round(seconds, 4) for name, seconds in spent.items()}


def spent(folder: Path) -> dict[str, Any]:
    """What the worker last told; nothing before the first time."""
    path = folder / SPENT
    return dict(json.loads(path.read_text())) if path.exists() else {"rooms": {}, "threads": {}}


def between(before: dict[str, Any], after: dict[str, Any], seconds: float) -> dict[str, Any]:
    """What was spent in between: by room in milliseconds a batch, by thread as a share of one processor."""
    rooms = {}
    for name, now in after["rooms"].items():
        was = before["rooms"].get(name, dict.fromkeys(now, 0))
        batches = now["batches"] - was["batches"]
        if batches:
            rooms[name] = {
                "batches_per_s": round(batches / seconds, 1),
                "records_per_batch": round((now["records"] - was["records"]) / batches, 1),
                "fold_ms": round(1e3 * (now["fold_s"] - was["fold_s"]) / batches, 2),
                "commit_ms": round(1e3 * (now["commit_s"] - was["commit_s"]) / batches, 2),
                **({"aborts": now["aborts"] - was["aborts"]} if now["aborts"] > was["aborts"] else {}),
            }
    shares = {
        name: round((now - before["threads"].get(name, 0.0)) / seconds, 3) for name, now in after["threads"].items()
    }
    busiest = sorted(shares.items(), key=lambda one: -one[1])
    return {"rooms": rooms, "processors": {name: share for name, share in busiest if share >= 0.005}}
