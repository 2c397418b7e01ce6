"""Where Alpaca is, who trades there, and how patient we are with it."""

from dataclasses import dataclass, field

from connectors.brokers.alpaca.credentials import Credentials
from schemas.control import Mode


class LiveNotMeant(Exception):
    """An endpoint that trades real money was named, and the words that say so were not."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Addresses of one environment, and the modes whose orders may go there."""

    http_url: str
    stream_url: str
    modes: frozenset[Mode]

    def admit(self, venue: str, typed_venue: str) -> None:
        """Raise LiveNotMeant where real money is traded here and the venue's name was not typed out."""
        if Mode.LIVE in self.modes and typed_venue != venue:
            raise LiveNotMeant(f"{self.http_url} trades real money; type the venue's name, {venue}, to mean it")


PAPER = Endpoint("https://paper-api.alpaca.markets", "wss://paper-api.alpaca.markets/stream", frozenset({Mode.PAPER}))
LIVE = Endpoint("https://api.alpaca.markets", "wss://api.alpaca.markets/stream", frozenset({Mode.LIVE}))


@dataclass(frozen=True, slots=True)
class AlpacaAccount:
    """One of our accounts and whose it is there. `account_number` is its fingerprint: another one is refused.

    second_credentials: other keys of the same account, for the second route; without them the same open both.
    """

    account_id: str
    account_number: str
    credentials: Credentials
    second_credentials: Credentials | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """One way to an account: an address of its environment, and the keys that open the account there."""

    endpoint: Endpoint
    credentials: Credentials


@dataclass(frozen=True, slots=True)
class Manners:
    """How patient we are.

    connect_s, answer_s: how long a connection and an answer may take.
    confirm_s: waits between looks at a cancel or replace that is under way; after them it is told as pending.
    audit_s: how often the stream is held against what the venue says when asked.
    statuses_every: with every so many audits, order statuses are compared as well.
    reconnects_max: lost streams in a row before `reports` gives up.
    reconnect_s_max: longest wait before a stream is opened again.
    """

    connect_s: float = 5.0
    answer_s: float = 10.0
    confirm_s: tuple[float, ...] = field(default=(0.05, 0.15, 0.3, 0.5))
    audit_s: float = 5.0
    statuses_every: int = 6
    reconnects_max: int = 8
    reconnect_s_max: float = 30.0
