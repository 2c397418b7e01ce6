"""What the accounts room last committed of an account, read as the room itself recovers it."""

from typing import TYPE_CHECKING

from streams.commands.connections import Connection
from streams.commands.outcome import Exit, Stop, say

if TYPE_CHECKING:
    from streams.accounts.account import Account
    from streams.accounts.shared import Shared
    from streams.runtime.tables import Table


def state_of(found: Connection, account_id: str) -> "tuple[Account, Shared, int]":
    """The account and what its partition knows, as last committed, and the offset up to which that is.

    Raises Stop where there is no such account.
    """
    from streams.accounts.room import Accounts  # noqa: PLC0415 - help must be quick
    from streams.runtime.keys import partition_of  # noqa: PLC0415

    table = _table(found, partition_of(account_id.encode(), Accounts().reads.partitions))
    state = table.partition.states.get(account_id)
    if state is None or not state.profile.opened:
        raise Stop(
            f"there is no account {account_id}",
            why="the accounts room keeps none of this name",
            next_step="correct --account, or open it first",
            code=Exit.NOT_FOUND,
        )
    return state, table.partition.shared, table.applied


def shared_of(found: Connection) -> "Shared":
    """What every partition of the accounts room knows of markets; nothing where none has ever run."""
    return _table(found, 0).partition.shared


def _table(found: Connection, home: int) -> "Table[Account, Shared]":
    """A partition of the accounts room, as last committed."""
    from streams.accounts.room import Accounts  # noqa: PLC0415 - help must be quick
    from streams.runtime.offsets import TopicGone  # noqa: PLC0415
    from streams.runtime.reader import read_topic  # noqa: PLC0415
    from streams.runtime.tables import Birth, Recovered, Table  # noqa: PLC0415

    room = Accounts()
    read = Recovered(room)
    try:
        for message in read_topic(found.cluster, f"{found.environment}-{room.name}-changelog"):
            if message.partition() == home:
                read.take(message.key() or b"", message.value())
    except (TopicGone, KeyError):
        say(f"! no accounts room has ever run in {found.environment}")
    birth = Birth(room.name, room.reads.full_name(found.environment), room.reads.partitions)
    return Table(room, birth, read.decode())
