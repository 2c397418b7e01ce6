"""What things are worth: holdings at their marks, currencies in the base currency, the account in all.

A currency is converted by the mark of an instrument that prices it, never by 1.0 for want of one: what cannot be priced
is None, and whoever asks denies.
"""

from decimal import Decimal

from msgspec.structs import replace

from schemas.reference import ContractKind, Instrument
from schemas.scalars import rounded
from streams.accounts.account import Account, Holding, Totals
from streams.accounts.positions.contract import pays_difference, value
from streams.accounts.positions.ledger import Terms, unrealised
from streams.accounts.shared import Shared

ZERO = Decimal(0)
ONE = Decimal(1)

BOUND = Decimal(10) ** 24
"""No amount or quantity is this large: sums of such would leave the wire's range, so what reaches it is refused."""


def terms_of(instrument: Instrument) -> Terms:
    """What the ledger needs to know of an instrument."""
    return Terms(instrument.contract, instrument.multiplier)


def conversion(shared: Shared, currency: str, base: str) -> Decimal | None:
    """Base currency for one unit of the currency, by the newest mark of a pair; None where there is none above zero."""
    if currency == base:
        return ONE
    pair = shared.pairs.get(f"{currency}/{base}")
    if pair is not None:
        mark = shared.marks.get(pair)
        if mark is not None and mark.last > 0:
            return mark.last
    pair = shared.pairs.get(f"{base}/{currency}")
    if pair is not None:
        mark = shared.marks.get(pair)
        if mark is not None and mark.last > 0:
            return ONE / mark.last
    return None


def conversion_age_us(shared: Shared, currency: str, base: str) -> int | None:
    """Time of the mark by which the currency converts; 0 for the base currency itself, None where there is none."""
    if currency == base:
        return 0
    for name in (f"{currency}/{base}", f"{base}/{currency}"):
        mark = shared.marks.get(shared.pairs.get(name, ""))
        if mark is not None and mark.last > 0:
            return mark.at_us
    return None


def in_base(shared: Shared, amounts: dict[str, Decimal], base: str) -> Decimal | None:
    """The sum of the amounts in the base currency; None where one that is not zero cannot be converted."""
    total = ZERO
    for currency, amount in amounts.items():
        if currency == base:
            total += amount
        elif amount:
            rate = conversion(shared, currency, base)
            if rate is None:
                return None
            total += amount * rate
    return total


def equity_of(account: Account, shared: Shared) -> Decimal | None:
    """Cash and positions in the base currency; None while anything held cannot be priced."""
    totals = account.totals
    if totals.unpriced:
        return None
    base = account.profile.base_currency
    cash = in_base(shared, totals.cash, base)
    values = in_base(shared, totals.values, base)
    return None if cash is None or values is None else rounded(cash + values)


def marked(holding: Holding, instrument: Instrument, mark: Decimal | None, at_us: int) -> Holding:
    """The holding at a mark. Where a mark cannot value it (an inverse contract at zero), it has none."""
    kind, multiplier = instrument.contract, instrument.multiplier
    if mark is None or (kind is ContractKind.INVERSE and mark <= 0):
        return _without_mark(holding, instrument, at_us)
    held = holding.net.quantity
    unit = value(kind, mark, ONE, multiplier)
    notional = held * unit
    if abs(notional) >= BOUND:
        return _without_mark(holding, instrument, at_us)
    if pays_difference(instrument.instrument_class, kind):
        worth = unrealised(holding.net, Terms(kind, multiplier), mark)
    else:
        worth = notional
    exposure = worst_position(holding) * unit
    return replace(
        holding, mark=mark, mark_us=at_us, value=worth, notional=notional, worst=abs(exposure),
        exposure=float(exposure), currency=instrument.settlement_currency, sector=instrument.sector,
    )  # fmt: skip


def _without_mark(holding: Holding, instrument: Instrument, at_us: int) -> Holding:
    return replace(
        holding, mark=None, mark_us=at_us, value=ZERO, notional=ZERO, worst=ZERO, exposure=0.0,
        currency=instrument.settlement_currency, sector=instrument.sector,
    )  # fmt: skip


def worst_position(holding: Holding) -> Decimal:
    """The signed position, of all that fills of working orders in any order and number can lead to, that is largest."""
    held = holding.net.quantity
    if not holding.buys and not holding.sells:
        return held
    return max((held, held + holding.buys, held - holding.sells), key=abs)


def is_unpriced(holding: Holding) -> bool:
    """Whether something is held that has no mark."""
    return holding.mark is None and bool(holding.net.quantity)


def swapped(totals: Totals, old: Holding | None, new: Holding) -> Totals:
    """The sums after a holding changed from old to new."""
    currency = new.currency
    if old is not None and currency and old.currency == currency and old.sector == new.sector:
        return _moved(totals, old, new)
    values, gross, net, worst = dict(totals.values), dict(totals.gross), dict(totals.net), dict(totals.worst)
    sectors = dict(totals.sectors)
    unpriced = totals.unpriced
    if old is not None:
        if old.currency:
            values[old.currency] -= old.value
            gross[old.currency] -= abs(old.notional)
            net[old.currency] -= old.notional
            worst[old.currency] -= old.worst
            sectors[f"{old.currency}|{old.sector}"] -= old.worst
        unpriced -= is_unpriced(old)
    if currency:
        values[currency] = values.get(currency, ZERO) + new.value
        gross[currency] = gross.get(currency, ZERO) + abs(new.notional)
        net[currency] = net.get(currency, ZERO) + new.notional
        worst[currency] = worst.get(currency, ZERO) + new.worst
        sector = f"{currency}|{new.sector}"
        sectors[sector] = sectors.get(sector, ZERO) + new.worst
    unpriced += is_unpriced(new)
    return replace(totals, values=values, gross=gross, net=net, worst=worst, sectors=sectors, unpriced=unpriced)


def _moved(totals: Totals, old: Holding, new: Holding) -> Totals:
    """The sums after a holding moved within its currency and sector, as nearly all do."""
    currency, sector = new.currency, f"{new.currency}|{new.sector}"
    return replace(
        totals,
        values={**totals.values, currency: totals.values[currency] - old.value + new.value},
        gross={**totals.gross, currency: totals.gross[currency] - abs(old.notional) + abs(new.notional)},
        net={**totals.net, currency: totals.net[currency] - old.notional + new.notional},
        worst={**totals.worst, currency: totals.worst[currency] - old.worst + new.worst},
        sectors={**totals.sectors, sector: totals.sectors[sector] - old.worst + new.worst},
        unpriced=totals.unpriced - is_unpriced(old) + is_unpriced(new),
    )
