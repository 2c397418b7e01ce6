"""Backtests of others, run through all rooms of the product: LEAN's buy and hold of SPY."""

import csv
import io
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any, NamedTuple

from connectors.brokers.paper.rules import FREE
from schemas.control import SizingMethod
from schemas.execution import Fill
from schemas.market import BarBatch
from schemas.order import SubmitOrder
from schemas.position import PnlDimension, PnlSnapshot
from schemas.record import Record
from schemas.reference import ContractKind, FeeSchedule, Instrument, InstrumentClass
from schemas.risk import Limit
from schemas.scalars import DAY_US, SECOND_US, micros_of
from schemas.topics import FILLS, ORDERS_COMMANDS, PNL, Topic
from streams.replay.backtest import Backtest
from streams.replay.plan import Deployment, Plan
from tests.paths import SHARED

EXPONENT = -11
"""A raw price has four decimals and a factor seven: adjusted prices are exact with eleven."""
SPY = Instrument(
    event_time_us=0, instrument_id="SPY", symbol="SPY", venue="PAPER", instrument_class=InstrumentClass.ETF,
    quote_currency="USD", settlement_currency="USD", contract=ContractKind.LINEAR,
    tick_size=Decimal(1).scaleb(EXPONENT), lot_size=Decimal(1), multiplier=Decimal(1), price_decimals=-EXPONENT,
    quantity_decimals=0, calendar="XNYS",
    price_may_be_negative=False, shortable=True, has_volume=True, version=1,
)  # fmt: skip


class Unknown(Exception):
    """The case asks for something that cannot be set up here."""


class Bars(NamedTuple):
    """Adjusted daily bars as a market that can be replayed. A bar ends when its day does."""

    instruments: list[Instrument]
    batches: list[BarBatch]

    def steps(self, from_us: int, to_us: int) -> Iterator[Any]:
        """One step for each bar that ends within the window."""
        for batch in self.batches:
            if from_us <= batch.event_time_us < to_us:
                yield _Step(batch.event_time_us, batch.instrument_id, [batch])


class _Step(NamedTuple):
    time_us: int
    instrument_id: str
    records: list[BarBatch]


def compute(inputs: dict[str, Any]) -> dict[str, Any]:
    """What the product makes of the case, under the names of its expectations. Raises Unknown."""
    data, factors = (SHARED.parent / inputs[name] for name in ("data", "factor_file"))
    if not (data.exists() and factors.exists()):
        raise Unknown(f"{inputs['data']} is not here")
    first, last = _day(inputs["start"]), _day(inputs["end"])
    bars = Bars([SPY], list(_bars(data, _factors(factors), int(inputs["price_scale"]))))
    cash = Decimal(str(inputs["cash"]))
    plan = Plan(
        data_set=bars,
        from_us=micros_of(first + timedelta(days=1)),
        until_us=micros_of(last + timedelta(days=1)) + 1,
        deployments=(
            Deployment("buy_and_hold", (("weight", str(inputs["target_fraction"])), ("restate_bars", "0"))),
        ),
        cash=cash,
        sizing=SizingMethod.FIXED_FRACTION,
        provider_id="",
        rules=FREE,
        limits=_limits(cash),
        fees=FeeSchedule(
            event_time_us=0, venue="PAPER", version=1, rate=Decimal(0), per_unit=Decimal(str(inputs["fee_per_share"])),
            minimum=Decimal(str(inputs["minimum_fee"])), currency="USD",
        ),
    )  # fmt: skip
    return _measured(plan, cash, inputs)


def _measured(plan: Plan, cash: Decimal, inputs: dict[str, Any]) -> dict[str, Any]:
    orders: list[Record] = []
    fills: list[Fill] = []
    equity: list[Decimal] = [cash]

    def hear(topic: Topic, record: Record) -> None:
        if topic is ORDERS_COMMANDS and isinstance(record, SubmitOrder):
            orders.append(record)
        elif topic is FILLS and isinstance(record, Fill):
            fills.append(record)
        elif topic is PNL and isinstance(record, PnlSnapshot) and record.dimension is PnlDimension.ACCOUNT:
            assert record.equity is not None
            equity.append(record.equity)

    backtest = Backtest(plan)
    backtest.log.tap(hear)
    backtest.run()
    end = equity[-1]
    peak, deepest = equity[0], Decimal(0)
    for value in equity:
        peak = max(peak, value)
        deepest = max(deepest, 1 - value / peak)
    days = Decimal((plan.until_us - 1 - 8 * 3600 * SECOND_US) - (plan.from_us - DAY_US)) / DAY_US
    growth = float(end / cash) ** float(365 / days)
    return {
        "shares": int(sum(fill.quantity for fill in fills)),
        "fees_exact": float(sum(fill.fee for fill in fills)),
        "end_equity": float(end.quantize(Decimal("0.01"), ROUND_HALF_UP)),
        "cagr_percent": round((growth - 1) * 100, 3),
        "net_profit_percent": float(((end / cash - 1) * 100).quantize(Decimal("0.001"), ROUND_HALF_UP)),
        "drawdown_fraction_3dp": float(deepest.quantize(Decimal("0.001"), ROUND_HALF_UP)),
        "orders": len(orders),
    }


def _limits(cash: Decimal) -> tuple[Limit, ...]:
    """Limits that let the whole of equity into one position."""
    values: dict[str, Decimal | int] = {
        "order_value_max": cash * 2, "order_quantity_max": 10**6, "position_value_max": cash * 2,
        "gross_exposure_max": cash * 2, "leverage_max": 1, "daily_loss_max": 1, "drawdown_max": 1,
        "mark_age_max": 864_000, "price_collar": 1, "orders_per_minute_max": 60, "session_wait_max": 864_000,
        "sizing_weight_max": 1, "slippage_allowance": 0,
    }  # fmt: skip
    return tuple(Limit(name=name, value=Decimal(value)) for name, value in values.items())


def _bars(path: Path, factors: list[tuple[str, Decimal]], scale: int) -> Iterator[BarBatch]:
    with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as opened:
        for sequence, row in enumerate(csv.reader(io.TextIOWrapper(opened, "utf-8")), 1):
            factor = next(value for day, value in factors if day >= row[0][:8])
            prices = [[int((Decimal(cell) / scale * factor).scaleb(-EXPONENT))] for cell in row[1:5]]
            ends = micros_of(_day(f"{row[0][:4]}-{row[0][4:6]}-{row[0][6:8]}")) + DAY_US
            yield BarBatch(
                event_time_us=ends, instrument_id="SPY", feed_id="lean", sequence=sequence, interval_us=DAY_US,
                price_exponent=EXPONENT, size_exponent=0, times_us=[ends], opens=prices[0], highs=prices[1],
                lows=prices[2], closes=prices[3], volumes=[int(row[5])],
            )  # fmt: skip


def _factors(path: Path) -> list[tuple[str, Decimal]]:
    """Price factor times split factor by the last day on which it holds, oldest first."""
    return [(row[0], Decimal(row[1]) * Decimal(row[2])) for row in csv.reader(path.read_text().splitlines())]


def _day(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
