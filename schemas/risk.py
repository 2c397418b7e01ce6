"""Risk records: limits, verdicts, stops, trading states, discrepancies."""

from enum import StrEnum
from typing import ClassVar

from schemas.control import KillVerb, Scope, TradingState
from schemas.order import Side
from schemas.record import Part, Record
from schemas.scalars import Money, Price, Quantity, UtcMicros


class CheckOutcome(StrEnum):
    PASS = "PASS"  # noqa: S105 - the word of the glossary, not a password
    SOFT = "SOFT"
    HARD = "HARD"


class CheckResult(Part, frozen=True):
    """What one check saw and said.

    check_id: stable id of the check
    version: version of its rule
    outcome: pass, soft (warned) or hard (denied)
    code: stable reason code; empty on pass
    value: what decided, as text
    limit: the bound, as text
    inputs: the data it looked at, `name=value` joined by blanks
    """

    check_id: str
    version: int
    outcome: CheckOutcome
    code: str = ""
    value: str = ""
    limit: str = ""
    inputs: str = ""


class RiskVerdict(Record, frozen=True):
    """The gate's answer to one wish: every check, gravest first.

    account_id: who would trade
    intent_id: the intent or request
    client_order_id: the order that it would be; empty where sizing gave none
    instrument_id: our id of the instrument
    strategy_id: instance behind the wish
    provider_id: signal provider behind the wish
    signal_id: signal behind the wish
    approved: whether the order went out
    side: absent where sizing gave none
    quantity: units after sizing
    price: price used for the checks; absent where unknown
    code: gravest reason code; empty when approved
    checks: results, gravest first
    """

    account_id: str
    intent_id: str
    client_order_id: str
    instrument_id: str
    strategy_id: str
    approved: bool
    quantity: Quantity
    code: str
    checks: list[CheckResult]
    side: Side | None = None
    price: Price | None = None
    provider_id: str = ""
    signal_id: str = ""


class Limit(Part, frozen=True):
    """One bound.

    name: which limit, as the check list prints it
    value: the bound, in the unit of its check
    scope: account, or a strategy, instrument or provider inside it
    scope_id: which one; empty for the account
    soft: warn from here; absent means no warning
    """

    name: str
    value: Quantity
    scope: Scope = Scope.ACCOUNT
    scope_id: str = ""
    soft: Quantity | None = None


class LimitChange(Record, frozen=True):
    """New limits of an account, taken whole or not at all.

    account_id: whose
    request_id: the same request twice is one
    limits: bounds that replace those of the same name and scope
    author: who asked
    reason: why
    effective_at_us: not before this
    """

    source_id: ClassVar[tuple[str, ...]] = ("request_id",)

    account_id: str
    request_id: str
    limits: list[Limit]
    author: str
    reason: str
    effective_at_us: UtcMicros


class RiskEventKind(StrEnum):
    TRADING_STATE = "TRADING_STATE"
    STOP_ARMED = "STOP_ARMED"
    STOP_TRIGGERED = "STOP_TRIGGERED"
    STOP_ESCALATED = "STOP_ESCALATED"
    UNPROTECTED = "UNPROTECTED"
    PROTECTED = "PROTECTED"
    LIMIT_CHANGED = "LIMIT_CHANGED"
    LIMIT_REFUSED = "LIMIT_REFUSED"
    LATCHED = "LATCHED"
    REARMED = "REARMED"
    INPUT_REFUSED = "INPUT_REFUSED"
    DRAWDOWN_STOP = "DRAWDOWN_STOP"
    PROTECTION_LOCKED = "PROTECTION_LOCKED"
    BRACKET = "BRACKET"


class RiskEvent(Record, frozen=True):
    """Something that risk did on its own.

    account_id: where
    kind: what
    scope: what it covers
    scope_id: which one
    instrument_id: our id of the instrument, where one is meant
    state: trading state after it, where it changed
    verb: kill verb behind it, where one is
    code: stable reason code
    value: what decided, as text
    limit: the bound, as text
    author: who asked, where a person did
    reason: one sentence for people
    """

    account_id: str
    kind: RiskEventKind
    code: str
    scope: Scope = Scope.ACCOUNT
    scope_id: str = ""
    instrument_id: str = ""
    state: TradingState | None = None
    verb: KillVerb | None = None
    value: str = ""
    limit: str = ""
    author: str = ""
    reason: str = ""


class LimitUse(Part, frozen=True):
    """How much of one limit is used.

    name: which limit
    scope: account, strategy, instrument or provider
    scope_id: which one
    value: now
    limit: the bound
    """

    name: str
    scope: Scope
    scope_id: str
    value: Quantity
    limit: Quantity


class Exposure(Part, frozen=True):
    """What is held by one dimension.

    dimension: INSTRUMENT, SECTOR, CURRENCY or STRATEGY
    member: which one
    net, gross: signed and absolute, in the base currency
    """

    dimension: str
    member: str
    net: Money
    gross: Money


class ScenarioResult(Part, frozen=True):
    """What a declared scenario would do to the positions.

    name: which scenario
    result: profit, negative for a loss, in the base currency; absent before there is history
    """

    name: str
    result: Money | None = None


class RiskSnapshot(Record, frozen=True):
    """How near an account is to its limits.

    account_id: whose
    equity, gross_exposure, net_exposure: in the base currency
    leverage: gross exposure over equity
    drawdown: from peak equity, as a fraction
    day_pnl: since the day's first mark, in the base currency
    value_at_risk, expected_shortfall: one day, 99 %, as a positive amount; absent before there is history
    margin_used: in the base currency; absent in a cash account
    state: trading state
    uses: of every limit; empty in a snapshot between two analyses
    currency: base currency of the account; empty where the writer did not say
    net_deposits: money in less money out so far, in the base currency; absent where unknown
    exposures: by every dimension; empty in a snapshot between two analyses
    scenarios: result of every declared scenario; empty in a snapshot between two analyses
    """

    account_id: str
    equity: Money
    gross_exposure: Money
    net_exposure: Money
    leverage: Quantity | None
    drawdown: Quantity
    day_pnl: Money
    state: TradingState
    uses: list[LimitUse]
    value_at_risk: Money | None = None
    expected_shortfall: Money | None = None
    margin_used: Money | None = None
    currency: str = ""
    net_deposits: Money | None = None
    exposures: list[Exposure] = []
    scenarios: list[ScenarioResult] = []


class DiscrepancyKind(StrEnum):
    POSITION = "POSITION"
    CASH = "CASH"
    ORDER = "ORDER"
    FILL = "FILL"
    OVERFILL = "OVERFILL"
    UNREADABLE = "UNREADABLE"


class Discrepancy(Record, frozen=True):
    """Two sides that should agree and do not; it stays open until resolved.

    account_id: whose
    discrepancy_id: pure function of kind and subject
    kind: what differs
    instrument_id: our id of the instrument, where one is meant
    ours, theirs: both sides, as text
    since_us: when first seen
    open: false when it is resolved
    author: who resolved it
    reason: rule or words
    """

    account_id: str
    discrepancy_id: str
    kind: DiscrepancyKind
    ours: str
    theirs: str
    since_us: UtcMicros
    open: bool
    instrument_id: str = ""
    author: str = ""
    reason: str = ""


class DiscrepancyResolved(Record, frozen=True):
    """A person or rule settles a discrepancy.

    account_id: whose
    request_id: the same request twice is one
    discrepancy_id: which
    adopt_theirs: take the broker's side into our books
    author: who
    reason: why
    """

    source_id: ClassVar[tuple[str, ...]] = ("request_id",)

    account_id: str
    request_id: str
    discrepancy_id: str
    adopt_theirs: bool
    author: str
    reason: str
