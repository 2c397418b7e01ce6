"""A server's process that outlives the command which started it.

The folder of a server holds `server.json` (process id and port) while it runs, and `server.log`, what it said (of the
run before it: `server.log.old`). A process id that meanwhile belongs to somebody else is recognised: our servers are
named by their folder on their command line.
"""

import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from connectors.embedded.errors import NotRunning
from connectors.embedded.folders import write_whole

RECORD = "server.json"
LOG = "server.log"
_children: dict[int, subprocess.Popen[bytes]] = {}
"""Servers that this process started: kept so that they can be reaped, and outlive us without a warning."""


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A running server: its folder, process id and loopback port."""

    folder: Path
    pid: int
    port: int

    @property
    def alive(self) -> bool:
        """Whether this very process still runs."""
        child = _children.get(self.pid)
        # A child is asked itself: what the system tells of its words is empty while it is being started.
        return child.poll() is None if child is not None else _is_ours(self.pid, self.folder)

    @property
    def exit_code(self) -> int | None:
        """The exit code of a server that this process started and that ended; None where that is not known."""
        child = _children.get(self.pid)
        return None if child is None else child.poll()

    def stop(self, *, patience_s: float = 15) -> None:
        """Ask the server to end, and end it by force after `patience_s`. Does nothing when it has ended."""
        self._end(lambda process: process.terminate(), patience_s)

    def kill(self) -> None:
        """End the server at once, without a goodbye. Does nothing when it has ended."""
        self._end(lambda process: process.kill(), 0)

    def resident_bytes(self) -> int:
        """Memory that the server holds now."""
        return int(psutil.Process(self.pid).memory_info().rss)

    def log_tail(self, lines: int = 12) -> str:
        """The last lines that the server said."""
        try:
            with (self.folder / LOG).open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - 16_384))
                text = log.read().decode(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def _end(self, ask: Callable[[psutil.Process], None], patience_s: float) -> None:
        if self.alive:
            try:
                process = psutil.Process(self.pid)
                ask(process)
                if not _ended(process, patience_s):
                    process.kill()
                    _ended(process, 60)
            except psutil.NoSuchProcess:
                pass
        child = _children.pop(self.pid, None)
        if child is not None:
            child.wait()
        record = self.folder / RECORD
        if _recorded(record) == (self.pid, self.port):
            record.unlink(missing_ok=True)


def spawn(
    command: Sequence[str],
    folder: Path,
    *,
    port: int,
    environment: Mapping[str, str] | None = None,
    keep_open: Sequence[int] = (),
) -> ServerProcess:
    """Start the command as a server on the folder, in a session of its own, its words going to the log.

    The command must name the folder. `environment` is added to ours; descriptors of `keep_open` are inherited.
    """
    folder = folder.resolve()
    if not any(str(folder) in word for word in command):
        raise ValueError(f"the command does not name its folder {folder}, so it could not be recognised later")
    log = folder / LOG
    if log.exists():
        log.replace(folder / f"{LOG}.old")
    with log.open("wb") as words:
        child = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            pass_fds=tuple(keep_open),
            start_new_session=True,
        )
    _children[child.pid] = child
    write_whole(folder / RECORD, json.dumps({"pid": child.pid, "port": port}))
    return ServerProcess(folder, child.pid, port)


def attach(folder: Path, what: str) -> ServerProcess:
    """The server that runs on the folder; `what` names its kind in the error. Raises NotRunning."""
    folder = folder.resolve()
    recorded = _recorded(folder / RECORD)
    if recorded is not None:
        process = ServerProcess(folder, *recorded)
        if process.alive:
            return process
    raise NotRunning(
        f"no {what} runs on {folder}",
        "its process has ended" if recorded else "none was started there, or it was stopped",
        "start it first",
    )


def _recorded(record: Path) -> tuple[int, int] | None:
    try:
        written = json.loads(record.read_text(encoding="utf-8"))
        return int(written["pid"]), int(written["port"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_ours(pid: int, folder: Path) -> bool:
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return any(str(folder) in word for word in process.cmdline())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def _ended(process: psutil.Process, patience_s: float) -> bool:
    try:
        process.wait(timeout=patience_s)
    except psutil.TimeoutExpired:
        return False
    return True
