"""A signature holds for what was said and for the key that said it, and for nothing else."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from schemas.codec import Codec
from schemas.signal import Factor, Signal, SignalKind
from schemas.signing import BadKey, is_signed, new_keys, signed, signed_text
from tests.streams.signals.desk import signal

PRIVATE = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="
PUBLIC = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
"""The first pair of RFC 8032, 7.1."""
WHOLE = signal(
    summary="Öl fällt",
    kind=SignalKind.TARGET_PRICE,
    target_price=Decimal("70.10"),
    factors=[Factor(name="stocks", value=-1.5, weight=1.0)],
)


def test_what_is_signed_is_written_the_same_in_every_language() -> None:
    assert signed_text(WHOLE).decode() == (
        '{"event_time_us":1578312000000000,"factors":[{"name":"stocks","value":-1.5,"weight":1.0}],'
        '"horizon_us":86400000000,"inputs_as_of_us":1578311999000000,"instrument_id":"WTI","kind":"TARGET_PRICE",'
        '"model_name":"delphi","model_version":"1","probability":0.6,"provider_id":"oracle","sequence":1,'
        '"signal_id":"s-1","strength":1.0,"summary":"Öl fällt","target_price":"70.1","valid_until_us":1578312060000000}'
    )


def test_a_signature_holds_after_a_walk_over_the_wire() -> None:
    codec = Codec.local()
    arrived = codec.decode(codec.encode(signed(WHOLE, PRIVATE)))
    assert isinstance(arrived, Signal)
    assert is_signed(arrived, PUBLIC)


@pytest.mark.parametrize(
    "changes",
    [
        {"strength": -1.0},
        {"sequence": 2},
        {"valid_until_us": WHOLE.valid_until_us + 1},
        {"summary": ""},
        {"factors": []},
        {"signature": ""},
        {"signature": "no Base64"},
        {"signature": "AAAA"},
    ],
)
def test_nothing_can_be_changed_under_a_signature(changes: dict[str, Any]) -> None:
    assert not is_signed(msgspec.structs.replace(signed(WHOLE, PRIVATE), **changes), PUBLIC)


def test_the_signature_of_another_key_does_not_hold() -> None:
    private, public = new_keys()
    assert is_signed(signed(WHOLE, private), public)
    assert not is_signed(signed(WHOLE, private), PUBLIC)


@pytest.mark.parametrize("key", ["", "short", "AAAA", PUBLIC[:-4]])
def test_a_key_that_is_none_verifies_and_signs_nothing(key: str) -> None:
    assert not is_signed(signed(WHOLE, PRIVATE), key)
    with pytest.raises(BadKey):
        signed(WHOLE, key)
