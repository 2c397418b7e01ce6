"""One Kafka server on one folder: start, find again, stop, and what tests do to servers."""

import signal
from pathlib import Path
from types import TracebackType
from typing import Self

from connectors.embedded import ports
from connectors.embedded.errors import FolderUnwritable, NotRunning, PortTaken
from connectors.embedded.folders import make_writable, sole_use
from connectors.embedded.jars import Say, say_on_stderr
from connectors.embedded.kafka_aot import trained
from connectors.embedded.kafka_process import (
    ClientConfig,
    KafkaProcess,
    Record,
    cluster_id_of,
    living,
    new_cluster_id,
)
from connectors.embedded.kafka_properties import Node, ScramUser
from connectors.embedded.kafka_runtime import Runtime, find_runtime

DEFAULT_PORT = 19092
ROOM_BYTES_MIN = 100 * 2**20
TRIES = 3
"""How often other ports are chosen when somebody is faster than us on those that were free a moment ago."""


class KafkaServer:
    """One Kafka server: broker and controller in one process, on one folder that keeps its records."""

    def __init__(self, process: KafkaProcess, runtime: Runtime | None, say: Say) -> None:
        self.process = process
        self._runtime = runtime
        self._say = say

    @classmethod
    def start(
        cls,
        folder: Path,
        *,
        port: int | None = None,
        kafka_dir: Path | None = None,
        cache: Path | None = None,
        java: Path | None = None,
        admin: ScramUser | None = None,
        say: Say = say_on_stderr,
        timeout_s: float = 60,
    ) -> Self:
        """Start Kafka on the folder, made where there is none, and return when it answers.

        The first start on a machine fetches the jars (45 MB) into `cache` unless `kafka_dir` names an existing Kafka,
        and trains a start-up cache. With `admin`, given at the folder's first start and at every later one, clients
        need a password and a permission. Where a server runs on the folder already, it is said and returned.
        Raises PortTaken, FolderUnwritable, FolderCorrupt, DiskFull, JavaMissing, JarsUnobtainable, JarsAltered,
        ServerExited or ServerSilent; no process is left behind then.
        """
        folder = kafka_folder(folder, room_bytes_min=ROOM_BYTES_MIN)
        with sole_use(folder):
            if running := cls._running(folder, admin, say):
                say(f"Kafka already runs on {folder}: {running.bootstrap_servers}, process {running.pid}")
                running.process.wait_until_it_answers(timeout_s)
                return running
            runtime = trained(find_runtime(kafka_dir=kafka_dir, cache=cache, java=java, say=say), say)
            for tries_left in reversed(range(TRIES)):
                node = _alone(_choose_port(folder, port, say), admin)
                server = cls(KafkaProcess(folder, node, cluster_id_of(folder) or new_cluster_id()), runtime, say)
                try:
                    server.launch(timeout_s)
                except PortTaken:
                    if not tries_left:
                        raise
                else:
                    return server
        raise AssertionError("the last try returns or raises")

    @classmethod
    def attach(cls, folder: Path, *, admin: ScramUser | None = None, say: Say = say_on_stderr) -> Self:
        """The server that runs on the folder, whoever started it. Raises NotRunning where none does."""
        folder = folder.resolve()
        if running := cls._running(folder, admin, say):
            return running
        raise NotRunning(
            f"no Kafka runs on {folder}", "its process ended or was never started", "start one with `quantumleap up`"
        )

    @classmethod
    def _running(cls, folder: Path, admin: ScramUser | None, say: Say) -> Self | None:
        record = Record.read(folder)
        if record is None or living(folder, record.pid) is None:
            return None
        node = Node(
            record.node_id, record.port, record.controller_port, {record.node_id: record.controller_port}, admin
        )
        return cls(KafkaProcess(folder, node, record.cluster_id), None, say)

    def launch(self, timeout_s: float) -> None:
        """Format what is new, spawn, and return when it answers. Leaves no process behind where it raises."""
        self.process.format(self.runtime)
        try:
            self.process.spawn(self.runtime)
            self.process.wait_until_it_answers(timeout_s)
            if self.process.is_new:
                self.process.warm()
        except BaseException:
            self.kill()
            raise

    @property
    def runtime(self) -> Runtime:
        """The Java and jars that it was started with; after `attach`, those that this machine has."""
        if self._runtime is None:
            self._runtime = find_runtime(say=self._say)
        return self._runtime

    @property
    def folder(self) -> Path:
        """Where the server keeps its records and its log."""
        return self.process.folder

    @property
    def port(self) -> int:
        """The port for clients."""
        return self.process.node.port

    @property
    def bootstrap_servers(self) -> str:
        """As every Kafka client wants it."""
        return f"{ports.LOOPBACK}:{self.port}"

    @property
    def cluster_id(self) -> str:
        """Kafka's own id of this cluster."""
        return self.process.cluster_id

    @property
    def pid(self) -> int | None:
        """The process id; None when it does not run."""
        return self.process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process is there; a paused one is."""
        return self.pid is not None

    def client_config(self, user: ScramUser | None = None) -> ClientConfig:
        """What confluent-kafka needs to connect, as the administrator unless another user is given."""
        return self.process.client_config(user)

    def stop(self, timeout_s: float = 30) -> bool:
        """Stop it cleanly and return True; False if it did not end in time and was killed. Nothing to do is True."""
        self.resume()
        self.process.signal(signal.SIGTERM)
        if self.process.wait_until_it_ended(timeout_s):
            return True
        self.kill()
        return False

    def kill(self) -> None:
        """End it at once, without a goodbye."""
        self.process.signal(signal.SIGKILL)
        self.process.wait_until_it_ended(30)

    def pause(self) -> None:
        """Freeze the process: connections stay open and nothing answers."""
        self.process.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen process go on."""
        self.process.signal(signal.SIGCONT)

    def restart(self, timeout_s: float = 60) -> None:
        """Start it again on the same folder and ports after `stop` or `kill`; return when it answers."""
        with sole_use(self.folder):
            if not self.is_running:
                self.launch(timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def kafka_folder(folder: Path, *, room_bytes_min: int) -> Path:
    """The folder as a whole path, made and seen to be writable. Raises FolderUnwritable or DiskFull."""
    folder = folder.resolve()
    if "," in str(folder):
        raise FolderUnwritable(
            f"{folder} cannot hold Kafka's records", "Kafka takes a comma for the end of a name", "name another folder"
        )
    make_writable(folder, room_bytes_min=room_bytes_min)
    return folder


def _alone(port: int, admin: ScramUser | None) -> Node:
    controller_port = ports.choose_free()
    return Node(1, port, controller_port, {1: controller_port}, admin)


def _choose_port(folder: Path, wanted: int | None, say: Say) -> int:
    """The wanted port, any free one for 0, or for None the folder's last or the usual one, where that is free."""
    if wanted == 0:
        return ports.choose_free()
    record = Record.read(folder)
    port = wanted or (record.port if record else DEFAULT_PORT)
    if ports.is_free(port):
        return port
    if wanted is not None:
        raise PortTaken(f"port {port} is taken", ports.who_listens(port), "end that process or name another port")
    chosen = ports.choose_free()
    say(f"Port {port} is taken ({ports.who_listens(port)}); Kafka listens on {chosen} instead")
    return chosen
