"""Execution without servers: the same outcomes in the same order, over paper venues in this process."""

from collections.abc import Mapping

from connectors.brokers.paper import PaperVenue
from schemas.control import KillSwitch, Mode
from schemas.execution import ExecutionReport, NotSent
from schemas.order import CancelOrder, QueryOrder, ReplaceOrder, SubmitOrder
from schemas.record import Record
from streams.execution.outcomes import (
    Command,
    Standing,
    named_by_content,
    not_found,
    objection,
    rejected,
    unknown_venue,
)


class LocalExecution:
    """Takes commands in order and answers each at once. For backtests and simulations; its mode is REPLAY."""

    def __init__(self, venues: Mapping[str, PaperVenue]):
        self._venues = dict(venues)
        self._kills: dict[str, KillSwitch] = {}
        self._standing = Standing(mode=Mode.REPLAY, kills=self._kills)

    def on_kill(self, kill: KillSwitch) -> None:
        """Take a kill switch; an older version of the same scope changes nothing."""
        known = self._kills.get(kill.scope_key)
        if known is None or kill.version > known.version:
            self._kills[kill.scope_key] = kill

    def on_command(self, command: Command) -> list[Record]:
        """The outcome of one command."""
        return [objection(command, self._standing) or self._sent(command)]

    def _sent(self, command: Command) -> ExecutionReport | NotSent:
        venue = self._venues.get(command.venue)
        if venue is None:
            return rejected(command, *unknown_venue(command), self._standing)
        match command:
            case SubmitOrder():
                return venue.submit(command)
            case CancelOrder():
                return venue.cancel(command)
            case ReplaceOrder():
                return venue.replace(command)
            case QueryOrder():
                known = venue.query(command)
                return not_found(command, self._standing) if known is None else named_by_content(known)
