"""What the venues do differently, as data and a few pure functions."""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any
from uuid import UUID

from schemas.order import OrderType, TimeInForce

_PREFIX = "ql-"
_OURS = re.compile(r"^ql-[a-z2-7]{26}$")
_HEX = re.compile(r"^[0-9a-f]{32}$")
_DASHED = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")


class UnfitId(Exception):
    """A client_order_id that the venue cannot carry."""


class Fills(Enum):
    """How a venue lists an account's fills."""

    BY_SYMBOL_AND_ID = auto()
    BY_TIME_AND_OFFSET = auto()
    BACKWARDS = auto()


class Find(Enum):
    """How an order is found by our name of it."""

    BY_NAME = auto()
    IN_LISTS = auto()
    BY_STATUS = auto()


@dataclass(frozen=True, slots=True)
class Dialect:
    """One venue's ways.

    kind: spot or swap, in ccxt's words.
    encode, decode: our client_order_id to theirs and back.
    tells_account: the balance's answer holds the account's number, under `uid`.
    request_expiry_s: a request older than this is not carried out there.
    page: fills that the venue tells at once; where it tells fewer, there are no others.
    burst: what requests may cost at once, as ccxt counts costs; after it the venue's steady rate holds.
    options: of ccxt.
    """

    kind: str
    find: Find
    fills: Fills
    order_types: frozenset[OrderType]
    times_in_force: frozenset[TimeInForce]
    client_id_length: int
    encode: Callable[[str], str] = str
    decode: Callable[[str], str] = str
    tells_account: bool = False
    request_expiry_s: float | None = None
    page: int = 500
    burst: float = 10.0
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def perpetual(self) -> bool:
        return self.kind == "swap"


def uuid_of(name: str) -> str:
    """An order id of ours as a UUID that nobody else makes; short names go as they are.

    The 26 characters of base32 are 128 bits, as a UUID is, so there is no room for a mark. Others make UUIDs of the
    versions 1 to 8 and the variant of RFC 9562. One in eight ids of ours looks so too: such an id goes with dashes
    and the variant that nobody uses any more, all others without dashes.
    """
    if _OURS.match(name):
        bits = base64.b32decode(name.removeprefix(_PREFIX).upper() + "======").hex()
        return str(UUID(_with_variant(bits, 0))) if _looks_made_by_others(bits) else bits
    if len(name) <= 18 and name.isascii():
        return name
    raise UnfitId(f"{name} is neither one of our ids nor 18 characters or fewer")


def from_uuid(text: str) -> str:
    """Back to our order id; the name of an order that is not ours is as it is."""
    bits = text
    if _DASHED.match(text):
        bits = _with_variant(text.replace("-", ""), _RFC)
        if not (_looks_made_by_others(bits) and text == str(UUID(_with_variant(bits, 0)))):
            return text
    elif not _HEX.match(text) or _looks_made_by_others(text):
        return text
    return _PREFIX + base64.b32encode(bytes.fromhex(bits)).decode().rstrip("=").lower()


_RFC = 0b1000


def _looks_made_by_others(bits: str) -> bool:
    return bits[12] in "12345678" and int(bits[16], 16) & 0b1100 == _RFC


def _with_variant(bits: str, variant: int) -> str:
    """The 32 digits with another variant; two bits of its digit are content."""
    return f"{bits[:16]}{int(bits[16], 16) & 0b0011 | variant:x}{bits[17:]}"


_MARKET_AND_LIMIT = frozenset({OrderType.MARKET, OrderType.LIMIT})
_RECV_WINDOW_S = 5.0
_BINANCE_BURST = 120.0
"""A tenth of what it lets through in a minute."""
_KRAKEN_BURST = 45.0
"""Its counter of the lowest tier goes to 15, and ccxt counts 3 for each; orders and cancels are not counted."""
_BINANCE: Mapping[str, Any] = {"recvWindow": int(_RECV_WINDOW_S * 1000), "warnOnFetchOpenOrdersWithoutSymbol": False}

DIALECTS: Mapping[str, Dialect] = {
    "binance": Dialect(
        kind="spot",
        find=Find.BY_NAME,
        fills=Fills.BY_SYMBOL_AND_ID,
        order_types=_MARKET_AND_LIMIT,
        times_in_force=frozenset({TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK}),
        client_id_length=36,
        tells_account=True,
        request_expiry_s=_RECV_WINDOW_S,
        burst=_BINANCE_BURST,
        options={**_BINANCE, "fetchMarkets": {"types": ["spot"]}, "fetchMargins": False, "defaultType": "spot"},
    ),
    "binanceusdm": Dialect(
        kind="swap",
        find=Find.BY_NAME,
        fills=Fills.BY_SYMBOL_AND_ID,
        order_types=_MARKET_AND_LIMIT,
        times_in_force=frozenset({TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK}),
        client_id_length=36,
        request_expiry_s=_RECV_WINDOW_S,
        burst=_BINANCE_BURST,
        options={**_BINANCE, "fetchMarkets": {"types": ["linear"]}, "defaultType": "swap"},
    ),
    "kraken": Dialect(
        kind="spot",
        find=Find.IN_LISTS,
        fills=Fills.BY_TIME_AND_OFFSET,
        order_types=_MARKET_AND_LIMIT,
        times_in_force=frozenset({TimeInForce.GTC, TimeInForce.IOC}),
        client_id_length=36,
        encode=uuid_of,
        decode=from_uuid,
        page=50,
        burst=_KRAKEN_BURST,
    ),
    "krakenfutures": Dialect(
        kind="swap",
        find=Find.BY_STATUS,
        fills=Fills.BACKWARDS,
        order_types=_MARKET_AND_LIMIT,
        times_in_force=frozenset({TimeInForce.GTC, TimeInForce.IOC}),
        client_id_length=64,
        page=100,
    ),
}
