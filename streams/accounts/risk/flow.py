"""Flow: counting what goes out, for rates and repeats."""

from bisect import bisect_right

from msgspec.structs import replace

from schemas.control import Scope
from streams.accounts.account import Flow
from streams.accounts.risk.view import Proposal

MINUTE_US = 60_000_000

TIMES_MAX = 4096
"""Times kept for one scope: a count beyond any limit that people can set in a minute is not needed exactly."""

Key = tuple[Scope, str]


def scopes_of(venue: str, strategy_id: str) -> tuple[tuple[Scope, Key], ...]:
    """The scopes in which messages of such an order are counted."""
    return (
        (Scope.ACCOUNT, (Scope.ACCOUNT, "")),
        (Scope.STRATEGY, (Scope.STRATEGY, strategy_id)),
        (Scope.VENUE, (Scope.VENUE, venue)),
    )


def fingerprint(proposal: Proposal) -> str:
    """What makes two orders the same to a person who looks at them."""
    return "|".join((
        proposal.strategy_id, proposal.instrument_id, proposal.side, str(proposal.quantity.normalize()),
        proposal.order_type, str(proposal.limit_price), str(proposal.stop_price),
    ))  # fmt: skip


def counted(flow: Flow, venue: str, strategy_id: str, now_us: int, is_order: bool) -> Flow:
    """The flow after one more message."""
    messages = _noted(flow.messages, venue, strategy_id, now_us)
    if not is_order:
        return replace(flow, messages=messages)
    return replace(flow, messages=messages, orders=_noted(flow.orders, venue, strategy_id, now_us))


def _noted(times: dict[str, tuple[int, ...]], venue: str, strategy_id: str, now_us: int) -> dict[str, tuple[int, ...]]:
    since = now_us - MINUTE_US
    noted = dict(times)
    for _, key in scopes_of(venue, strategy_id):
        name = f"{key[0]}|{key[1]}"
        before = times.get(name, ())
        kept = before[bisect_right(before, since) :][-TIMES_MAX:]
        noted[name] = (*kept, now_us)
    return noted
