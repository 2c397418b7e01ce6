"""What happens to orders at the venue: honest, durable before it is told, and pure of the network.

Everything that happens is written to the ledger first and then told as an event; what becomes of the event on its way
to the client is the business of `stream`.
"""

import random
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Protocol

from tests.venue import rules
from tests.venue.ledger import Account, Ledger
from tests.venue.orders import ZERO, Asset, Execution, Json, Order, new_id, order_json, text_of, time_text
from tests.venue.rules import Refusal


class Tell(Protocol):
    """Takes an event for an account's stream."""

    def __call__(self, account: str, event: Json) -> None: ...


class Exchange:
    """Takes, changes and trades orders. `clock` gives microseconds of UTC; `dice` makes the ids."""

    def __init__(
        self, ledger: Ledger, assets: Iterable[Asset], clock: Callable[[], int], dice: random.Random, tell: Tell
    ):
        self.ledger = ledger
        self.prices: dict[str, Decimal] = {}
        self._assets: dict[str, Asset] = {}
        for asset in assets:
            self._assets[asset.symbol] = self._assets[asset.position_symbol] = asset
        self._clock = clock
        self._dice = dice
        self._tell = tell
        self.accounts = {account.number: account for account in ledger.accounts()}
        self.working: dict[str, Order] = {order.order_id: order for order in ledger.orders() if order.working}
        self._sequence = ledger.next_sequence("orders")
        self._executions = ledger.next_sequence("executions")

    def asset(self, symbol: str) -> Asset | None:
        return self._assets.get(symbol)

    def assets(self) -> list[Asset]:
        return list(self._assets.values())

    def open_account(self, account: Account) -> None:
        self.ledger.open_account(account)
        self.accounts = {one.number: one for one in self.ledger.accounts()}

    def find(self, order_id: str) -> Order | None:
        """The order by the venue's id; working orders are always the same object."""
        return self.working.get(order_id) or self.ledger.order(order_id)

    def json(self, order: Order, status: str | None = None) -> Json:
        return order_json(order, self.asset(order.symbol), status)

    def cash(self, account: str) -> Decimal:
        return next(one.cash for one in self.ledger.accounts() if one.number == account)

    def submit(self, account: str, body: Json, *, external: bool = False) -> Order | Refusal:
        """Take the order or refuse it. A client_order_id is good for one order, for ever."""
        symbol, kind = str(body.get("symbol", "")), str(body.get("type", ""))
        asset = self.asset(symbol)
        numbers = [rules.number_in(body, name) for name in ("qty", "limit_price", "stop_price", "trail_price")]
        for number in numbers:
            if isinstance(number, Refusal):
                return number
        quantity, limit, stop, trail = (None if isinstance(number, Refusal) else number for number in numbers)
        if quantity is None:
            return rules.invalid("qty is required")
        time_in_force, side = str(body.get("time_in_force", "")), str(body.get("side", ""))
        fault = rules.order_fault(asset, symbol, kind, time_in_force, quantity)
        if fault is not None or asset is None:
            return fault or rules.invalid("no asset")
        if side not in ("buy", "sell"):
            return rules.invalid("side must be buy or sell")
        fault = self._price_faults(asset, kind, limit, stop, trail)
        if fault is not None:
            return fault
        sign, held = (1 if side == "buy" else -1), self.ledger.position(account, asset.symbol)[0]
        price = limit or stop or self.prices.get(asset.symbol, ZERO)
        fault = rules.money_fault(asset, sign, quantity, price, self.cash(account), held)
        if fault is not None:
            return fault
        name = str(body.get("client_order_id") or new_id(self._dice.getrandbits(128)))
        if len(name) > 128:
            return rules.invalid("client_order_id must be at most 128 characters")
        if self.ledger.order_named(account, name) is not None:
            return rules.NOT_UNIQUE
        order = Order(
            sequence=self._next(),
            order_id=new_id(self._dice.getrandbits(128)),
            account=account,
            client_order_id=name,
            symbol=asset.symbol,
            side=side,
            kind=kind,
            time_in_force=time_in_force,
            quantity=quantity,
            submitted_us=self._clock(),
            limit_price=limit,
            stop_price=stop,
            trail_price=trail,
            external=external,
        )
        self.ledger.save([order])
        self.working[order.order_id] = order
        self._event("new", order)
        return order

    @staticmethod
    def _price_faults(
        asset: Asset, kind: str, limit: Decimal | None, stop: Decimal | None, trail: Decimal | None
    ) -> Refusal | None:
        return (
            rules.price_fault(asset, "limit_price", limit, kind in ("limit", "stop_limit"))
            or rules.price_fault(asset, "stop_price", stop, kind in ("stop", "stop_limit"))
            or rules.price_fault(asset, "trail_price", trail, kind == "trailing_stop")
        )

    def ask_cancel(self, order: Order) -> Refusal | None:
        """Take the request to cancel; `cancel` carries it out."""
        if not order.working:
            return rules.already(order.status)
        if order.status == "pending_cancel":
            return rules.already(order.status)
        order.status, order.updated_us = "pending_cancel", self._clock()
        self.ledger.save([order])
        self._event("pending_cancel", order)
        return None

    def cancel(self, order: Order) -> None:
        """Cancel what is left; where nothing is left, the request was too late."""
        if order.status == "pending_cancel":
            self._end(order, "canceled")
        else:
            self._event("order_cancel_rejected", order, reason="TOO_LATE_TO_CANCEL")

    def expire(self, order: Order) -> None:
        if order.working:
            self._end(order, "expired")

    def reject(self, order: Order) -> None:
        if order.working:
            self._end(order, "rejected")

    def ask_replace(self, account: str, order: Order, body: Json) -> Order | Refusal:
        """Take the request to replace: a new order that waits for `replace`."""
        if not order.working:
            return rules.already(order.status)
        if order.status not in ("new", "partially_filled"):
            return Refusal(422, 42210000, f"order in {order.status} status cannot be changed")
        numbers = [rules.number_in(body, name) for name in ("qty", "limit_price", "stop_price", "trail")]
        for number in numbers:
            if isinstance(number, Refusal):
                return number
        quantity, limit, stop, trail = (None if isinstance(number, Refusal) else number for number in numbers)
        asset = self.asset(order.symbol)
        assert asset is not None, "an order of an asset that is not listed"
        quantity = order.quantity if quantity is None else quantity
        limit = order.limit_price if limit is None else limit
        stop = order.stop_price if stop is None else stop
        fault = rules.order_fault(asset, order.symbol, order.kind, order.time_in_force, quantity)
        fault = fault or self._price_faults(asset, order.kind, limit, stop, trail or order.trail_price)
        if fault is not None:
            return fault
        if quantity <= order.filled:
            return Refusal(422, 42210000, "qty must be greater than filled qty")
        name = str(body.get("client_order_id") or new_id(self._dice.getrandbits(128)))
        if self.ledger.order_named(account, name) is not None:
            return rules.NOT_UNIQUE
        fresh = Order(
            sequence=self._next(),
            order_id=new_id(self._dice.getrandbits(128)),
            account=account,
            client_order_id=name,
            symbol=order.symbol,
            side=order.side,
            kind=order.kind,
            time_in_force=order.time_in_force,
            quantity=quantity,
            submitted_us=self._clock(),
            status="pending_new",
            limit_price=limit,
            stop_price=stop,
            trail_price=trail or order.trail_price,
            replaces=order.order_id,
        )
        order.status, order.replaced_by, order.updated_us = "pending_replace", fresh.order_id, self._clock()
        self.ledger.save([order, fresh])
        self._event("pending_replace", order)
        return fresh

    def replace(self, order: Order, fresh: Order) -> None:
        """Let the new order take the old one's place, fills included; where the old one is done, it is too late."""
        if order.status != "pending_replace":
            fresh.status, fresh.ended_us = "rejected", self._clock()
            order.replaced_by = ""
            self.ledger.save([order, fresh])
            self._event("order_replace_rejected", order, reason="TOO_LATE_TO_CANCEL")
            self._event("rejected", fresh)
            return
        fresh.filled, fresh.paid, fresh.filled_us = order.filled, order.paid, order.filled_us
        fresh.status = "partially_filled" if fresh.filled else "new"
        self._end(order, "replaced", also=fresh)
        if fresh.leaves > 0:
            self.working[fresh.order_id] = fresh
        self._event("new", fresh)

    def trade(self, order: Order, quantity: Decimal, price: Decimal) -> Execution:
        """Fill the order, whatever its status: a venue may be late with what happened before."""
        now = self._clock()
        order.filled += quantity
        order.paid += quantity * price
        order.filled_us = order.updated_us = now
        if order.working or order.leaves <= 0:
            if order.leaves <= 0:
                order.status = "filled"
            elif order.status not in ("pending_cancel", "pending_replace"):
                order.status = "partially_filled"
        execution = Execution(
            sequence=self._next_execution(),
            execution_id=new_id(self._dice.getrandbits(128)),
            order_id=order.order_id,
            account=order.account,
            kind="fill",
            quantity=quantity,
            price=price,
            cumulative=order.filled,
            leaves=max(order.leaves, ZERO),
            time_us=now,
        )
        self.ledger.save([order], execution, order.sign)
        if not order.working:
            self.working.pop(order.order_id, None)
        self._event("fill" if order.leaves <= 0 else "partial_fill", order, execution)
        return execution

    def price(self, symbol: str, price: Decimal, volume: Decimal | None = None) -> None:
        """The market trades here: working orders that it reaches are filled at it, the first ones first."""
        asset = self.asset(symbol)
        assert asset is not None, f"no asset {symbol}"
        self.prices[asset.symbol] = price
        for order in sorted(self.working.values(), key=lambda one: one.sequence):
            if order.symbol != asset.symbol or order.status in ("pending_cancel", "pending_replace", "pending_new"):
                continue
            if _reached(order, price):
                quantity = order.leaves if volume is None else min(order.leaves, volume)
                if volume is not None:
                    volume -= quantity
                if quantity > 0:
                    self.trade(order, quantity, price)
            if order.working and order.time_in_force in ("ioc", "fok"):
                self._end(order, "canceled")

    def bust(self, execution_id: str) -> Execution:
        """Undo a fill."""
        old, order = self._executed(execution_id)
        order.filled -= old.quantity
        order.paid -= old.quantity * old.price
        order.updated_us = self._clock()
        bust = self._amendment(old, order, "trade_bust", -old.quantity, old.price)
        self.ledger.save([order], bust, order.sign)
        self._event("trade_bust", order, bust)
        return bust

    def correct(self, execution_id: str, quantity: Decimal, price: Decimal) -> Execution:
        """Change a fill to this quantity and price."""
        old, order = self._executed(execution_id)
        order.filled += quantity - old.quantity
        order.paid += quantity * price - old.quantity * old.price
        order.updated_us = self._clock()
        correction = self._amendment(old, order, "trade_correct", quantity, price)
        self.ledger.correct(order, correction, old)
        self._event("trade_correct", order, correction)
        return correction

    def _executed(self, execution_id: str) -> tuple[Execution, Order]:
        old = self.ledger.execution(execution_id)
        assert old is not None, f"no execution {execution_id}"
        order = self.find(old.order_id)
        assert order is not None, f"no order {old.order_id}"
        return old, order

    def _amendment(self, old: Execution, order: Order, kind: str, quantity: Decimal, price: Decimal) -> Execution:
        return Execution(
            sequence=self._next_execution(),
            execution_id=new_id(self._dice.getrandbits(128)),
            order_id=order.order_id,
            account=order.account,
            kind=kind,
            quantity=quantity,
            price=price,
            cumulative=order.filled,
            leaves=max(order.leaves, ZERO),
            time_us=self._clock(),
            reference=old.execution_id,
        )

    def _end(self, order: Order, status: str, also: Order | None = None) -> None:
        order.status, order.ended_us = status, self._clock()
        order.updated_us = order.ended_us
        self.ledger.save([order] if also is None else [order, also])
        self.working.pop(order.order_id, None)
        self._event(status, order)

    def _event(self, name: str, order: Order, execution: Execution | None = None, **more: str) -> None:
        event: Json = {
            "event": name,
            "timestamp": time_text(order.updated_us or order.submitted_us),
            "order": self.json(order),
            "execution_id": execution.execution_id if execution else new_id(self._dice.getrandbits(128)),
            **more,
        }
        if execution is not None:
            held = self.ledger.position(order.account, order.symbol)[0]
            event |= {
                "price": text_of(execution.price),
                "qty": text_of(execution.quantity),
                "position_qty": text_of(held),
            }
            if execution.reference:
                event["previous_execution_id"] = execution.reference
        self._tell(order.account, event)

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence - 1

    def _next_execution(self) -> int:
        self._executions += 1
        return self._executions - 1


def _reached(order: Order, price: Decimal) -> bool:
    """Whether the market at this price trades with the order; a stop that is touched is remembered."""
    if order.kind == "trailing_stop":
        trail = order.trail_price or ZERO
        mark = order.high_water
        order.high_water = price if mark is None else max(mark, price) if order.sign < 0 else min(mark, price)
        return mark is not None and (order.high_water - price) * -order.sign >= trail
    if order.kind in ("stop", "stop_limit") and not order.triggered:
        stop = order.stop_price or ZERO
        order.triggered = price >= stop if order.sign > 0 else price <= stop
        if not order.triggered:
            return False
    if order.limit_price is None:
        return True
    return price <= order.limit_price if order.sign > 0 else price >= order.limit_price
