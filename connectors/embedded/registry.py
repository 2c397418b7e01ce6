"""A schema registry for a laptop: Confluent's REST API for Avro, in a process of its own.

It keeps what it acknowledged through a `kill -9` and a power loss.
"""

import sqlite3
import sys
from dataclasses import dataclass
from pathlib import Path

from connectors.embedded import process, serving
from connectors.embedded.process import ServerProcess
from connectors.embedded.serving import Kind, Say, silent
from connectors.registry.compatibility import Level

KIND = Kind("schema registry", "connectors.embedded.registry", 18081, "/subjects", ("starlette", "uvicorn"))


@dataclass(frozen=True, slots=True)
class RegistryServer:
    """A schema registry that answers on this machine."""

    process: ServerProcess

    @classmethod
    def start(
        cls, folder: Path, *, port: int | None = None, level: Level = Level.BACKWARD, say: Say = silent
    ) -> "RegistryServer":
        """Start on the folder and return when it answers; where one runs already, report that one.

        `port` None means the usual one, or another that is said when that is taken; 0 means any. `level` holds for
        subjects without one of their own, as long as nobody sets another. Raises what `serving.start` raises.
        """
        return cls(serving.start(KIND, folder, port=port, options={"level": level.value}, say=say))

    @classmethod
    def attach(cls, folder: Path) -> "RegistryServer":
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
    """The server's own process: open the file, serve, close."""
    from connectors.embedded.registry_http import registry_app  # noqa: PLC0415 - the starter does without
    from connectors.embedded.registry_store import RegistryStore  # noqa: PLC0415

    file = folder / "registry.sqlite"
    try:
        store = RegistryStore(file, Level(serving.options().get("level") or Level.BACKWARD))
    except sqlite3.Error as error:
        print(f"{file.name}: {error}", file=sys.stderr)  # the starter reads the log
        sys.exit(serving.UNREADABLE)
    try:
        serving.serve(registry_app(store), descriptor)
    finally:
        store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
