"""The lookout of `run`: says when a server goes away and when it is back, as somebody would who looks every second."""

import socket
import threading
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

LOOK_EVERY_S = 1.0
ANSWER_S = 2.0


class Lookout:
    """Looks at servers in a thread of its own until it is closed.

    addresses: host and port of each server by name, as a URL or as Kafka writes it (several, with commas: one is
        enough)
    """

    def __init__(self, addresses: Mapping[str, str], say: Callable[[str], None]):
        self._addresses = addresses
        self._say = say
        self._away: frozenset[str] = frozenset()
        self.lost: set[str] = set()
        """Names of the servers that were ever away."""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="lookout", daemon=True)
        self._thread.start()

    @property
    def away(self) -> frozenset[str]:
        """Names of the servers that did not answer when they were last looked at."""
        return self._away

    def close(self) -> None:
        """Look no more."""
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(LOOK_EVERY_S):
            away = frozenset(name for name, address in self._addresses.items() if not answers(address))
            for name in sorted(away - self._away):
                self._say(f"! {name} at {self._addresses[name]} is away; nothing is lost, the rest waits for it")
            for name in sorted(self._away - away):
                self._say(f"{name} is back")
            self._away = away
            self.lost |= away


def answers(address: str) -> bool:
    """Whether somebody listens at one of these addresses."""
    for one in address.split(","):
        parts = urlsplit(f"//{one.strip().rpartition('://')[2]}")
        default = 443 if one.strip().startswith("https:") else 80
        try:
            socket.create_connection((parts.hostname or "", parts.port or default), timeout=ANSWER_S).close()
        except OSError:
            continue
        return True
    return False
