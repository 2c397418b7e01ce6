"""What the counterparty told, in order, written before its sequence number moves on; and the terms of our orders.

FIX tells everything once and in sequence, and again when asked for by number. So what is written here before the number
moves is complete: after a crash the session asks for the rest.
"""

import sqlite3
import threading
from pathlib import Path

import msgspec

from connectors.brokers.fix.words import Terms

_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS told(
    number INTEGER PRIMARY KEY AUTOINCREMENT, exec_id TEXT UNIQUE, account TEXT, trade INTEGER, message TEXT);
CREATE TABLE IF NOT EXISTS terms(client_order_id TEXT PRIMARY KEY, newest TEXT, body BLOB);
"""

Told = tuple[int, str]
"""A number in the journal, and the message."""


class Journal:
    """One file. Written by the session's thread, read by ours; one lock keeps them apart."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(folder / "journal.sqlite", isolation_level=None, check_same_thread=False)
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def write(self, exec_id: str, account: str, trade: bool, message: str) -> int:
        """Write what was told, durably; its number. What was told before has number 0 and is not written again."""
        with self._lock:
            done = self._db.execute(
                "INSERT OR IGNORE INTO told(exec_id, account, trade, message) VALUES (?, ?, ?, ?)",
                (exec_id, account, int(trade), message),
            )
            return int(done.lastrowid or 0) if done.rowcount else 0

    def last(self) -> int:
        """The highest number."""
        with self._lock:
            row = self._db.execute("SELECT COALESCE(MAX(number), 0) FROM told").fetchone()
        return int(row[0])

    def after(self, number: int, limit: int = 1000) -> list[Told]:
        """What was told after this number."""
        with self._lock:
            rows = self._db.execute(
                "SELECT number, message FROM told WHERE number > ? ORDER BY number LIMIT ?", (number, limit)
            ).fetchall()
        return [(int(row[0]), str(row[1])) for row in rows]

    def trades(self, account: str, number: int, limit: int = 1000) -> list[Told]:
        """Trades of the account that were told after this number."""
        with self._lock:
            rows = self._db.execute(
                "SELECT number, message FROM told WHERE number > ? AND trade AND account = ? ORDER BY number LIMIT ?",
                (number, account, limit),
            ).fetchall()
        return [(int(row[0]), str(row[1])) for row in rows]

    def keep(self, names: list[str], terms: Terms) -> None:
        """Remember the order's terms under all these names of it."""
        body = msgspec.msgpack.encode(terms)
        with self._lock:
            self._db.executemany(
                "INSERT OR REPLACE INTO terms VALUES (?, ?, ?)",
                [(name, terms.client_order_id, body) for name in names],
            )

    def names(self, client_order_id: str) -> list[str]:
        """All names of the order that has this one."""
        with self._lock:
            rows = self._db.execute(
                "SELECT client_order_id FROM terms WHERE newest = (SELECT newest FROM terms WHERE client_order_id = ?)",
                (client_order_id,),
            ).fetchall()
        return [str(row[0]) for row in rows] or [client_order_id]

    def terms(self, client_order_id: str) -> Terms | None:
        """The newest terms of the order that has this name, or had it."""
        with self._lock:
            row = self._db.execute("SELECT body FROM terms WHERE client_order_id = ?", (client_order_id,)).fetchone()
        return None if row is None else msgspec.msgpack.decode(row[0], type=Terms)
