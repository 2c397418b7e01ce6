"""What the client says when the registry does not answer, or something else does."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from connectors.registry.client import ConfluentRegistry
from connectors.registry.compatibility import Level
from connectors.registry.errors import NotAllowed, RegistryError, UnknownSchema, Unreachable

SCHEMA = '"int"'


def every_call(registry: ConfluentRegistry) -> Iterator[RegistryError]:
    """The error of each call."""
    calls = (
        lambda: registry.register("s", SCHEMA),
        lambda: registry.lookup("s", SCHEMA),
        lambda: registry.schema(1),
        lambda: registry.versions("s"),
        lambda: registry.check("s", SCHEMA),
        lambda: registry.set_compatibility("s", Level.FULL),
    )
    for call in calls:
        with pytest.raises(RegistryError) as caught:
            call()
        yield caught.value


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """A server that gives this answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = answer

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_nobody_at_the_address_is_unreachable_with_the_next_step() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for error in every_call(ConfluentRegistry(f"http://127.0.0.1:{port}")):
        assert isinstance(error, Unreachable)
        assert f"no answer from the registry at http://127.0.0.1:{port}" in str(error)
        assert "start the registry or correct its address; the same call may be repeated" in str(error)


def test_one_that_accepts_and_never_answers_does_not_hold_us_for_ever() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as mute:
        registry = ConfluentRegistry(f"http://127.0.0.1:{mute.getsockname()[1]}", timeout_s=0.1)
        for error in every_call(registry):
            assert isinstance(error, Unreachable)
            assert "ReadTimeout" in str(error)
        registry.close()


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b"<html>hello</html>", Unreachable),
        (200, b"[[]]", Unreachable),
        (500, b'{"error_code": 50001, "message": "store"}', Unreachable),
        (503, b"busy", Unreachable),
        (429, b"", Unreachable),
        (401, b'{"error_code": 401, "message": "Unauthorized"}', NotAllowed),
        (403, b'{"error_code": 40301, "message": "no"}', NotAllowed),
        (422, b'{"error_code": 42205, "message": "read-only"}', NotAllowed),
    ],
)
def test_each_answer_becomes_the_error_that_says_what_to_do(
    status: int, body: bytes, kind: type[RegistryError]
) -> None:
    with answering(status, body) as url:
        registry = ConfluentRegistry(url, timeout_s=5)
        with pytest.raises(kind):
            registry.lookup("s", SCHEMA)
        registry.close()


def test_a_404_page_of_something_else_is_not_taken_for_an_unknown_schema_silently() -> None:
    with answering(404, b"404 page not found") as url:
        registry = ConfluentRegistry(url)
        with pytest.raises(UnknownSchema, match=f"the registry at {url} says: .*404 page not found"):
            registry.versions("s")
        registry.close()
