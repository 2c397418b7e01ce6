"""Rules of a server's process: who tells whether it lives, and that ending it always returns."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from connectors.embedded import process
from connectors.embedded.errors import NotRunning
from connectors.embedded.process import ServerProcess, attach, spawn


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A process that does nothing but live."""
    started = spawn([sys.executable, "-c", "import time; time.sleep(600)", str(tmp_path)], tmp_path, port=1)
    yield started
    started.kill()


def test_a_child_of_which_the_system_does_not_tell_yet_lives_and_is_ended(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_is_ours", lambda *_: False)
    lived = server.alive
    server.kill()
    assert (lived, server.alive) == (True, False)
    assert not psutil.pid_exists(server.pid)


def test_a_child_that_was_killed_is_not_alive(server: ServerProcess) -> None:
    psutil.Process(server.pid).kill()
    psutil.wait_procs([psutil.Process(server.pid)], timeout=60)
    assert not server.alive
    server.kill()


def test_a_server_that_another_process_started_is_known_by_its_folder(server: ServerProcess, tmp_path: Path) -> None:
    written = (tmp_path / process.RECORD).read_text()
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        (tmp_path / process.RECORD).write_text(written.replace(str(server.pid), str(other.pid)))
        with pytest.raises(NotRunning):
            attach(tmp_path, "server")
    finally:
        other.kill()
        other.wait()
    (tmp_path / process.RECORD).write_text(written)
    assert attach(tmp_path, "server") == server


def test_a_command_that_does_not_name_its_folder_is_not_started(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not name its folder"):
        spawn([sys.executable, "-c", "pass"], tmp_path, port=1)
