"""A database of its own for each test, on the ClickHouse that all share."""

import uuid
from collections.abc import Iterator

import pytest

from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.migrate import migrate
from connectors.embedded.clickhouse import ClickHouseServer


@pytest.fixture
def empty(clickhouse_server: ClickHouseServer) -> Iterator[ClickHouse]:
    """A name for a database that does not exist yet."""
    server = ClickHouse(clickhouse_server.url, f"ql_t{uuid.uuid4().hex[:12]}")
    yield server
    server.command(f"DROP DATABASE IF EXISTS `{server.database}`")
    server.close()


@pytest.fixture
def database(empty: ClickHouse) -> ClickHouse:
    """A database with all tables and views, empty."""
    migrate(empty)
    return empty
