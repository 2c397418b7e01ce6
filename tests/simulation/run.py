"""Run: a plan lived through, and judged by the checkers that judge real topics."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from streams.runtime.headers import headers_of, root_id
from streams.runtime.keys import partition_of
from tests.simulation.broker import Broker, Laws
from tests.simulation.broker import Record as Written
from tests.simulation.judge import ambiguous, differences, verdict_of
from tests.simulation.plan import BUSY_S, Fault, How, Kind, Plan, Sent
from tests.simulation.worker import (
    ENVIRONMENT,
    SESSION_S,
    TRANSACTION_S,
    SimWorker,
    Site,
    changelog_of,
    simulated,
    surprising,
)
from tests.simulation.world import Killed, Process, Restless, World

LOOK_S = 0.03


@dataclass
class Report:
    """What became of a plan. `wrong` is empty where all is as it must be."""

    plan: Plan
    wrong: list[str] = field(default_factory=list)
    history: list[str] = field(default_factory=list)
    hits: dict[str, int] = field(default_factory=dict)
    struck: dict[str, int] = field(default_factory=dict)
    inputs: int = 0
    outputs: int = 0
    events: int = 0
    simulated_s: float = 0.0
    ended: int = 0
    refused: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether nothing was lost, doubled, changed or left behind."""
        return not self.wrong


class Run:
    """One run in the making. limit_s: until then it must be at rest."""

    limit_s = 20.0

    def __init__(self, plan: Plan, *, keep_history: bool = False, laws: Laws | None = None):
        self.plan = plan
        self.world = World(plan.schedule, preempt=plan.preempt, keep_history=keep_history)
        self.broker = Broker(
            self.world,
            transaction_s=TRANSACTION_S,
            session_s=SESSION_S,
            marker_slow=plan.marker_slow,
            laws=laws,
        )
        self.rooms = list(plan.scene.rooms())
        self.site = Site(
            world=self.world,
            broker=self.broker,
            rooms=self.rooms,
            codec=plan.scene.codec,
            topics=plan.scene.topics,
            fixed=plan.fixed,
            batch_max=plan.batch_max,
            gather_s=plan.gather_s,
            mishap=self._mishap,
            pending_max=plan.pending_max,
            on_ended=self._supervise,
        )
        self.workers: dict[str, Any] = {}
        self.struck: dict[str, int] = defaultdict(int)
        self._starts = 0
        self._armed: dict[str, list[list[object]]] = defaultdict(list)
        self._lost: dict[str, list[list[object]]] = defaultdict(list)
        self._drained = False
        self._make_topics()

    def report(self) -> Report:
        """Live through it, and judge."""
        world, report = self.world, Report(self.plan)
        with simulated(self.site):
            self._arrange()
            try:
                if not world.run(lambda: self._drained, self.limit_s):
                    report.wrong.append(f"not at rest after {self.limit_s} s: {self._left()}")
            except Restless as error:
                report.wrong.append(str(error))
            except Killed as error:
                # It is an exit of the interpreter, and would end the simulator without a word.
                report.wrong.append(f"what unwinds one thread came out of it: {error!r}")
            finally:
                world.end()
        report.wrong += [f"{e.slot} ended itself: {e.reason}: {e.error!r}" for e in self.site.ended if surprising(e)]
        self._judge(report)
        report.history = world.history or []
        report.hits, report.struck = dict(world.hits), dict(self.struck)
        report.refused.update(self.broker.refused)
        report.events, report.simulated_s, report.ended = world.events, world.now, len(self.site.ended)
        return report

    def _make_topics(self) -> None:
        for topic in self.plan.scene.topics:
            self.broker.create(topic.full_name(ENVIRONMENT), topic.partitions)
        for room in self.rooms:
            self.broker.create(changelog_of(room), room.reads.partitions, compacts=True)

    def _arrange(self) -> None:
        plan, world = self.plan, self.world
        for number in range(plan.workers):
            slot = f"w{number}"
            world.at(world.chance() * 0.1, lambda slot=slot: self._start(slot))  # type: ignore[misc]  # bound early
        for sent in plan.sent:
            world.at(sent.at_s, lambda sent=sent: self._write(sent))  # type: ignore[misc]  # bound early
            if sent.how is How.TWICE:
                later = sent.at_s + world.chance() * 0.3
                world.at(later, lambda sent=sent: self._write(sent))  # type: ignore[misc]  # bound early
        for fault in plan.faults:
            if fault.kind in (Kind.ANSWER_LOST, Kind.REQUEST_LOST):
                self._lost[fault.step].append([fault.nth, fault])
            elif fault.step:
                self._armed[fault.step].append([fault.nth, fault])
            else:
                world.at(fault.at_s, lambda fault=fault: self._strike_slot(fault))  # type: ignore[misc]  # bound early
        world.watch = self._watch if self._armed else None
        world.at(BUSY_S + 0.3, self._look)

    def _start(self, slot: str) -> None:
        self._starts += 1
        process = self.world.process(f"{slot}.{self._starts}", slot)
        self.world.tell("starts", process)
        self.workers[slot] = self._worker(process)

    def _worker(self, process: Process) -> Any:
        return SimWorker(self.site, process)

    def _supervise(self, process: Process) -> None:
        if surprising(self.site.ended[-1]):
            self._drained = True
        self._restart(process, 0.05)

    def _restart(self, process: Process, after_s: float) -> None:
        def start() -> None:
            if not self.workers[process.slot].process.alive:
                self._start(process.slot)

        self.world.at(after_s, start)

    def _write(self, sent: Sent) -> None:
        """Append as a source does: acknowledged, so it is there."""
        record = sent.record
        topic = self.rooms[0].reads
        key = topic.key_of(record)
        value: bytes | None = self.plan.scene.codec.encode(record)
        name = topic.full_name(ENVIRONMENT)
        event_id = root_id(record)
        headers = headers_of(event_id or "", record.event_time_us)
        raw = None if key is None else key.encode()
        partitions = range(topic.partitions) if raw is None else [partition_of(raw, topic.partitions)]
        match sent.how:
            case How.GARBAGE:
                value = b"\x01garbage"
            case How.WITHOUT_KEY if raw is not None:
                raw = None
            case How.MISPLACED if raw is not None:
                partitions = [(partitions[0] + 1) % topic.partitions]
            case _:
                pass
        for partition in partitions:
            self.broker.append(Written((name, partition), raw, value, headers))

    def _watch(self, label: str, process: Process | None) -> bool:
        armed = self._armed.get(label)
        if not armed or process is None or not process.alive:
            return False
        fell = False
        for entry in armed:
            count, fault = entry
            assert isinstance(count, int)
            assert isinstance(fault, Fault)
            if fault.slot != process.slot or count <= 0:
                continue
            entry[0] = count - 1
            if count == 1 and fault.kind is Kind.STALL:
                fell = True
                self.struck[f"{fault.kind} at {label}"] += 1
                self.world.stall_s = fault.lasts_s
                self.world.tell("stalls", process)
            elif count == 1:
                fell = True
                self.struck[f"{fault.kind} at {label}"] += 1
                self.world.at(0.0, self._strike_of(fault, process))
        return fell

    def _mishap(self, label: str) -> str | None:
        for entry in self._lost.get(label, ()):
            count, fault = entry
            assert isinstance(count, int)
            assert isinstance(fault, Fault)
            if fault.slot == self.world.me().process.slot and count > 0:
                entry[0] = count - 1
                if count == 1:
                    self.struck[f"{fault.kind} of {label}"] += 1
                    return fault.kind.value
        return None

    def _strike_slot(self, fault: Fault) -> None:
        worker = self.workers.get(fault.slot)
        if worker is not None and worker.process.alive:
            self.struck[f"{fault.kind} at some time"] += 1
            self._strike(fault, worker.process)

    def _strike_of(self, fault: Fault, process: Process) -> Callable[[], None]:
        return lambda: self._strike(fault, process)

    def _strike(self, fault: Fault, process: Process) -> None:
        world = self.world
        match fault.kind:
            case Kind.KILL:
                world.kill(process)
                self._restart(process, fault.lasts_s)
            case Kind.PAUSE:
                world.pause(process)
                world.at(fault.lasts_s, lambda: world.resume(process))
            case Kind.STOP:
                world.tell("is asked to stop", process)
                self.workers[process.slot].stop()
                process.on_end.append(lambda: self._restart(process, fault.lasts_s))
            case Kind.EXPIRE:
                for room in self.rooms:
                    name = f"{ENVIRONMENT}.{room.name}.{process.slot}"
                    if name in self.broker.writers:
                        self.broker.expire(name)
            case Kind.COMPACT:
                world.tell("compaction")
                for log in self.broker.logs.values():
                    if log.compacts:
                        log.compact()
            case Kind.SLOW:
                world.slow = 40.0
                world.at(fault.lasts_s, self._fast)
            case _:
                raise AssertionError(fault.kind)

    def _fast(self) -> None:
        self.world.slow = 1.0

    def _look(self) -> None:
        self._drained = not self._left()
        if not self._drained:
            self.world.at(LOOK_S, self._look)

    def _left(self) -> list[str]:
        """What is still to be done."""
        left = [f"{name} has an open transaction" for name in self.broker.open_transactions()]
        for room in self.rooms:
            left += self._unread(room.reads.full_name(ENVIRONMENT), room.name, room.reads.partitions)
        return left

    def _unread(self, source: str, role: str, partitions: int) -> list[str]:
        """Where a role has committed less than there is."""
        committed = self.broker.group(f"{ENVIRONMENT}.{role}", source).committed
        left = []
        for partition in range(partitions):
            upto = committed.get(partition, 0)
            if any(
                stored.offset() >= upto and stored.committed for stored in self.broker.logs[source, partition].entries
            ):
                left.append(f"{role} has read {source}/{partition} up to {upto}")
        return left

    def _judge(self, report: Report) -> None:
        report.wrong += ambiguous(self.broker, self.plan.scene)
        for room in self.rooms:
            verdict = verdict_of(self.broker, self.plan.scene, room)
            report.inputs += verdict.inputs
            report.outputs += verdict.outputs
            if not verdict.ok:
                report.wrong += verdict.lines()
            if not report.wrong:
                report.wrong += differences(self.broker, self.plan.scene, room)
