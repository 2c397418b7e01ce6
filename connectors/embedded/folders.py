"""Folders in which a laptop's servers keep things."""

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from connectors.embedded.errors import DiskFull, EmbeddedError, FolderUnwritable


def user_cache() -> Path:
    """The person's cache folder for this project: under XDG_CACHE_HOME, else under ~/.cache."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "quantumleap"


def make_writable(folder: Path, *, room_bytes_min: int = 0) -> None:
    """Make the folder with its parents and see that a file can be written into it.

    Raises FolderUnwritable, or DiskFull where fewer than `room_bytes_min` bytes are free.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"\0")
            probe.flush()
        free_bytes = shutil.disk_usage(folder).free
    except OSError as error:
        raise explain(error, folder) from error
    if free_bytes < room_bytes_min:
        raise DiskFull(
            f"{folder} has no room",
            f"{free_bytes // 2**20} MB are free and {room_bytes_min // 2**20} MB are needed",
            "free some space or name a folder on another disk",
        )


def explain(error: OSError, folder: Path) -> EmbeddedError:
    """The error of the file system, in our words."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(f"{folder} has no room", str(error), "free some space or name a folder on another disk")
    return FolderUnwritable(f"{folder} cannot be written", str(error), "name a folder of your own that is writable")


def write_whole(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Put the text into the file, wholly or not at all. Raises FolderUnwritable or DiskFull."""
    half = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        half.write_text(text, encoding="utf-8")
        half.chmod(mode)
        half.replace(path)
    except OSError as error:
        half.unlink(missing_ok=True)
        raise explain(error, path.parent) from error


@contextmanager
def sole_use(folder: Path) -> Iterator[None]:
    """Let one process at a time work in the folder; the others wait. A dead process holds nothing."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
