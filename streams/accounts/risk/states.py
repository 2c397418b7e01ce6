"""Trading states: what holds an account, or one of its parts, back; the gravest word counts."""

from typing import NamedTuple

from schemas.control import KillVerb, Scope, TradingState
from streams.accounts.account import Account
from streams.accounts.shared import SWITCHED, Shared

RANK = {TradingState.ACTIVE: 0, TradingState.REDUCING: 1, TradingState.HALTED: 2}


class Held(NamedTuple):
    """The gravest trading state, and who or what said so; the reason is empty when active."""

    state: TradingState
    reason: str


FREE = Held(TradingState.ACTIVE, "")


def state_of(
    account: Account, shared: Shared, strategy_id: str = "", instrument_id: str = "", provider_id: str = ""
) -> Held:
    """The state for an order of this strategy, instrument and provider; for the account in all where they are empty."""
    worst = FREE
    for reason, state in sorted(account.condition.own.items()):
        if RANK[state] > RANK[worst.state]:
            worst = Held(state, reason)
    if shared.switches:
        for key in scope_keys(account, strategy_id, instrument_id, provider_id):
            switch = shared.switches.get(key)
            if switch is not None:
                state = SWITCHED[switch.verb]
                if RANK[state] > RANK[worst.state]:
                    worst = Held(state, f"{switch.verb} {key}")
    return worst


def scope_keys(account: Account, strategy_id: str, instrument_id: str, provider_id: str) -> list[str]:
    """Keys of all switches that concern such an order."""
    named = (
        (Scope.GLOBAL, ""),
        (Scope.ACCOUNT, account.profile.account_id),
        (Scope.VENUE, account.profile.venue),
        (Scope.STRATEGY, strategy_id),
        (Scope.INSTRUMENT, instrument_id),
        (Scope.PROVIDER, provider_id),
    )
    return [f"{scope}/{scope_id}" for scope, scope_id in named if scope is Scope.GLOBAL or scope_id]


def is_flattening(account: Account, shared: Shared, instrument_id: str, owners: tuple[str, ...] = ()) -> bool:
    """Whether a switch says that this position is to be closed."""
    keys = {key for owner in (*owners, "") for key in scope_keys(account, owner, instrument_id, "")}
    return any(
        switch is not None and switch.verb is KillVerb.FLATTEN for switch in (shared.switches.get(key) for key in keys)
    )
