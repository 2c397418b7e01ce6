"""Access: who may read what on a ClickHouse that many use, as SQL to run once by an administrator.

    python -m connectors.clickhouse.access ENVIRONMENT [ACCOUNT ...]

An analyst is a user with the role: `CREATE USER ann IDENTIFIED BY '...' DEFAULT ROLE ql_ENVIRONMENT_analyst`.
Analysts read, within a quota, and where accounts are named only the rows of these: tables that bear an account have a
row policy, and those that hold records of all accounts as bytes are closed. Views run as who asks, so the policies hold
in them. The engine on a laptop knows no users; there the statements are only checked.
"""

import re
import sys
from collections.abc import Iterator, Sequence

from connectors.clickhouse.client import database_of
from connectors.clickhouse.tables import CHUNKS, EVENTS, tables

QUERIES_AN_HOUR = 20_000
"""Of one analyst; a board of twenty panels that refreshes each ten seconds asks half of it."""
SECONDS_AN_HOUR = 3_600
"""Of work for one analyst."""
QUERY_S, QUERY_S_MAX = 30, 300
"""Seconds for one question, and how many may be asked for."""
QUERY_BYTES_MAX = 8 * 2**30
"""Memory of one question."""
AS_BYTES = (EVENTS, "dead_letter", "unreadable_record", CHUNKS)
"""Tables that hold other records as bytes, or tell where they lie."""
_ACCOUNT = re.compile(r"^[A-Za-z0-9._-]+$")


def statements(environment: str, accounts: Sequence[str] = ()) -> Iterator[str]:
    """Every statement, in order; each may be repeated. Raises ValueError for an account that is no plain name."""
    for account in accounts:
        if not _ACCOUNT.match(account):
            raise ValueError(f"{account!r} is no account id; use letters, digits, dots, dashes and underscores")
    database = database_of(environment)
    analyst = f"{database}_analyst"
    yield f"CREATE ROLE IF NOT EXISTS `{analyst}`"
    yield (
        f"CREATE SETTINGS PROFILE IF NOT EXISTS `{analyst}` SETTINGS readonly = 2, "
        f"max_execution_time = {QUERY_S} MIN 1 MAX {QUERY_S_MAX}, "
        f"max_memory_usage = {QUERY_BYTES_MAX} MAX {QUERY_BYTES_MAX} TO `{analyst}`"
    )
    yield (
        f"CREATE QUOTA IF NOT EXISTS `{analyst}` KEYED BY user_name FOR INTERVAL 1 hour "
        f"MAX queries = {QUERIES_AN_HOUR}, execution_time = {SECONDS_AN_HOUR} TO `{analyst}`"
    )
    yield f"GRANT SELECT ON `{database}`.* TO `{analyst}`"
    if not accounts:
        return
    for name in AS_BYTES:
        yield f"REVOKE SELECT ON `{database}`.`{name}` FROM `{analyst}`"  # noqa: S608 - names of ours
    named = ", ".join(f"'{account}'" for account in accounts)
    for table in tables():
        if any(column.name == "account_id" for column in table.columns):
            where = f"ON `{database}`.`{table.name}` FOR SELECT USING"
            yield f"CREATE ROW POLICY IF NOT EXISTS `{analyst}` {where} account_id IN ({named}) TO `{analyst}`"
            yield f"CREATE ROW POLICY IF NOT EXISTS `{database}_all` {where} 1 TO ALL EXCEPT `{analyst}`"


def main(arguments: Sequence[str]) -> int:
    """Print the statements."""
    if not arguments:
        print("name the environment, and the accounts that analysts may see", file=sys.stderr)
        return 2
    for statement in statements(arguments[0], arguments[1:]):
        print(f"{statement};")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
