"""Our own HTTP servers: how one is started on a folder, and how its process serves.

The starter opens the listening socket and hands it down, so the port is certain before the server runs and nobody can
take it in between; requests wait in the socket's queue until the server answers.
"""

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psutil

import connectors
from connectors.embedded import process
from connectors.embedded.errors import FolderCorrupt, NotRunning, PackageMissing, PortTaken, ServerExited, ServerSilent
from connectors.embedded.folders import make_writable, sole_use
from connectors.embedded.ports import LOOPBACK, choose_free
from connectors.embedded.process import ServerProcess

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

OPTIONS = "QUANTUMLEAP_EMBEDDED_OPTIONS"
"""Environment variable that carries a server's options as JSON: a password does not belong on a command line."""
UNREADABLE = 65
"""Exit code (EX_DATAERR) of a server that cannot open what it finds in its folder."""

_ROOM_BYTES_MIN = 64 * 2**20
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]", "host.docker.internal"})

Say = Callable[[str], None]


def silent(_: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of our servers.

    `name` is for people, `module` is run, `port` is the usual one, `ready_path` answers when it is ready, and `needs`
    are the packages without which it does not start.
    """

    name: str
    module: str
    port: int
    ready_path: str
    needs: tuple[str, ...]


def start(
    kind: Kind,
    folder: Path,
    *,
    port: int | None = None,
    options: Mapping[str, object] | None = None,
    say: Say = silent,
    patience_s: float = 60,
) -> ServerProcess:
    """Start the server and return when it answers; where one runs already on this folder, report and return that.

    `port` None means the kind's own, or a free one when that is taken, which is said; 0 means any free one; another
    number means that port and no other. Raises PackageMissing, PortTaken, FolderUnwritable, FolderCorrupt,
    DiskFull, ServerExited or ServerSilent.
    """
    _check_packages(kind)
    make_writable(folder, room_bytes_min=_ROOM_BYTES_MIN)
    folder = folder.resolve()
    with sole_use(folder):
        try:
            running = process.attach(folder, kind.name)
        except NotRunning:
            pass
        else:
            _wait(kind, running, patience_s)
            say(f"{kind.name} already runs at {url(running)} (process {running.pid})")
            return running
        with _listen(kind, port, say) as listener:
            chosen = int(listener.getsockname()[1])
            command = [sys.executable, "-P", "-m", kind.module, str(folder), str(listener.fileno())]
            code = str(Path(connectors.__file__).parent.parent)
            path = os.pathsep.join(filter(None, [code, os.environ.get("PYTHONPATH", "")]))
            environment = {OPTIONS: json.dumps(dict(options or {})), "PYTHONPATH": path}
            started = process.spawn(
                command, folder, port=chosen, environment=environment, keep_open=[listener.fileno()]
            )
        _wait(kind, started, patience_s)
    return started


def _check_packages(kind: Kind) -> None:
    missing = [package for package in kind.needs if find_spec(package) is None]
    if missing:
        raise PackageMissing(
            f"{kind.name} cannot start",
            f"Python packages are not installed: {', '.join(missing)}",
            "install them with `pip install 'quantumleap[embedded]'`",
        )


def url(server: ServerProcess) -> str:
    """The server's address."""
    return f"http://{LOOPBACK}:{server.port}"


def serve(app: "ASGIApp", descriptor: int) -> None:
    """Serve the app on the inherited socket until asked to end (SIGTERM, SIGINT)."""
    import uvicorn  # noqa: PLC0415 - only the server's own process needs it

    # uvicorn sends itself the signal again when it has ended; the caller is to close what it opened, not to die of it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    listener = socket.socket(fileno=descriptor)
    # The app has no start-up of its own: what may fail has been opened before this call.
    config = uvicorn.Config(
        _only_local(app), log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=3
    )
    uvicorn.Server(config).run(sockets=[listener])


def _leave(_number: int, _frame: object) -> None:
    sys.exit(0)


def _only_local(app: "ASGIApp") -> "ASGIApp":
    """Refuse what a web page in this machine's browser sends: it could reach a loopback server, and no person asked."""
    from starlette.responses import PlainTextResponse  # noqa: PLC0415 - only the server's own process needs it

    async def guarded(scope: "Scope", receive: "Receive", send: "Send") -> None:
        headers = {name: value.decode("latin-1") for name, value in scope.get("headers", [])}
        host = headers.get(b"host", "localhost").rpartition("@")[2].rstrip(".").lower()
        name = host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
        foreign = headers.get(b"sec-fetch-site") in ("cross-site", "same-site")
        if foreign or not (name in _LOCAL_NAMES or name.endswith(".localhost")):
            refusal = PlainTextResponse(f"This server serves its own machine only, not {name}.\n", status_code=403)
            await refusal(scope, receive, send)
        else:
            await app(scope, receive, send)

    return guarded


def options() -> dict[str, str | None]:
    """The options that the starter gave to this process."""
    given: dict[str, str | None] = json.loads(os.environ.get(OPTIONS, "{}"))
    return given


def _wait(kind: Kind, server: ServerProcess, patience_s: float) -> None:
    """Return when the server answers."""
    until_s = time.monotonic() + patience_s
    with httpx.Client(trust_env=False, timeout=1) as client:
        while time.monotonic() < until_s:
            if not server.alive:
                raise _ended(kind, server)
            try:
                if client.get(url(server) + kind.ready_path).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                time.sleep(0.02)
    server.kill()
    raise ServerSilent(
        f"{kind.name} on {server.folder} does not answer",
        f"no answer within {patience_s:g} s; it was ended. Its last words: {server.log_tail() or 'none'}",
        "start it again when the machine is less busy",
    )


def _ended(kind: Kind, server: ServerProcess) -> ServerExited | FolderCorrupt:
    code = server.exit_code
    server.kill()
    words = server.log_tail() or "it said nothing"
    if code == UNREADABLE:
        return FolderCorrupt(
            f"{kind.name} cannot open {server.folder}",
            words,
            "move that folder away to start afresh, or restore a copy",
        )
    return ServerExited(
        f"{kind.name} on {server.folder} ended before it answered",
        f"exit code {code}; its last words: {words}",
        f"see {server.folder / process.LOG}",
    )


def _listen(kind: Kind, port: int | None, say: Say) -> socket.socket:
    if port is None:
        try:
            return _bound(kind.port)
        except OSError as error:
            listener = _free()
            say(
                f"port {kind.port} is taken{_by(kind.port)} ({error.strerror}); "
                f"{kind.name} listens on {listener.getsockname()[1]}"
            )
            return listener
    if port == 0:
        return _free()
    try:
        return _bound(port)
    except OSError as error:
        raise PortTaken(
            f"{kind.name} cannot listen on port {port}",
            f"it is taken{_by(port)} ({error.strerror})",
            "end that process, or let another port be chosen",
        ) from error


def _free() -> socket.socket:
    while True:
        try:
            return _bound(choose_free())
        except OSError:
            continue


def _bound(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, port))
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener


def _by(port: int) -> str:
    """Who listens there, as far as we may know."""
    try:
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and tuple(connection.laddr)[1:] == (port,)
            if listens and connection.pid:
                return f" by {psutil.Process(connection.pid).name()}, process {connection.pid}"
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        pass
    return ""
