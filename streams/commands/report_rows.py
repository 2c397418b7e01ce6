"""Rows of a report, as ClickHouse's views tell them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from streams.pnl.performance.trades import ClosedTrade


@dataclass(frozen=True, slots=True)
class Day:
    """One row of `equity_daily`."""

    day: date
    equity: Decimal
    net_deposits: Decimal | None
    day_return: float | None
    drawdown: float | None


@dataclass(frozen=True, slots=True)
class Member:
    """The newest result of an account, strategy, provider or instrument; `pnl` is None where it cannot be valued."""

    member: str
    currency: str
    pnl: Decimal | None
    realised_pnl: Decimal
    unrealised_pnl: Decimal | None
    fees: Decimal
    fills: int
    closed_trades: int
    winning_trades: int
    turnover: Decimal


@dataclass(frozen=True, slots=True)
class Execution:
    """Fills of one strategy in one instrument at one venue against the price when the decision fell; positive is cost.

    `mean_bps` is the cost over the notional; None where nothing of value was traded.
    """

    strategy_id: str
    instrument_id: str
    venue: str
    currency: str
    fills: int
    notional: Decimal
    slippage: Decimal
    mean_bps: float | None
    median_bps: float | None
    worst_bps: float | None


@dataclass(frozen=True, slots=True)
class Shortfall:
    """What the orders of one strategy at one venue cost against paper, by size; the four parts add up to `shortfall`.

    notional_from: least value of the orders counted here, in the currency
    arrival_bps, vwap_bps, twap_bps, close_bps: mean cost against these prices; None where one is not known
    """

    strategy_id: str
    venue: str
    notional_from: float
    currency: str
    orders: int
    ordered: Decimal
    delay: Decimal
    execution: Decimal
    opportunity: Decimal
    fees: Decimal
    shortfall: Decimal
    arrival_bps: float | None
    vwap_bps: float | None
    twap_bps: float | None
    close_bps: float | None


@dataclass(frozen=True, slots=True)
class Trade:
    """One row of `trades`: a round trip of a strategy in an instrument, from flat to flat."""

    strategy_id: str
    instrument_id: str
    provider_id: str
    direction: str
    currency: str
    quantity: Decimal
    multiplier: Decimal
    entry_us: int
    exit_us: int
    entry_price: Decimal
    exit_price: Decimal
    pnl: Decimal
    fees: Decimal
    mae: Decimal
    mfe: Decimal
    entry_kind: str
    entry_reason: str
    exit_kind: str
    exit_reason: str

    def closed(self) -> ClosedTrade:
        """As the statistics take it."""
        return ClosedTrade(
            entry_time_us=self.entry_us,
            exit_time_us=self.exit_us,
            quantity=self.quantity if self.direction == "LONG" else -self.quantity,
            entry_price=self.entry_price,
            exit_price=self.exit_price,
            pnl=self.pnl,
            fees=self.fees,
            mae=self.mae,
            mfe=self.mfe,
            multiplier=self.multiplier,
            entry_reason=self.entry_kind,
            exit_reason=self.exit_kind,
        )


@dataclass(frozen=True, slots=True)
class Denial:
    """Wishes that our own risk denied with one code; the example is the newest."""

    code: str
    count: int
    strategies: int
    newest: str
    example: str


@dataclass(frozen=True, slots=True)
class Score:
    """What came of a provider's accepted signals whose horizon has passed."""

    provider_id: str
    scored: int
    hit_rate: float
    mean_return_bps: float | None
