"""A real ClickHouse server, where a container can run: it has users and row policies, and the engine here has none."""

import re
from collections.abc import Iterator

import docker
import pytest
from docker.errors import DockerException
from msgspec.structs import replace
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import HttpWaitStrategy

from connectors.clickhouse.access import statements
from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.migrate import migrate
from connectors.errors import Refused
from schemas.execution import Fill
from schemas.topics import ACCOUNTS_EVENTS
from tests.connectors.clickhouse.kept import column, keep
from tests.paths import ROOT
from tests.schemas.examples import example

pytestmark = [pytest.mark.docker, pytest.mark.servers, pytest.mark.slow]

PORT = 8123
ADMIN, SECRET = "admin", "of-a-container-that-ends"
DATABASE = "ql_paper"


def image() -> str:
    """The image that the compose file pins."""
    found = re.search(r"image: (clickhouse/\S+)", (ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    assert found is not None
    return found[1]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The address of a server in a container."""
    try:
        docker.from_env().ping()
    except DockerException as error:
        pytest.skip(f"no Docker daemon answers here: {str(error)[:100]}")
    container = (
        DockerContainer(image())
        .with_env("CLICKHOUSE_USER", ADMIN)
        .with_env("CLICKHOUSE_PASSWORD", SECRET)
        .with_env("CLICKHOUSE_DEFAULT_ACCESS_MANAGEMENT", "1")
        .with_exposed_ports(PORT)
        .waiting_for(HttpWaitStrategy(PORT, "/ping"))
    )
    with container as running:
        yield f"http://{running.get_container_host_ip()}:{running.get_exposed_port(PORT)}"


@pytest.fixture(scope="module")
def server(url: str) -> Iterator[ClickHouse]:
    """The environment's database with a fill of each of two accounts."""
    admin = ClickHouse(url, DATABASE, user=ADMIN, password=SECRET)
    assert migrate(admin)
    fills = [replace(example(Fill), account_id=name, fill_id=f"{name}-1") for name in ("alice", "bob")]
    assert keep(admin, [(ACCOUNTS_EVENTS, fill) for fill in fills]) > 0
    yield admin
    admin.close()


def test_every_table_view_and_summary_is_made_and_a_second_migration_changes_nothing(server: ClickHouse) -> None:
    assert migrate(server) == []


def test_a_chunk_written_again_under_its_token_is_there_once(server: ClickHouse) -> None:
    fill = replace(example(Fill), account_id="carol", fill_id="carol-1")
    for _ in range(2):
        keep(server, [(ACCOUNTS_EVENTS, fill)], token="again")
    assert column(server, "SELECT count() FROM {db}.fill WHERE account_id = 'carol'") == [1]


def test_an_analyst_reads_the_rows_of_the_named_account_and_writes_nothing(server: ClickHouse, url: str) -> None:
    for statement in statements("paper", ["alice"]):
        server.command(statement)
    server.command(f"CREATE USER ann IDENTIFIED BY '{SECRET}' DEFAULT ROLE `{DATABASE}_analyst`")
    ann = ClickHouse(url, DATABASE, user="ann", password=SECRET)
    try:
        assert set(column(ann, "SELECT DISTINCT account_id FROM {db}.fills")) == {"alice"}
        assert set(column(server, "SELECT DISTINCT account_id FROM {db}.fills")) >= {"alice", "bob"}
        for closed in ("SELECT count() FROM {db}.events", "TRUNCATE TABLE {db}.fill"):
            with pytest.raises(Refused):
                ann.command(closed.replace("{db}", DATABASE))
    finally:
        ann.close()
