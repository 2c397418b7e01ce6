"""RoomApp: a Faust app whose records are carried by librdkafka.

    app = RoomApp("paper", "localhost:9092", codec, data_dir)
    room = app.room(AccountsRoom(), slot="w0")

    @app.agent(room.inbox)
    async def accounts(stream):
        async for batch in stream:
            await room.apply(batch)

Faust gives the app, the worker and its command line, agents and their supervision, services and web pages. Its own
transport, tables and recovery stay off (docs/delivery.md says why); its hooks for topics and tables are used instead.
"""

import asyncio
import gc
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self, cast

from confluent_kafka import KafkaException
from faust.app.base import BootStrategy

from connectors.errors import Refused, Unavailable
from connectors.kafka.provision import DesiredTopic, desired
from schemas.record import Record
from schemas.topics import Topic
from streams.runtime import slots
from streams.runtime.carrier import BATCH_MAX
from streams.runtime.clients import Cluster
from streams.runtime.effect import Effect, KafkaEffect
from streams.runtime.fail_stop import AWAY, REFUSED, fail_stop
from streams.runtime.gauges import of_room
from streams.runtime.health import Health
from streams.runtime.host import Host
from streams.runtime.intake import RecordCodec
from streams.runtime.kafka_room import KafkaRoom
from streams.runtime.metrics import Sample, build
from streams.runtime.offsets import TopicGone
from streams.runtime.provisioning import changelog, provision
from streams.runtime.reader import ReadStandsStill
from streams.runtime.room import Room
from streams.runtime.slots import SlotTaken
from streams.runtime.transactions import Stage
from streams.runtime.watchdog import Watchdog

GC_THRESHOLDS = (50_000, 20, 50)
LAST_WORDS = "last-words.json"
"""File in the data folder that tells the supervisor over what the watchdog ended the process."""


class RoomBoot(BootStrategy):
    """Starts Faust without its Kafka side, and our rooms after the agents that they feed."""

    enable_kafka = False

    def server(self) -> Iterable[Any]:
        return self._chain(self.sensors(), self.web_server(), self.agents(), cast("RoomApp", self.app).services)


class RoomApp(Host):
    """A process with some rooms of one environment; see `Host` for what is not told here.

    replication: overrides the map where there are fewer brokers.
    health_port: where `/ready` and the others answer; 0 for a free port, None for no server.
    wall_time: whether records tell the time of the wall, so that their age means something; not in a replay.
    provision_topics: make missing topics at the start, and refuse to start where what exists differs.
    """

    BootStrategy = RoomBoot

    def __init__(
        self,
        environment: str,
        bootstrap_servers: str | Cluster,
        codec: RecordCodec,
        data_dir: Path,
        *,
        replication: int | None = None,
        provision_topics: bool = True,
        web_port: int | None = None,
        health_port: int | None = None,
        wall_time: bool = False,
        **host_settings: Any,
    ):
        if web_port is not None:
            host_settings["web_port"] = web_port
        super().__init__(
            environment, bootstrap_servers, codec, data_dir, web_enabled=web_port is not None, **host_settings
        )
        self.exporter.ask(build("worker"))
        self.exporter.ask(self._samples)
        self.health = Health(self.exporter)
        self.health_port = health_port
        self.watchdog = Watchdog(self.cluster, self.recovery, data_dir / LAST_WORDS)
        self.rooms: list[KafkaRoom] = []
        self.effects: list[KafkaEffect] = []
        self.services: list[Any] = []
        self._wall_time = wall_time
        self._replication = replication
        self._provision = provision_topics

    def room(
        self,
        room: Room[Any, Any],
        *,
        slot: str = "w0",
        fixed_membership: bool = True,
        turns: bool = False,
        batch_max: int = BATCH_MAX,
        stage: Stage = lambda _: None,
    ) -> KafkaRoom:
        """Declare that this process runs the room in this slot; an agent must read `room.inbox`."""
        declared = KafkaRoom(
            self,
            room,
            slot=slot,
            fixed_membership=fixed_membership,
            turns=turns,
            batch_max=batch_max,
            stage=stage,
        )
        self.rooms.append(declared)
        self.services.append(declared)
        return declared

    def effect(
        self,
        role: str,
        topic: Topic,
        perform: Effect,
        *,
        slot: str = "w0",
        order_by: Callable[[Record], str] | None = None,
        fixed_membership: bool = True,
        turns: bool = False,
    ) -> KafkaEffect:
        """Declare that this process performs the commands of a topic; an agent must read `effect.inbox`."""
        declared = KafkaEffect(
            self,
            role,
            topic,
            perform,
            slot=slot,
            order_by=order_by,
            fixed_membership=fixed_membership,
            turns=turns,
        )
        self.effects.append(declared)
        self.services.append(declared)
        return declared

    def carry(self, door: KafkaRoom | KafkaEffect) -> Self:
        """Declare the agent of a room or effect, as one would by hand."""

        @self.agent(door.inbox, name=door.name)
        async def carry(stream: Any) -> None:
            async for batch in stream:
                await door.apply(batch)

        return self

    def wanted_topics(self) -> list[DesiredTopic]:
        """Every topic of the map, and the changelogs of the rooms declared here."""
        return [
            *desired(self.environment, self._replication, self.map),
            *(changelog(room.changelog, room.room.reads, self._replication) for room in self.rooms),
        ]

    async def on_start(self) -> None:
        """Faust calls it before the agents start."""
        # Records come and go by the thousand; what lives now lives on, and need not be looked at again and again.
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        # Stock Faust resumes it when its consumer has been assigned; ours is not its consumer.
        self.flow_control.resume()
        loop = asyncio.get_running_loop()
        if self._provision:
            await loop.run_in_executor(None, self._or_end, self._make_topics)
        await asyncio.gather(
            loop.run_in_executor(None, self._or_end, self._check_slots),
            loop.run_in_executor(None, self._or_end, self._take_skips),
        )
        # Not before the slots are known to be ours: connecting fences whoever holds them. Rooms start one after
        # another; their writers connect at once.
        for room in self.rooms:
            room.connect()
        self.recovery.start()
        for room in self.rooms:
            self.watchdog.watch(room, room.door)
            self.health.watch(room.name, room.room.reads.name, room.carrier, room.metrics.told)
        for effect in self.effects:
            self.watchdog.watch(effect)
            self.health.watch(effect.name, effect.topic.name, effect.carrier, effect.told)
        doors: list[KafkaRoom | KafkaEffect] = [*self.rooms, *self.effects]
        for door in doors:
            if door.instance is not None:
                self.watchdog.orphans.watch(door.group, door.source, door.partition_count, door.instance)
        self.watchdog.start()
        if self.health_port is not None:
            self.health_port = self.health.start(self.health_port)
        await super().on_start()

    async def on_stop(self) -> None:
        """Faust calls it when all services have stopped."""
        self.watchdog.stop()
        self.skips.stop()
        self.health.stop()
        if self.spans is not None:
            self.spans.close()
        self.recovery.stop()
        await super().on_stop()

    def _samples(self) -> Iterator[Sample]:
        for room in self.rooms:
            yield from of_room(room, wall_time=self._wall_time)

    def _or_end(self, prepare: Callable[[], None]) -> None:
        """Prepare the start; a worker that cannot start ends so that its supervisor knows whether to try again."""
        try:
            prepare()
        except (Refused, SlotTaken, TopicGone) as error:
            if self.in_worker:
                fail_stop(str(error), code=REFUSED)
            raise
        except (Unavailable, KafkaException, ReadStandsStill, TimeoutError) as error:
            if self.in_worker:
                fail_stop(f"Kafka does not answer as it must for a start: {error}", code=AWAY)
            raise

    def _make_topics(self) -> None:
        provision(self.cluster, self.wanted_topics())

    def _take_skips(self) -> None:
        given = self.skips.given()
        for room in self.rooms:
            room.door.skips |= given.get(room.source, set())
        for effect in self.effects:
            effect.skipped |= given.get(effect.source, set())

    def _check_slots(self) -> None:
        doors: list[KafkaRoom | KafkaEffect] = [*self.rooms, *self.effects]

        def check(door: KafkaRoom | KafkaEffect) -> None:
            if door.instance is not None:
                slots.check(self.cluster, door.group, door.instance, door.slot)

        with ThreadPoolExecutor(max(1, len(doors))) as pool:
            list(pool.map(check, doors))
