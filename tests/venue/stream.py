"""The trade-updates stream: who listens, and what faults do to events on their way."""

import asyncio
import json
from collections.abc import Mapping

from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.venue.faults import ON_EVENTS, Faults, Kind
from tests.venue.orders import Json

END = object()


class Stream:
    """One connection's way out. Frames are binary, as at Alpaca's paper venue."""

    def __init__(self) -> None:
        self.out: asyncio.Queue[object] = asyncio.Queue()

    def put(self, message: object) -> None:
        self.out.put_nowait(message)


class Hub:
    """Streams by account. An event that nobody listens to is told to nobody: this venue does not replay either."""

    def __init__(self, faults: Faults):
        self._faults = faults
        self._streams: dict[str, set[Stream]] = {}
        self._held: dict[str, Json] = {}

    def tell(self, account: str, event: Json) -> None:
        if not self._streams.get(account):
            return
        fault = self._faults.strike(ON_EVENTS, str(event["event"]))
        told = [event]
        if fault is None:
            held = self._held.pop(account, None)
            told = [event, held] if held is not None else [event]
        elif fault.kind is Kind.DUPLICATE:
            told = [event] * fault.times_told
        elif fault.kind is Kind.REORDER:
            held = self._held.pop(account, None)
            self._held[account] = event
            told = [held] if held is not None else []
        elif fault.kind is Kind.DISCONNECT:
            self.disconnect(account)
            told = []
        elif fault.kind is Kind.GARBLE:
            told = [{"event": event["event"], "order": {"id": event["order"]["id"]}}]
        else:
            told = []
        for one in told:
            self._send(account, one)

    def flush(self) -> None:
        """Tell what a reordering still holds back."""
        for account, event in list(self._held.items()):
            del self._held[account]
            self._send(account, event)

    def disconnect(self, account: str = "") -> None:
        """Close the account's streams, or all streams."""
        for number, streams in self._streams.items():
            if account in ("", number):
                for stream in streams:
                    stream.put(END)

    def listeners(self) -> int:
        return sum(len(streams) for streams in self._streams.values())

    def _send(self, account: str, event: Json) -> None:
        for stream in self._streams.get(account, ()):
            stream.put({"stream": "trade_updates", "data": event})

    async def serve(self, socket: WebSocket, number_of: Mapping[tuple[str, str], str]) -> None:
        """Speak with one client until either side ends; accounts are known by key and secret."""
        await socket.accept()
        stream = Stream()
        writer = asyncio.create_task(_write(socket, stream))
        account = ""
        try:
            while True:
                said = json.loads(await _receive(socket))
                match said.get("action"):
                    case "auth" | "authenticate":
                        keys = said.get("data") or said
                        pair = (keys.get("key_id") or keys.get("key", ""), keys.get("secret_key") or keys.get("secret"))
                        account = "" if self._faults.strike(Kind.EXPIRED, "stream") else number_of.get(pair, "")
                        status = "authorized" if account else "unauthorized"
                        stream.put({"stream": "authorization", "data": {"status": status, "action": "authenticate"}})
                    case "listen" if account:
                        wanted = [name for name in said["data"]["streams"] if name == "trade_updates"]
                        self._streams.setdefault(account, set()).discard(stream)
                        if wanted:
                            self._streams[account].add(stream)
                        stream.put({"stream": "listening", "data": {"streams": wanted}})
                    case _:
                        stream.put({"stream": "listening", "data": {"error": "not authorized or not understood"}})
        except (WebSocketDisconnect, RuntimeError, ValueError):
            pass  # the client left, or we closed: either way nobody listens here any more
        finally:
            self._streams.get(account, set()).discard(stream)
            writer.cancel()


async def _receive(socket: WebSocket) -> str | bytes:
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1006))
    text: str | bytes = message.get("text") or message.get("bytes") or b""
    return text


async def _write(socket: WebSocket, stream: Stream) -> None:
    while (message := await stream.out.get()) is not END:
        await socket.send_bytes(json.dumps(message).encode())
    await socket.close(1012)
