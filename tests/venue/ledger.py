"""The venue's ledger: one SQLite file that survives a kill. What it says is what happened."""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, fields
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.venue.orders import ZERO, Execution, Order

FILE = "ledger.sqlite"
_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS accounts(number TEXT PRIMARY KEY, key TEXT UNIQUE, secret TEXT, cash TEXT);
CREATE TABLE IF NOT EXISTS orders(
    sequence INTEGER PRIMARY KEY, order_id TEXT UNIQUE, account TEXT, client_order_id TEXT, symbol TEXT, side TEXT,
    kind TEXT, time_in_force TEXT, quantity TEXT, submitted_us INTEGER, status TEXT, limit_price TEXT, stop_price TEXT,
    trail_price TEXT, high_water TEXT, triggered INTEGER, filled TEXT, paid TEXT, replaces TEXT, replaced_by TEXT,
    updated_us INTEGER, filled_us INTEGER, ended_us INTEGER, external INTEGER, UNIQUE(account, client_order_id));
CREATE TABLE IF NOT EXISTS executions(
    sequence INTEGER PRIMARY KEY, execution_id TEXT UNIQUE, order_id TEXT, account TEXT, kind TEXT, quantity TEXT,
    price TEXT, cumulative TEXT, leaves TEXT, time_us INTEGER, reference TEXT);
CREATE INDEX IF NOT EXISTS executions_of_account ON executions(account, time_us);
CREATE INDEX IF NOT EXISTS executions_of_order ON executions(order_id);
CREATE TABLE IF NOT EXISTS positions(account TEXT, symbol TEXT, quantity TEXT, cost TEXT, PRIMARY KEY(account, symbol));
CREATE TABLE IF NOT EXISTS requests(
    sequence INTEGER PRIMARY KEY, time_us INTEGER, account TEXT, what TEXT, name TEXT, status INTEGER, fault TEXT);
"""
_DECIMALS = {
    "quantity", "limit_price", "stop_price", "trail_price", "high_water", "filled", "paid", "price", "cumulative",
    "leaves",
}  # fmt: skip
_ORDER_FIELDS = [field.name for field in fields(Order)]
_EXECUTION_FIELDS = [field.name for field in fields(Execution)]


@dataclass(slots=True)
class Account:
    """Who trades."""

    number: str
    key: str
    secret: str
    cash: Decimal


class Ledger:
    """Reads and writes the file. Every method that writes has committed when it returns."""

    def __init__(self, folder: Path, *, read_only: bool = False):
        path = folder / FILE
        if read_only:
            self._db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
        else:
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.executescript(_SCHEMA)
        self._db.row_factory = sqlite3.Row

    def close(self) -> None:
        self._db.close()

    def open_account(self, account: Account) -> None:
        """Open the account, unless it is open."""
        self._db.execute(
            "INSERT OR IGNORE INTO accounts VALUES (?, ?, ?, ?)",
            (account.number, account.key, account.secret, str(account.cash)),
        )

    def accounts(self) -> list[Account]:
        rows = self._db.execute("SELECT * FROM accounts ORDER BY number")
        return [Account(row["number"], row["key"], row["secret"], Decimal(row["cash"])) for row in rows]

    def next_sequence(self, table: str) -> int:
        row = self._db.execute(f"SELECT COALESCE(MAX(sequence), 0) + 1 FROM {table}").fetchone()
        return int(row[0])

    def save(self, orders: Iterable[Order], execution: Execution | None = None, multiplier: int = 0) -> None:
        """Write the orders and, with them, an execution that moves position and cash by `multiplier` times itself."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for order in orders:
                self._put("orders", _ORDER_FIELDS, order)
                symbol = order.symbol
            if execution is not None:
                self._put("executions", _EXECUTION_FIELDS, execution)
                self._move(execution.account, symbol, execution.quantity * multiplier, execution.price)
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def correct(self, order: Order, execution: Execution, old: Execution) -> None:
        """Write a correction: the old execution is undone and the new one done, in one transaction."""
        self._db.execute("BEGIN IMMEDIATE")
        self._put("orders", _ORDER_FIELDS, order)
        self._put("executions", _EXECUTION_FIELDS, execution)
        self._move(order.account, order.symbol, -old.quantity * order.sign, old.price)
        self._move(order.account, order.symbol, execution.quantity * order.sign, execution.price)
        self._db.execute("COMMIT")

    def _put(self, table: str, names: list[str], thing: Order | Execution) -> None:
        values = [_plain(getattr(thing, name)) for name in names]
        marks = ",".join("?" * len(names))
        self._db.execute(f"INSERT OR REPLACE INTO {table}({','.join(names)}) VALUES ({marks})", values)

    def _move(self, account: str, symbol: str, quantity: Decimal, price: Decimal) -> None:
        held, cost = self.position(account, symbol)
        self._db.execute(
            "INSERT OR REPLACE INTO positions VALUES (?, ?, ?, ?)",
            (account, symbol, str(held + quantity), str(cost + quantity * price)),
        )
        row = self._db.execute("SELECT cash FROM accounts WHERE number = ?", (account,)).fetchone()
        cash = Decimal(row["cash"]) - quantity * price
        self._db.execute("UPDATE accounts SET cash = ? WHERE number = ?", (str(cash), account))

    def move(self, account: str, symbol: str, quantity: Decimal, price: Decimal) -> None:
        """A position out of nowhere: no order of anybody stands behind it."""
        self._move(account, symbol, quantity, price)

    def position(self, account: str, symbol: str) -> tuple[Decimal, Decimal]:
        """Quantity held, and what it cost."""
        row = self._db.execute(
            "SELECT quantity, cost FROM positions WHERE account = ? AND symbol = ?", (account, symbol)
        ).fetchone()
        return (Decimal(row["quantity"]), Decimal(row["cost"])) if row else (ZERO, ZERO)

    def positions(self, account: str) -> list[tuple[str, Decimal, Decimal]]:
        rows = self._db.execute("SELECT * FROM positions WHERE account = ? ORDER BY symbol", (account,)).fetchall()
        held = ((row["symbol"], Decimal(row["quantity"]), Decimal(row["cost"])) for row in rows)
        return [one for one in held if one[1]]

    def order(self, order_id: str) -> Order | None:
        return _first(self._orders("order_id = ?", order_id))

    def order_numbered(self, sequence: int) -> Order | None:
        return _first(self._orders("sequence = ?", str(sequence)))

    def order_named(self, account: str, client_order_id: str) -> Order | None:
        return _first(self._orders("account = ? AND client_order_id = ?", account, client_order_id))

    def orders(self, account: str = "") -> list[Order]:
        """All orders, in the order of acceptance."""
        return self._orders("account = ?", account) if account else self._orders("1 = 1")

    def _orders(self, where: str, *values: str) -> list[Order]:
        rows = self._db.execute(f"SELECT * FROM orders WHERE {where} ORDER BY sequence", values)
        return [Order(**_typed(row)) for row in rows]

    def execution(self, execution_id: str) -> Execution | None:
        row = self._db.execute("SELECT * FROM executions WHERE execution_id = ?", (execution_id,)).fetchone()
        return Execution(**_typed(row)) if row else None

    def executions(self, account: str = "", after_us: int = 0) -> list[Execution]:
        """All executions that are not older, as they were written."""
        where = "time_us >= ?" + (" AND account = ?" if account else "")
        values = (after_us, account) if account else (after_us,)
        rows = self._db.execute(f"SELECT * FROM executions WHERE {where} ORDER BY sequence", values)
        return [Execution(**_typed(row)) for row in rows]

    def note(self, time_us: int, account: str, what: str, name: str, status: int, fault: str) -> None:
        """Remember a request and how it was answered; status 0 is no answer."""
        self._db.execute(
            "INSERT INTO requests(time_us, account, what, name, status, fault) VALUES (?, ?, ?, ?, ?, ?)",
            (time_us, account, what, name, status, fault),
        )

    def requests(self, after_us: int = -1) -> list[dict[str, Any]]:
        """All requests later than this."""
        rows = self._db.execute("SELECT * FROM requests WHERE time_us > ? ORDER BY sequence", (after_us,))
        return [dict(row) for row in rows]


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return str(value)
    return int(value) if isinstance(value, bool) else value


def _typed(row: sqlite3.Row) -> dict[str, Any]:
    typed: dict[str, Any] = dict(row)
    for name, value in typed.items():
        if name in _DECIMALS and value is not None:
            typed[name] = Decimal(value)
        elif name in ("triggered", "external"):
            typed[name] = bool(value)
    return typed


def _first(orders: list[Order]) -> Order | None:
    return orders[0] if orders else None
