"""ccxt's exchange of one account, at each address that leads to it: see `connectors.brokers.routes`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from connectors.brokers.crypto import shapes
from connectors.brokers.crypto.calls import LOG, ccxt, change, read
from connectors.brokers.crypto.settings import CryptoAccount, CryptoSettings
from connectors.brokers.crypto.throttle import Throttle
from connectors.brokers.routes import Routes, none_left
from connectors.errors import Refused

T = TypeVar("T")
_WRONG_ACCOUNT = "WRONG_ACCOUNT"


@dataclass(slots=True)
class Route:
    """One address. Empty: the venue's own. `exchange` is there once it was asked for its markets."""

    endpoint: str
    exchange: Any = None


class Exchanges:
    """The exchange by each of its routes. Bound to the event loop that asks first.

    The same keys open the same account by all of them, and the venue counts what all of them ask together.
    """

    def __init__(self, settings: CryptoSettings, account: CryptoAccount, who: str):
        self._settings = settings
        self._account = account
        self._who = who
        self.routes = Routes(who, [Route(endpoint) for endpoint in settings.endpoints], self._open)
        self._throttle: Throttle | None = None
        self._met = False

    async def one(self) -> Any:
        """An exchange that knows its markets, to reckon by. Raises Unavailable, or Refused for another's account."""
        if not self._met:
            errors = await self.routes.meet()
            for error in errors:
                if isinstance(error, Refused) and error.code == _WRONG_ACCOUNT:
                    raise error
            if len(errors) == len(self.routes.all):
                raise none_left(errors)
            self._met = True
        return next(route.exchange for route in self.routes.all if route.exchange is not None)

    async def read(self, what: str, ask: Callable[[Any], Awaitable[T]]) -> T:
        """Ask what changes nothing. Raises Unavailable or Refused."""
        await self.one()
        return await self.routes.read(what, lambda route: read(f"{self._who}: {what}", lambda: ask(route.exchange)))

    async def change(self, what: str, ask: Callable[[Any], Awaitable[T]]) -> T:
        """Ask for a change. Raises Unavailable, Refused or Ambiguous."""
        await self.one()
        return await self.routes.change(what, lambda route: change(f"{self._who}: {what}", lambda: ask(route.exchange)))

    async def close(self) -> None:
        """Close the connections."""
        for route in self.routes.all:
            if route.exchange is not None:
                await route.exchange.close()

    async def _open(self, route: Route) -> None:
        """Ask a route for its markets, and where the venue tells it whose account it opens."""
        exchange = route.exchange or self._new(route.endpoint)
        try:
            await read(f"{self._who}: its markets", lambda: exchange.load_markets(True))
            await self._verify(exchange)
        except BaseException:
            if route.exchange is None:
                await exchange.close()
            raise
        route.exchange = exchange

    async def _verify(self, exchange: Any) -> None:
        if self._settings.dialect.tells_account and self._account.fingerprint:
            told = await read(f"{self._who}: whose it is", exchange.fetch_balance)
            if str((told.get("info") or {}).get("uid", "")) != self._account.fingerprint:
                why = "is not the one configured; correct the keys or the fingerprint"
                raise Refused(f"{self._who}: the account that these keys open {why}", code=_WRONG_ACCOUNT)

    def _new(self, endpoint: str) -> Any:
        library, settings = ccxt(), self._settings
        exchange = getattr(library, settings.exchange)({
            "apiKey": self._account.key,
            "secret": self._account.secret,
            "timeout": int(settings.answer_s * 1000),
            "enableRateLimit": settings.throttle,
            "options": dict(settings.dialect.options),
        })  # fmt: skip
        # Exact texts instead of floats.
        exchange.number = str
        exchange.has["fetchCurrencies"] = False
        exchange.logger = LOG
        exchange.on_rest_response = shapes.checked(library.BadResponse)
        self._throttle = self._throttle or Throttle(
            1000 / exchange.rateLimit,
            settings.dialect.burst,
            settings.answer_s / 2,
            lambda: library.RateLimitExceeded("its turn did not come in time; nothing was sent"),
        )
        exchange.throttler = self._throttle
        if endpoint:
            there = urlsplit(endpoint)
            api: dict[str, str] = exchange.urls["api"]
            exchange.urls["api"] = {
                name: urlsplit(url)._replace(scheme=there.scheme, netloc=there.netloc).geturl()
                for name, url in api.items()
            }
        return exchange
