"""A worker whose fold does not return at a payment named `loop:`; it ends by itself when three more are folded."""

import asyncio
import os
import time
from pathlib import Path
from typing import ClassVar

from schemas.record import Record
from streams.runtime.app import LAST_WORDS, RoomApp
from streams.runtime.clients import Cluster
from streams.runtime.room import Outcome
from streams.runtime.watchdog import Watchdog
from tests.streams.runtime.sums import SUMS_MAP, Account, Limits, Payment, sums_codec
from tests.streams.runtime.test_door import Unfit


class Looping(Unfit):
    """Tells what it is calling, as rooms with plug-ins do."""

    running: ClassVar[str] = ""

    def fold(self, state: Account, shared: Limits, record: Record) -> Outcome[Account]:
        if isinstance(record, Payment) and record.payment_id == "loop:":
            type(self).running = record.payment_id
            while True:
                time.sleep(0.1)
        return super().fold(state, shared, record)


async def main() -> None:
    """Run until all is folded."""
    folder = Path(os.environ["SUMS_FOLDER"])
    cluster = Cluster(os.environ["SUMS_BOOTSTRAP"])
    app = RoomApp(os.environ["SUMS_ENVIRONMENT"], cluster, sums_codec(), folder, topic_map=SUMS_MAP, replication=1)
    app.watchdog = Watchdog(cluster, app.recovery, folder / LAST_WORDS, batch_s=3)
    room = app.room(Looping())
    app.carry(room)
    await app.start()
    while room.metrics.taken < 3 or room.has_lag:
        await asyncio.sleep(0.05)
    await app.stop()


if __name__ == "__main__":
    asyncio.run(main())
