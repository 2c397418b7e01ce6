"""ClickHouse over HTTP, with our errors: may I repeat this, or is it refused for good?"""

import logging
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import clickhouse_connect
from clickhouse_connect.driver import exceptions

from connectors.errors import Refused, Unavailable

UNREADABLE_ROWS = frozenset({6, 27, 33, 38, 41, 69, 70, 72, 117, 131, 349, 407, 457, 1001, 1002})
"""Numbers of ClickHouse's errors that blame the rows themselves: the same rows fail for ever."""

_NOT_NOW = frozenset(
    {3, 8, 16, 53, 60, 81, 159, 160, 164, 202, 209, 210, 225, 236, 241, 242, 243, 252, 319, 394, 439, 999}
)
"""Numbers of errors that pass: overload, read-only, no space, or tables that a migration has yet to make."""

logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())  # what it logs it raises, too

_CONNECTING = re.compile(r"Failed to establish a new connection: (.*?)['\"]?\)")
_CODE = re.compile(r"[Cc]ode: (\d+)")
_NAME = re.compile(r"^[a-z][a-z0-9_]*$")


def database_of(environment: str) -> str:
    """Name of the environment's database."""
    return "ql_" + environment.replace("-", "_")


class ClickHouse:
    """One database on one server. Not for use by several threads at once.

    Every method raises Unavailable where the same call may be repeated (an insert with its token is the same call even
    when its answer was lost), and Refused with ClickHouse's error number as `code` where it may not.
    """

    def __init__(self, url: str, database: str, *, user: str = "default", password: str = "", timeout_s: float = 60.0):
        if not _NAME.match(database):
            raise ValueError(f"{database!r} cannot name a database; use lowercase letters, digits and underscores")
        self.url = url
        self.database = database
        self._user, self._password = user, password
        self._timeout_s = timeout_s
        self._client: Any = None
        self.inserted: Callable[[str, bool, float], None] = lambda *_: None
        """Told of each insert: its table, whether ClickHouse took it, and the seconds."""

    def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Any:
        """Run a statement that answers with at most one value."""
        return self._tried(lambda client: client.command(sql, parameters=dict(parameters or {})))

    def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """The rows of a question; times are aware, in UTC."""
        result = self._tried(lambda client: client.query(sql, parameters=dict(parameters or {})))
        return [tuple(row) for row in result.result_rows]

    def question(
        self, sql: str, parameters: Mapping[str, Any] | None = None
    ) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Names of the columns, and the rows."""
        result = self._tried(lambda client: client.query(sql, parameters=dict(parameters or {})))
        return list(result.column_names), [tuple(row) for row in result.result_rows]

    def insert_rows(self, table: str, form: str, body: bytes, token: str) -> None:
        """Insert the rows of a body in one of ClickHouse's formats. The same token again inserts nothing."""
        settings = {
            "insert_deduplication_token": token,
            "insert_deduplicate": 1,
            "async_insert": 0,
            "input_format_avro_allow_missing_fields": 1,
        }
        begun, taken = time.perf_counter(), False
        try:
            self._tried(
                lambda client: client.raw_insert(
                    f"`{self.database}`.`{table}`", insert_block=body, fmt=form, settings=settings
                )
            )
            taken = True
        finally:
            self.inserted(table, taken, time.perf_counter() - begun)

    def close(self) -> None:
        """Let go of the connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _tried(self, act: Any) -> Any:
        try:
            if self._client is None:
                self._client = clickhouse_connect.get_client(
                    dsn=self.url,
                    username=self._user,
                    password=self._password,
                    connect_timeout=5,
                    send_receive_timeout=self._timeout_s,
                    autogenerate_session_id=False,
                    tz_mode="aware",
                )
            return act(self._client)
        except exceptions.OperationalError as error:
            raise Unavailable(
                f"ClickHouse at {self.url} did not answer: {reason_of(error)}; it is tried again"
            ) from error
        except exceptions.DatabaseError as error:
            found = _CODE.search(str(error))
            code = int(found.group(1)) if found else 0
            if code in _NOT_NOW or not found:
                raise Unavailable(f"ClickHouse cannot do it now: {reason_of(error)}; it is tried again") from error
            raise Refused(f"ClickHouse refused: {reason_of(error)}", code=str(code)) from error
        except (exceptions.Error, OSError) as error:
            raise Unavailable(f"ClickHouse at {self.url} failed: {reason_of(error)}; it is tried again") from error


def reason_of(error: Exception) -> str:
    """What a person needs of the client's words, on one line."""
    words = " ".join(str(error).split())
    connecting = _CONNECTING.search(words)
    return connecting.group(1) if connecting else words[:400]
