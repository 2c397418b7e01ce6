"""Scenario: a small market, accounts, strategies and opinions for the chain of all rooms, drawn from a seed."""

from decimal import Decimal
from random import Random

from schemas.control import (
    AccountOpened,
    CashMovement,
    ClockTick,
    KillSwitch,
    KillVerb,
    MarginRegime,
    Mode,
    Parameter,
    Scope,
    SizingMethod,
    StrategyControl,
    StrategyVerb,
)
from schemas.market import BarBatch
from schemas.record import Record
from schemas.reference import ContractKind, FeeSchedule, Instrument, InstrumentClass
from schemas.risk import Limit, LimitChange
from schemas.scalars import SECOND_US
from schemas.signal import ProviderControl, ProviderRole, Signal, SignalKind

VENUE = "PAPER"
STEP_US = SECOND_US
"""Between bars, and between ticks."""
START_US = 1_700_000_000 * SECOND_US
INSTRUMENTS = ("OAK", "ELM")
ACCOUNTS = ("ann", "bob")
PROVIDER = "oracle"
AUTHOR = "simulation"

SEND_WITHIN_S = 4
"""Of event time, where the world's time counts."""

Said = tuple[str, Record]
"""Who says what."""


def instrument(name: str) -> Instrument:
    """Traded at any hour, in whole units and cents."""
    return Instrument(
        event_time_us=START_US,
        instrument_id=name,
        symbol=f"{name}USD",
        venue=VENUE,
        instrument_class=InstrumentClass.CRYPTO_SPOT,
        quote_currency="USD",
        settlement_currency="USD",
        contract=ContractKind.LINEAR,
        tick_size=Decimal("0.01"),
        lot_size=Decimal(1),
        multiplier=Decimal(1),
        price_decimals=2,
        quantity_decimals=0,
        calendar="24/7",
        price_may_be_negative=False,
        shortable=True,
        has_volume=False,
        version=1,
        bars_per_year=31_536_000,
    )


def opening(mode: Mode = Mode.REPLAY) -> list[Said]:
    """All that must be known before the first bar. Where time is the world's own, orders must be sent soon."""
    said: list[Said] = [("reference", instrument(name)) for name in INSTRUMENTS]
    said.append(("reference", fees()))
    for account in ACCOUNTS:
        said += _account(account, mode)
    said.append(
        (
            "control",
            ProviderControl(
                event_time_us=START_US,
                request_id="provider",
                provider_id=PROVIDER,
                role=ProviderRole.CHAMPION,
                rate_limit_per_minute=60,
                ttl_max_us=1000 * STEP_US,
                author=AUTHOR,
                reason="speaks here",
            ),
        )
    )
    for account in ACCOUNTS:
        for name in INSTRUMENTS:
            said.append(("control", _deployed("follow_signal", account, name, {"step": "0.1"})))
        said.append(("control", _deployed("moving_average_cross", account, "OAK", {"fast": "1", "slow": "2"})))
    return said


def fees() -> FeeSchedule:
    """A share of what is traded."""
    return FeeSchedule(
        event_time_us=START_US,
        venue=VENUE,
        version=1,
        rate=Decimal("0.0002"),
        per_unit=Decimal(0),
        minimum=Decimal(1),
        currency="USD",
    )


def _account(account: str, mode: Mode) -> list[Said]:
    limits: dict[str, int | str] = {
        "order_value_max": 500_000,
        "order_quantity_max": 100_000,
        "position_value_max": 800_000,
        "gross_exposure_max": 1_500_000,
        "leverage_max": 3,
        "daily_loss_max": "0.5",
        "drawdown_max": "0.5",
        "mark_age_max": 10_000,
        "price_collar": "0.5",
        "orders_per_minute_max": 1000,
        "sizing_fraction": "0.3",
        "send_within": 3600 if mode is Mode.REPLAY else SEND_WITHIN_S,
        "stop_loss": "0.03",
    }
    return [
        (
            "control",
            AccountOpened(
                event_time_us=START_US,
                account_id=account,
                request_id=f"open-{account}",
                base_currency="USD",
                venue=VENUE,
                mode=mode,
                sizing=SizingMethod.FIXED_FRACTION,
                author=AUTHOR,
                margin=MarginRegime.REG_T,
            ),
        ),
        (
            "control",
            CashMovement(
                event_time_us=START_US,
                account_id=account,
                movement_id=f"deposit-{account}",
                currency="USD",
                amount=Decimal(1_000_000),
                reason="deposit",
            ),
        ),
        (
            "control",
            LimitChange(
                event_time_us=START_US,
                account_id=account,
                request_id=f"limits-{account}",
                limits=[Limit(name=name, value=Decimal(value)) for name, value in limits.items()],
                author=AUTHOR,
                reason="limits of a simulation",
                effective_at_us=START_US,
            ),
        ),
    ]


def _deployed(strategy: str, account: str, name: str, parameters: dict[str, str]) -> StrategyControl:
    strategy_id = f"{strategy}-{name}-{account}".lower().replace("_", "-")
    return StrategyControl(
        event_time_us=START_US,
        request_id=f"deploy-{strategy_id}",
        verb=StrategyVerb.DEPLOY,
        strategy_id=strategy_id,
        strategy_name=strategy,
        instrument_id=name,
        account_id=account,
        author=AUTHOR,
        reason="deployed by a simulation",
        parameters=[Parameter(key, value) for key, value in parameters.items()],
    )


def story(random: Random, steps: int) -> list[tuple[int, Said]]:
    """Step by step: ticks, bars, opinions, and now and then a switch. The number is the step."""
    told: list[tuple[int, Said]] = []
    cents = {name: random.randrange(5_000, 20_000) for name in INSTRUMENTS}
    sequence = 0
    for step in range(1, steps + 1):
        time_us = START_US + step * STEP_US
        told.append((step, ("clock", ClockTick(event_time_us=time_us, clock_id="clock"))))
        for name in INSTRUMENTS:
            before = cents[name]
            cents[name] = max(100, before + random.randrange(-before // 30, before // 30 + 1))
            told.append((step, ("feeds", _bar(name, step, time_us, before, cents[name]))))
            if random.random() < 0.5:
                sequence += 1
                told.append((step, ("publishers", _signal(random, name, sequence, time_us))))
        if random.random() < 0.05:
            told.append((step, ("control", _switch(random, step, time_us))))
    return told


def _bar(name: str, step: int, time_us: int, opened: int, closed: int) -> BarBatch:
    return BarBatch(
        event_time_us=time_us,
        instrument_id=name,
        feed_id="feed",
        sequence=step,
        interval_us=STEP_US,
        price_exponent=-2,
        size_exponent=0,
        times_us=[time_us],
        opens=[opened],
        highs=[max(opened, closed) + 5],
        lows=[min(opened, closed) - 5],
        closes=[closed],
        volumes=[],
    )


def _signal(random: Random, name: str, sequence: int, time_us: int) -> Signal:
    return Signal(
        event_time_us=time_us,
        signal_id=f"s{sequence}",
        provider_id=PROVIDER,
        model_name="coin",
        model_version="1",
        instrument_id=name,
        sequence=sequence,
        kind=SignalKind.DIRECTION,
        inputs_as_of_us=time_us,
        valid_until_us=time_us + 4 * STEP_US,
        horizon_us=6 * STEP_US,
        strength=random.choice((-1.0, -0.5, 0.5, 1.0)),
        probability=0.6,
    )


def _switch(random: Random, step: int, time_us: int) -> KillSwitch:
    return KillSwitch(
        event_time_us=time_us,
        request_id=f"switch-{step}",
        version=step,
        scope=Scope.ACCOUNT,
        scope_id=random.choice(ACCOUNTS),
        verb=random.choice((KillVerb.PAUSE, KillVerb.HALT, KillVerb.FLATTEN, KillVerb.RESUME)),
        author=AUTHOR,
        reason="drawn",
    )
