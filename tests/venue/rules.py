"""What Alpaca refuses, with its statuses, codes and words."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from tests.venue.orders import ZERO, Asset, Json, text_of


@dataclass(frozen=True, slots=True)
class Refusal:
    """An HTTP status, Alpaca's code and its words."""

    status: int
    code: int
    message: str

    def json(self) -> Json:
        return {"code": self.code, "message": self.message}


NOT_UNIQUE = Refusal(422, 40010001, "client_order_id must be unique")
UNAUTHORIZED = Refusal(401, 40110000, "request is not authorized")
TOO_MANY = Refusal(429, 42910000, "rate limit exceeded")
_EQUITY_KINDS = frozenset({"market", "limit", "stop", "stop_limit", "trailing_stop"})
_CRYPTO_KINDS = frozenset({"market", "limit", "stop_limit"})
_EQUITY_TIMES = frozenset({"day", "gtc", "ioc", "fok", "opg", "cls"})
_CRYPTO_TIMES = frozenset({"gtc", "ioc"})


def not_found(what: str) -> Refusal:
    return Refusal(404, 40410000, f"order not found for {what}")


def already(status: str) -> Refusal:
    return Refusal(422, 42210000, f'order is already in "{status}" state')


def invalid(message: str) -> Refusal:
    return Refusal(422, 40010001, message)


def number_in(body: Mapping[str, object], name: str) -> Decimal | Refusal | None:
    """The number under this name, None where there is none."""
    value = body.get(name)
    if value is None:
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return invalid(f"{name} is not a number")
    return number if number.is_finite() else invalid(f"{name} is not a number")


def order_fault(asset: Asset | None, symbol: str, kind: str, time_in_force: str, quantity: Decimal) -> Refusal | None:
    """Why the order's shape is refused."""
    if asset is None:
        return Refusal(422, 42210000, f'asset "{symbol}" not found')
    if not asset.tradable:
        return Refusal(422, 42210000, f'asset "{symbol}" is not tradable')
    if quantity <= ZERO:
        return invalid("qty must be > 0")
    if quantity < asset.quantity_min:
        return Refusal(403, 40310000, f"minimal qty of order {text_of(asset.quantity_min)}")
    if quantity % asset.increment:
        return Refusal(422, 42210000, f"qty increment must be {text_of(asset.increment)}")
    if kind not in (_CRYPTO_KINDS if asset.crypto else _EQUITY_KINDS):
        return invalid(f"invalid order type for {asset.asset_class} order")
    if time_in_force not in (_CRYPTO_TIMES if asset.crypto else _EQUITY_TIMES):
        return Refusal(422, 42210000, f"invalid {asset.asset_class} time_in_force")
    return None


def price_fault(asset: Asset, name: str, price: Decimal | None, needed: bool) -> Refusal | None:
    """Why this price is refused."""
    if price is None:
        return invalid(f"{name} is required") if needed else None
    if price <= ZERO:
        return invalid(f"{name} must be > 0")
    places = 9 if asset.crypto else 2 if price >= 1 else 4
    if price != round(price, places):
        message = f"invalid {name} {text_of(price)}. sub-penny increment does not fulfill minimum pricing criteria"
        return Refusal(422, 42210000, message)
    return None


def money_fault(
    asset: Asset, sign: int, quantity: Decimal, price: Decimal, cash: Decimal, held: Decimal
) -> Refusal | None:
    """Why the account cannot afford it: four times its cash buys equities, its cash buys crypto, nothing is lent."""
    if sign < 0:
        if asset.crypto and quantity > held:
            return Refusal(403, 40310000, f"insufficient balance for {asset.symbol} (available: {text_of(held)})")
        if not asset.shortable and quantity > held:
            return Refusal(403, 40310000, f'asset "{asset.symbol}" cannot be sold short')
        return None
    if quantity * price > cash * (1 if asset.crypto else 4):
        return Refusal(403, 40310000, "insufficient buying power")
    return None
