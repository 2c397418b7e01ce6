"""Scalars: what fits the wire, exactly at its bounds."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from schemas.scalars import InvalidScalar, datetime_of, decimal_of, iso_of, micros_of, rounded

WIDEST = Decimal("99999999999999999999999999.999999999999")


@pytest.mark.parametrize(
    "number", [WIDEST, WIDEST.copy_negate(), Decimal("1E-12"), Decimal("-0"), Decimal("1.50000000000000000")]
)
def test_what_fits_the_wire_is_accepted(number: Decimal) -> None:
    assert decimal_of(number) == number


@pytest.mark.parametrize(
    "number",
    [
        *("NaN", "sNaN", "Infinity", "abc", "1E+26", "-1E+26", "1E-13", "12345678901234567.1234567890123"),
        *("99999999999999999999999999.9999999999999", "1E-999999"),
    ],
)
def test_what_does_not_fit_the_wire_is_refused(number: str) -> None:
    with pytest.raises(InvalidScalar):
        decimal_of(number)


def test_rounding_keeps_the_widest_number_and_halves_to_even() -> None:
    assert rounded(WIDEST) == WIDEST
    assert str(rounded(Decimal("0.0000000000005"))) == "0E-12"
    assert str(rounded(Decimal("0.0000000000015"))) == "2E-12"


def test_a_time_is_the_same_there_and_back() -> None:
    when = datetime(2020, 4, 20, 18, 30, 0, 123456, tzinfo=UTC)
    assert datetime_of(micros_of(when)) == when
    assert iso_of(micros_of(when)) == "2020-04-20T18:30:00.123456Z"


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(InvalidScalar, match="no time zone"):
        micros_of(datetime(2020, 4, 20))  # noqa: DTZ001 - naive on purpose
