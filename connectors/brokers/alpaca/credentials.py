"""Keys of an account: read from the environment or from files, and shown to nobody."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from connectors.brokers.keys import CredentialsUnusable, key_in, secret_in

KEY_VARIABLE = "APCA_API_KEY_ID"
SECRET_VARIABLE = "APCA_API_SECRET_KEY"  # noqa: S105 - the name of a variable, not what is in it


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """A key and its secret. Its text shows neither."""

    key: str
    secret: str

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None, prefix: str = "") -> "Credentials":
        """Keys in variables of Alpaca's own names, with a prefix where there are several accounts.

        Raises CredentialsUnusable.
        """
        variables = os.environ if environ is None else environ
        names = (prefix + KEY_VARIABLE, prefix + SECRET_VARIABLE)
        missing = [name for name in names if not variables.get(name, "").strip()]
        if missing:
            raise CredentialsUnusable(f"no value in the environment for {' and '.join(missing)}; set it, or use files")
        return cls(variables[names[0]].strip(), variables[names[1]].strip())

    @classmethod
    def from_files(cls, key_file: Path, secret_file: Path) -> "Credentials":
        """Keys in two files, as container platforms mount them; the secret's may be read by its owner (and group) only.

        Raises CredentialsUnusable.
        """
        secret = secret_in(secret_file)
        return cls(key_in(key_file), secret)

    def headers(self) -> dict[str, str]:
        """What a request carries to prove who asks."""
        return {"APCA-API-KEY-ID": self.key, "APCA-API-SECRET-KEY": self.secret}

    def __repr__(self) -> str:
        return "Credentials(key=***, secret=***)"
