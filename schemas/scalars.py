"""Scalars: what a number, a time or an id means wherever it appears.

Money is Decimal with a fixed scale on the wire; times are whole microseconds of UTC since 1970-01-01; ids are text.
Every refusal is a `InvalidScalar` that names the value and the rule.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from typing import Annotated

SCALE = 12
"""Decimal places of every price, quantity and amount on the wire: enough for the smallest crypto tick."""
PRECISION = 38
"""Total digits of every decimal on the wire: what ClickHouse's Decimal128 and Avro readers in all languages hold."""
SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US

_QUANTUM = Decimal(1).scaleb(-SCALE)
_BOUND = Decimal(10) ** (PRECISION - SCALE)
_WIDE = Context(prec=2 * PRECISION)
_quantize = _WIDE.quantize
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Fixed:
    """Marks a Decimal of fixed scale; `word` is its meaning in generated schemas and tables."""

    word: str


@dataclass(frozen=True, slots=True)
class Micros:
    """Marks an int that is a UTC time in microseconds since 1970-01-01."""


Price = Annotated[Decimal, Fixed("price")]
"""Money for one unit of the instrument, in its quote currency. May be negative where the instrument says so."""
Quantity = Annotated[Decimal, Fixed("quantity")]
"""Units of the instrument. Signed only where the field's name says so."""
Money = Annotated[Decimal, Fixed("money")]
"""An amount of the currency that the record names."""
UtcMicros = Annotated[int, Micros()]
"""A point in time: whole microseconds of UTC since 1970-01-01."""

ZERO = Decimal(0)


class InvalidScalar(ValueError):
    """A value that no record may carry; the message names it and the rule it breaks."""


def decimal_of(value: Decimal | int | str) -> Decimal:
    """The value as a Decimal that fits the wire.

    Raises InvalidScalar for floats (their decimal text is an accident), NaN, infinities, more than `SCALE` decimal
    places, and more than `PRECISION` digits.
    """
    if isinstance(value, float):
        raise InvalidScalar(f"{value!r} is a float; give a Decimal, an int or text")
    try:
        number = Decimal(value)
    except ArithmeticError as error:
        raise InvalidScalar(f"{value!r} is not a decimal number") from error
    check_decimal(number)
    return number


def check_decimal(number: Decimal) -> None:
    """Raise InvalidScalar unless the number is finite and fits the wire exactly."""
    if not number.is_finite():
        raise InvalidScalar(f"{number} is not a finite number")
    if number.copy_abs() >= _BOUND:
        raise InvalidScalar(f"{number} has more than {PRECISION - SCALE} digits before the point")
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -SCALE and number != number.quantize(_QUANTUM, context=_WIDE):
        raise InvalidScalar(f"{number} has more than {SCALE} decimal places")


def rounded(number: Decimal) -> Decimal:
    """The nearest decimal that fits the wire (half even): for results of division, never for what others sent."""
    return _quantize(number, _QUANTUM)


def micros_of(when: datetime) -> int:
    """The time in microseconds. Raises InvalidScalar for a naive time: a time without a zone is a guess."""
    if when.tzinfo is None:
        raise InvalidScalar(f"{when.isoformat()} has no time zone")
    return (when - _EPOCH) // timedelta(microseconds=1)


def datetime_of(micros: int) -> datetime:
    """The time as an aware datetime in UTC."""
    return _EPOCH + timedelta(microseconds=micros)


def iso_of(micros: int) -> str:
    """The time as people read it, for messages: `2020-04-20T18:30:00Z`, with a fraction only where there is one."""
    return datetime_of(micros).isoformat().replace("+00:00", "Z")
