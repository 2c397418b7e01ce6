"""Exits that are agreed with an order: their prices, and the bracket that they begin."""

from decimal import Decimal
from typing import NamedTuple

from msgspec.structs import replace

from schemas.control import Scope
from schemas.order import Side
from schemas.reference import Instrument
from schemas.risk import RiskEventKind
from streams.accounts.orders.brackets import Bracket, Leg, LegKind
from streams.accounts.orders.order import Order
from streams.accounts.risk.reading import text
from streams.accounts.turn import Turn


class Exits(NamedTuple):
    """Prices at which a position is to be left; at least one of them."""

    stop: Decimal | None = None
    target: Decimal | None = None

    def objection(self, side: Side, instrument: Instrument | None) -> str:
        """Why exits on this side cannot have these prices; empty where they can."""
        prices = [price for price in self if price is not None]
        if not prices:
            return "EXITS_MISSING"
        if not all(price.is_finite() for price in prices):
            return "NOT_A_NUMBER"
        if instrument is None:
            return "INSTRUMENT_UNKNOWN"
        if any(price % instrument.tick_size for price in prices):
            return "PRICE_OFF_TICK"
        if self.stop is not None and self.target is not None:
            below = self.stop < self.target
            if below is not (side is not Side.BUY) or self.stop == self.target:
                return "EXITS_CROSSED"
        return ""


def link(turn: Turn, entry: Order, exits: Exits) -> None:
    """Give an order that just went out its exits; they wait for its fills."""
    side = Side.BUY if entry.side is not Side.BUY else Side.SELL
    begin(turn, exits, Bracket(
        bracket_id=entry.client_order_id, cause=f"bracket:{entry.client_order_id}", entry_id=entry.client_order_id,
        instrument_id=entry.instrument_id, side=side, strategy_id=entry.strategy_id, created_us=turn.now_us, legs=(),
    ))  # fmt: skip


def begin(turn: Turn, exits: Exits, bracket: Bracket) -> None:
    """Keep a bracket with these exits, and tell it."""
    legs = ((LegKind.STOP, exits.stop), (LegKind.TARGET, exits.target))
    begun = replace(bracket, legs=tuple(Leg(kind=kind, price=price) for kind, price in legs if price is not None))
    turn.put_bracket(begun)
    say_bracket(turn, RiskEventKind.BRACKET, "BRACKET_ARMED", begun,
         " ".join(f"{leg.kind}={text(leg.price)}" for leg in begun.legs))  # fmt: skip


def say_bracket(turn: Turn, kind: RiskEventKind, code: str, bracket: Bracket, value: str, reason: str = "") -> None:
    """Tell what befell a bracket."""
    turn.say_risk(
        kind, code, scope=Scope.STRATEGY, scope_id=bracket.strategy_id, instrument_id=bracket.instrument_id,
        value=f"{bracket.bracket_id} {value}", reason=reason,
    )  # fmt: skip
