"""The accounts room alone, as a process of its own: `python -m tests.streams.commands.accounts_worker FOLDER`.

Environment and addresses are those of the settings in force.
"""

import asyncio
import signal
import sys
from pathlib import Path

from streams.accounts.room import Accounts
from streams.commands.connections import connect
from streams.commands.settings_of import settings
from streams.runtime.app import RoomApp


async def main(folder: Path) -> None:
    """Fold until SIGTERM."""
    found = connect(settings())
    app = RoomApp(found.environment, found.cluster, found.codec, folder, replication=1)
    room = app.room(Accounts())
    app.carry(room)
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    await app.start()
    while not room.is_ready:
        await asyncio.sleep(0.05)
    print("ready", flush=True)
    await stopping.wait()
    await app.stop()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
