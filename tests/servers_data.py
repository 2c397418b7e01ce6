"""Fixtures: a real ClickHouse and real schema registries, one of each for the whole run."""

import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from connectors.embedded.clickhouse import ClickHouseServer
from connectors.embedded.java import find_java
from connectors.embedded.ports import choose_free
from connectors.embedded.registry import RegistryServer

APICURIO_VERSION = "3.3.3"
APICURIO = "io/apicurio/apicurio-registry-app/{version}/apicurio-registry-app-{version}-all.tar.gz"


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


@pytest.fixture(scope="session")
def apicurio_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The Confluent API of a real Apicurio registry, run from its published archive on the bundled Java."""
    archive = _apicurio_archive()
    folder = tmp_path_factory.mktemp("apicurio")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    port = choose_free()
    environment = {**os.environ, "QUARKUS_HTTP_HOST": "127.0.0.1", "QUARKUS_HTTP_PORT": str(port)}
    command = [str(find_java().launcher), "-Xmx384m", "-XX:+UseSerialGC", "-jar", str(folder / "quarkus-run.jar")]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        url = f"http://127.0.0.1:{port}/apis/ccompat/v7"
        _wait_for_apicurio(server, url, folder / "log")
        yield url
    finally:
        server.terminate()
        server.wait(30)


def _apicurio_archive() -> Path:
    archive = Path.home() / ".m2/repository" / APICURIO.format(version=APICURIO_VERSION)
    maven = shutil.which("mvn")
    if not archive.exists() and maven:
        artifact = f"io.apicurio:apicurio-registry-app:{APICURIO_VERSION}:tar.gz:all"
        command = [maven, "-q", "-B", "dependency:get", f"-Dartifact={artifact}", "-Dtransitive=false"]
        subprocess.run(command, check=False, capture_output=True, timeout=600)
    if not archive.exists():
        pytest.skip(f"the archive of Apicurio {APICURIO_VERSION} is not in the local Maven repository, nor obtainable")
    return archive


def _wait_for_apicurio(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until_s = time.monotonic() + 120
    while time.monotonic() < until_s:
        assert server.poll() is None, log.read_text()[-2000:]
        try:
            if httpx.get(f"{url}/subjects", timeout=5, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    pytest.fail(f"Apicurio did not answer: {log.read_text()[-2000:]}")
