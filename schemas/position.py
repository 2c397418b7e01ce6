"""Positions, P&L and snapshots."""

from enum import StrEnum

from schemas.control import TradingState
from schemas.record import Part, Record
from schemas.reference import CorporateActionKind
from schemas.scalars import Money, Price, Quantity, UtcMicros


class PositionState(Record, frozen=True):
    """One position after a fill or a mark, with the mark used.

    account_id: whose
    instrument_id: our id of the instrument
    quantity: signed units
    average_price: of what is open; absent when flat
    mark: price it is valued at; absent where unknown
    currency: of the amounts
    realised_pnl: of all fills so far, before fees
    unrealised_pnl: of what is open, at the mark; absent without a mark
    fees: paid so far, in the currency
    notional: absolute value at the mark; absent without a mark
    conversion: base currency for one unit of the currency; absent where unknown
    strategy_id: instance that traded last
    """

    account_id: str
    instrument_id: str
    quantity: Quantity
    currency: str
    realised_pnl: Money
    fees: Money
    average_price: Price | None = None
    mark: Price | None = None
    unrealised_pnl: Money | None = None
    notional: Money | None = None
    conversion: Quantity | None = None
    strategy_id: str = ""


class PositionAdjusted(Record, frozen=True):
    """A corporate action as folded into one position: units and cost of what is open, or its income.

    account_id: whose
    instrument_id: our id of the instrument
    version: of the action
    kind: split or dividend
    ratio: new units for one old one; 1 for a dividend
    amount: cash for one unit, in the currency; 0 for a split
    quantity: signed units before it
    currency: of the amount
    """

    account_id: str
    instrument_id: str
    version: int
    kind: CorporateActionKind
    ratio: Quantity
    amount: Money
    quantity: Quantity
    currency: str


class PnlDimension(StrEnum):
    ACCOUNT = "ACCOUNT"
    STRATEGY = "STRATEGY"
    PROVIDER = "PROVIDER"
    INSTRUMENT = "INSTRUMENT"


class PnlSnapshot(Record, frozen=True):
    """Result so far, by one dimension.

    account_id: whose
    dimension: account, strategy, provider or instrument
    member: which strategy, provider or instrument; the account id for the account
    currency: base currency of the account
    realised_pnl: before fees
    unrealised_pnl: at the newest marks; absent where a mark or conversion is unknown
    fees: paid
    equity: cash and positions; for the account only
    peak_equity: highest so far; for the account only
    drawdown: from the peak, as a fraction; for the account only
    fills: number of fills
    closed_trades, winning_trades: round trips from flat to flat, and those with a profit after fees
    turnover: sum of absolute notional
    """

    account_id: str
    dimension: PnlDimension
    member: str
    currency: str
    realised_pnl: Money
    fees: Money
    fills: int
    closed_trades: int
    winning_trades: int
    turnover: Money
    unrealised_pnl: Money | None = None
    equity: Money | None = None
    peak_equity: Money | None = None
    drawdown: Quantity | None = None


class PerformanceSnapshot(Record, frozen=True):
    """Statistics of an account's equity, daily.

    account_id: whose
    days: number of daily returns
    total_return: as a fraction
    sharpe, sortino, calmar, volatility: annualised; absent below two returns
    max_drawdown: as a negative fraction
    """

    account_id: str
    days: int
    total_return: float | None = None
    sharpe: float | None = None
    sortino: float | None = None
    calmar: float | None = None
    volatility: float | None = None
    max_drawdown: float | None = None


class SuggestedChange(StrEnum):
    PAUSE = "PAUSE"
    RESIZE = "RESIZE"
    REPARAMETERISE = "REPARAMETERISE"


class Evidence(Part, frozen=True):
    """One figure behind a suggestion.

    name: which figure
    value: what it is
    limit: the bound that it passed; absent where it only informs
    """

    name: str
    value: Quantity
    limit: Quantity | None = None


class Suggestion(Record, frozen=True):
    """What the results of a strategy suggest to its owner; nothing in the engine acts on it.

    account_id: whose
    strategy_id: the instance
    change: what is suggested
    code: the rule
    evidence: the figures behind it, the deciding one first; money in the base currency
    currency: base currency of the account
    factor: share of the present size; for RESIZE
    reason: one sentence for people
    """

    account_id: str
    strategy_id: str
    change: SuggestedChange
    code: str
    evidence: list[Evidence]
    currency: str
    factor: Quantity | None = None
    reason: str = ""


class AccountSnapshot(Record, frozen=True):
    """All of one account's state at a point of its history, so that replay need not start at the beginning.

    account_id: whose
    state: the account, encoded as the changelog encodes it
    state_hash: of the state
    input_partition, input_offset: last record folded
    fold_version: version of the rules that folded it
    equity: in the base currency; absent where a mark or conversion is unknown
    trading_state: of the account
    taken_at_us: time of the account when it was taken, microseconds of UTC
    """

    account_id: str
    state: bytes
    state_hash: str
    fold_version: int
    trading_state: TradingState
    input_partition: int = -1
    input_offset: int = -1
    equity: Money | None = None
    taken_at_us: UtcMicros = 0
