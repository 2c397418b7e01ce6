"""What the paper venue never forgets: orders, answers, executions, holdings, cash, and what is not yet published.

A change is taken whole or not at all. Executions are numbered from 1 in the order in which they happened; the number of
the newest one published is kept too, so a crash between trading and publishing loses nothing.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Protocol

import msgspec

from connectors.brokers.paper.holdings import Held
from connectors.brokers.paper.orders import PaperOrder
from schemas.execution import ExecutionReport
from schemas.market import BarKind
from schemas.record import Part

Numbered = tuple[int, ExecutionReport]
Holding = tuple[str, str]
"""Account, then instrument or currency."""


class LedgerInUse(RuntimeError):
    """Another process has the ledger open: one venue, one process."""


class LastBar(Part, frozen=True):
    """The newest bar of an instrument that the venue saw."""

    time_us: int
    kind: BarKind
    interval_us: int
    close: Decimal


@dataclass(slots=True)
class Book:
    """What the venue keeps at hand: working orders in the order of acceptance, newest bars, holdings and cash."""

    working: dict[str, PaperOrder] = field(default_factory=dict)
    bars: dict[str, LastBar] = field(default_factory=dict)
    positions: dict[Holding, Held] = field(default_factory=dict)
    cash: dict[Holding, Decimal] = field(default_factory=dict)
    sequence: int = 0


@dataclass(slots=True)
class Change:
    """All that one act of the venue changes.

    orders: as they are now; ids: newest name of an order to its root; answers: by the id of the request.
    """

    orders: list[PaperOrder] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)
    answers: dict[str, ExecutionReport] = field(default_factory=dict)
    executions: list[ExecutionReport] = field(default_factory=list)
    bars: dict[str, LastBar] = field(default_factory=dict)
    positions: dict[Holding, Held] = field(default_factory=dict)
    cash: dict[Holding, Decimal] = field(default_factory=dict)
    movements: list[str] = field(default_factory=list)


class Ledger(Protocol):
    """Where the venue keeps its books."""

    def load(self) -> Book:
        """The books as the last change left them."""
        ...

    def commit(self, change: Change) -> None:
        """Keep the change, whole or not at all."""
        ...

    def order(self, client_order_id: str) -> PaperOrder | None:
        """The order of this name, old or new; None where there is none."""
        ...

    def answer(self, request_id: str) -> ExecutionReport | None:
        """What was answered to the request; None where it was never seen."""
        ...

    def moved(self, movement_id: str) -> bool:
        """Whether this cash movement was taken before."""
        ...

    def executions(self, after: int) -> list[Numbered]:
        """Executions with a higher number, oldest first."""
        ...

    def unpublished(self) -> list[Numbered]:
        """Executions that nobody confirmed as published, oldest first."""
        ...

    def published(self, through: int) -> None:
        """Executions up to this number are published."""
        ...


class MemoryLedger:
    """A ledger for backtests and tests: it lives as long as its process."""

    def __init__(self) -> None:
        self._book = Book()
        self._orders: dict[str, PaperOrder] = {}
        self._roots: dict[str, str] = {}
        self._answers: dict[str, ExecutionReport] = {}
        self._executions: list[ExecutionReport] = []
        self._movements: set[str] = set()
        self._published = 0

    def load(self) -> Book:
        book = self._book
        working = {root: order for root, order in self._orders.items() if order.working}
        return Book(working, dict(book.bars), dict(book.positions), dict(book.cash), len(self._orders))

    def commit(self, change: Change) -> None:
        for order in change.orders:
            self._orders[order.root_id] = order
        self._roots.update(change.ids)
        self._answers.update(change.answers)
        self._executions.extend(change.executions)
        self._book.bars.update(change.bars)
        self._book.positions.update(change.positions)
        self._book.cash.update(change.cash)
        self._movements.update(change.movements)

    def order(self, client_order_id: str) -> PaperOrder | None:
        return self._orders.get(self._roots.get(client_order_id, client_order_id))

    def answer(self, request_id: str) -> ExecutionReport | None:
        return self._answers.get(request_id)

    def moved(self, movement_id: str) -> bool:
        return movement_id in self._movements

    def executions(self, after: int) -> list[Numbered]:
        return list(enumerate(self._executions[after:], start=after + 1))

    def unpublished(self) -> list[Numbered]:
        return self.executions(self._published)

    def published(self, through: int) -> None:
        self._published = max(self._published, through)


_SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (root_id TEXT PRIMARY KEY, sequence INTEGER, working INTEGER, body BLOB)
    WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS working_orders ON orders (sequence) WHERE working;
CREATE TABLE IF NOT EXISTS ids (client_order_id TEXT PRIMARY KEY, root_id TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS answers (request_id TEXT PRIMARY KEY, body BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS executions (number INTEGER PRIMARY KEY AUTOINCREMENT, exec_id TEXT UNIQUE, body BLOB);
CREATE TABLE IF NOT EXISTS bars (instrument_id TEXT PRIMARY KEY, body BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS amounts (kind TEXT, account_id TEXT, what TEXT, amount TEXT,
    PRIMARY KEY (kind, account_id, what)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS movements (movement_id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outbox (only INTEGER PRIMARY KEY CHECK (only = 1), published INTEGER);
INSERT OR IGNORE INTO outbox VALUES (1, 0);
"""


class SqliteLedger:
    """A ledger in one file, kept through `kill -9` of its process. One process opens it at a time.

    Raises LedgerInUse when another one has it. A power loss may take the newest changes with it, never half a change.
    """

    def __init__(self, path: Path):
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=2.0)
        try:
            self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
        except sqlite3.OperationalError as error:
            self._db.close()
            if "locked" in str(error):
                raise LedgerInUse(f"{path} is open in another process; stop that one first") from error
            raise
        self._encode = msgspec.msgpack.Encoder(decimal_format="string").encode
        self._order = msgspec.msgpack.Decoder(PaperOrder).decode
        self._report = msgspec.msgpack.Decoder(ExecutionReport).decode
        self._bar = msgspec.msgpack.Decoder(LastBar).decode

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def load(self) -> Book:
        rows = self._db.execute("SELECT body FROM orders WHERE working ORDER BY sequence")
        orders = [self._order(body) for (body,) in rows]
        book = Book(working={order.root_id: order for order in orders})
        book.bars = {name: self._bar(body) for name, body in self._db.execute("SELECT * FROM bars")}
        for kind, account, what, amount in self._db.execute("SELECT * FROM amounts"):
            if kind == "cash":
                book.cash[(account, what)] = Decimal(amount)
            else:
                quantity, average = amount.split("@")
                book.positions[(account, what)] = Held(Decimal(quantity), Decimal(average))
        (book.sequence,) = self._db.execute("SELECT COUNT(*) FROM orders").fetchone()
        return book

    def commit(self, change: Change) -> None:
        db, encode = self._db, self._encode
        db.execute("BEGIN IMMEDIATE")
        try:
            db.executemany(
                "INSERT OR REPLACE INTO orders VALUES (?, ?, ?, ?)",
                ((o.root_id, o.sequence, o.working, encode(o)) for o in change.orders),
            )
            db.executemany("INSERT OR REPLACE INTO ids VALUES (?, ?)", change.ids.items())
            db.executemany("INSERT INTO answers VALUES (?, ?)", ((i, encode(r)) for i, r in change.answers.items()))
            db.executemany(
                "INSERT INTO executions (exec_id, body) VALUES (?, ?)",
                ((r.exec_id, encode(r)) for r in change.executions),
            )
            db.executemany(
                "INSERT OR REPLACE INTO bars VALUES (?, ?)", ((i, encode(b)) for i, b in change.bars.items())
            )
            db.executemany("INSERT OR REPLACE INTO amounts VALUES (?, ?, ?, ?)", _amounts(change))
            db.executemany("INSERT INTO movements VALUES (?)", ((m,) for m in change.movements))
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise

    def order(self, client_order_id: str) -> PaperOrder | None:
        row = self._db.execute(
            "SELECT body FROM orders WHERE root_id = coalesce((SELECT root_id FROM ids WHERE client_order_id = ?), ?)",
            (client_order_id, client_order_id),
        ).fetchone()
        return None if row is None else self._order(row[0])

    def answer(self, request_id: str) -> ExecutionReport | None:
        row = self._db.execute("SELECT body FROM answers WHERE request_id = ?", (request_id,)).fetchone()
        return None if row is None else self._report(row[0])

    def moved(self, movement_id: str) -> bool:
        return self._db.execute("SELECT 1 FROM movements WHERE movement_id = ?", (movement_id,)).fetchone() is not None

    def executions(self, after: int) -> list[Numbered]:
        rows = self._db.execute("SELECT number, body FROM executions WHERE number > ? ORDER BY number", (after,))
        return [(number, self._report(body)) for number, body in rows]

    def unpublished(self) -> list[Numbered]:
        (published,) = self._db.execute("SELECT published FROM outbox").fetchone()
        return self.executions(published)

    def published(self, through: int) -> None:
        self._db.execute("UPDATE outbox SET published = max(published, ?)", (through,))


def _amounts(change: Change) -> Iterable[tuple[str, str, str, str]]:
    for (account, instrument), held in change.positions.items():
        yield "position", account, instrument, f"{held.quantity}@{held.average}"
    for (account, currency), amount in change.cash.items():
        yield "cash", account, currency, str(amount)
