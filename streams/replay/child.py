"""A process that a run starts: it is told when to begin and when to finish, and tells how it gets on."""

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

STOP_WAIT_S = 30.0


class Child:
    """A process that tells its news as lines of JSON on stdout; the rest of what it says goes to a log.

    stop_wait_s: how long it may take to finish when it is asked to
    """

    def __init__(self, name: str, words: list[str], log: Path, stop_wait_s: float = STOP_WAIT_S):
        log.parent.mkdir(parents=True, exist_ok=True)
        self.news: dict[str, Any] = {}
        self._stop_wait_s = stop_wait_s
        self._log = log.open("ab")
        # Its own group: Ctrl-C reaches us alone, and we ask it to finish.
        self.process = subprocess.Popen(
            [sys.executable, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,
        )
        self._thread = threading.Thread(target=self._listen, name=f"listen {name}", daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(b"{"):
                self.news.update(json.loads(line))

    @property
    def ended(self) -> int | None:
        """Its exit code, or None while it runs."""
        return self.process.poll()

    def begin(self) -> None:
        """Tell a process that waits for the word to begin; one that has ended is found by whoever looks."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.write(b"\n")
            self.process.stdin.flush()

    def stop(self) -> None:
        """Ask it to finish, and end it if it does not, with all that it has started."""
        if self.ended is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(self._stop_wait_s)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        self._thread.join(1)
        assert self.process.stdout is not None
        assert self.process.stdin is not None
        self.process.stdout.close()
        self.process.stdin.close()
        self._log.close()
