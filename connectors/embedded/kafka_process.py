"""One Kafka process on one folder: format, spawn, wait until it answers, stop.

The folder holds `data/` (Kafka's own), `server.properties` and `log.properties` (written anew at each start),
`kafka.log` (warnings and errors), `kafka.out` (what Java itself prints) and `server.json` (who runs here). While
`damaged.txt` lies there, which says what was lost, no server starts.
"""

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import psutil
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from connectors.embedded import ports
from connectors.embedded.errors import DiskFull, EmbeddedError, FolderCorrupt, PortTaken, ServerExited, ServerSilent
from connectors.embedded.folders import explain, write_whole
from connectors.embedded.kafka_properties import LOG_PROPERTIES, Node, ScramUser, broker_properties
from connectors.embedded.kafka_runtime import Runtime, environment

ClientConfig = dict[str, str | int | float | bool]
"""Settings of a confluent-kafka client."""

_STATE = "server.json"
_PROPERTIES = "server.properties"
_LOG_PROPERTIES = "log.properties"
_DAMAGED = "damaged.txt"
_LIST_OF_TOPICS_CUT = "[LogLoader partition=__cluster_metadata-0"
_STRAY = re.compile(r"Log in .*/(.+)-\d+ marked stray")
_POLL_S = 0.02
_ERROR = re.compile(r"\b(ERROR|FATAL)\b")
_WARM_UP = "warm-up"
_WARM_UP_S = 10


@dataclass(frozen=True, slots=True)
class Record:
    """What `server.json` says: which server the folder belongs to, where it listened last, and as which process."""

    cluster_id: str
    version: str
    node_id: int
    port: int
    controller_port: int
    pid: int | None

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """The record of this folder; None where there is none that can be read."""
        try:
            return cls(**json.loads((folder / _STATE).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, folder: Path) -> None:
        """Keep the record in the folder."""
        write_whole(folder / _STATE, json.dumps(asdict(self), indent=2) + "\n")


def living(folder: Path, pid: int | None) -> psutil.Process | None:
    """The Kafka process with this id that runs on this folder; None when it ended, whoever has its id now."""
    if pid is None:
        return None
    try:
        process = psutil.Process(pid)
        return process if str(folder / _PROPERTIES) in process.cmdline() else None
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None


def cluster_id_of(folder: Path) -> str | None:
    """The id that Kafka's own files in the folder carry; None where they carry none."""
    try:
        text = (folder / "data" / "meta.properties").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = re.search(r"^cluster\.id=(\S+)$", text, re.MULTILINE)
    return found[1] if found else None


def new_cluster_id() -> str:
    """A random cluster id, as Kafka writes them."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return text


class KafkaProcess:
    """The Kafka process of one node on one folder that exists and is writable.

    `is_new` tells whether `format` made Kafka's files just now.
    """

    def __init__(self, folder: Path, node: Node, cluster_id: str) -> None:
        self.folder = folder
        self.node = node
        self.cluster_id = cluster_id
        self._child: subprocess.Popen[bytes] | None = None
        self.is_new = False
        self._log_start_bytes = 0

    @property
    def pid(self) -> int | None:
        """The id of the process that runs, else None."""
        if self._child is not None and self._child.poll() is None:
            return self._child.pid
        record = Record.read(self.folder)
        process = living(self.folder, record.pid) if record else None
        return process.pid if process else None

    def client_config(self, user: ScramUser | None = None) -> ClientConfig:
        """How a client connects, as the administrator unless another user is given."""
        config: ClientConfig = {"bootstrap.servers": f"{ports.LOOPBACK}:{self.node.port}"}
        if user := user or self.node.admin:
            config |= {
                "security.protocol": "SASL_PLAINTEXT",
                "sasl.mechanism": "SCRAM-SHA-512",
                "sasl.username": user.name,
                "sasl.password": user.password,
            }
        return config

    def format(self, runtime: Runtime) -> None:
        """Make Kafka's files for this node, wholly or not at all, unless the folder has some already."""
        self.is_new = False
        if (damaged := self.folder / _DAMAGED).exists():
            raise self._corrupt(damaged.read_text(encoding="utf-8").strip())
        for left in self.folder.glob(".format-*"):
            shutil.rmtree(left, ignore_errors=True)
        if (self.folder / "data").exists():
            return
        scratch = Path(tempfile.mkdtemp(prefix=".format-", dir=self.folder))
        try:
            properties = scratch / _PROPERTIES
            properties.write_text(broker_properties(self.node, scratch / "data"), encoding="ascii")
            arguments = ["format", "--cluster-id", self.cluster_id, "--config", str(properties)]
            if admin := self.node.admin:
                arguments += ["--add-scram", f"SCRAM-SHA-512=[name={admin.name},password={admin.password}]"]
            told = subprocess.run(
                runtime.command("kafka.tools.StorageTool", arguments, ["-Dlog4j2.level=OFF"]),
                capture_output=True, text=True, env=environment(), check=False,
            )  # fmt: skip
            if told.returncode != 0:
                raise self._ended(told.stdout + told.stderr)
            (scratch / "data").rename(self.folder / "data")
            self.is_new = True
        except OSError as error:
            raise explain(error, self.folder) from error
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def spawn(self, runtime: Runtime, options: tuple[str, ...] = ()) -> None:
        """Start the process, in a session of its own: it outlives whoever started it. It does not answer yet."""
        properties, log_properties = self.folder / _PROPERTIES, self.folder / _LOG_PROPERTIES
        write_whole(properties, broker_properties(self.node, self.folder / "data"), mode=0o600)
        write_whole(log_properties, LOG_PROPERTIES)
        log = self.folder / "kafka.log"
        self._log_start_bytes = log.stat().st_size if log.exists() else 0
        options = (
            f"-Dlog4j2.configurationFile={log_properties}", f"-Dkafka.log.file={log}", *options
        )  # fmt: skip
        with (self.folder / "kafka.out").open("wb") as out:
            self._child = subprocess.Popen(
                runtime.command("kafka.Kafka", [str(properties)], options),
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment(), start_new_session=True,
            )  # fmt: skip
        self._remember(runtime.jars.version, self._child.pid)

    def _remember(self, version: str, pid: int | None) -> None:
        node = self.node
        Record(self.cluster_id, version, node.id, node.port, node.controller_port, pid).write(self.folder)

    def wait_until_it_answers(self, timeout_s: float) -> None:
        """Return when it answers metadata requests as the server that it should be.

        Raises ServerSilent after `timeout_s`, or what explains why the process ended.
        """
        deadline = time.monotonic() + timeout_s
        admin: AdminClient | None = None
        while admin is None or not self._answers(admin):
            if self.pid is None:
                raise self._ended(self.log_since_start())
            if time.monotonic() > deadline:
                raise ServerSilent(
                    f"Kafka on port {self.node.port} does not answer",
                    f"it runs as process {self.pid} and was silent for {timeout_s:g} s",
                    f"see {self.folder / 'kafka.log'}; stop it and start again",
                )
            if admin is None and ports.accepts(self.node.port):
                admin = AdminClient(
                    {
                        **self.client_config(),
                        "log_level": 0,
                        "reconnect.backoff.ms": 20,
                        "reconnect.backoff.max.ms": 100,
                    }
                )
            time.sleep(_POLL_S)
        self._refuse_lost_topics()

    def _refuse_lost_topics(self) -> None:
        """End a server that starts as if all was well although it cut its damaged list of topics short.

        Kafka puts the records of topics that it no longer knows aside; several servers have the list from each other.
        """
        log = self.log_since_start()
        lost = sorted({found[1] for found in _STRAY.finditer(log)})
        if lost and _LIST_OF_TOPICS_CUT in log and len(self.node.voters) == 1:
            why = f"its list of topics was damaged and lacks {', '.join(lost)}; their records are in data/*-stray"
            self.signal(signal.SIGKILL)
            self.wait_until_it_ended(30)
            write_whole(self.folder / _DAMAGED, why + "\n")
            raise self._corrupt(why)

    def _answers(self, admin: AdminClient) -> bool:
        try:
            metadata = admin.list_topics(timeout=1)
        except KafkaException:
            return False
        # The client's own annotations say that the id is always None.
        return str(metadata.cluster_id) == self.cluster_id and self.node.id in metadata.brokers

    def warm(self) -> None:
        """Have a new Kafka make its topics for groups and transactions now, so that nobody's first call waits for them.

        A convenience: where it does not succeed in time, the first call waits.
        """
        quiet = {**self.client_config(), "log_level": 0}
        with ThreadPoolExecutor(2) as pool:
            pool.submit(_warm_transactions, quiet)
            pool.submit(_warm_groups, quiet)

    def signal(self, number: signal.Signals) -> bool:
        """Send the process a signal; False when none runs."""
        pid = self.pid
        if pid is None:
            return False
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return False
        return True

    def wait_until_it_ended(self, timeout_s: float) -> bool:
        """Whether the process is gone within the time."""
        deadline = time.monotonic() + timeout_s
        while self.pid is not None:
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
        if record := Record.read(self.folder):
            self._remember(record.version, None)
        return True

    def log_since_start(self) -> str:
        """What Kafka and Java have written since the process was spawned."""
        text = ""
        for name, start in (("kafka.out", 0), ("kafka.log", self._log_start_bytes)):
            path = self.folder / name
            if path.exists():
                with path.open("rb") as file:
                    file.seek(start if path.stat().st_size >= start else 0)
                    text += file.read(2**20).decode(errors="replace")
        return text

    def _ended(self, log: str) -> EmbeddedError:
        """Why the process ended before it answered, from what it wrote."""
        last = last_meaningful_line(log)
        what = f"Kafka on {self.folder} ended before it answered"
        see = f"see {self.folder / 'kafka.log'}"
        if "Failed to acquire lock" in log:
            return ServerExited(what, "another Kafka uses this folder", "end that process, or name another folder")
        if "No space left on device" in log:
            return DiskFull(what, last, "free some space or name a folder on another disk")
        if "Address already in use" in log:
            return PortTaken(
                what, f"port {self.node.port} or {self.node.controller_port} is taken", "name another port"
            )
        if (self.folder / "data").exists() and not self.is_new and _ERROR.search(log):
            return self._corrupt(last)
        return ServerExited(what, last, see)

    def _corrupt(self, why: str) -> FolderCorrupt:
        return FolderCorrupt(
            f"Kafka cannot use what it finds in {self.folder}",
            why,
            f"see {self.folder / 'kafka.log'}; restore the folder, or move it away and start with an empty one",
        )


def _warm_transactions(config: ClientConfig) -> None:
    with suppress(KafkaException):
        Producer({**config, "transactional.id": _WARM_UP}).init_transactions(_WARM_UP_S)


def _warm_groups(config: ClientConfig) -> None:
    consumer = Consumer({**config, "group.id": _WARM_UP})
    deadline = time.monotonic() + _WARM_UP_S
    while time.monotonic() < deadline:
        try:
            consumer.committed([TopicPartition(_WARM_UP, 0)], timeout=1)
            break
        except KafkaException:
            time.sleep(_POLL_S)
    consumer.close()


def last_meaningful_line(log: str) -> str:
    """The last error of a log with the innermost cause under it; else its last line that is not empty."""
    lines = [line.rstrip() for line in log.splitlines() if line.strip()]
    errors = [at for at, line in enumerate(lines) if _ERROR.search(line)]
    if not errors:
        return lines[-1].strip() if lines else "it wrote nothing"
    error = lines[errors[-1]]
    causes = [line for line in lines[errors[-1] + 1 :] if re.match(r"(Caused by: )?[\w.$]+(Exception|Error)\b", line)]
    return f"{error} {causes[-1]}" if causes else error
