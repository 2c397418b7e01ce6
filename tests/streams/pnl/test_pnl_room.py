"""What the room tells of each account, strategy, provider and instrument."""

from collections.abc import Mapping
from decimal import Decimal
from decimal import Decimal as D
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.control import TradingState
from schemas.execution import Fill
from schemas.order import Side
from schemas.position import PerformanceSnapshot, PnlDimension, PnlSnapshot, PositionAdjusted, PositionState
from schemas.record import Part, Record
from schemas.reference import ContractKind, CorporateActionKind
from schemas.risk import RiskSnapshot
from schemas.scalars import DAY_US
from streams.pnl.performance import statistics
from streams.pnl.room import NoShared, Pnl
from streams.pnl.state import AccountPnl

ROOM = Pnl()


class Book:
    """An account as the accounts room tells of it: fills, positions by average cost, looks of risk."""

    def __init__(self, cash: str = "1000") -> None:
        self.state: AccountPnl = ROOM.begin("alice")
        self.said: list[Record] = []
        self.cash = Decimal(cash)
        self.held: dict[str, tuple[Decimal, Decimal, Decimal, Decimal]] = {}
        self.marks: dict[str, Decimal] = {}
        self.fills = 0

    def fold(self, record: Record) -> None:
        self.state, said = ROOM.fold(self.state, NoShared(), record)
        self.said.extend(said)

    def fill(self, quantity: str | int, price: str, instrument: str = "TEAPOT", **changes: Any) -> None:
        """Buy, or with a negative quantity sell, and say the position after it."""
        size, at = Decimal(quantity), Decimal(price)
        fee = Decimal(changes.pop("fee", "0"))
        held, average, realised, fees = self.held.get(instrument, (D(0), D(0), D(0), D(0)))
        gained = D(0)
        if held * size >= 0:
            average = (average * held + at * size) / (held + size)
        else:
            closed = min(abs(held), abs(size))
            gained = (at - average) * (closed if held > 0 else -closed)
            if abs(size) > abs(held):
                average = at
        self.held[instrument] = held + size, average, realised + gained, fees + fee
        self.cash -= size * at + fee
        self.marks[instrument] = at
        self.fills += 1
        given: dict[str, Any] = {
            "event_time_us": 1,
            "account_id": "alice",
            "fill_id": f"f{self.fills}",
            "client_order_id": "o",
            "venue": "PAPER",
            "instrument_id": instrument,
            "side": Side.BUY if size > 0 else Side.SELL,
            "quantity": abs(size),
            "price": at,
            "currency": "USD",
            "fee": fee,
            "fee_currency": "USD",
            "realised_pnl": gained,
            "position_quantity": held + size,
            "strategy_id": "trend",
        }
        self.fold(Fill(**{**given, **changes}))
        self.position(instrument, currency=changes.get("currency", "USD"))

    def position(self, instrument: str = "TEAPOT", **changes: Any) -> None:
        held, average, realised, fees = self.held[instrument]
        mark = self.marks.get(instrument)
        given: dict[str, Any] = {
            "event_time_us": 1,
            "account_id": "alice",
            "instrument_id": instrument,
            "quantity": held,
            "currency": "USD",
            "realised_pnl": realised,
            "fees": fees,
            "average_price": average,
            "mark": mark,
            "unrealised_pnl": D(0) if not held else None if mark is None else (mark - average) * held,
            "conversion": D(1),
        }
        self.fold(PositionState(**{**given, **changes}))

    def mark(self, price: str | None, instrument: str = "TEAPOT") -> None:
        if price is None:
            self.marks.pop(instrument)
        else:
            self.marks[instrument] = Decimal(price)
        self.position(instrument)

    @property
    def equity(self) -> Decimal:
        return self.cash + sum(held[0] * self.marks.get(name, D(0)) for name, held in self.held.items())

    def look(self, day: float = 1, equity: str | None = None, **changes: Any) -> dict[str, PnlSnapshot]:
        """Let risk look at the account; return what was told, by member."""
        before = len(self.said)
        given: dict[str, Any] = {
            "event_time_us": int(day * DAY_US),
            "account_id": "alice",
            "equity": self.equity if equity is None else Decimal(equity),
            "gross_exposure": D(0),
            "net_exposure": D(0),
            "leverage": None,
            "drawdown": D(0),
            "day_pnl": D(0),
            "state": TradingState.ACTIVE,
            "uses": [],
            "currency": "USD",
        }
        self.fold(RiskSnapshot(**{**given, **changes}))
        return {told.member: told for told in self.said[before:] if isinstance(told, PnlSnapshot)}

    @property
    def performance(self) -> PerformanceSnapshot:
        return next(told for told in reversed(self.said) if isinstance(told, PerformanceSnapshot))


def test_a_bought_and_sold_position_is_realised_for_all_who_had_a_part_in_it() -> None:
    book = Book()
    book.fill(10, "100", fee="1", provider_id="oracle")
    book.fill(-10, "103", fee="1", provider_id="oracle")
    told = book.look()
    assert set(told) == {"alice", "trend", "oracle", "TEAPOT"}
    for member in told.values():
        assert (member.realised_pnl, member.unrealised_pnl, member.fees) == (D(30), D(0), D(2))
        assert (member.fills, member.closed_trades, member.winning_trades, member.turnover) == (2, 1, 1, D(2030))
    assert told["alice"].equity == 1028


def test_an_open_position_is_worth_its_mark_to_each_strategy_by_its_own_price() -> None:
    book = Book()
    book.fill(10, "100", strategy_id="early")
    book.fill(10, "110", strategy_id="late")
    book.mark("107")
    told = book.look()
    assert told["early"].unrealised_pnl == 70
    assert told["late"].unrealised_pnl == -30
    assert told["alice"].unrealised_pnl == told["TEAPOT"].unrealised_pnl == 40


def test_strategies_against_each_other_have_results_though_the_account_is_flat() -> None:
    book = Book()
    book.fill(10, "100", strategy_id="bull")
    book.fill(-10, "104", strategy_id="bear")
    book.mark("103")
    told = book.look()
    assert (told["bull"].unrealised_pnl, told["bear"].unrealised_pnl) == (D(30), D(10))
    assert (told["alice"].realised_pnl, told["alice"].unrealised_pnl) == (D(40), D(0))


def test_a_flip_through_zero_closes_one_trip_and_opens_the_next_with_its_share_of_the_fee() -> None:
    book = Book()
    book.fill(10, "100")
    book.fill(-15, "100.1", fee="3")
    assert book.look()["trend"].closed_trades == 1
    assert book.look(2, equity="999")["alice"].winning_trades == 0, "a gain of 1 less a fee of 2 is no win"
    book.fill(5, "99.7")
    told = book.look(3)
    assert (told["trend"].closed_trades, told["trend"].winning_trades) == (2, 1)


def test_a_gain_that_fees_eat_up_is_no_win() -> None:
    for fee, wins in (("0.49", 1), ("0.50", 0)):
        book = Book()
        book.fill(10, "100", fee=fee)
        book.fill(-10, "100.1", fee=fee)
        assert book.look()["trend"].winning_trades == wins


def test_an_open_position_without_a_mark_has_no_unrealised_result_rather_than_zero() -> None:
    book = Book()
    book.fill(10, "100")
    book.mark(None)
    told = book.look()
    assert [told[name].unrealised_pnl for name in ("alice", "TEAPOT", "trend")] == [None, None, None]
    book.mark("101")
    again = book.look(2)
    assert [again[name].unrealised_pnl for name in ("alice", "TEAPOT", "trend")] == [10, 10, 10]


def test_foreign_results_are_converted_and_flagged_where_they_cannot_be() -> None:
    book = Book()
    book.fill(10, "100", instrument="KETTLE", currency="EUR", fee_currency="EUR", fee="2")
    book.marks["KETTLE"] = D(103)
    book.position("KETTLE", currency="EUR", conversion=D("1.10"))
    told = book.look()
    assert (told["alice"].unrealised_pnl, told["alice"].fees) == (D("33.0"), D("2.2"))
    book.position("KETTLE", currency="EUR", conversion=None)
    flagged = book.look(2, equity="5")
    assert flagged["alice"].unrealised_pnl is None
    assert flagged["KETTLE"].unrealised_pnl is None


def test_only_members_that_changed_are_told_and_each_once() -> None:
    book = Book()
    book.fill(10, "100", strategy_id="still")
    book.fill(10, "50", instrument="KETTLE", strategy_id="moving")
    book.look(1)
    book.mark("51", "KETTLE")
    book.mark("52", "KETTLE")
    told = book.look(2)
    assert set(told) == {"alice", "KETTLE", "moving"}
    assert book.look(3) == {}, "nothing changed, and yet something was said"


def test_a_fill_seen_twice_counts_once() -> None:
    book = Book()
    book.fill(10, "100")
    before = book.state
    repeated = Fill(
        event_time_us=1, account_id="alice", fill_id="f1", client_order_id="o", venue="PAPER", instrument_id="TEAPOT",
        side=Side.BUY, quantity=D(10), price=D(100), currency="USD", fee=D(0), fee_currency="USD", realised_pnl=D(0),
        position_quantity=D(10), strategy_id="trend",
    )  # fmt: skip
    book.fold(repeated)
    assert book.state is before


def test_the_drawdown_is_from_the_highest_equity_and_a_deposit_is_no_gain() -> None:
    book = Book()
    looks = [("1000", "0"), ("1100", "0"), ("1050", "0"), ("1550", "500"), ("1600", "500")]
    drawdowns = [
        book.look(day, equity=equity, net_deposits=D(paid))["alice"].drawdown
        for day, (equity, paid) in enumerate(looks, 1)
    ]
    assert drawdowns == [0, 0, D("0.045454545455"), D("0.031250000000"), 0]


def test_an_account_that_never_had_money_has_no_drawdown() -> None:
    assert Book().look(1, equity="-5")["alice"].drawdown is None


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_daily_statistics_are_those_of_the_whole_series(seed: int) -> None:
    rng = np.random.default_rng(seed)
    closes = [round(float(x), 2) for x in 1000 * np.cumprod(1 + rng.normal(0.0005, 0.01, 300))]
    book = Book()
    for day, close in enumerate(closes, 1):
        book.look(day - 0.5, equity=str(close + 1))
        book.look(day, equity=str(close))
    returns = np.diff(closes) / np.array(closes[:-1])
    told = book.performance
    assert told.days == len(returns)
    for name, expected in {
        "total_return": statistics.total_return(returns),
        "sharpe": statistics.sharpe(returns),
        "sortino": statistics.sortino(returns),
        "calmar": statistics.calmar(returns),
        "volatility": statistics.annual_volatility(returns),
        "max_drawdown": statistics.max_drawdown(returns),
    }.items():
        assert getattr(told, name) == pytest.approx(expected, rel=1e-9), name


def test_statistics_without_meaning_are_absent() -> None:
    book = Book()
    for day in range(1, 6):
        book.look(day, equity="1000", net_deposits=D(day))
        book.look(day, equity="1000", net_deposits=D(0))
    told = book.performance
    assert told.days == 4
    assert (told.sharpe, told.sortino, told.calmar) == (None, None, None)
    assert (told.volatility, told.total_return) == (0.0, 0.0)


def test_an_account_below_zero_has_lost_everything_and_no_more() -> None:
    book = Book()
    for day, equity in enumerate(("1000", "-50", "10", "20"), 1):
        book.look(day, equity=equity)
    told = book.performance
    assert (told.total_return, told.max_drawdown, told.calmar) == (-1.0, -1.0, None)
    assert told.days == 2, "a day that begins with less than nothing has no return"


def test_the_present_day_counts_with_its_newest_equity() -> None:
    book = Book()
    book.look(1, equity="1000")
    assert not [told for told in book.said if isinstance(told, PerformanceSnapshot)]
    book.look(1.5, equity="1100")
    assert book.performance.total_return == pytest.approx(0.1)
    book.look(2, equity="900")
    assert book.performance.total_return == pytest.approx(-0.1)
    assert book.performance.days == 1
    assert book.performance.max_drawdown == pytest.approx(-0.1)


def test_a_split_and_a_dividend_leave_strategies_and_account_with_one_result() -> None:
    book = Book()
    book.fill(10, "40", fee="1")
    given: dict[str, Any] = {
        "event_time_us": 2, "account_id": "alice", "instrument_id": "TEAPOT", "quantity": D(10), "currency": "USD",
    }  # fmt: skip
    book.fold(PositionAdjusted(**given, version=1, kind=CorporateActionKind.SPLIT, ratio=D(4), amount=D(0)))
    book.held["TEAPOT"] = (D(40), D(10), D(0), D(1))
    book.mark("11")
    paid = {**given, "quantity": D(40)}
    book.fold(PositionAdjusted(**paid, version=2, kind=CorporateActionKind.DIVIDEND, ratio=D(1), amount=D("0.5")))
    book.held["TEAPOT"] = (D(40), D(10), D(20), D(1))
    book.mark("12")
    told = book.look(equity="1099")
    for member in ("alice", "trend", "TEAPOT"):
        assert told[member].realised_pnl == D(20), member
        assert told[member].unrealised_pnl == D(80), member


def test_an_inverse_contract_earns_in_its_base_currency() -> None:
    book = Book()
    inverse: dict[str, Any] = {
        "contract": ContractKind.INVERSE,
        "multiplier": D(1),
        "currency": "BTC",
        "fee_currency": "BTC",
    }
    book.fill(1000, "10000", **inverse)
    book.fill(-1000, "12500", **inverse)
    told = book.look(currency="BTC")
    assert told["trend"].realised_pnl == D("0.02")


def encoded(parts: Mapping[str, Part]) -> dict[str, Part]:
    return {
        name: msgspec.msgpack.decode(msgspec.msgpack.encode(part), type=ROOM.part_types[name.partition(":")[0]])
        for name, part in parts.items()
    }


FILLS = st.lists(
    st.tuples(
        st.integers(-20, 20).filter(bool),
        st.integers(-50, 200),
        st.sampled_from(["TEAPOT", "KETTLE"]),
        st.sampled_from(["one", "two", "three"]),
        st.integers(0, 3),
    ),
    min_size=1,
    max_size=25,
)


@given(fills=FILLS, marks=st.tuples(st.integers(-50, 200), st.integers(-50, 200)))
def test_what_strategies_earned_adds_up_to_what_the_account_earned(
    fills: list[tuple[int, int, str, str, int]], marks: tuple[int, int]
) -> None:
    book = Book("1000000")
    for quantity, price, instrument, strategy, fee in fills:
        book.fill(quantity, str(price), instrument, strategy_id=strategy, fee=str(fee))
    for instrument, mark in zip(("TEAPOT", "KETTLE"), marks, strict=True):
        if instrument in book.held:
            book.mark(str(mark), instrument)
    told = book.look()

    def earned(dimension: PnlDimension) -> Decimal:
        return sum(
            (t.realised_pnl + (t.unrealised_pnl or D(0)) - t.fees for t in told.values() if t.dimension is dimension),
            D(0),
        )

    tolerance = D("0.000001")
    account = earned(PnlDimension.ACCOUNT)
    assert abs(account - (book.equity - 1000000)) < tolerance
    assert abs(earned(PnlDimension.STRATEGY) - account) < tolerance
    assert abs(earned(PnlDimension.INSTRUMENT) - account) < tolerance
    assert ROOM.assemble("alice", encoded(ROOM.parts(book.state))) == book.state
