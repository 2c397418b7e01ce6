"""From a wish to an order: sizing, the gate, and what goes out."""

from decimal import Decimal
from math import sqrt

from msgspec.structs import replace

from schemas.ids import short_id
from schemas.intent import TradeIntent
from schemas.order import OrderType, ReplaceOrder, Side, SubmitOrder
from schemas.reference import ContractKind, Instrument
from schemas.risk import CheckOutcome, CheckResult, RiskVerdict
from schemas.scalars import SECOND_US
from streams.accounts.exits import Exits, link
from streams.accounts.orders.fold import replace_sent
from streams.accounts.orders.order import Order, order_of
from streams.accounts.positions.contract import value
from streams.accounts.risk.bounds import Bounds
from streams.accounts.risk.check_order import is_sound
from streams.accounts.risk.checks import evaluate
from streams.accounts.risk.flow import counted, is_answered, printed
from streams.accounts.risk.guards import deviation_of
from streams.accounts.risk.reading import text
from streams.accounts.risk.sizing import Money, Sized, rounded_to_lot, size
from streams.accounts.risk.view import Proposal, View, dynamic_scales
from streams.accounts.shared import RETURNS_MIN, KnownMark
from streams.accounts.turn import Turn
from streams.accounts.valuation import conversion

ZERO = Decimal(0)
ONE = Decimal(1)
HALF = Decimal("0.5")

NO_CHANGE = "NO_CHANGE"
"""Code of the verdict on a wish that is fulfilled already: not a denial, and no order."""

SEND_WITHIN_S = Decimal(5)
"""Time in which an approved order must leave, where no limit says otherwise."""

SIZING_VERSION = 1


def order_id(account_id: str, cause: str, leg: str = "") -> str:
    """The client order id: a pure function of its cause, 29 characters that every broker takes."""
    return f"ql-{short_id(account_id, cause, leg)}"


def wish(turn: Turn, intent: TradeIntent) -> None:
    """Answer one wish with a verdict, and with an order where it is approved. The same wish twice is one."""
    if is_answered(turn.account.flow, intent.intent_id, turn.shared.time.now_us):
        return
    turn.note_intent(intent.intent_id, intent.valid_until_us)
    instrument = turn.instrument(intent.instrument_id)
    sized = Sized(ZERO, "INSTRUMENT_UNKNOWN", intent.instrument_id)
    quantity, exits = ZERO, None
    if not _are_numbers(intent):
        sized = Sized(ZERO, "NOT_A_NUMBER", "a price of the wish is no finite number")
    elif instrument is not None and not is_sound(instrument):
        sized = Sized(ZERO, "INSTRUMENT_INVALID", intent.instrument_id)
    elif instrument is not None:
        sized = _size(turn, intent, instrument)
        quantity = _change(turn, intent, instrument, sized)
        exits = _exits(intent, instrument, quantity, sized.target)
        code = "" if exits is None else exits.objection(Side.SELL if quantity > 0 else Side.BUY, instrument)
        if code:
            sized, quantity = Sized(ZERO, code, "stop and target of a bracket"), ZERO
    proposal = _proposal(turn, intent, quantity)
    if not quantity:
        _refuse_unsized(turn, proposal, sized)
        return
    view = View(turn.account, turn.shared, proposal, turn.now_us)
    sizing = CheckResult("sizing", SIZING_VERSION, CheckOutcome.PASS, "", text(sized.target), "", sized.note)
    sent = send_if_approved(turn, view, [sizing])
    if sent is not None and exits is not None:
        link(turn, sent, exits)


def _exits(intent: TradeIntent, instrument: Instrument, quantity: Decimal, target: Decimal) -> Exits | None:
    """The exits that the broker is to hold, on the tick; none for a wish that only closes."""
    opens = bool(quantity) and bool(target) and (quantity > 0) == (target > 0)
    if not intent.bracket or not opens:
        return None
    stop = None if _is_triggered(intent) else intent.stop_price
    prices = (None if price is None else rounded_to_lot(price, instrument.tick_size)
              for price in (stop, intent.take_profit_price))  # fmt: skip
    return Exits(*prices)


def _is_triggered(intent: TradeIntent) -> bool:
    """Whether its stop price is that of the order itself."""
    return intent.order_type in (OrderType.STOP, OrderType.STOP_LIMIT)


def _are_numbers(intent: TradeIntent) -> bool:
    prices = (intent.reference_price, intent.limit_price, intent.stop_price, intent.take_profit_price)
    return all(price is None or price.is_finite() for price in prices)


def _size(turn: Turn, intent: TradeIntent, instrument: Instrument) -> Sized:
    profile, shared = turn.account.profile, turn.shared
    mark = shared.marks.get(intent.instrument_id)
    money = Money(
        equity=turn.account.totals.equity,
        price=None if mark is None else mark.last,
        rate=conversion(shared, instrument.settlement_currency, profile.base_currency),
        fees=shared.fees.get(profile.venue),
        margin=profile.margin,
        method=profile.sizing,
        volatility=_volatility(mark, instrument),
    )
    bounds = Bounds(profile.limits, intent.strategy_id, intent.instrument_id, intent.provider_id or "", profile.venue)
    bounds.scales = dynamic_scales(turn.account, shared, bounds, intent.instrument_id, turn.now_us)
    return size(intent, instrument, money, bounds)


def _volatility(mark: KnownMark | None, instrument: Instrument) -> float | None:
    """Annualised volatility of the marks; None before enough returns were seen."""
    if mark is None:
        return None
    deviation = deviation_of(mark.fast, mark.returns, RETURNS_MIN)
    days = 365 if instrument.calendar == "24/7" else 252
    return None if deviation is None else deviation * sqrt(days)


def _change(turn: Turn, intent: TradeIntent, instrument: Instrument, sized: Sized) -> Decimal:
    """Signed units to trade so that the strategy's own position becomes the target; zero where it is near enough."""
    if sized.code:
        return ZERO
    holding = turn.holding(intent.instrument_id)
    own = holding.owners.get(intent.strategy_id)
    held = ZERO if own is None else own.quantity
    working = sum(
        (
            order.signed * order.counted
            for order in turn.account.orders.values()
            if order.strategy_id == intent.strategy_id and order.instrument_id == intent.instrument_id
        ),
        ZERO,
    )
    change = sized.target - held - working
    bounds = Bounds(turn.account.profile.limits, intent.strategy_id, intent.instrument_id)
    least = bounds.value("rebalance_min")
    stands = held + working
    same_side = bool(sized.target) and bool(stands) and (sized.target > 0) == (stands > 0)
    if not change or (same_side and least is not None and abs(change) < least * abs(stands)):
        return ZERO
    sign = 1 if change > 0 else -1
    return sign * rounded_to_lot(_clip(turn, bounds, instrument, abs(change), sized.target), instrument.lot_size)


def _clip(turn: Turn, bounds: Bounds, instrument: Instrument, change: Decimal, target: Decimal) -> Decimal:
    """The change inside what one order may be; an order that only closes is never made smaller."""
    if not target:
        return change
    caps = [change]
    units, worth = bounds.value("order_quantity_max"), bounds.value("order_value_max")
    if units is not None:
        caps.append(units)
    mark = turn.shared.marks.get(instrument.instrument_id)
    rate = conversion(turn.shared, instrument.settlement_currency, turn.base)
    if worth is not None and mark is not None and mark.last > 0 and rate:
        slippage = bounds.value("slippage_allowance") or ZERO
        linear = instrument.contract is ContractKind.LINEAR
        worst = mark.last * (ONE + slippage) if linear else mark.last * (ONE - min(slippage, HALF))
        caps.append(worth / (value(instrument.contract, worst, ONE, instrument.multiplier) * rate))
    return min(caps)


def _proposal(turn: Turn, intent: TradeIntent, quantity: Decimal) -> Proposal:
    triggered = _is_triggered(intent)
    return Proposal(
        client_order_id=order_id(turn.account.profile.account_id, intent.intent_id) if quantity else "",
        cause=intent.intent_id,
        instrument_id=intent.instrument_id,
        side=Side.BUY if quantity >= 0 else Side.SELL,
        quantity=abs(quantity),
        made_us=intent.event_time_us,
        valid_until_us=intent.valid_until_us,
        order_type=intent.order_type,
        time_in_force=intent.time_in_force,
        limit_price=intent.limit_price,
        post_only=intent.post_only,
        stop_price=intent.stop_price if triggered else None,
        protect_stop=None if triggered or intent.bracket else intent.stop_price,
        protect_target=None if intent.bracket else intent.take_profit_price,
        strategy_id=intent.strategy_id,
        provider_id=intent.provider_id or "",
        signal_id=intent.signal_id or "",
        reference_price=intent.reference_price,
    )


def _refuse_unsized(turn: Turn, proposal: Proposal, sized: Sized) -> None:
    outcome = CheckOutcome.HARD if sized.code else CheckOutcome.PASS
    check = CheckResult("sizing", SIZING_VERSION, outcome, sized.code, text(sized.target), "", sized.note)
    say_verdict(turn, proposal, False, sized.code or NO_CHANGE, [check], None)


def send_if_approved(turn: Turn, view: View, before: list[CheckResult]) -> Order | None:
    """Evaluate every check; say the verdict, and where nothing denies, the command and the order's first event."""
    results = evaluate(view)
    proposal = view.proposal
    code = results[0].code if results[0].outcome is CheckOutcome.HARD else ""
    say_verdict(turn, proposal, not code, code, before + results if not code else results + before, view.price)
    if code:
        return None
    command = _command(turn, view)
    order = replace(
        order_of(command),
        purpose=proposal.purpose,
        protect_stop=proposal.protect_stop,
        protect_target=proposal.protect_target,
        unit_reserve=view.unit_reserve or ZERO,
        reserve_currency="" if view.instrument is None else view.instrument.settlement_currency,
    )
    note_sent(turn, proposal)
    turn.put_order(order)
    turn.say(command)
    turn.say_order(order, "SUBMIT", None)
    return order


def replace_if_approved(turn: Turn, proposal: Proposal, order: Order) -> bool:
    """Change an order that works, judged like a new one with the old one gone; whether it was approved."""
    view = View(turn.account, turn.shared, proposal, turn.now_us)
    results = evaluate(view)
    code = results[0].code if results[0].outcome is CheckOutcome.HARD else ""
    say_verdict(turn, proposal, not code, code, results, view.price)
    if not code:
        _send_replace(turn, view, order)
    return not code


def _send_replace(turn: Turn, view: View, order: Order) -> None:
    proposal, profile = view.proposal, turn.account.profile
    within = view.bounds.value("send_within") or SEND_WITHIN_S
    command = ReplaceOrder(
        event_time_us=turn.at_us,
        request_id=proposal.client_order_id,
        client_order_id=order.ids[-1] if order.ids else order.client_order_id,
        account_id=profile.account_id,
        venue=order.venue or profile.venue,
        mode=profile.mode,
        instrument_id=order.instrument_id,
        symbol=order.symbol,
        quantity=proposal.quantity,
        submit_before_us=min(proposal.valid_until_us, turn.now_us + int(within * SECOND_US)),
        limit_price=proposal.limit_price,
        stop_price=proposal.stop_price,
        broker_order_id=order.broker_order_id,
    )
    note_sent(turn, proposal)
    asked = replace_sent(order, command)
    unit = view.unit_reserve
    if unit is not None and unit > order.unit_reserve:
        asked = replace(asked, unit_reserve=unit)
    turn.put_order(asked)
    turn.say(command)
    turn.say_order(asked, "REPLACE_SENT", order.status)


def note_sent(turn: Turn, proposal: Proposal) -> None:
    """Count a message that goes out, and remember what it looked like."""
    profile, bounds = turn.account.profile, Bounds(turn.account.profile.limits)
    is_order = proposal.replaces is None
    flow = counted(turn.account.flow, bounds, profile.venue, proposal.strategy_id, turn.now_us, is_order)
    turn.change(flow=printed(flow, bounds, proposal, turn.now_us))


def _command(turn: Turn, view: View) -> SubmitOrder:
    proposal, profile, instrument = view.proposal, turn.account.profile, view.instrument
    assert instrument is not None, "an unknown instrument is denied"
    within = view.bounds.value("send_within") or SEND_WITHIN_S
    return SubmitOrder(
        event_time_us=turn.at_us,
        client_order_id=proposal.client_order_id,
        account_id=profile.account_id,
        venue=profile.venue,
        mode=profile.mode,
        instrument_id=proposal.instrument_id,
        symbol=instrument.symbol,
        side=_side(view),
        order_type=proposal.order_type,
        quantity=proposal.quantity,
        time_in_force=proposal.time_in_force,
        submit_before_us=min(proposal.valid_until_us, turn.now_us + int(within * SECOND_US)),
        limit_price=proposal.limit_price,
        stop_price=proposal.stop_price,
        trail_offset=proposal.trail_offset,
        expire_at_us=proposal.expire_at_us,
        reduce_only=proposal.reduce_only,
        post_only=proposal.post_only,
        strategy_id=proposal.strategy_id,
        provider_id=proposal.provider_id,
        signal_id=proposal.signal_id,
        intent_id=proposal.cause,
        reference_price=proposal.reference_price if proposal.reference_price is not None else view.price,
    )


def _side(view: View) -> Side:
    """A sale that leaves a short position is marked as a short sale (Reg SHO 200(g))."""
    if view.buying:
        return Side.BUY
    return Side.SELL if view.sells + view.quantity <= view.held else Side.SELL_SHORT


def say_verdict(
    turn: Turn, proposal: Proposal, approved: bool, code: str, checks: list[CheckResult], price: Decimal | None
) -> None:
    """Tell the gate's answer."""
    turn.say(
        RiskVerdict(
            event_time_us=turn.at_us,
            account_id=turn.account.profile.account_id,
            intent_id=proposal.cause,
            client_order_id=proposal.client_order_id,
            instrument_id=proposal.instrument_id,
            strategy_id=proposal.strategy_id,
            approved=approved,
            quantity=proposal.quantity,
            code=code,
            checks=checks,
            side=proposal.side if proposal.quantity else None,
            price=price,
            provider_id=proposal.provider_id,
            signal_id=proposal.signal_id,
        )
    )
