"""Edge: where people and other systems hand us data, and every field is checked before it becomes a record.

A pydantic model is made from each record's type hints. Decimals are finite and fit the wire exactly, times are aware or
whole microseconds, floats are finite, texts and lists are bounded, nothing is coerced that could be a mistake: a float
is not a price, a text is not a number, a field we do not know is not ignored.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model

from schemas.avro_schema import Shape, shapes
from schemas.edge_checks import BYTES_MAX, CHECKS, TIME_MAX_US, TIME_MIN_US, symbol_of, text_within, time_value
from schemas.record import Part, Record
from schemas.scalars import PRECISION, iso_of

TEXT_MAX = 2_000
ID_MAX = 128
LIST_MAX = 100_000

_SHOWN_MAX = 100
_WIDE = Context(prec=2 * PRECISION)
_Read = TypeVar("_Read", bound=Record)


@dataclass(frozen=True, slots=True)
class Problem:
    """One field that breaks one rule.

    path: the field, with its parents: `marks.0.last`; empty for the whole record
    value: what was given, as text, shortened; empty where nothing was
    rule: what it should be
    """

    path: str
    value: str
    rule: str

    def __str__(self) -> str:
        return f"{self.path or 'the record'}: {self.rule}" + (f", not {self.value}" if self.value else "")


class InvalidRecord(ValueError):
    """What was handed to us is not such a record; `problems` names every field that is wrong."""

    def __init__(self, record_type: type[Record], problems: tuple[Problem, ...]) -> None:
        self.record_type = record_type
        self.problems = problems
        super().__init__(f"not a {record_type.__name__}: {'; '.join(map(str, problems))}")


def parse(cls: type[_Read], given: Mapping[str, Any] | bytes | str) -> _Read:
    """The record in a mapping or a JSON text. Raises InvalidRecord.

    Decimals may be text, integers, Decimals, and numbers in JSON (read as written, never as floats), but not Python
    floats. Times may be whole microseconds, aware datetimes and ISO 8601 text with a zone. Bytes in JSON are base64.
    """
    fields = _read_json(cls, given) if isinstance(given, bytes | str) else given
    if not isinstance(fields, Mapping):
        raise InvalidRecord(cls, (Problem("", _shown(fields), "must be an object of fields"),))
    record: _Read = _part_of(cls, _checked(cls, dict(fields)))
    _check_columns(record)
    return record


def validate(record: Record) -> None:
    """Raise InvalidRecord unless every field of the record is what an edge would let in."""
    _checked(type(record), record)
    _check_columns(record)


def to_jsonable(record: Part) -> dict[str, Any]:
    """The record as JSON can hold it: decimals as plain text, times as ISO 8601, bytes as base64."""
    return {name: _jsonable(shape, getattr(record, name)) for name, shape in shapes(type(record)).items()}


def _jsonable(shape: Shape, value: Any) -> Any:
    if value is None:
        return None
    if shape.many:
        one = Shape(shape.kind, time=shape.time)
        return [_jsonable(one, item) for item in value]
    if shape.time:
        return iso_of(value) if TIME_MIN_US <= value <= TIME_MAX_US else value
    if shape.kind is Decimal:
        return f"{_WIDE.normalize(value):f}"
    if shape.kind is bytes:
        return base64.b64encode(value).decode()
    if issubclass(shape.kind, Part):
        return to_jsonable(value)
    return str(value) if issubclass(shape.kind, StrEnum) else value


def _checked(cls: type[Record], given: object) -> BaseModel:
    try:
        return _model(cls).model_validate(given)
    except ValidationError as error:
        problems = tuple(
            Problem(
                ".".join(str(step) for step in problem["loc"]),
                "" if problem["type"] == "missing" else _shown(problem["input"]),
                _rule(problem),
            )
            for problem in error.errors(include_url=False, include_context=False)
        )
        raise InvalidRecord(cls, problems) from None


def _check_columns(record: Record) -> None:
    """Raise InvalidRecord unless the integer columns are of one length; those that may be left out may be empty."""
    cls = type(record)
    columns = [name for name, shape in shapes(cls).items() if shape.many and shape.kind is int]
    optional = cls.__struct_fields__[len(cls.__struct_fields__) - len(cls.__struct_defaults__) :]
    lengths = {name: len(getattr(record, name)) for name in columns}
    rows = max(lengths.values(), default=0)
    problems = tuple(
        Problem(name, f"{length}", f"must have as many rows as the longest column, {rows}")
        for name, length in lengths.items()
        if length != rows and not (length == 0 and name in optional)
    )
    if problems:
        raise InvalidRecord(cls, problems)


def _rule(problem: Mapping[str, Any]) -> str:
    words: dict[str, str] = {
        "missing": "must be given",
        "extra_forbidden": "must not be given: there is no such field",
        "string_type": "must be text",
        "bool_type": "must be true or false",
        "list_type": "must be a list",
        "model_type": "must be an object of fields",
        "model_attributes_type": "must be an object of fields",
    }
    return words.get(problem["type"]) or str(problem["msg"])


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # an integer of thousands of digits
        text = f"a {type(value).__name__} too long to show"
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}..."


def _read_json(cls: type[Record], text: bytes | str) -> Any:
    if len(text) > BYTES_MAX:
        raise InvalidRecord(cls, (Problem("", f"{len(text)} bytes", f"must be at most {BYTES_MAX} bytes of JSON"),))
    try:
        return json.loads(
            text, parse_float=Decimal, parse_constant=_refuse_constant, object_pairs_hook=_without_repetition
        )
    except (ValueError, RecursionError, ArithmeticError) as error:
        raise InvalidRecord(cls, (Problem("", _shown(text), f"must be JSON ({error})"),)) from None


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is not a number")


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a field is given twice")
    return fields


@cache
def _model(cls: type[Part]) -> type[BaseModel]:
    """The pydantic model of a record or part."""
    required_texts = set(cls.source_id) if issubclass(cls, Record) else set()
    fields: dict[str, Any] = {}
    required = cls.__struct_fields__[: len(cls.__struct_fields__) - len(cls.__struct_defaults__)]
    for name, shape in shapes(cls).items():
        fields[name] = (_annotation(name, shape, name in required_texts), ... if name in required else None)
    return create_model(
        cls.__name__, __config__=ConfigDict(extra="forbid", from_attributes=True, strict=True), **fields
    )


def _annotation(name: str, shape: Shape, named: bool) -> Any:
    """The type of one field as pydantic checks it."""
    plain: Any
    if issubclass(shape.kind, Part):
        plain = _model(shape.kind)
    elif shape.kind is str:
        longest = ID_MAX if name.endswith("_id") else TEXT_MAX
        plain = Annotated[Any, BeforeValidator(text_within(1 if named else 0, longest))]
    elif issubclass(shape.kind, StrEnum):
        plain = Annotated[Any, BeforeValidator(symbol_of(shape.kind))]
    else:
        plain = Annotated[Any, BeforeValidator(time_value if shape.time else CHECKS[shape.kind])]
    if shape.many:
        return Annotated[list[plain], Field(max_length=LIST_MAX)]
    return plain | None if shape.optional else plain


def _part_of(cls: type[Part], model: BaseModel) -> Any:
    """The record or part that the checked model says; fields not given keep their defaults."""
    known = shapes(cls)
    return cls(**{name: _value_of(known[name], getattr(model, name)) for name in model.model_fields_set})


def _value_of(shape: Shape, value: Any) -> Any:
    if value is None or not issubclass(shape.kind, Part):
        return value
    if shape.many:
        return [_part_of(shape.kind, item) for item in value]
    return _part_of(shape.kind, value)
