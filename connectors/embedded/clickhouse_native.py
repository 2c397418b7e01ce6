"""ClickHouse's Native format as clients of the newer protocol expect it, made from what the engine writes.

The engine writes Native as for a client without a revision. Clients in Go, Grafana's among them, always name their
revision and then expect a header before each block and a byte before each column's rows (0: not a special encoding). To
put them in, one must know where each column ends; nothing is decoded.
"""

import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

REVISION_WITH_MARKED_COLUMNS = 54454
"""The first revision that has the byte before each column."""
_BLOCK_HEADER = bytes([1, 0, 2, 0xFF, 0xFF, 0xFF, 0xFF, 0])
"""Field 1: no overflow rows; field 2: no bucket; end."""
_WIDTHS = {
    **{f"{sign}Int{bits}": bits // 8 for sign in ("", "U") for bits in (8, 16, 32, 64, 128, 256)},
    **{"Float32": 4, "Float64": 8, "BFloat16": 2, "Bool": 1, "Nothing": 1, "Enum8": 1, "Enum16": 2},
    **{"Date": 2, "Date32": 4, "DateTime": 4, "DateTime64": 8, "Time": 4, "Time64": 8},
    **{"UUID": 16, "IPv4": 4, "IPv6": 16, "Decimal32": 4, "Decimal64": 8, "Decimal128": 16, "Decimal256": 32},
}
_GEOMETRY = {
    "Point": "Tuple(Float64, Float64)",
    "Ring": "Array(Point)",
    "LineString": "Array(Point)",
    "MultiLineString": "Array(LineString)",
    "Polygon": "Array(Ring)",
    "MultiPolygon": "Array(Polygon)",
}
_NAMED = re.compile(r"(?:`(?:[^`\\]|\\.)*`|\w+)\s+")
_DECIMALS = ((9, 4), (18, 8), (38, 16), (76, 32))


class Unmarkable(Exception):
    """A column's type has no size that this module can tell."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """How a type lies in the bytes: a prefix once for a column, then rows, up to `end(body, start, rows)`."""

    prefix_bytes: int
    end: Callable[[bytes, int, int], int]


def for_revision(body: bytes, revision: int) -> bytes:
    """The blocks as a client of this revision reads them. Raises Unmarkable."""
    if revision < REVISION_WITH_MARKED_COLUMNS:
        return body
    written = bytearray()
    position = 0
    while position < len(body):
        start = position
        columns, position = _number(body, position)
        rows, position = _number(body, position)
        written += _BLOCK_HEADER + body[start:position]
        for _ in range(columns):
            start = position
            position = _text_end(body, position)
            type_start = position
            position = _text_end(body, position)
            _, name_start = _number(body, type_start)
            written += body[start:position] + b"\0"
            if rows:
                shape = _shape(body[name_start:position].decode())
                start, position = position, shape.end(body, position + shape.prefix_bytes, rows)
                written += body[start:position]
    return bytes(written)


def _number(body: bytes, position: int) -> tuple[int, int]:
    """A number of variable length, and where it ends."""
    value = shift = 0
    while True:
        byte = body[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


def _text_end(body: bytes, position: int) -> int:
    length, position = _number(body, position)
    return position + length


def _strings_end(body: bytes, position: int, rows: int) -> int:
    for _ in range(rows):
        length = body[position]
        if length < 0x80:
            position += 1 + length
        else:
            position = _text_end(body, position)
    return position


def _shape(kind: str) -> _Shape:
    name, inner = _taken_apart(kind)
    if name in _GEOMETRY:
        return _shape(_GEOMETRY[name])
    if name == "String":
        return _Shape(0, _strings_end)
    if name in ("Array", "Map"):
        item = _shape(inner[0]) if name == "Array" else _tuple([_shape(part) for part in inner])
        return _Shape(item.prefix_bytes, lambda body, start, rows: _array_end(item, body, start, rows))
    if name == "Nullable":
        item = _shape(inner[0])
        return _Shape(item.prefix_bytes, lambda body, start, rows: item.end(body, start + rows, rows))
    if name == "Tuple":
        return _tuple([_shape(_without_name(part)) for part in inner])
    if name == "LowCardinality":
        return _low_cardinality(inner[0])
    if name == "SimpleAggregateFunction":
        return _shape(inner[-1])
    width = _width(name, inner)
    return _Shape(0, lambda _body, start, rows: start + width * rows)


def _width(name: str, inner: Sequence[str]) -> int:
    if name == "FixedString":
        return int(inner[0])
    if name == "Decimal":
        return next(width for digits, width in _DECIMALS if int(inner[0]) <= digits)
    if name.startswith("Interval"):
        return 8
    if name not in _WIDTHS:
        raise Unmarkable(name)
    return _WIDTHS[name]


def _array_end(item: _Shape, body: bytes, start: int, rows: int) -> int:
    start += 8 * rows
    items = struct.unpack_from("<Q", body, start - 8)[0] if rows else 0
    return item.end(body, start, items) if items else start


def _tuple(items: Sequence[_Shape]) -> _Shape:
    def end(body: bytes, start: int, rows: int) -> int:
        for item in items:
            start = item.end(body, start, rows)
        return start

    return _Shape(sum(item.prefix_bytes for item in items), end)


def _low_cardinality(kind: str) -> _Shape:
    """A version before everything; then the width of an index, the different values, and an index for each row."""
    name, inner = _taken_apart(kind)
    value = _shape(inner[0] if name == "Nullable" else kind)

    def end(body: bytes, start: int, rows: int) -> int:
        if not rows:
            return start
        flags, values = struct.unpack_from("<QQ", body, start)
        position = value.end(body, start + 16, values)
        return position + 8 + (rows << (int(flags) & 0xFF))

    return _Shape(8 + value.prefix_bytes, end)


def _taken_apart(kind: str) -> tuple[str, list[str]]:
    """A type's name and its arguments, as text."""
    name, bracket, rest = kind.strip().partition("(")
    return name, _split(rest[:-1]) if bracket and not name.startswith("Enum") else []


def _split(arguments: str) -> list[str]:
    """At the commas that no bracket and no quotation mark encloses."""
    parts: list[str] = []
    depth = start = 0
    quote = ""
    escaped = False
    for index, letter in enumerate(arguments):
        if quote:
            quote = "" if letter == quote and not escaped else quote
            escaped = letter == "\\" and not escaped
        elif letter in "'`":
            quote = letter
        elif letter == "," and not depth:
            parts.append(arguments[start:index].strip())
            start = index + 1
        else:
            depth += (letter == "(") - (letter == ")")
    return [*parts, arguments[start:].strip()]


def _without_name(element: str) -> str:
    """A tuple's element may have a name before its type."""
    named = _NAMED.match(element)
    return element[named.end() :] if named else element
