"""Whose turn it is to ask a venue."""

import asyncio
from contextlib import nullcontext

import pytest

from connectors.brokers.crypto.throttle import Throttle, leisurely, urgently


class TooLate(Exception):
    """Nothing was sent."""


def throttle(per_s: float = 10_000.0, patience_s: float = 60.0) -> Throttle:
    return Throttle(per_s, 10.0, patience_s, TooLate)


async def went(by: Throttle, name: str, turns: list[str], cost: float) -> None:
    """Ask as pressingly as the name says."""
    ways = {"order": urgently, "news": leisurely}
    with ways.get(name, nullcontext)():
        await by(cost)
    turns.append(name)


async def after(by: Throttle, turns: list[str], last: str, *waiting: tuple[str, float]) -> None:
    """Who has had a turn when the last one's has come; who still waits then gives up."""
    tasks = [asyncio.create_task(went(by, name, turns, cost)) for name, cost in waiting]
    for _ in range(20):
        await asyncio.sleep(0)
    await went(by, last, turns, 1)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_an_order_goes_before_questions_and_a_question_before_news_that_were_asked_earlier() -> None:
    async def whole() -> list[str]:
        by, turns = throttle(per_s=1e-9), list[str]()
        await after(by, turns, "question", ("news", 6), ("news", 6))
        await after(by, turns, "order", ("question", 2), ("question", 9))
        return turns

    # Of ten tokens news leave five alone, and questions less than two: the first of each leaves too few for the next.
    assert asyncio.run(asyncio.wait_for(whole(), 60)) == ["news", "question", "question", "order"]


def test_who_waits_goes_in_turn_once_there_is_enough_again() -> None:
    async def whole() -> list[str]:
        by, turns = throttle(), list[str]()
        await asyncio.gather(*(went(by, f"question {number}", turns, 9) for number in range(4)))
        return turns

    assert asyncio.run(asyncio.wait_for(whole(), 60)) == ["question 0", "question 1", "question 2", "question 3"]


def test_what_costs_nothing_does_not_wait_even_where_the_bucket_is_empty() -> None:
    async def whole() -> None:
        by = throttle(per_s=1e-9)
        with urgently():
            await by(1000)
            await by(0)

    asyncio.run(asyncio.wait_for(whole(), 60))


def test_an_order_whose_turn_does_not_come_in_time_is_not_sent() -> None:
    async def whole() -> None:
        by = throttle(per_s=1e-9, patience_s=0.01)
        with urgently():
            await by(11)
            with pytest.raises(TooLate):
                await by(1)

    asyncio.run(asyncio.wait_for(whole(), 60))


def test_who_gave_up_waiting_costs_nothing() -> None:
    async def whole() -> list[str]:
        by, turns = throttle(per_s=1.0), list[str]()
        await by(9)
        gone = asyncio.create_task(went(by, "gone", turns, 1e9))
        await asyncio.sleep(0)
        gone.cancel()
        await went(by, "next", turns, 1)
        return turns

    assert asyncio.run(asyncio.wait_for(whole(), 60)) == ["next"]
