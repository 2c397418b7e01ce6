"""What strategies and people wish for, before risk has spoken."""

from enum import StrEnum
from typing import ClassVar

from schemas.order import OrderType, Side, TimeInForce
from schemas.record import Record
from schemas.scalars import Price, Quantity, UtcMicros


class IntentKind(StrEnum):
    DIRECTION = "DIRECTION"
    TARGET_WEIGHT = "TARGET_WEIGHT"
    EXIT = "EXIT"


class ManualAction(StrEnum):
    PLACE = "PLACE"
    CANCEL = "CANCEL"
    REPLACE = "REPLACE"
    CLOSE_POSITION = "CLOSE_POSITION"
    REARM = "REARM"


class TradeIntent(Record, frozen=True):
    """A strategy's wish: a direction or a target and why, never a quantity. Sizing belongs to the account.

    intent_id: pure function of the instance and of what caused the wish
    account_id: who would trade
    strategy_id: the deployed instance
    strategy_name: the plug-in's name
    instrument_id: our id of the instrument
    kind: which of `direction` and `target_weight` carries the wish
    direction: -1 short to 1 long, as a share of the full size; 0 is flat
    target_weight: share of equity, signed
    reference_price: price that the strategy looked at
    valid_until_us: an older intent never becomes an order
    order_type: how to execute
    limit_price: for LIMIT and STOP_LIMIT
    stop_price: protective stop; sizes by fixed risk
    take_profit_price: protective target
    time_in_force: how long the order works
    volatility: annualised volatility the strategy saw, as a fraction
    probability: calibrated probability behind the wish, 0 to 1
    signal_id: signal behind the wish
    provider_id: provider behind the wish
    reason: one sentence for people
    bracket: stop and target work at the broker as orders linked to the entry; without, we watch them
    post_only: must not take liquidity
    """

    source_id: ClassVar[tuple[str, ...]] = ("intent_id",)

    intent_id: str
    account_id: str
    strategy_id: str
    strategy_name: str
    instrument_id: str
    kind: IntentKind
    reference_price: Price
    valid_until_us: UtcMicros
    direction: float = 0.0
    target_weight: float | None = None
    order_type: OrderType = OrderType.MARKET
    time_in_force: TimeInForce = TimeInForce.DAY
    limit_price: Price | None = None
    stop_price: Price | None = None
    take_profit_price: Price | None = None
    volatility: float | None = None
    probability: float | None = None
    signal_id: str | None = None
    provider_id: str | None = None
    reason: str = ""
    bracket: bool = False
    post_only: bool = False


class ManualOrder(Record, frozen=True):
    """A person places, cancels or replaces an order, closes a position or re-arms a latched check; risk still decides.

    request_id: the same request twice is one
    account_id: who would trade
    action: what the person wants
    author: who asked
    reason: why
    instrument_id: our id of the instrument; for PLACE and CLOSE_POSITION
    side: for PLACE
    quantity: units, positive; for PLACE and REPLACE
    order_type: for PLACE
    time_in_force: for PLACE
    limit_price, stop_price: where the order type needs them
    trail_offset: distance of a trailing stop, in price
    expire_at_us: for GTD
    reduce_only: may only shrink the position
    client_order_id: the order meant by CANCEL and REPLACE
    check_id: the latched check meant by REARM
    valid_until_us: an older request never becomes an order
    take_profit_price, stop_loss_price: exits linked to what PLACE fills; one that fills takes back the other
    oco: PLACE these two exits for a position that is held, and no entry; side and quantity are theirs
    post_only: PLACE must not take liquidity
    """

    source_id: ClassVar[tuple[str, ...]] = ("request_id",)

    request_id: str
    account_id: str
    action: ManualAction
    author: str
    reason: str
    valid_until_us: UtcMicros
    instrument_id: str = ""
    side: Side | None = None
    quantity: Quantity | None = None
    order_type: OrderType = OrderType.MARKET
    time_in_force: TimeInForce = TimeInForce.DAY
    limit_price: Price | None = None
    stop_price: Price | None = None
    trail_offset: Price | None = None
    expire_at_us: UtcMicros | None = None
    reduce_only: bool = False
    client_order_id: str = ""
    check_id: str = ""
    take_profit_price: Price | None = None
    stop_loss_price: Price | None = None
    oco: bool = False
    post_only: bool = False
