"""Promise: bytes to record and back within twice the time of bare fastavro to dict and back.

    python -m benchmarks.codec

The limit, measured in the same process and in turns with ours, is fastavro's schemaless reader and writer over the same
schema without its logical types: decimals stay bytes and times stay integers, so it makes no Decimal at all. For
comparison, `with_decimals` is fastavro with decimals as the published schema says, which is what the records hold.
Prints one JSON object; ends with 1 when a target is missed.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from importlib.metadata import version
from io import BytesIO
from typing import Any

from fastavro import parse_schema, schemaless_reader, schemaless_writer

from schemas.avro_schema import avro_schema
from schemas.codec import HEADER, Codec
from schemas.control import ClockTick
from schemas.converters import to_fields
from schemas.execution import ExecutionReport
from schemas.intent import IntentKind, TradeIntent
from schemas.market import Bar, BarKind, Mark, MarkBatch, QuoteBatch
from schemas.order import ExecType, OrderStatus, Side
from schemas.record import Record
from schemas.resolution import wire_schema
from schemas.signal import Signal, SignalKind

TIMES_THE_LIMIT_MAX = 2.0
ROUNDS = 15
CALLS = 1_000
MORNING_US = 1_587_400_200_000_000


def sample() -> list[Record]:
    """One record of each kind that is frequent, with values as they are in a running engine."""
    mark = Mark(
        event_time_us=MORNING_US, instrument_id="EURUSD", last=Decimal("1.08675"), low=Decimal("1.08651"),
        high=Decimal("1.08699"),
    )  # fmt: skip
    return [
        ClockTick(event_time_us=MORNING_US, clock_id="wall"),
        Bar(
            event_time_us=MORNING_US, instrument_id="EURUSD", interval_us=60_000_000, kind=BarKind.TIME,
            open=Decimal("1.08675"), high=Decimal("1.08699"), low=Decimal("1.08651"), close=Decimal("1.0869"),
            volume=Decimal("1234.5"), count=37,
        ),
        Signal(
            event_time_us=MORNING_US, signal_id="s" * 26, provider_id="river", model_name="logistic",
            model_version="3", instrument_id="EURUSD", sequence=17, kind=SignalKind.DIRECTION,
            inputs_as_of_us=MORNING_US, valid_until_us=MORNING_US + 60_000_000, horizon_us=300_000_000, strength=0.4,
            probability=0.55, confidence=0.6, summary="Momentum holds.",
        ),
        TradeIntent(
            event_time_us=MORNING_US, intent_id="i" * 26, account_id="paper-1", strategy_id="trend-EURUSD",
            strategy_name="trend", instrument_id="EURUSD", kind=IntentKind.DIRECTION,
            reference_price=Decimal("1.08675"), valid_until_us=MORNING_US + 60_000_000, direction=1.0,
            stop_price=Decimal("1.0805"), volatility=0.08, reason="Fast above slow.",
        ),
        ExecutionReport(
            event_time_us=MORNING_US, account_id="paper-1", exec_id="e" * 26, client_order_id="c" * 26,
            venue="paper", instrument_id="EURUSD", side=Side.BUY, exec_type=ExecType.TRADE,
            order_status=OrderStatus.FILLED, order_quantity=Decimal(1000), cumulative_quantity=Decimal(1000),
            leaves_quantity=Decimal(0), last_quantity=Decimal(1000), last_price=Decimal("1.08675"),
            average_price=Decimal("1.08675"), fee=Decimal("0.02"), fee_currency="USD", broker_order_id="b" * 26,
        ),
        MarkBatch(event_time_us=MORNING_US, relay_id="relay", sequence=9, marks=[mark] * 10),
        QuoteBatch(
            event_time_us=MORNING_US, instrument_id="EURUSD", feed_id="recorded", sequence=5, price_exponent=-5,
            size_exponent=0, times_us=[MORNING_US + 1_000 * row for row in range(100)],
            bids=[108_675 + row for row in range(100)], asks=[108_676 + row for row in range(100)],
        ),
    ]  # fmt: skip


def with_decimals(schema: Any) -> Any:
    """The published schema without the logical type of times, which fastavro would make into datetimes."""
    if isinstance(schema, list):
        return [with_decimals(branch) for branch in schema]
    if isinstance(schema, dict):
        if schema.get("logicalType") == "timestamp-micros":
            return "long"
        return {key: with_decimals(value) for key, value in schema.items()}
    return schema


def bare(schema: Any, value: bytes) -> Callable[[], object]:
    """Fastavro alone: the bytes to a dict and back."""

    def there_and_back() -> object:
        body = BytesIO(value)
        body.seek(HEADER.size)
        fields: Any = schemaless_reader(body, schema, None)
        out = BytesIO()
        schemaless_writer(out, schema, fields)
        return out.getvalue()

    return there_and_back


def in_turns_us(works: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median time of a call of each, over rounds in which each has its turn."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            begun = time.perf_counter()
            for _ in range(CALLS):
                work()
            taken[name].append((time.perf_counter() - begun) / CALLS * 1e6)
    return {name: round(statistics.median(times), 2) for name, times in taken.items()}


def measured(codec: Codec, record: Record) -> dict[str, Any]:
    """Ours beside fastavro's, for one record."""
    value = codec.encode(record)
    assert codec.decode(value) == record
    wire = wire_schema(type(record))
    assert bare(wire, value)() == value[HEADER.size :]
    found = in_turns_us(
        {
            "limit_us": bare(wire, value),
            "with_decimals_us": bare(parse_schema(with_decimals(avro_schema(type(record)))), value),
            "ours_us": lambda: codec.encode(codec.decode(value)),
            "ours_decode_us": lambda: codec.decode(value),
            "ours_encode_us": lambda: codec.encode(record),
            "ours_to_dict_us": lambda: to_fields(type(record))(record),
        }
    )
    ratio = found["ours_us"] / found["limit_us"]
    return {
        "bytes": len(value),
        **found,
        "times_the_limit": round(ratio, 2),
        "times_with_decimals": round(found["ours_us"] / found["with_decimals_us"], 2),
        "met": ratio <= TIMES_THE_LIMIT_MAX,
    }


def main() -> int:
    codec = Codec.local()
    results = {type(record).__name__: measured(codec, record) for record in sample()}
    print(
        json.dumps(
            {
                "benchmark": "codec",
                "command": "python -m benchmarks.codec",
                "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "system": platform.system()},
                "versions": {"python": platform.python_version(), "fastavro": version("fastavro")},
                "rounds": ROUNDS,
                "calls_a_round": CALLS,
                "target_times_the_limit": TIMES_THE_LIMIT_MAX,
                "results": results,
            },
            indent=1,
        )
    )
    return 0 if all(result["met"] for result in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
