"""How often, when and for how long a call is tried again; and that nobody sends whose lease is over."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest
from stamina.instrumentation import RetryDetails, get_on_retry_hooks, set_on_retry_hooks

from schemas.control import Mode
from schemas.execution import ExecutionReport, NotSent, NotSentReason
from schemas.order import ExecType, SubmitOrder
from schemas.record import Record
from streams.execution.calls import Policy
from streams.execution.handler import Execution, NotOwner
from streams.runtime import carrier
from streams.runtime.clients import Cluster
from streams.runtime.effect import Ownership
from tests.connectors.brokers.orders import buy
from tests.connectors.brokers.scripted import ScriptedBroker

GROWING = Policy(
    attempts=8, budget_s=600, first_wait_s=0.004, longest_wait_s=0.032, jitter_s=0.004, breaker_failures=99
)
HOUR_S = 3600.0
ROUNDING = 1e-9


@dataclass
class Ours:
    redelivered: bool = False

    def still_owner(self) -> bool:
        return True


@contextmanager
def noted_waits() -> Iterator[list[float]]:
    """The seconds for which each next try waits, as they are decided."""
    waits: list[float] = []

    def note(details: RetryDetails) -> None:
        waits.append(details.wait_for)

    before = get_on_retry_hooks()
    set_on_retry_hooks([note])
    try:
        yield waits
    finally:
        set_on_retry_hooks(before)


def tried(broker: ScriptedBroker, policy: Policy) -> tuple[Record, list[float]]:
    """The outcome of one order, and the waits before each further try."""
    with noted_waits() as waits:
        (said,) = asyncio.run(Execution({"PAPER": broker}, Mode.REPLAY, policy=policy).on_command(buy("a"), Ours()))
    return said, waits


def test_waits_double_up_to_the_longest_and_chance_adds_at_most_the_jitter() -> None:
    said, waits = tried(ScriptedBroker(*["down"] * 7), GROWING)
    assert isinstance(said, ExecutionReport)
    assert said.exec_type is ExecType.NEW
    least = [0.004, 0.008, 0.016, 0.032, 0.032, 0.032, 0.032]
    assert len(waits) == len(least)
    for wait, low in zip(waits, least, strict=True):
        assert low - ROUNDING <= wait <= min(low + GROWING.jitter_s, GROWING.longest_wait_s) + ROUNDING
    assert waits[:3] != pytest.approx(least[:3]), "nothing is left to chance"


def test_without_jitter_the_waits_are_the_schedule_itself() -> None:
    _, waits = tried(ScriptedBroker(*["down"] * 5), replace(GROWING, jitter_s=0))
    assert waits == pytest.approx([0.004, 0.008, 0.016, 0.032, 0.032])


@pytest.mark.parametrize(("failures", "arrives"), [(3, True), (4, False)])
def test_an_order_is_tried_as_often_as_the_policy_says_and_no_oftener(failures: int, arrives: bool) -> None:
    broker = ScriptedBroker(*["down"] * failures)
    said, waits = tried(broker, replace(GROWING, attempts=4))
    assert isinstance(said, ExecutionReport) is arrives
    assert (len(broker.calls), len(waits)) == (4, 3)


def test_once_the_budget_is_used_up_nothing_is_tried_again() -> None:
    broker = ScriptedBroker(*["down"] * 99)
    policy = replace(GROWING, attempts=99, budget_s=0.1, first_wait_s=0.02, longest_wait_s=0.02, jitter_s=0)
    said, waits = tried(broker, policy)
    assert isinstance(said, NotSent)
    assert said.reason is NotSentReason.UNAVAILABLE
    assert sum(waits) < policy.budget_s + 2 * policy.longest_wait_s


def test_a_wait_that_the_venue_names_is_kept_though_ours_would_be_shorter() -> None:
    said, waits = tried(ScriptedBroker("busy", "down", "busy"), replace(GROWING, longest_wait_s=0.005, jitter_s=0))
    assert isinstance(said, ExecutionReport)
    assert waits == pytest.approx([0.01, 0.005, 0.01])


@pytest.mark.parametrize("budget_s", [0.009, 0.015])
def test_a_wait_that_the_venue_names_and_that_ends_after_the_budget_is_not_waited_for(budget_s: float) -> None:
    said, waits = tried(ScriptedBroker(*["busy"] * 9), replace(GROWING, budget_s=budget_s))
    assert isinstance(said, NotSent)
    assert said.reason is NotSentReason.UNAVAILABLE
    assert sum(waits) <= budget_s


@dataclass
class Leased:
    still_owner: Ownership
    redelivered: bool = False


def leased(silent_s: float) -> Leased:
    """A turn of a worker whose consumer thread has not gone round for so long, and whose lease is an hour."""
    one = carrier.Carrier(
        Cluster("127.0.0.1:1"), topic="t", group="g", instance=None, process="", read=lambda _: [],
        recover=lambda _: None, hand_over=lambda _: None,
    )  # fmt: skip
    one.owned = {0: carrier.Owned(1, carrier.Standing.LIVE)}
    one._started = True
    one.beat = time.monotonic() - silent_s
    return Leased(Ownership(one, 0, 1, HOUR_S))


def test_a_worker_that_stood_still_longer_than_its_lease_sends_nothing_though_it_heard_of_no_loss() -> None:
    broker = ScriptedBroker()
    worker = Execution({"PAPER": broker}, Mode.REPLAY, policy=GROWING)
    with pytest.raises(NotOwner):
        asyncio.run(worker.on_command(buy("a"), leased(HOUR_S)))
    assert broker.calls == []


def test_a_worker_that_stood_still_for_less_than_its_lease_sends() -> None:
    broker = ScriptedBroker()
    worker = Execution({"PAPER": broker}, Mode.REPLAY, policy=GROWING)
    asyncio.run(worker.on_command(buy("a"), leased(HOUR_S / 2)))
    assert broker.calls == ["submit a"]


def test_a_worker_that_stands_still_between_two_tries_does_not_try_again() -> None:
    turn = leased(0)

    class Stopping(ScriptedBroker):
        async def submit(self, order: SubmitOrder) -> ExecutionReport:
            turn.still_owner._carrier.beat -= HOUR_S
            return await super().submit(order)

    broker = Stopping("down")
    with pytest.raises(NotOwner):
        asyncio.run(Execution({"PAPER": broker}, Mode.REPLAY, policy=GROWING).on_command(buy("a"), turn))
    assert broker.calls == ["submit a"]
    assert turn.still_owner.denied, "the command is left to the next owner"
