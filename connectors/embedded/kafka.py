"""A real Apache Kafka on this machine, from its own jars, without Docker, Java or configuration.

    with KafkaServer.start(Path("run/kafka")) as kafka:        # port 19092, or another if that is taken
        producer = Producer(kafka.client_config())

`start` returns when the server answers. It runs on in a session of its own when this process ends, unless the server
is used as a context manager: leaving the block stops it. Starting on a folder where a server runs returns that one.

    KafkaServer.start(folder, port=None, strict_port=False, kafka_dir=None, cache=None, java=None, scram=None,
                      say=..., timeout_s=60)      port=0: a free one
    KafkaServer.attach(folder)                    the server that runs on the folder, or NotRunning
    server.bootstrap_servers .port .pid .folder .cluster_id .is_running .client_config(user=None)
    server.stop(timeout_s=30) .kill() .pause() .resume() .restart()

A port that is taken is named through `say` and another one chosen; `server.port` tells which. With `strict_port` it is
PortTaken instead. All errors are `connectors.embedded.errors.EmbeddedError`.
"""

import signal
from pathlib import Path
from types import TracebackType
from typing import Self

from connectors.embedded import ports
from connectors.embedded.errors import NotRunning, PortTaken
from connectors.embedded.folders import make_writable, sole_use
from connectors.embedded.jars import Say, say_on_stderr
from connectors.embedded.kafka_aot import trained
from connectors.embedded.kafka_process import ClientConfig, KafkaProcess, Record, cluster_id_of, living, new_cluster_id
from connectors.embedded.kafka_properties import Node, Scram
from connectors.embedded.kafka_runtime import Runtime, find_runtime

__all__ = ["DEFAULT_PORT", "KafkaServer", "Scram"]

DEFAULT_PORT = 19092
_ROOM_BYTES_MIN = 100 * 2**20
_TRIES = 3


class KafkaServer:
    """One Kafka server: broker and controller in one process, on one folder that keeps its records."""

    def __init__(self, process: KafkaProcess, runtime: Runtime | None, say: Say) -> None:
        self._process = process
        self._runtime = runtime
        self._say = say

    @classmethod
    def start(
        cls,
        folder: Path,
        *,
        port: int | None = None,
        strict_port: bool = False,
        kafka_dir: Path | None = None,
        cache: Path | None = None,
        java: Path | None = None,
        scram: Scram | None = None,
        say: Say = say_on_stderr,
        timeout_s: float = 60,
    ) -> Self:
        """Start Kafka on the folder, made where there is none, and return when it answers.

        Without `port` it is the one that the folder's server had last, else 19092. The first start on a machine
        fetches the jars (45 MB) unless `kafka_dir` names an existing Kafka, and trains a start-up cache.
        """
        folder = folder.absolute()
        make_writable(folder, room_bytes_min=_ROOM_BYTES_MIN)
        with sole_use(folder):
            if running := cls._running(folder, scram, say):
                say(f"Kafka already runs on {folder}: {running.bootstrap_servers}, process {running.pid}")
                running._process.wait_until_it_answers(timeout_s)
                return running
            runtime = trained(find_runtime(kafka_dir=kafka_dir, cache=cache, java=java, say=say), say)
            for tries_left in reversed(range(_TRIES)):
                node = _single(_choose_port(folder, port, strict_port, say), scram)
                server = cls(KafkaProcess(folder, node, cluster_id_of(folder) or new_cluster_id()), runtime, say)
                try:
                    server._launch(timeout_s)
                except PortTaken:
                    # Somebody was faster than us on a port that had been free a moment ago.
                    if not tries_left:
                        raise
                else:
                    return server
        raise AssertionError("the last try returns or raises")

    @classmethod
    def attach(cls, folder: Path, *, scram: Scram | None = None, say: Say = say_on_stderr) -> Self:
        """The server that runs on the folder, whoever started it. Raises NotRunning where none does."""
        folder = folder.absolute()
        if running := cls._running(folder, scram, say):
            return running
        raise NotRunning(
            f"no Kafka runs on {folder}", "its process ended or was never started", "start one with `quantumleap up`"
        )

    @classmethod
    def _running(cls, folder: Path, scram: Scram | None, say: Say) -> Self | None:
        record = Record.read(folder)
        if record is None or living(folder, record.pid) is None:
            return None
        node = Node(
            record.node_id, record.port, record.controller_port, {record.node_id: record.controller_port}, scram
        )
        return cls(KafkaProcess(folder, node, record.cluster_id), None, say)

    def _launch(self, timeout_s: float, *, warm: bool = True) -> None:
        runtime = self._runtime or find_runtime(say=self._say)
        self._process.format(runtime)
        self._process.spawn(runtime)
        try:
            self._process.wait_until_it_answers(timeout_s)
            if warm:
                self._process.warm()
        except BaseException:
            self.kill()
            raise

    @property
    def folder(self) -> Path:
        """Where the server keeps its records and its log."""
        return self._process.folder

    @property
    def port(self) -> int:
        """The port for clients."""
        return self._process.node.port

    @property
    def bootstrap_servers(self) -> str:
        """As every Kafka client wants it."""
        return f"{ports.LOOPBACK}:{self.port}"

    @property
    def cluster_id(self) -> str:
        """Kafka's own id of this cluster."""
        return self._process.cluster_id

    @property
    def pid(self) -> int | None:
        """The process id; None when it does not run."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process is there; a paused one is."""
        return self.pid is not None

    def client_config(self, user: Scram | None = None) -> ClientConfig:
        """What confluent-kafka needs to connect, as the administrator unless another user is given."""
        return self._process.client_config(user)

    def stop(self, timeout_s: float = 30) -> bool:
        """Stop it cleanly and return True; False if it did not end in time and was killed. Nothing to do is True."""
        self.resume()
        self._process.signal(signal.SIGTERM)
        if self._process.wait_until_it_ended(timeout_s):
            return True
        self.kill()
        return False

    def kill(self) -> None:
        """End it at once, as a power cut of the process would."""
        self._process.signal(signal.SIGKILL)
        self._process.wait_until_it_ended(30)

    def pause(self) -> None:
        """Freeze the process; connections stay open and nothing answers."""
        self._process.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen process go on."""
        self._process.signal(signal.SIGCONT)

    def restart(self, timeout_s: float = 60) -> None:
        """Start it again on the same folder and ports after `stop` or `kill`; return when it answers."""
        with sole_use(self.folder):
            if not self.is_running:
                self._launch(timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _single(port: int, scram: Scram | None) -> Node:
    controller_port = ports.choose_free()
    return Node(1, port, controller_port, {1: controller_port}, scram)


def _choose_port(folder: Path, wanted: int | None, strict: bool, say: Say) -> int:
    """The port that is wanted, or a free one when that is 0, or taken and not strictly demanded."""
    if wanted == 0:
        return ports.choose_free()
    record = Record.read(folder)
    port = wanted or (record.port if record else DEFAULT_PORT)
    if ports.is_free(port):
        return port
    if strict:
        raise PortTaken(f"port {port} is taken", ports.who_listens(port), "end that process or name another port")
    chosen = ports.choose_free()
    say(f"Port {port} is taken ({ports.who_listens(port)}); Kafka listens on {chosen} instead")
    return chosen
