"""World: time, threads and processes of a simulation. Nothing runs but what the seed's schedule lets run.

A thread of the runtime is a greenlet here: it runs until it waits, for time, for another thread or for an answer from
the broker. Everything that happens has its moment on one heap; the moments are drawn from the seed. A process can be
killed or paused at any of them: its threads then end, or stand, wherever they are. What it had sent still arrives.
"""

from asyncio import AbstractEventLoop
from asyncio.events import _get_running_loop, _set_running_loop
from collections import Counter
from collections.abc import Callable
from heapq import heappop, heappush
from random import Random
from typing import Any, TypeVar

from greenlet import getcurrent, greenlet  # type: ignore[import-untyped]  # it has no types

_Answer = TypeVar("_Answer")
Act = Callable[[], None]
Watcher = Callable[[str, "Process | None"], bool]

EVENTS_MAX = 400_000
"""A run with more events than this goes round in a circle."""


class Killed(SystemExit):
    """Unwinds a thread of a process that is no more. Event loops let it pass, as they let a real exit."""


class Restless(RuntimeError):
    """A run does not end."""


class Process:
    """One incarnation of a worker, or another program.

    pauses: how often it was paused; tells one pause from the next.
    """

    __slots__ = (
        "alive",
        "deferred",
        "name",
        "on_end",
        "on_pause",
        "on_resume",
        "paused",
        "pauses",
        "slot",
        "tasks",
        "threads",
    )

    def __init__(self, name: str, slot: str):
        self.name = name
        self.slot = slot
        self.alive = True
        self.paused = False
        self.pauses = 0
        self.tasks: list[Task] = []
        self.deferred: list[tuple[Any, int]] = []
        self.on_end: list[Act] = []
        self.on_pause: list[Act] = []
        self.on_resume: list[Act] = []


class Task:
    """A thread of a process. `token` rises each time it runs: a wake-up meant for an earlier wait is stale.

    loop: the event loop that runs in it, if any.
    """

    __slots__ = ("ended", "glet", "loop", "name", "process", "token", "waiters")

    def __init__(self, process: Process, name: str, glet: greenlet):
        self.process = process
        self.name = name
        self.glet = glet
        self.token = 0
        self.ended = False
        self.loop: AbstractEventLoop | None = None
        self.waiters: list[Task] = []


class Event:
    """Something that happens at its moment; with a process, only while that lives, and not while it is paused."""

    __slots__ = ("act", "process")

    def __init__(self, act: Act, process: Process | None):
        self.act = act
        self.process = process


class World:
    """One simulated history.

    latency_s: typical time on the wire; `slow` multiplies it for a while.
    preempt: how likely a thread is interrupted where it takes a lock.
    history: what happened, where it is wanted.
    """

    def __init__(self, seed: int, *, latency_s: float = 0.001, preempt: float = 0.0, keep_history: bool = False):
        self.random = Random(seed)
        self.chance = self.random.random
        self.now = 0.0
        self.latency_s = latency_s
        self.slow = 1.0
        self.preempt = preempt
        self.stall_s = 0.0
        self.current: Task | None = None
        self.hits: Counter[str] = Counter()
        self.watch: Watcher | None = None
        self.history: list[str] | None = [] if keep_history else None
        self.events = 0
        self.processes: list[Process] = []
        self._heap: list[tuple[float, int, Any, int]] = []
        self._number = 0
        self._main = getcurrent()

    def at(self, delay_s: float, act: Act, process: Process | None = None) -> None:
        """Let this happen after so long."""
        self._push(delay_s, Event(act, process), 0)

    def latency(self) -> float:
        """A time on the wire."""
        drawn = self.chance()
        # Most answers come soon; one in thirty takes as long as thirty others.
        return self.latency_s * self.slow * (drawn * 2 if drawn < 0.97 else 30 * drawn)

    def _push(self, delay_s: float, what: Any, token: int) -> None:
        self._number += 1
        heappush(self._heap, (self.now + delay_s, self._number, what, token))

    def run(self, ended: Callable[[], bool], limit_s: float) -> bool:
        """Let things happen until `ended`, or until so much time has passed; tell whether it ended."""
        heap = self._heap
        while heap:
            if ended():
                return True
            moment, _, what, token = heappop(heap)
            if moment > limit_s:
                return ended()
            self.now = moment
            self.events += 1
            if self.events > EVENTS_MAX:
                raise Restless(f"{self.events} events, and no end")
            process = what.process
            if process is not None:
                if not process.alive:
                    continue
                if process.paused:
                    process.deferred.append((what, token))
                    continue
            if type(what) is Event:
                what.act()
            elif what.token == token:
                self._resume(what)
        return ended()

    def _resume(self, task: Task) -> None:
        task.token += 1
        self.current = task
        try:
            task.glet.switch()
        finally:
            self.current = None

    def spawn(self, process: Process, target: Callable[[], None], name: str) -> Task:
        """Start a thread."""

        def body() -> None:
            try:
                target()
            except Killed:
                return
            finally:
                task.ended = True
                for waiter in task.waiters:
                    self.wake(waiter)

        task = Task(process, name, greenlet(body, self._main))
        process.tasks.append(task)
        self._push(0.0, task, 0)
        return task

    def me(self) -> Task:
        """The thread that runs."""
        assert self.current is not None, "only a thread of a process may do this"
        return self.current

    def wait(self, timeout_s: float | None = None) -> None:
        """Stand until woken, or for so long; whoever waits for something looks again."""
        task = self.me()
        if not task.process.alive:
            raise Killed
        if timeout_s is not None:
            self._push(max(0.0, timeout_s), task, task.token)
        if task.loop is None:
            self._main.switch()
            return
        # All threads of a world are one to asyncio: who runs next must not find our loop running.
        running = _get_running_loop()
        _set_running_loop(None)
        try:
            self._main.switch()
        finally:
            _set_running_loop(running)

    def wake(self, task: Task, delay_s: float = 0.0) -> None:
        """Let the thread look again."""
        self._push(delay_s, task, task.token)

    def sleep(self, seconds: float) -> None:
        """Stand for so long."""
        end = self.now + seconds
        while self.now < end:
            self.wait(end - self.now)

    def hit(self, label: str, process: Process | None) -> bool:
        """Something reached this place; tell whether a fault falls here, as the next thing that happens."""
        self.hits[label] += 1
        if self.history is not None:
            self.tell(label, process)
        return self.watch is not None and self.watch(label, process)

    def point(self, label: str) -> None:
        """This thread has reached this place; a fault that falls here takes effect before it goes on."""
        task = self.me()
        process = task.process
        if not process.alive:
            raise Killed
        if self.hit(label, process):
            stall_s, self.stall_s = self.stall_s, 0.0
            self.sleep(stall_s) if stall_s else self.wait(0.0)

    def tell(self, text: str, process: Process | None = None) -> None:
        """Add to the history."""
        if self.history is not None:
            self.history.append(f"{self.now:8.4f} {process.name if process else '-':8} {text}")

    def call(self, label: str, act: Callable[[], _Answer]) -> _Answer:
        """Ask the broker: the request travels, is answered at once where it arrives, and the answer travels back.

        A request of a process that dies meanwhile arrives all the same.
        """
        task = self.me()
        answers: list[_Answer | BaseException] = []
        process = task.process

        def arrive() -> None:
            try:
                answers.append(act())
            except Exception as error:  # noqa: BLE001 - the answer is an error, and is raised where it was asked
                answers.append(error)
            self.hit(f"{label}:done", process)
            self.wake(task, self.latency())

        self.point(f"{label}:sent")
        self.at(self.latency(), arrive)
        while not answers:
            self.wait()
        answer = answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def process(self, name: str, slot: str) -> Process:
        """Start a process without threads."""
        process = Process(name, slot)
        self.processes.append(process)
        return process

    def kill(self, process: Process, why: str = "killed") -> None:
        """End it at once, wherever its threads stand. Not for threads: they let it happen by `at`."""
        if not process.alive:
            return
        self.tell(why, process)
        process.alive = False
        process.deferred.clear()
        assert self.current is None, "a thread cannot unwind others"
        for task in process.tasks:
            if task.glet:
                self.current = task
                task.glet.throw(Killed)
        self.current = None
        for act in process.on_end:
            act()

    def pause(self, process: Process) -> None:
        """SIGSTOP."""
        if not process.alive or process.paused:
            return
        self.tell("paused", process)
        process.paused = True
        process.pauses += 1
        for act in process.on_pause:
            act()

    def resume(self, process: Process) -> None:
        """SIGCONT."""
        if not process.alive or not process.paused:
            return
        self.tell("resumed", process)
        process.paused = False
        deferred, process.deferred = process.deferred, []
        for what, token in deferred:
            self._push(self.chance() * self.latency_s, what, token)
        for act in process.on_resume:
            act()

    def end(self) -> None:
        """Let go of all threads."""
        for process in self.processes:
            process.on_end.clear()
            self.kill(process, "ended")
        self._heap.clear()
