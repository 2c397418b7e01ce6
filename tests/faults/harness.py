"""The harness: workers with the worked room as processes, payments that never stop, and a verdict from the topics.

with Harness(kafka.client_config()["bootstrap.servers"], folder) as harness:
    harness.start("w0")
    harness.wait_for_flow()
    harness.kill("w0")
    ...
verdict = harness.verdict()
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka import OFFSET_BEGINNING, TopicPartition

from connectors.kafka.provision import desired
from streams.runtime import clients
from streams.runtime.clients import Cluster
from streams.runtime.fail_stop import AWAY, IN_DOUBT
from streams.runtime.keys import partition_of
from streams.runtime.provisioning import changelog, provision
from streams.runtime.reader import read_topic
from streams.runtime.verify import Verdict, verify
from tests.faults.payer import ACCOUNTS, Payer
from tests.paths import ROOT
from tests.streams.runtime.sums import SUMS_INBOX, SUMS_MAP, Payment, Summed, SumsRoom, sums_codec

FLOW_S = 90.0
ENDS_ITSELF = (IN_DOUBT, AWAY, -signal.SIGABRT, -signal.SIGSEGV)
"""How a worker may end by itself, to be started again: by fail-stop, or by librdkafka's own assertions and crashes."""


@dataclass
class Worker:
    """One process, started again whenever it ends by itself."""

    slot: str
    process: subprocess.Popen[bytes]
    log: Path


@dataclass
class Harness:
    """One environment with its workers and its payments.

    rate: payments each second, in bursts of 1 to 40.
    session_s: a worker silent for so long loses its partitions; under KIP-848 the broker's own setting decides.
    """

    bootstrap_servers: str
    folder: Path
    seed: int = 1
    rate: float = 400
    fixed: bool = True
    protocol: str = "classic"
    replication: int = 1
    session_s: float = 6.0
    workers: dict[str, Worker] = field(default_factory=dict)
    ended: list[tuple[str, int]] = field(default_factory=list)
    """(slot, exit code) of workers that ended by themselves."""
    times: dict[str, list[float]] = field(default_factory=dict)
    """Seconds until all partitions flowed again, by what had been done."""

    def __post_init__(self) -> None:
        self.environment = f"f{uuid.uuid4().hex[:10]}"
        self.random = random.Random(self.seed)
        self.cluster = Cluster(self.bootstrap_servers)
        self.codec = sums_codec()
        self.payer = Payer(
            self.bootstrap_servers, f"{self.environment}.sums.inbox", self.codec, self.seed + 1, self.rate
        )
        self.last_seen: dict[int, float] = defaultdict(float)
        self._watching = threading.Event()
        self._watching.set()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        inbox_changelog = changelog(f"{self.environment}-sums-changelog", SUMS_INBOX, self.replication)
        provision(self.cluster, [*desired(self.environment, self.replication, SUMS_MAP), inbox_changelog])
        self.payer.start()
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watching.clear()
        for worker in self.workers.values():
            if worker.process.poll() is None:
                worker.process.send_signal(signal.SIGCONT)
                worker.process.kill()
            worker.process.wait()
        self.payer.stop()
        self._watcher.join()

    def start(self, *slots: str) -> None:
        """Start workers in these slots."""
        for slot in slots:
            self.workers[slot] = self.spawned(slot, self.folder / f"{self.environment}-{slot}.log")

    def spawned(self, slot: str, log: Path) -> Worker:
        """A new process in this slot, for the caller to look after."""
        environ = os.environ | {
            "SUMS_ENVIRONMENT": self.environment,
            "SUMS_BOOTSTRAP": self.bootstrap_servers,
            "SUMS_SLOT": slot,
            "SUMS_FOLDER": str(self.folder / log.stem),
            "SUMS_FIXED": "1" if self.fixed else "0",
            "SUMS_PROTOCOL": self.protocol,
            "SUMS_REPLICATION": str(self.replication),
            "SUMS_SESSION_MS": str(round(self.session_s * 1000)),
            "SUMS_HOLE": str(self.hole(slot)),
        }
        with log.open("ab") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.sums_worker", "worker", "--without-web"],
                cwd=ROOT, env=environ, stdout=out, stderr=out,
            )  # fmt: skip
        return Worker(slot, process, log)

    def hole(self, slot: str) -> Path:
        """Where a worker looks whether to stop itself inside a write."""
        return self.folder / f"{self.environment}-{slot}.hole"

    def kill(self, slot: str) -> None:
        """kill -9."""
        self.workers[slot].process.kill()
        self.workers[slot].process.wait()

    def pause(self, slot: str) -> None:
        """SIGSTOP."""
        self.workers[slot].process.send_signal(signal.SIGSTOP)

    def resume(self, slot: str) -> None:
        """SIGCONT."""
        self.workers[slot].process.send_signal(signal.SIGCONT)

    def stop(self, slot: str, timeout_s: float = 30) -> None:
        """SIGTERM, and an orderly end within the time."""
        worker = self.workers[slot]
        worker.process.terminate()
        code = worker.process.wait(timeout_s)
        assert code == 0, f"{slot} ended with {code}:\n{self.tail(slot)}"
        del self.workers[slot]

    def end(self, slot: str, timeout_s: float = 30) -> None:
        """SIGTERM amid other faults: an orderly end, a fail-stop, or a plain end before the worker listens to it."""
        worker = self.workers.pop(slot)
        worker.process.terminate()
        code = worker.process.wait(timeout_s)
        assert code in (0, -signal.SIGTERM, *ENDS_ITSELF), (
            f"{slot} ended with {code}:\n{worker.log.read_text(errors='replace')[-4000:]}"
        )
        if code in ENDS_ITSELF:
            self.ended.append((slot, code))

    def stop_itself_at(self, slot: str, stage: str) -> None:
        """Let the worker stop itself inside a transaction, and wait until it has."""
        self.ask_to_stop_itself_at(slot, stage)
        self.wait_until_it_stopped_itself(slot)

    def ask_to_stop_itself_at(self, slot: str, stage: str) -> None:
        """Let the worker stop itself when it next comes to this stage."""
        hole = self.hole(slot)
        written = hole.with_suffix(".new")
        written.write_text(stage)
        written.rename(hole)

    def wait_until_it_stopped_itself(self, slot: str, timeout_s: float = 20) -> None:
        """Wait until the worker stands where it was asked to stop."""
        self._until(lambda: self.is_stopped(slot), timeout_s, f"{slot} did not stop itself")

    def is_stopped(self, slot: str) -> bool:
        """Whether the worker stands still by SIGSTOP."""
        status = Path(f"/proc/{self.workers[slot].process.pid}/stat").read_text()
        return status.rsplit(")", 1)[1].split()[0] == "T"

    def supervise(self) -> None:
        """Start again what ended by itself, as a supervisor does."""
        for slot, worker in list(self.workers.items()):
            code = worker.process.poll()
            if code is not None:
                if code not in (-signal.SIGKILL, -signal.SIGTERM):
                    self.ended.append((slot, code))
                assert code in (-signal.SIGKILL, *ENDS_ITSELF), f"{slot} ended with {code}:\n{self.tail(slot)}"
                self.start(slot)

    def tail(self, slot: str, lines: int = 40) -> str:
        """The end of a worker's log."""
        return "\n".join(self.workers[slot].log.read_text(errors="replace").splitlines()[-lines:])

    def wait_for_flow(self, timeout_s: float = FLOW_S) -> float:
        """Wait until every partition has given a result after now; return the seconds it took."""
        since = time.monotonic()
        partitions = {partition_of(f"a{n}".encode(), SUMS_INBOX.partitions) for n in range(ACCOUNTS)}
        self._until(lambda: all(self.last_seen[partition] > since for partition in partitions), timeout_s, "no flow")
        return time.monotonic() - since

    def wait(self, seconds: float) -> None:
        """Let time pass, and start again what ends by itself meanwhile."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.supervise()
            time.sleep(0.1)

    def note(self, what: str, seconds: float) -> None:
        """Remember how long it took until records flowed again."""
        self.times.setdefault(what, []).append(seconds)

    def notes(self) -> list[str]:
        """What was done, how often, and how long it took until all partitions flowed: median and longest."""
        told = [f"  ended by themselves: {self.ended}"] if self.ended else []
        if self.payer.refused:
            told.append(f"  payments that Kafka refused to their writer: {dict(self.payer.refused)}")
        for what, seconds in self.times.items():
            middle = sorted(seconds)[len(seconds) // 2]
            told.append(f"  {what}: {len(seconds)} times, flow after {middle:.2f} s, at most {max(seconds):.2f} s")
        return told

    def drain(self, timeout_s: float = FLOW_S) -> None:
        """Stop paying, and wait until all is folded."""
        self.payer.stop()
        assert not self.payer.undelivered, f"{self.payer.undelivered} payments were not delivered"
        try:
            self._until(self._is_drained, timeout_s, "the inbox was not drained")
        except AssertionError as error:
            error.add_note(f"{self._paid()} payments in the inbox, {self._results()} results")
            raise

    def verdict(self) -> Verdict:
        """What the topics say, by the checker and by plain arithmetic."""
        verdict = verify(SumsRoom(), self.codec, self.cluster, self.environment, SUMS_MAP)
        assert self._sums_by_hand() == self._sums_said(), (
            f"the last results are not the sums of the payments: {self.payer.sent} sent, {verdict.lines()}"
        )
        accepted = self.payer.accepted
        assert verdict.inputs >= accepted, f"{accepted} were accepted, {verdict.inputs} lie in the inbox"
        return verdict

    def _sums_by_hand(self) -> dict[str, Decimal]:
        sums: dict[str, Decimal] = defaultdict(Decimal)
        for message in read_topic(self.cluster, f"{self.environment}.sums.inbox"):
            record = self.codec.decode(message.value())
            if isinstance(record, Payment):
                sums[record.account_id] += record.amount
        return dict(sums)

    def _sums_said(self) -> dict[str, Decimal]:
        sums: dict[str, Decimal] = {}
        for message in read_topic(self.cluster, f"{self.environment}.sums.results"):
            record = self.codec.decode(message.value())
            assert isinstance(record, Summed)
            sums[record.account_id] = record.total
        return sums

    def _is_drained(self) -> bool:
        """Whether there are as many results as payments in the inbox: a writer may have been heard twice there."""
        results = self._results()
        return results >= self.payer.accepted and results >= self._paid()

    def _results(self) -> int:
        return len(read_topic(self.cluster, f"{self.environment}.sums.results"))

    def _paid(self) -> int:
        messages = read_topic(self.cluster, f"{self.environment}.sums.inbox")
        return sum(isinstance(self.codec.decode(message.value()), Payment) for message in messages)

    def _until(self, true: Callable[[], bool], timeout_s: float, otherwise: str) -> None:
        give_up = time.monotonic() + timeout_s
        while not true():
            if time.monotonic() > give_up:
                logs = "\n".join(f"--- {slot}\n{self.tail(slot)}" for slot in self.workers)
                payer = f"{self.payer.sent} sent, {dict(self.payer.refused)} refused, paying: {self.payer.is_paying}"
                raise AssertionError(f"{otherwise} within {timeout_s} s; {payer}\n{logs}")
            self.supervise()
            time.sleep(0.02)

    def _watch(self) -> None:
        reader = clients.reader(self.cluster)
        results = f"{self.environment}.sums.results"
        reader.assign([TopicPartition(results, p, OFFSET_BEGINNING) for p in range(SUMS_INBOX.partitions)])
        while self._watching.is_set():
            message = reader.poll(0.1)
            if message is not None and message.error() is None:
                self.last_seen[message.partition() or 0] = time.monotonic()
        reader.close()
