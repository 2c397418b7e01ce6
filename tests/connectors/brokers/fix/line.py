"""A line between two programs that can be cut, and that can swallow what is sent."""

import asyncio
from types import TracebackType


class Line:
    """Carries bytes from its port to another one on the loopback address."""

    def __init__(self, to_port: int):
        self._to_port = to_port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._swallows = False
        self._open = True
        self._breaks_off = False
        self.port = 0

    async def __aenter__(self) -> "Line":
        self._server = await asyncio.start_server(self._carry_both_ways, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut()
        assert self._server is not None
        self._server.close()

    def swallow(self) -> None:
        """From now on nothing that is sent arrives, and nobody notices; until the line is cut."""
        self._swallows = True

    def cut(self) -> None:
        """Reset every connection; new ones carry again."""
        self._swallows = False
        for writer in list(self._writers):
            writer.transport.abort()

    def close_door(self) -> None:
        """Let nobody connect."""
        self._open = False

    def leave(self) -> None:
        """Reset every connection, and be gone: whoever comes now is refused."""
        assert self._server is not None
        self._server.close()
        self.cut()

    def break_off(self) -> None:
        """Reset every connection, and from now on each new one as soon as something was said on it."""
        self._breaks_off = True
        self.cut()

    def open_door(self) -> None:
        self._open = True

    async def _carry_both_ways(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._open:
            writer.transport.abort()
            return
        if self._breaks_off:
            await reader.read(65536)
            writer.transport.abort()
            return
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._to_port)
        self._writers |= {writer, there_writer}
        await asyncio.gather(self._carry(reader, there_writer), self._carry(there_reader, writer))
        self._writers -= {writer, there_writer}

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(65536):
                if not self._swallows:
                    writer.write(chunk)
                    await writer.drain()
        except OSError:
            pass  # an end that is gone is what this line is for
        finally:
            writer.transport.abort()
