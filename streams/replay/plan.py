"""What a replay is to do, and the records that must be known before its first step."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from msgspec.structs import replace

from connectors.brokers.paper import PaperRules
from connectors.reference.sessions import trading_session
from schemas.control import AccountOpened, CashMovement, Mode, Parameter, SizingMethod, StrategyControl, StrategyVerb
from schemas.record import Record
from schemas.reference import FeeSchedule, Instrument
from schemas.risk import Limit, LimitChange
from schemas.scalars import DAY_US
from schemas.signal import ProviderControl, ProviderRole
from streams.accounts.risk.limits import standard_limits
from streams.runtime.schedule import Step

AUTHOR = "quantumleap run"
VENUE = "PAPER"
SESSIONS_BEYOND_US = 7 * DAY_US


class Recorded(Protocol):
    """A market to be replayed, such as a data set."""

    @property
    def instruments(self) -> list[Instrument]:
        """Definitions, in instrument order."""
        ...

    def steps(self, from_us: int, to_us: int) -> Iterator[Step]:
        """Steps with from_us <= time < to_us, in order of (time, instrument id)."""
        ...


@dataclass(frozen=True, slots=True)
class Deployment:
    """One strategy for every instrument of the data set.

    parameters: name and value as text, as the strategy declares them
    """

    strategy_name: str
    parameters: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """A replay, whole: the same plan gives the same result, in process and on Kafka.

    from_us, until_us: event times replayed, the end not included
    cash: opening deposit in `currency`
    limits: of the account; empty for the standard ones
    provider_id: whose signals are asked for; empty lets nobody publish
    signals_per_minute: how many of them are let in
    venue: who trades; the paper venue
    rules: the paper venue's market model, with its seed
    """

    data_set: Recorded
    from_us: int
    until_us: int
    deployments: tuple[Deployment, ...]
    account_id: str = "demo"
    currency: str = "USD"
    cash: Decimal = Decimal(1_000_000)
    sizing: SizingMethod = SizingMethod.FIXED_FRACTION
    provider_id: str = "learner"
    signals_per_minute: int = 60
    venue: str = VENUE
    rules: PaperRules = field(default_factory=lambda: PaperRules(seed=7))
    limits: tuple[Limit, ...] = ()
    mode: Mode = Mode.REPLAY
    fees: FeeSchedule = field(
        default=FeeSchedule(
            event_time_us=0,
            venue=VENUE,
            version=1,
            rate=Decimal("0.0002"),
            per_unit=Decimal(0),
            minimum=Decimal(1),
            currency="USD",
        )
    )

    @property
    def instruments(self) -> list[Instrument]:
        """The data set's instruments, in id order."""
        return self.data_set.instruments


def opening(plan: Plan) -> Iterator[tuple[str, Record]]:
    """Role and record of all that must be known before the first step, in order of writing.

    Ids are pure functions of the plan, so that writing them twice is writing them once.
    """
    at = plan.from_us
    for instrument in plan.instruments:
        yield "reference", _at(instrument, at)
    for calendar in sorted({instrument.calendar for instrument in plan.instruments}):
        # A run that goes on to a later day tells its sessions anew.
        until_us = plan.until_us + SESSIONS_BEYOND_US
        yield "reference", trading_session(calendar, at, until_us, at_us=at, version=plan.until_us)
    yield "reference", _at(plan.fees, at)
    yield (
        "control",
        AccountOpened(
            event_time_us=at,
            account_id=plan.account_id,
            request_id=f"open-{plan.account_id}",
            base_currency=plan.currency,
            venue=VENUE,
            mode=plan.mode,
            sizing=plan.sizing,
            author=AUTHOR,
        ),
    )
    yield (
        "control",
        CashMovement(
            event_time_us=at,
            account_id=plan.account_id,
            movement_id=f"deposit-{plan.account_id}",
            currency=plan.currency,
            amount=plan.cash,
            reason="deposit",
        ),
    )
    yield (
        "control",
        LimitChange(
            event_time_us=at,
            account_id=plan.account_id,
            request_id=f"limits-{plan.account_id}",
            limits=list(plan.limits) or standard_limits(plan.cash),
            author=AUTHOR,
            reason="limits of a replay",
            effective_at_us=at,
        ),
    )
    if plan.provider_id:
        yield "control", _provider(plan)
    for deployment in plan.deployments:
        for instrument in plan.instruments:
            yield "control", _deploy(plan, deployment, instrument)


def _provider(plan: Plan) -> ProviderControl:
    return ProviderControl(
        event_time_us=plan.from_us,
        request_id=f"provider-{plan.provider_id}",
        provider_id=plan.provider_id,
        role=ProviderRole.CHAMPION,
        rate_limit_per_minute=plan.signals_per_minute,
        ttl_max_us=60 * DAY_US,
        author=AUTHOR,
        reason="publishes in this replay",
    )


def _deploy(plan: Plan, deployment: Deployment, instrument: Instrument) -> StrategyControl:
    strategy_id = f"{deployment.strategy_name}.{instrument.instrument_id}.{plan.account_id}".lower().replace("_", "-")
    return StrategyControl(
        event_time_us=plan.from_us,
        request_id=f"deploy-{strategy_id}",
        verb=StrategyVerb.DEPLOY,
        strategy_id=strategy_id,
        strategy_name=deployment.strategy_name,
        instrument_id=instrument.instrument_id,
        account_id=plan.account_id,
        author=AUTHOR,
        reason="deployed by a replay",
        parameters=[Parameter(name, value) for name, value in deployment.parameters],
    )


def _at(record: Record, time_us: int) -> Record:
    return replace(record, event_time_us=time_us)
