"""Reference: instruments, fees and sessions."""

from enum import StrEnum
from typing import ClassVar

from schemas.record import Part, Record
from schemas.scalars import Money, Price, Quantity, UtcMicros


class InstrumentClass(StrEnum):
    EQUITY = "EQUITY"
    ETF = "ETF"
    FX = "FX"
    CRYPTO_SPOT = "CRYPTO_SPOT"
    CRYPTO_PERPETUAL = "CRYPTO_PERPETUAL"
    FUTURE = "FUTURE"
    COMMODITY = "COMMODITY"


class ContractKind(StrEnum):
    """Linear pays (close - open) in the quote currency; inverse pays (1/open - 1/close) in the base currency."""

    LINEAR = "LINEAR"
    INVERSE = "INVERSE"


class Instrument(Record, frozen=True):
    """What can be traded, and its rules. The newest record of an instrument holds.

    instrument_id: our id
    symbol: the venue's text
    venue: broker or exchange
    instrument_class: kind of asset
    quote_currency: prices are in it
    base_currency: what one unit is of, for FX and crypto
    settlement_currency: money of P&L: quote currency when linear, base currency when inverse
    contract: linear or inverse
    tick_size: prices are multiples of it
    lot_size: quantities are multiples of it
    multiplier: units of the underlying in one unit of quantity
    price_decimals, quantity_decimals: decimal places shown and accepted
    quantity_min, quantity_max: bounds of one order; absent means none
    notional_min, notional_max: bounds of one order's value in the quote currency; absent means none
    calendar: trading calendar by its exchange-calendars name, `24/7` for none
    price_may_be_negative: prices at or below zero are legal
    shortable: may be sold short
    has_volume: the feed publishes traded quantity
    tradable: orders are permitted
    sector: for concentration limits
    bars_per_year: number of bars a year, to annualise volatility
    version: rises with every change
    tick_bar_us: length of the time bars made of quotes or trades, microseconds; 0 for none
    tick_bar_volume: traded quantity that closes a volume bar; absent means no volume bars
    """

    source_id: ClassVar[tuple[str, ...]] = ("instrument_id", "version")

    instrument_id: str
    symbol: str
    venue: str
    instrument_class: InstrumentClass
    quote_currency: str
    settlement_currency: str
    contract: ContractKind
    tick_size: Price
    lot_size: Quantity
    multiplier: Quantity
    price_decimals: int
    quantity_decimals: int
    calendar: str
    price_may_be_negative: bool
    shortable: bool
    has_volume: bool
    version: int
    tradable: bool = True
    base_currency: str = ""
    quantity_min: Quantity | None = None
    quantity_max: Quantity | None = None
    notional_min: Money | None = None
    notional_max: Money | None = None
    sector: str = ""
    bars_per_year: int = 252
    tick_bar_us: int = 60_000_000
    tick_bar_volume: Quantity | None = None


class FeeSchedule(Record, frozen=True):
    """What a venue takes for a fill; used to estimate costs before the order, never instead of the broker's own figure.

    venue: whose fees
    version: rises with every change
    rate: share of notional, e.g. 0.0002
    per_unit: amount for each unit of quantity
    minimum: least fee of one order
    currency: of `per_unit` and `minimum`
    """

    source_id: ClassVar[tuple[str, ...]] = ("venue", "version")

    venue: str
    version: int
    rate: Quantity
    per_unit: Money
    minimum: Money
    currency: str


class Session(Part, frozen=True):
    """One stretch of trading.

    opens_us, closes_us: microseconds of UTC
    """

    opens_us: UtcMicros
    closes_us: UtcMicros


class TradingSession(Record, frozen=True):
    """Sessions of one calendar for some days ahead; outside them nothing trades.

    calendar: its exchange-calendars name
    version: rises with every change
    sessions: in time order
    covers_until_us: after this nothing is known, and unknown means no
    """

    source_id: ClassVar[tuple[str, ...]] = ("calendar", "version")

    calendar: str
    version: int
    sessions: list[Session]
    covers_until_us: UtcMicros


class TradingStatus(Record, frozen=True):
    """What its venue says of trading in one instrument, as FIX's SecurityTradingStatus (326) does: halted, or resumed.

    instrument_id: our id of the instrument
    version: rises with every change
    halted: whether trading is halted
    reason: the venue's words, for people
    """

    source_id: ClassVar[tuple[str, ...]] = ("instrument_id", "version")

    instrument_id: str
    version: int
    halted: bool
    reason: str = ""


class CorporateActionKind(StrEnum):
    SPLIT = "SPLIT"
    DIVIDEND = "DIVIDEND"


class CorporateAction(Record, frozen=True):
    """What an issuer does to what is held; the event time is when prices go without it (ex).

    A split multiplies units and divides prices; a dividend is cash for each unit held, and owed by who is short.

    instrument_id: our id of the instrument
    version: rises with every action of the instrument; the same version twice is one action
    kind: split or dividend
    ratio: new units for one old one; for SPLIT, above zero, below one for a reverse split
    amount: cash for one unit, in the settlement currency, above zero; for DIVIDEND
    reason: the source's words
    """

    source_id: ClassVar[tuple[str, ...]] = ("instrument_id", "version")

    instrument_id: str
    version: int
    kind: CorporateActionKind
    ratio: Quantity | None = None
    amount: Money | None = None
    reason: str = ""

    @property
    def sound(self) -> bool:
        """Whether it says what its kind needs."""
        wanted = self.ratio if self.kind is CorporateActionKind.SPLIT else self.amount
        return wanted is not None and wanted.is_finite() and wanted > 0
