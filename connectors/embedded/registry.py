"""A schema registry for a laptop: Confluent's REST API for Avro, in a process of its own.

It keeps what it acknowledged through a `kill -9` and a power loss.
"""

import sqlite3
import sys
from pathlib import Path
from typing import Self

from connectors.embedded import serving
from connectors.embedded.http_server import HttpServer
from connectors.embedded.serving import Kind, Say, silent
from connectors.registry.compatibility import Level

KIND = Kind("schema registry", "connectors.embedded.registry", 18081, "/subjects", ("starlette", "uvicorn"))


class RegistryServer(HttpServer):
    """A schema registry that answers on this machine."""

    KIND = KIND

    @classmethod
    def start(cls, folder: Path, *, port: int | None = None, level: Level = Level.BACKWARD, say: Say = silent) -> Self:
        """Start on the folder and return when it answers; where one runs already, report that one.

        `port` None means the usual one, or another that is said when that is taken; 0 means any. `level` holds for
        subjects without one of their own, as long as nobody sets another. Raises what `serving.start` raises.
        """
        return cls(serving.start(KIND, folder, port=port, options={"level": level.value}, say=say))


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
