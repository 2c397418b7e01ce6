"""The verdict: what the venue's ledger says happened, read from its file while it runs or after it was killed."""

from collections import Counter
from decimal import Decimal
from pathlib import Path
from types import TracebackType

from tests.venue.ledger import Ledger
from tests.venue.orders import Execution, Order


class Judge:
    """Reads the ledger, and never writes it."""

    def __init__(self, folder: Path):
        self._ledger = Ledger(folder, read_only=True)

    def __enter__(self) -> "Judge":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._ledger.close()

    def orders(self, account: str = "") -> list[Order]:
        """Every order that was accepted, in the order of acceptance."""
        return self._ledger.orders(account)

    def names(self, account: str = "") -> list[str]:
        """client_order_id of every order that was accepted."""
        return [order.client_order_id for order in self.orders(account)]

    def order(self, client_order_id: str, account: str = "") -> Order:
        """The one order of this name. Raises AssertionError where there is none or more than one."""
        found = [order for order in self.orders(account) if order.client_order_id == client_order_id]
        assert len(found) == 1, f"{len(found)} orders of the name {client_order_id}"
        return found[0]

    def executions(self, account: str = "") -> list[Execution]:
        """Fills, busts and corrections as they were written."""
        return self._ledger.executions(account)

    def positions(self, account: str) -> dict[str, Decimal]:
        """What is held, by symbol; nothing that is flat."""
        return {symbol: quantity for symbol, quantity, _ in self._ledger.positions(account)}

    def cash(self, account: str) -> Decimal:
        return next(one.cash for one in self._ledger.accounts() if one.number == account)

    def attempts(self, what: str = "submit", key: str = "") -> Counter[str]:
        """How often each order, cancel or replace was asked for (with this key), by name."""
        asked = (one for one in self._ledger.requests() if one["what"] == what and key in ("", one["account"]))
        return Counter(request["name"] for request in asked)

    def faults(self) -> Counter[str]:
        """How many requests each script befell."""
        return Counter(request["fault"] for request in self._ledger.requests() if request["fault"])
