"""Two quarters of an hour for the business alerts: one at every bound, and one beyond each."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from schemas.control import Scope, TradingState
from schemas.execution import Fill
from schemas.order import OrderEvent, OrderStatus
from schemas.record import Record
from schemas.risk import (
    CheckOutcome,
    CheckResult,
    Discrepancy,
    DiscrepancyKind,
    LimitChange,
    LimitUse,
    RiskEvent,
    RiskEventKind,
    RiskSnapshot,
    RiskVerdict,
)  # fmt: skip
from schemas.signal import RefusedSignal, SignalRefusal
from schemas.strategy import StrategyChange, StrategyEvent
from schemas.topics import ACCOUNTS_EVENTS, ACCOUNTS_INBOX, SIGNALS_REFUSED, STRATEGIES_EVENTS, Topic
from tests.dashboards.filled import ACCOUNT, DARKEST_HOUR_US
from tests.schemas.examples import example

AT_US = DARKEST_HOUR_US
MINUTE_US = 60_000_000
HERE: dict[str, Any] = {"event_time_us": AT_US, "account_id": ACCOUNT}

Lying = Iterator[tuple[Topic, Record]]


def at_every_bound() -> Lying:
    """All that may be without anybody being told."""
    yield ACCOUNTS_EVENTS, _snapshot(drawdown="0.1", used=90, state=TradingState.ACTIVE)
    difference = _difference()
    yield ACCOUNTS_EVENTS, difference
    yield ACCOUNTS_EVENTS, replace(difference, event_time_us=AT_US + 1, open=False)
    yield ACCOUNTS_EVENTS, _stop(RiskEventKind.UNPROTECTED, AT_US)
    yield ACCOUNTS_EVENTS, _stop(RiskEventKind.PROTECTED, AT_US + 1)
    yield from _verdicts(denied=10, approved=10)
    yield from _orders(rejected=1, filled=19)
    yield from _fills(slipping_bps=50, number=20)
    yield STRATEGIES_EVENTS, _strategy(StrategyChange.PAUSED)
    yield SIGNALS_REFUSED, _refused(SignalRefusal.EXPIRED)


def beyond_every_bound() -> Lying:
    """All that somebody must be told."""
    yield ACCOUNTS_EVENTS, _snapshot(drawdown="0.11", used=91, state=TradingState.HALTED)
    yield ACCOUNTS_EVENTS, _difference()
    yield ACCOUNTS_EVENTS, _stop(RiskEventKind.PROTECTED, AT_US)
    yield ACCOUNTS_EVENTS, _stop(RiskEventKind.UNPROTECTED, AT_US + 1)
    yield from _verdicts(denied=11, approved=9)
    yield from _orders(rejected=2, filled=18)
    yield from _fills(slipping_bps=51, number=20)
    yield STRATEGIES_EVENTS, _strategy(StrategyChange.FAULTED)
    yield SIGNALS_REFUSED, _refused(SignalRefusal.SIGNATURE)
    yield ACCOUNTS_INBOX, replace(example(LimitChange), **HERE, author="ann")


def few() -> Lying:
    """Shares that would be far too large, of too few to mean anything."""
    yield from _verdicts(denied=19, approved=0)
    yield from _orders(rejected=19, filled=0)
    yield from _fills(slipping_bps=500, number=4)


def _snapshot(drawdown: str, used: int, state: TradingState) -> RiskSnapshot:
    use = LimitUse(name="GROSS", scope=Scope.ACCOUNT, scope_id="", value=Decimal(used), limit=Decimal(100))
    return RiskSnapshot(
        **HERE, equity=Decimal(1000), gross_exposure=Decimal(0), net_exposure=Decimal(0), leverage=Decimal(0),
        drawdown=Decimal(drawdown), day_pnl=Decimal(0), state=state, uses=[use],
    )  # fmt: skip


def _difference() -> Discrepancy:
    return Discrepancy(
        **HERE, discrepancy_id="d1", kind=DiscrepancyKind.POSITION, ours="1", theirs="2", since_us=AT_US, open=True
    )


def _stop(kind: RiskEventKind, at_us: int) -> RiskEvent:
    return RiskEvent(event_time_us=at_us, account_id=ACCOUNT, kind=kind, code="STOP", instrument_id="WTI")


def _verdicts(denied: int, approved: int) -> Lying:
    check = CheckResult(check_id="R01", version=1, outcome=CheckOutcome.HARD, code="TOO_LARGE")
    for number in range(denied + approved):
        good = number >= denied
        verdict = RiskVerdict(
            **HERE, intent_id=f"i{number}", client_order_id=f"o{number}", instrument_id="WTI", strategy_id="trend",
            approved=good, quantity=Decimal(1), code="" if good else "TOO_LARGE", checks=[] if good else [check],
        )  # fmt: skip
        yield ACCOUNTS_EVENTS, verdict


def _orders(rejected: int, filled: int) -> Lying:
    for number in range(rejected + filled):
        status = OrderStatus.REJECTED if number < rejected else OrderStatus.FILLED
        yield (
            ACCOUNTS_EVENTS,
            replace(
                example(OrderEvent),
                event_time_us=AT_US,
                account_id=ACCOUNT,
                client_order_id=f"o{number}",
                status=status,
            ),
        )


def _fills(slipping_bps: int, number: int) -> Lying:
    for fill in range(number):
        yield (
            ACCOUNTS_EVENTS,
            replace(
                example(Fill), **HERE, fill_id=f"f{fill}", instrument_id="WTI",
                venue="PAPER", quantity=Decimal(1), reference_price=Decimal(10_000),
                price=Decimal(10_000 + slipping_bps),
                multiplier=Decimal(1),
            ),
        )  # fmt: skip


def _strategy(change: StrategyChange) -> StrategyEvent:
    event: StrategyEvent = example(StrategyEvent)
    return replace(event, **HERE, change=change)


def _refused(code: SignalRefusal) -> RefusedSignal:
    refused: RefusedSignal = example(RefusedSignal)
    return replace(refused, event_time_us=AT_US, provider_id="oracle", code=code)
