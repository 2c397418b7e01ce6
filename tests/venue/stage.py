"""Alpaca's broker on the well-behaved venue: for the contract that all brokers keep, and for tests of its own."""

import base64
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from connectors.brokers.alpaca import AlpacaAccount, AlpacaBroker, Credentials, Endpoint, Manners
from connectors.brokers.crypto import CryptoAccount, CryptoBroker, CryptoSettings
from connectors.brokers.crypto.calls import ccxt
from connectors.brokers.fix import FixAccount, FixBroker, FixSettings
from connectors.embedded.ports import choose_free
from connectors.protocols import ClientIdUnique
from schemas.control import Mode
from tests.connectors.brokers.orders import teapots
from tests.venue.orders import Json
from tests.venue.process import ALICE, COIN_OF_TEAPOTS, PERPETUAL_OF_TEAPOTS, Venue, venue

MODES = frozenset({Mode.REPLAY, Mode.PAPER})
HASTY = Manners(connect_s=2, answer_s=2, audit_s=0.5, statuses_every=1, reconnects_max=20, reconnect_s_max=0.5)
"""Patience for tests: what takes seconds in earnest takes tenths of them here."""


def endpoint_of(at: Venue) -> Endpoint:
    return Endpoint(at.url, at.stream_url, MODES)


def account_of(account: Json = ALICE, account_id: str = "alice") -> AlpacaAccount:
    return AlpacaAccount(account_id, account["number"], Credentials(account["key"], account["secret"]))


NOWHERE = Endpoint("http://127.0.0.1:9", "ws://127.0.0.1:9/stream", MODES)
"""Nobody listens there."""


def alpaca_at(
    at: Venue, account: Json = ALICE, *, first: Endpoint | None = None, manners: Manners = HASTY, since: str = ""
) -> AlpacaBroker:
    """A broker for alice, who has this account at this venue; the venue is its second route where a first is named."""
    return AlpacaBroker(
        first or endpoint_of(at),
        [account_of(account)],
        [teapots(venue="ALPACA")],
        second=endpoint_of(at) if first else None,
        manners=manners,
        since={"alice": since} if since else None,
    )


def fix_at(port: int, folder: Path, account: Json = ALICE, *, since: str = "", **more: Any) -> FixBroker:
    """A broker for alice over FIX; its journal and sequence numbers are in the folder."""
    fields: dict[str, Any] = {
        "venue": "FIXVENUE",
        "host": "127.0.0.1",
        "port": port,
        "sender": "ALICE",
        "target": "VENUE",
        "folder": folder,
        "modes": MODES,
        "client_id_unique": ClientIdUnique.ALWAYS,
        "heartbeat_s": 1,
        "answer_s": 3.0,
        "logon_s": 15.0,
    }
    settings = FixSettings(**(fields | more))
    return FixBroker(settings, [FixAccount("alice", account["number"])], [teapots(venue="FIXVENUE")], since=since)


@asynccontextmanager
async def fix_on_stage() -> AsyncIterator[tuple[FixBroker, Callable[[int, str], Awaitable[None]]]]:
    """The broker over FIX, and what makes its market trade teapots at a price."""
    port = choose_free()
    with tempfile.TemporaryDirectory() as folder, venue(Path(folder) / "venue", fix_port=port) as at:
        broker = fix_at(port, Path(folder) / "fix")

        async def trades_at(_number: int, price: str) -> None:
            at.price("TPT", price)

        try:
            yield broker, trades_at
        finally:
            await broker.close()


CRYPTO_ALICE: Json = {**ALICE, "key": "crypto-alice", "secret": base64.b64encode(b"s3cret-of-alice").decode()}


def crypto_at(at: Venue, exchange: str, account: Json = CRYPTO_ALICE, *, since: str = "", **more: Any) -> CryptoBroker:
    """A broker for alice at this venue, who takes it for one of the crypto venues."""
    fields: dict[str, Any] = {"answer_s": 2.0, "poll_s": 0.2, "throttle": False, "endpoint": at.url, "modes": MODES}
    settings = CryptoSettings(exchange=exchange, venue="CRYPTO", **(fields | more))
    symbol = "TPT/USD:USD" if settings.dialect.perpetual else "TPT/USD"
    return CryptoBroker(
        settings,
        [CryptoAccount("alice", account["key"], account["secret"], more.get("fingerprint", ""))],
        [teapots(venue="CRYPTO", symbol=symbol)],
        since={"alice": since} if since else None,
    )


@asynccontextmanager
async def crypto_on_stage(
    exchange: str,
) -> AsyncIterator[tuple[CryptoBroker, Callable[[int, str], Awaitable[None]]]]:
    """The broker over ccxt, and what makes its market trade teapots at a price."""
    ccxt()  # it is large, and its import is not what is timed
    options: dict[str, Any] = {"accounts": [CRYPTO_ALICE], "assets": [COIN_OF_TEAPOTS, PERPETUAL_OF_TEAPOTS]}
    with tempfile.TemporaryDirectory() as folder, venue(Path(folder) / "venue", **options) as at:
        broker = crypto_at(at, exchange)

        async def trades_at(_number: int, price: str) -> None:
            at.price("TPT/USD:USD" if exchange in ("binanceusdm", "krakenfutures") else "TPT/USD", price)

        try:
            yield broker, trades_at
        finally:
            await broker.close()


@asynccontextmanager
async def alpaca_on_stage(
    first: Endpoint | None = None,
) -> AsyncIterator[tuple[AlpacaBroker, Callable[[int, str], Awaitable[None]]]]:
    """The broker, and what makes its market trade teapots at a price; the venue is its second route after `first`."""
    with tempfile.TemporaryDirectory() as folder, venue(Path(folder) / "venue") as at:
        broker = alpaca_at(at, first=first)

        async def trades_at(_number: int, price: str) -> None:
            at.price("TPT", price)

        try:
            yield broker, trades_at
        finally:
            await broker.close()
