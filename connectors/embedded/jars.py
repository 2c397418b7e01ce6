"""Apache Kafka's jars: pinned by name, size and SHA-256, fetched once, kept in the user's cache.

`kafka-<version>.lock` beside this file names every jar. `python -m connectors.embedded.jars` resolves the dependency
tree anew and prints the lock that belongs to it: how a new version of Kafka is taken in.
"""

import hashlib
import re
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from connectors.embedded.errors import JarsAltered, JarsUnobtainable
from connectors.embedded.folders import explain, make_writable, sole_use

if TYPE_CHECKING:
    from jgo.maven import MavenContext

KAFKA_VERSION = "4.3.0"
KAFKA = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}"
# Kafka writes its log through SLF4J, and the published dependency tree lacks the binding to its own log library.
# It is resolved apart from Kafka: its own dependency pins would change Kafka's.
LOG_BINDING = "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4"

_FETCHES_AT_ONCE = 8
_OFFLINE_STEP = (
    "connect once, or name the folder of an existing Apache Kafka 4 on this machine "
    "(QL_KAFKA_DIR, or kafka_dir= in Python)"
)

Say = Callable[[str], None]
"""Told what is going on, one line at a time, for a person to read."""


def say_on_stderr(line: str) -> None:
    """Where what is going on is told when nobody says otherwise."""
    print(line, file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True)
class KafkaJars:
    """A complete set of Kafka's jars: the version, and the files in class path order."""

    version: str
    paths: tuple[Path, ...]

    @property
    def class_path(self) -> str:
        """As Java's -cp wants it."""
        return ":".join(map(str, self.paths))


@dataclass(frozen=True, slots=True)
class PinnedJar:
    """One line of the lock."""

    sha256: str
    size_bytes: int
    coordinate: str

    @property
    def file_name(self) -> str:
        """As the jar is called in the cache and in a Kafka distribution."""
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"


def pinned_jars() -> list[PinnedJar]:
    """The lock of the version that this project runs."""
    lines = Path(__file__).with_name(f"kafka-{KAFKA_VERSION}.lock").read_text(encoding="utf-8").splitlines()
    return [PinnedJar(sha256, int(size), coordinate) for sha256, size, coordinate in (line.split() for line in lines)]


def jars_of_distribution(kafka_dir: Path) -> KafkaJars:
    """The jars of a Kafka that is already on this machine: its folder, or the `libs` folder in it.

    Raises JarsUnobtainable when there is no Kafka 4 or later in it.
    """
    libs = kafka_dir / "libs" if (kafka_dir / "libs").is_dir() else kafka_dir
    step = "name the folder that an Apache Kafka 4 archive unpacks to"
    core = sorted(libs.glob("kafka_2.13-*.jar"))
    found = [match for jar in core if (match := re.fullmatch(r"kafka_2\.13-(\d[\d.]*)\.jar", jar.name))]
    if not found:
        raise JarsUnobtainable(f"{kafka_dir} is not a Kafka folder", "it has no libs/kafka_2.13-<version>.jar", step)
    version = found[-1][1]
    if int(version.split(".")[0]) < 4:
        raise JarsUnobtainable(f"the Kafka in {kafka_dir} is too old", f"it is {version}", step)
    return KafkaJars(version, tuple(sorted(libs.glob("*.jar"))))


def cached_jars(cache: Path, say: Say, *, mirror: str | None = None) -> KafkaJars:
    """The pinned jars, from the cache folder; on the first call they are fetched into it, told through `say`.

    `mirror` is the address of a Maven repository to fetch from in place of the public one.
    What was fetched is kept when a fetch breaks off, and checked again by the next.
    Raises JarsUnobtainable, JarsAltered, FolderUnwritable or DiskFull.
    """
    pinned = pinned_jars()
    folder = cache / f"kafka-{KAFKA_VERSION}"
    jars = KafkaJars(KAFKA_VERSION, tuple(folder / jar.file_name for jar in pinned))
    if _complete(folder, pinned):
        return jars
    size_bytes = sum(jar.size_bytes for jar in pinned)
    make_writable(cache, room_bytes_min=3 * size_bytes)
    with sole_use(cache):
        if not _complete(folder, pinned):
            say(
                f"Fetching Apache Kafka {KAFKA_VERSION}, once: {len(pinned)} files, "
                f"{size_bytes / 1e6:.0f} MB, into {folder}"
            )
            try:
                _fetch_all(pinned, folder, _maven(cache / "fetched", mirror), say)
            except OSError as error:
                raise explain(error, cache) from error
            say(f"Apache Kafka {KAFKA_VERSION} is there; every file has its pinned SHA-256")
    return jars


def _complete(folder: Path, pinned: Sequence[PinnedJar]) -> bool:
    """Whether the folder holds the set. It is renamed into place only when every checksum was right, so sizes do."""
    try:
        return all((folder / jar.file_name).stat().st_size == jar.size_bytes for jar in pinned)
    except OSError:
        return False


def _fetch_all(pinned: Sequence[PinnedJar], folder: Path, context: "MavenContext", say: Say) -> None:
    progress = _Progress(sum(jar.size_bytes for jar in pinned), say)

    def fetch(jar: PinnedJar) -> Path:
        path = _fetch(context, jar)
        progress.add(jar.size_bytes)
        return path

    with ThreadPoolExecutor(_FETCHES_AT_ONCE) as pool:
        try:
            paths = list(pool.map(fetch, pinned))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    whole = Path(tempfile.mkdtemp(prefix=".kafka-", dir=folder.parent))
    try:
        for path in paths:
            path.rename(whole / path.name)
        shutil.rmtree(folder, ignore_errors=True)
        whole.rename(folder)
    finally:
        shutil.rmtree(whole, ignore_errors=True)
    shutil.rmtree(context.repo_cache, ignore_errors=True)


def _fetch(context: "MavenContext", jar: PinnedJar) -> Path:
    artifact = context.create_dependency(jar.coordinate).artifact
    kept = artifact.cached_path
    if kept is not None and kept.exists() and _sha256(kept) != jar.sha256:
        kept.unlink()  # half of it, from a fetch that broke off
    try:
        path = Path(artifact.resolve())
    # jgo says RuntimeError when no repository has the file.
    except (requests.RequestException, RuntimeError) as error:
        raise JarsUnobtainable(
            f"Apache Kafka {KAFKA_VERSION} cannot be fetched", f"{jar.file_name}: {_shortly(error)}", _OFFLINE_STEP
        ) from error
    if (actual := _sha256(path)) != jar.sha256:
        path.unlink()
        raise JarsAltered(
            f"{jar.file_name} is not the pinned one",
            f"its SHA-256 is {actual} where {jar.sha256} is pinned",
            "try again on a network that you trust; nothing of it was kept",
        )
    return path


def _maven(kept_in: Path, mirror: str | None = None) -> "MavenContext":
    from jgo.maven import MavenContext  # noqa: PLC0415 - not needed, nor perhaps installed, where jars are at hand

    return MavenContext(repo_cache=kept_in, remote_repos={"mirror": mirror} if mirror else None, timeout=30)


def _shortly(error: Exception) -> str:
    innermost: BaseException = error
    while innermost.__context__ is not None:
        innermost = innermost.__context__
    return str(innermost) or type(innermost).__name__


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Progress:
    """Says each further tenth, from whichever thread reaches it."""

    def __init__(self, total_bytes: int, say: Say) -> None:
        self._total_bytes = total_bytes
        self._say = say
        self._done_bytes = 0
        self._tenths_said = 0
        self._lock = threading.Lock()

    def add(self, size_bytes: int) -> None:
        with self._lock:
            self._done_bytes += size_bytes
            tenths = 10 * self._done_bytes // self._total_bytes
            if tenths > self._tenths_said:
                self._tenths_said = tenths
                self._say(f"  {self._done_bytes / 1e6:.0f} of {self._total_bytes / 1e6:.0f} MB")


def resolve_lock(repository: Path) -> list[PinnedJar]:
    """Resolve Kafka's dependency tree anew and fetch it: the lock to commit for a new version."""
    context = _maven(repository)
    roots, others = context.resolver.resolve([context.create_dependency(KAFKA)])
    artifacts = [each.artifact for each in (*roots, *others) if each.scope not in ("test", "provided")]
    artifacts.append(context.create_dependency(LOG_BINDING).artifact)
    pinned = []
    for artifact in artifacts:
        path = Path(artifact.resolve())
        coordinate = f"{artifact.groupId}:{artifact.artifactId}:{artifact.version}"
        pinned.append(PinnedJar(_sha256(path), path.stat().st_size, coordinate))
    return sorted(pinned, key=lambda jar: jar.file_name)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        for each in resolve_lock(Path(scratch)):
            print(each.sha256, each.size_bytes, each.coordinate)
