"""The venue's FIX 4.4 door: a QuickFIX acceptor on the same exchange and ledger as its HTTP one.

QuickFIX keeps the session: sequence numbers and what it sent are in files, so that after a broken line, a kill or a
restart it is sent again when the client asks. Its threads hand messages to the event loop, where the exchange is.
"""

import asyncio
import sys
from collections.abc import Callable
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.venue.direction import Direction, Market
from tests.venue.exchange import Exchange
from tests.venue.faults import Faults, Kind
from tests.venue.fix_words import Reader, execution, mass_status, no_order, reject_request, status, terms
from tests.venue.orders import Json, Order
from tests.venue.rules import NOT_UNIQUE, Refusal

fix: Any = import_module("quickfix")
Pairs = list[tuple[int, str]]


class FixDoor:
    """Takes orders over FIX for every account of the venue; tag 1 is the account's number."""

    def __init__(
        self, folder: Path, port: int, exchange: Exchange, market: Market, direction: Direction, faults: Faults
    ):
        self._exchange = exchange
        self._market = market
        self._direction = direction
        self._faults = faults
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sessions: set[Any] = set()
        self._asked: dict[str, tuple[str, str]] = {}
        self._held: list[Pairs] = []
        file = folder / "acceptor.cfg"
        file.write_text(_configuration(folder, port), encoding="utf-8")
        settings = fix.SessionSettings(str(file))
        self._application = _Application(self)
        self._stores = fix.FileStoreFactory(settings)
        self._acceptor = fix.SocketAcceptor(self._application, self._stores, settings)

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._acceptor.start()

    def close(self) -> None:
        self._acceptor.stop(True)

    def came(self, session_id: Any) -> None:
        self._sessions.add(session_id)

    def went(self, session_id: Any) -> None:
        self._sessions.discard(session_id)

    def listeners(self) -> int:
        return len(self._sessions)

    def disconnect(self) -> None:
        """Break the line, without a Logout."""
        for session_id in list(self._sessions):
            fix.Session.lookupSession(session_id).disconnect()

    def heard(self, text: str, session_id: Any) -> None:
        """A message came, in QuickFIX's thread."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._take, Reader(text), session_id)

    def _take(self, message: Reader, session_id: Any) -> None:
        kind = message.get(35)
        deeds: dict[str, tuple[str, Callable[[Reader], list[Pairs]]]] = {
            "D": ("submit", self._submit),
            "F": ("cancel", self._cancel),
            "G": ("replace", self._replace),
            "H": ("order", self._status),
            "AF": ("orders", self._mass_status),
            "AN": ("positions", self._positions),
            "BB": ("account", self._collateral),
        }
        what, deed = deeds[kind]
        fault = self._faults.strike(frozenset({Kind.IGNORE, Kind.LOSE_ANSWER, Kind.MALFORMED, Kind.SLOW}), what)
        if what in ("submit", "cancel", "replace"):
            note = self._exchange.ledger.note
            note(self._direction.now_us(), message.get(1), what, message.get(11), 0, fault.kind if fault else "")
        if fault is not None and fault.kind is Kind.IGNORE:
            return
        if fault is not None and fault.kind is Kind.SLOW:
            assert self._loop is not None
            self._loop.call_later(fault.seconds, lambda: self._answer(deed(message), session_id))
            return
        answers = deed(message)
        if fault is not None and fault.kind is Kind.LOSE_ANSWER:
            return
        if fault is not None:
            answers = [[(tag, "a few" if tag in (14, 704, 901) else value) for tag, value in one] for one in answers]
        self._answer(answers, session_id)

    def _answer(self, answers: list[Pairs], session_id: Any) -> None:
        for pairs in answers:
            send(pairs, session_id)

    def tell(self, account: str, event: Json) -> None:
        """What happened to an order, told to every session; faults befall it as they do the stream."""
        order = self._exchange.find(event["order"]["id"])
        if order is None:
            return
        name, original = self._asked.get(order.order_id, ("", ""))
        told = execution(event, order, name, original, self._direction.now_us())
        if not told:
            return
        fault = self._faults.strike(frozenset({Kind.DUPLICATE, Kind.REORDER, Kind.DISCONNECT}), str(event["event"]))
        if fault is not None and fault.kind is Kind.REORDER:
            self._held.append(told)
            return
        if fault is not None and fault.kind is Kind.DISCONNECT:
            self.disconnect()
        times = fault.times_told if fault is not None and fault.kind is Kind.DUPLICATE else 1
        held, self._held = self._held, []
        for pairs in [*[told] * times, *held]:
            self._broadcast(pairs)

    def flush(self) -> None:
        held, self._held = self._held, []
        for pairs in held:
            self._broadcast(pairs)

    def _broadcast(self, pairs: Pairs) -> None:
        # To a client that is away it goes into the store, and is sent when it asks.
        send(pairs, fix.SessionID("FIX.4.4", "VENUE", "ALICE"))

    def _submit(self, message: Reader) -> list[Pairs]:
        account = message.get(1)
        taken = self._exchange.submit(account, terms(message))
        if isinstance(taken, Refusal):
            reason = "6" if taken is NOT_UNIQUE else "99"
            return [no_order(message, "8", reason, taken.message, self._direction.now_us())]
        if self._faults.strike(Kind.FILL_BEFORE_ACK, "submit"):
            self._exchange.trade(taken, taken.leaves, self._market.price_of(taken))
        self._market.see(taken)
        return []

    def _cancel(self, message: Reader) -> list[Pairs]:
        order = self._found(message, 41)
        if order is None:
            return [reject_request(message, None, "1", "unknown order", "1")]
        refusal = self._exchange.ask_cancel(order) if order.working else Refusal(0, 0, f"the order is {order.status}")
        if refusal is not None:
            return [reject_request(message, order, "0", refusal.message, "1")]
        self._asked[order.order_id] = (message.get(11), order.client_order_id)
        if self._faults.strike(Kind.CANCEL_RACE, "cancel"):
            self._exchange.trade(order, order.leaves, self._market.price_of(order))
        if order.status != "pending_cancel":
            return [reject_request(message, order, "0", "too late", "1")]
        self._later(lambda: self._cancelled(message, order))
        return []

    def _cancelled(self, message: Reader, order: Order) -> None:
        if order.status != "pending_cancel":
            self._broadcast(reject_request(message, order, "0", "too late", "1"))
            return
        self._exchange.cancel(order)
        late = self._faults.strike(Kind.LATE_FILL, "cancel")
        if late is not None:
            self._exchange.trade(order, min(order.leaves, Decimal(1)), self._market.price_of(order))

    def _replace(self, message: Reader) -> list[Pairs]:
        order = self._found(message, 41)
        if order is None:
            return [reject_request(message, None, "1", "unknown order", "2")]
        wish = {"qty": message.get(38), "client_order_id": message.get(11)}
        wish |= {name: message.get(tag) for name, tag in (("limit_price", 44), ("stop_price", 99)) if message.get(tag)}
        fresh = self._exchange.ask_replace(order.account, order, wish)
        if isinstance(fresh, Refusal):
            return [reject_request(message, order, "0", fresh.message, "2")]
        self._asked[fresh.order_id] = (message.get(11), order.client_order_id)
        self._asked[order.order_id] = (message.get(11), order.client_order_id)
        if self._faults.strike(Kind.CANCEL_RACE, "replace"):
            self._exchange.trade(order, order.leaves, self._market.price_of(order))
        self._later(lambda: self._replaced(message, order, fresh))
        return []

    def _replaced(self, message: Reader, order: Order, fresh: Order) -> None:
        late = order.status != "pending_replace"
        self._exchange.replace(order, fresh)
        if late:
            self._broadcast(reject_request(message, order, "0", "too late", "2"))

    def _later(self, deed: Callable[[], None]) -> None:
        if self._direction.settle_s <= 0:
            deed()
        else:
            assert self._loop is not None
            self._loop.call_later(self._direction.settle_s, deed)

    def _found(self, message: Reader, tag: int) -> Order | None:
        """The order, by any name of it, and as it is after replaces."""
        order = self._exchange.ledger.order_named(message.get(1), message.get(tag))
        while order is not None and order.status == "replaced" and order.replaced_by:
            order = self._exchange.find(order.replaced_by)
        return self._exchange.find(order.order_id) if order is not None else None

    def _status(self, message: Reader) -> list[Pairs]:
        order = self._found(message, 11)
        if order is None:
            return [no_order(message, "I", "5", "unknown order", self._direction.now_us())]
        return [[*status(order, self._direction.now_us()), (790, message.get(790))]]

    def _mass_status(self, message: Reader) -> list[Pairs]:
        working = [order for order in self._exchange.working.values() if order.account == message.get(1)]
        working.sort(key=lambda order: order.sequence)
        return mass_status(message, working, self._direction.now_us())

    def _positions(self, message: Reader) -> list[Pairs]:
        held = self._exchange.ledger.positions(message.get(1))
        party = [(453, "1"), (448, message.get(1)), (447, "D"), (452, "24")]
        shared = [(710, message.get(710)), (1, message.get(1)), (581, "1")]
        result = "3" if message.get(1) not in self._exchange.accounts else "0" if held else "2"
        ack = [(35, "AO"), (721, f"ack-{message.get(710)}"), (727, str(len(held))), (728, result)]
        answers: list[Pairs] = [[*ack, (729, "0"), *party, *shared]]
        for number, (symbol, quantity, cost) in enumerate(held):
            report = [(35, "AP"), (721, f"{message.get(710)}-{number}"), (728, "0"), (715, message.get(715)), *party]
            long, short = (quantity, Decimal(0)) if quantity > 0 else (Decimal(0), -quantity)
            report += [*shared, (55, symbol), (730, f"{abs(cost / quantity):f}"), (731, "1"), (734, "0")]
            report += [(702, "1"), (703, "TQ"), (704, f"{long:f}"), (705, f"{short:f}"), (706, "0"), (753, "1")]
            answers.append([*report, (707, "FMTM"), (708, "0")])
        return answers

    def _collateral(self, message: Reader) -> list[Pairs]:
        cash = self._exchange.cash(message.get(1))
        answer = [(35, "BA"), (908, f"report-{message.get(909)}"), (909, message.get(909)), (910, "3")]
        return [[*answer, (1, message.get(1)), (15, "USD"), (901, f"{cash:f}")]]


class _Application(fix.Application):  # type: ignore[misc]  # the library has no types
    def __init__(self, door: FixDoor):
        super().__init__()
        self._door = door

    def onCreate(self, session_id: Any) -> None:
        pass

    def onLogon(self, session_id: Any) -> None:
        self._door.came(session_id)

    def onLogout(self, session_id: Any) -> None:
        self._door.went(session_id)

    def toAdmin(self, message: Any, session_id: Any) -> None:
        pass

    def fromAdmin(self, message: Any, session_id: Any) -> None:
        pass

    def toApp(self, message: Any, session_id: Any) -> None:
        pass

    def fromApp(self, message: Any, session_id: Any) -> None:
        self._door.heard(message.toString(), session_id)


_GROUPS: dict[int, tuple[int, frozenset[int]]] = {
    453: (448, frozenset({448, 447, 452})),
    702: (703, frozenset({703, 704, 705, 706})),
    753: (707, frozenset({707, 708})),
}


def send(pairs: Pairs, session_id: Any) -> None:
    """Send the message, or leave it in the store for a client that is away."""
    message = fix.Message()
    message.getHeader().setField(8, "FIX.4.4")
    message.getHeader().setField(35, pairs[0][1])
    group: Any = None
    members: frozenset[int] = frozenset()
    groups = []
    for tag, value in pairs[1:]:
        if tag in _GROUPS:
            first, members = _GROUPS[tag]
            group = fix.Group(tag, first)
            groups.append(group)
        elif tag in members:
            group.setField(tag, value)
        else:
            message.setField(tag, value)
    for one in groups:
        message.addGroup(one)
    fix.Session.sendToTarget(message, session_id)


def _configuration(folder: Path, port: int) -> str:
    dictionary = Path(sys.prefix) / "share" / "quickfix" / "FIX44.xml"
    return "\n".join([
        "[DEFAULT]",
        "ConnectionType=acceptor",
        f"SocketAcceptPort={port}",
        "SocketReuseAddress=Y",
        f"FileStorePath={folder / 'fix-store'}",
        "NonStopSession=Y",
        "StartTime=00:00:00",
        "EndTime=00:00:00",
        "SocketNodelay=Y",
        "LogoutTimeout=1",
        "ValidateUserDefinedFields=N",
        "ValidateFieldsOutOfOrder=N",
        "UseDataDictionary=Y",
        f"DataDictionary={dictionary}",
        "[SESSION]",
        "BeginString=FIX.4.4",
        "SenderCompID=VENUE",
        "TargetCompID=ALICE",
        "",
    ])  # fmt: skip
