"""Whose turn it is to ask a venue."""

import asyncio

import pytest

from connectors.brokers.crypto.throttle import Throttle, urgently


class TooLate(Exception):
    """Nothing was sent."""


def throttle(per_s: float = 10_000.0, patience_s: float = 60.0) -> Throttle:
    return Throttle(per_s, 10.0, patience_s, TooLate)


async def went(by: Throttle, name: str, turns: list[str], cost: float, *, urgent: bool = False) -> None:
    if urgent:
        with urgently():
            await by(cost)
    else:
        await by(cost)
    turns.append(name)


def test_an_order_goes_before_questions_that_were_asked_earlier() -> None:
    async def whole() -> list[str]:
        by, turns = throttle(per_s=1e-9), list[str]()
        questions = [asyncio.create_task(went(by, f"question {number}", turns, 8)) for number in range(4)]
        await asyncio.sleep(0)
        await went(by, "order", turns, 1, urgent=True)
        for question in questions:
            question.cancel()
        await asyncio.gather(*questions, return_exceptions=True)
        return turns

    assert asyncio.run(asyncio.wait_for(whole(), 60)) == ["question 0", "order"]


def test_who_waits_goes_in_turn_once_there_is_enough_again() -> None:
    async def whole() -> list[str]:
        by, turns = throttle(), list[str]()
        await asyncio.gather(*(went(by, f"question {number}", turns, 8) for number in range(4)))
        return turns

    assert asyncio.run(asyncio.wait_for(whole(), 60)) == ["question 0", "question 1", "question 2", "question 3"]


def test_what_costs_nothing_does_not_wait_even_where_the_bucket_is_empty() -> None:
    async def whole() -> None:
        by = throttle(per_s=1e-9)
        with urgently():
            await by(1000)
            await by(0)

    asyncio.run(asyncio.wait_for(whole(), 60))


def test_questions_wait_while_less_than_a_third_of_the_bucket_is_there_and_an_order_does_not() -> None:
    async def whole() -> list[str]:
        by, turns = throttle(per_s=1e-9), list[str]()
        questions = [asyncio.create_task(went(by, "question", turns, 5)) for _ in range(5)]
        for _ in range(20):
            await asyncio.sleep(0)
        await went(by, "order", turns, 1, urgent=True)
        for question in questions:
            question.cancel()
        await asyncio.gather(*questions, return_exceptions=True)
        return turns

    assert asyncio.run(asyncio.wait_for(whole(), 60)) == ["question", "question", "order"]


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
        await by(8)
        gone = asyncio.create_task(went(by, "gone", turns, 1e9))
        await asyncio.sleep(0)
        gone.cancel()
        await went(by, "next", turns, 1)
        return turns

    assert asyncio.run(asyncio.wait_for(whole(), 60)) == ["next"]
