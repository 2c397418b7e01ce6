"""Random books and any interleaving: no approved order breaks an independent count of the limits, and what was held
for orders is released to the last unit when nothing works.

`QL_PROPERTY_CASES=10000` runs ten thousand histories.
"""

import os
from dataclasses import dataclass, field
from decimal import Decimal as D
from fractions import Fraction
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.control import MarginRegime
from schemas.execution import NotSent, NotSentReason
from schemas.intent import ManualAction, ManualOrder
from schemas.order import ExecType, OrderType, ReplaceOrder, Side, SubmitOrder
from schemas.record import Record
from schemas.risk import RiskVerdict
from tests.builders import DAY, NOON, SECOND, instrument, mark, tick, wish
from tests.streams.accounts.desk import Desk, answer, deployed, desk, fees, filled, setting

CASES = int(os.environ.get("QL_PROPERTY_CASES", "150"))

NAMES = ("BRENT", "GAS", "WTI")
ORDER_VALUE, ORDER_QUANTITY, POSITION_VALUE, GROSS = 20_000, 400, 30_000, 60_000
SLIPPAGE, FEE_RATE = Fraction(2, 100), Fraction(1, 1000)


@dataclass
class Working:
    """An order as the oracle counts it."""

    instrument_id: str
    sign: int
    open: Fraction
    unit_cash: Fraction
    price: Fraction | None


@dataclass
class Book:
    """The oracle: positions, cash and working orders, counted anew each time, in exact fractions."""

    cash: Fraction
    marks: dict[str, Fraction] = field(default_factory=dict)
    held: dict[str, Fraction] = field(default_factory=dict)
    orders: dict[str, Working] = field(default_factory=dict)

    def worst_units(self, name: str) -> Fraction:
        held = self.held.get(name, Fraction(0))
        buys = sum((o.open for o in self.orders.values() if o.instrument_id == name and o.sign > 0), Fraction(0))
        sells = sum((o.open for o in self.orders.values() if o.instrument_id == name and o.sign < 0), Fraction(0))
        return max(abs(held), abs(held + buys), abs(held - sells))

    def worst_value(self, name: str) -> Fraction:
        return self.worst_units(name) * abs(self.marks[name])

    def gross(self) -> Fraction:
        return sum((self.worst_value(name) for name in self.marks), Fraction(0))

    def needed(self) -> Fraction:
        return sum((o.open * o.unit_cash for o in self.orders.values()), Fraction(0))

    def add(self, order: SubmitOrder) -> None:
        """Count an approved order, after checking it against every limit by the oracle's own arithmetic."""
        name, last = order.instrument_id, self.marks[order.instrument_id]
        sign = 1 if order.side is Side.BUY else -1
        quantity = Fraction(order.quantity)
        own = None if order.limit_price is None else Fraction(order.limit_price)
        price = own if own is not None else last * (1 + sign * SLIPPAGE) if last > 0 else last + sign * SLIPPAGE * -last
        before = self.worst_units(name)
        held = self.held.get(name, Fraction(0))
        same = sum((o.open for o in self.orders.values() if o.instrument_id == name and o.sign == sign), Fraction(0))
        closes = held * sign < 0 and same + quantity <= abs(held)
        fee = FEE_RATE * max(abs(price), abs(own if own is not None else last))
        cost = max(Fraction(0), sign * price) + fee
        self.orders[order.client_order_id] = Working(name, sign, quantity, cost, own)
        assert closes or quantity <= ORDER_QUANTITY
        assert closes or quantity * max(abs(price), abs(last if own is None else own)) <= ORDER_VALUE
        if self.worst_units(name) > before:
            assert self.worst_value(name) <= POSITION_VALUE
            assert self.gross() <= GROSS
        if not closes:
            assert self.needed() <= self.cash
        assert self.held.get(name, Fraction(0)) - sum(
            (o.open for o in self.orders.values() if o.instrument_id == name and o.sign < 0), Fraction(0)
        ) >= 0, "a cash account is never short"  # fmt: skip


def begin() -> tuple[Desk, Book]:
    it = desk(cash=50_000, margin=MarginRegime.CASH)
    it.tell(fees("0.001", version=2))
    for name in NAMES:
        it.tell(instrument(name, version=2), mark(50, name, at_us=NOON + 1), deployed(f"s-{name}", of=name))
    setting(it, order_value_max=ORDER_VALUE, order_quantity_max=ORDER_QUANTITY, position_value_max=POSITION_VALUE,
            gross_exposure_max=GROSS, leverage_max=50, concentration_max=50, drawdown_max=1, daily_loss_max=1,
            price_collar=10, orders_per_minute_max=60_000, messages_per_minute_max=60_000, duplicate_window=0,
            sizing_fraction=2, sizing_weight_max=20, rebalance_min=0, consecutive_rejects_max=1000)  # fmt: skip
    return it, Book(Fraction(50_000), {name: Fraction(50) for name in NAMES})


names = st.sampled_from(NAMES)
wishes = st.tuples(st.just("wish"), names, st.integers(-4, 8))
places = st.tuples(st.just("place"), names, st.integers(-500, 500).filter(bool), st.none() | st.integers(30, 70))
moves = st.tuples(st.just("mark"), names, st.integers(-40, 90))
ends = st.tuples(
    st.just("end"), st.integers(0, 9), st.sampled_from(["fill", "part", "cancel", "reject", "expire", "late"])
)
replaces = st.tuples(st.just("replace"), st.integers(0, 9), st.integers(1, 600))
answers = st.tuples(st.just("answer"), st.integers(0, 9), st.booleans())
histories = st.lists(st.one_of(wishes, places, moves, ends, ends, replaces, answers), max_size=40)


class Play:
    """One history, told to the room and to the oracle."""

    def __init__(self) -> None:
        self.it, self.book = begin()
        self.commands: dict[str, SubmitOrder] = {}
        self.requests: dict[str, tuple[str, ReplaceOrder]] = {}
        self.acknowledged: set[str] = set()
        self.at_us = NOON + SECOND
        self.number = 0

    def step(self, act: tuple[Any, ...]) -> None:
        self.number += 1
        self.at_us += 1000
        match act:
            case ("wish", name, eighths):
                self.tell(wish(f"w{self.number}", direction=eighths / 8, at_us=NOON, strategy_id=f"s-{name}",
                               instrument_id=name, valid_until_us=NOON + DAY))  # fmt: skip
            case ("place", name, quantity, price):
                self.tell(self.by_hand(ManualAction.PLACE, instrument_id=name, quantity=D(abs(quantity)),
                                       side=Side.BUY if quantity > 0 else Side.SELL,
                                       order_type=OrderType.MARKET if price is None else OrderType.LIMIT,
                                       limit_price=None if price is None else D(price)))  # fmt: skip
            case ("mark", name, price):
                self.book.marks[name] = Fraction(price)
                self.tell(mark(price, name, at_us=self.at_us))
            case ("end", index, how):
                self.end(index, how)
            case ("replace", index, quantity):
                self.replace(index, quantity)
            case ("answer", index, accept):
                self.answer(index, accept)
        self.compare()

    def by_hand(self, action: ManualAction, **fields: Any) -> ManualOrder:
        given = {"event_time_us": NOON, "request_id": f"m{self.number}", "account_id": "A", "action": action,
                 "author": "ann", "reason": "", "valid_until_us": NOON + DAY, **fields}  # fmt: skip
        return ManualOrder(**given)

    def tell(self, record: Record) -> None:
        self.it.tell(record)
        for output in self.it.last:
            if isinstance(output, SubmitOrder):
                self.commands[output.client_order_id] = output
                self.book.add(output)
            if isinstance(output, RiskVerdict) and output.approved:
                assert all(one.outcome != "HARD" for one in output.checks)

    def pick(self, index: int) -> str | None:
        alive = sorted(self.book.orders)
        return alive[index % len(alive)] if alive else None

    def end(self, index: int, how: str) -> None:
        name = self.pick(index)
        if name is None:
            return
        for request_id in [key for key, (root, _) in self.requests.items() if root == name]:
            self.settle(request_id, accept=True)
        if name not in self.book.orders:
            return
        command, working = self.commands[name], self.book.orders[name]
        tag = f"{how}-{self.number}"
        if how in ("fill", "part"):
            quantity = working.open if how == "fill" else Fraction(max(1, int(working.open) // 2))
            price = working.price if working.price is not None else self.book.marks[working.instrument_id]
            fee = FEE_RATE * quantity * abs(price)
            self.book.held[working.instrument_id] = (
                self.book.held.get(working.instrument_id, Fraction(0)) + working.sign * quantity
            )
            self.book.cash -= working.sign * quantity * price + fee
            working.open -= quantity
            self.acknowledged.add(name)
            if not working.open:
                del self.book.orders[name]
            self.tell(filled(command, D(int(quantity)), D(int(price)), tag, fee=D(fee.numerator) / D(fee.denominator)))
            return
        del self.book.orders[name]
        if how == "late" and name not in self.acknowledged:
            self.tell(NotSent(event_time_us=NOON, account_id="A", client_order_id=name, reason=NotSentReason.LATE))
            return
        kinds = {"reject": ExecType.REJECTED, "expire": ExecType.EXPIRED}
        self.tell(answer(command, kinds.get(how, ExecType.CANCELED), tag))
        if name in self.it.account.orders:
            self.tell(answer(command, ExecType.CANCELED, f"{tag}-rest"))

    def replace(self, index: int, quantity: int) -> None:
        name = self.pick(index)
        if name is None or any(root == name for root, _ in self.requests.values()):
            return
        self.acknowledged.add(name)
        self.it.tell(answer(self.commands[name], ExecType.NEW, f"ack-{name}"))
        self.it.tell(self.by_hand(ManualAction.REPLACE, client_order_id=name, quantity=D(quantity)))
        for output in self.it.last:
            if isinstance(output, ReplaceOrder):
                self.requests[output.request_id] = (name, output)
                working, order = self.book.orders[name], self.it.account.orders[name]
                working.open = max(working.open, Fraction(quantity) - Fraction(order.cumulative))
                working.unit_cash = max(working.unit_cash, Fraction(order.unit_reserve))

    def answer(self, index: int, accept: bool) -> None:
        if self.requests:
            self.settle(sorted(self.requests)[index % len(self.requests)], accept)

    def settle(self, request_id: str, accept: bool) -> None:
        """The broker answers a replace."""
        name, request = self.requests.pop(request_id)
        order = self.it.account.orders[name]
        kind = ExecType.REPLACED if accept else ExecType.REPLACE_REJECTED
        quantity = max(request.quantity, order.cumulative) if accept else order.quantity
        left = Fraction(quantity) - Fraction(order.cumulative)
        if left > 0:
            self.book.orders[name].open = left
        else:
            del self.book.orders[name]
        self.it.tell(answer(self.commands[name], kind, f"{kind}-{request_id}", client_order_id=request_id,
                            original_client_order_id=request.client_order_id, order_quantity=quantity))  # fmt: skip

    def compare(self) -> None:
        """The room's sums are the oracle's."""
        account = self.it.account
        for name in NAMES:
            holding = account.holdings.get(name)
            if holding is not None:
                assert Fraction(holding.net.quantity) == self.book.held.get(name, Fraction(0))
                assert abs(Fraction(holding.worst) - self.book.worst_value(name)) < Fraction(1, 10**9)
        assert set(account.orders) == set(self.book.orders)
        assert abs(Fraction(account.totals.cash["USD"]) - self.book.cash) < Fraction(1, 10**6)
        gross = Fraction(account.totals.worst.get("USD", D(0)))
        assert abs(gross - self.book.gross()) < Fraction(1, 10**6)


@settings(max_examples=CASES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories)
def test_no_approved_order_breaks_the_limits_and_nothing_stays_reserved(history: list[tuple[Any, ...]]) -> None:
    play = Play()
    for act in history:
        play.step(act)
    while play.book.orders:
        play.end(0, "cancel")
        play.compare()
    account = play.it.account
    assert account.orders == {}
    assert all(not amount for amount in account.totals.reserved.values())
    assert all(not holding.buys and not holding.sells for holding in account.holdings.values())
    play.it.check_codec()


@settings(max_examples=max(20, CASES // 10), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories)
def test_the_same_history_gives_the_same_bytes_also_across_a_restart(history: list[tuple[Any, ...]]) -> None:
    """The state goes through its encoding after each step, as after a restart, and must go on as if it had not."""
    whole, broken = Play(), Play()
    for act in history:
        whole.step(act)
        broken.step(act)
        it = broken.it
        parts = {
            name: msgspec.msgpack.decode(msgspec.msgpack.encode(part), type=it.room.part_types[name.split(":")[0]])
            for name, part in it.room.parts(it.account).items()
        }
        it.partition.states["A"] = it.room.assemble("A", dict(sorted(parts.items(), reverse=True)))
    assert [msgspec.msgpack.encode(one) for one in whole.it.said] == [
        msgspec.msgpack.encode(one) for one in broken.it.said
    ]
    assert whole.it.tell(tick(NOON + DAY)) == broken.it.tell(tick(NOON + DAY))
