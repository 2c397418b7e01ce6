"""What one field of each type must be where others hand us data; `schemas.edge` makes models of these.

Each check returns the value as a record holds it, or raises pydantic's error with the rule in words.
"""

import base64
import binascii
import math
import re
from collections.abc import Callable
from datetime import datetime
from decimal import Context, Decimal
from enum import StrEnum
from typing import Any

from pydantic_core import PydanticCustomError

from schemas.converters import symbols
from schemas.scalars import PRECISION, SCALE, InvalidScalar, decimal_of, micros_of

BYTES_MAX = 1_000_000
"""Longest bytes field, and longest JSON text."""
INT_MAX = 2**63 - 1
TIME_MIN_US, TIME_MAX_US = -62_135_596_800_000_000, 253_402_300_799_999_999
"""The years 1 to 9999."""

_NUMBER_MAX = 100
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_WIDE = Context(prec=2 * PRECISION)
_QUANTUM = Decimal(1).scaleb(-SCALE)


def _broken(rule: str) -> PydanticCustomError:
    return PydanticCustomError("rule", "{rule}", {"rule": rule})


def decimal_value(value: object) -> Decimal:
    """A decimal with exactly the wire's places."""
    if isinstance(value, bool) or not isinstance(value, Decimal | int | str):
        raise _broken("must be a decimal as text, integer or Decimal")
    if isinstance(value, str) and (len(value) > _NUMBER_MAX or not _NUMBER.fullmatch(value)):
        raise _broken("must be a decimal number in digits")
    try:
        return _WIDE.quantize(decimal_of(value), _QUANTUM)
    except InvalidScalar as error:
        raise _broken(f"must be a decimal that fits the wire ({str(error)[:_NUMBER_MAX]})") from None


def time_value(value: object) -> int:
    """Whole microseconds of UTC, of a time that knows its zone."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise _broken("must be a time in ISO 8601") from None
    if isinstance(value, datetime):
        try:
            return micros_of(value)
        except InvalidScalar:
            raise _broken("must be a time with its zone") from None
    if isinstance(value, bool) or not isinstance(value, int) or not TIME_MIN_US <= value <= TIME_MAX_US:
        raise _broken("must be a time: whole microseconds of UTC, or ISO 8601 with its zone")
    return value


def integer_value(value: object) -> int:
    """A whole number of 64 bits; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, int) or not -INT_MAX - 1 <= value <= INT_MAX:
        raise _broken("must be a whole number of 64 bits")
    return value


def float_value(value: object) -> float:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, float | int | Decimal):
        raise _broken("must be a number")
    try:
        number = float(value)
    except (OverflowError, ValueError):
        raise _broken("must be a finite number") from None
    if not math.isfinite(number):
        raise _broken("must be a finite number")
    return number


def boolean_value(value: object) -> bool:
    """True or false, nothing that only looks like it."""
    if not isinstance(value, bool):
        raise _broken("must be true or false")
    return value


def bytes_value(value: object) -> bytes:
    """Bytes, or their base64."""
    try:
        body = base64.b64decode(value, validate=True) if isinstance(value, str) else value
    except (binascii.Error, ValueError):
        raise _broken("must be base64") from None
    if not isinstance(body, bytes) or len(body) > BYTES_MAX:
        raise _broken(f"must be at most {BYTES_MAX} bytes, as base64 in JSON")
    return body


def text_within(shortest: int, longest: int) -> Callable[[object], str]:
    """Text of so many characters."""

    def check(value: object) -> str:
        if not isinstance(value, str):
            raise _broken("must be text")
        if not shortest <= len(value) <= longest:
            raise _broken(f"must have {shortest} to {longest} characters")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise _broken("must be text that UTF-8 can carry") from None
        return str(value)

    return check


def symbol_of(enum: type[StrEnum]) -> Callable[[object], StrEnum]:
    """A member of the enum, by itself or by its text."""
    members = symbols(enum)

    def check(value: object) -> StrEnum:
        try:
            return members[value]  # type: ignore[index]  # whatever is not text is not in it
        except (KeyError, TypeError):
            raise _broken(f"must be one of {', '.join(enum)}") from None

    return check


CHECKS: dict[type, Callable[[object], Any]] = {
    Decimal: decimal_value,
    int: integer_value,
    float: float_value,
    bool: boolean_value,
    bytes: bytes_value,
}
"""The check of each plain type but text, whose length depends on the field."""
