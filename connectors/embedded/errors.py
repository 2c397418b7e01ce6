"""Why a laptop's server could not do what was asked.

    EmbeddedError
    ├── PortTaken           another process listens where this server was told to
    ├── FolderUnwritable    the run's folder or the cache folder cannot be made or written
    ├── FolderCorrupt       the server refuses the files it finds in its folder
    ├── DiskFull            no room for the server's files
    ├── JavaMissing         no Java runtime to run Kafka with
    ├── PackageMissing      a Python package of the extra `embedded` is not installed
    ├── JarsUnobtainable    Kafka's jars are not cached and cannot be fetched
    ├── JarsAltered         a jar is not the one that was pinned
    ├── NotRunning          there is no such server to attach to
    ├── ServerExited        the server ended before it answered
    └── ServerSilent        the server is alive and does not answer

Each says what happened, why, and what the person can do next; none needs a traceback to be understood.
"""


class EmbeddedError(Exception):
    """A laptop's server could not do what was asked.

    `what` happened, `why` it did, and the `next_step` that helps: three phrases, shown together by `str`.
    """

    def __init__(self, what: str, why: str, next_step: str) -> None:
        super().__init__(what, why, next_step)
        self.what = what
        self.why = why
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.what}: {self.why}; {self.next_step}"


class PortTaken(EmbeddedError):
    """Another process listens on a port that was strictly demanded."""


class FolderUnwritable(EmbeddedError):
    """A folder that the server needs cannot be made or written."""


class FolderCorrupt(EmbeddedError):
    """The server ended at once on the files it found in its folder."""


class DiskFull(EmbeddedError):
    """The file system has no room for the server's files."""


class JavaMissing(EmbeddedError):
    """No Java runtime was found, or the one named does not run."""


class PackageMissing(EmbeddedError):
    """A Python package that the server runs on is not installed."""


class JarsUnobtainable(EmbeddedError):
    """Kafka's jars are neither cached nor can they be fetched."""


class JarsAltered(EmbeddedError):
    """A fetched jar differs from the one that was pinned."""


class NotRunning(EmbeddedError):
    """No server runs on this folder."""


class ServerExited(EmbeddedError):
    """The server ended before it answered."""


class ServerSilent(EmbeddedError):
    """The server is alive and did not answer in time."""
