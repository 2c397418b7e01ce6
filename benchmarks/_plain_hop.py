"""Plain hops as the project carries them: `python -m benchmarks._plain_hop effect|relay`.

HOP_ENVIRONMENT, HOP_BOOTSTRAP, HOP_FOLDER. `effect`: the door of execution, one task for each record, its outcome
recorded before its offset is committed. `relay`: a reader and a source, as the marks relay is.
"""

import os
import sys
from decimal import Decimal
from pathlib import Path

from schemas.record import Record
from streams.runtime.app import RoomApp
from streams.runtime.clients import Cluster
from streams.runtime.effect import Context, Outcome
from streams.runtime.reader import Reader, Start
from streams.runtime.source import Source
from tests.streams.runtime.sums import SUMS_INBOX, SUMS_MAP, Payment, summed, sums_codec

ENVIRONMENT = os.environ.get("HOP_ENVIRONMENT", "")


async def answer(record: Record, _context: Context) -> Outcome:
    """The result of a payment, without any sum."""
    return [summed(record, record.amount)] if isinstance(record, Payment) else []


def effect() -> None:
    """The door of execution, until ended."""
    app = RoomApp(
        ENVIRONMENT,
        Cluster(os.environ["HOP_BOOTSTRAP"]),
        sums_codec(),
        Path(os.environ["HOP_FOLDER"]),
        topic_map=SUMS_MAP,
        replication=1,
    )
    app.carry(app.effect("sums", SUMS_INBOX, answer))
    sys.argv[1:] = ["worker", "--without-web"]
    app.Worker(loglevel="WARN", redirect_stdouts=False).execute_from_commandline()


def relay() -> None:
    """Reader and source, until ended."""
    cluster, codec = Cluster(os.environ["HOP_BOOTSTRAP"]), sums_codec()
    source = Source(cluster, codec, ENVIRONMENT, "sums", topic_map=SUMS_MAP)
    reader = Reader(cluster, codec, SUMS_INBOX, ENVIRONMENT, Start.BEGINNING)
    sums: dict[str, Decimal] = {}
    while True:
        for received in reader.poll(0.05, 500):
            record = received.record
            if isinstance(record, Payment):
                total = sums[record.account_id] = sums.get(record.account_id, Decimal(0)) + record.amount
                source.write(summed(record, total), event_id=received.event_id or str(received.offset))
        source.flush()


if __name__ == "__main__":
    {"effect": effect, "relay": relay}[sys.argv[1]]()
