"""Corporate actions: what a split or a dividend does to a holding, to whom it belongs and what guards it."""

from decimal import Decimal

from msgspec.structs import replace

from schemas.position import PositionAdjusted
from schemas.reference import CorporateAction, CorporateActionKind, Instrument
from schemas.risk import RiskEventKind
from schemas.scalars import ZERO, rounded
from streams.accounts.account import Holding
from streams.accounts.positions.corporate import dividend, split
from streams.accounts.positions.ledger import Net
from streams.accounts.risk.guards import Guard
from streams.accounts.shared import is_first
from streams.accounts.turn import Turn

ONE = Decimal(1)


def act(turn: Turn, action: CorporateAction) -> None:
    """Fold an action into the holding, once. Orders at work stay as the venue says: it cancels or restates them."""
    instrument, holding = turn.instrument(action.instrument_id), turn.holding(action.instrument_id)
    if not action.sound or instrument is None:
        turn.say_risk(
            RiskEventKind.INPUT_REFUSED, "BAD_CORPORATE_ACTION", instrument_id=action.instrument_id,
            value=f"{action.kind} ratio {action.ratio} amount {action.amount}",
            reason="a split needs a ratio and a dividend an amount, above zero, of a known instrument",
        )  # fmt: skip
        return
    if not is_first(turn.shared, action) or not holding.net.quantity:
        return
    if action.kind is CorporateActionKind.SPLIT:
        adjusted = _split(holding, action.ratio or ONE)
        _restate_closes(turn, action.instrument_id, float(action.ratio or ONE))
    else:
        adjusted = _paid(turn, holding, instrument, action.amount or ZERO)
    turn.say(
        PositionAdjusted(
            event_time_us=turn.at_us, account_id=turn.account.profile.account_id, instrument_id=action.instrument_id,
            version=action.version, kind=action.kind, ratio=action.ratio if action.ratio is not None else ONE,
            amount=action.amount if action.amount is not None else ZERO, quantity=holding.net.quantity,
            currency=instrument.settlement_currency,
        )
    )  # fmt: skip
    turn.say_position(turn.put_holding(adjusted, instrument), instrument)


def _split(holding: Holding, ratio: Decimal) -> Holding:
    return replace(
        holding,
        net=split(holding.net, ratio),
        owners={owner: split(share, ratio) for owner, share in holding.owners.items()},
        guards={owner: _moved(guard, ratio) for owner, guard in holding.guards.items()},
    )


def _restate_closes(turn: Turn, instrument_id: str, ratio: float) -> None:
    history = turn.account.histories.get(instrument_id)
    if history is not None:
        closes = tuple(close / ratio for close in history.closes)
        turn.change(histories={**turn.account.histories, instrument_id: replace(history, closes=closes)})


def _moved(guard: Guard, ratio: Decimal) -> Guard:
    stop, target = guard.stop_price, guard.target_price
    return replace(
        guard,
        best=rounded(guard.best / ratio),
        stop_price=None if stop is None else rounded(stop / ratio),
        target_price=None if target is None else rounded(target / ratio),
    )


def _paid(turn: Turn, holding: Holding, instrument: Instrument, amount: Decimal) -> Holding:
    net, cash = dividend(holding.net, amount)
    turn.move_cash(instrument.settlement_currency, cash)
    owners: dict[str, Net] = {owner: dividend(share, amount)[0] for owner, share in holding.owners.items()}
    return replace(holding, net=net, owners=owners)
