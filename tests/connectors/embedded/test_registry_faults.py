"""The embedded schema registry when it is killed, restarted or given a bad folder."""

import sqlite3
import threading
from pathlib import Path

import httpx
import pytest

from connectors.embedded.errors import FolderCorrupt, NotRunning
from connectors.embedded.registry import RegistryServer
from connectors.registry.compatibility import Level

pytestmark = [pytest.mark.servers, pytest.mark.faults]


def schema(number: int) -> str:
    return f'{{"type":"record","name":"R{number}","fields":[]}}'


def test_kill_9_keeps_every_acknowledged_schema_with_its_id(tmp_path: Path) -> None:
    server = RegistryServer.start(tmp_path, port=0)
    acknowledged: dict[str, int] = {}
    enough = threading.Event()

    def register_until_it_dies() -> None:
        with httpx.Client(base_url=server.url, trust_env=False) as http:
            for number in range(100_000):
                try:
                    answer = http.post(f"/subjects/s{number}/versions", json={"schema": schema(number)})
                except httpx.TransportError:
                    return
                acknowledged[f"s{number}"] = answer.json()["id"]
                if number == 50:
                    enough.set()

    writer = threading.Thread(target=register_until_it_dies)
    writer.start()
    assert enough.wait(60)
    server.kill()
    writer.join(60)
    again = RegistryServer.start(tmp_path, port=server.port)
    try:
        with httpx.Client(base_url=again.url, trust_env=False) as http:
            found = {
                name: http.get(f"/subjects/{name}/versions/1").json()["id"] for name in http.get("/subjects").json()
            }
            further = http.post("/subjects/further/versions", json={"schema": schema(-1)}).json()
    finally:
        again.stop()
    assert {name: found.get(name) for name in acknowledged} == acknowledged
    assert len(found) - len(acknowledged) <= 1
    assert "id" not in further or further["id"] > max(found.values())


def test_a_restart_keeps_levels_and_modes(tmp_path: Path) -> None:
    server = RegistryServer.start(tmp_path, port=0)
    httpx.put(f"{server.url}/config/s", json={"compatibility": "FULL"}).raise_for_status()
    httpx.put(f"{server.url}/mode", json={"mode": "READONLY"}).raise_for_status()
    server.stop()
    again = RegistryServer.start(tmp_path, port=0)
    kept = [httpx.get(again.url + path).json() for path in ("/config/s", "/mode")]
    again.stop()
    assert kept == [{"compatibilityLevel": "FULL"}, {"mode": "READONLY"}]


def test_the_level_of_all_may_be_chosen_at_the_start(tmp_path: Path) -> None:
    server = RegistryServer.start(tmp_path, port=0, level=Level.FULL_TRANSITIVE)
    chosen = httpx.get(f"{server.url}/config").json()
    server.stop()
    assert chosen == {"compatibilityLevel": "FULL_TRANSITIVE"}


def test_started_twice_on_a_folder_it_is_one_server(tmp_path: Path) -> None:
    said: list[str] = []
    server = RegistryServer.start(tmp_path, port=0)
    assert RegistryServer.start(tmp_path, port=0, say=said.append) == server
    assert said == [f"schema registry already runs at {server.url} (process {server.pid})"]
    server.stop()
    assert not server.alive
    with pytest.raises(NotRunning, match="no schema registry runs on"):
        RegistryServer.attach(tmp_path)


def test_a_file_that_is_not_the_registry_s_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "registry.sqlite").write_bytes(b"this is not a database, " * 100)
    with pytest.raises(
        FolderCorrupt, match=r"schema registry cannot open .*file is not a database; move that folder away"
    ):
        RegistryServer.start(tmp_path, port=0)


def test_a_damaged_file_is_an_error(tmp_path: Path) -> None:
    server = RegistryServer.start(tmp_path, port=0)
    with httpx.Client(base_url=server.url, trust_env=False) as http:
        for number in range(100):
            http.post(f"/subjects/s{number}/versions", json={"schema": schema(number)}).raise_for_status()
    server.stop()
    file = tmp_path / "registry.sqlite"
    whole = bytearray(file.read_bytes())
    whole[4096 * 2 : 4096 * 6] = b"\xa5" * 4096 * 4
    file.write_bytes(whole)
    with pytest.raises(FolderCorrupt, match="schema registry cannot open"):
        RegistryServer.start(tmp_path, port=0)


def test_a_file_in_use_by_another_registry_is_an_error(tmp_path: Path) -> None:
    server = RegistryServer.start(tmp_path, port=0)
    (tmp_path / "server.json").unlink()
    try:
        with pytest.raises(FolderCorrupt, match="database is locked"):
            RegistryServer.start(tmp_path, port=0)
        assert httpx.get(f"{server.url}/subjects").json() == []
    finally:
        server.stop()


def test_a_stopped_registry_leaves_one_file_that_sqlite_reads(tmp_path: Path) -> None:
    server = RegistryServer.start(tmp_path, port=0)
    httpx.post(f"{server.url}/subjects/s/versions", json={"schema": schema(1)}).raise_for_status()
    server.stop()
    assert [file.name for file in tmp_path.glob("registry.sqlite*")] == ["registry.sqlite"]
    database = sqlite3.connect(tmp_path / "registry.sqlite")
    assert database.execute("SELECT subject, version FROM versions").fetchall() == [("s", 1)]
    database.close()
