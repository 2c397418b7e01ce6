"""Ports for a laptop's servers, all on the loopback address."""

import random
import socket

import psutil

LOOPBACK = "127.0.0.1"

# Below the range from which systems give ports to outgoing connections: a server that is down for a moment
# does not lose its port to some client's connection.
_LOWEST = 20_000
_HIGHEST = 32_000
_dice = random.SystemRandom()


def is_free(port: int) -> bool:
    """Whether nothing listens on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections that are just closing do not keep a port taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def accepts(port: int) -> bool:
    """Whether something accepts connections on this loopback port now."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1):
            return True
    except OSError:
        return False


def choose_free() -> int:
    """A port on which nothing listens now. Another process may be faster to it: be ready to choose again."""
    while not is_free(port := _dice.randint(_LOWEST, _HIGHEST)):
        pass
    return port


def who_listens(port: int) -> str:
    """A phrase that names the process listening on this port, as far as this user may know."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
                if connection.pid is None:
                    break
                return f"process {connection.pid}, {psutil.Process(connection.pid).name()}, listens there"
    except psutil.Error:
        pass
    return "another process listens there"
