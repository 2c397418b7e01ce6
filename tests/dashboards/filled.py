"""A database with all that boards ask about: the records of a real backtest, and one of each that it did not bring."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from connectors.clickhouse.chunks import Contents, Place, Taken, write
from connectors.clickhouse.client import ClickHouse
from schemas.control import KillSwitch, KillVerb, Scope, TradingState
from schemas.dead_letter import DeadLetter, DeadLetterReason
from schemas.execution import BrokerCash, BrokerPositions, HeldCash, HeldPosition, NotSent, NotSentReason
from schemas.order import OrderEvent, OrderStatus
from schemas.position import Evidence, SuggestedChange, Suggestion
from schemas.record import Record
from schemas.risk import Discrepancy, DiscrepancyKind, DiscrepancyResolved, RiskEvent, RiskEventKind
from schemas.signal import AcceptedSignal, RefusedSignal, SignalRefusal
from schemas.topics import ACCOUNTS_EVENTS, ACCOUNTS_INBOX, DEAD_LETTERS, PNL, SIGNALS_REFUSED, Topic
from streams.commands.replay import plan_of
from streams.replay.backtest import Backtest
from streams.replay.result import Result
from tests.connectors.clickhouse.kept import WRITTEN_MS, keep

FIRST, LAST = "2020-01-01", "2020-12-31"
SINCE_S, UNTIL_S = 1_577_836_800, 1_609_459_200
DARKEST_HOUR_US = 1_587_407_400_000_000
"""2020-04-20T18:30:00Z: what happened that afternoon is what these records are about."""
ACCOUNT = "demo"


def backtested() -> tuple[list[tuple[Topic, Record]], Result]:
    """Every record of one year of crude oil through all rooms, with the topic that it lay on; and what it came to."""
    replay = Backtest(plan_of("oil", FIRST, LAST, None, "1000000"))
    found: list[tuple[Topic, Record]] = []
    replay.log.tap(lambda topic, record: found.append((topic, record)))
    result = replay.run()
    return found, result


def misfortunes() -> Iterator[tuple[Topic, Record]]:
    """What goes wrong, which a backtest does not bring."""
    at: dict[str, Any] = {"event_time_us": DARKEST_HOUR_US}
    for number, verb in enumerate((KillVerb.HALT, KillVerb.RESUME, KillVerb.PAUSE), 1):
        yield (
            ACCOUNTS_INBOX,
            KillSwitch(
                **at, request_id=f"k{number}", version=number, scope=Scope.INSTRUMENT, scope_id="WTI", verb=verb,
                author="ann", reason="oil is below zero",
            ),
        )  # fmt: skip
    halt = RiskEvent(
        **at, account_id=ACCOUNT, kind=RiskEventKind.TRADING_STATE, code="KILL_SWITCH", state=TradingState.HALTED,
        instrument_id="WTI", reason="ann said so",
    )  # fmt: skip
    yield ACCOUNTS_EVENTS, halt
    evidence = [Evidence("fee_share", Decimal("0.7"), Decimal("0.5")), Evidence("fills", Decimal(40))]
    suggestion = Suggestion(
        **at, account_id=ACCOUNT, strategy_id="trend", change=SuggestedChange.PAUSE, code="COSTS", evidence=evidence,
        currency="USD", reason="costs took most of what it earned",
    )  # fmt: skip
    yield PNL, suggestion
    yield ACCOUNTS_EVENTS, replace(halt, kind=RiskEventKind.STOP_TRIGGERED, state=None)
    difference = Discrepancy(
        **at, account_id=ACCOUNT, discrepancy_id="d1", kind=DiscrepancyKind.POSITION, ours="1", theirs="2",
        since_us=DARKEST_HOUR_US, open=True, instrument_id="WTI",
    )  # fmt: skip
    yield ACCOUNTS_EVENTS, difference
    short = replace(difference, discrepancy_id="d2", kind=DiscrepancyKind.CASH)
    yield ACCOUNTS_EVENTS, short
    yield ACCOUNTS_EVENTS, replace(short, event_time_us=DARKEST_HOUR_US + 1, open=False)
    yield (
        ACCOUNTS_INBOX,
        DiscrepancyResolved(
            **at,
            account_id=ACCOUNT,
            request_id="r1",
            discrepancy_id="d2",
            adopt_theirs=True,
            author="ann",
            reason="fee",
        ),
    )
    yield (
        ACCOUNTS_INBOX,
        BrokerPositions(
            **at, account_id=ACCOUNT, venue="PAPER", request_id="q1", positions=[HeldPosition("WTI", Decimal(2))]
        ),
    )
    yield (
        ACCOUNTS_INBOX,
        BrokerCash(**at, account_id=ACCOUNT, venue="PAPER", request_id="q1", cash=[HeldCash("USD", Decimal(99))]),
    )
    yield (
        ACCOUNTS_INBOX,
        NotSent(**at, account_id=ACCOUNT, client_order_id="o1", reason=NotSentReason.KILLED, value="HALT"),
    )
    refused = RefusedSignal(
        **at, signal_id="s1", provider_id="oracle", instrument_id="WTI", model_version="1", value="bad",
        code=SignalRefusal.SIGNATURE,
    )  # fmt: skip
    yield SIGNALS_REFUSED, refused
    yield SIGNALS_REFUSED, replace(refused, signal_id="s2", code=SignalRefusal.EXPIRED)
    yield (
        DEAD_LETTERS,
        DeadLetter(
            **at, source_topic="accounts.inbox", source_partition=0, source_offset=1, room="accounts",
            reason=DeadLetterReason.NOT_OUR_FORMAT, detail="no magic byte", key=None, value=b"?",
        ),
    )  # fmt: skip


def variations(records: list[tuple[Topic, Record]]) -> Iterator[tuple[Topic, Record]]:
    """Of what the backtest brought: an order that ends without a fill, and a signal that says how sure it is."""
    topic, order = next((topic, record) for topic, record in records if isinstance(record, OrderEvent))
    lost = replace(order, client_order_id="lost", event_time_us=DARKEST_HOUR_US)
    yield topic, replace(lost, status=OrderStatus.NEW)
    yield topic, replace(lost, status=OrderStatus.CANCELED, previous_status=OrderStatus.NEW)
    topic, accepted = next((topic, record) for topic, record in records if isinstance(record, AcceptedSignal))
    sure = replace(accepted.signal, signal_id="sure", provider_id="oracle", confidence=0.9, cost_usd=Decimal("0.01"))
    yield topic, replace(accepted, signal=sure)


def fill(server: ClickHouse) -> Result:
    """Write all of it as a sink would, and one value that nobody can read; return what the backtest came to."""
    records, result = backtested()
    keep(server, [*records, *variations(records), *misfortunes()])
    unreadable = Taken(1_000_000, WRITTEN_MS, b"key", b"not ours", [])
    write(server, Contents({Place("fills", 1): [unreadable]}, {}), "unreadable")
    return result
