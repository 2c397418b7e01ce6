"""Earlier: the flow of an account as states before version 3 keep it, whole in one part."""

from collections.abc import Mapping

from msgspec import field

from schemas.record import Part
from streams.accounts.risk.recent import Bucket, Flow, Rejects, kept, paged


class EarlierFlow(Part, frozen=True):
    """As `Flow`, with times as tuples by scope, and intents and prints by their ids. Read, and never written."""

    intents: dict[str, int] = field(default_factory=dict)
    orders: dict[str, tuple[int, ...]] = field(default_factory=dict)
    messages: dict[str, tuple[int, ...]] = field(default_factory=dict)
    prints: dict[str, int] = field(default_factory=dict)
    rejects: dict[str, int] = field(default_factory=dict)
    executions: dict[str, tuple[int, ...]] = field(default_factory=dict)


def flow_of(earlier: EarlierFlow) -> Flow:
    """The same in pieces. The door writes them, and removes the part, when the account changes next."""
    series = {"orders": earlier.orders, "messages": earlier.messages, "executions": earlier.executions}
    times = {f"{kind}|{name}": paged(of) for kind, one in series.items() for name, of in one.items() if of}
    return Flow(
        rejects=Rejects(earlier.rejects),
        times=dict(sorted(times.items())),
        intents=_buckets("intents", earlier.intents),
        prints=_buckets("prints", earlier.prints),
    )


def _buckets(kind: str, times: Mapping[str, int]) -> dict[str, Bucket]:
    buckets: dict[str, Bucket] = {}
    for name, at_us in times.items():
        buckets = kept(buckets, kind, name, at_us, 0)
    return buckets
