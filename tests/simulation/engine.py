"""Engine: a worker with all rooms and the effect of execution, as they are: services on an event loop, with agents."""

import asyncio
from typing import Any

from schemas.control import ClockTick, KillSwitch
from schemas.topics import CONTROL_KILL, ORDERS_COMMANDS, STRATEGIES_INBOX
from streams.execution.calls import Policy
from streams.execution.handler import Execution
from streams.runtime.effect import KafkaEffect
from tests.simulation.aio import SimLoop
from tests.simulation.outside import Follower, Outside, Wire
from tests.simulation.worker import App, Site, StagedRoom
from tests.simulation.world import Process

POLICY = Policy(
    call_timeout_s=0.2,
    attempts=3,
    budget_s=0.5,
    first_wait_s=0.01,
    longest_wait_s=0.05,
    jitter_s=0.0,
    breaker_failures=1_000_000,
)
"""As times in `worker`: shorter, in the same order. The breaker looks at the wall clock, so it stays closed."""

LOOK_S = 0.02


class EngineWorker:
    """One incarnation of a worker."""

    def __init__(self, site: Site, process: Process, outside: Outside):
        self._site = site
        self._outside = outside
        self.process = process
        self._services: list[Any] = []
        site.world.spawn(process, self._live, "loop")

    def stop(self) -> None:
        """SIGTERM."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stopping)

    _loop: SimLoop | None = None

    def _live(self) -> None:
        self._loop = loop = SimLoop(self._site.world)
        loop.create_task(self._start(loop))
        loop.live()

    async def _start(self, loop: SimLoop) -> None:
        site = self._site
        app = App(site)
        outside = self._outside
        execution = Execution(
            {outside.venue.name: Wire(outside, site.mishap)}, outside.mode, policy=POLICY, now_us=outside.now_us
        )
        self._kills = Follower(outside.broker, CONTROL_KILL)
        self._ticks = Follower(outside.broker, STRATEGIES_INBOX)
        self._hear(execution)
        app.recovery.start()
        effect = KafkaEffect(
            app,  # type: ignore[arg-type]  # all that is asked of the app
            "execution",
            ORDERS_COMMANDS,
            execution.on_command,  # type: ignore[arg-type]  # the map lets no other record into this topic
            slot=self.process.slot,
            order_by=lambda command: str(getattr(command, "account_id")),  # noqa: B009 - every command has one
            fixed_membership=site.fixed,
        )
        self._services = [StagedRoom(app, room, site, self.process.slot) for room in site.rooms]
        self._services.append(effect)
        for service in self._services:
            app.flows[service.source] = asyncio.Queue()
            loop.create_task(self._agent(service, app.flows[service.source]))
        for service in self._services:
            await service.on_start()

    async def _agent(self, service: Any, flow: "asyncio.Queue[Any]") -> None:
        while True:
            await service.apply(await flow.get())

    def _hear(self, execution: Execution) -> None:
        """Take kill switches and ticks, as the readers without group do."""
        for stored in self._kills.take():
            switch = self._site.codec.decode(stored.value())
            assert isinstance(switch, KillSwitch)
            execution.on_kill(switch)
        for stored in self._ticks.take():
            record = self._site.codec.decode(stored.value())
            if isinstance(record, ClockTick):
                execution.on_tick(record)
        self._site.world.at(LOOK_S, lambda: self._hear(execution), self.process)

    def _stopping(self) -> None:
        assert self._loop is not None
        self._loop.create_task(self._stop())

    async def _stop(self) -> None:
        await asyncio.gather(*(service.on_stop() for service in self._services))
        world = self._site.world
        world.at(0.0, lambda: world.kill(self.process, "stopped"))
