"""The venue's process: `python -m tests.venue FOLDER DESCRIPTOR`, started by `tests.venue.process`."""

import asyncio
import json
import os
import random
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from connectors.embedded.serving import OPTIONS
from tests.venue.admin import Admin
from tests.venue.api import Api
from tests.venue.binance import Binance
from tests.venue.crypto import CryptoDoor
from tests.venue.direction import Direction, Market
from tests.venue.exchange import Exchange, Tell
from tests.venue.faults import Faults
from tests.venue.kraken import Kraken, KrakenFutures
from tests.venue.ledger import Account, Ledger
from tests.venue.orders import Asset, Json
from tests.venue.stream import Hub
from tests.venue.wire_faults import Misbehaving


def build(folder: Path, options: dict[str, Any]) -> Misbehaving:
    """The venue on this folder, as its options say."""
    seed = int(options.get("seed", 0))
    ledger, direction, faults = Ledger(folder), Direction(**options.get("direction", {})), Faults(seed)
    # Ids of a later life of the venue must not repeat those of an earlier one.
    lives = f"{seed}-{ledger.next_sequence('orders')}-{ledger.next_sequence('executions')}"
    hub = Hub(faults)
    doors: list[Tell] = [hub.tell]

    def tell(account: str, event: Json) -> None:
        for door in doors:
            door(account, event)

    assets = [Asset(**{**asset, **_decimals(asset)}) for asset in options["assets"]]
    exchange = Exchange(ledger, assets, direction.now_us, random.Random(f"ids-{lives}"), tell)
    for account in options["accounts"]:
        exchange.open_account(Account(**{**account, "cash": Decimal(account["cash"])}))
    exchange.prices.update({symbol: Decimal(price) for symbol, price in options.get("prices", {}).items()})
    market = Market(exchange, direction, seed)
    fix_door = None
    if options.get("fix_port"):
        from tests.venue.fix_door import FixDoor  # noqa: PLC0415 - QuickFIX is not everywhere

        fix_door = FixDoor(folder, int(options["fix_port"]), exchange, market, direction, faults)
        doors.append(fix_door.tell)
    api, admin = (
        Api(exchange, market, direction, faults),
        Admin(exchange, [hub] if fix_door is None else [hub, fix_door], direction, faults),
    )

    async def stream(websocket: WebSocket) -> None:
        keys = {(one.key, one.secret): one.number for one in exchange.accounts.values()}
        await hub.serve(websocket, keys)

    @asynccontextmanager
    async def life(_: Starlette) -> AsyncIterator[None]:
        market.resume()
        if fix_door is not None:
            fix_door.open(asyncio.get_running_loop())
        yield
        if fix_door is not None:
            fix_door.close()
        ledger.close()

    crypto = CryptoDoor(exchange, market, direction, faults)
    dialects = [*Binance(crypto).routes(), *Kraken(crypto).routes(), *KrakenFutures(crypto).routes()]
    streams = WebSocketRoute("/stream", stream)
    app = Starlette(routes=[*api.routes(), *admin.routes(), *dialects, streams], lifespan=life)
    return Misbehaving(app, faults, ledger, direction)


def _decimals(asset: dict[str, Any]) -> dict[str, Decimal]:
    return {name: Decimal(asset[name]) for name in ("quantity_min", "increment") if name in asset}


def main() -> None:
    folder, descriptor = Path(sys.argv[1]), int(sys.argv[2])
    app = build(folder, json.loads(os.environ[OPTIONS]))
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="on",
        ws="websockets-sansio",
        ws_ping_interval=1.0,
        ws_ping_timeout=20.0,
        proxy_headers=False,
        date_header=False,
        server_header=False,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=1,
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    main()
