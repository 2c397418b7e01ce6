"""Ports: what the engine asks of the outside, on one page. Errors are those of `connectors.errors`, nothing else."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from schemas.execution import ExecutionReport, HeldCash, HeldPosition
from schemas.order import CancelOrder, OrderType, QueryOrder, ReplaceOrder, SubmitOrder, TimeInForce


class ClientIdUnique(StrEnum):
    """For how long a broker refuses, or recognises, a client_order_id that it has seen."""

    ALWAYS = "always"
    WHILE_OPEN = "while_open"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What one broker can do, declared by it and relied on by execution.

    client_id_unique: without ALWAYS an order that may have been sent is never sent again.
    repeats_answer: a request sent twice gets its first answer again, exec_id included, so a repeat is harmless.
    client_id_length: longest client_order_id it takes, characters.
    replace: it can change a working order; without, an order is cancelled and placed anew.
    request_expiry_s: after this the venue itself drops a request that is still under way; None where it has no expiry.
    """

    venue: str
    client_id_unique: ClientIdUnique
    order_types: frozenset[OrderType]
    times_in_force: frozenset[TimeInForce]
    repeats_answer: bool = False
    client_id_length: int = 32
    replace: bool = True
    reduce_only: bool = False
    post_only: bool = False
    request_expiry_s: float | None = None

    def lacks(self, order: SubmitOrder) -> str:
        """What of this order the broker cannot take, in words; empty where it can take all.

        Without `reduce_only` the flag is left out: our own gate sized the order, the flag only guards against a race.
        """
        if len(order.client_order_id) > self.client_id_length:
            return f"ids of {len(order.client_order_id)} characters"
        if order.order_type not in self.order_types:
            return f"{order.order_type} orders"
        # A market order does not rest: where a venue knows no days, one for the day is like any other.
        for_the_day = order.order_type is OrderType.MARKET and order.time_in_force is TimeInForce.DAY
        if order.time_in_force not in self.times_in_force and not for_the_day:
            return f"{order.time_in_force} orders"
        return "post-only orders" if order.post_only and not self.post_only else ""


@dataclass(frozen=True, slots=True)
class FillPage:
    """Fills in the broker's order, and the cursor from which the next page goes on."""

    fills: tuple[ExecutionReport, ...]
    cursor: str


class Broker(Protocol):
    """Someone who trades for us.

    `submit` returns when the broker has the order, not when it is filled: fills arrive in `reports`.
    Submitting a client_order_id twice is one order, and the second answer tells of it; it is never Refused for having
    been seen before. Raises Unavailable, Refused or Ambiguous, nothing else.

    An answer to a cancel or replace carries the request's id as its client_order_id and the order meant as its
    original_client_order_id. A rejection may come as Refused or as a report that says so. `exec_id` is the same
    wherever and however often the broker tells of the same event.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        ...

    async def submit(self, order: SubmitOrder) -> ExecutionReport:
        """Place the order; the report is its acknowledgement or its rejection."""
        ...

    async def cancel(self, request: CancelOrder) -> ExecutionReport:
        """Cancel what is left of the order."""
        ...

    async def replace(self, request: ReplaceOrder) -> ExecutionReport:
        """Change quantity or prices of a working order; `quantity` is the new total."""
        ...

    async def query(self, request: QueryOrder) -> ExecutionReport | None:
        """The order as the broker knows it now (ORDER_STATUS), or None where it knows of no such order."""
        ...

    async def open_orders(self, account_id: str) -> list[ExecutionReport]:
        """Status of every order of the account that works at the broker, oldest first."""
        ...

    async def positions(self, account_id: str) -> list[HeldPosition]:
        """All that the account holds, in instrument order; what is not named is flat."""
        ...

    async def cash(self, account_id: str) -> list[HeldCash]:
        """The account's money, in currency order; empty where the broker keeps none."""
        ...

    async def fills(self, account_id: str, cursor: str = "") -> FillPage:
        """Fills of the account after the cursor, the first one after the empty cursor."""
        ...

    def reports(self) -> AsyncIterator[ExecutionReport]:
        """What happens to our orders, as it happens. Ends with Unavailable when the stream is lost."""
        ...
