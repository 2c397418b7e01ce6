"""ClickHouse for a laptop: the real engine in a process of its own, behind ClickHouse's HTTP interface.

`clickhouse-connect`, `curl` and Grafana use it as they use a server. It keeps what it acknowledged through a
`kill -9`; what a power loss may cost, see `clickhouse_engine`. Known differences of the engine itself: no users, grants
or row policies, no Replicated or Kafka tables, no query log; with a deduplication window, identical blocks without a
token count as repeats; and a materialised view's target table needs a window of its own, or a repeated token writes to
it twice.
"""

import sys
from pathlib import Path
from typing import Self

from connectors.embedded import serving
from connectors.embedded.http_server import HttpServer
from connectors.embedded.serving import Kind, Say, silent

KIND = Kind("ClickHouse", "connectors.embedded.clickhouse", 18123, "/ping", ("chdb", "starlette", "uvicorn"))


class ClickHouseServer(HttpServer):
    """A ClickHouse that answers on this machine."""

    KIND = KIND

    @classmethod
    def start(
        cls,
        folder: Path,
        *,
        port: int | None = None,
        user: str = "default",
        password: str | None = None,
        say: Say = silent,
    ) -> Self:
        """Start on the folder and return when it answers; where one runs already, report that one.

        `port` None means the usual one, or another that is said when that is taken; 0 means any. Without a password
        everybody on this machine may ask. Raises what `serving.start` raises.
        """
        options = {"user": user, "password": password}
        return cls(serving.start(KIND, folder, port=port, options=options, say=say))


def main(folder: Path, descriptor: int) -> None:
    """The server's own process: open the engine, serve, close."""
    from connectors.embedded.clickhouse_engine import Engine, EngineError  # noqa: PLC0415 - heavy, the starter does without
    from connectors.embedded.clickhouse_http import Access, clickhouse_app  # noqa: PLC0415

    options = serving.options()
    try:
        engine = Engine(folder / "clickhouse")
    except EngineError as error:
        print(f"Code: {error.code}. {error}", file=sys.stderr)  # the starter reads the log
        sys.exit(serving.UNREADABLE)
    try:
        serving.serve(
            clickhouse_app(engine, Access(options.get("user") or "default", options.get("password"))), descriptor
        )
    finally:
        engine.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
