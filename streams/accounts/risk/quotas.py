"""Quotas: what a firm allows in all, dealt to its accounts, so that each gate decides alone and all of them together
never allow more.

An account's gate sees its own account only. A firm-wide bound is therefore cut into shares beforehand, each rounded
down, and each share becomes a limit of one account.
"""

from collections.abc import Mapping, Sequence
from decimal import ROUND_DOWN, Decimal

from schemas.risk import Limit
from streams.accounts.risk.limits import BY_NAME, Unit

ADDS_UP = {Unit.MONEY: Decimal("0.01"), Unit.QUANTITY: Decimal("0.00000001"), Unit.COUNT: Decimal(1)}
"""Units of which accounts can hold shares, and the smallest part of each. Fractions, seconds and switches have none."""


class NotDealt(ValueError):
    """A limit that cannot be cut into shares; nothing of its list was."""


def dealt(limits: Sequence[Limit], weights: Mapping[str, Decimal]) -> dict[str, list[Limit]]:
    """The limits of each account: of every firm-wide bound its share by weight. Raises NotDealt, naming the line."""
    whole = sum(weights.values(), Decimal(0))
    if not weights or any(not weight.is_finite() or weight <= 0 for weight in weights.values()):
        raise NotDealt("every account needs a weight above zero")
    for number, limit in enumerate(limits, 1):
        spec = BY_NAME.get(limit.name)
        if spec is None:
            raise NotDealt(f"line {number} ({limit.name}): there is no limit of this name")
        if spec.unit not in ADDS_UP:
            raise NotDealt(f"line {number} ({limit.name}): is in {spec.unit}, of which there are no shares")
        if not limit.value.is_finite() or (limit.soft is not None and not limit.soft.is_finite()):
            raise NotDealt(f"line {number} ({limit.name}): {limit.value} is no amount")
    return {account_id: [_share(limit, weight, whole) for limit in limits] for account_id, weight in weights.items()}


def _share(limit: Limit, weight: Decimal, whole: Decimal) -> Limit:
    part = ADDS_UP[BY_NAME[limit.name].unit]
    value, soft = (
        None if bound is None else (bound * weight / whole).quantize(part, ROUND_DOWN)
        for bound in (limit.value, limit.soft)
    )
    assert value is not None, "every limit has a bound"
    return Limit(name=limit.name, value=value, scope=limit.scope, scope_id=limit.scope_id, soft=soft)
