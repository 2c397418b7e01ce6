"""ClickHouse for a laptop: the real engine in a process of its own, behind ClickHouse's HTTP interface.

`clickhouse-connect`, `curl` and Grafana use it as they use a server. It keeps what it acknowledged through a
`kill -9`; what a power loss may cost, see `clickhouse_engine`. Known differences of the engine itself: no users, grants
or row policies, no Replicated or Kafka tables, no query log; with a deduplication window, identical blocks without a
token count as repeats; and a materialised view's target table needs a window of its own, or a repeated token writes to
it twice.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from connectors.embedded import process, serving
from connectors.embedded.process import ServerProcess
from connectors.embedded.serving import Kind, Say, silent

KIND = Kind("ClickHouse", "connectors.embedded.clickhouse", 18123, "/ping", ("chdb", "starlette", "uvicorn"))


@dataclass(frozen=True, slots=True)
class ClickHouseServer:
    """A ClickHouse that answers on this machine."""

    process: ServerProcess

    @classmethod
    def start(
        cls,
        folder: Path,
        *,
        port: int | None = None,
        user: str = "default",
        password: str | None = None,
        say: Say = silent,
    ) -> "ClickHouseServer":
        """Start on the folder and return when it answers; where one runs already, report that one.

        `port` None means the usual one, or another that is said when that is taken; 0 means any. Without a password
        everybody on this machine may ask. Raises what `serving.start` raises.
        """
        options = {"user": user, "password": password}
        return cls(serving.start(KIND, folder, port=port, options=options, say=say))

    @classmethod
    def attach(cls, folder: Path) -> "ClickHouseServer":
        """The one that runs on the folder. Raises NotRunning."""
        return cls(process.attach(folder, KIND.name))

    @property
    def url(self) -> str:
        """Its HTTP address."""
        return serving.url(self.process)

    @property
    def port(self) -> int:
        """Its loopback port."""
        return self.process.port

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process.alive

    def stop(self) -> None:
        """End it in order. Does nothing when it has ended."""
        self.process.stop()

    def kill(self) -> None:
        """End it at once, as `kill -9` does. Does nothing when it has ended."""
        self.process.kill()


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
