"""Fixtures: a real ClickHouse and a real schema registry, one of each for the whole run."""

from collections.abc import Iterator

import pytest

from connectors.embedded.clickhouse import ClickHouseServer
from connectors.embedded.registry import RegistryServer


@pytest.fixture(scope="session")
def clickhouse_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    """A ClickHouse that all tests share: each works in a database or tables of its own name."""
    server = ClickHouseServer.start(tmp_path_factory.mktemp("clickhouse"), port=0)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def registry_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    """A schema registry that all tests share: each registers under subjects of its own name."""
    server = RegistryServer.start(tmp_path_factory.mktemp("registry"), port=0)
    yield server
    server.stop()
