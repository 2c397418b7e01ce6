"""Exposures in base currency as plain numbers, for the portfolio measures; and by every dimension, for people."""

from bisect import bisect_left

from streams.accounts.account import Account
from streams.accounts.risk.portfolio import Book, book_of
from streams.accounts.risk.view import View
from streams.accounts.shared import Shared
from streams.accounts.valuation import conversion


def proposed_book(view: View) -> Book | None:
    """Worst exposure of each instrument with the proposed order; None where one cannot be priced."""
    if view.unit_mark is None or view.mark is None:
        return None
    found = _amounts(view.account, view.shared)
    if found is None:
        return None
    names, amounts = found
    held, buys, sells = view.held, view.buys, view.sells
    if view.buying:
        buys += view.quantity
    else:
        sells += view.quantity
    worst = max((held, held + buys, held - sells), key=abs)
    amount = float(worst * view.unit_mark)
    if view.mark.last < 0:
        amount = -amount
    name = view.proposal.instrument_id
    place = bisect_left(names, name)
    if place < len(names) and names[place] == name:
        amounts[place] = amount
    else:
        names.insert(place, name)
        amounts.insert(place, amount)
    return book_of(names, amounts)


def account_book(account: Account, shared: Shared) -> Book | None:
    """Worst exposure of each instrument held or worked; None where one cannot be priced."""
    found = _amounts(account, shared)
    return None if found is None else book_of(*found)


def _amounts(account: Account, shared: Shared) -> tuple[list[str], list[float]] | None:
    """Instruments in name order and their worst signed exposures."""
    if account.totals.unpriced:
        return None
    base = account.profile.base_currency
    rates: dict[str, float] = {base: 1.0, "": 0.0}
    for currency in account.totals.worst:
        if currency not in rates:
            rate = conversion(shared, currency, base)
            if rate is None:
                return None
            rates[currency] = float(rate)
    exposed = [(name, holding) for name, holding in account.holdings.items() if holding.exposure]
    return [name for name, _ in exposed], [holding.exposure * rates[holding.currency] for _, holding in exposed]


def by_dimension(account: Account, shared: Shared) -> list[tuple[str, str, float, float]]:
    """(dimension, member, net, gross) of what is held, by instrument, sector, currency and strategy, in that order."""
    base = account.profile.base_currency
    sums: dict[tuple[int, str, str], list[float]] = {}
    for name, holding in account.holdings.items():
        rate = conversion(shared, holding.currency, base) if holding.currency else None
        if rate is None or not holding.net.quantity:
            continue
        amount = float(holding.notional * rate)
        _add(sums, (0, "INSTRUMENT", name), amount)
        _add(sums, (1, "SECTOR", holding.sector), amount)
        _add(sums, (2, "CURRENCY", holding.currency), amount)
        for owner, net in sorted(holding.owners.items()):
            _add(sums, (3, "STRATEGY", owner), amount * float(net.quantity / holding.net.quantity))
    return [(key[1], key[2], pair[0], pair[1]) for key, pair in sorted(sums.items())]


def _add(sums: dict[tuple[int, str, str], list[float]], key: tuple[int, str, str], amount: float) -> None:
    pair = sums.setdefault(key, [0.0, 0.0])
    pair[0] += amount
    pair[1] += abs(amount)
