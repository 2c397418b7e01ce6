"""Doors: how a worker reaches the misbehaving venue, what it calls things there, and what its settings say."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.venue.orders import Json
from tests.venue.process import Venue


def secret_of(account_id: str) -> str:
    """The account's secret there; some venues take nothing but base64."""
    return b64encode(f"secret of {account_id}".encode()).decode()


@dataclass(frozen=True)
class Door:
    """One way into the venue.

    venue: the broker's name to us
    symbols: the venue's symbol of each of our instruments
    settings: of the broker, without its accounts
    asset_class: what the venue calls such assets
    keyed: whether accounts have keys of their own
    """

    venue: str
    symbols: Mapping[str, str]
    settings: Callable[[Venue, int], dict[str, Any]]
    asset: Json = field(default_factory=dict)
    keyed: bool = True
    fix: bool = False

    @property
    def assets(self) -> list[Json]:
        """What is traded there."""
        return [{"symbol": symbol, "increment": "1", **self.asset} for symbol in self.symbols.values()]

    def account(self, name: str) -> dict[str, str]:
        """The settings of one account."""
        keys = {"key_variable": f"KEY_OF_{name}", "secret_variable": f"SECRET_OF_{name}"}
        return {"number": f"P{name}", **(keys if self.keyed else {})}


SYMBOLS = ("TPT", "KTL", "CUP", "POT", *(f"TP{number}" for number in range(36)))
"""So many that one order in doubt, which freezes its instrument in its account, seldom denies the next one."""

ALPACA = Door(
    "ALPACA",
    {symbol: symbol for symbol in SYMBOLS},
    lambda venue, _: {
        "kind": "alpaca", "endpoint": venue.url, "stream": venue.stream_url, "call_timeout_s": 3.0, "audit_s": 1.0
    },
)  # fmt: skip
FIX = Door(
    "FIXVENUE",
    {"TPT": "TPT"},
    lambda _, port: {
        "kind": "fix", "host": "127.0.0.1", "port": port, "sender": "ALICE", "target": "VENUE",
        "client_id_unique": "always", "call_timeout_s": 5.0,
    },
    keyed=False,
    fix=True,
)  # fmt: skip


def crypto(exchange: str) -> Door:
    """The venue as one of the crypto venues that ccxt knows."""
    return Door(
        exchange.upper(),
        {"TPT": "TPT/USD"},
        lambda venue, _: {
            "kind": "crypto", "exchange": exchange, "endpoint": venue.url, "call_timeout_s": 5.0, "audit_s": 1.0
        },
        asset={"asset_class": "crypto", "increment": "0.0001"},
    )  # fmt: skip
