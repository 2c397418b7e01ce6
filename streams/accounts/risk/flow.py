"""Flow: counting what goes out, for rates and repeats. Kept is what a limit can need, and no more."""

from collections.abc import Iterator

from msgspec.structs import replace

from schemas.control import Scope
from schemas.risk import Limit
from schemas.scalars import SECOND_US
from streams.accounts.risk.bounds import Bounds
from streams.accounts.risk.recent import Flow, kept, noted, time_of
from streams.accounts.risk.view import Proposal

RATES = (("orders", "orders_per_minute_max"), ("messages", "messages_per_minute_max"))
"""What is counted of what goes out, and the limit that counts it."""


def limits_on(bounds: Bounds, name: str, venue: str, strategy_id: str) -> Iterator[tuple[str, Limit]]:
    """The limits of this name that count a message of such an order, each with its scope as `SCOPE|id`."""
    own = bounds.own(name)
    if own is not None:
        yield f"{Scope.ACCOUNT}|", own
    for scope, scope_id in ((Scope.STRATEGY, strategy_id), (Scope.VENUE, venue)):
        limit = bounds.of(name, scope, scope_id)
        if limit is not None:
            yield f"{scope}|{scope_id}", limit


def counted(flow: Flow, bounds: Bounds, venue: str, strategy_id: str, now_us: int, is_order: bool) -> Flow:
    """The flow after one more message. A limit counts what was sent since it was set."""
    times = flow.times
    for kind, name in RATES if is_order else RATES[1:]:
        for scope, limit in limits_on(bounds, name, venue, strategy_id):
            times = noted(times, f"{kind}|{scope}", now_us, most_of(limit))
    return flow if times is flow.times else replace(flow, times=times)


def most_of(limit: Limit) -> int:
    """How many times decide whether the limit is passed."""
    return int(limit.value) + 1


def fingerprint(proposal: Proposal) -> str:
    """What makes two orders the same to a person who looks at them."""
    return "|".join((
        proposal.strategy_id, proposal.instrument_id, proposal.side, str(proposal.quantity.normalize()),
        proposal.order_type, str(proposal.limit_price), str(proposal.stop_price),
    ))  # fmt: skip


def is_answered(flow: Flow, intent_id: str, tick_us: int) -> bool:
    """Whether this wish was answered, and may still come again."""
    until = time_of(flow.intents, "intents", intent_id)
    return until is not None and until >= tick_us


def printed_at(flow: Flow, proposal: Proposal) -> int | None:
    """When the same order was sent last; None where that was before every duplicate window."""
    return time_of(flow.prints, "prints", fingerprint(proposal))


def printed(flow: Flow, bounds: Bounds, proposal: Proposal, now_us: int) -> Flow:
    """The flow that remembers an order for the longest duplicate window; where none is set, for no time."""
    window = bounds.largest("duplicate_window")
    if not window:
        return flow
    since = now_us - int(window * SECOND_US)
    return replace(flow, prints=kept(flow.prints, "prints", fingerprint(proposal), now_us, since))
