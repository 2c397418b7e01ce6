"""The room: who folds what."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from schemas.control import ClockTick, StrategyControl
from schemas.market import Bar, BarKind, MarketCondition
from schemas.record import Part, Record
from schemas.scalars import SECOND_US
from schemas.signal import AcceptedSignal
from schemas.strategy import StrategyChange, StrategyCode, StrategyEvent
from schemas.topics import STRATEGIES_INBOX, Topic
from streams.runtime.room import Outcome, Room
from streams.strategies.catalogue import Catalogue, installed
from streams.strategies.deployments import NOWHERE, Refused, after, told, values_of
from streams.strategies.intents import Occasion, intents_of
from streams.strategies.plugin import COMMON, Strategy, Value, Wish, wish_fault
from streams.strategies.state import Deployment, Desk, Floor, Header, Instance, News, Standing

WISHES_MAX = 4
"""Wishes of one instance on one record: more is a fault."""

Answer = tuple[Part, Sequence[Wish]]


class Unknown(Part, frozen=True):
    """A memory that nobody here can read."""


class _Fault(Exception):
    """A plug-in did what it must not."""

    def __init__(self, code: StrategyCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class _Kinds(dict[str, type[Part]]):
    """Types of parts by kind. A memory of a strategy that is not installed any more is of no kind that is known."""

    def __missing__(self, kind: str) -> type[Part]:
        if kind.startswith("memory."):
            return Unknown
        raise KeyError(kind)


class Strategies(Room[Desk, Floor]):
    """Reads strategies.inbox. Writes accounts.inbox, strategies.events. Keeps one Desk for each instrument.

    An instance that raises, wishes too much or wishes nonsense is paused and reported, and its wishes on that record
    are dropped; others go on. So is one whose plug-in is not installed any more; its memory waits. It is forgiven when
    it is resumed, changed or deployed anew. `running` names the instance whose code is being called, for a watchdog
    that finds it looping; no fold reads it.
    """

    name: ClassVar[str] = "strategies"
    reads: ClassVar[Topic] = STRATEGIES_INBOX
    part_types: Mapping[str, type[Part]]  # type: ignore[misc]  # kinds of memory come with the catalogue
    shared_type: ClassVar[type[Part]] = Floor
    version: ClassVar[int] = 3

    def __init__(self, catalogue: Catalogue | None = None) -> None:
        """Without a catalogue: what is installed. Raises BadPlugIn where that is no strategy."""
        self.catalogue = installed() if catalogue is None else catalogue
        memories = {f"memory.{name}": plugin.memory_type for name, plugin in self.catalogue.items()}
        self.part_types = _Kinds({"header": Header, "instance": Instance, **memories})
        self.running = ""

    def begin(self, key: str) -> Desk:
        return Desk(header=Header(instrument_id=key))

    def begin_shared(self) -> Floor:
        return Floor()

    def fold(self, state: Desk, shared: Floor, record: Record) -> Outcome[Desk]:
        outputs: list[Record] = []
        state = self._caught_up(state, shared, record.event_time_us, outputs)
        match record:
            case MarketCondition():
                state = _with_condition(state, record)
            case Bar():
                state = self._on_bar(state, shared, record, outputs)
            case AcceptedSignal():
                state = self._on_signal(state, shared, record, outputs)
            case _:
                pass
        return Outcome(state, tuple(outputs))

    def fold_shared(self, shared: Floor, record: Record) -> Outcome[Floor]:
        match record:
            case StrategyControl():
                return Outcome(after(shared, record, self.catalogue))
            case ClockTick() if record.event_time_us > shared.now_us:
                return Outcome(msgspec.structs.replace(shared, now_us=record.event_time_us))
            case _:
                return Outcome(shared)

    def interests(self, state: Desk) -> Collection[str]:
        return (state.header.instrument_id,)

    def touches(self, record: Record) -> Collection[str]:
        return (record.instrument_id or NOWHERE,) if isinstance(record, StrategyControl) else ()

    def addressees(self, record: Record) -> Collection[str]:
        """An instrument that nothing was heard of yet answers too, and one place where a request names none."""
        return self.touches(record)

    def parts(self, state: Desk) -> Mapping[str, Part]:
        return {
            "header": state.header,
            **{f"instance:{strategy_id}": instance for strategy_id, instance in state.instances.items()},
            **{
                f"memory.{state.instances[strategy_id].strategy_name}:{strategy_id}": memory
                for strategy_id, memory in state.memories.items()
            },
        }

    def assemble(self, key: str, parts: Mapping[str, Part]) -> Desk:
        header = parts["header"]
        assert isinstance(header, Header)
        named = [(name.partition(":"), part) for name, part in parts.items()]
        return Desk(
            header=header,
            instances={member: part for (_, _, member), part in named if isinstance(part, Instance)},
            memories={
                member: part
                for (kind, _, member), part in named
                if kind.startswith("memory.") and not isinstance(part, Unknown)
            },
        )

    def _caught_up(self, state: Desk, floor: Floor, event_time_us: int, outputs: list[Record]) -> Desk:
        """Say what news there are for this instrument, and bring its instances in line with their deployments."""
        header = state.header
        news = floor.news.get(header.instrument_id)
        if not news or news[-1].number == header.told:
            return state
        outputs += [_event(header, item, event_time_us) for item in news if item.number > header.told]
        header = msgspec.structs.replace(header, told=news[-1].number)
        desk = Desk(header=header, instances={}, memories={})
        for strategy_id in floor.on_instrument.get(header.instrument_id, ()):
            deployment = floor.deployments[strategy_id]
            if deployment.standing is not Standing.STOPPED:
                self._align(state, desk, deployment, event_time_us, outputs)
        return desk

    def _align(
        self, before: Desk, desk: Desk, deployment: Deployment, event_time_us: int, outputs: list[Record]
    ) -> None:
        """Put the instance and its memory, as the deployment now wants them, into a desk that is being built."""
        strategy_id = deployment.strategy_id
        known = before.instances.get(strategy_id)
        memory = before.memories.get(strategy_id)
        anew = known is None or known.deployed != deployment.deployed or memory is None
        changed = known is not None and known.generation != deployment.generation
        values: Mapping[str, Value] = {declared.name: declared.default for declared in COMMON}
        try:
            plugin = self._installed(deployment.strategy_name)
            values = self._guarded(
                deployment, lambda: values_of(deployment.strategy_name, deployment.parameters, self.catalogue)
            )
            if anew:
                memory = self._guarded(deployment, lambda: plugin.begin(values))
            elif changed:
                memory = self._guarded(deployment, lambda: plugin.change(memory, values))
        except _Fault as fault:
            if known is None or not known.at_fault or _asked_anew(known, deployment):
                outputs.append(_fault_event(before.header, deployment, fault, event_time_us))
            memory = None
        forgiven = anew or changed or (known is not None and known.resumed != deployment.resumed)
        restate_bars = int(values["restate_bars"])
        desk.instances[strategy_id] = Instance(
            strategy_name=deployment.strategy_name,
            generation=deployment.generation,
            resumed=deployment.resumed,
            deployed=deployment.deployed,
            restate_bars=restate_bars,
            valid_us=int(values["valid_seconds"]) * SECOND_US,
            paused=deployment.standing is Standing.PAUSED,
            at_fault=memory is None or (known is not None and known.at_fault and not forgiven),
            wished=None if known is None or anew else known.wished,
            silent_bars=restate_bars if known is None or forgiven else known.silent_bars,
        )
        if memory is not None:
            desk.memories[strategy_id] = memory

    def _on_bar(self, state: Desk, floor: Floor, bar: Bar, outputs: list[Record]) -> Desk:
        header, series = state.header, f"{bar.kind}/{bar.interval_us}"
        if bar.event_time_us <= header.bars_us.get(series, 0):
            return state
        header = Header(
            instrument_id=header.instrument_id,
            told=header.told,
            close=bar.close,
            bars_us={**header.bars_us, series: bar.event_time_us},
            condition=header.condition,
            heard=header.heard,
        )
        state = Desk(header=header, instances=state.instances, memories=state.memories)
        occasion = Occasion(f"{series}/{bar.event_time_us}", bar.event_time_us, bar.close, header.condition, True)
        condition = header.condition
        return self._ask(
            state, floor, occasion, lambda plugin, memory: plugin.on_bar(memory, bar, condition), outputs, bar.kind
        )

    def _on_signal(self, state: Desk, floor: Floor, accepted: AcceptedSignal, outputs: list[Record]) -> Desk:
        """Signals of one provider rise in sequence; one that is past its validity by now is dropped."""
        header, signal = state.header, accepted.signal
        if signal.sequence <= header.heard.get(signal.provider_id, 0):
            return state
        header = msgspec.structs.replace(header, heard={**header.heard, signal.provider_id: signal.sequence})
        state = Desk(header=header, instances=state.instances, memories=state.memories)
        if header.close is None or floor.now_us > signal.valid_until_us:
            return state
        condition = header.condition
        occasion = Occasion(
            f"{signal.provider_id}/{signal.signal_id}", accepted.event_time_us, header.close, condition, False
        )
        return self._ask(
            state, floor, occasion, lambda plugin, memory: plugin.on_signal(memory, accepted, condition), outputs
        )

    def _ask(
        self,
        state: Desk,
        floor: Floor,
        occasion: Occasion,
        question: Callable[[Strategy[Any], Any], Answer],
        outputs: list[Record],
        kind: BarKind | None = None,
    ) -> Desk:
        """Ask every running instance in order of its id; keep what it remembers, and write what it wishes.

        About a bar of some kind only those are asked that want to see it.
        """
        if not state.instances:
            return state
        instances, memories = dict(state.instances), dict(state.memories)
        for strategy_id in sorted(instances):
            instance = instances[strategy_id]
            if instance.paused or instance.at_fault:
                continue
            deployment = floor.deployments[strategy_id]
            try:
                plugin, memory = self._installed(instance.strategy_name), memories.get(strategy_id)
                if kind is not None and kind not in plugin.bar_kinds:
                    continue
                answer = self._guarded(deployment, question, plugin, memory)
                memory, wishes = _checked(answer, plugin)
            except _Fault as fault:
                outputs.append(_fault_event(state.header, deployment, fault, occasion.event_time_us))
                instances[strategy_id] = msgspec.structs.replace(instance, at_fault=True)
                continue
            memories[strategy_id] = memory
            instances[strategy_id], intents = intents_of(deployment, instance, occasion, wishes)
            outputs += intents
        return Desk(header=state.header, instances=instances, memories=memories)

    def _installed(self, strategy_name: str) -> Strategy[Any]:
        """The plug-in. Raises _Fault where it was taken away after it was deployed."""
        plugin = self.catalogue.get(strategy_name)
        if plugin is None:
            raise _Fault(StrategyCode.UNKNOWN_STRATEGY, f"{strategy_name} is not installed any more")
        return plugin

    def _guarded(self, deployment: Deployment, call: Callable[..., Any], *arguments: Any) -> Any:
        """Call into a plug-in. Raises _Fault, and nothing else, whatever it raises."""
        self.running = deployment.strategy_id
        try:
            return call(*arguments)
        except Refused as refused:
            raise _Fault(refused.code, str(refused)) from refused
        except Exception as error:  # a plug-in may raise anything, and none of it may stop the room
            raise _Fault(StrategyCode.RAISED, told(error)) from error
        finally:
            self.running = ""


def _checked(answer: object, plugin: Strategy[Any]) -> Answer:
    """The answer, if it is one. Raises _Fault."""
    if not (isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[0], plugin.memory_type)):
        raise _Fault(StrategyCode.BAD_WISH, f"{plugin.name} must return (memory, wishes)")
    memory, wishes = answer
    if not isinstance(wishes, tuple | list):
        raise _Fault(StrategyCode.BAD_WISH, f"wishes must be a tuple or a list, not {type(wishes).__name__}")
    if len(wishes) > WISHES_MAX:
        raise _Fault(StrategyCode.TOO_MANY_WISHES, f"{len(wishes)} wishes on one record; {WISHES_MAX} are allowed")
    for wish in wishes:
        wrong = wish_fault(wish)
        if wrong:
            raise _Fault(StrategyCode.BAD_WISH, wrong)
    return memory, wishes


def _asked_anew(known: Instance, deployment: Deployment) -> bool:
    """Whether somebody asked something of the instance since it was last looked at."""
    looked_at = (known.deployed, known.generation, known.resumed)
    return looked_at != (deployment.deployed, deployment.generation, deployment.resumed)


def _with_condition(state: Desk, condition: MarketCondition) -> Desk:
    known = state.header.condition
    if known is not None and condition.event_time_us < known.event_time_us:
        return state
    return Desk(
        header=msgspec.structs.replace(state.header, condition=condition),
        instances=state.instances,
        memories=state.memories,
    )


def _event(header: Header, news: News, event_time_us: int) -> StrategyEvent:
    return StrategyEvent(
        event_time_us=event_time_us,
        strategy_id=news.strategy_id,
        strategy_name=news.strategy_name,
        instrument_id=header.instrument_id,
        account_id=news.account_id,
        change=news.change,
        request_id=news.request_id,
        code=news.code,
        detail=news.detail,
        author=news.author,
        parameters=list(news.parameters),
    )


def _fault_event(header: Header, deployment: Deployment, fault: _Fault, event_time_us: int) -> StrategyEvent:
    return StrategyEvent(
        event_time_us=event_time_us,
        strategy_id=deployment.strategy_id,
        strategy_name=deployment.strategy_name,
        instrument_id=header.instrument_id,
        account_id=deployment.account_id,
        change=StrategyChange.FAULTED,
        request_id="",
        code=fault.code,
        detail=str(fault),
        author="engine",
    )
