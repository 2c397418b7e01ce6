"""Whatever the broker does, exits never exceed what they protect, and two that both filled are set right."""

from dataclasses import dataclass, field
from decimal import Decimal as D

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.execution import NotSent, NotSentReason
from schemas.order import CancelOrder, ExecType, OrderStatus, ReplaceOrder, Side, SubmitOrder
from schemas.record import Record
from schemas.risk import RiskEvent
from tests.builders import NOON, SECOND, mark, tick
from tests.streams.accounts.desk import Desk, answer, desk, filled, holding
from tests.streams.accounts.test_brackets import asked

RICH = 100_000_000
QUANTITY = 100
UNBOUNDED = ("duplicate_window", "orders_per_minute_max", "messages_per_minute_max")
"""Limits that would only slow down a broker who is asked for so much in no time."""


@dataclass
class There:
    """An order as the broker has it."""

    order: SubmitOrder
    quantity: D
    filled: D = D(0)
    working: bool = True
    names: list[str] = field(default_factory=list)

    @property
    def left(self) -> D:
        return self.quantity - self.filled if self.working else D(0)


class Broker:
    """A broker with a queue of what it was sent and not yet answered; what it does next is drawn."""

    def __init__(self, it: Desk, held: int = 0):
        self.it = it
        self.held = D(held)
        self.orders: list[There] = []
        self.unread: list[Record] = []
        self.at_us = NOON
        self.told = 0
        self.take(it.said)

    def take(self, said: list[Record]) -> None:
        self.unread += [one for one in said if isinstance(one, SubmitOrder | ReplaceOrder | CancelOrder)]

    def tell(self, *records: Record) -> None:
        for record in records:
            self.take(list(self.it.tell(record)))
        self.check()

    def number(self) -> str:
        self.told += 1
        return f"n{self.told}"

    def there(self, name: str) -> There | None:
        return next((one for one in self.orders if name in one.names), None)

    def read(self, yes: bool) -> None:
        """Read the oldest request and answer it: carried out, or refused where that can be."""
        if not self.unread:
            return
        request = self.unread.pop(0)
        if isinstance(request, SubmitOrder):
            if not yes and request.reduce_only:
                self.tell(NotSent(event_time_us=self.at_us, account_id="A", client_order_id=request.client_order_id,
                                  reason=NotSentReason.UNAVAILABLE))  # fmt: skip
                return
            self.orders.append(There(request, request.quantity, names=[request.client_order_id]))
            self.tell(answer(request, ExecType.NEW, self.number()))
            return
        assert isinstance(request, ReplaceOrder | CancelOrder)
        one = self.there(request.client_order_id)
        names = {"client_order_id": request.request_id, "original_client_order_id": request.client_order_id}
        replaces = isinstance(request, ReplaceOrder)
        if one is None or not one.left or not yes:
            if one is not None:
                kind = ExecType.REPLACE_REJECTED if replaces else ExecType.CANCEL_REJECTED
                self.tell(answer(one.order, kind, self.number(), **names))
        elif isinstance(request, ReplaceOrder):
            one.quantity = max(request.quantity, one.filled)
            one.names.append(request.request_id)
            one.working = one.quantity > one.filled
            self.tell(answer(one.order, ExecType.REPLACED, self.number(), order_quantity=one.quantity, **names))
        else:
            one.working = False
            self.tell(answer(one.order, ExecType.CANCELED, self.number(), order_status=OrderStatus.CANCELED, **names))

    def fill(self, which: int, units: int) -> None:
        """Fill some of one of the orders that work."""
        working = [one for one in self.orders if one.left]
        if not working:
            return
        one = working[which % len(working)]
        quantity = min(D(units), one.left)
        one.filled += quantity
        one.working = one.quantity > one.filled
        self.tell(filled(one.order, quantity, 50, self.number(), at_us=self.at_us))

    def fill_all(self, order_type: str) -> None:
        """Fill all that works of one type, and what follows of it."""
        while any(one.left and one.order.order_type.value == order_type for one in self.orders):
            working = [one for one in self.orders if one.left]
            self.fill(next(n for n, one in enumerate(working) if one.order.order_type.value == order_type), 10_000)

    def wait(self, seconds: int) -> None:
        self.at_us += seconds * SECOND
        self.tell(mark(50, at_us=self.at_us), tick(self.at_us))

    def quiet(self) -> None:
        """All requests are read and granted, and time passes, until nothing more is asked."""
        for _ in range(6):
            while self.unread:
                self.read(True)
            self.wait(61)
        assert not self.unread

    @property
    def exits(self) -> list[There]:
        return [one for one in self.orders if one.order.reduce_only and one.order.order_type.value != "MARKET"]

    @property
    def position(self) -> D:
        return sum((one.filled * (1 if one.order.side is Side.BUY else -1) for one in self.orders), self.held)

    def check(self) -> None:
        """What we ask of each exit never exceeds what was held when we asked, and our books equal the broker's."""
        held = self.it.account.holdings["WTI"].net.quantity if "WTI" in self.it.account.holdings else D(0)
        assert held == self.position
        asked_for: list[SubmitOrder | ReplaceOrder] = [
            one for one in self.it.last
            if (isinstance(one, SubmitOrder) and one.reduce_only) or isinstance(one, ReplaceOrder)
        ]  # fmt: skip
        for one in asked_for:
            done = self.there(one.client_order_id) if isinstance(one, ReplaceOrder) else None
            assert one.quantity - (done.filled if done else D(0)) <= abs(held)


DEEDS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.booleans(), st.just(0)),
        st.tuples(st.just("fill"), st.integers(0, 3), st.integers(1, QUANTITY)),
        st.tuples(st.just("wait"), st.integers(1, 5), st.just(0)),
        st.tuples(st.just("sell"), st.integers(1, QUANTITY), st.just(0)),
    ),
    max_size=25,
)


def played(it: Desk, deeds: list[tuple[str, int, int]]) -> Broker:
    """The broker after these deeds."""
    broker = Broker(it)
    for ordinal, (name, one, two) in enumerate(deeds):
        match name:
            case "read":
                broker.read(bool(one))
            case "fill":
                broker.fill(one, two)
            case "wait":
                broker.wait(one)
            case _:
                broker.tell(asked(f"sell-{ordinal}", side=Side.SELL, quantity=D(one), reduce_only=True,
                                  stop_loss_price=None, take_profit_price=None, event_time_us=broker.at_us,
                                  valid_until_us=broker.at_us + 3600 * SECOND))  # fmt: skip
    return broker


@settings(max_examples=200, deadline=None)
@given(DEEDS)
def test_exits_never_exceed_what_they_protect_and_in_the_end_protect_all_of_it(
    deeds: list[tuple[str, int, int]],
) -> None:
    it = desk(cash=RICH, without=UNBOUNDED)
    it.tell(asked())
    broker = played(it, deeds)
    broker.quiet()
    selling = sum(
        (one.left for one in broker.orders if one.order.side is not Side.BUY and one not in broker.exits), D(0)
    )
    assert broker.position >= 0
    for kind in ("STOP", "LIMIT"):
        left = [one.left for one in broker.exits if one.order.order_type.value == kind and one.left]
        assert len(left) <= 1
        assert sum(left, D(0)) == max(D(0), broker.position - selling)


@settings(max_examples=200, deadline=None)
@given(DEEDS)
def test_two_exits_that_both_filled_are_told_and_taken_back(deeds: list[tuple[str, int, int]]) -> None:
    it = holding(desk(cash=RICH, without=UNBOUNDED), 100)
    it.said.clear()
    it.tell(asked(oco=True, side=Side.SELL))
    broker = Broker(it, held=100)
    for name, one, two in deeds:
        if name in ("read", "sell"):
            broker.read(name == "sell" or bool(one))
        elif name == "fill":
            broker.fill(one, two)
    both = sum((one.filled for one in broker.exits), D(0))
    broker.quiet()
    raced = [one for one in it.of(RiskEvent) if one.code == "EXITS_RACED"]
    assert bool(raced) is (both > 100)
    broker.fill_all("MARKET")
    broker.quiet()
    assert broker.position + min(both, D(100)) == 100
