"""What execution does at the socket is counted, and nothing that it does is changed."""

import asyncio
import re
import time
from dataclasses import dataclass, field
from typing import Any, cast

from msgspec.structs import replace

from schemas import metrics
from schemas.control import ClockTick, KillSwitch, KillVerb, Mode, Scope
from schemas.execution import NotSent
from schemas.record import Record
from streams.execution.calls import Policy
from streams.execution.handler import Execution
from streams.execution.measured import Measured
from streams.execution.outcomes import Command
from streams.runtime.effect import Context
from streams.runtime.metrics import Exporter
from tests.connectors.brokers.orders import buy
from tests.connectors.brokers.scripted import ScriptedBroker

QUICK = Policy(call_timeout_s=0.2, attempts=2, budget_s=5, first_wait_s=0.001, longest_wait_s=0.002, jitter_s=0)


@dataclass
class Turn:
    signal_us: int | None = None
    redelivered: bool = False
    asked: list[str] = field(default_factory=list)

    def still_owner(self) -> bool:
        return True


class Bench:
    """An execution with its counts."""

    def __init__(self, *script: Any, mode: Mode = Mode.REPLAY):
        self.exporter = Exporter("paper")
        measured = Measured(["PAPER"], mode, self.exporter, "execution", {"PAPER": lambda: {1: 7, 2: 0}})
        self.execution = Execution(
            {"PAPER": ScriptedBroker(*script)}, mode, policy=QUICK, called=measured.called, sending=measured.sending
        )
        self.perform = measured.before(self.execution, self.execution.on_command)

    def outcome(self, command: Command, signal_us: int | None = None) -> Record:
        async def act() -> Record:
            (said,) = await self.perform(command, cast(Context, Turn(signal_us)))
            return said

        return asyncio.run(asyncio.wait_for(act(), 30))

    def told(self, metric: metrics.Metric, end: str = "") -> dict[str, float]:
        found = {}
        for line in self.exporter.text().decode().splitlines():
            if match := re.fullmatch(rf"{metric.name}{end}{{(.*)}} (\S+)", line):
                found[match[1]] = float(match[2])
        return found


def test_each_route_has_the_number_of_calls_that_it_carried() -> None:
    told = Bench().told(metrics.BROKER_ROUTE_CALLS)
    assert {labels.partition('route="')[2][0]: count for labels, count in told.items()} == {"1": 7.0, "2": 0.0}


def test_every_venue_and_scope_has_a_number_before_anything_happens() -> None:
    bench = Bench()
    assert list(bench.told(metrics.COMMANDS_OUTSTANDING).values()) == [0.0]
    assert len(bench.told(metrics.KILL_SWITCH_ACTIVE)) == len(Scope)
    assert set(bench.told(metrics.KILL_SWITCH_ACTIVE).values()) == {0.0}
    assert bench.told(metrics.CLOCK_TICK_AGE_SECONDS) == {}, "the time of a replay has no age"


def test_what_is_not_sent_is_counted_by_its_reason_and_calls_by_their_outcome() -> None:
    bench = Bench("down")
    kill = KillSwitch(
        event_time_us=1, request_id="k", version=1, scope=Scope.GLOBAL, scope_id="", verb=KillVerb.HALT,
        author="ann", reason="test",
    )  # fmt: skip
    bench.outcome(buy("a"))
    bench.execution.on_kill(kill)
    assert isinstance(bench.outcome(buy("b")), NotSent)
    ((labels, count),) = bench.told(metrics.NOT_SENT).items()
    assert 'reason="KILLED"' in labels
    assert 'venue="PAPER"' in labels
    assert count == 1
    calls = bench.told(metrics.BROKER_CALL_SECONDS, "_count")
    assert sorted(re.findall(r'outcome="(\w+)"', " ".join(calls))) == ["ok", "unavailable"]
    active = {labels: on for labels, on in bench.told(metrics.KILL_SWITCH_ACTIVE).items() if on}
    assert 'scope="GLOBAL"' in "".join(active)
    assert len(active) == 1


def test_an_order_that_is_tried_again_has_one_way_from_its_signal() -> None:
    bench = Bench("down", mode=Mode.PAPER)
    now_us = time.time_ns() // 1000
    bench.execution.on_tick(ClockTick(event_time_us=now_us, clock_id="wall"))
    order = replace(buy("a"), mode=Mode.PAPER, submit_before_us=now_us + 10**8)
    bench.outcome(order, signal_us=now_us - 3_000_000)
    assert list(bench.told(metrics.SIGNAL_TO_ORDER_SECONDS, "_count").values()) == [1.0]
    (waited_s,) = bench.told(metrics.SIGNAL_TO_ORDER_SECONDS, "_sum").values()
    assert waited_s >= 3
    assert len(bench.told(metrics.CLOCK_TICK_AGE_SECONDS)) == 1


def test_an_order_of_no_signal_and_a_replay_s_order_have_no_way() -> None:
    bench = Bench()
    bench.outcome(buy("a"), signal_us=1)
    bench.outcome(buy("b"))
    assert list(bench.told(metrics.SIGNAL_TO_ORDER_SECONDS, "_count").values()) == [0.0]
