"""Hypothesis strategies for every record, derived from the type hints as the Avro schemas are."""

from decimal import Decimal
from enum import StrEnum
from typing import Any

from hypothesis import strategies as st

from schemas.avro_schema import Shape, shapes
from schemas.record import Part, Record
from schemas.scalars import PRECISION, SCALE
from schemas.topics import records

RECORDS: list[type[Record]] = list(records())
INT64_MAX = 2**63 - 1
TIME_MAX_US = 253_402_300_799_999_999
"""The last microsecond that a datetime holds."""


def decimals() -> st.SearchStrategy[Decimal]:
    """Every decimal that fits the wire, in all its spellings."""
    bound = 10**PRECISION - 1
    places = st.integers(min_value=0, max_value=SCALE)
    exact = st.builds(
        lambda unscaled, scale: Decimal(unscaled).scaleb(-scale) if abs(unscaled) < 10**20 else _wide(unscaled),
        st.integers(min_value=-bound, max_value=bound) | st.integers(min_value=-(10**9), max_value=10**9),
        places,
    )
    return exact | st.sampled_from([Decimal(0), Decimal("-0"), Decimal("1E+3"), Decimal("1E-12"), Decimal("-37.63")])


def _wide(unscaled: int) -> Decimal:
    sign, digits = ("-" if unscaled < 0 else ""), str(abs(unscaled)).rjust(SCALE + 1, "0")
    return Decimal(f"{sign}{digits[:-SCALE]}.{digits[-SCALE:]}")


def texts() -> st.SearchStrategy[str]:
    """Any text that UTF-8 can carry."""
    return st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=30)


def instances(cls: type[Part]) -> st.SearchStrategy[Any]:
    """Instances of a record or part: all fields, within what the wire carries."""
    return st.builds(cls, **{name: values(shape) for name, shape in shapes(cls).items()})


def values(shape: Shape) -> st.SearchStrategy[Any]:
    """Values of one field."""
    plain = _plain(shape)
    if shape.many:
        return st.lists(plain, max_size=3)
    return st.none() | plain if shape.optional else plain


def _plain(shape: Shape) -> st.SearchStrategy[Any]:
    kind = shape.kind
    if shape.time:
        return st.integers(min_value=0, max_value=TIME_MAX_US)
    if issubclass(kind, StrEnum):
        return st.sampled_from(list(kind))
    if issubclass(kind, Part):
        return instances(kind)
    simple: dict[type, st.SearchStrategy[Any]] = {
        Decimal: decimals(),
        str: texts(),
        int: st.integers(min_value=-INT64_MAX - 1, max_value=INT64_MAX),
        float: st.floats(allow_nan=False, allow_infinity=False),
        bool: st.booleans(),
        bytes: st.binary(max_size=30),
    }
    return simple[kind]
