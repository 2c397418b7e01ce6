"""Stress scenarios as declared data: what prices did, or might do, in one day, by kind of instrument.

A shock is a change as a share of the absolute price; -3.02 takes WTI from 18.31 to -36.98, as on 2020-04-20. The first
rule that matches an instrument gives its shock. Numbers of history are rounded closes of the named days.
"""

from typing import NamedTuple

from schemas.reference import Instrument, InstrumentClass


class Rule(NamedTuple):
    """A shock for instruments of a class, a sector or a quote; an empty word matches all."""

    shock: float
    instrument_class: str = ""
    sector: str = ""
    symbol: str = ""


class Scenario(NamedTuple):
    """A day that may come. volatility: multiple of every deviation; correlation: what all correlations become."""

    name: str
    meaning: str
    rules: tuple[Rule, ...] = ()
    volatility: float = 0.0
    correlation: float | None = None


EQUITY, ETF, CRYPTO = InstrumentClass.EQUITY, InstrumentClass.ETF, InstrumentClass.CRYPTO_SPOT

SCENARIOS: tuple[Scenario, ...] = (
    Scenario("prices_down_10", "every price falls by a tenth", (Rule(-0.10),)),
    Scenario("prices_up_10", "every price rises by a tenth", (Rule(0.10),)),
    Scenario("prices_down_30", "every price falls by three tenths", (Rule(-0.30),)),
    Scenario("prices_up_30", "every price rises by three tenths", (Rule(0.30),)),
    Scenario("volatility_doubled", "a day at the 99 % bound, twice as volatile", volatility=2.0),
    Scenario("correlation_one", "a day at the 99 % bound, all against us at once", volatility=1.0, correlation=1.0),
    Scenario(
        "march_2020",
        "2020-03-12, and oil of 2020-03-09",
        (
            Rule(-0.245, sector="energy"),
            Rule(-0.095, EQUITY),
            Rule(-0.095, ETF),
            Rule(-0.39, CRYPTO),
            Rule(-0.39, InstrumentClass.CRYPTO_PERPETUAL),
            Rule(-0.015, InstrumentClass.FX),
            Rule(-0.05),
        ),
    ),
    Scenario(
        "wti_april_2020",
        "2020-04-20: WTI settles at -36.98, Brent falls by an eighth",
        (
            Rule(-3.02, symbol="WTI"),
            Rule(-0.121, sector="energy"),
            Rule(-0.018, EQUITY),
            Rule(-0.018, ETF),
            Rule(0.0),
        ),
    ),
)  # fmt: skip


def shock_of(scenario: Scenario, instrument: Instrument) -> float:
    """The change of the instrument's price, as a share of its absolute value; 0 where no rule matches."""
    for rule in scenario.rules:
        if rule.instrument_class and rule.instrument_class != instrument.instrument_class:
            continue
        if rule.sector and rule.sector != instrument.sector:
            continue
        if rule.symbol and rule.symbol not in instrument.instrument_id and rule.symbol not in instrument.symbol:
            continue
        return rule.shock
    return 0.0
