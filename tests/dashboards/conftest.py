"""One database for all questions of boards and alerts."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.migrate import migrate
from connectors.embedded.clickhouse import ClickHouseServer
from streams.replay.result import Result
from tests.dashboards.filled import fill


@dataclass(frozen=True, slots=True)
class Replayed:
    """The database of a replay, and its summary as `backtest` prints it."""

    server: ClickHouse
    result: Result


@pytest.fixture(scope="session")
def replayed(clickhouse_server: ClickHouseServer) -> Iterator[Replayed]:
    """The real tables and views with a year of records in them."""
    server = ClickHouse(clickhouse_server.url, f"ql_b{uuid.uuid4().hex[:12]}")
    migrate(server)
    yield Replayed(server, fill(server))
    server.command(f"DROP DATABASE `{server.database}`")
    server.close()


@pytest.fixture(scope="session")
def filled(replayed: Replayed) -> ClickHouse:
    """The database of the replay."""
    return replayed.server
