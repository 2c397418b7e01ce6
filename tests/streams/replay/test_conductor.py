"""The conductor starts an engine again that ended itself, and waits where a server that it needs is away."""

import socket
from pathlib import Path
from typing import Any

import pytest

from connectors.embedded.ports import choose_free
from streams.replay.child import Child
from streams.replay.conductor import KAFKA, RESTARTS_MAX, Conductor, EngineFailed
from streams.replay.lookout import Lookout
from streams.replay.order import Order
from streams.settings import load
from tests.streams.replay.test_lookout import listening, until

ENGINE = """
import json, pathlib, sys
starts = pathlib.Path(sys.argv[1])
n = int(starts.read_text()) + 1 if starts.exists() else 1
starts.write_text(str(n))
if sys.argv[3] == "gets on":
    print(json.dumps({"steps": n}), flush=True)
sys.exit(0 if n >= int(sys.argv[2]) else 1)
"""


class Rehearsed(Conductor):
    """A conductor whose engine is a script that ends `1` until its `good`-th start; nothing is read, nothing sunk."""

    def __init__(self, folder: Path, good: int, gets_on: bool = False):
        order = Order(
            data="oil", imported="", from_us=0, until_us=1, strategies=[], cash="1", environment="test",
            bootstrap_servers="127.0.0.1:1", registry_url="", clickhouse_url="", replication=1, speed=0.0,
        )  # fmt: skip
        self.said: list[str] = []
        super().__init__(order, load({"folder": folder}, environ={}).settings, self.said.append)
        self._words = [str(folder / "starts"), str(good), "gets on" if gets_on else "stands"]
        self._path = folder
        self._lookout = Lookout({}, self.said.append)

    def _engine(self) -> Child:
        return Child("engine", ["-c", ENGINE, *self._words], self._path / "engine.log")

    def _read(self) -> None: ...

    def _keep_sink(self) -> None: ...

    def _status(self, engine: Child) -> None: ...

    @property
    def starts(self) -> int:
        return int((self._path / "starts").read_text())


def test_an_engine_that_ended_itself_is_started_again(tmp_path: Path) -> None:
    conductor = Rehearsed(tmp_path, good=3)
    conductor._drive()
    assert conductor.starts == 3
    assert conductor.said == ["! the engine was ended (1); starting it again"] * 2


def test_an_engine_that_ends_again_and_again_without_a_step_is_given_up(tmp_path: Path) -> None:
    conductor = Rehearsed(tmp_path, good=100)
    with pytest.raises(EngineFailed, match=f"{RESTARTS_MAX} times in a row"):
        conductor._drive()
    assert conductor.starts == RESTARTS_MAX + 1


def test_an_engine_that_gets_on_may_end_as_often_as_one_likes(tmp_path: Path) -> None:
    conductor = Rehearsed(tmp_path, good=RESTARTS_MAX + 4, gets_on=True)
    conductor._drive()
    assert conductor.starts == RESTARTS_MAX + 4


def test_while_a_server_is_away_no_engine_is_started_and_none_is_given_up(tmp_path: Path) -> None:
    port, back = choose_free(), list[socket.socket]()
    conductor = Rehearsed(tmp_path, good=2)
    conductor._lookout = Lookout({KAFKA: f"127.0.0.1:{port}"}, conductor.said.append)
    until(lambda: conductor._lookout.away)
    waited = conductor._is_waiting

    def waiting() -> Any:
        """Long enough to have started more often than is allowed; then the server comes back."""
        waiting.times += 1  # type: ignore[attr-defined]  # a counter where it is used
        if waiting.times == 3 * RESTARTS_MAX:  # type: ignore[attr-defined]
            assert conductor.starts == 1
            back.append(listening(port))
        return waited()

    waiting.times = 0  # type: ignore[attr-defined]
    conductor._is_waiting = waiting  # type: ignore[method-assign]
    try:
        conductor._drive()
    finally:
        conductor._lookout.close()
        for server in back:
            server.close()
    assert conductor.starts == 2
    assert any("Kafka is back" in line for line in conductor.said)
