"""Money of one currency in another: by the newest mark of a pair, either way round, and never by a guess."""

from decimal import Decimal
from typing import Any

import pytest

from streams.accounts.shared import KnownMark, Shared
from streams.accounts.valuation import conversion, conversion_age_us, in_base

EURUSD, USDJPY = "EURUSD", "USDJPY"


def known(**lasts: str) -> Shared:
    """Marks of the pairs at these prices, each a second newer than the one before."""
    marks = {
        name: KnownMark(
            last=Decimal(last), low=Decimal(last), high=Decimal(last), at_us=second, day=0, day_first=Decimal(last)
        )
        for second, (name, last) in enumerate(lasts.items(), 1)
    }
    return Shared(pairs={"EUR/USD": EURUSD, "USD/JPY": USDJPY}, marks=marks)


@pytest.mark.parametrize(
    ("currency", "base", "rate"),
    [
        ("EUR", "USD", "1.25"),
        ("USD", "EUR", "0.8"),
        ("USD", "JPY", "160"),
        ("JPY", "USD", "0.00625"),
        ("USD", "USD", "1"),
    ],
)
def test_a_pair_converts_both_ways(currency: str, base: str, rate: str) -> None:
    assert conversion(known(EURUSD="1.25", USDJPY="160"), currency, base) == Decimal(rate)


@pytest.mark.parametrize("shared", [known(), known(EURUSD="0"), known(EURUSD="-1"), Shared()])
def test_without_a_mark_above_zero_there_is_no_rate_no_time_and_no_sum(shared: Shared) -> None:
    for currency, base in (("EUR", "USD"), ("USD", "EUR")):
        assert conversion(shared, currency, base) is None
        assert conversion_age_us(shared, currency, base) is None
        assert in_base(shared, {base: Decimal(5), currency: Decimal(1)}, base) is None


def test_no_rate_is_made_of_two_pairs() -> None:
    assert conversion(known(EURUSD="1.25", USDJPY="160"), "EUR", "JPY") is None


def test_the_time_of_a_rate_is_that_of_its_mark_and_the_base_needs_none() -> None:
    shared = known(EURUSD="1.25", USDJPY="160")
    assert [conversion_age_us(shared, *pair) for pair in (("EUR", "USD"), ("JPY", "USD"), ("USD", "USD"))] == [1, 2, 0]


def test_amounts_add_up_in_the_base_currency_and_nothing_of_an_unknown_one_is_nothing() -> None:
    amounts: dict[str, Any] = {"USD": Decimal(10), "EUR": Decimal(-4), "CHF": Decimal(0)}
    assert in_base(known(EURUSD="1.25"), amounts, "USD") == Decimal(5)
    assert in_base(known(EURUSD="1.25"), {**amounts, "CHF": Decimal("0.01")}, "USD") is None
    assert in_base(Shared(), {}, "USD") == 0
