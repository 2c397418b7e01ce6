"""An event loop of asyncio in a simulated world: its time is the world's, and where it would sleep, it stands."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

from tests.simulation.threads import Hands
from tests.simulation.world import Killed, World

YIELDS = 0.2
"""How often the loop lets others run although it has something to do."""


class SimLoop(asyncio.BaseEventLoop):
    """A loop that runs in one thread of the world."""

    def __init__(self, world: World):
        super().__init__()
        self._world = world
        self._mine = world.me()
        self._mine.loop = self
        self._selector = self
        self._pool = Hands(world, "executor")
        self.set_task_factory(_task)  # type: ignore[arg-type]  # the type of a task's context differs by version

    def time(self) -> float:
        return self._world.now

    def select(self, timeout: float | None) -> list[Any]:
        """Stand where a selector would wait for files."""
        if timeout is None or timeout > 0:
            self._world.wait(timeout)
        elif self._world.chance() < YIELDS:
            self._world.wait(0.0)
        return []

    def _process_events(self, _: list[Any]) -> None:
        """There are no files."""

    def _write_to_self(self) -> None:
        self._world.wake(self._mine)

    def run_in_executor(  # type: ignore[override]  # its type names arguments by variables
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> "asyncio.Future[Any]":
        return asyncio.wrap_future((executor or self._pool).submit(func, *args), loop=self)

    def _check_closed(self) -> None:
        """What a dead process still asks for, as its coroutines unwind, does not happen."""

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Tell of errors that nobody heard, but for those of the dead."""
        if self._mine.process.alive:
            super().call_exception_handler(context)

    def live(self) -> None:
        """Run until the process dies."""
        try:
            self.run_forever()
        except Killed:
            # Left as it is: a dead process finishes nothing.
            return
        finally:
            self.close()


def _task(
    loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], context: Context | None = None
) -> "asyncio.Task[Any]":
    task: asyncio.Task[Any] = asyncio.Task(coro, loop=loop, context=context)
    # The loop of a killed process has tasks pending, as it must.
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # as asyncio itself does where it gives up tasks
    return task
