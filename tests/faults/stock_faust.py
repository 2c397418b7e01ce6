"""The worked room's job as a stock Faust app: `python -m tests.faults.stock_faust worker`.

Its defaults, except that a dead member is given up after 10 s and not after 60: what is lost or told twice is the same,
and a test need not wait a minute to see it.

STOCK_ID, STOCK_BOOTSTRAP, STOCK_FOLDER are needed. A payment named `raise` raises at its first sight.
"""

import os
import sys
from typing import Any

import faust

ID = os.environ.get("STOCK_ID", "stock")
app = faust.App(
    ID,
    broker=f"kafka://{os.environ.get('STOCK_BOOTSTRAP', '127.0.0.1:9092')}",
    store="memory://",
    datadir=os.environ.get("STOCK_FOLDER", "."),
    web_enabled=False,
    topic_partitions=4,
    broker_session_timeout=10.0,
    broker_heartbeat_interval=2.0,
)


class Paid(faust.Record, serializer="json"):
    """A payment, or the sum after it."""

    account: str
    name: str
    amount: int


payments = app.topic(f"{ID}-payments", key_type=str, value_type=Paid, partitions=4)
results = app.topic(f"{ID}-results", key_type=str, value_type=Paid, partitions=4)
sums: Any = app.Table(f"{ID}-sums", default=int, partitions=4)
raised: set[str] = set()


@app.agent(payments)
async def add(stream: Any) -> None:
    """A running sum by account, told after each payment."""
    async for paid in stream:
        if paid.name == "raise" and paid.name not in raised:
            raised.add(paid.name)
            raise ZeroDivisionError(paid.name)
        sums[paid.account] += paid.amount
        sent = await results.send(key=paid.account, value=Paid(paid.account, paid.name, sums[paid.account]))
        await sent


if __name__ == "__main__":
    sys.argv[1:] = sys.argv[1:] or ["worker", "-l", "warn"]
    app.main()
