"""A fold that does not return: the watchdog ends the process naming it, and the next start goes on behind it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from connectors.embedded.kafka import KafkaServer
from connectors.kafka.provision import desired
from streams.runtime.clients import Cluster
from streams.runtime.dead_letters import skip
from streams.runtime.fail_stop import IN_DOUBT
from streams.runtime.provisioning import changelog, provision
from streams.runtime.source import Source
from streams.runtime.supervisor import Supervisor
from streams.runtime.verify import verify
from streams.runtime.watchdog import LastWords
from tests.paths import ROOT
from tests.streams.runtime.sums import SUMS_INBOX, SUMS_MAP, payment, sums_codec
from tests.streams.runtime.test_door import Unfit

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.faults]


def test_a_fold_that_does_not_return_ends_the_process_and_the_next_one_goes_on_behind_it(
    kafka: KafkaServer, tmp_path: Path, topic_prefix: str
) -> None:
    environment, codec = topic_prefix.rstrip("."), sums_codec()
    cluster = Cluster(kafka.bootstrap_servers)
    provision(cluster, [*desired(environment, 1, SUMS_MAP), changelog(f"{environment}-sums-changelog", SUMS_INBOX, 1)])
    source = Source(cluster, codec, environment, "payers", topic_map=SUMS_MAP)
    for name in ("p1", "loop:", "p3"):
        source.write(payment("ann", 1, name))
    source.close()
    heard: list[LastWords] = []

    def hear(words: LastWords) -> None:
        heard.append(words)
        place = (words.partition, words.offset)
        skip(cluster, codec, environment, words.room, SUMS_INBOX, place, "watchdog", "did not return", SUMS_MAP)

    supervisor = Supervisor(
        [sys.executable, "-m", "tests.faults.looping_worker"],
        tmp_path / "last-words.json",
        hear,
        os.environ | {
            "SUMS_ENVIRONMENT": environment, "SUMS_BOOTSTRAP": kafka.bootstrap_servers, "SUMS_FOLDER": str(tmp_path),
            "PYTHONPATH": str(ROOT),
        },
    )  # fmt: skip
    assert supervisor.run() == 0
    assert supervisor.starts == 2
    (words,) = heard
    assert (words.room, words.key, words.record, words.offset, words.suspect) == ("sums", "ann", "Payment", 1, "loop:")
    assert verify(Unfit(), codec, cluster, environment, SUMS_MAP).outputs == 2


def test_the_process_says_why_it_ended_where_a_log_proxy_has_replaced_its_error_stream(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from streams.runtime.fail_stop import fail_stop\n"
        "class Proxy:\n"
        "    def fileno(self): raise OSError\n"
        "    def write(self, text): raise OSError\n"
        "sys.stderr = sys.stdout = Proxy()\n"
        "fail_stop('in doubt', ValueError('why'))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert ended.returncode == IN_DOUBT
    assert "FAIL-STOP (70): in doubt" in ended.stderr
    assert "ValueError: why" in ended.stderr
    assert "most recent call first" in ended.stderr
