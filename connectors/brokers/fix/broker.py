"""A FIX 4.4 counterparty as a broker."""

import itertools
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping

from msgspec.structs import replace

from connectors.brokers.fix import words
from connectors.brokers.fix.dialogue import Dialogue
from connectors.brokers.fix.fields import BadMessage, Fields
from connectors.brokers.fix.settings import FixAccount, FixSettings
from connectors.brokers.fix.words import Speaker, Terms
from connectors.errors import Ambiguous, Refused, Unavailable
from connectors.protocols import Capabilities, FillPage
from schemas.execution import ExecutionReport, HeldCash, HeldPosition
from schemas.ids import short_id
from schemas.order import CancelOrder, ExecType, OrderStatus, QueryOrder, ReplaceOrder, Side, SubmitOrder
from schemas.reference import Instrument
from schemas.scalars import ZERO


class FixBroker:
    """Trades for one or more accounts over one FIX session.

    What is told is in a journal before the counterparty's sequence number moves on, so `fills` and `reports` read the
    journal: nothing told is lost, and what is told again has its ExecID and is one report. `reports` begins after what
    was told before the broker was made, or after `since`, a cursor of `fills`; what was the answer to a call is not
    told in it again.

    It connects when it is used first, in the event loop that does so; `close` logs out.
    """

    def __init__(
        self,
        settings: FixSettings,
        accounts: Iterable[FixAccount],
        instruments: Iterable[Instrument] = (),
        *,
        since: str = "",
    ):
        """Raises ValueError where real money is traded and the venue's name was not typed out."""
        settings.check()
        self._settings = settings
        self._ours = {one.account: one.account_id for one in accounts}
        self._theirs = {account_id: account for account, account_id in self._ours.items()}
        self._symbols: dict[str, str] = {}
        for instrument in instruments:
            self.learn(instrument)
        self._verified: set[str] = set()
        self._dialogue = Dialogue(settings)
        self._journal = self._dialogue.journal
        self._told = int(since) if since.isdigit() else self._journal.last()
        # Names of questions must not repeat those of an earlier life of the broker.
        self._numbers = (f"{time.time_ns():x}-{number}" for number in itertools.count())
        self._capabilities = Capabilities(
            venue=settings.venue,
            client_id_unique=settings.client_id_unique,
            order_types=settings.order_types,
            times_in_force=settings.times_in_force,
            client_id_length=settings.client_id_length,
            post_only=True,
        )

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    @property
    def logged_on(self) -> bool:
        """Whether the session is up now."""
        return self._dialogue.logged_on

    def learn(self, instrument: Instrument) -> None:
        """Take an instrument's symbol, if it is of this venue."""
        if instrument.venue == self._settings.venue:
            self._symbols[instrument.symbol] = instrument.instrument_id

    async def submit(self, order: SubmitOrder) -> ExecutionReport:
        lacks = self._capabilities.lacks(order)
        if lacks:
            raise Refused(f"{self._settings.venue} does not take {lacks}", code="UNSUPPORTED")
        account = await self._ready(order)
        if not order.reduce_only:
            await self._verify(order.account_id)
        self._symbols[order.symbol] = order.instrument_id
        terms = words.terms_of(order)
        self._journal.keep([order.client_order_id], terms)
        pairs = words.new_order(terms, account, _now_us(), order.expire_at_us)
        answer = await self._dialogue.change(order.client_order_id, pairs)
        if answer.get(103) == words.DUPLICATE_ORDER:
            return await self._had(order, terms)
        return self._report(answer, order.account_id)

    async def _had(self, order: SubmitOrder, terms: Terms) -> ExecutionReport:
        """The order that has this id already."""
        try:
            found = await self._status(terms)
        except Unavailable as error:
            raise Ambiguous(f"{order.client_order_id} was had before; ask what became of it") from error
        if found is None:
            raise Ambiguous(f"{order.client_order_id} was had before and is not found; ask again")
        report = self._report(found, order.account_id, f"{found.get(37)}:HAD")
        if report.order_quantity != order.quantity or report.side is not order.side:
            raise Refused(f"{self._settings.venue} has another order {order.client_order_id}", code="ID_TAKEN")
        ended = report.order_status in (OrderStatus.CANCELED, OrderStatus.REJECTED, OrderStatus.EXPIRED)
        return report if ended else replace(report, exec_type=ExecType.NEW)

    async def cancel(self, request: CancelOrder) -> ExecutionReport:
        account = await self._ready(request)
        terms = await self._terms(request)
        pairs = words.cancel_order(terms, request.request_id, account, _now_us())
        answer = await self._dialogue.change(request.request_id, pairs)
        return self._answer(answer, request)

    async def replace(self, request: ReplaceOrder) -> ExecutionReport:
        account = await self._ready(request)
        old = await self._terms(request)
        fresh = replace(
            old,
            client_order_id=request.request_id,
            quantity=request.quantity,
            limit_price=old.limit_price if request.limit_price is None else request.limit_price,
            stop_price=old.stop_price if request.stop_price is None else request.stop_price,
        )
        pairs = words.replace_order(fresh, old.client_order_id, account, _now_us())
        answer = await self._dialogue.change(request.request_id, pairs)
        return self._answer(answer, request)

    def _answer(self, answer: Fields, request: CancelOrder | ReplaceOrder) -> ExecutionReport:
        """The answer to a cancel or replace, under the names that were asked with."""
        report = self._report(answer, request.account_id)
        return replace(report, client_order_id=request.request_id, original_client_order_id=request.client_order_id)

    async def query(self, request: QueryOrder) -> ExecutionReport | None:
        await self._ready(request)
        terms = self._journal.terms(request.client_order_id) or self._unknown(request)
        found = await self._status(terms)
        if found is None:
            return None
        report = self._read(found, request.account_id, f"{request.request_id}:STATUS")
        original = "" if report.client_order_id == request.client_order_id else request.client_order_id
        return replace(report, exec_type=ExecType.ORDER_STATUS, original_client_order_id=original)

    def _unknown(self, request: QueryOrder | CancelOrder | ReplaceOrder) -> Terms:
        """Of an order that we did not place, or forgot, only its name is known; the side is no side."""
        return Terms(
            client_order_id=request.client_order_id,
            account_id=request.account_id,
            instrument_id=request.instrument_id,
            symbol=request.symbol,
            side=Side.BUY,
            order_type=next(iter(words.TYPES)),
            time_in_force=next(iter(words.TIMES)),
            quantity=ZERO,
            order_id=request.broker_order_id,
        )

    async def _terms(self, request: CancelOrder | ReplaceOrder) -> Terms:
        """What the order's terms are: as we placed it, or as the counterparty says."""
        known = self._journal.terms(request.client_order_id)
        if known is not None:
            return known
        found = await self._status(self._unknown(request))
        if found is None:
            raise Refused(f"{self._settings.venue} knows no order {request.client_order_id}", code="NOT_FOUND")
        try:
            terms = words.terms_told(found, request.account_id, request.instrument_id)
        except BadMessage as error:
            raise Refused(f"order {request.client_order_id} cannot be changed: {error}", code="UNSUPPORTED") from error
        self._journal.keep([request.client_order_id, terms.client_order_id], terms)
        return terms

    async def _status(self, terms: Terms) -> Fields | None:
        """The order's state, None where no such order is known. Raises Unavailable or Refused."""
        name = next(self._numbers)
        pairs = words.order_status(terms, self._theirs[terms.account_id], name)
        wants = _is_status(name, terms.client_order_id)
        (answer,) = await self._dialogue.ask(pairs, wants, bool)
        unknown = answer.get(39) == "8" and answer.get(103) == words.UNKNOWN_ORDER
        return None if unknown else answer

    async def open_orders(self, account_id: str) -> list[ExecutionReport]:
        account = await self._ready_for(account_id)
        name = next(self._numbers)

        def wants(fields: Fields) -> bool:
            return fields.get(584) == name

        def enough(came: list[Fields]) -> bool:
            return came[-1].get(912) == "Y" or came[-1].get(911) == "0"

        told = await self._dialogue.ask(words.mass_status(account, name), wants, enough)
        reports = [
            self._read(one, account_id, f"{one.get(37)}:OPEN:{one.get(39)}:{one.get(14)}")
            for one in told
            if one.get(911) != "0"
        ]
        return sorted(
            (replace(one, exec_type=ExecType.ORDER_STATUS) for one in reports if one.leaves_quantity > 0),
            key=lambda one: one.event_time_us,
        )

    async def _verify(self, account_id: str) -> None:
        """Ask, before the first order that can add risk, whether this is our account there. Raises Refused if not."""
        if account_id not in self._verified:
            await self.positions(account_id)

    async def positions(self, account_id: str) -> list[HeldPosition]:
        account = await self._ready_for(account_id)
        name = next(self._numbers)

        def wants(fields: Fields) -> bool:
            return fields.get(710) == name

        def enough(came: list[Fields]) -> bool:
            acks = [one for one in came if one.get(35) == words.POSITIONS_ACK]
            told = sum(one.get(35) == words.POSITION for one in came)
            return bool(acks) and (acks[0].get(728) not in ("", "0") or told >= int(acks[0].get(727) or "0"))

        told = await self._dialogue.ask(words.positions(account, name, _now_us()), wants, enough)
        ack = next(one for one in told if one.get(35) == words.POSITIONS_ACK)
        self._check(ack, account_id, account)
        # 2: no positions found; anything else than that and valid is no answer.
        if ack.get(728) not in ("", "0", "2"):
            raise Unavailable(f"{self._settings.venue} does not tell positions ({ack.get(58)}); ask again")
        held = [self._held(one) for one in told if one.get(35) == words.POSITION]
        return sorted((one for one in held if one.quantity), key=lambda one: one.instrument_id)

    def _check(self, ack: Fields, account_id: str, account: str) -> None:
        """Take the counterparty's word that it has our account. Raises Refused where it says that it has another."""
        if ack.get(728) == words.NOT_AUTHORIZED or ack.get(1) not in ("", account):
            self._verified.discard(account_id)
            who = f"{self._settings.venue} account {account_id}"
            why = f"{account} is not ours there; correct its number in the settings"
            raise Refused(f"{who}: {why}", code="WRONG_ACCOUNT")
        self._verified.add(account_id)

    def _held(self, fields: Fields) -> HeldPosition:
        """A position: what is long less what is short, over its quantities."""
        try:
            groups = list(fields.groups(703))
            quantity = sum(((one.number(704) or ZERO) - (one.number(705) or ZERO) for one in groups), ZERO)
            symbol, average = fields.need(55), fields.average(730)
        except BadMessage as error:
            raise Unavailable(f"{self._settings.venue} tells a position that cannot be read ({error})") from error
        return HeldPosition(
            instrument_id=self._symbols.get(symbol, symbol), quantity=quantity, average_price=average or None
        )

    async def cash(self, account_id: str) -> list[HeldCash]:
        account = await self._ready_for(account_id)
        if not self._settings.tells_cash:
            return []
        name = next(self._numbers)

        def wants(fields: Fields) -> bool:
            return fields.get(909) == name

        (told,) = await self._dialogue.ask(words.collateral(account, name), wants, bool)
        try:
            return [HeldCash(currency=told.need(15), amount=told.amount(901))]
        except BadMessage as error:
            raise Unavailable(f"{self._settings.venue} tells cash that cannot be read ({error})") from error

    async def fills(self, account_id: str, cursor: str = "") -> FillPage:
        account = await self._ready_for(account_id)
        if not self._dialogue.logged_on:
            raise Unavailable(f"{self._settings.venue} has no FIX session with us; what it told may not be all")
        told = self._journal.trades(account, int(cursor) if cursor.isdigit() else 0)
        reports = (self._told_of(Fields.parse(message), account_id) for _, message in told)
        # A trade that cannot be read is told in `reports`, as an order in doubt.
        trades = tuple(report for report in reports if report.exec_type is ExecType.TRADE)
        return FillPage(trades, str(told[-1][0]) if told else cursor)

    async def reports(self) -> AsyncGenerator[ExecutionReport]:
        """What is told, as it is told. Raises Unavailable when the session cannot be had for the time of a logon."""
        await self._dialogue.start()
        while True:
            self._dialogue.news.clear()
            for number, message in self._journal.after(self._told):
                fields = Fields.parse(message)
                account_id = self._ours.get(fields.get(1)) or self._owner(fields)
                if account_id and words.exec_id_of(fields) not in self._dialogue.answered:
                    yield self._told_of(fields, account_id)
                self._told = number
            if not self._dialogue.logged_on:
                await self._dialogue.logon()
                continue
            await self._dialogue.news.wait()

    def routes_used(self) -> Mapping[int, int]:
        """None: one session, which QuickFIX keeps at one address or the other."""
        return {}

    async def close(self) -> None:
        """Log out, and end the session's threads."""
        await self._dialogue.close()

    async def _ready(self, command: SubmitOrder | CancelOrder | ReplaceOrder | QueryOrder) -> str:
        if command.mode not in self._settings.modes:
            raise Refused(f"{self._settings.venue} does not take {command.mode} orders", code="MODE")
        return await self._ready_for(command.account_id)

    async def _ready_for(self, account_id: str) -> str:
        """The account's name there, once the session was tried. Raises Refused where we have no such account."""
        account = self._theirs.get(account_id)
        if account is None:
            raise Refused(f"no account {account_id} is configured for {self._settings.venue}", code="NO_ACCOUNT")
        await self._dialogue.start()
        return account

    def _said(self, fields: Fields, account_id: str, exec_id: str = "") -> ExecutionReport:
        """A message as a report. Raises BadMessage."""
        symbol = fields.get(55)
        terms = None if symbol in self._symbols else self._journal.terms(fields.get(41) or fields.get(11))
        instrument_id = terms.instrument_id if terms else self._symbols.get(symbol, symbol)
        exec_id = exec_id or words.exec_id_of(fields) or short_id("fix", str(fields))
        return Speaker(self._settings.venue, account_id, instrument_id).report(fields, exec_id)

    def _report(self, fields: Fields, account_id: str, exec_id: str = "") -> ExecutionReport:
        """The answer to a change. Raises Ambiguous."""
        try:
            return self._said(fields, account_id, exec_id)
        except BadMessage as error:
            raise Ambiguous(f"{self._settings.venue} answered, and it cannot be read ({error}); ask by id") from error

    def _read(self, fields: Fields, account_id: str, exec_id: str) -> ExecutionReport:
        """The answer to a question. Raises Unavailable."""
        try:
            return self._said(fields, account_id, exec_id)
        except BadMessage as error:
            raise Unavailable(f"{self._settings.venue} answered, and it cannot be read ({error})") from error

    def _told_of(self, fields: Fields, account_id: str) -> ExecutionReport:
        """What was told; where it cannot be read, that the order it is about is in doubt."""
        try:
            return self._said(fields, account_id)
        except BadMessage as error:
            return words.in_doubt(fields, self._settings.venue, account_id, str(error))

    def _owner(self, fields: Fields) -> str:
        """Whose order a message without an account is about."""
        terms = self._journal.terms(fields.get(41)) or self._journal.terms(fields.get(11))
        return terms.account_id if terms else ""


def _is_status(name: str, client_order_id: str) -> Callable[[Fields], bool]:
    """Whether a message answers the status request of this name; one that does not repeat the name, by its order."""

    def wants(fields: Fields) -> bool:
        if fields.get(35) == words.EXECUTION and fields.get(150) == "I":
            return fields.get(790) == name if fields.get(790) else fields.get(11) == client_order_id
        return False

    return wants


def _now_us() -> int:
    return time.time_ns() // 1000
