"""Losses: what they hold back, and what closed trades lock."""

from decimal import Decimal

from msgspec.structs import replace

from schemas.control import Scope, TradingState
from schemas.order import OrderType
from schemas.reference import Instrument
from schemas.risk import RiskEventKind
from streams.accounts.account import Trades
from streams.accounts.emergency import DRAWDOWN_STOP, cancel_all, close_positions
from streams.accounts.orders.order import EXIT, Order
from streams.accounts.positions.ledger import Effect, Net
from streams.accounts.risk.bounds import Bounds, compiled
from streams.accounts.risk.latches import latch
from streams.accounts.risk.protections import CLOSED_MAX, Closed, locks
from streams.accounts.turn import Turn
from streams.accounts.valuation import conversion

ZERO = Decimal(0)


def watch_losses(turn: Turn) -> None:
    """Hold the account back where a loss went beyond its limit: for the day, or until a person resumes."""
    account = turn.account
    totals, equity = account.totals, account.totals.equity
    if equity is None:
        return
    limits = compiled(account.profile.limits).own
    if "daily_loss_max" in limits:
        _hold(turn, "daily_loss", totals.day_equity, equity, limits["daily_loss_max"].value)
    if "drawdown_max" in limits:
        _hold(turn, "drawdown", totals.peak, equity, limits["drawdown_max"].value)
    if "drawdown_stop" in limits:
        _drawdown_stop(turn, limits["drawdown_stop"].value)
    if "loss_velocity_max" in limits:
        begun = totals.before_equity if totals.before_equity is not None else totals.window_equity
        _hold(turn, "loss_velocity", begun, equity, limits["loss_velocity_max"].value)


def _drawdown_stop(turn: Turn, bound: Decimal) -> None:
    """Flatten the account once equity fell too far from its peak; a person resumes."""
    totals, condition = turn.account.totals, turn.account.condition
    equity = totals.equity
    if equity is None or totals.peak <= 0 or DRAWDOWN_STOP in condition.own:
        return
    fall = (totals.peak - equity) / totals.peak
    if fall <= bound:
        return
    turn.change(condition=replace(condition, own={**condition.own, DRAWDOWN_STOP: TradingState.HALTED}))
    turn.say_risk(
        RiskEventKind.DRAWDOWN_STOP, "DRAWDOWN_STOP", state=TradingState.HALTED, value=f"{fall:.6f}", limit=str(bound)
    )
    cancel_all(turn, Scope.ACCOUNT, turn.account.profile.account_id, f"drawdown_stop:{turn.at_us}")
    close_positions(turn)


def _hold(turn: Turn, name: str, begun: Decimal | None, equity: Decimal, bound: Decimal) -> None:
    """Only shrink positions from here on, where more than the bound was lost of what there was at the begin."""
    condition = turn.account.condition
    if begun is None or equity >= begun or begun <= 0 or name in condition.own:
        return
    value = (begun - equity) / begun
    if value <= bound:
        return
    turn.change(condition=replace(condition, own={**condition.own, name: TradingState.REDUCING}))
    turn.say_risk(
        RiskEventKind.TRADING_STATE, name.upper(), state=TradingState.REDUCING, value=f"{value:.6f}", limit=str(bound)
    )


def _stopped(order: Order) -> bool:
    """Whether it closed at a loss that was bounded: the exit of a stop, or the stop of a bracket."""
    return order.purpose == "STOP" or (order.purpose == EXIT and order.order_type is OrderType.STOP)


def note_closed(turn: Turn, order: Order, before: Net, effect: Effect, instrument: Instrument) -> None:
    """A strategy's trade went from flat to flat: remember it, and lock what its protections say."""
    equity = turn.measure()
    rate = conversion(turn.shared, instrument.settlement_currency, turn.base)
    if equity is None or rate is None:
        return
    turned = bool(effect.net.quantity)
    result = before.cycle_result + effect.realised if turned else effect.net.cycle_result
    opened = before.cycle_opened
    closed = Closed(
        strategy_id=order.strategy_id, instrument_id=order.instrument_id, at_us=turn.now_us, result=result * rate,
        ratio=result / opened if opened else ZERO, stopped=_stopped(order), equity=equity,
    )  # fmt: skip
    trades = (*turn.account.trades.closed, closed)[-CLOSED_MAX:]
    turn.change(trades=Trades(closed=trades))
    bounds = Bounds(turn.account.profile.limits, order.strategy_id, order.instrument_id)
    for lock in locks(trades, bounds, closed):
        latch(
            turn, f"protection.{lock.name}", lock.scope_id, lock.value, lock.limit, order.instrument_id, lock.until_us
        )
