"""One database for all questions of boards and alerts."""

import uuid
from collections.abc import Iterator

import pytest

from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.migrate import migrate
from connectors.embedded.clickhouse import ClickHouseServer
from tests.dashboards.filled import fill


@pytest.fixture(scope="session")
def filled(clickhouse_server: ClickHouseServer) -> Iterator[ClickHouse]:
    """The real tables and views, with a year of records in them."""
    server = ClickHouse(clickhouse_server.url, f"ql_b{uuid.uuid4().hex[:12]}")
    migrate(server)
    fill(server)
    yield server
    server.command(f"DROP DATABASE `{server.database}`")
    server.close()
