"""A handle on a running venue: start it on a folder, direct it, kill it, start it again, and ask its ledger.

The venue is a process of its own; its calls here are those of the director, short and on the loopback address.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

from connectors.embedded import serving
from connectors.embedded.process import ServerProcess
from tests.venue.faults import Kind
from tests.venue.judge import Judge
from tests.venue.orders import Json

_KIND = serving.Kind("misbehaving venue", "tests.venue", 0, "/admin/ready", ("starlette", "uvicorn", "websockets"))

ALICE: Json = {"number": "PA1ALICE", "key": "AKALICE", "secret": "s3cret-of-alice", "cash": "100000"}
"""The account that tests trade in."""
TEAPOTS: Json = {"symbol": "TPT", "increment": "1"}
COIN_OF_TEAPOTS: Json = {"symbol": "TPT/USD", "asset_class": "crypto", "increment": "0.0001"}
PERPETUAL_OF_TEAPOTS: Json = {"symbol": "TPT/USD:USD", "asset_class": "perp", "increment": "0.0001"}
COINS: Json = {"symbol": "BTC/USD", "asset_class": "crypto", "quantity_min": "0.0001", "increment": "0.0001"}


class Venue:
    """A running venue."""

    def __init__(self, folder: Path, options: Mapping[str, object], server: ServerProcess):
        self._folder = folder
        self._options = options
        self._server = server
        self._client = httpx.Client(base_url=self.url, timeout=30)

    @classmethod
    def start(
        cls,
        folder: Path,
        *,
        seed: int = 0,
        accounts: Sequence[Json] = (ALICE,),
        assets: Sequence[Json] = (TEAPOTS, COINS),
        prices: Mapping[str, str] | None = None,
        port: int = 0,
        fix_port: int = 0,
        **direction: float,
    ) -> "Venue":
        """A venue on the folder, with a FIX door where it has a port; `direction` is what `Direction` takes."""
        folder.mkdir(parents=True, exist_ok=True)
        options = {
            "seed": seed,
            "accounts": list(accounts),
            "assets": list(assets),
            "prices": dict(prices or {}),
            "direction": direction,
            "fix_port": fix_port,
        }
        return cls(folder, options, serving.start(_KIND, folder, port=port, options=options))

    @property
    def url(self) -> str:
        return serving.url(self._server)

    @property
    def stream_url(self) -> str:
        return f"ws://127.0.0.1:{self._server.port}/stream"

    @property
    def pid(self) -> int:
        return self._server.pid

    def stop(self) -> None:
        self._client.close()
        self._server.stop(patience_s=5)

    def kill(self) -> None:
        self._server.kill()

    def restart(self) -> None:
        """Start it again where it was, on the same ledger and port; faults are forgotten."""
        self._server.stop(patience_s=5)
        self._server = serving.start(_KIND, self._folder, port=self._server.port, options=self._options)

    def judge(self) -> Judge:
        """The verdict of its ledger."""
        return Judge(self._folder)

    def fault(self, kind: Kind, on: str = "", *, left: int | None = None, **more: object) -> None:
        """Switch a script on."""
        self._ask("POST", "/admin/faults", {"kind": kind, "on": on, "left": left, **more})

    def faults(self) -> list[Json]:
        """The scripts that are on, and how often each has struck."""
        return list(self._client.get("/admin/faults").raise_for_status().json())

    def behave(self) -> None:
        """Switch all scripts off."""
        self._client.delete("/admin/faults").raise_for_status()

    def direct(self, **manners: float) -> None:
        self._ask("POST", "/admin/direct", manners)

    def price(self, symbol: str, price: str, volume: str | None = None) -> None:
        """Let the market trade at a price."""
        self._ask("POST", "/admin/price", {"symbol": symbol, "price": price, "volume": volume})

    def trade(self, client_order_id: str, quantity: str, price: str, account: str = ALICE["number"]) -> str:
        """Fill an order, whatever its status; the execution's id."""
        told = {"account": account, "client_order_id": client_order_id, "quantity": quantity, "price": price}
        return str(self._ask("POST", "/admin/trade", told)["execution_id"])

    def bust(self, execution_id: str) -> str:
        return str(self._ask("POST", "/admin/bust", {"execution_id": execution_id})["execution_id"])

    def correct(self, execution_id: str, quantity: str, price: str) -> str:
        told = {"execution_id": execution_id, "quantity": quantity, "price": price}
        return str(self._ask("POST", "/admin/correct", told)["execution_id"])

    def end(self, deed: str, client_order_id: str, account: str = ALICE["number"]) -> None:
        """`expire` or `reject` a working order."""
        self._ask("POST", f"/admin/{deed}", {"account": account, "client_order_id": client_order_id})

    def external_order(self, account: str = ALICE["number"], **body: str) -> Json:
        """An order that the client never sent."""
        return self._ask("POST", "/admin/order", {"account": account, **body})

    def external_position(self, symbol: str, quantity: str, price: str, account: str = ALICE["number"]) -> None:
        """A position that the client never traded."""
        told = {"account": account, "symbol": symbol, "quantity": quantity, "price": price}
        self._ask("POST", "/admin/position", told)

    def open_account(self, number: str, key: str, secret: str, cash: Decimal) -> None:
        told = {"number": number, "key": key, "secret": secret, "cash": str(cash)}
        self._ask("POST", "/admin/account", told)

    def disconnect(self) -> None:
        """Close every stream."""
        self._ask("POST", "/admin/disconnect", {})

    def flush(self) -> None:
        """Tell what a reordering still holds back."""
        self._ask("POST", "/admin/flush", {})

    def listeners(self) -> int:
        """How many streams listen to trade updates."""
        return int(self._client.get("/admin/ready").raise_for_status().json()["listeners"])

    def _ask(self, method: str, path: str, told: Mapping[str, object]) -> dict[str, Any]:
        answer = self._client.request(method, path, json=dict(told)).raise_for_status().json()
        return answer if isinstance(answer, dict) else {}


@contextmanager
def venue(folder: Path, **options: Any) -> Iterator[Venue]:
    """A venue for the length of a block."""
    running = Venue.start(folder, **options)
    try:
        yield running
    finally:
        running.stop()
