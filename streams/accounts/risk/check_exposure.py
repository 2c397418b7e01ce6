"""Checks of what the account would hold: cash, margin, positions, concentration, exposure."""

from decimal import Decimal

from schemas.control import MarginRegime
from streams.accounts.positions.contract import ONE, value
from streams.accounts.risk.reading import Reading, denied, passed, text, unless_shrinking, within
from streams.accounts.risk.view import View, maintenance_rate
from streams.accounts.valuation import conversion, in_base

ZERO = Decimal(0)


def equity_positive(view: View) -> Reading:
    if view.equity is None:
        return denied("EQUITY_UNKNOWN", "", "", f"unpriced={view.account.totals.unpriced}")
    return passed(view.equity, 0) if view.equity > 0 else denied("EQUITY_NOT_POSITIVE", view.equity, 0)


def cash(view: View) -> Reading:
    """Cash that is free covers what the order costs at its worst price, fee included. For cash accounts."""
    if view.account.profile.margin is not MarginRegime.CASH:
        return passed("margin account")
    if view.unit_cash is None or view.rate is None:
        return denied("CASH_UNKNOWN")
    if view.fee is None:
        return denied("FEES_UNKNOWN", view.account.profile.venue)
    free = view.cash_free()
    if free is None:
        return denied("CASH_UNKNOWN")
    needed = (view.unit_cash * view.quantity + view.fee) * view.rate
    if needed > free:
        return denied("CASH", needed, free, f"fee={text(view.fee)}")
    return passed(needed, free)


def margin_initial(view: View) -> Reading:
    """Equity covers the initial margin of the worst book that could come. For margin accounts."""
    if view.account.profile.margin is MarginRegime.CASH:
        return passed("cash account")
    if view.fee is None:
        return denied("FEES_UNKNOWN", view.account.profile.venue)
    worst, equity = view.worst_total(), view.equity
    if worst is None or equity is None:
        return denied("MARGIN_INITIAL_UNKNOWN")
    needed = worst * view.margin_rate
    reading = passed(needed, equity) if needed <= equity else denied("MARGIN_INITIAL", needed, equity)
    return unless_shrinking(view, reading)


def margin_maintenance(view: View) -> Reading:
    """Equity covers the maintenance margin of what is held now: otherwise nothing may be added."""
    profile = view.account.profile
    if profile.margin is MarginRegime.CASH:
        return passed("cash account")
    gross, equity = in_base(view.shared, view.account.totals.gross, profile.base_currency), view.equity
    if gross is None or equity is None:
        return denied("MARGIN_MAINTENANCE_UNKNOWN")
    needed = gross * maintenance_rate(profile.margin, view.bounds)
    reading = passed(needed, equity) if needed <= equity else denied("MARGIN_MAINTENANCE", needed, equity)
    return unless_shrinking(view, reading)


def position_value(view: View) -> Reading:
    return _bounded(view, "position_value_max", view.value_after, "POSITION_VALUE", _position(view))


def position_quantity(view: View) -> Reading:
    return _bounded(view, "position_quantity_max", view.worst_after, "POSITION_QUANTITY", _position(view))


def concentration(view: View) -> Reading:
    share = _of_equity(view, view.value_after)
    return _bounded(view, "concentration_max", share, "CONCENTRATION", _position(view))


def sector_concentration(view: View) -> Reading:
    name = "sector_concentration_max"
    if view.bounds.limit(name) is None:
        return passed()
    sector = "" if view.instrument is None else view.instrument.sector
    if not sector:
        return denied("SECTOR_CONCENTRATION_UNKNOWN", "", "", "sector=unknown")
    total = _of_sector(view, sector)
    return _bounded(view, name, _of_equity(view, total), "SECTOR_CONCENTRATION", f"sector={sector}")


def currency_concentration(view: View) -> Reading:
    name = "currency_concentration_max"
    if view.bounds.limit(name) is None or view.instrument is None or view.rate is None or view.value_after is None:
        return within(view, name, None, "CURRENCY_CONCENTRATION")
    currency = view.instrument.settlement_currency
    held = view.account.totals.worst.get(currency, ZERO) * view.rate
    total = held - view.holding.worst * view.rate + view.value_after
    return _bounded(view, name, _of_equity(view, total), "CURRENCY_CONCENTRATION", f"currency={currency}")


def strategy_exposure(view: View) -> Reading:
    name = "strategy_exposure_max"
    if view.bounds.limit(name) is None:
        return passed()
    return _bounded(view, name, _of_strategy(view), "STRATEGY_EXPOSURE")


def strategy_concentration(view: View) -> Reading:
    name = "strategy_concentration_max"
    if view.bounds.limit(name) is None:
        return passed()
    return _bounded(view, name, _of_equity(view, _of_strategy(view)), "STRATEGY_CONCENTRATION")


def gross_exposure(view: View) -> Reading:
    return _bounded(view, "gross_exposure_max", view.worst_total(), "GROSS_EXPOSURE")


def net_exposure(view: View) -> Reading:
    net = view.net_total()
    return _bounded(view, "net_exposure_max", None if net is None else abs(net), "NET_EXPOSURE")


def leverage(view: View) -> Reading:
    return _bounded(view, "leverage_max", _of_equity(view, view.worst_total()), "LEVERAGE")


def _bounded(view: View, name: str, value: Decimal | None, code: str, inputs: str = "") -> Reading:
    """Within the limit, or not further from it than before."""
    return unless_shrinking(view, within(view, name, value, code, inputs))


def _position(view: View) -> str:
    if WORDS not in view.memo:
        view.memo[WORDS] = (
            f"held={text(view.held)} buys={text(view.buys)} sells={text(view.sells)} order={text(view.signed)}"
        )
    found: str = view.memo[WORDS]
    return found


WORDS = "position"


def _of_equity(view: View, amount: Decimal | None) -> Decimal | None:
    equity = view.equity
    return None if amount is None or equity is None or equity <= 0 else amount / equity


def _of_sector(view: View, sector: str) -> Decimal | None:
    """Worst value of the sector's holdings, the proposed order included; None where one cannot be converted."""
    if view.value_after is None or view.rate is None:
        return None
    base = view.account.profile.base_currency
    total = view.value_after
    if view.holding.sector == sector:
        total -= view.holding.worst * view.rate
    for key, amount in view.account.totals.sectors.items():
        currency, _, name = key.partition("|")
        if name == sector and amount:
            rate = conversion(view.shared, currency, base)
            if rate is None:
                return None
            total += amount * rate
    return total


def _of_strategy(view: View) -> Decimal | None:
    """Worst value of what the strategy holds and works in all instruments, this order included."""
    if OWN not in view.memo:
        view.memo[OWN] = _sum_of_strategy(view)
    found: Decimal | None = view.memo[OWN]
    return found


OWN = "strategy"


def _sum_of_strategy(view: View) -> Decimal | None:
    strategy = view.proposal.strategy_id
    worst: dict[str, list[Decimal]] = {}
    for holding in [one for one in view.account.holdings.values() if strategy in one.owners]:
        quantity = holding.owners[strategy].quantity
        if quantity:
            worst[holding.instrument_id] = [quantity, ZERO, ZERO]
    for order in [one for one in view.account.orders.values() if one.strategy_id == strategy]:
        if order is not view.proposal.replaces:
            _add(worst.setdefault(order.instrument_id, [ZERO, ZERO, ZERO]), order.signed, order.counted)
    _add(worst.setdefault(view.proposal.instrument_id, [ZERO, ZERO, ZERO]), 1 if view.buying else -1, view.quantity)
    total = ZERO
    for instrument_id, (held, buys, sells) in worst.items():
        unit = _unit(view, instrument_id)
        if unit is None:
            return None
        total += max(abs(held), abs(held + buys), abs(held - sells)) * unit
    return total


def _add(entry: list[Decimal], sign: int, quantity: Decimal) -> None:
    entry[1 if sign > 0 else 2] += quantity


def _unit(view: View, instrument_id: str) -> Decimal | None:
    """Absolute value of one unit in the base currency."""
    instrument, mark = view.shared.instruments.get(instrument_id), view.shared.marks.get(instrument_id)
    if instrument is None or mark is None or (mark.last <= 0 and instrument.contract.value == "INVERSE"):
        return None
    rate = conversion(view.shared, instrument.settlement_currency, view.account.profile.base_currency)
    return None if rate is None else abs(value(instrument.contract, mark.last, ONE, instrument.multiplier)) * rate
