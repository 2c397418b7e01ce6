"""Supervisor: starts a worker, and starts it again when it ended itself in doubt, lacked a server, or was killed.

A worker that refuses to start is not started again: the message says what to mend. When the watchdog ended it over a
fold that did not return, somebody is told before the next start, so that the same code does not run again.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import msgspec

from streams.runtime.fail_stop import AWAY, IN_DOUBT
from streams.runtime.watchdog import LastWords

FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 10.0
LOOK_EVERY_S = 0.1
HEALTHY_S = 60.0
"""A worker that ran for so long starts again without waiting."""


@dataclass
class Supervisor:
    """Runs one command until it ends for good.

    last_words: where the watchdog writes; `heard` is called with them before the next start.
    drain_s: how long a worker may take to end after SIGTERM.
    """

    command: Sequence[str]
    last_words: Path
    heard: Callable[[LastWords], None] = lambda _: None
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    drain_s: float = 30.0
    say: Callable[[str], None] = print
    starts: int = 0
    _stop_by: float | None = None
    _process: "subprocess.Popen[bytes] | None" = None

    def run(self) -> int:
        """Start, watch and start again; return the exit code with which it was over."""
        before = {number: signal.signal(number, self._stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            return self._run()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _run(self) -> int:
        wait_s = FIRST_WAIT_S
        while True:
            started = time.monotonic()
            self.last_words.unlink(missing_ok=True)
            self._process = subprocess.Popen(self.command, env=dict(self.environ))
            self.starts += 1
            code = self._ended(self._process)
            if self.is_stopping() or not (code in (IN_DOUBT, AWAY) or code < 0):
                return code
            self._hear()
            wait_s = FIRST_WAIT_S if time.monotonic() - started > HEALTHY_S else min(2 * wait_s, LONGEST_WAIT_S)
            self.say(f"the worker ended with {code}; it starts again in {wait_s:.1f} s")
            time.sleep(wait_s)
            if self.is_stopping():
                return code

    def is_stopping(self) -> bool:
        """Whether it was told to end."""
        return self._stop_by is not None

    def _hear(self) -> None:
        if not self.last_words.exists():
            return
        words = msgspec.convert(json.loads(self.last_words.read_text()), LastWords)
        self.say(f"a fold did not return: {words}")
        self.heard(words)

    def _ended(self, process: "subprocess.Popen[bytes]") -> int:
        """Wait for the end; one that was told to end and does not within the time is killed."""
        while True:
            try:
                return process.wait(LOOK_EVERY_S)
            except subprocess.TimeoutExpired:
                if self._stop_by is not None and time.monotonic() > self._stop_by:
                    process.kill()

    def _stop(self, number: int, _: FrameType | None) -> None:
        """Pass the signal on."""
        self._stop_by = self._stop_by or time.monotonic() + self.drain_s
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
