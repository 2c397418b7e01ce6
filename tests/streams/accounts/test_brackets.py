"""Brackets and one-cancels-other: exits that follow what is held, make room for each other, and survive a restart."""

from decimal import Decimal as D
from typing import Any

import msgspec
import pytest

from schemas.control import KillVerb, Scope
from schemas.execution import ExecutionReport, NotSent, NotSentReason
from schemas.intent import ManualAction, ManualOrder
from schemas.order import CancelOrder, ExecType, OrderStatus, OrderType, ReplaceOrder, Side, SubmitOrder, TimeInForce
from schemas.risk import RiskEvent, RiskEventKind
from streams.accounts.orders.brackets import RETRY_FIRST_US
from tests.builders import DAY, NOON, SECOND, Number, kill, mark, tick, wish
from tests.streams.accounts.desk import Desk, answer, desk, filled, holding

RICH = 10_000_000


def asked(request_id: str = "r1", action: ManualAction = ManualAction.PLACE, **fields: Any) -> ManualOrder:
    """A person buys 100 at the market with exits at 45 and 55."""
    given: dict[str, Any] = {
        "event_time_us": NOON, "request_id": request_id, "account_id": "A", "action": action, "author": "ann",
        "reason": "t", "valid_until_us": NOON + DAY, "instrument_id": "WTI",
    }  # fmt: skip
    if action is ManualAction.PLACE:
        given |= {
            "side": Side.BUY, "quantity": D(100), "stop_loss_price": D(45), "take_profit_price": D(55),
        }  # fmt: skip
    return ManualOrder(**{**given, **fields})


class Bracketed:
    """A desk with a bracket, and a broker by hand: what works there, and how it answers."""

    def __init__(self, it: Desk, *records: ManualOrder, entry: bool = True):
        self.it = it
        it.tell(*records)
        self.fills = 0
        self.entry = it.of(SubmitOrder)[-1] if entry else None
        if self.entry is not None:
            it.tell(answer(self.entry, ExecType.NEW))

    def exits(self, order_type: OrderType) -> list[SubmitOrder]:
        return [one for one in self.it.of(SubmitOrder) if one.reduce_only and one.order_type is order_type]

    @property
    def stop(self) -> SubmitOrder:
        return self.exits(OrderType.STOP)[-1]

    @property
    def target(self) -> SubmitOrder:
        return self.exits(OrderType.LIMIT)[-1]

    def fill(self, order: SubmitOrder | None, quantity: Number, at: Number = 50) -> None:
        assert order is not None
        self.fills += 1
        self.it.tell(filled(order, quantity, at, f"f{self.fills}"))

    def accept(self, order: SubmitOrder) -> None:
        self.it.tell(answer(order, ExecType.NEW))

    def opened(self, quantity: Number = 100) -> "Bracketed":
        """The entry fills so far, and both exits work."""
        self.fill(self.entry, quantity)
        self.accept(self.stop)
        self.accept(self.target)
        return self

    def carry_out(self) -> None:
        """The broker does all that the newest record and what followed from it asked for."""
        waiting = list(self.it.last)
        while waiting:
            command = waiting.pop(0)
            match command:
                case SubmitOrder():
                    waiting += self.it.tell(answer(command, ExecType.NEW))
                case ReplaceOrder() | CancelOrder():
                    waiting += self.it.tell(self.granted(command))

    def granted(self, command: ReplaceOrder | CancelOrder) -> ExecutionReport:
        known = {**self.it.account.orders, **self.it.account.ended}
        name = next(one for one, order in known.items() if command.client_order_id in order.ids)
        order = next(one for one in self.it.of(SubmitOrder) if one.client_order_id == name)
        fields: dict[str, Any] = {"client_order_id": command.request_id, "original_client_order_id": name}
        if isinstance(command, CancelOrder):
            return answer(order, ExecType.CANCELED, f"c-{command.request_id}", **fields)
        fields["order_quantity"] = command.quantity
        return answer(order, ExecType.REPLACED, f"r-{command.request_id}", **fields)

    @property
    def working(self) -> dict[str, D]:
        """Open quantity of every exit that may trade."""
        return {
            str(order.order_type): order.open_quantity
            for order in self.it.account.orders.values()
            if order.purpose == "EXIT"
        }


def told(it: Desk, code: str) -> list[RiskEvent]:
    return [one for one in it.of(RiskEvent) if one.code == code]


def bracketed(**fields: Any) -> Bracketed:
    return Bracketed(desk(cash=RICH), asked(**fields))


def test_a_bracket_sends_no_exit_before_its_entry_fills() -> None:
    it = bracketed()
    assert not it.working
    assert [one.code for one in it.it.of(RiskEvent)][-1:] == ["BRACKET_ARMED"]


def test_exits_are_orders_that_only_close_and_outlive_the_day_and_the_stop_goes_first() -> None:
    it = bracketed()
    it.fill(it.entry, 100)
    assert it.it.now(SubmitOrder) == [it.stop]
    assert (it.stop.side, it.stop.stop_price, it.stop.quantity) == (Side.SELL, D(45), D(100))
    it.accept(it.stop)
    assert (it.target.side, it.target.limit_price, it.target.quantity) == (Side.SELL, D(55), D(100))
    assert all(one.time_in_force is TimeInForce.GTC for one in (it.stop, it.target))


def test_exits_live_for_what_the_entry_has_filled_and_grow_with_it() -> None:
    it = bracketed().opened(30)
    assert it.working == {"STOP": 30, "LIMIT": 30}
    it.fill(it.entry, 70)
    assert [one.quantity for one in it.it.now(ReplaceOrder)] == [100, 100]
    it.carry_out()
    assert it.working == {"STOP": 100, "LIMIT": 100}


def test_the_exit_that_fills_takes_back_the_other() -> None:
    it = bracketed().opened()
    it.fill(it.target, 100, at=55)
    it.carry_out()
    assert not it.working
    assert it.it.account.holdings["WTI"].net.quantity == 0


def test_an_exit_that_fills_in_part_reduces_the_other() -> None:
    it = bracketed().opened()
    it.fill(it.target, 40, at=55)
    assert [(one.quantity, one.stop_price) for one in it.it.now(ReplaceOrder)] == [(D(60), D(45))]
    it.carry_out()
    assert it.working == {"STOP": 60, "LIMIT": 60}


def test_where_the_broker_changes_no_order_an_exit_is_cancelled_and_sent_anew() -> None:
    it = bracketed().opened()
    it.fill(it.target, 40, at=55)
    asked_for = it.it.now(ReplaceOrder)[0]
    it.it.tell(answer(it.stop, ExecType.REPLACE_REJECTED, client_order_id=asked_for.request_id))
    it.carry_out()
    assert it.working == {"STOP": 60, "LIMIT": 60}
    assert len(it.exits(OrderType.STOP)) == 2


def test_both_exits_filled_is_noticed_told_and_taken_back() -> None:
    it = bracketed().opened()
    it.fill(it.target, 100, at=55)
    it.fill(it.stop, 100, at=45)
    assert [one.value.split()[1] for one in told(it.it, "EXITS_RACED")] == ["100"]
    correction = it.it.now(SubmitOrder)[0]
    assert (correction.side, correction.quantity, correction.order_type) == (Side.BUY, D(100), OrderType.MARKET)
    it.fill(correction, 100)
    assert it.it.account.holdings["WTI"].net.quantity == 0
    it.it.tell(tick(NOON + 300 * SECOND))
    assert len(told(it.it, "EXITS_RACED")) == 1
    assert it.it.of(SubmitOrder)[-1] == correction


def test_an_entry_that_is_cancelled_unfilled_leaves_nothing() -> None:
    it = bracketed(order_type=OrderType.LIMIT, limit_price=D(49))
    assert it.entry is not None
    it.it.tell(asked("c", ManualAction.CANCEL, client_order_id=it.entry.client_order_id))
    it.carry_out()
    it.it.tell(tick(NOON + 60 * SECOND))
    assert not it.exits(OrderType.STOP)


def test_cancelling_the_rest_of_an_entry_keeps_the_exits_of_what_it_filled_and_cancelling_it_again_ends_them() -> None:
    it = bracketed(order_type=OrderType.LIMIT, limit_price=D(50)).opened(30)
    assert it.entry is not None
    it.it.tell(asked("c", ManualAction.CANCEL, client_order_id=it.entry.client_order_id))
    it.carry_out()
    assert it.working == {"STOP": 30, "LIMIT": 30}
    it.it.tell(asked("c2", ManualAction.CANCEL, client_order_id=it.entry.client_order_id))
    it.carry_out()
    assert not it.working
    it.it.tell(tick(NOON + 60 * SECOND))
    assert not it.working


def test_exits_make_room_for_an_order_that_closes_the_position() -> None:
    it = bracketed().opened()
    it.it.tell(asked("s", side=Side.SELL, quantity=D(40), stop_loss_price=None, take_profit_price=None))
    assert [one.quantity for one in it.it.now(ReplaceOrder)] == [60, 60]
    sale = it.it.now(SubmitOrder)[0]
    it.carry_out()
    it.fill(sale, 40)
    assert it.working == {"STOP": 60, "LIMIT": 60}


def test_exits_come_back_to_size_when_the_order_they_made_room_for_is_cancelled() -> None:
    it = bracketed().opened()
    it.it.tell(asked("s", side=Side.SELL, quantity=D(40), stop_loss_price=None, take_profit_price=None))
    sale = it.it.now(SubmitOrder)[0]
    it.carry_out()
    it.it.tell(answer(sale, ExecType.CANCELED))
    it.carry_out()
    assert it.working == {"STOP": 100, "LIMIT": 100}


def test_what_was_closed_elsewhere_gets_no_exit_when_it_is_bought_again() -> None:
    it = bracketed().opened()
    it.it.tell(asked("s", side=Side.SELL, quantity=D(100), stop_loss_price=None, take_profit_price=None))
    sale = it.it.now(SubmitOrder)[0]
    it.carry_out()
    it.fill(sale, 100)
    assert not it.working
    holding(it.it, 100, strategy_id="other")
    it.it.tell(tick(NOON + 60 * SECOND))
    assert not it.working


def test_an_exit_that_the_broker_refuses_is_watched_by_us() -> None:
    it = bracketed()
    it.fill(it.entry, 100)
    it.it.tell(answer(it.stop, ExecType.REJECTED, code="UNSUPPORTED"))
    assert len(told(it.it, "EXIT_HELD")) == 1
    it.accept(it.target)
    it.it.tell(mark(45, at_us=NOON + SECOND))
    assert [one.code for one in it.it.of(RiskEvent) if one.kind is RiskEventKind.STOP_TRIGGERED] == ["STOP_PRICE"]
    it.carry_out()
    closing = it.it.of(SubmitOrder)[-1]
    assert (closing.order_type, closing.quantity, closing.side) == (OrderType.MARKET, D(100), Side.SELL)


def test_an_exit_that_was_not_sent_is_tried_again_later_and_later() -> None:
    it = bracketed()
    it.fill(it.entry, 100)
    now_us, tries = NOON, []
    for _ in range(6):
        tries.append((now_us - NOON) // SECOND)
        it.it.tell(NotSent(event_time_us=now_us, account_id="A", client_order_id=it.stop.client_order_id,
                           reason=NotSentReason.UNAVAILABLE))  # fmt: skip
        sent = len(it.it.of(SubmitOrder))
        while len(it.it.of(SubmitOrder)) == sent:
            now_us += RETRY_FIRST_US
            it.it.tell(tick(now_us), mark(50, at_us=now_us))
    assert tries == [0, 1, 3, 7, 15, 31]


def test_an_exit_that_somebody_else_cancels_is_told_and_not_sent_again() -> None:
    it = bracketed().opened()
    it.it.tell(asked("c", ManualAction.CANCEL, client_order_id=it.stop.client_order_id))
    it.carry_out()
    it.it.tell(tick(NOON + 60 * SECOND))
    assert [(one.kind, one.code) for one in told(it.it, "EXIT_GONE")] == [(RiskEventKind.UNPROTECTED, "EXIT_GONE")]
    assert it.working == {"LIMIT": 100}


def test_flattening_waits_until_the_exits_are_gone() -> None:
    it = bracketed().opened()
    it.it.tell(kill(KillVerb.FLATTEN, scope=Scope.ACCOUNT, scope_id="A"))
    assert not it.it.now(SubmitOrder)
    it.carry_out()
    closing = it.it.of(SubmitOrder)[-1]
    assert (closing.order_type, closing.quantity) == (OrderType.MARKET, D(100))


def test_a_person_changes_the_price_of_an_exit_and_the_bracket_keeps_it() -> None:
    it = bracketed().opened()
    it.it.tell(asked("p", ManualAction.REPLACE, client_order_id=it.stop.client_order_id, stop_price=D(47)))
    it.carry_out()
    it.fill(it.target, 40, at=55)
    assert [one.stop_price for one in it.it.now(ReplaceOrder)] == [D(47)]


def test_a_pair_without_entry_protects_what_is_held_and_one_cancels_the_other() -> None:
    it = Bracketed(holding(desk(cash=RICH), 100), asked(oco=True, side=Side.SELL), entry=False)
    it.accept(it.stop)
    it.accept(it.target)
    assert it.working == {"STOP": 100, "LIMIT": 100}
    it.fill(it.stop, 100, at=45)
    it.carry_out()
    assert not it.working


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"oco": True, "side": Side.SELL, "quantity": D(101)}, "POSITION_TOO_SMALL"),
        ({"oco": True, "side": Side.BUY, "stop_loss_price": D(55), "take_profit_price": D(45)}, "POSITION_TOO_SMALL"),
        ({"oco": True, "side": Side.SELL, "take_profit_price": None}, "EXITS_MISSING"),
        ({"oco": True, "side": Side.SELL, "post_only": True}, "POST_ONLY"),
        ({"stop_loss_price": D(55), "take_profit_price": D(45)}, "EXITS_CROSSED"),
        ({"side": Side.SELL}, "EXITS_CROSSED"),
        ({"stop_loss_price": D("45.001")}, "PRICE_OFF_TICK"),
        ({"stop_loss_price": D("NaN")}, "NOT_A_NUMBER"),
        ({"instrument_id": "???"}, "INSTRUMENT_UNKNOWN"),
        ({"reduce_only": True, "side": Side.SELL, "quantity": D(10)}, "EXITS_NOT_WANTED"),
    ],
)
def test_exits_that_make_no_sense_are_refused_before_the_entry_goes_out(fields: dict[str, Any], code: str) -> None:
    it = holding(desk(cash=RICH), 100)
    it.tell(asked(**fields))
    assert [one.code for one in it.now(RiskEvent)] == [code]
    assert not it.now(SubmitOrder)


def test_a_wish_for_a_bracket_sends_exits_and_one_without_is_watched_as_before() -> None:
    for wanted in (True, False):
        it = desk(cash=RICH)
        it.tell(wish(stop_price=D("47.004"), take_profit_price=D(56), bracket=wanted))
        it.fill(it.order, it.order.quantity, 50)
        stops = [one for one in it.of(SubmitOrder) if one.order_type is OrderType.STOP]
        assert [one.stop_price for one in stops] == ([D("47.00")] if wanted else [])


def test_a_strategys_working_exits_are_no_part_of_what_it_has() -> None:
    it = desk(cash=RICH)
    it.tell(wish(stop_price=D(47), take_profit_price=D(56), bracket=True))
    it.fill(it.order, it.order.quantity, 50)
    sent = len(it.of(SubmitOrder))
    it.tell(wish("i2", stop_price=D(47), take_profit_price=D(56), bracket=True))
    assert len(it.of(SubmitOrder)) == sent
    assert it.verdict.code == "NO_CHANGE"


def test_a_bracket_survives_a_restart() -> None:
    it = bracketed().opened(30)
    it.it.check_codec()
    room = it.it.room
    parts = {
        name: msgspec.msgpack.decode(msgspec.msgpack.encode(part), type=room.part_types[name.split(":")[0]])
        for name, part in room.parts(it.it.account).items()
    }
    it.it.partition.states["A"] = room.assemble("A", parts)
    it.fill(it.target, 30, at=55)
    it.carry_out()
    assert not it.working


def test_a_halted_account_sends_no_exit_and_sends_it_once_it_may() -> None:
    it = bracketed()
    it.it.tell(kill(KillVerb.HALT, scope=Scope.INSTRUMENT, scope_id="WTI"))
    it.fill(it.entry, 100)
    assert not it.exits(OrderType.STOP)
    assert len(told(it.it, "EXIT_DENIED")) == 1
    it.it.tell(kill(KillVerb.RESUME, 2, scope=Scope.INSTRUMENT, scope_id="WTI"))
    it.it.tell(mark(50, at_us=NOON + SECOND), tick(NOON + SECOND))
    assert it.exits(OrderType.STOP)
    assert told(it.it, "EXIT_SENT")


def test_an_ended_bracket_is_forgotten_with_its_orders() -> None:
    it = bracketed().opened()
    it.fill(it.target, 100, at=55)
    it.carry_out()
    assert it.it.account.brackets
    it.it.tell(tick(NOON + 9 * DAY))
    assert not it.it.account.brackets
    assert OrderStatus.FILLED not in {one.status for one in it.it.account.orders.values()}
