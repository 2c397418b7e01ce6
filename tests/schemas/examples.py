"""One plausible instance of every record: each field filled by its type, the same each time."""

from decimal import Decimal
from enum import StrEnum
from typing import Any

from schemas.avro_schema import Shape, shapes
from schemas.record import Part

SESSION_START_US = 1_587_407_400_000_000
"""2020-04-20T18:30:00Z: the afternoon on which crude oil traded below zero."""


def example(cls: type[Part]) -> Any:
    """The instance."""
    return cls(**{name: _value(name, shape) for name, shape in shapes(cls).items()})


def _value(name: str, shape: Shape) -> Any:
    return [_plain(name, shape)] if shape.many else _plain(name, shape)


def _plain(name: str, shape: Shape) -> Any:
    if shape.time:
        return SESSION_START_US
    if issubclass(shape.kind, StrEnum):
        return next(iter(shape.kind))
    if issubclass(shape.kind, Part):
        return example(shape.kind)
    values: dict[type, Any] = {
        Decimal: Decimal("-37.630000000000"),
        str: f"{name} of a crude oil",
        int: 300,
        float: 0.25,
        bool: True,
        bytes: b"\x00crude",
    }
    return values[shape.kind]
