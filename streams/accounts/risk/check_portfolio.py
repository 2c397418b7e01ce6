"""Checks of the portfolio that would result: value at risk, expected shortfall, correlated exposure, stress.

They cost the account nothing where their limit is not set: then they pass unmeasured.
"""

from decimal import Decimal

from streams.accounts.risk.exposures import proposed_book
from streams.accounts.risk.portfolio import Book, Measures, measure, stressed
from streams.accounts.risk.reading import Reading, passed, text, unless_shrinking, within
from streams.accounts.risk.view import View

BOOK, MEASURES, WORDS = "book", "measures", "equity"


def value_at_risk(view: View) -> Reading:
    return _of_measures(view, "value_at_risk_max", "VALUE_AT_RISK", "parametric")


def historical_value_at_risk(view: View) -> Reading:
    return _of_measures(view, "historical_value_at_risk_max", "HISTORICAL_VALUE_AT_RISK", "historical")


def expected_shortfall(view: View) -> Reading:
    return _of_measures(view, "expected_shortfall_max", "EXPECTED_SHORTFALL", "shortfall_97_5")


def correlated_exposure(view: View) -> Reading:
    return _of_measures(view, "correlated_exposure_max", "CORRELATED_EXPOSURE", "correlated")


def stress_loss(view: View) -> Reading:
    """The worst declared scenario."""
    if view.bounds.limit("stress_loss_max") is None:
        return passed("not limited")
    book = _book(view)
    if book is None:
        return within(view, "stress_loss_max", None, "STRESS_LOSS")
    results = stressed(view.account.histories, book, view.shared.instruments, measures(view))
    known = [(result, name) for name, result in results.items() if result is not None]
    if len(known) < len(results):
        return within(view, "stress_loss_max", None, "STRESS_LOSS", "history=short")
    worst, name = min(known)
    return unless_shrinking(
        view, within(view, "stress_loss_max", _of_equity(view, max(0.0, -worst)), "STRESS_LOSS", f"scenario={name}")
    )


def _of_measures(view: View, limit: str, code: str, field: str) -> Reading:
    if view.bounds.limit(limit) is None:
        return passed("not limited")
    found = measures(view)
    amount = None if found is None else _of_equity(view, float(getattr(found, field)))
    if WORDS not in view.memo:
        view.memo[WORDS] = f"equity={text(view.equity)}"
    return unless_shrinking(view, within(view, limit, amount, code, view.memo[WORDS]))


def measures(view: View) -> Measures | None:
    """Measures of the resulting portfolio, computed once for a view."""
    if MEASURES not in view.memo:
        book = _book(view)
        view.memo[MEASURES] = None if book is None else measure(view.account.histories, book)
    found: Measures | None = view.memo[MEASURES]
    return found


def _book(view: View) -> Book | None:
    if BOOK not in view.memo:
        view.memo[BOOK] = proposed_book(view)
    found: Book | None = view.memo[BOOK]
    return found


def _of_equity(view: View, amount: float) -> Decimal | None:
    equity = view.equity
    return None if equity is None or equity <= 0 else Decimal(repr(amount)) / equity
