"""Instances are deployed, paused, resumed, stopped and changed by records; one at fault stops alone."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from schemas.intent import IntentKind, TradeIntent
from schemas.market import BarKind
from schemas.order import OrderType
from schemas.scalars import SECOND_US
from schemas.strategy import StrategyCode, StrategyEvent
from schemas.topics import STRATEGIES_INBOX
from streams.runtime.keys import partition_of
from streams.runtime.partition import Partition
from streams.strategies.room import WISHES_MAX, Strategies
from tests.streams.strategies.floor import (
    CATALOGUE,
    Floor,
    accepted,
    bar,
    condition,
    control,
    day_us,
    deploy,
    market,
    only,
    tick,
)


def directions(intents: list[TradeIntent]) -> list[float]:
    return [intent.direction for intent in intents]


def test_a_wish_becomes_an_intent_that_says_who_what_and_why() -> None:
    floor = Floor(deploy(valid_seconds=30))
    (intent,) = floor.intents(*market(70.5, volatility=0.25))
    assert msgspec.structs.asdict(intent) == {
        **msgspec.structs.asdict(intent),
        "event_time_us": day_us(0),
        "account_id": "main",
        "strategy_id": "one",
        "strategy_name": "twitch",
        "instrument_id": "WTI",
        "kind": IntentKind.DIRECTION,
        "direction": 1.0,
        "reference_price": bar(0, 70.5).close,
        "valid_until_us": day_us(0) + 30 * SECOND_US,
        "volatility": 0.25,
        "reason": "bar 1",
    }
    assert len(intent.intent_id) == 26


def test_a_bar_seen_twice_is_asked_about_once() -> None:
    floor = Floor(deploy())
    assert directions(floor.intents(bar(0, 70), bar(0, 70), bar(1, 71), bar(0, 70))) == [1.0, -1.0]


def test_ids_of_intents_are_the_same_whenever_the_same_records_are_folded() -> None:
    records = [deploy(), deploy("two"), *market(70, 71, 72)]
    first, second = Floor().intents(*records), Floor().intents(*records)
    assert first == second
    assert len({intent.intent_id for intent in first}) == len(first) == 6


def test_instances_are_asked_in_order_of_their_ids() -> None:
    floor = Floor(deploy("b"), deploy("a"), deploy("c"))
    assert [intent.strategy_id for intent in floor.intents(bar(0, 70))] == ["a", "b", "c"]


def test_fifty_instances_run_at_once() -> None:
    floor = Floor(*[deploy(f"i-{number:02}") for number in range(50)])
    assert len(floor.intents(bar(0, 70))) == 50


def test_an_instance_sees_its_own_instrument_only() -> None:
    floor = Floor(deploy("here"), deploy("there", on="BRENT"))
    assert [intent.strategy_id for intent in floor.intents(bar(0, 70))] == ["here"]
    assert [intent.strategy_id for intent in floor.intents(bar(0, 70, instrument_id="BRENT"))] == ["there"]


def test_a_volume_bar_is_not_for_a_strategy_of_time_bars() -> None:
    floor = Floor(deploy())
    assert floor.intents(bar(0, 70, kind=BarKind.VOLUME, interval_us=0)) == []


def test_a_deployment_is_said_with_every_parameter_it_holds() -> None:
    request = deploy("one", "moving_average_cross", fast=3)
    floor = Floor(request, bar(0, 70))
    (event,) = only(floor.said, StrategyEvent)
    assert (event.change, event.request_id) == ("DEPLOYED", request.request_id)
    assert (event.author, event.account_id) == ("ann", "main")
    assert {p.name: p.value for p in event.parameters} == {
        "restate_bars": "20", "valid_seconds": "60", "fast": "3", "slow": "50", "band": "0.0", "long_only": "False",
    }  # fmt: skip


def test_a_paused_instance_is_not_asked_and_goes_on_where_it_was_when_it_is_resumed() -> None:
    floor = Floor(deploy())
    assert directions(floor.intents(bar(0, 70))) == [1.0]
    assert floor.intents(control("PAUSE"), bar(1, 71), bar(2, 72)) == []
    assert directions(floor.intents(control("RESUME"), bar(3, 73))) == [-1.0]
    assert floor.events() == [("one", "DEPLOYED"), ("one", "PAUSED"), ("one", "RESUMED")]


def test_a_stopped_instance_is_gone_and_may_be_deployed_anew_with_a_new_memory() -> None:
    floor = Floor(deploy(), bar(0, 70))
    assert floor.intents(control("STOP"), bar(1, 71)) == []
    assert floor.partition.states["WTI"].memories == {}
    assert directions(floor.intents(deploy(request="again"), bar(2, 72))) == [1.0]
    assert floor.events() == [("one", "DEPLOYED"), ("one", "STOPPED"), ("one", "DEPLOYED")]


def test_parameters_change_while_it_runs_and_those_not_given_keep_their_value() -> None:
    floor = Floor(deploy("one", "moving_average_cross", fast=2, slow=4), *market(70, 71))
    floor.tell(control("CHANGE", "one", "", fast=3))
    event = only(floor.said, StrategyEvent)[-1]
    assert {p.name: p.value for p in event.parameters if p.name in ("fast", "slow")} == {"fast": "3", "slow": "4"}


def test_a_request_seen_twice_is_done_once() -> None:
    floor = Floor(deploy(), bar(0, 70), control("PAUSE"), control("RESUME"), control("PAUSE"))
    assert floor.intents(bar(1, 71))
    assert floor.events() == [("one", "DEPLOYED"), ("one", "PAUSED"), ("one", "RESUMED")]


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (deploy("two", "no_such"), StrategyCode.UNKNOWN_STRATEGY),
        (deploy("one", request="again"), StrategyCode.ALREADY_DEPLOYED),
        (deploy("two", "moving_average_cross", fats=3), StrategyCode.BAD_PARAMETER),
        (deploy("two", "moving_average_cross", fast="three"), StrategyCode.BAD_PARAMETER),
        (deploy("two", "moving_average_cross", fast=3.5), StrategyCode.BAD_PARAMETER),
        (deploy("two", "moving_average_cross", fast=0), StrategyCode.BAD_PARAMETER),
        (deploy("two", "moving_average_cross", fast=251), StrategyCode.BAD_PARAMETER),
        (deploy("two", "moving_average_cross", fast=50, slow=50), StrategyCode.BAD_PARAMETER),
        (deploy("two", "moving_average_cross", band="nan"), StrategyCode.BAD_PARAMETER),
        (deploy("two", "moving_average_cross", long_only="maybe"), StrategyCode.BAD_PARAMETER),
        (deploy("two", valid_seconds=0), StrategyCode.BAD_PARAMETER),
        (deploy("two", "sick"), StrategyCode.RAISED),
        (control("PAUSE", "two"), StrategyCode.UNKNOWN_INSTANCE),
        (control("RESUME", "two"), StrategyCode.UNKNOWN_INSTANCE),
        (control("STOP", "two"), StrategyCode.UNKNOWN_INSTANCE),
        (control("CHANGE", "two", fast=3), StrategyCode.UNKNOWN_INSTANCE),
        (control("CHANGE", "one", nonsense=3), StrategyCode.BAD_PARAMETER),
    ],
)
def test_a_request_that_cannot_be_done_is_refused_with_a_code_and_changes_nothing(
    request_: Any, code: StrategyCode
) -> None:
    floor = Floor(deploy(), bar(0, 70))
    before = floor.partition.shared.deployments
    (event,) = only(floor.tell(request_), StrategyEvent)
    assert (event.change, event.code) == ("REFUSED", code)
    assert event.detail
    assert floor.partition.shared.deployments == before
    assert directions(floor.intents(bar(1, 71))) == [-1.0], "the others go on"


def test_an_instrument_that_nothing_was_heard_of_answers_what_names_it_at_once_and_once() -> None:
    floor = Floor(deploy(), control("PAUSE"), deploy("two", "no_such"))
    answers = [("one", "DEPLOYED"), ("one", "PAUSED"), ("two", "REFUSED")]
    assert floor.events() == answers
    floor.tell(condition(0), bar(0, 70))
    assert floor.events() == answers


def test_a_request_that_names_no_instrument_is_answered_with_the_next_record_in_order() -> None:
    floor = Floor(deploy(), control("PAUSE", on=""), control("RESUME", on=""))
    assert floor.events() == [("one", "DEPLOYED")]
    floor.tell(condition(0))
    assert floor.events()[1:] == [("one", "PAUSED"), ("one", "RESUMED")]


@pytest.mark.parametrize("verb", ["PAUSE", "RESUME", "STOP", "CHANGE"])
def test_a_request_about_an_instance_that_nobody_knows_is_refused_at_once_and_once_wherever_it_was(verb: str) -> None:
    request = control(verb, "two", on="")
    numbers = range(STRATEGIES_INBOX.partitions)
    partitions = [Partition(Strategies(CATALOGUE)) for _ in numbers]
    said = [one for number in numbers for _ in range(2) for one in partitions[number].fold(None, request, number)]
    (event,) = only(said, StrategyEvent)
    assert (event.strategy_id, event.change, event.code) == ("two", "REFUSED", StrategyCode.UNKNOWN_INSTANCE)
    assert event.request_id == request.request_id


@pytest.mark.parametrize("instrument_id", ["WTI", "BRENT", "GOLD", "Öl"])
def test_a_request_is_answered_in_the_partition_where_its_instrument_lives_and_nowhere_else(instrument_id: str) -> None:
    numbers = range(STRATEGIES_INBOX.partitions)
    partitions = [Partition(Strategies(CATALOGUE)) for _ in numbers]
    request = control("DEPLOY", on=instrument_id)
    said = [[*partitions[number].fold(None, request, number)] for number in numbers]
    home = partition_of(instrument_id.encode(), STRATEGIES_INBOX.partitions)
    assert [len(one) for one in said] == [int(number == home) for number in numbers]
    assert [list(partition.states) for partition in partitions] == [
        [instrument_id] if number == home else [] for number in numbers
    ]
    assert [partition.fold(None, request, number) for number, partition in enumerate(partitions)] == [[]] * len(numbers)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("raising", StrategyCode.RAISED),
        ("flooding", StrategyCode.TOO_MANY_WISHES),
        ("nonsense", StrategyCode.BAD_WISH),
        ("forgetful", StrategyCode.BAD_WISH),
    ],
)
def test_an_instance_at_fault_is_paused_and_reported_and_others_go_on(name: str, code: StrategyCode) -> None:
    floor = Floor(deploy("bad", name, at=2), deploy("good"))
    assert [i.strategy_id for i in floor.intents(bar(0, 70))] == ["bad", "good"]
    said = floor.tell(bar(1, 71))
    assert [i.strategy_id for i in only(said, TradeIntent)] == ["good"]
    (event,) = only(said, StrategyEvent)
    assert (event.strategy_id, event.change, event.code, event.author) == ("bad", "FAULTED", code, "engine")
    assert [i.strategy_id for i in floor.intents(bar(2, 72))] == ["good"]
    assert len(only(floor.said, StrategyEvent)) == 3, "said once"


def test_a_fault_is_told_in_words_that_are_the_same_in_every_process() -> None:
    floor = Floor(deploy("bad", "raising"), bar(0, 70))
    assert only(floor.said, StrategyEvent)[-1].detail == "ZeroDivisionError: by nought in <object object at 0x>"


def test_an_instance_at_fault_is_forgiven_when_it_is_resumed() -> None:
    floor = Floor(deploy("bad", "raising", at=2), bar(0, 70), bar(1, 71))
    assert floor.intents(bar(2, 72)) == []
    floor.tell(control("RESUME", "bad"))
    (event,) = only(floor.tell(bar(3, 73)), StrategyEvent)
    assert event.change == "FAULTED", "it forgot the bar that it failed on, and fails on the next"


def test_as_many_wishes_as_are_allowed_are_no_fault() -> None:
    class Busy(type(CATALOGUE["twitch"])):  # type: ignore[misc]  # the class of a value
        name = "busy"

        def on_bar(self, memory: Any, bar: Any, condition: Any) -> Any:
            memory, (wish,) = super().on_bar(memory, bar, condition)
            return memory, [msgspec.structs.replace(wish, direction=i / 10) for i in range(1, WISHES_MAX + 1)]

    floor = Floor()
    floor.partition = type(floor.partition)(Strategies({"busy": Busy()}))
    intents = floor.intents(deploy("one", "busy"), bar(0, 70))
    assert len({intent.intent_id for intent in intents}) == WISHES_MAX


def test_a_wish_for_exits_at_the_broker_becomes_an_intent_for_them() -> None:
    class Careful(type(CATALOGUE["twitch"])):  # type: ignore[misc]  # the class of a value
        name = "careful"

        def on_bar(self, memory: Any, bar: Any, condition: Any) -> Any:
            memory, (wish,) = super().on_bar(memory, bar, condition)
            return memory, [msgspec.structs.replace(wish, stop_price=Decimal(60), bracket=True)]

    floor = Floor()
    floor.partition = type(floor.partition)(Strategies({"careful": Careful()}))
    (intent,) = floor.intents(deploy("one", "careful"), bar(0, 70))
    assert (intent.stop_price, intent.bracket) == (Decimal(60), True)


def test_a_wish_to_make_liquidity_becomes_an_intent_that_must_not_take() -> None:
    class Patient(type(CATALOGUE["twitch"])):  # type: ignore[misc]  # the class of a value
        name = "patient"

        def on_bar(self, memory: Any, bar: Any, condition: Any) -> Any:
            memory, (wish,) = super().on_bar(memory, bar, condition)
            quiet = {"order_type": OrderType.LIMIT, "limit_price": Decimal(69), "post_only": True}
            return memory, [msgspec.structs.replace(wish, **quiet)]

    floor = Floor()
    floor.partition = type(floor.partition)(Strategies({"patient": Patient()}))
    (intent,) = floor.intents(deploy("one", "patient"), bar(0, 70))
    assert (intent.order_type, intent.limit_price, intent.post_only) == (OrderType.LIMIT, Decimal(69), True)


def test_a_wish_that_stands_is_not_repeated_until_it_is_worth_saying_again() -> None:
    floor = Floor(deploy("one", "moving_average_cross", fast=1, slow=2, restate_bars=3))
    rising = [70.0 + day for day in range(9)]
    assert [i.event_time_us for i in floor.intents(*market(*rising))] == [day_us(1), day_us(4), day_us(7)]


def test_a_wish_is_never_restated_where_that_is_not_wanted() -> None:
    floor = Floor(deploy("one", "moving_average_cross", fast=1, slow=2, restate_bars=0))
    assert len(floor.intents(*market(*[70.0 + day for day in range(50)]))) == 1


def test_a_wish_is_said_again_as_it_was_last_put() -> None:
    floor = Floor(deploy("one", "follow_signal", restate_bars=2, half_life=100), bar(0, 70))
    assert [i.signal_id for i in floor.intents(accepted(0, 1))] == ["s-1"]
    assert floor.intents(accepted(0, 2), bar(1, 71)) == [], "the same direction, by another signal"
    assert [i.signal_id for i in floor.intents(bar(2, 72))] == ["s-2"]


def test_an_instance_that_never_held_anything_does_not_say_that_it_wants_nothing() -> None:
    floor = Floor(deploy("one", "moving_average_cross", fast=1, slow=2, long_only="true"))
    assert floor.intents(*market(72, 71, 70)) == []
    assert [i.kind for i in floor.intents(*market(75, 60, first=3))] == [IntentKind.DIRECTION, IntentKind.EXIT]


def test_a_signal_is_not_followed_before_a_price_is_known() -> None:
    floor = Floor(deploy("one", "follow_signal"))
    assert floor.intents(accepted(0, 1)) == []
    assert len(floor.intents(bar(0, 70), accepted(0, 2))) == 1


def test_a_signal_seen_twice_is_followed_once() -> None:
    floor = Floor(deploy("one", "follow_signal"), bar(0, 70))
    assert len(floor.intents(accepted(0), accepted(0))) == 1


def test_a_signal_past_its_validity_by_the_time_it_is_folded_is_dropped() -> None:
    floor = Floor(deploy("one", "follow_signal"), bar(0, 70), tick(1))
    assert floor.intents(accepted(0)) == []


def test_an_older_condition_does_not_replace_a_newer_one() -> None:
    floor = Floor(deploy(), condition(1, 0.5), condition(0, 0.1))
    assert [intent.volatility for intent in floor.intents(bar(1, 70))] == [0.5]


def test_while_nobody_is_deployed_nothing_is_said() -> None:
    assert Floor().tell(*market(70, 71), accepted(1), tick(2)) == []


def test_the_instance_being_asked_is_named_for_the_watchdog_and_nobody_afterwards() -> None:
    named: list[str] = []

    class Watched(type(CATALOGUE["twitch"])):  # type: ignore[misc]  # the class of a value
        name = "watched"

        def on_bar(self, memory: Any, bar: Any, condition: Any) -> Any:
            named.append(room.running)
            return super().on_bar(memory, bar, condition)

    room = Strategies({"watched": Watched()})
    floor = Floor()
    floor.partition = type(floor.partition)(room)
    floor.tell(deploy("one", "watched"), bar(0, 70))
    assert (named, room.running) == (["one"], "")


def test_state_survives_encoding_part_by_part_and_folds_on_the_same() -> None:
    def started() -> Floor:
        return Floor(
            deploy(),
            deploy("ma", "moving_average_cross", fast=2, slow=3),
            deploy("vt", "volatility_target_trend", lookback=2),
            deploy("fs", "follow_signal"),
            deploy("bad", "raising"),
            *market(70, 71, 72, 73),
            accepted(3),
        )

    one, other = started(), started()
    room, state = one.partition._room, one.partition.states["WTI"]
    parts = {
        name: msgspec.msgpack.decode(msgspec.msgpack.encode(part), type=room.part_types[name.partition(":")[0]])
        for name, part in room.parts(state).items()
    }
    assert room.assemble("WTI", parts) == state
    shared = msgspec.msgpack.decode(msgspec.msgpack.encode(one.partition.shared), type=room.shared_type)
    assert shared == one.partition.shared
    other.partition.states["WTI"] = room.assemble("WTI", parts)
    rest = [*market(74, 60, 50, first=4), accepted(6, 2, strength=-1.0)]
    said = one.tell(*rest)
    assert said == other.tell(*rest)
    assert only(said, TradeIntent)


def test_parts_that_did_not_change_are_the_same_objects() -> None:
    floor = Floor(deploy("one", "follow_signal"), deploy("two"), bar(0, 70), control("PAUSE", "two"))
    room = floor.partition._room
    before = room.parts(floor.partition.states["WTI"])
    floor.tell(bar(1, 71))
    after = room.parts(floor.partition.states["WTI"])
    assert after["memory.twitch:two"] is before["memory.twitch:two"]
    assert after["instance:two"] is before["instance:two"]
    assert after["memory.follow_signal:one"] is not before["memory.follow_signal:one"]


def test_a_strategy_that_is_not_installed_any_more_pauses_its_instances_which_go_on_when_it_is_back() -> None:
    before = Floor(deploy("gone", "raising", at=1_000), deploy("good"), bar(0, 70))
    without = Floor.of({name: plugin for name, plugin in CATALOGUE.items() if name != "raising"}, before)
    said = without.tell(bar(1, 71))
    assert [intent.strategy_id for intent in only(said, TradeIntent)] == ["good"]
    (event,) = only(said, StrategyEvent)
    assert (event.strategy_id, event.change, event.code) == ("gone", "FAULTED", StrategyCode.UNKNOWN_STRATEGY)
    assert only(without.tell(bar(2, 72)), StrategyEvent) == [], "said once"
    (again,) = only(without.tell(control("CHANGE", "good"), bar(3, 73)), StrategyEvent)
    assert again.change == "CHANGED"
    assert only(without.tell(control("RESUME", "gone"), bar(4, 74)), StrategyEvent)[-1].change == "FAULTED"

    back = Floor.of(CATALOGUE, without)
    assert [i.strategy_id for i in back.intents(control("RESUME", "gone", request="again"), bar(5, 75))] == [
        "gone",
        "good",
    ]
