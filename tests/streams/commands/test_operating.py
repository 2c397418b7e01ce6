"""Operating a desk from the command line, on real servers: set-up, roles, switches, orders by hand, parity."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from schemas.control import ClockTick, KillSwitch, KillVerb, Scope
from schemas.execution import ExecutionReport
from schemas.market import Mark, MarkBatch
from schemas.order import ExecType, OrderStatus, Side
from schemas.position import PositionAdjusted, PositionState
from schemas.record import Record
from schemas.reference import CorporateAction, CorporateActionKind, Instrument
from schemas.risk import RiskEvent, RiskEventKind
from schemas.scalars import SECOND_US
from schemas.signal import ProviderControl
from schemas.topics import ACCOUNTS_EVENTS, ACCOUNTS_INBOX, CONTROL_KILL, INBOXES, SIGNALS_INBOX, Topic
from streams.commands.account_state import shared_of
from streams.commands.connections import records_of
from streams.runtime.source import Fenced, Source
from tests.builders import money
from tests.streams.commands.desk import (
    COMMAND,
    NOTHING,
    Desk,
    account_records,
    now_us,
    open_desk,
    stopped,
    until,
    write,
)

pytestmark = [pytest.mark.servers, pytest.mark.slow]

NOWHERE = "http://127.0.0.1:9"
READY = ("--confirm", "reconciled,data-fresh,limits-ok")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One desk for all tests of this module."""
    with open_desk(tmp_path_factory.mktemp("desk")) as opened:
        yield opened


@pytest.fixture(scope="module")
def trading(desk: Desk) -> Iterator[Desk]:
    """The desk with its clock, its accounts room and an account A that may trade WTI at 50."""
    found = desk.connection()
    worker = desk.begun(sys.executable, "-m", "tests.streams.commands.accounts_worker", str(desk.folder / "worker"))
    until("ready", worker)
    clock = desk.begun(COMMAND, "clock")
    until("✓ clock", clock)
    write(found, account_records(now_us()))
    yield desk
    assert stopped(clock) == 0
    assert stopped(worker) == 0


def switches(desk: Desk, topic: Topic) -> list[KillSwitch]:
    return [record for record in records_of(desk.connection(), topic) if isinstance(record, KillSwitch)]


def of(desk: Desk, topic: Topic, kind: type[Record]) -> list[Record]:
    return [record for record in records_of(desk.connection(), topic) if isinstance(record, kind)]


def test_a_provider_set_anew_keeps_its_key_unless_another_or_none_is_said(desk: Desk) -> None:
    public = desk.json("provider", "keys")["public_key"]
    asked = ("provider", "set", "oracle", "--role", "champion", "--reason", "test")
    for words in (("--public-key", public), (), ("--no-key",)):
        desk.ask(*asked, *words)
    told = {one for one in of(desk, SIGNALS_INBOX, ProviderControl) if isinstance(one, ProviderControl)}
    mine = sorted((one for one in told if one.provider_id == "oracle"), key=lambda one: one.event_time_us)
    assert [(one.public_key, one.keep_key) for one in mine] == [
        (public, False),
        ("", True),
        ("", False),
    ]


def test_a_provider_set_anew_keeps_the_rate_and_the_validity_that_are_not_said(desk: Desk) -> None:
    asked = ("provider", "set", "pythia", "--role", "champion", "--reason", "test")
    for words in (("--rate", "7", "--valid-for", "90"), ("--rate", "8"), ()):
        desk.ask(*asked, *words)
    told = {one for one in of(desk, SIGNALS_INBOX, ProviderControl) if isinstance(one, ProviderControl)}
    mine = sorted((one for one in told if one.provider_id == "pythia"), key=lambda one: one.event_time_us)
    assert [(one.keep_rate, one.keep_ttl) for one in mine] == [(False, False), (False, True), (True, True)]
    assert [one.rate_limit_per_minute for one in mine][:2] == [7, 8]
    assert mine[0].ttl_max_us == 90 * SECOND_US


def test_a_second_set_up_changes_nothing_and_another_mode_is_refused(desk: Desk) -> None:
    again = desk.json("setup")
    assert [step["found"] for step in again["steps"] if step["step"] in ("topics", "tables")] == [
        "all topics are there",
        "ClickHouse is up to date",
    ]
    refused = desk.ask("setup", code=3, but={"QL_MODE": "replay"})
    assert "was made for PAPER" in refused.stderr


def test_a_switch_lies_in_both_topics_with_one_id_and_version_and_the_version_rises(desk: Desk) -> None:
    words = ("--scope", "instrument", "--id", "GOLD", "--wait", "0", "--author", "ann", "--reason", "odd prices")
    first = desk.json("stop", "pause", *words)
    second = desk.json("stop", "flatten", *words)
    kept = [one for one in switches(desk, CONTROL_KILL) if one.scope_id == "GOLD"]
    told = [one for one in switches(desk, ACCOUNTS_INBOX) if one.scope_id == "GOLD"]
    assert [(one.verb, one.version) for one in kept] == [(KillVerb.PAUSE, 1), (KillVerb.FLATTEN, 2)]
    assert [one.request_id for one in kept] == [first["request_id"], second["request_id"]]
    assert kept[0].author == "ann"
    assert kept[0].reason == "odd prices"
    # A broadcast lies in every partition, and is the very same record as the one that execution reads.
    assert sorted(told, key=lambda one: one.version) == sorted(
        kept * ACCOUNTS_INBOX.partitions, key=lambda o: o.version
    )


def test_the_same_request_to_stop_twice_is_one_switch(desk: Desk) -> None:
    words = ("stop", "halt", "--scope", "venue", "--id", "ELSEWHERE", "--request-id", "stop-1", "--wait", "0")
    first, second = desk.json(*words), desk.json(*words)
    assert (first["written"], second["written"]) == (True, False)
    assert (first["version"], second["version"]) == (1, 1)
    assert len([one for one in switches(desk, CONTROL_KILL) if one.scope is Scope.VENUE]) == 1


def test_persons_who_stop_one_scope_at_once_all_succeed_in_some_order(desk: Desk) -> None:
    words = ("stop", "halt", "--scope", "instrument", "--id", "TIN", "--wait", "0")
    with ThreadPoolExecutor(3) as persons:
        said = list(persons.map(lambda n: desk.json(*words, "--request-id", f"person-{n}"), range(3)))
    assert sorted(one["version"] for one in said) == [1, 2, 3]
    kept = [one for one in switches(desk, CONTROL_KILL) if one.scope_id == "TIN"]
    assert sorted((one.version, one.request_id) for one in kept) == sorted(
        (one["version"], one["request_id"]) for one in said
    )


def test_who_writes_in_a_slot_that_is_anothers_is_told_and_can_open_it_again(desk: Desk) -> None:
    found = desk.connection()

    def switch(version: int) -> KillSwitch:
        return KillSwitch(
            event_time_us=now_us(),
            request_id=f"zinc-{version}",
            version=version,
            scope=Scope.INSTRUMENT,
            scope_id="ZINC",
            verb=KillVerb.HALT,
            author="ann",
            reason="test",
        )

    def opened() -> Source:
        return Source(found.cluster, found.codec, found.environment, "control", atomic_slot="zinc")

    earlier = opened()
    later = opened()
    with pytest.raises(Fenced), earlier.together():
        earlier.write(switch(1))
    earlier.close()
    with later.together():
        later.write(switch(2))
    later.close()
    assert [one.version for one in switches(desk, CONTROL_KILL) if one.scope_id == "ZINC"] == [2]


def test_stopping_needs_kafka_alone(desk: Desk) -> None:
    away = {"QL_REGISTRY_URL": NOWHERE, "QL_CLICKHOUSE_URL": NOWHERE}
    said = desk.json("stop", "halt", "--scope", "strategy", "--id", "trend", "--direct", "--wait", "0", but=away)
    kept = [one for one in switches(desk, CONTROL_KILL) if one.scope is Scope.STRATEGY]
    assert [one.request_id for one in kept] == [said["request_id"]]


def test_who_stops_is_not_stopped_by_a_wrong_mode_and_who_resumes_is(desk: Desk) -> None:
    scope = ("--scope", "provider", "--id", "oracle", "--wait", "0")
    assert "stopped all the same" in desk.ask("stop", "pause", *scope, but={"QL_MODE": "live"}).stderr
    refused = desk.ask("resume", "--reason", "fine again", *READY, *scope, code=3, but={"QL_MODE": "live"})
    assert "the settings say LIVE" in refused.stderr
    resumed = desk.json("resume", "--reason", "fine again", *READY, *scope)
    assert (resumed["verb"], resumed["version"]) == ("RESUME", 2)


def test_the_relay_goes_on_where_it_was_and_loses_no_mark(desk: Desk) -> None:
    found = desk.connection()

    def marks(*times: int) -> list[tuple[str, Record]]:
        return [
            (
                "market_data",
                Mark(event_time_us=at, instrument_id="BRENT", last=money(at), low=money(at), high=money(at)),
            )
            for at in times
        ]

    def relayed() -> list[int]:
        batches = [one for one in of(desk, ACCOUNTS_INBOX, MarkBatch) if isinstance(one, MarkBatch)]
        return [mark.event_time_us for one in batches for mark in one.marks if mark.instrument_id == "BRENT"]

    market = Source(found.cluster, found.codec, found.environment, "market_data")
    for _, record in marks(1, 2):
        market.write(record, event_id=f"mark-{record.event_time_us}")
    market.flush()
    relay = desk.begun(COMMAND, "relay")
    until("✓ relay", relay)
    while len(relayed()) < ACCOUNTS_INBOX.partitions:
        assert relay.poll() is None
    assert stopped(relay) == 0
    for _, record in marks(3):
        market.write(record, event_id=f"mark-{record.event_time_us}")
    market.close()
    again = desk.begun(COMMAND, "relay")
    until("✓ relay", again)
    while 3 not in relayed():
        assert again.poll() is None
    assert stopped(again) == 0
    assert sorted(relayed()) == [2] * ACCOUNTS_INBOX.partitions + [3] * ACCOUNTS_INBOX.partitions


def test_a_sink_that_is_stopped_has_written_what_it_took(desk: Desk) -> None:
    sink = desk.begun(COMMAND, "sink")
    until("caught up", sink)
    assert stopped(sink) == 0
    kept = desk.json("sql", "select uniqExact(request_id) as n from kill_switch")
    assert kept[0]["n"] == len({one.request_id for one in switches(desk, CONTROL_KILL)})


def test_the_clock_tells_every_inbox_the_same_time(trading: Desk) -> None:
    ticks = {topic.name: of(trading, topic, ClockTick) for topic in INBOXES}
    told = {name: {one.event_time_us for one in found if one.clock_id == "wall"} for name, found in ticks.items()}  # type: ignore[attr-defined]  # all are ticks
    assert all(times for times in told.values())
    first = told["signals.inbox"]
    assert all(times & first for times in told.values())
    assert all(time_us % 1_000_000 == 0 for time_us in first)


def test_an_order_by_hand_is_judged_and_its_story_can_be_told(trading: Desk) -> None:
    placed = trading.json("order", "place", "buy", "10", "WTI", "--account", "A", "--limit", "49", "--wait", "60")
    assert placed["approved"] is True
    assert placed["status"] == "PENDING_NEW"
    name = placed["client_order_id"]
    for away in (NOTHING, {"QL_CLICKHOUSE_URL": NOWHERE}):
        steps = trading.json("order", "show", name, but=away)["steps"]
        assert {step["step"] for step in steps} >= {"check", "verdict", "command", "state"}
    cancelled = trading.json("order", "cancel", name, "--account", "A", "--wait", "60")
    assert cancelled["status"] == "PENDING_CANCEL"
    rows = trading.json("order", "list", "--account", "A", but={"QL_CLICKHOUSE_URL": NOWHERE})
    assert [(row["client_order_id"], row["status"], row["quantity"]) for row in rows] == [
        (name, "PENDING_CANCEL", "10")
    ]


def test_the_same_request_for_an_order_twice_is_one_order(trading: Desk) -> None:
    words = (
        "order",
        "place",
        "buy",
        "7",
        "WTI",
        "--account",
        "A",
        "--limit",
        "45",
        "--request-id",
        "mine",
        "--wait",
        "5",
    )
    first, second = trading.json(*words), trading.json(*words)
    assert first["client_order_id"] == second["client_order_id"]
    rows = trading.json("order", "list", but={"QL_CLICKHOUSE_URL": NOWHERE})
    assert len([row for row in rows if row["quantity"] == "7"]) == 1


def test_a_denied_order_ends_with_5_and_says_every_check_as_its_preview_did(trading: Desk) -> None:
    words = ("buy", "100000", "WTI", "--account", "A", "--limit", "50")
    seen = trading.json("risk", "preview", *words, code=5)
    denied = trading.json("order", "place", *words, "--wait", "60", code=5)
    assert (seen["code"], denied["code"]) == ("ORDER_VALUE", "ORDER_VALUE")
    assert seen["value"] == "5000000"
    assert outcomes(denied["checks"]) == outcomes(seen["checks"])
    assert "ORDER_VALUE" in trading.ask("order", "place", *words, "--wait", "60", code=5).stdout


def outcomes(checks: list[dict[str, Any]]) -> dict[str, str]:
    """Outcome by check; whether one is late or a duplicate depends on the moment."""
    return {check["check"]: check["outcome"] for check in checks if check["check"] not in ("duplicate", "clock_alive")}


def test_an_unknown_order_or_account_ends_with_6(trading: Desk) -> None:
    assert "ORDER_UNKNOWN" in trading.ask("order", "cancel", "nosuch", "--account", "A", "--wait", "60", code=6).stderr
    assert "there is no order nosuch" in trading.ask("order", "show", "nosuch", code=6).stderr
    assert "no account Z" in trading.ask("risk", "preview", "buy", "1", "WTI", "--account", "Z", code=6).stderr


def test_what_cannot_be_an_order_is_refused_with_the_field_and_nothing_is_sent(trading: Desk) -> None:
    refused = trading.ask("order", "place", "buy", "ten", "WTI", "--account", "A", "--expire-at", "noon", code=2)
    assert "quantity" in refused.stderr
    assert "expire_at_us" in refused.stderr


def test_accounts_answer_a_halt_with_their_cancels(trading: Desk) -> None:
    trading.ask("order", "place", "buy", "3", "WTI", "--account", "A", "--limit", "44", "--wait", "60")
    halted = trading.json("stop", "halt", "--scope", "account", "--id", "A", "--wait", "20")
    assert halted["accounts"] == ["A"]
    assert halted["cancels"] >= 1
    denied = trading.json(
        "order", "place", "buy", "2", "WTI", "--account", "A", "--limit", "44", "--wait", "60", code=5
    )
    assert {check["code"] for check in denied["checks"] if check["check"] == "trading_state"} == {"TRADING_HALTED"}
    trading.ask("resume", "--reason", "test over", *READY, "--scope", "account", "--id", "A")


def test_a_split_and_a_dividend_by_hand_reach_position_cost_and_cash_once(trading: Desk) -> None:
    placed = trading.json("order", "place", "buy", "100", "WTI", "--account", "A", "--limit", "50", "--wait", "60")
    report = ExecutionReport(
        event_time_us=now_us(), account_id="A", exec_id="filled-1", client_order_id=placed["client_order_id"],
        broker_order_id="b1", venue="PAPER", instrument_id="WTI", side=Side.BUY, exec_type=ExecType.TRADE,
        order_status=OrderStatus.FILLED, order_quantity=Decimal(100), cumulative_quantity=Decimal(100),
        leaves_quantity=Decimal(0), last_quantity=Decimal(100), last_price=Decimal(50), average_price=Decimal(50),
    )  # fmt: skip
    write(trading.connection(), [("execution", report)])
    held = the_position(trading, lambda last: last.quantity == 100)
    assert (held.average_price, held.realised_pnl) == (Decimal(50), Decimal(0))
    words = ("market", "split", "WTI", "4", "--reason", "four for one", "--version", "1")
    told = [trading.json(*words) for _ in range(2)]
    assert [(one["kind"], one["ratio"], one["version"]) for one in told] == [("SPLIT", "4", 1)] * 2
    the_position(trading, lambda last: last.quantity == 400)
    trading.ask("market", "dividend", "WTI", "0.25")
    paid = the_position(trading, lambda last: last.realised_pnl != 0)
    assert (paid.quantity, paid.average_price, paid.realised_pnl) == (Decimal(400), Decimal("12.5"), Decimal(100))
    adjusted = [one for one in of(trading, ACCOUNTS_EVENTS, PositionAdjusted) if isinstance(one, PositionAdjusted)]
    assert [(one.kind, one.ratio, one.amount, one.quantity) for one in adjusted] == [
        (CorporateActionKind.SPLIT, Decimal(4), Decimal(0), Decimal(100)),
        (CorporateActionKind.DIVIDEND, Decimal(1), Decimal("0.25"), Decimal(400)),
    ]


def the_position(desk: Desk, wanted: Callable[[PositionState], bool]) -> PositionState:
    """The newest word on A's position once it is as wanted."""
    until_s = time.monotonic() + 120
    last = None
    while time.monotonic() < until_s:
        said = [one for one in of(desk, ACCOUNTS_EVENTS, PositionState) if isinstance(one, PositionState)]
        last = said[-1] if said else None
        if last is not None and wanted(last):
            return last
    raise AssertionError(f"the position is {last}")


@pytest.mark.parametrize("words", [("split", "WTI", "0"), ("dividend", "WTI", "0"), ("split", "WTI", "two")])
def test_an_action_that_says_nothing_of_its_kind_is_refused_and_not_sent(desk: Desk, words: tuple[str, ...]) -> None:
    before = len(of(desk, ACCOUNTS_INBOX, CorporateAction))
    assert "nothing was sent" in desk.ask("market", *words, code=2).stderr
    assert len(of(desk, ACCOUNTS_INBOX, CorporateAction)) == before


def test_the_recorded_inbox_gives_every_decision_again_and_a_doctored_record_is_found(trading: Desk) -> None:
    equal = trading.json("replay", "inbox")
    assert equal["equal"] is True
    assert equal["compared"]["accounts.events"] > 0
    assert equal["compared"]["orders.commands"] > 0
    found = trading.connection()
    liar = Source(found.cluster, found.codec, found.environment, "accounts")
    said = RiskEvent(event_time_us=now_us(), account_id="B", kind=RiskEventKind.LATCHED, code="NEVER_SAID")
    liar.write(said, event_id="liar")
    liar.close()
    differs = trading.json("replay", "inbox", code=1)
    assert [(one["topic"], one["account_id"], one["at"]) for one in differs["differences"]] == [
        ("accounts.events", "B", 0)
    ]
    assert "NEVER_SAID" in differs["differences"][0]["recorded"]
    trading.json("replay", "inbox", "--account", "A")


@pytest.mark.parametrize("role", ["clock", "relay"])
def test_a_role_of_wall_time_does_not_run_in_a_replay(tmp_path: Path, role: str) -> None:
    ended = subprocess.run([COMMAND, role], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 3
    assert "does not run in a replay environment" in ended.stderr


def values(event: RiskEvent) -> dict[str, Decimal]:
    """The limits that a change of them tells."""
    return {name: Decimal(value) for name, _, value in (one.partition("=") for one in event.value.split())}


def test_a_file_of_limits_is_in_force_or_refused_whole_with_the_line_that_is_wrong(
    trading: Desk, tmp_path: Path
) -> None:
    right, wrong = tmp_path / "right.ndjson", tmp_path / "wrong.ndjson"
    right.write_text('{"name": "order_quantity_max", "value": "777"}\n{"name": "leverage_max", "value": 3}\n')
    wrong.write_text('{"name": "order_quantity_max", "value": "5"}\n{"name": "leverage_max", "value": 101}\n')
    told = trading.json(
        "risk", "limits", str(right), "--account", "A", "--reason", "tighter", "--author", "bob", "--wait", "120"
    )
    assert told["accounts"] == {"A": "in force"}
    refused = trading.ask("risk", "limits", str(wrong), "--account", "A", "--reason", "wider", code=2)
    assert "line 2 (leverage_max): 101" in refused.stderr
    assert "is not within 0 and 100" in refused.stderr
    changes = [
        event
        for event in records_of(trading.connection(), ACCOUNTS_EVENTS)
        if isinstance(event, RiskEvent) and event.kind is RiskEventKind.LIMIT_CHANGED and event.author == "bob"
    ]
    assert [event.reason for event in changes] == ["tighter"]
    assert values(changes[0]) == {"order_quantity_max": 777, "leverage_max": 3}


def test_what_a_firm_allows_is_dealt_to_its_accounts(trading: Desk, tmp_path: Path) -> None:
    found = trading.connection()
    write(found, [one for one in account_records(now_us(), "B") if one[0] == "control"])
    firm = tmp_path / "firm.ndjson"
    firm.write_text('{"name": "order_value_max", "value": "30000"}\n')
    words = ("risk", "limits", str(firm), "--deal", "A=2", "--deal", "B=1", "--reason", "quota", "--wait", "120")
    told = trading.json(*words)
    assert told["accounts"] == {"A": "in force", "B": "in force"}
    changed = {
        event.account_id: values(event)
        for event in records_of(found, ACCOUNTS_EVENTS)
        if isinstance(event, RiskEvent) and event.kind is RiskEventKind.LIMIT_CHANGED and event.reason == "quota"
    }
    assert changed == {"A": {"order_value_max": 20_000}, "B": {"order_value_max": 10_000}}


def test_a_file_of_actions_is_said_once_however_often_it_is_imported_and_refused_whole(
    trading: Desk, tmp_path: Path
) -> None:
    kept = len(of(trading, ACCOUNTS_INBOX, CorporateAction))
    symbol = instruments_of(trading)["WTI"].symbol
    path = tmp_path / "actions.csv"
    head = "effective,instrument_id,kind,ratio,amount,symbol,new_symbol"
    split = f"{datetime.now(UTC).isoformat()},WTI,SPLIT,2,,,"
    path.write_text("\n".join((head, split, "2020-01-01,WTI,MERGER,,,,")))
    assert "row 3: 'MERGER' is no kind" in trading.ask("market", "actions", str(path), code=2).stderr
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    words = ("market", "actions", str(path), "--since", yesterday)
    path.write_text(
        "\n".join((head, split, f"{yesterday},WTI,SYMBOL,,,{symbol},{symbol}2", "2020-01-01,WTI,DIVIDEND,,1,,"))
    )
    assert len(of(trading, ACCOUNTS_INBOX, CorporateAction)) == kept
    said = [one["what became of it"] for one in trading.json(*words, "--dry-run")]
    assert said == ["before the time asked for", "said now", "said now"]
    for _ in range(2):
        trading.json(*words)
        eventually(lambda: instruments_of(trading)["WTI"].symbol == f"{symbol}2")
    assert len(of(trading, ACCOUNTS_INBOX, CorporateAction)) - kept == ACCOUNTS_INBOX.partitions
    assert instruments_of(trading)["WTI"].version == 2


def instruments_of(desk: Desk) -> dict[str, Instrument]:
    """What the accounts room knows of instruments."""
    return shared_of(desk.connection()).instruments


def eventually(true: Callable[[], bool]) -> None:
    until_s = time.monotonic() + 120
    while not true():
        assert time.monotonic() < until_s, "it never came true"
        time.sleep(0.5)
