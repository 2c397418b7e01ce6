"""A lock in ClickHouse: one migration at a time, and none for ever.

ClickHouse has no compare-and-set, but it makes a table at most once. So the lock is a table, `migration_lock_<n>`, with
owner and expiry in its comment. Whoever finds only expired ones makes the next number; two who try make it once.
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

from connectors.clickhouse.client import ClickHouse
from connectors.errors import Refused, Unavailable

LEASE_S = 60
_TABLE = "migration_lock_"
_COMMENT = re.compile(r"^owner (?P<owner>.*), until (?P<until>\d+)$")
_EXISTS = "57"


class LockLost(RuntimeError):
    """The lease ran out and somebody else has the lock now; nothing more may be done under it."""


class Lock:
    """The lock, held. `check` before each step."""

    def __init__(self, server: ClickHouse, number: int):
        self._server = server
        self._number = number

    def check(self) -> None:
        """Raise LockLost where somebody took over."""
        newest = max(_held(self._server), default=0)
        if newest != self._number:
            raise LockLost(f"lock {self._number} ran out after {LEASE_S} s and another process took over; run it again")

    def release(self) -> None:
        """Let the next one in."""
        self._server.command(f"DROP TABLE IF EXISTS `{self._server.database}`.`{_TABLE}{self._number}` SYNC")


@contextmanager
def locked(server: ClickHouse, owner: str, *, lease_s: int = LEASE_S, wait_s: float = 120.0) -> Iterator[Lock]:
    """Hold the lock. Raises Unavailable when somebody holds it for longer than `wait_s`, naming who."""
    lock = _taken(server, owner, lease_s, wait_s)
    try:
        yield lock
    finally:
        lock.release()


def _taken(server: ClickHouse, owner: str, lease_s: int, wait_s: float) -> Lock:
    give_up_s = time.monotonic() + wait_s
    while True:
        held = _held(server)
        newest = max(held, default=0)
        if not held or held[newest][1] < time.time():
            if _made(server, newest + 1, owner, lease_s):
                for number in held:
                    Lock(server, number).release()
                return Lock(server, newest + 1)
        elif time.monotonic() > give_up_s:
            raise Unavailable(f"{held[newest][0]} migrates {server.database} since long; wait for it, or for its lease")
        time.sleep(0.05)


def _held(server: ClickHouse) -> dict[int, tuple[str, float]]:
    """Owner and expiry of every lock there is, by number. What cannot be read counts as held for ever."""
    rows = server.rows(
        "SELECT name, comment FROM system.tables "
        "WHERE database = {database:String} AND startsWith(name, {prefix:String})",
        {"database": server.database, "prefix": _TABLE},
    )
    held = {}
    for name, comment in rows:
        match = _COMMENT.match(comment)
        until = float(match["until"]) if match else float("inf")
        held[int(name.removeprefix(_TABLE))] = (match["owner"] if match else "somebody", until)
    return held


def _made(server: ClickHouse, number: int, owner: str, lease_s: int) -> bool:
    clean = re.sub(r"[^\w .:@-]", "", owner)
    comment = f"owner {clean}, until {int(time.time()) + lease_s}"
    try:
        server.command(
            f"CREATE TABLE `{server.database}`.`{_TABLE}{number}` (held UInt8) ENGINE = TinyLog COMMENT '{comment}'"
        )
    except Refused as error:
        if error.code == _EXISTS:
            return False
        raise
    return True
