"""What it takes to run Kafka on this machine: a Java, the jars, and a start-up cache trained once."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from connectors.embedded.folders import user_cache
from connectors.embedded.jars import KafkaJars, Say, cached_jars, jars_of_distribution, say_on_stderr
from connectors.embedded.java import Java, find_java
from connectors.embedded.kafka_properties import JAVA_OPTIONS

_OLDEST_WITH_START_UP_CACHE = 25

# Options that a person's other Java programs want would change this one and make its start-up cache useless.
_FOREIGN_OPTIONS = ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS")


@dataclass(frozen=True, slots=True)
class Runtime:
    """A Java and Kafka's jars; with `start_up_cache`, loaded classes from an earlier run to start from."""

    java: Java
    jars: KafkaJars
    cache: Path
    start_up_cache: Path | None = None

    def command(self, main_class: str, arguments: Sequence[str], options: Sequence[str] = ()) -> list[str]:
        """The command line that runs a main class of Kafka's."""
        cached = [f"-XX:AOTCache={self.start_up_cache}"] if self.start_up_cache else []
        return [
            str(self.java.launcher), *JAVA_OPTIONS, *self._quiet, *cached, *options,
            "-cp", self.jars.class_path, main_class, *arguments,
        ]  # fmt: skip

    @property
    def _quiet(self) -> list[str]:
        """Compression libraries load native code; newer Javas warn of that unless told that it is meant."""
        return ["--enable-native-access=ALL-UNNAMED"] if self.java.major >= 22 else []

    @property
    def start_up_cache_path(self) -> Path | None:
        """Where a start-up cache for exactly this Java, these jars and these options lies; None if Java is too old."""
        if self.java.major < _OLDEST_WITH_START_UP_CACHE:
            return None
        parts = [self.java.version, str(self.java.launcher), *JAVA_OPTIONS, *self._quiet]
        for path in self.jars.paths:
            at = path.stat()
            parts.append(f"{path} {at.st_size} {at.st_mtime_ns}")
        return self.cache / f"start-up-{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:16]}.aot"

    def with_start_up_cache(self) -> "Runtime":
        """The same, started from the cache where one is there."""
        path = self.start_up_cache_path
        return replace(self, start_up_cache=path) if path is not None and path.exists() else self


def find_runtime(
    *, kafka_dir: Path | None = None, cache: Path | None = None, java: Path | None = None, say: Say = say_on_stderr
) -> Runtime:
    """Find Java and the jars, fetching the jars on the first call unless `kafka_dir` names an existing Kafka.

    `cache` is where jars and the start-up cache are kept, the user's cache folder by default.
    Raises JavaMissing, JarsUnobtainable, JarsAltered, FolderUnwritable or DiskFull.
    """
    kept = cache or user_cache() / "kafka"
    found = find_java(java)
    jars = jars_of_distribution(kafka_dir) if kafka_dir else cached_jars(kept, say)
    return Runtime(found, jars, kept).with_start_up_cache()


def environment() -> dict[str, str]:
    """This process's environment without what would change the JVM behind our back, and with names in UTF-8."""
    kept = {name: value for name, value in os.environ.items() if name not in _FOREIGN_OPTIONS}
    return kept | {"LC_ALL": "C.UTF-8"}
