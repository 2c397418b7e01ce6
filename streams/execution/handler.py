"""Execution on servers: each committed command to its broker, and its outcome back.

A command is tried again only where a repeat is provably harmless. One that was read before, and so may have been sent,
is first asked about: found, it stands; not found, it is sent where the broker knows a client_order_id for ever, and
otherwise stays UNKNOWN for a person. The last thing before the socket is to ask whether we still own the partition and
whether our own rules still agree.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Protocol

import stamina

from connectors.errors import Ambiguous, Refused, Unavailable
from connectors.protocols import Broker, ClientIdUnique
from schemas.control import ClockTick, KillSwitch, Mode
from schemas.execution import ExecutionReport, NotSent, NotSentReason
from schemas.ids import short_id
from schemas.order import CancelOrder, QueryOrder, ReplaceOrder, SubmitOrder
from schemas.record import Record
from streams.execution.calls import Called, Lanes, Line, Policy, Sending, TooManyWaiting, nobody, unseen
from streams.execution.outcomes import (
    Command,
    Standing,
    is_new_risk,
    name_of,
    named_by_content,
    not_found,
    objection,
    rejected,
    unavailable,
    undecided,
    unknown_venue,
)


class Turn(Protocol):
    """One delivery of a command, as the door of effects tells of it."""

    @property
    def redelivered(self) -> bool:
        """Whether the command may have been seen, and sent, before."""
        ...

    def still_owner(self) -> bool:
        """Whether the partition is still ours."""
        ...


class NotOwner(RuntimeError):
    """The partition went to another worker before the call; the command was not sent, and no outcome may be told."""


RECONCILED_POLL_S = 0.02

LATE_MAX = 10_000
"""Orders remembered as recorded late: those of the last commits before a kill, and many more."""


def _always(_command: Command) -> bool:
    return True


def wall_clock_us() -> int:
    """Now, microseconds of UTC."""
    return time.time_ns() // 1_000


class Execution:
    """Carries commands to brokers, by venue. One for each worker."""

    def __init__(
        self,
        brokers: Mapping[str, Broker],
        mode: Mode,
        *,
        policy: Policy | None = None,
        policies: Mapping[str, Policy] | None = None,
        now_us: Callable[[], int] = wall_clock_us,
        called: Called = nobody,
        sending: Sending = unseen,
    ):
        """`policy` bounds the calls to venues that have none of their own in `policies`."""
        self._policy = policy or Policy()
        of_venue = policies or {}
        self._lines = {
            venue: Line(broker, of_venue.get(venue, self._policy), called, sending) for venue, broker in brokers.items()
        }
        self.reconciled: Callable[[Command], bool] = _always
        """Whether the command's account was compared with its broker; before, no new risk is sent."""
        self._mode = mode
        self._now_us = now_us
        self._tick_us: int | None = None
        self._kills: dict[str, KillSwitch] = {}
        self._late: OrderedDict[str, None] = OrderedDict()
        self._lanes = Lanes()

    def on_tick(self, tick: ClockTick) -> None:
        """Take the clock's newest time."""
        self._tick_us = max(self._tick_us or 0, tick.event_time_us)

    def on_kill(self, kill: KillSwitch) -> None:
        """Take a kill switch; an older version of the same scope changes nothing.

        In the thread that reads them, while the loop looks at those known: so the mapping is replaced, never changed.
        """
        known = self._kills.get(kill.scope_key)
        if known is None or kill.version > known.version:
            self._kills = {**self._kills, kill.scope_key: kill}

    def on_not_sent(self, said: NotSent) -> None:
        """Take what execution, here or elsewhere, recorded as not sent.

        Whoever recorded a command as late had not sent it, and nobody sends it later: its time only runs out further.
        """
        if said.reason is NotSentReason.LATE:
            self._late[said.client_order_id] = None
            if len(self._late) > LATE_MAX:
                self._late.popitem(last=False)

    @property
    def newest_tick_us(self) -> int | None:
        """The clock's newest time; None before the first tick."""
        return self._tick_us

    @property
    def kills(self) -> Mapping[str, KillSwitch]:
        """The newest switch of each scope."""
        return self._kills.copy()

    async def on_command(self, command: Command, turn: Turn) -> list[Record]:
        """Carry out one command and return its outcome. Raises NotOwner where it must be left to another worker."""
        line = self._lines.get(command.venue)
        if line is None:
            return [objection(command, self._standing) or rejected(command, *unknown_venue(command), self._standing)]
        async with self._lanes.lane(command):
            await self._until_reconciled(command)
            if turn.redelivered and not isinstance(command, QueryOrder):
                late = self._recorded_late(command)
                if late is not None:
                    return [late]
                # Our own rules may object by now to what a former owner has sent: that is no proof that it was not.
                objects = self._objection(command) is not None
                if objects or not line.capabilities.repeats_answer:
                    known = await self._known(command, line, turn)
                    if known is not None:
                        return [known]
                    if objects and not isinstance(command, CancelOrder):
                        return [undecided(command, "sent perhaps, and not found yet", self._standing)]
            said = await self._outcome(command, line, turn)
            if turn.redelivered and isinstance(said, NotSent) and isinstance(command, SubmitOrder | ReplaceOrder):
                # We did not send it; the former owner's request may be under way still.
                return [undecided(command, f"sent perhaps, and {said.reason} by now", self._standing)]
            return [said]

    def _recorded_late(self, command: Command) -> NotSent | None:
        """The outcome once more, of a command that came too late before its former owner was killed."""
        no = objection(command, self._standing) if name_of(command) in self._late else None
        return no if no is not None and no.reason is NotSentReason.LATE else None

    async def _until_reconciled(self, command: Command) -> None:
        """Wait for as long as the command may still be sent."""
        while is_new_risk(command) and not self.reconciled(command) and objection(command, self._standing) is None:
            await asyncio.sleep(RECONCILED_POLL_S)

    def _objection(self, command: Command) -> NotSent | None:
        no = objection(command, self._standing)
        if no is None and is_new_risk(command) and not self.reconciled(command):
            return unavailable(command, "the account was not compared with its broker yet", self._standing)
        return no

    @property
    def _standing(self) -> Standing:
        return Standing(mode=self._mode, now_us=self._now_us(), newest_tick_us=self._tick_us, kills=self._kills)

    async def _known(self, command: Command, line: Line, turn: Turn) -> ExecutionReport | NotSent | None:
        """What became of a command that may have been sent before; None where it may be sent now."""
        if isinstance(command, CancelOrder):
            return None
        if command.mode is not self._mode:
            return objection(command, self._standing)
        found = await self._outcome(_question(command, self._standing.now(command)), line, turn)
        if isinstance(found, NotSent):
            return undecided(command, f"sent perhaps, and {found.value}", self._standing)
        if isinstance(command, SubmitOrder) and found.order_quantity:
            return found
        if line.capabilities.client_id_unique is ClientIdUnique.ALWAYS:
            return None
        return undecided(command, "sent perhaps, and the broker cannot tell a repeat", self._standing)

    async def _outcome(self, command: Command, line: Line, turn: Turn) -> ExecutionReport | NotSent:
        policy = self._policy
        ends_s = time.monotonic() + policy.budget_s
        try:
            async for attempt in stamina.retry_context(
                on=lambda error: _patience(command, error, ends_s - time.monotonic()),
                attempts=policy.attempts,
                timeout=policy.budget_s,
                wait_initial=policy.first_wait_s,
                wait_max=policy.longest_wait_s,
                wait_jitter=policy.jitter_s,
            ):
                with attempt:
                    return await self._attempt(command, line, turn)
        except Unavailable as error:
            return unavailable(command, str(error), self._standing)
        except Refused as error:
            return rejected(command, error.code, str(error), self._standing)
        except Ambiguous as error:
            if isinstance(command, QueryOrder):
                return unavailable(command, str(error), self._standing)
            return undecided(command, str(error), self._standing)
        raise AssertionError("a retry ends with a result or an error")

    async def _attempt(self, command: Command, line: Line, turn: Turn) -> ExecutionReport | NotSent:
        no = self._objection(command)
        if no is not None:
            _require_ownership(command, turn)
            return no
        try:
            await line.pace.turn(urgent=not is_new_risk(command))
        except TooManyWaiting as error:
            return _too_many(command, str(error), self._policy.waiting_max, self._standing)
        async with line.gate.through(urgent=not is_new_risk(command)):
            return await self._at_the_socket(command, line, turn)

    async def _at_the_socket(self, command: Command, line: Line, turn: Turn) -> ExecutionReport | NotSent:
        _require_ownership(command, turn)
        no = self._objection(command)
        if no is not None:
            return no
        if isinstance(command, SubmitOrder):
            lacks = line.capabilities.lacks(command)
            if lacks:
                raise Refused(f"{line.capabilities.venue} does not take {lacks}", code="UNSUPPORTED")
        answer = await line.call(command)
        if answer is None:
            assert isinstance(command, QueryOrder), "only a query may be answered by nothing"
            remembers = line.capabilities.client_id_unique is ClientIdUnique.ALWAYS
            return not_found(command, self._standing, remembers=remembers)
        return named_by_content(answer)


def _patience(command: Command, error: Exception, left_s: float) -> bool | float:
    """Whether to try again, and after how many seconds where the other side named them: not where too few are left."""
    if isinstance(error, Unavailable):
        if error.retry_after_s is None:
            return True
        return error.retry_after_s <= left_s and error.retry_after_s
    return isinstance(error, Ambiguous) and isinstance(command, QueryOrder | CancelOrder)


def _require_ownership(command: Command, turn: Turn) -> None:
    """Raise NotOwner where another worker may carry the command out by now: neither send it nor tell its outcome."""
    if not turn.still_owner():
        raise NotOwner(f"{name_of(command)} was not sent: its partition is another worker's now")


def _question(command: Command, now_us: int) -> QueryOrder:
    return QueryOrder(
        event_time_us=now_us,
        request_id=short_id("sent before?", name_of(command)),
        client_order_id=name_of(command),
        account_id=command.account_id,
        venue=command.venue,
        mode=command.mode,
        instrument_id=command.instrument_id,
        symbol=command.symbol,
        attempt=0,
    )


def _too_many(command: Command, waiting: str, limit: int, standing: Standing) -> NotSent:
    return NotSent(
        event_time_us=standing.now(command),
        account_id=command.account_id,
        client_order_id=name_of(command),
        reason=NotSentReason.RATE,
        value=waiting,
        limit=f"{limit} may wait",
    )
