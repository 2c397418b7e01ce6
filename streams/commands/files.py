"""Files that commands write: whole or not at all; and what the file system's refusals mean to a person."""

import errno
import os
from pathlib import Path

from streams.commands.outcome import Exit, Stop

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
CLOSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.EISDIR})


def write_whole(path: Path, text: str, otherwise: Exit = Exit.CONFIG) -> None:
    """Put the text into the file, wholly or not at all: what was there before stays where it cannot be written.

    `otherwise` is how a command ends whose place for the file is not one to write.
    """
    half = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        half.write_text(text, encoding="utf-8")
        half.replace(path)
    except OSError as error:
        _forget(half)
        raise refusal(error, path, otherwise) from error


def _forget(half: Path) -> None:
    try:
        half.unlink(missing_ok=True)
    except OSError:  # its folder is no folder, or closed: then it was never made
        return


def refusal(error: OSError, path: Path | None = None, otherwise: Exit = Exit.CONFIG) -> Stop:
    """The file system's error as a Stop."""
    where = path or error.filename2 or error.filename or "the file"
    why = error.strerror or str(error)
    if error.errno in FULL:
        return Stop(
            f"{where} cannot be written whole, and nothing was kept of it",
            why=why,
            next_step="free some space, or name another folder; then the same command may be repeated",
        )
    if error.errno in CLOSED:
        return Stop(f"{where} cannot be written", why=why, next_step="name a place that is yours", code=otherwise)
    return Stop(f"{where}: {why}", next_step="the same command may be repeated")
