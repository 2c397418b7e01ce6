"""What analysts read: the views on the records of a real replay, against what the replay itself says."""

import math
import re
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC
from decimal import Decimal
from typing import Any

import clickhouse_connect
import pytest

from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.migrate import migrate
from connectors.clickhouse.tables import tables
from connectors.clickhouse.views import ORDER, SUMMARIES, views
from connectors.embedded.clickhouse import ClickHouseServer
from schemas.control import TradingState
from schemas.execution import ExecutionReport, Fill
from schemas.intent import TradeIntent
from schemas.market import Mark
from schemas.order import OrderEvent, Side, SubmitOrder
from schemas.position import PnlDimension, PnlSnapshot, PositionState
from schemas.record import Record
from schemas.reference import ContractKind
from schemas.risk import RiskSnapshot, RiskVerdict
from schemas.scalars import DAY_US, micros_of
from schemas.topics import ACCOUNTS_EVENTS, PNL, Topic
from streams.commands.order_measures import slippage
from streams.commands.order_story import arrival_price, fill_of, in_clickhouse, story
from streams.commands.replay import plan_of
from streams.pnl.performance.shortfall import Paper, shortfall
from streams.replay.backtest import Backtest
from streams.replay.result import Result
from streams.settings import Settings
from tests.connectors.clickhouse.kept import column, keep
from tests.paths import ROOT

pytestmark = pytest.mark.servers

QUESTIONS = re.findall(r"^## (.+?)\n.*?```sql\n(.*?)```", (ROOT / "docs" / "queries.md").read_text(), re.S | re.M)
MAY_BE_EMPTY = {
    "Is anything stuck or undecided?",
    "Which signals were refused, and why?",
    "What do results suggest about our strategies?",
    "What did the whole house trade each month, and what did it pay in fees?",
    "How many orders did the whole house send each month, and how did they end?",
    "What did execution cost the whole house, by venue and strategy?",
    "What did the whole house's orders cost against paper, and did it trade better than the market?",
    "How did the whole house's trades go, month by month?",
    "Who and what earned the whole house's result?",
    "Is there anything that could not be read?",
}
"""Questions to which a good day has no answer, or that ask summaries not refreshed yet."""


class Replayed:
    """A replay, all that was said in it, and a ClickHouse that holds it."""

    def __init__(self, server: ClickHouse):
        self.server = server
        self.records: dict[type[Record], list[Any]] = defaultdict(list)
        said: list[tuple[Topic, Record]] = []
        backtest = Backtest(plan_of("oil", "2020-01-01", "2020-06-30", None, "1000000"))
        backtest.log.tap(lambda topic, record: said.append((topic, record)))
        self.result: Result = backtest.run()
        for topic, record in said:
            if not (isinstance(record, Fill) and topic.name == "fills"):
                self.records[type(record)].append(record)
        keep(server, said)

    def ask(self, sql: str) -> list[dict[str, Any]]:
        return ask(self.server, sql)


def ask(server: ClickHouse, sql: str) -> list[dict[str, Any]]:
    """Rows by column, as an analyst's client gets them."""
    client = clickhouse_connect.get_client(dsn=server.url, database=server.database)
    try:
        found = client.query(sql)
        return [dict(zip(found.column_names, row, strict=True)) for row in found.result_rows]
    finally:
        client.close()


def settings_of(server: ClickHouse) -> Settings:
    """Settings of the environment whose database this is."""
    fields: dict[str, Any] = {"environment": server.database.removeprefix("ql_"), "clickhouse_url": server.url}
    return Settings(**fields)


@pytest.fixture(scope="module")
def replayed(clickhouse_server: ClickHouseServer) -> Iterator[Replayed]:
    server = ClickHouse(clickhouse_server.url, f"ql_t{uuid.uuid4().hex[:12]}")
    migrate(server)
    yield Replayed(server)
    server.command(f"DROP DATABASE `{server.database}`")
    server.close()


def test_there_are_twenty_questions_and_every_view_is_asked() -> None:
    assert len(QUESTIONS) >= 20
    assert len({title for title, _ in QUESTIONS}) == len(QUESTIONS)
    asked = " ".join(sql for _, sql in QUESTIONS)
    assert {view for view in (*ORDER, *SUMMARIES) if view not in ("fills",)} <= set(re.findall(r"\w+", asked))


@pytest.mark.parametrize(("title", "sql"), QUESTIONS, ids=[title for title, _ in QUESTIONS])
def test_every_question_of_the_documentation_has_an_answer(title: str, sql: str, replayed: Replayed) -> None:
    rows = replayed.ask(sql)
    assert rows or title in MAY_BE_EMPTY


def test_what_lies_twice_changes_no_view_and_no_summary(database: ClickHouse) -> None:
    said: list[tuple[Topic, Record]] = []
    backtest = Backtest(plan_of("oil", "2020-01-01", "2020-06-30", None, "1000000"))
    backtest.log.tap(lambda topic, record: said.append((topic, record)))
    backtest.run()

    def shown() -> dict[str, Any]:
        found = {}
        for name in (*ORDER, *SUMMARIES):
            if name in SUMMARIES:
                database.command(f"SYSTEM REFRESH VIEW `{database.database}`.{name}")
                database.command(f"SYSTEM WAIT VIEW `{database.database}`.{name}")
            sql = f"SELECT count(), sum(cityHash64(toString(tuple(*)))) FROM `{database.database}`.{name}"
            ((found[name],)) = database.rows(sql)
        return found

    for table in tables():
        database.command(f"SYSTEM STOP MERGES `{database.database}`.`{table.name}`")
    keep(database, said, "once")
    once, rows = shown(), column(database, "SELECT count() FROM {db}.mark")
    keep(database, said, "and again")
    assert column(database, "SELECT count() FROM {db}.mark") == [2 * rows[0]]
    assert shown() == once
    assert all(once[name][0] for name in ("trades", "implementation_shortfall", "fills_daily", "signal_scores"))


@pytest.mark.parametrize(
    ("view", "projection"),
    [("positions_now", "newest"), ("pnl_daily", "daily"), ("equity_daily", "daily"), ("trades", "extremes")],
)
def test_a_view_of_the_newest_reads_what_each_part_keeps_of_it(view: str, projection: str, replayed: Replayed) -> None:
    plan = column(replayed.server, f"EXPLAIN SELECT * FROM {{db}}.{view}")
    assert any(f"ReadFromMergeTree ({projection})" in line for line in plan)


def test_every_view_says_what_it_shows() -> None:
    for view in views():
        assert view.doc.endswith("."), view.name


def test_fills_are_those_of_the_replay_to_the_last_digit(replayed: Replayed) -> None:
    shown = {row["fill_id"]: row for row in replayed.ask("SELECT * FROM fills")}
    fills: list[Fill] = replayed.records[Fill]
    assert len(shown) == len(fills) == replayed.result.fills
    for fill in fills:
        row = shown[fill.fill_id]
        assert (row["price"], row["quantity"], row["fee"]) == (fill.price, fill.quantity, fill.fee)
        assert (row["realised_pnl"], row["side"]) == (fill.realised_pnl, fill.side)
        assert row["notional"] == abs(fill.price * fill.quantity * (fill.multiplier or 1))


def test_orders_stand_as_their_last_event_says(replayed: Replayed) -> None:
    last: dict[str, OrderEvent] = {event.client_order_id: event for event in replayed.records[OrderEvent]}
    shown = {row["client_order_id"]: row for row in replayed.ask("SELECT * FROM orders")}
    assert len(shown) == len(last)
    for name, event in last.items():
        row = shown[name]
        assert (row["status"], row["filled_quantity"]) == (event.status, event.cumulative_quantity)
        assert row["average_price"] == event.average_price


def test_the_newest_daily_row_has_the_figures_of_the_result(replayed: Replayed) -> None:
    (row,) = replayed.ask("SELECT * FROM pnl_daily WHERE dimension = 'ACCOUNT' ORDER BY day DESC LIMIT 1")
    account = replayed.result.accounts["demo"]
    for name in ("equity", "realised_pnl", "unrealised_pnl", "fees", "fills", "closed_trades", "winning_trades"):
        assert row[name] == getattr(account, name), name
    assert row["drawdown"] == account.drawdown


def test_the_days_add_up_to_the_whole(replayed: Replayed) -> None:
    (row,) = replayed.ask(
        "SELECT sum(pnl_of_day) AS days, argMax(pnl, day) AS whole FROM pnl_daily WHERE dimension = 'ACCOUNT'"
    )
    assert row["days"] == row["whole"]


def test_an_absent_result_stays_absent(database: ClickHouse) -> None:
    """Of two snapshots the newer one counts, also where it does not know what the older one knew."""
    for offset, unrealised in ((1, Decimal(5)), (2, None)):
        snapshot = PnlSnapshot(
            event_time_us=1_600_000_000_000_000 + offset, account_id="bob", dimension=PnlDimension.ACCOUNT,
            member="bob", currency="USD", realised_pnl=Decimal(0), fees=Decimal(0), fills=0, closed_trades=0,
            winning_trades=0, turnover=Decimal(0), unrealised_pnl=unrealised,
        )  # fmt: skip
        keep(database, [(PNL, snapshot)] * offset, token=f"absent-{offset}")
    (row,) = ask(database, "SELECT unrealised_pnl FROM pnl_daily")
    assert row["unrealised_pnl"] is None


def test_positions_are_as_last_said(replayed: Replayed) -> None:
    last: dict[str, PositionState] = {state.instrument_id: state for state in replayed.records[PositionState]}
    shown = {row["instrument_id"]: row for row in replayed.ask("SELECT * FROM positions_now")}
    assert {name: (row["quantity"], row["mark"], row["unrealised_pnl"]) for name, row in shown.items()} == {
        name: (state.quantity, state.mark, state.unrealised_pnl) for name, state in last.items()
    }


def test_denials_are_those_of_the_replay_each_with_its_checks(replayed: Replayed) -> None:
    shown = Counter(row["code"] for row in replayed.ask("SELECT code, codes FROM denials"))
    assert shown == replayed.result.denied
    verdicts: list[RiskVerdict] = [v for v in replayed.records[RiskVerdict] if not v.approved]
    codes = {row["intent_id"]: row["codes"] for row in replayed.ask("SELECT intent_id, codes FROM denials")}
    for verdict in verdicts:
        assert codes[verdict.intent_id] == [check.code for check in verdict.checks if check.outcome == "HARD"]


def test_slippage_is_what_the_fill_cost_against_the_price_of_the_decision(replayed: Replayed) -> None:
    shown = {row["fill_id"]: row for row in replayed.ask("SELECT * FROM execution_quality")}
    judged = [fill for fill in replayed.records[Fill] if fill.reference_price is not None]
    assert judged
    for fill in judged:
        against = (fill.price - fill.reference_price) * (1 if fill.side == "BUY" else -1)
        assert shown[fill.fill_id]["slippage"] == against * fill.quantity * (fill.multiplier or 1)


def test_the_shortfall_of_each_order_is_that_of_the_definition_and_its_parts_add_up(replayed: Replayed) -> None:
    shown = {row["client_order_id"]: row for row in replayed.ask("SELECT * FROM implementation_shortfall")}
    fills: dict[str, list[Fill]] = defaultdict(list)
    for fill in replayed.records[Fill]:
        fills[fill.client_order_id].append(fill)
    marks: dict[str, list[Mark]] = defaultdict(list)
    for mark in replayed.records[Mark]:
        marks[mark.instrument_id].append(mark)
    last: dict[str, OrderEvent] = {event.client_order_id: event for event in replayed.records[OrderEvent]}
    began = {event.client_order_id: event.event_time_us for event in reversed(replayed.records[OrderEvent])}
    assert shown.keys() == {name for name, event in last.items() if event.reference_price is not None}
    for name, row in shown.items():
        event, traded = last[name], fills[name]
        ended = max((fill.event_time_us for fill in traded), default=event.event_time_us)
        day_ends = ((ended - 1) // DAY_US + 1) * DAY_US
        known = marks[event.instrument_id]
        arrival = next(mark.last for mark in reversed(known) if mark.event_time_us <= began[name])
        close = next(mark.last for mark in reversed(known) if mark.event_time_us <= day_ends)
        multiplier = next((fill.multiplier for fill in traded), None) or Decimal(1)
        paper = Paper(event.side, event.quantity, event.reference_price or Decimal(0), multiplier)
        found = shortfall(
            paper, [(fill.quantity, fill.price) for fill in traded], arrival=arrival, close=close,
            fees=sum((fill.fee for fill in traded), Decimal(0)),
        )  # fmt: skip
        assert (row["arrival_price"], row["close_price"]) == (arrival, close)
        assert (row["delay"], row["opportunity"], row["fees"]) == (found.delay, found.opportunity, found.fees)
        assert row["shortfall"] == row["delay"] + row["execution"] + row["opportunity"] + row["fees"] == found.total
        if event.average_price is not None:
            assert row["interval_twap"] is not None
            sign = 1 if event.side == "BUY" else -1
            assert row["close_bps"] == pytest.approx(sign * (float(event.average_price / close) - 1) * 10_000)


def test_trades_are_as_many_as_the_room_counted_and_won_as_many(replayed: Replayed) -> None:
    last = {
        snapshot.member: snapshot
        for snapshot in replayed.records[PnlSnapshot]
        if snapshot.dimension is PnlDimension.STRATEGY
    }
    shown: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in replayed.ask("SELECT * FROM trades"):
        shown[row["strategy_id"]].append(row)
    assert any(shown.values())
    for name, snapshot in last.items():
        assert len(shown[name]) == snapshot.closed_trades
        assert sum(row["pnl"] > 0 for row in shown[name]) == snapshot.winning_trades
        if snapshot.unrealised_pnl == 0:
            assert sum(row["pnl"] for row in shown[name]) == snapshot.realised_pnl - snapshot.fees


def test_a_trade_knows_its_worst_and_best_on_the_way_and_why_it_began_and_ended(replayed: Replayed) -> None:
    reasons = {intent.intent_id: intent.reason for intent in replayed.records[TradeIntent]}
    why = {event.client_order_id: reasons.get(event.intent_id, "") for event in replayed.records[OrderEvent]}
    for row in replayed.ask("SELECT * FROM trades"):
        entry, exit_ = (micros_of(row[name].replace(tzinfo=UTC)) for name in ("entry_time", "exit_time"))
        fills = [
            fill
            for fill in replayed.records[Fill]
            if (fill.strategy_id, fill.instrument_id) == (row["strategy_id"], row["instrument_id"])
            and entry <= fill.event_time_us <= exit_
        ]
        assert (row["entry_reason"], row["exit_reason"]) == (
            why[fills[0].client_order_id],
            why[fills[-1].client_order_id],
        )
        worst = best = cash = held = Decimal(0)
        steps = iter([*fills, None])
        fill = next(steps)
        for mark in replayed.records[Mark]:
            if mark.instrument_id != row["instrument_id"]:
                continue
            at_a_fill = False
            while fill is not None and fill.event_time_us <= mark.event_time_us:
                signed = fill.quantity if fill.side == "BUY" else -fill.quantity
                cash, held, at_a_fill = cash - signed * fill.price, held + signed, True
                fill = next(steps)
            if held and not at_a_fill:
                ways = [cash + held * price for price in (mark.low, mark.high)]
                worst, best = min(worst, *ways), max(best, *ways)
        assert not held
        assert cash == row["pnl"] + row["fees"]
        assert (row["mae"], row["mfe"]) == (min(worst, cash), max(best, cash))


def test_every_division_of_the_result_adds_up_to_it_and_leaves_next_to_nothing_unexplained(replayed: Replayed) -> None:
    account = replayed.result.accounts["demo"]
    whole = account.realised_pnl + (account.unrealised_pnl or Decimal(0)) - account.fees
    by_dimension: dict[str, dict[str, Decimal]] = defaultdict(dict)
    for row in replayed.ask("SELECT * FROM attribution WHERE account_id = 'demo'"):
        by_dimension[row["dimension"]][row["member"]] = row["pnl"]
    assert by_dimension.keys() == {"STRATEGY", "PROVIDER", "INSTRUMENT", "SECTOR", "SIDE", "COST"}
    for dimension, members in by_dimension.items():
        assert sum(members.values()) == whole, dimension
        if dimension not in ("PROVIDER", "COST"):
            assert abs(members.get("REST", Decimal(0))) < Decimal("1e-9"), dimension
    assert by_dimension["COST"]["FEES"] == -account.fees


def test_a_fill_that_turns_a_position_round_ends_one_trade_and_begins_the_next(database: ClickHouse) -> None:
    same: dict[str, Any] = {
        "account_id": "dan", "venue": "PAPER", "instrument_id": "TEAPOT", "currency": "USD", "fee": Decimal(3),
        "fee_currency": "USD", "realised_pnl": Decimal(0), "position_quantity": Decimal(0), "strategy_id": "trend",
        "multiplier": Decimal(10),
    }  # fmt: skip
    said = [
        Fill(
            **same, event_time_us=at, fill_id=f"t{at}", client_order_id=f"o{at}", side=side, quantity=size, price=price
        )
        for at, (side, size, price) in enumerate(
            [
                (Side.BUY, Decimal(2), Decimal(5)),
                (Side.SELL, Decimal(3), Decimal(6)),
                (Side.BUY, Decimal(1), Decimal(4)),
            ],
            1_600_000_000_000_000,
        )
    ]
    keep(database, [(ACCOUNTS_EVENTS, fill) for fill in said], token="turned")
    rows = ask(
        database, "SELECT direction, quantity, entry_price, exit_price, pnl, fees FROM trades ORDER BY exit_time"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("LONG", 2, 5, 6, 20 - 3 - 2, 5),
        ("SHORT", 1, 6, 4, 20 - 1 - 3, 4),
    ]


@pytest.mark.parametrize(
    ("summary", "kept", "asked"),
    [
        (
            "fills_daily",
            "sum(fills), sum(units), sum(traded), sum(fees), sum(realised_pnl) FROM fills_daily",
            "count(), sum(quantity), sum(notional), sum(fee), sum(realised_pnl) FROM fills",
        ),
        (
            "orders_daily",
            "sum(orders), sum(ordered), sum(filled), sum(steps) FROM orders_daily",
            "count(), sum(quantity), sum(filled_quantity), sum(steps) FROM orders",
        ),
        (
            "execution_daily",
            "sum(fills), sum(traded), sum(fees), sum(cost), max(worst_bps) FROM execution_daily",
            "count(), sum(notional), sum(fee), sum(slippage), max(slippage_bps) FROM execution_quality",
        ),
        (
            "shortfall_daily",
            "sum(orders), sum(ordered), sum(delay), sum(execution), sum(opportunity), sum(fees), sum(shortfall), "
            "sum(filled), round(sum(arrival_bps_sum), 6), round(sum(close_bps_sum), 6) FROM shortfall_daily",
            "count(), sum(ordered_notional), sum(delay), sum(execution), sum(opportunity), sum(fees), sum(shortfall), "
            "countIf(filled_quantity > 0), round(sum(arrival_bps), 6), round(sum(close_bps), 6) "
            "FROM implementation_shortfall",
        ),
        (
            "trades_daily",
            "sum(trades), sum(won), sum(pnl), sum(fees), sum(seconds), sum(mae), sum(mfe), min(worst), max(best) "
            "FROM trades_daily",
            "count(), countIf(pnl > 0), sum(pnl), sum(fees), sum(duration_s), sum(mae), sum(mfe), min(pnl), max(pnl) "
            "FROM trades",
        ),
        (
            "attribution_kept",
            "count(), groupUniqArray(dimension || member || toString(pnl)) FROM attribution_kept",
            "count(), groupUniqArray(dimension || member || toString(pnl)) FROM attribution",
        ),
    ],
)
def test_a_summary_says_what_its_view_says_and_counts_nothing_twice(
    summary: str, kept: str, asked: str, replayed: Replayed
) -> None:
    for _ in range(2):
        replayed.server.command(f"SYSTEM REFRESH VIEW `{replayed.server.database}`.{summary}")
        replayed.server.command(f"SYSTEM WAIT VIEW `{replayed.server.database}`.{summary}")
    (from_summary,), (from_view,) = replayed.ask(f"SELECT {kept}"), replayed.ask(f"SELECT {asked}")
    assert [_unordered(value) for value in from_summary.values()] == [_unordered(v) for v in from_view.values()]
    assert next(iter(from_summary.values())) > 0


def _unordered(value: Any) -> Any:
    return sorted(value) if isinstance(value, list) else value


def test_a_signal_is_scored_by_the_bar_at_its_horizon(replayed: Replayed) -> None:
    rows = replayed.ask("SELECT * FROM signal_scores")
    assert rows
    for row in rows:
        assert row["scored_at"] > row["time"]
        moved = float(row["price_at_horizon"] - row["price_then"]) * row["direction"]
        assert row["moved_our_way"] == pytest.approx(moved)
        assert row["hit"] == (moved > 0)


def test_the_story_of_an_order_goes_from_the_wish_to_the_fill(replayed: Replayed) -> None:
    filled = next(fill for fill in replayed.records[Fill] if fill.signal_id)
    rows = replayed.ask(
        f"SELECT step, what FROM order_story WHERE client_order_id = '{filled.client_order_id}' ORDER BY stage, time"
    )
    steps = [row["step"] for row in rows]
    assert steps[:2] == ["signal", "intent"]
    assert {"check", "verdict", "command", "broker", "state", "fill"} <= set(steps)
    assert steps[-1] == "fill"


def test_the_story_of_an_order_costs_what_the_views_of_slippage_and_shortfall_say(replayed: Replayed) -> None:
    filled = [fill for fill in replayed.records[Fill] if fill.reference_price is not None]
    names = sorted({fill.client_order_id for fill in filled})[:5]
    by_fill = {row["fill_id"]: row for row in replayed.ask("SELECT * FROM execution_quality")}
    by_order = {row["client_order_id"]: row for row in replayed.ask("SELECT * FROM implementation_shortfall")}
    assert names
    for name in names:
        told = story(settings_of(replayed.server), name)
        assert told is not None
        assert told.slippage is not None
        assert len(told.slippage["fills"]) == sum(fill.client_order_id == name for fill in replayed.records[Fill])
        for row in told.slippage["fills"]:
            shown = by_fill[row["fill_id"]]
            assert row["decision_slippage"] == shown["slippage_per_unit"]
            assert row["decision_bps"] == shown["slippage_bps"]
        whole, order = told.slippage["order"], by_order[name]
        assert (whole["decision_price"], whole["arrival_price"]) == (order["decision_price"], order["arrival_price"])
        assert whole["decision_bps"] == pytest.approx(order["decision_bps"], rel=1e-6, abs=1e-6)
        assert whole["arrival_bps"] == pytest.approx(order["arrival_bps"], rel=1e-6, abs=1e-6)


def test_the_story_of_an_order_is_the_same_from_its_records_as_from_clickhouse(replayed: Replayed) -> None:
    name = next(fill.client_order_id for fill in replayed.records[Fill] if fill.signal_id)
    told = story(settings_of(replayed.server), name)
    assert told is not None
    events = [event for event in replayed.records[OrderEvent] if event.client_order_id == name]
    marks = [mark for mark in replayed.records[Mark] if mark.instrument_id == events[0].instrument_id]
    fills = [fill_of(fill) for fill in replayed.records[Fill] if fill.client_order_id == name]
    assert told.slippage == slippage(fills, arrival_price(events, marks))
    commands = [order for order in replayed.records[SubmitOrder] if order.client_order_id == name]
    reports = [report for report in replayed.records[ExecutionReport] if report.client_order_id == name]
    submitted_us = commands[0].event_time_us
    new_us = min(report.event_time_us for report in reports if report.exec_type == "NEW")
    traded_us = [report.event_time_us for report in reports if report.exec_type == "TRADE"]
    by_leg = {(row["from"], row["to"]): row["ms"] for row in told.latencies}
    assert by_leg["command", "acknowledgement"] == (new_us - submitted_us) / 1000
    assert by_leg["acknowledgement", "first fill"] == (min(traded_us) - new_us) / 1000
    assert by_leg["acknowledgement", "last fill"] == (max(traded_us) - new_us) / 1000
    assert all(row["written_ms"] is not None for row in told.latencies)


def test_nobody_knows_the_story_of_an_order_that_is_not_there(replayed: Replayed) -> None:
    assert in_clickhouse(settings_of(replayed.server), "no such order") is None


def test_findings_are_those_of_the_replay(replayed: Replayed) -> None:
    shown = Counter(row["code"] for row in replayed.ask("SELECT code FROM quality_findings"))
    assert shown == replayed.result.findings


def test_an_inverse_contract_has_its_value_and_slippage_in_its_base_currency(database: ClickHouse) -> None:
    fill = Fill(
        event_time_us=1_600_000_000_000_000, account_id="carol", fill_id="inverse", client_order_id="inverse",
        venue="PAPER", instrument_id="BTCUSD", side=Side.SELL, quantity=Decimal(1000), price=Decimal(8000),
        currency="BTC", fee=Decimal(0), fee_currency="BTC", realised_pnl=Decimal(0), position_quantity=Decimal(-1000),
        reference_price=Decimal(10000), multiplier=Decimal(1), contract=ContractKind.INVERSE,
    )  # fmt: skip
    keep(database, [(ACCOUNTS_EVENTS, fill)], token="inverse")
    (row,) = ask(database, "SELECT * FROM execution_quality")
    assert (row["notional"], row["slippage"]) == (Decimal("0.125"), Decimal("0.025"))


def test_daily_equity_has_every_day_and_the_statistics_of_the_room(replayed: Replayed) -> None:
    days = replayed.ask("SELECT * FROM equity_daily ORDER BY day")
    looked_at = {(look.event_time_us - 1) // DAY_US for look in replayed.records[RiskSnapshot]}
    told = replayed.result.performance["demo"]
    assert len(days) == len(looked_at) == told.days + 1
    assert days[-1]["equity"] == replayed.result.equity
    assert max(day["drawdown"] for day in days) == pytest.approx(-(told.max_drawdown or 0), rel=1e-9)
    growth = math.prod(1 + (day["day_return"] or 0) for day in days)
    assert growth - 1 == pytest.approx(told.total_return, rel=1e-9)


def test_a_deposit_is_no_return_and_an_account_below_zero_has_none(database: ClickHouse) -> None:
    equities = [(1000, 1000), (1600, 1500), (-100, 1500), (50, 1500)]
    looks = [
        RiskSnapshot(
            event_time_us=day * DAY_US, account_id="bob", equity=Decimal(equity), gross_exposure=Decimal(0),
            net_exposure=Decimal(0), leverage=None, drawdown=Decimal(0), day_pnl=Decimal(0),
            state=TradingState.ACTIVE, uses=[], currency="USD", net_deposits=Decimal(paid),
        )
        for day, (equity, paid) in enumerate(equities, 20_000)
    ]  # fmt: skip
    keep(database, [(ACCOUNTS_EVENTS, look) for look in looks], token="equities")
    days = ask(database, "SELECT day_return, drawdown FROM equity_daily ORDER BY day")
    assert [day["day_return"] for day in days] == [None, pytest.approx(0.1), pytest.approx(-1.0625), None]
    assert [day["drawdown"] for day in days] == [0, 0, 1, 1]
