"""Whom a FIX session is with, who trades there, and how patient we are."""

from dataclasses import dataclass, field
from pathlib import Path

from connectors.protocols import ClientIdUnique
from schemas.control import Mode
from schemas.order import OrderType, TimeInForce


@dataclass(frozen=True, slots=True)
class FixAccount:
    """One of our accounts, and its name there (tag 1)."""

    account_id: str
    account: str


@dataclass(frozen=True, slots=True)
class FixSettings:
    """One session with one counterparty.

    folder: where sequence numbers and the journal of what was told are kept; it outlives the process.
    second_host, second_port: where the same session is kept too, tried in turn with the first; none without a port.
    modes: orders of other modes are refused; with LIVE, `typed_venue` must be the venue's name.
    password: sent in the Logon, written nowhere.
    client_id_unique: for how long the counterparty refuses a ClOrdID that it has seen.
    reset_on_logon: where the counterparty begins every session with sequence number 1; what was told while we were
        away is then not told again.
    answer_s: how long an answer may take.
    tells_cash: it answers a collateral inquiry.
    dictionary: FIX44.xml, or the one that QuickFIX brings.
    """

    venue: str
    host: str
    port: int
    sender: str
    target: str
    folder: Path
    modes: frozenset[Mode]
    second_host: str = ""
    second_port: int = 0
    username: str = ""
    password: str = field(default="", repr=False)
    typed_venue: str = ""
    client_id_unique: ClientIdUnique = ClientIdUnique.WHILE_OPEN
    client_id_length: int = 32
    order_types: frozenset[OrderType] = frozenset(
        {OrderType.MARKET, OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT}
    )
    times_in_force: frozenset[TimeInForce] = frozenset(TimeInForce)
    heartbeat_s: int = 10
    reset_on_logon: bool = False
    reconnect_s: int = 1
    logon_s: float = 10.0
    answer_s: float = 10.0
    tells_cash: bool = True
    dictionary: Path | None = None

    def check(self) -> None:
        """Raise ValueError where real money is traded and the venue's name was not typed out."""
        if Mode.LIVE in self.modes and self.typed_venue != self.venue:
            raise ValueError(f"{self.venue} trades real money; type the venue's name to mean it")
