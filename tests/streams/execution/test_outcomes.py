"""What may be sent, and what is said of what may not."""

from typing import Any

import pytest

from schemas.control import KillSwitch, KillVerb, Mode, Scope
from schemas.execution import NotSentReason
from schemas.order import ExecType, OrderStatus
from streams.execution.outcomes import (
    QUESTION_AGE_US_MAX,
    TICK_AGE_US_MAX,
    Command,
    Standing,
    not_found,
    objection,
    rejected,
    undecided,
)
from tests.connectors.brokers.orders import ask, buy, cancel, change, day, sell

NOW = day(1)
ORDER = buy("a", mode=Mode.LIVE, strategy_id="trend", provider_id="oracle", submit_before_us=NOW)
REDUCTION = sell("b", mode=Mode.LIVE, reduce_only=True, submit_before_us=NOW)
CHANGE = change("r", ORDER, 5)


def standing(**changes: Any) -> Standing:
    return Standing(**{"mode": Mode.LIVE, "now_us": NOW, "newest_tick_us": NOW, **changes})


def kill(scope: Scope, scope_id: str = "", verb: KillVerb = KillVerb.HALT) -> dict[str, KillSwitch]:
    switch = KillSwitch(
        event_time_us=NOW, request_id="k", version=1, scope=scope, scope_id=scope_id, verb=verb, author="ann", reason=""
    )
    return {switch.scope_key: switch}


def reason(command: Command, at: Standing) -> NotSentReason | None:
    no = objection(command, at)
    return None if no is None else no.reason


@pytest.mark.parametrize("command", [ORDER, REDUCTION, cancel("c", ORDER), CHANGE, ask(ORDER)])
def test_a_command_of_another_mode_is_never_sent(command: Command) -> None:
    assert reason(command, standing(mode=Mode.PAPER)) is NotSentReason.MODE
    assert reason(command, standing()) is None


@pytest.mark.parametrize("command", [ORDER, REDUCTION])
def test_an_order_is_late_after_its_time_and_not_at_it(command: Command) -> None:
    assert reason(command, standing(now_us=NOW)) is None
    assert reason(command, standing(now_us=NOW + 1)) is NotSentReason.LATE


def test_a_cancel_is_never_late() -> None:
    assert reason(cancel("c", ORDER), standing(now_us=NOW + 10**12)) is None


def test_a_question_that_has_grown_old_is_left_to_the_next_one() -> None:
    question = ask(ORDER)
    last_us = question.event_time_us + QUESTION_AGE_US_MAX
    assert reason(question, standing(now_us=last_us)) is None
    assert reason(question, standing(now_us=last_us + 1)) is NotSentReason.LATE


def test_with_a_silent_clock_only_cancels_queries_and_reductions_are_sent() -> None:
    silent = standing(newest_tick_us=NOW - TICK_AGE_US_MAX - 1)
    assert reason(ORDER, standing(newest_tick_us=NOW - TICK_AGE_US_MAX)) is None
    assert [reason(c, silent) for c in (ORDER, CHANGE)] == [NotSentReason.CLOCK] * 2
    assert reason(ORDER, standing(newest_tick_us=None)) is NotSentReason.CLOCK
    assert [reason(c, silent) for c in (REDUCTION, cancel("c", ORDER), ask(ORDER))] == [None] * 3


@pytest.mark.parametrize(
    "kills",
    [
        kill(Scope.GLOBAL),
        kill(Scope.ACCOUNT, "alice"),
        kill(Scope.INSTRUMENT, "TEAPOT"),
        kill(Scope.VENUE, "PAPER"),
        kill(Scope.STRATEGY, "trend"),
        kill(Scope.PROVIDER, "oracle"),
        kill(Scope.GLOBAL, verb=KillVerb.PAUSE),
        kill(Scope.GLOBAL, verb=KillVerb.FLATTEN),
    ],
)
def test_a_kill_switch_stops_new_risk_and_lets_the_rest_pass(kills: dict[str, KillSwitch]) -> None:
    killed = standing(kills=kills)
    assert [reason(c, killed) for c in (ORDER, CHANGE)] == [NotSentReason.KILLED] * 2
    assert [reason(c, killed) for c in (REDUCTION, cancel("c", ORDER), ask(ORDER))] == [None] * 3


@pytest.mark.parametrize(
    "kills",
    [
        kill(Scope.ACCOUNT, "bob"),
        kill(Scope.INSTRUMENT, "KETTLE"),
        kill(Scope.VENUE, "OTHER"),
        kill(Scope.STRATEGY, "other"),
        kill(Scope.PROVIDER, "other"),
        kill(Scope.GLOBAL, verb=KillVerb.RESUME),
    ],
)
def test_a_kill_switch_for_others_or_lifted_stops_nothing(kills: dict[str, KillSwitch]) -> None:
    assert reason(ORDER, standing(kills=kills)) is None


def test_the_gravest_objection_is_told() -> None:
    everything = {"now_us": NOW + 10**12, "newest_tick_us": None, "kills": kill(Scope.GLOBAL)}
    assert reason(ORDER, standing(mode=Mode.PAPER, **everything)) is NotSentReason.MODE
    assert reason(ORDER, standing(**everything)) is NotSentReason.KILLED
    assert reason(ORDER, standing(now_us=NOW + 10**12, newest_tick_us=None)) is NotSentReason.LATE


def test_in_replay_the_wall_clock_is_not_looked_at() -> None:
    command = buy("a", mode=Mode.REPLAY)
    assert reason(command, Standing(mode=Mode.REPLAY, now_us=NOW + 10**15)) is None
    assert undecided(command, "", Standing(mode=Mode.REPLAY, now_us=1)).event_time_us == command.event_time_us


def test_a_refusal_names_the_request_and_the_order_it_meant() -> None:
    said = {
        ExecType.REJECTED: rejected(ORDER, "NO", "no", standing()),
        ExecType.CANCEL_REJECTED: rejected(cancel("c", ORDER), "NO", "no", standing()),
        ExecType.REPLACE_REJECTED: rejected(CHANGE, "NO", "no", standing()),
    }
    for exec_type, report in said.items():
        assert (report.exec_type, report.code) == (exec_type, "NO")
    assert said[ExecType.REJECTED].client_order_id == "a"
    assert said[ExecType.CANCEL_REJECTED].client_order_id == "c"
    assert said[ExecType.CANCEL_REJECTED].original_client_order_id == "a"


def test_an_undecided_submit_keeps_all_of_its_quantity_open() -> None:
    report = undecided(ORDER, "the line went dead", standing())
    assert (report.exec_type, report.order_status) == (ExecType.UNKNOWN, OrderStatus.UNKNOWN)
    assert report.leaves_quantity == ORDER.quantity


def test_the_same_outcome_has_the_same_id_and_another_one_another() -> None:
    first, again = (undecided(ORDER, "x", standing(now_us=at)) for at in (1, 2))
    assert first.exec_id == again.exec_id
    other = [
        rejected(ORDER, "NO", "", standing()),
        not_found(ask(ORDER), standing()),
        undecided(CHANGE, "", standing()),
    ]
    assert len({first.exec_id, *(report.exec_id for report in other)}) == 4
