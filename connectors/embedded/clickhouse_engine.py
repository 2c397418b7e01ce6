"""ClickHouse's engine in this process (chdb), one request at a time for each connection.

Every request has a fresh connection, so that USE and SET never leak to the next one; a session keeps its connection,
and what a request's own settings changed there is undone after it. A `kill -9` loses nothing that was acknowledged;
the engine does not fsync each insert (`fsync_after_insert` is 0, as in a stock server), so a power loss may lose the
last seconds.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, cast

import chdb

from connectors.embedded.clickhouse_sql import Refused, Statement, parse

_CODE = re.compile(r"Code: (\d+)\.")
_NAME = re.compile(r"\w+\Z")
_LOCAL_FORMAT = "TabSeparatedWithNames"
"""Tells a statement without a result (no line) from a result without rows (one line of names)."""


class EngineError(Exception):
    """The engine, or this door before it, refused the request. `code` is ClickHouse's number."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class _Result(Protocol):
    def bytes(self) -> bytes: ...
    def rows_read(self) -> int: ...
    def bytes_read(self) -> int: ...
    def storage_rows_read(self) -> int: ...
    def storage_bytes_read(self) -> int: ...
    def rows_written(self) -> int: ...
    def bytes_written(self) -> int: ...


class _Written(Protocol):
    rows_written: int
    bytes_written: int


class _Inserter(Protocol):
    def append(self, rows: bytes) -> None: ...
    def finish(self) -> _Written: ...
    def cancel(self) -> None: ...


class _Connection(Protocol):
    def query(self, query: str, format: str, params: Mapping[str, str] | None = None) -> _Result: ...
    def send_insert(self, query: str, format: str) -> _Inserter: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class External:
    """A temporary table that came with the request. `structure` is a list of columns as in CREATE TABLE."""

    name: str
    structure: str
    format: str
    rows: bytes


@dataclass(frozen=True, slots=True)
class Request:
    """What one HTTP request asks of the engine. `session_idle_s_max` is how long its session may lie unused."""

    text: bytes
    parameters: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    database: str | None = None
    default_format: str | None = None
    read_only: bool = False
    externals: tuple[External, ...] = ()
    session_id: str | None = None
    session_must_exist: bool = False
    session_idle_s_max: float = 60


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `format` is None for a statement that has no result. Sizes are rows and bytes."""

    body: bytes
    format: str | None
    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    result_rows: int = 0


@dataclass(slots=True)
class _Session:
    """A connection that is kept.

    `database` and `settings` are the session's own, so far as they were asked for (a setting as SQL, DEFAULT where
    nobody set it); `at` is the database in which the last request left the connection.
    """

    connection: _Connection
    database: str
    at: str
    idle_s_max: float
    used_at_s: float
    settings: dict[str, str] = field(default_factory=dict)
    busy: threading.Lock = field(default_factory=threading.Lock)


class Engine:
    """The engine on one folder. Safe to use from several threads. Raises EngineError, nothing else."""

    def __init__(self, folder: Path) -> None:
        self._path = str(folder)
        self._root = self._connect()
        self._sessions: dict[str, _Session] = {}
        self._sessions_lock = threading.Lock()
        names = _query(self._root, "SELECT name FROM system.formats", "TabSeparated").bytes().decode().split()
        self._formats = {name.lower(): name for name in names}
        about = _query(self._root, "SELECT version(), timezone()", "TabSeparated").bytes().decode().split()
        self.version, self.timezone = about

    def close(self) -> None:
        """Cancel what still runs, and let go of the folder. No further request may come."""
        _query(self._root, "KILL QUERY WHERE 1 SYNC")
        for session in self._sessions.values():
            session.connection.close()
        self._sessions.clear()
        self._root.close()

    def run(self, request: Request) -> Answer:
        """Do what one request asks and return its whole result."""
        try:
            statement = parse(request.text, self._formats, read_only=request.read_only)
        except Refused as refusal:
            raise EngineError(refusal.code, f"DB::Exception: {refusal}") from refusal
        if request.session_id is None:
            connection = self._connect()
            try:
                if request.database:
                    _use(connection, request.database)
                return self._answer(connection, statement, request)
            finally:
                connection.close()
        with self._session(request) as session, _undone(session, request):
            wanted = request.database or session.database
            if wanted != session.at:
                _use(session.connection, wanted)
                session.at = wanted
            answer = self._answer(session.connection, statement, request)
            if statement.uses:
                session.at = session.database = _database(session.connection)
            if statement.sets:
                session.settings.clear()
            return answer

    def _answer(self, connection: _Connection, statement: Statement, request: Request) -> Answer:
        _set(connection, {name: quoted(value) for name, value in request.settings.items()})
        for external in request.externals:
            _query(connection, f"CREATE TEMPORARY TABLE {quoted(external.name, '`')} ({external.structure})")
            _insert(connection, f"INSERT INTO {quoted(external.name, '`')}", external.format, external.rows)
        if statement.insert_format is not None:
            _set(connection, {f"param_{name}": quoted(value) for name, value in request.parameters.items()})
            written = _insert(connection, _text(statement.sql), statement.insert_format, statement.rows)
            return Answer(b"", None, written_rows=written.rows_written, written_bytes=written.bytes_written)
        asked = statement.output_format or request.default_format
        result = _query(connection, _text(statement.sql), asked or _LOCAL_FORMAT, request.parameters)
        body = result.bytes()
        answered: str | None = (asked or "TabSeparated") if body else None
        if asked is None:
            body = body.partition(b"\n")[2]
        return Answer(
            body,
            answered,
            result.storage_rows_read(),
            result.storage_bytes_read(),
            result.rows_written(),
            result.bytes_written(),
            result.rows_read(),
        )

    def _connect(self) -> _Connection:
        connect: Callable[[str], object] = chdb.connect  # some builds of the package have types, and not for this
        try:
            return cast(_Connection, connect(self._path))
        except RuntimeError as error:
            raise _translated(error) from error

    @contextmanager
    def _session(self, request: Request) -> Iterator[_Session]:
        """The request's session, for one request at a time."""
        name = cast(str, request.session_id)
        with self._sessions_lock:
            self._forget_idle_sessions()
            session = self._sessions.get(name)
            if session is None:
                if request.session_must_exist:
                    raise EngineError(372, f"DB::Exception: Session {name} not found. (SESSION_NOT_FOUND)")
                connection = self._connect()
                start = _database(connection)
                session = _Session(connection, start, start, request.session_idle_s_max, time.monotonic())
                self._sessions[name] = session
            if not session.busy.acquire(blocking=False):
                raise EngineError(373, f"DB::Exception: Session {name} is locked by another query. (SESSION_IS_LOCKED)")
        try:
            yield session
        finally:
            session.idle_s_max = request.session_idle_s_max
            session.used_at_s = time.monotonic()
            session.busy.release()

    def _forget_idle_sessions(self) -> None:
        now_s = time.monotonic()
        for name, session in list(self._sessions.items()):
            if now_s - session.used_at_s > session.idle_s_max and not session.busy.locked():
                session.connection.close()
                del self._sessions[name]


@contextmanager
def _undone(session: _Session, request: Request) -> Iterator[None]:
    """Put back, after the request, what the request itself (not its SQL) changed in the session."""
    connection = session.connection
    session.settings |= _settings(connection, set(request.settings) - session.settings.keys())
    before = {name: session.settings[name] for name in request.settings if name in session.settings}
    try:
        yield
    finally:
        _set(connection, before)
        for external in request.externals:
            _query(connection, f"DROP TEMPORARY TABLE IF EXISTS {quoted(external.name, '`')}")


def _database(connection: _Connection) -> str:
    return _query(connection, "SELECT currentDatabase()", "TabSeparatedRaw").bytes().decode().rstrip("\n")


def _use(connection: _Connection, database: str) -> None:
    _query(connection, f"USE {quoted(database, '`')}")


def _settings(connection: _Connection, names: set[str]) -> dict[str, str]:
    """Each setting's value as SQL; DEFAULT where nobody set it."""
    if not names:
        return {}
    wanted = ", ".join(quoted(name) for name in sorted(names))
    sql = f"SELECT name, changed, value FROM system.settings WHERE name IN ({wanted})"  # noqa: S608 - quoted above
    lines = _query(connection, sql, "TabSeparated").bytes().decode().splitlines()
    rows = [line.split("\t") for line in lines]
    return {name: f"'{value}'" if changed == "1" else "DEFAULT" for name, changed, value in rows}


def _set(connection: _Connection, values: Mapping[str, str]) -> None:
    """SET each name to a value that is already SQL."""
    for name in values:
        if not _NAME.match(name):
            raise EngineError(115, f"DB::Exception: Unknown setting {quoted(name)}. (UNKNOWN_SETTING)")
    if values:
        _query(connection, "SET " + ", ".join(f"{name} = {value}" for name, value in values.items()))


def _query(
    connection: _Connection, sql: str, format_name: str = "TabSeparated", parameters: Mapping[str, str] | None = None
) -> _Result:
    try:
        return connection.query(sql, format_name, params=dict(parameters or {}))
    except RuntimeError as error:
        raise _translated(error) from error
    except chdb.ChdbError as error:
        raise _translated(error) from error


def _insert(connection: _Connection, sql: str, format_name: str, rows: bytes) -> _Written:
    """Write all rows or, when the data cannot be read, say so."""
    try:
        # The engine puts its own words after the statement, which must not land in a closing comment.
        inserter = connection.send_insert(sql + "\n", format_name)
        try:
            if rows:
                inserter.append(rows)
            return inserter.finish()
        except RuntimeError:
            inserter.cancel()
            raise
    except RuntimeError as error:
        raise _translated(error) from error


def _translated(error: Exception) -> EngineError:
    text = str(error)
    found = _CODE.search(text)
    if found is None:
        return EngineError(1002, f"DB::Exception: {text} (UNKNOWN_EXCEPTION)")
    return EngineError(int(found.group(1)), text[found.end() :].strip())


def _text(sql: bytes) -> str:
    try:
        return sql.decode()
    except UnicodeDecodeError as error:
        raise EngineError(62, f"DB::Exception: Syntax error: not UTF-8: {error}. (SYNTAX_ERROR)") from error


def quoted(value: str, mark: str = "'") -> str:
    """The value as an SQL string (or, with a back quote, as a name)."""
    return mark + value.replace("\\", "\\\\").replace(mark, "\\" + mark) + mark
