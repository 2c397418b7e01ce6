"""Rehearsal: a strategy is tried on recorded data before it is deployed.

Records (conditions, bars, accepted signals, in the order of `strategies.inbox`) go through the plug-in alone, several
times. It must not raise, must stay within the bounds of wishes and memory, must say the same each time, must remember
in its memory alone (a memory that was written down and read again goes on the same), and must not see the future: what
it wishes on a prefix may not depend on what follows.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from schemas.control import Parameter, StrategyControl, StrategyVerb
from schemas.intent import TradeIntent
from schemas.market import Bar, MarketCondition
from schemas.record import Part
from schemas.signal import AcceptedSignal
from schemas.strategy import StrategyChange, StrategyEvent
from streams.strategies.plugin import Strategy
from streams.strategies.room import Strategies
from streams.strategies.state import Desk

MEMORY_BYTES_MAX = 65_536
INTENTS_PER_RECORD_MAX = 1.0
"""More intents than records is churn, not trading."""
PREFIXES = 4

Told = Bar | MarketCondition | AcceptedSignal


class Finding(NamedTuple):
    """One thing that is wrong: which test it failed, and how."""

    test: str
    detail: str


class Report(NamedTuple):
    """What a rehearsal found. `findings` is empty where the strategy may be deployed."""

    strategy_name: str
    records: int
    intents: int
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether it may be deployed."""
        return not self.findings


class _Run(NamedTuple):
    """One pass: intents with the number of the record each came from, events, and the largest memory in bytes."""

    intents: list[tuple[int, TradeIntent]]
    events: list[StrategyEvent]
    memory_bytes: int


def validate(strategy: Strategy[Any], records: Sequence[Told], parameters: Sequence[Parameter] = ()) -> Report:
    """Rehearse a strategy on records of one instrument."""
    if not records:
        return Report(strategy.name, 0, 0, (Finding("records", "there is nothing to rehearse on"),))
    whole = _run(strategy, records, parameters)
    findings = [
        Finding("no exception", f"{event.code}: {event.detail}")
        for event in whole.events
        if event.change in (StrategyChange.FAULTED, StrategyChange.REFUSED)
    ]
    if not findings:
        findings = [
            *_repeatable(strategy, records, parameters, whole),
            *_bounded(whole, len(records)),
            *_blind_to_the_future(strategy, records, parameters, whole),
        ]
    return Report(strategy.name, len(records), len(whole.intents), tuple(findings))


def _repeatable(
    strategy: Strategy[Any], records: Sequence[Told], parameters: Sequence[Parameter], whole: _Run
) -> list[Finding]:
    """Once more, by a new object, and with the memory written down and read again after every record."""
    findings = []
    if _run(type(strategy)(), records, parameters).intents != whole.intents:
        findings.append(Finding("deterministic", "the same records gave other intents the second time"))
    try:
        if _run(type(strategy)(), records, parameters, rewritten=True).intents != whole.intents:
            findings.append(Finding("memory", "it remembers what is not in its memory, or not in what encoding keeps"))
    except (msgspec.MsgspecError, TypeError, ValueError) as error:
        findings.append(Finding("memory", f"its memory cannot be written down and read again: {error}"))
    return findings


def _bounded(whole: _Run, records: int) -> list[Finding]:
    findings = []
    if len(whole.intents) > records * INTENTS_PER_RECORD_MAX:
        findings.append(Finding("bounded intents", f"{len(whole.intents)} intents on {records} records"))
    if whole.memory_bytes > MEMORY_BYTES_MAX:
        findings.append(
            Finding("bounded memory", f"its memory grew to {whole.memory_bytes} bytes; {MEMORY_BYTES_MAX} are allowed")
        )
    return findings


def _blind_to_the_future(
    strategy: Strategy[Any], records: Sequence[Told], parameters: Sequence[Parameter], whole: _Run
) -> list[Finding]:
    """Prefixes, each with another future: what was wished before the futures part must be the same."""
    for part in range(1, PREFIXES + 1):
        at = len(records) * part // (PREFIXES + 1)
        other = [*records[:at], *(_changed(record) for record in records[at:])]
        mine = [(number, intent) for number, intent in whole.intents if number < at]
        theirs = [(number, intent) for number, intent in _run(strategy, other, parameters).intents if number < at]
        if mine != theirs:
            return [Finding("no look-ahead", f"intents on the first {at} records change with what comes after them")]
    return []


def _changed(record: Told) -> Told:
    """The record as it might have been: prices a quarter higher, an opinion turned round."""
    if isinstance(record, Bar):
        factor = Decimal("1.25")
        return msgspec.structs.replace(
            record,
            open=record.open * factor,
            high=record.high * factor,
            low=record.low * factor,
            close=record.close * factor,
        )
    if isinstance(record, AcceptedSignal) and record.signal.strength is not None:
        signal = msgspec.structs.replace(record.signal, strength=-record.signal.strength)
        return msgspec.structs.replace(record, signal=signal)
    return record


def _run(
    strategy: Strategy[Any],
    records: Sequence[Told],
    parameters: Sequence[Parameter],
    *,
    rewritten: bool = False,
) -> _Run:
    """All records through a room that holds one instance of the strategy."""
    room = Strategies({strategy.name: strategy})
    instrument_id = records[0].instrument_id
    floor = room.fold_shared(room.begin_shared(), _deployment(strategy.name, instrument_id, parameters)).state
    desk = room.begin(instrument_id)
    intents: list[tuple[int, TradeIntent]] = []
    events: list[StrategyEvent] = []
    memory_bytes = 0
    for number, record in enumerate(records):
        desk, outputs = room.fold(desk, floor, record)
        intents += [(number, output) for output in outputs if isinstance(output, TradeIntent)]
        events += [output for output in outputs if isinstance(output, StrategyEvent)]
        if rewritten:
            desk = _rewritten(room, desk)
        if number == len(records) - 1 or number % 100 == 0:
            memory_bytes = max(memory_bytes, *(len(msgspec.msgpack.encode(m)) for m in desk.memories.values()), 0)
    return _Run(intents, events, memory_bytes)


def _rewritten(room: Strategies, desk: Desk) -> Desk:
    """The desk after its memories were written down and read again."""
    memories: dict[str, Part] = {
        strategy_id: msgspec.msgpack.decode(msgspec.msgpack.encode(memory), type=type(memory))
        for strategy_id, memory in desk.memories.items()
    }
    return msgspec.structs.replace(desk, memories=memories)


def _deployment(strategy_name: str, instrument_id: str, parameters: Sequence[Parameter]) -> StrategyControl:
    return StrategyControl(
        event_time_us=0,
        request_id="rehearsal",
        verb=StrategyVerb.DEPLOY,
        strategy_id="rehearsal",
        strategy_name=strategy_name,
        instrument_id=instrument_id,
        account_id="rehearsal",
        author="rehearsal",
        reason="rehearsal",
        parameters=list(parameters),
    )
