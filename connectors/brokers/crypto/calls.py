"""One call through ccxt, and what it proves.

what ccxt raises                                   a call that reads   a call that changes something
no connection                                      Unavailable         Unavailable
too often, or outside the venue's time window      Unavailable         Unavailable
keys, funds, order, symbol, right: a reasoned no   Refused             Refused
anything else: silence, 5xx, what cannot be read   Unavailable         Ambiguous
"""

import logging
import re
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any, TypeVar

from connectors.errors import Ambiguous, ConnectorError, Refused, Unavailable

T = TypeVar("T")

# ccxt logs requests with their headers, which hold the key.
LOG = logging.getLogger("quantumleap.crypto")
LOG.setLevel(logging.INFO)
_REASONED = re.compile(r'"code":\s*-(11|2\d|4\d|5\d)\d\d\b|"E(Order|Query|Trade|Funding|General:Invalid arguments)')
"""Codes by which Binance and Kraken refuse an order or a request; others may mean that they do not know themselves."""
_TOO_OFTEN_S = 1.0
_EXPIRED = ("-2015", "-2014", "EAPI:Invalid key", "authenticationError")


class CryptoMissing(Exception):
    """ccxt is not installed."""


def ccxt() -> Any:
    """The library, which is in the extra `crypto`. Raises CryptoMissing."""
    try:
        return import_module("ccxt.async_support")
    except ImportError as error:
        raise CryptoMissing("ccxt is not installed; install it with `pip install 'quantumleap[crypto]'`") from error


async def read(what: str, call: Callable[[], Awaitable[T]]) -> T:
    """Call what changes nothing. Raises Unavailable or Refused."""
    return await _called(what, call, changes=False)


async def change(what: str, call: Callable[[], Awaitable[T]]) -> T:
    """Call what may change something. Raises Unavailable, Refused or Ambiguous."""
    return await _called(what, call, changes=True)


async def _called(what: str, call: Callable[[], Awaitable[T]], *, changes: bool) -> T:
    library = ccxt()
    try:
        return await call()
    except library.BaseError as error:
        raise _meaning(library, what, error, changes) from error
    except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
        # ccxt does not check what it is told before it takes it apart.
        raise _doubt(what, f"answered what cannot be read ({type(error).__name__}: {error})", changes) from error


def _meaning(library: Any, what: str, error: Exception, changes: bool) -> ConnectorError:
    words = f"{type(error).__name__}: {error}"[:300]
    if _never_connected(error):
        return Unavailable(f"{what} was not sent ({words}); it may be repeated", unsent=True)
    if any(word in str(error) for word in _EXPIRED):
        return Refused(f"{what} was refused: the keys are no good ({words}); renew them", code="UNAUTHORIZED")
    if isinstance(error, library.RateLimitExceeded | library.DDoSProtection):
        # Another route to the same account would only come oftener.
        return Unavailable(f"{what} came too often ({words}); wait, then repeat it", retry_after_s=_TOO_OFTEN_S)
    if isinstance(error, library.InvalidNonce):
        return Unavailable(f"{what} was outside the venue's time window ({words}); set the clock, then repeat it")
    # The bare class is what ccxt raises for codes that it does not know.
    reasoned = type(error) is not library.ExchangeError or _REASONED.search(str(error))
    if isinstance(error, library.ExchangeError) and reasoned:
        return Refused(f"{what} was refused ({words})", code=f"CCXT_{type(error).__name__}")
    return _doubt(what, f"was not answered so that it could be read ({words})", changes)


def _never_connected(error: Exception) -> bool:
    client = import_module("aiohttp")
    return isinstance(error.__cause__, client.ClientConnectorError)


def _doubt(what: str, happened: str, changes: bool) -> ConnectorError:
    if changes:
        return Ambiguous(f"{what} {happened}; ask by id what became of it")
    return Unavailable(f"{what} {happened}; it may be repeated")
