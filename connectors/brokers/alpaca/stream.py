"""One connection to the stream of trade updates."""

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidURI, WebSocketException

from connectors.brokers.alpaca import wire
from connectors.brokers.alpaca.credentials import Credentials
from connectors.errors import Refused

_PING_S = 10.0
_BYTES_MAX = 4 * 2**20
# At level DEBUG the library writes every frame, and the first one holds the keys.
_LOG = logging.getLogger("quantumleap.alpaca.stream")
_LOG.setLevel(logging.INFO)


class StreamLost(Exception):
    """The connection is gone, or is no use; what was missed is to be asked for. Says why."""


class TradeUpdates:
    """Listens to one account's trade updates."""

    def __init__(self, connection: ClientConnection):
        self._connection = connection

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, credentials: Credentials, patience_s: float) -> AsyncIterator["TradeUpdates"]:
        """Connect, prove who we are and listen. Raises StreamLost, or Refused where the keys are no good."""
        try:
            connection = await connect(
                url, open_timeout=patience_s, ping_interval=_PING_S, close_timeout=1, max_size=_BYTES_MAX, logger=_LOG
            )
        except (OSError, InvalidHandshake, InvalidURI, WebSocketException) as error:
            raise StreamLost(f"{url} does not let us in: {type(error).__name__}: {error}") from error
        async with _Closing(connection):
            stream = cls(connection)
            await stream._say({"action": "auth", "key": credentials.key, "secret": credentials.secret})
            if await stream._answered("authorization", "status") != "authorized":
                raise Refused(f"{url} does not know our keys; renew them", code="UNAUTHORIZED")
            await stream._say({"action": "listen", "data": {"streams": ["trade_updates"]}})
            await stream._answered("listening", "streams")
            yield stream

    async def next(self) -> wire.WireUpdate | None:
        """The next event; None for a message of another kind. Raises StreamLost, or Unreadable for one event."""
        name, content = await self._message()
        return wire.update_in(content) if name == "trade_updates" else None

    async def _answered(self, name: str, field: str) -> str:
        try:
            said, content = await self._message()
            return wire.word_in(content, field) if said == name else ""
        except wire.Unreadable as error:
            raise StreamLost(f"its greeting cannot be read: {error}") from error

    async def _message(self) -> tuple[str, bytes]:
        try:
            frame = await self._connection.recv()
        except WebSocketException as error:
            raise StreamLost(f"{type(error).__name__}: {error}") from error
        return wire.message_in(frame.encode() if isinstance(frame, str) else frame)

    async def _say(self, words: dict[str, object]) -> None:
        try:
            await self._connection.send(json.dumps(words))
        except WebSocketException as error:
            raise StreamLost(f"{type(error).__name__}: {error}") from error


class _Closing:
    """Closes the connection, and does not mind if it is closed."""

    def __init__(self, connection: ClientConnection):
        self._connection = connection

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connection.close()
