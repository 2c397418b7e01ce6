"""A proxy before ClickHouse that breaks connections by script, and a record of what it broke."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

READ_ONLY = b"Code: 164. DB::Exception: Cannot execute query in readonly mode. (READONLY)\n"


class CuttingProxy:
    """Forwards HTTP requests one by one. Each request that inserts takes the next word of the script.

    request: half of the request is forwarded, then both sides are cut
    answer: the whole request is forwarded and answered, and the answer is cut off
    read only: ClickHouse is not asked; the answer says that it only reads
    Without a word, or with an empty one, everything passes.
    """

    def __init__(self, port: int, script: list[str]):
        self.broken: list[str] = []
        self._target = port
        self._script = script
        self._lock = threading.Lock()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._target)) as target:
            try:
                while (request := _message(client)) and self._pass(request, client, target):
                    pass
            except OSError:
                return

    def _pass(self, request: bytes, client: socket.socket, target: socket.socket) -> bool:
        """Whether the connection lives on."""
        word = self._word(request)
        if word == "request":
            target.sendall(request[: len(request) // 2])
            return False
        if word == "read only":
            head = f"HTTP/1.1 500 Error\r\nX-ClickHouse-Exception-Code: 164\r\nContent-Length: {len(READ_ONLY)}\r\n\r\n"
            client.sendall(head.encode() + READ_ONLY)
            return True
        target.sendall(request)
        answer = _message(target)
        if word == "answer":
            return False
        client.sendall(answer)
        return bool(answer)

    def _word(self, request: bytes) -> str:
        head = request.split(b"\r\n\r\n", 1)[0]
        if b"INSERT" not in request[: len(head) + 200].upper() and b"INSERT" not in head.upper():
            return ""
        with self._lock:
            word = self._script.pop(0) if self._script else ""
            if word:
                self.broken.append(word)
            return word


def _message(stream: socket.socket) -> bytes:
    """One HTTP message: its head, and its body by length or by chunks."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = stream.recv(65536)
        if not more:
            return b""
        data += more
    head, body = data.split(b"\r\n\r\n", 1)
    fields = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])
    }
    if b"chunked" in fields.get(b"transfer-encoding", b""):
        while not body.endswith(b"0\r\n\r\n"):
            body += stream.recv(65536)
    else:
        size = int(fields.get(b"content-length", b"0"))
        while len(body) < size:
            body += stream.recv(65536)
    return head + b"\r\n\r\n" + body


@contextmanager
def cutting(port: int, script: list[str]) -> Iterator[CuttingProxy]:
    proxy = CuttingProxy(port, script)
    try:
        yield proxy
    finally:
        proxy.close()
