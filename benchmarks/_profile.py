"""Where the time of a contender goes: `python -m benchmarks._profile FILE MODULE WORDS...` runs the module as it is run
by itself, and looks twice a hundredth of a second where each of its threads stands.

FILE is written anew each second, for a contender is ended by kill: processor seconds of every thread, librdkafka's too,
and of each Python thread at which lines of ours it stood, also while those waited for Kafka.
"""

import json
import linecache
import os
import runpy
import sys
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path
from types import FrameType
from typing import Any

LOOK_EVERY_S = 0.005
WRITE_EVERY_S = 1.0
LINES_TOLD = 6
LINE_TOLD = 70
"""Characters of a line."""
THREADS_TOLD = 8
SECONDS_TOLD = 0.05
"""What used less is not told."""
WAITS = frozenset(
    {
        ("selectors.py", "select"),
        ("threading.py", "wait"),
        ("thread.py", "_worker"),
        ("queue.py", "get"),
        ("socketserver.py", "service_actions"),
        ("watchdog.py", "_run"),
    }
)
"""Where a thread stands that has nothing to do; by file and function of its innermost frame."""
OURS = Path(__file__).parent.parent


class Sampler:
    """The thread that looks.

    file: where it tells.
    """

    def __init__(self, file: Path):
        self._file = file
        self._seen: dict[str, Counter[str]] = defaultdict(Counter)
        self._looks = 0

    def start(self) -> None:
        """Begin to look, until the process ends."""
        threading.Thread(target=self._run, name="sampler", daemon=True).start()

    def _run(self) -> None:
        me, written = threading.get_ident(), time.monotonic()
        while True:
            time.sleep(LOOK_EVERY_S)
            names = {thread.ident: thread.name for thread in threading.enumerate()}
            self._looks += 1
            for ident, frame in sys._current_frames().items():
                if ident != me and (place := _place(frame)):
                    self._seen[names.get(ident, "unknown")][place] += 1
            if time.monotonic() - written > WRITE_EVERY_S:
                written = time.monotonic()
                self._write()

    def _write(self) -> None:
        seconds = _threads()
        told = {"seconds": seconds, "stood_at": {name: self._shares(name) for name in seconds if name in self._seen}}
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(told))
        new.rename(self._file)

    def _shares(self, thread: str) -> dict[str, float]:
        """The lines at which it stood, as shares of all looks."""
        return {place: round(count / self._looks, 3) for place, count in self._seen[thread].most_common(LINES_TOLD)}


def _place(frame: FrameType) -> str:
    """The innermost line of ours; empty where the thread merely waits, or begins."""
    code = frame.f_code
    if (Path(code.co_filename).name, code.co_name) in WAITS:
        return ""
    at: FrameType | None = frame
    while at is not None and (".venv" in at.f_code.co_filename or not at.f_code.co_filename.startswith(str(OURS))):
        at = at.f_back
    if at is None:
        return f"{Path(code.co_filename).name} {code.co_name}"
    if at.f_code.co_name == "<module>":
        return ""
    line = linecache.getline(at.f_code.co_filename, at.f_lineno).strip()[:LINE_TOLD]
    return f"{Path(at.f_code.co_filename).name} {at.f_code.co_name}: {line}"


def _threads() -> dict[str, float]:
    """Processor seconds of the busiest threads, by name; those of one name together."""
    python = {thread.native_id: thread.name for thread in threading.enumerate()}
    found: dict[str, float] = defaultdict(float)
    for task in Path("/proc/self/task").iterdir():
        try:
            name, _, rest = (task / "stat").read_text().partition("(")[2].rpartition(")")
        except (FileNotFoundError, ProcessLookupError):
            continue
        fields = rest.split()
        seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        found[python.get(int(task.name), name)] += seconds
    busy = [name for name in sorted(found, key=found.__getitem__, reverse=True) if found[name] >= SECONDS_TOLD]
    return {name: round(found[name], 2) for name in busy[:THREADS_TOLD]}


def sampled(words: list[str], file: Path) -> list[str]:
    """The command `python -m MODULE ...`, watched."""
    python, flag, *rest = words
    assert flag == "-m", words
    return [python, "-m", "benchmarks._profile", str(file), *rest]


def told(file: Path) -> dict[str, Any]:
    """What the sampler wrote last; nothing where it had no time to."""
    return json.loads(file.read_text()) if file.exists() else {}


def cpu_s(pid: int) -> float:
    """Processor seconds that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    Sampler(Path(sys.argv[1])).start()
    sys.argv[:] = sys.argv[2:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
