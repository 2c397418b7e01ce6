"""A signal is accepted, or refused with the code of the first rule that objects; and everything folds once."""

import math
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from schemas.scalars import DAY_US, SECOND_US
from schemas.signal import (
    AcceptedSignal,
    Factor,
    ProviderRole,
    RefusedSignal,
    SignalKind,
    SignalMode,
    SignalRefusal,
)
from schemas.signing import new_keys, signed
from streams.signals.room import IDS_KEPT
from streams.signals.rules import SKEW_US
from streams.signals.state import Opinions
from tests.connectors.feeds.shared_sets import instrument
from tests.streams.signals.desk import MINUTE_US, NOON_US, Desk, introduced, signal, tick


def test_a_signal_that_keeps_every_rule_is_accepted_as_it_came_with_the_role_of_its_provider() -> None:
    said = Desk().tell(signal())
    assert said == [
        AcceptedSignal(event_time_us=NOON_US, instrument_id="WTI", signal=signal(), role=ProviderRole.CHAMPION)
    ]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"valid_until_us": NOON_US - 1}, "EXPIRED"),
        ({"valid_until_us": NOON_US}, "accepted"),
        ({"inputs_as_of_us": NOON_US + 1}, "CLOCK_INPUTS_AFTER_CREATION"),
        ({"inputs_as_of_us": NOON_US}, "accepted"),
        ({"event_time_us": NOON_US + SKEW_US + 1, "valid_until_us": NOON_US + MINUTE_US}, "CLOCK_AHEAD"),
        ({"event_time_us": NOON_US + SKEW_US, "valid_until_us": NOON_US + MINUTE_US}, "accepted"),
        ({"valid_until_us": NOON_US + 60 * MINUTE_US + 1}, "TTL_TOO_LONG"),
        ({"valid_until_us": NOON_US + 60 * MINUTE_US}, "accepted"),
        ({"provider_id": "stranger"}, "UNKNOWN_PROVIDER"),
        ({"strength": math.nan}, "NOT_A_NUMBER"),
        ({"probability": math.inf}, "NOT_A_NUMBER"),
        ({"confidence": -math.inf}, "NOT_A_NUMBER"),
        ({"factors": [Factor(name="x", value=math.nan, weight=1.0)]}, "NOT_A_NUMBER"),
        ({"kind": SignalKind.TARGET_PRICE, "target_price": Decimal("NaN")}, "NOT_A_NUMBER"),
        ({"cost_usd": Decimal("Infinity")}, "NOT_A_NUMBER"),
        ({"strength": 1.0000001}, "OUT_OF_RANGE"),
        ({"strength": -1.0}, "accepted"),
        ({"probability": -0.01}, "OUT_OF_RANGE"),
        ({"probability": 1.0}, "accepted"),
        ({"confidence": 1.01}, "OUT_OF_RANGE"),
        ({"horizon_us": 0}, "OUT_OF_RANGE"),
        ({"horizon_us": 1}, "accepted"),
        ({"sequence": 0}, "OUT_OF_RANGE"),
        ({"event_time_us": -5}, "OUT_OF_RANGE"),
        ({"valid_until_us": 2**62}, "OUT_OF_RANGE"),
        ({"kind": SignalKind.TARGET_PRICE, "target_price": Decimal("1e40")}, "OUT_OF_RANGE"),
        ({"kind": SignalKind.TARGET_WEIGHT, "target_weight": 101.0}, "OUT_OF_RANGE"),
        ({"kind": SignalKind.FORECAST, "forecast_mean": 0.1, "forecast_deviation": -0.1}, "OUT_OF_RANGE"),
        ({"strength": None}, "FIELD_MISSING"),
        ({"kind": SignalKind.TARGET_WEIGHT}, "FIELD_MISSING"),
        ({"kind": SignalKind.TARGET_PRICE}, "FIELD_MISSING"),
        ({"kind": SignalKind.FORECAST, "forecast_mean": 0.1}, "FIELD_MISSING"),
        ({"kind": SignalKind.EXIT, "strength": None}, "accepted"),
        ({"kind": SignalKind.ABSTAIN, "strength": None}, "accepted"),
        ({"signal_id": ""}, "FIELD_MISSING"),
        ({"model_version": ""}, "FIELD_MISSING"),
        ({"summary": "x" * 501}, "TEXT_TOO_LONG"),
        ({"summary": "x" * 500}, "accepted"),
        ({"signal_id": "x" * 129}, "TEXT_TOO_LONG"),
        ({"supersedes": "x" * 129}, "TEXT_TOO_LONG"),
        ({"tags": ["x"] * 11}, "TEXT_TOO_LONG"),
        ({"evidence": ["x" * 501]}, "TEXT_TOO_LONG"),
        ({"factors": [Factor(name="x" * 501, value=1.0, weight=1.0)]}, "TEXT_TOO_LONG"),
        ({"mode": SignalMode.SHADOW}, "accepted"),
    ],
)
def test_a_signal_is_judged_by_its_fields(changes: dict[str, Any], code: str) -> None:
    assert Desk().codes(signal(**changes)) == [code]


def test_every_code_of_refusal_that_a_fold_can_give_is_given() -> None:
    """SIGNATURE is for the door: a fold sees records, not the bytes that were signed."""
    given = {
        "UNKNOWN_INSTRUMENT", "PROVIDER_MUTED", "CLOCK_UNKNOWN", "DUPLICATE", "SEQUENCE_REPEATED", "RATE",
        "EXPIRED", "CLOCK_INPUTS_AFTER_CREATION", "CLOCK_AHEAD", "TTL_TOO_LONG", "UNKNOWN_PROVIDER",
        "NOT_A_NUMBER", "OUT_OF_RANGE", "FIELD_MISSING", "TEXT_TOO_LONG",
    }  # fmt: skip
    assert given == {str(code) for code in SignalRefusal} - {"SIGNATURE"}


def test_an_instrument_that_was_never_defined_is_unknown() -> None:
    assert Desk(introduced(), tick()).codes(signal()) == ["UNKNOWN_INSTRUMENT"]


def test_a_provider_is_unknown_until_it_is_introduced() -> None:
    desk = Desk(instrument(), tick())
    assert desk.codes(signal()) == ["UNKNOWN_PROVIDER"]
    desk.tell(introduced())
    assert desk.codes(signal()) == ["accepted"]


def test_a_muted_provider_is_refused_and_heard_again_when_it_is_no_longer_muted() -> None:
    desk = Desk()
    desk.tell(introduced("p-2", role=ProviderRole.MUTED))
    assert desk.codes(signal()) == ["PROVIDER_MUTED"]
    desk.tell(introduced("p-3", role=ProviderRole.SHADOW))
    assert [type(record) for record in desk.tell(signal())] == [AcceptedSignal]


def test_an_older_request_seen_again_does_not_undo_a_newer_one() -> None:
    desk = Desk()
    desk.tell(introduced("p-2", role=ProviderRole.MUTED), introduced("p-1"))
    assert desk.codes(signal()) == ["PROVIDER_MUTED"]


def test_before_the_first_tick_nothing_is_accepted() -> None:
    assert Desk(instrument(), introduced()).codes(signal()) == ["CLOCK_UNKNOWN"]


def test_the_clock_never_goes_back() -> None:
    desk = Desk()
    desk.tell(tick(120), tick(0))
    assert desk.codes(signal()) == ["EXPIRED"]


def test_a_signal_seen_twice_is_accepted_once() -> None:
    desk = Desk()
    assert desk.codes(signal(), signal()) == ["accepted", "DUPLICATE"]


def test_an_id_seen_before_is_a_duplicate_under_any_sequence() -> None:
    desk = Desk()
    assert desk.codes(signal(1), signal(2, signal_id="s-1")) == ["accepted", "DUPLICATE"]


def test_sequences_rise_for_each_provider_and_may_have_gaps() -> None:
    desk = Desk()
    desk.tell(introduced("p-2", provider_id="pythia"))
    assert desk.codes(signal(5), signal(4), signal(7)) == ["accepted", "SEQUENCE_REPEATED", "accepted"]
    assert desk.codes(signal(4, provider_id="pythia")) == ["accepted"]


def test_sequences_are_counted_for_each_instrument() -> None:
    desk = Desk()
    desk.tell(instrument("BRENT"))
    assert desk.codes(signal(5), signal(4, instrument_id="BRENT")) == ["accepted", "accepted"]


def test_a_refused_signal_uses_nothing_up_and_may_be_sent_again() -> None:
    desk = Desk(instrument(), introduced())
    assert desk.codes(signal()) == ["CLOCK_UNKNOWN"]
    desk.tell(tick())
    assert desk.codes(signal()) == ["accepted"]


def test_a_provider_may_say_so_many_things_a_minute_and_no_more_until_the_next() -> None:
    desk = Desk()
    assert desk.codes(*[signal(n) for n in range(1, 5)]) == ["accepted", "accepted", "accepted", "RATE"]
    desk.tell(tick(59.999999))
    assert desk.codes(signal(5, valid_until_us=NOON_US + 2 * MINUTE_US)) == ["RATE"]
    desk.tell(tick(60))
    assert desk.codes(signal(6, valid_until_us=NOON_US + 2 * MINUTE_US)) == ["accepted"]


def test_ten_megabytes_of_text_are_refused_in_a_few_bytes() -> None:
    big = "x" * 10_000_000
    said = Desk().tell(signal(summary=big, signal_id=big, model_version=big))
    assert isinstance(said[0], RefusedSignal)
    assert said[0].code is SignalRefusal.TEXT_TOO_LONG
    assert len(msgspec.msgpack.encode(said[0])) < 1_000


def test_a_refusal_says_the_value_that_decided_and_the_bound() -> None:
    said = Desk().tell(signal(probability=1.5))
    assert isinstance(said[0], RefusedSignal)
    assert (said[0].value, said[0].limit) == ("probability: 1.5", "0 to 1")


def test_a_refusal_of_an_impossible_time_has_a_time_that_can_be() -> None:
    said = Desk().tell(signal(event_time_us=2**62))
    assert said[0].event_time_us == NOON_US


def test_a_signal_heard_late_is_accepted_at_the_time_of_the_clock() -> None:
    desk = Desk()
    desk.tell(tick(30))
    assert desk.tell(signal())[0].event_time_us == NOON_US + 30 * SECOND_US


def test_a_refused_signal_leaves_no_state_behind() -> None:
    desk = Desk()
    before = desk.partition.states.get("WTI")
    desk.tell(signal(provider_id="stranger"))
    assert before is None
    assert desk.partition.states["WTI"].heard == {}


def test_memory_is_bounded_however_much_is_said() -> None:
    desk = Desk()
    desk.tell(introduced("p-2", rate_limit_per_minute=10**6))
    for number in range(1, 3 * IDS_KEPT):
        desk.tell(signal(number))
    heard = desk.partition.states["WTI"].heard["oracle"]
    assert len(heard.signal_ids) == IDS_KEPT
    assert desk.codes(signal(1)) == ["SEQUENCE_REPEATED"], "forgotten by id, still refused by sequence"


def test_state_survives_encoding_and_folds_on_the_same() -> None:
    desk, other = Desk(), Desk()
    desk.tell(signal(1), signal(2))
    room, state = desk.partition._room, desk.partition.states["WTI"]
    restored = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=room.part_types["state"])
    shared = msgspec.msgpack.decode(msgspec.msgpack.encode(desk.partition.shared), type=room.shared_type)
    assert (restored, shared) == (state, desk.partition.shared)
    assert isinstance(restored, Opinions)
    other.partition.states["WTI"] = restored
    assert other.tell(signal(2), signal(3), signal(4)) == desk.tell(signal(2), signal(3), signal(4))


def test_ticks_and_definitions_say_nothing() -> None:
    assert Desk().tell(tick(DAY_US / SECOND_US), instrument("BRENT"), introduced("p-9")) == []


def test_a_provider_with_a_key_is_believed_only_what_it_signed() -> None:
    private, public = new_keys()
    stranger, _ = new_keys()
    desk = Desk(instrument(), introduced(public_key=public), tick())
    assert desk.codes(signal(1)) == ["SIGNATURE"]
    assert desk.codes(signed(signal(1), stranger)) == ["SIGNATURE"]
    assert desk.codes(signed(signal(1), private)) == ["accepted"]
    assert desk.codes(msgspec.structs.replace(signed(signal(2), private), strength=-1.0)) == ["SIGNATURE"]


def test_a_provider_whose_key_is_none_is_believed_nothing() -> None:
    private, _ = new_keys()
    desk = Desk(instrument(), introduced(public_key="no key"), tick())
    assert desk.codes(signal(1), signed(signal(1), private)) == ["SIGNATURE", "SIGNATURE"]


def test_a_key_stays_when_the_standing_is_said_anew_unless_another_or_none_is_asked() -> None:
    private, public = new_keys()
    desk = Desk(instrument(), introduced(public_key=public), tick())
    desk.tell(introduced("p-2", keep_key=True))
    assert desk.codes(signal(1)) == ["SIGNATURE"]
    assert desk.codes(signed(signal(1), private)) == ["accepted"]
    desk.tell(introduced("p-3", public_key=new_keys()[1]))
    assert desk.codes(signed(signal(2), private)) == ["SIGNATURE"]
    desk.tell(introduced("p-4"))
    assert desk.codes(signal(2)) == ["accepted"]


def test_a_rate_and_a_validity_stay_when_the_standing_is_said_anew_unless_others_are_asked() -> None:
    desk = Desk(instrument(), introduced(rate_limit_per_minute=1, ttl_max_us=30 * SECOND_US), tick())
    brief = {"valid_until_us": NOON_US + 30 * SECOND_US}
    desk.tell(introduced("p-2", keep_rate=True, keep_ttl=True))
    assert desk.codes(signal(1), signal(1, **brief), signal(2, **brief)) == ["TTL_TOO_LONG", "accepted", "RATE"]
    desk.tell(introduced("p-3", keep_ttl=True))
    assert desk.codes(signal(2), signal(2, **brief)) == ["TTL_TOO_LONG", "accepted"]
    desk.tell(introduced("p-4", rate_limit_per_minute=1, keep_rate=True))
    assert desk.codes(signal(3), signal(4)) == ["accepted", "RATE"]


def test_a_provider_never_known_gets_the_rate_and_the_validity_that_are_said() -> None:
    tight = introduced(rate_limit_per_minute=1, ttl_max_us=MINUTE_US - 1, keep_rate=True, keep_ttl=True)
    desk = Desk(instrument(), tight, tick())
    brief = {"valid_until_us": NOON_US + SECOND_US}
    assert desk.codes(signal(1), signal(1, **brief), signal(2, **brief)) == ["TTL_TOO_LONG", "accepted", "RATE"]


def test_a_provider_never_known_has_no_key_to_keep() -> None:
    assert Desk(instrument(), introduced(keep_key=True), tick()).codes(signal(1)) == ["accepted"]


def test_a_provider_without_a_key_need_not_sign() -> None:
    private, _ = new_keys()
    assert Desk().codes(signal(1), signed(signal(2), private)) == ["accepted", "accepted"]
