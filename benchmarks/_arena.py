"""The ground on which contenders meet: topics of one environment on one Kafka, the same payments for all, and a clock.

The clock asks Kafka how far a committed reader could read, twenty times a second: results that nobody may see yet do
not count, whatever time their writer gives them, and nobody is slowed by a reader.
"""

import json
import os
import platform
import random
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from connectors.kafka.provision import DesiredTopic, desired
from streams.runtime.clients import PARTITIONER, Cluster
from streams.runtime.keys import partition_of
from streams.runtime.offsets import Offsets
from streams.runtime.provisioning import changelog, provision
from tests.streams.runtime.sums import SUMS_INBOX, SUMS_MAP, payment, sums_codec

KEYS = 200
PARTITIONS = SUMS_INBOX.partitions
GIVE_UP_S = 120.0
LOOK_EVERY_S = 0.05
QUIET_S = 0.5
ROOT = Path(__file__).parent.parent
Words = list[str]


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "system": platform.system()},
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("confluent-kafka", "faust-streaming", "fastavro")},
        },
        "load_before": round(os.getloadavg()[0], 2),
    }


def payments(count: int) -> list[tuple[str, int]]:
    """Account and amount of each, the same in every run."""
    chance = random.Random(7)
    return [(f"a{chance.randrange(KEYS)}", chance.randrange(-500, 1000)) for _ in range(count)]


def as_avro(count: int, first: int = 0) -> list[tuple[bytes, bytes]]:
    """Key and value of payments, as records of the worked room."""
    codec = sums_codec()
    return [
        (account.encode(), codec.encode(payment(account, amount, f"p{first + number}", first + number + 1)))
        for number, (account, amount) in enumerate(payments(count))
    ]


def as_json(count: int) -> list[tuple[bytes, bytes]]:
    """Key and value of the same payments, as stock frameworks like them."""
    return [
        (account.encode(), json.dumps({"account": account, "name": f"p{number}", "amount": amount}).encode())
        for number, (account, amount) in enumerate(payments(count))
    ]


def write(bootstrap: str, topic: str, records: list[tuple[bytes, bytes]]) -> None:
    """Write all, durably, as fast as one producer can."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "partitioner": PARTITIONER,
            "linger.ms": 5,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    for key, value in records:
        producer.produce(topic, value, key)
        producer.poll(0)
    assert producer.flush(GIVE_UP_S) == 0, "not all payments were delivered"


class Arena:
    """One environment of the worked room, with its topics made.

    inbox, results, kept: names of its topics
    """

    def __init__(self, bootstrap: str):
        self.bootstrap = bootstrap
        self.environment = f"b{uuid.uuid4().hex[:10]}"
        self.cluster = Cluster(bootstrap)
        self.inbox = f"{self.environment}.sums.inbox"
        self.results = f"{self.environment}.sums.results"
        self.kept = f"{self.environment}-sums-changelog"
        self.make([*desired(self.environment, 1, SUMS_MAP), changelog(self.kept, SUMS_INBOX, 1)])
        self._offsets = Offsets(self.cluster)

    def make(self, topics: list[DesiredTopic]) -> None:
        """Make these topics."""
        provision(self.cluster, topics)

    def plain_topic(self, name: str) -> DesiredTopic:
        """A topic of four partitions."""
        return DesiredTopic(name, PARTITIONS, 1, {})

    def written(self, topic: str) -> int:
        """How far a committed reader can read, summed over partitions."""
        return sum(self._offsets.committed_ends(topic, range(PARTITIONS)).values())

    def wait_for(self, topic: str, count: int, alive: Callable[[], bool]) -> None:
        """Wait until so many records, commit markers included, can be read; then until no more come."""
        give_up, seen, still = time.monotonic() + GIVE_UP_S, -1, 0
        while still < 3:
            assert time.monotonic() < give_up, f"{topic}: {seen} of {count} within {GIVE_UP_S} s"
            assert alive(), f"the contender for {topic} ended"
            now = self.written(topic)
            still = still + 1 if now == seen and now >= count else 0
            seen = now
            time.sleep(0.25)

    def watch(self, topic: str, count: int, cpu_s: Callable[[], float]) -> dict[str, float]:
        """Results a second and processor time for each, from the first ones to the last of so many more than now."""
        before = self.written(topic)
        first, last = (0.0, 0, 0.0), (0.0, 0, 0.0)
        give_up = time.monotonic() + GIVE_UP_S
        while last[1] < count or time.monotonic() - last[0] < QUIET_S:
            assert time.monotonic() < give_up, f"{topic}: {last[1]} of {count} within {GIVE_UP_S} s"
            seen = self.written(topic) - before
            if seen > last[1]:
                last = (time.monotonic(), seen, cpu_s())
                first = first if first[1] else last
            time.sleep(LOOK_EVERY_S)
        done = count - first[1]
        return {
            "records_per_s": round(done / max(LOOK_EVERY_S, last[0] - first[0])),
            "cpu_us_a_record": round((last[2] - first[2]) / max(1, done) * 1e6, 1),
        }


class Contender:
    """A process that does the job. `cpu_s` is known while it lives and after."""

    def __init__(self, words: Words, environ: Mapping[str, str], log: Path):
        self._log = log.open("ab")
        self.log = log
        self.process = subprocess.Popen(
            words, cwd=ROOT, env={**os.environ, **environ}, stdout=self._log, stderr=self._log, start_new_session=True
        )

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    @property
    def cpu_s(self) -> float:
        """Seconds of processor used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> dict[str, float]:
        """Resident megabytes and threads."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        told = dict(line.split(":", 1) for line in lines)
        return {
            "rss_mb": round(int(told["VmRSS"].split()[0]) / 1024, 1),
            "peak_mb": round(int(told["VmHWM"].split()[0]) / 1024, 1),
            "threads": int(told["Threads"]),
        }

    def stop(self) -> None:
        """End it; nothing that it holds is needed."""
        self.process.kill()
        self.process.wait()
        self._log.close()


@contextmanager
def contender(words: Words, environ: Mapping[str, str], log: Path) -> Iterator[Contender]:
    """A contender that is ended with the block; what it said is shown where the block fails."""
    one = Contender(words, environ, log)
    try:
        yield one
    except AssertionError:
        print("\n".join(log.read_text(errors="replace").splitlines()[-20:]), file=sys.stderr)
        raise
    finally:
        one.stop()


def balanced_keys() -> list[str]:
    """One account for each partition, in their order."""
    homes: dict[int, str] = {}
    for number in range(KEYS):
        homes.setdefault(partition_of(f"a{number}".encode(), PARTITIONS), f"a{number}")
    return [homes[partition] for partition in range(PARTITIONS)]
