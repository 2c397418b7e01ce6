"""Which crypto venue, whose account there, and how patient we are."""

from dataclasses import dataclass, field

from connectors.brokers.crypto.dialects import DIALECTS, Dialect
from schemas.control import Mode


@dataclass(frozen=True, slots=True)
class CryptoAccount:
    """One of our accounts, and its keys there.

    fingerprint: the account's own number, where the venue tells one; another one is refused.
    """

    account_id: str
    key: str = field(repr=False)
    secret: str = field(repr=False)
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class CryptoSettings:
    """One venue.

    exchange: its name in ccxt, one of `DIALECTS`.
    venue: its name to us.
    endpoint: scheme and host instead of the venue's own, for a test environment.
    second: the same of another address of the same venue, which the same keys open: the second route; empty for none.
    modes: orders of other modes are refused; with LIVE, `typed_venue` must be the venue's name, and every account must
        have a fingerprint.
    answer_s: how long an answer may take.
    poll_s: how often the account is asked what happened: these venues are asked, not listened to.
    throttle: keep to the venue's request rates.
    """

    exchange: str
    venue: str
    modes: frozenset[Mode]
    endpoint: str = ""
    second: str = ""
    typed_venue: str = ""
    answer_s: float = 10.0
    poll_s: float = 1.0
    throttle: bool = True

    @property
    def dialect(self) -> Dialect:
        return DIALECTS[self.exchange]

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The addresses, the preferred one first."""
        return (self.endpoint, self.second) if self.second else (self.endpoint,)

    def check(self, account: CryptoAccount) -> None:
        """Raise ValueError for an unknown exchange, and where real money is traded without the words and numbers."""
        if self.exchange not in DIALECTS:
            raise ValueError(f"{self.exchange} is none of {', '.join(sorted(DIALECTS))}")
        if Mode.LIVE not in self.modes:
            return
        if self.typed_venue != self.venue:
            raise ValueError(f"{self.venue} trades real money; type the venue's name to mean it")
        if not self.dialect.tells_account:
            raise ValueError(f"{self.venue} does not tell whose account it is; real money is not traded there yet")
        if not account.fingerprint:
            raise ValueError(f"account {account.account_id} at {self.venue} needs its fingerprint for real money")
