"""How commands reach a broker that misbehaves, judged by what its venue really did."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from msgspec.structs import replace

from connectors.protocols import ClientIdUnique
from schemas.control import ClockTick, KillSwitch, KillVerb, Mode, Scope
from schemas.execution import ExecutionReport, NotSent, NotSentReason
from schemas.order import ExecType, OrderStatus
from schemas.record import Record
from streams.execution.calls import Policy
from streams.execution.handler import Execution, NotOwner
from streams.execution.local import LocalExecution
from streams.execution.outcomes import Command
from tests.connectors.brokers.orders import ask, bar, buy, cancel, change, day, limit, sell
from tests.connectors.brokers.scripted import ScriptedBroker

QUICK = Policy(call_timeout_s=0.2, attempts=4, budget_s=5, first_wait_s=0.001, longest_wait_s=0.002, jitter_s=0)


@dataclass
class Delivered:
    redelivered: bool = False
    ours: list[bool] = field(default_factory=list)

    def still_owner(self) -> bool:
        return self.ours.pop(0) if self.ours else True


def execution(broker: ScriptedBroker, *, policy: Policy = QUICK, mode: Mode = Mode.REPLAY, **more: Any) -> Execution:
    return Execution({"PAPER": broker}, mode, policy=policy, **more)


def outcome(broker: ScriptedBroker, command: Command, *, redelivered: bool = False, policy: Policy = QUICK) -> Record:
    async def act() -> Record:
        (said,) = await execution(broker, policy=policy).on_command(command, Delivered(redelivered))
        return said

    return asyncio.run(asyncio.wait_for(act(), 30))


def at_the_venue(broker: ScriptedBroker) -> list[str]:
    return [order.client_order_id for order in broker.venue.working("alice")]


def test_an_accepted_order_gives_its_acknowledgement() -> None:
    said = outcome(ScriptedBroker(), buy("a"))
    assert isinstance(said, ExecutionReport)
    assert (said.exec_type, said.client_order_id) == (ExecType.NEW, "a")


def test_what_is_provably_not_done_is_tried_again() -> None:
    broker = ScriptedBroker("down", "busy", "down")
    said = outcome(broker, buy("a"))
    assert isinstance(said, ExecutionReport)
    assert said.exec_type is ExecType.NEW
    assert len(broker.calls) == 4
    assert at_the_venue(broker) == ["a"]


def test_a_venue_that_stays_down_gets_no_order_and_the_reservation_is_released() -> None:
    broker = ScriptedBroker(*["down"] * 10)
    said = outcome(broker, buy("a"))
    assert isinstance(said, NotSent)
    assert said.reason is NotSentReason.UNAVAILABLE
    assert len(broker.calls) == QUICK.attempts


def test_a_refusal_is_a_rejection_and_is_not_tried_again() -> None:
    broker = ScriptedBroker("no")
    said = outcome(broker, buy("a"))
    assert isinstance(said, ExecutionReport)
    assert (said.exec_type, said.order_status, said.code) == (ExecType.REJECTED, OrderStatus.REJECTED, "NOT_WANTED")
    assert said.text == "the venue does not want it"
    assert broker.calls == ["submit a"]


@pytest.mark.parametrize("mishap", ["lost", "unsure", "hang", "bug"])
def test_an_order_that_may_have_been_done_is_unknown_and_never_sent_again(mishap: str) -> None:
    broker = ScriptedBroker(mishap)
    said = outcome(broker, buy("a"))
    assert isinstance(said, ExecutionReport)
    assert said.exec_type is ExecType.UNKNOWN
    assert broker.calls == ["submit a"]


@pytest.mark.parametrize("mishap", ["unsure", "hang", "bug", "down"])
def test_a_query_may_always_be_repeated(mishap: str) -> None:
    broker = ScriptedBroker(mishap, mishap)
    broker.venue.submit(buy("a"))
    said = outcome(broker, ask(buy("a")))
    assert isinstance(said, ExecutionReport)
    assert (said.exec_type, said.order_status) == (ExecType.ORDER_STATUS, OrderStatus.NEW)


def test_a_query_that_never_reaches_the_venue_says_nothing_of_the_order() -> None:
    said = outcome(ScriptedBroker(*["unsure"] * 10), ask(buy("a")))
    assert isinstance(said, NotSent)
    assert (said.client_order_id, said.reason) == ("q1", NotSentReason.UNAVAILABLE)


def test_an_order_unknown_to_the_venue_is_not_found() -> None:
    said = outcome(ScriptedBroker(), ask(buy("a")))
    assert isinstance(said, ExecutionReport)
    assert (said.code, said.order_status) == ("NOT_FOUND", OrderStatus.UNKNOWN)


def test_a_question_asked_again_has_another_id_only_where_the_answer_is_another() -> None:
    broker = ScriptedBroker()
    broker.venue.submit(buy("a"))
    first, again = outcome(broker, ask(buy("a"))), outcome(broker, ask(buy("a")))
    broker.venue.cancel(cancel("c", buy("a")))
    later = outcome(broker, ask(buy("a")))
    assert isinstance(first, ExecutionReport)
    assert isinstance(later, ExecutionReport)
    assert first == again
    assert (first.order_status, later.order_status) == (OrderStatus.NEW, OrderStatus.CANCELED)
    assert first.exec_id != later.exec_id


def test_a_command_read_again_is_asked_about_before_it_is_sent() -> None:
    broker = ScriptedBroker()
    broker.venue.submit(buy("a"))
    said = outcome(broker, buy("a"), redelivered=True)
    assert broker.calls == ["query a"]
    assert isinstance(said, ExecutionReport)
    assert (said.client_order_id, said.order_status) == ("a", OrderStatus.NEW)


@pytest.mark.parametrize(
    ("unique", "sent"),
    [(ClientIdUnique.ALWAYS, True), (ClientIdUnique.WHILE_OPEN, False), (ClientIdUnique.NEVER, False)],
)
def test_not_found_after_reading_again_it_is_sent_only_where_ids_are_unique_for_ever(
    unique: ClientIdUnique, sent: bool
) -> None:
    broker = ScriptedBroker(client_id_unique=unique)
    said = outcome(broker, buy("a"), redelivered=True)
    assert isinstance(said, ExecutionReport)
    assert said.exec_type is (ExecType.NEW if sent else ExecType.UNKNOWN)
    assert at_the_venue(broker) == (["a"] if sent else [])


def test_a_venue_that_repeats_its_answer_is_simply_asked_again() -> None:
    broker = ScriptedBroker(repeats_answer=True)
    first = outcome(broker, buy("a"))
    assert outcome(broker, buy("a"), redelivered=True) == first
    assert at_the_venue(broker) == ["a"]


def test_when_nobody_can_be_asked_a_command_read_again_is_unknown() -> None:
    broker = ScriptedBroker(*["unsure"] * 10)
    said = outcome(broker, buy("a"), redelivered=True)
    assert isinstance(said, ExecutionReport)
    assert said.exec_type is ExecType.UNKNOWN
    assert at_the_venue(broker) == []


@pytest.mark.parametrize("repeats", [True, False])
@pytest.mark.parametrize("sent", [True, False])
def test_a_command_read_again_is_never_called_not_sent_because_our_rules_object_by_now(
    repeats: bool, sent: bool
) -> None:
    broker = ScriptedBroker(repeats_answer=repeats)
    late = replace(buy("a"), event_time_us=2, submit_before_us=1)
    if sent:
        broker.venue.submit(late)
    said = outcome(broker, late, redelivered=True)
    assert broker.calls == ["query a"]
    assert isinstance(said, ExecutionReport)
    assert said.order_status is (OrderStatus.NEW if sent else OrderStatus.UNKNOWN)


@pytest.mark.parametrize("reason", NotSentReason)
def test_what_was_recorded_as_late_is_not_asked_about_again_and_what_was_not_sent_otherwise_is(
    reason: NotSentReason,
) -> None:
    broker = ScriptedBroker()
    late = replace(buy("a"), event_time_us=2, submit_before_us=1)
    worker = execution(broker)
    worker.on_not_sent(NotSent(event_time_us=2, account_id="alice", client_order_id="a", reason=reason))
    (said,) = asyncio.run(worker.on_command(late, Delivered(redelivered=True)))
    if reason is NotSentReason.LATE:
        assert isinstance(said, NotSent)
        assert not broker.calls
    else:
        assert isinstance(said, ExecutionReport)
        assert broker.calls == ["query a"]


def test_a_command_read_again_that_nobody_could_be_asked_to_carry_out_is_in_doubt_and_not_unsent() -> None:
    broker = ScriptedBroker("", *["down"] * 10, client_id_unique=ClientIdUnique.ALWAYS)
    said = outcome(broker, buy("a"), redelivered=True)
    assert isinstance(said, ExecutionReport)
    assert said.exec_type is ExecType.UNKNOWN


def test_a_worker_that_lost_its_partition_tells_no_outcome_of_its_own_rules() -> None:
    late = replace(buy("a"), event_time_us=2, submit_before_us=1)
    with pytest.raises(NotOwner):
        asyncio.run(execution(ScriptedBroker()).on_command(late, Delivered(ours=[False])))


def test_a_cancel_read_again_is_sent_again() -> None:
    broker = ScriptedBroker()
    broker.venue.submit(buy("a"))
    said = outcome(broker, cancel("c", buy("a")), redelivered=True)
    assert isinstance(said, ExecutionReport)
    assert said.exec_type is ExecType.CANCELED


@pytest.mark.parametrize("ours", [[False], [True, False]])
def test_a_worker_that_lost_its_partition_sends_nothing_even_between_two_tries(ours: list[bool]) -> None:
    broker = ScriptedBroker("down")

    async def act() -> None:
        await execution(broker).on_command(buy("a"), Delivered(ours=list(ours)))

    with pytest.raises(NotOwner):
        asyncio.run(act())
    assert at_the_venue(broker) == []


def test_a_kill_between_two_tries_stops_the_next_one() -> None:
    broker = ScriptedBroker("busy", "busy")
    worker = execution(broker)
    kill = KillSwitch(
        event_time_us=1, request_id="k", version=1, scope=Scope.GLOBAL, scope_id="", verb=KillVerb.HALT, author="ann",
        reason="",
    )  # fmt: skip

    async def act() -> list[Record]:
        sending = asyncio.ensure_future(worker.on_command(buy("a"), Delivered()))
        while not broker.calls:
            await asyncio.sleep(0)
        worker.on_kill(kill)
        return await sending

    (said,) = asyncio.run(act())
    assert isinstance(said, NotSent)
    assert said.reason is NotSentReason.KILLED
    assert at_the_venue(broker) == []


def test_an_older_kill_switch_does_not_undo_a_newer_one() -> None:
    def kill(version: int, verb: KillVerb) -> KillSwitch:
        return KillSwitch(
            event_time_us=1, request_id=f"k{version}", version=version, scope=Scope.GLOBAL, scope_id="", verb=verb,
            author="ann", reason="",
        )  # fmt: skip

    worker, local = execution(ScriptedBroker()), LocalExecution({"PAPER": ScriptedBroker().venue})
    for each in (kill(2, KillVerb.HALT), kill(1, KillVerb.RESUME)):
        worker.on_kill(each)
        local.on_kill(each)
    said = [*asyncio.run(worker.on_command(buy("a"), Delivered())), *local.on_command(buy("a"))]
    assert [record.reason for record in said if isinstance(record, NotSent)] == [NotSentReason.KILLED] * 2


def test_in_paper_mode_the_wall_clock_and_the_tick_decide() -> None:
    worker = execution(ScriptedBroker(), mode=Mode.PAPER, now_us=lambda: day(1))
    command = buy("a", mode=Mode.PAPER, submit_before_us=day(1))
    before = asyncio.run(worker.on_command(command, Delivered()))
    worker.on_tick(ClockTick(event_time_us=day(1), clock_id="wall"))
    after = asyncio.run(worker.on_command(command, Delivered()))
    assert isinstance(before[0], NotSent)
    assert before[0].reason is NotSentReason.CLOCK
    assert isinstance(after[0], ExecutionReport)


def test_the_commands_of_one_order_keep_their_order_while_others_pass() -> None:
    broker = ScriptedBroker("busy")
    worker = execution(broker)
    first, other = buy("a", **limit("90")), buy("b")
    commands: list[Command] = [first, change("r", first, 20), cancel("c", buy("r")), other]

    async def act() -> None:
        await asyncio.gather(*(worker.on_command(command, Delivered()) for command in commands))

    asyncio.run(act())
    assert broker.calls == ["submit a", "submit b", "submit a", "replace a", "cancel r"]
    assert at_the_venue(broker) == ["b"]


def test_after_too_many_failures_new_orders_wait_and_cancels_pass() -> None:
    policy = Policy(attempts=1, breaker_failures=3, breaker_pause_s=600, first_wait_s=0, jitter_s=0)
    broker = ScriptedBroker("down", "unsure", "down")
    working = buy("working")
    broker.venue.submit(working)

    async def act() -> list[Record]:
        worker = execution(broker, policy=policy)
        said = [(await worker.on_command(buy(name), Delivered()))[0] for name in "abcd"]
        return [*said, *await worker.on_command(cancel("x", working), Delivered())]

    said = asyncio.run(act())
    assert broker.calls == ["submit a", "submit b", "submit c", "cancel working"]
    assert isinstance(said[3], NotSent)
    assert "left alone" in said[3].value
    assert isinstance(said[4], ExecutionReport)
    assert said[4].exec_type is ExecType.CANCELED


def test_refusals_do_not_open_the_breaker() -> None:
    policy = Policy(breaker_failures=2, breaker_pause_s=600)
    broker = ScriptedBroker(*["no"] * 5)

    async def act() -> None:
        worker = execution(broker, policy=policy)
        for name in "abcdef":
            await worker.on_command(buy(name), Delivered())

    asyncio.run(act())
    assert at_the_venue(broker) == ["f"]


def test_when_the_venue_limits_the_rate_cancels_and_reductions_go_first() -> None:
    broker = ScriptedBroker()
    broker.venue.submit(buy("old", **limit("1")))
    policy = Policy(requests_per_s=50)
    worker = execution(broker, policy=policy)
    commands: list[Command] = [buy("a"), buy("b"), cancel("c", buy("old")), sell("out", reduce_only=True)]

    async def act() -> None:
        await asyncio.gather(*(worker.on_command(command, Delivered()) for command in commands))

    asyncio.run(act())
    assert broker.calls == ["cancel old", "submit out", "submit a", "submit b"]


def test_when_too_many_wait_a_new_order_is_not_sent_rather_than_sent_old() -> None:
    worker = execution(ScriptedBroker(), policy=Policy(requests_per_s=50, waiting_max=2))

    async def act() -> list[Record]:
        told = await asyncio.gather(*(worker.on_command(buy(name), Delivered()) for name in "abcd"))
        return [record for said in told for record in said]

    said = asyncio.run(act())
    assert [type(record) for record in said] == [ExecutionReport, ExecutionReport, NotSent, NotSent]
    assert isinstance(said[3], NotSent)
    assert said[3].reason is NotSentReason.RATE


def test_what_a_broker_does_not_take_is_refused_before_it_is_asked() -> None:
    broker = ScriptedBroker(order_types=frozenset())
    said = outcome(broker, buy("a"))
    assert isinstance(said, ExecutionReport)
    assert (said.exec_type, said.code) == (ExecType.REJECTED, "UNSUPPORTED")
    assert broker.calls == []


def test_a_post_only_order_is_refused_unasked_where_the_broker_has_none() -> None:
    broker = ScriptedBroker(post_only=False)
    said = outcome(broker, buy("a", post_only=True, **limit("90")))
    assert isinstance(said, ExecutionReport)
    assert (said.exec_type, said.order_status, said.code) == (ExecType.REJECTED, OrderStatus.REJECTED, "UNSUPPORTED")
    assert "post-only" in said.text
    assert broker.calls == []


def test_a_post_only_order_that_would_take_is_rejected_and_is_not_tried_again() -> None:
    broker = ScriptedBroker()
    broker.venue.on_bar(bar(0, "90"))
    resting = outcome(broker, buy("a", post_only=True, **limit("89")))
    taking = outcome(broker, buy("b", post_only=True, **limit("91")))
    assert isinstance(resting, ExecutionReport)
    assert isinstance(taking, ExecutionReport)
    assert resting.exec_type is ExecType.NEW
    assert (taking.order_status, taking.code) == (OrderStatus.REJECTED, "POST_ONLY")
    assert (broker.calls, at_the_venue(broker)) == (["submit a", "submit b"], ["a"])


def test_a_venue_without_a_broker_is_a_rejection() -> None:
    said = outcome(ScriptedBroker(), buy("a", venue="NOWHERE"))
    assert isinstance(said, ExecutionReport)
    assert said.code == "UNKNOWN_VENUE"


COMMANDS: list[Command] = [
    buy("a"),
    buy("a"),
    buy("bad", 0),
    change("r1", buy("a"), 20),
    cancel("c1", buy("r1")),
    cancel("c2", buy("r1")),
    cancel("c3", buy("never")),
    ask(buy("a")),
    ask(buy("never"), name="q2"),
    buy("live", mode=Mode.LIVE),
    buy("lost", venue="NOWHERE"),
]


def test_execution_without_servers_says_exactly_what_execution_on_servers_says() -> None:
    broker = ScriptedBroker(repeats_answer=True)
    other = ScriptedBroker()
    worker, local = execution(broker), LocalExecution({"PAPER": other.venue})

    async def act(say: Callable[[Command], Awaitable[list[Record]]]) -> list[list[Record]]:
        return [await say(command) for command in COMMANDS]

    served = asyncio.run(act(lambda command: worker.on_command(command, Delivered())))
    assert served == [local.on_command(command) for command in COMMANDS]


def test_new_risk_waits_until_its_account_was_compared_with_the_broker_and_cancels_do_not() -> None:
    broker = ScriptedBroker()
    broker.venue.submit(buy("old"))

    async def act() -> None:
        trading = execution(broker)
        compared = False
        trading.reconciled = lambda _: compared
        waiting = asyncio.create_task(trading.on_command(buy("a"), Delivered()))
        await trading.on_command(cancel("c", buy("old")), Delivered())
        assert broker.calls == ["cancel old"]
        compared = True
        (said,) = await asyncio.wait_for(waiting, 10)
        assert isinstance(said, ExecutionReport)

    asyncio.run(act())
    assert broker.calls == ["cancel old", "submit a"]


def test_new_risk_of_an_account_that_is_never_compared_grows_late_and_is_not_sent() -> None:
    broker = ScriptedBroker()
    clock = [day(0)]

    async def act() -> Record:
        trading = execution(broker, mode=Mode.PAPER, now_us=lambda: clock[0])
        trading.on_tick(ClockTick(event_time_us=day(0), clock_id="wall"))
        trading.reconciled = lambda _: False
        order = replace(buy("a"), mode=Mode.PAPER, submit_before_us=day(0) + 1)
        waiting = asyncio.create_task(trading.on_command(order, Delivered()))
        await asyncio.sleep(0)
        clock[0] = day(0) + 2
        (said,) = await asyncio.wait_for(waiting, 10)
        return said

    said = asyncio.run(act())
    assert isinstance(said, NotSent)
    assert said.reason is NotSentReason.LATE
    assert broker.calls == []


def test_a_cancel_whose_answer_was_lost_is_sent_again() -> None:
    broker = ScriptedBroker("lost")
    broker.venue.submit(buy("a"))
    said = outcome(broker, cancel("c", buy("a")))
    assert isinstance(said, ExecutionReport)
    assert broker.calls == ["cancel a", "cancel a"]
    assert at_the_venue(broker) == []


@pytest.mark.parametrize(
    ("unique", "code"),
    [(ClientIdUnique.ALWAYS, "NOT_FOUND"), (ClientIdUnique.WHILE_OPEN, "NOT_FOUND_OPEN"),
     (ClientIdUnique.NEVER, "NOT_FOUND_OPEN")],
)  # fmt: skip
def test_only_a_broker_that_never_forgets_an_id_proves_that_an_order_is_not_there(
    unique: ClientIdUnique, code: str
) -> None:
    said = outcome(ScriptedBroker(client_id_unique=unique), ask(buy("a")))
    assert isinstance(said, ExecutionReport)
    assert said.code == code


def test_no_calls_time_runs_out_in_a_queue_and_urgent_calls_go_first() -> None:
    broker = ScriptedBroker()
    order_of_calls: list[str] = []
    under_way = 0

    async def slow(what: str, act: Callable[[], Awaitable[Any]]) -> Any:
        nonlocal under_way
        under_way += 1
        assert under_way <= 2
        order_of_calls.append(what)
        await asyncio.sleep(0.06)
        under_way -= 1
        return await act()

    broker._do = slow  # type: ignore[method-assign]  # how long a call takes is what is looked at
    broker.venue.submit(buy("old"))
    policy = Policy(call_timeout_s=0.2, at_once=2, first_wait_s=0.001)

    async def act() -> list[Record]:
        trading = execution(broker, policy=policy)
        orders = [trading.on_command(buy(f"o{number}"), Delivered()) for number in range(12)]
        last = trading.on_command(cancel("c", buy("old")), Delivered())
        return [one for said in await asyncio.gather(*orders, last) for one in said]

    said = asyncio.run(asyncio.wait_for(act(), 30))
    assert [one for one in said if isinstance(one, ExecutionReport) and one.exec_type is ExecType.UNKNOWN] == []
    assert order_of_calls.index("cancel old") == 2
