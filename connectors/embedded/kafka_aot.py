"""Train Kafka's start-up cache: run it once for a moment and keep what Java learned, so that later starts are quick."""

import shutil
import signal
import tempfile
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from connectors.embedded import ports
from connectors.embedded.errors import EmbeddedError
from connectors.embedded.folders import make_writable, sole_use
from connectors.embedded.jars import Say
from connectors.embedded.kafka_process import KafkaProcess, Record, living, new_cluster_id
from connectors.embedded.kafka_properties import Node
from connectors.embedded.kafka_runtime import Runtime

# Java writes the cache while it ends.
_END_TIMEOUT_S = 120
_START_TIMEOUT_S = 120
_START_UP_CACHES_KEPT = 3
_ROOM_BYTES_MIN = 300 * 2**20


def trained(runtime: Runtime, say: Say) -> Runtime:
    """The runtime with its start-up cache, trained now where there is none yet.

    A start-up cache only saves time: where training fails, the runtime is returned without one.
    """
    wanted = runtime.start_up_cache_path
    if runtime.start_up_cache is not None or wanted is None:
        return runtime
    try:
        make_writable(runtime.cache, room_bytes_min=_ROOM_BYTES_MIN)
        with sole_use(runtime.cache):
            if not wanted.exists():
                _clear_away(runtime.cache)
                say("Training Kafka's start-up cache, once: about 10 s now, and every later start is quick")
                _train(runtime, wanted)
    except (EmbeddedError, KafkaException, OSError) as error:
        say(f"Kafka starts without a start-up cache: {error}")
    return runtime.with_start_up_cache()


def _clear_away(cache: Path) -> None:
    """End and remove what a training that was itself ended left behind, and all but the newest start-up caches."""
    for left in cache.glob(".training-*"):
        record = Record.read(left)
        if record and (process := living(left, record.pid)):
            process.kill()
        shutil.rmtree(left, ignore_errors=True)
    caches = sorted(cache.glob("start-up-*.aot"), key=lambda path: path.stat().st_mtime)
    for old in caches[:-_START_UP_CACHES_KEPT]:
        old.unlink(missing_ok=True)


def _train(runtime: Runtime, wanted: Path) -> None:
    scratch = Path(tempfile.mkdtemp(prefix=".training-", dir=runtime.cache))
    try:
        controller_port = ports.choose_free()
        process = KafkaProcess(
            scratch, Node(1, ports.choose_free(), controller_port, {1: controller_port}), new_cluster_id()
        )
        process.format(runtime)
        process.spawn(runtime, (f"-XX:AOTCacheOutput={scratch / 'start-up.aot'}",))
        try:
            process.wait_until_it_answers(_START_TIMEOUT_S)
            _exercise(process)
            process.signal(signal.SIGTERM)
            ended = process.wait_until_it_ended(_END_TIMEOUT_S)
        finally:
            process.signal(signal.SIGKILL)
        if ended and (scratch / "start-up.aot").exists():
            (scratch / "start-up.aot").rename(wanted)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _exercise(process: KafkaProcess) -> None:
    """Do once what clients do, so that the classes for it are learned: a topic, a transaction, a group."""
    config = {**process.client_config(), "log_level": 0}
    admin = AdminClient(config)
    for future in admin.create_topics([NewTopic("training", 2, 1)]).values():
        future.result(30)
    producer = Producer({**config, "transactional.id": "training", "linger.ms": 1})
    producer.init_transactions(30)
    producer.begin_transaction()
    for number in range(200):
        producer.produce("training", key=str(number), value=b"0" * 100)
    producer.commit_transaction(30)
    consumer = Consumer({**config, "group.id": "training", "auto.offset.reset": "earliest"})
    consumer.subscribe(["training"])
    try:
        consumer.consume(200, timeout=10)
        consumer.commit(asynchronous=False)
    finally:
        consumer.close()
