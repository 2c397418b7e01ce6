"""What the director of the play sets: the clock, how long requests take, and whether orders trade by themselves."""

import asyncio
import random
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tests.venue.exchange import Exchange
from tests.venue.orders import Order


@dataclass(slots=True)
class Direction:
    """The venue's manners.

    skew_us: added to the wall clock.
    settle_s: how long a cancel or replace is under way; 0 settles it before the answer.
    fill_chance: of an order trading by itself; 0 waits for prices.
    fill_seconds: the longest time until it does.
    parts_max: the largest number of fills that it takes.
    """

    skew_us: int = 0
    settle_s: float = 0.0
    fill_chance: float = 0.0
    fill_seconds: float = 0.02
    parts_max: int = 3

    def now_us(self) -> int:
        return time.time_ns() // 1000 + self.skew_us


class Market:
    """Trades orders by itself, by seeded dice, in the background."""

    def __init__(self, exchange: Exchange, direction: Direction, seed: int):
        self._exchange = exchange
        self._direction = direction
        self._dice = random.Random(f"market-{seed}")
        self._tasks: set[asyncio.Task[None]] = set()

    def resume(self) -> None:
        """Go on with orders of before a restart."""
        for order in list(self._exchange.working.values()):
            self.see(order)

    def see(self, order: Order) -> None:
        """An order has come: perhaps it will trade."""
        if order.working and self._dice.random() < self._direction.fill_chance:
            self.later(self._fill(order))

    def later(self, deed: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(deed)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _fill(self, order: Order) -> None:
        for part in range(parts := self._dice.randint(1, self._direction.parts_max)):
            await asyncio.sleep(self._dice.random() * self._direction.fill_seconds / parts)
            if not order.working:
                return
            if order.status in ("pending_cancel", "pending_replace"):
                continue
            lots = int(order.leaves)
            last = part == parts - 1 or lots < 2
            quantity = order.leaves if last else Decimal(self._dice.randint(1, lots - 1))
            self._exchange.trade(order, quantity, self.price_of(order))
            if order.leaves <= 0:
                return

    def price_of(self, order: Order) -> Decimal:
        """Where it trades: at its limit, or at the market."""
        return order.limit_price or self._exchange.prices.get(order.symbol) or Decimal(100)
