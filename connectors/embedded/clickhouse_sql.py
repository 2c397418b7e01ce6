"""What the HTTP door must know of a statement before the engine sees it.

The engine has no server in front of it: it takes a statement and its data apart only from files and terminals, runs
several statements at once, writes files, and is broken for good by a Kafka table. This module reads just enough SQL
(comments, quotes, brackets, words) to separate an INSERT from its data, to know the output format, and to refuse.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

SYNTAX_ERROR = 62
SUPPORT_IS_DISABLED = 344
READONLY = 164
_READING = frozenset(
    {b"SELECT", b"WITH", b"FROM", b"SHOW", b"DESCRIBE", b"DESC", b"EXISTS", b"EXPLAIN", b"CHECK", b"USE", b"SET", b"("}
)

_TOKEN = re.compile(
    rb"""
    (?P<skip> \s+ | --[^\n]* | \#[\ !][^\n]* | /\*.*?(?:\*/|\Z) )
  | (?P<quoted> '(?:[^'\\]|\\.|'')*' | `(?:[^`\\]|\\.|``)*` | "(?:[^"\\]|\\.|"")*" | \$(\w*)\$.*?\$\3\$ )
  | (?P<word> [A-Za-z_]\w* )
  | (?P<other> \d[\w.]* | . )
    """,
    re.VERBOSE | re.DOTALL,
)
_TO_DATA = re.compile(rb"[ \t\f]*;?[ \t\f]*\r?\n?")
"""Between the format's name and the first byte of data: blanks and one line end, as ClickHouse has it."""


class Refused(Exception):
    """The statement must not reach the engine. `code` is ClickHouse's number for the reason."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement as the engine takes it.

    `sql` is the statement; for an INSERT with a FORMAT clause without that clause, whose format is then
    `insert_format` and whose bytes are `rows`. `output_format` is the FORMAT clause of anything else, if it has one.
    `uses` and `sets` say that it is a USE or a SET.
    """

    sql: bytes
    insert_format: str | None = None
    rows: bytes = b""
    output_format: str | None = None
    uses: bool = False
    sets: bool = False


@dataclass(frozen=True, slots=True)
class _Token:
    text: bytes
    start: int
    end: int
    is_word: bool

    @property
    def word(self) -> bytes:
        return self.text.upper() if self.is_word else b""


def parse(sql: bytes, formats: Mapping[str, str], *, read_only: bool = False) -> Statement:
    """Take a request's text apart. `formats` maps each lower-case format name to its proper spelling.

    Raises Refused for an empty text, several statements, files of the server's machine, Kafka tables, and with
    `read_only` for whatever is not a question.
    """
    first = next(_tokens(sql), None)
    if first is None:
        raise Refused(SYNTAX_ERROR, "Syntax error: empty query. (SYNTAX_ERROR)")
    if read_only and (first.word or first.text) not in _READING:
        raise Refused(READONLY, "Cannot execute query in readonly mode: a GET only reads, use POST. (READONLY)")
    return _insert(sql) if first.word == b"INSERT" else _other(sql, formats)


def _tokens(sql: bytes) -> Iterator[_Token]:
    for match in _TOKEN.finditer(sql):
        if match.lastgroup != "skip" and match.group("skip") is None:
            yield _Token(match.group(), match.start(), match.end(), match.group("word") is not None)


def _insert(sql: bytes) -> Statement:
    depth = 0
    previous = b""
    format_at: int | None = None
    for token in _tokens(sql):
        if format_at is not None:
            start = _TO_DATA.match(sql, token.end)
            rows = sql[start.end() :] if start else b""
            return Statement(sql[:format_at], token.text.decode(errors="replace"), rows)
        depth += (token.text == b"(") - (token.text == b")")
        if depth:
            continue
        if token.word in (b"VALUES", b"SELECT", b"WITH", b"WATCH"):
            break
        if token.word == b"INFILE" and previous == b"FROM":
            raise _no_files()
        if token.word == b"FORMAT" and previous not in (b"INTO", b"TABLE", b"."):
            format_at = token.start
        previous = token.word or token.text
    return Statement(sql)


def _other(sql: bytes, formats: Mapping[str, str]) -> Statement:
    tokens = list(_tokens(sql))
    ends = [index for index, token in enumerate(tokens) if token.text == b";"]
    if ends and any(token.text != b";" for token in tokens[ends[0] :]):
        raise Refused(SYNTAX_ERROR, "Syntax error (Multi-statements are not allowed): send one. (SYNTAX_ERROR)")
    body = tokens[: ends[0]] if ends else tokens
    _refuse_kafka(body)
    depth = 0
    output_format: str | None = None
    for token, after in zip(body, [*body[1:], None], strict=True):
        depth += (token.text == b"(") - (token.text == b")")
        if depth or after is None:
            continue
        if token.word == b"INTO" and after.word == b"OUTFILE":
            raise _no_files()
        if token.word == b"FORMAT":
            output_format = formats.get(after.text.decode(errors="replace").lower(), output_format)
    verb = body[0].word
    return Statement(sql, output_format=output_format, uses=verb == b"USE", sets=verb == b"SET")


def _refuse_kafka(tokens: list[_Token]) -> None:
    """A Kafka table cannot be made here, but its metadata stays behind, and the engine never opens the folder again."""
    words = [token.text.strip(b"`\"'").upper() for token in tokens if token.text != b"="]
    if any(pair == (b"ENGINE", b"KAFKA") for pair in pairwise(words)):
        raise Refused(
            SUPPORT_IS_DISABLED,
            "Kafka tables are not supported by the embedded ClickHouse; write through the sink. (SUPPORT_IS_DISABLED)",
        )


def _no_files() -> Refused:
    return Refused(
        SUPPORT_IS_DISABLED, "Files of the server's machine are not offered over HTTP. (SUPPORT_IS_DISABLED)"
    )
