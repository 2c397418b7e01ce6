"""Journeys through all rooms in one process, on the oil market of 2019 and 2020."""

from collections import defaultdict
from dataclasses import replace
from decimal import Decimal

import pytest

from schemas.execution import Fill
from schemas.market import Bar
from schemas.order import OrderEvent, OrderStatus, SubmitOrder
from schemas.position import PnlDimension, PositionState
from schemas.record import Record
from schemas.risk import RiskVerdict
from schemas.scalars import iso_of
from schemas.topics import Topic
from streams.commands.replay import plan_of
from streams.replay.backtest import Backtest
from streams.replay.plan import Plan
from streams.replay.result import Result


def plan(first: str = "2020-01-01", last: str = "2020-06-30") -> Plan:
    return plan_of("oil", first, last, None, "1000000")


class Heard:
    """A backtest and everything that was said in it."""

    def __init__(self, of: Plan):
        self.records: dict[str, list[Record]] = defaultdict(list)
        backtest = Backtest(of)
        backtest.log.tap(self._hear)
        self.result: Result = backtest.run()

    def _hear(self, topic: Topic, record: Record) -> None:
        self.records[topic.name].append(record)


@pytest.fixture(scope="module")
def heard() -> Heard:
    return Heard(plan())


def test_the_same_plan_gives_the_same_hash_and_another_plan_another(heard: Heard) -> None:
    assert Backtest(plan()).run().result_hash == heard.result.result_hash
    assert Backtest(replace(plan(), cash=Decimal(900_000))).run().result_hash != heard.result.result_hash


def test_signals_denials_fills_and_money_come_of_it(heard: Heard) -> None:
    found = heard.result.as_json()
    assert found["signals"] > 0
    assert found["denied"] > 0
    assert found["fills"] > 0
    assert found["bars"] == len(heard.records["market.bars"]) > 200
    assert Decimal(found["equity"]) != Decimal(1_000_000)


def test_the_engine_lives_through_the_day_on_which_oil_was_negative(heard: Heard) -> None:
    closes = {
        iso_of(bar.event_time_us)[:10]: bar.close
        for bar in heard.records["market.bars"]
        if isinstance(bar, Bar) and bar.instrument_id == "WTI"
    }
    assert closes["2020-04-20"] == Decimal("-36.98")
    assert heard.result.findings["NEGATIVE_PRICE"] == 1
    marked = [
        state
        for state in heard.records["accounts.events"]
        if isinstance(state, PositionState) and state.mark == Decimal("-36.98")
    ]
    assert all(state.notional is None or state.notional >= 0 for state in marked)


def test_an_order_fills_only_on_prices_after_its_decision(heard: Heard) -> None:
    decided = {
        o.client_order_id: o.event_time_us for o in heard.records["orders.commands"] if isinstance(o, SubmitOrder)
    }
    fills = [fill for fill in heard.records["fills"] if isinstance(fill, Fill)]
    assert fills
    assert all(fill.event_time_us > decided[fill.client_order_id] for fill in fills)


def test_every_wish_ends_as_one_order_or_a_recorded_denial(heard: Heard) -> None:
    wishes = {record.intent_id for record in heard.records["accounts.inbox"] if hasattr(record, "intent_id")}
    verdicts = [v for v in heard.records["accounts.events"] if isinstance(v, RiskVerdict)]
    assert {v.intent_id for v in verdicts} >= wishes
    orders = [o for o in heard.records["orders.commands"] if isinstance(o, SubmitOrder)]
    assert len({o.client_order_id for o in orders}) == len(orders)
    approved = [v.client_order_id for v in verdicts if v.approved]
    assert sorted(approved) == sorted(o.client_order_id for o in orders)


def test_every_order_that_was_sent_has_a_known_end_or_still_works(heard: Heard) -> None:
    last: dict[str, OrderStatus] = {}
    for event in heard.records["accounts.events"]:
        if isinstance(event, OrderEvent):
            last[event.client_order_id] = event.status
    assert OrderStatus.UNKNOWN not in last.values()
    assert sum(status is OrderStatus.FILLED for status in last.values()) > 0


def test_equity_is_the_deposit_and_the_result_after_costs(heard: Heard) -> None:
    account = heard.result.accounts["demo"]
    assert account.equity is not None
    assert account.unrealised_pnl is not None
    result = account.realised_pnl + account.unrealised_pnl - account.fees
    assert abs(account.equity - Decimal(1_000_000) - result) < Decimal("0.000001")


def test_strategies_together_earned_what_the_account_earned(heard: Heard) -> None:
    account = heard.result.accounts["demo"]
    strategies = [s for (_, dimension, _), s in heard.result.members.items() if dimension is PnlDimension.STRATEGY]
    assert sum(s.fills for s in strategies) == account.fills
    assert abs(sum((s.fees for s in strategies), Decimal(0)) - account.fees) < Decimal("0.000001")
