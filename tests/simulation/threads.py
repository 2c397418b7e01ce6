"""What the runtime takes from `threading` and `time`, in a simulated world."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

from tests.simulation.world import Process, Task, World


class Threads:
    """Stands in for the module `threading`."""

    def __init__(self, world: World):
        self._world = world

    def Condition(self) -> "Condition":
        return Condition(self._world)

    def Event(self) -> "Flag":
        return Flag(self._world)

    def Thread(self, target: Callable[[], None], name: str = "", daemon: bool = False) -> "Thread":
        return Thread(self._world, self._world.me().process, target, name)


class Clock:
    """Stands in for the module `time`."""

    def __init__(self, world: World):
        self._world = world
        self.sleep = world.sleep

    def monotonic(self) -> float:
        return self._world.now

    def time_ns(self) -> int:
        return int(self._world.now * 1e9)


class Condition:
    """A lock that its owner may take again, and on which others wait."""

    __slots__ = ("_depth", "_owner", "_waiting", "_world")

    def __init__(self, world: World):
        self._world = world
        self._owner: Task | None = None
        self._depth = 0
        self._waiting: list[Task] = []

    def __enter__(self) -> bool:
        world = self._world
        me = world.current
        if self._owner is not me:
            if me is not None and world.preempt and world.chance() < world.preempt:
                world.wait(world.chance() * world.latency_s)
            self._acquire(me)
        self._depth += 1
        return True

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if not self._depth:
            self._owner = None

    def _acquire(self, me: Task | None) -> None:
        while self._owner is not None:
            assert me is not None, "what merely happens holds no locks"
            self._waiting.append(me)
            self._world.wait(0.0001)
        self._owner = me

    def wait_for(self, predicate: Callable[[], bool], timeout: float | None = None) -> bool:
        world = self._world
        end = None if timeout is None else world.now + timeout
        while not predicate():
            if end is not None and world.now >= end:
                return predicate()
            me, depth = self._owner, self._depth
            assert me is not None
            self._owner, self._depth = None, 0
            self._waiting.append(me)
            world.wait(None if end is None else end - world.now)
            self._acquire(me)
            self._depth = depth
        return True

    def notify_all(self) -> None:
        waiting, self._waiting = self._waiting, []
        for task in waiting:
            self._world.wake(task)


class Flag:
    """A `threading.Event`."""

    __slots__ = ("_set", "_waiting", "_world")

    def __init__(self, world: World):
        self._world = world
        self._set = False
        self._waiting: list[Task] = []

    def set(self) -> None:
        self._set = True
        waiting, self._waiting = self._waiting, []
        for task in waiting:
            self._world.wake(task)

    def clear(self) -> None:
        self._set = False

    def is_set(self) -> bool:
        return self._set

    def wait(self, timeout: float | None = None) -> bool:
        world = self._world
        end = None if timeout is None else world.now + timeout
        while not self._set:
            if end is not None and world.now >= end:
                return False
            self._waiting.append(world.me())
            world.wait(None if end is None else end - world.now)
        return True


class Thread:
    """A thread of the process that made it."""

    def __init__(self, world: World, process: Process, target: Callable[[], None], name: str):
        self._world = world
        self._process = process
        self._target = target
        self._name = name
        self._task: Task | None = None

    def start(self) -> None:
        self._task = self._world.spawn(self._process, self._target, self._name)

    def is_alive(self) -> bool:
        return self._task is not None and not self._task.ended

    def join(self, timeout: float | None = None) -> None:
        world = self._world
        end = None if timeout is None else world.now + timeout
        while self._task is not None and not self._task.ended:
            if end is not None and world.now >= end:
                return
            self._task.waiters.append(world.me())
            world.wait(None if end is None else end - world.now)


class Hands:
    """A thread pool of one thread, in the process that made it."""

    def __init__(self, world: World, name: str):
        self._world = world
        self._process = world.me().process
        self._name = name
        self._work: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._task: Task | None = None
        self._idle = False

    def submit(self, work: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        self._work.append((future, partial(work, *arguments)))
        if self._task is None:
            self._task = self._world.spawn(self._process, self._run, self._name)
        elif self._idle:
            self._world.wake(self._task, self._world.latency() / 10)
        return future

    def shutdown(self, wait: bool = True) -> None:
        """Nothing is left to be done: whoever calls this has waited for it."""

    def _run(self) -> None:
        while True:
            while not self._work:
                self._idle = True
                self._world.wait()
            self._idle = False
            future, work = self._work.popleft()
            try:
                future.set_result(work())
            except Exception as error:  # noqa: BLE001 - it is raised where the result is awaited
                future.set_exception(error)
