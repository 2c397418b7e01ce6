"""Lets a test be a coroutine: with a loop of its own, and a bound."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

BOUND_S = 90.0


def in_a_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """The test, run to its end in a new event loop."""

    @wraps(test)
    def run(*args: Any, **fixtures: Any) -> None:
        async def bounded() -> None:
            await asyncio.wait_for(test(*args, **fixtures), BOUND_S)

        asyncio.run(bounded())

    return run
