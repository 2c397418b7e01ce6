"""Converters: a record as the plain dict that Avro carries, and back; compiled once for each class.

Decimals become the big-endian two's complement integer that Avro's decimal holds, enums stay the strings they are,
times stay integers. Decimals come back with all `SCALE` places, whatever was written: equal values, equal text.
"""

from collections.abc import Callable
from decimal import Clamped, Context, Decimal, Inexact, InvalidOperation, Overflow
from enum import StrEnum
from functools import cache
from typing import Any

from schemas.avro_schema import Shape, shapes
from schemas.record import Part
from schemas.scalars import PRECISION, SCALE

Fields = dict[str, Any]
"""One record as fastavro takes and gives it."""

_EXACT = Context(prec=2 * PRECISION, traps=[Inexact, InvalidOperation, Overflow, Clamped])
"""Wide enough for every decimal on the wire; what would lose a digit raises instead."""
_shift = _EXACT.scaleb
_whole = _EXACT.to_integral_exact
_integer_of = int.from_bytes
_BOUND = 10**PRECISION


def bytes_of(number: Decimal) -> bytes:
    """The number as Avro's decimal(38, 12) body.

    Raises ValueError for NaN and for more than 38 digits, ArithmeticError for infinities and more than 12 places.
    """
    unscaled = int(_whole(_shift(number, SCALE)))
    if not -_BOUND < unscaled < _BOUND:
        raise ValueError(f"{number} has more than {PRECISION - SCALE} digits before the point")
    return unscaled.to_bytes((unscaled.bit_length() + 8) >> 3, "big", signed=True)


def decimal_from(body: bytes) -> Decimal:
    """The number in an Avro decimal(38, 12) body, with exactly 12 decimal places."""
    return _shift(_integer_of(body, "big", signed=True), -SCALE)


@cache
def symbols(enum: type[StrEnum]) -> dict[str, StrEnum]:
    """Members by the text that travels."""
    return {str(member): member for member in enum}


@cache
def to_fields(cls: type[Part]) -> Callable[[Any], Fields]:
    """Compiled: an instance of the class as fields."""
    names: dict[str, Any] = {"bytes_of": bytes_of}
    entries = []
    for name, shape in shapes(cls).items():
        entries.append(f"{name!r}: {_expression(shape, f'record.{name}', _outward(shape, names))}")
    return _compiled(f"lambda record: {{{', '.join(entries)}}}", names)


@cache
def from_fields(cls: type[Part]) -> Callable[[Fields], Any]:
    """Compiled: an instance of the class from fields. Raises KeyError for a symbol that its enum lacks."""
    names: dict[str, Any] = {"decimal_from": decimal_from, cls.__name__: cls}
    arguments = []
    for name, shape in shapes(cls).items():
        arguments.append(f"{name}={_expression(shape, f'fields[{name!r}]', _inward(shape, names))}")
    return _compiled(f"lambda fields: {cls.__name__}({', '.join(arguments)})", names)


def _outward(shape: Shape, names: dict[str, Any]) -> str:
    """Format of the expression that turns one value into what fastavro writes."""
    if shape.kind is Decimal:
        return "bytes_of({})"
    if issubclass(shape.kind, Part):
        names[f"fields_of_{shape.kind.__name__}"] = to_fields(shape.kind)
        return f"fields_of_{shape.kind.__name__}({{}})"
    return "{}"


def _inward(shape: Shape, names: dict[str, Any]) -> str:
    """Format of the expression that turns what fastavro read into one value."""
    if shape.kind is Decimal:
        return "decimal_from({})"
    if issubclass(shape.kind, Part):
        names[f"make_{shape.kind.__name__}"] = from_fields(shape.kind)
        return f"make_{shape.kind.__name__}({{}})"
    if issubclass(shape.kind, StrEnum):
        names[f"symbols_of_{shape.kind.__name__}"] = symbols(shape.kind)
        return f"symbols_of_{shape.kind.__name__}[{{}}]"
    return "{}"


def _expression(shape: Shape, source: str, form: str) -> str:
    if form == "{}":
        return source
    if shape.many:
        return f"[{form.format('item')} for item in {source}]"
    if shape.optional:
        return f"None if (value := {source}) is None else {form.format('value')}"
    return form.format(source)


def _compiled(source: str, names: dict[str, Any]) -> Callable[[Any], Any]:
    function: Callable[[Any], Any] = eval(source, names)  # noqa: S307 - made of our own field and class names
    return function
