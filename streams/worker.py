"""The worker: composes rooms and execution into one Faust app, by settings. The composition root of all that runs.

quantumleap worker [ROLE ...]          with a supervisor, which starts it again when it ends itself
python -m streams.worker [ROLE ...]    one process, no supervisor
faust -A streams.worker worker         the same by Faust's own command line; QL_ROOMS names the roles

A role is a room, or `execution`. Execution trades real money only where `--mode live` and the venue's name were typed.
"""

import os
import sys
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import msgspec
from mode import Service

from connectors.brokers.alpaca import LiveNotMeant
from connectors.brokers.keys import CredentialsUnusable
from connectors.brokers.opening import BrokerOptions, BrokerUnusable, Kind, open_broker
from connectors.errors import Refused, Unavailable
from connectors.kafka.environment import require_mode
from connectors.registry.client import ConfluentRegistry
from connectors.registry.errors import RegistryError, Unreachable
from connectors.registry.publish import codec_of
from schemas.codec import Codec
from schemas.control import Mode, StrategyControl, StrategyVerb
from schemas.topics import MARKET_BARS, ORDERS_COMMANDS
from streams.execution.calls import Policy
from streams.execution.duty import Duty, Place
from streams.execution.handler import Execution
from streams.execution.knowledge import Following
from streams.execution.measured import Measured
from streams.rooms import all_rooms
from streams.runtime.app import LAST_WORDS, RoomApp
from streams.runtime.carrier import Standing
from streams.runtime.clients import Cluster, GroupProtocol
from streams.runtime.dead_letters import skip
from streams.runtime.fail_stop import AWAY, REFUSED, fail_stop
from streams.runtime.reader import Start
from streams.runtime.room import Room
from streams.runtime.source import Source
from streams.runtime.supervisor import Supervisor
from streams.runtime.traces import NoTraces, spans_to
from streams.runtime.watchdog import LastWords
from streams.settings import Settings, load

ROOMS_VARIABLE = "QL_ROOMS"
"""Roles for Faust's own command line, which takes no arguments of ours."""
EXECUTION = "execution"
PAPER_VENUE = "PAPER"
"""Where accounts trade when no broker is named in a paper environment."""
LIVE_FLAG = ("--mode", "live")


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


class NotMeant(ValueError):
    """Execution was asked for where it has nothing to do, or where real money was not meant in every word."""


def roles_named(names: Sequence[str], mode: Mode) -> tuple[list[Room[Any, Any]], bool]:
    """The rooms of these names, and whether execution is among them; all where none is named. Raises UnknownRoom.

    A replay has an execution of its own, which takes turns: a worker never joins it.
    """
    rooms = [name for name in names if name != EXECUTION]
    if not names:
        return rooms_named(()), mode is not Mode.REPLAY
    if EXECUTION in names and mode is Mode.REPLAY:
        raise NotMeant("a replay carries its own execution; make a paper environment (QL_MODE=paper) for a worker")
    return rooms_named(rooms) if rooms else [], EXECUTION in names


def build(
    settings: Settings, names: Sequence[str] = (), codec: Codec | None = None, *, live_typed: bool = False
) -> RoomApp:
    """The app of a worker with these roles. Raises UnknownRoom, NotMeant, as `open_broker` and as `require_mode`."""
    rooms, executes = roles_named(names, settings.mode)
    if executes and settings.mode is Mode.LIVE and not live_typed:
        raise NotMeant("execution in a live environment trades real money; type --mode live to mean it")
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
        wall_time=settings.mode is not Mode.REPLAY,
        spans=spans_to(settings.traces_url, settings.environment),
    )
    for room in rooms:
        declare(app, room, settings)
    if executes:
        employ(app, settings)
    return app


def declare(app: RoomApp, room: Room[Any, Any], settings: Settings) -> None:
    """One room, as a Faust reader expects it: a topic, a table, and an agent that reads one and keeps the other."""
    inbox_of_room = app.room(room, slot=settings.slot, fixed_membership=settings.fixed_membership)

    @app.agent(inbox_of_room.inbox, name=room.name)
    async def fold(stream: Any) -> None:
        async for batch in stream:
            await inbox_of_room.apply(batch)


class OnDuty(Service):
    """Execution's duty as a service of the app; it stands before the door through which commands come."""

    def __init__(self, app: RoomApp, duty: Duty, folder: Path):
        super().__init__(beacon=app.beacon)
        self._app = app
        self._duty = duty
        self._folder = folder

    async def on_start(self) -> None:
        """Faust calls it when the agents run."""
        app = self._app
        self._duty.start(Following(app.cluster, app.codec, app.environment, self._duty.knowledge, self._folder))

    async def on_stop(self) -> None:
        """Faust calls it when the door has closed."""
        await self._duty.stop()


def employ(app: RoomApp, settings: Settings) -> None:
    """Execution: the door of effects over the brokers of the settings. Raises as `open_broker`."""
    options = brokers_of(settings)
    folder = folder_of(settings)
    places = {
        venue: Place(
            open_broker(venue, one, settings.mode, folder=folder, typed_venue=settings.live_venue),
            None if one.kind is Kind.PAPER else frozenset(one.accounts),
        )
        for venue, one in options.items()
    }

    routes = {venue: place.broker.routes_used for venue, place in places.items()}
    measured = Measured(list(places), settings.mode, app.exporter, EXECUTION, routes)
    execution = Execution(
        {venue: place.broker for venue, place in places.items()},
        settings.mode,
        policies={venue: policy_of(one) for venue, one in options.items()},
        called=measured.called,
        sending=measured.sending,
    )

    def ours() -> Collection[int]:
        owned = dict(door.carrier.owned)
        return [partition for partition, one in owned.items() if one.standing is Standing.LIVE]

    on_paper = any(one.kind is Kind.PAPER for one in options.values())
    duty = Duty(
        execution,
        places,
        settings.mode,
        app.source(EXECUTION),
        ours=ours,
        every_s=settings.reconcile_s,
        bars=(lambda: app.reader(MARKET_BARS, "paper venue", Start.END)) if on_paper else None,
    )
    app.services.append(OnDuty(app, duty, folder))
    door = app.effect(
        EXECUTION,
        ORDERS_COMMANDS,
        measured.before(execution, duty.perform),  # type: ignore[arg-type]  # no other record is in this topic
        slot=settings.slot,
        fixed_membership=settings.fixed_membership,
    )
    door.more_told = duty.told
    app.health.require(duty.not_ready)
    app.carry(door)


def brokers_of(settings: Settings) -> dict[str, BrokerOptions]:
    """The brokers of the settings; a paper venue where none is named. Raises NotMeant for live without any."""
    if settings.brokers:
        return dict(settings.brokers)
    if settings.mode is Mode.LIVE:
        raise NotMeant("no broker is named; write [brokers.VENUE] into the settings file")
    return {PAPER_VENUE: BrokerOptions(kind=Kind.PAPER)}


def policy_of(options: BrokerOptions) -> Policy:
    """How the venue is called."""
    return Policy(call_timeout_s=options.call_timeout_s, requests_per_s=options.requests_per_s)


def folder_of(settings: Settings) -> Path:
    """Local state of this worker: nothing that cannot be lost."""
    folder = settings.folder / "worker" / settings.environment / settings.slot
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def supervise(
    settings: Settings, names: Sequence[str] = (), say: Callable[[str], None] = print, *, live_typed: bool = False
) -> int:
    """Run a worker in a process of its own, and start it again when it ends itself; return its last exit code."""

    def heard(words: LastWords) -> None:
        say(f"{words.room} did not return for {words.seconds:.0f} s: its record is skipped")
        give_way(settings, words)

    environ = os.environ | {f"QL_{name.upper()}": str(value) for name, value in _told(settings).items()}
    command = [sys.executable, "-m", "streams.worker", *names, *(LIVE_FLAG if live_typed else ())]
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
    known = ("environment", "mode", "folder", "bootstrap_servers", "registry_url", "health_port", "traces_url",
             "group_protocol", "fixed_membership", "session_ms", "replication", "slot", "live_venue",
             "reconcile_s")  # fmt: skip
    brokers = {"brokers": msgspec.json.encode(settings.brokers).decode()} if settings.brokers else {}
    return {name: getattr(settings, name) for name in known} | brokers


def __getattr__(name: str) -> RoomApp:
    """`app`, built when Faust's command line asks for it."""
    if name == "app":
        # Not a setting of the project's: it must be gone before the settings are read.
        names = os.environ.pop(ROOMS_VARIABLE, "").split()
        return build(load({}).settings, names)
    raise AttributeError(name)


def main() -> None:
    """Run the roles named on the command line until SIGTERM."""
    words = sys.argv[1:]
    live_typed = tuple(words[-len(LIVE_FLAG) :]) == LIVE_FLAG
    names = words[: -len(LIVE_FLAG)] if live_typed else words
    try:
        app = build(load({}).settings, names, live_typed=live_typed)
    except (Unavailable, Unreachable) as error:
        fail_stop(str(error), code=AWAY)
    except (
        NotMeant,
        BrokerUnusable,
        CredentialsUnusable,
        LiveNotMeant,
        NoTraces,
        Refused,
        RegistryError,
        UnknownRoom,
    ) as error:
        fail_stop(str(error), code=REFUSED)
    app.Worker(loglevel="WARN", redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    main()
