"""Opening brokers: from what an operator named to those who trade, with keys from files or the environment only.

Nothing here holds a secret but the broker itself; what is named is where the secret is. Whoever trades at several
accounts of one venue has a broker for each where the venue lets them, so that each account has its own stream.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct, field

from connectors.brokers.keys import named
from connectors.brokers.routes import summed
from connectors.errors import Refused
from connectors.protocols import Broker, Capabilities, ClientIdUnique, FillPage
from schemas.control import Mode
from schemas.execution import ExecutionReport, HeldCash, HeldPosition
from schemas.order import CancelOrder, QueryOrder, ReplaceOrder, SubmitOrder
from schemas.reference import Instrument

if TYPE_CHECKING:
    from connectors.brokers.alpaca import Manners

PAPER_FILE = "paper-venue.sqlite"


class BrokerUnusable(Exception):
    """What was named cannot be opened; the message says what is missing, never a secret."""


class Kind(StrEnum):
    """Which broker it is."""

    PAPER = "paper"
    ALPACA = "alpaca"
    FIX = "fix"
    CRYPTO = "crypto"


class KeyOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the keys of an account are.

    key_file, secret_file: in which files; or key_variable, secret_variable: under which names in the environment.
    """

    key_file: str = ""
    secret_file: str = ""
    key_variable: str = ""
    secret_variable: str = ""


class AccountOptions(KeyOptions, frozen=True, forbid_unknown_fields=True):
    """One of our accounts at a broker, and where its keys are.

    number: the account's own number there, its fingerprint: another one is refused. FIX: its name in tag 1.
    second: where other keys of the same account are, for the second route; absent where the same open both.
    """

    number: str = ""
    second: KeyOptions | None = None


class RouteOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """Another way to the same accounts at the same venue: other addresses; only alpaca has a stream.

    endpoint: of fix the host and the port of the same session: `host:port`
    """

    endpoint: str
    stream: str = ""


class BrokerOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """One broker, by the venue's name to us.

    accounts: by our account_id
    requests_per_s: what the venue lets one worker send; absent where it names no rate
    call_timeout_s: how long an answer may take
    endpoint, stream: addresses instead of the venue's own, for a test environment; alpaca and crypto
    second: a second route, for what provably was not sent by the first
    exchange: its name in ccxt; crypto
    host, port, sender, target, username: of the session; fix
    password_file, password_variable: where its password is; fix
    client_id_unique: for how long the counterparty refuses an id that it has seen; fix
    audit_s: how often a stream is held against what the venue says when asked
    """

    kind: Kind
    accounts: dict[str, AccountOptions] = field(default_factory=dict)
    requests_per_s: float | None = None
    call_timeout_s: float = 10.0
    endpoint: str = ""
    stream: str = ""
    second: RouteOptions | None = None
    exchange: str = ""
    host: str = ""
    port: int = 0
    sender: str = ""
    target: str = ""
    username: str = ""
    password_file: str = ""
    password_variable: str = ""
    client_id_unique: ClientIdUnique = ClientIdUnique.WHILE_OPEN
    audit_s: float = 5.0


class OpenBroker(Broker, Protocol):
    """A broker that can be told of instruments, and closed."""

    def learn(self, instrument: Instrument) -> None:
        """Take an instrument's symbol, if it is of this venue."""
        ...

    def routes_used(self) -> Mapping[int, int]:
        """Calls that each route to its accounts carried to an answer, by number from 1; empty without routes."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class ByAccount:
    """One venue at which each account has a broker of its own."""

    def __init__(self, brokers: Mapping[str, OpenBroker]):
        self._brokers = dict(brokers)
        self._capabilities = next(iter(self._brokers.values())).capabilities

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    def of(self, account_id: str) -> OpenBroker:
        """The account's broker. Raises Refused for an account that was not named."""
        broker = self._brokers.get(account_id)
        if broker is None:
            raise Refused(f"no account {account_id} is configured for {self._capabilities.venue}", code="NO_ACCOUNT")
        return broker

    def learn(self, instrument: Instrument) -> None:
        for broker in self._brokers.values():
            broker.learn(instrument)

    async def submit(self, order: SubmitOrder) -> ExecutionReport:
        return await self.of(order.account_id).submit(order)

    async def cancel(self, request: CancelOrder) -> ExecutionReport:
        return await self.of(request.account_id).cancel(request)

    async def replace(self, request: ReplaceOrder) -> ExecutionReport:
        return await self.of(request.account_id).replace(request)

    async def query(self, request: QueryOrder) -> ExecutionReport | None:
        return await self.of(request.account_id).query(request)

    async def open_orders(self, account_id: str) -> list[ExecutionReport]:
        return await self.of(account_id).open_orders(account_id)

    async def positions(self, account_id: str) -> list[HeldPosition]:
        return await self.of(account_id).positions(account_id)

    async def cash(self, account_id: str) -> list[HeldCash]:
        return await self.of(account_id).cash(account_id)

    async def fills(self, account_id: str, cursor: str = "") -> FillPage:
        return await self.of(account_id).fills(account_id, cursor)

    def routes_used(self) -> Mapping[int, int]:
        return summed(broker.routes_used() for broker in self._brokers.values())

    def reports(self) -> AsyncIterator[ExecutionReport]:
        raise AssertionError("each account has reports of its own: ask `of` it")

    async def close(self) -> None:
        for broker in self._brokers.values():
            await broker.close()


def open_broker(
    venue: str,
    options: BrokerOptions,
    mode: Mode,
    *,
    folder: Path,
    typed_venue: str = "",
    environ: Mapping[str, str] | None = None,
) -> OpenBroker:
    """The broker for a venue. `folder` keeps what must outlive the process: sequence numbers, the paper ledger.

    Raises BrokerUnusable, CredentialsUnusable, and where real money is traded and was not meant: LiveNotMeant.
    """
    if mode is Mode.LIVE:
        _mean_it(venue, options, typed_venue)
    _require_one_account(venue, options)
    try:
        return _OPENERS[options.kind](venue, options, mode, folder, typed_venue, environ)
    except (ImportError, ValueError) as error:
        raise BrokerUnusable(f"{venue}: {error}") from error


def _mean_it(venue: str, options: BrokerOptions, typed_venue: str) -> None:
    """Real money is traded only where every word says so."""
    if options.kind is Kind.PAPER:
        raise BrokerUnusable(f"{venue} is a paper venue, and the environment is live; name another broker")
    if typed_venue != venue:
        raise BrokerUnusable(f"{venue} trades real money; type the venue's name to mean it (--live-venue {venue})")
    bare = [account_id for account_id, one in sorted(options.accounts.items()) if not one.number]
    if bare or not options.accounts:
        raise BrokerUnusable(f"{venue}: accounts need their number for real money: {' '.join(bare) or 'none is named'}")


def _require_one_account(venue: str, options: BrokerOptions) -> None:
    """Two routes lead to the same accounts, and where each keeps books of its own there is no second one."""
    lost = [account_id for account_id, one in sorted(options.accounts.items()) if one.second is not None]
    if options.second is None:
        if lost:
            raise BrokerUnusable(f"{venue} has no second route for the second keys of {' '.join(lost)}; name it")
        return
    if options.kind is Kind.PAPER:
        raise BrokerUnusable(f"{venue}: {options.kind} has no second route; take the table `second` out")
    streams = options.kind is Kind.ALPACA
    if lost and not streams:
        raise BrokerUnusable(f"{venue}: the same keys open both routes; take the second keys of {' '.join(lost)} out")
    if not options.second.endpoint or options.second.endpoint == options.endpoint:
        raise BrokerUnusable(f"{venue}: the second route needs an endpoint other than the first one's")
    if bool(options.second.stream) is not streams:
        raise BrokerUnusable(f"{venue}: the second route {'needs a' if streams else 'has no'} stream")
    if options.kind is Kind.FIX:
        host, _, port = options.second.endpoint.rpartition(":")
        if not host or not port.isdecimal():
            raise BrokerUnusable(f"{venue}: the second route needs its endpoint as host:port")
        if (host, int(port)) == (options.host, options.port):
            raise BrokerUnusable(f"{venue}: the second route is the first one's address")


def _keys(venue: str, account_id: str, one: KeyOptions, environ: Mapping[str, str] | None) -> tuple[str, str]:
    who = f"{venue}, account {account_id}"
    return (
        named(f"the key of {who}", one.key_file, one.key_variable, environ),
        named(f"the secret of {who}", one.secret_file, one.secret_variable, environ),
    )


def _paper(
    venue: str, _options: BrokerOptions, _mode: Mode, folder: Path, _typed: str, _environ: Mapping[str, str] | None
) -> OpenBroker:
    from connectors.brokers.paper import PaperBroker, PaperVenue, SqliteLedger  # noqa: PLC0415 - only what is used

    return PaperBroker(PaperVenue(name=venue, ledger=SqliteLedger(folder / f"{venue}-{PAPER_FILE}")))


def _alpaca(
    venue: str, options: BrokerOptions, mode: Mode, _folder: Path, typed: str, environ: Mapping[str, str] | None
) -> OpenBroker:
    from connectors.brokers.alpaca import (  # noqa: PLC0415 - only what is used
        LIVE,
        PAPER,
        AlpacaAccount,
        AlpacaBroker,
        Credentials,
        Endpoint,
    )

    endpoint = LIVE if mode is Mode.LIVE else PAPER
    if options.endpoint:
        endpoint = Endpoint(options.endpoint, options.stream, frozenset({mode}))
    second = None
    if options.second is not None:
        second = Endpoint(options.second.endpoint, options.second.stream, endpoint.modes)
    brokers: dict[str, OpenBroker] = {}
    for account_id, one in options.accounts.items():
        keys = Credentials(*_keys(venue, account_id, one, environ))
        others = None
        if one.second is not None:
            others = Credentials(*_keys(venue, f"{account_id} by its second route", one.second, environ))
        account = AlpacaAccount(account_id, one.number, keys, others)
        brokers[account_id] = AlpacaBroker(
            endpoint, [account], second=second, venue=venue, typed_venue=typed, manners=_manners(options)
        )
    return _by_account(venue, brokers)


def _manners(options: BrokerOptions) -> "Manners":
    from connectors.brokers.alpaca import Manners  # noqa: PLC0415 - only what is used

    # A first route that does not answer leaves time for the second one within the same call.
    connect_s = min(5.0, options.call_timeout_s / (1 if options.second is None else 4))
    return Manners(connect_s=connect_s, answer_s=options.call_timeout_s, audit_s=options.audit_s)


def _crypto(
    venue: str, options: BrokerOptions, mode: Mode, _folder: Path, typed: str, environ: Mapping[str, str] | None
) -> OpenBroker:
    from connectors.brokers.crypto import CryptoAccount, CryptoBroker, CryptoSettings  # noqa: PLC0415
    from connectors.brokers.crypto.calls import CryptoMissing, ccxt  # noqa: PLC0415

    try:
        ccxt()  # its import takes seconds, in which an event loop would stand still
    except CryptoMissing as error:
        raise BrokerUnusable(f"{venue}: {error}") from error
    settings = CryptoSettings(
        exchange=options.exchange,
        venue=venue,
        modes=frozenset({mode}),
        endpoint=options.endpoint,
        second="" if options.second is None else options.second.endpoint,
        typed_venue=typed,
        answer_s=options.call_timeout_s,
        poll_s=min(1.0, options.audit_s),
    )
    brokers: dict[str, OpenBroker] = {}
    for account_id, one in options.accounts.items():
        account = CryptoAccount(account_id, *_keys(venue, account_id, one, environ), one.number)
        settings.check(account)
        brokers[account_id] = CryptoBroker(settings, [account])
    return _by_account(venue, brokers)


def _fix(
    venue: str, options: BrokerOptions, mode: Mode, folder: Path, typed: str, environ: Mapping[str, str] | None
) -> OpenBroker:
    from connectors.brokers.fix import FixAccount, FixBroker, FixSettings  # noqa: PLC0415 - an extra

    password = ""
    if options.password_file or options.password_variable:
        password = named(f"the password of {venue}", options.password_file, options.password_variable, environ)
    second = "" if options.second is None else options.second.endpoint
    second_host, _, second_port = second.rpartition(":")
    settings = FixSettings(
        venue=venue,
        host=options.host,
        port=options.port,
        second_host=second_host,
        second_port=int(second_port or 0),
        sender=options.sender,
        target=options.target,
        folder=folder / f"fix-{venue}",
        modes=frozenset({mode}),
        username=options.username,
        password=password,
        typed_venue=typed,
        client_id_unique=options.client_id_unique,
        answer_s=options.call_timeout_s,
    )
    return FixBroker(settings, [FixAccount(name, one.number) for name, one in options.accounts.items()])


def _by_account(venue: str, brokers: Mapping[str, OpenBroker]) -> OpenBroker:
    if not brokers:
        raise BrokerUnusable(f"{venue} has no accounts; name one, and where its keys are")
    return next(iter(brokers.values())) if len(brokers) == 1 else ByAccount(brokers)


def readers_of(broker: OpenBroker, account_ids: Sequence[str]) -> list[tuple[OpenBroker, tuple[str, ...]]]:
    """The brokers whose reports tell of these accounts, each with those of the accounts that are its."""
    if isinstance(broker, ByAccount):
        return [(broker.of(account_id), (account_id,)) for account_id in account_ids]
    return [(broker, tuple(account_ids))] if account_ids else []


_OPENERS = {Kind.PAPER: _paper, Kind.ALPACA: _alpaca, Kind.FIX: _fix, Kind.CRYPTO: _crypto}
