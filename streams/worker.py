"""The worker: composes rooms into one Faust app, by settings. The composition root of everything that folds.

quantumleap worker [ROOM ...]          with a supervisor, which starts it again when it ends itself
python -m streams.worker [ROOM ...]    one process, no supervisor
faust -A streams.worker worker         the same by Faust's own command line; QL_ROOMS names the rooms
"""

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from connectors.kafka.environment import require_mode
from connectors.registry.client import ConfluentRegistry
from connectors.registry.publish import codec_of
from schemas.codec import Codec
from schemas.control import StrategyControl, StrategyVerb
from streams.rooms import all_rooms
from streams.runtime.app import LAST_WORDS, RoomApp
from streams.runtime.clients import Cluster, GroupProtocol
from streams.runtime.dead_letters import skip
from streams.runtime.room import Room
from streams.runtime.source import Source
from streams.runtime.supervisor import Supervisor
from streams.runtime.watchdog import LastWords
from streams.settings import Settings, load

ROOMS_VARIABLE = "QL_ROOMS"
"""Rooms for Faust's own command line, which takes no arguments of ours."""


class UnknownRoom(ValueError):
    """No room of this name; the message lists those that exist."""


def cluster_of(settings: Settings) -> Cluster:
    """Kafka as the settings name it."""
    return Cluster(
        settings.bootstrap_servers,
        protocol=GroupProtocol(settings.group_protocol),
        session_ms=settings.session_ms,
    )


def rooms_named(names: Sequence[str]) -> list[Room[Any, Any]]:
    """The rooms of these names, or all of them where none is named. Raises UnknownRoom."""
    known = {room.name: room for room in all_rooms()}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UnknownRoom(f"{', '.join(unknown)}: no such room; there are {', '.join(known)}")
    return [known[name] for name in names] if names else list(known.values())


def build(settings: Settings, names: Sequence[str] = (), codec: Codec | None = None) -> RoomApp:
    """The app of a worker with these rooms. Raises UnknownRoom, and as `require_mode` where the mode differs."""
    cluster = cluster_of(settings)
    codec = codec or codec_of(ConfluentRegistry(settings.registry_url))
    require_mode({"bootstrap.servers": settings.bootstrap_servers}, codec, settings.environment, settings.mode)
    app = RoomApp(
        settings.environment,
        cluster,
        codec,
        folder_of(settings),
        replication=settings.replication,
        health_port=settings.health_port,
    )
    for room in rooms_named(names):
        declare(app, room, settings)
    return app


def declare(app: RoomApp, room: Room[Any, Any], settings: Settings) -> None:
    """One room, as a Faust reader expects it: a topic, a table, and an agent that reads one and keeps the other."""
    inbox_of_room = app.room(room, slot=settings.slot, fixed_membership=settings.fixed_membership)

    @app.agent(inbox_of_room.inbox, name=room.name)
    async def fold(stream: Any) -> None:
        async for batch in stream:
            await inbox_of_room.apply(batch)


def folder_of(settings: Settings) -> Path:
    """Local state of this worker: nothing that cannot be lost."""
    folder = settings.folder / "worker" / settings.environment / settings.slot
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def supervise(settings: Settings, names: Sequence[str] = (), say: Callable[[str], None] = print) -> int:
    """Run a worker in a process of its own, and start it again when it ends itself; return its last exit code."""

    def heard(words: LastWords) -> None:
        say(f"{words.room} did not return for {words.seconds:.0f} s: its record is skipped")
        give_way(settings, words)

    environ = os.environ | {f"QL_{name.upper()}": str(value) for name, value in _told(settings).items()}
    command = [sys.executable, "-m", "streams.worker", *names]
    return Supervisor(command, folder_of(settings) / LAST_WORDS, heard, environ, say=say).run()


def give_way(settings: Settings, words: LastWords) -> None:
    """Order that the record over which a fold did not return is skipped; pause the strategy that it was in.

    The pause lies behind that record in the log, so it alone would not save the next start.
    """
    cluster, codec = cluster_of(settings), codec_of(ConfluentRegistry(settings.registry_url))
    inbox = next(room.reads for room in all_rooms() if room.name == words.room)
    reason = f"a fold did not return within {words.seconds:.0f} s" + (f", in {words.suspect}" if words.suspect else "")
    place = (words.partition, words.offset)
    skip(cluster, codec, settings.environment, words.room, inbox, place, "watchdog", reason)
    if not words.suspect:
        return
    source = Source(cluster, codec, settings.environment, "control")
    try:
        source.write(
            StrategyControl(
                event_time_us=time.time_ns() // 1000,
                request_id=f"watchdog-{words.room}-{words.partition}-{words.offset}",
                verb=StrategyVerb.PAUSE,
                strategy_id=words.suspect,
                strategy_name="",
                instrument_id=words.key or "",
                account_id="",
                author="watchdog",
                reason=reason,
            )
        )
    finally:
        source.close()


def _told(settings: Settings) -> dict[str, Any]:
    """What the child must know, which may have come by flags."""
    known = ("environment", "mode", "folder", "bootstrap_servers", "registry_url", "health_port", "group_protocol",
             "fixed_membership", "session_ms", "replication", "slot")  # fmt: skip
    return {name: getattr(settings, name) for name in known}


def __getattr__(name: str) -> RoomApp:
    """`app`, built when Faust's command line asks for it."""
    if name == "app":
        # Not a setting of the project's: it must be gone before the settings are read.
        names = os.environ.pop(ROOMS_VARIABLE, "").split()
        return build(load({}).settings, names)
    raise AttributeError(name)


def main() -> None:
    """Run the rooms named on the command line until SIGTERM."""
    app = build(load({}).settings, sys.argv[1:])
    app.Worker(loglevel="WARN", redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    main()
