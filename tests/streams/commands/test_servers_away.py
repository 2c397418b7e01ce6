"""Every command that needs a server, started while that server is away: one message, the right code, nothing left."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.main import get_command

from connectors.embedded.kafka import KafkaServer
from connectors.embedded.ports import choose_free
from connectors.embedded.registry import RegistryServer
from streams.cli import app, main

KAFKA, REGISTRY, CLICKHOUSE = "kafka", "registry", "clickhouse"

LIMITS = Path(__file__).parent / "limits.ndjson"

NEEDS = {
    "run": (KAFKA, REGISTRY, CLICKHOUSE),
    "setup": (KAFKA, REGISTRY, CLICKHOUSE),
    "sink": (KAFKA, REGISTRY),  # ClickHouse may be away: only the lag grows
    "worker": (KAFKA, REGISTRY),
    "clock": (KAFKA, REGISTRY),
    "relay": (KAFKA, REGISTRY),
    "status": (KAFKA, REGISTRY),
    "verify": (KAFKA, REGISTRY),
    "stop": (KAFKA,),
    "resume --reason mended --confirm reconciled,data-fresh,limits-ok": (KAFKA,),
    "deadletters list": (KAFKA, REGISTRY),
    "deadletters show d1": (KAFKA, REGISTRY),
    "deadletters replay d1": (KAFKA, REGISTRY),
    "deadletters skip signals 0 1 --reason torn": (KAFKA, REGISTRY),
    "order place buy 1 WTI --account main": (KAFKA, REGISTRY),
    "order cancel o1 --account main": (KAFKA, REGISTRY),
    "order replace o1 --account main --quantity 2": (KAFKA, REGISTRY),
    "order list": (KAFKA, REGISTRY),  # asks ClickHouse first, and the topics where that is away
    "order show o1": (KAFKA, REGISTRY),
    "strategy deploy buy_and_hold --instrument WTI --account main --from 2019-01-01 --to 2019-01-31": (KAFKA, REGISTRY),
    "provider set oracle --role champion --reason test": (KAFKA, REGISTRY),
    "strategy pause s1": (KAFKA, REGISTRY),
    "strategy resume s1": (KAFKA, REGISTRY),
    "strategy change s1 --set fast=5": (KAFKA, REGISTRY),
    "strategy stop s1": (KAFKA, REGISTRY),
    "market halt WTI --reason halted": (KAFKA, REGISTRY),
    "market resume WTI": (KAFKA, REGISTRY),
    "market split WTI 2": (KAFKA, REGISTRY),
    "market dividend WTI 0.5": (KAFKA, REGISTRY),
    "market actions actions.csv": (KAFKA, REGISTRY),
    "discrepancy resolve d1 --reason seen": (KAFKA, REGISTRY),
    "discrepancy list": (KAFKA, REGISTRY),
    "risk preview buy 1 WTI --account main": (KAFKA, REGISTRY),
    f"risk limits {LIMITS} --reason test --account main": (KAFKA, REGISTRY),
    "replay inbox": (KAFKA, REGISTRY),
    "topics apply": (KAFKA,),
    "topics diff": (KAFKA,),
    "schemas register": (REGISTRY,),
    "sql select_1": (CLICKHOUSE,),
    "report": (CLICKHOUSE,),
}
"""Every command that connects, as it is typed, and the servers without which it cannot begin."""

NEEDS_NONE = {
    "backtest", "up", "down", "doctor", "stats", "docs", "replay orders", "replay fills", "data list", "data verify",
    "strategy list", "strategy validate", "provider keys", "data import", "dashboards push", "topics list",
    "topics acl", "topics asyncapi", "schemas generate", "schemas check", "schemas publish", "config show",
}  # fmt: skip
"""Commands that begin without any server of these three."""


class Ended(NamedTuple):
    """How a command ended."""

    code: object
    stdout: str
    stderr: str


def needing(server: str) -> list[str]:
    return [words for words, servers in NEEDS.items() if server in servers]


@pytest.fixture
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An empty folder, and addresses at which nobody listens."""
    port = choose_free()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QL_MODE", "paper")
    monkeypatch.setenv("QL_BOOTSTRAP_SERVERS", f"127.0.0.1:{port}")
    monkeypatch.setenv("QL_REGISTRY_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("QL_CLICKHOUSE_URL", f"http://127.0.0.1:{port}")
    return monkeypatch


@pytest.fixture(scope="module")
def own_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    server = RegistryServer.start(tmp_path_factory.mktemp("registry"), port=0)
    yield server
    server.stop()


def typed(words: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Ended:
    """The command as a user types it, in this process."""
    monkeypatch.setattr(sys, "argv", ["quantumleap", *words.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    return Ended(ended.value.code, *capfd.readouterr())


def hold_to_its_word(ended: Ended, server: str) -> None:
    """One clear message that names the server, nothing on stdout."""
    errors = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, ended.stderr
    assert server in ended.stderr.lower()
    assert "next: " in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""
    assert ended.code == 4, ended.stderr


def names(command: Any, before: tuple[str, ...] = ()) -> Iterator[str]:
    parts = getattr(command, "commands", {})
    if not parts:
        yield " ".join(before)
    for name, part in parts.items():
        yield from names(part, (*before, name))


def test_of_every_command_it_is_said_which_servers_it_needs() -> None:
    for name in names(get_command(app)):
        connecting = [words for words in NEEDS if f"{words} ".startswith(f"{name} ")]
        assert bool(connecting) != (name in NEEDS_NONE), name


@pytest.mark.parametrize("words", needing(KAFKA))
def test_kafka_away_at_the_start_is_said_at_once_and_nothing_is_left(
    words: str, nobody: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    ended = typed(words, nobody, capfd)
    hold_to_its_word(ended, KAFKA)
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".log"] == []


@pytest.mark.servers
@pytest.mark.parametrize("words", needing(REGISTRY))
def test_the_registry_away_at_the_start_is_said(
    words: str, nobody: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], kafka: KafkaServer
) -> None:
    nobody.setenv("QL_BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
    hold_to_its_word(typed(words, nobody, capfd), REGISTRY)
    assert not Path(".quantumleap/replay/order.json").exists(), "a folder that nothing was replayed in is free"


@pytest.mark.servers
@pytest.mark.parametrize("words", needing(CLICKHOUSE))
def test_clickhouse_away_at_the_start_is_said(
    words: str,
    nobody: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    kafka: KafkaServer,
    own_registry: RegistryServer,
) -> None:
    nobody.setenv("QL_BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
    nobody.setenv("QL_REGISTRY_URL", own_registry.url)
    nobody.setenv("QL_ENVIRONMENT", f"away-{words.split(maxsplit=1)[0]}")
    nobody.setenv("QL_MODE", "replay")
    hold_to_its_word(typed(words, nobody, capfd), CLICKHOUSE)


@pytest.mark.parametrize("words", needing(KAFKA))
def test_where_no_kafka_runs_and_none_is_named_the_next_step_is_up(
    words: str, nobody: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    if words == "run":
        pytest.skip("it starts its own")
    nobody.delenv("QL_BOOTSTRAP_SERVERS")
    ended = typed(words, nobody, capfd)
    hold_to_its_word(ended, KAFKA)
    assert "quantumleap up" in ended.stderr
