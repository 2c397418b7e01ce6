"""One account: what it is, its sums, its flow of orders, its positions and orders. Immutable, and kept in parts."""

from decimal import Decimal

from msgspec import field

from schemas.control import MarginRegime, Mode, SizingMethod, TradingState
from schemas.record import Part
from schemas.risk import DiscrepancyKind, Limit, LimitChange
from streams.accounts.orders.brackets import Bracket
from streams.accounts.orders.order import Order
from streams.accounts.positions.ledger import FLAT, Net
from streams.accounts.risk.guards import Guard
from streams.accounts.risk.portfolio import History
from streams.accounts.risk.protections import Closed
from streams.accounts.risk.recent import Flow

ZERO = Decimal(0)


class Profile(Part, frozen=True):
    """What an account is and what it may do; changes when people change it.

    limits: bounds by `name|scope|scope_id`
    waiting: limit changes that are not effective yet
    requests: ids of requests folded, newest last
    movements: ids of cash movements folded
    watched: instruments of its strategies, whose marks it follows even when flat
    tags: interests by which broadcast records find the account
    """

    account_id: str
    base_currency: str = ""
    venue: str = ""
    mode: Mode = Mode.PAPER
    sizing: SizingMethod = SizingMethod.FIXED_FRACTION
    margin: MarginRegime = MarginRegime.CASH
    opened: bool = False
    limits: dict[str, Limit] = field(default_factory=dict)
    waiting: tuple[LimitChange, ...] = ()
    requests: tuple[str, ...] = ()
    movements: dict[str, int] = field(default_factory=dict)
    watched: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


class Case(Part, frozen=True):
    """A discrepancy that is not resolved."""

    kind: DiscrepancyKind
    instrument_id: str
    currency: str
    ours: str
    theirs: str
    since_us: int


class Latch(Part, frozen=True):
    """A check that tripped and stays so until a named person re-arms it, or until a time."""

    check_id: str
    scope_id: str
    since_us: int
    value: str
    limit: str
    until_us: int = 0


class Condition(Part, frozen=True):
    """What holds the account back, apart from switches.

    own: trading states of its own making, by reason
    cases: open discrepancies by id
    latches: by `check_id|scope_id`
    unreadable_us: newest unreadable record not yet reconciled; 0 for none
    unreadable_seen: where unreadable records lay, newest last
    positions_agreed_us, cash_agreed_us: when the broker last agreed in all
    acted: newest version of each switch that was carried out
    drift: cash taken over from the broker by `cash_drift_max` on `drift_day` (since 1970), in the base currency
    """

    own: dict[str, TradingState] = field(default_factory=dict)
    cases: dict[str, Case] = field(default_factory=dict)
    latches: dict[str, Latch] = field(default_factory=dict)
    unreadable_us: int = 0
    unreadable_seen: tuple[str, ...] = ()
    positions_agreed_us: int = 0
    cash_agreed_us: int = 0
    acted: dict[str, int] = field(default_factory=dict)
    drift: Decimal = ZERO
    drift_day: int = 0


class Totals(Part, frozen=True):
    """Sums over the account, kept up with every mark and fill. By currency where they are dictionaries.

    cash: signed; reserved: cash or margin held for working orders
    values: what positions add to equity; gross, net: absolute and signed notional; worst: absolute notional if the
        working orders that increase it all fill
    sectors: worst by `currency|sector`
    equity: in the base currency, as last computed; absent where something cannot be priced
    peak: highest equity, moved by deposits and withdrawals
    deposits: money in less money out, in the base currency; absent once a movement could not be converted
    day: days since 1970; day_equity: equity with which it began, moved by deposits
    window_us, window_equity: start of the present loss window and the equity then; before_equity: of the one before
    ticked_us: newest tick folded
    snapshot_us: time of the newest risk snapshot; marked_us: of the newest that new marks brought; analysed_us: of the
        newest with the portfolio's measures
    """

    cash: dict[str, Decimal] = field(default_factory=dict)
    reserved: dict[str, Decimal] = field(default_factory=dict)
    values: dict[str, Decimal] = field(default_factory=dict)
    gross: dict[str, Decimal] = field(default_factory=dict)
    net: dict[str, Decimal] = field(default_factory=dict)
    worst: dict[str, Decimal] = field(default_factory=dict)
    sectors: dict[str, Decimal] = field(default_factory=dict)
    equity: Decimal | None = ZERO
    peak: Decimal = ZERO
    deposits: Decimal | None = ZERO
    day: int = 0
    day_equity: Decimal | None = None
    window_us: int = 0
    window_equity: Decimal | None = None
    before_equity: Decimal | None = None
    ticked_us: int = 0
    snapshot_us: int = 0
    marked_us: int = 0
    analysed_us: int = 0
    unpriced: int = 0


class Holding(Part, frozen=True):
    """A position, what of it belongs to whom, and what works on it.

    net: of the account; owners: of each strategy
    other_fees: fees in other currencies than the settlement currency
    buys, sells: open quantities of working orders
    mark, mark_us: last folded; value: what it adds to equity; notional: signed; worst: absolute, if what works fills
    exposure: the worst signed position at the mark, as a plain number for the portfolio's measures
    currency: of these amounts; sector: of the instrument; both empty before the first valuation
    last_strategy: who traded last
    guards: what watches it, by owner; the owner of the whole position is empty
    """

    instrument_id: str
    net: Net = FLAT
    owners: dict[str, Net] = field(default_factory=dict)
    other_fees: dict[str, Decimal] = field(default_factory=dict)
    buys: Decimal = ZERO
    sells: Decimal = ZERO
    mark: Decimal | None = None
    mark_us: int = 0
    value: Decimal = ZERO
    notional: Decimal = ZERO
    worst: Decimal = ZERO
    exposure: float = 0.0
    currency: str = ""
    sector: str = ""
    last_strategy: str = ""
    guards: dict[str, Guard] = field(default_factory=dict)


class Trades(Part, frozen=True):
    """Trades that were closed lately, oldest first, for protections."""

    closed: tuple[Closed, ...] = ()


class Account(Part, frozen=True):
    """One account.

    holdings: in name order; floats are summed over them
    orders: those that may still trade; ended: those that ended lately, for late words about them
    brackets: linked exits, by the order or request that they belong to
    """

    profile: Profile
    condition: Condition = Condition()
    totals: Totals = Totals()
    flow: Flow = Flow()
    trades: Trades = Trades()
    histories: dict[str, History] = field(default_factory=dict)
    holdings: dict[str, Holding] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    ended: dict[str, Order] = field(default_factory=dict)
    brackets: dict[str, Bracket] = field(default_factory=dict)
