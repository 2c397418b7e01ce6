"""Questions and answers over the session: who waits for which message, and what is kept of what was told."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec.structs import replace

from connectors.brokers.fix import words
from connectors.brokers.fix.fields import SOH, Fields
from connectors.brokers.fix.journal import Journal
from connectors.brokers.fix.session import Session
from connectors.brokers.fix.settings import FixSettings
from connectors.brokers.fix.words import Pairs
from connectors.errors import Ambiguous, Refused, Unavailable
from schemas.order import ExecType

_ANSWERED_MAX = 10_000
_PENDING = frozenset({ExecType.PENDING_NEW, ExecType.PENDING_CANCEL, ExecType.PENDING_REPLACE})

Wants = Callable[[Fields], bool]
Enough = Callable[[list[Fields]], bool]


@dataclass(slots=True, eq=False)
class Waiting:
    """Someone waits for messages: `wants` says which, `enough` whether these are all.

    `sequence` is the number of the message that asked: what rejects that number is for it, and is all.
    """

    wants: Wants
    enough: Enough
    sequence: str
    came: list[Fields] = field(default_factory=list)
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, fields: Fields) -> None:
        """Take the message, if it is for this one."""
        rejects = fields.get(35) in (words.BUSINESS_REJECT, words.REJECT)
        if rejects and fields.get(45) == self.sequence:
            self.came.append(fields)
            self.done.set()
        elif not rejects and self.wants(fields):
            self.came.append(fields)
            if self.enough(self.came):
                self.done.set()


class Dialogue:
    """One session, its journal, and those who wait. It connects when it is started, in the event loop that does so.

    `news` is set whenever something was told or the session came or went; `answered` holds the ids of what was the
    answer to a change.
    """

    def __init__(self, settings: FixSettings):
        self.journal = Journal(settings.folder)
        self.news = asyncio.Event()
        self.answered: OrderedDict[str, None] = OrderedDict()
        self._settings = settings
        self._session = Session(settings, self._keep, self._tell)
        self._coming = asyncio.Event()
        self._waiting: set[Waiting] = set()
        self._started = False

    @property
    def logged_on(self) -> bool:
        return self._session.logged_on

    async def start(self) -> None:
        """Connect, the first time; later the session does so by itself. Raises Unavailable."""
        if not self._started:
            self._started = True
            self._session.start()
            await self.logon()

    async def logon(self) -> None:
        """Wait until the session is up. Raises Unavailable."""
        try:
            async with asyncio.timeout(self._settings.logon_s):
                while not self._session.logged_on:
                    self._coming.clear()
                    await self._coming.wait()
        except TimeoutError as error:
            why = self._session.refusal or "nobody answers"
            raise Unavailable(f"{self._settings.venue} does not log us on ({why}); it may be repeated") from error

    async def close(self) -> None:
        """Log out, and end the session's threads."""
        await asyncio.to_thread(self._session.stop)
        self.journal.close()

    async def ask(self, pairs: Pairs, wants: Wants, enough: Enough) -> list[Fields]:
        """Ask, and wait for all of the answer. Raises Unavailable or Refused."""
        came = await self._exchange(pairs, wants, enough)
        if not came or not enough(came):
            raise Unavailable(f"{self._settings.venue} did not answer {pairs[0][1]} in full; it may be repeated")
        return came

    async def change(self, name: str, pairs: Pairs) -> Fields:
        """Ask for a change, and wait for its answer: the last word that comes, or a pending one where no other does.

        Raises Unavailable where it was not sent, Refused where it was not understood, else Ambiguous.
        """

        def wants(fields: Fields) -> bool:
            answers = fields.get(35) == words.CANCEL_REJECT or fields.get(150) not in ("I", "F", "G", "H")
            return answers and fields.get(11) == name

        def enough(came: list[Fields]) -> bool:
            return words.EXEC_TYPES.get(came[-1].get(150)) not in _PENDING

        came = await self._exchange(pairs, wants, enough)
        if not came:
            raise Ambiguous(f"{self._settings.venue} did not answer {name}; ask by id what became of it")
        self.answered.update((words.exec_id_of(one), None) for one in came)
        while len(self.answered) > _ANSWERED_MAX:
            self.answered.popitem(last=False)
        return came[-1]

    async def _exchange(self, pairs: Pairs, wants: Wants, enough: Enough) -> list[Fields]:
        """Send, and wait until enough came, the session went or time ran out.

        Raises Unavailable where it was not sent, Refused where it was not understood.
        """
        one = Waiting(wants, enough, self._session.send(pairs))
        self._waiting.add(one)
        try:
            async with asyncio.timeout(self._settings.answer_s):
                await one.done.wait()
        except TimeoutError:
            pass  # what came until now is the answer
        finally:
            self._waiting.discard(one)
        if one.came and one.came[-1].get(35) in (words.BUSINESS_REJECT, words.REJECT):
            said = one.came[-1]
            code = f"FIX_{said.get(35)}_{said.get(380) or said.get(373)}"
            raise Refused(f"{self._settings.venue} does not take the message: {said.get(58)[:300]}", code=code)
        return one.came

    def _keep(self, fields: Fields) -> None:
        """Write down what was told, in the session's thread. Raises BadMessage for what tells of no order."""
        if fields.get(35) not in (words.EXECUTION, words.CANCEL_REJECT):
            return
        exec_id = words.exec_id_of(fields)
        if exec_id:
            raw = SOH.join(f"{tag}={value}" for tag, value in fields.pairs)
            self.journal.write(exec_id, fields.get(1), fields.get(150) == "F", raw)
        old = self.journal.terms(fields.get(41)) if fields.get(150) == "5" else None
        if old is not None:
            # A replace was carried out: from now on the order has this name and these terms.
            fresh = replace(
                old,
                client_order_id=fields.need(11),
                quantity=fields.number(38) or old.quantity,
                limit_price=fields.number(44) or old.limit_price,
                stop_price=fields.number(99) or old.stop_price,
                order_id=fields.get(37),
            )
            self.journal.keep([*self.journal.names(fields.get(41)), fresh.client_order_id], fresh)

    def _tell(self, fields: Fields | None) -> None:
        """Hand what came to those who wait for it, in our loop; when the session goes, nobody waits any longer."""
        for one in list(self._waiting):
            if fields is not None:
                one.hear(fields)
            elif not self._session.logged_on:
                one.done.set()
        self._coming.set()
        self.news.set()
