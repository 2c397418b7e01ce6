"""Bounds: an account's limits looked up by name and narrowest scope, scaled where the account says so."""

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from schemas.control import Scope
from schemas.risk import Limit

ORDER_OF_SCOPES = (Scope.STRATEGY, Scope.INSTRUMENT, Scope.PROVIDER, Scope.VENUE)
"""Narrowest first; the account's own comes last."""

MEMO_MAX = 4096

_compiled: dict[int, tuple[Mapping[str, Limit], "Compiled"]] = {}


class Compiled(NamedTuple):
    """Limits by name: the account's own, and those of scopes inside it by (scope, id)."""

    own: dict[str, Limit]
    inside: dict[str, dict[tuple[Scope, str], Limit]]


def compiled(limits: Mapping[str, Limit]) -> Compiled:
    """The limits in the shape in which they are looked up; computed once for each mapping object."""
    known = _compiled.get(id(limits))
    if known is not None and known[0] is limits:
        return known[1]
    own: dict[str, Limit] = {}
    inside: dict[str, dict[tuple[Scope, str], Limit]] = {}
    for limit in limits.values():
        if limit.scope is Scope.ACCOUNT:
            own[limit.name] = limit
        else:
            inside.setdefault(limit.name, {})[limit.scope, limit.scope_id] = limit
    if len(_compiled) >= MEMO_MAX:
        _compiled.clear()
    result = Compiled(own, inside)
    _compiled[id(limits)] = (limits, result)
    return result


class Bounds:
    """The limits that hold for one strategy, instrument, provider and venue."""

    __slots__ = ("_compiled", "_scopes", "scales")

    def __init__(
        self, limits: Mapping[str, Limit], strategy_id: str = "", instrument_id: str = "", provider_id: str = "",
        venue: str = "",
    ):  # fmt: skip
        self._compiled = compiled(limits)
        self._scopes = (strategy_id, instrument_id, provider_id, venue)
        self.scales: Mapping[str, Decimal] = {}

    def limit(self, name: str) -> Limit | None:
        """The narrowest limit of this name, or None."""
        inside = self._compiled.inside.get(name)
        if inside is not None:
            for scope, scope_id in zip(ORDER_OF_SCOPES, self._scopes, strict=True):
                found = inside.get((scope, scope_id))
                if found is not None and scope_id:
                    return found
        return self._compiled.own.get(name)

    def own(self, name: str) -> Limit | None:
        """The account's own limit of this name, whatever narrower scopes say; or None."""
        return self._compiled.own.get(name)

    def of(self, name: str, scope: Scope, scope_id: str) -> Limit | None:
        """The limit of this name that one scope inside the account sets, or None."""
        inside = self._compiled.inside.get(name)
        return None if inside is None else inside.get((scope, scope_id))

    def largest(self, name: str) -> Decimal | None:
        """The largest value of this name in any scope; None where none is set."""
        own, inside = self._compiled.own.get(name), self._compiled.inside.get(name, {})
        values = [limit.value for limit in inside.values()]
        if own is not None:
            values.append(own.value)
        return max(values, default=None)

    def value(self, name: str) -> Decimal | None:
        """The bound in force: the narrowest limit, scaled; None where none is set."""
        limit = self.limit(name)
        if limit is None:
            return None
        scale = self.scales.get(name)
        return limit.value if scale is None else limit.value * scale

    def is_on(self, name: str) -> bool:
        """Whether a switch is set to 1."""
        limit = self.limit(name)
        return limit is not None and limit.value == 1

    def anywhere(self, name: str, scope: Scope) -> Mapping[tuple[Scope, str], Limit]:
        """Every limit of this name in scopes of this kind."""
        return {key: limit for key, limit in self._compiled.inside.get(name, {}).items() if key[0] is scope}
