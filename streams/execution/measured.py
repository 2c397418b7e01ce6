"""Measured: what becomes of commands at the socket, in numbers. In front of whoever performs them; changes nothing."""

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from schemas import metrics
from schemas.control import KillVerb, Mode, Scope
from schemas.execution import NotSent
from schemas.order import SubmitOrder
from schemas.record import Record
from streams.execution.handler import Execution
from streams.execution.outcomes import Command
from streams.runtime.metrics import Sample

if TYPE_CHECKING:
    from streams.runtime.effect import Context
    from streams.runtime.metrics import Exporter


Perform = Callable[[Command, "Context"], Awaitable[Sequence[Record]]]


class Measured:
    """Counts what execution does; `called` and `sending` are for it, `before` is for the door.

    venues: those of our brokers; each has its numbers, also where nothing happened.
    routes: by venue, what its routes carried, by their numbers.
    """

    def __init__(
        self,
        venues: Sequence[str],
        mode: Mode,
        exporter: "Exporter",
        role: str,
        routes: Mapping[str, Callable[[], Mapping[int, int]]] | None = None,
    ):
        self._execution: Execution | None = None
        self._routes = dict(routes or {})
        self._role = role
        self._wall_time = mode is not Mode.REPLAY
        self._began_us = time.time_ns() // 1000
        self._outstanding: Counter[str] = Counter(dict.fromkeys(venues, 0))
        self._not_sent: Counter[tuple[str, str]] = Counter()
        self._signals_us: dict[str, int] = {}
        self._to_order = exporter.of(metrics.SIGNAL_TO_ORDER_SECONDS, role)
        self._calls: dict[tuple[str, str, str], Any] = {}
        self._exporter = exporter
        exporter.ask(self.samples)

    def before(self, execution: Execution, perform: Perform) -> Perform:
        """`perform`, counted; and how this execution stands."""
        self._execution = execution

        async def counted(command: Command, context: "Context") -> Sequence[Record]:
            return await self._counted(perform, command, context)

        return counted

    async def _counted(self, perform: Perform, command: Command, context: "Context") -> Sequence[Record]:
        venue = command.venue if command.venue in self._outstanding else "unknown"
        self._outstanding[venue] += 1
        if context.signal_us is not None and isinstance(command, SubmitOrder) and self._wall_time:
            self._signals_us[command.client_order_id] = context.signal_us
        try:
            outcome = await perform(command, context)
        finally:
            self._outstanding[venue] -= 1
            if isinstance(command, SubmitOrder):
                self._signals_us.pop(command.client_order_id, None)
        for record in outcome:
            if isinstance(record, NotSent):
                self._not_sent[venue, record.reason] += 1
        return outcome

    def sending(self, command: Command) -> None:
        """The next thing is the socket; of an order that is tried again the first time counts."""
        if isinstance(command, SubmitOrder):
            signal_us = self._signals_us.pop(command.client_order_id, None)
            if signal_us is not None:
                self._to_order.observe(max(0.0, time.time() - signal_us / 1e6))

    def called(self, venue: str, call: str, outcome: str, seconds: float) -> None:
        """A broker was called."""
        key = (venue, call, outcome)
        if key not in self._calls:
            labels = {"venue": venue, "call": call, "outcome": outcome}
            self._calls[key] = self._exporter.of(metrics.BROKER_CALL_SECONDS, self._role, **labels)
        self._calls[key].observe(seconds)

    def samples(self) -> Iterator[Sample]:
        """What was counted, and how switches and clock stand at the socket."""
        for venue, count in self._outstanding.copy().items():
            yield Sample(metrics.COMMANDS_OUTSTANDING, self._role, (venue,), count)
        for labels, count in self._not_sent.copy().items():
            yield Sample(metrics.NOT_SENT, self._role, labels, count)
        for venue, carried in self._routes.items():
            for route, count in carried().items():
                yield Sample(metrics.BROKER_ROUTE_CALLS, self._role, (venue, str(route)), count)
        if self._execution is None:
            return
        active = Counter(kill.scope for kill in self._execution.kills.values() if kill.verb is not KillVerb.RESUME)
        for scope in Scope:
            yield Sample(metrics.KILL_SWITCH_ACTIVE, self._role, (scope,), active[scope] > 0)
        if self._wall_time:
            newest_us = self._execution.newest_tick_us or self._began_us
            age_s = max(0.0, (time.time_ns() // 1000 - newest_us) / 1e6)
            yield Sample(metrics.CLOCK_TICK_AGE_SECONDS, self._role, (), age_s)
