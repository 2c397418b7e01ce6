"""What both of our HTTP servers are to the one who started them: a process with an address."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from connectors.embedded import process, serving
from connectors.embedded.process import ServerProcess
from connectors.embedded.serving import Kind


@dataclass(frozen=True, slots=True)
class HttpServer:
    """A server that answers HTTP on this machine; a subclass says its kind and how it is started."""

    KIND: ClassVar[Kind]

    process: ServerProcess

    @classmethod
    def attach(cls, folder: Path) -> Self:
        """The one that runs on the folder. Raises NotRunning."""
        return cls(process.attach(folder, cls.KIND.name))

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
