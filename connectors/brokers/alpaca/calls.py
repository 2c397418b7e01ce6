"""One HTTP call to Alpaca, and what it proves.

what came                         a call that reads     a call that changes something
nothing could be sent             Unavailable, unsent   Unavailable, unsent
silence or a reset after sending  Unavailable           Ambiguous
429                               Unavailable           Unavailable
another 4xx in Alpaca's words     Refused               Refused
another 4xx, 3xx, 5xx             Unavailable           Ambiguous
2xx                               the answer            the answer
"""

import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import Enum, auto

import httpx

from connectors.brokers.alpaca import wire
from connectors.brokers.alpaca.endpoints import Manners, Route
from connectors.brokers.routes import Routes
from connectors.errors import Ambiguous, ConnectorError, Refused, Unavailable
from schemas.scalars import micros_of

_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
_WAIT_S_MAX = 600.0
# Shorter than any server keeps an idle connection: one that the server has just closed makes a doubt of nothing.
_IDLE_S = 2.0


class Effect(Enum):
    """Whether a call may change something there."""

    READS = auto()
    CHANGES = auto()


@dataclass(frozen=True, slots=True)
class Answer:
    """The body of a 2xx, and when the venue says that it was given, microseconds of UTC (0 where it does not say)."""

    body: bytes
    time_us: int


class Calls:
    """Calls in the name of one account by one route. Its HTTP client belongs to the event loop that calls first."""

    def __init__(self, who: str, route: Route, manners: Manners):
        self._who = who
        self._url = route.endpoint.http_url
        self._headers = route.credentials.headers()
        self._manners = manners
        self._client: httpx.AsyncClient | None = None
        self.skew_s = 0.0
        """The venue's clock minus ours by its last answer, seconds; its clock is told in whole seconds."""

    async def read(self, path: str, **params: str) -> Answer:
        """GET it. Raises Unavailable or Refused."""
        return await self._ask(Effect.READS, "GET", path, params=params)

    async def change(self, method: str, path: str, body: Mapping[str, str] | None = None) -> Answer:
        """Ask for a change. Raises Unavailable, Refused or Ambiguous."""
        return await self._ask(Effect.CHANGES, method, path, body=body)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _ask(
        self,
        effect: Effect,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, str] | None = None,
    ) -> Answer:
        what = f"{self._who}: {method} {path}"
        if self._client is None:
            self._client = self._new_client()
        try:
            response = await self._client.request(method, path, params=params, json=body)
        except _NOT_SENT as error:
            why = f"{what} was not sent ({_words(error)}); it may be repeated"
            raise Unavailable(why, unsent=True) from error
        except httpx.HTTPError as error:
            raise _doubt(effect, what, f"was sent and not answered ({_words(error)})") from error
        self._note_time(response)
        if response.is_success:
            return Answer(response.content, _time_of(response))
        raise _failure(effect, what, response)

    def _new_client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self._url,
            headers=self._headers,
            timeout=httpx.Timeout(self._manners.answer_s, connect=self._manners.connect_s),
            limits=httpx.Limits(max_connections=32, keepalive_expiry=_IDLE_S),
            follow_redirects=False,
        )

    def _note_time(self, response: httpx.Response) -> None:
        told_us = _time_of(response)
        if told_us:
            self.skew_s = told_us / 1e6 - time.time()


class RoutedCalls:
    """The calls of one account, each by one of its routes; `Routes` says by which."""

    def __init__(self, who: str, routes: Sequence[Calls], admit: Callable[[Calls], Awaitable[None]]):
        """`admit` asks a route whose account it opens. Raises Unavailable or Refused."""
        self.routes = Routes(who, routes, admit)

    @property
    def skew_s(self) -> float:
        """The venue's clock minus ours by the last answer, seconds."""
        return self.routes.last.skew_s

    async def read(self, path: str, **params: str) -> Answer:
        """As `Calls.read`."""
        return await self.routes.read(f"GET {path}", lambda calls: calls.read(path, **params))

    async def change(self, method: str, path: str, body: Mapping[str, str] | None = None) -> Answer:
        """As `Calls.change`."""
        what = " ".join(filter(None, (method, path, (body or {}).get("client_order_id"))))
        return await self.routes.change(what, lambda calls: calls.change(method, path, body))

    async def close(self) -> None:
        for calls in self.routes.all:
            await calls.close()


def _failure(effect: Effect, what: str, response: httpx.Response) -> ConnectorError:
    status = response.status_code
    if status == httpx.codes.TOO_MANY_REQUESTS:
        wait_s = _wait_of(response)
        return Unavailable(f"{what} came too often (429); wait {wait_s} s", retry_after_s=wait_s)
    if response.is_client_error:
        try:
            refusal = wire.error_in(response.content)
        except wire.Unreadable:
            return _doubt(effect, what, f"was answered with {status} and words that are not Alpaca's")
        code = f"ALPACA_{refusal.code or status}"
        return Refused(f"{what} was refused: {refusal.message[:300]} ({status}, {code})", code=code)
    return _doubt(effect, what, f"was answered with {status}")


def _doubt(effect: Effect, what: str, happened: str) -> ConnectorError:
    if effect is Effect.READS:
        return Unavailable(f"{what} {happened}; it may be repeated")
    return Ambiguous(f"{what} {happened}; ask by id what became of it")


def unreadable(effect: Effect, what: str, error: wire.Unreadable) -> ConnectorError:
    """What a 2xx proves that cannot be read."""
    return _doubt(effect, what, f"was answered, and the answer cannot be read ({error})")


def _wait_of(response: httpx.Response) -> float | None:
    """Seconds that we are asked to wait: by Retry-After, else until the rate's window ends; None where not told."""
    now_us = _time_of(response) or time.time_ns() // 1000
    named = response.headers.get("retry-after", "")
    try:
        wait_s = float(named)
    except ValueError:
        until_us = _http_time_us(named)
        reset = response.headers.get("x-ratelimit-reset", "")
        if not until_us and reset.isdigit():
            until_us = int(reset) * 1_000_000
        if not until_us:
            return None
        wait_s = (until_us - now_us) / 1e6
    return None if math.isnan(wait_s) else min(max(wait_s, 0.0), _WAIT_S_MAX)


def _time_of(response: httpx.Response) -> int:
    return _http_time_us(response.headers.get("date", ""))


def _http_time_us(text: str) -> int:
    try:
        return micros_of(parsedate_to_datetime(text))
    except (ValueError, TypeError):
        return 0


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
