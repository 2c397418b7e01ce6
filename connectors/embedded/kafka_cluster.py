"""Three Kafka servers that keep three copies of every record, for tests of what happens when some of them fail."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from connectors.embedded import ports
from connectors.embedded.errors import PortTaken, ServerSilent
from connectors.embedded.folders import sole_use
from connectors.embedded.jars import Say, say_on_stderr
from connectors.embedded.kafka_aot import trained
from connectors.embedded.kafka_process import ClientConfig, KafkaProcess, cluster_id_of, new_cluster_id
from connectors.embedded.kafka_properties import Node
from connectors.embedded.kafka_runtime import Runtime, find_runtime
from connectors.embedded.kafka_server import ROOM_BYTES_MIN, TRIES, KafkaServer, kafka_folder

NODES = 3
_POLL_S = 0.1


class KafkaCluster:
    """Three combined brokers and controllers. Three copies by default; writes with `acks=all` need two."""

    def __init__(self, servers: Sequence[KafkaServer]) -> None:
        self.servers = tuple(servers)

    @classmethod
    def start(
        cls,
        folder: Path,
        *,
        kafka_dir: Path | None = None,
        cache: Path | None = None,
        java: Path | None = None,
        say: Say = say_on_stderr,
        timeout_s: float = 120,
    ) -> Self:
        """Start three servers on free ports, each in its own folder below this one; return when all answer.

        Raises what KafkaServer.start raises; no process is left behind then. None may run on the folder.
        """
        folder = kafka_folder(folder, room_bytes_min=NODES * ROOM_BYTES_MIN)
        with sole_use(folder):
            runtime = trained(find_runtime(kafka_dir=kafka_dir, cache=cache, java=java, say=say), say)
            for tries_left in reversed(range(TRIES)):
                cluster = cls(_servers(folder, runtime, say))
                try:
                    cluster._launch(cluster.servers, runtime, timeout_s)
                except PortTaken:
                    if not tries_left:
                        raise
                else:
                    return cluster
        raise AssertionError("the last try returns or raises")

    def _launch(self, servers: Sequence[KafkaServer], runtime: Runtime, timeout_s: float) -> None:
        with ThreadPoolExecutor(NODES) as pool:
            list(pool.map(lambda server: server.process.format(runtime), servers))
        try:
            for server in servers:
                server.process.spawn(runtime)
            for server in servers:
                server.process.wait_until_it_answers(timeout_s)
            if any(server.process.is_new for server in servers):
                servers[0].process.warm()
        except BaseException:
            for server in servers:
                server.kill()
            raise

    @property
    def bootstrap_servers(self) -> str:
        """All three addresses, as every Kafka client wants them."""
        return ",".join(server.bootstrap_servers for server in self.servers)

    def client_config(self) -> ClientConfig:
        """What confluent-kafka needs to connect."""
        return {"bootstrap.servers": self.bootstrap_servers}

    def wait_until_in_sync(self, timeout_s: float = 60) -> None:
        """Return when all three servers are members and every partition has all its copies in step.

        Raises ServerSilent where that takes longer than `timeout_s`.
        """
        admin = AdminClient({**self.client_config(), "log_level": 0})
        deadline = time.monotonic() + timeout_s
        while not _in_sync(admin):
            if time.monotonic() > deadline:
                raise ServerSilent(
                    "the Kafka cluster is not in step",
                    f"after {timeout_s:g} s some copies are still behind or absent",
                    f"see kafka.log in the folders below {self.servers[0].folder.parent}",
                )
            time.sleep(_POLL_S)

    def restart(self, timeout_s: float = 120) -> None:
        """Start all servers again that do not run, on their folders and ports; return when they answer."""
        if ended := [server for server in self.servers if not server.is_running]:
            self._launch(ended, ended[0].runtime, timeout_s)

    def stop(self) -> None:
        """Stop all servers, each cleanly where it can; one after the other could not, once most are gone."""
        with ThreadPoolExecutor(NODES) as pool:
            list(pool.map(lambda server: server.stop(), self.servers))

    def kill(self) -> None:
        """End all servers at once, without a goodbye."""
        for server in self.servers:
            server.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _servers(folder: Path, runtime: Runtime, say: Say) -> list[KafkaServer]:
    ids = range(1, NODES + 1)
    voters = {id_: ports.choose_free() for id_ in ids}
    folders = {id_: folder / f"node-{id_}" for id_ in ids}
    cluster_id = cluster_id_of(folders[1]) or new_cluster_id()
    servers = []
    for id_, own in folders.items():
        own.mkdir(exist_ok=True)
        node = Node(id_, ports.choose_free(), voters[id_], voters)
        servers.append(KafkaServer(KafkaProcess(own, node, cluster_id), runtime, say))
    return servers


def _in_sync(admin: AdminClient) -> bool:
    try:
        metadata = admin.list_topics(timeout=2)
    except KafkaException:
        return False
    partitions = [each for topic in metadata.topics.values() for each in topic.partitions.values()]
    return len(metadata.brokers) == NODES and all(len(each.isrs) == len(each.replicas) for each in partitions)
