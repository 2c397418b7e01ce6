"""Checks of time, flow and standing: states, losses, rates, repeats, signals, discrepancies."""

from decimal import Decimal

from schemas.control import Scope, TradingState
from schemas.order import OrderStatus
from schemas.scalars import SECOND_US
from streams.accounts.risk.flow import limits_on, printed_at
from streams.accounts.risk.reading import PASSED, Reading, denied, passed, text, within
from streams.accounts.risk.recent import MINUTE_US, count
from streams.accounts.risk.states import state_of
from streams.accounts.risk.view import View

ZERO = Decimal(0)


def account_known(view: View) -> Reading:
    profile = view.account.profile
    if not profile.opened:
        return denied("ACCOUNT_UNKNOWN", profile.account_id)
    if not profile.limits:
        return denied("LIMITS_UNKNOWN", profile.account_id)
    return PASSED


def trading_state(view: View) -> Reading:
    """Halted: nothing but the exits of a flatten. Reducing: only what shrinks the position, by size."""
    proposal = view.proposal
    held = state_of(view.account, view.shared, proposal.strategy_id, proposal.instrument_id, proposal.provider_id)
    if held.state is TradingState.ACTIVE:
        return passed(held.state)
    if view.reducing and (held.state is TradingState.REDUCING or proposal.purpose == "FLATTEN"):
        return passed(held.state, "", held.reason)
    return denied(f"TRADING_{held.state}", held.state, TradingState.ACTIVE, held.reason)


def strategy_running(view: View) -> Reading:
    """A strategy that was paused or stopped gets no new risk; one never deployed is nobody."""
    proposal = view.proposal
    if proposal.purpose != "WISH":
        return PASSED
    standing = view.shared.strategies.get(proposal.strategy_id)
    if standing is None:
        return denied("STRATEGY_UNKNOWN", proposal.strategy_id)
    if standing.account_id != view.account.profile.account_id or standing.instrument_id != proposal.instrument_id:
        return denied("STRATEGY_ELSEWHERE", f"{standing.account_id} {standing.instrument_id}")
    return PASSED if standing.running else denied("STRATEGY_PAUSED", proposal.strategy_id)


def clock_alive(view: View) -> Reading:
    """The newest tick is not older than the wish by more than may be; without a tick there is no time."""
    now = view.shared.time.now_us
    if not now:
        return denied("CLOCK_UNKNOWN")
    silence = Decimal(max(0, view.proposal.made_us - now)) / SECOND_US
    bound = view.bounds.value("clock_silence_max")
    allowed = Decimal(3) if bound is None else bound
    return passed(silence, allowed) if silence <= allowed else denied("CLOCK_SILENT", silence, allowed)


def signal_fresh(view: View) -> Reading:
    """The wish still holds, and is not older than may be."""
    proposal = view.proposal
    if proposal.valid_until_us < view.now_us:
        return denied("SIGNAL_EXPIRED", view.now_us, proposal.valid_until_us)
    age = Decimal(max(0, view.now_us - proposal.made_us)) / SECOND_US
    return within(view, "signal_age_max", age, "SIGNAL_AGE")


def model_approved(view: View) -> Reading:
    provider = view.proposal.provider_id
    if not provider or not view.bounds.is_on("model_approval_required"):
        return passed(provider)
    approved = view.bounds.anywhere("model_approved", Scope.PROVIDER).get((Scope.PROVIDER, provider))
    if approved is None or approved.value != 1:
        return denied("MODEL_NOT_APPROVED", provider)
    return passed(provider)


def order_rate(view: View) -> Reading:
    return _rate(view, "orders", "orders_per_minute_max", "ORDER_RATE")


def message_rate(view: View) -> Reading:
    return _rate(view, "messages", "messages_per_minute_max", "MESSAGE_RATE")


def _rate(view: View, kind: str, name: str, code: str) -> Reading:
    """Messages of the last minute, this one included, in every scope against the limit of that scope."""
    since = view.now_us - MINUTE_US
    reading = None
    times = view.account.flow.times
    for scope, limit in limits_on(view.bounds, name, view.account.profile.venue, view.proposal.strategy_id):
        sent = 1 + count(times.get(f"{kind}|{scope}", ()), since)
        if sent > limit.value:
            return denied(code, sent, limit.value, f"scope={scope}")
        reading = passed(sent, limit.value)
    return reading if reading is not None else within(view, name, ZERO, code)


def repeated_execution(view: View) -> Reading:
    """Latched when a strategy's fills in one instrument came too fast; a named person re-arms it."""
    return _latch(view, "repeated_execution", f"{view.proposal.strategy_id}/{view.proposal.instrument_id}")


def consecutive_rejects(view: View) -> Reading:
    """Latched when a strategy's orders were rejected too often in a row; a named person re-arms it."""
    return _latch(view, "consecutive_rejects", view.proposal.strategy_id)


def _latch(view: View, check_id: str, scope_id: str) -> Reading:
    latch = view.account.condition.latches.get(f"{check_id}|{scope_id}")
    if latch is None:
        return PASSED
    return denied(f"{check_id.upper()}_LATCHED", latch.value, latch.limit, f"since={latch.since_us}")


def protections(view: View) -> Reading:
    """No entry while a protection locks the instrument, the strategy or the account."""
    if view.reducing:
        return PASSED
    proposal = view.proposal
    mine = ("", proposal.instrument_id)
    for _, latch in sorted(view.account.condition.latches.items()):
        if latch.check_id.startswith("protection.") and latch.scope_id in mine and view.now_us < latch.until_us:
            code = latch.check_id.removeprefix("protection.").upper()
            return denied(f"PROTECTION_{code}", latch.value, latch.limit, f"until={latch.until_us}")
    return PASSED


def duplicate(view: View) -> Reading:
    """The same id never, and the same order not within the window; an exit of risk's own is tried again at will."""
    proposal, account = view.proposal, view.account
    name = proposal.client_order_id
    if name in account.orders or name in account.ended:
        return denied("DUPLICATE_ID", name)
    window = view.bounds.value("duplicate_window")
    if window is None or view.emergency:
        return passed(name)
    at = printed_at(account.flow, proposal)
    if at is not None and view.now_us - at < window * SECOND_US and proposal.replaces is None:
        return denied("DUPLICATE", Decimal(view.now_us - at) / SECOND_US, window)
    return passed(name, window)


def daily_loss(view: View) -> Reading:
    begun, equity = view.account.totals.day_equity, view.equity
    loss = None
    if begun is not None and equity is not None and begun > 0:
        loss = max(ZERO, begun - equity) / begun
    return within(view, "daily_loss_max", loss, "DAILY_LOSS", f"day_equity={text(begun)} equity={text(equity)}")


def drawdown(view: View) -> Reading:
    peak, equity = view.account.totals.peak, view.equity
    fall = None if equity is None or peak <= 0 else (peak - equity) / peak
    return within(view, "drawdown_max", fall, "DRAWDOWN", f"peak={text(peak)} equity={text(equity)}")


def loss_velocity(view: View) -> Reading:
    totals, equity = view.account.totals, view.equity
    begun = totals.before_equity if totals.before_equity is not None else totals.window_equity
    loss = None if equity is None or begun is None or begun <= 0 else max(ZERO, begun - equity) / begun
    return within(view, "loss_velocity_max", loss, "LOSS_VELOCITY", f"window_equity={text(begun)}")


def no_discrepancy(view: View) -> Reading:
    """Nothing is open between us and the broker about this instrument, its currency or the account."""
    instrument = view.instrument
    for name, case in sorted(view.account.condition.cases.items()):
        about_this = case.instrument_id == view.proposal.instrument_id
        about_cash = bool(case.currency) and (instrument is None or case.currency == instrument.settlement_currency)
        if about_this or about_cash:
            return denied("DISCREPANCY", case.theirs, case.ours, f"{case.kind} {name}")
    return PASSED


def outcome_known(view: View) -> Reading:
    """No order in this instrument waits for the broker to say whether it exists."""
    waiting = [order.client_order_id for order in view.orders_here if order.shown is OrderStatus.UNKNOWN]
    return denied("OUTCOME_UNKNOWN", min(waiting)) if waiting else PASSED
