"""Fixtures: a real ClickHouse and a real schema registry, one of each for the whole run."""

from collections.abc import Iterator

import pytest

from connectors.embedded.clickhouse import ClickHouseServer


@pytest.fixture(scope="session")
def clickhouse_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    """A ClickHouse that all tests share: each works in a database or tables of its own name."""
    server = ClickHouseServer.start(tmp_path_factory.mktemp("clickhouse"), port=0)
    yield server
    server.stop()
