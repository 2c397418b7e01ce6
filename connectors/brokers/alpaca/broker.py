"""Alpaca as a broker."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing

from connectors.brokers.alpaca.account import Account
from connectors.brokers.alpaca.endpoints import AlpacaAccount, Endpoint, Manners, Route
from connectors.brokers.alpaca.reports import Reports
from connectors.brokers.alpaca.translate import TIMES, TYPES, Symbols
from connectors.brokers.routes import summed
from connectors.errors import Refused
from connectors.protocols import Capabilities, ClientIdUnique, FillPage
from schemas.execution import ExecutionReport, HeldCash, HeldPosition
from schemas.order import CancelOrder, QueryOrder, ReplaceOrder, SubmitOrder
from schemas.reference import Instrument


class AlpacaBroker:
    """Trades for one or more accounts at one of Alpaca's environments.

    A client_order_id is good for one order for ever: a second submit is refused there, and answered here with the
    order that has it. Cancels and replaces are requests at Alpaca: they are looked after for a second, and told as
    pending where they are still under way then; how they end is in `reports`.

    `second` is another address of the same environment, for what provably was not sent to the first.
    `since` is, for each account, the cursor from which `reports` begins to read fills; without one it begins when the
    broker was first used. It is bound to the event loop that uses it first.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        accounts: Iterable[AlpacaAccount],
        instruments: Iterable[Instrument] = (),
        *,
        second: Endpoint | None = None,
        venue: str = "ALPACA",
        typed_venue: str = "",
        manners: Manners | None = None,
        since: Mapping[str, str] | None = None,
    ):
        """Raises LiveNotMeant where the endpoint trades real money and `typed_venue` is not the venue's name, and
        ValueError where the second is of another environment.
        """
        endpoint.admit(venue, typed_venue)
        if second is not None and second.modes != endpoint.modes:
            raise ValueError(f"{second.http_url} is of another environment than {endpoint.http_url}")
        manners = manners or Manners()
        self._endpoint = endpoint
        self._symbols = Symbols(instruments, venue)
        self._accounts: dict[str, Account] = {}
        self._reports: dict[str, Reports] = {}
        for one in accounts:
            routes = [Route(endpoint, one.credentials)]
            if second is not None:
                routes.append(Route(second, one.second_credentials or one.credentials))
            account = Account(one, routes, venue, self._symbols, manners)
            cursor = (since or {}).get(one.account_id, "")
            self._accounts[one.account_id] = account
            self._reports[one.account_id] = Reports(account, routes, manners, cursor)
        self._capabilities = Capabilities(
            venue=venue,
            client_id_unique=ClientIdUnique.ALWAYS,
            order_types=frozenset(TYPES),
            times_in_force=frozenset(TIMES),
            client_id_length=128,
        )

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    def learn(self, instrument: Instrument) -> None:
        """Take an instrument's symbol, if it is of this venue."""
        self._symbols.learn(instrument)

    def skew_s(self, account_id: str) -> float:
        """The venue's clock minus ours, by its last answer to this account, seconds."""
        return self._account(account_id).calls.skew_s

    async def submit(self, order: SubmitOrder) -> ExecutionReport:
        lacks = self._capabilities.lacks(order)
        if lacks:
            raise Refused(f"{self._capabilities.venue} does not take {lacks}", code="UNSUPPORTED")
        account = self._meant(order)
        answer = await account.submit(order)
        self._watch(order.account_id, answer)
        return answer

    async def cancel(self, request: CancelOrder) -> ExecutionReport:
        return await self._meant(request).cancel(request)

    async def replace(self, request: ReplaceOrder) -> ExecutionReport:
        answer = await self._meant(request).replace(request)
        self._watch(request.account_id, answer)
        return answer

    async def query(self, request: QueryOrder) -> ExecutionReport | None:
        answer = await self._meant(request).query(request)
        if answer is not None:
            self._watch(request.account_id, answer)
        return answer

    async def open_orders(self, account_id: str) -> list[ExecutionReport]:
        answers = await self._account(account_id).open_orders()
        for answer in answers:
            self._watch(account_id, answer)
        return answers

    async def positions(self, account_id: str) -> list[HeldPosition]:
        return await self._account(account_id).positions()

    async def cash(self, account_id: str) -> list[HeldCash]:
        return await self._account(account_id).cash()

    async def fills(self, account_id: str, cursor: str = "") -> FillPage:
        return await self._account(account_id).fills(cursor)

    async def reports(self) -> AsyncGenerator[ExecutionReport]:
        """The streams of all accounts as one. Raises Unavailable or Refused when one of them ends."""
        told: asyncio.Queue[tuple[ExecutionReport, asyncio.Event] | BaseException] = asyncio.Queue()

        async def carry(reports: Reports) -> None:
            async with aclosing(reports.tell()) as telling:
                async for report in telling:
                    # Told is what the reader came back from, not what lay in a queue when it left.
                    taken = asyncio.Event()
                    told.put_nowait((report, taken))
                    await taken.wait()

        def ended(carrier: asyncio.Task[None]) -> None:
            error = None if carrier.cancelled() else carrier.exception()
            if error is not None:
                told.put_nowait(error)

        carriers = [asyncio.create_task(carry(reports)) for reports in self._reports.values()]
        for carrier in carriers:
            carrier.add_done_callback(ended)
        try:
            while True:
                word = await told.get()
                if isinstance(word, BaseException):
                    raise word
                report, taken = word
                yield report
                taken.set()
        finally:
            for carrier in carriers:
                carrier.cancel()
            await asyncio.gather(*carriers, return_exceptions=True)

    def routes_used(self) -> Mapping[int, int]:
        """Calls that each route carried to an answer, of all accounts."""
        return summed(account.calls.routes.carried for account in self._accounts.values())

    async def close(self) -> None:
        """Close the connections."""
        for account in self._accounts.values():
            await account.calls.close()

    def _watch(self, account_id: str, answer: ExecutionReport) -> None:
        self._reports[account_id].watch(self._accounts[account_id].known(answer.broker_order_id))

    def _account(self, account_id: str) -> Account:
        account = self._accounts.get(account_id)
        if account is None:
            raise Refused(f"no account {account_id} is configured for {self._capabilities.venue}", code="NO_ACCOUNT")
        return account

    def _meant(self, command: SubmitOrder | CancelOrder | ReplaceOrder | QueryOrder) -> Account:
        """The account of a command, whose mode must be one of this environment's."""
        if command.mode not in self._endpoint.modes:
            raise Refused(f"{self._endpoint.http_url} does not take {command.mode} orders", code="MODE")
        self._symbols.name(command.symbol, command.instrument_id)
        return self._account(command.account_id)
