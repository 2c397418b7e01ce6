"""What a strategy may wish for and be told: bounds on both sides, each fault in words."""

import math
from decimal import Decimal
from typing import Any

import pytest

from schemas.control import Parameter
from schemas.intent import IntentKind
from schemas.order import OrderType
from streams.strategies.plugin import (
    BadParameter,
    Declared,
    ParameterType,
    Wish,
    parameters_of,
    wish_fault,
)

DECLARED = (
    Declared(name="days", parameter_type=ParameterType.INTEGER, default=5, low=1, high=250),
    Declared(name="share", parameter_type=ParameterType.NUMBER, default=0.5, low=0.0, high=1.0),
    Declared(name="short", parameter_type=ParameterType.FLAG, default=False),
    Declared(name="side", parameter_type=ParameterType.TEXT, default="both", choices=("both", "long")),
    Declared(name="note", parameter_type=ParameterType.TEXT, default=""),
)


def told(**values: str) -> dict[str, Any]:
    return parameters_of(DECLARED, [Parameter(name=name, value=value) for name, value in values.items()])


def test_what_is_not_given_has_its_default_and_what_is_given_is_read_by_its_type() -> None:
    assert told() == {"days": 5, "share": 0.5, "short": False, "side": "both", "note": ""}
    assert told(days=" 1 ", share="1", short="TRUE", side="long", note="x" * 128) == {
        "days": 1, "share": 1.0, "short": True, "side": "long", "note": "x" * 128,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("days", "0", "days is 1 to 250, not 0"),
        ("days", "251", "days is 1 to 250, not 251"),
        ("days", "1.5", "days is a whole number, not '1.5'"),
        ("share", "1.01", "share is 0 to 1, not 1.01"),
        ("share", "nan", "share is 0 to 1, not nan"),
        ("share", "half", "share is a number, not 'half'"),
        ("short", "yes", "short is true or false, not 'yes'"),
        ("side", "short", "side is both, long, not 'short'"),
        ("note", "x" * 129, "note is at most 128 characters, not '" + "x" * 64 + "'"),
        ("size", "1", "'size' is no parameter; there are days, share, short, side, note"),
    ],
)
def test_a_parameter_that_cannot_be_is_refused_in_words(name: str, value: str, why: str) -> None:
    with pytest.raises(BadParameter) as refused:
        told(**{name: value})
    assert str(refused.value) == why


def test_a_parameter_given_twice_is_refused() -> None:
    with pytest.raises(BadParameter, match="days is given twice"):
        parameters_of(DECLARED, [Parameter(name="days", value="2"), Parameter(name="days", value="2")])


@pytest.mark.parametrize("direction", [-1.0, 0.0, 1.0])
def test_a_direction_up_to_the_full_size_is_a_wish(direction: float) -> None:
    assert wish_fault(Wish.towards(direction, "trend")) == ""


@pytest.mark.parametrize("direction", [-1.01, 1.01, math.nan, math.inf])
def test_a_direction_beyond_the_full_size_is_none(direction: float) -> None:
    assert "is not within -1 and 1" in wish_fault(Wish.towards(direction, "trend"))


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"kind": IntentKind.TARGET_WEIGHT}, "TARGET_WEIGHT without a target_weight"),
        ({"kind": IntentKind.TARGET_WEIGHT, "target_weight": math.inf}, "inf is not within"),
        ({"kind": IntentKind.TARGET_WEIGHT, "target_weight": math.nan}, "nan is not within"),
        ({"kind": IntentKind.DIRECTION, "probability": 1.01}, "probability 1.01 is not within 0 and 1"),
        ({"kind": IntentKind.DIRECTION, "probability": -0.01}, "probability -0.01 is not within 0 and 1"),
        ({"kind": IntentKind.DIRECTION, "stop_price": Decimal("NaN")}, "a price is not a finite number"),
        ({"kind": IntentKind.DIRECTION, "take_profit_price": Decimal("Infinity")}, "a price is not a finite number"),
        ({"kind": IntentKind.DIRECTION, "order_type": OrderType.LIMIT}, "LIMIT without a limit_price"),
        (
            {"kind": IntentKind.DIRECTION, "order_type": OrderType.STOP_LIMIT, "stop_price": Decimal(1)},
            "STOP_LIMIT without a limit_price",
        ),
        ({"kind": IntentKind.DIRECTION, "post_only": True}, "MARKET cannot be post_only"),
    ],
)
def test_a_wish_that_cannot_be_carried_out_says_why(fields: dict[str, Any], why: str) -> None:
    assert wish_fault(Wish(**fields)).startswith(why)


def test_probabilities_and_limits_at_their_bounds_are_wishes() -> None:
    bounds: list[dict[str, Any]] = [
        {"probability": 0.0}, {"probability": 1.0}, {"order_type": OrderType.LIMIT, "limit_price": Decimal(5)},
        {"order_type": OrderType.LIMIT, "limit_price": Decimal(5), "post_only": True},
    ]  # fmt: skip
    for fields in bounds:
        assert wish_fault(Wish(kind=IntentKind.DIRECTION, **fields)) == ""


def test_what_is_no_wish_is_none() -> None:
    assert wish_fault("buy") == "a wish must be a Wish, not str"
