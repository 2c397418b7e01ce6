"""A trading desk for tests: the accounts room over its inbox, and what it said."""

from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from schemas.control import (
    AccountOpened,
    CashMovement,
    MarginRegime,
    Mode,
    SizingMethod,
    StrategyControl,
    StrategyVerb,
)
from schemas.execution import ExecutionReport
from schemas.intent import ManualAction, ManualOrder
from schemas.order import ExecType, OrderStatus, OrderType, Side, SubmitOrder, TimeInForce
from schemas.record import Part, Record
from schemas.reference import FeeSchedule
from schemas.risk import Limit, LimitChange, RiskVerdict
from schemas.topics import ACCOUNTS_INBOX
from streams.accounts.account import Account
from streams.accounts.orders.order import order_of
from streams.accounts.risk.limits import standard_limits
from streams.accounts.room import Accounts
from streams.accounts.shared import Shared
from streams.accounts.turn import Turn
from streams.runtime.partition import Partition
from streams.runtime.room import Routes
from tests.builders import DAY, NOON, Number, instrument, mark, money, tick

Said = TypeVar("Said", bound=Record)


class Desk:
    """One partition of accounts. `said` holds all that came out, `last` what the newest record brought."""

    def __init__(self) -> None:
        self.room = Accounts()
        self.partition: Partition[Account, Shared] = Partition(self.room)
        self.routes = Routes("accounts")
        self.said: list[Record] = []
        self.last: list[Record] = []

    def tell(self, *records: Record) -> list[Record]:
        """Fold records; return what the last of them brought."""
        for record in records:
            self.last = self.partition.fold(ACCOUNTS_INBOX.key_of(record), record)
            for output in self.last:
                assert self.routes[type(output)]
            self.said += self.last
        return self.last

    def of(self, kind: type[Said]) -> list[Said]:
        """Everything of one type that came out so far."""
        return [one for one in self.said if isinstance(one, kind)]

    def now(self, kind: type[Said]) -> list[Said]:
        """What the newest record brought of one type."""
        return [one for one in self.last if isinstance(one, kind)]

    @property
    def account(self) -> Account:
        """Account A."""
        return self.partition.states["A"]

    @property
    def shared(self) -> Shared:
        return self.partition.shared

    @property
    def verdict(self) -> RiskVerdict:
        """The newest verdict."""
        return self.of(RiskVerdict)[-1]

    @property
    def order(self) -> SubmitOrder:
        """The newest order sent."""
        return self.of(SubmitOrder)[-1]

    def fill(
        self, order: SubmitOrder, quantity: Number, at: Number, exec_id: str = "", *, fee: Number = 0, at_us: int = NOON
    ) -> list[Record]:
        """The broker fills an order, in part or whole."""
        return self.tell(filled(order, quantity, at, exec_id, fee=fee, at_us=at_us))

    def check_codec(self) -> None:
        """The states survive encoding in parts exactly."""
        for key, state in self.partition.states.items():
            parts = {
                name: msgspec.msgpack.decode(
                    msgspec.msgpack.encode(part), type=self.room.part_types[name.split(":")[0]]
                )
                for name, part in self.room.parts(state).items()
            }
            assert self.room.assemble(key, parts) == state
        kinds: dict[str, type[Part]] = dict(self.room.shared_part_types())
        shared = {
            name: msgspec.msgpack.decode(msgspec.msgpack.encode(part), type=kinds[name.split(":")[0]])
            for name, part in self.room.shared_parts(self.shared).items()
        }
        assert self.room.assemble_shared(shared) == self.shared


def filled(
    order: SubmitOrder, quantity: Number, at: Number, exec_id: str = "", *, fee: Number = 0, at_us: int = NOON
) -> ExecutionReport:
    """A fill of an order."""
    return ExecutionReport(
        event_time_us=at_us, account_id=order.account_id, exec_id=exec_id or f"fill-{order.client_order_id}",
        client_order_id=order.client_order_id, venue=order.venue, instrument_id=order.instrument_id, side=order.side,
        exec_type=ExecType.TRADE, order_status=OrderStatus.PARTIALLY_FILLED, order_quantity=order.quantity,
        cumulative_quantity=money(quantity), leaves_quantity=Decimal(0), last_quantity=money(quantity),
        last_price=money(at), fee=money(fee), fee_currency="USD",
    )  # fmt: skip


def answer(order: SubmitOrder, exec_type: ExecType, exec_id: str = "", **fields: Any) -> ExecutionReport:
    """A word of the broker on an order that is not a fill."""
    given: dict[str, Any] = {
        "event_time_us": NOON, "account_id": order.account_id,
        "exec_id": exec_id or f"{exec_type}-{order.client_order_id}", "client_order_id": order.client_order_id,
        "venue": order.venue, "instrument_id": order.instrument_id, "side": order.side, "exec_type": exec_type,
        "order_status": OrderStatus.NEW, "order_quantity": order.quantity, "cumulative_quantity": Decimal(0),
        "leaves_quantity": order.quantity, "last_quantity": Decimal(0),
    }  # fmt: skip
    return ExecutionReport(**{**given, **fields})


def fees(rate: Number = 0, venue: str = "paper", **fields: Any) -> FeeSchedule:
    """What the venue takes."""
    given: dict[str, Any] = {
        "event_time_us": NOON, "venue": venue, "version": 1, "rate": money(rate), "per_unit": Decimal(0),
        "minimum": Decimal(0), "currency": "USD",
    }  # fmt: skip
    return FeeSchedule(**{**given, **fields})


def deployed(
    strategy_id: str = "trend", of: str = "WTI", verb: StrategyVerb = StrategyVerb.DEPLOY, account_id: str = "A"
) -> StrategyControl:
    """A strategy of account A."""
    return StrategyControl(
        event_time_us=NOON, request_id=f"{verb}-{strategy_id}-{of}", verb=verb, strategy_id=strategy_id,
        strategy_name="trend", instrument_id=of, account_id=account_id, author="ann", reason="test",
    )  # fmt: skip


def opened(account_id: str = "A", **fields: Any) -> AccountOpened:
    """An account in USD with the paper broker, sized by fixed fraction, that may be short."""
    given: dict[str, Any] = {
        "event_time_us": NOON, "account_id": account_id, "request_id": f"open-{account_id}", "base_currency": "USD",
        "venue": "paper", "mode": Mode.REPLAY, "sizing": SizingMethod.FIXED_FRACTION, "author": "ann",
        "margin": MarginRegime.REG_T,
    }  # fmt: skip
    return AccountOpened(**{**given, **fields})


def deposit(amount: Number, currency: str = "USD", movement_id: str = "", account_id: str = "A") -> CashMovement:
    """Money for an account."""
    return CashMovement(
        event_time_us=NOON, account_id=account_id, movement_id=movement_id or f"{currency}-{amount}",
        currency=currency, amount=money(amount), reason="deposit",
    )  # fmt: skip


def desk(*, cash: Number = 100_000, price: Number | None = 50, without: tuple[str, ...] = (), **fields: Any) -> Desk:
    """A desk that trades: account A with cash, WTI at a mark, strategy `trend` deployed, and the standard limits."""
    it = Desk()
    kept = [one for one in standard_limits(money(cash)) if one.name not in without]
    it.tell(
        tick(), instrument(), fees(), opened(**fields), deposit(cash),
        LimitChange(event_time_us=NOON, account_id="A", request_id="standard", limits=kept, author="ann",
                    reason="test", effective_at_us=0),
        deployed(),
    )  # fmt: skip
    if price is not None:
        it.tell(mark(price))
    return it


def only(name: str, value: Number, **fields: Any) -> Limit:
    """One limit."""
    return Limit(name=name, value=money(value), **fields)


def holding(it: Desk, quantity: int, at: Number = 50, of: str = "WTI", strategy_id: str = "trend") -> Desk:
    """The desk after an order of this strategy, put into its books by hand, was filled: so many signed units."""
    order = SubmitOrder(
        event_time_us=NOON, client_order_id=f"open-{of}-{strategy_id}-{quantity}-{len(it.said)}", account_id="A",
        venue="paper", mode=it.account.profile.mode, instrument_id=of, symbol=of,
        side=Side.BUY if quantity > 0 else Side.SELL, order_type=OrderType.MARKET, quantity=Decimal(abs(quantity)),
        time_in_force=TimeInForce.DAY, submit_before_us=NOON, strategy_id=strategy_id,
    )  # fmt: skip
    turn = Turn(it.account, it.shared, NOON)
    turn.put_order(order_of(order))
    it.partition.states["A"] = turn.account
    it.tell(filled(order, abs(quantity), at, f"x-{order.client_order_id}"))
    return it


def setting(it: Desk, *settings: Limit, **values: Number) -> Desk:
    """The desk with more limits."""
    named = [only(name, value) for name, value in values.items()]
    request_id = f"more-{len(it.account.profile.requests)}"
    it.tell(LimitChange(event_time_us=NOON, account_id="A", request_id=request_id, limits=[*named, *settings],
                        author="ann", reason="t", effective_at_us=0))  # fmt: skip
    return it


def working(it: Desk, side: Side, quantity: Number, at: Number, name: str = "w1") -> str:
    """A limit order of a person that works at the broker; returns its id."""
    it.tell(ManualOrder(event_time_us=NOON, request_id=name, account_id="A", action=ManualAction.PLACE, author="ann",
                        reason="t", valid_until_us=NOON + DAY, instrument_id="WTI", side=side, quantity=money(quantity),
                        order_type=OrderType.LIMIT, limit_price=money(at)))  # fmt: skip
    assert it.verdict.approved, it.verdict
    it.tell(answer(it.order, ExecType.NEW))
    return it.order.client_order_id
