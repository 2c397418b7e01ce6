"""State: what the room keeps of one account. Pure data; amounts by currency, so that nothing is added across them."""

from decimal import Decimal

from msgspec import field

from schemas.position import PnlDimension
from schemas.record import Part
from schemas.scalars import ZERO
from streams.pnl.days import Days
from streams.pnl.lines import Line

Amounts = dict[str, Decimal]
"""Money by currency."""

SEPARATOR = "\t"
"""Between the words of a key; no id holds it."""


class Member(Part, frozen=True):
    """Totals of one strategy, provider or instrument, or of the account.

    realised, fees, unrealised, turnover: by currency
    unpriced: open lines without a value
    fills: number of fills
    trips, wins: round trips from flat to flat, and those with a profit after fees
    best: highest result after fees at the end of a day, in the base currency; of strategies
    suggested: codes of the suggestions that stand; of strategies
    """

    realised: Amounts = field(default_factory=dict)
    fees: Amounts = field(default_factory=dict)
    unrealised: Amounts = field(default_factory=dict)
    turnover: Amounts = field(default_factory=dict)
    unpriced: int = 0
    fills: int = 0
    trips: int = 0
    wins: int = 0
    best: Decimal = ZERO
    suggested: tuple[str, ...] = ()


class Header(Part, frozen=True):
    """The account itself.

    currency: base currency; empty before it is known
    conversions: base currency for one unit of each currency
    equity, peak: newest and highest; peak moves with deposits; None before the first
    deposits: net deposits behind them
    days: daily returns
    open_lines: keys of the lines that are open in each instrument
    dirty: keys of the members that changed since they were last told
    """

    currency: str = ""
    conversions: Amounts = field(default_factory=dict)
    equity: Decimal | None = None
    peak: Decimal | None = None
    deposits: Decimal = ZERO
    days: Days = Days()
    open_lines: dict[str, tuple[str, ...]] = field(default_factory=dict)
    dirty: tuple[str, ...] = ()


class AccountPnl(Part, frozen=True):
    """All of one account.

    account_id: whose
    header: the account itself
    lines: by key: dimension, member, instrument
    members: by key: dimension, member
    """

    account_id: str
    header: Header = Header()
    lines: dict[str, Line] = field(default_factory=dict)
    members: dict[str, Member] = field(default_factory=dict)


_PREFIX = {dimension: f"{dimension.value}{SEPARATOR}" for dimension in PnlDimension}
_DIMENSION = {dimension.value: dimension for dimension in PnlDimension}


def member_key(dimension: PnlDimension, member: str) -> str:
    """Key of a member."""
    return _PREFIX[dimension] + member


def dimension_of(key: str) -> tuple[PnlDimension, str]:
    """Dimension and name of the member with this key."""
    dimension, _, name = key.partition(SEPARATOR)
    return _DIMENSION[dimension], name


def line_key(member: str, instrument_id: str) -> str:
    """Key of the member's line in an instrument."""
    return f"{member}{SEPARATOR}{instrument_id}"


def plus(amounts: Amounts, currency: str, amount: Decimal) -> Amounts:
    """The amounts with this much more of a currency."""
    if not amount:
        return amounts
    return {**amounts, currency: amounts.get(currency, ZERO) + amount}
