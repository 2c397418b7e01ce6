"""Intents: a wish becomes an intent when it is new, or when it has stood so long that it is worth saying again."""

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from schemas.ids import short_id
from schemas.intent import TradeIntent
from schemas.market import MarketCondition
from schemas.record import Part
from streams.strategies.plugin import Wish
from streams.strategies.state import Deployment, Instance


class Occasion(Part, frozen=True):
    """The record on which an instance was asked.

    cause: names the bar or signal, the same whenever it is folded
    close: of the newest bar
    is_bar: bars count towards saying a wish again; signals do not
    """

    cause: str
    event_time_us: int
    close: Decimal
    condition: MarketCondition | None
    is_bar: bool


def intents_of(
    deployment: Deployment, instance: Instance, occasion: Occasion, wishes: Sequence[Wish]
) -> tuple[Instance, list[TradeIntent]]:
    """The instance after these wishes, and the intents to write.

    An instance that never held anything need not say that it wants nothing. A wish that stands is said again as it
    was last put: by the newest signal, with the newest stop.
    """
    standing, silent = instance.wished, instance.silent_bars + occasion.is_bar
    intents: list[TradeIntent] = []
    for wish in wishes:
        if standing is None and wish.is_flat:
            continue
        if standing is not None and _is_same(standing, wish):
            standing = wish
            continue
        standing, silent = wish, 0
        intents.append(_intent(deployment, instance, occasion, wish, len(intents)))
    if occasion.is_bar and not intents and standing is not None and 0 < instance.restate_bars <= silent:
        silent = 0
        intents.append(_intent(deployment, instance, occasion, standing, 0))
    if standing is instance.wished and silent == instance.silent_bars:
        return instance, intents
    return msgspec.structs.replace(instance, wished=standing, silent_bars=silent), intents


def _is_same(standing: Wish, wish: Wish) -> bool:
    """Whether the wish asks for what is wished already; whose it is, why, and protective prices are no difference."""
    if standing.is_flat and wish.is_flat:
        return True
    return (
        standing.kind is wish.kind
        and standing.direction == wish.direction
        and standing.target_weight == wish.target_weight
        and standing.order_type is wish.order_type
        and standing.limit_price == wish.limit_price
        and standing.post_only is wish.post_only
    )


def _intent(deployment: Deployment, instance: Instance, occasion: Occasion, wish: Wish, ordinal: int) -> TradeIntent:
    condition = occasion.condition
    return TradeIntent(
        event_time_us=occasion.event_time_us,
        intent_id=short_id(deployment.strategy_id, occasion.cause, str(ordinal)),
        account_id=deployment.account_id,
        strategy_id=deployment.strategy_id,
        strategy_name=deployment.strategy_name,
        instrument_id=deployment.instrument_id,
        kind=wish.kind,
        reference_price=occasion.close,
        valid_until_us=occasion.event_time_us + instance.valid_us,
        direction=wish.direction,
        target_weight=wish.target_weight,
        order_type=wish.order_type,
        time_in_force=wish.time_in_force,
        limit_price=wish.limit_price,
        stop_price=wish.stop_price,
        take_profit_price=wish.take_profit_price,
        volatility=None if condition is None else condition.ewma_volatility,
        probability=wish.probability,
        signal_id=wish.signal_id,
        provider_id=wish.provider_id,
        reason=wish.reason[:500],
        bracket=wish.bracket,
        post_only=wish.post_only,
    )
