"""What an answer must have to be an answer.

ccxt takes a page of HTML, or an answer that lacks its list, for an empty list; and an empty list of positions means
flat. So what comes is held against this table before ccxt sees it. Answers that say an error are ccxt's to read.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

Keys = tuple[str, ...]

SHAPES: Mapping[str, tuple[Keys, type]] = {
    "/exchangeInfo": (("symbols",), list),
    "/api/v3/openOrders": ((), list),
    "/api/v3/account": (("balances",), list),
    "/api/v3/myTrades": ((), list),
    "/fapi/v1/openOrders": ((), list),
    "/fapi/v1/userTrades": ((), list),
    "/account": (("assets",), list),
    "/balance": ((), list),
    "/positionRisk": ((), list),
    "/0/public/AssetPairs": (("result",), dict),
    "/0/private/OpenOrders": (("result", "open"), dict),
    "/0/private/ClosedOrders": (("result", "closed"), dict),
    "/0/private/BalanceEx": (("result",), dict),
    "/0/private/Balance": (("result",), dict),
    "/0/private/TradesHistory": (("result", "trades"), dict),
    "/instruments": (("instruments",), list),
    "/openorders": (("openOrders",), list),
    "/orders/status": (("orders",), list),
    "/fills": (("fills",), list),
    "/openpositions": (("openPositions",), list),
    "/accounts": (("accounts",), dict),
    "/history/v2/orders": (("elements",), list),
    "/history/v3/orders": (("elements",), list),
}
"""By the end of the path, the first that fits: where the answer's substance is, and what it must be."""


def fault(url: str, body: str) -> str:
    """Why this is no answer, in words; empty where it is one."""
    try:
        told = json.loads(body)
    except ValueError:
        return f"no JSON but {body[:40]!r}"
    if not isinstance(told, dict | list):
        return f"neither an object nor a list but {body[:40]!r}"
    if isinstance(told, dict) and (told.get("error") or told.get("errors") or "code" in told):
        return ""
    path = urlsplit(url).path
    keys, kind = next((shape for end, shape in SHAPES.items() if path.endswith(end)), ((), object))
    found: Any = told
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return "" if isinstance(found, kind) else f"it has no {'.'.join(keys) or 'list'}"


def checked(bad_response: type[Exception]) -> Callable[..., str]:
    """ccxt's hook for answers as they come, raising `bad_response` for a success that is none."""

    def on_rest_response(code: int, reason: str, url: str, method: str, headers: Any, body: str, *_: Any) -> str:
        if 200 <= code < 300:
            why = fault(url, body)
            if why:
                raise bad_response(f"{method} {urlsplit(url).path} was answered {code}, and that is {why}")
        return body.strip()

    return on_rest_response
