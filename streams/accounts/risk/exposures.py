"""Exposures in base currency as plain numbers, for the portfolio measures; and by every dimension, for people."""

from decimal import Decimal

from streams.accounts.account import Account, Holding
from streams.accounts.positions.contract import ONE, value
from streams.accounts.risk.view import View
from streams.accounts.shared import Shared
from streams.accounts.valuation import conversion


def worst_signed(holding: Holding, extra: Decimal = Decimal(0)) -> Decimal:
    """The signed position, of all that working orders can lead to, that is largest; `extra` is one order more."""
    held = holding.net.quantity
    buys = holding.buys + max(Decimal(0), extra)
    sells = holding.sells - min(Decimal(0), extra)
    return max((held, held + buys, held - sells), key=abs)


def exposures_of(view: View) -> dict[str, float] | None:
    """Worst signed exposure of each instrument with the proposed order; None where one cannot be priced."""
    if view.unit_mark is None:
        return None
    found = account_exposures(view.account, view.shared, skip=view.proposal.instrument_id)
    if found is None or view.mark is None:
        return None
    sign = 1 if view.mark.last >= 0 else -1
    held, buys, sells = view.held, view.buys, view.sells
    if view.buying:
        buys += view.quantity
    else:
        sells += view.quantity
    worst = max((held, held + buys, held - sells), key=abs)
    found[view.proposal.instrument_id] = float(worst * view.unit_mark) * sign
    return found


def account_exposures(account: Account, shared: Shared, skip: str = "") -> dict[str, float] | None:
    """Worst signed exposure of each instrument held or worked; None where one cannot be priced."""
    base = account.profile.base_currency
    rates: dict[str, float | None] = {}
    found: dict[str, float] = {}
    for name, holding in account.holdings.items():
        if name == skip or not holding.worst:
            if holding.mark is None and holding.net.quantity:
                return None
            continue
        currency = holding.currency
        if currency not in rates:
            rate = conversion(shared, currency, base)
            rates[currency] = None if rate is None else float(rate)
        factor = rates[currency]
        if factor is None:
            return None
        if holding.buys or holding.sells:
            instrument = shared.instruments.get(name)
            if instrument is None or holding.mark is None:
                return None
            unit = value(instrument.contract, holding.mark, ONE, instrument.multiplier)
            found[name] = float(worst_signed(holding) * unit) * factor
        else:
            found[name] = float(holding.notional) * factor
    return found


def by_dimension(account: Account, shared: Shared) -> list[tuple[str, str, float, float]]:
    """(dimension, member, net, gross) of what is held, by instrument, sector, currency and strategy, in that order."""
    base = account.profile.base_currency
    sums: dict[tuple[int, str, str], list[float]] = {}
    for name in sorted(account.holdings):
        holding = account.holdings[name]
        instrument = shared.instruments.get(name)
        rate = conversion(shared, holding.currency, base) if holding.currency else None
        if instrument is None or rate is None or not holding.net.quantity:
            continue
        amount = float(holding.notional * rate)
        for order, dimension, member in (
            (0, "INSTRUMENT", name), (1, "SECTOR", instrument.sector), (2, "CURRENCY", instrument.settlement_currency),
        ):  # fmt: skip
            _add(sums, (order, dimension, member), amount)
        for owner, net in sorted(holding.owners.items()):
            share = float(net.quantity / holding.net.quantity) if holding.net.quantity else 0.0
            _add(sums, (3, "STRATEGY", owner), amount * share)
    return [(key[1], key[2], pair[0], pair[1]) for key, pair in sorted(sums.items())]


def _add(sums: dict[tuple[int, str, str], list[float]], key: tuple[int, str, str], amount: float) -> None:
    pair = sums.setdefault(key, [0.0, 0.0])
    pair[0] += amount
    pair[1] += abs(amount)
