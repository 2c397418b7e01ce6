"""What the crypto doors of the venue share: keys, markets, and the way to the exchange."""

from collections.abc import Mapping
from decimal import Decimal
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.venue.direction import Direction, Market
from tests.venue.exchange import Exchange
from tests.venue.faults import Faults, Kind
from tests.venue.ledger import Account
from tests.venue.orders import Asset, Execution, Json, Order, text_of
from tests.venue.rules import Refusal

STEP = Decimal("0.0001")


class CryptoDoor:
    """A door to the exchange for clients that speak as crypto venues do."""

    def __init__(self, exchange: Exchange, market: Market, direction: Direction, faults: Faults):
        self.exchange = exchange
        self.market = market
        self.direction = direction
        self.faults = faults

    def account_of(self, key: str) -> Account | None:
        return next((one for one in self.exchange.accounts.values() if one.key == key), None)

    def assets(self, *, perpetual: bool) -> list[Asset]:
        """What is traded at this kind of door."""
        kind = "perp" if perpetual else "crypto"
        found = {asset.symbol: asset for asset in self.exchange.assets() if asset.asset_class == kind}
        return list(found.values())

    def asset_of(self, market_id: str, *, perpetual: bool) -> Asset | None:
        return next((one for one in self.assets(perpetual=perpetual) if market_id_of(one) == market_id), None)

    def place(self, account: Account, body: Json) -> Order | Refusal:
        taken = self.exchange.submit(account.number, body)
        if not isinstance(taken, Refusal):
            if self.faults.strike(Kind.FILL_BEFORE_ACK, "submit"):
                self.exchange.trade(taken, taken.leaves, self.market.price_of(taken))
            self.market.see(taken)
        return taken

    def cancel(self, order: Order) -> Refusal | None:
        refusal = self.exchange.ask_cancel(order)
        if refusal is not None:
            return refusal
        if self.faults.strike(Kind.CANCEL_RACE, "cancel"):
            self.exchange.trade(order, order.leaves, self.market.price_of(order))
            return Refusal(422, 0, "unknown order")
        self.exchange.cancel(order)
        if self.faults.strike(Kind.LATE_FILL, "cancel"):
            self.exchange.trade(order, min(order.leaves, Decimal(1)), self.market.price_of(order))
        return None

    def working(self, account: Account) -> list[Order]:
        mine = [order for order in self.exchange.working.values() if order.account == account.number]
        return sorted(mine, key=lambda order: order.sequence)

    def fills(self, account: Account) -> list[tuple[Execution, Order]]:
        rows = [one for one in self.exchange.ledger.executions(account.number) if one.kind == "fill"]
        pairs = ((one, self.exchange.find(one.order_id)) for one in rows)
        return [(one, order) for one, order in pairs if order is not None]

    def balances(self, account: Account) -> Mapping[str, Decimal]:
        """Coins and money of the account."""
        found = {"USD": self.exchange.cash(account.number)}
        for symbol, quantity, _ in self.exchange.ledger.positions(account.number):
            found[symbol.partition("/")[0]] = quantity
        return found


def market_id_of(asset: Asset) -> str:
    """TPT/USD and TPT/USD:USD are both TPTUSD, each at its door."""
    return asset.symbol.partition(":")[0].replace("/", "")


def plain(number: Decimal | None) -> str:
    return text_of(number) or "0"


def answer(told: object, status: int = 200) -> Response:
    return JSONResponse(told, status_code=status)


async def asked(request: Request) -> dict[str, str]:
    """The request's parameters, of its address and its body."""
    body = (await request.body()).decode()
    return dict(parse_qsl(request.url.query)) | dict(parse_qsl(body))
