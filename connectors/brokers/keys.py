"""Keys of accounts: read from files or from the environment, and shown to nobody."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path


class CredentialsUnusable(Exception):
    """The keys could not be had; the message says where they were looked for, never what was found."""


def key_in(file: Path) -> str:
    """The one word in a file, as container platforms mount it. Raises CredentialsUnusable."""
    try:
        text = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CredentialsUnusable(f"{file} cannot be read as text; name a file that can") from error
    if not text or len(text.split()) != 1:
        raise CredentialsUnusable(f"{file} does not hold one word; put the key there and nothing else")
    return text


def secret_in(file: Path) -> str:
    """As `key_in`, of a file that its owner (and group) alone may read. Raises CredentialsUnusable."""
    try:
        mode = file.stat().st_mode
    except OSError as error:
        raise CredentialsUnusable(f"{file} cannot be read: {error.strerror}; name a file that can") from error
    if stat.S_IMODE(mode) & stat.S_IRWXO:
        raise CredentialsUnusable(f"everybody may read {file}; take the right away (chmod o-rwx)")
    return key_in(file)


def named(what: str, file: str, variable: str, environ: Mapping[str, str] | None = None) -> str:
    """The secret `what`, from the file or else from the variable; one of both must be named.

    Raises CredentialsUnusable.
    """
    if file:
        return secret_in(Path(file))
    variables = os.environ if environ is None else environ
    if not variable:
        raise CredentialsUnusable(f"{what} is nowhere: name a file or a variable of the environment that holds it")
    if not (value := variables.get(variable, "").strip()):
        raise CredentialsUnusable(f"no value in the environment for {variable}, which is to hold {what}; set it")
    return value
