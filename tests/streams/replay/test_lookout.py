"""The lookout says once that a server is away, and once that it is back."""

import socket
import time
from collections.abc import Callable

import pytest

from connectors.embedded.ports import choose_free
from streams.replay.lookout import Lookout, answers

PATIENCE_S = 30.0


def listening(port: int) -> socket.socket:
    """Somebody who answers at the port."""
    server = socket.create_server(("127.0.0.1", port))
    server.listen(64)
    return server


def until(true: Callable[[], object]) -> None:
    """Wait until it is so."""
    give_up = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < give_up, "it never came"
        time.sleep(0.01)


def test_a_server_that_goes_and_comes_back_is_told_once_each_time() -> None:
    port, said = choose_free(), list[str]()
    server = listening(port)
    lookout = Lookout({"Kafka": f"127.0.0.1:{port}"}, said.append)
    try:
        server.close()
        until(lambda: lookout.away == {"Kafka"})
        server = listening(port)
        until(lambda: not lookout.away)
    finally:
        lookout.close()
        server.close()
    assert [line.split(" at ")[0] for line in said] == ["! Kafka", "Kafka is back"]
    assert lookout.lost == {"Kafka"}


@pytest.mark.parametrize(
    "form", ["127.0.0.1:{}", "http://127.0.0.1:{}", "127.0.0.1:1,127.0.0.1:{}", "PLAINTEXT://127.0.0.1:{}"]
)
def test_one_answer_at_any_of_the_addresses_is_enough(form: str) -> None:
    with listening(0) as server:
        assert answers(form.format(server.getsockname()[1]))


@pytest.mark.parametrize("address", ["127.0.0.1:1", "http://127.0.0.1:1", "http://no-such-host.invalid:80"])
def test_nobody_is_nobody(address: str) -> None:
    assert not answers(address)
