"""Health: what a worker says of itself over HTTP, from threads of its own: a busy event loop is not a silent one.

/live      the process moves (a process that does not is ended by the watchdog)
/started   every room has had its partitions once
/ready     every partition that is ours flows and has caught up; else 503 with the reasons
/progress  each room and partition in detail
/metrics   for Prometheus
"""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from schemas import metrics
from streams.runtime import gauges
from streams.runtime.carrier import Carrier, Owned, Standing
from streams.runtime.metrics import Exporter, Sample

JSON = "application/json"
TEXT = "text/plain; version=0.0.4; charset=utf-8"
Answer = tuple[int, str, bytes]


class Health:
    """The server, and what it asks."""

    def __init__(
        self,
        exporter: Exporter,
        host: str = "0.0.0.0",  # noqa: S104 - a probe comes from outside
        role: str = "worker",
    ):
        self._exporter = exporter
        self._role = role
        self._host = host
        self._doors: list[tuple[str, str, Carrier, Callable[[], Mapping[str, Any]]]] = []
        self._others: list[Callable[[], str]] = []
        self._started: set[str] = set()
        self._server: ThreadingHTTPServer | None = None
        exporter.ask(self._samples)

    def watch(self, name: str, topic: str, carrier: Carrier, counts: Callable[[], Mapping[str, Any]]) -> None:
        """Answer for this room or effect too. `counts` gives what `/progress` adds."""
        self._doors.append((name, topic, carrier, counts))

    def require(self, reason: Callable[[], str]) -> None:
        """Not ready while this returns a reason: for what a door needs beside its partitions."""
        self._others.append(reason)

    def start(self, port: int) -> int:
        """Serve on this port, 0 for a free one; return it. Raises OSError where it is taken."""
        health = self

        def get(request: BaseHTTPRequestHandler) -> None:
            code, kind, body = health.answer(request.path.partition("?")[0])
            request.send_response(code)
            request.send_header("Content-Type", kind)
            request.send_header("Content-Length", str(len(body)))
            request.end_headers()
            request.wfile.write(body)

        # The standard library finds its methods by names of its own; and a probe every second is no news.
        handler = type("Probe", (BaseHTTPRequestHandler,), {"do_GET": get, "log_message": lambda *_: None})
        self._server = ThreadingHTTPServer((self._host, port), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, name="health", daemon=True).start()
        return int(self._server.server_address[1])

    def stop(self) -> None:
        """Answer no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def answer(self, path: str) -> Answer:
        """What is said of this path."""
        match path:
            case "/live":
                return _json(200, {"live": True})
            case "/started":
                missing = self.not_started()
                return _json(503 if missing else 200, {"started": not missing, "reasons": missing})
            case "/ready":
                reasons = self.not_ready()
                return _json(503 if reasons else 200, {"ready": not reasons, "reasons": reasons})
            case "/progress":
                return _json(200, self.progress())
            case "/metrics":
                return 200, TEXT, self._exporter.text()
            case _:
                return _json(404, {"paths": ["/live", "/started", "/ready", "/progress", "/metrics"]})

    def not_started(self) -> list[str]:
        """Why the process has not started yet; empty when it has."""
        for name, _, carrier, _ in self._doors:
            recovering = any(owned.standing is Standing.RECOVERING for owned in carrier.owned.values())
            if carrier.counts.rebalances and not recovering:
                self._started.add(name)
        return [f"{name} has not had its partitions yet" for name, *_ in self._doors if name not in self._started]

    def not_ready(self) -> list[str]:
        """Why the process is not ready; empty when it is. A room without partitions is a standby, and ready."""
        reasons = [reason for other in self._others if (reason := other())]
        for name, _, carrier, _ in self._doors:
            if not carrier.counts.rebalances:
                reasons.append(f"{name} is not in its group yet")
            for partition, owned in sorted(carrier.owned.items()):
                if reason := _held_back(owned):
                    reasons.append(f"{name}/{partition} {reason}")
        return reasons

    def progress(self) -> dict[str, Any]:
        """Every room and partition in detail."""
        return {name: self._one(topic, carrier, counts()) for name, topic, carrier, counts in self._doors}

    def _samples(self) -> Iterator[Sample]:
        for name, topic, carrier, _ in self._doors:
            yield from gauges.of_carrier(name, topic, carrier)
        yield from gauges.of_readiness([name for name, *_ in self._doors], self.not_ready())
        yield Sample(metrics.READY, self._role, ("process",), not any(other() for other in self._others))

    def _one(self, topic: str, carrier: Carrier, counts: Mapping[str, Any]) -> dict[str, Any]:
        oldest_ms = carrier.oldest_ms
        return {
            "topic": topic,
            "lag_seconds": round(max(0.0, time.time() - oldest_ms / 1000), 3) if oldest_ms is not None else 0.0,
            "rebalances": carrier.counts.rebalances,
            "lost": carrier.counts.lost,
            "pauses": carrier.counts.pauses,
            **counts,
            "partitions": {
                str(partition): {
                    "standing": owned.standing.value,
                    "next_offset": owned.folded,
                    "lag_records": carrier.lag(partition),
                    "caught_up": owned.caught_up,
                    "recovery_seconds": round(owned.recovery_s, 3),
                    "parked": None
                    if owned.parked is None
                    else {"offset": owned.parked.offset, "key": owned.parked.key, "error": owned.parked.error},
                }
                for partition, owned in sorted(carrier.owned.items())
            },
        }


def _held_back(owned: Owned) -> str:
    """Why this partition is not ready; empty when it is."""
    match owned.standing:
        case Standing.RECOVERING:
            return "is being recovered"
        case Standing.PARKED:
            assert owned.parked is not None
            return f"is parked at offset {owned.parked.offset}: {owned.parked.error}"
        case Standing.LIVE:
            return "" if owned.caught_up else "is catching up"


def _json(code: int, said: Mapping[str, Any]) -> Answer:
    return code, JSON, json.dumps(said).encode() + b"\n"
