"""Migrations: a database of any earlier version becomes that of this version, forwards only.

Three kinds of steps, each harmless to repeat, so one that was interrupted is simply run again:

1. numbered steps (`STEPS`), each once, for what the records do not say;
2. the tables of the records: a missing table is made, a missing column, index or projection is added (an index knows
   the rows that come or are merged from then on; a projection is made of all, in the background). Records only ever
   gain fields, so nothing else can be needed; a column of another type is refused, and no column is ever dropped;
3. the views and summaries of `views/`, replaced where their text or their refresh differs.

A process that is older than the database leaves it alone: its columns are all there.
"""

import socket
from dataclasses import dataclass
from hashlib import blake2b
from os import getpid

from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.lock import locked
from connectors.clickhouse.tables import CHUNKS, KEEPS_PROJECTIONS, Table, tables
from connectors.clickhouse.views import views

POSITIONS = "sink_positions"
VERSIONS = "migrations"


class WrongColumn(RuntimeError):
    """A column is not of the type that its record says; this database is not ours, or was changed by hand."""


@dataclass(frozen=True, slots=True)
class Step:
    """One numbered migration; `{database}` in its statements is the database."""

    version: int
    what: str
    statements: tuple[str, ...]


STEPS: tuple[Step, ...] = (
    Step(
        1,
        "what the sink has written, and what it is about to write",
        (
            f"""CREATE TABLE IF NOT EXISTS `{{database}}`.`{POSITIONS}`
            (topic LowCardinality(String), partition Int32, last Int64, at DateTime64(3, 'UTC') DEFAULT now64(3))
            ENGINE = ReplacingMergeTree(last) ORDER BY (topic, partition)
            COMMENT 'Newest offset of each partition whose rows are all in their tables.'""",
            f"""CREATE TABLE IF NOT EXISTS `{{database}}`.`{CHUNKS}`
            (sink String, number UInt64, done Bool, topics Array(LowCardinality(String)), partitions Array(Int32),
             firsts Array(Int64), lasts Array(Int64), at DateTime64(3, 'UTC') DEFAULT now64(3))
            ENGINE = ReplacingMergeTree ORDER BY (sink, number, done) TTL toDateTime(at) + INTERVAL 7 DAY
            COMMENT 'Bounds of each chunk, said before its rows are inserted and again when they are in.'""",
        ),
    ),
)
"""Numbered migrations. One that was released is never edited."""

VERSION = STEPS[-1].version


def migrate(server: ClickHouse, *, owner: str | None = None) -> list[str]:
    """Bring the database to this version; return what was done, in words. Nothing to do takes no lock.

    Raises Unavailable (also while another process migrates for too long), Refused, LockLost and WrongColumn.
    """
    server.command(f"CREATE DATABASE IF NOT EXISTS `{server.database}`")
    if not _lacking(server):
        return []
    done: list[str] = []
    with locked(server, owner or f"{socket.gethostname()}:{getpid()}") as lock:
        for what, statement in _lacking(server):
            lock.check()
            server.command(statement)
            done.append(what)
    return done


def _lacking(server: ClickHouse) -> list[tuple[str, str]]:
    """What is to be done, in words and as statements, in order."""
    database = server.database
    known, indexed, projected = _columns(server), _indexes(server), _projections(server)
    todo: list[tuple[str, str]] = []
    todo += _steps(server, known)
    for table in tables():
        todo += _conformed(table, known.get(table.name), indexed.get(table.name, set()), database)
        if table.name in known:
            todo += _projected(table, projected.get(table.name, set()), database)
    todo += _views(server)
    return todo


def _steps(server: ClickHouse, known: dict[str, dict[str, str]]) -> list[tuple[str, str]]:
    database = server.database
    todo: list[tuple[str, str]] = []
    if VERSIONS not in known:
        create = (
            f"CREATE TABLE IF NOT EXISTS `{database}`.`{VERSIONS}` (version UInt32, what String, "
            "at DateTime64(3, 'UTC') DEFAULT now64(3)) ENGINE = ReplacingMergeTree ORDER BY version"
        )
        todo.append((f"make {VERSIONS}", create))
        newest = 0
    else:
        ((newest,),) = server.rows(f"SELECT max(version) FROM `{database}`.`{VERSIONS}`")  # noqa: S608 - names of ours
    for step in STEPS:
        if step.version > newest:
            todo += [
                (f"migration {step.version}: {step.what}", statement.format(database=database))
                for statement in step.statements
            ]
            row = f"(version, what) VALUES ({step.version}, '{step.what}')"
            record = f"INSERT INTO `{database}`.`{VERSIONS}` {row}"
            todo.append((f"migration {step.version} is done", record))
    return todo


def _conformed(table: Table, known: dict[str, str] | None, indexed: set[str], database: str) -> list[tuple[str, str]]:
    if known is None:
        return [(f"make {table.name}", table.create(database))]
    adds = []
    for before, column in zip((None, *table.columns), table.columns, strict=False):
        if column.name not in known:
            adds.append(f"ADD COLUMN IF NOT EXISTS {column.sql} " + (f"AFTER `{before.name}`" if before else "FIRST"))
        elif known[column.name] != _spelt(column.type):
            raise WrongColumn(
                f"{database}.{table.name}.{column.name} is {known[column.name]}, not {column.type}; "
                "use another environment, or mend the table by hand"
            )
    what = [f"{len(adds)} columns"] if adds else []
    lacking = [
        f"ADD INDEX IF NOT EXISTS {sql.removeprefix('INDEX ')}"
        for name, sql in table.indexes.items()
        if name not in indexed
    ]
    what += [f"{len(lacking)} indexes"] if lacking else []
    if not what:
        return []
    alter = f"ALTER TABLE `{database}`.`{table.name}` {', '.join(adds + lacking)}"
    return [(f"add {' and '.join(what)} to {table.name}", alter)]


def _projected(table: Table, known: set[str], database: str) -> list[tuple[str, str]]:
    """The projections that an earlier table lacks. One added and not made yet answers from the rows, only slower."""
    lacking = [name for name in table.projections if name not in known]
    if not lacking:
        return []
    name = f"ALTER TABLE `{database}`.`{table.name}`"
    adds = ", ".join(
        f"ADD PROJECTION IF NOT EXISTS {table.projections[one].removeprefix('PROJECTION ')}" for one in lacking
    )
    makes = ", ".join(f"MATERIALIZE PROJECTION {one}" for one in lacking)
    return [
        (f"let {table.name} keep projections", f"{name} MODIFY SETTING {KEEPS_PROJECTIONS}"),
        (f"add {len(lacking)} projections to {table.name}", f"{name} {adds}"),
        (f"make {len(lacking)} projections of {table.name}", f"{name} {makes}"),
    ]


def _spelt(kind: str) -> str:
    """The type as system.columns spells it: names that need no quotes have none."""
    return kind.replace("`limit`", "limit").replace("`", "")


def _views(server: ClickHouse) -> list[tuple[str, str]]:
    rows = server.rows(
        "SELECT name, comment FROM system.tables WHERE database = {database:String} AND endsWith(engine, 'View')",
        {"database": server.database},
    )
    known = dict(rows)
    todo = []
    for view in views():
        digest = blake2b((view.sql + view.refresh).encode(), digest_size=8).hexdigest()
        comment = f"{view.doc} [{digest}]"
        if known.get(view.name) == comment:
            continue
        spelt = comment.replace("\\", "\\\\").replace("'", "\\'")
        body = view.sql.replace("{database}", server.database)
        name = f"`{server.database}`.`{view.name}`"
        if view.order_by:
            if view.name in known:
                todo.append((f"drop an older {view.name}", f"DROP TABLE IF EXISTS {name} SYNC"))
            order = ", ".join(view.order_by)
            head = f"CREATE MATERIALIZED VIEW {name} REFRESH {view.refresh} ENGINE = MergeTree ORDER BY ({order})"
        else:
            head = f"CREATE OR REPLACE VIEW {name}"
        todo.append((f"make view {view.name}", f"{head} AS\n{body}\nCOMMENT '{spelt}'"))
    return todo


def _indexes(server: ClickHouse) -> dict[str, set[str]]:
    """Names of the skipping indexes by table."""
    rows = server.rows(
        "SELECT table, name FROM system.data_skipping_indices WHERE database = {database:String}",
        {"database": server.database},
    )
    known: dict[str, set[str]] = {}
    for table, name in rows:
        known.setdefault(table, set()).add(name)
    return known


def _projections(server: ClickHouse) -> dict[str, set[str]]:
    """Names of the projections by table."""
    rows = server.rows(
        "SELECT table, name FROM system.projections WHERE database = {database:String}", {"database": server.database}
    )
    known: dict[str, set[str]] = {}
    for table, name in rows:
        known.setdefault(table, set()).add(name)
    return known


def _columns(server: ClickHouse) -> dict[str, dict[str, str]]:
    """Types by column by table."""
    rows = server.rows(
        "SELECT table, name, type FROM system.columns WHERE database = {database:String}", {"database": server.database}
    )
    known: dict[str, dict[str, str]] = {}
    for table, name, kind in rows:
        known.setdefault(table, {})[name] = kind
    return known
